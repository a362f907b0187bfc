//! Makes the gateway the [`Handler`] of client connections.

use http::{HeaderMap, Request, Response};

use super::body::ClientBody;
use super::handler::{ConnectionChange, Handler, OutgoingBody};
use super::request_error::RequestError;
use crate::gateway::{
    ClientConnection, Gateway, IncomingBody, OriginalHeads, RequestBody, ResponseBody,
};
use crate::upstream::{UpstreamBody, Upstreams};

impl From<ClientBody> for IncomingBody {
    fn from(body: ClientBody) -> Self {
        Self::of(body)
    }
}

impl OutgoingBody for ResponseBody<UpstreamBody<RequestBody>> {
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

    fn reject(&self, error: RequestError, headers: Option<&HeaderMap>) -> Response<Self::Body> {
        Self::refuse(self, error.code(), error.detail(), headers)
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
