//! The body of a client's request, whatever the protocol.
//!
//! Refuses to buffer: what nobody asks for stays with the client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::h1::RequestFlow;
use crate::gateway::{ClientBroke, Intake};

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
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = ClientBroke;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBroke>>> {
        match &mut self.source {
            Source::None => Poll::Ready(None),
            Source::Http1(flow) => Pin::new(flow).poll_frame(cx),
            Source::Http2(incoming) => {
                let frame = ready!(Pin::new(incoming).poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map_err(|_| ClientBroke)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::None => true,
            Source::Http1(flow) => flow.is_end_stream(),
            Source::Http2(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::None => SizeHint::with_exact(0),
            Source::Http1(flow) => flow.size_hint(),
            Source::Http2(incoming) => incoming.size_hint(),
        }
    }
}

impl From<ClientBody> for Intake {
    fn from(body: ClientBody) -> Self {
        Self::of(body)
    }
}
