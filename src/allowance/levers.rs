//! The levers of an account: which of its scopes an order is about, and what changes there.

use std::sync::Arc;

use super::account_state::AccountState;
use super::lever::{Lever, LeverOrder, LeverReport};
use super::scope::Scope;
use super::scope_set::{members, set_of};
use crate::time::Moment;

impl AccountState {
    /// Pulls a lever. Returns what it changed, in this one account.
    pub(super) fn pull(&mut self, order: &LeverOrder, now: Moment) -> LeverReport {
        let allowance = order.allowance.as_deref();
        let own = self.layout.scopes_of_upstream(&order.upstream);
        let allowances = own.allowances & self.scopes_named(allowance);
        let (all, counted) = if allowance.is_none() { (own.all, own.counted) } else { (0, 0) };
        let targets = match order.lever {
            // All calls of the upstream need this scope, and no calls of others that share the
            // account.
            Lever::Pause(_) if allowance.is_none() => all,
            Lever::Pause(_) | Lever::Lower(_) | Lever::Raise | Lever::ForgetSpent => allowances,
            Lever::Resume | Lever::Reset => all | counted | allowances,
        };
        let mut report = LeverReport { accounts: 1, ..LeverReport::default() };
        for number in members(targets) {
            let scope = &mut self.scopes[number];
            let forgotten = match order.lever {
                Lever::ForgetSpent => scope.forget_spent(now),
                Lever::Pause(_) | Lever::Resume | Lever::Lower(_) | Lever::Raise | Lever::Reset => {
                    0
                }
            };
            report.forgotten += forgotten;
            let changed = forgotten > 0 || change(scope, order, now);
            if changed && !report.changed.contains(&scope.name) {
                report.changed.push(Arc::clone(&scope.name));
            }
        }
        report
    }

    /// What is paused longest of these scopes, if anything is.
    pub(super) fn paused(&mut self, scopes: u64, now: Moment) -> Option<Arc<str>> {
        let paused = members(scopes).filter_map(|number| {
            let until = self.scopes[number].paused_until(now)?;
            Some((until, number))
        });
        let (_, number) = paused.max()?;
        Some(Arc::clone(&self.scopes[number].name))
    }

    fn scopes_named(&self, name: Option<&str>) -> u64 {
        let named = |scope: &Scope| name.is_none_or(|name| *scope.name == *name);
        let all = self.scopes.iter().enumerate().filter(|(_, scope)| named(scope));
        set_of(all.map(|(number, _)| number))
    }
}

/// Returns whether anything has changed.
fn change(scope: &mut Scope, order: &LeverOrder, now: Moment) -> bool {
    match order.lever {
        Lever::Pause(length) => {
            scope.pause(length.map_or(Moment::NEVER, |length| now.plus(length)), &order.origin);
            true
        }
        Lever::Resume => scope.resume(now),
        Lever::Lower(to) => scope.lower(to, &order.origin, now),
        Lever::Raise => scope.raise(now),
        Lever::Reset => scope.reset(now),
        Lever::ForgetSpent => false,
    }
}
