//! The retry budget of one upstream, shared by all workers.
//!
//! What every call touches is one atomic number; the balance itself is behind a lock that only
//! failures take. What the numbers mean is decided in `policy::budget`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::retry::budget::{Budget, MEMORY_SECONDS, second_of};
use crate::time::Moment;

/// Blind retries of one upstream, and the calls that earn them.
#[derive(Debug, Default)]
pub(super) struct Retries {
    /// Calls by the second: the second above, their number below.
    calls: [AtomicU64; MEMORY_SECONDS],
    /// Whether something failed since the latest good answer.
    failing: AtomicBool,
    balance: Mutex<Budget>,
}

const COUNT_BITS: u32 = 32;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

impl Retries {
    /// A call came in.
    pub(super) fn call(&self, now: Moment) {
        let second = second_of(now);
        let place = usize::try_from(second % MEMORY_SECONDS as u64).unwrap_or_default();
        let slot = &self.calls[place];
        if slot.load(Ordering::Relaxed) >> COUNT_BITS == second & COUNT_MASK {
            slot.fetch_add(1, Ordering::Relaxed);
        } else {
            // Two workers that begin a second together lose a call between them, which only
            // makes the budget smaller.
            slot.store((second & COUNT_MASK) << COUNT_BITS | 1, Ordering::Relaxed);
        }
    }

    /// A call's first attempt failed blindly.
    pub(super) fn call_failed(&self, now: Moment) {
        let mut balance = self.balance();
        balance.call_failed(now);
        self.failing.store(true, Ordering::Relaxed);
    }

    /// The upstream gave a good answer.
    pub(super) fn answered(&self) {
        if self.failing.load(Ordering::Relaxed) {
            self.forgive();
        }
    }

    /// Pays one blind retry, if it can be paid.
    pub(super) fn pay(&self, percent: u32, now: Moment) -> bool {
        let calls = self.recent_calls(now);
        let mut balance = self.balance();
        let paid = balance.withdraw(calls, percent, now);
        self.failing.store(true, Ordering::Relaxed);
        paid
    }

    #[cold]
    fn forgive(&self) {
        let mut balance = self.balance();
        balance.answered();
        self.failing.store(false, Ordering::Relaxed);
    }

    fn recent_calls(&self, now: Moment) -> u32 {
        let oldest = second_of(now).saturating_sub(MEMORY_SECONDS as u64 - 1);
        let live = self.calls.iter().map(|slot| slot.load(Ordering::Relaxed));
        let live = live.filter(|slot| oldest & COUNT_MASK <= slot >> COUNT_BITS);
        let sum: u64 = live.map(|slot| slot & COUNT_MASK).sum();
        u32::try_from(sum).unwrap_or(u32::MAX)
    }

    fn balance(&self) -> MutexGuard<'_, Budget> {
        // A panic under the lock is a defect; the balance is counts, and they stay usable.
        self.balance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_forgotten_after_ten_seconds() {
        let at = |second: u64| Moment::from_millis(second * 1_000);
        let retries = Retries::default();
        for second in 0..20 {
            (0..10).for_each(|_| retries.call(at(second)));
        }
        assert_eq!(retries.recent_calls(at(19)), 100);
        assert_eq!(retries.recent_calls(at(24)), 50);
        assert_eq!(retries.recent_calls(at(29)), 0);
    }

    #[test]
    fn a_good_answer_ends_the_failing() {
        let retries = Retries::default();
        let now = Moment::from_millis(60_000);
        (0..1_000).for_each(|_| retries.call(now));
        (0..10).for_each(|_| retries.call_failed(now));
        let paid = |asked: u32| (0..asked).filter(|_| retries.pay(10, now)).count();
        assert_eq!(paid(10), 3);
        retries.answered();
        assert_eq!(paid(10), 3, "since the latest good answer");
    }
}
