//! `GET /.well-known/evenkeel/allowance`: what a client sees of the allowances that its calls need.
//!
//! It is answered here, takes no slot and opens no account. Of other clients it shows nothing but
//! that they use the same allowance.

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use serde_json::{Value, json};

use super::body::{RequestBody, ResponseBody};
use super::call::{Reason, Rejection};
use super::respond::headers_without_call;
use super::shape::ShapeContext;
use super::state::Gateway;
use crate::allowance::{ProbeFitness, ScopeKind, ScopeView, UsageView};
use crate::headers;
use crate::outcome::Code;
use crate::time::Moment;
use crate::upstream::Exchange;

/// No vendor has this path: it is ours on every host.
const PATH: &str = "/.well-known/evenkeel/allowance";

const METHOD_REFUSED: Reason =
    Reason { code: Code::MethodNotAllowed, detail: "This path answers GET and HEAD only." };

/// Whether a request asks for it.
pub(super) fn is_asked_for<B>(request: &Request<B>) -> bool {
    request.uri().path() == PATH
}

impl<E: Exchange<RequestBody>> Gateway<E> {
    #[cold]
    pub(super) fn answer_usage<B>(&self, request: &Request<B>) -> Response<ResponseBody<E::Body>> {
        let id = headers::request_id(request.headers()).cloned();
        let id = id.unwrap_or_else(|| self.new_request_id());
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        let usage = if reads { self.usage(request.headers()) } else { Err(METHOD_REFUSED) };
        let mut response = match usage {
            Ok(usage) => {
                // Only keys that are not strings could fail, and a `Value` has none.
                let body = serde_json::to_vec(&usage).unwrap_or_default();
                let mut response = Response::new(ResponseBody::Whole(Some(body.into())));
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(CONTENT_TYPE, json);
                headers::add_call_headers(response.headers_mut(), &headers_without_call(&id));
                response
            }
            Err(reason) => {
                let rejection = Rejection { id, reason, upstream: None };
                let context = ShapeContext::of_headers(request.headers());
                let mut response = self.reject(&rejection, context);
                if let Some(methods) = response.headers_mut().get_mut(ALLOW) {
                    *methods = HeaderValue::from_static("GET, HEAD");
                }
                response
            }
        };
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn usage(&self, headers: &HeaderMap) -> Result<Value, Reason> {
        let client = self.identify(headers)?.client;
        let now = self.clock.now();
        let own = self.scheduling(client, [now, now], ProbeFitness::OneShot);
        let limit = self.accounts.client_usage(client, own);
        let limit = limit.iter().flat_map(|usage| &usage.scopes).filter_map(allowance).next();
        let upstreams = self.settings.upstreams.iter().enumerate().map(|(number, upstream)| {
            let deadline: Moment = now.plus(upstream.policy.wait);
            let scheduling = self.scheduling(client, [now, deadline], ProbeFitness::OneShot);
            let usage = self.accounts.usage(number, headers, scheduling);
            shown(&upstream.name, &usage)
        });
        Ok(json!({
            "client": &*self.settings.clients.all()[client].name,
            "limit": limit,
            "upstreams": upstreams.collect::<Vec<_>>(),
        }))
    }
}

fn shown(upstream: &str, usage: &UsageView) -> Value {
    json!({
        "name": upstream,
        "next_slot_seconds": usage.next_slot.map(|wait| seconds(wait.as_secs_f64())),
        "held": usage.held,
        "paused": usage.paused,
        "waiting": usage.waiting,
        "allowances": usage.scopes.iter().filter_map(allowance).collect::<Vec<_>>(),
    })
}

/// `None` for what has no limit.
fn allowance(scope: &ScopeView) -> Option<Value> {
    let (limit, window) = match scope.kind {
        ScopeKind::Units { limit, window, .. } => (limit, Some(window.as_secs_f64())),
        ScopeKind::Concurrency { limit, .. } => (limit, None),
        ScopeKind::Upstream | ScopeKind::Counted => return None,
    };
    Some(json!({
        "name": &*scope.name,
        "limit": limit,
        "window_seconds": window,
        "used": scope.occupied,
        "remaining": limit.saturating_sub(scope.occupied),
        "next_slot_seconds": scope.next_slot.map(|wait| seconds(wait.as_secs_f64())),
    }))
}

/// Rounded up to milliseconds, so that a client that waits so long is not early.
fn seconds(seconds: f64) -> f64 {
    (seconds * 1_000.0).ceil() / 1_000.0
}
