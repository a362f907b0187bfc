//! One HTTP/1.1 connection, driven by the exchange that uses it.
//!
//! It is not a task of its own: the exchange polls it while it waits for the head, the body of
//! the answer polls it while it is read, and at rest nobody does. So a call stays within one
//! task, and each event of the socket wakes it once. It refuses to send anything twice.
//!
//! `head` writes a request's head and reads an answer's.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName};
use http::{HeaderValue, Version};
use http_body::{Frame, SizeHint};

use self::head::{Found, Framing, Unusable};
use super::authentication;
use super::failure;
use super::pool::Pool;
use super::request::{Broken, UpstreamRequest};
use super::shared::Permit;
use super::wire::Io;
use super::{INTERIM_BYTES_MAX, Progress, RequestBody, UpstreamBody};
use crate::clock::Clock;
use crate::http1::{self, Lines, Outgoing, ParseError, Piece, Received, Stop};
use crate::outcome::{Failure, Reach};
use crate::time::Moment;

pub mod examine;
mod head;

/// Bytes that may come late behind an answer: two empty lines, which some vendors send.
const LATE_BYTES_MAX: usize = 4;

/// Room for one read: small answers fit at once, and a large body gets more as it comes.
const READ_BYTES: usize = 8 * 1024;

/// With less room than this left, a read is not worth its while.
const READ_ROOM_MIN: usize = 2 * 1024;

/// How long before the vendor's own `Keep-Alive: timeout` we let go, so that its close and our
/// next request do not cross.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(2);

/// The shortest time a connection is kept, whatever the vendor says.
const KEEP_ALIVE_MIN: Duration = Duration::from_secs(1);

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// An open connection.
pub(super) struct Connection<B: RequestBody> {
    io: Io,
    clock: Clock,
    /// What was read and not used yet.
    received: Received,
    lines: Lines,
    outgoing: Outgoing,
    /// It takes nothing more of a request that it has begun to take.
    hung_up: bool,
    last_write: Moment,
    /// The rest of a request whose answer came early.
    upload: Option<B>,
    /// What is still to come of the answer's body.
    framing: Framing,
    /// What the upstream speaks, as far as it has said.
    version: Version,
    /// Whether another exchange may follow this one.
    persists: bool,
    idle_since: Moment,
    idle_limit: Duration,
    /// It has brought an answer.
    proven: bool,
    /// The client's connection that it authenticated itself for: it serves no other.
    reserved_for: Option<u64>,
    _permit: Permit,
}

/// What one exchange needs to know of itself until its head is there.
struct Exchange<'a, 'h, B: RequestBody> {
    asked: &'a mut UpstreamRequest<'h, B>,
    pool: &'a Pool<B>,
    progress: &'a Progress,
    stage: Stage,
    /// Bytes read in search of a head.
    read: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Before,
    Begun,
}

/// Whether a head is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Part,
    Head,
}

impl<B: RequestBody> Connection<B> {
    /// Speaks HTTP/1.1 on a fresh connection.
    pub(super) fn open(io: Io, clock: Clock, idle_limit: Duration, permit: Permit) -> Box<Self> {
        Box::new(Self {
            io,
            clock,
            received: Received::new(READ_BYTES),
            lines: Lines::default(),
            outgoing: Outgoing::default(),
            hung_up: false,
            last_write: Moment::START,
            upload: None,
            framing: Framing::Length(0),
            version: Version::HTTP_11,
            persists: true,
            idle_since: Moment::START,
            idle_limit,
            proven: false,
            reserved_for: None,
            _permit: permit,
        })
    }

    /// Sends what is asked and waits for the head of its answer. Where nothing of it was sent, it
    /// is as it was. A connection that is free goes back to `pool`.
    pub(super) async fn send(
        mut self: Box<Self>,
        asked: &mut UpstreamRequest<'_, B>,
        pool: &Arc<Pool<B>>,
        progress: &Progress,
    ) -> Result<(), Broken> {
        let mut exchange = Exchange { asked, pool, progress, stage: Stage::Before, read: 0 };
        poll_fn(|cx| self.poll_head(&mut exchange, cx)).await?;
        self.give_body(asked, pool);
        Ok(())
    }

    fn poll_head(
        &mut self,
        exchange: &mut Exchange<'_, '_, B>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        let begins = exchange.stage == Stage::Before;
        if begins {
            self.begin_exchange(exchange, cx)?;
        }
        if !self.outgoing.is_sent() && !self.hung_up {
            self.poll_request(exchange, cx)?;
        }
        if begins {
            // It was just asked whether there is something to read.
            return Poll::Pending;
        }
        loop {
            let heard = match ready!(self.poll_read(cx)) {
                Ok(0) => Err(failure::of_end(self.reach(), exchange.read > 0)),
                Ok(bytes) => self.hear(exchange, bytes),
                Err(error) => Err(failure::of_head_io(&error, self.reach(), exchange.read > 0)),
            };
            if heard.map_err(Broken::Failed)? == Heard::Head {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// A connection that was closed, or that spoke unasked, is of no use to anybody.
    fn begin_exchange(
        &mut self,
        exchange: &mut Exchange<'_, '_, B>,
        cx: &mut Context<'_>,
    ) -> Result<(), Broken> {
        if let Poll::Ready(read) = self.poll_unasked(cx) {
            let failure = match read {
                Ok(_) => failure::of_end(Reach::Nothing, false),
                Err(error) => failure::of_head_io(&error, Reach::Nothing, false),
            };
            return Err(Broken::Unsent(failure));
        }
        let UpstreamRequest { head, binds, body, .. } = &*exchange.asked;
        let body = body.as_ref().expect("a request is sent once");
        if *binds {
            self.reserved_for = Some(head.client);
        }
        let (host, version) = (&exchange.pool.host, self.version);
        self.outgoing.begin(|out| head::write(out, (head, body), host, version));
        exchange.stage = Stage::Begun;
        Ok(())
    }

    /// Whether the upstream hung up after some of the request was out. What it said before may
    /// still lie in the socket, so the reading side has the last word.
    fn is_hung_up(&mut self, error: &io::Error) -> bool {
        let hung_up = matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
        self.hung_up = hung_up && self.outgoing.has_moved();
        self.hung_up
    }

    /// Lets the request go on.
    fn poll_request(
        &mut self,
        exchange: &mut Exchange<'_, '_, B>,
        cx: &mut Context<'_>,
    ) -> Result<(), Broken> {
        let body = exchange.asked.body.as_mut();
        let (clock, last_write) = (self.clock, &mut self.last_write);
        let wrote = || {
            *last_write = clock.now();
            exchange.progress.wrote(*last_write);
        };
        match self.outgoing.poll(&mut self.io, body, cx, wrote) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) => {
                exchange.progress.finished(self.last_write);
                exchange.asked.body = None;
                Ok(())
            }
            Poll::Ready(Err(Stop::Socket(error))) if self.is_hung_up(&error) => Ok(()),
            Poll::Ready(Err(stop)) => {
                let failure = match &stop {
                    Stop::Body(error) => failure::of_request_body(error.as_ref(), self.reach()),
                    Stop::Socket(error) => failure::of_head_io(error, self.reach(), false),
                };
                let untouched = self.outgoing.is_untouched() && matches!(stop, Stop::Socket(_));
                Err(if untouched { Broken::Unsent(failure) } else { Broken::Failed(failure) })
            }
        }
    }

    /// Takes the head out of what was received, once it is whole.
    fn hear(&mut self, exchange: &mut Exchange<'_, '_, B>, bytes: usize) -> Result<Heard, Failure> {
        let UpstreamRequest { head, answer, .. } = &mut *exchange.asked;
        if exchange.read == 0 {
            exchange.pool.lend(answer.headers_mut());
        }
        exchange.read += bytes;
        let bounds = exchange.pool.answer_bounds();
        let floods = exchange.read > INTERIM_BYTES_MAX.saturating_add(bounds.head_bytes_max);
        loop {
            let received = &mut self.received.bytes;
            match head::read(received, &mut self.lines, (&head.method, bounds), answer) {
                Ok(Found::Head(rest, original)) => {
                    exchange.progress.heard_head(original);
                    self.heed(answer.headers());
                    if authentication::challenges(answer.status(), answer.headers()) {
                        self.reserved_for = Some(head.client);
                    }
                    (self.version, self.persists) = (answer.version(), rest.persists);
                    self.framing = rest.framing;
                    return Ok(Heard::Head);
                }
                Ok(Found::Interim(_) | Found::Part) if floods => {
                    return Err(failure::of_lie("interim answers without end"));
                }
                Ok(Found::Interim(interim)) => exchange.progress.heard_interim(interim),
                Ok(Found::Part) => return Ok(Heard::Part),
                Err(Unusable::Malformed(lie)) => return Err(failure::of_lie(lie.0)),
                Err(Unusable::OverBound(what)) => return Err(failure::of_own_bound(what)),
            }
        }
    }

    /// Gives the answer its body: it flows through the connection, unless all of it is here.
    fn give_body(mut self: Box<Self>, asked: &mut UpstreamRequest<'_, B>, pool: &Arc<Pool<B>>) {
        *asked.answer.body_mut() = match &mut self.framing {
            Framing::Length(left) if *left <= self.received.bytes.len() as u64 => {
                let body = http1::data(left, &mut self.received.bytes);
                if self.is_free() {
                    pool.keep(self);
                }
                UpstreamBody::received(body)
            }
            Framing::Length(_) | Framing::Chunks(_) | Framing::Close => {
                self.upload = asked.body.take();
                UpstreamBody::flowing(self, Arc::clone(pool))
            }
        };
    }

    /// The next frame of the answer's body.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<PolledFrame>> {
        if !self.outgoing.is_sent() && !self.hung_up {
            match self.outgoing.poll(&mut self.io, self.upload.as_mut(), cx, || ()) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.upload = None,
                Poll::Ready(Err(Stop::Socket(error))) if self.is_hung_up(&error) => {}
                Poll::Ready(Err(stop)) => return Poll::Ready(Some(Err(of_stopped_body(&stop)))),
            }
        }
        loop {
            match self.take() {
                Ok(Piece::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Piece::Trailers(map)) => return Poll::Ready(Some(Ok(Frame::trailers(map)))),
                Ok(Piece::End) => return Poll::Ready(None),
                Ok(Piece::More) => {}
                Err(lie) => return Poll::Ready(Some(Err(failure::of_lie(lie.0)))),
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) if matches!(self.framing, Framing::Close) => {
                    self.framing = Framing::Length(0)
                }
                Ok(0) => return Poll::Ready(Some(Err(failure::of_end(Reach::Maybe, true)))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(failure::of_body_io(&error)))),
            }
        }
    }

    /// Takes the next piece of the answer's body out of what was received.
    fn take(&mut self) -> Result<Piece, ParseError> {
        let received = &mut self.received.bytes;
        match &mut self.framing {
            Framing::Length(0) => Ok(Piece::End),
            Framing::Chunks(chunks) => chunks.take(received),
            Framing::Length(_) | Framing::Close if received.is_empty() => Ok(Piece::More),
            Framing::Length(left) => Ok(Piece::Data(http1::data(left, received))),
            Framing::Close => Ok(Piece::Data(received.split().freeze())),
        }
    }

    /// Whether the answer's body is at its end.
    pub(super) fn is_body_over(&self) -> bool {
        match &self.framing {
            Framing::Length(left) => *left == 0,
            Framing::Chunks(chunks) => chunks.is_over(),
            Framing::Close => false,
        }
    }

    /// How much of the answer's body is still to come.
    pub(super) fn body_size(&self) -> SizeHint {
        match &self.framing {
            Framing::Length(left) => SizeHint::with_exact(*left),
            Framing::Chunks(_) | Framing::Close => SizeHint::default(),
        }
    }

    /// Whether request and answer are both complete and another may follow.
    pub(super) fn is_free(&mut self) -> bool {
        let complete = self.outgoing.is_sent() && self.is_body_over();
        complete && self.persists && head::skip_empty_lines(&mut self.received.bytes)
    }

    /// Unused from now on. Its rest is counted from the last write, which spares a look at the
    /// clock; after an answer that took as long as a connection may rest, it is not missed.
    pub(super) fn rest(&mut self) {
        self.received.shrink();
        self.idle_since = self.last_write;
    }

    /// The only client's connection that it may serve, if it is not free for all.
    pub(super) fn reserved_for(&self) -> Option<u64> {
        self.reserved_for
    }

    /// Whether it has been unused for too long.
    pub(super) fn is_stale(&self, now: Moment) -> bool {
        now.since(self.idle_since) >= self.idle_limit
    }

    /// Whether the upstream closed it, or said something unasked, while it was unused. No task is
    /// kept in memory for its sake from here on.
    pub(super) fn is_over(&mut self) -> bool {
        self.poll_unasked(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    /// Ready when the upstream closed the connection or said something that nobody asked for. An
    /// empty line that comes late says nothing.
    fn poll_unasked(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            let read = ready!(self.poll_read(cx));
            let late = matches!(read, Ok(bytes) if 0 < bytes && bytes <= LATE_BYTES_MAX);
            if !late || !head::skip_empty_lines(&mut self.received.bytes) {
                return Poll::Ready(read);
            }
        }
    }

    /// Reads once, behind what was received.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.received.poll_read(&mut self.io, cx, READ_ROOM_MIN)
    }

    fn reach(&self) -> Reach {
        if self.outgoing.has_moved() { Reach::Maybe } else { Reach::Nothing }
    }

    /// The vendor says once how long it keeps a connection; later answers repeat it.
    fn heed(&mut self, headers: &HeaderMap) {
        if std::mem::replace(&mut self.proven, true) {
            return;
        }
        if let Some(limit) = headers.get(KEEP_ALIVE).and_then(keep_alive) {
            self.idle_limit = self.idle_limit.min(limit);
        }
    }
}

type PolledFrame = Result<Frame<Bytes>, Failure>;

fn of_stopped_body(stop: &Stop) -> Failure {
    match stop {
        Stop::Socket(error) => failure::of_body_io(error),
        Stop::Body(error) => failure::of_request_body(error.as_ref(), Reach::Maybe),
    }
}

/// `timeout` of a `Keep-Alive` header, less our margin.
fn keep_alive(value: &HeaderValue) -> Option<Duration> {
    let seconds = value.to_str().ok()?.split(',').find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let name = name.trim().eq_ignore_ascii_case("timeout");
        if name { value.trim().trim_matches('"').parse::<u64>().ok() } else { None }
    })?;
    Some(Duration::from_secs(seconds).saturating_sub(KEEP_ALIVE_MARGIN).max(KEEP_ALIVE_MIN))
}
