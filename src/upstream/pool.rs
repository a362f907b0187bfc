//! The connections of one worker to one upstream: those at rest, and how to get another.
//!
//! The one used last is used next, so that few stay busy and the rest can go. It refuses to
//! send: it only hands out connections.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use http::HeaderValue;
use tokio::sync::Notify;

use super::RequestBody;
use super::dial::dial;
use super::h1::Connection;
use super::settings::Settings;
use super::shared::{Common, Holder, Permit};
use crate::clock::Clock;
use crate::policy::outcome::{Failure, FailureKind, Reach};
use crate::policy::time::Moment;

/// One worker's connections to one upstream.
pub(super) struct Pool<B: RequestBody> {
    settings: Settings,
    /// `Host`, as every request says it.
    pub(super) host: HeaderValue,
    common: Arc<Common>,
    clock: Clock,
    /// The one used last stands at the back.
    idle: Mutex<VecDeque<Box<Connection<B>>>>,
    /// Connections of this worker, whatever they do.
    held: Arc<AtomicUsize>,
    /// Calls of this worker that wait for a connection, and what wakes them.
    waiting: AtomicUsize,
    freed: Notify,
}

/// A connection to send a request on.
pub(super) enum Line<B: RequestBody> {
    /// Used before: it may turn out to be closed.
    Used(Box<Connection<B>>),
    /// Just opened.
    Fresh(Box<Connection<B>>),
}

impl<B: RequestBody> Pool<B> {
    pub(super) fn new(settings: &Settings, common: Arc<Common>, clock: Clock) -> Arc<Self> {
        let host = HeaderValue::from_str(settings.origin.authority.as_str())
            .expect("an authority is made of characters that headers allow");
        let pool = Arc::new(Self {
            settings: settings.clone(),
            host,
            common,
            clock,
            idle: Mutex::new(VecDeque::new()),
            held: Arc::new(AtomicUsize::new(0)),
            waiting: AtomicUsize::new(0),
            freed: Notify::new(),
        });
        let holder: Weak<dyn Holder> = Arc::downgrade(&pool) as Weak<dyn Holder>;
        pool.common.join(holder);
        pool
    }

    /// A connection at rest, unless all of them are promised to those who wait already.
    pub(super) fn rested(&self) -> Option<Box<Connection<B>>> {
        let promised = self.waiting.load(Relaxed);
        if self.idle().len() > promised { self.take() } else { None }
    }

    /// A connection, by opening one, or by waiting where the limit forbids that.
    pub(super) async fn obtain(&self) -> Result<Line<B>, Failure> {
        match self.common.permit(&self.held) {
            Some(permit) => self.open(permit).await,
            None => self.wait().await,
        }
    }

    /// Takes a connection back whose exchange is complete, or lets go of it where others need
    /// the room more: a worker that has none, or calls elsewhere while none waits here.
    pub(super) fn keep(&self, mut connection: Box<Connection<B>>) {
        let here = self.waiting.load(Relaxed);
        if self.common.is_starving() || (here == 0 && self.common.waiting() > 0) {
            return;
        }
        connection.rest(self.clock.now());
        self.idle().push_back(connection);
        if here > 0 {
            self.freed.notify_one();
        }
    }

    /// Closes what has rested too long at `now`, or was closed by the other side.
    pub(super) fn sweep(&self, now: Moment) {
        self.idle().retain_mut(|connection| !connection.is_stale(now) && !connection.is_over());
    }

    /// The one used last that has not rested too long.
    fn take(&self) -> Option<Box<Connection<B>>> {
        let mut idle = self.idle();
        let connection = idle.pop_back()?;
        if connection.is_stale(self.clock.now()) {
            // Limits differ between connections only where the vendor named one, so what
            // rested longer than this one is of no use either.
            idle.clear();
            return None;
        }
        Some(connection)
    }

    async fn open(&self, permit: Permit) -> Result<Line<B>, Failure> {
        let (io, version) = dial(&self.settings, self.common.trust.as_ref(), self.clock).await?;
        self.common.learn(version);
        let idle_limit = self.settings.idle_timeout;
        Connection::open(io, self.clock, idle_limit, permit).await.map(Line::Fresh)
    }

    /// Waits for a connection of this worker or for leave to open one, as long as a connection
    /// may take to open.
    async fn wait(&self) -> Result<Line<B>, Failure> {
        let end = self.clock.now().plus(self.settings.connect_timeout);
        let waiting = (self.common.wait(self.held.load(Relaxed)), Here::new(&self.waiting));
        let permit = tokio::select! {
            biased;
            permit = self.common.next_permit(&self.held) => permit,
            connection = self.next_rested() => return Ok(Line::Used(connection)),
            () = self.clock.sleep_until(end) => return Err(exhausted()),
        };
        drop(waiting);
        self.open(permit).await
    }

    async fn next_rested(&self) -> Box<Connection<B>> {
        loop {
            self.freed.notified().await;
            if let Some(connection) = self.take() {
                return connection;
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Box<Connection<B>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn exhausted() -> Failure {
    let detail = "all connections stayed in use for the connect timeout";
    Failure::new(FailureKind::ConnectionLimit, Reach::Nothing, detail)
}

/// A call of this worker that waits.
struct Here<'a>(&'a AtomicUsize);

impl<'a> Here<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Relaxed);
        Self(waiting)
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl<B: RequestBody> Holder for Pool<B> {
    fn idle(&self) -> usize {
        Self::idle(self).len()
    }

    fn close_idle(&self) -> bool {
        let oldest = Self::idle(self).pop_front();
        oldest.is_some()
    }
}
