//! What a call needs of its account, what it gets, and why it gets nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::allowance::shares::Rank;
use crate::outcome::HoldCause;
use crate::routing::client::Priority;
use crate::time::Moment;

/// What a call needs.
#[derive(Clone, Copy, Debug)]
pub struct SlotRequest {
    /// The scopes it needs, as a set of their numbers.
    pub(super) scopes: u64,
    /// Those of them that count attempts at the same time, until the body's end.
    pub(super) concurrent: u64,
    /// Those of them whose slots the guard settles, and the guard.
    pub(super) guarded: u64,
    pub(super) guard: Option<Duration>,
    /// The scopes of its upstream as such.
    pub(super) upstream: UpstreamScopes,
    /// Which part of the upstream it is about.
    pub(super) path: PathId,
    /// Its place in the order.
    pub rank: Rank,
    /// Its priority, for estimates.
    pub priority: Priority,
    /// It does not start later.
    pub deadline: Moment,
    /// Whether it is fit to be a probe: its body can be sent again.
    pub fit: Fitness,
}

/// The identity of a path, as far as a broken one differs from others: a hash, in which segments
/// with a digit are all the same, because they are the numbers of things and not of operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PathId(u32);

impl PathId {
    /// Bytes of a path that are looked at: operations differ before that.
    const BYTES_MAX: usize = 128;

    /// The identity of a path without its query.
    pub(super) fn of(path: &str) -> Self {
        // FNV-1a; a collision only takes two paths for one.
        const START: u32 = 0x811c_9dc5;
        const PRIME: u32 = 0x0100_0193;
        let bytes = path.as_bytes();
        let (mut hash, mut before_segment, mut numbered) = (START, START, false);
        for byte in &bytes[..bytes.len().min(Self::BYTES_MAX)] {
            match byte {
                b'/' => {
                    hash = (hash ^ u32::from(b'/')).wrapping_mul(PRIME);
                    (before_segment, numbered) = (hash, false);
                }
                _ if numbered => {}
                b'0'..=b'9' => {
                    hash = (before_segment ^ u32::from(b'0')).wrapping_mul(PRIME);
                    numbered = true;
                }
                _ => hash = (hash ^ u32::from(*byte)).wrapping_mul(PRIME),
            }
        }
        Self(hash)
    }
}

/// The scopes of an upstream as such.
#[derive(Clone, Copy, Debug)]
pub(super) struct UpstreamScopes {
    /// Closed: nothing is sent to it.
    pub(super) all: u8,
    /// Closed: nothing but exempt calls is sent to it.
    pub(super) counted: u8,
    /// What retries after a hold need that no budget has paid.
    pub(super) ramp: u8,
}

impl SlotRequest {
    /// Its next attempt is a retry after a hold that no budget has paid.
    pub const fn join_ramp(&mut self) {
        self.scopes |= 1 << self.upstream.ramp;
    }

    /// Its next attempt is paid for.
    pub const fn leave_ramp(&mut self) {
        self.scopes &= !(1 << self.upstream.ramp);
    }

    pub(super) const fn is_on_ramp(&self) -> bool {
        self.scopes >> self.upstream.ramp & 1 == 1
    }
}

/// Whether a call is fit to be a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fitness {
    /// Its body can be sent again.
    Replayable,
    /// If it fails, it fails for good.
    OnlyOnce,
}

/// A slot of every scope that was wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Granted {
    pub(super) want: SlotRequest,
    /// The scopes whose hold it tests.
    pub(super) probes: u64,
    /// Its number within the account, by which it finds the turns it took.
    pub(super) number: u64,
    /// Whether an observing allowance would have made it wait.
    pub(super) would_wait: bool,
}

/// Why a call will not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: RefusalReason,
    /// An honest estimate of when it could have been.
    pub retry_after: Duration,
}

/// Why a call will not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// No place in the waiting room.
    QueueFull,
    /// No slot within its patience.
    Exhausted {
        /// Of this allowance.
        allowance: Arc<str>,
    },
    /// A hold outlasts its patience.
    Held {
        /// Why it stands.
        cause: HoldCause,
        /// Probes that failed in a row.
        failures: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_known_by_its_words() {
        let same = [
            ("/orders/17", "/orders/4711"),
            ("/v1/orders/0193a/lines", "/v2/orders/b7f00/lines"),
            ("/orders/7c-x", "/orders/x-7c"),
        ];
        for (one, other) in same {
            assert_eq!(PathId::of(one), PathId::of(other), "{one} {other}");
        }
        let different =
            [("/orders", "/users"), ("/orders/17", "/orders"), ("/orders/17/a", "/orders/17/b")];
        for (one, other) in different {
            assert_ne!(PathId::of(one), PathId::of(other), "{one} {other}");
        }
    }
}
