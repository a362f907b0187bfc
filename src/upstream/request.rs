//! What an exchange sends, where its answer goes, and how it ends without one.
//!
//! All of it stays in one place while it is sent: each future around it would copy it. It refuses
//! to change what is sent.

use std::fmt;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Response};

use super::{RequestBody, UpstreamBody, authentication};
use crate::http1::HeaderCase;
use crate::outcome::Failure;

/// The head of a request, which every attempt sends alike.
pub struct RequestHead {
    /// Its method.
    pub method: Method,
    /// Path and query, as they go on the wire.
    pub target: PathAndQuery,
    /// Its headers. A `Host` among them stays here: the upstream's own goes in its place.
    pub headers: HeaderMap,
    /// The client's connection, by a number that no other one ever has: a connection to the
    /// upstream that authenticated itself serves only the one it did so for.
    pub client: u64,
    /// How the names of the headers are written over HTTP/1.1.
    pub spelling: HeaderCase,
}

impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Target and headers may hold credentials.
        f.debug_struct("RequestHead").field("method", &self.method).finish_non_exhaustive()
    }
}

/// A request, and its answer once there is one.
pub(super) struct UpstreamRequest<'a, B: RequestBody> {
    pub(super) head: &'a RequestHead,
    /// Whether it authenticates the connection that it is sent on.
    pub(super) binds: bool,
    /// Gone once all of it is out, or out of our hands.
    pub(super) body: Option<B>,
    pub(super) answer: Response<UpstreamBody<B>>,
}

impl<'a, B: RequestBody> UpstreamRequest<'a, B> {
    pub(super) fn new(head: &'a RequestHead, body: B) -> Self {
        let answer = Response::new(UpstreamBody::received(Bytes::new()));
        let binds = authentication::binds(&head.headers);
        Self { head, binds, body: Some(body), answer }
    }
}

/// How an exchange ended without an answer.
pub(super) enum Broken {
    /// The connection was closed and no byte was written: the request is where it was.
    Unsent(Failure),
    Failed(Failure),
}
