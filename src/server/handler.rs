//! The interface to whatever answers calls: a request in, a response out.

use std::error::Error;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;

use super::body::ClientBody;
use super::request_error::RequestError;
use crate::gateway::{ClientConnection, OriginalHeads};

/// Answers the requests of one worker.
pub trait Handler: Send + Sync + 'static {
    type Body: OutgoingBody<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static;

    /// Answers one request.
    ///
    /// The head has passed all checks and limits: there is exactly one valid `Host` in any version
    /// of HTTP (except HTTP/1.0, where it may be missing), and the target is the path and query
    /// alone, or `*`. The handler takes what it needs out of `request`; `heads` holds the request
    /// head as received over HTTP/1.1 and receives the vendor's. The future is dropped when the
    /// client disconnects.
    fn handle(
        &self,
        request: &mut Request<ClientBody>,
        heads: &mut OriginalHeads,
        peer: &ClientConnection,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Answers a rejected request head; `headers` where they could be parsed.
    fn reject(&self, error: RequestError, headers: Option<&HeaderMap>) -> Response<Self::Body>;

    /// Called about once a second on the worker's thread.
    fn tick(&self) {}

    /// Called when a client connection opens and when it closes.
    fn connection(&self, _change: ConnectionChange) {}
}

/// A response body that learns whether all of it was sent.
pub trait OutgoingBody: Body {
    /// All of the body was written to the client. A body dropped without this call was cut off.
    fn was_sent(&mut self);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionChange {
    Opened,
    Closed,
}
