//! A slot: from grant to settle, exactly once on every path, cancellation included.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::policy::classify::{HoldOrder, Learned};
use crate::policy::outcome::Reach;
use crate::policy::time::Moment;

use super::account::{Account, wake};
use super::report::{Aftermath, Fate, Report};
use super::scope::Blind;
use super::state::State;
use super::want::Granted;

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
    /// How far the request got, if it is given up now.
    reach: Reach,
}

/// What became of an attempt, and what the vendor said with it.
#[derive(Clone, Copy, Debug)]
pub struct Settlement<'a> {
    /// How it ended.
    pub fate: Fate,
    /// Whether it failed blindly.
    pub blind: Blind,
    /// The hold it orders.
    pub order: Option<&'a HoldOrder>,
    /// An allowance that the vendor named.
    pub learned: Option<Learned>,
    /// For how long nothing remains, as the vendor says.
    pub exhausted_for: Option<Duration>,
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
            fate: Fate::Answered,
            blind: Blind::No,
            order: None,
            learned: None,
            exhausted_for: None,
            sent,
            over,
            chance: 0.0,
        }
    }
}

impl Slot {
    pub(super) const fn new(account: Arc<Account>, granted: Granted) -> Self {
        let reach = Reach::Maybe;
        Self { account: Some(account), granted, settled: 0, closed: 0, reach }
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
    /// allowances that say so.
    #[must_use]
    pub const fn guard(&self) -> Option<Duration> {
        self.granted.want.guard
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
    pub const fn given_up(&mut self, reach: Reach) {
        self.reach = reach;
    }

    /// The answer's head orders a hold: closes its scope before the body is read.
    pub fn close(&mut self, settlement: &Settlement<'_>) -> Aftermath {
        let report = self.report(settlement);
        let Some(account) = &self.account else { return Aftermath::default() };
        let mut state = account.lock();
        let (closed, aftermath) = state.close(&mut self.granted, &report);
        self.closed |= closed;
        let now = account.clock().now();
        let wakers = send_on(&mut state, now);
        drop(state);
        wake(wakers);
        aftermath
    }

    /// The attempt is over: draws every conclusion and keeps what only the body's end frees.
    pub fn settle(mut self, settlement: &Settlement<'_>) -> (Aftermath, Seat) {
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
        (aftermath, Seat::of(account, &self.granted))
    }

    const fn report<'a>(&self, settlement: &Settlement<'a>) -> Report<'a> {
        Report {
            fate: settlement.fate,
            blind: settlement.blind,
            order: settlement.order,
            learned: settlement.learned,
            exhausted_for: settlement.exhausted_for,
            sent: settlement.sent,
            now: settlement.over,
            chance: settlement.chance,
            settled: self.settled,
            closed: self.closed,
        }
    }

    /// It will not be used: no byte was written.
    pub fn cancel(mut self) {
        if let Some(account) = self.account.take() {
            account.change(|state, _| state.cancel(&self.granted));
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(account) = self.account.take() else { return };
        match self.reach {
            Reach::Nothing => account.change(|state, _| state.cancel(&self.granted)),
            Reach::Refused | Reach::Maybe => {
                let mut state = account.lock();
                let now = account.clock().now();
                state.abandon(&self.granted, now, self.settled);
                let wakers = send_on(&mut state, now);
                drop(state);
                wake(wakers);
            }
        }
    }
}

/// After a hold began or went on: who cannot start in time any more is told so, the rest goes on.
fn send_on(state: &mut State, now: Moment) -> Vec<Waker> {
    if state.queue().is_empty() {
        return Vec::new();
    }
    let mut wakers = state.dismiss_hopeless(now);
    wakers.extend(state.dispatch(now));
    wakers
}

/// What an exchange keeps until its answer's body has ended: its place among the concurrent ones,
/// and whom to tell when the body breaks.
#[derive(Debug)]
pub struct Seat {
    account: Arc<Account>,
    concurrent: u64,
    upstream: u8,
}

impl Seat {
    const fn of(account: Arc<Account>, granted: &Granted) -> Self {
        let Granted { want, .. } = granted;
        Self { account, concurrent: want.concurrent, upstream: want.upstream.all }
    }

    /// The answer's body broke off: it counts towards an outage, and is never sent again.
    pub fn broke(&self) {
        self.account.change(|state, now| state.broke(self.upstream, now));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.concurrent != 0 {
            self.account.change(|state, _| state.leave(self.concurrent));
        }
    }
}
