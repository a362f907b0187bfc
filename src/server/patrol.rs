//! The patrol: when the time of a connection is up.
//!
//! One timer decides: ten seconds for the first head, then as long as an idle connection is kept,
//! and ten seconds again once a byte of the next head is there. The timer is touched only when a
//! deadline comes nearer, not for every call. Refuses to close anything.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use super::wire::{Phase, Wire};
use crate::clock::Clock;
use crate::policy::time::Moment;

/// How long a connection may take for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// When the first head must be complete.
    pub(super) first_head: Moment,
    /// For a later head, from its first byte.
    pub(super) head: Duration,
    /// Between an answer and the next head's first byte.
    pub(super) idle: Duration,
}

/// The deadline of a connection, and the one timer that watches over it.
pub(super) struct Patrol<'a> {
    clock: Clock,
    wire: &'a Wire,
    limits: Limits,
    /// What the deadline was computed for.
    seen: Option<(Phase, u32)>,
    deadline: Moment,
    /// When the timer goes off; at the deadline or before it.
    armed: Moment,
    sleep: Pin<Box<Sleep>>,
    extended: bool,
}

impl<'a> Patrol<'a> {
    pub(super) fn new(clock: Clock, wire: &'a Wire, limits: Limits) -> Self {
        Self {
            clock,
            wire,
            limits,
            seen: None,
            deadline: limits.first_head,
            armed: Moment::NEVER,
            sleep: Box::pin(clock.sleep_until(limits.first_head)),
            extended: false,
        }
    }

    /// Whether it was never asked.
    pub(super) const fn is_new(&self) -> bool {
        self.seen.is_none()
    }

    /// Whether the last deadline runs.
    pub(super) const fn is_extended(&self) -> bool {
        self.extended
    }

    /// Ready when the connection's time is up.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now_seen = (self.wire.phase(), self.wire.beats());
        if self.seen != Some(now_seen) && !self.extended {
            self.seen = Some(now_seen);
            self.move_deadline(now_seen.0);
        }
        if self.deadline < self.armed {
            self.arm(cx);
        }
        if !self.sleep.is_elapsed() || self.armed == Moment::NEVER {
            return Poll::Pending;
        }
        if self.clock.now() >= self.deadline {
            return Poll::Ready(());
        }
        self.rearm(cx)
    }

    /// One more deadline, the last.
    pub(super) fn extend(&mut self, span: Duration, cx: &mut Context<'_>) {
        self.deadline = self.clock.now().plus(span);
        self.extended = true;
        self.arm(cx);
    }

    fn move_deadline(&mut self, phase: Phase) {
        let within = match phase {
            Phase::Fresh => return,
            Phase::Busy => {
                self.deadline = Moment::NEVER;
                return;
            }
            Phase::Stalled => self.wire.pause_max(),
            Phase::Reading => self.limits.head,
            Phase::Idle => self.limits.idle,
        };
        self.deadline = self.clock.now().plus(within);
    }

    /// The timer went off for a deadline that has moved away since.
    fn rearm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.armed = Moment::NEVER;
        if self.deadline < Moment::NEVER {
            self.arm(cx);
        }
        Poll::Pending
    }

    fn arm(&mut self, cx: &mut Context<'_>) {
        self.armed = self.deadline;
        self.sleep.as_mut().reset(self.clock.instant(self.deadline));
        if self.sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}
