//! What a vendor grants, and what we impose on a client.

use std::sync::Arc;
use std::time::Duration;

use super::policy::matcher;
use super::{Origin, Resolver, Scope};
use crate::allowance::{Allowance, Grant, Mode, Spread};
use crate::config::check::{Field, Held, Item};
use crate::config::defaults;
use crate::config::fault::{Fault, Sort};
use crate::config::scalar::{Length, Limit};
use crate::routing::route::Matcher;

/// Who counts what a window is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counter {
    /// The vendor, when a request arrives there.
    Vendor,
    /// We, when a call arrives here: nothing is under way.
    Ourselves,
}

impl<'a> Resolver<'a> {
    /// The allowances of an upstream; the faulty ones are left out.
    pub(super) fn allowances(&mut self, upstream: &Scope<'a>) -> Vec<Allowance> {
        let fields = upstream.own(&["allowances"]).map_or(&[] as &[Field], |item| item.fields());
        fields.iter().filter_map(|field| self.allowance(upstream, field)).collect()
    }

    fn allowance(&mut self, upstream: &Scope<'a>, field: &'a Field) -> Option<Allowance> {
        let keys = super::upstream::allowance_keys();
        let path = upstream.key(&["allowances", &field.key]);
        let scope = Scope::of(Some(&field.item), keys, path);
        let grant = self.grant(&scope);
        let counts = field.item.field("match").map(|written| {
            self.record_flow(&scope, "match", &written.item);
            matcher(&written.item)
        });
        let mode = match self.word(&scope, &["mode"]).as_str() {
            "observe" => Mode::Observe,
            _ => Mode::Enforce,
        };
        let exempt = self.exempt(&scope);
        let grant = grant?;
        let linger = self.linger(&scope, &grant);
        Some(Allowance { name: (*field.key).into(), grant, counts, exempt, mode, linger })
    }

    fn linger(&mut self, scope: &Scope<'a>, grant: &Grant) -> Duration {
        let derived = match grant {
            Grant::Window { .. } => defaults::LINGER,
            Grant::Concurrency { .. } => defaults::LINGER_AT_WORK,
        };
        let written = self.option(scope, &["linger"]).and_then(|written| written.duration());
        self.record_derived(scope, "linger", Length(derived).to_string());
        written.unwrap_or(derived)
    }

    fn exempt(&mut self, scope: &Scope<'a>) -> Vec<Matcher> {
        let Some(item) = scope.own(&["exempt"]) else { return Vec::new() };
        self.record_flow(scope, "exempt", item);
        let Held::List(items) = &item.held else { return Vec::new() };
        items.iter().map(matcher).collect()
    }

    fn grant(&mut self, scope: &Scope<'a>) -> Option<Grant> {
        let (limit, concurrency) = (scope.own(&["limit"]), scope.own(&["concurrency"]));
        match (limit, concurrency) {
            (Some(_), None) => self.window(scope, Counter::Vendor),
            (None, Some(item)) => self.concurrency(scope, item),
            (Some(_), Some(item)) => {
                let message = "an allowance counts calls per window or calls at a time, not both";
                let accepted = "two allowances, one with `limit` and one with `concurrency`";
                self.conflict(Some(item), scope.key(&["concurrency"]), message.into(), accepted);
                None
            }
            (None, None) => {
                self.grants_nothing(scope);
                None
            }
        }
    }

    fn grants_nothing(&mut self, scope: &Scope<'a>) {
        let item = scope.strong.first().filter(|item| matches!(item.held, Held::Map(_)));
        if let Some(item) = item {
            let message = format!("`{}` grants nothing", scope.path);
            let fault = Fault::new(Sort::MissingKey, Some(item.at), message);
            let accepted = "`limit: 10/s`, or `concurrency: 8`";
            self.faults.push(fault.key(scope.path.clone()).accepted(accepted));
        }
    }

    fn concurrency(&mut self, scope: &Scope<'a>, item: &Item) -> Option<Grant> {
        for key in ["burst", "spread", "arrival_guard"] {
            if scope.own(&[key]).is_some() {
                let message = format!("`{key}` means nothing beside `concurrency`");
                self.conflict(scope.own(&[key]), scope.key(&[key]), message, "`concurrency` alone");
            }
        }
        let limit = self.option(scope, &["concurrency"])?.count()?;
        let _ = item;
        Some(Grant::Concurrency { limit: u32::try_from(limit).unwrap_or(u32::MAX) })
    }

    fn window(&mut self, scope: &Scope<'a>, counter: Counter) -> Option<Grant> {
        let limit = self.option(scope, &["limit"])?.limit()?;
        let spread = self.spread(scope, limit);
        let arrival_guard = match counter {
            Counter::Vendor => self.arrival_guard(scope, limit.window),
            Counter::Ourselves => Some(Duration::ZERO),
        };
        Some(Grant::Window { limit: limit.calls, window: limit.window, spread, arrival_guard })
    }

    fn spread(&mut self, scope: &Scope<'a>, limit: Limit) -> Spread {
        let even = self.word(scope, &["spread"]) == "even";
        let burst = scope.own(&["burst"]);
        if !even {
            if burst.is_some() {
                let message = "`burst` means nothing with `spread: none`".to_owned();
                self.conflict(burst, scope.key(&["burst"]), message, "one of the two");
            }
            return Spread::None;
        }
        Spread::Even { burst: self.burst(scope, limit) }
    }

    fn burst(&mut self, scope: &Scope<'a>, limit: Limit) -> u32 {
        let derived = (limit.calls / defaults::BURST_DIVISOR).max(1);
        let Some(written) = self.option(scope, &["burst"]) else {
            self.record_derived(scope, "burst", derived.to_string());
            return derived;
        };
        let burst = u32::try_from(written.count().unwrap_or_default()).unwrap_or(u32::MAX);
        if burst > limit.calls {
            let message = format!("a burst of {burst} is more than the limit {limit}");
            let accepted = format!("1 to {}", limit.calls);
            self.conflict(scope.own(&["burst"]), scope.key(&["burst"]), message, &accepted);
        }
        burst
    }

    fn arrival_guard(&mut self, scope: &Scope<'a>, window: Duration) -> Option<Duration> {
        if let Some(written) = self.option(scope, &["arrival_guard"]) {
            return written.duration();
        }
        let guard = (window < defaults::GUARDED_BELOW).then_some(defaults::ARRIVAL_GUARD)?;
        self.record_derived(scope, "arrival_guard", Length(guard).to_string());
        Some(guard)
    }

    /// A default that follows from another value; nothing is recorded where a faulty one stands.
    fn record_derived(&mut self, scope: &Scope<'a>, key: &str, value: String) {
        if scope.own(&[key]).is_none() {
            self.record(scope, &[key], value, Origin::Default);
        }
    }

    /// What we impose on a client.
    pub(super) fn client_limit(&mut self, scope: &Scope<'a>, name: &str) -> Option<Allowance> {
        let grant = self.window(scope, Counter::Ourselves)?;
        Some(Allowance {
            name: Arc::from(name),
            grant,
            counts: None,
            exempt: Vec::new(),
            mode: Mode::Enforce,
            linger: Duration::ZERO,
        })
    }
}
