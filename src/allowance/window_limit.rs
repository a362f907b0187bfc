//! An allowance of N attempts in a window: its ledger, its pace, and what the vendor states.
//!
//! A statement of the vendor's only ever lowers what is granted, and expires: a lower limit when
//! the vendor states a higher one or has not repeated it for a day, slots used elsewhere at the
//! reset that was stated with them.

use std::time::Duration;

use super::ledger::Ledger;
use super::pace::{Pace, Rate};
use super::settings::Spread;
use crate::outcome::FULL_PACE;
use crate::time::Moment;

/// How long a lower limit is kept without being repeated, or for one window if that is longer. By
/// then a vendor that still applies it has had every chance to say so.
const LEARNED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug)]
pub(super) struct WindowLimit {
    ledger: Ledger,
    configured: u32,
    spread: Spread,
    pub(super) pace: Option<Pace>,
    sixteenths: u8,
    /// When a learned limit expires.
    learned_until: Option<Moment>,
    used_elsewhere: Option<UsedElsewhere>,
    drift: Option<i64>,
}

/// Slots that are occupied besides our own, because the vendor states that fewer remain.
#[derive(Clone, Copy, Debug)]
struct UsedElsewhere {
    slots: u32,
    until: Moment,
}

impl WindowLimit {
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
            used_elsewhere: None,
            drift: None,
        }
    }

    pub(super) const fn length(&self) -> Duration {
        self.ledger.window()
    }

    /// The limit that applies now, which may be lower than the configured one.
    pub(super) const fn limit(&self) -> u32 {
        self.ledger.limit()
    }

    pub(super) const fn configured(&self) -> u32 {
        self.configured
    }

    /// By how much the vendor's latest statement exceeded our own figure.
    pub(super) const fn drift(&self) -> Option<i64> {
        self.drift
    }

    /// Slots free at `now`. What the vendor stated is forgotten here once it has expired.
    pub(super) fn free(&mut self, now: Moment) -> u32 {
        if self.used_elsewhere.is_some_and(|elsewhere| elsewhere.until <= now) {
            self.used_elsewhere = None;
        }
        if self.learned_until.is_some_and(|until| until <= now) {
            self.learned_until = None;
            self.set_limit(self.configured);
        }
        self.ledger.free(now).saturating_sub(self.slots_elsewhere())
    }

    /// Slots occupied at `now`, those used elsewhere included.
    pub(super) fn occupied(&mut self, now: Moment) -> u32 {
        self.free(now);
        self.ledger.occupied().saturating_add(self.slots_elsewhere())
    }

    /// Whether a slot is free at `now`; if not, when one may be.
    pub(super) fn check_slot(&mut self, now: Moment) -> Result<(), Moment> {
        match self.free(now) {
            0 => Err(self.next_release()),
            _ => Ok(()),
        }
    }

    /// When the next slot is released or a statement of the vendor's expires.
    pub(super) fn next_release(&self) -> Moment {
        let release = match self.used_elsewhere {
            None => self.ledger.next_release(),
            Some(elsewhere) => {
                let left = self.ledger.limit().saturating_sub(elsewhere.slots);
                self.ledger.free_below(left).min(elsewhere.until)
            }
        };
        self.learned_until.map_or(release, |until| release.min(until))
    }

    /// When the `position`-th new attempt from `start` would start, counted from 1.
    pub(super) fn estimate(&self, start: Moment, position: u32) -> Moment {
        let limit = self.ledger.limit();
        let paced = self.pace.as_ref().map_or(start, |pace| pace.estimate(start, position));
        let slot = match self.used_elsewhere.filter(|elsewhere| start < elsewhere.until) {
            None => self.ledger.estimate(limit, start, position),
            Some(elsewhere) => {
                let left = limit.saturating_sub(elsewhere.slots);
                let before_reset = self.ledger.estimate(left, start, position);
                before_reset.min(self.ledger.estimate(limit, elsewhere.until, position))
            }
        };
        slot.max(paced)
    }

    pub(super) const fn occupy(&mut self) {
        self.ledger.occupy();
    }

    pub(super) fn settle(&mut self, at: Moment) {
        self.ledger.settle(at);
    }

    pub(super) const fn cancel(&mut self) {
        self.ledger.cancel();
    }

    /// The vendor states a limit for a window of this length. The configured one stays the
    /// maximum.
    pub(super) fn learn_limit(&mut self, limit: u32, now: Moment) {
        if limit < self.configured {
            self.set_limit(limit);
            self.learned_until = Some(now.plus(LEARNED_FOR.max(self.length())));
        } else if self.learned_until.take().is_some() {
            self.set_limit(self.configured);
        }
    }

    /// The vendor states how many slots remain until a reset; this replaces its last statement.
    pub(super) fn note_remaining(&mut self, remaining: u32, reset: Duration, now: Moment) {
        self.used_elsewhere = None;
        let free = self.free(now);
        self.drift = Some(i64::from(remaining) - i64::from(free));
        let slots = free.saturating_sub(remaining);
        if slots > 0 {
            let until = now.plus(reset.min(self.length()));
            self.used_elsewhere = Some(UsedElsewhere { slots, until });
        }
    }

    /// The vendor states its limit, and not how much of it remains.
    pub(super) fn note_stated_limit(&mut self, stated: u32) {
        self.drift = Some(i64::from(stated) - i64::from(self.configured));
    }

    /// Whether nothing would be lost if it were forgotten.
    pub(super) fn is_idle(&mut self, now: Moment) -> bool {
        self.occupied(now) == 0 && self.sixteenths == FULL_PACE
    }

    /// Applies a changed limit and spread from the next slot on. A limit that was learned stays in
    /// force below the new one. Returns whether there is another pace.
    pub(super) fn reconfigure(&mut self, limit: u32, spread: Spread, now: Moment) -> bool {
        let learned = self.learned_until.is_some().then(|| self.limit());
        let changed = (self.configured, self.spread) != (limit, spread);
        (self.configured, self.spread) = (limit, spread);
        if learned.is_none_or(|learned| limit <= learned) {
            self.learned_until = None;
        }
        self.ledger.set_limit(learned.unwrap_or(limit).min(limit));
        if changed {
            let paced = spread != Spread::None || self.sixteenths < FULL_PACE;
            let pace = paced.then(|| Pace::new(self.full_rate(), self.sixteenths));
            if let Some(pace) = &pace {
                // The burst may have been spent just now.
                pace.spend_burst(now);
            }
            self.pace = pace;
        }
        changed
    }

    /// Counts attempts that ended at `at` and had no slot here.
    pub(super) fn count_earlier(&mut self, at: Moment, attempts: u32) {
        self.ledger.count_earlier(at, attempts);
    }

    /// Takes over what was spent and slowed in another one of the same allowance, but not what the
    /// vendor stated.
    pub(super) fn inherit(&mut self, from: &Self, now: Moment) {
        self.ledger.inherit(&from.ledger);
        self.set_speed(from.sixteenths, now);
        if let (Some(own), Some(other)) = (&self.pace, &from.pace) {
            own.inherit(other);
        }
    }

    /// Sets the pace to a part of the full one. If slots are not spread, a pace is added until the
    /// full speed is recovered.
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

    fn set_limit(&mut self, limit: u32) {
        if limit == self.ledger.limit() {
            return;
        }
        self.ledger.set_limit(limit);
        let (rate, sixteenths) = (self.full_rate(), self.sixteenths);
        if let Some(pace) = &mut self.pace {
            pace.set_rate(rate, sixteenths);
        }
    }

    fn slots_elsewhere(&self) -> u32 {
        self.used_elsewhere.map_or(0, |elsewhere| elsewhere.slots)
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

    fn window(limit: u32) -> WindowLimit {
        WindowLimit::new(limit, MINUTE, Spread::None)
    }

    fn spend(window: &mut WindowLimit, slots: u32, now: Moment) {
        for _ in 0..slots {
            window.occupy();
            window.settle(now);
        }
    }

    #[test]
    fn a_learned_limit_expires_after_a_day_or_when_a_higher_one_is_stated() {
        let mut window = window(100);
        window.learn_limit(10, at(0));
        assert_eq!((window.limit(), window.free(at(0))), (10, 10));
        window.learn_limit(20, at(1));
        assert_eq!(window.limit(), 20);
        window.learn_limit(1_000, at(2));
        assert_eq!((window.limit(), window.free(at(2))), (100, 100));
        window.learn_limit(10, at(3));
        window.learn_limit(10, at(1_000));
        let day = 24 * 60 * 60;
        assert_eq!((window.free(at(day + 999)), window.free(at(day + 1_000))), (10, 100));
        let mut weekly = WindowLimit::new(100, seconds(7 * day), Spread::None);
        weekly.learn_limit(10, at(0));
        assert_eq!((weekly.free(at(7 * day - 1)), weekly.free(at(7 * day))), (10, 100));
    }

    #[test]
    fn a_learned_limit_slows_the_pace_in_proportion() {
        let mut window = WindowLimit::new(60, MINUTE, Spread::Even { burst: 1 });
        window.learn_limit(6, at(0));
        assert_eq!(window.estimate(at(0), 2), at(10));
        window.learn_limit(60, at(0));
        assert_eq!(window.estimate(at(0), 2), at(1));
    }

    #[test]
    fn what_the_vendor_states_to_remain_lowers_the_free_slots_until_its_reset() {
        let mut window = window(10);
        spend(&mut window, 2, at(0));
        window.note_remaining(3, seconds(20), at(0));
        assert_eq!((window.free(at(1)), window.occupied(at(1))), (3, 7));
        spend(&mut window, 3, at(1));
        assert_eq!(window.check_slot(at(1)), Err(at(20)));
        assert_eq!((window.estimate(at(1), 1), window.estimate(at(1), 6)), (at(20), at(60)));
        window.note_remaining(1, seconds(20), at(2));
        assert_eq!((window.free(at(2)), window.free(at(21)), window.free(at(22))), (1, 1, 5));
        window.note_remaining(9, seconds(3_600), at(30));
        assert_eq!(
            window.free(at(30)),
            5,
            "a statement of more than our own figure changes nothing"
        );
        window.note_remaining(1, seconds(3_600), at(30));
        assert_eq!((window.free(at(61)), window.free(at(90))), (6, 10), "at most one window");
    }

    #[test]
    fn drift_is_how_far_the_vendors_statement_exceeds_our_figure() {
        let mut window = window(10);
        spend(&mut window, 4, at(0));
        for (remaining, drift) in [(6, 0), (9, 3), (2, -4), (2, -4)] {
            window.note_remaining(remaining, seconds(5), at(0));
            assert_eq!(window.drift(), Some(drift));
        }
        window.note_stated_limit(50);
        assert_eq!(window.drift(), Some(40));
    }

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

        /// Whatever the vendor states and whatever is estimated, the configured limit is kept, no
        /// more slots are free than the vendor has just stated, and every statement expires.
        #[test]
        fn statements_only_lower_what_is_granted_and_expire(
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
                    Event::Ask { latency } => if window.check_slot(at(now)).is_ok() {
                        window.occupy();
                        open.push(now + latency);
                        counted.push(now + latency / 2);
                    },
                    Event::Remaining(left, reset) => {
                        let before = window.ledger.clone().free(at(now));
                        window.note_remaining(left, seconds(reset), at(now));
                        let most = if reset == 0 { before } else { left.min(before) };
                        prop_assert_eq!(window.free(at(now)), most);
                    }
                    Event::Limit(stated) => {
                        window.learn_limit(stated, at(now));
                        prop_assert_eq!(window.limit(), stated.min(limit));
                    }
                    Event::Estimate(ahead) => {
                        let free = window.free(at(now));
                        window.estimate(at(now + ahead), 3);
                        prop_assert_eq!(window.free(at(now)), free);
                    }
                }
                if window.check_slot(at(now)).is_err_and(|next| next <= at(now)) {
                    prop_assert!(false, "the next check would be at once");
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
