//! Requests as the vendors' endpoints see them, and the responses they return.
//!
//! A response is a status, headers and a body, which may be sent slowly or end early.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, SizeHint};
use serde_json::Value;

use crate::clock::Clock;

pub(super) type ResponseBody = BoxBody<Bytes, io::Error>;

/// Produces the chunks of a body on demand; `None` ends it.
pub(super) type BodyChunks = Box<dyn FnMut() -> Option<Bytes> + Send + Sync>;

/// A moment on the vendor's clock, and how many times faster than real time its time runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct VendorTime {
    pub(super) ns: u64,
    pub(super) scale: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct EndpointRequest<'a> {
    pub(super) method: &'a str,
    /// The path below the vendor's base path.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    /// The beginning of the body; `body_len` and `body_hash` are those of the whole.
    pub(super) body: &'a [u8],
    pub(super) body_len: u64,
    pub(super) body_hash: u64,
    pub(super) now: VendorTime,
    /// For the dates in error bodies.
    pub(super) wall: SystemTime,
}

pub(super) struct VendorResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Content,
    /// A reason phrase for HTTP/1.1 other than the standard one.
    pub(super) phrase: Option<&'static str>,
}

pub(super) enum Content {
    Whole(Bytes),
    /// Produced on demand, with a pause before each chunk but the first.
    Chunks {
        chunks: BodyChunks,
        pause: Duration,
        length: Option<u64>,
        trailers: Option<HeaderMap>,
    },
    Streamed(ResponseBody),
}

impl VendorResponse {
    pub(super) fn new(
        status: StatusCode,
        media_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Self {
        let mut headers = HeaderMap::new();
        if !media_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        Self { status, headers, body: Content::Whole(body.into()), phrase: None }
    }

    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub(super) fn empty(status: StatusCode) -> Self {
        Self::new(status, "", Bytes::new())
    }

    pub(super) fn chunked(media_type: &'static str, chunks: BodyChunks, pause: Duration) -> Self {
        let mut response = Self::new(StatusCode::OK, media_type, Bytes::new());
        response.body = Content::Chunks { chunks, pause, length: None, trailers: None };
        response
    }

    pub(super) fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.append(name, value.into());
        self
    }

    pub(super) fn text_header(self, name: HeaderName, value: &str) -> Self {
        match HeaderValue::from_str(value) {
            Ok(value) => self.header(name, value),
            Err(_) => self,
        }
    }

    /// Sends the body `bytes` at a time.
    pub(super) fn slowed(mut self, bytes: usize, pause: Duration) -> Self {
        if let Content::Whole(mut whole) = self.body {
            let length = Some(whole.len() as u64);
            let chunks = Box::new(move || {
                let chunk = whole.split_to(bytes.max(1).min(whole.len()));
                (!chunk.is_empty()).then_some(chunk)
            });
            self.body = Content::Chunks { chunks, pause, length, trailers: None };
        }
        self
    }

    /// Keeps the declared length and ends the body in an error after `bytes`.
    pub(super) fn truncated(mut self, bytes: usize) -> Self {
        if let Content::Whole(whole) = self.body {
            let first = whole.slice(..bytes.min(whole.len()));
            self.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
            self.body = Content::Streamed(BodyExt::boxed(TruncatedBody(Some(first))));
        }
        self
    }

    /// The length of a whole body; 0 for one that is produced on demand.
    pub(super) fn body_len(&self) -> usize {
        match &self.body {
            Content::Whole(whole) => whole.len(),
            Content::Chunks { .. } | Content::Streamed(_) => 0,
        }
    }

    pub(super) fn into_response(self, clock: Clock) -> Response<ResponseBody> {
        let mut response = Response::new(());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if let Some(phrase) = self.phrase {
            response
                .extensions_mut()
                .insert(hyper::ext::ReasonPhrase::from_static(phrase.as_bytes()));
        }
        response.map(|()| match self.body {
            Content::Whole(whole) => {
                http_body_util::Full::new(whole).map_err(|never| match never {}).boxed()
            }
            Content::Chunks { chunks, pause, length, trailers } => BodyExt::boxed(PacedBody {
                chunks,
                pause,
                left: length,
                trailers,
                clock,
                timer: None,
            }),
            Content::Streamed(body) => body,
        })
    }
}

impl fmt::Debug for VendorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VendorResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

struct PacedBody {
    chunks: BodyChunks,
    pause: Duration,
    left: Option<u64>,
    trailers: Option<HeaderMap>,
    clock: Clock,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(context));
            self.timer = None;
        }
        let Some(chunk) = (self.chunks)() else {
            return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
        };
        if !self.pause.is_zero() {
            let next = self.clock.now().plus(self.pause);
            self.timer = Some(Box::pin(self.clock.sleep_until(next)));
        }
        self.left = self.left.map(|left| left.saturating_sub(chunk.len() as u64));
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A body that ends in an error.
struct TruncatedBody(Option<Bytes>);

impl Body for TruncatedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let broken = || Err(io::ErrorKind::UnexpectedEof.into());
        Poll::Ready(Some(self.0.take().map_or_else(broken, |first| Ok(Frame::data(first)))))
    }
}
