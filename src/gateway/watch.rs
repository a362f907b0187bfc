//! One exchange under the timeouts of its phases, and what is known when it is given up.

use std::time::Duration;

use crate::allowance::Slot;
use crate::outcome::{Failure, FailureKind, cause};
use crate::time::Moment;
use crate::upstream::{Exchange, Progress};

use super::Gateway;
use super::body::RequestBody;
use super::call::Call;

/// The timeouts of one attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    pub(super) began: Moment,
    pub(super) guard: Option<Duration>,
    pub(super) attempt_timeout: Duration,
    pub(super) idle_timeout: Duration,
}

/// Where another task writes the request, its last byte is looked for once in a guard, and no more
/// often than this.
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(50);

impl Watch {
    /// Nothing can be due earlier.
    pub(super) fn first_alarm(&self) -> Moment {
        self.soonest(self.began)
    }

    /// Nothing can be due earlier for what begins at `moment`.
    fn soonest(&self, moment: Moment) -> Moment {
        let soonest = self.attempt_timeout.min(self.idle_timeout);
        moment.plus(self.guard.map_or(soonest, |guard| guard.min(soonest)))
    }

    /// After an alarm: what it was for is done, and when to look again, or which timeout is over.
    #[cold]
    pub(super) fn look_again(
        &self,
        progress: &Progress,
        slot: &mut Slot,
        now: Moment,
    ) -> Result<Moment, Failure> {
        self.settle_guarded(progress, slot, now);
        self.next_alarm(progress, now).map_err(|failure| {
            if failure.kind == FailureKind::IdleTimeout {
                return failure.with_limit("timeouts.idle", self.idle_timeout);
            }
            failure.with_limit("timeouts.attempt", self.attempt_timeout)
        })
    }

    /// Once the guard has passed, the vendor has counted the attempt, answer or not.
    fn settle_guarded(&self, progress: &Progress, slot: &mut Slot, now: Moment) {
        if let (Some(sent), Some(guard)) = (progress.sent(), self.guard)
            && sent.plus(guard) <= now
        {
            slot.arrival_guard_passed(sent.plus(guard));
        }
    }

    /// When to look again, or which timeout is over.
    fn next_alarm(&self, progress: &Progress, now: Moment) -> Result<Moment, Failure> {
        let Some(sent) = progress.sent() else {
            // Before its first byte the connection is awaited, under timeouts of its own.
            let Some(written) = progress.last_write() else { return Ok(self.soonest(now)) };
            let idle = written.plus(self.idle_timeout);
            let idle =
                alarm(idle, now, FailureKind::IdleTimeout, (progress, cause::UPLOAD_STALLED))?;
            let look = self.guard.map(|guard| now.plus(guard.max(LOOK_INTERVAL_MIN)));
            return Ok(look.map_or(idle, |look| look.min(idle)));
        };
        let guard = self.guard.map(|guard| sent.plus(guard)).filter(|guard| now < *guard);
        let silence = "no answer in time";
        let timeout = sent.plus(self.attempt_timeout);
        let timeout = alarm(timeout, now, FailureKind::Timeout, (progress, silence))?;
        Ok(guard.map_or(timeout, |guard| guard.min(timeout)))
    }
}

/// The alarm, or the end of the guard where that comes first: it counts from the last byte, which
/// may have been written just now, whatever the alarm was set for.
pub(super) fn guarded(due: Moment, slot: &Slot, progress: &Progress) -> Moment {
    match (slot.arrival_guard(), progress.sent()) {
        (Some(guard), Some(sent)) => due.min(sent.plus(guard)),
        (Some(_) | None, _) => due,
    }
}

fn alarm(
    due: Moment,
    now: Moment,
    kind: FailureKind,
    (progress, detail): (&Progress, &'static str),
) -> Result<Moment, Failure> {
    if now < due { Ok(due) } else { Err(Failure::new(kind, progress.delivery(), detail)) }
}

/// The slot of an exchange under way: when the exchange is over, the slot knows how far the request
/// got. Dropped before that, because the client left, the slot is given up.
pub(super) struct Sending<'a, E: Exchange<RequestBody>> {
    pub(super) gateway: &'a Gateway<E>,
    pub(super) call: &'a Call<'a>,
    pub(super) slot: &'a mut Slot,
    pub(super) progress: &'a Progress,
    pub(super) over: bool,
}

impl<E: Exchange<RequestBody>> Drop for Sending<'_, E> {
    fn drop(&mut self) {
        self.slot.note_delivery(self.progress.delivery());
        if !self.over {
            self.gateway.abandon(self.call, self.slot);
        }
    }
}
