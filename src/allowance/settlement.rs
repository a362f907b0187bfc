//! What happened to an attempt, as its slot is settled with it, and what that led to.

use std::sync::Arc;

use crate::outcome::{Basis, HoldOrder, LearnedLimit, Standing};
use crate::time::Moment;

use super::charge::UsedCosts;
use super::hold::Hold;
use super::outage_detector::BlindFailure;

/// The end of an attempt, and what the vendor's response says about limits and pauses.
#[derive(Clone, Copy, Debug)]
pub struct Settlement<'a> {
    pub end: AttemptEnd,
    pub blind_failure: Option<BlindFailure>,
    /// The hold that the response orders.
    pub order: Option<&'a HoldOrder>,
    /// A limit that an error body states.
    pub learned: Option<LearnedLimit>,
    /// What the response's headers state about limits.
    pub standing: Option<&'a Standing>,
    /// What the attempt used, where the response's head says it.
    pub used: UsedCosts,
    pub sent: Moment,
    /// When the response's head arrived, or the attempt was given up.
    pub ended: Moment,
    /// A random number in 0..1, for the jitter of a hold.
    pub chance: f64,
}

impl Settlement<'_> {
    /// A response that neither orders nor states anything, like most.
    #[must_use]
    pub const fn answered(sent: Moment, ended: Moment) -> Self {
        Self {
            end: AttemptEnd::Answered,
            blind_failure: None,
            order: None,
            learned: None,
            standing: None,
            used: UsedCosts::UNKNOWN,
            sent,
            ended,
            chance: 0.0,
        }
    }

    /// Whether it can neither begin nor change a hold.
    pub(super) fn is_plain(&self) -> bool {
        self.end == AttemptEnd::Answered
            && self.blind_failure.is_none()
            && self.order.is_none()
            && self.learned.is_none()
            && self.standing.is_none()
    }
}

/// How an attempt ended, as far as its slots are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The head of a response arrived.
    Answered,
    /// Given up or broken off: the vendor may count it a little later, and work on it for longer.
    Unanswered,
    /// The vendor rejected it unprocessed: it may count it, but is not working on it.
    Refused,
    /// Not a byte was sent.
    NotSent,
}

/// What settling a slot led to.
#[derive(Clone, Debug, Default)]
pub struct SettleOutcome {
    /// When the longest hold ends that now stands on what the attempt needs.
    pub held_until: Option<Moment>,
    /// Where the length of that hold comes from.
    pub basis: Option<Basis>,
    /// Probes of that hold that failed in a row.
    pub failed_probes: u32,
    /// The vendor throttled although a configured allowance had room.
    pub unexpected_throttle: bool,
    /// When the call could start again, if its allowances are used up.
    pub slot_free_at: Option<Moment>,
    /// What happened to the holds on what the attempt needs, scope by scope.
    pub hold_changes: Vec<HoldChange>,
    /// Whether a scope was closed or a limit lowered: waiting calls may no longer start in time.
    pub(super) closed: bool,
}

/// A change of the hold on one scope, for the operator's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldChange {
    pub kind: HoldChangeKind,
    /// The hold as it stands now, or as it was before it ended.
    pub hold: Hold,
    /// The name of the allowance; `upstream` for all calls of an upstream, `counted_calls` for
    /// those that are not exempt.
    pub scope: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldChangeKind {
    Began,
    /// Its probe failed.
    Prolonged,
    /// Its probe got through.
    Ended,
}

impl HoldChange {
    /// The change between two states of one scope's hold, if it is worth a log line.
    pub(super) fn between(
        before: Option<Hold>,
        after: Option<Hold>,
        scope: impl FnOnce() -> Arc<str>,
    ) -> Option<Self> {
        let (kind, hold) = match (before, after) {
            (None, Some(after)) => (HoldChangeKind::Began, after),
            (Some(before), None) => (HoldChangeKind::Ended, before),
            (Some(before), Some(after)) if before.failed_probes < after.failed_probes => {
                (HoldChangeKind::Prolonged, after)
            }
            (Some(before), Some(after)) if before.id != after.id => (HoldChangeKind::Began, after),
            (Some(_) | None, _) => return None,
        };
        Some(Self { kind, hold, scope: scope() })
    }
}
