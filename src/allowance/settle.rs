//! What an account concludes from the end of an attempt: slots are settled, and holds begin, go
//! on or end. Limits that the vendor states are in `stated_limits.rs`.

use super::account_state::AccountState;
use super::charge::UsedCosts;
use super::concurrency_limit::PermitEnd;
use super::hold::{Hold, HoldContext};
use super::outage_detector::BlindFailure;
use super::scope::AttemptRole;
use super::scope_set::{members, set_of};
use super::settlement::{AttemptEnd, HoldChange, SettleOutcome, Settlement};
use super::slot_request::{GrantedSlot, SlotRequest};
use super::slow_start::SlowStart;
use crate::outcome::{HoldCause, HoldOrder, HoldScope};
use crate::time::Moment;

/// How an exchange ended, as far as what is kept beyond the response's head is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExchangeEnd {
    pub(super) grant: u64,
    pub(super) permits: PermitEnd,
    /// The scopes whose slots are settled only now.
    pub(super) unsettled: u64,
    pub(super) used: UsedCosts,
}

impl AccountState {
    /// Settles the slots of an attempt that is over and applies what its response says.
    pub(super) fn settle(
        &mut self,
        slot: &GrantedSlot,
        settlement: &Settlement<'_>,
    ) -> SettleOutcome {
        let since = self.is_older(slot).then(|| self.counted_since(slot));
        let (own, slot) = (slot, since.as_ref().unwrap_or(slot));
        let request = &slot.request;
        let unexpected = slot.unexpected_throttle || self.is_unexpected_throttle(slot, settlement);
        self.settle_windows(own, settlement);
        if since.is_some() {
            self.end_earlier(own, settlement.ended, settlement.end);
        }
        let answered = settlement.end == AttemptEnd::Answered;
        let served = settlement.order.is_none_or(|order| order.cause == HoldCause::Pause);
        if answered && settlement.blind_failure.is_none() && served {
            let upstream = usize::from(request.upstream.all);
            self.scopes[upstream].call_succeeded(request.path, settlement.ended);
            if request.is_in_slow_start() {
                let slow_start = self.slow_start_of(request);
                slow_start.into_iter().for_each(SlowStart::served);
            }
        }
        if settlement.is_plain() && slot.probes == 0 {
            return SettleOutcome::default();
        }
        let before = self.holds_on(request.scopes);
        let held = settlement.order.map_or(0, |order| self.apply_order(slot, order, settlement));
        self.conclude_probes(slot, slot.probes & !held, settlement);
        let used_up = self.apply_stated_limits(slot, settlement);
        self.number_holds((held & !slot.held_early) | used_up);
        let hold_changes = self.hold_changes(&before);
        let learned = settlement.learned.is_some();
        if held | used_up != 0 || learned || !hold_changes.is_empty() {
            let outcome = self.outcome_for(request, settlement.ended);
            return SettleOutcome { hold_changes, unexpected_throttle: unexpected, ..outcome };
        }
        SettleOutcome { closed: settlement.standing.is_some(), ..SettleOutcome::default() }
    }

    /// Gives back a slot that will not be used: no byte was written.
    pub(super) fn cancel(&mut self, slot: &GrantedSlot, now: Moment) {
        if self.is_older(slot) {
            self.end_earlier(slot, now, AttemptEnd::NotSent);
        }
        for number in members(slot.request.scopes) {
            self.scopes[number].cancel(slot.number, slot.request.costs);
            self.scopes[number].release_permit(PermitEnd::Done, now);
        }
        for number in members(slot.probes) {
            self.scopes[number].probe_not_sent();
        }
    }

    /// The arrival guard of these scopes has passed.
    pub(super) fn settle_guarded(&mut self, slot: &GrantedSlot, scopes: u64, at: Moment) {
        let (grant, costs) = (slot.number, slot.request.costs);
        for number in members(scopes) {
            self.scopes[number].settle(grant, at, costs, UsedCosts::UNKNOWN);
        }
    }

    /// The exchange is over, its body included: permits are released, and what an attempt used is
    /// charged where that is known only now.
    pub(super) fn exchange_over(&mut self, request: &SlotRequest, over: ExchangeEnd, now: Moment) {
        self.release_permits(request.concurrent, over.permits, now);
        for number in members(over.unsettled) {
            let scope = &mut self.scopes[number];
            match over.permits {
                PermitEnd::Done => scope.settle(over.grant, now, request.costs, over.used),
                PermitEnd::GivenUp => {
                    scope.settle_given_up(over.grant, now, request.costs, over.used);
                }
            }
        }
    }

    /// An attempt was given up after bytes of it were written. It counts, and as a probe it has
    /// failed: otherwise every client that leaves would make room for another probe.
    pub(super) fn abandon(&mut self, slot: &GrantedSlot, now: Moment) -> SettleOutcome {
        if self.is_older(slot) {
            self.end_earlier(slot, now, AttemptEnd::Unanswered);
        }
        let before = self.holds_on(slot.probes);
        for number in members(slot.request.scopes & !slot.settled) {
            let (scope, costs) = (&mut self.scopes[number], slot.request.costs);
            scope.settle_given_up(slot.number, now, costs, UsedCosts::UNKNOWN);
        }
        self.release_permits(slot.request.concurrent, PermitEnd::GivenUp, now);
        for number in members(slot.probes) {
            self.scopes[number].probe_failed(slot.request.path, HoldContext::new(now, 0.0));
        }
        let hold_changes = self.hold_changes(&before);
        SettleOutcome { closed: true, hold_changes, ..SettleOutcome::default() }
    }

    /// Applies the hold that a response's head orders before its body is read. If the attempt was
    /// the probe of a scope that it closes, that probe is concluded.
    pub(super) fn hold_early(
        &mut self,
        slot: &mut GrantedSlot,
        settlement: &Settlement<'_>,
    ) -> SettleOutcome {
        let Some(order) = settlement.order else { return SettleOutcome::default() };
        let unexpected = self.is_unexpected_throttle(slot, settlement);
        let before = self.holds_on(slot.request.scopes);
        let held = self.apply_order(slot, order, settlement);
        slot.probes &= !held;
        slot.held_early |= held;
        slot.unexpected_throttle |= unexpected;
        self.number_holds(held);
        let hold_changes = self.hold_changes(&before);
        let outcome = self.outcome_for(&slot.request, settlement.ended);
        SettleOutcome { hold_changes, unexpected_throttle: unexpected, ..outcome }
    }

    /// A call failed blindly with all its attempts, which may begin the hold of an outage.
    pub(super) fn call_failed(
        &mut self,
        request: &SlotRequest,
        failure: BlindFailure,
        context: HoldContext,
    ) -> SettleOutcome {
        let upstream = usize::from(request.upstream.all);
        let before = self.holds_on(1 << upstream);
        self.scopes[upstream].call_failed(request.path, failure, context);
        self.outage_outcome(&before)
    }

    /// The body of a successful response broke off, which may begin the hold of an outage.
    pub(super) fn body_broke_off(&mut self, request: &SlotRequest, now: Moment) -> SettleOutcome {
        let upstream = usize::from(request.upstream.all);
        let before = self.holds_on(1 << upstream);
        self.scopes[upstream].body_broke_off(request.path, HoldContext::new(now, 0.0));
        self.outage_outcome(&before)
    }

    pub(super) fn release_permits(&mut self, scopes: u64, end: PermitEnd, now: Moment) {
        members(scopes).for_each(|number| self.scopes[number].release_permit(end, now));
    }

    const fn is_older(&self, slot: &GrantedSlot) -> bool {
        slot.request.configuration < self.configuration
    }

    fn outage_outcome(&mut self, before: &[(usize, Option<Hold>)]) -> SettleOutcome {
        let began = !self.hold_changes(before).is_empty();
        if began {
            self.number_holds(set_of(before.iter().map(|(number, _)| *number)));
        }
        // Listed again, because the hold has its number only now.
        let hold_changes = self.hold_changes(before);
        SettleOutcome { closed: began, hold_changes, ..SettleOutcome::default() }
    }

    fn settle_windows(&mut self, slot: &GrantedSlot, settlement: &Settlement<'_>) {
        let SlotRequest { costs, settled_at_body_end, .. } = slot.request;
        if settlement.end == AttemptEnd::Answered {
            let later = slot.settled | settled_at_body_end;
            for number in members(slot.request.scopes) {
                let scope = &mut self.scopes[number];
                scope.note_answered(slot.number);
                if later >> number & 1 == 0 {
                    scope.settle(slot.number, settlement.ended, costs, settlement.used);
                }
            }
            return;
        }
        for number in members(slot.request.scopes & !slot.settled) {
            let scope = &mut self.scopes[number];
            match settlement.end {
                AttemptEnd::NotSent => scope.cancel(slot.number, costs),
                AttemptEnd::Answered | AttemptEnd::Unanswered | AttemptEnd::Refused => {
                    scope.settle_given_up(slot.number, settlement.ended, costs, settlement.used);
                }
            }
        }
    }

    /// Closes the scopes that an order names and returns them. Those that the response's head has
    /// closed already are only held longer, if the body asks for it.
    fn apply_order(
        &mut self,
        slot: &GrantedSlot,
        order: &HoldOrder,
        settlement: &Settlement<'_>,
    ) -> u64 {
        let request = &slot.request;
        let targets = self.targets(request, order.scope);
        for number in members(targets & slot.held_early) {
            self.scopes[number].extend_hold(order, settlement.ended);
        }
        let context = HoldContext::new(settlement.ended, settlement.chance);
        for number in members(targets & !slot.held_early) {
            let is_probe = slot.probes >> number & 1 == 1;
            let role = if is_probe { AttemptRole::Probe } else { AttemptRole::Ordinary };
            self.scopes[number].apply_order(order, role, settlement.sent, context);
        }
        if targets & !slot.held_early != 0 {
            // Retries after the hold start with one again. A maintenance that outlasts the wait
            // the vendor stated also dismisses the retries that the budget has not paid for;
            // after throttling they wait, because the pace is slowed instead.
            let slow_start = self.slow_start_of(request);
            let too_early = slow_start.is_some_and(|slow_start| slow_start.close(settlement.sent));
            if too_early && order.cause == HoldCause::Maintenance {
                self.ended_too_early |= 1 << request.upstream.slow_start;
            }
        }
        targets
    }

    /// Reopens the scopes whose probe was answered with something other than their hold, and
    /// prolongs the hold of those whose probe failed.
    fn conclude_probes(&mut self, slot: &GrantedSlot, probes: u64, settlement: &Settlement<'_>) {
        for number in members(probes) {
            let scope = &mut self.scopes[number];
            let outage = scope.hold.is_some_and(|hold| hold.cause == HoldCause::Outage);
            let answered = settlement.end == AttemptEnd::Answered;
            let blind = settlement.blind_failure.is_some();
            if settlement.end == AttemptEnd::NotSent && !blind {
                // This gateway could not send it, which says nothing about the upstream.
                scope.probe_not_sent();
            } else if !answered || (outage && blind) {
                let context = HoldContext::new(settlement.ended, settlement.chance);
                scope.probe_failed(slot.request.path, context);
            } else {
                scope.reopen(settlement.ended);
                let slow_start = self.slow_start_of(&slot.request);
                slow_start.into_iter().for_each(|it| it.reopen(settlement.ended));
            }
        }
    }

    fn slow_start_of(&mut self, request: &SlotRequest) -> Option<&mut SlowStart> {
        self.scopes[usize::from(request.upstream.slow_start)].slow_start_mut()
    }

    /// The scopes that an order closes, of those the attempt needed.
    fn targets(&self, request: &SlotRequest, scope: HoldScope) -> u64 {
        let enforced = |number: &usize| self.scopes[*number].is_enforced_allowance();
        let allowances = set_of(members(request.scopes).filter(enforced));
        let of_window = |window| {
            let same = |number: &usize| self.scopes[*number].window() == Some(window);
            set_of(members(allowances).filter(same))
        };
        match scope {
            HoldScope::Upstream => 1 << request.upstream.all,
            HoldScope::Window(window) if of_window(window) != 0 => of_window(window),
            HoldScope::Window(_) | HoldScope::Allowance if allowances != 0 => allowances,
            HoldScope::Window(_) | HoldScope::Allowance => 1 << request.upstream.counted,
        }
    }

    fn outcome_for(&mut self, request: &SlotRequest, now: Moment) -> SettleOutcome {
        let longest = self.longest_hold(request.scopes);
        let start = self.estimate(request, now);
        SettleOutcome {
            held_until: longest.map(|hold| hold.until),
            basis: longest.map(|hold| hold.basis),
            failed_probes: longest.map_or(0, |hold| hold.failed_probes),
            slot_free_at: (now < start && start != Moment::NEVER).then_some(start),
            closed: true,
            ..SettleOutcome::default()
        }
    }

    /// Whether a configured allowance should have prevented this throttle: one that is enforced,
    /// that the response is about, and that had room. A probe may be throttled at any time.
    fn is_unexpected_throttle(&mut self, slot: &GrantedSlot, settlement: &Settlement<'_>) -> bool {
        let order = settlement.order.filter(|order| order.cause == HoldCause::Throttle);
        let Some(order) = order.filter(|_| slot.probes == 0) else { return false };
        let concerned = |window| match order.scope {
            HoldScope::Window(named) => window == named,
            HoldScope::Allowance | HoldScope::Upstream => true,
        };
        let (mut any, mut room) = (false, true);
        for number in members(slot.request.scopes) {
            let scope = &mut self.scopes[number];
            if scope.is_enforced_allowance() && scope.window().is_some_and(concerned) {
                any = true;
                room &= scope.had_room(settlement.sent, settlement.ended);
            }
        }
        any && room
    }

    fn holds_on(&self, scopes: u64) -> Vec<(usize, Option<Hold>)> {
        members(scopes).map(|number| (number, self.scopes[number].hold)).collect()
    }

    fn hold_changes(&self, before: &[(usize, Option<Hold>)]) -> Vec<HoldChange> {
        let changes = before.iter().filter_map(|(number, before)| {
            let scope = &self.scopes[*number];
            HoldChange::between(*before, scope.hold, || scope.label())
        });
        changes.collect()
    }

    /// Gives new holds their ids, and the scopes that one response closed the same order number.
    fn number_holds(&mut self, closed: u64) {
        if closed == 0 {
            return;
        }
        self.orders += 1;
        for number in members(closed) {
            let scope = &mut self.scopes[number];
            scope.order = self.orders;
            if let Some(hold) = scope.hold.as_mut().filter(|hold| hold.id == 0) {
                self.holds += 1;
                hold.id = self.holds;
            }
        }
    }
}
