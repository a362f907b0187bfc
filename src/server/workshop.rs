//! The gateway as the front door's handler: calls go in, refused heads come back as problems, and
//! the back door is tidied up between calls.

use http::{HeaderMap, Request, Response};

use super::body::ClientBody;
use super::handler::{ConnectionChange, Handler, Refused, Sending};
use crate::gateway::{ClientConnection, Gateway, OriginalHeads, RequestBody, ResponseBody};
use crate::upstream::{UpstreamBody, Upstreams};

impl Sending for ResponseBody<UpstreamBody<RequestBody>> {
    fn was_sent(&mut self) {
        Self::was_sent(self);
    }
}

impl Handler for Gateway<Upstreams<RequestBody>> {
    type Body = ResponseBody<UpstreamBody<RequestBody>>;

    fn handle(
        &self,
        request: &mut Request<ClientBody>,
        heads: &mut OriginalHeads,
        peer: &ClientConnection,
    ) -> impl Future<Output = Response<Self::Body>> + Send {
        Self::handle(self, request, heads, peer)
    }

    fn refuse(&self, refused: Refused, headers: Option<&HeaderMap>) -> Response<Self::Body> {
        Self::refuse(self, refused.code(), refused.detail(), headers)
    }

    fn tick(&self) {
        self.exchange().sweep(self.clock().now());
    }

    fn connection(&self, change: ConnectionChange) {
        match change {
            ConnectionChange::Opened => self.shard().connection_opened(),
            ConnectionChange::Closed => self.shard().connection_closed(),
        }
    }
}
