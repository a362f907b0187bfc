//! The body of an answer to a client: a problem of ours, or the vendor's bytes as they come.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::merging::Merging;
use crate::allowance::ConcurrencyPermit;
use crate::clock::Clock;
use crate::gateway::Settings;
use crate::gateway::call::Identity;
use crate::headers;
use crate::outcome::{Delivery, Failure, FailureKind};
use crate::problem::Redactor;
use crate::telemetry::{self, Access, BreakCause, BrokenBody, BrokenBy, Shard};
use crate::time::Moment;
use crate::upstream;

/// The body of an answer to a client.
#[derive(Debug)]
pub enum ResponseBody<B> {
    /// All of it is here, or there is none.
    Whole(Option<Bytes>),
    /// The vendor's; boxed, because an answer is handed on many times before it is written.
    Streamed(Box<Streamed<B>>),
}

impl<B: upstream::ResponseBody> ResponseBody<B> {
    /// A vendor's body. One that is here is not watched any more, and its seat is free.
    #[must_use]
    pub fn of_vendor(
        mut body: B,
        idle: (Clock, Duration),
        mut seat: ConcurrencyPermit,
        record: impl FnOnce() -> BodyRecord,
    ) -> Self {
        match body.take_whole() {
            Some(bytes) => {
                seat.body_ended();
                Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
            }
            None => {
                let body = (VecDeque::new(), body);
                Self::Streamed(Box::new(Streamed::new(body, idle, seat, record())))
            }
        }
    }

    /// All of it went out.
    pub fn was_sent(&mut self) {
        if let Self::Streamed(streamed) = self {
            streamed.end = BodyEnd::Told;
        }
    }
}

/// What is known of an answer whose body streams: for the record of a break, and for its trailers.
#[derive(Debug)]
pub struct BodyRecord {
    /// Looks for the credential that was injected, if one was.
    pub(in crate::gateway) redactor: Option<Arc<Redactor>>,
    pub(in crate::gateway) settings: Arc<Settings>,
    pub(in crate::gateway) shard: Arc<Shard>,
    pub(in crate::gateway) access: Access,
    pub(in crate::gateway) client: usize,
    pub(in crate::gateway) upstream: usize,
    pub(in crate::gateway) method: Method,
    pub(in crate::gateway) target: PathAndQuery,
    pub(in crate::gateway) status: StatusCode,
    pub(in crate::gateway) request_id: HeaderValue,
    pub(in crate::gateway) arrival: Moment,
    pub(in crate::gateway) identity: Identity,
}

impl BodyRecord {
    #[cold]
    fn broke(&self, (by, cause): (BrokenBy, BreakCause<'_>), (bytes, now): (u64, Moment)) {
        self.shard.body_broke(self.upstream, by);
        telemetry::log_broken_body(
            self.access,
            &BrokenBody {
                request_id: self.request_id.to_str().unwrap_or_default(),
                client: &self.settings.clients.all()[self.client].name,
                upstream: &self.settings.upstreams[self.upstream].name,
                method: &self.method,
                path: self.target.path(),
                status: self.status,
                bytes,
                by,
                cause,
                account: self.identity.account.as_deref(),
                trace_id: self.identity.trace_id.as_deref(),
                total: now.since(self.arrival),
            },
        );
    }

    /// A frame as the client may see it: of trailers, only what may trail, and no secret.
    fn for_client(&self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_trailers() {
            Ok(mut trailers) => {
                headers::filter_trailers(&mut trailers);
                if let Some(redactor) = &self.redactor {
                    redactor.redact_passing(&mut trailers);
                }
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        }
    }

    /// Whether an answer like this has no body, so that none can break off.
    fn is_bodiless(&self) -> bool {
        self.method == Method::HEAD
            || matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }
}

/// A vendor's body as it comes; breaks off visibly where the vendor's does.
#[derive(Debug)]
pub struct Streamed<B> {
    /// Frames that were read to look at them, and turned out to be the client's.
    read: VecDeque<Frame<Bytes>>,
    rest: Merging<B, Failure>,
    idle: Idle,
    /// The break, while what came before it goes out.
    broken: Option<Failure>,
    seat: ConcurrencyPermit,
    record: BodyRecord,
    /// Bytes that were handed on.
    bytes: u64,
    /// When the latest of them were.
    handed_at: Moment,
    end: BodyEnd,
}

/// Whether the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyEnd {
    /// Not yet: dropped now, it breaks off on the client's side.
    Open,
    /// It is: all of it went out, or its break is recorded.
    Told,
}

/// The timer between two pieces of a body; nothing is set while pieces come.
#[derive(Debug)]
struct Idle {
    clock: Clock,
    timeout: Duration,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl<B> Streamed<B> {
    /// A vendor's body that may be silent for `idle_timeout`, behind frames already read.
    #[must_use]
    pub fn new(
        (read, rest): (VecDeque<Frame<Bytes>>, B),
        (clock, idle_timeout): (Clock, Duration),
        seat: ConcurrencyPermit,
        record: BodyRecord,
    ) -> Self {
        let idle = Idle { clock, timeout: idle_timeout, timer: None };
        let (broken, handed_at, end) = (None, record.arrival, BodyEnd::Open);
        let rest = Merging::new(rest);
        Self { read, rest, idle, broken, seat, record, bytes: 0, handed_at, end }
    }

    /// A frame goes on to the client.
    fn hand_on(&mut self, frame: &Frame<Bytes>) {
        self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        self.handed_at = self.idle.clock.now();
    }

    /// The vendor's side broke off.
    fn broke(&mut self, failure: &Failure) {
        let now = self.idle.clock.now();
        let aftermath = self.seat.body_broke_off();
        self.end = BodyEnd::Told;
        let why = BreakCause::Exchange(failure);
        self.record.broke((BrokenBy::Upstream, why), (self.bytes, now));
        let upstream = &self.record.settings.upstreams[self.record.upstream].name;
        for news in &aftermath.hold_changes {
            telemetry::log_hold((upstream, self.seat.account_key()), news, None, now);
        }
    }

    /// Tells the break at the next look, not at this one: a server writes what it was given, the
    /// head included, only when nothing more is ready, and forgets it when a body fails before.
    fn break_off(&mut self, failure: Failure, context: &Context<'_>) {
        self.broke(&failure);
        self.broken = Some(failure);
        context.waker().wake_by_ref();
    }
}

/// Dropped before it was sent: the client left, or was cut off because it did not read.
impl<B> Drop for Streamed<B> {
    fn drop(&mut self) {
        if self.end == BodyEnd::Told || self.record.is_bodiless() {
            return;
        }
        let now = self.idle.clock.now();
        let paused = now.since(self.handed_at) >= self.idle.timeout;
        let cause = if paused { "the client did not read" } else { "the client left" };
        self.record.broke((BrokenBy::Client, BreakCause::Client(cause)), (self.bytes, now));
    }
}

impl Idle {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Self { clock, timeout, timer } = self;
        let timer =
            timer.get_or_insert_with(|| Box::pin(clock.sleep_until(clock.now().plus(*timeout))));
        timer.as_mut().poll(context)
    }
}

impl<B> Body for Streamed<B>
where
    B: Body<Data = Bytes, Error = Failure> + Unpin,
{
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        if let Some(frame) = this.read.pop_front() {
            this.hand_on(&frame);
            return Poll::Ready(Some(Ok(this.record.for_client(frame))));
        }
        if let Some(failure) = this.broken.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        let Poll::Ready(frame) = Pin::new(&mut this.rest).poll_frame(context) else {
            ready!(this.idle.poll(context));
            let silent = "no byte of the body came in time";
            let failure = Failure::new(FailureKind::IdleTimeout, Delivery::Uncertain, silent);
            this.broke(&failure);
            return Poll::Ready(Some(Err(failure)));
        };
        this.idle.timer = None;
        match frame {
            Some(Ok(frame)) => {
                this.hand_on(&frame);
                // A server that knows the length does not ask whether there is more.
                if this.rest.is_end_stream() {
                    this.seat.body_ended();
                }
                Poll::Ready(Some(Ok(this.record.for_client(frame))))
            }
            Some(Err(failure)) => {
                this.break_off(failure, context);
                Poll::Pending
            }
            None => {
                this.seat.body_ended();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.broken.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.read.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64);
        let read: u64 = read.sum();
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + read);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + read);
        }
        hint
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes, Error = Failure> + Unpin,
{
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Streamed(streamed) => Pin::new(streamed).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Streamed(streamed) => streamed.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Streamed(streamed) => streamed.size_hint(),
        }
    }
}
