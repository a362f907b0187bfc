//! One worker's connections to one upstream: those that are idle, and how to get another.
//!
//! The connection used last is used next, so that few stay busy and the others can expire. When
//! the limit is reached, calls of all workers wait in one queue (`queue`).

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::time::timeout_at;

use super::connect::connect;
use super::destination::Destination;
use super::queue::AnyConnection;
use super::request::RequestBody;
use super::reserved::ReservedConnections;
use super::settings::Settings;
use super::shared::{ConnectionPermit, HttpVersion, SharedUpstream, WorkerPool};
use super::{h1, h2};
use crate::clock::Clock;
use crate::outcome::{Delivery, Failure, FailureKind};
use crate::time::Moment;

pub(super) struct Pool<B: RequestBody> {
    settings: Settings,
    pub(super) destination: Destination,
    shared: Arc<SharedUpstream>,
    clock: Clock,
    /// Idle HTTP/1.1 connections; the one used last is at the back.
    idle: Mutex<VecDeque<Box<h1::Connection<B>>>>,
    reserved: ReservedConnections<B>,
    /// HTTP/2 connections, idle or not.
    multiplexed: Mutex<Vec<h2::Connection>>,
    /// Held by the call that opens a connection which others may share; holds when and how that
    /// last failed.
    connecting: tokio::sync::Mutex<Option<(Moment, Failure)>>,
}

/// A connection, or a stream of one, to send one request on.
pub(super) enum PooledConnection<B: RequestBody> {
    /// Used before, so it may turn out to be closed.
    Used(Box<h1::Connection<B>>),
    Fresh(Box<h1::Connection<B>>),
    /// The connection may have been used before.
    Stream(h2::Stream),
}

/// Whether other calls may use an HTTP/2 connection too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    Shared,
    Exclusive,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WaitFor {
    /// Whatever becomes free, or permission to open a connection.
    Anything,
    /// A stream, because the upstream grants none, on another connection neither.
    Stream,
}

impl<B: RequestBody> Pool<B> {
    pub(super) fn new(settings: &Settings, shared: Arc<SharedUpstream>, clock: Clock) -> Arc<Self> {
        let pool = Arc::new(Self {
            settings: settings.clone(),
            destination: Destination::new(settings),
            shared,
            clock,
            idle: Mutex::new(VecDeque::new()),
            reserved: ReservedConnections::default(),
            multiplexed: Mutex::new(Vec::new()),
            connecting: tokio::sync::Mutex::new(None),
        });
        let registered: Weak<dyn WorkerPool> = Arc::downgrade(&pool) as Weak<dyn WorkerPool>;
        pool.shared.register(registered);
        pool
    }

    /// Whether it has the connections of this upstream.
    pub(super) fn shares(&self, shared: &Arc<SharedUpstream>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// An idle HTTP/1.1 connection that `client` may use, unless calls that wait come first.
    pub(super) fn idle_connection(
        &self,
        now: Moment,
        client: u64,
    ) -> Option<Box<h1::Connection<B>>> {
        if let Some(reserved) = self.reserved.take(client) {
            return Some(reserved);
        }
        let queued = self.shared.queue.len();
        if queued > 0 && self.idle().len() <= queued { None } else { self.take_idle(now) }
    }

    /// Takes back a connection after an exchange. Closes it unless another exchange may follow.
    pub(super) fn put_back(&self, mut connection: Box<h1::Connection<B>>) {
        if !connection.is_free() {
            return;
        }
        connection.set_idle();
        if let Some(client) = connection.reserved_for() {
            return self.reserved.keep(client, connection);
        }
        self.idle().push_back(connection);
        // Looked at only now, so that a call which joins the queue meanwhile finds the connection.
        if self.shared.queue.len() == 0 {
            return;
        }
        let Some(connection) = self.idle().pop_back() else { return };
        let offered = self.shared.queue.offer(Box::new(PooledConnection::Used(connection)));
        if let Err(PooledConnection::Used(connection)) = offered.map_err(downcast) {
            self.idle().push_back(connection);
        }
    }

    /// Closes what has been idle too long at `now` or was closed by the upstream.
    pub(super) fn sweep(&self, now: Moment) {
        let keep = |connection: &mut Box<h1::Connection<B>>| {
            !connection.is_expired(now) && !connection.is_closed()
        };
        self.idle().retain_mut(keep);
        self.reserved.retain(keep);
        let limit = self.settings.idle_timeout;
        self.multiplexed()
            .retain_mut(|connection| !connection.is_closed() && !connection.is_expired(now, limit));
    }

    /// A connection or stream: opened, shared, or waited for where the limit is reached.
    pub(super) async fn acquire(&self, sharing: Sharing) -> Result<PooledConnection<B>, Failure> {
        let arrived = self.clock.now();
        match self.shared.version() {
            HttpVersion::Http1 => self.open_or_wait(arrived).await,
            HttpVersion::Http2 | HttpVersion::Unknown if sharing == Sharing::Exclusive => {
                let end = self.clock.instant(self.wait_end(arrived));
                let permit = timeout_at(end, self.shared.permit());
                let permit = permit.await.map_err(|_| connection_limit_reached())?;
                self.open(permit, Sharing::Exclusive).await?.ok_or_else(no_stream_granted)
            }
            HttpVersion::Http2 | HttpVersion::Unknown => {
                // Calls that wait come first.
                let stream = if self.shared.queue.len() > 0 { None } else { self.take_stream() };
                match stream {
                    Some(stream) => Ok(PooledConnection::Stream(stream)),
                    None => self.open_for_all(arrived).await,
                }
            }
        }
    }

    /// One call opens a connection and the others wait for it, because one HTTP/2 connection
    /// serves them all. If it cannot be opened, the failure is that of all who waited.
    async fn open_for_all(&self, arrived: Moment) -> Result<PooledConnection<B>, Failure> {
        let end = self.clock.instant(self.wait_end(arrived).plus(h2::SETTINGS_TIMEOUT));
        let Ok(mut last_failure) = timeout_at(end, self.connecting.lock()).await else {
            return Err(connection_limit_reached());
        };
        if let Some(pooled) = self.take() {
            return Ok(pooled);
        }
        if let Some((at, failure)) = &*last_failure
            && *at >= arrived
        {
            return Err(failure.clone());
        }
        if self.shared.version() == HttpVersion::Http1 {
            drop(last_failure);
            return self.open_or_wait(arrived).await;
        }
        let opened = self.open_or_wait(self.clock.now()).await;
        *last_failure = opened.as_ref().err().map(|failure| (self.clock.now(), failure.clone()));
        opened
    }

    async fn open_or_wait(&self, arrived: Moment) -> Result<PooledConnection<B>, Failure> {
        if self.multiplexed().iter().any(h2::Connection::grants_no_stream) {
            return self.wait(arrived, WaitFor::Stream).await;
        }
        let Some(permit) = self.shared.try_permit() else {
            return self.wait(arrived, WaitFor::Anything).await;
        };
        match self.open(permit, Sharing::Shared).await? {
            Some(pooled) => Ok(pooled),
            None => self.wait(arrived, WaitFor::Stream).await,
        }
    }

    /// Opens a connection. Returns `None` if it is HTTP/2 and the upstream grants no stream on it.
    async fn open(
        &self,
        permit: ConnectionPermit,
        sharing: Sharing,
    ) -> Result<Option<PooledConnection<B>>, Failure> {
        let (settings, shared) = (&self.settings, &self.shared);
        let (transport, version) = connect(settings, shared.tls.as_ref(), self.clock).await?;
        match version {
            HttpVersion::Http2 => {
                let limits = settings.response_limits;
                let opening =
                    h2::Connection::open(transport, self.clock, limits, permit, Arc::clone(shared));
                let connection = opening.await?;
                shared.set_version(HttpVersion::Http2);
                let stream = connection.stream();
                if sharing == Sharing::Shared {
                    self.multiplexed().push(connection);
                }
                Ok(stream.map(PooledConnection::Stream))
            }
            HttpVersion::Http1 | HttpVersion::Unknown => {
                shared.set_version(version);
                let idle_timeout = settings.idle_timeout;
                let connection = h1::Connection::new(transport, self.clock, idle_timeout, permit);
                Ok(Some(PooledConnection::Fresh(connection)))
            }
        }
    }

    /// Waits, at most for the connect timeout, for a connection or stream of any worker or for
    /// permission to open a connection.
    async fn wait(
        &self,
        arrived: Moment,
        wait_for: WaitFor,
    ) -> Result<PooledConnection<B>, Failure> {
        let queue = &self.shared.queue;
        let mut queued = queue.join();
        let mut permit = pin!(self.shared.permit());
        let mut end = pin!(self.clock.sleep_until(self.wait_end(arrived)));
        loop {
            let mut notified = pin!(queue.notified());
            notified.as_mut().enable();
            let free = self.take().or_else(|| self.shared.take_from_any_worker().map(downcast));
            if let Some(pooled) = free {
                // There may be another one for the next call.
                drop(queued);
                queue.notify();
                return Ok(pooled);
            }
            if wait_for == WaitFor::Anything {
                self.shared.make_room();
            }
            tokio::select! {
                biased;
                connection = queued.connection() => return Ok(downcast(connection)),
                permit = &mut permit, if wait_for == WaitFor::Anything => {
                    drop(queued);
                    let opened = self.open(permit, Sharing::Shared).await?;
                    return opened.ok_or_else(no_stream_granted);
                }
                () = notified => {}
                () = &mut end => return Err(match wait_for {
                    WaitFor::Anything => connection_limit_reached(),
                    WaitFor::Stream => no_stream_granted(),
                }),
            }
        }
    }

    fn wait_end(&self, arrived: Moment) -> Moment {
        arrived.plus(self.settings.connect_timeout)
    }

    fn take(&self) -> Option<PooledConnection<B>> {
        match self.shared.version() {
            HttpVersion::Http2 => self.take_stream().map(PooledConnection::Stream),
            HttpVersion::Http1 | HttpVersion::Unknown => {
                self.take_idle(self.now()).map(PooledConnection::Used)
            }
        }
    }

    fn take_idle(&self, now: Moment) -> Option<Box<h1::Connection<B>>> {
        let mut idle = self.idle();
        let connection = idle.pop_back()?;
        if connection.is_expired(now) {
            // The others have been idle for longer, and their limits differ only where the vendor
            // named one, so they count as expired too.
            idle.clear();
            return None;
        }
        Some(connection)
    }

    /// A stream of the first HTTP/2 connection that takes another one.
    fn take_stream(&self) -> Option<h2::Stream> {
        let mut multiplexed = self.multiplexed();
        multiplexed.retain_mut(|connection| !connection.is_closed());
        multiplexed.iter().find_map(h2::Connection::stream)
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Box<h1::Connection<B>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn multiplexed(&self) -> MutexGuard<'_, Vec<h2::Connection>> {
        self.multiplexed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: RequestBody> WorkerPool for Pool<B> {
    fn idle_count(&self) -> usize {
        let multiplexed = self.multiplexed().iter().filter(|it| it.is_idle()).count();
        self.idle().len() + self.reserved.len() + multiplexed
    }

    fn take_any(&self) -> Option<AnyConnection> {
        Some(Box::new(self.take()?))
    }

    fn close_reserved(&self) -> bool {
        self.reserved.close_oldest()
    }
}

fn downcast<B: RequestBody>(connection: AnyConnection) -> PooledConnection<B> {
    *connection.downcast().expect("all workers of an upstream send the same type of body")
}

fn connection_limit_reached() -> Failure {
    let detail = "all connections stayed in use for the connect timeout";
    Failure::new(FailureKind::ConnectionLimit, Delivery::NotSent, detail)
}

fn no_stream_granted() -> Failure {
    let detail = "the upstream granted no HTTP/2 stream in time";
    Failure::new(FailureKind::ConnectTimeout, Delivery::NotSent, detail)
}
