//! An account under a changed configuration: its scopes change, and calls of older configurations
//! need the new ones too.
//!
//! Nothing is granted twice: an allowance that is new starts from what the upstream's attempts have
//! spent, those under way included, and calls that began before it was there are counted by it from
//! their next attempt on.

use std::sync::Arc;
use std::time::Duration;

use super::account_state::AccountState;
use super::attempt_history::Spent;
use super::calendar::WallClock;
use super::scope::{Scope, WaitingChange};
use super::scope_layout::ScopeLayout;
use super::settings::QueueBounds;
use super::slot_request::{GrantedSlot, SlotRequest};
use crate::time::Moment;

/// Attempts under way whose ends an account will not see, or whose cost is not known, are counted
/// for so long: no attempt without a long-running body takes longer.
const UNDER_WAY_MAX: Duration = Duration::from_secs(10 * 60);

impl AccountState {
    /// Puts a layout of a newer configuration into force.
    pub(super) fn reconfigure(
        &mut self,
        layout: &Arc<ScopeLayout>,
        bounds: QueueBounds,
        wall: WallClock,
        now: Moment,
    ) {
        let before = self.configuration;
        for (number, place) in layout.places.iter().enumerate() {
            if place.since <= before {
                let scope = &mut self.scopes[number];
                scope.retired = place.retired.is_some();
                if !scope.retired {
                    place.template.apply_to(scope, now);
                }
                continue;
            }
            let mut scope = place.template.scope(wall);
            if let Some(replaced) = place.replaces {
                scope.take_hold_of(&self.scopes[usize::from(replaced)]);
            }
            match self.scopes.get_mut(number) {
                Some(free) => *free = scope,
                None => self.scopes.push(scope),
            }
        }
        for addition in layout.added_since(before) {
            let [upstream, scope] = [addition.upstream, addition.scope].map(usize::from);
            if let Some(reach) = self.scopes[scope].reach() {
                let spent = self.scopes[upstream].spent(reach, now);
                self.scopes[scope].count_earlier(spent, now.plus(UNDER_WAY_MAX));
            }
        }
        self.layout = Arc::clone(layout);
        (self.configuration, self.bounds) = (layout.version, bounds);
        self.complete_waiting();
    }

    /// Counts in every allowance what was spent elsewhere under another rule of accounts.
    pub(super) fn count_elsewhere(&mut self, spent: impl Fn(Duration) -> Vec<Spent>, now: Moment) {
        let until = now.plus(UNDER_WAY_MAX);
        for scope in &mut self.scopes {
            let all = scope.reach().map(&spent).unwrap_or_default();
            all.into_iter().for_each(|it| scope.count_earlier(it.all_ended(until), until));
        }
    }

    /// What the calls of all its upstreams may have spent of a window of this length.
    pub(super) fn spent(&self, window: Duration, now: Moment) -> Vec<Spent> {
        self.scopes.iter().map(|scope| scope.spent(window, now)).collect()
    }

    /// A request of an older configuration, with the scopes that it does not know of. Which of an
    /// upstream's allowances would count it is not known, so all do.
    pub(super) fn completed(&self, request: &SlotRequest) -> SlotRequest {
        let mut completed = request.of_configuration(self.configuration);
        for addition in self.layout.added_since(request.configuration) {
            if addition.upstream == request.upstream.all {
                completed.scopes |= 1 << addition.scope;
                completed.concurrent |= u64::from(addition.concurrent) << addition.scope;
            }
        }
        completed
    }

    /// A slot that was granted under an older configuration, with the windows that have counted it
    /// since as one under way.
    pub(super) fn counted_since(&self, slot: &GrantedSlot) -> GrantedSlot {
        let mut slot = *slot;
        for addition in self.layout.added_since(slot.request.configuration) {
            if addition.upstream == slot.request.upstream.all && addition.counts_under_way {
                slot.request.scopes |= 1 << addition.scope;
            }
        }
        slot
    }

    fn complete_waiting(&mut self) {
        let mut queue = std::mem::take(&mut self.queue);
        queue.change_requests(|request| self.completed(request));
        self.scopes.iter_mut().for_each(Scope::clear_waiting);
        queue.requests().for_each(|request| self.adjust_waiting(request, WaitingChange::Joins));
        self.queue = queue;
    }
}
