//! An allowance of so many attempts at the same time.
//!
//! A pure state machine. A place is taken until the answer's body has ended. An attempt that was
//! given up before that keeps its place for the linger, because the vendor may still be at work.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::{Moment, nanos};

/// So many places linger exactly as long as they should: all of them, where the limit is enforced
/// and not larger.
const EXACT_MAX: usize = 1_024;

/// Beyond that they are released in so many steps of the linger, late by less than one.
const STEPS: u64 = 64;

/// How an attempt leaves its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// It is complete, or was never sent: the vendor is not at work on it.
    Done,
    /// It was given up: the vendor may be.
    GivenUp,
}

/// So many attempts at the same time.
#[derive(Clone, Debug)]
pub(super) struct ConcurrencyLimit {
    limit: u32,
    under_way: u32,
    linger: u64,
    /// Given-up attempts by the moment their places are free, ascending.
    lingering: VecDeque<(u64, u32)>,
}

impl ConcurrencyLimit {
    pub(super) fn new(limit: u32, linger: Duration) -> Self {
        Self { limit, under_way: 0, linger: nanos(linger), lingering: VecDeque::new() }
    }

    pub(super) const fn limit(&self) -> u32 {
        self.limit
    }

    /// Places taken at `now`.
    pub(super) fn taken(&mut self, now: Moment) -> u32 {
        while self.lingering.front().is_some_and(|(until, _)| *until <= now.as_nanos()) {
            self.lingering.pop_front();
        }
        self.under_way.saturating_add(self.lingering.iter().map(|(_, count)| count).sum())
    }

    /// Whether a place is free at `now`, else when one will be unless an attempt ends before.
    pub(super) fn room(&mut self, now: Moment) -> Result<(), Moment> {
        if self.taken(now) < self.limit {
            return Ok(());
        }
        Err(self.lingering.front().map_or(Moment::NEVER, |(until, _)| Moment::from_nanos(*until)))
    }

    /// When the `position`-th newcomer would start if every attempt under way ended at once.
    pub(super) fn estimate(&self, start: Moment, position: u32) -> Moment {
        let lingering = self.lingering.iter().filter(|(until, _)| start.as_nanos() < *until);
        let taken: u32 = lingering.clone().map(|(_, count)| count).sum();
        let mut missing = taken.saturating_add(position.min(self.limit)).saturating_sub(self.limit);
        for (until, count) in lingering {
            if missing <= *count {
                return if missing == 0 { start } else { Moment::from_nanos(*until) };
            }
            missing -= count;
        }
        start
    }

    pub(super) const fn occupy(&mut self) {
        self.under_way = self.under_way.saturating_add(1);
    }

    pub(super) fn leave(&mut self, how: Leave, now: Moment) {
        self.under_way = self.under_way.saturating_sub(1);
        if how == Leave::Done || self.linger == 0 {
            return;
        }
        let step = if self.lingering.len() < EXACT_MAX { 1 } else { self.linger.div_ceil(STEPS) };
        let until = now.as_nanos().saturating_add(self.linger);
        let until = until.div_ceil(step).saturating_mul(step);
        match self.lingering.back_mut() {
            Some((last, count)) if until <= *last => *count = count.saturating_add(1),
            _ => self.lingering.push_back((until, 1)),
        }
    }

    /// Takes over the places that linger in another one of the same allowance.
    pub(super) fn inherit(&mut self, from: &Self) {
        self.lingering.clone_from(&from.lingering);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINGER: Duration = Duration::from_secs(30);

    fn at(second: u64) -> Moment {
        Moment::from_millis(second * 1000)
    }

    #[test]
    fn a_place_given_up_is_taken_for_the_linger() {
        let mut places = ConcurrencyLimit::new(2, LINGER);
        places.occupy();
        places.occupy();
        assert_eq!(places.room(at(0)), Err(Moment::NEVER));
        places.leave(Leave::GivenUp, at(5));
        places.leave(Leave::Done, at(6));
        assert_eq!((places.taken(at(6)), places.room(at(6))), (1, Ok(())));
        places.occupy();
        assert_eq!((places.room(at(7)), places.room(at(35))), (Err(at(35)), Ok(())));
    }

    #[test]
    fn without_a_linger_a_place_is_free_at_once() {
        let mut places = ConcurrencyLimit::new(1, Duration::ZERO);
        places.occupy();
        places.leave(Leave::GivenUp, at(5));
        assert_eq!(places.room(at(5)), Ok(()));
    }

    #[test]
    fn newcomers_start_as_places_stop_to_linger() {
        let mut places = ConcurrencyLimit::new(3, LINGER);
        for second in 0..3 {
            places.occupy();
            places.leave(Leave::GivenUp, at(second));
        }
        let starts = [1, 2, 3, 4].map(|position| places.estimate(at(10), position));
        assert_eq!(starts, [at(30), at(31), at(32), at(32)]);
        assert_eq!([29, 30, 31].map(|second| places.taken(at(second))), [3, 2, 1]);
    }

    #[test]
    fn what_only_observes_keeps_a_short_list() {
        let mut places = ConcurrencyLimit::new(1, LINGER);
        for millis in 0..20_000 {
            places.occupy();
            places.leave(Leave::GivenUp, Moment::from_millis(millis));
        }
        assert!(places.lingering.len() <= EXACT_MAX + 65);
        assert_eq!((places.taken(at(20)), places.taken(at(51))), (20_000, 0));
    }

    proptest! {
        /// At no moment are more attempts at the vendor than the limit, though it works on for up
        /// to the linger after an attempt was given up.
        #[test]
        fn never_more_at_a_time(
            limit in 1_u32..5,
            calls in prop::collection::vec((0_u64..20, 1_u64..40, prop::bool::ANY), 1..200),
        ) {
            let mut places = ConcurrencyLimit::new(limit, LINGER);
            let (mut now, mut open, mut at_work) = (0, Vec::new(), Vec::new());
            for (gap, length, given_up) in calls {
                now += gap;
                open.sort_unstable();
                open.retain(|(end, given_up)| {
                    let how = if *given_up { Leave::GivenUp } else { Leave::Done };
                    if *end <= now { places.leave(how, at(*end)); }
                    now < *end
                });
                if places.room(at(now)).is_ok() {
                    places.occupy();
                    open.push((now + length, given_up));
                    at_work.push((now, now + length + if given_up { 30 } else { 0 }));
                }
                let busy = at_work.iter().filter(|(from, to)| *from <= now && now < *to).count();
                prop_assert!(busy <= limit as usize, "{busy} of {limit}");
            }
        }
    }
}
