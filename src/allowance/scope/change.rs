//! What a changed configuration changes of a scope, and what a new one takes over.

use std::time::Duration;

use super::{Scope, ScopeState};
use crate::allowance::attempt_history::Spent;
use crate::allowance::charge::CostClass;
use crate::allowance::hold::{Hold, ProbeState};
use crate::allowance::settings::Allowance;
use crate::time::Moment;

impl Scope {
    /// Applies changed settings of the same allowance: a lower limit binds from the next grant, and
    /// what was counted, learned and held stays. Another kind of grant is another scope.
    pub(in crate::allowance) fn reconfigure(&mut self, allowance: &Allowance, now: Moment) {
        (self.mode, self.linger) = (allowance.mode, allowance.linger);
        let (limit, withheld) = allowance.units();
        match &mut self.state {
            ScopeState::Units(units) => {
                if units.reconfigure((limit, withheld), allowance.spread(), now) {
                    // The turn that could be given back belongs to the former pace.
                    (self.tried_turn, self.granted_turn) = (None, None);
                }
            }
            ScopeState::Concurrency(concurrency) => {
                concurrency.reconfigure(limit, allowance.linger);
            }
            ScopeState::SlowStart(_) | ScopeState::Upstream(_) => {}
        }
    }

    /// Counts what calls have spent that did not know of this scope. What they cost is known where
    /// each counts as one; any other cost may have been the whole limit.
    pub(in crate::allowance) fn count_earlier(&mut self, spent: Spent, unseen_until: Moment) {
        let (linger, cost_class) = (self.linger, self.cost_class);
        let ScopeState::Units(units) = &mut self.state else { return };
        let whole = units.configured();
        if cost_class == CostClass::CALLS {
            units.occupy(spent.under_way);
            let ended = spent.ended.iter();
            ended.for_each(|(at, attempts)| units.count_earlier(at.plus(linger), *attempts));
        } else {
            let all = spent.all_ended(unseen_until).ended;
            all.iter().for_each(|(at, _)| units.count_earlier(at.plus(linger), whole));
        }
    }

    /// Takes over the hold of the scope that this one replaces.
    pub(in crate::allowance) fn take_hold_of(&mut self, replaced: &Self) {
        self.hold = replaced.hold.map(|hold| Hold { probe: ProbeState::Due, ..hold });
        (self.order, self.last_closed) = (replaced.order, replaced.last_closed);
    }

    /// How long an attempt counts after it ended, for an allowance that counts units.
    pub(in crate::allowance) fn reach(&self) -> Option<Duration> {
        self.window().map(|window| window.saturating_add(self.linger))
    }

    /// What the calls of this upstream may have spent of a window of this length.
    pub(in crate::allowance) fn spent(&self, window: Duration, now: Moment) -> Spent {
        match &self.state {
            ScopeState::Upstream(upstream) => upstream.history.spent(window, now),
            ScopeState::Units(_) | ScopeState::Concurrency(_) | ScopeState::SlowStart(_) => {
                Spent::default()
            }
        }
    }
}
