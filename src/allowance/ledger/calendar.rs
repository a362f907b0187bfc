//! The exact account of an allowance of N units per calendar period.
//!
//! The vendor counts an attempt at some moment between its send and its settlement, on a clock that
//! is up to `CLOCK_GUARD` away from ours. So an attempt counts as a whole in every period that this
//! time touches: at its grant in every period that is open, and in each that begins while it is
//! under way. Of the attempts that touch one period and cost more than N together, the last one
//! granted finds all others counted in it.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::civil::Date;

use crate::allowance::calendar::{Boundary, CLOCK_GUARD, Calendar, WallClock};
use crate::allowance::charge::{Charge, saturated};
use crate::time::Moment;

#[derive(Clone, Debug)]
pub(in crate::allowance) struct CalendarLedger {
    limit: u32,
    calendar: Calendar,
    wall: WallClock,
    in_flight: u64,
    /// The periods to which an attempt sent now may belong: one, or two around a boundary.
    open: VecDeque<OpenPeriod>,
    /// Where the newest open period ends.
    next: Boundary,
}

#[derive(Clone, Copy, Debug)]
struct OpenPeriod {
    /// The date on which the following one begins, which tells periods apart.
    until: Date,
    /// When no vendor's clock is in it any more.
    ends: Moment,
    units: u64,
}

impl CalendarLedger {
    #[must_use]
    pub(in crate::allowance) fn new(limit: u32, calendar: Calendar, wall: WallClock) -> Self {
        let next = calendar.first(wall.moment, wall);
        let mut ledger = Self { limit, calendar, wall, in_flight: 0, open: VecDeque::new(), next };
        ledger.open.push_back(OpenPeriod { until: next.date, ends: next.latest, units: 0 });
        ledger.open_until(wall.moment);
        ledger
    }

    pub(super) const fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) fn length(&self) -> Duration {
        self.calendar.period.length()
    }

    pub(super) fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// Takes over what another ledger of the same allowance counts.
    pub(super) fn inherit(&mut self, from: &Self) {
        (self.wall, self.next) = (from.wall, from.next);
        self.open.clone_from(&from.open);
    }

    pub(super) fn occupy(&mut self, units: u32) {
        self.in_flight += u64::from(units);
        self.open.iter_mut().for_each(|period| period.units += u64::from(units));
    }

    /// The attempt is over at `at`, which may lie ahead: then it also counts in the periods that
    /// begin before.
    pub(super) fn settle(&mut self, at: Moment, charge: Charge) {
        self.open_until(at);
        let (reserved, used) = (u64::from(charge.reserved), u64::from(charge.used));
        self.in_flight = self.in_flight.saturating_sub(reserved);
        // All that is under way counts in every open period.
        for period in &mut self.open {
            period.units = (period.units + used).saturating_sub(reserved);
        }
    }

    /// Counts units that were used until `at`, in the periods to which an attempt of that time may
    /// belong.
    pub(super) fn count_earlier(&mut self, at: Moment, units: u32) {
        self.open_until(at);
        let mut last = self.calendar.first(at, self.wall);
        if last.earliest <= at {
            last = self.calendar.following(last, self.wall);
        }
        let open = self.open.iter_mut().filter(|period| period.until <= last.date);
        open.for_each(|period| period.units += u64::from(units));
    }

    pub(super) fn cancel(&mut self, units: u32) {
        self.in_flight = self.in_flight.saturating_sub(u64::from(units));
        for period in &mut self.open {
            period.units = period.units.saturating_sub(u64::from(units));
        }
    }

    /// Units of attempts under way.
    pub(super) const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Forgets all but what is under way; returns how many units.
    pub(super) fn forget_spent(&mut self) -> u64 {
        let before = self.open.iter().map(|period| period.units).max().unwrap_or(0);
        self.open.iter_mut().for_each(|period| period.units = self.in_flight);
        before.saturating_sub(self.in_flight)
    }

    pub(super) fn free(&mut self, now: Moment) -> u32 {
        self.open_until(now);
        while self.open.len() > 1 && self.open[0].ends <= now {
            self.open.pop_front();
        }
        self.limit.saturating_sub(self.occupied())
    }

    pub(super) fn occupied(&self) -> u32 {
        saturated(self.open.iter().map(|period| period.units).max().unwrap_or(0))
    }

    pub(super) fn free_at(&self, limit: u32, units: u32) -> Moment {
        let Some(most) = limit.checked_sub(units) else { return Moment::NEVER };
        let full = |period: &&OpenPeriod| u64::from(most) < period.units;
        self.open.iter().rev().find(full).map_or(Moment::START, |period| period.ends)
    }

    /// The reset.
    pub(super) fn next_release(&self) -> Moment {
        self.next.latest
    }

    pub(super) fn estimate(&self, limit: u32, start: Moment, position: u32) -> Moment {
        if limit == 0 {
            return Moment::NEVER;
        }
        let newest = self.open.back().filter(|period| start < period.ends);
        let Some((periods, _)) = self.in_later_period(limit, start, position) else {
            // Around a boundary the old period may be the fuller one.
            let (limit, position) = (u64::from(limit), u64::from(position));
            let full = |it: &&OpenPeriod| start < it.ends && limit < it.units + position;
            return self.open.iter().find(full).map_or(start, |period| period.ends);
        };
        let (reset, rounds) = newest.map_or((start, periods), |it| (it.ends, periods - 1));
        reset.plus(self.length().saturating_mul(rounds))
    }

    /// Where the `position`-th new unit from `start` goes if the open periods have no room for it:
    /// how many periods later, and as which unit of that one.
    pub(super) fn in_later_period(
        &self,
        limit: u32,
        start: Moment,
        position: u32,
    ) -> Option<(u32, u32)> {
        let newest = self.open.back().filter(|period| start < period.ends);
        let units = newest.map_or(self.in_flight, |period| period.units);
        let limit = u64::from(limit.max(1));
        let behind = u64::from(position).checked_sub(limit.saturating_sub(units) + 1)?;
        Some((saturated(behind / limit + 1), saturated(behind % limit + 1)))
    }

    /// The wall clock was set. What the present period counts is kept; after a step of more than
    /// the guard, a period that was not open before starts with it too, because the vendor's clock
    /// has not moved.
    pub(super) fn set_wall_clock(&mut self, wall: WallClock) {
        let step = self.wall.difference(wall);
        let carried = if step <= CLOCK_GUARD { self.in_flight } else { u64::from(self.occupied()) };
        let known = std::mem::take(&mut self.open);
        *self = Self {
            in_flight: self.in_flight,
            ..Self::new(self.limit, self.calendar.clone(), wall)
        };
        for period in &mut self.open {
            let same = known.iter().find(|known| known.until == period.until);
            period.units = same.map_or(carried, |known| known.units);
        }
    }

    /// Opens the periods that begin until `at`; what is under way counts in them too.
    fn open_until(&mut self, at: Moment) {
        while self.next.earliest <= at {
            let next = self.calendar.following(self.next, self.wall);
            if next == self.next {
                return;
            }
            self.next = next;
            let units = self.in_flight;
            self.open.push_back(OpenPeriod { until: next.date, ends: next.latest, units });
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::allowance::calendar::Period;

    const HOUR: Duration = Duration::from_secs(3_600);

    const fn at(second: u64) -> Moment {
        Moment::from_millis(second * 1_000)
    }

    /// A day that ends one hour after the start.
    fn ledger(limit: u32) -> CalendarLedger {
        let calendar = Calendar { period: Period::Day, at: time(1, 0, 0, 0), zone: TimeZone::UTC };
        CalendarLedger::new(limit, calendar, wall(at(0), "2026-11-30T00:00:00Z"))
    }

    fn wall(moment: Moment, shows: &str) -> WallClock {
        WallClock { moment, shows: shows.parse().unwrap() }
    }

    fn spend(ledger: &mut CalendarLedger, units: u32, now: Moment) {
        ledger.free(now);
        ledger.occupy(units);
        ledger.settle(now, Charge::exactly(units));
    }

    #[test]
    fn what_was_used_is_free_once_no_clock_is_in_the_period() {
        let mut ledger = ledger(10);
        spend(&mut ledger, 10, at(60));
        assert_eq!((ledger.free(at(60)), ledger.free_at(10, 1)), (0, at(3_602)));
        let free = [3_597, 3_598, 3_601, 3_602].map(|second| ledger.free(at(second)));
        assert_eq!(free, [0, 0, 0, 10]);
    }

    #[test]
    fn an_attempt_under_way_at_the_boundary_counts_in_both_periods() {
        let mut ledger = ledger(10);
        ledger.free(at(3_000));
        ledger.occupy(4);
        spend(&mut ledger, 5, at(3_100));
        assert_eq!((ledger.free(at(3_590)), ledger.free(at(3_605))), (1, 6));
        ledger.settle(at(3_610), Charge { reserved: 4, used: 3 });
        assert_eq!(ledger.free(at(3_610)), 7);
        ledger.occupy(1);
        ledger.cancel(1);
        assert_eq!(ledger.free(at(90_010)), 10);
    }

    #[test]
    fn within_the_guard_an_attempt_counts_in_both_periods() {
        let mut ledger = ledger(10);
        spend(&mut ledger, 3, at(3_597));
        spend(&mut ledger, 2, at(3_599));
        assert_eq!((ledger.free(at(3_599)), ledger.free(at(3_602))), (5, 8));
    }

    #[test]
    fn a_given_up_attempt_counts_in_the_period_in_which_it_may_still_arrive() {
        let mut ledger = ledger(10);
        ledger.free(at(3_000));
        ledger.occupy(4);
        ledger.settle(at(3_600), Charge::exactly(4));
        assert_eq!((ledger.free(at(3_000)), ledger.free(at(3_700))), (6, 6));
    }

    #[test]
    fn estimates_go_from_period_to_period() {
        let mut ledger = ledger(10);
        spend(&mut ledger, 8, at(0));
        let start = |position| ledger.estimate(10, at(60), position);
        let next = at(3_602);
        assert_eq!([start(2), start(3), start(12)], [at(60), next, next]);
        assert_eq!(start(13), next.plus(24 * HOUR));
        assert_eq!(ledger.estimate(10, at(4_000), 10), at(4_000));
        assert_eq!(ledger.estimate(10, at(4_000), 11), at(4_000).plus(24 * HOUR));
    }

    #[test]
    fn what_was_used_earlier_counts_in_the_period_in_which_it_was_used() {
        let mut ledger = ledger(10);
        ledger.free(at(4_000));
        ledger.count_earlier(at(3_000), 4);
        assert_eq!(ledger.free(at(4_000)), 10, "in the period before");
        ledger.count_earlier(at(3_599), 3);
        ledger.count_earlier(at(3_700), 2);
        assert_eq!(ledger.free(at(4_000)), 5, "around the boundary it may be either");
        let tomorrow = 25 * 3_600;
        ledger.count_earlier(at(tomorrow), 1);
        assert_eq!((ledger.free(at(4_000)), ledger.free(at(tomorrow + 10))), (4, 9));
    }

    #[test]
    fn a_step_of_the_wall_clock_frees_nothing() {
        let mut ledger = ledger(10);
        spend(&mut ledger, 8, at(0));
        ledger.set_wall_clock(wall(at(10), "2026-11-30T00:00:11Z"));
        assert_eq!((ledger.free(at(10)), ledger.free_at(10, 3)), (2, at(3_601)));
        ledger.set_wall_clock(wall(at(20), "2026-11-30T05:00:00Z"));
        assert_eq!(ledger.free(at(20)), 2, "a day later by our clock, not by the vendor's");
        assert_eq!(ledger.free_at(10, 3), at(20 + 20 * 3_600 + 2));
        ledger.set_wall_clock(wall(at(30), "2026-11-30T00:00:30Z"));
        assert_eq!((ledger.free(at(30)), ledger.free_at(10, 3)), (2, at(3_602)));
    }
}
