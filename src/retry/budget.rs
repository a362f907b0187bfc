//! The share of calls that may become blind retries.
//!
//! A vendor that is down sees at most this share more than the calls themselves (10 % by default),
//! or, of few calls, three retries in ten seconds. Two bounds make that true. Retries of the last
//! ten seconds stay below the share of the calls of the last ten seconds: what was saved ages. And
//! since the last good answer they stay below the share of the calls that failed since: what good
//! times earned is not spent on a dead vendor, while one good answer frees the rest again, so that
//! a short break costs few calls. A retry after a stated wait draws on the budget too, and what it
//! does not cover the first time is bounded by the ramp after the hold (`allowance::ramp`).

use crate::time::Moment;

/// Retries in ten seconds that need no share, so that a quiet upstream gets any at all.
pub const FREE_MAX: u32 = 3;

/// How long calls and retries are remembered.
pub const MEMORY_SECONDS: usize = 10;

/// Blind retries of one upstream, and the failures they answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    retries: Seconds,
    /// Since the latest good answer.
    failed_calls: Seconds,
    failed_retries: Seconds,
}

impl Budget {
    /// A call's first attempt failed blindly.
    pub fn call_failed(&mut self, now: Moment) {
        self.failed_calls.count(now);
    }

    /// The upstream gave a good answer: it is not down.
    pub fn answered(&mut self) {
        (self.failed_calls, self.failed_retries) = (Seconds::default(), Seconds::default());
    }

    /// Pays one blind retry, if it can be paid: `calls` came in during the last ten seconds, and
    /// `percent` of them may be retries.
    pub fn withdraw(&mut self, calls: u32, percent: u32, now: Moment) -> bool {
        let share = |calls: u32| {
            let share = u64::from(calls) * u64::from(percent) / 100;
            u32::try_from(share).unwrap_or(u32::MAX).max(FREE_MAX)
        };
        let payable = self.retries.sum(now) < share(calls)
            && self.failed_retries.sum(now) < share(self.failed_calls.sum(now));
        if payable {
            self.retries.count(now);
            self.failed_retries.count(now);
        }
        payable
    }
}

/// Seconds that are kept: the present one is not over yet, so one more than is remembered.
const SLOTS: usize = MEMORY_SECONDS + 1;

/// Counts by the second; a slot is cleared when its second comes round again.
#[derive(Clone, Copy, Debug, Default)]
struct Seconds {
    slots: [(u64, u32); SLOTS],
}

impl Seconds {
    fn count(&mut self, now: Moment) {
        let second = second_of(now);
        let place = usize::try_from(second % SLOTS as u64).unwrap_or_default();
        let slot = &mut self.slots[place];
        if slot.0 != second {
            *slot = (second, 0);
        }
        slot.1 = slot.1.saturating_add(1);
    }

    fn sum(&self, now: Moment) -> u32 {
        let oldest = second_of(now).saturating_sub(MEMORY_SECONDS as u64);
        let live = self.slots.iter().filter(|(second, _)| oldest <= *second);
        live.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

/// The second that a moment belongs to.
#[must_use]
pub const fn second_of(now: Moment) -> u64 {
    now.as_nanos() / 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Moment {
        Moment::from_millis(second * 1_000)
    }

    /// Retries that are paid of so many that are asked for.
    fn paid(budget: &mut Budget, calls: u32, asked: u32, now: Moment) -> u32 {
        (0..asked).map(|_| u32::from(budget.withdraw(calls, 10, now))).sum()
    }

    #[test]
    fn a_dead_vendor_sees_a_tenth_more_whatever_was_saved() {
        for (failed, calls, most) in
            [(1, 1, 3), (29, 5_000, 3), (60, 1_560, 6), (200, 200, 20), (200, 40, 4)]
        {
            let mut budget = Budget::default();
            (0..failed).for_each(|_| budget.call_failed(at(60)));
            assert_eq!(paid(&mut budget, calls, 3 * failed, at(60)), most, "{failed} of {calls}");
        }
    }

    #[test]
    fn three_are_free_in_ten_seconds() {
        let mut budget = Budget::default();
        budget.call_failed(at(60));
        assert_eq!(paid(&mut budget, 1, 9, at(60)), FREE_MAX);
        assert_eq!(paid(&mut budget, 1, 9, at(70)), 0);
        assert_eq!(paid(&mut budget, 1, 9, at(71)), FREE_MAX);
    }

    #[test]
    fn a_good_answer_frees_the_share_of_all_calls_and_no_more() {
        let mut budget = Budget::default();
        (0..50).for_each(|_| budget.call_failed(at(60)));
        assert_eq!(paid(&mut budget, 1_000, 100, at(60)), 5);
        let mut all = 5;
        for _ in 0..100 {
            budget.answered();
            all += paid(&mut budget, 1_000, 100, at(61));
        }
        assert_eq!(all, 100);
    }
}
