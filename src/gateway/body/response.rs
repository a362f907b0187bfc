//! The body of a response to a client: a problem of ours, or the vendor's bytes as they arrive.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::coalesce::Coalesced;
use super::context::ResponseContext;
use super::masked::Masked;
use super::tap::UsageTap;
use crate::allowance::{ConcurrencyPermit, UnknownCost};
use crate::clock::Clock;
use crate::outcome::{Delivery, Failure, FailureKind};
use crate::problem::Mask;
use crate::telemetry::{self, BreakCause, BrokenBy};
use crate::time::Moment;
use crate::upstream;

/// The body of a response to a client.
#[derive(Debug)]
pub enum ResponseBody<B> {
    /// `None` is an empty body.
    Whole(Option<Bytes>),
    /// Boxed, because a response is moved several times before it is written.
    Streamed(Box<Streamed<B>>),
    /// Streamed, with the gateway's credentials overwritten.
    Masked(Box<Masked<Streamed<B>>>),
}

impl<B: upstream::ExchangeBody> ResponseBody<B> {
    /// The body of a vendor's response. If all of it is here, it is not streamed, and its place
    /// among the concurrent attempts is free.
    pub(in crate::gateway) fn of_vendor(
        mut body: B,
        idle: IdleTimer,
        mut metered: Metered,
        context: impl FnOnce() -> ResponseContext,
    ) -> Self {
        match body.take_whole() {
            Some(bytes) => {
                metered.passes(&bytes);
                if let Some(unknown) = metered.ended() {
                    context().log_unknown_cost(unknown, idle.clock.now());
                }
                Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
            }
            None => Self::Streamed(Box::new(Streamed::new(body, idle, metered, context()))),
        }
    }

    /// The body of a vendor's response whose first frames have been read already.
    pub(in crate::gateway) fn resumed(
        read: VecDeque<Frame<Bytes>>,
        rest: B,
        idle: IdleTimer,
        metered: Metered,
        context: ResponseContext,
    ) -> Self {
        let mut streamed = Streamed::new(rest, idle, metered, context);
        streamed.read = read;
        Self::Streamed(Box::new(streamed))
    }

    /// Overwrites the gateway's credentials in what streams.
    pub(in crate::gateway) fn masked(self, mask: Mask) -> Self {
        match self {
            Self::Streamed(streamed) => Self::Masked(Box::new(Masked::new(*streamed, mask))),
            other @ (Self::Whole(_) | Self::Masked(_)) => other,
        }
    }

    /// Notes that all of it was written to the client.
    pub fn was_sent(&mut self) {
        match self {
            Self::Whole(_) => {}
            Self::Streamed(streamed) => streamed.ending_known = true,
            Self::Masked(masked) => masked.body.ending_known = true,
        }
    }
}

/// The place of an attempt, and what its body says of its cost.
#[derive(Debug)]
pub(in crate::gateway) struct Metered {
    pub(in crate::gateway) permit: ConcurrencyPermit,
    pub(in crate::gateway) tap: Option<Box<UsageTap>>,
}

/// A vendor's body as it arrives. If it breaks off, so does the client's.
#[derive(Debug)]
pub struct Streamed<B> {
    /// Frames that were read to inspect them.
    read: VecDeque<Frame<Bytes>>,
    rest: Coalesced<B, Failure>,
    idle: IdleTimer,
    /// Kept back until what came before it has been written.
    failure: Option<Failure>,
    metered: Metered,
    context: ResponseContext,
    bytes: u64,
    /// When the latest bytes were taken.
    taken_at: Moment,
    /// Whether all of it was sent, or its break is recorded. Dropped otherwise, it broke off on
    /// the client's side.
    ending_known: bool,
}

/// The timeout between two pieces of a body. Its timer exists only while none is ready.
#[derive(Debug)]
pub(in crate::gateway) struct IdleTimer {
    clock: Clock,
    timeout: Duration,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl IdleTimer {
    pub(in crate::gateway) const fn new(clock: Clock, timeout: Duration) -> Self {
        Self { clock, timeout, timer: None }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Self { clock, timeout, timer } = self;
        let timer =
            timer.get_or_insert_with(|| Box::pin(clock.sleep_until(clock.now().plus(*timeout))));
        timer.as_mut().poll(context)
    }
}

/// An error says nothing of the cost: what was reserved counts.
impl From<ConcurrencyPermit> for Metered {
    fn from(permit: ConcurrencyPermit) -> Self {
        Self { permit, tap: None }
    }
}

impl Metered {
    fn passes(&mut self, data: &[u8]) {
        if let Some(tap) = &mut self.tap {
            tap.push(data);
        }
    }

    /// All of the body has passed. Returns why it is not known what its attempt used.
    fn ended(&mut self) -> Option<UnknownCost> {
        let unknown = self.tap.take().and_then(|tap| tap.finish(&mut self.permit));
        self.permit.body_ended();
        unknown
    }
}

impl<B> Streamed<B> {
    fn new(body: B, idle: IdleTimer, metered: Metered, context: ResponseContext) -> Self {
        Self {
            read: VecDeque::new(),
            rest: Coalesced::new(body),
            idle,
            failure: None,
            metered,
            taken_at: context.arrival,
            context,
            bytes: 0,
            ending_known: false,
        }
    }

    fn pass(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        if let Some(data) = frame.data_ref() {
            self.bytes += data.len() as u64;
            self.metered.passes(data);
        }
        self.taken_at = self.idle.clock.now();
        self.context.filter(frame)
    }

    /// All of it has passed.
    fn ended(&mut self) {
        if let Some(unknown) = self.metered.ended() {
            self.context.log_unknown_cost(unknown, self.idle.clock.now());
        }
    }

    /// Records that the vendor's side broke off, which counts towards an outage.
    fn record_failure(&mut self, failure: &Failure) {
        let now = self.idle.clock.now();
        let settled = self.metered.permit.body_broke_off();
        self.ending_known = true;
        let cause = BreakCause::Exchange(failure);
        self.context.record_break(BrokenBy::Upstream, cause, self.bytes, now);
        let upstream = &self.context.settings.upstreams[self.context.upstream].name;
        for change in &settled.hold_changes {
            telemetry::log_hold((upstream, self.metered.permit.account_key()), change, None, now);
        }
    }
}

impl<B> Drop for Streamed<B> {
    fn drop(&mut self) {
        if self.ending_known || self.context.is_bodiless() {
            return;
        }
        let now = self.idle.clock.now();
        let unread = now.since(self.taken_at) >= self.idle.timeout;
        let cause = if unread { "the client did not read" } else { "the client left" };
        self.context.record_break(BrokenBy::Client, BreakCause::Client(cause), self.bytes, now);
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
            let frame = this.pass(frame);
            if this.is_end_stream() {
                this.ended();
            }
            return Poll::Ready(Some(Ok(frame)));
        }
        if let Some(failure) = this.failure.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        let Poll::Ready(frame) = Pin::new(&mut this.rest).poll_frame(context) else {
            ready!(this.idle.poll(context));
            let detail = "no byte of the body came in time";
            let failure = Failure::new(FailureKind::IdleTimeout, Delivery::Uncertain, detail);
            this.record_failure(&failure);
            return Poll::Ready(Some(Err(failure)));
        };
        this.idle.timer = None;
        match frame {
            Some(Ok(frame)) => {
                let frame = this.pass(frame);
                // A server that knows the length does not poll again to see the end.
                if this.rest.is_end_stream() {
                    this.ended();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(failure)) => {
                // Returned by the next poll only: a server writes what it was given, the head
                // included, when a body is pending, and discards it when a body fails before.
                this.record_failure(&failure);
                this.failure = Some(failure);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            None => {
                this.ended();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.failure.is_none() && self.rest.is_end_stream()
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
            Self::Masked(masked) => Pin::new(masked).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Streamed(streamed) => streamed.is_end_stream(),
            Self::Masked(masked) => masked.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Streamed(streamed) => streamed.size_hint(),
            Self::Masked(masked) => masked.size_hint(),
        }
    }
}
