//! The timer over an attempt, kept from one call of a connection to the next.
//!
//! A timer that is set and taken back for every call costs more than the rest of its watch, and
//! nearly none ever goes off. So it stays where it was set as long as that is early enough, and is
//! moved when it goes off. Refuses to know what it is set for.

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::time::Sleep;

use crate::clock::Clock;
use crate::time::Moment;

/// An alarm in use; dropped, it goes back to where the next call finds it.
pub(super) struct Lent<'a> {
    place: &'a AlarmPlace,
    alarm: Option<Box<Alarm>>,
}

impl Lent<'_> {
    /// Ready when `due` has come.
    pub(super) fn poll(&mut self, due: Moment, cx: &mut Context<'_>) -> Poll<()> {
        self.alarm.as_mut().map_or(Poll::Pending, |alarm| alarm.poll(due, cx))
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        *self.place.locked() = self.alarm.take();
    }
}

/// A timer that can be used again.
struct Alarm {
    clock: Clock,
    sleep: Pin<Box<Sleep>>,
    /// When it goes off; at the moment that is waited for, or before it.
    set: Moment,
    /// Whom it wakes.
    waker: Option<Waker>,
}

impl Alarm {
    fn new(clock: Clock, due: Moment) -> Self {
        Self { clock, sleep: Box::pin(clock.sleep_until(due)), set: due, waker: None }
    }

    fn poll(&mut self, due: Moment, cx: &mut Context<'_>) -> Poll<()> {
        if due < self.set || self.sleep.is_elapsed() {
            self.sleep.as_mut().reset(self.clock.instant(due));
            (self.set, self.waker) = (due, None);
        }
        if self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        self.waker = Some(cx.waker().clone());
        self.sleep.as_mut().poll(cx)
    }
}

/// Where a connection keeps its alarm between calls.
pub(super) struct AlarmPlace(Mutex<Option<Box<Alarm>>>);

impl AlarmPlace {
    pub(super) const fn empty() -> Self {
        Self(Mutex::new(None))
    }

    /// The alarm kept here, or a new one; two calls at the same time have one each.
    pub(super) fn lend(&self, clock: Clock, due: Moment) -> Lent<'_> {
        let kept = self.locked().take();
        let alarm = kept.unwrap_or_else(|| Box::new(Alarm::new(clock, due)));
        Lent { place: self, alarm: Some(alarm) }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Option<Box<Alarm>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for AlarmPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlarmPlace").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    async fn rings(alarm: &mut Lent<'_>, due: Moment) {
        poll_fn(|cx| alarm.poll(due, cx)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_when_due_wherever_it_was_set() {
        let clock = Clock::start();
        let place = AlarmPlace::empty();
        let after = |seconds| clock.now().plus(Duration::from_secs(seconds));
        for (set, due) in [(60, 60), (60, 5), (5, 60), (60, 61)] {
            let mut alarm = place.lend(clock, after(set));
            let first = after(set);
            let pending = poll_fn(|cx| Poll::Ready(alarm.poll(first, cx).is_pending())).await;
            assert!(pending, "{set}");
            let due = after(due);
            rings(&mut alarm, due).await;
            assert!(due <= clock.now() && clock.now() <= due.plus(Duration::from_millis(5)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_wakes_the_task_that_asked_last() {
        let clock = Clock::start();
        let due = clock.now().plus(Duration::from_secs(60));
        let place = AlarmPlace::empty();
        let mut alarm = place.lend(clock, due);
        let noop = &mut Context::from_waker(Waker::noop());
        assert!(alarm.poll(due, noop).is_pending());
        rings(&mut alarm, due).await;
        assert!(due <= clock.now());
    }
}
