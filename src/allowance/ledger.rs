//! The exact account of an allowance: which slots are occupied, and until when.
//!
//! The rule that needs no agreement of clocks: a slot is occupied from before the first byte of
//! its attempt until one window after that attempt settled. Of any N + 1 attempts, the one sent
//! last finds the others still occupying their slots, whenever the vendor counted them between
//! send and answer; so no window of the vendor's can hold more than N. `reference/reliability.md`
//! D.2 has the proof, `tests` below has random schedules against a vendor that counts late.
//!
//! Refuses to know about waiting, pace or holds. All arithmetic is in whole nanoseconds and rounds
//! towards a later release.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::{Moment, nanos};

/// Up to this limit every slot is accounted for by itself; above it in grains of the window.
const EXACT_LIMIT_MAX: u32 = 1_024;

/// Grains of a window above that: a slot is released at most 1/256 of the window late.
const GRAINS: u64 = 256;

/// The state of one allowance of N attempts per window.
#[derive(Clone, Debug)]
pub struct Ledger {
    limit: u32,
    window: u64,
    /// Settle times are rounded up to multiples of this; 1 keeps them exact.
    grain: u64,
    in_flight: u32,
    /// Settled slots by their rounded settle time, ascending; bounded by the limit when exact,
    /// else by the grains of a window and of the longest linger.
    settled: VecDeque<Settled>,
    settled_slots: u32,
}

#[derive(Clone, Copy, Debug)]
struct Settled {
    at: u64,
    slots: u32,
}

impl Ledger {
    /// A ledger nothing has been spent of.
    #[must_use]
    pub fn new(limit: u32, window: Duration) -> Self {
        let window = nanos(window).max(1);
        let grain = if limit <= EXACT_LIMIT_MAX { 1 } else { window.div_ceil(GRAINS) };
        let settled = VecDeque::new();
        Self { limit, window, grain, in_flight: 0, settled, settled_slots: 0 }
    }

    /// N, as believed now.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// W.
    #[must_use]
    pub const fn window(&self) -> Duration {
        Duration::from_nanos(self.window)
    }

    /// Believes this N from the next grant on; what is occupied stays so.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit.max(1);
    }

    /// Takes over the settled slots of another ledger of the same allowance, which has not been
    /// used yet: its own slots may be among them.
    pub fn inherit(&mut self, from: &Self) {
        debug_assert_eq!((self.window, self.grain, self.occupied()), (from.window, from.grain, 0));
        self.settled.clone_from(&from.settled);
        self.settled_slots = from.settled_slots;
    }

    /// Takes a slot at `now`, or says when one will be released, if that is known.
    ///
    /// # Errors
    /// All slots are occupied; `Moment::NEVER` when the next release waits for an answer.
    pub fn grant(&mut self, now: Moment) -> Result<(), Moment> {
        if self.free(now) == 0 {
            return Err(self.next_release());
        }
        self.in_flight += 1;
        Ok(())
    }

    /// Takes a slot whether there is one or not: for allowances that only observe.
    pub const fn force(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
    }

    /// The attempt is over at `at`, which may lie ahead (linger): its slot is released W later.
    pub fn settle(&mut self, at: Moment) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.settled_slots += 1;
        let at = at.as_nanos();
        match self.settled.back_mut() {
            // Most settle in the grain of the one before: that takes no division.
            Some(last) if at <= last.at && last.at - at < self.grain => last.slots += 1,
            _ => self.settle_apart(at.div_ceil(self.grain).saturating_mul(self.grain)),
        }
    }

    fn settle_apart(&mut self, at: u64) {
        let place = self.settled.partition_point(|settled| settled.at < at);
        match self.settled.get_mut(place) {
            Some(settled) if settled.at == at => settled.slots += 1,
            _ => self.settled.insert(place, Settled { at, slots: 1 }),
        }
    }

    /// No byte of the attempt can have arrived: its slot is free at once.
    pub const fn cancel(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Slots free at `now`.
    pub fn free(&mut self, now: Moment) -> u32 {
        while let Some(first) = self.settled.front()
            && first.at.saturating_add(self.window) <= now.as_nanos()
        {
            self.settled_slots -= first.slots;
            self.settled.pop_front();
        }
        self.limit.saturating_sub(self.occupied())
    }

    /// Slots occupied, as of the last look.
    #[must_use]
    pub const fn occupied(&self) -> u32 {
        self.in_flight.saturating_add(self.settled_slots)
    }

    /// When less than `limit` slots are occupied, if no answer has to come first.
    #[must_use]
    pub fn below(&self, limit: u32) -> Moment {
        // Beyond the limit (lowered, or forced) several have to go before one is free.
        let surplus = self.occupied().checked_sub(limit);
        surplus.map_or(Moment::START, |surplus| {
            self.release_after(surplus).filter(|_| limit > 0).unwrap_or(Moment::NEVER)
        })
    }

    /// When the next slot is released, if no answer has to come first.
    #[must_use]
    pub fn next_release(&self) -> Moment {
        self.release_after(self.occupied().saturating_sub(self.limit)).unwrap_or(Moment::NEVER)
    }

    /// When the `position`-th newcomer from `start` would start if the limit were `limit`;
    /// `position` is counted from 1. `start` may lie ahead: nothing is released by asking.
    ///
    /// Exact as long as attempts under way settle at once; optimistic by their latency otherwise.
    #[must_use]
    pub fn estimate(&self, limit: u32, start: Moment, position: u32) -> Moment {
        if limit == 0 {
            return Moment::NEVER;
        }
        let released = self.released_by(start);
        let occupied = self.occupied() - released;
        let free = limit.saturating_sub(occupied);
        let surplus = occupied.saturating_sub(limit);
        let Some(behind) = position.checked_sub(free.saturating_add(1)) else { return start };
        let rounds = u64::from(behind / limit);
        let before = released.saturating_add(surplus).saturating_add(behind % limit);
        let base = self.release_after(before);
        let base = base.unwrap_or(start.plus(self.window())).max(start);
        base.plus(Duration::from_nanos(self.window.saturating_mul(rounds)))
    }

    /// Slots that will have been released by then, of those still kept.
    fn released_by(&self, then: Moment) -> u32 {
        let over = |settled: &&Settled| settled.at.saturating_add(self.window) <= then.as_nanos();
        self.settled.iter().take_while(over).map(|settled| settled.slots).sum()
    }

    /// The release of the slot that `skip` others go before.
    fn release_after(&self, mut skip: u32) -> Option<Moment> {
        for settled in &self.settled {
            if skip < settled.slots {
                return Some(Moment::from_nanos(settled.at.saturating_add(self.window)));
            }
            skip -= settled.slots;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(nanos: u64) -> Moment {
        Moment::from_nanos(nanos)
    }

    const fn span(nanos: u64) -> Duration {
        Duration::from_nanos(nanos)
    }

    #[test]
    fn a_slot_is_released_one_window_after_it_settled_and_not_a_nanosecond_before() {
        let mut ledger = Ledger::new(1, span(100));
        assert_eq!(ledger.grant(at(0)), Ok(()));
        assert_eq!(ledger.grant(at(1)), Err(Moment::NEVER));
        ledger.settle(at(30));
        assert_eq!(ledger.grant(at(129)), Err(at(130)));
        assert_eq!(ledger.grant(at(130)), Ok(()));
    }

    #[test]
    fn what_was_not_sent_costs_nothing() {
        let mut ledger = Ledger::new(1, span(100));
        assert_eq!(ledger.grant(at(0)), Ok(()));
        ledger.cancel();
        assert_eq!(ledger.grant(at(0)), Ok(()));
    }

    #[test]
    fn linger_settles_ahead() {
        let mut ledger = Ledger::new(2, span(100));
        ledger.grant(at(0)).unwrap();
        ledger.grant(at(0)).unwrap();
        ledger.settle(at(50));
        ledger.settle(at(10));
        assert_eq!(ledger.grant(at(109)), Err(at(110)));
        assert_eq!(ledger.grant(at(110)), Ok(()));
        assert_eq!(ledger.grant(at(111)), Err(at(150)));
    }

    #[test]
    fn a_lowered_limit_binds_the_next_grant() {
        let mut ledger = Ledger::new(3, span(100));
        for _ in 0..3 {
            ledger.grant(at(0)).unwrap();
            ledger.settle(at(0));
        }
        ledger.set_limit(1);
        assert_eq!(ledger.limit(), 1);
        assert_eq!(ledger.grant(at(99)), Err(at(100)));
        assert_eq!(ledger.grant(at(100)), Ok(()));
        assert_eq!(ledger.grant(at(100)), Err(Moment::NEVER));
        ledger.set_limit(2);
        assert_eq!(ledger.grant(at(100)), Ok(()));
    }

    #[test]
    fn estimates_follow_the_releases_round_after_round() {
        let mut ledger = Ledger::new(2, span(100));
        for settled in [10, 40] {
            ledger.grant(at(0)).unwrap();
            ledger.settle(at(settled));
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
    fn an_estimate_for_a_later_start_releases_nothing() {
        let mut ledger = Ledger::new(1, span(100));
        ledger.grant(at(0)).unwrap();
        ledger.settle(at(0));
        assert_eq!(ledger.estimate(1, at(500), 1), at(500));
        assert_eq!(ledger.grant(at(99)), Err(at(100)));
    }

    #[test]
    fn an_heir_waits_for_every_settled_slot() {
        let mut spent = Ledger::new(3, span(100));
        (0..3).for_each(|_| spent.force());
        spent.settle(at(10));
        spent.settle(at(20));
        let mut heir = Ledger::new(3, span(100));
        heir.inherit(&spent);
        assert_eq!((heir.free(at(109)), heir.free(at(110)), heir.free(at(120))), (1, 2, 3));
    }

    /// Most arrivals in any half-open window of this length.
    fn worst_window(arrivals: &mut [u64], window: u64) -> usize {
        arrivals.sort_unstable();
        let within = |(n, first): (usize, &u64)| {
            arrivals[n..].iter().take_while(|other| **other < first + window).count()
        };
        arrivals.iter().enumerate().map(within).max().unwrap_or(0)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Whenever the vendor counts an attempt between send and answer, and however late the
        /// answer: no window of its ever holds more than N, exact or in grains.
        #[test]
        fn no_window_is_ever_over(
            limit in prop_oneof![1_u32..6, Just(1_030_u32)],
            window in 1_u64..2_000,
            calls in prop::collection::vec((0_u64..60, 0_u64..400, 0_u64..=100), 1..300),
        ) {
            let mut ledger = Ledger::new(limit, span(window));
            let (mut now, mut open, mut arrivals) = (0, Vec::<u64>::new(), Vec::new());
            for (gap, latency, share) in calls {
                now += gap;
                open.retain(|answer| {
                    let over = *answer <= now;
                    if over { ledger.settle(at(*answer)); }
                    !over
                });
                let crowd = if limit > 1_000 { 40 } else { 1 };
                for _ in 0..crowd {
                    if ledger.grant(at(now)).is_ok() {
                        open.push(now + latency);
                        arrivals.push(now + latency * share / 100);
                    }
                }
            }
            prop_assert!(worst_window(&mut arrivals, window) <= limit as usize);
        }

        /// Releases are exact up to a grain: nothing stays occupied longer than it must.
        #[test]
        fn a_grain_late_at_most(
            limit in prop_oneof![Just(1_u32), Just(2_000)],
            window in 256_u64..1_000_000,
            settled in 0_u64..1_000_000,
        ) {
            let mut ledger = Ledger::new(limit, span(window));
            ledger.grant(at(settled)).unwrap();
            ledger.settle(at(settled));
            let grain = if limit == 1 { 0 } else { window.div_ceil(256) };
            prop_assert_eq!(ledger.free(at(settled + window + grain)), limit);
            prop_assert_eq!(ledger.clone().free(at(settled + window + grain)), limit);
        }
    }
}
