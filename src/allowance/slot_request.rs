//! What a call needs of its account, and what it is granted.

use std::time::Duration;

use super::bottleneck::BottleneckKind;
use super::charge::{CostClass, Costs};
use super::shares::ClientShare;
use crate::routing::client::Priority;
use crate::time::Moment;

/// A request for one slot of every scope that a call needs.
#[derive(Clone, Copy, Debug)]
pub struct SlotRequest {
    /// The scopes it needs, as a set.
    pub(super) scopes: u64,
    /// Those that limit concurrency: their permits are held until the body ends.
    pub(super) concurrent: u64,
    /// Those whose slots are settled once the arrival guard has passed.
    pub(super) guarded: u64,
    pub(super) arrival_guard: Option<Duration>,
    /// Those whose slots are settled once the response's body has ended.
    pub(super) settled_at_body_end: u64,
    /// The costs that it needs, as a set of their classes.
    pub(super) cost_classes: u8,
    /// What it costs, reserved as a whole.
    pub costs: Costs,
    pub(super) upstream: UpstreamScopes,
    /// The number of the configuration by which these scopes were chosen.
    pub(super) configuration: u32,
    pub(super) path: PathId,
    /// The client that makes it.
    pub of: ClientShare,
    pub priority: Priority,
    pub arrival: Moment,
    /// The call does not start later.
    pub deadline: Moment,
    pub probe_fitness: ProbeFitness,
    /// An attempt of the call has had a slot before, so it goes before calls that have not.
    pub(super) is_retry: bool,
}

/// What decides about the place of a call in the queue.
#[derive(Clone, Copy, Debug)]
pub struct Scheduling {
    pub of: ClientShare,
    pub priority: Priority,
    pub arrival: Moment,
    /// The call does not start later.
    pub deadline: Moment,
    pub probe_fitness: ProbeFitness,
}

/// Whether a call is fit to be the probe of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeFitness {
    /// Its body can be sent again, so that a failed probe does not fail the call.
    Replayable,
    OneShot,
}

/// The scopes that a call needs, and what is particular about some of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ScopeNeeds {
    pub(super) scopes: u64,
    pub(super) concurrent: u64,
    pub(super) guarded: u64,
    pub(super) arrival_guard: Option<Duration>,
    pub(super) settled_at_body_end: u64,
    pub(super) cost_classes: u8,
}

/// The scopes that every upstream has besides its allowances.
#[derive(Clone, Copy, Debug)]
pub(super) struct UpstreamScopes {
    /// All calls need it: while it is closed, nothing is sent.
    pub(super) all: u8,
    /// All calls but exempt ones need it.
    pub(super) counted: u8,
    /// Retries after a hold need it, unless the retry budget has paid for them.
    pub(super) slow_start: u8,
}

impl SlotRequest {
    pub(super) fn new(
        needs: ScopeNeeds,
        upstream: UpstreamScopes,
        path: PathId,
        scheduling: Scheduling,
    ) -> Self {
        Self {
            scopes: needs.scopes,
            concurrent: needs.concurrent,
            guarded: needs.guarded,
            arrival_guard: needs.arrival_guard,
            settled_at_body_end: needs.settled_at_body_end,
            cost_classes: needs.cost_classes,
            costs: Costs::ONE_EACH,
            upstream,
            configuration: 0,
            path,
            of: scheduling.of,
            priority: scheduling.priority,
            arrival: scheduling.arrival,
            deadline: scheduling.deadline,
            probe_fitness: scheduling.probe_fitness,
            is_retry: false,
        }
    }

    /// Whether an allowance counts anything of it but the call itself.
    #[must_use]
    pub const fn has_costs(&self) -> bool {
        self.cost_classes != 0
    }

    /// Whether an allowance that it needs counts this cost.
    #[must_use]
    pub const fn needs_cost(&self, class: CostClass) -> bool {
        self.cost_classes & class.bit() != 0
    }

    pub(super) const fn of_configuration(self, configuration: u32) -> Self {
        Self { configuration, ..self }
    }

    /// An attempt got a slot. A further one of the call keeps its place.
    pub const fn attempt_began(&mut self) {
        self.is_retry = true;
        self.leave_slow_start();
    }

    /// The next attempt is a retry after a hold that the retry budget has not paid for.
    pub const fn join_slow_start(&mut self) {
        self.scopes |= 1 << self.upstream.slow_start;
    }

    const fn leave_slow_start(&mut self) {
        self.scopes &= !(1 << self.upstream.slow_start);
    }

    pub(super) const fn is_in_slow_start(&self) -> bool {
        self.scopes >> self.upstream.slow_start & 1 == 1
    }
}

/// A path, as far as a broken one differs from others: a hash in which all segments with a digit
/// are the same, because they are usually the ids of resources and not the names of operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PathId(u32);

impl PathId {
    /// Operations differ within this many bytes of a path.
    const BYTES_MAX: usize = 128;

    /// The identity of a path without its query.
    pub(super) fn of(path: &str) -> Self {
        // FNV-1a. After a collision two paths are treated as one, which does no harm.
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

/// A granted slot of every scope that was requested, and what has been concluded of it so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct GrantedSlot {
    pub(super) request: SlotRequest,
    /// Its number within the account, which orders responses by when their attempts were granted.
    pub(super) number: u64,
    /// By when its attempt has to start.
    pub(super) start_by: Moment,
    /// The scopes whose hold it probes.
    pub(super) probes: u64,
    /// An allowance that only observes would have made it wait.
    pub(super) would_wait: bool,
    /// What let later calls overtake it while it waited, if that cost it a slot.
    pub(super) overtaken: Option<BottleneckKind>,
    /// Scopes settled before the response, because the arrival guard has passed.
    pub(super) settled: u64,
    /// Scopes closed by the response's head, before its body was read.
    pub(super) held_early: u64,
    /// The head throttles although a configured allowance had room.
    pub(super) unexpected_throttle: bool,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A call of a client that needs one allowance, the fourth scope, for up to a minute.
    pub(in crate::allowance) fn request(client: u64, share: u32) -> SlotRequest {
        let needs = ScopeNeeds { scopes: 0b1001, ..ScopeNeeds::default() };
        let upstream = UpstreamScopes { all: 0, counted: 1, slow_start: 2 };
        let scheduling = Scheduling {
            of: ClientShare { client, share },
            priority: Priority::Normal,
            arrival: Moment::START,
            deadline: Moment::from_millis(60_000),
            probe_fitness: ProbeFitness::Replayable,
        };
        SlotRequest::new(needs, upstream, PathId::default(), scheduling)
    }

    #[test]
    fn paths_that_differ_only_in_segments_with_digits_are_the_same() {
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
