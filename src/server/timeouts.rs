//! The timeouts of a client connection, kept by one timer.
//!
//! The first head must be complete within the head timeout, later ones too from their first byte;
//! between calls the idle timeout counts. The timer is reset only for an earlier deadline, not for
//! every call: when it fires too early, it is set again for the present deadline.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use super::state::{ConnectionState, Phase};
use crate::clock::Clock;
use crate::time::Moment;

/// For every second of the pause allowed to a client it must read this many bytes, or the
/// connection is closed: an extremely slow reader must not occupy a slot at the vendor. Only time
/// in which the socket is full counts, so a slow vendor does not trigger it.
const READ_BYTES_PER_SECOND_MIN: u64 = 1024;

#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// When the first head must be complete.
    pub(super) first_head: Moment,
    /// For a later head, from its first byte.
    pub(super) head: Duration,
    /// From the end of a response to the first byte of the next head.
    pub(super) idle: Duration,
}

/// How long the client has kept the socket full without reading its minimum.
#[derive(Clone, Copy, Debug)]
struct Stall {
    /// What is left of the allowed pause; `None` before the first stall.
    left: Option<Duration>,
    /// Since when the socket is full, if it is.
    since: Option<Moment>,
    /// Bytes written when the pause was last granted in full.
    written_before: u32,
}

pub(super) struct ConnectionTimer<'a> {
    clock: Clock,
    state: &'a ConnectionState,
    timeouts: Timeouts,
    /// What the deadline was computed for.
    seen: Option<(Phase, u32)>,
    deadline: Moment,
    stall: Stall,
    /// When `sleep` fires: at the deadline or before it.
    armed_for: Moment,
    sleep: Pin<Box<Sleep>>,
    is_final: bool,
}

impl<'a> ConnectionTimer<'a> {
    pub(super) fn new(clock: Clock, state: &'a ConnectionState, timeouts: Timeouts) -> Self {
        Self {
            clock,
            state,
            timeouts,
            seen: None,
            deadline: timeouts.first_head,
            stall: Stall { left: None, since: None, written_before: 0 },
            armed_for: Moment::NEVER,
            sleep: Box::pin(clock.sleep_until(timeouts.first_head)),
            is_final: false,
        }
    }

    /// Whether it was never polled.
    pub(super) const fn is_new(&self) -> bool {
        self.seen.is_none()
    }

    /// Whether [`Self::set_final`] was called.
    pub(super) const fn is_final(&self) -> bool {
        self.is_final
    }

    /// Limits all timeouts of a connection without a call to `span`, from now on.
    pub(super) fn shorten(&mut self, span: Duration) {
        let Timeouts { first_head, head, idle } = self.timeouts;
        let first_head = first_head.min(self.clock.now().plus(span));
        self.timeouts = Timeouts { first_head, head: head.min(span), idle: idle.min(span) };
        if !self.is_final {
            self.set_deadline(self.state.phase());
        }
    }

    /// Ready when the deadline has passed.
    pub(super) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let seen = (self.state.phase(), self.state.activity());
        if self.seen != Some(seen) && !self.is_final {
            self.seen = Some(seen);
            self.set_deadline(seen.0);
        }
        if self.deadline < self.armed_for {
            self.arm(cx);
        }
        if !self.sleep.is_elapsed() || self.armed_for == Moment::NEVER {
            return Poll::Pending;
        }
        if self.clock.now() >= self.deadline {
            return Poll::Ready(());
        }
        // It fired for a deadline that has moved since.
        self.armed_for = Moment::NEVER;
        if self.deadline < Moment::NEVER {
            self.arm(cx);
        }
        Poll::Pending
    }

    /// Sets one last deadline, which no activity moves.
    pub(super) fn set_final(&mut self, span: Duration, cx: &mut Context<'_>) {
        self.deadline = self.clock.now().plus(span);
        self.is_final = true;
        self.arm(cx);
    }

    fn set_deadline(&mut self, phase: Phase) {
        if let Some(since) = self.stall.since.take() {
            let stalled = self.clock.now().since(since);
            self.stall.left = self.stall.left.map(|left| left.saturating_sub(stalled));
        }
        self.deadline = match phase {
            Phase::New => self.timeouts.first_head,
            Phase::InCall => Moment::NEVER,
            // The allowed pause is granted anew once the client has read its minimum.
            Phase::WriteBlocked => {
                let (written, pause_max) = (self.state.written_bytes(), self.state.pause_max());
                let bytes_min =
                    READ_BYTES_PER_SECOND_MIN.saturating_mul(pause_max.as_secs().max(1));
                let read = u64::from(written.wrapping_sub(self.stall.written_before));
                let left = self.stall.left.filter(|_| read < bytes_min);
                if left.is_none() {
                    self.stall.written_before = written;
                }
                let (left, now) = (left.unwrap_or(pause_max), self.clock.now());
                (self.stall.left, self.stall.since) = (Some(left), Some(now));
                now.plus(left)
            }
            Phase::ReadingHead => self.clock.now().plus(self.timeouts.head),
            Phase::Idle => self.clock.now().plus(self.timeouts.idle),
        };
    }

    fn arm(&mut self, cx: &mut Context<'_>) {
        self.armed_for = self.deadline;
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

    /// After how many seconds the connection of a client expires that reads this many bytes once a
    /// second and leaves the socket full in between.
    async fn expires_after(bytes_per_second: usize) -> Option<u64> {
        let (clock, state) = (Clock::start(), ConnectionState::default());
        let long = Duration::from_secs(1000);
        let timeouts = Timeouts { first_head: clock.now().plus(long), head: long, idle: long };
        let mut timer = ConnectionTimer::new(clock, &state, timeouts);
        state.call_began();
        for second in 0..200 {
            state.write_blocked();
            let expired = poll_fn(|cx| Poll::Ready(timer.poll_expired(cx).is_ready())).await;
            if expired {
                return Some(second);
            }
            clock.sleep_until(clock.now().plus(Duration::from_secs(1))).await;
            if bytes_per_second > 0 {
                state.wrote(bytes_per_second);
                let expired = poll_fn(|cx| Poll::Ready(timer.poll_expired(cx).is_ready())).await;
                assert!(!expired, "the client has just read something");
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_its_response_too_slowly_is_disconnected() {
        assert_eq!(expires_after(0).await, Some(30));
        assert!(expires_after(1).await.is_some_and(|second| (30..33).contains(&second)));
        assert!(expires_after(900).await.is_some_and(|second| (30..33).contains(&second)));
        assert_eq!(expires_after(1100).await, None);
        assert_eq!(expires_after(1 << 20).await, None);
    }
}
