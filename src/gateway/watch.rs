//! One exchange under the timeouts of its phases, and what is known when it is given up.

use std::time::Duration;

use crate::allowance::Slot;
use crate::policy::outcome::{Failure, FailureKind};
use crate::policy::time::Moment;
use crate::upstream::Progress;

/// The timeouts of one attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    pub(super) began: Moment,
    pub(super) guard: Option<Duration>,
    pub(super) attempt_timeout: Duration,
    pub(super) idle_timeout: Duration,
}

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
        self.next_alarm(progress, now)
    }

    /// Once the guard has passed, the vendor has counted the attempt, answer or not.
    fn settle_guarded(&self, progress: &Progress, slot: &mut Slot, now: Moment) {
        if let (Some(sent), Some(guard)) = (progress.sent(), self.guard)
            && sent.plus(guard) <= now
        {
            slot.pass_guard(sent.plus(guard));
        }
    }

    /// When to look again, or which timeout is over.
    fn next_alarm(&self, progress: &Progress, now: Moment) -> Result<Moment, Failure> {
        let Some(sent) = progress.sent() else {
            // Before its first byte the connection is awaited, under timeouts of its own.
            let Some(written) = progress.last_write() else { return Ok(self.soonest(now)) };
            let idle = written.plus(self.idle_timeout);
            let stuck = "the upstream does not take the request's body";
            return alarm(idle, now, FailureKind::IdleTimeout, (progress, stuck));
        };
        let guard = self.guard.map(|guard| sent.plus(guard)).filter(|guard| now < *guard);
        let silence = "no answer in time";
        let timeout = sent.plus(self.attempt_timeout);
        let timeout = alarm(timeout, now, FailureKind::Timeout, (progress, silence))?;
        Ok(guard.map_or(timeout, |guard| guard.min(timeout)))
    }
}

fn alarm(
    due: Moment,
    now: Moment,
    kind: FailureKind,
    (progress, detail): (&Progress, &'static str),
) -> Result<Moment, Failure> {
    if now < due { Ok(due) } else { Err(Failure::new(kind, progress.reach(), detail)) }
}

/// The slot of an exchange under way: when the exchange is over or given up, the slot knows how far
/// the request got.
pub(super) struct Sending<'a> {
    pub(super) slot: &'a mut Slot,
    pub(super) progress: &'a Progress,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.slot.given_up(self.progress.reach());
    }
}
