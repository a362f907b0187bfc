//! What an operator's levers change of a scope.

use super::{Scope, ScopeState, Slowdown};
use crate::allowance::lever::{LeverOrigin, LoweredLimit, Pause, ScopeLevers};
use crate::outcome::FULL_PACE;
use crate::time::Moment;

impl Scope {
    /// Until when an operator has paused it; `NEVER` means until it is resumed.
    pub(in crate::allowance) fn paused_until(&mut self, now: Moment) -> Option<Moment> {
        self.levers.as_mut()?.paused_until(now)
    }

    pub(in crate::allowance) fn pause(&mut self, until: Moment, origin: &LeverOrigin) {
        self.levers_mut().pause = Some(Pause { until, origin: origin.clone() });
    }

    /// Ends its pause; returns whether there was one.
    pub(in crate::allowance) fn resume(&mut self, now: Moment) -> bool {
        let paused = self.paused_until(now).is_some();
        self.levers_mut().pause = None;
        paused
    }

    /// Lowers its limit; returns whether it has one.
    pub(in crate::allowance) fn lower(
        &mut self,
        to: LoweredLimit,
        origin: &LeverOrigin,
        now: Moment,
    ) -> bool {
        let has_limit = self.set_lowered(Some(to), now);
        if has_limit {
            self.levers_mut().lowered = Some((to, origin.clone()));
        }
        has_limit
    }

    /// Gives it its configured limit back; returns whether it was lowered.
    pub(in crate::allowance) fn raise(&mut self, now: Moment) -> bool {
        let lowered = self.levers_mut().lowered.take().is_some();
        if lowered {
            self.set_lowered(None, now);
        }
        lowered
    }

    /// Forgets what the vendor stated, and ends holds and slowness that it caused. What is spent
    /// stays spent.
    pub(in crate::allowance) fn reset(&mut self, now: Moment) -> bool {
        let slowed = self.slowdown.sixteenths < FULL_PACE;
        let mut changed = self.hold.is_some() || slowed;
        if changed {
            self.reopen(now);
        }
        match &mut self.state {
            ScopeState::Units(units) => {
                changed |= units.forget_stated();
                if slowed {
                    units.set_speed(FULL_PACE, now);
                }
            }
            ScopeState::Upstream(upstream) => changed |= upstream.temporary_pace.take().is_some(),
            ScopeState::Concurrency(_) | ScopeState::SlowStart(_) => {}
        }
        self.slowdown = Slowdown { sixteenths: FULL_PACE, since: now };
        (self.tried_turn, self.granted_turn) = (None, None);
        changed
    }

    /// Forgets the units that attempts have used which are over; returns how many.
    pub(in crate::allowance) fn forget_spent(&mut self, now: Moment) -> u64 {
        match &mut self.state {
            ScopeState::Units(units) => units.forget_spent(now),
            ScopeState::Concurrency(limit) => limit.forget_given_up(now),
            ScopeState::SlowStart(_) | ScopeState::Upstream(_) => 0,
        }
    }

    /// Takes over the levers of the scope that this one replaces, or whose calls it will have.
    pub(in crate::allowance) fn take_levers_of(&mut self, other: &Self, now: Moment) {
        self.levers.clone_from(&other.levers);
        let lowered = self.levers.as_ref().and_then(|levers| levers.lowered.as_ref());
        self.set_lowered(lowered.map(|(to, _)| *to), now);
    }

    /// Whether no lever is in force.
    pub(in crate::allowance) fn has_no_levers(&mut self, now: Moment) -> bool {
        let Some(levers) = &mut self.levers else { return true };
        levers.paused_until(now).is_none() && levers.lowered.is_none()
    }

    fn levers_mut(&mut self) -> &mut ScopeLevers {
        self.levers.get_or_insert_default()
    }

    /// Returns whether it has a limit.
    fn set_lowered(&mut self, to: Option<LoweredLimit>, now: Moment) -> bool {
        match &mut self.state {
            ScopeState::Units(units) => units.set_lowered(to, now),
            ScopeState::Concurrency(limit) => limit.set_lowered(to),
            ScopeState::SlowStart(_) | ScopeState::Upstream(_) => return false,
        }
        // The turn that could be given back belongs to the former pace.
        (self.tried_turn, self.granted_turn) = (None, None);
        true
    }
}
