//! The guard of a slot, which settles it exactly once on every path, cancellation included.

use std::sync::Arc;
use std::time::Duration;

use super::account::Account;
use super::bottleneck::BottleneckKind;
use super::charge::CostClass;
use super::concurrency_limit::PermitEnd;
use super::settle::ExchangeEnd;
use super::settlement::{AttemptEnd, SettleOutcome, Settlement};
use super::slot_request::{GrantedSlot, SlotRequest};
use crate::outcome::Delivery;
use crate::time::Moment;

/// A slot of every scope that a call needs. Dropped unsettled, it counts as sent and unanswered,
/// unless it is known that nothing was written.
#[derive(Debug)]
pub struct Slot {
    /// `None` once it is settled.
    account: Option<Arc<Account>>,
    granted: GrantedSlot,
    /// How far the request got, in case it is given up.
    delivery: Delivery,
}

impl Slot {
    pub(super) const fn new(account: Arc<Account>, granted: GrantedSlot) -> Self {
        Self { account: Some(account), granted, delivery: Delivery::Uncertain }
    }

    /// Whether an allowance that only observes would have made the call wait.
    #[must_use]
    pub const fn would_have_waited(&self) -> bool {
        self.granted.would_wait
    }

    /// What let later calls overtake this one while it waited, if that cost it a slot.
    #[must_use]
    pub const fn overtaken(&self) -> Option<BottleneckKind> {
        self.granted.overtaken
    }

    /// When its first byte has to be written at the latest: then other replicas may be granted what
    /// it took.
    #[must_use]
    pub const fn start_by(&self) -> Moment {
        self.granted.start_by
    }

    #[must_use]
    pub const fn is_probe(&self) -> bool {
        self.granted.probes != 0
    }

    /// The longest that a request can be under way before the vendor counts it, where an allowance
    /// states that; `None` once it has passed.
    #[must_use]
    pub const fn arrival_guard(&self) -> Option<Duration> {
        let open = self.granted.request.guarded & !self.granted.settled;
        if open == 0 { None } else { self.granted.request.arrival_guard }
    }

    /// The arrival guard has passed since the last byte was written: by now the vendor has counted
    /// the attempt, so its window begins even if no response comes.
    pub fn arrival_guard_passed(&mut self, at: Moment) {
        let guarded = self.granted.request.guarded & !self.granted.settled;
        if let Some(account) = self.account.as_ref().filter(|_| guarded != 0) {
            self.granted.settled |= guarded;
            account.change(|state, _| state.settle_guarded(&self.granted, guarded, at));
        }
    }

    /// Notes how far the request got when its exchange was given up.
    pub const fn note_delivery(&mut self, delivery: Delivery) {
        self.delivery = delivery;
    }

    /// Settles a slot whose exchange was given up: as sent and unanswered, unless it is known that
    /// nothing was written.
    pub fn abandon(&mut self) -> SettleOutcome {
        let Some(account) = self.account.take() else { return SettleOutcome::default() };
        if self.delivery == Delivery::NotSent {
            account.change(|state, now| state.cancel(&self.granted, now));
            return SettleOutcome::default();
        }
        account.settle_with(|state| {
            let now = account.clock().now();
            state.abandon(&self.granted, now)
        })
    }

    /// Applies the hold that the response's head orders, before the body is read.
    pub fn hold_early(&mut self, settlement: &Settlement<'_>) -> SettleOutcome {
        let Some(account) = &self.account else { return SettleOutcome::default() };
        account.settle_with(|state| state.hold_early(&mut self.granted, settlement))
    }

    /// Settles the slot. What is returned with the outcome is kept until the body has ended.
    pub fn settle(mut self, settlement: &Settlement<'_>) -> (SettleOutcome, ConcurrencyPermit) {
        let account = self.account.take().expect("a slot is settled once");
        let outcome = account.settle_with(|state| state.settle(&self.granted, settlement));
        let request = self.granted.request;
        let permits = match settlement.end {
            AttemptEnd::Answered | AttemptEnd::Unanswered => PermitEnd::GivenUp,
            AttemptEnd::Refused | AttemptEnd::NotSent => PermitEnd::Done,
        };
        let answered = settlement.end == AttemptEnd::Answered;
        let unsettled = if answered { request.settled_at_body_end } else { 0 };
        let (grant, used) = (self.granted.number, settlement.used);
        let end = ExchangeEnd { grant, permits, unsettled, used };
        (outcome, ConcurrencyPermit { account, request, end })
    }

    /// Gives the slot back unused: no byte was written.
    pub fn cancel(mut self) {
        if let Some(account) = self.account.take() {
            account.change(|state, now| state.cancel(&self.granted, now));
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// The place of an exchange among the concurrent ones, kept until its response's body has ended,
/// and what it reserved where only the body says what was used. Dropped before that, it is released
/// late, because the vendor may still be at work.
#[derive(Debug)]
pub struct ConcurrencyPermit {
    account: Arc<Account>,
    request: SlotRequest,
    end: ExchangeEnd,
}

impl ConcurrencyPermit {
    /// All of the body has arrived. What it says of the costs has been noted.
    pub fn body_ended(&mut self) {
        self.end.permits = PermitEnd::Done;
        self.release();
    }

    fn release(&mut self) {
        if self.request.concurrent | self.end.unsettled != 0 {
            self.account.change(|state, now| state.exchange_over(&self.request, self.end, now));
            (self.request.concurrent, self.end.unsettled) = (0, 0);
        }
    }

    /// Whether only the end of the body settles what was reserved.
    #[must_use]
    pub const fn awaits_body(&self) -> bool {
        self.end.unsettled != 0
    }

    /// Whether an allowance that the attempt needed counts this cost.
    #[must_use]
    pub const fn needs_cost(&self, class: CostClass) -> bool {
        self.request.needs_cost(class)
    }

    /// The body says what the attempt used. The latest word counts.
    pub fn note_used(&mut self, class: CostClass, units: u32) {
        self.end.used.note(class, units);
    }

    /// The response's body broke off, which counts towards an outage.
    pub fn body_broke_off(&self) -> SettleOutcome {
        self.account.body_broke_off(&self.request)
    }

    #[must_use]
    pub fn account_key(&self) -> &str {
        self.account.key()
    }
}

impl Drop for ConcurrencyPermit {
    fn drop(&mut self) {
        self.release();
    }
}
