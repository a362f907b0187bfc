//! The back door: exchanges with upstreams over connections of our own.
//!
//! | file | purpose |
//! | --- | --- |
//! | `upstreams` | one worker's way out: chooses a connection, sends, hands back the answer |
//! | `pool`, `reserve` | one worker's connections to one upstream |
//! | `shared`, `queue` | what workers share: the count of connections, who waits for one, trust |
//! | `authentication` | whether a connection may serve others afterwards |
//! | `asked`, [`RequestHead`] | what is sent, and where its answer goes |
//! | `h1`, `body` | an HTTP/1.1 connection driven by its user, and the body read from it |
//! | `h2` | an HTTP/2 connection, a task that many exchanges share |
//! | `dial`, `tls` | from a name to an open connection |
//! | `wire` | the bytes under both |
//! | [`Progress`] | how far a request has got |
//! | `failure` | other people's errors into ours |
//!
//! The rule on the door: nothing is ever sent twice. The one exception is no sending at all: a
//! connection that was at rest and turns out to be closed before a byte was written is replaced
//! by another in silence.

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Body;

use crate::outcome::Failure;

mod authentication;
mod body;
mod certificate;
mod dial;
mod failure;
mod h1;
mod h2;
mod handshake;
mod pool;
mod progress;
mod queue;
mod request;
mod reserve;
mod settings;
mod shared;
mod tls;
mod upstreams;
mod wire;

pub use body::UpstreamBody;
pub use certificate::{Certificate, Role, read as certificates};
#[doc(hidden)]
pub use h1::examine;
pub use progress::{Interim, Progress};
pub use request::RequestHead;
pub use settings::{AnswerBounds, Origin, Protocol, Scheme, Settings, TlsRoots};
pub use shared::Shared;
pub use upstreams::Upstreams;

pub use crate::http1::{OriginalHead, Spelling};

/// Bytes of everything before one answer's head: this bounds a flood of `1xx` answers or empty
/// lines, each of which is small.
const INTERIM_BYTES_MAX: usize = 256 * 1024;

/// Whatever broke the body of a request.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the body of a request must be.
pub trait RequestBody: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static {}

impl<T> RequestBody for T
where
    T: Body<Data = Bytes> + Send + Unpin + 'static,
    T::Error: Into<BoxError>,
{
}

/// What the body of an answer is.
pub trait AnswerBody: Body<Data = Bytes, Error = Failure> + Send + Unpin + 'static {
    /// Takes what is left of it, if all of that is here: then the exchange is over, and nothing
    /// can break it off any more.
    fn take_whole(&mut self) -> Option<Bytes>;
}

/// One send and its answer: the seam between deciding and wire, and the only thing tests replace.
///
/// `B` is the body of the requests it sends.
pub trait Exchange<B>: Send + Sync + 'static {
    /// The body of an answer.
    type Body: AnswerBody;

    /// Sends a request to upstream number `upstream` and returns the head of its answer.
    ///
    /// The future owns the attempt: dropping it abandons the exchange, closes an HTTP/1 connection
    /// and resets an HTTP/2 stream. It applies the connect timeout and no other; how far the
    /// request got is told through `progress` while it runs.
    fn exchange(
        &self,
        upstream: usize,
        head: &RequestHead,
        body: B,
        progress: &Progress,
    ) -> impl Future<Output = Result<Response<Self::Body>, Failure>> + Send;

    /// Takes headers that are not sent any more: their map may serve those of an answer, which
    /// costs less than to make one. An empty one is left in its place.
    fn reuse(&self, upstream: usize, headers: &mut HeaderMap);
}

#[cfg(test)]
mod tests;
