//! What is on record of one allowance, and what a process that begins anew has to count.

use std::sync::Arc;
use std::time::Duration;

use crate::time::Moment;

/// What is on record of one allowance of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AllowanceRecord {
    pub(super) name: Arc<str>,
    /// Which calls it counts: the record of other calls says nothing.
    pub(super) calls: Arc<str>,
    pub(super) units: UnitRecord,
}

/// Units that ended in the same part of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SettledUnits {
    /// The end of that part, in nanoseconds.
    pub(super) at: u64,
    pub(super) units: u64,
}

/// The state of one allowance at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnitRecord {
    pub(super) taken: Moment,
    /// What was used before this is not on record.
    pub(super) since: Moment,
    /// How long settled units are kept on record.
    pub(super) window: Duration,
    /// Units set aside that had not settled.
    pub(super) outstanding: u64,
    pub(super) settled: Vec<SettledUnits>,
}

impl UnitRecord {
    /// What may have been used of a window of this length: when it ended, and how many units.
    ///
    /// Attempts that had not settled may have reached the vendor until `over`. What is not known
    /// counts as the whole limit.
    pub(super) fn spent(
        &self,
        (limit, window): (u32, Duration),
        over: Moment,
        now: Moment,
    ) -> Vec<(Moment, u64)> {
        let known_from = self.since.max(self.taken.minus(self.window));
        let counts = |at: &Moment| now < at.plus(window);
        let unknown = Some(known_from).filter(counts).map(|at| (at, u64::from(limit)));
        let settled = self.settled.iter().map(|it| (Moment::from_nanos(it.at), it.units));
        let settled = settled.filter(|(at, _)| counts(at));
        let outstanding = Some((over, self.outstanding)).filter(|it| 0 < it.1 && counts(&it.0));
        unknown.into_iter().chain(settled).chain(outstanding).collect()
    }

    /// Whether units that it holds may still count for a process that `began` then. By a window
    /// later, what had not settled has reached the vendor.
    pub(super) fn matters(&self, began: Moment, now: Moment) -> bool {
        let counts = |at: Moment| now < at.plus(self.window);
        let settled = self.settled.iter().any(|it| counts(Moment::from_nanos(it.at)));
        settled || 0 < self.outstanding && counts(began.plus(self.window))
    }
}
