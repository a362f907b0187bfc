//! The timer of an attempt, kept by its client's connection from one call to the next.
//!
//! Registering and cancelling a runtime timer for every call costs more than all other timeout
//! bookkeeping, and almost none ever fires. So the timer stays registered from call to call as
//! long as it fires early enough, and is moved to the moment that is due then when it fires.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::time::Sleep;

use crate::clock::Clock;
use crate::time::Moment;

/// Where a connection keeps its timer between calls.
pub(super) struct TimerSlot(Mutex<Option<Box<Timer>>>);

impl TimerSlot {
    pub(super) const fn empty() -> Self {
        Self(Mutex::new(None))
    }

    /// Takes the timer out of the slot, or makes a new one; concurrent calls have one each.
    pub(super) fn take(&self, clock: Clock, due: Moment) -> AttemptTimer<'_> {
        let kept = self.locked().take();
        let timer = kept.unwrap_or_else(|| {
            let sleep = Box::pin(clock.sleep_until(due));
            Box::new(Timer { clock, sleep, fires_at: due, waker: None })
        });
        AttemptTimer { slot: self, timer: Some(timer) }
    }

    fn locked(&self) -> MutexGuard<'_, Option<Box<Timer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TimerSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerSlot").finish_non_exhaustive()
    }
}

/// A timer in use. Dropping it puts it back into its slot.
pub(super) struct AttemptTimer<'a> {
    slot: &'a TimerSlot,
    timer: Option<Box<Timer>>,
}

impl AttemptTimer<'_> {
    /// Ready once `due` has passed.
    pub(super) fn poll(&mut self, due: Moment, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.as_mut().map_or(Poll::Pending, |timer| timer.poll(due, cx))
    }
}

impl Drop for AttemptTimer<'_> {
    fn drop(&mut self) {
        *self.slot.locked() = self.timer.take();
    }
}

struct Timer {
    clock: Clock,
    sleep: Pin<Box<Sleep>>,
    /// At or before the moment that is waited for.
    fires_at: Moment,
    /// The task that is registered to be woken.
    waker: Option<Waker>,
}

impl Timer {
    fn poll(&mut self, due: Moment, cx: &mut Context<'_>) -> Poll<()> {
        if due < self.fires_at || self.sleep.is_elapsed() {
            self.sleep.as_mut().reset(self.clock.instant(due));
            (self.fires_at, self.waker) = (due, None);
        }
        if self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        self.waker = Some(cx.waker().clone());
        self.sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    async fn fired(timer: &mut AttemptTimer<'_>, due: Moment) {
        poll_fn(|cx| timer.poll(due, cx)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_fires_when_due_whatever_it_was_set_to_before() {
        let clock = Clock::start();
        let slot = TimerSlot::empty();
        let after = |seconds| clock.now().plus(Duration::from_secs(seconds));
        for (set, due) in [(60, 60), (60, 5), (5, 60), (60, 61)] {
            let mut timer = slot.take(clock, after(set));
            let first = after(set);
            let pending = poll_fn(|cx| Poll::Ready(timer.poll(first, cx).is_pending())).await;
            assert!(pending, "set to {set} s");
            let due = after(due);
            fired(&mut timer, due).await;
            assert!(due <= clock.now() && clock.now() <= due.plus(Duration::from_millis(5)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_wakes_the_task_that_polled_last() {
        let clock = Clock::start();
        let due = clock.now().plus(Duration::from_secs(60));
        let slot = TimerSlot::empty();
        let mut timer = slot.take(clock, due);
        let noop = &mut Context::from_waker(Waker::noop());
        assert!(timer.poll(due, noop).is_pending());
        fired(&mut timer, due).await;
        assert!(due <= clock.now());
    }
}
