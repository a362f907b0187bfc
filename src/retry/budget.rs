//! The share of calls that may become blind retries.
//!
//! A vendor that is down sees at most this share of additional traffic (10 % by default), or three
//! retries in ten seconds if there are few calls. Two limits ensure that:
//!
//! - The retries of the last ten seconds stay below the share of the calls of the last ten seconds,
//!   so that quiet times save nothing up.
//! - The retries since the last good response stay below the share of the calls that failed since,
//!   so that what good times earned is not spent on a dead vendor. One good response lifts this
//!   limit, so that a short break costs few calls.
//!
//! Retries after a stated wait draw on the budget too. Those it does not cover go through the slow
//! start after a hold (`allowance/slow_start.rs`).

use crate::time::{Moment, PerSecond};

/// Retries in ten seconds that no share has to cover, so that a quiet upstream gets any at all.
pub const FREE_MAX: u32 = 3;

/// For how many seconds calls and retries count.
pub const MEMORY_SECONDS: usize = 10;

/// Counts of the last seconds. The present one is not over yet, so there is one more.
type Counts = PerSecond<u32, { MEMORY_SECONDS + 1 }>;

/// The blind retries of one upstream, and the failures that they answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct RetryBudget {
    retries: Counts,
    /// Since the last good response.
    failed_calls: Counts,
    retries_since_success: Counts,
}

impl RetryBudget {
    /// The first attempt of a call failed blindly.
    pub fn call_failed(&mut self, now: Moment) {
        count(&mut self.failed_calls, now);
    }

    /// A good response came: the upstream is not down.
    pub fn succeeded(&mut self) {
        (self.failed_calls, self.retries_since_success) = (Counts::default(), Counts::default());
    }

    /// Pays for one blind retry and returns true, if the budget covers it. `calls` came in during
    /// the last ten seconds, and `percent` of them may be retries.
    pub fn withdraw(&mut self, calls: u32, percent: u32, now: Moment) -> bool {
        let share = |calls: u32| {
            let share = u64::from(calls) * u64::from(percent) / 100;
            u32::try_from(share).unwrap_or(u32::MAX).max(FREE_MAX)
        };
        let covered = sum(&self.retries, now) < share(calls)
            && sum(&self.retries_since_success, now) < share(sum(&self.failed_calls, now));
        if covered {
            count(&mut self.retries, now);
            count(&mut self.retries_since_success, now);
        }
        covered
    }
}

fn count(counts: &mut Counts, now: Moment) {
    let count = counts.at(now);
    *count = count.saturating_add(1);
}

fn sum(counts: &Counts, now: Moment) -> u32 {
    counts.last(now).fold(0, u32::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Moment {
        Moment::from_millis(second * 1_000)
    }

    /// How many of the retries that are asked for are paid.
    fn paid(budget: &mut RetryBudget, calls: u32, asked: u32, now: Moment) -> u32 {
        (0..asked).map(|_| u32::from(budget.withdraw(calls, 10, now))).sum()
    }

    #[test]
    fn a_dead_vendor_sees_a_tenth_of_additional_traffic_at_most() {
        for (failed, calls, most) in
            [(1, 1, 3), (29, 5_000, 3), (60, 1_560, 6), (200, 200, 20), (200, 40, 4)]
        {
            let mut budget = RetryBudget::default();
            (0..failed).for_each(|_| budget.call_failed(at(60)));
            assert_eq!(paid(&mut budget, calls, 3 * failed, at(60)), most, "{failed} of {calls}");
        }
    }

    #[test]
    fn three_retries_in_ten_seconds_are_free() {
        let mut budget = RetryBudget::default();
        budget.call_failed(at(60));
        assert_eq!(paid(&mut budget, 1, 9, at(60)), FREE_MAX);
        assert_eq!(paid(&mut budget, 1, 9, at(70)), 0);
        assert_eq!(paid(&mut budget, 1, 9, at(71)), FREE_MAX);
    }

    #[test]
    fn a_good_response_frees_the_share_of_all_calls_and_no_more() {
        let mut budget = RetryBudget::default();
        (0..50).for_each(|_| budget.call_failed(at(60)));
        assert_eq!(paid(&mut budget, 1_000, 100, at(60)), 5);
        let mut all = 5;
        for _ in 0..100 {
            budget.succeeded();
            all += paid(&mut budget, 1_000, 100, at(61));
        }
        assert_eq!(all, 100);
    }
}
