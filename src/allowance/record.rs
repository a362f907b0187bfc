//! The records of an account: what is set aside and written down before it is granted.

use std::sync::Arc;

use super::account_state::AccountState;
use super::lease::Lease;
use super::recovered::{RecordRules, Recovered, Start};
use super::scope::Scope;
use super::scope_layout::ScopePlace;
use super::unit_record::AllowanceRecord;
use crate::time::Moment;

impl AccountState {
    /// Counts what is on record of this account, and records its allowances from now on.
    pub(super) fn begin_with(
        &mut self,
        recovered: &Recovered,
        account: &[AllowanceRecord],
        rules: RecordRules,
        now: Moment,
    ) {
        self.records = Some(rules);
        for (place, scope) in self.layout.places.iter().zip(&mut self.scopes) {
            let Some(allowance) = place.template.allowance() else { continue };
            let start = recovered.start((&self.layout.group, account), allowance, rules, now);
            let calls = allowance.is_recorded(rules.shortest).then(|| allowance.calls().into());
            scope.begin_with(calls, &start);
        }
    }

    /// Records the scope of an allowance that is new after a reload. What the former process did is
    /// not known of it, and counts as the whole allowance.
    pub(super) fn record_new(&self, scope: &mut Scope, place: &ScopePlace, now: Moment) {
        let (Some(rules), Some(allowance)) = (self.records, place.template.allowance()) else {
            return;
        };
        let calls = allowance.is_recorded(rules.shortest).then(|| allowance.calls().into());
        scope.begin_with(calls, &Start::unknown(allowance, rules, now));
    }

    /// Whether more units have to be set aside soon; asked once for each time that it becomes so.
    pub(super) fn take_record_due(&mut self) -> bool {
        self.records.is_some() && self.leases().fold(false, |due, lease| lease.take_due() | due)
    }

    /// Whether the latest record is out of date.
    pub(super) fn has_changed(&mut self) -> bool {
        let outdated = |scope: &mut Scope| {
            let waiting = u64::from(scope.waiting);
            scope.lease_mut().is_some_and(|lease| lease.is_outdated(waiting))
        };
        self.scopes.iter_mut().any(outdated)
    }

    /// The record to write now. [`recorded`](Self::recorded) has to follow.
    pub(super) fn record(&mut self, now: Moment) -> Vec<AllowanceRecord> {
        let leased = self.scopes.iter_mut().filter_map(|scope| {
            let waiting = u64::from(scope.waiting);
            let name = Arc::clone(&scope.name);
            scope.lease_mut().map(|lease| lease.record(name, waiting, now))
        });
        leased.collect()
    }

    /// The record of an account that grants nothing any more.
    pub(super) fn last_record(&mut self, now: Moment) -> Vec<AllowanceRecord> {
        let leased = self.scopes.iter_mut().filter_map(|scope| {
            let name = Arc::clone(&scope.name);
            scope.lease_mut().map(|lease| lease.last_record(name, now))
        });
        leased.collect()
    }

    fn leases(&mut self) -> impl Iterator<Item = &mut Lease> {
        self.scopes.iter_mut().filter_map(Scope::lease_mut)
    }

    /// What has become of the latest record.
    pub(super) fn recorded(&mut self, written: bool) {
        self.leases().for_each(|lease| match written {
            true => lease.written(),
            false => lease.not_written(),
        });
    }
}
