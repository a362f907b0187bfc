//! The pace of an upstream after a throttle where no allowance is configured.
//!
//! There is no configured rate to halve, so it is made of the busiest second that was seen, and
//! doubles for every few seconds without a throttle until it binds nobody. The hold does the rest.

use std::time::Duration;

use crate::allowance::pace::{Mark, Pace, Rate};
use crate::outcome::FULL_PACE;
use crate::time::Moment;

const SECOND: Duration = Duration::from_secs(1);

/// It doubles for each of these without a throttle: within a call's default patience of 30 s a
/// queue behind it is gone.
const DOUBLING: Duration = Duration::from_secs(5);

/// It ends when it is so many times the rate that was seen.
const ENDS_AT: u32 = 16;

/// A single call in the busiest second is the throttled one itself: an idle history, no rate.
const SEEN_MIN: u32 = 2;

/// A pace for a while.
#[derive(Debug)]
pub(super) struct Temporary {
    pace: Pace,
    /// Turns in a second.
    rate: u32,
    /// The rate that was seen when it began.
    seen: u32,
    /// When it was last halved or doubled.
    since: Moment,
}

impl Temporary {
    /// The pace after a throttle that slows to so many sixteenths; `busiest` is the number of
    /// calls in the busiest of the last seconds.
    pub(super) fn after(
        before: Option<Self>,
        busiest: u32,
        sixteenths: u8,
        now: Moment,
    ) -> Option<Self> {
        let slowed = |rate: u32| {
            let part = u64::from(rate) * u64::from(sixteenths) / u64::from(FULL_PACE);
            u32::try_from(part).unwrap_or(u32::MAX).max(1)
        };
        let (rate, seen) = match &before {
            Some(before) => (slowed(before.rate.min(busiest.max(1))), before.seen),
            None if busiest < SEEN_MIN => return None,
            None => (slowed(busiest), busiest),
        };
        let mut pace =
            before.map_or_else(|| Pace::new(even(rate), FULL_PACE), |before| before.pace);
        pace.set_rate(even(rate), FULL_PACE);
        Some(Self { pace, rate, seen, since: now })
    }

    /// Doubles it as often as is due; `None` once it binds nobody.
    pub(super) fn recovered(mut self, now: Moment) -> Option<Self> {
        let before = self.rate;
        while self.since.plus(DOUBLING) <= now {
            self.rate = self.rate.saturating_mul(2);
            self.since = self.since.plus(DOUBLING);
            if self.is_over() {
                return None;
            }
        }
        if before != self.rate {
            self.pace.set_rate(even(self.rate), FULL_PACE);
        }
        Some(self)
    }

    pub(super) fn take(&self, now: Moment) -> Result<(), Moment> {
        // It may be twice as fast by the time its next turn comes.
        self.pace.take(now).map_err(|next| next.min(self.since.plus(DOUBLING)))
    }

    /// The hold is over, in which nothing could be throttled: now it is found out.
    pub(super) fn reopen(&mut self, now: Moment) {
        self.pace.spend_burst(now);
        self.since = now;
    }

    pub(super) fn mark(&self) -> Mark {
        self.pace.mark()
    }

    pub(super) fn restore(&self, mark: Mark) {
        self.pace.restore(mark);
    }

    /// When the `position`-th turn from now would come, counted from 1, doublings included.
    pub(super) fn estimate(&self, now: Moment, position: u32) -> Moment {
        let mut at = self.pace.estimate(now, 1);
        let (mut left, mut rate) = (position.saturating_sub(1), self.rate);
        let mut doubles = self.since.plus(DOUBLING);
        loop {
            while doubles <= at {
                rate = rate.saturating_mul(2);
                doubles = doubles.plus(DOUBLING);
            }
            if self.seen.saturating_mul(ENDS_AT) <= rate || left == 0 {
                return at;
            }
            let interval = even(rate).interval(FULL_PACE);
            let turns = at.until(doubles).as_nanos() / interval.as_nanos();
            let turns = u32::try_from(turns).unwrap_or(u32::MAX);
            if left <= turns {
                return at.plus(interval * left);
            }
            left -= turns;
            at = doubles;
        }
    }

    /// Its part of the rate that was seen, in sixteenths.
    pub(super) fn sixteenths(&self) -> u8 {
        let part = u64::from(self.rate) * u64::from(FULL_PACE) / u64::from(self.seen.max(1));
        u8::try_from(part.clamp(1, u64::from(FULL_PACE))).unwrap_or(FULL_PACE)
    }

    /// Takes over what another one has spent.
    pub(super) fn copy(&self) -> Self {
        let pace = Pace::new(even(self.rate), FULL_PACE);
        pace.inherit(&self.pace);
        Self { pace, ..*self }
    }

    const fn is_over(&self) -> bool {
        self.seen.saturating_mul(ENDS_AT) <= self.rate
    }
}

const fn even(rate: u32) -> Rate {
    Rate { slots: rate, over: SECOND, burst: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Moment {
        Moment::from_millis(second * 1000)
    }

    fn after(busiest: u32) -> Option<Temporary> {
        Temporary::after(None, busiest, FULL_PACE / 2, at(100))
    }

    #[test]
    fn an_idle_history_makes_no_pace() {
        assert!(after(0).is_none() && after(1).is_none());
        assert_eq!(after(2).map(|it| it.rate), Some(1));
    }

    #[test]
    fn it_doubles_until_it_is_gone() {
        let rate = |second| after(40).and_then(|it| it.recovered(at(second))).map(|it| it.rate);
        let rates = [104, 105, 110, 115, 120, 124, 125].map(rate);
        assert_eq!(rates, [Some(20), Some(40), Some(80), Some(160), Some(320), Some(320), None]);
        assert_eq!(after(40).and_then(|it| it.recovered(Moment::NEVER)).map(|it| it.rate), None);
    }

    #[test]
    fn further_throttles_halve_it_down_to_one_a_second() {
        let mut pace = after(40);
        for rate in [10, 5, 2, 1, 1] {
            pace = Temporary::after(pace, 40, FULL_PACE / 2, at(101));
            assert_eq!(pace.as_ref().map(|it| it.rate), Some(rate));
        }
        let doubled = after(40).and_then(|it| it.recovered(at(115)));
        let again =
            Temporary::after(doubled, 30, FULL_PACE / 2, at(115)).map(|it| (it.rate, it.seen));
        assert_eq!(again, Some((15, 40)), "half of what was really sent");
    }

    #[test]
    fn estimates_know_of_the_doublings() {
        let pace = after(2).unwrap();
        let starts = [1, 6, 7, 16, 17, 37].map(|position| pace.estimate(at(100), position));
        let starts = starts.map(|start| start.as_nanos() / 1_000_000);
        assert_eq!(starts, [100_000, 105_000, 105_500, 110_000, 110_250, 115_125]);
        let last = pace.estimate(at(100), 1_000_000);
        assert_eq!(last, at(125), "when it is over nothing holds back");
    }
}
