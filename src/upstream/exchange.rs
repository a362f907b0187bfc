//! The interface between the gateway, which decides, and the connections, which send.

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Body;

use super::progress::Progress;
use super::request::RequestHead;
use crate::outcome::Failure;

/// The body of a response, as the gateway reads it.
pub trait ExchangeBody: Body<Data = Bytes, Error = Failure> + Send + Unpin + 'static {
    /// Takes what is left of the body if all of it has arrived. The exchange is then complete, and
    /// the body can no longer break off.
    fn take_whole(&mut self) -> Option<Bytes>;
}

/// Sends a request and returns its response. Tests of the gateway replace this trait and nothing
/// else.
///
/// `B` is the body of the requests.
pub trait Exchange<B>: Send + Sync + 'static {
    type Body: ExchangeBody;

    /// Sends a request to upstream number `upstream` and returns the head of its response.
    ///
    /// Dropping the future abandons the exchange: it closes an HTTP/1.1 connection and resets an
    /// HTTP/2 stream. Only the connect timeout is applied here; `progress` shows while the
    /// exchange runs how far the request has got.
    fn exchange(
        &self,
        upstream: usize,
        head: &RequestHead,
        body: B,
        progress: &Progress,
    ) -> impl Future<Output = Result<Response<Self::Body>, Failure>> + Send;

    /// Takes the headers of a request that will not be sent again, so that a later response can
    /// use their allocation. Leaves an empty map.
    fn recycle_headers(&self, upstream: usize, headers: &mut HeaderMap);
}
