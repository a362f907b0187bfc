//! A call from its request to its response: one line per stage.

use http::{HeaderMap, Method, Request, Response, StatusCode};

use crate::clock::Clock;
use crate::headers;
use crate::outcome::Code;
use crate::telemetry::{EndedCall, Shard};
use crate::time::Moment;
use crate::upstream::Exchange;

use super::body::{IncomingBody, RequestBody, ResponseBody};
use super::call::{Call, Reason, Rejection};
use super::connection::{ClientConnection, OriginalHeads};
use super::own_usage;
use super::result::CallResult;
use super::shape::ShapeContext;
use super::state::Gateway;

impl<E: Exchange<RequestBody>> Gateway<E> {
    /// Serves one call, from the head of its request to the head of its response.
    ///
    /// Takes what it needs out of `request`, because a request is large and moving it copies it.
    pub async fn handle<B: Into<IncomingBody> + Default + Send>(
        &self,
        request: &mut Request<B>,
        heads: &mut OriginalHeads,
        client: &ClientConnection,
    ) -> Response<ResponseBody<E::Body>> {
        if *request.method() == Method::OPTIONS && headers::is_last_hop(request.headers()) {
            return self.answer_options(request.headers());
        }
        if own_usage::is_asked_for(request) {
            return self.answer_usage(request);
        }
        let mut received = self.receive(request, heads.request.take(), client);
        // Borrowed from here on, because a call is large too.
        let call = match &mut received {
            Ok(call) => call,
            Err(rejection) => {
                let context = self.rejection_context(rejection, request, client);
                return self.reject(rejection, context);
            }
        };
        self.shard.call_started(call.upstream);
        let mut cancellation = CancellationRecord::new(self, call);
        self.retry_budgets[call.upstream].call_began(call.arrival);
        let admitted = match self.buffer_request(call).await {
            Ok(()) => self.estimate_cost(call),
            Err(interruption) => Err(interruption),
        };
        let admitted = match admitted {
            Ok(()) => self.admit_client(call).await,
            Err(interruption) => Err(interruption),
        };
        let result = match admitted {
            Ok(()) => self.attempts(call, client).await,
            Err(interruption) => CallResult::Interrupted(interruption),
        };
        cancellation.armed = false;
        heads.answer = call.history.response_head.take();
        client.set_stall_timeout(result.body_idle_timeout(call));
        self.respond(call, result)
    }

    /// Answers a request head that the server could not accept.
    #[must_use]
    pub fn refuse(
        &self,
        code: Code,
        detail: &'static str,
        headers: Option<&HeaderMap>,
    ) -> Response<ResponseBody<E::Body>> {
        let id = headers.and_then(headers::request_id).cloned();
        let id = id.unwrap_or_else(|| self.new_request_id());
        let rejection = Rejection { id, reason: Reason { code, detail }, upstream: None };
        let none = HeaderMap::new();
        self.reject(&rejection, ShapeContext::of_headers(headers.unwrap_or(&none)))
    }
}

/// Counts a call whose client left before the response: the server drops the call's future then.
struct CancellationRecord<'g> {
    shard: &'g Shard,
    upstream: usize,
    client: usize,
    method: Method,
    clock: Clock,
    arrival: Moment,
    armed: bool,
}

/// The status in metrics of a call whose client left; it is sent to nobody. The number is nginx's.
const CLIENT_CLOSED_REQUEST: u16 = 499;

impl<'g> CancellationRecord<'g> {
    fn new<E>(gateway: &'g Gateway<E>, call: &Call<'_>) -> Self {
        Self {
            shard: &gateway.shard,
            upstream: call.upstream,
            client: call.client,
            method: call.request.method.clone(),
            clock: gateway.clock,
            arrival: call.arrival,
            armed: true,
        }
    }
}

impl Drop for CancellationRecord<'_> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let status = StatusCode::from_u16(CLIENT_CLOSED_REQUEST).unwrap_or(StatusCode::BAD_REQUEST);
        let took = self.clock.now().since(self.arrival);
        let ended =
            EndedCall { client: self.client, method: &self.method, status, code: None, took };
        self.shard.call_ended(self.upstream, &ended);
    }
}
