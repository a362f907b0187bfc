//! An account under a changed configuration: its scopes change, and calls of older configurations
//! need the new ones too.
//!
//! Nothing is granted twice: an allowance that is new starts from what the upstream's attempts have
//! spent, those under way included, and calls that began before it was there are counted by it from
//! their next attempt on. What is not known, such as the cost of earlier attempts, counts as spent.

use std::sync::Arc;
use std::time::Duration;

use super::account_state::AccountState;
use super::attempt_history::Spent;
use super::bottleneck::{Bottleneck, BottleneckKind};
use super::calendar::WallClock;
use super::lane::Ticket;
use super::refusal::{Refusal, RefusalReason};
use super::scope::{Scope, WaitingChange};
use super::scope_layout::ScopeLayout;
use super::scope_set::members;
use super::settings::QueueBounds;
use super::settlement::AttemptEnd;
use super::slot_request::{GrantedSlot, SlotRequest};
use crate::time::Moment;

/// Attempts under way whose ends an account will not see are counted for so long: no attempt
/// without a long-running body takes longer.
const UNDER_WAY_MAX: Duration = Duration::from_secs(10 * 60);

/// The configuration of an account whose place others have taken: every request is older.
const SUPERSEDED: u32 = u32::MAX;

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
                if scope.retired {
                    scope.end_lease();
                } else {
                    place.template.apply_to(scope, now);
                }
                continue;
            }
            let mut scope = place.template.scope(wall);
            self.record_new(&mut scope, place, now);
            if let Some(replaced) = place.replaces {
                let replaced = &self.scopes[usize::from(replaced)];
                scope.take_hold_of(replaced, now);
                scope.take_levers_of(replaced, now);
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
                self.scopes[scope].count_earlier(&spent, now);
            }
        }
        self.layout = Arc::clone(layout);
        (self.configuration, self.bounds) = (layout.version, bounds);
        self.apply_sharing();
        self.complete_waiting();
    }

    /// Counts in every allowance what was spent elsewhere under another rule of accounts.
    pub(super) fn count_elsewhere(&mut self, spent: impl Fn(Duration) -> Vec<Spent>, now: Moment) {
        let until = now.plus(UNDER_WAY_MAX);
        for scope in &mut self.scopes {
            let all = scope.reach().map(&spent).unwrap_or_default();
            all.into_iter().for_each(|it| scope.count_earlier(&it.all_ended(until), now));
        }
    }

    /// Takes over the holds and levers of an account in whose place this one is.
    pub(super) fn take_holds_of(&mut self, former: &Self, now: Moment) {
        for scope in &mut self.scopes {
            let same = former.scopes.iter().find(|it| scope.is_same_as(it));
            if let Some(same) = same.filter(|_| scope.has_no_levers(now)) {
                scope.take_levers_of(same, now);
            }
            let until = |scope: &Scope| scope.hold.map(|hold| hold.until);
            if let Some(same) = same.filter(|same| until(scope) < until(same)) {
                scope.take_hold_of(same, now);
                if let Some(hold) = &mut scope.hold {
                    self.holds += 1;
                    hold.id = self.holds;
                }
            }
        }
        self.orders = self.orders.max(former.orders);
    }

    /// Other accounts take its place: it grants nothing any more. Returns the calls that waited.
    pub(super) fn supersede(&mut self) -> Vec<Ticket> {
        self.configuration = SUPERSEDED;
        let waiting = self.queue.tickets();
        for ticket in &waiting {
            if let Some(waiter) = self.queue.dismiss(*ticket) {
                self.no_longer_waits(*ticket, &waiter.request);
            }
        }
        waiting
    }

    /// Why a call is refused whose account is superseded: the next one of its client will have
    /// another account.
    pub(super) fn superseded(&self, request: &SlotRequest) -> Option<Refusal> {
        let name = &self.scopes.get(usize::from(request.upstream.all))?.name;
        let bottleneck = Bottleneck { kind: BottleneckKind::Queue, name: Arc::clone(name) };
        let reason = RefusalReason::Exhausted { bottleneck };
        let refusal = Refusal { reason, retry_after: Duration::from_secs(1), overtaken: None };
        (self.configuration == SUPERSEDED).then_some(refusal)
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
                if let Some((class, default)) = addition.cost {
                    let cost = completed.costs.of(class).max(default);
                    completed.costs.set(class, cost);
                }
            }
        }
        completed
    }

    /// A slot that was granted under an older configuration, with the allowances that have counted
    /// it since as one under way.
    pub(super) fn counted_since(&self, slot: &GrantedSlot) -> GrantedSlot {
        let mut slot = *slot;
        for addition in self.layout.added_since(slot.request.configuration) {
            if addition.upstream == slot.request.upstream.all {
                slot.request.scopes |= 1 << addition.scope;
            }
        }
        slot
    }

    /// The attempt of a slot that was granted under an older configuration is over.
    pub(super) fn end_earlier(&mut self, slot: &GrantedSlot, at: Moment, end: AttemptEnd) {
        let since = self.counted_since(slot).request.scopes & !slot.request.scopes;
        for number in members(since) {
            self.scopes[number].end_earlier(at, end);
            if end == AttemptEnd::Answered {
                self.scopes[number].note_answered(slot.number);
            }
        }
    }

    fn complete_waiting(&mut self) {
        let mut queue = std::mem::take(&mut self.queue);
        queue.change_requests(|request| self.completed(request));
        self.scopes.iter_mut().for_each(Scope::clear_waiting);
        queue.requests().for_each(|request| self.adjust_waiting(request, WaitingChange::Joins));
        self.queue = queue;
    }
}
