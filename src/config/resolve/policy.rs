//! How one kind of call is treated: the merge of the defaults, the dialect, the upstream and
//! the route's entry.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::{Origin, Resolver, Scope};
use crate::config::check::{Held, Item};
use crate::config::scalar::{Length, Plain};
use crate::dialect::Dialect;
use crate::gateway::{CallPolicy, ClientAddress, Expose, Inspect, Redirects, Repeat};
use crate::problem::StatusPolicy;
use crate::retry::backoff::Backoff;
use crate::routing::route::{Matcher, Pattern};

impl<'a> Resolver<'a> {
    /// The policy of a scope; nothing when its dialect is not known.
    pub(super) fn call_policy(&mut self, scope: &Scope<'a>) -> Option<CallPolicy> {
        let dialect = self.dialect(scope);
        let attempt_timeout = self.attempt_timeout(scope, dialect.as_ref());
        let (wait, wait_max) = self.wait(scope);
        let policy = CallPolicy {
            attempt_timeout,
            idle_timeout: self.duration(scope, &["timeouts", "idle"]),
            request_rate: self.rate(scope, &["timeouts", "request_rate"]),
            wait,
            wait_max,
            attempts: self.small(scope, &["retry", "attempts"]),
            backoff: self.backoff(scope),
            budget_percent: self.percent(scope, &["retry", "budget"]),
            replay_body_max: self.bytes(scope, &["replay", "max_body"]),
            idempotency_header: self.header(scope, &["idempotency_header"])?,
            status: self.status(scope),
            redirects: self.redirects(scope),
            client_address: self.client_address(scope),
            repeat: Repeat::ByMethod,
            inspect: Inspect::Errors,
            require: Vec::new(),
            expose: Expose {
                server_timing: self.flag(scope, &["expose", "server_timing"]),
                rate_limit: self.flag(scope, &["expose", "rate_limit"]),
            },
            dialect: dialect?,
        };
        Some(policy)
    }

    /// The policy of a route's entry, with what only such an entry has.
    pub(super) fn route_policy(&mut self, scope: &Scope<'a>) -> Option<CallPolicy> {
        let repeatable = self.flag(scope, &["repeatable"]);
        let inspect_success = self.flag(scope, &["inspect_success"]);
        let require = self.headers(scope, "require");
        Some(CallPolicy {
            repeat: if repeatable { Repeat::Declared } else { Repeat::ByMethod },
            inspect: if inspect_success { Inspect::SuccessToo } else { Inspect::Errors },
            require,
            ..self.call_policy(scope)?
        })
    }

    /// The dialect's own promise stands between the upstream and the defaults.
    fn attempt_timeout(&mut self, scope: &Scope<'a>, dialect: Option<&Arc<Dialect>>) -> Duration {
        let path = ["timeouts", "attempt"];
        let promised = dialect.and_then(|dialect| Some((dialect, dialect.attempt_timeout?)));
        match promised {
            Some((dialect, promised)) if scope.strong(&path).is_none() => {
                let origin = Origin::Dialect(dialect.name.to_string());
                self.record(scope, &path, Length(promised).to_string(), origin);
                promised
            }
            Some(_) | None => self.duration(scope, &path),
        }
    }

    fn wait(&mut self, scope: &Scope<'a>) -> (Duration, Duration) {
        let wait = self.duration(scope, &["wait", "default"]);
        let max = self.duration(scope, &["wait", "max"]);
        if wait > max {
            let (default_at, max_at) =
                (scope.written(&["wait", "default"]), scope.written(&["wait", "max"]));
            let message =
                format!("`wait.default` {} is more than `wait.max` {}", Length(wait), Length(max));
            let key = scope.key(&["wait", "default"]);
            self.conflict(default_at.or(max_at), key, message, "a default up to the maximum");
        }
        (wait, max)
    }

    fn backoff(&mut self, scope: &Scope<'a>) -> Backoff {
        let path = |name| ["retry", "backoff", name];
        let base = self.duration(scope, &path("base"));
        let factor = self.setting(scope, &path("factor")).factor();
        let max = self.duration(scope, &path("max"));
        if base > max {
            let written = scope.written(&path("base")).or_else(|| scope.written(&path("max")));
            let message = format!(
                "`backoff.base` {} is more than `backoff.max` {}",
                Length(base),
                Length(max)
            );
            self.conflict(written, scope.key(&path("base")), message, "a base up to the maximum");
        }
        Backoff { base, factor: factor.expect("the table says factor"), max }
    }

    fn status(&mut self, scope: &Scope<'a>) -> StatusPolicy {
        match self.word(scope, &["status"]).as_str() {
            "keep" => StatusPolicy::Keep,
            _ => StatusPolicy::Map,
        }
    }

    fn redirects(&mut self, scope: &Scope<'a>) -> Redirects {
        match self.word(scope, &["redirects"]).as_str() {
            "pass" => Redirects::Pass,
            _ => Redirects::Rewrite,
        }
    }

    fn client_address(&mut self, scope: &Scope<'a>) -> ClientAddress {
        match self.word(scope, &["client_address"]).as_str() {
            "send" => ClientAddress::Send,
            _ => ClientAddress::Drop,
        }
    }

    fn rate(&mut self, scope: &Scope<'a>, path: &[&str]) -> u64 {
        self.setting(scope, path).rate().expect("the table says rate")
    }

    fn percent(&mut self, scope: &Scope<'a>, path: &[&str]) -> u32 {
        self.setting(scope, path).percent().expect("the table says percent")
    }

    pub(super) fn header(&mut self, scope: &Scope<'a>, path: &[&str]) -> Option<HeaderName> {
        self.option(scope, path)?.header()
    }

    fn headers(&mut self, scope: &Scope<'a>, key: &str) -> Vec<HeaderName> {
        let Some(item) = scope.own(&[key]) else { return Vec::new() };
        self.record_flow(scope, key, item);
        let Held::List(items) = &item.held else { return Vec::new() };
        items.iter().filter_map(|item| plain(item)?.header()).collect()
    }

    /// Records a list or a map on one line, as the file would write it.
    pub(super) fn record_flow(&mut self, scope: &Scope<'a>, key: &str, item: &Item) {
        let origin = Origin::Written(self.faults.sources.position(item.at));
        self.record(scope, &[key], flow(item), origin);
    }
}

/// Which requests something applies to.
pub(super) fn matcher(item: &Item) -> Matcher {
    let methods = item.field("methods").map(|field| match &field.item.held {
        Held::List(items) => items.iter().filter_map(|item| plain(item)?.method()).collect(),
        Held::Plain(_) | Held::Secret(_) | Held::Map(_) | Held::Data(_) | Held::Faulty => {
            Vec::new()
        }
    });
    let pattern = |item: &Item| -> Option<Pattern> { plain(item)?.pattern() };
    Matcher { methods, path: item.field("path").and_then(|field| pattern(&field.item)) }
}

pub(super) fn plain(item: &Item) -> Option<&Plain> {
    if let Held::Plain(plain) = &item.held { Some(plain) } else { None }
}

/// A value on one line.
fn flow(item: &Item) -> String {
    match &item.held {
        Held::Plain(plain) => plain.to_yaml(),
        Held::Secret(reference) => reference.shown(),
        Held::Data(node) => node.to_json().to_string(),
        Held::Faulty => String::new(),
        Held::List(items) => {
            format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", "))
        }
        Held::Map(fields) => {
            let pair = |field: &super::Field| format!("{}: {}", field.key, flow(&field.item));
            format!("{{ {} }}", fields.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}
