//! Drives a connection of either protocol until it ends, times out or is drained.
//!
//! Neither protocol has timers of its own: `timeouts.rs` decides when a connection's time is up.

use std::pin::{Pin, pin};
use std::task::{Poll, ready};
use std::time::Duration;

use super::call::ConnectionContext;
use super::state::Phase;
use super::timeouts::{ConnectionTimer, Timeouts};
use crate::gateway::DrainStage;
use crate::time::Moment;

/// After GOAWAY an idle HTTP/2 client has this long to close the connection.
const GOAWAY_TIMEOUT: Duration = Duration::from_secs(5);

/// During the drain a connection without a call has this long to begin one or to close: enough for
/// a request already on its way, short enough not to delay the exit.
pub(super) const DRAIN_IDLE_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection as its driver sees it.
pub(super) trait Connection: Future {
    /// Tells the client that the program is stopping; false where it is too early for that.
    fn notify_stop(self: Pin<&mut Self>, stage: DrainStage, phase: Phase) -> bool;

    /// Asks the client to close, for a connection whose time is up; false where the connection can
    /// simply be closed.
    fn ask_to_close(self: Pin<&mut Self>) -> bool;
}

pub(super) enum ConnectionEnd {
    Closed,
    TimedOut,
}

/// Drives a connection to its end.
///
/// The connection is borrowed: a future that took it by value would reserve space for it twice.
pub(super) async fn drive<H, C: Connection>(
    context: &ConnectionContext<H>,
    accepted: Moment,
    mut connection: Pin<&mut C>,
) -> ConnectionEnd {
    let ConnectionContext { worker, state, .. } = context;
    let timeouts = Timeouts {
        first_head: accepted.plus(worker.settings.head_timeout),
        head: worker.settings.head_timeout,
        idle: worker.settings.idle_timeout,
    };
    let mut timer = ConnectionTimer::new(worker.clock, state, timeouts);
    let mut stage = DrainStage::Serving;
    let mut next_stage = pin!(worker.drain.reached(DrainStage::Announced));
    let mut notified = stage;
    std::future::poll_fn(|cx| {
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(ConnectionEnd::Closed);
        }
        // Polled once for each stage, which registers this task to be woken by the next one.
        if timer.is_new() || worker.drain.stage() != stage {
            while stage != DrainStage::Draining && next_stage.as_mut().poll(cx).is_ready() {
                stage = worker.drain.stage();
                next_stage.set(worker.drain.reached(DrainStage::Draining));
            }
            if stage == DrainStage::Draining {
                timer.shorten(DRAIN_IDLE_TIMEOUT);
            }
        }
        if notified < stage && connection.as_mut().notify_stop(stage, state.phase()) {
            notified = stage;
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(ConnectionEnd::Closed);
            }
        }
        ready!(timer.poll_expired(cx));
        if state.phase() == Phase::WriteBlocked && !timer.is_final() {
            let before = state.activity();
            state.probe_next_write();
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(ConnectionEnd::Closed);
            }
            if state.activity() != before {
                // The client does read, slowly; its deadline has moved.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        let was_asked = timer.is_final() || stage == DrainStage::Draining;
        if was_asked || !connection.as_mut().ask_to_close() {
            return Poll::Ready(ConnectionEnd::TimedOut);
        }
        timer.set_final(GOAWAY_TIMEOUT, cx);
        connection.as_mut().poll(cx).map(|_| ConnectionEnd::Closed)
    })
    .await
}
