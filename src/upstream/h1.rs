//! One HTTP/1.1 connection, driven by the exchange that uses it.
//!
//! It is not a task of its own: the exchange polls it while it waits for the head, the body of
//! the answer polls it while it is read, and at rest nobody does. So a call stays within one
//! task, and each event of the socket wakes it once. It refuses to send anything twice.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio::task::coop::has_budget_remaining;

use super::failure;
use super::pulse::{Pulse, Tracked};
use super::shared::Permit;
use super::wire::{Io, Wire};
use super::{Progress, RequestBody};
use crate::clock::Clock;
use crate::policy::outcome::{Failure, FailureKind, Reach};
use crate::policy::time::Moment;

/// Bytes of one answer's head. hyper's own bound of 100 header lines stays: stating it would cost
/// an allocation per answer.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// About how many bytes wait in our memory, either way, while the next place is busy.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// How long before the vendor's own `Keep-Alive: timeout` we let go, so that its close and our
/// next request do not cross.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(2);

/// The shortest time a connection is kept, whatever the vendor says.
const KEEP_ALIVE_MIN: Duration = Duration::from_secs(1);

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// An open connection.
pub(super) struct Connection<B: RequestBody> {
    sender: http1::SendRequest<Tracked<B>>,
    hyper: http1::Connection<TokioIo<Wire>, Tracked<B>>,
    pulse: Arc<Pulse>,
    /// The pulse, as hyper and the socket know it.
    waker: Waker,
    idle_since: Moment,
    idle_limit: Duration,
    /// How many heads it has brought.
    answers: u64,
    _permit: Permit,
}

/// What became of a request.
pub(super) enum Sent<B: RequestBody> {
    /// It was answered; with the connection, while the body is still to be read from it.
    Answered(Response<Incoming>, Afterwards<B>),
    /// The connection was closed and no byte was written: the request is where it was.
    Unsent(Failure),
    /// It broke.
    Failed(Failure),
}

/// What is to be done with a connection whose answer has a head.
pub(super) enum Afterwards<B: RequestBody> {
    /// The body flows through it.
    Flows(Box<Connection<B>>),
    /// It is free; what there is of a body has been read.
    Free(Box<Connection<B>>),
    /// It is over.
    Over,
}

impl<B: RequestBody> Connection<B> {
    /// Speaks HTTP/1.1 on a fresh connection.
    pub(super) async fn open(
        io: Io,
        clock: Clock,
        idle_limit: Duration,
        permit: Permit,
    ) -> Result<Box<Self>, Failure> {
        let pulse = Arc::new(Pulse::new());
        let wire = TokioIo::new(Wire::new(io, Arc::clone(&pulse), clock));
        let mut builder = http1::Builder::new();
        builder.max_buf_size(BUFFER_BYTES_MAX).max_header_size(HEAD_BYTES_MAX).writev(true);
        let (sender, hyper) =
            builder.handshake(wire).await.map_err(|error| failure::of_handshake(&error))?;
        let waker = Waker::from(Arc::clone(&pulse));
        let idle_since = Moment::START;
        Ok(Box::new(Self {
            sender,
            hyper,
            pulse,
            waker,
            idle_since,
            idle_limit,
            answers: 0,
            _permit: permit,
        }))
    }

    /// Sends what is in `request`, to `host`, and waits for the head of its answer. Where nothing
    /// of it was sent, it is there again.
    pub(super) async fn send(
        self: Box<Self>,
        request: &mut Option<Request<B>>,
        host: &HeaderValue,
        progress: &Progress,
    ) -> Sent<B> {
        let Some(head) = request.as_mut() else {
            return Sent::Failed(failure::vanished(&self.pulse));
        };
        prepare(head, host);
        let pulse = Arc::clone(&self.pulse);
        let mut connection = Some(self);
        let mut answer = pin!(hand_over(&mut connection, request));
        poll_fn(|cx| {
            drive(&mut connection, cx);
            pulse.tell(progress);
            // This task is the only one that can bring the answer, so no waker is needed.
            match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(answer)) => Poll::Ready(answered(answer, connection.take())),
                Poll::Ready(Err(error)) => Poll::Ready(unanswered(error, &pulse, request)),
                Poll::Pending if !has_budget_remaining() => yield_to_others(cx),
                Poll::Pending if connection.is_none() => {
                    Poll::Ready(Sent::Failed(failure::vanished(&pulse)))
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Lets the connection do what can be done now; ready when it is over.
    pub(super) fn drive(&mut self, cx: &Context<'_>) -> Poll<hyper::Result<()>> {
        self.pulse.attend(cx.waker());
        Pin::new(&mut self.hyper).poll(&mut Context::from_waker(&self.waker))
    }

    /// Reads what was already received, without waking the task that does it.
    pub(super) fn quietly<T>(&self, work: impl FnOnce() -> T) -> T {
        self.pulse.quietly(work)
    }

    /// Whether request and answer are both complete and another may follow.
    pub(super) fn is_free(&self) -> bool {
        self.sender.is_ready()
    }

    /// In use from `now` on.
    pub(super) fn begin(&self, now: Moment) {
        self.pulse.begin(now);
    }

    /// Unused from now on. Its rest is counted from the last write, which spares a look at the
    /// clock; after an answer that took as long as a connection may rest, it is not missed.
    pub(super) fn rest(&mut self) {
        self.pulse.rest();
        self.idle_since = self.pulse.last_write();
    }

    /// Whether it has been unused for too long.
    pub(super) fn is_stale(&self, now: Moment) -> bool {
        now.since(self.idle_since) >= self.idle_limit
    }

    /// Whether the upstream closed it, or said something unasked, while it was unused.
    pub(super) fn is_over(&mut self) -> bool {
        Pin::new(&mut self.hyper).poll(&mut Context::from_waker(&self.waker)).is_ready()
    }

    /// The vendor says once how long it keeps a connection; later answers repeat it.
    fn heed(&mut self, headers: &HeaderMap) {
        self.pulse.answered();
        self.answers += 1;
        if self.answers > 1 {
            return;
        }
        if let Some(limit) = headers.get(KEEP_ALIVE).and_then(keep_alive) {
            self.idle_limit = self.idle_limit.min(limit);
        }
    }
}

type Answer<B> = Result<Response<Incoming>, TrySendError<Request<Tracked<B>>>>;

/// Gives the request to hyper, which begins with it when the connection is driven.
fn hand_over<B: RequestBody>(
    connection: &mut Option<Box<Connection<B>>>,
    request: &mut Option<Request<B>>,
) -> impl Future<Output = Answer<B>> + use<B> {
    let connection = connection.as_mut().expect("it was just put there");
    let request = request.take().expect("it was just prepared");
    let pulse = Arc::clone(&connection.pulse);
    connection.pulse.quiet();
    connection.sender.try_send_request(request.map(|body| Tracked::new(body, pulse)))
}

/// The runtime wants this task to pause, and the answer may be there already.
fn yield_to_others<T>(cx: &Context<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Drives, and drops the connection when it is over, upon which hyper answers what is open.
fn drive<B: RequestBody>(connection: &mut Option<Box<Connection<B>>>, cx: &Context<'_>) {
    if let Some(open) = connection
        && open.drive(cx).is_ready()
    {
        *connection = None;
    }
}

fn answered<B: RequestBody>(
    answer: Response<Incoming>,
    connection: Option<Box<Connection<B>>>,
) -> Sent<B> {
    if let Err(failure) = framing(&answer) {
        return Sent::Failed(failure);
    }
    let Some(mut connection) = connection else {
        return Sent::Answered(answer, Afterwards::Over);
    };
    connection.heed(answer.headers());
    let afterwards = if connection.is_free() {
        if has_hidden_body(&answer) { Afterwards::Over } else { Afterwards::Free(connection) }
    } else if answer.body().is_end_stream() {
        Afterwards::Over
    } else {
        Afterwards::Flows(connection)
    };
    Sent::Answered(answer, afterwards)
}

fn unanswered<B: RequestBody>(
    mut error: TrySendError<Request<Tracked<B>>>,
    pulse: &Pulse,
    request: &mut Option<Request<B>>,
) -> Sent<B> {
    let failure = failure::of_head(error.error(), pulse);
    match error.take_message() {
        Some(back) if !pulse.moved() => {
            *request = Some(back.map(Tracked::into_inner));
            Sent::Unsent(failure)
        }
        Some(_) | None => Sent::Failed(failure),
    }
}

/// Refuses the framings that hyper reads one way and somebody else may read another.
fn framing(answer: &Response<Incoming>) -> Result<(), Failure> {
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(lie("101 unasked"));
    }
    let headers = answer.headers();
    let twins = headers.len() != headers.keys_len();
    if twins && headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some() {
        return Err(lie("Content-Length more than once"));
    }
    let length = headers.get(CONTENT_LENGTH);
    if length.is_some_and(|length| length.as_bytes().contains(&b',')) {
        return Err(lie("a list of Content-Length"));
    }
    // hyper knows the length, so no Transfer-Encoding was heeded, or there is no body at all.
    if answer.body().size_hint().exact().is_some() {
        return Ok(());
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    if length.is_some() {
        return Err(lie("Content-Length beside Transfer-Encoding"));
    }
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(lie("a Transfer-Encoding other than chunked"));
    }
    Ok(())
}

fn lie(what: &'static str) -> Failure {
    Failure::new(FailureKind::Protocol, Reach::Maybe, what)
}

/// A 204 that announces a body is about to send one, whatever the standard says.
fn has_hidden_body(answer: &Response<Incoming>) -> bool {
    answer.status() == StatusCode::NO_CONTENT
        && (answer.headers().contains_key(TRANSFER_ENCODING)
            || answer.headers().get(CONTENT_LENGTH).is_some_and(|length| length != "0"))
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

/// Makes `request` one of HTTP/1.1 to `host`.
fn prepare<B: RequestBody>(request: &mut Request<B>, host: &HeaderValue) {
    *request.version_mut() = Version::HTTP_11;
    request.headers_mut().insert(http::header::HOST, host.clone());
    if needs_chunks(request) {
        let chunked = HeaderValue::from_static("chunked");
        request.headers_mut().insert(TRANSFER_ENCODING, chunked);
    }
}

/// hyper leaves away a body of unknown length where it is unusual; we pass on what we are given.
fn needs_chunks<B: RequestBody>(request: &Request<B>) -> bool {
    !request.body().is_end_stream()
        && request.body().size_hint().exact().is_none()
        && !request.headers().contains_key(CONTENT_LENGTH)
}
