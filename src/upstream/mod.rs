//! The back door: exchanges with upstreams over connections of our own.

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;

use crate::policy::outcome::Failure;

mod progress;
mod settings;

pub use progress::Progress;
pub use settings::{Origin, Protocol, Scheme, Settings, TlsRoots};

/// One send and its answer: the seam between deciding and wire, and the only thing tests replace.
///
/// `B` is the body of the requests it sends.
pub trait Exchange<B>: Send + Sync + 'static {
    /// The body of an answer.
    type Body: Body<Data = Bytes, Error = Failure> + Send + Unpin + 'static;

    /// Sends `request` to upstream number `upstream` and returns the head of its answer.
    ///
    /// `request` carries the path and query as they go on the wire and the final headers, `Host`
    /// excepted, which is the upstream's own. The future owns the attempt: dropping it abandons
    /// the exchange, closes an HTTP/1 connection and resets an HTTP/2 stream. It applies the
    /// connect timeout and no other; how far the request got is told through `progress` while
    /// it runs.
    fn exchange(
        &self,
        upstream: usize,
        request: Request<B>,
        progress: &Progress,
    ) -> impl Future<Output = Result<Response<Self::Body>, Failure>> + Send;
}
