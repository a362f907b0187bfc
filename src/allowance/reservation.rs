//! How the units of an allowance are secured before they are granted: on record, so that a restart
//! grants none twice, or by a lease from the store that replicas share.

use super::charge::Charge;
use super::lease::Lease;
use super::shared::lease::SharedLease;
use super::view::RecordView;
use crate::time::Moment;

#[derive(Debug)]
pub(super) enum Reservation {
    Recorded(Box<Lease>),
    Shared(Box<SharedLease>),
}

impl Reservation {
    /// Whether so many units are secured; if not, when they are, or `NEVER` if that takes an event.
    pub(super) fn check(&mut self, units: u32, now: Moment) -> Result<(), Moment> {
        match self {
            Self::Recorded(lease) => {
                let covers = lease.covers(units);
                if covers { Ok(()) } else { Err(Moment::NEVER) }
            }
            Self::Shared(lease) => lease.check(units, now),
        }
    }

    /// Takes units for a grant. Returns by when its attempt has to start.
    pub(super) fn occupy(&mut self, grant: u64, units: u32, now: Moment) -> Moment {
        match self {
            Self::Recorded(lease) => {
                lease.occupy(units);
                Moment::NEVER
            }
            Self::Shared(lease) => lease.occupy(grant, units, now),
        }
    }

    pub(super) fn settle(&mut self, grant: u64, at: Moment, charge: Charge) {
        match self {
            Self::Recorded(lease) => lease.settle(at, charge),
            Self::Shared(lease) => lease.settle(grant, at, charge),
        }
    }

    pub(super) fn cancel(&mut self, grant: u64, units: u32) {
        match self {
            Self::Recorded(lease) => lease.cancel(units),
            Self::Shared(lease) => lease.cancel(grant, units),
        }
    }

    /// Counts units that were used until `at` and were never secured.
    pub(super) fn count_earlier(&mut self, at: Moment, units: u32) {
        match self {
            Self::Recorded(lease) => lease.count_earlier(at, units),
            Self::Shared(lease) => lease.count_earlier(at, units),
        }
    }

    /// Whether so many units behind others cannot be secured for now.
    pub(super) fn has_failed(&self, ahead: u32, units: u32) -> bool {
        match self {
            Self::Recorded(lease) => lease.has_failed(ahead, units),
            Self::Shared(lease) => lease.has_failed(ahead, units),
        }
    }

    /// What is settled counts as unused.
    pub(super) fn forget_spent(&mut self) {
        match self {
            Self::Recorded(lease) => lease.forget_spent(),
            Self::Shared(lease) => lease.forget_spent(),
        }
    }

    pub(super) fn view(&self) -> RecordView {
        match self {
            Self::Recorded(lease) => lease.view(),
            Self::Shared(lease) => lease.view(),
        }
    }

    /// When so many units are secured, from `start` on.
    pub(super) fn estimate(&self, start: Moment, units: u32) -> Moment {
        match self {
            Self::Recorded(_) => start,
            Self::Shared(lease) => lease.estimate(start, units),
        }
    }
}
