//! The body of a client's request as it arrives.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use super::coalesce::Coalesced;

/// The body of a client's request.
#[derive(Default)]
pub enum IncomingBody {
    #[default]
    Empty,
    Streaming(Pin<Box<dyn Body<Data = Bytes, Error = ClientBodyError> + Send>>),
    /// All of it is in memory, as in tests.
    Buffered(Full<Bytes>),
}

/// The client's connection broke within the body of its request.
#[derive(Clone, Copy, Debug)]
pub struct ClientBodyError;

impl fmt::Display for ClientBodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client's request body broke off")
    }
}

impl std::error::Error for ClientBodyError {}

impl fmt::Debug for IncomingBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Streaming(_) => "Streaming",
            Self::Buffered(_) => "Buffered",
        })
    }
}

impl IncomingBody {
    /// Boxes a body, unless it is empty as most are.
    pub fn of(
        body: impl Body<Data = Bytes, Error = ClientBodyError> + Send + Unpin + 'static,
    ) -> Self {
        if body.is_end_stream() {
            Self::Empty
        } else {
            Self::Streaming(Box::pin(Coalesced::new(body)))
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streaming(body) => body.is_end_stream(),
            Self::Buffered(body) => body.is_end_stream(),
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streaming(body) => body.size_hint(),
            Self::Buffered(body) => body.size_hint(),
        }
    }

    pub(super) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Streaming(body) => body.as_mut().poll_frame(context),
            Self::Buffered(body) => {
                let frame = ready!(Pin::new(body).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map_err(|never| match never {})))
            }
        }
    }
}
