//! An allowance of N attempts at the same time.
//!
//! A permit is held until the body of the response has ended. An attempt abandoned
//! before that keeps its permit for `linger`, because the vendor may still be at work on it.

use std::collections::VecDeque;
use std::time::Duration;

use super::lever::LoweredLimit;
use crate::time::{Moment, nanos};

/// Up to this many permits of abandoned attempts are released exactly on time; an enforced limit up
/// to this size never needs more.
const EXACT_MAX: usize = 1_024;

/// Beyond that, release times are rounded up to `linger / STEPS`.
const STEPS: u64 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PermitEnd {
    /// The exchange is complete, or was never sent: the vendor is not at work on it.
    Done,
    /// The exchange was given up: the vendor may still be at work on it.
    GivenUp,
}

#[derive(Clone, Debug)]
pub(super) struct ConcurrencyLimit {
    configured: u32,
    /// The limit in force: an operator may have lowered it.
    limit: u32,
    lowered: Option<LoweredLimit>,
    in_flight: u32,
    linger_nanos: u64,
    /// The permits of abandoned attempts by the moment when they are free, ascending.
    lingering: VecDeque<(u64, u32)>,
}

impl ConcurrencyLimit {
    pub(super) fn new(limit: u32, linger: Duration) -> Self {
        Self {
            configured: limit,
            limit,
            lowered: None,
            in_flight: 0,
            linger_nanos: nanos(linger),
            lingering: VecDeque::new(),
        }
    }

    pub(super) const fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) const fn configured(&self) -> u32 {
        self.configured
    }

    /// Attempts under way, without those that were given up.
    pub(super) const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Lowers the limit below the configured one, or no longer.
    pub(super) fn set_lowered(&mut self, to: Option<LoweredLimit>) {
        self.lowered = to;
        self.limit = to.map_or(self.configured, |to| to.of(self.configured));
    }

    /// Frees the permits of attempts that were given up; returns how many.
    pub(super) fn forget_given_up(&mut self, now: Moment) -> u64 {
        let before = self.occupied(now);
        self.lingering.clear();
        u64::from(before - self.occupied(now))
    }

    pub(super) fn occupied(&mut self, now: Moment) -> u32 {
        while self.lingering.front().is_some_and(|(until, _)| *until <= now.as_nanos()) {
            self.lingering.pop_front();
        }
        self.in_flight.saturating_add(self.lingering.iter().map(|(_, count)| count).sum())
    }

    /// Whether a permit is free at `now`; if not, when one will be, unless an attempt ends before.
    pub(super) fn check_slot(&mut self, now: Moment) -> Result<(), Moment> {
        if self.occupied(now) < self.limit {
            return Ok(());
        }
        Err(self.lingering.front().map_or(Moment::NEVER, |(until, _)| Moment::from_nanos(*until)))
    }

    /// When the `position`-th new attempt would start if all attempts under way ended at once.
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
        self.in_flight = self.in_flight.saturating_add(1);
    }

    pub(super) fn release(&mut self, end: PermitEnd, now: Moment) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if end == PermitEnd::Done || self.linger_nanos == 0 {
            return;
        }
        let step =
            if self.lingering.len() < EXACT_MAX { 1 } else { self.linger_nanos.div_ceil(STEPS) };
        let until = now.as_nanos().saturating_add(self.linger_nanos);
        let until = until.div_ceil(step).saturating_mul(step);
        match self.lingering.back_mut() {
            Some((last, count)) if until <= *last => *count = count.saturating_add(1),
            _ => self.lingering.push_back((until, 1)),
        }
    }

    /// Applies a changed limit from the next permit on.
    pub(super) fn reconfigure(&mut self, limit: u32, linger: Duration) {
        (self.configured, self.linger_nanos) = (limit, nanos(linger));
        self.set_lowered(self.lowered);
    }

    /// Takes over the lingering permits of another one of the same allowance.
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
    fn a_given_up_attempt_keeps_its_permit_for_the_linger() {
        let mut limit = ConcurrencyLimit::new(2, LINGER);
        limit.occupy();
        limit.occupy();
        assert_eq!(limit.check_slot(at(0)), Err(Moment::NEVER));
        limit.release(PermitEnd::GivenUp, at(5));
        limit.release(PermitEnd::Done, at(6));
        assert_eq!((limit.occupied(at(6)), limit.check_slot(at(6))), (1, Ok(())));
        limit.occupy();
        assert_eq!((limit.check_slot(at(7)), limit.check_slot(at(35))), (Err(at(35)), Ok(())));
    }

    #[test]
    fn without_a_linger_a_given_up_attempt_frees_its_permit_at_once() {
        let mut limit = ConcurrencyLimit::new(1, Duration::ZERO);
        limit.occupy();
        limit.release(PermitEnd::GivenUp, at(5));
        assert_eq!(limit.check_slot(at(5)), Ok(()));
    }

    #[test]
    fn estimates_follow_the_end_of_the_linger() {
        let mut limit = ConcurrencyLimit::new(3, LINGER);
        for second in 0..3 {
            limit.occupy();
            limit.release(PermitEnd::GivenUp, at(second));
        }
        let starts = [1, 2, 3, 4].map(|position| limit.estimate(at(10), position));
        assert_eq!(starts, [at(30), at(31), at(32), at(32)]);
        assert_eq!([29, 30, 31].map(|second| limit.occupied(at(second))), [3, 2, 1]);
    }

    #[test]
    fn an_allowance_that_only_observes_keeps_a_bounded_list() {
        let mut limit = ConcurrencyLimit::new(1, LINGER);
        for millis in 0..20_000 {
            limit.occupy();
            limit.release(PermitEnd::GivenUp, Moment::from_millis(millis));
        }
        assert!(limit.lingering.len() <= EXACT_MAX + 65);
        assert_eq!((limit.occupied(at(20)), limit.occupied(at(51))), (20_000, 0));
    }

    proptest! {
        /// Although the vendor works on for up to the linger after an attempt was given up.
        #[test]
        fn no_more_attempts_than_the_limit_are_ever_at_the_vendor(
            most in 1_u32..5,
            calls in prop::collection::vec((0_u64..20, 1_u64..40, prop::bool::ANY), 1..200),
        ) {
            let mut limit = ConcurrencyLimit::new(most, LINGER);
            let (mut now, mut open, mut at_work) = (0, Vec::new(), Vec::new());
            for (gap, length, given_up) in calls {
                now += gap;
                open.sort_unstable();
                open.retain(|(over, given_up)| {
                    let end = if *given_up { PermitEnd::GivenUp } else { PermitEnd::Done };
                    if *over <= now { limit.release(end, at(*over)); }
                    now < *over
                });
                if limit.check_slot(at(now)).is_ok() {
                    limit.occupy();
                    open.push((now + length, given_up));
                    at_work.push((now, now + length + if given_up { 30 } else { 0 }));
                }
                let busy = at_work.iter().filter(|(from, to)| *from <= now && now < *to).count();
                prop_assert!(busy <= most as usize, "{busy} of {most}");
            }
        }
    }
}
