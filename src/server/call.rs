//! One call on a client connection, of either protocol: its head is checked, the handler answers,
//! and the call ends where its response body ends.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::server::conn::http2;

use super::body::ClientBody;
use super::h2::StreamExecutor;
use super::handler::{Handler, OutgoingBody};
use super::head::{self, HeadLimits};
use super::request_error::RequestError;
use super::settings::Settings;
use super::state::ConnectionState;
use crate::clock::Clock;
use crate::gateway::{ClientConnection, Drain, OriginalHeads};

/// What all connections of a worker share.
pub(super) struct Worker<H> {
    pub(super) handler: H,
    pub(super) clock: Clock,
    pub(super) drain: Drain,
    pub(super) settings: Settings,
    pub(super) limits: HeadLimits,
    pub(super) http2: http2::Builder<StreamExecutor>,
}

/// What all calls of a connection share.
pub(super) struct ConnectionContext<H> {
    pub(super) worker: Arc<Worker<H>>,
    pub(super) peer: ClientConnection,
    pub(super) state: Arc<ConnectionState>,
}

/// Checks a request and answers it. `guard` marks the call as in progress until the response body
/// is dropped.
pub(super) async fn call<H: Handler>(
    guard: CallGuard<H>,
    request: &mut Result<Request<ClientBody>, RequestError>,
    heads: &mut OriginalHeads,
) -> Response<CallBody<H>> {
    let ConnectionContext { worker, peer, state } = &*guard.context;
    let mut response = match request {
        Ok(request) => {
            let response = match head::check(request, worker.limits) {
                // Pinned in place: awaiting the future directly would copy it.
                Ok(()) => pin!(worker.handler.handle(request, heads, peer)).await,
                Err(error) => worker.handler.reject(error, Some(request.headers())),
            };
            // What the handler left of the request body is not read any more.
            *request.body_mut() = ClientBody::none();
            response
        }
        Err(error) => worker.handler.reject(*error, None),
    };
    // The response is sent with the version of this connection, not that of the upstream.
    *response.version_mut() = Version::HTTP_11;
    if let Some(pause_max) = peer.stall_timeout() {
        state.allow_pause(pause_max);
    }
    response.map(|body| CallBody { body, _guard: guard })
}

/// Whether a response with this status to this method ends with its head (RFC 9110 §6.4.1).
pub(super) fn has_no_body(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Counts a call in the connection's state for as long as it exists.
pub(super) struct CallGuard<H> {
    context: Arc<ConnectionContext<H>>,
}

impl<H> CallGuard<H> {
    pub(super) fn new(context: Arc<ConnectionContext<H>>) -> Self {
        context.state.call_began();
        Self { context }
    }
}

impl<H> Drop for CallGuard<H> {
    fn drop(&mut self) {
        self.context.state.call_ended();
    }
}

/// A response body; dropping it ends the call.
pub(super) struct CallBody<H: Handler> {
    body: H::Body,
    _guard: CallGuard<H>,
}

impl<H: Handler> CallBody<H> {
    pub(super) fn was_sent(&mut self) {
        self.body.was_sent();
    }
}

impl<H: Handler> Body for CallBody<H> {
    type Data = Bytes;
    type Error = <H::Body as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
