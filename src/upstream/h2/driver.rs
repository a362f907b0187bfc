//! The task that an HTTP/2 connection is, and its PINGs.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{Ping, PingPong, client};
use tokio::time::Sleep;

use super::load::Load;
use super::wire::Watched;
use crate::time::Moment;
use crate::upstream::failure;
use crate::upstream::shared::Permit;

/// Silence, with streams open, after which the connection is asked whether it lives. It doubles
/// with each PING that is answered while no answer comes, up to the maximum: some upstreams close
/// connections that ask too often.
const PING_AFTER: Duration = Duration::from_secs(5);
const PING_AFTER_MAX: Duration = Duration::from_secs(60);

/// How long a PING may stay unanswered before new streams go elsewhere.
const PING_GRACE: Duration = Duration::from_secs(1);

/// How long a PING may stay unanswered before the connection is closed.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// More streams than any limit that an upstream can state: what the h2 crate is made to assume
/// before the upstream's SETTINGS, so that their arrival can be told.
pub(super) const NOT_GREETED: usize = usize::MAX - 1;

pub(super) struct Driver {
    connection: client::Connection<Watched, Bytes>,
    pulse: Pulse,
    /// How many streams the upstream granted when it was last looked at, if it had by then.
    granted: Option<usize>,
    load: Arc<Load>,
    _permit: Permit,
}

impl Driver {
    pub(super) fn new(
        mut connection: client::Connection<Watched, Bytes>,
        load: Arc<Load>,
        permit: Permit,
    ) -> Self {
        let pings = connection.ping_pong().expect("it is taken once");
        let pulse = Pulse { pings, asked: None, interval: PING_AFTER, timer: None };
        Self { connection, pulse, granted: None, load, _permit: permit }
    }

    fn learn(&mut self) {
        let granted = self.connection.max_concurrent_send_streams();
        if granted != NOT_GREETED && self.granted != Some(granted) {
            self.granted = Some(granted);
            self.load.greet();
            self.load.nudge();
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.load.drive(cx.waker());
        if let Poll::Ready(ended) = Pin::new(&mut this.connection).poll(cx) {
            this.load.finish(ended.err().map(|error| failure::of_handshake(&error)));
            return Poll::Ready(());
        }
        this.learn();
        ready!(this.pulse.poll(&this.load, cx));
        // Its streams learn that the connection is gone when it is dropped.
        this.load.finish(None);
        Poll::Ready(())
    }
}

/// Whether the connection lives.
struct Pulse {
    pings: PingPong,
    /// When the PING was sent that is not answered yet.
    asked: Option<Moment>,
    interval: Duration,
    /// Set while there is something to look at later.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pulse {
    /// Ready when the connection is to be closed.
    fn poll(&mut self, load: &Load, cx: &mut Context<'_>) -> Poll<()> {
        if load.take_answered() {
            self.interval = PING_AFTER;
        }
        if self.asked.is_some() && ready_pong(&mut self.pings, cx) {
            self.asked = None;
            self.timer = None;
            self.interval = (self.interval * 2).min(PING_AFTER_MAX);
            load.trust();
        }
        // A connection that is to end does so at once, unless its socket takes nothing more.
        let ending = load.is_retired() && load.streams() == 0;
        if self.asked.is_none() && (ending || load.is_suspect()) {
            self.ask(load);
        }
        if self.asked.is_none() && load.streams() == 0 {
            self.timer = None;
            return Poll::Pending;
        }
        if self.timer.is_none() {
            self.set(load.clock.now().plus(self.pause()), load);
        }
        while let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
            match self.look(load, load.clock.now()) {
                Some(next) => self.set(next, load),
                None => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// How long after now, or after the PING, to look first.
    fn pause(&self) -> Duration {
        if self.asked.is_some() { PING_GRACE } else { self.interval }
    }

    /// When to look again, unless the connection is to be closed.
    fn look(&mut self, load: &Load, now: Moment) -> Option<Moment> {
        if let Some(asked) = self.asked {
            load.doubt();
            let end = asked.plus(PING_TIMEOUT);
            return (now < end).then_some(end);
        }
        let due = load.traffic.heard().plus(self.interval);
        if now < due {
            return Some(due);
        }
        self.ask(load);
        Some(now.plus(PING_GRACE))
    }

    fn ask(&mut self, load: &Load) {
        // It fails only where the connection has ended, which its own future tells.
        let _ = self.pings.send_ping(Ping::opaque());
        self.asked = Some(load.clock.now());
        self.timer = None;
    }

    fn set(&mut self, due: Moment, load: &Load) {
        self.timer = Some(Box::pin(load.clock.sleep_until(due)));
    }
}

fn ready_pong(pings: &mut PingPong, cx: &mut Context<'_>) -> bool {
    matches!(pings.poll_pong(cx), Poll::Ready(Ok(_)))
}
