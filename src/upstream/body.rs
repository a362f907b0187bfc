//! The body of a response. Reading it drives the connection that it comes from.
//!
//! Nothing is read ahead: bytes that are not asked for stay in the socket. Dropping the body before
//! its end closes an HTTP/1.1 connection and resets an HTTP/2 stream.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::exchange::ExchangeBody;
use super::h1::Connection;
use super::h2::StreamBody;
use super::pool::Pool;
use super::request::RequestBody;
use crate::outcome::Failure;

pub struct UpstreamBody<B: RequestBody> {
    source: BodySource<B>,
}

enum BodySource<B: RequestBody> {
    /// All that is left of the body.
    Received(Bytes),
    /// The connection goes back to its pool at the end of the body.
    Http1(Box<Connection<B>>, Arc<Pool<B>>),
    Http2(Box<StreamBody<B>>),
}

impl<B: RequestBody> UpstreamBody<B> {
    /// The body of the response whose head `connection` has read. It takes over what is left of
    /// the request's body, `upload`, unless the response has arrived as a whole.
    pub(super) fn of_http1(
        mut connection: Box<Connection<B>>,
        upload: &mut Option<B>,
        pool: &Arc<Pool<B>>,
    ) -> Self {
        let source = match connection.take_whole_body() {
            Some(bytes) => {
                pool.put_back(connection);
                BodySource::Received(bytes)
            }
            None => {
                connection.continue_upload(upload.take());
                BodySource::Http1(connection, Arc::clone(pool))
            }
        };
        Self { source }
    }

    pub(super) fn of_http2(body: StreamBody<B>) -> Self {
        Self { source: BodySource::Http2(Box::new(body)) }
    }
}

impl<B: RequestBody> ExchangeBody for UpstreamBody<B> {
    fn take_whole(&mut self) -> Option<Bytes> {
        match &mut self.source {
            BodySource::Received(bytes) => Some(std::mem::take(bytes)),
            BodySource::Http1(..) | BodySource::Http2(_) => None,
        }
    }
}

impl<B: RequestBody> Body for UpstreamBody<B> {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = self.get_mut();
        let connection = match &mut this.source {
            BodySource::Received(bytes) if bytes.is_empty() => return Poll::Ready(None),
            BodySource::Received(bytes) => {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))));
            }
            BodySource::Http2(body) => return Pin::new(body).poll_frame(cx),
            BodySource::Http1(connection, _) => connection,
        };
        let frame = ready!(connection.poll_body(cx));
        let is_failed = matches!(frame, Some(Err(_)));
        if is_failed || frame.is_none() || connection.is_body_over() {
            let source = std::mem::replace(&mut this.source, BodySource::Received(Bytes::new()));
            if let (BodySource::Http1(connection, pool), false) = (source, is_failed) {
                pool.put_back(connection);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            BodySource::Received(bytes) => bytes.is_empty(),
            BodySource::Http1(connection, _) => connection.is_body_over(),
            BodySource::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            BodySource::Received(bytes) => SizeHint::with_exact(bytes.len() as u64),
            BodySource::Http1(connection, _) => connection.body_size(),
            BodySource::Http2(body) => body.size_hint(),
        }
    }
}

impl<B: RequestBody> fmt::Debug for UpstreamBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody").finish_non_exhaustive()
    }
}
