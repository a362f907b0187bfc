//! The timeouts of one attempt, and how far its exchange got when it is abandoned.

use std::time::Duration;

use crate::allowance::Slot;
use crate::outcome::{Failure, FailureKind, cause};
use crate::time::Moment;
use crate::upstream::{Exchange, Progress};

use super::body::RequestBody;
use super::call::Call;
use super::settings::CallPolicy;
use super::state::Gateway;

#[derive(Clone, Copy, Debug)]
pub(super) struct AttemptTimeouts {
    /// The longest time between the request's last byte and the vendor counting it.
    guard: Option<Duration>,
    attempt: Duration,
    idle: Duration,
}

/// Another task may write the request, so whether its last byte was written is checked once per
/// guard, at least this far apart.
const CHECK_INTERVAL_MIN: Duration = Duration::from_millis(50);

impl AttemptTimeouts {
    pub(super) const fn new(policy: &CallPolicy, slot: &Slot) -> Self {
        Self {
            guard: slot.arrival_guard(),
            attempt: policy.attempt_timeout,
            idle: policy.idle_timeout,
        }
    }

    /// The earliest moment at which a timeout that started at `began` can expire.
    pub(super) fn earliest(&self, began: Moment) -> Moment {
        let shortest = self.attempt.min(self.idle);
        began.plus(self.guard.map_or(shortest, |guard| guard.min(shortest)))
    }

    /// Called when the timer fires: settles the slot if the guard has passed, and returns when to
    /// check again.
    ///
    /// # Errors
    /// A timeout has passed.
    #[cold]
    pub(super) fn check(
        &self,
        progress: &Progress,
        slot: &mut Slot,
        now: Moment,
    ) -> Result<Moment, Failure> {
        // Once the guard has passed, the vendor has counted the attempt, answered or not.
        if let (Some(sent), Some(guard)) = (progress.sent(), self.guard)
            && sent.plus(guard) <= now
        {
            slot.arrival_guard_passed(sent.plus(guard));
        }
        let timed_out = |kind, detail| Failure::new(kind, progress.delivery(), detail);
        if let Some(sent) = progress.sent() {
            let timeout = sent.plus(self.attempt);
            if timeout <= now {
                let failure = timed_out(FailureKind::Timeout, "no answer in time");
                return Err(failure.with_limit("timeouts.attempt", self.attempt));
            }
            let guard = self.guard.map(|guard| sent.plus(guard)).filter(|guard| now < *guard);
            return Ok(guard.map_or(timeout, |guard| guard.min(timeout)));
        }
        // Before the first byte the exchange waits for a connection, which has its own timeout.
        let Some(written) = progress.last_write() else { return Ok(self.earliest(now)) };
        let timeout = written.plus(self.idle);
        if timeout <= now {
            let failure = timed_out(FailureKind::IdleTimeout, cause::UPLOAD_STALLED);
            return Err(failure.with_limit("timeouts.idle", self.idle));
        }
        let check = self.guard.map(|guard| now.plus(guard.max(CHECK_INTERVAL_MIN)));
        Ok(check.map_or(timeout, |check| check.min(timeout)))
    }
}

/// `due`, or the end of the guard if that is earlier. The last byte may just have been written,
/// whatever the timer was set for before.
pub(super) fn due_with_guard(due: Moment, slot: &Slot, progress: &Progress) -> Moment {
    match (slot.arrival_guard(), progress.sent()) {
        (Some(guard), Some(sent)) => due.min(sent.plus(guard)),
        (Some(_) | None, _) => due,
    }
}

/// Tells the slot how far the request got when its exchange ends. Dropped before `over`, because
/// the client left, it gives up the slot.
pub(super) struct ExchangeGuard<'a, E: Exchange<RequestBody>> {
    pub(super) gateway: &'a Gateway<E>,
    pub(super) call: &'a Call<'a>,
    pub(super) slot: &'a mut Slot,
    pub(super) progress: &'a Progress,
    pub(super) over: bool,
}

impl<E: Exchange<RequestBody>> Drop for ExchangeGuard<'_, E> {
    fn drop(&mut self) {
        self.slot.note_delivery(self.progress.delivery());
        if !self.over {
            self.gateway.abandon(self.call, self.slot);
        }
    }
}
