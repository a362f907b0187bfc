//! When a call would start, why it is refused, and which waiting calls have become hopeless.
//!
//! Estimates assume that no further call comes. They count the waiting calls in the order in which
//! they would go: by class, and within one in the proportion of the clients' shares.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::account_state::AccountState;
use super::bottleneck::{Bottleneck, BottleneckKind};
use super::charge::Demand;
use super::hold::Hold;
use super::lane::Ticket;
use super::queue::Ahead;
use super::rank::CLASSES;
use super::refusal::{Refusal, RefusalReason};
use super::scope_set::members;
use super::settings::SCOPES_MAX;
use super::slot_request::SlotRequest;
use super::view::{ScopeView, UsageView};
use crate::routing::client::Priority;
use crate::time::{Moment, seconds_up};

/// What a client is told to wait where records cannot be written: until then an operator or the
/// next attempt may have helped.
const UNRECORDED_WAIT: Duration = Duration::from_secs(5);

impl AccountState {
    /// When a call would start that joined the queue now.
    pub(super) fn estimate(&mut self, request: &SlotRequest, now: Moment) -> Moment {
        self.start_behind(request, now, &[])
    }

    /// Why a call is refused that has no slot within its patience.
    pub(super) fn refusal(&mut self, request: &SlotRequest, now: Moment) -> Refusal {
        if let Some(refusal) = self.superseded(request) {
            return refusal;
        }
        if let Some(name) = self.paused(request.scopes, now) {
            let start = self.estimate(request, now);
            let reason = RefusalReason::Paused { name, open_ended: start == Moment::NEVER };
            return Refusal { reason, retry_after: now.until(start), overtaken: None };
        }
        if let Some(Hold { cause, failed_probes, .. }) = self.longest_hold(request.scopes) {
            let reason = RefusalReason::Held { cause, failed_probes };
            let retry_after = now.until(self.estimate(request, now));
            return Refusal { reason, retry_after, overtaken: None };
        }
        let reason = RefusalReason::Exhausted { bottleneck: self.bottleneck(request, now) };
        Refusal { reason, retry_after: self.told_wait(request, now), overtaken: None }
    }

    /// How long a refused call is told to wait. Its place is kept until then.
    pub(super) fn told_wait(&mut self, request: &SlotRequest, now: Moment) -> Duration {
        let places = self.refused_places.ahead(request, now);
        let start = self.start_behind(request, now, &places);
        let wait = if start == Moment::NEVER { UNRECORDED_WAIT } else { now.until(start) };
        // Clients are told whole seconds, and come back no earlier.
        let back = now.plus(Duration::from_secs(seconds_up(wait).max(1)));
        self.refused_places.keep(request, back, self.bounds);
        wait
    }

    /// What the client of this request sees of the allowances of its upstream.
    pub(super) fn usage(&mut self, request: &SlotRequest, now: Moment) -> UsageView {
        // Estimates take attempts under way to end at once; scopes that are full say otherwise.
        let known = self.views_of(request.scopes, now).iter().all(|it| it.next_slot.is_some());
        let places = self.refused_places.ahead(request, now);
        let start = self.start_behind(request, now, &places);
        let known = known && start != Moment::NEVER;
        UsageView {
            scopes: self.views_of(self.layout.allowances_of(request.upstream.all), now),
            next_slot: known.then(|| now.until(start)),
            waiting: self.queue.len_of(request.of.client),
            held: self.longest_hold(request.scopes).is_some(),
            paused: self.paused(request.scopes, now).is_some(),
        }
    }

    fn views_of(&mut self, scopes: u64, now: Moment) -> Vec<ScopeView> {
        members(scopes).filter_map(|number| self.scopes[number].view(now)).collect()
    }

    /// What keeps a call waiting now: of the scopes it needs, the one that has a slot last.
    pub(super) fn bottleneck(&mut self, request: &SlotRequest, now: Moment) -> Bottleneck {
        let ahead = self.queue.ahead(request, request.class(now));
        let last = members(request.scopes).max_by_key(|number| {
            let scope = &mut self.scopes[*number];
            let closed =
                scope.check_hold(now).is_err() || scope.check_slot(now, request.costs).is_err();
            (scope.estimate(now, ahead.of(*number), request.costs), closed, scope.waiting)
        });
        let number = last.unwrap_or(usize::from(request.upstream.all));
        let scope = &mut self.scopes[number];
        let kind = if scope.paused_until(now).is_some() {
            BottleneckKind::Paused
        } else if let Some(hold) = &scope.hold {
            BottleneckKind::Hold(hold.cause)
        } else if scope.cannot_be_recorded(request.costs) {
            BottleneckKind::Record
        } else if scope.is_enforced_allowance() && scope.window().is_none() {
            BottleneckKind::Concurrency
        } else if scope.slow_start_mut().is_some() || scope.check_slot(now, request.costs).is_ok() {
            BottleneckKind::Pace
        } else {
            BottleneckKind::Allowance
        };
        Bottleneck { kind, name: Arc::clone(&scope.name) }
    }

    /// Dismisses the waiting calls that can no longer start within their patience, and the unpaid
    /// retries of an upstream whose maintenance outlasted its stated end. Returns those calls,
    /// whose tasks must be woken.
    pub(super) fn dismiss_hopeless(&mut self, now: Moment) -> Vec<Ticket> {
        let mut ahead = [Demand::default(); SCOPES_MAX];
        let mut of_client: BTreeMap<u64, Demand> = BTreeMap::new();
        let mut hopeless = Vec::new();
        let ended_too_early = std::mem::take(&mut self.ended_too_early);
        self.queue.raise(now);
        for (ticket, request) in self.queue.in_order() {
            let own = of_client.entry(request.of.client).or_default();
            let in_order = self.start_at(&request, now, |number| ahead[number]);
            // Before its class is reached, the call may have become more urgent.
            let aged = request.reaches(Priority::Interactive);
            let risen = self.start_at(&request, now, |_| *own).max(aged);
            if request.deadline < in_order.min(risen) || request.scopes & ended_too_early != 0 {
                hopeless.push(ticket);
                continue;
            }
            own.add(request.costs);
            members(request.scopes).for_each(|number| ahead[number].add(request.costs));
        }
        for ticket in &hopeless {
            if let Some(waiter) = self.queue.dismiss(*ticket) {
                self.no_longer_waits(*ticket, &waiter.request);
            }
        }
        hopeless
    }

    /// When a call would start behind the waiting calls and these further ones, given by the
    /// scopes that they need. It may start sooner in a class that it reaches while it waits.
    fn start_behind(
        &mut self,
        request: &SlotRequest,
        now: Moment,
        further: &[(u64, Demand)],
    ) -> Moment {
        let further = Ahead::new(further.to_vec());
        let class = request.class(now);
        let mut soonest = Moment::NEVER;
        for class in CLASSES.into_iter().filter(|it| *it <= class) {
            let ahead = self.queue.ahead(request, class);
            let before = |number| ahead.of(number).plus(further.of(number));
            let start = self.start_at(request, now, before);
            soonest = soonest.min(start.max(request.reaches(class)));
        }
        soonest
    }

    /// When a call would start with such calls before it in each scope.
    fn start_at(
        &mut self,
        request: &SlotRequest,
        now: Moment,
        ahead: impl Fn(usize) -> Demand,
    ) -> Moment {
        let estimate =
            |number: usize| self.scopes[number].estimate(now, ahead(number), request.costs);
        members(request.scopes).map(estimate).fold(now, Moment::max)
    }
}
