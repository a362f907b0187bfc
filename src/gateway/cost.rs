//! What a call costs: read from its request before it is admitted, and from the vendor's responses.
//! How is decided by [`allowance`](crate::allowance); a call whose allowances count calls alone
//! only passes by here.

use std::sync::Arc;

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::allowance::{
    ConcurrencyPermit, CostClass, CostRule, RequestContent, UnknownCost, UsedAt, UsedCosts,
    used_in_head,
};
use crate::telemetry::{self, CostOf};

use super::body::UsageTap;
use super::call::Call;
use super::result::Interruption;
use super::state::Gateway;

impl<E> Gateway<E> {
    /// Whether the body of a call has to be read for its cost.
    pub(super) fn needs_body(&self, call: &Call<'_>) -> bool {
        call.slot_request.has_costs()
            && !call.body.exceeds_buffer()
            && self.costs_of(call).any(|(_, rule)| rule.reads_body())
    }

    /// The costs that the allowances of a call count.
    fn costs_of<'a>(
        &'a self,
        call: &'a Call<'_>,
    ) -> impl Iterator<Item = &'a (CostClass, Arc<CostRule>)> {
        let costs = self.accounts.costs(call.upstream).iter();
        costs.filter(|(class, _)| call.slot_request.needs_cost(*class))
    }

    /// Finds out what a call costs. Its body has been read if it is small.
    ///
    /// # Errors
    /// An allowance never grants as much.
    pub(super) fn estimate_cost(&self, call: &mut Call<'_>) -> Result<(), Interruption> {
        if !call.slot_request.has_costs() {
            return Ok(());
        }
        let is_coded = call.request.headers.contains_key(CONTENT_ENCODING);
        let body = if is_coded { None } else { call.body.whole() };
        let content = RequestContent {
            headers: &call.request.headers,
            body: body.as_deref(),
            length: call.body.length().filter(|_| !is_coded),
        };
        let mut costs = call.slot_request.costs;
        for (class, rule) in self.costs_of(call) {
            let estimate = rule.estimate(content);
            costs.set(*class, estimate.units);
            if let Some(unknown) = estimate.unknown {
                self.log_unknown_cost(call, CostOf::Request, unknown);
            }
        }
        call.slot_request.costs = costs;
        match self.accounts.exceeded_by(call.upstream, &call.slot_request) {
            Some(exceeded) => Err(Interruption::CostExceeded(exceeded)),
            None => Ok(()),
        }
    }

    /// What the head of a response says that its attempt used.
    pub(super) fn used_costs(&self, call: &Call<'_>, headers: &HeaderMap) -> UsedCosts {
        let mut used = UsedCosts::UNKNOWN;
        if !call.slot_request.has_costs() {
            return used;
        }
        for (class, rule) in self.costs_of(call) {
            if let Some(UsedAt::Header(name)) = &rule.used {
                match used_in_head(headers, name) {
                    Ok(units) => used.note(*class, units),
                    Err(unknown) => self.log_unknown_cost(call, CostOf::Response, unknown),
                }
            }
        }
        used
    }

    /// Reads what an attempt used out of the body of its response, if only that says it.
    pub(super) fn usage_tap(
        &self,
        call: &Call<'_>,
        headers: &HeaderMap,
        permit: &ConcurrencyPermit,
    ) -> Option<Box<UsageTap>> {
        if !permit.awaits_body() {
            return None;
        }
        let costs =
            self.costs_of(call).filter(|(_, rule)| matches!(rule.used, Some(UsedAt::Json(_))));
        Some(Box::new(UsageTap::new(costs.cloned().collect(), headers)))
    }

    fn log_unknown_cost(&self, call: &Call<'_>, of: CostOf, unknown: UnknownCost) {
        telemetry::log_unknown_cost(&call.settings.name, of, unknown, self.clock.now());
    }
}
