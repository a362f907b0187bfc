//! What a simulated vendor says back: a status, headers, and a body that can take its time.
//!
//! Refuses to decide anything; the vendors' files say what is said, `vendor.rs` when.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, SizeHint};
use serde_json::Value;

use crate::clock::Clock;

/// The body type of everything a vendor sends.
pub(super) type AnswerBody = BoxBody<Bytes, io::Error>;

/// The pieces of a body, made when they are asked for.
pub(super) type Pieces = Box<dyn FnMut() -> Option<Bytes> + Send + Sync>;

/// One answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Content,
    /// The words after the status on HTTP/1, where they are not the usual ones.
    pub(super) phrase: Option<&'static str>,
}

/// What follows the head.
pub(super) enum Content {
    /// Known as a whole.
    Whole(Bytes),
    /// Made piece by piece.
    Pieces { pieces: Pieces, pause: Duration, length: Option<u64>, trailers: Option<HeaderMap> },
    /// Somebody else's body, passed through.
    Passed(AnswerBody),
}

impl Answer {
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

    pub(super) fn pieces(media_type: &'static str, pieces: Pieces, pause: Duration) -> Self {
        let mut answer = Self::new(StatusCode::OK, media_type, Bytes::new());
        answer.body = Content::Pieces { pieces, pause, length: None, trailers: None };
        answer
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

    /// The same answer with its body let out `bytes` at a time.
    pub(super) fn dripping(mut self, bytes: usize, pause: Duration) -> Self {
        if let Content::Whole(whole) = self.body {
            let length = Some(whole.len() as u64);
            self.body =
                Content::Pieces { pieces: split(whole, bytes), pause, length, trailers: None };
        }
        self
    }

    /// The same answer with a body that breaks off half-way.
    pub(super) fn broken(mut self, broken_after: usize) -> Self {
        if let Content::Whole(whole) = self.body {
            let first = whole.slice(..broken_after.min(whole.len()));
            self.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
            self.body = Content::Passed(BodyExt::boxed(Breaking(Some(first))));
        }
        self
    }

    /// Bytes of the body, as far as they are known beforehand.
    pub(super) fn body_len(&self) -> usize {
        match &self.body {
            Content::Whole(whole) => whole.len(),
            Content::Pieces { .. } | Content::Passed(_) => 0,
        }
    }

    pub(super) fn into_response(self, clock: Clock) -> Response<AnswerBody> {
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
            Content::Pieces { pieces, pause, length, trailers } => {
                BodyExt::boxed(Paced { pieces, pause, left: length, trailers, clock, timer: None })
            }
            Content::Passed(body) => body,
        })
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// `whole` in pieces of `size`.
pub(super) fn split(mut whole: Bytes, size: usize) -> Pieces {
    let size = size.max(1);
    Box::new(move || {
        let piece = whole.split_to(size.min(whole.len()));
        (!piece.is_empty()).then_some(piece)
    })
}

/// A body made piece by piece, with a pause before each piece but the first.
struct Paced {
    pieces: Pieces,
    pause: Duration,
    left: Option<u64>,
    trailers: Option<HeaderMap>,
    clock: Clock,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Paced {
    fn poll_pause(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(context));
            self.timer = None;
        }
        Poll::Ready(())
    }

    fn next(&mut self) -> Option<Frame<Bytes>> {
        let Some(piece) = (self.pieces)() else {
            return self.trailers.take().map(Frame::trailers);
        };
        if !self.pause.is_zero() {
            let next = self.clock.now().plus(self.pause);
            self.timer = Some(Box::pin(self.clock.sleep_until(next)));
        }
        self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64));
        Some(Frame::data(piece))
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        ready!(self.poll_pause(context));
        Poll::Ready(self.next().map(Ok))
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A body that ends in an error.
struct Breaking(Option<Bytes>);

impl Body for Breaking {
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
