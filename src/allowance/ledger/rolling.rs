//! The exact account of an allowance of N units per window: how many are occupied, and until when.
//! An attempt occupies as many units as it costs, most of them one.
//!
//! A unit is occupied from before the first byte of its attempt until one window after the attempt
//! settled. Of any attempts that cost more than N together, the one that is sent last finds the
//! units of all others occupied, at whatever moment between request and response the vendor counted
//! them. So no window of the vendor's contains more than N units, and no clocks have to agree. The
//! tests check it with random schedules against a vendor that counts late.
//!
//! All arithmetic is in whole nanoseconds and rounds towards a later release.

use std::collections::VecDeque;
use std::time::Duration;

use crate::allowance::charge::{Charge, saturated};
use crate::time::{Moment, nanos};

/// Up to this limit each unit is released exactly in time; above it units are grouped into grains
/// of the window, which bounds memory and the cost of a settle.
const EXACT_LIMIT_MAX: u32 = 1_024;

/// The number of grains in a window: a unit is released at most 1/256 of the window late.
const GRAINS: u64 = 256;

#[derive(Clone, Debug)]
pub(in crate::allowance) struct RollingLedger {
    limit: u32,
    window: u64,
    /// Settle times are rounded up to multiples of this; 1 keeps them exact.
    grain: u64,
    in_flight: u64,
    /// Settled units by their rounded settle time, ascending. There are at most as many entries as
    /// units, or as grains in a window and the longest linger.
    settled: VecDeque<Settled>,
    settled_units: u64,
}

#[derive(Clone, Copy, Debug)]
struct Settled {
    at: u64,
    units: u64,
}

impl RollingLedger {
    #[must_use]
    pub(in crate::allowance) fn new(limit: u32, window: Duration) -> Self {
        let window = nanos(window).max(1);
        let grain = if limit <= EXACT_LIMIT_MAX { 1 } else { window.div_ceil(GRAINS) };
        let settled = VecDeque::new();
        Self { limit, window, grain, in_flight: 0, settled, settled_units: 0 }
    }

    #[must_use]
    pub(super) const fn limit(&self) -> u32 {
        self.limit
    }

    #[must_use]
    pub(super) const fn window(&self) -> Duration {
        Duration::from_nanos(self.window)
    }

    /// Changes the limit from the next grant on; occupied units stay occupied.
    pub(super) fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
        if self.grain == 1 && EXACT_LIMIT_MAX < limit {
            self.grain = self.window.div_ceil(GRAINS);
            let settled = std::mem::take(&mut self.settled);
            settled.iter().for_each(|it| self.insert(it.at, it.units));
        }
    }

    /// Takes over the settled units of another ledger of the same allowance. This one must not
    /// have been used.
    pub(super) fn inherit(&mut self, from: &Self) {
        debug_assert_eq!((self.window, self.occupied()), (from.window, 0));
        self.grain = from.grain;
        self.settled.clone_from(&from.settled);
        self.settled_units = from.settled_units;
    }

    /// Occupies units. An allowance that only observes may occupy more than its limit.
    pub(super) fn occupy(&mut self, units: u32) {
        self.in_flight += u64::from(units);
    }

    /// The attempt is over at `at`, which lies ahead if it was given up (linger). What it used is
    /// released one window later; that may be more or less than what was reserved for it.
    pub(super) fn settle(&mut self, at: Moment, charge: Charge) {
        self.in_flight = self.in_flight.saturating_sub(u64::from(charge.reserved));
        let units = u64::from(charge.used);
        if units == 0 {
            return;
        }
        self.settled_units += units;
        let at = at.as_nanos();
        match self.settled.back_mut() {
            // Most attempts settle in the same grain as the one before, which takes no division.
            Some(last) if at <= last.at && last.at - at < self.grain => last.units += units,
            _ => self.insert(at, units),
        }
    }

    /// Adds units that settled at `at`.
    fn insert(&mut self, at: u64, units: u64) {
        let at = at.div_ceil(self.grain).saturating_mul(self.grain);
        let place = self.settled.partition_point(|settled| settled.at < at);
        match self.settled.get_mut(place) {
            Some(settled) if settled.at == at => settled.units += units,
            _ => self.settled.insert(place, Settled { at, units }),
        }
    }

    /// No byte of the attempt can have arrived: its units are free at once.
    pub(super) fn cancel(&mut self, units: u32) {
        self.in_flight = self.in_flight.saturating_sub(u64::from(units));
    }

    /// Units of attempts under way.
    pub(super) const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Forgets what is settled; returns how many units.
    pub(super) fn forget_spent(&mut self) -> u64 {
        self.settled.clear();
        std::mem::take(&mut self.settled_units)
    }

    /// Units free at `now`.
    pub(super) fn free(&mut self, now: Moment) -> u32 {
        while let Some(first) = self.settled.front()
            && first.at.saturating_add(self.window) <= now.as_nanos()
        {
            self.settled_units -= first.units;
            self.settled.pop_front();
        }
        self.limit.saturating_sub(self.occupied())
    }

    /// Units occupied when `free` was last asked.
    #[must_use]
    pub(super) fn occupied(&self) -> u32 {
        saturated(self.in_flight + self.settled_units)
    }

    /// When `units` will be free if the limit is `limit`; `NEVER` if an attempt has to end first.
    #[must_use]
    pub(super) fn free_at(&self, limit: u32, units: u32) -> Moment {
        let Some(most) = limit.checked_sub(units) else { return Moment::NEVER };
        // Several have to be released, also because the limit was lowered or only observes.
        let occupied = self.in_flight + self.settled_units;
        match occupied.checked_sub(u64::from(most) + 1) {
            Some(before) => self.release_after(before).unwrap_or(Moment::NEVER),
            None => Moment::START,
        }
    }

    /// When the next settled unit is released.
    #[must_use]
    pub(super) fn next_release(&self) -> Option<Moment> {
        self.release_after(0)
    }

    /// When the `position`-th new unit from `start` would be granted if the limit were `limit`;
    /// `position` is counted from 1. `start` may lie ahead, because asking releases nothing.
    ///
    /// Exact if attempts under way settle at once, else optimistic by their latency.
    #[must_use]
    pub(super) fn estimate(&self, limit: u32, start: Moment, position: u32) -> Moment {
        if limit == 0 {
            return Moment::NEVER;
        }
        let over = |settled: &&Settled| settled.at.saturating_add(self.window) <= start.as_nanos();
        let released: u64 = self.settled.iter().take_while(over).map(|it| it.units).sum();
        let (limit, position) = (u64::from(limit), u64::from(position));
        let occupied = self.in_flight + self.settled_units - released;
        let free = limit.saturating_sub(occupied);
        let surplus = occupied.saturating_sub(limit);
        let Some(behind) = position.checked_sub(free + 1) else { return start };
        let rounds = behind / limit;
        let before = released + surplus + behind % limit;
        let base = self.release_after(before);
        let base = base.unwrap_or(start.plus(self.window())).max(start);
        base.plus(Duration::from_nanos(self.window.saturating_mul(rounds)))
    }

    /// When the unit is released before which `skip` others are.
    fn release_after(&self, mut skip: u64) -> Option<Moment> {
        for settled in &self.settled {
            if skip < settled.units {
                return Some(Moment::from_nanos(settled.at.saturating_add(self.window)));
            }
            skip -= settled.units;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Takes a slot at `now`; if none is free, returns when the next one is.
    fn grant(ledger: &mut RollingLedger, now: Moment) -> Result<(), Moment> {
        if ledger.free(now) == 0 {
            return Err(ledger.free_at(ledger.limit(), 1));
        }
        ledger.occupy(1);
        Ok(())
    }

    const fn at(nanos: u64) -> Moment {
        Moment::from_nanos(nanos)
    }

    const fn span(nanos: u64) -> Duration {
        Duration::from_nanos(nanos)
    }

    #[test]
    fn a_slot_is_released_one_window_after_it_settled_and_not_a_nanosecond_before() {
        let mut ledger = RollingLedger::new(1, span(100));
        assert_eq!(grant(&mut ledger, at(0)), Ok(()));
        assert_eq!(grant(&mut ledger, at(1)), Err(Moment::NEVER));
        ledger.settle(at(30), Charge::ONE);
        assert_eq!(grant(&mut ledger, at(129)), Err(at(130)));
        assert_eq!(grant(&mut ledger, at(130)), Ok(()));
    }

    #[test]
    fn a_cancelled_attempt_costs_no_slot() {
        let mut ledger = RollingLedger::new(1, span(100));
        assert_eq!(grant(&mut ledger, at(0)), Ok(()));
        ledger.cancel(1);
        assert_eq!(grant(&mut ledger, at(0)), Ok(()));
    }

    #[test]
    fn slots_that_settle_later_than_others_are_released_in_order() {
        let mut ledger = RollingLedger::new(2, span(100));
        grant(&mut ledger, at(0)).unwrap();
        grant(&mut ledger, at(0)).unwrap();
        ledger.settle(at(50), Charge::ONE);
        ledger.settle(at(10), Charge::ONE);
        assert_eq!(grant(&mut ledger, at(109)), Err(at(110)));
        assert_eq!(grant(&mut ledger, at(110)), Ok(()));
        assert_eq!(grant(&mut ledger, at(111)), Err(at(150)));
    }

    #[test]
    fn a_lowered_limit_applies_from_the_next_slot_on() {
        let mut ledger = RollingLedger::new(3, span(100));
        for _ in 0..3 {
            grant(&mut ledger, at(0)).unwrap();
            ledger.settle(at(0), Charge::ONE);
        }
        ledger.set_limit(1);
        assert_eq!(ledger.limit(), 1);
        assert_eq!(grant(&mut ledger, at(99)), Err(at(100)));
        assert_eq!(grant(&mut ledger, at(100)), Ok(()));
        assert_eq!(grant(&mut ledger, at(100)), Err(Moment::NEVER));
        ledger.set_limit(2);
        assert_eq!(grant(&mut ledger, at(100)), Ok(()));
    }

    #[test]
    fn estimates_follow_the_releases_window_after_window() {
        let mut ledger = RollingLedger::new(2, span(100));
        for settled in [10, 40] {
            grant(&mut ledger, at(0)).unwrap();
            ledger.settle(at(settled), Charge::ONE);
        }
        let estimate = |start, position| ledger.estimate(2, at(start), position).as_nanos();
        assert_eq!([1, 2, 3, 4].map(|position| estimate(50, position)), [110, 140, 210, 240]);
        assert_eq!([1, 2, 3].map(|position| estimate(115, position)), [115, 140, 215]);
        assert_eq!(
            [1, 2].map(|position| ledger.estimate(1, at(50), position).as_nanos()),
            [140, 240]
        );
        assert_eq!(ledger.estimate(0, at(50), 1), Moment::NEVER);
    }

    #[test]
    fn an_attempt_occupies_as_many_units_as_it_costs_and_settles_as_many_as_it_used() {
        let mut ledger = RollingLedger::new(10, span(100));
        ledger.occupy(7);
        assert_eq!((ledger.free(at(0)), ledger.free_at(10, 4)), (3, Moment::NEVER));
        ledger.settle(at(0), Charge { reserved: 7, used: 2 });
        assert_eq!(ledger.free(at(0)), 8);
        ledger.occupy(8);
        ledger.settle(at(10), Charge { reserved: 8, used: 12 });
        assert_eq!((ledger.free(at(10)), ledger.occupied()), (0, 14), "in debt by four");
        assert_eq!((ledger.free_at(10, 1), ledger.free_at(10, 0)), (at(110), at(110)));
        assert_eq!((ledger.free(at(109)), ledger.free(at(110))), (0, 10));
        assert_eq!(ledger.free_at(10, 11), Moment::NEVER, "more than the whole limit");
    }

    #[test]
    fn no_sum_of_units_overflows() {
        let mut ledger = RollingLedger::new(10, span(100));
        for settled in 0..3 {
            ledger.occupy(u32::MAX);
            ledger.settle(at(settled), Charge::exactly(u32::MAX));
        }
        assert_eq!([99, 100, 101, 102].map(|now| ledger.free(at(now))), [0, 0, 0, 10]);
    }

    #[test]
    fn an_estimate_for_a_later_start_releases_nothing() {
        let mut ledger = RollingLedger::new(1, span(100));
        grant(&mut ledger, at(0)).unwrap();
        ledger.settle(at(0), Charge::ONE);
        assert_eq!(ledger.estimate(1, at(500), 1), at(500));
        assert_eq!(grant(&mut ledger, at(99)), Err(at(100)));
    }

    #[test]
    fn a_ledger_inherits_every_settled_unit() {
        let mut spent = RollingLedger::new(3, span(100));
        (0..3).for_each(|_| spent.occupy(1));
        spent.settle(at(10), Charge::ONE);
        spent.settle(at(20), Charge::ONE);
        let mut inheriting = RollingLedger::new(3, span(100));
        inheriting.inherit(&spent);
        assert_eq!(
            (inheriting.free(at(109)), inheriting.free(at(110)), inheriting.free(at(120))),
            (1, 2, 3)
        );
    }

    fn worst_window(arrivals: &mut [u64], window: u64) -> usize {
        arrivals.sort_unstable();
        let within = |(n, first): (usize, &u64)| {
            arrivals[n..].iter().take_while(|other| **other < first + window).count()
        };
        arrivals.iter().enumerate().map(within).max().unwrap_or(0)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// At whatever moment between request and response the vendor counts, exact or in grains.
        #[test]
        fn no_window_ever_contains_more_than_the_limit(
            limit in prop_oneof![1_u32..6, Just(1_030_u32)],
            window in 1_u64..2_000,
            calls in prop::collection::vec((0_u64..60, 0_u64..400, 0_u64..=100), 1..300),
        ) {
            let mut ledger = RollingLedger::new(limit, span(window));
            let (mut now, mut open, mut arrivals) = (0, Vec::<u64>::new(), Vec::new());
            for (gap, latency, share) in calls {
                now += gap;
                open.retain(|answer| {
                    let over = *answer <= now;
                    if over { ledger.settle(at(*answer), Charge::ONE); }
                    !over
                });
                let crowd = if limit > 1_000 { 40 } else { 1 };
                for _ in 0..crowd {
                    if grant(&mut ledger, at(now)).is_ok() {
                        open.push(now + latency);
                        arrivals.push(now + latency * share / 100);
                    }
                }
            }
            prop_assert!(worst_window(&mut arrivals, window) <= limit as usize);
        }

        #[test]
        fn a_slot_is_released_at_most_one_grain_late(
            limit in prop_oneof![Just(1_u32), Just(2_000)],
            window in 256_u64..1_000_000,
            settled in 0_u64..1_000_000,
        ) {
            let mut ledger = RollingLedger::new(limit, span(window));
            grant(&mut ledger, at(settled)).unwrap();
            ledger.settle(at(settled), Charge::ONE);
            let grain = if limit == 1 { 0 } else { window.div_ceil(256) };
            prop_assert_eq!(ledger.free(at(settled + window + grain)), limit);
            prop_assert_eq!(ledger.clone().free(at(settled + window + grain)), limit);
        }
    }
}
