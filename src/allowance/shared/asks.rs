//! What an account asks of the store, and what it makes of the answer.

use std::sync::Arc;

use super::lease::SharedLease;
use super::state::{Ask, Grant, ShareRules};
use super::store_time::StoreTime;
use crate::allowance::account_state::AccountState;
use crate::allowance::settings::StoreSettings;
use crate::time::Moment;

impl AccountState {
    /// Shares its allowances from now on, by the rules of the configuration in force.
    pub(in crate::allowance) fn share(&mut self, store: &Arc<StoreSettings>) {
        self.store = Some(Arc::clone(store));
        self.apply_sharing();
    }

    /// Shares what the configuration in force says.
    pub(in crate::allowance) fn apply_sharing(&mut self) {
        let Some(store) = &self.store else { return };
        for (place, scope) in self.layout.places.iter().zip(&mut self.scopes) {
            let allowance = place.template.allowance().filter(|_| !scope.retired);
            let rules = allowance.and_then(|allowance| ShareRules::of(allowance, store));
            if let (Some(rules), Some(units)) = (rules, scope.units_mut()) {
                units.share(Arc::new(rules));
            }
        }
    }

    /// Whether a round trip is due; asked once for each time that it becomes so.
    pub(in crate::allowance) fn take_ask_due(&mut self) -> bool {
        self.store.is_some() && self.shared().fold(false, |due, (lease, _)| lease.take_due() | due)
    }

    pub(in crate::allowance) fn asks(&mut self, time: &StoreTime, now: Moment) -> Vec<Ask> {
        self.shared().map(|(lease, demand)| lease.ask(demand, time, now)).collect()
    }

    /// What a replica says last, which grants nothing any more.
    pub(in crate::allowance) fn last_asks(&mut self, time: &StoreTime, now: Moment) -> Vec<Ask> {
        self.shared().map(|(lease, _)| lease.last_ask(time, now)).collect()
    }

    /// Returns when the next round trip is due.
    pub(in crate::allowance) fn take_grants(
        &mut self,
        grants: Vec<Grant>,
        time: &StoreTime,
        asked: Moment,
        now: Moment,
    ) -> Moment {
        let granted = self.shared().zip(grants).map(|((lease, _), grant)| {
            lease.granted(grant, time, asked);
            lease.next_ask(now)
        });
        granted.min().unwrap_or(Moment::NEVER)
    }

    pub(in crate::allowance) fn store_is_away(&mut self) {
        self.shared().for_each(|(lease, _)| lease.unanswered());
    }

    pub(in crate::allowance) fn asks_were_noted(&mut self) {
        self.shared().for_each(|(lease, _)| lease.was_noted());
    }

    /// The leases of its allowances, with the limit in force and how many calls wait for each.
    fn shared(&mut self) -> impl Iterator<Item = (&mut SharedLease, (u32, u64))> {
        self.scopes.iter_mut().filter_map(|scope| {
            let waiting = u64::from(scope.waiting);
            let units = scope.units_mut()?;
            let demand = (units.limit(), waiting);
            Some((units.shared_mut()?, demand))
        })
    }
}
