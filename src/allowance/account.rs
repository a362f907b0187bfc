//! A live account: the state behind one short lock, and the waiting of calls.
//!
//! Nothing is awaited under the lock; wakers are woken after it is released. There is no thread
//! and no polling: one timer per account, kept by the call that stands first.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::allowance::hold::Circumstances;
use crate::clock::Clock;
use crate::time::Moment;

use super::awaited::Awaited;
use super::health::Blind;
use super::queue::Ticket;
use super::settle::SettleOutcome;
use super::slot::Slot;
use super::slot_request::{Granted, Refusal, SlotRequest};
use super::state::{Entry, State};
use super::view::{Binding, ScopeView};

/// Whom the vendor counts: owns allowances, holds and the queue.
#[derive(Debug)]
pub struct Account {
    state: Mutex<State>,
    /// The account whose state serves instead, while calls of one key find none of their own.
    shared: Option<Arc<Self>>,
    key: Arc<str>,
    clock: Clock,
}

/// What asking for a slot led to.
#[derive(Debug)]
pub enum Admission {
    /// Go.
    Granted(Slot),
    /// Wait.
    Queued(Waiting),
    /// It cannot start in time.
    Refused(Refusal),
}

impl Account {
    pub(super) fn new(state: State, key: Arc<str>, clock: Clock) -> Self {
        Self { state: Mutex::new(state), shared: None, key, clock }
    }

    /// Another face of this account, to know whether its calls are over.
    pub(super) fn shared(self: &Arc<Self>) -> Self {
        let state = Mutex::new(State::new(Vec::new(), 0, 0));
        Self {
            state,
            shared: Some(Arc::clone(self)),
            key: Arc::clone(&self.key),
            clock: self.clock,
        }
    }

    /// What tells it apart from other accounts of its upstream; empty for the only one. Never a
    /// credential: account headers are refused when they name one.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Asks for a slot of everything wanted.
    pub fn acquire(self: &Arc<Self>, want: SlotRequest, now: Moment) -> Admission {
        let mut state = self.lock();
        match state.enter(want, now) {
            Entry::Granted(granted) => {
                drop(state);
                Admission::Granted(Slot::new(Arc::clone(self), granted))
            }
            Entry::Refused(refusal) => Admission::Refused(refusal),
            Entry::Queued(ticket) => {
                let awaited = state.awaited(&want, now);
                let wakers = state.dispatch(now);
                drop(state);
                wake(wakers);
                Admission::Queued(Waiting::new(Arc::clone(self), want, ticket, awaited))
            }
        }
    }

    /// Opens what the answer closed that began a hold of this number; whether there was one.
    pub fn release_hold(&self, id: u64) -> bool {
        self.change(|state, now| state.release_hold(id, now))
    }

    /// A call failed blindly, all its attempts included: it counts towards an outage.
    pub fn call_failed(&self, want: &SlotRequest, blind: Blind, chance: f64) -> SettleOutcome {
        self.outage(|state, now| {
            let at = Circumstances { now, window: None, chance };
            state.call_failed(want, blind, at)
        })
    }

    /// The body of an answer broke off.
    pub(super) fn broke(&self, want: &SlotRequest) -> SettleOutcome {
        self.outage(|state, now| state.broke(want, now))
    }

    /// The allowance that binds a call of these needs.
    pub fn binding(&self, want: &SlotRequest) -> Option<Binding> {
        let now = self.clock.now();
        self.lock().binding(want, now)
    }

    /// What an operator sees: scopes, calls that wait, and for how long the longest has.
    pub(super) fn view(&self) -> (Vec<ScopeView>, usize, Duration) {
        let now = self.clock.now();
        let mut state = self.lock();
        let oldest = state.queue().oldest();
        let waiting = state.queue().len();
        (state.views(now), waiting, oldest.map_or(Duration::ZERO, |since| now.since(since)))
    }

    /// Takes over what the calls of its key may have spent in that one.
    pub(super) fn inherit(&self, from: &Self, now: Moment) {
        let spent = from.lock();
        self.lock().inherit(&spent, now);
    }

    pub(super) fn is_idle(&self, now: Moment) -> bool {
        self.lock().is_idle(now)
    }

    pub(super) const fn clock(&self) -> Clock {
        self.clock
    }

    /// Changes the state and lets everybody go who may afterwards.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State, Moment) -> T) -> T {
        let now = self.clock.now();
        let mut state = self.lock();
        let value = change(&mut state, now);
        if state.queue().is_empty() {
            return value;
        }
        let wakers = state.dispatch(now);
        drop(state);
        wake(wakers);
        value
    }

    /// What may begin an outage, and then sends those away who cannot start within patience.
    fn outage(&self, judge: impl FnOnce(&mut State, Moment) -> SettleOutcome) -> SettleOutcome {
        let (aftermath, dismissed) = self.change(|state, now| {
            let aftermath = judge(state, now);
            let hopeless = aftermath.closes().then(|| state.dismiss_hopeless(now));
            (aftermath, hopeless.unwrap_or_default())
        });
        wake(dismissed);
        aftermath
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a defect; the state is counts, and refusing to count would
        // stop every client of the vendor.
        let state = self.shared.as_ref().map_or(&self.state, |shared| &shared.state);
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn wake(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}

/// A call in the waiting room. Dropping it gives up its place; nothing is spent.
#[derive(Debug)]
pub struct Waiting {
    account: Arc<Account>,
    want: SlotRequest,
    ticket: Option<Ticket>,
    /// What it waits for, as it was when it joined.
    awaited: Awaited,
    timer: Pin<Box<tokio::time::Sleep>>,
}

impl Waiting {
    fn new(account: Arc<Account>, want: SlotRequest, ticket: Ticket, awaited: Awaited) -> Self {
        let timer = Box::pin(account.clock.sleep_until(want.deadline));
        Self { account, want, ticket: Some(ticket), awaited, timer }
    }

    /// What it waits for.
    #[must_use]
    pub const fn awaited(&self) -> &Awaited {
        &self.awaited
    }

    /// One look at the state: granted, sent away, or until when to sleep.
    fn look(&mut self, ticket: Ticket, waker: &Waker) -> Result<Result<Granted, Refusal>, Moment> {
        let now = self.account.clock.now();
        let mut state = self.account.lock();
        if let Some(waiter) = state.queue().waiter(ticket) {
            waiter.waker = Some(waker.clone());
        }
        let mut wakers = state.dispatch(now);
        let outcome = if let Some(granted) = state.queue().collect(ticket) {
            Ok(Ok(granted))
        } else if state.queue().collect_dismissal(ticket) {
            Ok(Err(state.dismissal(&self.want, now)))
        } else if self.want.deadline <= now {
            let refusal = state.give_up(ticket, now);
            let refusal = refusal.unwrap_or_else(|| state.dismissal(&self.want, now));
            // It may have kept the account's timer: somebody else has to from now on.
            wakers.extend(state.dispatch(now));
            Ok(Err(refusal))
        } else {
            Err(state.alarm(ticket).unwrap_or(Moment::NEVER).min(self.want.deadline))
        };
        drop(state);
        wake(wakers);
        outcome
    }
}

impl Future for Waiting {
    type Output = Result<Slot, Refusal>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ticket = self.ticket.expect("a waiting call is not polled after it was answered");
        loop {
            match self.look(ticket, context.waker()) {
                Ok(outcome) => {
                    self.ticket = None;
                    let account = Arc::clone(&self.account);
                    return Poll::Ready(outcome.map(|granted| Slot::new(account, granted)));
                }
                Err(alarm) => {
                    let instant = self.account.clock.instant(alarm);
                    self.timer.as_mut().reset(instant);
                    if self.timer.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        self.account.change(|state, now| {
            if let Some(granted) = state.queue().collect(ticket) {
                state.cancel(&granted, now);
            }
            state.queue().collect_dismissal(ticket);
            state.give_up(ticket, now)
        });
    }
}
