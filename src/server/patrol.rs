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
use crate::time::Moment;

/// For every second of the pause that a client may make it takes so many bytes of an answer, or its
/// time is up: as with uploads, a place at the vendor is not kept for less. Only time in which the
/// socket is full counts, so a vendor that sends slowly never meets it.
const TAKEN_BYTES_MIN: u64 = 1024;

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

/// How long a client may still let us wait until it has taken its least.
#[derive(Clone, Copy, Debug)]
struct Stall {
    /// Nothing was waited for yet.
    left: Option<Duration>,
    /// When the socket was found full, if it is.
    since: Option<Moment>,
    taken_before: u32,
}

/// The deadline of a connection, and the one timer that watches over it.
pub(super) struct Patrol<'a> {
    clock: Clock,
    wire: &'a Wire,
    limits: Limits,
    /// What the deadline was computed for.
    seen: Option<(Phase, u32)>,
    deadline: Moment,
    stall: Stall,
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
            stall: Stall { left: None, since: None, taken_before: 0 },
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

    /// From now on a connection without a call has no more than `span`.
    pub(super) fn hurry(&mut self, span: Duration) {
        let Limits { first_head, head, idle } = self.limits;
        let first_head = first_head.min(self.clock.now().plus(span));
        self.limits = Limits { first_head, head: head.min(span), idle: idle.min(span) };
        if !self.extended {
            self.move_deadline(self.wire.phase());
        }
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
        if let Some(since) = self.stall.since.take() {
            let waited = self.clock.now().since(since);
            self.stall.left = self.stall.left.map(|left| left.saturating_sub(waited));
        }
        let within = match phase {
            Phase::Fresh => {
                self.deadline = self.limits.first_head;
                return;
            }
            Phase::Busy => {
                self.deadline = Moment::NEVER;
                return;
            }
            Phase::Stalled => {
                self.deadline = self.stalled_until(self.clock.now());
                return;
            }
            Phase::Reading => self.limits.head,
            Phase::Idle => self.limits.idle,
        };
        self.deadline = self.clock.now().plus(within);
    }

    /// What is left for a client that is behind, whose socket is full from now on.
    fn stalled_until(&mut self, now: Moment) -> Moment {
        let (taken, pause_max) = (self.wire.taken_bytes(), self.wire.pause_max());
        let least = TAKEN_BYTES_MIN.saturating_mul(pause_max.as_secs().max(1));
        let enough = u64::from(taken.wrapping_sub(self.stall.taken_before)) >= least;
        let left = self.stall.left.filter(|_| !enough);
        if left.is_none() {
            self.stall.taken_before = taken;
        }
        let left = left.unwrap_or(pause_max);
        (self.stall.left, self.stall.since) = (Some(left), Some(now));
        now.plus(left)
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// After how many seconds the time of a client is up that takes so many bytes every second,
    /// in pieces between which the socket is full.
    async fn cut_after(bytes_a_second: usize) -> Option<u64> {
        let (clock, wire) = (Clock::start(), Wire::default());
        let long = Duration::from_secs(1000);
        let limits = Limits { first_head: clock.now().plus(long), head: long, idle: long };
        let mut patrol = Patrol::new(clock, &wire, limits);
        wire.call_began();
        for second in 0..200 {
            wire.write_blocked();
            let due = poll_fn(|cx| Poll::Ready(patrol.poll_due(cx).is_ready())).await;
            if due {
                return Some(second);
            }
            clock.sleep_until(clock.now().plus(Duration::from_secs(1))).await;
            if bytes_a_second > 0 {
                wire.wrote(bytes_a_second);
                let idle = poll_fn(|cx| Poll::Ready(patrol.poll_due(cx).is_ready())).await;
                assert!(!idle, "a client that has just taken something is not cut for it");
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_too_little_of_its_answer_is_cut() {
        assert_eq!(cut_after(0).await, Some(30));
        assert!(cut_after(1).await.is_some_and(|second| (30..33).contains(&second)));
        assert!(cut_after(900).await.is_some_and(|second| (30..33).contains(&second)));
        assert_eq!(cut_after(1100).await, None);
        assert_eq!(cut_after(1 << 20).await, None);
    }
}
