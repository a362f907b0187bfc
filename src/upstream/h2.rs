//! One HTTP/2 connection, which many exchanges share.
//!
//! It is a task of its own, because no exchange could drive it for the others. What went out for
//! one stream is not told apart from the rest, so a request counts as written as soon as it was
//! handed over. It refuses to open more streams than the upstream wants.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::header::{HOST, HeaderMap};
use http::uri::{Authority, Parts, Scheme, Uri};
use http::{Request, Version};
use hyper::client::conn::{TrySendError, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::asked::{Asked, Broken};
use super::failure;
use super::pool::Queue;
use super::pulse::{Pulse, Tracked};
use super::settings::AnswerBounds;
use super::shared::Permit;
use super::wire::Io;
use super::{Progress, RequestBody, RequestHead, UpstreamBody};
use crate::clock::Clock;
use crate::policy::outcome::Failure;
use crate::policy::time::Moment;

/// Streams on one connection, however many the upstream would take: more than this many calls
/// should not hang on one TCP connection.
const STREAMS_MAX: usize = 200;

/// Streams that are assigned to a connection before the upstream has said how many it takes.
/// They are not sent before it has, but for the first, so none is refused for being too many.
const STREAMS_ASSUMED: usize = 100;

/// Streams that are sent before the upstream has said how many it takes.
const STREAMS_UNASKED: usize = 1;

/// What may be under way to us unread, on a stream and on a connection. Fixed: adapting costs
/// pings, and memory stays what it is.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// What of a request's body may wait in our memory.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// The library's bound of a head is so many times ours: what it refuses looks like a mistake of the
/// vendor's, so ours has to answer first.
const LOOSER: usize = 16;

/// What HTTP/2 counts for each header beside its bytes (RFC 9113 §6.5.2).
const HEADER_OVERHEAD_BYTES: usize = 32;

/// Silence, with streams open, after which the connection is asked whether it lives, and how long
/// it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// An open connection.
pub(super) struct Session<B: RequestBody> {
    sender: http2::SendRequest<Tracked<B>>,
    load: Arc<Load>,
}

/// Leave for one exchange on a connection.
pub(super) struct Stream<B: RequestBody> {
    sender: http2::SendRequest<Tracked<B>>,
    place: Place,
}

impl<B: RequestBody> Session<B> {
    /// Speaks HTTP/2 on a fresh connection.
    pub(super) async fn open(
        io: Io,
        (clock, bounds): (Clock, AnswerBounds),
        permit: Permit,
        queue: Arc<Queue>,
    ) -> Result<Self, Failure> {
        let opened = builder(bounds).handshake(TokioIo::new(io)).await;
        let (sender, connection) = opened.map_err(|error| failure::of_handshake(&error))?;
        let load = Arc::new(Load::new((clock, bounds), queue));
        let driver = Driver { connection, load: Arc::clone(&load), _permit: permit };
        tokio::spawn(driver);
        Ok(Self { sender, load })
    }

    /// A stream, if the upstream takes another one.
    pub(super) fn stream(&self) -> Option<Stream<B>> {
        let place = Place::take(&self.load)?;
        Some(Stream { sender: self.sender.clone(), place })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.load.streams.load(Relaxed) == 0
    }

    /// Whether it has been without a stream for `limit`.
    pub(super) fn is_stale(&self, now: Moment, limit: Duration) -> bool {
        let since = Moment::from_nanos(self.load.idle_since.load(Relaxed));
        self.is_idle() && now.since(since) >= limit
    }
}

fn builder(bounds: AnswerBounds) -> http2::Builder<TokioExecutor> {
    let list_bytes = u32::try_from(bounds.head_bytes_max.saturating_mul(LOOSER));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .adaptive_window(false)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .initial_max_send_streams(STREAMS_UNASKED)
        .max_header_list_size(list_bytes.unwrap_or(u32::MAX))
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(false);
    builder
}

impl<B: RequestBody> Stream<B> {
    /// Sends what is asked, to `target`, and waits for the head of its answer. Where nothing of it
    /// was sent, it is as it was.
    pub(super) async fn send(
        mut self,
        asked: &mut Asked<'_, B>,
        target: &Target,
        progress: &Progress,
    ) -> Result<(), Broken> {
        let clock = self.place.load.clock;
        let pulse = Arc::new(Pulse::new());
        let body = asked.body.take().expect("a request is sent once");
        let request = target.request(asked.head, tracked(body, &pulse, clock));
        let answer = self.sender.try_send_request(request);
        pulse.wrote(clock.now());
        let ticket = Ticket { pulse, place: self.place };
        let mut answer = pin!(answer);
        let answer = poll_fn(|cx| {
            ticket.pulse.tell(progress, cx.waker());
            answer.as_mut().poll(cx)
        })
        .await;
        ticket.pulse.rest();
        ticket.place.load.ask();
        match answer {
            Ok(answer) => {
                check_size(answer.headers(), ticket.place.load.bounds).map_err(Broken::Failed)?;
                asked.answer = answer.map(|body| UpstreamBody::streaming(body, ticket));
                Ok(())
            }
            Err(error) => Err(ticket.unanswered(error, &mut asked.body)),
        }
    }
}

/// Whether a head is within our bounds.
fn check_size(headers: &HeaderMap, bounds: AnswerBounds) -> Result<(), Failure> {
    if headers.len() > bounds.headers_max {
        return Err(failure::of_own_bound("the answer has more headers than `head.headers`"));
    }
    let size = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD_BYTES);
    if size.sum::<usize>() > bounds.head_bytes_max {
        return Err(failure::of_own_bound("the answer's head has more bytes than `head.max`"));
    }
    Ok(())
}

/// A body that is already at its end brings no news.
fn tracked<B: RequestBody>(body: B, pulse: &Arc<Pulse>, clock: Clock) -> Tracked<B> {
    if body.is_end_stream() {
        pulse.no_body();
    }
    Tracked::new(body, Arc::clone(pulse), clock)
}

/// What HTTP/2 says in place of `Host`.
pub(super) struct Target {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
}

impl Target {
    /// A request to it.
    fn request<B>(&self, head: &RequestHead, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = head.method.clone();
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = head.headers.clone();
        request.headers_mut().remove(HOST);
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(head.target.clone());
        *request.uri_mut() = Uri::from_parts(parts).expect("all three parts are there");
        request
    }
}

/// Kept until an answer's body has ended; dropped before that, it ends the request's body too.
pub(super) struct Ticket {
    pulse: Arc<Pulse>,
    place: Place,
}

impl Ticket {
    fn unanswered<B: RequestBody>(
        &self,
        mut error: TrySendError<Request<Tracked<B>>>,
        body: &mut Option<B>,
    ) -> Broken {
        let Some(back) = error.take_message() else {
            return Broken::Failed(failure::of_head(error.error(), &self.pulse));
        };
        *body = Some(back.into_body().into_inner());
        Broken::Unsent(failure::of_head(error.error(), &Pulse::new()))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.pulse.abandon();
    }
}

/// One stream of a connection.
struct Place {
    load: Arc<Load>,
}

impl Place {
    fn take(load: &Arc<Load>) -> Option<Self> {
        if load.streams.load(Relaxed) >= load.streams_max.load(Relaxed) {
            return None;
        }
        load.streams.fetch_add(1, Relaxed);
        Some(Self { load: Arc::clone(load) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.load.streams.fetch_sub(1, Relaxed) == 1 {
            self.load.idle_since.store(self.load.clock.now().as_nanos(), Relaxed);
        }
        self.load.queue.call();
    }
}

/// How busy a connection is.
struct Load {
    streams: AtomicUsize,
    streams_max: AtomicUsize,
    idle_since: AtomicU64,
    clock: Clock,
    bounds: AnswerBounds,
    queue: Arc<Queue>,
    /// The driver, while it does not know how many streams the upstream takes.
    driver: Mutex<Option<Waker>>,
}

impl Load {
    fn new((clock, bounds): (Clock, AnswerBounds), queue: Arc<Queue>) -> Self {
        Self {
            streams: AtomicUsize::new(0),
            streams_max: AtomicUsize::new(STREAMS_ASSUMED),
            idle_since: AtomicU64::new(clock.now().as_nanos()),
            clock,
            bounds,
            queue,
            driver: Mutex::new(None),
        }
    }

    /// An answer came, so the upstream's settings have come before it: let the driver look.
    fn ask(&self) {
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// hyper's own figure of how many streams the upstream takes.
    fn learn(&self, told: usize, driver: &Waker) {
        let unknown = told <= STREAMS_UNASKED;
        let streams_max = if unknown { STREAMS_ASSUMED } else { told.min(STREAMS_MAX) };
        self.streams_max.store(streams_max, Relaxed);
        let driver = unknown.then(|| driver.clone());
        *self.driver.lock().unwrap_or_else(PoisonError::into_inner) = driver;
    }
}

/// The task that a connection is.
struct Driver<B: RequestBody> {
    connection: http2::Connection<TokioIo<Io>, Tracked<B>, TokioExecutor>,
    load: Arc<Load>,
    _permit: Permit,
}

impl<B: RequestBody> Future for Driver<B> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let over = Pin::new(&mut this.connection).poll(cx).is_ready();
        this.load.learn(this.connection.current_max_send_streams(), cx.waker());
        // Why it ended, each stream is told by itself.
        if over { Poll::Ready(()) } else { Poll::Pending }
    }
}
