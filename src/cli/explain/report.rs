//! The explanation: one stage of a call after the other.

use std::time::{Duration, SystemTime};

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};

use super::format;
use super::rows::{DEFAULT, Origin, Rows, first_origin};
use crate::allowance::AccountRule;
use crate::cli::capture::Capture;
use crate::config::Settings;
use crate::gateway::{
    self, AddKey, CallPolicy, ErrorShape, Inspect, Redirects, Repeat, Upstream, error_shape,
    grpc_type,
};
use crate::headers::{
    account_value, has_idempotency_key, preferred_wait, target, unambiguous_value,
};
use crate::problem::StatusPolicy;
use crate::retry::backoff::Backoff;
use crate::retry::client::{CallSeries, ClientRetries};
use crate::retry::replay::RepeatPermission;
use crate::routing::call_matcher::{CallFields, CallHead};
use crate::routing::client::{KeyLocation, UnknownClient};
use crate::routing::method::{CallMethod, overrides};
use crate::routing::route::{CallPath, PathReading, Route};
use crate::upstream;

/// The request to explain.
#[derive(Clone, Debug)]
pub struct ExplainedRequest {
    pub method: Method,
    pub target: PathAndQuery,
    /// `Host` decides which routes count.
    pub headers: HeaderMap,
}

/// A response to explain, and when it arrived.
#[derive(Clone, Debug)]
pub struct ExplainedResponse {
    pub capture: Capture,
    pub at: SystemTime,
}

/// What would happen to a request, and to one that the vendor answers with `response`. `origin`
/// finds where a path of keys was written.
#[must_use]
pub fn explain(
    settings: &Settings,
    origin: Origin<'_>,
    request: &ExplainedRequest,
    response: Option<&ExplainedResponse>,
) -> String {
    let mut rows = Rows::default();
    let host = request.headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some(route) = settings.gateway.routes.find(host, request.target.path()) else {
        no_route(&mut rows, settings, host);
        return rows.to_string();
    };
    let upstream = &settings.gateway.upstreams[route.upstream];
    let path = behind_prefix(request, route);
    let overrides = overrides(&request.method, &request.headers, request.target.query());
    let method = CallMethod::new(&request.method, &overrides);
    let mut specials = upstream.routes.iter();
    let special = specials.position(|(matcher, _)| matcher.must_match(method, path));
    let policy = upstream.policies_for(method, path).applied;
    let client = settings.gateway.clients.identify(&request.headers).ok();
    let own = client.and_then(|found| settings.gateway.client_retries[found.client]);
    let explained = Explained {
        request,
        route,
        settings: &settings.gateway,
        upstream,
        wire: &settings.upstreams[route.upstream],
        policy,
        client_retries: own.unwrap_or(policy.client_retries),
        special,
        overrides: &overrides,
        origin,
    };
    explained.routing(&mut rows);
    explained.client(&mut rows, settings);
    explained.account(&mut rows);
    explained.time(&mut rows);
    explained.replay(&mut rows);
    explained.errors(&mut rows);
    if let Some(response) = response {
        explained.response(&mut rows, response);
    }
    rows.to_string()
}

fn no_route(rows: &mut Rows, settings: &Settings, host: Option<&str>) {
    let routes = &settings.gateway.routes;
    rows.push(
        "route",
        match (host, routes.serves_host(host)) {
            (Some(host), false) => {
                format!("none: host {host} is not served, answered 421 misdirected")
            }
            _ => "none: answered 404 route_not_found, nothing is sent".to_owned(),
        },
    );
    for entry in routes.entries() {
        let host = entry.host.as_deref().unwrap_or("any host");
        let name = &settings.gateway.upstreams[entry.upstream].name;
        rows.push("routes", format!("{host} {}/ → {name}", entry.prefix));
    }
}

/// A request that has a route, with the settings that apply to it.
pub(super) struct Explained<'a> {
    pub(super) request: &'a ExplainedRequest,
    route: Route,
    settings: &'a gateway::Settings,
    pub(super) upstream: &'a Upstream,
    wire: &'a upstream::Settings,
    pub(super) policy: &'a CallPolicy,
    pub(super) client_retries: ClientRetries,
    /// The number of the upstream's own route that matches.
    special: Option<usize>,
    /// Methods that the request names beside its own.
    pub(super) overrides: &'a [Box<str>],
    origin: Origin<'a>,
}

fn behind_prefix(request: &ExplainedRequest, route: Route) -> CallPath<'_> {
    CallPath::new(&request.target.path()[route.prefix_bytes..])
}

impl Explained<'_> {
    pub(super) fn path(&self) -> CallPath<'_> {
        behind_prefix(self.request, self.route)
    }

    pub(super) fn head(&self) -> CallHead<'_> {
        let (headers, query) = (&self.request.headers, self.request.target.query());
        let fields = Some(CallFields { headers, query });
        CallHead { method: self.method(), path: self.path(), fields }
    }

    pub(super) const fn method(&self) -> CallMethod<'_> {
        CallMethod::new(&self.request.method, self.overrides)
    }

    /// Where a key of the upstream itself was written.
    fn own(&self, key: &str) -> String {
        let name = &self.upstream.name;
        first_origin(self.origin, &[format!("upstreams.{name}.{key}")])
    }

    /// Where a policy was written, the strongest layer first.
    pub(super) fn layered(&self, key: &str) -> String {
        let name = &self.upstream.name;
        let special = self.special.map(|number| format!("upstreams.{name}.routes.{number}.{key}"));
        let weaker = [format!("upstreams.{name}.{key}"), format!("defaults.{key}")];
        first_origin(self.origin, &special.into_iter().chain(weaker).collect::<Vec<_>>())
    }

    fn routing(&self, rows: &mut Rows) {
        let name = &self.upstream.name;
        let prefix = &self.request.target.path()[..self.route.prefix_bytes];
        let prefix = if prefix.is_empty() { "/" } else { prefix };
        rows.push_from("route", format!("{name}  (prefix {prefix})"), self.own("route"));
        let base_path = &self.upstream.base_path;
        match target(&self.request.target, self.route.prefix_bytes, base_path) {
            Ok(target) => {
                let url = format!("{}{target}", self.upstream.origin);
                rows.push_from(
                    "sends to",
                    format!("{} {url}", self.request.method),
                    self.own("url"),
                );
            }
            Err(fault) => rows.push("sends to", format!("nothing, answered 400: {fault}")),
        }
        if self.path().reading() == PathReading::Ambiguous {
            let text =
                "servers may read this path differently: it counts, and no exemption applies";
            rows.push("sends to", text);
        }
        if !self.overrides.is_empty() {
            let others = self.overrides.join(", ");
            let text =
                format!("the request also names the method {others}: both count, neither exempts");
            rows.push("sends to", text);
        }
        if let Some(number) = self.special {
            let text = format!("matches route {} of the upstream", number + 1);
            rows.push_from("treated as", text, self.own(&format!("routes.{number}")));
        }
    }

    fn client(&self, rows: &mut Rows, settings: &Settings) {
        let clients = &settings.gateway.clients;
        match clients.identify(&self.request.headers) {
            Ok(found) => {
                let client = &clients.all()[found.client];
                let place = match found.key {
                    KeyLocation::None => "no key needed",
                    KeyLocation::KeyHeader => "by its key header, which is not forwarded",
                    KeyLocation::Authorization => "by Authorization, which is not forwarded",
                };
                let from = first_origin(self.origin, &[format!("clients.{}", client.name)]);
                rows.push_from("client", format!("{}  ({place})", client.name), from);
                let limit = settings.gateway.client_limits.get(found.client);
                if let Some(limit) = limit.and_then(Option::as_ref) {
                    let key = format!("clients.{}.limit", client.name);
                    let from = first_origin(self.origin, &[key]);
                    rows.push_from("client", format!("limit {}", format::allowance(limit)), from);
                }
            }
            Err(UnknownClient::NoKey) => {
                let header = clients.key_header();
                let text = format!("unknown: answered 401; add --header '{header}: KEY'");
                rows.push("client", text);
            }
            Err(UnknownClient::WrongKey) => {
                rows.push("client", "unknown: answered 401, no client has this key");
            }
        }
        for name in self.upstream.required(self.method(), self.path()) {
            match unambiguous_value(&self.request.headers, name) {
                Ok(Some(_)) => {}
                Ok(None) => {
                    let text = format!("refused without the header {name}");
                    rows.push_from("client", text, self.layered("require"));
                }
                Err(unclear) => rows.push("client", format!("answered 400: {name}: {unclear}")),
            }
        }
    }

    fn account(&self, rows: &mut Rows) {
        let account = match &self.upstream.account {
            AccountRule::Upstream => "one for all clients of this upstream".to_owned(),
            AccountRule::Header(name) => match account_value(&self.request.headers, name) {
                Ok(Some(_)) => format!("by the value of {name}"),
                Ok(None) => format!("the one for requests without {name}"),
                Err(unclear) => format!("none, answered 400: {name}: {unclear}"),
            },
            AccountRule::Named(name) => format!("{name}, shared by every upstream that names it"),
        };
        rows.push_from("account", account, self.own("account"));
        if let Some(credential) = &self.upstream.credential {
            let text =
                format!("the gateway's own in {}, instead of the client's", credential.header);
            rows.push_from("credential", text, self.own("auth"));
        }
        if self.upstream.allowances.is_empty() {
            rows.push("allowances", "none: nothing is counted");
        }
        let head = self.head();
        for allowance in &self.upstream.allowances {
            let count = match (allowance.exempts(head), allowance.may_count(head)) {
                (Some(exempt), _) => {
                    format!("does not count it: exempt, {}", format::call_matcher(exempt))
                }
                (None, false) => {
                    let counted = allowance.counts.iter().map(format::call_matcher);
                    let counted = counted.collect::<Vec<_>>().join(" and ");
                    format!("does not count it: only {counted}")
                }
                (None, true) => format::allowance(allowance),
            };
            let text = format!("{}  {count}", allowance.name);
            let key = format!("allowances.{}", allowance.name);
            rows.push_from("allowances", text, self.own(&key));
        }
    }

    /// How long after its arrival the last attempt may start.
    pub(super) fn patience(&self) -> Duration {
        let asked = preferred_wait(&self.request.headers);
        asked.map_or(self.policy.wait, |wait| wait.min(self.policy.wait_max))
    }

    fn time(&self, rows: &mut Rows) {
        let policy = self.policy;
        let how = match preferred_wait(&self.request.headers) {
            Some(_) => format!("as Prefer asks, at most {}", format::span(policy.wait_max)),
            None => format!("up to {} by `Prefer: wait=N`", format::span(policy.wait_max)),
        };
        let text =
            format!("{} until the last attempt starts; {how}", format::span(self.patience()));
        rows.push_from("patience", text, self.layered("wait.default"));
        let Backoff { base, factor, max } = policy.backoff;
        let (base, max) = (format::span(base), format::span(max));
        let text = format!("{} in total; backoff {base} × {factor} up to {max}", policy.attempts);
        rows.push_from("attempts", text, self.layered("retry.attempts"));
        match CallSeries::of(&self.request.headers, None, self.client_retries) {
            CallSeries::Single => {
                let text = format!("blind retries at most {} % of calls", policy.budget_percent);
                rows.push_from("attempts", text, self.layered("retry.budget"));
            }
            CallSeries::Unnumbered => {
                rows.push("attempts", "no blind retries: the client makes its own");
            }
            CallSeries::Numbered { call, calls_max } => {
                let text = format!("no blind retries: call {call} of {calls_max} of its client");
                rows.push("attempts", text);
            }
        }
        let connect = format::span(self.wire.connect_timeout);
        rows.push_from("timeouts", format!("connect {connect}"), self.layered("timeouts.connect"));
        let attempt = format::span(policy.attempt_timeout);
        let text = format!("attempt {attempt}, from the request sent to the response head");
        // The dialect may set the timeout that the vendor documents.
        let from = self.layered("timeouts.attempt");
        let by_dialect = policy.dialect.attempt_timeout == Some(policy.attempt_timeout);
        let dialect = (by_dialect && from == DEFAULT).then(|| &policy.dialect.name);
        rows.push_from("timeouts", text, dialect.map_or(from, |name| format!("dialect {name}")));
        let idle = format!("idle {} without progress of a body", format::span(policy.idle_timeout));
        rows.push_from("timeouts", idle, self.layered("timeouts.idle"));
        let rate = match policy.request_rate {
            0 => "no lower bound for the rate of a request's body".to_owned(),
            rate => format!("request's body at least {}/s on average", format::size(rate)),
        };
        rows.push_from("timeouts", rate, self.layered("timeouts.request_rate"));
    }

    /// The shape of errors, and where it is decided.
    pub(super) fn shape(&self) -> (ErrorShape, String) {
        let clients = &self.settings.clients;
        let client = clients.identify(&self.request.headers).ok().map(|found| found.client);
        let own = client.and_then(|client| self.settings.client_errors[client]);
        let headers = &self.request.headers;
        let shape = error_shape(self.policy, own, headers);
        let configured = own.unwrap_or(self.policy.errors);
        let from = match client.filter(|_| own.is_some()) {
            _ if shape != configured => "the request's headers".to_owned(),
            Some(client) => {
                let key = format!("clients.{}.errors", clients.all()[client].name);
                first_origin(self.origin, &[key])
            }
            None => self.layered("errors"),
        };
        (shape, from)
    }

    /// The replay table for this method, key and route.
    fn replay(&self, rows: &mut Rows) {
        rows.push("replayed", "if no byte was sent: yes");
        rows.push("replayed", "if the vendor did nothing (429, refused, by rule): yes");
        let (answer, from) = self.repeatability();
        let text = format!("if the outcome is unknown (timeout, reset, 500, 502, 504): {answer}");
        match from {
            Some(from) => rows.push_from("replayed", text, from),
            None => rows.push("replayed", text),
        }
        rows.push("replayed", "if it was processed, or refused for good: no");
        let bytes = format::size(self.policy.replay_body_max as u64);
        let text = format!("only while its body fits {bytes}; a larger one streams through");
        rows.push_from("replayed", text, self.layered("replay.max_body"));
    }

    /// What permits to perform the request twice, whatever its method.
    pub(super) fn permission(&self) -> RepeatPermission {
        let (headers, idempotency) = (&self.request.headers, &self.policy.idempotency);
        if self.policy.repeat == Repeat::Declared {
            RepeatPermission::Declared
        } else if has_idempotency_key(headers, &idempotency.header) || self.adds_key() {
            RepeatPermission::IdempotencyKey
        } else {
            RepeatPermission::None
        }
    }

    fn adds_key(&self) -> bool {
        let idempotency = &self.policy.idempotency;
        idempotency.add == AddKey::IfAbsent
            && !self.request.headers.contains_key(&idempotency.header)
    }

    /// Whether the request may be performed twice, why, and the setting that decides it.
    fn repeatability(&self) -> (String, Option<String>) {
        let (method, header) = (&self.request.method, &self.policy.idempotency.header);
        if method.is_idempotent() && self.overrides.is_empty() {
            return (format!("yes, {method} may be performed twice"), None);
        }
        match self.permission() {
            RepeatPermission::Declared => {
                ("yes, declared repeatable".to_owned(), Some(self.layered("repeatable")))
            }
            RepeatPermission::IdempotencyKey if self.adds_key() => {
                let from = Some(self.layered("idempotency.add"));
                (format!("yes, the gateway adds {header}, except to gRPC"), from)
            }
            RepeatPermission::IdempotencyKey => {
                (format!("yes, it carries {header}"), Some(self.layered("idempotency.header")))
            }
            RepeatPermission::None => {
                (format!("no; send {header}, or declare the route repeatable"), None)
            }
        }
    }

    fn errors(&self, rows: &mut Rows) {
        let policy = self.policy;
        rows.push_from("dialect", policy.dialect.name.to_string(), self.layered("dialect"));
        for rule in &policy.dialect.rules {
            rows.push("rules", format::rule(rule));
        }
        let rest =
            if policy.dialect.guesses { "by the usual signs, then by status" } else { "by status" };
        rows.push("rules", format!("everything else: {rest}"));
        match policy.inspect {
            Inspect::Errors => {}
            Inspect::SuccessToo => {
                let text = "successful responses are inspected too";
                rows.push_from("rules", text, self.layered("inspect_success"));
            }
        }
        let status = match policy.status {
            StatusPolicy::Map => "one per code; the vendor's own is in `upstream.status`",
            StatusPolicy::Keep => "the vendor's own",
        };
        rows.push_from("status", status, self.layered("status"));
        let (shape, from) = self.shape();
        let text = match (shape, &policy.dialect.own) {
            _ if grpc_type(&self.request.headers).is_some() => {
                "as gRPC's: status 200 with `grpc-status` and `grpc-message`"
            }
            (ErrorShape::Problem, _) => "problems, the vendor's and the gateway's own",
            (ErrorShape::Vendor, Some(_)) => "as the vendor sends them; the gateway's own likewise",
            (ErrorShape::Vendor, None) => {
                "as the vendor sends them; the gateway's own as problems, for want of a template"
            }
        };
        rows.push_from("errors", text, from);
        let redirects = match policy.redirects {
            Redirects::Rewrite => "rewritten to lead through this gateway",
            Redirects::Pass => "passed on unchanged",
        };
        rows.push_from("redirects", redirects, self.layered("redirects"));
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::super::fixture::settings;
    use super::*;

    fn explained(method: Method, path: &str, headers: &[(&'static str, &'static str)]) -> String {
        explained_with(method, path, headers, None)
    }

    fn explained_with(
        method: Method,
        path: &str,
        headers: &[(&'static str, &'static str)],
        response: Option<&str>,
    ) -> String {
        let row = |(name, value): &(&'static str, &'static str)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        };
        let headers = headers.iter().map(row).collect();
        let request = ExplainedRequest { method, target: path.parse().unwrap(), headers };
        let origin = |key: &str| match key {
            "upstreams.wordbee.url" => Some("evenkeel.yaml:4:10".to_owned()),
            "upstreams.wordbee.routes.0.repeatable" => Some("evenkeel.yaml:9:40".to_owned()),
            "upstreams.wordbee.allowances.hourly" => Some("evenkeel.yaml:7:7".to_owned()),
            "defaults.retry.attempts" => Some("evenkeel.yaml:2:25".to_owned()),
            _ => None,
        };
        let response = response.map(|text| ExplainedResponse {
            capture: Capture::parse(text.as_bytes().to_vec()).unwrap(),
            at: SystemTime::UNIX_EPOCH,
        });
        explain(&settings(), &origin, &request, response.as_ref())
    }

    #[test]
    fn a_post_is_explained_line_by_line() {
        let text = explained(Method::POST, "/wordbee/documents?a=1", &[]);
        let expected = "\
route       wordbee  (prefix /wordbee)                                        (default)
sends to    POST https://acme.example/api/documents?a=1                       evenkeel.yaml:4:10
client      default  (no key needed)                                          (default)
account     the one for requests without x-auth-accountid                     (default)
allowances  hourly  1000/h, evenly after a burst of 20                        evenkeel.yaml:7:7
patience    30s until the last attempt starts; up to 10m by `Prefer: wait=N`  (default)
attempts    4 in total; backoff 250ms × 2 up to 10s                           evenkeel.yaml:2:25
            blind retries at most 10 % of calls                               (default)
timeouts    connect 3s                                                        (default)
            attempt 1m, from the request sent to the response head            dialect wordbee
            idle 30s without progress of a body                               (default)
            request's body at least 1KiB/s on average                         (default)
replayed    if no byte was sent: yes
            if the vendor did nothing (429, refused, by rule): yes
            if the outcome is unknown (timeout, reset, 500, 502, 504): no; send \
            idempotency-key, or declare the route repeatable
            if it was processed, or refused for good: no
            only while its body fits 256KiB; a larger one streams through     (default)
dialect     wordbee                                                           (default)
rules       throttled: status 429 → rate_limited, hold the allowance as long as the vendor \
            states, at least 10s, then at 50 % pace
            everything else: by status
status      one per code; the vendor's own is in `upstream.status`            (default)
errors      problems, the vendor's and the gateway's own                      (default)
redirects   rewritten to lead through this gateway                            (default)
";
        assert_eq!(text, expected);
    }

    #[test]
    fn exemptions_declarations_and_headers_change_the_explanation() {
        type Headers = &'static [(&'static str, &'static str)];
        let rows: [(Method, &str, Headers, &str); 10] = [
            (
                Method::POST,
                "/wordbee/x",
                &[("content-type", "application/grpc+proto")],
                "as gRPC's",
            ),
            (Method::POST, "/wordbee/auth/token", &[], "hourly  does not count it: exempt"),
            (Method::POST, "/wordbee/search", &[], "yes, declared repeatable"),
            (Method::POST, "/wordbee/search", &[], "evenkeel.yaml:9:40"),
            (Method::POST, "/wordbee/x", &[("idempotency-key", "k")], "yes, it carries idemp"),
            (Method::DELETE, "/wordbee/x", &[], "yes, DELETE may be performed twice"),
            (Method::GET, "/wordbee/x", &[("prefer", "wait=900")], "10m until the last"),
            (
                Method::GET,
                "/wordbee/x",
                &[("x-stainless-retry-count", "1")],
                "no blind retries: call 2 of 3 of its client",
            ),
            (Method::GET, "/wordbee/../x", &[], "nothing, answered 400"),
            (Method::GET, "/elsewhere", &[], "none: answered 404 route_not_found"),
        ];
        for (method, path, headers, expected) in rows {
            let text = explained(method, path, headers);
            assert!(text.contains(expected), "{path} {expected}\n{text}");
        }
    }

    #[test]
    fn a_response_is_explained_by_its_evidence_and_by_what_follows() {
        type Headers = &'static [(&'static str, &'static str)];
        let throttle = "HTTP/1.1 429 Busy\nRetry-After: 7\n\n{\"message\":\"Slow down.\"}";
        let late = "HTTP/1.1 429 Busy\nRetry-After: 90\n\n";
        let broken = "HTTP/1.1 500 No\n\n";
        let refused = "HTTP/1.1 404 No\n\n";
        let success = "HTTP/1.1 200 OK\n\n";
        let rows: [(Method, &str, Headers, &str, &[&str]); 9] = [
            (
                Method::POST,
                "/wordbee/x",
                &[],
                throttle,
                &[
                    "response    429 Too Many Requests, becomes rate_limited with status 429",
                    "why         rule      throttled",
                    "            evidence  the rule's conditions",
                    "            wait      stated by the dialect",
                    "then        the allowance is held for 10s (throttle), then goes at 50 % pace",
                    "            sent again after 10s; 4 attempts in total",
                ],
            ),
            (Method::POST, "/wordbee/x", &[], late, &["not sent again: the wait is longer than"]),
            (Method::POST, "/wordbee/x", &[("prefer", "wait=100")], late, &["again after 1m30s"]),
            (
                Method::POST,
                "/wordbee/x",
                &[],
                broken,
                &["nothing is held", "not sent again: it may have been carried out; send idem"],
            ),
            (Method::POST, "/wordbee/search", &[], broken, &["after a backoff of up to 250ms"]),
            (Method::GET, "/wordbee/x", &[], broken, &["after a backoff of up to 250ms"]),
            (
                Method::GET,
                "/wordbee/x",
                &[("x-stainless-retry-count", "1")],
                broken,
                &["not sent again: the client makes its own"],
            ),
            (Method::GET, "/wordbee/x", &[], refused, &["would be answered the same"]),
            (Method::GET, "/wordbee/x", &[], success, &["200 OK, passes unread"]),
        ];
        for (method, path, headers, response, lines) in rows {
            let text = explained_with(method, path, headers, Some(response));
            for line in lines {
                assert!(text.contains(line), "{line}\n{text}");
            }
        }
    }
}
