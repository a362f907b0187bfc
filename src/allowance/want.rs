//! What a call needs of its account, what it gets, and why it gets nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::policy::classify::HoldCause;
use crate::policy::client::Priority;
use crate::policy::share::Rank;
use crate::policy::time::Moment;

/// What a call needs.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    /// The scopes it needs, as a set of their numbers.
    pub(super) scopes: u64,
    /// Those of them that count attempts at the same time, until the body's end.
    pub(super) concurrent: u64,
    /// Those of them whose slots the guard settles, and the guard.
    pub(super) guarded: u64,
    pub(super) guard: Option<Duration>,
    /// The scope of its upstream as such, and the one of its upstream's counted calls.
    pub(super) upstream: UpstreamScopes,
    /// Its place in the order.
    pub rank: Rank,
    /// Its priority, for estimates.
    pub priority: Priority,
    /// It does not start later.
    pub deadline: Moment,
    /// Whether it is fit to be a probe: its body can be sent again.
    pub fit: Fitness,
}

/// The two scopes of an upstream as such.
#[derive(Clone, Copy, Debug)]
pub(super) struct UpstreamScopes {
    /// Closed: nothing is sent to it.
    pub(super) all: u8,
    /// Closed: nothing but exempt calls is sent to it.
    pub(super) counted: u8,
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
    pub(super) want: Want,
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
