//! The exact account of a leaky or token bucket: what is poured in leaks out at a constant rate.
//!
//! An attempt under way counts as a whole, and is poured in when it settles. The vendor poured it
//! in earlier, so its bucket is never fuller than ours and what is under way. The level is a whole
//! number of unit-nanoseconds, so that nothing is ever rounded: one unit is as many as the time in
//! which `refill.units` leak.

use std::collections::VecDeque;
use std::time::Duration;

use crate::allowance::charge::{Charge, saturated};
use crate::allowance::pace::Rate;
use crate::allowance::settings::Refill;
use crate::time::{Moment, nanos};

/// Up to this many settled attempts are poured in exactly in time; beyond that, times are rounded
/// up to `1/STEPS` of how far they lie ahead.
const EXACT_MAX: usize = 1_024;
const STEPS: u64 = 64;

#[derive(Clone, Debug)]
pub(in crate::allowance) struct BucketLedger {
    /// The limit as configured.
    size: u32,
    limit: u32,
    /// How much leaks in a nanosecond.
    leak: u128,
    refill: Refill,
    /// How much one unit is.
    unit: u128,
    in_flight: u64,
    level: u128,
    /// The moment at which the bucket was this full.
    since: Moment,
    /// Settled units that are not yet poured in, by the moment of their settlement, ascending: it
    /// lies ahead where an attempt was given up.
    settled: VecDeque<(u64, u64)>,
    settled_units: u64,
    /// Until when what did not go through it was last poured in, and the vendor's size that bounded
    /// it.
    filled: Option<(Moment, u32)>,
    /// Units that attempts of its own used since: they come on top of what filled it.
    own_units: u64,
}

impl BucketLedger {
    #[must_use]
    pub(in crate::allowance) fn new(limit: u32, refill: Refill) -> Self {
        Self {
            size: limit,
            limit,
            leak: u128::from(refill.units.max(1)),
            refill,
            unit: u128::from(nanos(refill.over).max(1)),
            in_flight: 0,
            level: 0,
            since: Moment::START,
            settled: VecDeque::new(),
            settled_units: 0,
            filled: None,
            own_units: 0,
        }
    }

    pub(super) const fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// The configured limit has changed, and `granted` of the vendor's, of which it is a part. A
    /// bucket that was full by a smaller size of the vendor's is full again.
    pub(super) fn resize(&mut self, limit: u32, granted: u32, now: Moment) {
        self.size = limit;
        if let Some((at, before)) = self.filled
            && before < granted
            && now < at.plus(self.leaks_in(granted))
        {
            self.free(now);
            let more = granted - before;
            match self.settled.back_mut() {
                // What lies ahead was bounded too.
                Some((_, units)) => {
                    *units += u64::from(more);
                    self.settled_units += u64::from(more);
                }
                None => self.level += u128::from(more) * self.unit,
            }
            self.filled = Some((at, granted));
        }
    }

    /// How far back attempts matter to a bucket of this size: what was poured in before has leaked,
    /// also where it leaks in steps.
    pub(super) fn reach(&self, size: u32) -> Duration {
        self.leaks_in(size).saturating_add(self.refill.step.unwrap_or_default())
    }

    /// What did not go through it fills it at most: no vendor's bucket is fuller than its size.
    pub(super) fn bound_earlier(&mut self, now: Moment, size: u32) {
        self.free(now);
        let last = self.settled.back().map_or(now, |(at, _)| Moment::from_nanos(*at));
        (self.filled, self.own_units) = (Some((last, size)), 0);
        let most = u128::from(size) * self.unit;
        if self.level + u128::from(self.settled_units) * self.unit <= most {
            return;
        }
        self.level = most;
        if let Some((at, _)) = self.settled.pop_back() {
            self.level = 0;
            self.settled.clear();
            self.settled.push_back((at, u64::from(size)));
            self.settled_units = u64::from(size);
        }
    }

    /// An attempt ended at `at` of which only is known that there was one. It filled the vendor's
    /// bucket at most, and what attempts of our own used comes on top.
    pub(super) fn fill(&mut self, at: Moment, size: u32, now: Moment) {
        self.free(now);
        let until = self.filled.map_or(at, |(until, _)| until.max(at));
        self.filled = Some((until, size));
        if now < at {
            return self.pour_in(at, u64::from(size));
        }
        let full = u128::from(size) * self.unit;
        let most = full + u128::from(self.own_units) * self.unit;
        self.level = (self.level + full).min(self.level.max(most));
    }

    pub(super) const fn rate(&self) -> Rate {
        Rate { slots: self.refill.units, over: self.refill.over, burst: 1 }
    }

    /// How long a full bucket takes to leak, whatever limit the vendor states meanwhile.
    pub(super) fn length(&self) -> Duration {
        self.leaks_in(self.size)
    }

    /// How long so many units take to leak.
    pub(super) fn leaks_in(&self, units: u32) -> Duration {
        self.time(u128::from(units) * self.unit)
    }

    /// Takes over what is in another bucket of the same allowance.
    pub(super) fn inherit(&mut self, from: &Self) {
        (self.level, self.since) = (from.level, from.since);
        self.settled.clone_from(&from.settled);
        self.settled_units = from.settled_units;
    }

    pub(super) fn occupy(&mut self, units: u32) {
        self.in_flight += u64::from(units);
    }

    /// The attempt is over at `at`, which lies ahead if it was given up (linger).
    pub(super) fn settle(&mut self, at: Moment, charge: Charge) {
        self.in_flight = self.in_flight.saturating_sub(u64::from(charge.reserved));
        self.own_units = self.own_units.saturating_add(u64::from(charge.used));
        self.pour_in(at, u64::from(charge.used));
    }

    /// Units of attempts under way.
    pub(super) const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Empties it of all but what is under way; returns how many units there were.
    pub(super) fn forget_spent(&mut self) -> u64 {
        let level = u64::try_from(self.level.div_ceil(self.unit)).unwrap_or(u64::MAX);
        (self.level, self.filled, self.own_units) = (0, None, 0);
        self.settled.clear();
        level.saturating_add(std::mem::take(&mut self.settled_units))
    }

    fn pour_in(&mut self, at: Moment, units: u64) {
        if at <= self.since {
            self.level += u128::from(units) * self.unit;
        } else if units > 0 {
            self.settled_units += units;
            let ahead = nanos(at.since(self.since));
            let step = if self.settled.len() < EXACT_MAX { 1 } else { ahead.div_ceil(STEPS) };
            let at = at.as_nanos().div_ceil(step).saturating_mul(step);
            let place = self.settled.partition_point(|(other, _)| *other < at);
            match self.settled.get_mut(place) {
                Some((other, sum)) if *other == at => *sum += units,
                _ => self.settled.insert(place, (at, units)),
            }
        }
    }

    pub(super) fn cancel(&mut self, units: u32) {
        self.in_flight = self.in_flight.saturating_sub(u64::from(units));
    }

    pub(super) fn free(&mut self, now: Moment) -> u32 {
        while let Some((at, units)) = self.settled.front().copied()
            && at <= now.as_nanos()
        {
            self.settled.pop_front();
            self.settled_units -= units;
            self.leak_until(Moment::from_nanos(at));
            self.level += u128::from(units) * self.unit;
        }
        self.leak_until(now);
        self.limit.saturating_sub(self.occupied())
    }

    /// A part of a unit counts as a whole one.
    pub(super) fn occupied(&self) -> u32 {
        let level = u64::try_from(self.level.div_ceil(self.unit)).unwrap_or(u64::MAX);
        saturated(level.saturating_add(self.not_poured_in()))
    }

    pub(super) fn free_at(&self, limit: u32, units: u32) -> Moment {
        let Some(most) = limit.checked_sub(units) else { return Moment::NEVER };
        let poured = self.settled.front().map_or(Moment::NEVER, |(at, _)| Moment::from_nanos(*at));
        let Some(level) = u64::from(most).checked_sub(self.not_poured_in()) else { return poured };
        let surplus = self.level.saturating_sub(u128::from(level) * self.unit);
        match surplus {
            0 => Moment::START,
            // What is poured in meanwhile begins to leak too.
            surplus => self.since.plus(self.time(surplus)).min(poured),
        }
    }

    /// When the next unit has leaked.
    pub(super) fn next_release(&self) -> Option<Moment> {
        let above = self.level.checked_sub(1)? % self.unit + 1;
        Some(self.since.plus(self.time(above)))
    }

    /// Exact if attempts under way settle at once, else optimistic by their latency.
    pub(super) fn estimate(&self, limit: u32, start: Moment, position: u32) -> Moment {
        if limit == 0 {
            return Moment::NEVER;
        }
        let leaked = u128::from(nanos(start.since(self.since))) * self.leak;
        let units = u128::from(self.not_poured_in()) + u128::from(position);
        let level = self.level.saturating_sub(leaked) + units * self.unit;
        let surplus = level.saturating_sub(u128::from(limit) * self.unit);
        start.plus(self.time(surplus))
    }

    const fn not_poured_in(&self) -> u64 {
        self.in_flight.saturating_add(self.settled_units)
    }

    fn leak_until(&mut self, now: Moment) {
        let leaked = u128::from(nanos(now.since(self.since))) * self.leak;
        self.level = self.level.saturating_sub(leaked);
        self.since = self.since.max(now);
    }

    /// How long so much takes to leak.
    fn time(&self, amount: u128) -> Duration {
        Duration::from_nanos(u64::try_from(amount.div_ceil(self.leak)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(nanos: u64) -> Moment {
        Moment::from_nanos(nanos)
    }

    /// Three units leak in ten nanoseconds.
    fn bucket(limit: u32) -> BucketLedger {
        let refill = Refill { units: 3, over: Duration::from_nanos(10), step: None };
        BucketLedger::new(limit, refill)
    }

    #[test]
    fn what_is_poured_in_leaks_at_the_exact_rate() {
        let mut bucket = bucket(10);
        bucket.free(at(0));
        bucket.occupy(10);
        assert_eq!((bucket.free(at(50)), bucket.free_at(10, 1)), (0, Moment::NEVER));
        bucket.settle(at(100), Charge::exactly(10));
        let free = [100, 103, 104, 106, 107, 110, 133, 134].map(|now| bucket.free(at(now)));
        assert_eq!(free, [0, 0, 1, 1, 2, 3, 9, 10], "a third of a unit is not free");
    }

    #[test]
    fn room_comes_when_it_is_said_to_come() {
        for units in 1..=10 {
            let mut bucket = bucket(10);
            bucket.occupy(10);
            bucket.settle(at(1), Charge::exactly(10));
            assert!(bucket.free(at(1)) < units);
            let next = bucket.free_at(10, units);
            assert_eq!(next, bucket.estimate(10, at(1), units));
            assert!(bucket.free(at(next.as_nanos() - 1)) < units);
            assert!(units <= bucket.free(next), "{units}");
        }
        assert_eq!(bucket(10).free_at(10, 11), Moment::NEVER);
    }

    #[test]
    fn a_given_up_attempt_is_poured_in_when_it_counts_as_settled() {
        let mut bucket = bucket(10);
        bucket.free(at(0));
        bucket.occupy(9);
        bucket.settle(at(100), Charge::exactly(9));
        assert_eq!((bucket.free(at(99)), bucket.free_at(10, 2)), (1, at(100)));
        assert_eq!((bucket.free(at(104)), bucket.free(at(130))), (2, 10));
    }

    #[test]
    fn what_was_used_earlier_fills_it_at_most() {
        let mut bucket = bucket(10);
        bucket.occupy(u32::MAX);
        bucket.settle(at(100), Charge::exactly(u32::MAX));
        bucket.bound_earlier(at(100), 10);
        assert_eq!((bucket.free(at(100)), bucket.free(at(104))), (0, 1));
        bucket.resize(20, 20, at(104));
        bucket.set_limit(20);
        assert_eq!(bucket.free(at(104)), 1, "it may have been full by the new size too");
        bucket.occupy(30);
        bucket.settle(at(120), Charge::exactly(30));
        bucket.bound_earlier(at(110), 20);
        assert_eq!((bucket.free(at(119)), bucket.free(at(124))), (0, 1));
    }

    #[test]
    fn a_size_of_the_vendors_that_was_raised_counts_also_if_less_of_it_is_used() {
        let mut bucket = bucket(10);
        bucket.occupy(u32::MAX);
        bucket.settle(at(100), Charge::exactly(u32::MAX));
        bucket.bound_earlier(at(100), 10);
        bucket.resize(5, 20, at(104));
        bucket.set_limit(5);
        let free = [104, 150, 153, 154, 167].map(|now| bucket.free(at(now)));
        assert_eq!(free, [0, 0, 0, 1, 5], "18.8 units are left at 104, and leak to 5 by 150");
        bucket.resize(5, 20, at(167));
        assert_eq!(bucket.free(at(167)), 5);
    }

    #[test]
    fn attempts_of_unknown_cost_fill_it_at_most_and_its_own_units_come_on_top() {
        let mut bucket = bucket(10);
        bucket.bound_earlier(at(100), 10);
        bucket.settle(at(100), Charge { reserved: 0, used: 3 });
        for _ in 0..5 {
            bucket.fill(at(100), 10, at(100));
            assert_eq!(bucket.occupied(), 13);
        }
        bucket.fill(at(110), 10, at(100));
        assert_eq!([109, 110].map(|now| (bucket.free(at(now)), bucket.occupied()).1), [21, 20]);
    }

    #[test]
    fn what_was_bounded_and_is_not_poured_in_yet_is_raised_with_the_size() {
        let mut bucket = bucket(5);
        bucket.occupy(u32::MAX);
        bucket.settle(at(1_000), Charge::exactly(u32::MAX));
        bucket.bound_earlier(at(100), 5);
        bucket.resize(10, 10, at(100));
        bucket.set_limit(10);
        assert_eq!([999, 1_000, 1_004, 1_034].map(|now| bucket.free(at(now))), [0, 0, 1, 10]);
    }

    #[test]
    fn settlements_out_of_order_are_never_poured_in_too_early() {
        let mut bucket = bucket(10);
        bucket.occupy(6);
        bucket.free(at(50));
        bucket.settle(at(40), Charge::exactly(3));
        bucket.settle(at(60), Charge::exactly(2));
        bucket.settle(at(55), Charge::ONE);
        assert_eq!((bucket.free(at(60)), bucket.free(at(64))), (7, 8));
    }

    #[test]
    fn no_sum_overflows() {
        let refill = Refill { units: 1, over: Duration::from_secs(31 * 86_400), step: None };
        let mut bucket = BucketLedger::new(5, refill);
        for now in 0..3 {
            bucket.occupy(u32::MAX);
            bucket.settle(at(now), Charge::exactly(u32::MAX));
            assert_eq!(bucket.free(at(now)), 0);
        }
        assert!(bucket.estimate(5, at(3), u32::MAX) > at(u64::MAX / 2));
    }
}
