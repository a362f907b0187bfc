//! What a changed configuration changes of a scope, and what a new one takes over.

use std::time::Duration;

use super::{Scope, ScopeState};
use crate::allowance::attempt_history::Spent;
use crate::allowance::hold::{Hold, ProbeState};
use crate::allowance::settings::{Allowance, Grant};
use crate::time::Moment;

impl Scope {
    /// Applies changed settings of the same scope: a lower limit binds from the next grant, what
    /// was counted, learned and held stays.
    pub(in crate::allowance) fn reconfigure(&mut self, allowance: &Allowance, now: Moment) {
        (self.mode, self.linger) = (allowance.mode, allowance.linger);
        match (&mut self.state, allowance.grant) {
            (ScopeState::Window(window), Grant::Window { limit, spread, .. }) => {
                if window.reconfigure(limit, spread, now) {
                    // The turn that could be given back belongs to the former pace.
                    (self.tried_turn, self.granted_turn) = (None, None);
                }
            }
            (ScopeState::Concurrency(concurrency), Grant::Concurrency { limit }) => {
                concurrency.reconfigure(limit, allowance.linger);
            }
            // Another kind of grant is a scope with a number of its own.
            (
                ScopeState::Window(_)
                | ScopeState::Concurrency(_)
                | ScopeState::SlowStart(_)
                | ScopeState::Upstream(_),
                _,
            ) => {}
        }
    }

    /// Counts what calls have spent that did not know of this scope.
    pub(in crate::allowance) fn count_earlier(&mut self, spent: &Spent) {
        if let ScopeState::Window(window) = &mut self.state {
            let linger = self.linger;
            spent.ended.iter().for_each(|(at, attempts)| {
                window.count_earlier(at.plus(linger), *attempts);
            });
            (0..spent.under_way).for_each(|_| window.occupy());
        }
    }

    /// Takes over the hold of the scope that this one replaces.
    pub(in crate::allowance) fn take_hold_of(&mut self, replaced: &Self) {
        self.hold = replaced.hold.map(|hold| Hold { probe: ProbeState::Due, ..hold });
        (self.order, self.last_closed) = (replaced.order, replaced.last_closed);
    }

    /// How long an attempt counts after it ended, for an allowance with a window.
    pub(in crate::allowance) fn reach(&self) -> Option<Duration> {
        self.window().map(|window| window.saturating_add(self.linger))
    }

    /// What the calls of this upstream may have spent of a window of this length.
    pub(in crate::allowance) fn spent(&self, window: Duration, now: Moment) -> Spent {
        match &self.state {
            ScopeState::Upstream(upstream) => upstream.history.spent(window, now),
            ScopeState::Window(_) | ScopeState::Concurrency(_) | ScopeState::SlowStart(_) => {
                Spent::default()
            }
        }
    }
}
