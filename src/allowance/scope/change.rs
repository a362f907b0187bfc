//! What a changed configuration changes of a scope, and what a new one takes over.

use std::sync::Arc;
use std::time::Duration;

use super::{Scope, ScopeState};
use crate::allowance::attempt_history::Spent;
use crate::allowance::charge::{Charge, CostClass, saturated};
use crate::allowance::concurrency_limit::PermitEnd;
use crate::allowance::hold::{Hold, ProbeState};
use crate::allowance::recovered::Start;
use crate::allowance::settings::Allowance;
use crate::allowance::settlement::AttemptEnd;
use crate::outcome::FULL_PACE;
use crate::time::Moment;

/// No grant has this number.
const UNKNOWN_GRANT: u64 = 0;

/// What an attempt may have cost of which only is known that there was one: more than any limit.
const UNKNOWN_COST: u32 = u32::MAX;

impl Scope {
    /// Applies changed settings of the same allowance: a lower limit binds from the next grant, and
    /// what was counted, learned and held stays. Another kind of grant is another scope.
    pub(in crate::allowance) fn reconfigure(&mut self, allowance: &Allowance, now: Moment) {
        self.name.clone_from(&allowance.name);
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

    /// Counts what calls have spent that did not know of this scope.
    pub(in crate::allowance) fn count_earlier(&mut self, spent: &Spent, now: Moment) {
        let cost = self.cost_of_earlier();
        let linger = self.linger;
        match &mut self.state {
            ScopeState::Units(units) => {
                (0..spent.under_way).for_each(|_| {
                    units.occupy(UNKNOWN_GRANT, cost, now);
                });
                for (at, attempts) in &spent.ended {
                    units.count_earlier(at.plus(linger), attempts.saturating_mul(cost));
                }
                units.bound_earlier(now);
            }
            ScopeState::Concurrency(limit) => (0..spent.under_way).for_each(|_| limit.occupy()),
            ScopeState::SlowStart(_) | ScopeState::Upstream(_) => {}
        }
    }

    /// An attempt is over that was under way when this scope came into force.
    pub(in crate::allowance) fn end_earlier(&mut self, at: Moment, end: AttemptEnd) {
        let cost = self.cost_of_earlier();
        let linger = self.linger;
        match (&mut self.state, end) {
            (ScopeState::Units(units), AttemptEnd::NotSent) => units.cancel(UNKNOWN_GRANT, cost),
            (ScopeState::Units(units), end) => {
                let over = if end == AttemptEnd::Answered { at } else { at.plus(linger) };
                match cost {
                    UNKNOWN_COST => units.end_unknown(over, cost, at),
                    known => units.settle(UNKNOWN_GRANT, over, Charge::exactly(known)),
                }
            }
            (ScopeState::Concurrency(limit), AttemptEnd::NotSent | AttemptEnd::Refused) => {
                limit.release(PermitEnd::Done, at);
            }
            // The end of the response's body will not be seen.
            (ScopeState::Concurrency(limit), AttemptEnd::Answered | AttemptEnd::Unanswered) => {
                limit.release(PermitEnd::GivenUp, at);
            }
            (ScopeState::SlowStart(_) | ScopeState::Upstream(_), _) => {}
        }
    }

    /// Counts what a former process has used, and records what is used from now on if these are
    /// the calls that are recorded.
    pub(in crate::allowance) fn begin_with(&mut self, calls: Option<Arc<str>>, start: &Start) {
        let ScopeState::Units(units) = &mut self.state else { return };
        if let Some(calls) = calls {
            units.start_lease(calls, start.since);
        }
        for (at, spent) in &start.spent {
            units.count_earlier(*at, saturated(*spent));
        }
    }

    /// It is no longer recorded.
    pub(in crate::allowance) fn end_lease(&mut self) {
        if let ScopeState::Units(units) = &mut self.state {
            units.end_lease();
        }
    }

    /// Takes over the hold and the slowness of the scope that this one replaces.
    pub(in crate::allowance) fn take_hold_of(&mut self, replaced: &Self, now: Moment) {
        self.hold = replaced.hold.map(|hold| Hold { probe: ProbeState::Due, ..hold });
        (self.order, self.last_closed) = (replaced.order, replaced.last_closed);
        if let ScopeState::Units(units) = &mut self.state
            && replaced.slowdown.sixteenths < FULL_PACE
        {
            self.slowdown = replaced.slowdown;
            units.set_speed(self.slowdown.sixteenths, now);
        }
    }

    /// Whether both are the same scope of the same upstream, in different accounts.
    pub(in crate::allowance) fn is_same_as(&self, other: &Self) -> bool {
        self.name == other.name && self.label() == other.label() && !other.retired
    }

    /// How far back attempts matter to it.
    pub(in crate::allowance) fn reach(&self) -> Option<Duration> {
        match &self.state {
            ScopeState::Units(units) => Some(units.reach().saturating_add(self.linger)),
            ScopeState::Concurrency(_) => Some(Duration::ZERO),
            ScopeState::SlowStart(_) | ScopeState::Upstream(_) => None,
        }
    }

    /// What the calls of this upstream may have spent of a window of this length.
    pub(in crate::allowance) fn spent(&self, window: Duration, now: Moment) -> Spent {
        match &self.state {
            ScopeState::Upstream(upstream) => {
                let history = upstream.history.as_ref();
                history.map(|history| history.spent(window, now)).unwrap_or_default()
            }
            ScopeState::Units(_) | ScopeState::Concurrency(_) | ScopeState::SlowStart(_) => {
                Spent::default()
            }
        }
    }

    /// What an attempt costs of which only is known that there was one.
    fn cost_of_earlier(&self) -> u32 {
        if self.cost_class == CostClass::CALLS { 1 } else { UNKNOWN_COST }
    }
}
