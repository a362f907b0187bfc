//! The body of a client's request, over either protocol.
//!
//! HTTP/2 requests need not state the length of their body, but many HTTP/1.1 servers handle bodies
//! of unknown length badly. So a small body that arrives at once is buffered until its length is
//! known. Nothing else is buffered: flow control keeps the rest with the client.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::h1::Http1Body;
use crate::clock::Clock;
use crate::gateway::ClientBodyError;

/// Larger bodies are streamed without a length; nearly every JSON call fits.
const BUFFERED_BYTES_MAX: usize = 16 * 1024;

/// How long to wait for the end of a body without a length. A client that writes head and body one
/// after the other is done by then; a streaming client is delayed once, by no more than this.
const BUFFERING_TIMEOUT: Duration = Duration::from_millis(5);

#[expect(missing_debug_implementations, reason = "a connection has no state worth showing")]
#[derive(Default)]
pub struct ClientBody {
    source: Source,
}

#[derive(Default)]
enum Source {
    #[default]
    None,
    Http1(Http1Body),
    Http2(Incoming),
    Buffered(Box<BufferedBody>),
}

/// An HTTP/2 body whose beginning, or all of it, is buffered.
struct BufferedBody {
    frames: VecDeque<Result<Frame<Bytes>, ClientBodyError>>,
    /// Data bytes in `frames`.
    bytes: usize,
    rest: Incoming,
    /// All of the body is buffered, and no trailers follow: those need chunked encoding.
    is_complete: bool,
}

/// Gives an HTTP/2 request a body of known length where that is soon known, and
/// `Content-Length: 0` where the method lets servers expect a body and there is none.
pub(super) async fn determine_length(request: &mut Request<ClientBody>, clock: Clock) {
    let body = request.body();
    let is_unknown = !body.is_end_stream() && body.size_hint().exact().is_none();
    let is_grpc = |value: &HeaderValue| value.as_bytes().starts_with(b"application/grpc");
    // gRPC bodies are streams, even those that are short at first.
    if is_unknown && !request.headers().get(CONTENT_TYPE).is_some_and(is_grpc) {
        let Source::Http2(rest) = std::mem::take(&mut request.body_mut().source) else { return };
        let frames = VecDeque::new();
        let mut buffered = Box::new(BufferedBody { frames, bytes: 0, rest, is_complete: false });
        let buffering = async {
            while buffered.bytes <= BUFFERED_BYTES_MAX {
                let Some(frame) = poll_fn(|cx| poll_incoming(&mut buffered.rest, cx)).await else {
                    let frames = &buffered.frames;
                    buffered.is_complete = !frames.iter().flatten().any(Frame::is_trailers);
                    break;
                };
                let (bytes, is_broken) = (data_bytes(&frame), frame.is_err());
                buffered.bytes += bytes;
                if bytes > 0 || !frame.as_ref().is_ok_and(Frame::is_data) {
                    buffered.frames.push_back(frame);
                }
                if is_broken {
                    break;
                }
            }
        };
        tokio::select! {
            biased;
            () = buffering => {}
            () = clock.sleep_until(clock.now().plus(BUFFERING_TIMEOUT)) => {}
        }
        request.body_mut().source = Source::Buffered(buffered);
    }
    let expects_body =
        [Method::POST, Method::PUT, Method::PATCH].iter().any(|it| it == request.method());
    if expects_body && request.body().is_end_stream() {
        let headers = request.headers_mut();
        headers.entry(CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
    }
}

impl ClientBody {
    pub(super) const fn none() -> Self {
        Self { source: Source::None }
    }

    pub(super) const fn http1(body: Http1Body) -> Self {
        Self { source: Source::Http1(body) }
    }

    pub(super) const fn http2(incoming: Incoming) -> Self {
        Self { source: Source::Http2(incoming) }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = ClientBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
        match &mut self.source {
            Source::None => Poll::Ready(None),
            Source::Http1(body) => Pin::new(body).poll_frame(cx),
            Source::Http2(incoming) => poll_incoming(incoming, cx),
            Source::Buffered(buffered) => match buffered.frames.pop_front() {
                Some(frame) => {
                    buffered.bytes -= data_bytes(&frame);
                    Poll::Ready(Some(frame))
                }
                None if buffered.is_complete => Poll::Ready(None),
                None => poll_incoming(&mut buffered.rest, cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::None => true,
            Source::Http1(body) => body.is_end_stream(),
            Source::Http2(incoming) => incoming.is_end_stream(),
            Source::Buffered(buffered) => {
                buffered.frames.is_empty()
                    && (buffered.is_complete || buffered.rest.is_end_stream())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::None => SizeHint::with_exact(0),
            Source::Http1(body) => body.size_hint(),
            Source::Http2(incoming) => incoming.size_hint(),
            Source::Buffered(buffered) if buffered.is_complete => {
                SizeHint::with_exact(buffered.bytes as u64)
            }
            Source::Buffered(_) => SizeHint::default(),
        }
    }
}

fn poll_incoming(
    incoming: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
    let frame = ready!(Pin::new(incoming).poll_frame(cx));
    Poll::Ready(frame.map(|frame| frame.map_err(|_| ClientBodyError)))
}

fn data_bytes(frame: &Result<Frame<Bytes>, ClientBodyError>) -> usize {
    frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, Bytes::len)
}
