//! One HTTP/1.1 connection, polled by the exchange that uses it.
//!
//! It is not a task of its own: the exchange polls it until the head has arrived, the response body
//! polls it while it is read, and nothing polls it while it is idle. So a call stays within one
//! task, and each event of the socket wakes that task once.
//!
//! `head` writes request heads and reads response heads.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http::header::{HeaderMap, HeaderName};
use http_body::{Frame, SizeHint};

use self::head::{Framing, HeadError, ReadHead};
use super::authentication;
use super::destination::Destination;
use super::failure;
use super::progress::{INTERIM_BYTES_MAX, Progress};
use super::request::{RequestBody, SendError, UpstreamRequest};
use super::shared::ConnectionPermit;
use super::transport::Transport;
use crate::clock::Clock;
use crate::http1::{self, Lines, MessageWriter, Piece, ReadBuffer};
use crate::outcome::{Delivery, Failure};
use crate::time::Moment;

pub mod examine;
mod head;

/// Bytes that may follow a response late: two empty lines, which some vendors send.
const LATE_BYTES_MAX: usize = 4;

/// Room of one read. Small responses fit at once; the room grows while a large body comes in.
const READ_BYTES: usize = 8 * 1024;

/// With less room than this left, more is allocated before a read.
const READ_ROOM_MIN: usize = 2 * 1024;

/// A connection is given up this long before the `timeout` of the vendor's `Keep-Alive`, so that
/// the vendor does not close it while our next request is on its way.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(2);

/// The shortest time that an idle connection is kept, whatever the vendor states.
const KEEP_ALIVE_MIN: Duration = Duration::from_secs(1);

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

pub(super) struct Connection<B: RequestBody> {
    transport: Transport,
    clock: Clock,
    /// Bytes that were read and not used yet.
    received: ReadBuffer,
    lines: Lines,
    outgoing: MessageWriter,
    /// The upstream takes no more of the request that is being written.
    is_write_side_closed: bool,
    last_write: Moment,
    /// The rest of a request's body, if the response came before its end.
    upload: Option<B>,
    /// What is still to come of the response's body.
    framing: Framing,
    /// The upstream's version of HTTP, as its last response states it.
    version: Version,
    /// Whether another exchange may follow the present one.
    persists: bool,
    idle_since: Moment,
    idle_limit: Duration,
    has_read_keep_alive: bool,
    /// The client connection that this one authenticated itself for; it serves no other.
    reserved_for: Option<u64>,
    _permit: ConnectionPermit,
}

/// An exchange whose response head has not arrived yet.
struct PendingExchange<'a, 'h, B: RequestBody> {
    request: &'a mut UpstreamRequest<'h, B>,
    destination: &'a Destination,
    progress: &'a Progress,
    is_begun: bool,
    /// Bytes read in search of the head.
    read_bytes: usize,
}

impl<B: RequestBody> Connection<B> {
    pub(super) fn new(
        transport: Transport,
        clock: Clock,
        idle_limit: Duration,
        permit: ConnectionPermit,
    ) -> Box<Self> {
        Box::new(Self {
            transport,
            clock,
            received: ReadBuffer::new(READ_BYTES),
            lines: Lines::default(),
            outgoing: MessageWriter::default(),
            is_write_side_closed: false,
            last_write: Moment::START,
            upload: None,
            framing: Framing::Length(0),
            version: Version::HTTP_11,
            persists: true,
            idle_since: Moment::START,
            idle_limit,
            has_read_keep_alive: false,
            reserved_for: None,
            _permit: permit,
        })
    }

    /// Sends a request and reads the head of its response into `request`. After an error the
    /// connection is of no further use.
    pub(super) async fn send(
        &mut self,
        request: &mut UpstreamRequest<'_, B>,
        destination: &Destination,
        progress: &Progress,
    ) -> Result<(), SendError> {
        let mut pending =
            PendingExchange { request, destination, progress, is_begun: false, read_bytes: 0 };
        poll_fn(|cx| {
            let begins = !pending.is_begun;
            if begins {
                self.begin(&mut pending, cx)?;
            }
            if !self.outgoing.is_sent() && !self.is_write_side_closed {
                self.poll_request(&mut pending, cx)?;
            }
            if begins {
                // `begin` has just found that there is nothing to read.
                return Poll::Pending;
            }
            loop {
                let read = ready!(self.poll_read(cx));
                let (delivery, read_bytes) = (self.delivery(), pending.read_bytes);
                let is_complete = match read {
                    Ok(0) => Err(failure::closed(delivery, read_bytes)),
                    Ok(bytes) => self.read_head(&mut pending, bytes),
                    Err(error) => Err(failure::http1_head(&error, delivery, read_bytes)),
                };
                if is_complete.map_err(SendError::Failed)? {
                    return Poll::Ready(Ok(()));
                }
            }
        })
        .await
    }

    /// Begins the request, unless the upstream closed the connection while it was idle or sent
    /// something on it.
    fn begin(
        &mut self,
        pending: &mut PendingExchange<'_, '_, B>,
        cx: &mut Context<'_>,
    ) -> Result<(), SendError> {
        if let Poll::Ready(read) = self.poll_unsolicited(cx) {
            return Err(SendError::NotSent(match read {
                Ok(_) => failure::closed(Delivery::NotSent, 0),
                Err(error) => failure::http1_head(&error, Delivery::NotSent, 0),
            }));
        }
        let UpstreamRequest { head, authenticates_connection, body, .. } = &*pending.request;
        let body = body.as_ref().expect("a request is sent once");
        if *authenticates_connection {
            self.reserved_for = Some(head.client);
        }
        let (host, version) = (&pending.destination.host, self.version);
        self.outgoing.begin(|out| head::write(out, head, body, host, version));
        pending.is_begun = true;
        Ok(())
    }

    /// Writes what the socket takes of the request.
    fn poll_request(
        &mut self,
        pending: &mut PendingExchange<'_, '_, B>,
        cx: &mut Context<'_>,
    ) -> Result<(), SendError> {
        if self.outgoing.is_untouched() && pending.progress.is_too_late(self.clock) {
            return Err(SendError::Failed(failure::too_late()));
        }
        let body = pending.request.body.as_mut();
        let (clock, last_write) = (self.clock, &mut self.last_write);
        let wrote = || {
            *last_write = clock.now();
            pending.progress.wrote(*last_write);
        };
        match self.outgoing.poll(&mut self.transport, body, cx, wrote) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) => {
                pending.progress.finished(self.last_write);
                pending.request.body = None;
                Ok(())
            }
            Poll::Ready(Err(http1::WriteError::Body(error))) => {
                let failure = failure::request_body(error.as_ref(), self.delivery());
                Err(SendError::Failed(failure))
            }
            Poll::Ready(Err(http1::WriteError::Socket(error)))
                if self.closes_write_side(&error) =>
            {
                Ok(())
            }
            Poll::Ready(Err(http1::WriteError::Socket(error))) => {
                let failure = failure::http1_head(&error, self.delivery(), 0);
                let is_untouched = self.outgoing.is_untouched();
                let error = if is_untouched { SendError::NotSent } else { SendError::Failed };
                Err(error(failure))
            }
        }
    }

    /// Whether the upstream refuses the rest of a request that is partly out. Its response may
    /// still lie in the socket, so whether the exchange has failed is known only after reading.
    fn closes_write_side(&mut self, error: &io::Error) -> bool {
        let is_closed = matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
        self.is_write_side_closed = is_closed && self.outgoing.has_started();
        self.is_write_side_closed
    }

    /// Reads the response's head out of what was received. Returns whether it is complete.
    fn read_head(
        &mut self,
        pending: &mut PendingExchange<'_, '_, B>,
        bytes: usize,
    ) -> Result<bool, Failure> {
        let UpstreamRequest { head, response, .. } = &mut *pending.request;
        if pending.read_bytes == 0 {
            pending.destination.allocate(response.headers_mut());
        }
        pending.read_bytes += bytes;
        let limits = pending.destination.limits;
        let read_bytes_max = INTERIM_BYTES_MAX.saturating_add(limits.head_bytes_max);
        loop {
            let received = &mut self.received.bytes;
            match head::read(received, &mut self.lines, &head.method, limits, response) {
                Ok(ReadHead::Complete(info, original)) => {
                    pending.progress.set_head(original);
                    self.read_keep_alive(response.headers());
                    if authentication::challenges_connection(response.status(), response.headers())
                    {
                        self.reserved_for = Some(head.client);
                    }
                    (self.version, self.persists) = (response.version(), info.persists);
                    self.framing = info.framing;
                    return Ok(true);
                }
                Ok(ReadHead::Interim(_) | ReadHead::Incomplete)
                    if pending.read_bytes > read_bytes_max =>
                {
                    return Err(failure::malformed("too many interim responses"));
                }
                Ok(ReadHead::Interim(interim)) => pending.progress.add_interim(interim),
                Ok(ReadHead::Incomplete) => return Ok(false),
                Err(HeadError::Malformed(error)) => return Err(failure::malformed(error.0)),
                Err(HeadError::TooLarge(what)) => return Err(failure::head_too_large(what)),
            }
        }
    }

    /// Lowers the idle limit to what the vendor's first response states; later ones repeat it.
    fn read_keep_alive(&mut self, headers: &HeaderMap) {
        if std::mem::replace(&mut self.has_read_keep_alive, true) {
            return;
        }
        let value = headers.get(KEEP_ALIVE).and_then(|value| value.to_str().ok());
        let seconds = value.into_iter().flat_map(|value| value.split(',')).find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let is_timeout = name.trim().eq_ignore_ascii_case("timeout");
            if is_timeout { value.trim().trim_matches('"').parse::<u64>().ok() } else { None }
        });
        if let Some(seconds) = seconds {
            let limit = Duration::from_secs(seconds).saturating_sub(KEEP_ALIVE_MARGIN);
            self.idle_limit = self.idle_limit.min(limit.max(KEEP_ALIVE_MIN));
        }
    }

    /// Takes the response's body if all of it has been received with the head.
    pub(super) fn take_whole_body(&mut self) -> Option<Bytes> {
        match &mut self.framing {
            Framing::Length(left) if *left <= self.received.bytes.len() as u64 => {
                Some(http1::take_data(left, &mut self.received.bytes))
            }
            Framing::Length(_) | Framing::Chunks(_) | Framing::Close => None,
        }
    }

    /// Leaves the rest of the request's body to [`Self::poll_body`].
    pub(super) fn continue_upload(&mut self, body: Option<B>) {
        self.upload = body;
    }

    /// The next frame of the response's body; also writes what is left of the request.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<FrameResult>> {
        if !self.outgoing.is_sent() && !self.is_write_side_closed {
            match self.outgoing.poll(&mut self.transport, self.upload.as_mut(), cx, || ()) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.upload = None,
                Poll::Ready(Err(http1::WriteError::Socket(error)))
                    if self.closes_write_side(&error) => {}
                Poll::Ready(Err(http1::WriteError::Socket(error))) => {
                    return Poll::Ready(Some(Err(failure::http1_body(&error))));
                }
                Poll::Ready(Err(http1::WriteError::Body(error))) => {
                    let failure = failure::request_body(error.as_ref(), Delivery::Uncertain);
                    return Poll::Ready(Some(Err(failure)));
                }
            }
        }
        loop {
            let received = &mut self.received.bytes;
            let piece = match &mut self.framing {
                Framing::Length(0) => Ok(Piece::End),
                Framing::Chunks(chunks) => chunks.take(received),
                Framing::Length(_) | Framing::Close if received.is_empty() => Ok(Piece::More),
                Framing::Length(left) => Ok(Piece::Data(http1::take_data(left, received))),
                Framing::Close => Ok(Piece::Data(received.split().freeze())),
            };
            match piece {
                Ok(Piece::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Piece::Trailers(map)) => return Poll::Ready(Some(Ok(Frame::trailers(map)))),
                Ok(Piece::End) => return Poll::Ready(None),
                Ok(Piece::More) => {}
                Err(error) => return Poll::Ready(Some(Err(failure::malformed(error.0)))),
            }
            match ready!(self.poll_read(cx)) {
                Ok(0) if matches!(self.framing, Framing::Close) => {
                    self.framing = Framing::Length(0)
                }
                Ok(0) => {
                    // The head has been read, so the end is one in the middle of the response.
                    return Poll::Ready(Some(Err(failure::closed(Delivery::Uncertain, 1))));
                }
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(failure::http1_body(&error)))),
            }
        }
    }

    pub(super) fn is_body_over(&self) -> bool {
        match &self.framing {
            Framing::Length(left) => *left == 0,
            Framing::Chunks(chunks) => chunks.is_over(),
            Framing::Close => false,
        }
    }

    /// How much of the response's body is still to come.
    pub(super) fn body_size(&self) -> SizeHint {
        match &self.framing {
            Framing::Length(left) => SizeHint::with_exact(*left),
            Framing::Chunks(_) | Framing::Close => SizeHint::default(),
        }
    }

    /// Whether request and response are both complete and another exchange may follow.
    pub(super) fn is_free(&mut self) -> bool {
        let is_complete = self.outgoing.is_sent() && self.is_body_over();
        is_complete && self.persists && head::skip_empty_lines(&mut self.received.bytes)
    }

    /// Marks the connection as idle. Idle time is counted from the last write, which saves reading
    /// the clock. After a response that took as long as the idle limit the connection is closed
    /// although it could be kept, which costs little.
    pub(super) fn set_idle(&mut self) {
        self.received.shrink();
        self.idle_since = self.last_write;
    }

    pub(super) fn reserved_for(&self) -> Option<u64> {
        self.reserved_for
    }

    pub(super) fn is_expired(&self, now: Moment) -> bool {
        now.since(self.idle_since) >= self.idle_limit
    }

    /// Whether the upstream closed the idle connection or sent something on it. Polling with a
    /// waker that does nothing also lets the socket forget the task of the last exchange.
    pub(super) fn is_closed(&mut self) -> bool {
        self.poll_unsolicited(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    /// Ready when the upstream closed the connection or sent something before a request. An empty
    /// line that comes late does not count.
    fn poll_unsolicited(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            let read = ready!(self.poll_read(cx));
            let may_be_late = matches!(read, Ok(bytes) if 0 < bytes && bytes <= LATE_BYTES_MAX);
            if !may_be_late || !head::skip_empty_lines(&mut self.received.bytes) {
                return Poll::Ready(read);
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.received.poll_read(&mut self.transport, cx, READ_ROOM_MIN)
    }

    fn delivery(&self) -> Delivery {
        if self.outgoing.has_started() { Delivery::Uncertain } else { Delivery::NotSent }
    }
}

type FrameResult = Result<Frame<Bytes>, Failure>;
