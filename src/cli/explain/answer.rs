//! The explanation itself: one stage of the life of a call after the other.

use http::header::HOST;

use super::Question;
use super::sheet::{Origin, Sheet, cited};
use super::words;
use crate::allowance::AccountRule;
use crate::config::Settings;
use crate::gateway::{CallPolicy, Inspect, Redirects, Repeat, Upstream};
use crate::headers::{
    account_value, has_idempotency_key, preferred_wait, target, unambiguous_value,
};
use crate::problem::normalise::StatusPolicy;
use crate::routing::client::{KeyLocation, UnknownClient};
use crate::routing::method::{CallMethod, overrides};
use crate::routing::route::{CallPath, PathReading, Route};
use crate::upstream;

/// What would happen to this request; `origin` tells where a path of keys was written.
#[must_use]
pub fn explain(settings: &Settings, origin: Origin<'_>, question: &Question) -> String {
    let mut sheet = Sheet::default();
    let host = question.headers.get(HOST).and_then(|host| host.to_str().ok());
    match settings.gateway.routes.find(host, question.target.path()) {
        Some(route) => explain_routed(&mut sheet, settings, origin, (question, route)),
        None => no_route(&mut sheet, settings, host),
    }
    sheet.to_string()
}

fn no_route(sheet: &mut Sheet, settings: &Settings, host: Option<&str>) {
    let routes = &settings.gateway.routes;
    sheet.say(
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
        sheet.say("routes", format!("{host} {}/ → {name}", entry.prefix));
    }
}

/// Everything the rows need to know.
struct Case<'a> {
    question: &'a Question,
    route: Route,
    upstream: &'a Upstream,
    wire: &'a upstream::Settings,
    policy: &'a CallPolicy,
    /// The number of the special route that matched.
    special: Option<usize>,
    /// Methods that the request names beside its own.
    overrides: &'a [Box<str>],
    origin: Origin<'a>,
}

fn explain_routed(
    sheet: &mut Sheet,
    settings: &Settings,
    origin: Origin<'_>,
    (question, route): (&Question, Route),
) {
    let upstream = &settings.gateway.upstreams[route.upstream];
    let path = behind_prefix(question, route);
    let overrides = overrides(&question.method, &question.headers, question.target.query());
    let method = CallMethod::new(&question.method, &overrides);
    let mut specials = upstream.routes.iter();
    let special = specials.position(|(matcher, _)| matcher.must_match(method, path));
    let case = Case {
        question,
        route,
        upstream,
        wire: &settings.upstreams[route.upstream],
        policy: upstream.policies_for(method, path).applied,
        special,
        overrides: &overrides,
        origin,
    };
    case.explain_way(sheet);
    case.explain_client(sheet, settings);
    case.explain_account(sheet);
    case.explain_time(sheet);
    case.explain_replay(sheet);
    case.explain_errors(sheet);
}

fn behind_prefix(question: &Question, route: Route) -> CallPath<'_> {
    CallPath::new(&question.target.path()[route.prefix_bytes..])
}

impl Case<'_> {
    fn path(&self) -> CallPath<'_> {
        behind_prefix(self.question, self.route)
    }

    const fn method(&self) -> CallMethod<'_> {
        CallMethod::new(&self.question.method, self.overrides)
    }

    /// Where a key of the upstream itself was written.
    fn own(&self, key: &str) -> String {
        let name = &self.upstream.name;
        cited(self.origin, &[format!("upstreams.{name}.{key}")])
    }

    /// Where a policy was written, the strongest layer first.
    fn layered(&self, key: &str) -> String {
        let name = &self.upstream.name;
        let special = self.special.map(|number| format!("upstreams.{name}.routes.{number}.{key}"));
        let weaker = [format!("upstreams.{name}.{key}"), format!("defaults.{key}")];
        cited(self.origin, &special.into_iter().chain(weaker).collect::<Vec<_>>())
    }

    fn explain_way(&self, sheet: &mut Sheet) {
        let name = &self.upstream.name;
        let prefix = &self.question.target.path()[..self.route.prefix_bytes];
        let prefix = if prefix.is_empty() { "/" } else { prefix };
        sheet.cite("route", format!("{name}  (prefix {prefix})"), self.own("route"));
        let base_path = &self.upstream.base_path;
        match target(&self.question.target, self.route.prefix_bytes, base_path) {
            Ok(target) => {
                let url = format!("{}{target}", self.upstream.origin);
                sheet.cite("sends to", format!("{} {url}", self.question.method), self.own("url"));
            }
            Err(fault) => sheet.say("sends to", format!("nothing, answered 400: {fault}")),
        }
        if self.path().reading() == PathReading::Ambiguous {
            let text = "vendors may read this path differently: no exemption, and it counts";
            sheet.say("sends to", text);
        }
        if !self.overrides.is_empty() {
            let others = self.overrides.join(", ");
            let text = format!("it names {others} as its method too: both count, neither exempts");
            sheet.say("sends to", text);
        }
        if let Some(number) = self.special {
            let text = format!("{} of its routes matched", ordinal(number + 1));
            sheet.cite("treated as", text, self.own(&format!("routes.{number}")));
        }
    }

    fn explain_client(&self, sheet: &mut Sheet, settings: &Settings) {
        let clients = &settings.gateway.clients;
        match clients.identify(&self.question.headers) {
            Ok(found) => {
                let client = &clients.all()[found.client];
                let place = match found.key {
                    KeyLocation::None => "no key needed",
                    KeyLocation::KeyHeader => "by its key header, which goes no further",
                    KeyLocation::Authorization => "by Authorization, which goes no further",
                };
                let from = cited(self.origin, &[format!("clients.{}", client.name)]);
                sheet.cite("client", format!("{}  ({place})", client.name), from);
                let limit = settings.gateway.client_limits.get(found.client);
                if let Some(limit) = limit.and_then(Option::as_ref) {
                    let key = format!("clients.{}.limit", client.name);
                    let from = cited(self.origin, &[key]);
                    sheet.cite("client", format!("limit {}", words::allowance(limit)), from);
                }
            }
            Err(UnknownClient::NoKey) => {
                let header = clients.key_header();
                let text = format!("unknown: answered 401; add --header '{header}: KEY'");
                sheet.say("client", text);
            }
            Err(UnknownClient::WrongKey) => {
                sheet.say("client", "unknown: answered 401, this key is nobody's");
            }
        }
        for name in self.upstream.required(self.method(), self.path()) {
            match unambiguous_value(&self.question.headers, name) {
                Ok(Some(_)) => {}
                Ok(None) => {
                    let text = format!("refused here without the header {name}");
                    sheet.cite("client", text, self.layered("require"));
                }
                Err(unclear) => sheet.say("client", format!("answered 400: {name}: {unclear}")),
            }
        }
    }

    fn explain_account(&self, sheet: &mut Sheet) {
        let account = match &self.upstream.account {
            AccountRule::Upstream => "everybody who uses this upstream".to_owned(),
            AccountRule::Header(name) => match account_value(&self.question.headers, name) {
                Ok(Some(_)) => format!("the one that {name} names"),
                Ok(None) => format!("the one of requests without {name}"),
                Err(unclear) => format!("none, answered 400: {name}: {unclear}"),
            },
            AccountRule::Named(name) => format!("{name}, shared by every upstream that names it"),
        };
        sheet.cite("account", account, self.own("account"));
        if let Some(credential) = &self.upstream.credential {
            let text = format!("ours in {}, instead of the client's", credential.header);
            sheet.cite("credential", text, self.own("auth"));
        }
        if self.upstream.allowances.is_empty() {
            sheet.say("allowances", "none: nothing is counted");
        }
        for allowance in &self.upstream.allowances {
            let count = self.counting(allowance);
            let text = format!("{}  {count}", allowance.name);
            let key = format!("allowances.{}", allowance.name);
            sheet.cite("allowances", text, self.own(&key));
        }
    }

    /// What an allowance is, or why it does not count this call.
    fn counting(&self, allowance: &crate::allowance::Allowance) -> String {
        let (method, path) = (self.method(), self.path());
        let exempt = allowance.exempt.iter().find(|matcher| matcher.must_match(method, path));
        let counts = allowance.counts.as_ref();
        match (exempt, counts.is_none_or(|matcher| matcher.may_match(method, path))) {
            (Some(matcher), _) => format!("does not count it: exempt, {}", words::matcher(matcher)),
            (None, false) => format!(
                "does not count it: only {}",
                counts.map(words::matcher).unwrap_or_default()
            ),
            (None, true) => words::allowance(allowance),
        }
    }

    fn explain_time(&self, sheet: &mut Sheet) {
        let policy = self.policy;
        let asked = preferred_wait(&self.question.headers);
        let patience = asked.map_or(policy.wait, |wait| wait.min(policy.wait_max));
        let how = match asked {
            Some(_) => format!("as Prefer asks, at most {}", words::span(policy.wait_max)),
            None => format!("up to {} by `Prefer: wait=N`", words::span(policy.wait_max)),
        };
        let text = format!("{} until the last attempt starts; {how}", words::span(patience));
        sheet.cite("patience", text, self.layered("wait.default"));
        sheet.cite("attempts", self.attempts(), self.layered("retry.attempts"));
        let text = format!("blind retries at most {} % of calls", policy.budget_percent);
        sheet.cite("attempts", text, self.layered("retry.budget"));
        let connect = words::span(self.wire.connect_timeout);
        sheet.cite("timeouts", format!("connect {connect}"), self.layered("timeouts.connect"));
        let attempt = words::span(policy.attempt_timeout);
        let text = format!("attempt {attempt}, from the request sent to the answer's head");
        sheet.cite("timeouts", text, self.attempt_timeout_origin());
        let idle = format!("idle {} between pieces of a body", words::span(policy.idle_timeout));
        sheet.cite("timeouts", idle, self.layered("timeouts.idle"));
        let rate = match policy.request_rate {
            0 => "a request's body may come as slowly as it likes".to_owned(),
            rate => format!("request's body {}/s at least, on average", words::bytes_of(rate)),
        };
        sheet.cite("timeouts", rate, self.layered("timeouts.request_rate"));
    }

    fn attempts(&self) -> String {
        let backoff = &self.policy.backoff;
        let (base, max) = (words::span(backoff.base), words::span(backoff.max));
        let factor = backoff.factor;
        format!("{} in total; backoff {base} × {factor} up to {max}", self.policy.attempts)
    }

    /// The dialect may know the vendor's own promise of an answer.
    fn attempt_timeout_origin(&self) -> String {
        let from = self.layered("timeouts.attempt");
        let dialect = &self.policy.dialect;
        let by_dialect = dialect.attempt_timeout == Some(self.policy.attempt_timeout);
        if by_dialect && from == "(default)" { format!("dialect {}", dialect.name) } else { from }
    }

    /// The replay table in words, for this method, key and route.
    fn explain_replay(&self, sheet: &mut Sheet) {
        sheet.say("replayed", "if not a byte was sent: yes");
        sheet.say("replayed", "if the vendor did nothing (429, refused, by rule): yes");
        let (text, from) = self.unknown_row();
        match from {
            Some(from) => sheet.cite("replayed", text, from),
            None => sheet.say("replayed", text),
        }
        sheet.say("replayed", "if it was carried out or finally refused: no");
        let bytes = words::size(self.policy.replay_body_max);
        let text = format!("only while its body fits {bytes}; a larger one streams through");
        sheet.cite("replayed", text, self.layered("replay.max_body"));
    }

    fn unknown_row(&self) -> (String, Option<String>) {
        let header = &self.policy.idempotency_header;
        let method = &self.question.method;
        let yes = |why: String| format!("if nobody knows (timeout, reset, 500, 502, 504): {why}");
        if method.is_idempotent() && self.overrides.is_empty() {
            return (yes(format!("yes, {method} may be performed twice")), None);
        }
        if self.policy.repeat == Repeat::Declared {
            return (yes("yes, declared repeatable".into()), Some(self.layered("repeatable")));
        }
        if has_idempotency_key(&self.question.headers, header) {
            let from = self.layered("idempotency_header");
            return (yes(format!("yes, it carries {header}")), Some(from));
        }
        let remedy = format!("no; send {header}, or declare the route repeatable");
        (yes(remedy), None)
    }

    fn explain_errors(&self, sheet: &mut Sheet) {
        let policy = self.policy;
        sheet.cite("dialect", policy.dialect.name.to_string(), self.layered("dialect"));
        for rule in &policy.dialect.rules {
            sheet.say("rules", words::rule(rule));
        }
        let rest =
            if policy.dialect.guesses { "by the usual signs, then by status" } else { "by status" };
        sheet.say("rules", format!("everything else: {rest}"));
        match policy.inspect {
            Inspect::Errors => {}
            Inspect::SuccessToo => {
                let text = "answers that claim success are looked at too";
                sheet.cite("rules", text, self.layered("inspect_success"));
            }
        }
        let status = match policy.status {
            StatusPolicy::Map => "one per meaning; the vendor's own is in `upstream.status`",
            StatusPolicy::Keep => "the vendor's own",
        };
        sheet.cite("status", status, self.layered("status"));
        let redirects = match policy.redirects {
            Redirects::Rewrite => "led back through us",
            Redirects::Pass => "passed as they are",
        };
        sheet.cite("redirects", redirects, self.layered("redirects"));
    }
}

fn ordinal(number: usize) -> String {
    match number {
        1 => "the first".into(),
        2 => "the second".into(),
        3 => "the third".into(),
        number => format!("number {number}"),
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::super::fixture::settings;
    use super::*;

    fn explained(method: Method, path: &str, headers: &[(&'static str, &'static str)]) -> String {
        let row = |(name, value): &(&'static str, &'static str)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        };
        let headers = headers.iter().map(row).collect();
        let question = Question { method, target: path.parse().unwrap(), headers };
        let origin = |key: &str| match key {
            "upstreams.wordbee.url" => Some("evenkeel.yaml:4:10".to_owned()),
            "upstreams.wordbee.routes.0.repeatable" => Some("evenkeel.yaml:9:40".to_owned()),
            "upstreams.wordbee.allowances.hourly" => Some("evenkeel.yaml:7:7".to_owned()),
            "defaults.retry.attempts" => Some("evenkeel.yaml:2:25".to_owned()),
            _ => None,
        };
        explain(&settings(), &origin, &question)
    }

    #[test]
    fn a_post_is_explained_line_by_line() {
        let text = explained(Method::POST, "/wordbee/documents?a=1", &[]);
        let expected = "\
route       wordbee  (prefix /wordbee)                                        (default)
sends to    POST https://acme.example/api/documents?a=1                       evenkeel.yaml:4:10
client      default  (no key needed)                                          (default)
account     the one of requests without x-auth-accountid                      (default)
allowances  hourly  1000/h, evenly after a burst of 20                        evenkeel.yaml:7:7
patience    30s until the last attempt starts; up to 10m by `Prefer: wait=N`  (default)
attempts    4 in total; backoff 250ms × 2 up to 10s                           evenkeel.yaml:2:25
            blind retries at most 10 % of calls                               (default)
timeouts    connect 3s                                                        (default)
            attempt 1m, from the request sent to the answer's head            dialect wordbee
            idle 30s between pieces of a body                                 (default)
            request's body 1KiB/s at least, on average                        (default)
replayed    if not a byte was sent: yes
            if the vendor did nothing (429, refused, by rule): yes
            if nobody knows (timeout, reset, 500, 502, 504): no; send idempotency-key, or \
            declare the route repeatable
            if it was carried out or finally refused: no
            only while its body fits 256KiB; a larger one streams through     (default)
dialect     wordbee                                                           (default)
rules       throttled: status 429 → rate_limited, hold the allowance as long as the vendor \
            says, at least 10s, then at 50 % pace
            everything else: by status
status      one per meaning; the vendor's own is in `upstream.status`         (default)
redirects   led back through us                                               (default)
";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_special_about_a_call_is_told() {
        type Headers = &'static [(&'static str, &'static str)];
        let rows: [(Method, &str, Headers, &str); 8] = [
            (Method::POST, "/wordbee/auth/token", &[], "hourly  does not count it: exempt"),
            (Method::POST, "/wordbee/search", &[], "yes, declared repeatable"),
            (Method::POST, "/wordbee/search", &[], "evenkeel.yaml:9:40"),
            (Method::POST, "/wordbee/x", &[("idempotency-key", "k")], "yes, it carries idemp"),
            (Method::DELETE, "/wordbee/x", &[], "yes, DELETE may be performed twice"),
            (Method::GET, "/wordbee/x", &[("prefer", "wait=900")], "10m until the last"),
            (Method::GET, "/wordbee/../x", &[], "nothing, answered 400"),
            (Method::GET, "/elsewhere", &[], "none: answered 404 route_not_found"),
        ];
        for (method, path, headers, expected) in rows {
            let text = explained(method, path, headers);
            assert!(text.contains(expected), "{path} {expected}\n{text}");
        }
    }
}
