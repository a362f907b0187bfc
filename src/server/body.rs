//! The body of a client's request, whatever the protocol.
//!
//! HTTP/2 need not say how long a body is, and HTTP/1.1 servers treat one without a length badly.
//! So a body that is small and comes at once is gathered here, until its length is known. Nothing
//! else is buffered: what nobody asks for stays with the client.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::h1::RequestFlow;
use crate::clock::Clock;
use crate::gateway::{ClientBodyError, IncomingBody};

/// A body of up to so many bytes gets a length: nearly every JSON call fits.
const GATHERED_BYTES_MAX: usize = 16 * 1024;

/// How long a body without a length may take to be whole. A client that writes head and body one
/// after the other has done so by then; one that streams is held up once, and no longer.
const GATHERING_MAX: Duration = Duration::from_millis(5);

/// The body of a client's request.
#[expect(missing_debug_implementations, reason = "a connection has no state worth showing")]
#[derive(Default)]
pub struct ClientBody {
    source: Source,
}

#[derive(Default)]
enum Source {
    #[default]
    None,
    Http1(RequestFlow),
    Http2(Incoming),
    Gathered(Box<Gathered>),
}

/// The beginning of an HTTP/2 body, or all of it.
struct Gathered {
    frames: VecDeque<Result<Frame<Bytes>, ClientBodyError>>,
    /// Of the frames that are here.
    bytes: usize,
    rest: Incoming,
    whole: Whole,
}

/// Whether all of a body is here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    /// Not yet, or trailers follow it, which only chunks can carry.
    No,
    Yes,
}

impl Gathered {
    fn new(rest: Incoming) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, rest, whole: Whole::No }
    }

    /// Takes what comes, until the body is whole, too large to wait for, or broken.
    fn poll_gather(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.bytes <= GATHERED_BYTES_MAX {
            let Some(frame) = ready!(Pin::new(&mut self.rest).poll_frame(cx)) else {
                let trailers = self.frames.iter().flatten().any(Frame::is_trailers);
                self.whole = if trailers { Whole::No } else { Whole::Yes };
                break;
            };
            let frame = frame.map_err(|_| ClientBodyError);
            let (bytes, broke) = (data_bytes(&frame), frame.is_err());
            self.bytes += bytes;
            // Of a piece without bytes nothing is left to tell.
            if 0 < bytes || !matches!(&frame, Ok(frame) if frame.is_data()) {
                self.frames.push_back(frame);
            }
            if broke {
                break;
            }
        }
        Poll::Ready(())
    }
}

/// Makes an HTTP/2 request say how long its body is, where that can be known soon: HTTP/1.1 says
/// so of every body but a streamed one, and of none at all where the method expects one.
pub(super) async fn state_length(request: &mut Request<ClientBody>, clock: Clock) {
    let body = request.body();
    let untold = !body.is_end_stream() && body.size_hint().exact().is_none();
    if untold && !is_grpc(request.headers()) {
        request.body_mut().gather(clock).await;
    }
    let expects_body =
        [Method::POST, Method::PUT, Method::PATCH].iter().any(|it| it == request.method());
    if expects_body && request.body().is_end_stream() {
        let headers = request.headers_mut();
        headers.entry(CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
    }
}

fn data_bytes(frame: &Result<Frame<Bytes>, ClientBodyError>) -> usize {
    frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, Bytes::len)
}

/// A gRPC body is a stream, whatever it looks like at first.
fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"application/grpc"))
}

impl ClientBody {
    pub(super) const fn none() -> Self {
        Self { source: Source::None }
    }

    pub(super) const fn http1(flow: RequestFlow) -> Self {
        Self { source: Source::Http1(flow) }
    }

    pub(super) const fn http2(incoming: Incoming) -> Self {
        Self { source: Source::Http2(incoming) }
    }

    async fn gather(&mut self, clock: Clock) {
        let Source::Http2(incoming) = std::mem::take(&mut self.source) else { return };
        let mut gathered = Box::new(Gathered::new(incoming));
        let mut timer = pin!(clock.sleep_until(clock.now().plus(GATHERING_MAX)));
        poll_fn(|cx| match gathered.poll_gather(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => timer.as_mut().poll(cx),
        })
        .await;
        self.source = Source::Gathered(gathered);
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
            Source::Http1(flow) => Pin::new(flow).poll_frame(cx),
            Source::Http2(incoming) => {
                let frame = ready!(Pin::new(incoming).poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map_err(|_| ClientBodyError)))
            }
            Source::Gathered(gathered) => gathered.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::None => true,
            Source::Http1(flow) => flow.is_end_stream(),
            Source::Http2(incoming) => incoming.is_end_stream(),
            Source::Gathered(gathered) => {
                gathered.frames.is_empty()
                    && (gathered.whole == Whole::Yes || gathered.rest.is_end_stream())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::None => SizeHint::with_exact(0),
            Source::Http1(flow) => flow.size_hint(),
            Source::Http2(incoming) => incoming.size_hint(),
            Source::Gathered(gathered) if gathered.whole == Whole::Yes => {
                SizeHint::with_exact(gathered.bytes as u64)
            }
            Source::Gathered(_) => SizeHint::default(),
        }
    }
}

impl Gathered {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
        if let Some(frame) = self.frames.pop_front() {
            self.bytes -= data_bytes(&frame);
            return Poll::Ready(Some(frame));
        }
        if self.whole == Whole::Yes {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.rest).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(|_| ClientBodyError)))
    }
}

impl From<ClientBody> for IncomingBody {
    fn from(body: ClientBody) -> Self {
        Self::of(body)
    }
}
