//! The same scope of several accounts, added up into one series.

use std::time::Duration;

use crate::allowance::{ScopeKind, ScopeView};
use crate::outcome::HoldCause;

/// The same scope of several accounts.
#[derive(Debug)]
pub(super) struct Scopes {
    pub(super) limit: Option<u32>,
    pub(super) configured: Option<u32>,
    pub(super) remaining: Option<u32>,
    pub(super) occupied: u64,
    pub(super) waiting: usize,
    pub(super) pace_sixteenths: u8,
    pub(super) next_release: Duration,
    /// The largest, whatever its sign.
    pub(super) drift: Option<i64>,
    /// Accounts that are held, by cause.
    pub(super) holds: [u32; HoldCause::ALL.len()],
    pub(super) hold_remaining: Duration,
    pub(super) hold_failures: u32,
}

impl Default for Scopes {
    fn default() -> Self {
        Self {
            limit: None,
            configured: None,
            remaining: None,
            occupied: 0,
            waiting: 0,
            pace_sixteenths: 16,
            next_release: Duration::ZERO,
            drift: None,
            holds: [0; HoldCause::ALL.len()],
            hold_remaining: Duration::ZERO,
            hold_failures: 0,
        }
    }
}

impl Scopes {
    pub(super) fn add(&mut self, scope: &ScopeView) {
        let (limit, configured) = match scope.kind {
            ScopeKind::Window { limit, configured, .. } => (Some(limit), Some(configured)),
            ScopeKind::Concurrency { limit } => (Some(limit), Some(limit)),
            ScopeKind::Upstream | ScopeKind::Counted => (None, None),
        };
        let remaining = limit.map(|limit| limit.saturating_sub(scope.occupied));
        self.limit = least(self.limit, limit);
        self.configured = least(self.configured, configured);
        self.remaining = least(self.remaining, remaining);
        self.occupied += u64::from(scope.occupied);
        self.waiting += scope.waiting;
        self.pace_sixteenths = self.pace_sixteenths.min(scope.pace_sixteenths);
        self.next_release = self.next_release.max(scope.next_release);
        self.drift = self.drift.into_iter().chain(scope.drift).max_by_key(|it| it.unsigned_abs());
        if let Some(hold) = scope.hold {
            self.holds[hold.cause as usize] += 1;
            self.hold_remaining = self.hold_remaining.max(hold.remaining);
            self.hold_failures = self.hold_failures.max(hold.failed_probes);
        }
    }
}

fn least(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
