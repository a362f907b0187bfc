//! An allowance of so many attempts in a window: its ledger and pace, and what the vendor says.
//!
//! A pure state machine. What the vendor says only ever lowers what is believed, and only for as
//! long as it holds: a limit until the vendor states more or has not repeated it for a day, slots
//! that others occupy until the reset that was stated with them.

use std::time::Duration;

use crate::allowance::ledger::Ledger;
use crate::allowance::pace::{Pace, Rate};
use crate::outcome::FULL_PACE;
use crate::time::Moment;

use super::settings::Spread;

/// A lower limit that the vendor has not repeated for so long is forgotten, or for a window where
/// that is longer: a vendor that still means it has had every chance to say so.
const LEARNED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// One allowance of N attempts in a window.
#[derive(Debug)]
pub(super) struct Window {
    ledger: Ledger,
    configured: u32,
    spread: Spread,
    pub(super) pace: Option<Pace>,
    sixteenths: u8,
    /// Until when a lower limit than the configured one is believed.
    learned_until: Option<Moment>,
    floor: Option<Floor>,
    drift: Option<i64>,
}

/// Slots that are occupied beyond our own, because the vendor said that less remains.
#[derive(Clone, Copy, Debug)]
struct Floor {
    slots: u32,
    until: Moment,
}

impl Window {
    pub(super) fn new(limit: u32, window: Duration, spread: Spread) -> Self {
        let pace = match spread {
            Spread::Even { burst } => Some(Pace::new(even_rate(limit, window, burst), FULL_PACE)),
            Spread::None => None,
        };
        Self {
            ledger: Ledger::new(limit, window),
            configured: limit,
            spread,
            pace,
            sixteenths: FULL_PACE,
            learned_until: None,
            floor: None,
            drift: None,
        }
    }

    pub(super) const fn length(&self) -> Duration {
        self.ledger.window()
    }

    pub(super) const fn limit(&self) -> u32 {
        self.ledger.limit()
    }

    pub(super) const fn configured(&self) -> u32 {
        self.configured
    }

    /// By how much the vendor's latest statement exceeds what was believed then.
    pub(super) const fn drift(&self) -> Option<i64> {
        self.drift
    }

    /// Slots free at `now`.
    pub(super) fn free(&mut self, now: Moment) -> u32 {
        self.forget(now);
        self.ledger.free(now).saturating_sub(self.foreign())
    }

    /// Slots occupied at `now`: our own, and those that the vendor says are.
    pub(super) fn occupied(&mut self, now: Moment) -> u32 {
        self.free(now);
        self.ledger.occupied().saturating_add(self.foreign())
    }

    /// Whether a slot is free at `now`, else when one may be.
    pub(super) fn room(&mut self, now: Moment) -> Result<(), Moment> {
        match self.free(now) {
            0 => Err(self.next_release()),
            _ => Ok(()),
        }
    }

    /// When the next slot is released, or what the vendor said is forgotten.
    pub(super) fn next_release(&self) -> Moment {
        let own = match self.floor {
            None => self.ledger.next_release(),
            Some(floor) => {
                let left = self.ledger.limit().saturating_sub(floor.slots);
                self.ledger.below(left).min(floor.until)
            }
        };
        self.learned_until.map_or(own, |until| own.min(until))
    }

    /// When the `position`-th newcomer from `start` would start, counted from 1.
    pub(super) fn estimate(&self, start: Moment, position: u32) -> Moment {
        let limit = self.ledger.limit();
        let paced = self.pace.as_ref().map_or(start, |pace| pace.estimate(start, position));
        let slot = match self.floor.filter(|floor| start < floor.until) {
            None => self.ledger.estimate(limit, start, position),
            Some(floor) => {
                let left = limit.saturating_sub(floor.slots);
                let beside = self.ledger.estimate(left, start, position);
                beside.min(self.ledger.estimate(limit, floor.until, position))
            }
        };
        slot.max(paced)
    }

    pub(super) const fn occupy(&mut self) {
        self.ledger.force();
    }

    /// The attempt is over at `at`: its slot is released one window later.
    pub(super) fn settle(&mut self, at: Moment) {
        self.ledger.settle(at);
    }

    pub(super) const fn cancel(&mut self) {
        self.ledger.cancel();
    }

    /// The vendor states this limit for just this window; the configured one is the ceiling.
    pub(super) fn learn(&mut self, limit: u32, now: Moment) {
        if limit < self.configured {
            self.believe(limit);
            self.learned_until = Some(now.plus(LEARNED_FOR.max(self.length())));
        } else if self.learned_until.take().is_some() {
            self.believe(self.configured);
        }
    }

    /// The vendor states that so many slots remain until `reset`: it replaces what it said before.
    pub(super) fn heed_remaining(&mut self, remaining: u32, reset: Duration, now: Moment) {
        self.floor = None;
        let free = self.free(now);
        self.drift = Some(i64::from(remaining) - i64::from(free));
        let slots = free.saturating_sub(remaining);
        if slots > 0 {
            let until = now.plus(reset.min(self.length()));
            self.floor = Some(Floor { slots, until });
        }
    }

    /// The vendor states only its limit.
    pub(super) fn heed_limit(&mut self, stated: u32) {
        self.drift = Some(i64::from(stated) - i64::from(self.configured));
    }

    /// Whether anything would be lost if it were forgotten.
    pub(super) fn is_idle(&mut self, now: Moment) -> bool {
        self.occupied(now) == 0 && self.sixteenths == FULL_PACE
    }

    /// Takes over what was spent of another one of the same allowance; not what the vendor said.
    pub(super) fn inherit(&mut self, from: &Self, now: Moment) {
        self.ledger.inherit(&from.ledger);
        self.set_speed(from.sixteenths, now);
        if let (Some(own), Some(other)) = (&self.pace, &from.pace) {
            own.inherit(other);
        }
    }

    /// Sets the pace to a part of the full one. Where calls are not spread, a temporary pace
    /// serves until all of it is recovered.
    pub(super) fn set_speed(&mut self, sixteenths: u8, now: Moment) {
        self.sixteenths = sixteenths;
        match (&mut self.pace, self.spread) {
            (Some(_), Spread::None) if sixteenths == FULL_PACE => self.pace = None,
            (Some(pace), _) => pace.set_speed(sixteenths),
            (None, Spread::None) if sixteenths < FULL_PACE => {
                let pace = Pace::new(self.full_rate(), sixteenths);
                pace.spend_burst(now);
                self.pace = Some(pace);
            }
            (None, _) => {}
        }
    }

    fn full_rate(&self) -> Rate {
        let burst = match self.spread {
            Spread::Even { burst } => burst,
            Spread::None => 1,
        };
        even_rate(self.ledger.limit(), self.length(), burst)
    }

    fn believe(&mut self, limit: u32) {
        if limit == self.ledger.limit() {
            return;
        }
        self.ledger.set_limit(limit);
        let (rate, sixteenths) = (self.full_rate(), self.sixteenths);
        if let Some(pace) = &mut self.pace {
            pace.set_rate(rate, sixteenths);
        }
    }

    fn foreign(&self) -> u32 {
        self.floor.map_or(0, |floor| floor.slots)
    }

    /// What the vendor said holds no longer than it holds.
    fn forget(&mut self, now: Moment) {
        if self.floor.is_some_and(|floor| floor.until <= now) {
            self.floor = None;
        }
        if self.learned_until.is_some_and(|until| until <= now) {
            self.learned_until = None;
            self.believe(self.configured);
        }
    }
}

fn even_rate(limit: u32, window: Duration, burst: u32) -> Rate {
    Rate { slots: limit, over: window, burst: burst.min(limit) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(second: u64) -> Moment {
        Moment::from_millis(second * 1000)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn window(limit: u32) -> Window {
        Window::new(limit, MINUTE, Spread::None)
    }

    fn spend(window: &mut Window, slots: u32, now: Moment) {
        for _ in 0..slots {
            window.occupy();
            window.settle(now);
        }
    }

    #[test]
    fn a_learned_limit_is_forgotten_by_a_higher_one_and_after_a_day() {
        let mut window = window(100);
        window.learn(10, at(0));
        assert_eq!((window.limit(), window.free(at(0))), (10, 10));
        window.learn(20, at(1));
        assert_eq!(window.limit(), 20);
        window.learn(1_000, at(2));
        assert_eq!((window.limit(), window.free(at(2))), (100, 100));
        window.learn(10, at(3));
        window.learn(10, at(1_000));
        let day = 24 * 60 * 60;
        assert_eq!((window.free(at(day + 999)), window.free(at(day + 1_000))), (10, 100));
        let mut weekly = Window::new(100, seconds(7 * day), Spread::None);
        weekly.learn(10, at(0));
        assert_eq!((weekly.free(at(7 * day - 1)), weekly.free(at(7 * day))), (10, 100));
    }

    #[test]
    fn a_learned_limit_paces_as_evenly_as_it_is_low() {
        let mut window = Window::new(60, MINUTE, Spread::Even { burst: 1 });
        window.learn(6, at(0));
        assert_eq!(window.estimate(at(0), 2), at(10));
        window.learn(60, at(0));
        assert_eq!(window.estimate(at(0), 2), at(1));
    }

    #[test]
    fn what_remains_is_a_floor_that_is_replaced_and_ends() {
        let mut window = window(10);
        spend(&mut window, 2, at(0));
        window.heed_remaining(3, seconds(20), at(0));
        assert_eq!((window.free(at(1)), window.occupied(at(1))), (3, 7));
        spend(&mut window, 3, at(1));
        assert_eq!(window.room(at(1)), Err(at(20)));
        assert_eq!((window.estimate(at(1), 1), window.estimate(at(1), 6)), (at(20), at(60)));
        window.heed_remaining(1, seconds(20), at(2));
        assert_eq!((window.free(at(2)), window.free(at(21)), window.free(at(22))), (1, 1, 5));
        window.heed_remaining(9, seconds(3_600), at(30));
        assert_eq!(window.free(at(30)), 5, "more than we believe changes nothing");
        window.heed_remaining(1, seconds(3_600), at(30));
        assert_eq!((window.free(at(61)), window.free(at(90))), (6, 10), "at most one window");
    }

    #[test]
    fn drift_is_what_the_vendor_says_beyond_what_is_believed() {
        let mut window = window(10);
        spend(&mut window, 4, at(0));
        for (remaining, drift) in [(6, 0), (9, 3), (2, -4), (2, -4)] {
            window.heed_remaining(remaining, seconds(5), at(0));
            assert_eq!(window.drift(), Some(drift));
        }
        window.heed_limit(50);
        assert_eq!(window.drift(), Some(40));
    }

    /// What happens to a window.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        Ask { latency: u64 },
        Remaining(u32, u64),
        Limit(u32),
        Estimate(u64),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            5 => (0_u64..90).prop_map(|latency| Event::Ask { latency }),
            1 => (0_u32..9, 0_u64..200).prop_map(|(left, reset)| Event::Remaining(left, reset)),
            1 => (1_u32..12).prop_map(Event::Limit),
            1 => (0_u64..500).prop_map(Event::Estimate),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Whatever the vendor says, and whatever is estimated: never over the configured limit,
        /// never more at once than the vendor has just said remains, and all of it is forgotten.
        #[test]
        fn hints_only_ever_lower_and_only_for_a_while(
            limit in 1_u32..9,
            events in prop::collection::vec((0_u64..40, event()), 1..200),
        ) {
            let mut window = window(limit);
            let (mut now, mut open, mut counted) = (0, Vec::<u64>::new(), Vec::new());
            for (gap, event) in events {
                now += gap;
                open.retain(|answer| {
                    if *answer <= now { window.settle(at(*answer)); }
                    now < *answer
                });
                match event {
                    Event::Ask { latency } => if window.room(at(now)).is_ok() {
                        window.occupy();
                        open.push(now + latency);
                        counted.push(now + latency / 2);
                    },
                    Event::Remaining(left, reset) => {
                        let before = window.ledger.clone().free(at(now));
                        window.heed_remaining(left, seconds(reset), at(now));
                        let most = if reset == 0 { before } else { left.min(before) };
                        prop_assert_eq!(window.free(at(now)), most);
                    }
                    Event::Limit(stated) => {
                        window.learn(stated, at(now));
                        prop_assert_eq!(window.limit(), stated.min(limit));
                    }
                    Event::Estimate(ahead) => {
                        let free = window.free(at(now));
                        window.estimate(at(now + ahead), 3);
                        prop_assert_eq!(window.free(at(now)), free);
                    }
                }
                if window.room(at(now)).is_err_and(|next| next <= at(now)) {
                    prop_assert!(false, "the next look would be now again");
                }
            }
            counted.sort_unstable();
            for (place, first) in counted.iter().enumerate() {
                let within = counted[place..].iter().take_while(|it| **it < first + 60).count();
                prop_assert!(within <= limit as usize, "{within} of {limit}");
            }
            open.iter().for_each(|_| window.cancel());
            let later = at(now + 100 + 2 * 24 * 60 * 60);
            prop_assert_eq!((window.free(later), window.limit()), (limit, limit));
        }
    }
}
