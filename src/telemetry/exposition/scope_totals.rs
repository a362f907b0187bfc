//! One scope of several accounts, combined into one time series.

use std::time::Duration;

use crate::allowance::{ScopeKind, ScopeView};
use crate::outcome::HoldCause;

#[derive(Debug)]
pub(super) struct ScopeTotals {
    pub(super) limit: Option<u32>,
    pub(super) configured: Option<u32>,
    pub(super) remaining: Option<u32>,
    pub(super) occupied: u64,
    pub(super) in_flight: u64,
    /// Accounts in which it cannot be recorded.
    pub(super) unrecorded: u32,
    pub(super) waiting: usize,
    pub(super) pace_sixteenths: u8,
    pub(super) next_release: Duration,
    /// The one with the largest absolute value.
    pub(super) drift: Option<i64>,
    /// Accounts with a hold, by cause.
    pub(super) holds: [u32; HoldCause::ALL.len()],
    pub(super) hold_remaining: Duration,
    pub(super) hold_failures: u32,
    /// Accounts in which an operator has paused it.
    pub(super) paused: u32,
    pub(super) lowered: u32,
}

impl Default for ScopeTotals {
    fn default() -> Self {
        Self {
            limit: None,
            configured: None,
            remaining: None,
            occupied: 0,
            in_flight: 0,
            unrecorded: 0,
            waiting: 0,
            pace_sixteenths: 16,
            next_release: Duration::ZERO,
            drift: None,
            holds: [0; HoldCause::ALL.len()],
            hold_remaining: Duration::ZERO,
            hold_failures: 0,
            paused: 0,
            lowered: 0,
        }
    }
}

impl ScopeTotals {
    pub(super) fn add(&mut self, scope: &ScopeView) {
        let (limit, configured) = match scope.kind {
            ScopeKind::Units { limit, configured, .. } => (Some(limit), Some(configured)),
            ScopeKind::Concurrency { limit, configured } => (Some(limit), Some(configured)),
            ScopeKind::Upstream | ScopeKind::Counted => (None, None),
        };
        let remaining = limit.map(|limit| limit.saturating_sub(scope.occupied));
        self.limit = smaller(self.limit, limit);
        self.configured = smaller(self.configured, configured);
        self.remaining = smaller(self.remaining, remaining);
        self.occupied += u64::from(scope.occupied);
        self.in_flight += u64::from(scope.in_flight);
        self.unrecorded += u32::from(scope.record.is_some_and(|record| record.failed));
        self.waiting += scope.waiting;
        self.pace_sixteenths = self.pace_sixteenths.min(scope.pace_sixteenths);
        self.next_release = self.next_release.max(scope.next_release);
        self.drift = self.drift.into_iter().chain(scope.drift).max_by_key(|it| it.unsigned_abs());
        self.paused += u32::from(scope.levers.pause.is_some());
        self.lowered += u32::from(scope.levers.lowered.is_some());
        if let Some(hold) = scope.hold {
            self.holds[hold.cause as usize] += 1;
            self.hold_remaining = self.hold_remaining.max(hold.remaining);
            self.hold_failures = self.hold_failures.max(hold.failed_probes);
        }
    }
}

fn smaller(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
