//! The retry budget of one upstream as all workers share it.
//!
//! A successful call touches only one atomic counter and one flag; the budget itself is behind a
//! lock that only failures take. `retry::budget` decides what the numbers mean.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::retry::budget::{MEMORY_SECONDS, RetryBudget};
use crate::time::Moment;

#[derive(Debug, Default)]
pub(super) struct SharedRetryBudget {
    /// Calls by the second: the upper half is the second, the lower half their number.
    calls: [AtomicU64; MEMORY_SECONDS],
    /// Whether anything failed since the last good response.
    failing: AtomicBool,
    budget: Mutex<RetryBudget>,
}

const COUNT_BITS: u32 = 32;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

impl SharedRetryBudget {
    pub(super) fn call_began(&self, now: Moment) {
        let second = now.second();
        let place = usize::try_from(second % MEMORY_SECONDS as u64).unwrap_or_default();
        let slot = &self.calls[place];
        if slot.load(Ordering::Relaxed) >> COUNT_BITS == second & COUNT_MASK {
            slot.fetch_add(1, Ordering::Relaxed);
        } else {
            // If two workers begin a second at the same time, one call is not counted, which only
            // makes the budget smaller.
            slot.store((second & COUNT_MASK) << COUNT_BITS | 1, Ordering::Relaxed);
        }
    }

    /// The first attempt of a call failed blindly.
    pub(super) fn call_failed(&self, now: Moment) {
        let mut budget = self.lock();
        budget.call_failed(now);
        self.failing.store(true, Ordering::Relaxed);
    }

    /// A good response came from the upstream.
    pub(super) fn succeeded(&self) {
        if self.failing.load(Ordering::Relaxed) {
            let mut budget = self.lock();
            budget.succeeded();
            self.failing.store(false, Ordering::Relaxed);
        }
    }

    /// Pays for one blind retry and returns true, if the budget covers it.
    pub(super) fn withdraw(&self, percent: u32, now: Moment) -> bool {
        let calls = self.recent_calls(now);
        let mut budget = self.lock();
        let paid = budget.withdraw(calls, percent, now);
        self.failing.store(true, Ordering::Relaxed);
        paid
    }

    fn recent_calls(&self, now: Moment) -> u32 {
        let oldest = now.second().saturating_sub(MEMORY_SECONDS as u64 - 1);
        let slots = self.calls.iter().map(|slot| slot.load(Ordering::Relaxed));
        let recent = slots.filter(|slot| oldest & COUNT_MASK <= slot >> COUNT_BITS);
        let sum: u64 = recent.map(|slot| slot & COUNT_MASK).sum();
        u32::try_from(sum).unwrap_or(u32::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, RetryBudget> {
        // A panic under the lock is a defect, but the budget is only counts, which stay usable.
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_forgotten_after_ten_seconds() {
        let at = |second: u64| Moment::from_millis(second * 1_000);
        let budget = SharedRetryBudget::default();
        for second in 0..20 {
            (0..10).for_each(|_| budget.call_began(at(second)));
        }
        assert_eq!(budget.recent_calls(at(19)), 100);
        assert_eq!(budget.recent_calls(at(24)), 50);
        assert_eq!(budget.recent_calls(at(29)), 0);
    }

    #[test]
    fn a_good_response_frees_the_budget() {
        let budget = SharedRetryBudget::default();
        let now = Moment::from_millis(60_000);
        (0..1_000).for_each(|_| budget.call_began(now));
        (0..10).for_each(|_| budget.call_failed(now));
        let paid = |asked: u32| (0..asked).filter(|_| budget.withdraw(10, now)).count();
        assert_eq!(paid(10), 3);
        budget.succeeded();
        assert_eq!(paid(10), 3, "three more since the good response");
    }
}
