//! The pace of `spread: auto`, which holds nobody back while plenty is left and never lets a window
//! run empty for long.
//!
//! While less than half of an allowance is occupied, calls start at once. From there on the free
//! units are spread evenly over the time until the next release: a call starts once the units of
//! the grant before it have had their share of that time. Under saturation the longest pause is
//! about 2·W/N, and at least 99.9 % of an allowance is used. Spreading until half is free again
//! would waste a quarter of it, and a burst of N/2 followed by W/N pauses for half a window.

use std::time::Duration;

use crate::time::{Moment, nanos};

/// How much of a limit is used, and when more becomes free.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) limit: u32,
    pub(super) occupied: u32,
    pub(super) next_release: Moment,
}

impl Usage {
    const fn free(self) -> u32 {
        self.limit.saturating_sub(self.occupied)
    }

    /// How many units start at once, before half of the limit is occupied.
    pub(super) const fn at_once(self) -> u32 {
        self.limit.div_ceil(2).saturating_sub(self.occupied)
    }
}

/// The latest grant: its units are spread over the time from here to the next release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AutoPace {
    at: Moment,
    units: u32,
}

impl AutoPace {
    /// The latest grant was one unit at `at`.
    pub(super) const fn after(at: Moment) -> Self {
        Self { at, units: 1 }
    }

    /// Takes a turn for a call of so many units. A call that costs nothing needs none.
    ///
    /// # Errors
    /// It is too early; the moment is when the next turn comes.
    pub(super) fn take_turn(
        &mut self,
        now: Moment,
        units: u32,
        usage: Usage,
    ) -> Result<(), Moment> {
        if units == 0 {
            return Ok(());
        }
        let next = self.estimate(Moment::START, 1, usage);
        if now < next {
            return Err(next);
        }
        *self = Self { at: now, units };
        Ok(())
    }

    /// When the turn of the `position`-th unit from `start` comes, counted from 1. Units that are
    /// not free wait for the ledger instead.
    pub(super) fn estimate(self, start: Moment, position: u32, usage: Usage) -> Moment {
        let (at_once, free) = (usage.at_once(), usage.free());
        if position <= at_once {
            return start;
        }
        let spread = position.min(free).saturating_sub(at_once);
        let last = if at_once > 0 { Self { at: start, units: 1 } } else { self };
        let units = u64::from(last.units);
        let before = units + u64::from(spread.saturating_sub(1));
        let all = units + u64::from(free.saturating_sub(at_once));
        let time = u128::from(nanos(usage.next_release.since(last.at)));
        let share = (time * u128::from(before)).div_ceil(u128::from(all.max(1)));
        last.at.plus(Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX))).max(start)
    }

    /// How long after the beginning of a period its `position`-th unit starts, if all before it
    /// have been asked for.
    pub(super) fn wait_in_period(position: u32, limit: u32, length: Duration) -> Duration {
        let at_once = limit.div_ceil(2);
        let spread = u128::from(position.saturating_sub(at_once));
        let share = length.as_nanos() * spread / u128::from(limit - at_once + 1);
        Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX))
    }

    pub(super) const fn latest(self) -> Moment {
        self.at
    }

    /// Takes over the latest grant of another one.
    pub(super) fn inherit(&mut self, from: Self) {
        if self.at < from.at {
            *self = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Moment {
        Moment::from_millis(second * 1_000)
    }

    fn usage(limit: u32, occupied: u32) -> Usage {
        Usage { limit, occupied, next_release: at(100) }
    }

    #[test]
    fn nobody_is_held_back_while_less_than_half_is_occupied() {
        let mut pace = AutoPace::default();
        for occupied in 0..500 {
            assert_eq!(pace.take_turn(at(1), 1, usage(1_000, occupied)), Ok(()), "{occupied}");
        }
        assert!(pace.take_turn(at(1), 1, usage(1_000, 500)).is_err());
    }

    #[test]
    fn from_half_on_the_free_units_are_spread_over_the_time_to_the_next_release() {
        let mut pace = AutoPace::default();
        assert_eq!(pace.take_turn(at(0), 1, usage(8, 3)), Ok(()));
        for (occupied, next) in [(4, 20), (5, 40), (6, 60), (7, 80)] {
            let early = pace.take_turn(at(next - 1), 1, usage(8, occupied));
            assert_eq!(early, Err(at(next)), "{occupied} occupied");
            assert_eq!(pace.take_turn(at(next), 1, usage(8, occupied)), Ok(()));
        }
    }

    #[test]
    fn a_grant_of_many_units_has_as_many_shares_of_the_time() {
        let mut pace = AutoPace::default();
        assert_eq!(pace.take_turn(at(0), 6, usage(16, 4)), Ok(()));
        assert_eq!(pace.take_turn(at(49), 1, usage(16, 10)), Err(at(50)));
        assert_eq!(pace.take_turn(at(49), 0, usage(16, 10)), Ok(()), "it costs nothing");
        assert_eq!(pace.take_turn(at(50), 1, usage(16, 10)), Ok(()));
    }

    #[test]
    fn a_turn_is_never_later_than_the_next_release() {
        let mut pace = AutoPace::default();
        assert_eq!(pace.take_turn(at(90), 1, usage(2, 0)), Ok(()));
        assert_eq!(pace.take_turn(at(91), 1, usage(2, 2)), Err(at(100)));
        assert_eq!(pace.take_turn(at(100), 1, usage(2, 2)), Ok(()));
        assert_eq!(pace.take_turn(at(101), 1, usage(2, 1)), Ok(()), "the release has passed");
    }

    #[test]
    fn estimates_are_when_turns_come() {
        let mut pace = AutoPace::default();
        let turns = [1, 2, 3, 4].map(|position| pace.estimate(at(0), position, usage(8, 3)));
        assert_eq!(turns, [at(0), at(20), at(40), at(60)]);
        assert_eq!(pace.take_turn(at(0), 1, usage(8, 4)), Ok(()), "rested");
        let turns = [1, 2, 3].map(|position| pace.estimate(at(0), position, usage(8, 5)));
        assert_eq!(turns, [at(25), at(50), at(75)]);
        assert_eq!(pace.estimate(at(30), 1, usage(8, 5)), at(30));
    }
}
