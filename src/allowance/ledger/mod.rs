//! The exact account of what a vendor grants, one kind a file: what is occupied, and until when.
//!
//! All kinds are exact by the same argument: an attempt counts as a whole from its send to its
//! settlement, and only then begins to age. `tests/oracle` holds all of them against one
//! brute-force vendor.

mod bucket;
mod calendar;
mod rolling;

use std::time::Duration;

use super::calendar::{Calendar, WallClock};
use super::charge::{Charge, saturated};
use super::pace::Rate;
use super::settings::Refill;
use super::view::LedgerKind;
use crate::time::Moment;

use bucket::BucketLedger;
use calendar::CalendarLedger;
use rolling::RollingLedger;

/// A period may be longer by this than its calendar says, where clocks are changed.
const CLOCK_CHANGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Clone, Debug)]
pub(super) enum Ledger {
    Rolling(RollingLedger),
    Calendar(Box<CalendarLedger>),
    Bucket(BucketLedger),
}

/// Calls a method of whatever ledger it is.
macro_rules! each {
    ($ledger:expr, $of:ident => $call:expr) => {
        match $ledger {
            Self::Rolling($of) => $call,
            Self::Calendar($of) => $call,
            Self::Bucket($of) => $call,
        }
    };
}

impl Ledger {
    pub(super) fn rolling(limit: u32, window: Duration) -> Self {
        Self::Rolling(RollingLedger::new(limit, window))
    }

    pub(super) fn calendar(limit: u32, calendar: Calendar, wall: WallClock) -> Self {
        Self::Calendar(Box::new(CalendarLedger::new(limit, calendar, wall)))
    }

    pub(super) fn bucket(limit: u32, refill: Refill) -> Self {
        Self::Bucket(BucketLedger::new(limit, refill))
    }

    pub(super) const fn kind(&self) -> LedgerKind {
        match self {
            Self::Rolling(_) => LedgerKind::Window,
            Self::Calendar(_) => LedgerKind::Calendar,
            Self::Bucket(_) => LedgerKind::Bucket,
        }
    }

    /// The rate at which units are granted on average.
    pub(super) fn rate(&self, burst: u32) -> Rate {
        let burst = burst.min(self.limit());
        match self {
            Self::Rolling(_) | Self::Calendar(_) => {
                Rate { slots: self.limit(), over: self.length(), burst }
            }
            Self::Bucket(ledger) => Rate { burst, ..ledger.rate() },
        }
    }

    pub(super) fn limit(&self) -> u32 {
        each!(self, ledger => ledger.limit())
    }

    /// How long a unit is occupied at most, from its settlement on: the window or the longest
    /// period; for a bucket, the time in which a full one leaks.
    pub(super) fn length(&self) -> Duration {
        match self {
            Self::Rolling(ledger) => ledger.window(),
            Self::Calendar(ledger) => ledger.length(),
            Self::Bucket(ledger) => ledger.length(),
        }
    }

    /// How long so many units are occupied that were used now.
    pub(super) fn released_in(&self, units: u32) -> Duration {
        match self {
            Self::Rolling(_) | Self::Calendar(_) => self.length(),
            Self::Bucket(ledger) => ledger.leaks_in(units),
        }
    }

    /// Changes the limit from the next grant on; occupied units stay occupied.
    pub(super) fn set_limit(&mut self, limit: u32) {
        each!(self, ledger => ledger.set_limit(limit.max(1)));
    }

    /// The configured limit has changed, or what the vendor grants, of which it is a part.
    pub(super) fn resize(&mut self, limit: u32, granted: u32, now: Moment) {
        match self {
            Self::Bucket(ledger) => ledger.resize(limit, granted, now),
            Self::Rolling(_) | Self::Calendar(_) => {}
        }
    }

    /// How far back attempts matter to a vendor that grants so many.
    pub(super) fn reach(&self, granted: u32) -> Duration {
        match self {
            Self::Rolling(_) => self.length(),
            Self::Calendar(_) => self.length().saturating_add(CLOCK_CHANGE_MAX),
            Self::Bucket(ledger) => ledger.reach(granted),
        }
    }

    /// Counts units that were used until `at` and did not go through this ledger.
    pub(super) fn count_earlier(&mut self, at: Moment, units: u32) {
        match self {
            Self::Calendar(ledger) => ledger.count_earlier(at, units),
            Self::Rolling(_) | Self::Bucket(_) => {
                self.occupy(units);
                self.settle(at, Charge::exactly(units));
            }
        }
    }

    /// What was used before fills the bucket of a vendor that grants so many, at most.
    pub(super) fn bound_earlier(&mut self, now: Moment, granted: u32) {
        match self {
            Self::Bucket(ledger) => ledger.bound_earlier(now, granted),
            Self::Rolling(_) | Self::Calendar(_) => {}
        }
    }

    /// An attempt ended at `at` that did not go through this ledger, and of which only is known
    /// that there was one, for which `reserved` was occupied.
    pub(super) fn end_unknown(&mut self, at: Moment, reserved: u32, granted: u32, now: Moment) {
        match self {
            Self::Bucket(ledger) => {
                ledger.cancel(reserved);
                ledger.fill(at, granted, now);
            }
            Self::Rolling(_) | Self::Calendar(_) => self.settle(at, Charge::exactly(reserved)),
        }
    }

    /// Takes over what another ledger of the same allowance has settled. This one must not have
    /// been used.
    pub(super) fn inherit(&mut self, from: &Self) {
        match (self, from) {
            (Self::Rolling(own), Self::Rolling(from)) => own.inherit(from),
            (Self::Calendar(own), Self::Calendar(from)) => own.inherit(from),
            (Self::Bucket(own), Self::Bucket(from)) => own.inherit(from),
            (Self::Rolling(_) | Self::Calendar(_) | Self::Bucket(_), _) => {
                debug_assert!(false, "the same allowance has the same kind of ledger");
            }
        }
    }

    /// Occupies units. An allowance that only observes may occupy more than its limit.
    pub(super) fn occupy(&mut self, units: u32) {
        each!(self, ledger => ledger.occupy(units));
    }

    /// The attempt is over at `at`, which lies ahead if it was given up (linger). From then on what
    /// it used begins to age; that may be more or less than what was reserved for it.
    pub(super) fn settle(&mut self, at: Moment, charge: Charge) {
        each!(self, ledger => ledger.settle(at, charge));
    }

    /// No byte of the attempt can have arrived: its units are free at once.
    pub(super) fn cancel(&mut self, units: u32) {
        each!(self, ledger => ledger.cancel(units));
    }

    /// Forgets what is settled; returns how many units.
    pub(super) fn forget_spent(&mut self) -> u64 {
        each!(self, ledger => ledger.forget_spent())
    }

    /// Units free at `now`.
    pub(super) fn free(&mut self, now: Moment) -> u32 {
        each!(self, ledger => ledger.free(now))
    }

    /// Units occupied when `free` was last asked.
    pub(super) fn occupied(&self) -> u32 {
        each!(self, ledger => ledger.occupied())
    }

    /// Units of attempts under way.
    pub(super) fn in_flight(&self) -> u32 {
        each!(self, ledger => saturated(ledger.in_flight()))
    }

    /// When `units` may be free if the limit is `limit`; `NEVER` if an attempt has to end first.
    pub(super) fn free_at(&self, limit: u32, units: u32) -> Moment {
        each!(self, ledger => ledger.free_at(limit, units))
    }

    /// When the next settled unit is released.
    pub(super) fn next_release(&self) -> Option<Moment> {
        match self {
            Self::Rolling(ledger) => ledger.next_release(),
            Self::Calendar(ledger) => Some(ledger.next_release()),
            Self::Bucket(ledger) => ledger.next_release(),
        }
    }

    /// When the `position`-th new unit from `start` would be granted if the limit were `limit`;
    /// `position` is counted from 1. `start` may lie ahead, because asking releases nothing.
    pub(super) fn estimate(&self, limit: u32, start: Moment, position: u32) -> Moment {
        each!(self, ledger => ledger.estimate(limit, start, position))
    }

    /// Which unit of a later period the `position`-th new unit from `start` is, if the vendor
    /// counts periods and the present one has no room for it.
    pub(super) fn unit_of_later_period(&self, start: Moment, position: u32) -> Option<u32> {
        match self {
            Self::Calendar(ledger) => {
                ledger.in_later_period(ledger.limit(), start, position).map(|(_, unit)| unit)
            }
            Self::Rolling(_) | Self::Bucket(_) => None,
        }
    }

    /// The wall clock was set.
    pub(super) fn set_wall_clock(&mut self, wall: WallClock) {
        match self {
            Self::Calendar(ledger) => ledger.set_wall_clock(wall),
            Self::Rolling(_) | Self::Bucket(_) => {}
        }
    }
}
