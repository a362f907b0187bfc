//! A slot: from grant to settle, exactly once on every path, cancellation included.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::outcome::{Delivery, HoldOrder, LearnedLimit, Standing};
use crate::time::Moment;

use super::account::{Account, wake};
use super::concurrency::Leave;
use super::health::Blind;
use super::settle::{AttemptEnd, Report, SettleOutcome};
use super::slot_request::{Granted, SlotRequest};
use super::state::State;

/// A slot of everything a call needs. Dropped unsettled, it counts as sent and unanswered, unless
/// it is known that nothing was written.
#[derive(Debug)]
pub struct Slot {
    /// Gone once it is settled.
    account: Option<Arc<Account>>,
    granted: Granted,
    /// Scopes that the guard has settled already, before the answer.
    settled: u64,
    /// Scopes that the answer's head has closed already, before its body.
    closed: u64,
    /// Whether a configured allowance should have prevented what the head says.
    unexpected: bool,
    /// How far the request got, if it is given up now.
    delivery: Delivery,
}

/// What became of an attempt, and what the vendor said with it.
#[derive(Clone, Copy, Debug)]
pub struct Settlement<'a> {
    /// How it ended.
    pub fate: AttemptEnd,
    /// Whether it failed blindly.
    pub blind: Blind,
    /// The hold it orders.
    pub order: Option<&'a HoldOrder>,
    /// An allowance that the vendor named.
    pub learned: Option<LearnedLimit>,
    /// What its headers say of the vendor's limits.
    pub said: Option<&'a Standing>,
    /// When the attempt was sent.
    pub sent: Moment,
    /// When it was over: its answer's head arrived, or it was given up.
    pub over: Moment,
    /// Chance in 0..1.
    pub chance: f64,
}

impl Settlement<'_> {
    /// An answer that says nothing special.
    #[must_use]
    pub const fn plain(sent: Moment, over: Moment) -> Self {
        Self {
            fate: AttemptEnd::Answered,
            blind: Blind::No,
            order: None,
            learned: None,
            said: None,
            sent,
            over,
            chance: 0.0,
        }
    }
}

impl Slot {
    pub(super) const fn new(account: Arc<Account>, granted: Granted) -> Self {
        let delivery = Delivery::Uncertain;
        Self { account: Some(account), granted, settled: 0, closed: 0, unexpected: false, delivery }
    }

    /// Whether an observing allowance would have made the call wait.
    #[must_use]
    pub const fn would_have_waited(&self) -> bool {
        self.granted.would_wait
    }

    /// Whether it is the probe of a hold.
    #[must_use]
    pub const fn is_probe(&self) -> bool {
        self.granted.probes != 0
    }

    /// The longest a request of it can be under way before the vendor counts it, for those of its
    /// allowances that say so; `None` once it has passed.
    #[must_use]
    pub const fn guard(&self) -> Option<Duration> {
        let open = self.granted.want.guarded & !self.settled;
        if open == 0 { None } else { self.granted.want.guard }
    }

    /// The guard has passed since the last byte was written: by now the vendor has counted the
    /// attempt, whether it answers or not.
    pub fn pass_guard(&mut self, at: Moment) {
        let guarded = self.granted.want.guarded & !self.settled;
        if let Some(account) = self.account.as_ref().filter(|_| guarded != 0) {
            self.settled |= guarded;
            account.change(|state, _| state.settle_scopes(guarded, at));
        }
    }

    /// How far the request got when its exchange was given up.
    pub const fn given_up(&mut self, delivery: Delivery) {
        self.delivery = delivery;
    }

    /// The exchange was given up: it counts as sent and unanswered, unless it is known that nothing
    /// was written. Says what that means for the hold whose probe it was.
    pub fn abandon(&mut self) -> SettleOutcome {
        let Some(account) = self.account.take() else { return SettleOutcome::default() };
        if self.delivery == Delivery::NotSent {
            account.change(|state, now| state.cancel(&self.granted, now));
            return SettleOutcome::default();
        }
        let mut state = account.lock();
        let now = account.clock().now();
        let aftermath = state.abandon(&self.granted, now, self.settled);
        let wakers = send_on(&mut state, now);
        drop(state);
        wake(wakers);
        aftermath
    }

    /// The answer's head orders a hold: closes its scope before the body is read.
    pub fn close(&mut self, settlement: &Settlement<'_>) -> SettleOutcome {
        let report = self.report(settlement);
        let Some(account) = &self.account else { return SettleOutcome::default() };
        let mut state = account.lock();
        let (closed, aftermath) = state.close(&mut self.granted, &report);
        self.closed |= closed;
        self.unexpected |= aftermath.unexpected;
        let now = account.clock().now();
        let wakers = send_on(&mut state, now);
        drop(state);
        wake(wakers);
        aftermath
    }

    /// The attempt is over: draws every conclusion and keeps what only the body's end frees.
    pub fn settle(mut self, settlement: &Settlement<'_>) -> (SettleOutcome, ConcurrencyPermit) {
        let account = self.account.take().expect("a slot is settled once");
        let report = self.report(settlement);
        let mut state = account.lock();
        let aftermath = state.report(&self.granted, &report);
        if !state.queue().is_empty() {
            let mut wakers = Vec::new();
            let now = account.clock().now();
            if aftermath.closes() {
                wakers.extend(state.dismiss_hopeless(now));
            }
            wakers.extend(state.dispatch(now));
            drop(state);
            wake(wakers);
        } else {
            drop(state);
        }
        let leave = match settlement.fate {
            AttemptEnd::Answered | AttemptEnd::Unanswered => Leave::GivenUp,
            AttemptEnd::Refused | AttemptEnd::NotSent => Leave::Done,
        };
        (aftermath, ConcurrencyPermit { account, want: self.granted.want, leave })
    }

    const fn report<'a>(&self, settlement: &Settlement<'a>) -> Report<'a> {
        Report {
            fate: settlement.fate,
            blind: settlement.blind,
            order: settlement.order,
            learned: settlement.learned,
            said: settlement.said,
            sent: settlement.sent,
            now: settlement.over,
            chance: settlement.chance,
            settled: self.settled,
            closed: self.closed,
            unexpected: self.unexpected,
        }
    }

    /// It will not be used: no byte was written.
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

/// After a hold began or went on: dismisses the calls that cannot start in time any more, and
/// dispatches the rest.
fn send_on(state: &mut State, now: Moment) -> Vec<Waker> {
    if state.queue().is_empty() {
        return Vec::new();
    }
    let mut wakers = state.dismiss_hopeless(now);
    wakers.extend(state.dispatch(now));
    wakers
}

/// What an exchange keeps until its answer's body has ended: its place among the concurrent ones,
/// and whom to tell when the body breaks. Dropped before that, the vendor may still be at work.
#[derive(Debug)]
pub struct ConcurrencyPermit {
    account: Arc<Account>,
    want: SlotRequest,
    leave: Leave,
}

impl ConcurrencyPermit {
    /// The answer's body has ended.
    pub const fn end(&mut self) {
        self.leave = Leave::Done;
    }

    /// The answer's body broke off: it counts towards an outage, and is never sent again.
    pub fn broke(&self) -> SettleOutcome {
        self.account.broke(&self.want)
    }

    /// What tells the account apart from others of the upstream.
    #[must_use]
    pub fn account_key(&self) -> &str {
        self.account.key()
    }
}

impl Drop for ConcurrencyPermit {
    fn drop(&mut self) {
        if self.want.concurrent != 0 {
            let (concurrent, leave) = (self.want.concurrent, self.leave);
            self.account.change(|state, now| state.leave(concurrent, leave, now));
        }
    }
}
