//! How the units of an allowance are secured before they are granted: on record or by a lease.

use std::sync::Arc;

use super::UnitLimit;
use crate::allowance::lease::Lease;
use crate::allowance::reservation::Reservation;
use crate::allowance::settings::Spread;
use crate::allowance::shared::lease::SharedLease;
use crate::allowance::shared::state::ShareRules;
use crate::allowance::view::{LedgerKind, RecordView};
use crate::outcome::FULL_PACE;
use crate::time::Moment;

impl UnitLimit {
    /// Records it from now on. What was used before `since` is not on record.
    pub(in crate::allowance) fn start_lease(&mut self, calls: Arc<str>, since: Moment) {
        // A bucket in debt takes longer to leak than a full one.
        let reaches = if self.kind() == LedgerKind::Bucket { 2 } else { 1 };
        let window = self.reach().saturating_mul(reaches);
        let lease = Lease::new(self.configured, window, calls, since);
        self.reservation = Some(Reservation::Recorded(Box::new(lease)));
    }

    pub(in crate::allowance) fn end_lease(&mut self) {
        self.reservation = None;
    }

    pub(in crate::allowance) fn lease_mut(&mut self) -> Option<&mut Lease> {
        match &mut self.reservation {
            Some(Reservation::Recorded(lease)) => Some(lease),
            Some(Reservation::Shared(_)) | None => None,
        }
    }

    /// Whether so many units cannot be recorded or leased for now.
    pub(in crate::allowance) fn cannot_be_secured(&self, units: u32) -> bool {
        self.reservation.as_ref().is_some_and(|reservation| reservation.has_failed(0, units))
    }

    /// Shares it by these rules from now on, which also say how its units are spread.
    pub(in crate::allowance) fn share(&mut self, rules: Arc<ShareRules>) {
        match &mut self.reservation {
            Some(Reservation::Shared(lease)) => lease.set_rules(rules),
            Some(Reservation::Recorded(_)) | None => {
                let lease = SharedLease::new(rules);
                self.reservation = Some(Reservation::Shared(Box::new(lease)));
            }
        }
        self.spread = Spread::None;
        if self.sixteenths == FULL_PACE {
            self.pace = None;
        }
    }

    pub(in crate::allowance) fn shared_mut(&mut self) -> Option<&mut SharedLease> {
        match &mut self.reservation {
            Some(Reservation::Shared(lease)) => Some(lease),
            Some(Reservation::Recorded(_)) | None => None,
        }
    }

    /// How it is recorded or shared, if it is.
    pub(in crate::allowance) fn record(&self) -> Option<RecordView> {
        self.reservation.as_ref().map(Reservation::view)
    }
}
