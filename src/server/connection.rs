//! One client connection, from accept to close: protocol, deadlines, refusals, drain.
//!
//! No HTTP code has a timer of its own; `patrol.rs` says when a connection's time is up. Refuses
//! to know what a call is.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::body::{self, ClientBody};
use super::frames::Checked;
use super::h1;
use super::handler::{ConnectionChange, Handler, Refused, Sending};
use super::head::{self, Bounds};
use super::patrol::{Limits, Patrol};
use super::reader::{Reader, Streams};
use super::settings::Settings;
use super::stream::{ClientStream, InTurns, Protocol, end_writing};
use super::turn;
use super::wire::{Phase, Wire};
use crate::clock::Clock;
use crate::gateway::{ClientConnection, Drain, DrainStage, OriginalHeads};
use crate::time::Moment;

/// After our last byte, what the client still sends is read for so long: closing on unread bytes
/// resets the connection, and the reset can overtake the answer.
const LINGER_MAX: Duration = Duration::from_secs(1);
/// Bytes that are read so.
const LINGER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The library's own bounds are looser than ours, so that ours answer; as a factor.
const LOOSER: usize = 2;
/// A stream's window: what one slow upload can make us hold.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// A connection's window: sixteen busy streams.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// What one slow reader can make us hold.
const STREAM_SEND_BYTES_MAX: usize = 64 * 1024;
/// Streams the client reset before we took them up (CVE-2023-44487).
const PENDING_RESETS_MAX: usize = 20;
/// Streams we had to reset for the client's mistakes (CVE-2025-8671).
const LOCAL_RESETS_MAX: usize = 256;
/// A quiet HTTP/2 connection is asked for a sign of life so often.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// And has so long to give it.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// After GOAWAY an idle HTTP/2 connection has so long to close.
const GOAWAY_MAX: Duration = Duration::from_secs(5);
/// Once connections end, one that carries no call has so long to begin one or to close: longer
/// than a request that is under way, short enough not to delay the end.
const DRAIN_IDLE_MAX: Duration = Duration::from_secs(1);

/// What all connections of a worker share.
pub(super) struct Worker<H> {
    pub(super) handler: H,
    pub(super) clock: Clock,
    pub(super) drain: Drain,
    head_timeout: Duration,
    idle_timeout: Duration,
    pub(super) bounds: Bounds,
    http2: http2::Builder<Streams>,
}

impl<H: Handler> Worker<H> {
    pub(super) fn new(handler: H, settings: &Settings, clock: Clock, drain: Drain) -> Self {
        let bounds = Bounds {
            head_bytes_max: settings.head_bytes_max,
            headers_max: settings.headers_max,
            target_bytes_max: settings.target_bytes_max,
        };
        Self {
            handler,
            clock,
            drain,
            head_timeout: settings.head_timeout,
            idle_timeout: settings.idle_timeout,
            bounds,
            http2: http2_builder(settings, clock),
        }
    }

    /// Ends so long after connections began to end, or when all is over.
    async fn drained_for(&self, span: Duration) {
        self.drain.begun().await;
        let until = self.clock.now().plus(span).min(self.drain.deadline());
        self.clock.sleep_until(until).await;
    }
}

fn http2_builder(settings: &Settings, clock: Clock) -> http2::Builder<Streams> {
    let list_bytes = settings.head_bytes_max.saturating_mul(LOOSER);
    let mut builder = http2::Builder::new(Streams { clock });
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.streams_max)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(STREAM_SEND_BYTES_MAX)
        .max_header_list_size(u32::try_from(list_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(LOCAL_RESETS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Serves one connection to its end.
pub(super) async fn serve<H: Handler>(
    worker: Arc<Worker<H>>,
    socket: TcpStream,
    address: SocketAddr,
) {
    let _open = Open::new(&worker);
    let socket = Arc::new(socket);
    let wire = Arc::new(Wire::default());
    let accepted = worker.clock.now();
    let opening = ClientStream::open(Arc::clone(&socket), Arc::clone(&wire));
    let opened = tokio::select! {
        biased;
        opened = opening => opened,
        () = worker.clock.sleep_until(accepted.plus(worker.head_timeout)) => return,
        () = worker.drained_for(DRAIN_IDLE_MAX) => return,
    };
    let Ok(Some((stream, protocol))) = opened else { return };
    let link = Link { worker, socket, address, wire, accepted };
    match protocol {
        Protocol::Http1 => link.serve_http1(stream).await,
        Protocol::Http2 => Box::pin(link.serve_http2(stream)).await,
    }
}

/// Tells the handler that a connection is there, and that it is gone however it ends.
struct Open<H: Handler>(Arc<Worker<H>>);

impl<H: Handler> Open<H> {
    fn new(worker: &Arc<Worker<H>>) -> Self {
        worker.handler.connection(ConnectionChange::Opened);
        Self(Arc::clone(worker))
    }
}

impl<H: Handler> Drop for Open<H> {
    fn drop(&mut self) {
        self.0.handler.connection(ConnectionChange::Closed);
    }
}

/// One connection whose protocol is known.
struct Link<H> {
    worker: Arc<Worker<H>>,
    socket: Arc<TcpStream>,
    address: SocketAddr,
    wire: Arc<Wire>,
    accepted: Moment,
}

/// What a call needs of its connection.
pub(super) struct Line<H> {
    pub(super) worker: Arc<Worker<H>>,
    pub(super) peer: ClientConnection,
    pub(super) wire: Arc<Wire>,
}

impl<H: Handler> Link<H> {
    async fn serve_http1(self, stream: ClientStream) {
        let line = self.line(ClientConnection::new(self.address, Arc::clone(&self.socket)));
        let end = {
            let serving = pin!(h1::serve(stream, line));
            self.watch(pin!(Http1 { serving, wire: &self.wire })).await
        };
        match end {
            // What hardly any connection comes to must not make all of them larger.
            End::Closed if self.wire.is_unread() => Box::pin(self.linger()).await,
            End::Closed | End::TimedOut => {}
        }
    }

    async fn serve_http2(self, stream: ClientStream) {
        let line = self.line(ClientConnection::detached(self.address));
        let clock = self.worker.clock;
        let service = service_fn(move |request: Request<Incoming>| {
            let flight = Flight::new(Arc::clone(&line));
            let mut request = request.map(ClientBody::http2);
            async move {
                turn::behind_the_others().await;
                body::state_length(&mut request, clock).await;
                let method = request.method().clone();
                let response = call(flight, &mut Ok(request), &mut OriginalHeads::default()).await;
                Ok::<_, Infallible>(for_http2(&method, response))
            }
        });
        let connection = self
            .worker
            .http2
            .serve_connection(TokioIo::new(Checked::new(InTurns::new(stream))), service);
        self.watch(pin!(connection)).await;
    }

    fn limits(&self) -> Limits {
        Limits {
            first_head: self.accepted.plus(self.worker.head_timeout),
            head: self.worker.head_timeout,
            idle: self.worker.idle_timeout,
        }
    }

    fn line(&self, peer: ClientConnection) -> Arc<Line<H>> {
        let worker = Arc::clone(&self.worker);
        Arc::new(Line { worker, peer, wire: Arc::clone(&self.wire) })
    }

    /// Drives a connection until it ends, is refused or runs out of time.
    ///
    /// It is borrowed: a future that took it over would have two places for it.
    async fn watch<C: Connection>(&self, mut connection: Pin<&mut C>) -> End {
        let drain = &self.worker.drain;
        let mut patrol = Patrol::new(self.worker.clock, &self.wire, self.limits());
        let mut stage = DrainStage::Serving;
        let mut next_stage = pin!(drain.reached(DrainStage::Announced));
        let mut told = stage;
        std::future::poll_fn(|cx| {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Closed);
            }
            // Polled once for each stage: from then on its wake-up is this task's.
            if patrol.is_new() || drain.stage() != stage {
                while stage != DrainStage::Draining && next_stage.as_mut().poll(cx).is_ready() {
                    stage = drain.stage();
                    next_stage.set(drain.reached(DrainStage::Draining));
                }
                if stage == DrainStage::Draining {
                    patrol.hurry(DRAIN_IDLE_MAX);
                }
            }
            if told < stage && connection.as_mut().tell(stage, self.wire.phase()) {
                told = stage;
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(End::Closed);
                }
            }
            std::task::ready!(patrol.poll_due(cx));
            if self.wire.phase() == Phase::Stalled && !patrol.is_extended() {
                let beats = self.wire.beats();
                self.wire.probe();
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(End::Closed);
                }
                if self.wire.beats() != beats {
                    // It reads, only slowly; its deadline has moved.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            let told_already = patrol.is_extended() || stage == DrainStage::Draining;
            if told_already || !connection.as_mut().close_politely() {
                return Poll::Ready(End::TimedOut);
            }
            patrol.extend(GOAWAY_MAX, cx);
            connection.as_mut().poll(cx).map(|_| End::Closed)
        })
        .await
    }

    /// Reads and forgets what is still under way, so that our last bytes arrive.
    async fn linger(&self) {
        let until = self.worker.clock.now().plus(LINGER_MAX);
        if end_writing(&self.socket).is_ok() {
            tokio::select! {
                () = discard(&self.socket) => {}
                () = self.worker.clock.sleep_until(until) => {}
            }
        }
    }
}

async fn discard(socket: &TcpStream) {
    let mut read = 0;
    let mut bytes = [0; 4096];
    while read < LINGER_BYTES_MAX && socket.readable().await.is_ok() {
        match socket.try_read(&mut bytes) {
            Ok(0) => return,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// One call: its head is checked, answered, and its end is noted when the body's end is.
pub(super) async fn call<H: Handler>(
    flight: Flight<H>,
    request: &mut Result<Request<ClientBody>, Refused>,
    heads: &mut OriginalHeads,
) -> Response<Tracked<H>> {
    let Line { worker, peer, .. } = &*flight.line;
    let mut response = match request {
        Ok(request) => {
            let response = match head::check(request, worker.bounds) {
                // Pinned where it is made: awaited as it is, it would be copied to its place.
                Ok(()) => pin!(worker.handler.handle(request, heads, peer)).await,
                Err(refused) => worker.handler.refuse(refused, Some(request.headers())),
            };
            // What was not taken of its body nobody will read.
            *request.body_mut() = ClientBody::none();
            response
        }
        Err(refused) => worker.handler.refuse(*refused, None),
    };
    // The version is a matter of this connection, whatever the answer was relayed from.
    *response.version_mut() = Version::HTTP_11;
    if let Some(pause_max) = flight.line.peer.stall_timeout() {
        flight.line.wire.allow_pause(pause_max);
    }
    response.map(|body| Tracked { body, ends_with_head: false, reader: None, flight })
}

/// An answer as HTTP/2 may send it: without a body where it ends with its head, and without the
/// length of one behind a 204. The client would take either for a fault of the whole connection.
fn for_http2<H: Handler>(
    method: &Method,
    mut response: Response<Tracked<H>>,
) -> Response<Tracked<H>> {
    let body = response.body_mut();
    body.reader = Reader::of_this_task();
    if let Some(reader) = &body.reader {
        reader.allow_pause(body.flight.line.wire.pause_max());
    }
    let status = response.status();
    if !h1::has_no_body(method, status) {
        return response;
    }
    let length = response.body().size_hint().exact().filter(|bytes| 0 < *bytes);
    let headers = response.headers_mut();
    if status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    } else if let (Some(length), false) = (length, headers.contains_key(CONTENT_LENGTH)) {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    response.body_mut().ends_with_head = true;
    response
}

/// A call under way; over when dropped.
pub(super) struct Flight<H> {
    line: Arc<Line<H>>,
}

impl<H> Flight<H> {
    pub(super) fn new(line: Arc<Line<H>>) -> Self {
        line.wire.call_began();
        Self { line }
    }
}

impl<H> Drop for Flight<H> {
    fn drop(&mut self) {
        self.line.wire.call_ended();
    }
}

/// A response body whose end is the end of the call.
pub(super) struct Tracked<H: Handler> {
    body: H::Body,
    /// Nothing of the body is sent.
    ends_with_head: bool,
    /// The client of an HTTP/2 stream.
    reader: Option<Arc<Reader>>,
    flight: Flight<H>,
}

impl<H: Handler> Tracked<H> {
    /// All of it went out.
    pub(super) fn was_sent(&mut self) {
        self.body.was_sent();
    }
}

impl<H: Handler> Body for Tracked<H> {
    type Data = Bytes;
    type Error = <H::Body as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.ends_with_head {
            return Poll::Ready(None);
        }
        let Self { body, reader, .. } = &mut *self;
        let Some(reader) = reader else { return Pin::new(body).poll_frame(cx) };
        reader.asks();
        let polled = Pin::new(&mut *body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(_))) if !body.is_end_stream() => reader.was_given(),
            // What the library was given it sends, or says itself that it cannot.
            Poll::Ready(Some(Ok(_)) | None) => body.was_sent(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.ends_with_head || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How a connection ended.
enum End {
    Closed,
    TimedOut,
}

/// A connection of either protocol, as its watch sees it.
trait Connection: Future {
    /// Stopping has got so far; false where it is too early to tell the client.
    fn tell(self: Pin<&mut Self>, stage: DrainStage, phase: Phase) -> bool;

    /// No call after the present ones, for a connection whose time is up; false where it can
    /// simply be closed.
    fn close_politely(self: Pin<&mut Self>) -> bool;
}

/// An HTTP/1.1 connection, and how it is told.
struct Http1<'a, F> {
    serving: Pin<&'a mut F>,
    wire: &'a Wire,
}

impl<F: Future> Future for Http1<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.serving.as_mut().poll(cx)
    }
}

impl<F: Future> Connection for Http1<'_, F> {
    /// Answers say it. A fresh connection may be about to ask: its first answer says it too.
    fn tell(self: Pin<&mut Self>, stage: DrainStage, phase: Phase) -> bool {
        let due = stage == DrainStage::Draining && phase != Phase::Fresh;
        if due {
            self.wire.close_soon();
        }
        due
    }

    fn close_politely(self: Pin<&mut Self>) -> bool {
        false
    }
}

impl<S, B> Connection for http2::Connection<TokioIo<Checked<InTurns>>, S, Streams>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    B::Data: Send,
{
    /// GOAWAY lets streams end that are under way; while everything is served, a newcomer may
    /// open its first.
    fn tell(self: Pin<&mut Self>, stage: DrainStage, phase: Phase) -> bool {
        let due = stage == DrainStage::Draining || phase != Phase::Fresh;
        if due {
            self.graceful_shutdown();
        }
        due
    }

    fn close_politely(self: Pin<&mut Self>) -> bool {
        self.graceful_shutdown();
        true
    }
}
