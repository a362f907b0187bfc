//! The connections of one worker to one upstream: those at rest, and how to get another.
//!
//! The one used last is used next, so that few stay busy and the rest can go. It refuses to
//! send: it only hands out connections.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use http::uri;
use http::{HeaderMap, HeaderValue};
use tokio::sync::Notify;
use tokio::time::timeout_at;

use super::RequestBody;
use super::dial::dial;
use super::h1::Connection;
use super::h2::{Session, Stream, Target};
use super::settings::{AnswerBounds, Scheme, Settings};
use super::shared::{Common, Holder, Permit, Version};
use crate::clock::Clock;
use crate::policy::outcome::{Failure, FailureKind, Reach};
use crate::policy::time::Moment;

/// Headers that a map kept for others has room for: most heads have fewer, and who sends many must
/// not make every connection that a map comes by larger.
const SPARE_HEADERS_MAX: usize = 64;

/// One worker's connections to one upstream.
pub(super) struct Pool<B: RequestBody> {
    settings: Settings,
    /// `Host`, as every HTTP/1 request says it.
    pub(super) host: HeaderValue,
    /// The same for HTTP/2.
    pub(super) target: Target,
    common: Arc<Common>,
    clock: Clock,
    /// HTTP/1 at rest; the one used last stands at the back.
    idle: Mutex<VecDeque<Box<Connection<B>>>>,
    /// An empty map with room, for the headers of the next answer over HTTP/1: each takes one
    /// along, and leaves that of its request.
    spare: Mutex<HeaderMap>,
    /// HTTP/2, whatever they do.
    sessions: Mutex<Vec<Session<B>>>,
    /// Connections of this worker, whatever they do.
    held: Arc<AtomicUsize>,
    queue: Arc<Queue>,
    /// Held by the call that dials where others may share what comes of it; with the last
    /// failure to do so.
    dialling: tokio::sync::Mutex<Option<(Moment, Failure)>>,
}

/// Something to send a request on.
pub(super) enum Line<B: RequestBody> {
    /// Used before: it may turn out to be closed.
    Used(Box<Connection<B>>),
    /// Just opened.
    Fresh(Box<Connection<B>>),
    /// A stream of a connection that others may have used before.
    Stream(Stream<B>),
}

impl<B: RequestBody> Pool<B> {
    pub(super) fn new(settings: &Settings, common: Arc<Common>, clock: Clock) -> Arc<Self> {
        let authority = settings.origin.authority.clone();
        let host = HeaderValue::from_str(authority.as_str())
            .expect("an authority is made of characters that headers allow");
        let scheme = match settings.origin.scheme {
            Scheme::Http => uri::Scheme::HTTP,
            Scheme::Https => uri::Scheme::HTTPS,
        };
        let pool = Arc::new(Self {
            settings: settings.clone(),
            host,
            target: Target { scheme, authority },
            common,
            clock,
            idle: Mutex::new(VecDeque::new()),
            spare: Mutex::new(HeaderMap::new()),
            sessions: Mutex::new(Vec::new()),
            held: Arc::new(AtomicUsize::new(0)),
            queue: Arc::new(Queue::default()),
            dialling: tokio::sync::Mutex::new(None),
        });
        let holder: Weak<dyn Holder> = Arc::downgrade(&pool) as Weak<dyn Holder>;
        pool.common.join(holder);
        pool
    }

    /// A connection at rest, unless those who wait have a claim to it.
    pub(super) fn rested(&self, now: Moment) -> Option<Box<Connection<B>>> {
        let promised = self.queue.waiting.load(Relaxed);
        if promised > 0 && self.idle().len() <= promised { None } else { self.take_idle(now) }
    }

    /// How large the head of an answer may be.
    pub(super) const fn answer_bounds(&self) -> AnswerBounds {
        self.settings.answer_bounds
    }

    /// The present moment.
    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Something to send on, by opening it, or by waiting where the limit forbids that.
    pub(super) async fn obtain(&self) -> Result<Line<B>, Failure> {
        let arrived = self.clock.now();
        match self.common.version() {
            Version::Http1 => self.another(arrived).await,
            Version::Http2 | Version::Unknown => match self.stream() {
                Some(stream) => Ok(Line::Stream(stream)),
                None => self.shared_dial(arrived).await,
            },
        }
    }

    /// Takes a connection back whose exchange is complete, or lets go of it where others need
    /// the room more: a worker that has none, or calls elsewhere while none waits here.
    pub(super) fn keep(&self, mut connection: Box<Connection<B>>) {
        let here = self.queue.waiting.load(Relaxed);
        if self.common.is_starving() || (here == 0 && self.common.waiting() > 0) {
            return;
        }
        connection.rest();
        self.idle().push_back(connection);
        self.queue.call();
    }

    /// Puts the map that was kept in the place of `blank`, which has nothing in it.
    pub(super) fn lend(&self, blank: &mut HeaderMap) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *spare, blank);
    }

    /// Keeps the map of `headers`, which are not needed any more, unless it is large.
    pub(super) fn reuse(&self, headers: &mut HeaderMap) {
        if headers.capacity() > SPARE_HEADERS_MAX {
            *headers = HeaderMap::new();
            return;
        }
        headers.clear();
        self.lend(headers);
    }

    /// Closes what has rested too long at `now`, was closed by the other side, or is needed
    /// more elsewhere.
    pub(super) fn sweep(&self, now: Moment) {
        self.idle().retain_mut(|connection| !connection.is_stale(now) && !connection.is_over());
        let limit = self.settings.idle_timeout;
        let needed = self.common.waiting() > self.queue.waiting.load(Relaxed);
        self.sessions().retain(|session| {
            let useless = session.is_stale(now, limit) || (needed && session.is_idle());
            !session.is_closed() && !useless
        });
    }

    /// A stream, unless those who wait have a claim to it.
    fn stream(&self) -> Option<Stream<B>> {
        if self.queue.waiting.load(Relaxed) > 0 { None } else { self.take_stream() }
    }

    fn take(&self) -> Option<Line<B>> {
        match self.common.version() {
            Version::Http2 => self.take_stream().map(Line::Stream),
            Version::Http1 | Version::Unknown => self.take_idle(self.now()).map(Line::Used),
        }
    }

    /// The one used last that has not rested too long.
    fn take_idle(&self, now: Moment) -> Option<Box<Connection<B>>> {
        let mut idle = self.idle();
        let connection = idle.pop_back()?;
        if connection.is_stale(now) {
            // Limits differ between connections only where the vendor named one, so what
            // rested longer than this one is of no use either.
            idle.clear();
            return None;
        }
        Some(connection)
    }

    /// A stream of the first connection that takes another one.
    fn take_stream(&self) -> Option<Stream<B>> {
        let mut sessions = self.sessions();
        sessions.retain(|session| !session.is_closed());
        sessions.iter().find_map(Session::stream)
    }

    /// Where one connection serves many calls, one call dials and the others wait for what comes
    /// of it; a failure is that of all who waited.
    async fn shared_dial(&self, arrived: Moment) -> Result<Line<B>, Failure> {
        let patience = self.clock.instant(self.wait_end(arrived));
        let Ok(mut last) = timeout_at(patience, self.dialling.lock()).await else {
            return Err(exhausted());
        };
        if let Some(line) = self.take() {
            return Ok(line);
        }
        match &*last {
            Some((at, failure)) if *at >= arrived => return Err(failure.clone()),
            Some(_) | None => {}
        }
        if self.common.version() == Version::Http1 {
            drop(last);
            return self.another(arrived).await;
        }
        let line = self.another(self.clock.now()).await;
        *last = line.as_ref().err().map(|failure| (self.clock.now(), failure.clone()));
        line
    }

    async fn another(&self, arrived: Moment) -> Result<Line<B>, Failure> {
        match self.common.permit(&self.held) {
            Some(permit) => self.open(permit).await,
            None => self.wait(arrived).await,
        }
    }

    async fn open(&self, permit: Permit) -> Result<Line<B>, Failure> {
        let (io, version) = dial(&self.settings, self.common.trust.as_ref(), self.clock).await?;
        self.common.learn(version);
        match version {
            Version::Http2 => self.open_session(io, permit).await,
            Version::Http1 | Version::Unknown => {
                let idle_limit = self.settings.idle_timeout;
                Ok(Line::Fresh(Connection::open(io, self.clock, idle_limit, permit)))
            }
        }
    }

    async fn open_session(&self, io: super::wire::Io, permit: Permit) -> Result<Line<B>, Failure> {
        let queue = Arc::clone(&self.queue);
        let bounds = self.settings.answer_bounds;
        let session = Session::open(io, (self.clock, bounds), permit, queue).await?;
        let stream = session.stream().expect("a fresh connection takes a stream");
        self.sessions().push(session);
        Ok(Line::Stream(stream))
    }

    /// Waits for something of this worker or for leave to open a connection, as long as a
    /// connection may take to open.
    async fn wait(&self, arrived: Moment) -> Result<Line<B>, Failure> {
        let waiting = (self.common.wait(self.held.load(Relaxed)), Waiting::new(&self.queue));
        let permit = tokio::select! {
            biased;
            permit = self.common.next_permit(&self.held) => permit,
            line = self.next_rested() => return Ok(line),
            () = self.clock.sleep_until(self.wait_end(arrived)) => return Err(exhausted()),
        };
        drop(waiting);
        self.open(permit).await
    }

    async fn next_rested(&self) -> Line<B> {
        loop {
            self.queue.freed.notified().await;
            if let Some(line) = self.take() {
                return line;
            }
        }
    }

    fn wait_end(&self, arrived: Moment) -> Moment {
        arrived.plus(self.settings.connect_timeout)
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Box<Connection<B>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<Session<B>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn exhausted() -> Failure {
    let detail = "all connections stayed in use for the connect timeout";
    Failure::new(FailureKind::ConnectionLimit, Reach::Nothing, detail)
}

/// The calls of this worker that wait for a connection.
#[derive(Default)]
pub(super) struct Queue {
    waiting: AtomicUsize,
    freed: Notify,
}

impl Queue {
    /// Something became free.
    pub(super) fn call(&self) {
        if self.waiting.load(Relaxed) > 0 {
            self.freed.notify_one();
        }
    }
}

/// One of them.
struct Waiting<'a>(&'a Queue);

impl<'a> Waiting<'a> {
    fn new(queue: &'a Queue) -> Self {
        queue.waiting.fetch_add(1, Relaxed);
        Self(queue)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

impl<B: RequestBody> Holder for Pool<B> {
    fn idle(&self) -> usize {
        let sessions = self.sessions().iter().filter(|session| session.is_idle()).count();
        Self::idle(self).len() + sessions
    }

    fn close_idle(&self) -> bool {
        let mut sessions = self.sessions();
        if let Some(unused) = sessions.iter().position(Session::is_idle) {
            sessions.remove(unused);
            return true;
        }
        let oldest = Self::idle(self).pop_front();
        oldest.is_some()
    }
}
