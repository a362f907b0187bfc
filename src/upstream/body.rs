//! The body of an answer, which keeps its connection going while it is read.
//!
//! It refuses to buffer: what nobody reads stays in the socket. Dropped before its end, it
//! closes an HTTP/1 connection and resets an HTTP/2 stream.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::RequestBody;
use super::failure;
use super::h1::Connection;
use super::h2::Ticket;
use super::pool::Pool;
use crate::policy::outcome::Failure;

/// The body of an answer.
pub struct UpstreamBody<B: RequestBody> {
    incoming: Incoming,
    source: Source<B>,
}

/// Where the rest of a body comes from.
enum Source<B: RequestBody> {
    /// From nowhere: all there is has been received.
    Received,
    /// From this HTTP/1 connection, which goes back to its pool afterwards.
    Connection(Box<Connection<B>>, Arc<Pool<B>>),
    /// From an HTTP/2 connection that drives itself.
    Stream { _ticket: Ticket },
}

impl<B: RequestBody> UpstreamBody<B> {
    pub(super) fn received(incoming: Incoming) -> Self {
        Self { incoming, source: Source::Received }
    }

    pub(super) fn flowing(
        incoming: Incoming,
        connection: Box<Connection<B>>,
        pool: Arc<Pool<B>>,
    ) -> Self {
        Self { incoming, source: Source::Connection(connection, pool) }
    }

    pub(super) fn streaming(incoming: Incoming, ticket: Ticket) -> Self {
        Self { incoming, source: Source::Stream { _ticket: ticket } }
    }

    /// Lets go of what was not read. The same as dropping it, for code that says so.
    pub fn discard(self) {}

    /// Takes what is there, from the connection if need be.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Polled {
        let incoming = Pin::new(&mut self.incoming);
        match &mut self.source {
            Source::Received | Source::Stream { .. } => incoming.poll_frame(cx),
            Source::Connection(connection, _) => {
                let noop = &mut Context::from_waker(Waker::noop());
                let polled = connection.quietly(|| incoming.poll_frame(noop));
                if polled.is_ready() { polled } else { self.poll_connection(cx) }
            }
        }
    }

    fn poll_connection(&mut self, cx: &Context<'_>) -> Polled {
        let Source::Connection(connection, _) = &mut self.source else {
            return Poll::Ready(None);
        };
        let over = connection.drive(cx);
        let noop = &mut Context::from_waker(Waker::noop());
        if let Poll::Ready(over) = over {
            // hyper tells the body of a broken connection only that it broke.
            self.source = Source::Received;
            let polled = Pin::new(&mut self.incoming).poll_frame(noop);
            return match (polled, over) {
                (Poll::Ready(Some(Err(_))), Err(cause)) => Poll::Ready(Some(Err(cause))),
                (polled, _) => polled,
            };
        }
        connection.quietly(|| Pin::new(&mut self.incoming).poll_frame(noop))
    }

    /// The answer is complete: the connection is free, unless the request is not.
    fn settle(&mut self) {
        match std::mem::replace(&mut self.source, Source::Received) {
            Source::Received | Source::Stream { .. } => {}
            Source::Connection(connection, pool) => {
                if connection.is_free() {
                    pool.keep(connection);
                }
            }
        }
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, hyper::Error>>>;

impl<B: RequestBody> Body for UpstreamBody<B> {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = self.get_mut();
        match this.poll_incoming(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => {
                if this.incoming.is_end_stream() {
                    this.settle();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.source = Source::Received;
                Poll::Ready(Some(Err(failure::of_body(&error))))
            }
            Poll::Ready(None) => {
                this.settle();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl<B: RequestBody> fmt::Debug for UpstreamBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody").finish_non_exhaustive()
    }
}
