//! The task that drives an HTTP/2 connection, and its PINGs.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{Ping, PingPong, client};
use tokio::time::Sleep;

use super::state::ConnectionState;
use super::tracking::TrackedTransport;
use crate::outcome::Delivery;
use crate::time::Moment;
use crate::upstream::failure;
use crate::upstream::shared::ConnectionPermit;

/// Silence, with streams open, after which a PING is sent. It doubles with each PING that is
/// answered while no response comes, up to the maximum: some upstreams close connections that send
/// too many.
const PING_AFTER: Duration = Duration::from_secs(5);
const PING_AFTER_MAX: Duration = Duration::from_secs(60);

/// How long a PING may stay unanswered before new streams go to other connections.
const PING_GRACE: Duration = Duration::from_secs(1);

/// How long a PING may stay unanswered before the connection is closed.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The limit of streams that the h2 crate is made to assume before the upstream's SETTINGS. No
/// upstream can state it, so any other value shows that they have arrived.
pub(super) const STREAMS_MAX_UNSET: usize = usize::MAX - 1;

pub(super) struct Driver {
    connection: client::Connection<TrackedTransport, Bytes>,
    pings: Pings,
    /// The limit of streams when it was last looked at, once the upstream has stated one.
    streams_max: Option<usize>,
    state: Arc<ConnectionState>,
    _permit: ConnectionPermit,
}

impl Driver {
    pub(super) fn new(
        mut connection: client::Connection<TrackedTransport, Bytes>,
        state: Arc<ConnectionState>,
        permit: ConnectionPermit,
    ) -> Self {
        let ping_pong = connection.ping_pong().expect("it is taken once");
        let pings = Pings { ping_pong, unanswered: None, interval: PING_AFTER, timer: None };
        Self { connection, pings, streams_max: None, state, _permit: permit }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.state.set_driver(cx.waker());
        if let Poll::Ready(ended) = Pin::new(&mut this.connection).poll(cx) {
            let failure = ended.err().map(|error| failure::http2_head(&error, Delivery::NotSent));
            this.state.set_ended(failure);
            return Poll::Ready(());
        }
        let streams_max = this.connection.max_concurrent_send_streams();
        if streams_max != STREAMS_MAX_UNSET && this.streams_max != Some(streams_max) {
            this.streams_max = Some(streams_max);
            this.state.set_settings_received();
            this.state.notify_waiting();
        }
        ready!(this.pings.poll(&this.state, cx));
        // Dropping the connection ends its streams.
        this.state.set_ended(None);
        Poll::Ready(())
    }
}

/// Finds out by PINGs whether the connection still works.
struct Pings {
    ping_pong: PingPong,
    /// When the PING was sent that is not answered yet.
    unanswered: Option<Moment>,
    interval: Duration,
    /// Set while a PING is unanswered or streams are open.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pings {
    /// Ready when the connection has to be closed.
    fn poll(&mut self, state: &ConnectionState, cx: &mut Context<'_>) -> Poll<()> {
        if state.take_head_received() {
            self.interval = PING_AFTER;
        }
        if self.unanswered.is_some() && matches!(self.ping_pong.poll_pong(cx), Poll::Ready(Ok(_))) {
            self.unanswered = None;
            self.timer = None;
            self.interval = (self.interval * 2).min(PING_AFTER_MAX);
            state.clear_suspicion();
        }
        // A draining connection ends at once, unless its socket takes nothing more; the PING finds
        // that out.
        let is_ending = state.is_draining() && state.open_streams() == 0;
        if self.unanswered.is_none() && (is_ending || state.is_suspect()) {
            self.send(state);
        }
        if self.unanswered.is_none() && state.open_streams() == 0 {
            self.timer = None;
            return Poll::Pending;
        }
        if self.timer.is_none() {
            let pause = if self.unanswered.is_some() { PING_GRACE } else { self.interval };
            self.set_timer(state.clock.now().plus(pause), state);
        }
        while let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
            match self.check(state) {
                Some(next) => self.set_timer(next, state),
                None => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// When to check again, or `None` if the connection has to be closed.
    fn check(&mut self, state: &ConnectionState) -> Option<Moment> {
        let now = state.clock.now();
        if let Some(sent) = self.unanswered {
            state.suspect();
            let end = sent.plus(PING_TIMEOUT);
            return (now < end).then_some(end);
        }
        let due = state.tracker.last_received().plus(self.interval);
        if now < due {
            return Some(due);
        }
        self.send(state);
        Some(now.plus(PING_GRACE))
    }

    fn send(&mut self, state: &ConnectionState) {
        // It fails only if the connection has ended, which the connection's own future reports.
        let _ = self.ping_pong.send_ping(Ping::opaque());
        self.unanswered = Some(state.clock.now());
        self.timer = None;
    }

    fn set_timer(&mut self, due: Moment, state: &ConnectionState) {
        self.timer = Some(Box::pin(state.clock.sleep_until(due)));
    }
}
