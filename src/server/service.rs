//! Makes the gateway of a worker the [`Handler`] of client connections.

use std::pin::pin;
use std::sync::Arc;

use http::{HeaderMap, Request, Response};

use super::body::ClientBody;
use super::handler::{ConnectionChange, Handler, OutgoingBody};
use super::request_error::RequestError;
use crate::gateway::{
    ClientConnection, CurrentGateway, IncomingBody, OriginalHeads, RequestBody, ResponseBody,
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

impl Handler for Arc<CurrentGateway<Upstreams<RequestBody>>> {
    type Body = ResponseBody<UpstreamBody<RequestBody>>;

    fn handle(
        &self,
        request: &mut Request<ClientBody>,
        heads: &mut OriginalHeads,
        peer: &ClientConnection,
    ) -> impl Future<Output = Response<Self::Body>> + Send {
        let gateway = self.get();
        // Pinned in place: awaiting the future directly would copy it.
        async move { pin!(gateway.handle(request, heads, peer)).await }
    }

    fn reject(&self, error: RequestError, headers: Option<&HeaderMap>) -> Response<Self::Body> {
        self.get().refuse(error.code(), error.detail(), headers)
    }

    fn tick(&self) {
        let gateway = self.get();
        gateway.exchange().sweep(gateway.clock().now());
    }

    fn connection(&self, change: ConnectionChange) {
        match change {
            ConnectionChange::Opened => self.get().shard().connection_opened(),
            ConnectionChange::Closed => self.get().shard().connection_closed(),
        }
    }
}
