//! One HTTP/2 connection, which many exchanges share.
//!
//! It stands on the h2 crate itself: hyper's client counts a request as sent when it took it over
//! and assigns streams that the upstream has not granted. Here a connection is open once the
//! upstream's SETTINGS have arrived; a stream is assigned only where they leave room for it; and
//! a request counts as sent when its last byte went out.
//!
//! | file | purpose |
//! | --- | --- |
//! | `driver` | the task that the connection is, and its PINGs |
//! | `load` | its streams, and whether it may be used |
//! | `wire`, `frames` | what really left on it |
//! | `upload`, `answer` | the bodies of a request and of its answer |

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::{self, ResponseFuture, SendRequest};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, Parts, Scheme, Uri};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use tokio::time::timeout_at;

use self::driver::{Driver, NOT_GREETED};
use self::load::{Load, Place};
use self::upload::Upload;
use self::wire::{Listed, Watched};
use super::authentication;
use super::failure;
use super::request::{Broken, UpstreamRequest};
use super::settings::AnswerBounds;
use super::shared::{Common, Permit};
use super::wire::Io;
use super::{INTERIM_BYTES_MAX, Interim, Progress, RequestBody, RequestHead, UpstreamBody};
use crate::clock::Clock;
use crate::outcome::{Delivery, Failure, FailureKind};
use crate::time::Moment;

pub(super) use self::answer::Incoming;

mod answer;
mod driver;
mod frames;
mod load;
mod upload;
mod wire;

/// What may be under way to us unread, on a stream and on a connection. Fixed: adapting costs
/// pings, and memory stays what it is.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// What of a request's body may wait in our memory.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// The h2 crate's bound of an answer's head is so many times ours: what the crate refuses looks
/// like a mistake of the vendor's, so ours has to be checked first.
const CRATE_HEAD_FACTOR: usize = 16;

/// What HTTP/2 counts for each header beside its bytes (RFC 9113 §6.5.2).
const HEADER_OVERHEAD_BYTES: usize = 32;

/// How long the upstream's SETTINGS may take once the socket is open. Nothing is sent before they
/// are there, so a slow one delays and does no harm.
pub(super) const SETTINGS_TIMEOUT: Duration = Duration::from_secs(10);

/// Headers of HTTP/1.1 that speak of one connection.
const OF_CONNECTION: [HeaderName; 5] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TRANSFER_ENCODING,
    UPGRADE,
];

/// An open connection.
pub(super) struct Session {
    sender: SendRequest<Bytes>,
    load: Arc<Load>,
}

/// Leave for one exchange on a connection.
pub(super) struct Stream {
    sender: SendRequest<Bytes>,
    place: Place,
}

impl Session {
    /// Speaks HTTP/2 on a fresh connection, and waits for the upstream to do so.
    pub(super) async fn open(
        io: Io,
        (clock, bounds): (Clock, AnswerBounds),
        permit: Permit,
        common: Arc<Common>,
    ) -> Result<Self, Failure> {
        let end = clock.instant(clock.now().plus(SETTINGS_TIMEOUT));
        let load = Arc::new(Load::new((clock, bounds), common));
        let io = Watched::new(io, Arc::clone(&load.traffic));
        let opening = async {
            let opened = builder(bounds).handshake(io).await;
            let (sender, connection) = opened.map_err(|error| failure::of_handshake(&error))?;
            let session = Self { sender, load: Arc::clone(&load) };
            tokio::spawn(Driver::new(connection, Arc::clone(&load), permit));
            load.greeting().await.map_err(|end| end.unwrap_or_else(closed))?;
            Ok(session)
        };
        timeout_at(end, opening).await.unwrap_or_else(|_| Err(silent()))
    }

    /// A stream, if the upstream takes another one.
    pub(super) fn stream(&self) -> Option<Stream> {
        let place = Place::take(&self.load, self.granted())?;
        Some(Stream { sender: self.sender.clone(), place })
    }

    /// Whether the upstream takes no stream at all, so that another connection would not help.
    pub(super) fn is_barred(&self) -> bool {
        self.load.is_usable() && self.granted() == 0
    }

    /// Whether no stream can be begun on it any more.
    pub(super) fn is_closed(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let ended = matches!(self.sender.poll_ready(&mut cx), Poll::Ready(Err(_)));
        ended || self.load.is_over() || self.load.is_retired()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.load.streams() == 0
    }

    /// Whether it has been without a stream for `limit`.
    pub(super) fn is_stale(&self, now: Moment, limit: Duration) -> bool {
        self.is_idle() && now.since(self.load.idle_since()) >= limit
    }

    fn granted(&self) -> usize {
        self.sender.current_max_send_streams()
    }
}

impl Drop for Session {
    /// The connection ends with its last stream; its driver has to be told, because the h2 crate
    /// does not.
    fn drop(&mut self) {
        self.load.retire();
        self.load.wake();
    }
}

fn builder(bounds: AnswerBounds) -> client::Builder {
    let list_bytes = u32::try_from(bounds.head_bytes_max.saturating_mul(CRATE_HEAD_FACTOR));
    let mut builder = client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .initial_max_send_streams(NOT_GREETED)
        .max_header_list_size(list_bytes.unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER_BYTES);
    builder
}

fn closed() -> Failure {
    Failure::new(FailureKind::Reset, Delivery::NotSent, "closed before its HTTP/2 SETTINGS")
}

fn silent() -> Failure {
    let detail = "the upstream's HTTP/2 SETTINGS did not come in time";
    Failure::new(FailureKind::ConnectTimeout, Delivery::NotSent, detail)
}

impl Stream {
    /// Sends what is asked, to `target`, and waits for the head of its answer. Where nothing of it
    /// was sent, it is as it was.
    pub(super) async fn send<B: RequestBody>(
        self,
        asked: &mut UpstreamRequest<'_, B>,
        target: &Target,
        progress: &Progress,
    ) -> Result<(), Broken> {
        let Self { mut sender, place } = self;
        let load = Arc::clone(&place.load);
        let body = asked.body.as_ref().expect("a request is sent once");
        let ends = body.is_end_stream();
        let request = target.request(asked.head, body.size_hint().exact());
        let begun = load.traffic.begin(|| {
            let (answer, upload) = sender.send_request(request, ends)?;
            Ok((answer.stream_id().as_u32(), (answer, upload)))
        });
        drop(sender);
        let (listed, (answer, upload)) = match begun {
            Ok(begun) => begun,
            Err(error) => return Err(Broken::Unsent(failure::of_head(&error, Delivery::NotSent))),
        };
        // The h2 crate may send it from now on, and cannot be told not to.
        progress.wrote(load.clock.now());
        let upload = (!ends).then(|| Upload::new(upload));
        let mut exchange =
            Begun { answer, upload, ticket: Ticket::new(listed, place), interim_bytes: 0 };
        let answer = poll_fn(|cx| exchange.poll(asked, progress, cx)).await?;
        let (mut head, stream) = answer.into_parts();
        check_size(&head.headers, load.bounds).map_err(Broken::Failed)?;
        trim_values(&mut head.headers);
        if authentication::challenges(head.status, &head.headers) {
            load.retire();
        }
        let Begun { upload, ticket, .. } = exchange;
        let upload = upload.map(|upload| (upload, asked.body.take()));
        let body = Incoming::new(stream, &head.headers, upload, ticket);
        asked.answer = Response::from_parts(head, UpstreamBody::streaming(body));
        Ok(())
    }
}

/// Whether a head is within our bounds.
fn check_size(headers: &HeaderMap, bounds: AnswerBounds) -> Result<(), Failure> {
    if headers.len() > bounds.headers_max {
        return Err(failure::of_own_bound("the answer has more headers than `head.headers`"));
    }
    if size_of_head(headers) > bounds.head_bytes_max {
        return Err(failure::of_own_bound("the answer's head has more bytes than `head.max`"));
    }
    Ok(())
}

/// Removes blanks around values, which HTTP/2 forbids (RFC 9113 §8.2.1): a strict peer closes the
/// connection for them, and with it the calls of others.
fn trim_values(headers: &mut HeaderMap) {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    for value in headers.values_mut() {
        let bytes = value.as_bytes();
        if is_blank(bytes.first()) || is_blank(bytes.last()) {
            let trimmed = HeaderValue::from_bytes(bytes.trim_ascii());
            *value = trimmed.expect("a part of a value is a value");
        }
    }
}

fn size_of_head(headers: &HeaderMap) -> usize {
    let size = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD_BYTES);
    size.sum()
}

/// An exchange whose request was handed over. Dropped, it resets its stream.
struct Begun {
    answer: ResponseFuture,
    /// Gone when the request is complete.
    upload: Option<Upload>,
    ticket: Ticket,
    interim_bytes: usize,
}

impl Begun {
    fn poll<B: RequestBody>(
        &mut self,
        asked: &mut UpstreamRequest<'_, B>,
        progress: &Progress,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<RecvStream>, Broken>> {
        self.ticket.listed.sent.tell(progress, cx.waker());
        while let Poll::Ready(Some(Ok(interim))) = self.answer.poll_informational(cx) {
            let (mut head, ()) = interim.into_parts();
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                let failure = failure::of_lie("101 has no meaning in HTTP/2");
                return Poll::Ready(Err(Broken::Failed(failure)));
            }
            trim_values(&mut head.headers);
            self.interim_bytes += size_of_head(&head.headers);
            if self.interim_bytes > INTERIM_BYTES_MAX {
                let failure = failure::of_lie("interim answers without end");
                return Poll::Ready(Err(Broken::Failed(failure)));
            }
            progress.heard_interim(Interim { status: head.status, headers: head.headers });
        }
        if let Poll::Ready(answer) = Pin::new(&mut self.answer).poll(cx) {
            self.ticket.heard = Heard::Something;
            self.ticket.load().answer();
            return Poll::Ready(answer.map_err(|error| self.broke(&error, progress)));
        }
        if let Some(upload) = &mut self.upload
            && let Poll::Ready(done) = upload.poll(&mut asked.body, cx)
        {
            self.upload = None;
            if let Err(error) = done {
                self.ticket.heard = Heard::Something;
                let failure = failure::of_request_body(error.as_ref(), Delivery::Uncertain);
                return Poll::Ready(Err(Broken::Failed(failure)));
            }
        }
        Poll::Pending
    }

    /// The stream ended without an answer. Where it was never open, the connection has ended, and
    /// nothing of the request can leave any more.
    fn broke(&self, error: &h2::Error, progress: &Progress) -> Broken {
        if self.ticket.listed.sent.is_open() {
            return Broken::Failed(failure::of_head(error, Delivery::Uncertain));
        }
        progress.took_back();
        let failure = failure::of_head(error, Delivery::NotSent);
        match self.upload {
            None => Broken::Unsent(failure),
            Some(_) => Broken::Failed(failure),
        }
    }
}

/// What HTTP/2 says in place of `Host`.
pub(super) struct Target {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
}

impl Target {
    /// A request to it, with a body of this length.
    fn request(&self, head: &RequestHead, length: Option<u64>) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = head.method.clone();
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = head.headers.clone();
        adapt(request.headers_mut(), &head.method, length);
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(head.target.clone());
        *request.uri_mut() = Uri::from_parts(parts).expect("all three parts are there");
        request
    }
}

/// Headers of HTTP/1.1 as HTTP/2 says them (RFC 9113 §8.2.2); a length that is known is stated.
fn adapt(headers: &mut HeaderMap, method: &Method, length: Option<u64>) {
    headers.remove(HOST);
    trim_values(headers);
    for name in &OF_CONNECTION {
        headers.remove(name);
    }
    if headers.get(TE).is_some_and(|te| te != "trailers") {
        headers.remove(TE);
    }
    let has_content = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
    if let Some(length) = length.filter(|length| *length != 0 || has_content) {
        headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
}

/// Kept until an answer's body has ended.
pub(super) struct Ticket {
    listed: Listed,
    place: Place,
    heard: Heard,
}

/// Whether an exchange ended by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nothing,
    Something,
}

impl Ticket {
    const fn new(listed: Listed, place: Place) -> Self {
        Self { listed, place, heard: Heard::Nothing }
    }

    fn load(&self) -> &Load {
        &self.place.load
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.load().traffic.forget(&self.listed);
        if self.heard == Heard::Nothing {
            self.load().given_up();
        }
    }
}
