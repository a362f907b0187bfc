//! The body of an answer, which keeps its connection going while it is read.
//!
//! It refuses to buffer: what nobody reads stays in the socket. Dropped before its end, it
//! closes an HTTP/1 connection and resets an HTTP/2 stream.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::h1::Connection;
use super::h2::Incoming;
use super::pool::Pool;
use super::{AnswerBody, RequestBody};
use crate::outcome::Failure;

/// The body of an answer.
pub struct UpstreamBody<B: RequestBody> {
    source: Source<B>,
}

/// Where the rest of a body comes from.
enum Source<B: RequestBody> {
    /// From here.
    Received(Bytes),
    /// From this HTTP/1 connection, which goes back to its pool afterwards.
    Connection(Box<Connection<B>>, Arc<Pool<B>>),
    /// From a stream of an HTTP/2 connection, which drives itself.
    Stream(Box<Incoming<B>>),
}

impl<B: RequestBody> UpstreamBody<B> {
    pub(super) fn received(bytes: Bytes) -> Self {
        Self { source: Source::Received(bytes) }
    }

    pub(super) fn flowing(connection: Box<Connection<B>>, pool: Arc<Pool<B>>) -> Self {
        Self { source: Source::Connection(connection, pool) }
    }

    pub(super) fn streaming(incoming: Incoming<B>) -> Self {
        Self { source: Source::Stream(Box::new(incoming)) }
    }

    /// Lets go of the connection: it is free, unless the request is not complete.
    fn settle(&mut self) {
        let nothing = Source::Received(Bytes::new());
        if let Source::Connection(mut connection, pool) =
            std::mem::replace(&mut self.source, nothing)
            && connection.is_free()
        {
            pool.keep(connection);
        }
    }
}

impl<B: RequestBody> AnswerBody for UpstreamBody<B> {
    fn take_whole(&mut self) -> Option<Bytes> {
        match &mut self.source {
            Source::Received(bytes) => Some(std::mem::take(bytes)),
            Source::Connection(..) | Source::Stream(_) => None,
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
        let frame = match &mut this.source {
            Source::Received(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Source::Received(bytes) => {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))));
            }
            Source::Stream(incoming) => return Pin::new(incoming).poll_frame(cx),
            Source::Connection(connection, _) => {
                let frame = ready!(connection.poll_body(cx));
                let goes_on = matches!(frame, Some(Ok(_))) && !connection.is_body_over();
                if goes_on {
                    return Poll::Ready(frame);
                }
                frame
            }
        };
        if matches!(frame, Some(Err(_))) {
            this.source = Source::Received(Bytes::new());
        } else {
            this.settle();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Received(bytes) => bytes.is_empty(),
            Source::Connection(connection, _) => connection.is_body_over(),
            Source::Stream(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Received(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Connection(connection, _) => connection.body_size(),
            Source::Stream(incoming) => incoming.size_hint(),
        }
    }
}

impl<B: RequestBody> fmt::Debug for UpstreamBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody").finish_non_exhaustive()
    }
}
