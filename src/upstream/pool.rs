//! The connections of one worker to one upstream: those at rest, and how to get another.
//!
//! The one used last is used next, so that few stay busy and the rest can go. Where all that the
//! bound allows are in use, calls wait in one line for all workers (`queue`).

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use http::uri;
use http::{HeaderMap, HeaderValue};
use tokio::time::timeout_at;

use super::RequestBody;
use super::dial::dial;
use super::h1::Connection;
use super::h2::{SETTINGS_TIMEOUT, Session, Stream, Target};
use super::queue::Handed;
use super::reserve::Reserve;
use super::settings::{AnswerBounds, Scheme, Settings};
use super::shared::{Common, Holder, Permit, Version};
use super::wire::Io;
use crate::clock::Clock;
use crate::outcome::{Delivery, Failure, FailureKind};
use crate::time::Moment;

/// A map of headers is made for so many: most answers have fewer, and growing costs more.
const USUAL_HEADERS: usize = 12;

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
    /// HTTP/1 at rest that serves one client only.
    reserved: Reserve<B>,
    /// An empty map with room, for the headers of the next answer over HTTP/1: each takes one
    /// along, and leaves that of its request.
    spare: Mutex<HeaderMap>,
    /// HTTP/2, whatever they do.
    sessions: Mutex<Vec<Session>>,
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
    Stream(Stream),
}

/// Whether other calls may use an HTTP/2 connection too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    Shared,
    Alone,
}

/// What a call that waits may be given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// Whatever becomes free, or leave to dial.
    Anything,
    /// A stream: another connection would not help.
    Stream,
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
            reserved: Reserve::default(),
            spare: Mutex::new(HeaderMap::new()),
            sessions: Mutex::new(Vec::new()),
            dialling: tokio::sync::Mutex::new(None),
        });
        let holder: Weak<dyn Holder> = Arc::downgrade(&pool) as Weak<dyn Holder>;
        pool.common.join(holder);
        pool
    }

    /// A connection at rest that `client` may use, unless those who wait have a claim to it.
    pub(super) fn rested(&self, now: Moment, client: u64) -> Option<Box<Connection<B>>> {
        if let Some(own) = self.reserved.take(client) {
            return Some(own);
        }
        let promised = self.common.queue.len();
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
    pub(super) async fn obtain(&self, sharing: Sharing) -> Result<Line<B>, Failure> {
        let arrived = self.clock.now();
        match self.common.version() {
            Version::Http1 => self.another(arrived).await,
            Version::Http2 | Version::Unknown if sharing == Sharing::Alone => {
                self.alone(arrived).await
            }
            Version::Http2 | Version::Unknown => match self.stream() {
                Some(stream) => Ok(Line::Stream(stream)),
                None => self.shared_dial(arrived).await,
            },
        }
    }

    /// Takes a connection back whose exchange is complete.
    pub(super) fn keep(&self, mut connection: Box<Connection<B>>) {
        connection.rest();
        if let Some(client) = connection.reserved_for() {
            return self.reserved.keep(client, connection);
        }
        self.idle().push_back(connection);
        if self.common.queue.len() > 0 {
            self.hand_over();
        }
    }

    /// Gives what rests to those who wait.
    #[cold]
    fn hand_over(&self) {
        let Some(connection) = self.idle().pop_back() else { return };
        let Err(back) = self.common.queue.hand(Box::new(Line::Used(connection))) else { return };
        if let Line::Used(connection) = line(back) {
            self.idle().push_back(connection);
        }
    }

    /// Puts the map that was kept in the place of `blank`, which has nothing in it, or a new one
    /// with room.
    pub(super) fn lend(&self, blank: &mut HeaderMap) {
        std::mem::swap(&mut *self.spare(), blank);
        if blank.capacity() == 0 {
            *blank = HeaderMap::with_capacity(USUAL_HEADERS);
        }
    }

    /// Keeps the map of `headers`, which are not needed any more, unless it is large.
    pub(super) fn reuse(&self, headers: &mut HeaderMap) {
        if headers.capacity() > SPARE_HEADERS_MAX {
            *headers = HeaderMap::new();
            return;
        }
        headers.clear();
        std::mem::swap(&mut *self.spare(), headers);
    }

    fn spare(&self) -> MutexGuard<'_, HeaderMap> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes what has rested too long at `now` or was closed by the other side.
    pub(super) fn sweep(&self, now: Moment) {
        let rests = |connection: &mut Box<Connection<B>>| {
            !connection.is_stale(now) && !connection.is_over()
        };
        self.idle().retain_mut(rests);
        self.reserved.retain(rests);
        let limit = self.settings.idle_timeout;
        self.sessions().retain_mut(|session| !session.is_closed() && !session.is_stale(now, limit));
    }

    /// A stream, unless those who wait have a claim to it.
    fn stream(&self) -> Option<Stream> {
        if self.common.queue.len() > 0 { None } else { self.take_stream() }
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
    fn take_stream(&self) -> Option<Stream> {
        let mut sessions = self.sessions();
        sessions.retain_mut(|session| !session.is_closed());
        sessions.iter().find_map(Session::stream)
    }

    /// Where one connection serves many calls, one call dials and the others wait for what comes
    /// of it; a failure is that of all who waited.
    async fn shared_dial(&self, arrived: Moment) -> Result<Line<B>, Failure> {
        let patience = self.clock.instant(self.wait_end(arrived).plus(SETTINGS_TIMEOUT));
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
        if self.sessions().iter().any(Session::is_barred) {
            return self.wait(arrived, Awaited::Stream).await;
        }
        let opened = match self.common.permit() {
            Some(permit) => self.open(permit, Sharing::Shared).await?,
            None => return self.wait(arrived, Awaited::Anything).await,
        };
        match opened {
            Some(line) => Ok(line),
            None => self.wait(arrived, Awaited::Stream).await,
        }
    }

    /// A connection that no other call uses.
    async fn alone(&self, arrived: Moment) -> Result<Line<B>, Failure> {
        let end = self.clock.instant(self.wait_end(arrived));
        let permit = timeout_at(end, self.common.next_permit()).await.map_err(|_| exhausted())?;
        self.open(permit, Sharing::Alone).await?.ok_or_else(barred)
    }

    /// Opens a connection; nothing comes of it where the upstream grants it no stream.
    async fn open(&self, permit: Permit, sharing: Sharing) -> Result<Option<Line<B>>, Failure> {
        let (io, version) = dial(&self.settings, self.common.trust.as_ref(), self.clock).await?;
        match version {
            Version::Http2 => {
                let stream = self.open_session(io, permit, sharing).await?;
                Ok(stream.map(Line::Stream))
            }
            Version::Http1 | Version::Unknown => {
                self.common.learn(version);
                let idle_limit = self.settings.idle_timeout;
                let connection = Connection::open(io, self.clock, idle_limit, permit);
                Ok(Some(Line::Fresh(connection)))
            }
        }
    }

    async fn open_session(
        &self,
        io: Io,
        permit: Permit,
        sharing: Sharing,
    ) -> Result<Option<Stream>, Failure> {
        let common = Arc::clone(&self.common);
        let bounds = self.settings.answer_bounds;
        let session = Session::open(io, (self.clock, bounds), permit, common).await?;
        self.common.learn(Version::Http2);
        let stream = session.stream();
        if sharing == Sharing::Shared {
            self.sessions().push(session);
        }
        Ok(stream)
    }

    /// Waits for something of any worker or for leave to open a connection, as long as a
    /// connection may take to open.
    async fn wait(&self, arrived: Moment, awaited: Awaited) -> Result<Line<B>, Failure> {
        let mut waiting = self.common.queue.join();
        let mut permit = pin!(self.common.next_permit());
        let mut end = pin!(self.clock.sleep_until(self.wait_end(arrived)));
        loop {
            let mut changed = pin!(self.common.queue.changed());
            changed.as_mut().enable();
            if let Some(line) = self.take().or_else(|| self.common.borrow().map(line)) {
                // There may be more than one.
                drop(waiting);
                self.common.nudge();
                return Ok(line);
            }
            if awaited == Awaited::Anything {
                self.common.make_room();
            }
            tokio::select! {
                biased;
                handed = waiting.handed() => return Ok(line(handed)),
                permit = &mut permit, if awaited == Awaited::Anything => {
                    drop(waiting);
                    return self.open(permit, Sharing::Shared).await?.ok_or_else(barred);
                }
                () = changed => {}
                () = &mut end => return Err(match awaited {
                    Awaited::Anything => exhausted(),
                    Awaited::Stream => barred(),
                }),
            }
        }
    }

    fn wait_end(&self, arrived: Moment) -> Moment {
        arrived.plus(self.settings.connect_timeout)
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Box<Connection<B>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn exhausted() -> Failure {
    let detail = "all connections stayed in use for the connect timeout";
    Failure::new(FailureKind::ConnectionLimit, Delivery::NotSent, detail)
}

fn barred() -> Failure {
    let detail = "the upstream granted no HTTP/2 stream in time";
    Failure::new(FailureKind::ConnectTimeout, Delivery::NotSent, detail)
}

/// What one worker hands over, another one knows: they all send the same.
fn line<B: RequestBody>(handed: Handed) -> Line<B> {
    *handed.downcast().expect("all workers of an upstream send the same type of body")
}

impl<B: RequestBody> Holder for Pool<B> {
    fn idle(&self) -> usize {
        let sessions = self.sessions().iter().filter(|session| session.is_idle()).count();
        Self::idle(self).len() + self.reserved.len() + sessions
    }

    fn give(&self) -> Option<Handed> {
        Some(Box::new(self.take()?))
    }

    fn close_reserved(&self) -> bool {
        self.reserved.close_oldest()
    }
}
