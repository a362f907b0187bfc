//! By which rules an allowance is shared.

use std::sync::Arc;
use std::time::Duration;

use super::state::ShareRules;
use super::used::Release;
use crate::allowance::settings::{Allowance, Grant, OnLoss, StoreSettings};

/// How long leased units may be used: a window, but no longer than other replicas can do without
/// them if this one is gone, and long enough for a connection to open.
const START_WITHIN_MIN: Duration = Duration::from_secs(1);
const START_WITHIN_MAX: Duration = Duration::from_secs(5);

/// Within this time after its first byte a request is written, where an arrival guard says how long
/// it takes from there.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);

impl ShareRules {
    /// `None` for what is not shared: how many attempts run at the same time.
    pub(in crate::allowance) fn of(allowance: &Allowance, store: &StoreSettings) -> Option<Self> {
        let (release, arrival_guard) = match &allowance.grant {
            Grant::Window { window, arrival_guard, .. } => {
                (Release::After(*window), *arrival_guard)
            }
            Grant::Calendar { calendar, .. } => (Release::AtPeriodEnd(calendar.clone()), None),
            Grant::Bucket { refill, .. } => {
                (Release::Leaking { units: refill.units, over: refill.over }, None)
            }
            Grant::Concurrency { .. } => return None,
        };
        let limit = allowance.units().0;
        let (reserve, reserves_max) = match store.on_loss {
            OnLoss::Reserve { percent, replicas_max } => {
                (u64::from(limit) * u64::from(percent) / 100, replicas_max)
            }
            OnLoss::Stop => (0, 0),
        };
        let arrives_within = arrival_guard
            .map_or(allowance.longest_attempt, |guard| guard.saturating_add(WRITTEN_WITHIN));
        Some(Self {
            name: Arc::clone(&allowance.name),
            counts: format!("{release:?};{}", allowance.calls()).into(),
            limit,
            spread: allowance.spread(),
            reserve: u32::try_from(reserve).unwrap_or(u32::MAX),
            reserves_max,
            start_within: release.length(limit).clamp(START_WITHIN_MIN, START_WITHIN_MAX),
            ends_within: arrives_within.saturating_add(allowance.linger),
            release,
        })
    }
}
