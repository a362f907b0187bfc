//! The pace of an upstream after a throttle where no allowance is configured.
//!
//! There is no configured rate to slow, so the pace is made from the busiest of the last seconds.
//! It doubles every few seconds without a throttle, until it no longer limits anything.

use std::time::Duration;

use super::pace::{Checkpoint, Pace, Rate};
use crate::outcome::FULL_PACE;
use crate::time::Moment;

/// How often the pace doubles: a queue behind it is gone within a call's default patience of 30 s.
const DOUBLING: Duration = Duration::from_secs(5);

/// It ends at this many times the rate that was seen.
const ENDS_AT: u32 = 16;

/// A single call in the busiest second is the throttled one itself, which makes no rate.
const SEEN_MIN: u32 = 2;

#[derive(Debug)]
pub(super) struct TemporaryPace {
    pace: Pace,
    /// Slots per second.
    rate: u32,
    /// The rate that was seen when it began.
    seen: u32,
    /// When it was last slowed or doubled.
    since: Moment,
}

impl TemporaryPace {
    /// The pace after a throttle that slows to so many sixteenths; `busiest` is the number of
    /// calls in the busiest of the last seconds.
    pub(super) fn after_throttle(
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
        let pace = match before {
            Some(Self { mut pace, .. }) => {
                pace.set_rate(per_second(rate), FULL_PACE);
                pace
            }
            None => Pace::new(per_second(rate), FULL_PACE),
        };
        Some(Self { pace, rate, seen, since: now })
    }

    /// Doubles it as often as is due; `None` once it no longer limits anything.
    pub(super) fn recovered(mut self, now: Moment) -> Option<Self> {
        let before = self.rate;
        while self.since.plus(DOUBLING) <= now {
            self.rate = self.rate.saturating_mul(2);
            self.since = self.since.plus(DOUBLING);
            if self.has_recovered(self.rate) {
                return None;
            }
        }
        if before != self.rate {
            self.pace.set_rate(per_second(self.rate), FULL_PACE);
        }
        Some(self)
    }

    pub(super) fn take_turn(&self, now: Moment) -> Result<(), Moment> {
        // The pace doubles meanwhile, so the turn may come sooner than it says.
        self.pace.take_turn(now, 1).map_err(|next| next.min(self.since.plus(DOUBLING)))
    }

    /// The hold has ended. Under it no call could be throttled, so recovery starts only now.
    pub(super) fn reopen(&mut self, now: Moment) {
        self.pace.spend_burst(now);
        self.since = now;
    }

    pub(super) fn checkpoint(&self) -> Checkpoint {
        self.pace.checkpoint()
    }

    pub(super) fn restore(&self, checkpoint: Checkpoint) {
        self.pace.restore(checkpoint);
    }

    /// When the `position`-th turn from now comes, counted from 1, doublings included.
    pub(super) fn estimate(&self, now: Moment, position: u32) -> Moment {
        let mut at = self.pace.estimate(now, 1);
        let (mut left, mut rate) = (position.saturating_sub(1), self.rate);
        let mut doubles = self.since.plus(DOUBLING);
        loop {
            while doubles <= at {
                rate = rate.saturating_mul(2);
                doubles = doubles.plus(DOUBLING);
            }
            if self.has_recovered(rate) || left == 0 {
                return at;
            }
            let interval = per_second(rate).interval(FULL_PACE);
            let turns = at.until(doubles).as_nanos() / interval.as_nanos();
            let turns = u32::try_from(turns).unwrap_or(u32::MAX);
            if left <= turns {
                return at.plus(interval * left);
            }
            left -= turns;
            at = doubles;
        }
    }

    /// The pace in sixteenths of the rate that was seen.
    pub(super) fn sixteenths(&self) -> u8 {
        let part = u64::from(self.rate) * u64::from(FULL_PACE) / u64::from(self.seen.max(1));
        u8::try_from(part.clamp(1, u64::from(FULL_PACE))).unwrap_or(FULL_PACE)
    }

    /// A pace of its own that has spent as much as this one.
    pub(super) fn copy(&self) -> Self {
        let pace = Pace::new(per_second(self.rate), FULL_PACE);
        pace.inherit(&self.pace);
        Self { pace, ..*self }
    }

    const fn has_recovered(&self, rate: u32) -> bool {
        self.seen.saturating_mul(ENDS_AT) <= rate
    }
}

const fn per_second(rate: u32) -> Rate {
    Rate { slots: rate, over: Duration::from_secs(1), burst: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Moment {
        Moment::from_millis(second * 1000)
    }

    fn after(busiest: u32) -> Option<TemporaryPace> {
        TemporaryPace::after_throttle(None, busiest, FULL_PACE / 2, at(100))
    }

    #[test]
    fn a_throttle_without_earlier_calls_makes_no_pace() {
        assert!(after(0).is_none() && after(1).is_none());
        assert_eq!(after(2).map(|it| it.rate), Some(1));
    }

    #[test]
    fn the_pace_doubles_every_five_seconds_until_it_ends() {
        let rate = |second| after(40).and_then(|it| it.recovered(at(second))).map(|it| it.rate);
        let rates = [104, 105, 110, 115, 120, 124, 125].map(rate);
        assert_eq!(rates, [Some(20), Some(40), Some(80), Some(160), Some(320), Some(320), None]);
        assert_eq!(after(40).and_then(|it| it.recovered(Moment::NEVER)).map(|it| it.rate), None);
    }

    #[test]
    fn further_throttles_halve_the_pace_down_to_one_a_second() {
        let mut pace = after(40);
        for rate in [10, 5, 2, 1, 1] {
            pace = TemporaryPace::after_throttle(pace, 40, FULL_PACE / 2, at(101));
            assert_eq!(pace.as_ref().map(|it| it.rate), Some(rate));
        }
        let doubled = after(40).and_then(|it| it.recovered(at(115)));
        let again = TemporaryPace::after_throttle(doubled, 30, FULL_PACE / 2, at(115))
            .map(|it| (it.rate, it.seen));
        assert_eq!(again, Some((15, 40)), "half of what was sent");
    }

    #[test]
    fn estimates_include_the_doublings() {
        let pace = after(2).unwrap();
        let starts = [1, 6, 7, 16, 17, 37].map(|position| pace.estimate(at(100), position));
        let starts = starts.map(|start| start.as_nanos() / 1_000_000);
        assert_eq!(starts, [100_000, 105_000, 105_500, 110_000, 110_250, 115_125]);
        let last = pace.estimate(at(100), 1_000_000);
        assert_eq!(last, at(125), "once it has ended, all may go");
    }
}
