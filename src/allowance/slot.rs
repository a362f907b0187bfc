//! A slot: from grant to settle, exactly once on every path, cancellation included.

use std::sync::Arc;
use std::time::Duration;

use crate::policy::classify::{HoldOrder, Learned};
use crate::policy::time::Moment;

use super::account::{Account, wake};
use super::scope::Blind;
use super::state::{Aftermath, Fate, Granted, Report};

/// A slot of everything a call needs. Dropped unsettled, it counts as sent and unanswered.
#[derive(Debug)]
pub struct Slot {
    account: Arc<Account>,
    granted: Granted,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// Settled by its guard, before the answer: only conclusions are left to draw.
    Guarded,
    Settled,
    Cancelled,
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
    /// Chance in 0..1.
    pub chance: f64,
}

impl Settlement<'_> {
    /// An answer that says nothing special.
    #[must_use]
    pub const fn plain(sent: Moment) -> Self {
        Self {
            fate: Fate::Answered,
            blind: Blind::No,
            order: None,
            learned: None,
            exhausted_for: None,
            sent,
            chance: 0.0,
        }
    }
}

impl Slot {
    pub(super) const fn new(account: Arc<Account>, granted: Granted) -> Self {
        Self { account, granted, phase: Phase::Open }
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

    /// The guard has passed since the last byte was written: by now the vendor has counted the
    /// attempt, whether it answers or not.
    pub fn pass_guard(&mut self, at: Moment) {
        if self.phase == Phase::Open {
            self.phase = Phase::Guarded;
            let granted = self.granted;
            self.account.change(|state, _| state.settle_guarded(&granted, at));
        }
    }

    /// The attempt is over: draws every conclusion and keeps what only the body's end frees.
    pub fn settle(mut self, settlement: &Settlement<'_>) -> (Aftermath, Seat) {
        let now = self.account.clock().now();
        let counted = self.phase == Phase::Guarded;
        self.phase = Phase::Settled;
        let mut state = self.account.lock();
        let report = Report {
            fate: settlement.fate,
            blind: settlement.blind,
            order: settlement.order,
            learned: settlement.learned,
            exhausted_for: settlement.exhausted_for,
            sent: settlement.sent,
            now,
            chance: settlement.chance,
            counted,
        };
        let aftermath = state.report(&self.granted, &report);
        let mut wakers = Vec::new();
        if !state.queue().is_empty() {
            if aftermath.closes() {
                wakers.extend(state.dismiss_hopeless(now));
            }
            wakers.extend(state.dispatch(now));
        }
        drop(state);
        wake(wakers);
        let seat = Seat::of(&self.account, &self.granted);
        (aftermath, seat)
    }

    /// It will not be used: no byte was written.
    pub fn cancel(mut self) {
        self.phase = Phase::Cancelled;
        let granted = self.granted;
        self.account.change(|state, _| state.cancel(&granted));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if matches!(self.phase, Phase::Settled | Phase::Cancelled) {
            return;
        }
        let counted = self.phase == Phase::Guarded;
        let granted = self.granted;
        self.account.change(|state, now| state.abandon(&granted, now, counted));
    }
}

/// What an exchange keeps until its answer's body has ended: its place among the concurrent ones.
#[derive(Debug)]
pub struct Seat(Option<(Arc<Account>, u64)>);

impl Seat {
    fn of(account: &Arc<Account>, granted: &Granted) -> Self {
        let scopes = granted.want.concurrent;
        Self((scopes != 0).then(|| (Arc::clone(account), scopes)))
    }

    /// No seat: nothing is limited by concurrency.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some((account, scopes)) = self.0.take() {
            account.change(|state, _| state.leave(scopes));
        }
    }
}
