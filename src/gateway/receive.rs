//! A request becomes a call, or is rejected: identifies the client, finds the route and prepares
//! the request that every attempt sends.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::HOST;
use http::{HeaderMap, Method, Request, Version};

use crate::allowance::{AccountRule, ClientShare, ProbeFitness, Scheduling};
use crate::headers::{self, AmbiguousHeader, RequestPolicy, RequestScan, Trailers};
use crate::outcome::Code;
use crate::retry::replay::RepeatPermission;
use crate::routing::authority;
use crate::routing::call_matcher::{CallFields, CallHead};
use crate::routing::client::{Identified, KeyLocation, UnknownClient};
use crate::routing::method::CallMethod;
use crate::routing::route::{AbsoluteForm, CallPath, Route};
use crate::time::Moment;
use crate::upstream::{HeaderCase, OriginalHead, RequestHead};

use super::body::{IncomingBody, ReplayBody};
use super::call::{Call, CallHistory, ClientUrl, Reason, Rejection};
use super::connection::ClientConnection;
use super::settings::{AddKey, CallPolicy, ClientAddress, Policies, Redirects, Repeat, Upstream};
use super::state::Gateway;

impl<E> Gateway<E> {
    /// Makes a call of a request.
    ///
    /// # Errors
    /// The client is unknown, no route matches, or the request is one that is never sent on.
    pub(super) fn receive<B: Into<IncomingBody> + Default>(
        &self,
        request: &mut Request<B>,
        original_head: Option<OriginalHead>,
        client: &ClientConnection,
    ) -> Result<Call<'_>, Rejection> {
        let arrival = self.clock.now();
        let scan = RequestScan::of(request.headers());
        let client_id = scan.request_id(request.headers()).cloned();
        let id = client_id.unwrap_or_else(|| self.new_request_id());
        let reject = |reason, upstream| Rejection { id: id.clone(), reason, upstream };
        if CallMethod::from(request.method()).may_echo() {
            return Err(reject(TRACE_REFUSED, None));
        }
        let identified = self.identify(request.headers()).map_err(|it| reject(it, None))?;
        let (upstream, client_url) = self.route(request, client).map_err(|it| reject(it, None))?;
        let reject = |reason| reject(reason, Some(upstream));
        let (settings, path) = (&self.settings.upstreams[upstream], client_url.path());
        let sent_method = std::mem::take(request.method_mut());
        let overrides = scan.overrides(&sent_method, request.headers(), client_url.target.query());
        let method = CallMethod::new(&sent_method, &overrides);
        self.check(request.headers(), scan, method).map_err(reject)?;
        decisive_headers(request.headers(), settings, method, path).map_err(reject)?;
        let target = client_url.upstream_target(settings).map_err(reject)?;
        let Policies { applied: policy, certain } = settings.policies_for(method, path);
        let wait_max = policy.wait_max.min(certain.wait_max);
        let wait_applied = scan.preferred_wait(request.headers()).map(|it| it.min(wait_max));
        let deadline = arrival.plus(wait_applied.unwrap_or(policy.wait.min(certain.wait)));
        let body = std::mem::take(request.body_mut()).into();
        let body = self.replay_body(body, upstream, [policy, certain]);
        let replayable = body.is_surely_replayable().then_some(ProbeFitness::Replayable);
        let fitness = replayable.unwrap_or(ProbeFitness::OneShot);
        let scheduling = self.scheduling(identified.client, [arrival, deadline], fitness);
        let (headers, query) = (request.headers(), client_url.target.query());
        let fields = Some(CallFields { headers, query });
        let head = CallHead { method, path, fields };
        let slot_request = self.accounts.slot_request(upstream, head, scheduling);
        let configured = settings.credential.as_ref().map(|it| Arc::clone(&it.written));
        let mut call = Call {
            id,
            arrival,
            deadline,
            wait_applied,
            client: identified.client,
            upstream,
            settings,
            policy,
            attempts_max: policy.attempts.min(certain.attempts),
            client_retries: policy.client_retries.max(certain.client_retries),
            permission: permission(request.headers(), scan, certain),
            overrides,
            errors_asked: scan.asked_errors(request.headers()),
            scan,
            account: self.accounts.account(upstream, request.headers()),
            slot_request,
            request: RequestHead {
                method: sent_method,
                target,
                headers: std::mem::take(request.headers_mut()),
                client: client.id(),
                spelling: HeaderCase { received: original_head, configured },
            },
            client_url,
            body,
            history: CallHistory::default(),
        };
        let peer = (certain.client_address == ClientAddress::Send).then(|| client.address().ip());
        let (key, version) = (identified.key, request.version());
        if let Err(reason) = self.filter_request(&mut call, key, peer, version) {
            return Err(Rejection { id: call.id, reason, upstream: Some(upstream) });
        }
        self.add_idempotency_key(&mut call, certain);
        Ok(call)
    }

    /// The place in the queue of a call of this client, by its arrival and deadline.
    pub(super) fn scheduling(
        &self,
        client: usize,
        [arrival, deadline]: [Moment; 2],
        probe_fitness: ProbeFitness,
    ) -> Scheduling {
        let configured = &self.settings.clients.all()[client];
        let of = ClientShare { client: configured.id, share: configured.share };
        Scheduling { of, priority: configured.priority, arrival, deadline, probe_fitness }
    }

    /// A body of which as much is kept for another attempt as every reading of the call allows.
    fn replay_body(
        &self,
        body: IncomingBody,
        upstream: usize,
        policies: [&CallPolicy; 2],
    ) -> ReplayBody {
        let bytes_max = policies.map(|policy| policy.replay_body_max).into_iter().min();
        ReplayBody::new(
            body,
            bytes_max.unwrap_or_default(),
            &self.pool,
            &self.protected_headers[upstream],
        )
    }

    /// Makes a call repeatable that is not. Every attempt sends the same key.
    fn add_idempotency_key(&self, call: &mut Call<'_>, certain: &CallPolicy) {
        // Only where every reading of the call allows it.
        if [call.policy, certain].iter().any(|it| it.idempotency.add != AddKey::IfAbsent) {
            return;
        }
        let (headers, name) = (&call.request.headers, &certain.idempotency.header);
        let repeatable = call.effective_method().is_idempotent() || headers.contains_key(name);
        if !repeatable && !call.has_media_type("application/grpc") {
            call.request.headers.insert(name, self.new_request_id());
            call.permission = RepeatPermission::IdempotencyKey;
        }
    }

    pub(super) fn identify(&self, headers: &HeaderMap) -> Result<Identified, Reason> {
        self.settings.clients.identify(headers).map_err(|unknown| match unknown {
            UnknownClient::NoKey => KEY_MISSING,
            UnknownClient::WrongKey => KEY_UNKNOWN,
        })
    }

    /// Refuses what is never sent on, whatever its route.
    fn check(
        &self,
        headers: &HeaderMap,
        scan: RequestScan,
        method: CallMethod<'_>,
    ) -> Result<(), Reason> {
        if method.may_echo() {
            return Err(TRACE_REFUSED);
        }
        if scan.is_loop(headers, self.via.pseudonym()) {
            return Err(LOOP);
        }
        Ok(())
    }

    /// The upstream that a request goes to, and its URL.
    pub(super) fn route<B>(
        &self,
        request: &Request<B>,
        client: &ClientConnection,
    ) -> Result<(usize, ClientUrl), Reason> {
        let routes = &self.settings.routes;
        // Nearly always the first header: it is found sooner than its name would be hashed.
        let host = request.headers().iter().find(|(name, _)| *name == HOST);
        let host = host.map(|(_, host)| host).cloned();
        let named = host.as_ref().and_then(|host| host.to_str().ok());
        let target = request.uri().path_and_query().filter(|target| target.path() != "*");
        let target = target.ok_or(ASTERISK_TARGET)?;
        let by_host = named.filter(|_| routes.by_host());
        let Some(Route { upstream, prefix_bytes }) = routes.find(by_host, target.path()) else {
            return Err(if routes.serves_host(by_host) { PATH_UNROUTED } else { HOST_UNROUTED });
        };
        let absolute = request.extensions().get::<AbsoluteForm>().is_some();
        if absolute && !named.is_some_and(|named| self.serves_authority(named, upstream, client)) {
            return Err(FOREIGN_HOST);
        }
        let client_url = ClientUrl { target: target.clone(), prefix_bytes, host };
        let path = client_url.path();
        if self.nested_routes[upstream].iter().any(|other| other.may_match(&Method::GET, path)) {
            return Err(PATH_AMBIGUOUS);
        }
        Ok((upstream, client_url))
    }

    /// Whether a request whose target is an absolute URL may mean this upstream by it.
    fn serves_authority(
        &self,
        requested: &str,
        upstream: usize,
        client: &ClientConnection,
    ) -> bool {
        let origin = &self.settings.upstreams[upstream].origin;
        let (scheme, authority) = origin.split_once("://").unwrap_or(("", origin));
        let default_port = if scheme == "https" { 443 } else { 80 };
        let port = authority::port(authority, default_port);
        let requested_port = authority::port(requested, 80);
        // `http://api.vendor.example` also means a vendor that is reached over TLS.
        let same_port =
            requested_port == port || (requested_port == Some(80) && port == Some(default_port));
        (authority::same_host(requested, authority) && same_port)
            || self.settings.routes.names_host(requested, upstream)
            || client.is_local_authority(requested)
    }

    /// Turns the client's headers into those that are sent to the upstream.
    fn filter_request(
        &self,
        call: &mut Call<'_>,
        key: KeyLocation,
        peer: Option<IpAddr>,
        version: Version,
    ) -> Result<(), Reason> {
        let headers = &mut call.request.headers;
        if call.scan.has_destination() && call.policy.redirects == Redirects::Rewrite {
            headers::map_destination(headers, &call.client_url.rewrite(call.settings))
                .map_err(|_out| DESTINATION_LEAVES_ROUTE)?;
        }
        let credential = call.settings.credential.as_ref();
        let policy = RequestPolicy {
            protected: &self.protected_headers[call.upstream],
            key,
            credential: credential.map(|credential| (&credential.header, &credential.value)),
            peer,
            trailers: Trailers::Pass,
            via: self.via.value(version),
        };
        headers::filter_request(headers, call.scan, &policy);
        if call.request.method == Method::OPTIONS {
            headers::decrement_max_forwards(headers);
        }
        Ok(())
    }
}

/// Checks the headers that decisions depend on: those that a route requires are present, and the
/// account's has one reading.
fn decisive_headers(
    headers: &HeaderMap,
    upstream: &Upstream,
    method: CallMethod<'_>,
    path: CallPath<'_>,
) -> Result<(), Reason> {
    let unclear =
        |unclear: AmbiguousHeader| Reason { code: Code::InvalidRequest, detail: unclear.remedy() };
    for name in upstream.required(method, path) {
        if headers::unambiguous_value(headers, name).map_err(unclear)?.is_none() {
            return Err(REQUIRED_HEADER_MISSING);
        }
    }
    if let AccountRule::Header(name) = &upstream.account {
        headers::account_value(headers, name).map_err(unclear)?;
    }
    Ok(())
}

fn permission(headers: &HeaderMap, scan: RequestScan, policy: &CallPolicy) -> RepeatPermission {
    if scan.has_idempotency_key(headers, &policy.idempotency.header) {
        return RepeatPermission::IdempotencyKey;
    }
    match policy.repeat {
        Repeat::Declared => RepeatPermission::Declared,
        Repeat::ByMethod => RepeatPermission::None,
    }
}

const TRACE_REFUSED: Reason = Reason {
    code: Code::MethodNotAllowed,
    detail: "TRACE is not forwarded: its response repeats the request, including credentials that \
             the client must not see.",
};
const KEY_MISSING: Reason =
    Reason { code: Code::Unauthenticated, detail: "This gateway requires an API key." };
const KEY_UNKNOWN: Reason =
    Reason { code: Code::Unauthenticated, detail: "This API key is not known to the gateway." };
const LOOP: Reason = Reason {
    code: Code::LoopDetected,
    detail: "The request has passed through this gateway before.",
};
const REQUIRED_HEADER_MISSING: Reason = Reason {
    code: Code::Unauthenticated,
    detail: "A header that this route requires is missing; the request was not sent.",
};
const ASTERISK_TARGET: Reason =
    Reason { code: Code::RouteNotFound, detail: "No route matches the request target `*`." };
const PATH_UNROUTED: Reason =
    Reason { code: Code::RouteNotFound, detail: "No route of this gateway matches the path." };
const HOST_UNROUTED: Reason =
    Reason { code: Code::Misdirected, detail: "No route of this gateway matches the host." };
const FOREIGN_HOST: Reason = Reason {
    code: Code::Misdirected,
    detail: "The request target names a host that belongs neither to this gateway nor to the \
             route or its upstream; this gateway is not an open proxy.",
};
const PATH_AMBIGUOUS: Reason = Reason {
    code: Code::InvalidRequest,
    detail: "The path may also be read as one of another route; write it without percent-encoding, \
             doubled slashes or dot segments.",
};
const DESTINATION_LEAVES_ROUTE: Reason = Reason {
    code: Code::InvalidRequest,
    detail: "The Destination header names a place outside the request's route.",
};
