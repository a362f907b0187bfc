//! What a vendor grants, and the limits of clients.

use std::time::Duration;

use super::policy::matcher;
use super::reader::{Resolver, Scope};
use crate::allowance::{Allowance, CostClass, Grant, Settles, Spread};
use crate::config::diagnostic::{Diagnostic, DiagnosticCode};
use crate::config::format::{Length, Limit};
use crate::config::item::Field;
use crate::config::keys::{self, Declaration, Spreading};
use crate::config::provenance::Origin;
use crate::dialect::Dialect;

impl<'a> Resolver<'a> {
    /// The allowances of an upstream, without the faulty ones.
    pub(super) fn allowances(
        &mut self,
        upstream: &Scope<'a>,
        dialect: Option<&Dialect>,
    ) -> Vec<Allowance> {
        let fields = upstream.entries(&keys::ALLOWANCES);
        fields.iter().filter_map(|field| self.allowance(upstream, field, dialect)).collect()
    }

    fn allowance(
        &mut self,
        upstream: &Scope<'a>,
        field: &'a Field,
        dialect: Option<&Dialect>,
    ) -> Option<Allowance> {
        let path = format!("{}.{}", upstream.key(&keys::ALLOWANCES), field.key);
        let scope = Scope::of(Some(&field.item), keys::ALLOWANCE, path);
        let grant = self.grant(&scope, dialect);
        self.record_own(&scope, &keys::COUNTED);
        let counts = scope.own(&keys::COUNTED).map(matcher);
        let mode = self.get(&scope, &keys::MODE);
        self.record_own(&scope, &keys::EXEMPT);
        let exempt = match scope.own(&keys::EXEMPT) {
            Some(_) => scope.maps(&keys::EXEMPT),
            None => upstream.maps(&keys::EXEMPT_EVERYWHERE),
        };
        let exempt = exempt.iter().map(matcher).collect();
        let grant = grant?;
        let linger = self.linger(&scope, &grant);
        Some(Allowance {
            name: (*field.key).into(),
            grant,
            counts,
            exempt,
            mode,
            cost_class: CostClass::CALLS,
            settles: Settles::AtHead,
            linger,
        })
    }

    fn linger(&mut self, scope: &Scope<'a>, grant: &Grant) -> Duration {
        let derived = match grant {
            Grant::Window { .. } => keys::WINDOW_LINGER,
            Grant::Concurrency { .. } => keys::CONCURRENCY_LINGER,
        };
        self.record_derived(scope, &keys::LINGER, Length(derived).to_string());
        self.optional(scope, &keys::LINGER).unwrap_or(derived)
    }

    fn grant(&mut self, scope: &Scope<'a>, dialect: Option<&Dialect>) -> Option<Grant> {
        match (scope.own(&keys::LIMIT), scope.own(&keys::CONCURRENCY)) {
            (Some(_), None) => {
                let limit = self.optional(scope, &keys::LIMIT)?;
                let spread = self.spread(scope, limit, dialect);
                let arrival_guard = self.arrival_guard(scope, limit.window);
                Some(Grant::Window {
                    limit: limit.calls,
                    window: limit.window,
                    spread,
                    arrival_guard,
                })
            }
            (None, Some(_)) => self.concurrency(scope),
            (Some(_), Some(item)) => {
                let message = "an allowance counts calls per window or calls at a time, not both";
                let accepted = "two allowances, one with `limit` and one with `concurrency`";
                self.conflict(Some(item.at), scope.key(&keys::CONCURRENCY), message, accepted);
                None
            }
            (None, None) => {
                if let Some(item) = scope.strong.first().filter(|item| item.is_map()) {
                    let message = format!("`{}` grants nothing", scope.path);
                    let code = DiagnosticCode::MissingKey;
                    let diagnostic = Diagnostic::new(code, Some(item.at), message);
                    let accepted = "`limit: 10/s`, or `concurrency: 8`";
                    self.diagnostics.push(diagnostic.key(scope.path.clone()).accepted(accepted));
                }
                None
            }
        }
    }

    fn concurrency(&mut self, scope: &Scope<'a>) -> Option<Grant> {
        let of_windows: [&dyn Declaration; 3] = [&keys::BURST, &keys::SPREAD, &keys::ARRIVAL_GUARD];
        for setting in of_windows {
            if let Some(item) = scope.own(setting) {
                let message = format!("`{}` has no effect beside `concurrency`", setting.path());
                self.conflict(Some(item.at), scope.key(setting), message, "`concurrency` alone");
            }
        }
        Some(Grant::Concurrency { limit: self.optional(scope, &keys::CONCURRENCY)? })
    }

    fn spread(&mut self, scope: &Scope<'a>, limit: Limit, dialect: Option<&Dialect>) -> Spread {
        let burst = scope.own(&keys::BURST);
        let spreading = self.optional(scope, &keys::SPREAD).unwrap_or_else(|| {
            let dialect = dialect.filter(|dialect| dialect.spreads_evenly);
            let origin = dialect.map(|dialect| Origin::Dialect(dialect.name.to_string()));
            let even = burst.is_some() || origin.is_some();
            let (spreading, value) =
                if even { (Spreading::Even, "even") } else { (Spreading::Auto, "auto") };
            if scope.own(&keys::SPREAD).is_none() {
                let origin = origin.unwrap_or(Origin::Default);
                self.record(scope, &keys::SPREAD, value.to_owned(), origin);
            }
            spreading
        });
        let (spread, word) = match spreading {
            Spreading::Even => return Spread::Even { burst: self.burst(scope, limit) },
            Spreading::Auto => (Spread::Auto, "auto"),
            Spreading::None => (Spread::None, "none"),
        };
        if let Some(burst) = burst {
            let message = format!("`burst` has no effect with `spread: {word}`");
            self.conflict(Some(burst.at), scope.key(&keys::BURST), message, "one of the two");
        }
        spread
    }

    fn burst(&mut self, scope: &Scope<'a>, limit: Limit) -> u32 {
        let derived = (limit.calls / keys::BURST_DIVISOR).max(1);
        self.record_derived(scope, &keys::BURST, derived.to_string());
        let burst = self.optional(scope, &keys::BURST).unwrap_or(derived);
        if let Some(item) = scope.own(&keys::BURST)
            && burst > limit.calls
        {
            let message = format!("a burst of {burst} is more than the limit {limit}");
            let accepted = format!("1 to {}", limit.calls);
            self.conflict(Some(item.at), scope.key(&keys::BURST), message, accepted);
        }
        burst
    }

    fn arrival_guard(&mut self, scope: &Scope<'a>, window: Duration) -> Option<Duration> {
        if let Some(guard) = self.optional(scope, &keys::ARRIVAL_GUARD) {
            return Some(guard);
        }
        let guard = (window < keys::GUARDED_BELOW).then_some(keys::ARRIVAL_GUARD_DEFAULT)?;
        self.record_derived(scope, &keys::ARRIVAL_GUARD, Length(guard).to_string());
        Some(guard)
    }

    /// The limit of a client. The gateway counts it when the call arrives, so nothing is under way.
    pub(super) fn client_limit(&mut self, scope: &Scope<'a>, name: &str) -> Option<Allowance> {
        let limit = self.optional(scope, &keys::CLIENT_LIMIT_CALLS)?;
        let grant = Grant::Window {
            limit: limit.calls,
            window: limit.window,
            spread: self.spread(scope, limit, None),
            arrival_guard: Some(Duration::ZERO),
        };
        Some(Allowance::new(name, grant, Duration::ZERO))
    }
}
