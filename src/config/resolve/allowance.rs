//! The allowances of upstreams and the limits of clients. What one grants is in `grant.rs`.

use std::sync::Arc;
use std::time::Duration;

use super::policy::call_matcher;
use super::reader::{Resolver, Scope};
use crate::allowance::{Allowance, CostClass, Grant, Settles};
use crate::config::item::Field;
use crate::config::keys;
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
        let counts = scope.maps(&keys::COUNTED).iter().map(call_matcher).collect();
        let mode = self.get(&scope, &keys::MODE);
        self.record_own(&scope, &keys::EXEMPT);
        let exempt = match scope.own(&keys::EXEMPT) {
            Some(_) => scope.maps(&keys::EXEMPT),
            None => upstream.maps(&keys::EXEMPT_EVERYWHERE),
        };
        let exempt = exempt.iter().map(call_matcher).collect();
        let grant = grant?;
        let headroom = self.headroom(&scope, &grant)?;
        let cost = self.cost(&scope, &grant, headroom)?;
        let linger = self.linger(&scope, &grant);
        Some(Allowance {
            name: (*field.key).into(),
            grant,
            counts,
            exempt,
            mode,
            settles: cost.as_ref().map_or(Settles::AtHead, |rule| rule.settles()),
            cost: cost.map(Arc::new),
            // Set where all allowances of the account are known.
            cost_class: CostClass::CALLS,
            headroom,
            linger,
            // Known when all policies are.
            longest_attempt: Duration::ZERO,
        })
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
