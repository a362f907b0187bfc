//! A request on its way to an upstream.

use std::fmt;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Response};
use http_body::Body;

use super::authentication;
use crate::http1::HeaderCase;
use crate::outcome::Failure;

/// Why the body of a request broke off.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the body of a request must be able to do.
pub trait RequestBody: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static {}

impl<T> RequestBody for T
where
    T: Body<Data = Bytes> + Send + Unpin + 'static,
    T::Error: Into<BoxError>,
{
}

/// The head of a request, which is the same for every attempt.
pub struct RequestHead {
    pub method: Method,
    /// Path and query, byte for byte as they are sent.
    pub target: PathAndQuery,
    /// A `Host` among them is not sent: the upstream's own takes its place.
    pub headers: HeaderMap,
    /// Number of the client's connection, never used for another one. An upstream connection that
    /// authenticated itself serves only the client connection it did so for.
    pub client: u64,
    /// How header names are written over HTTP/1.1.
    pub spelling: HeaderCase,
}

impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Target and headers may hold credentials.
        f.debug_struct("RequestHead").field("method", &self.method).finish_non_exhaustive()
    }
}

/// A request being sent, and the head of its response once that has arrived.
///
/// Both stay in this one place while connections are tried, because each future that passed them
/// on by value would copy them.
pub(super) struct UpstreamRequest<'a, B: RequestBody> {
    pub(super) head: &'a RequestHead,
    /// Whether the request authenticates the connection that it is sent on.
    pub(super) authenticates_connection: bool,
    /// `None` once it has been sent completely or taken over by the response body.
    pub(super) body: Option<B>,
    pub(super) response: Response<()>,
}

impl<'a, B: RequestBody> UpstreamRequest<'a, B> {
    pub(super) fn new(head: &'a RequestHead, body: B) -> Self {
        let authenticates_connection = authentication::authenticates_connection(&head.headers);
        Self { head, authenticates_connection, body: Some(body), response: Response::new(()) }
    }
}

/// Why sending a request brought no response.
pub(super) enum SendError {
    /// The connection was closed before a byte was written: the request can go to another one.
    NotSent(Failure),
    Failed(Failure),
}
