//! What a scope shows: to operators, and to clients in `RateLimit` headers.

use std::sync::Arc;

use super::{CoveredCalls, Scope, ScopeState};
use crate::allowance::attempt_history::AttemptHistory;
use crate::allowance::charge::{Costs, Demand};
use crate::allowance::lease::Lease;
use crate::allowance::settings::Mode;
use crate::allowance::view::{
    HoldView, LeversView, PauseView, ScopeKind, ScopeView, TightestAllowance,
};
use crate::outcome::FULL_PACE;
use crate::time::Moment;

/// How much of a scope is used.
struct Use {
    kind: ScopeKind,
    occupied: u32,
    in_flight: u32,
    /// The pace.
    sixteenths: u8,
    /// When a slot is released, if none is free.
    release: Option<Moment>,
}

impl Scope {
    /// Whether a call has no slot because the allowance cannot be recorded.
    pub(in crate::allowance) fn cannot_be_recorded(&mut self, costs: Costs) -> bool {
        let units = self.units(costs);
        self.units_mut().is_some_and(|window| window.cannot_be_secured(units))
    }

    pub(in crate::allowance) fn lease_mut(&mut self) -> Option<&mut Lease> {
        self.units_mut().and_then(|window| window.lease_mut())
    }

    /// `None` for a slow start, which is shown as part of its upstream, and for a scope that is no
    /// longer configured.
    pub(in crate::allowance) fn view(&mut self, now: Moment) -> Option<ScopeView> {
        if self.retired {
            return None;
        }
        self.recover(now);
        let use_of = self.use_of(now)?;
        let start = self.next_start(now);
        Some(ScopeView {
            name: Arc::clone(&self.name),
            kind: use_of.kind,
            occupied: use_of.occupied,
            in_flight: use_of.in_flight,
            elsewhere: self.units_mut().map_or(0, |window| window.units_elsewhere()),
            next_slot: (start != Moment::NEVER).then(|| now.until(start)),
            waiting: self.waiting as usize,
            pace_sixteenths: use_of.sixteenths,
            next_release: now
                .until(use_of.release.filter(|it| *it != Moment::NEVER).unwrap_or(now)),
            drift: self.units_mut().and_then(|window| window.drift()),
            hold: self.hold.map(|hold| HoldView::of(&hold, now)),
            levers: self.levers_view(now),
            record: self.units_mut().and_then(|window| window.record()),
            observe: self.observes(),
        })
    }

    fn use_of(&mut self, now: Moment) -> Option<Use> {
        let sixteenths = self.slowdown.sixteenths;
        match &mut self.state {
            ScopeState::Units(window) => {
                // First, because it expires what the vendor stated, the limit included.
                let occupied = window.occupied(now);
                let kind = ScopeKind::Units {
                    kind: window.kind(),
                    limit: window.limit(),
                    configured: window.configured(),
                    learned: window.learned(),
                    window: window.length(),
                };
                let (in_flight, release) = (window.in_flight(), window.check_free(now, 1).err());
                Some(Use { kind, occupied, in_flight, sixteenths, release })
            }
            ScopeState::Concurrency(limit) => {
                let kind =
                    ScopeKind::Concurrency { limit: limit.limit(), configured: limit.configured() };
                let (occupied, in_flight) = (limit.occupied(now), limit.in_flight());
                let release = limit.check_slot(now).err();
                Some(Use { kind, occupied, in_flight, sixteenths, release })
            }
            ScopeState::Upstream(upstream) => {
                let kind = match upstream.calls {
                    CoveredCalls::All => ScopeKind::Upstream,
                    CoveredCalls::Counted => ScopeKind::Counted,
                };
                let pace = upstream.temporary_pace.as_ref();
                let sixteenths = pace.map_or(FULL_PACE, |pace| pace.sixteenths());
                let in_flight = upstream.history.as_ref().map_or(0, AttemptHistory::under_way);
                Some(Use { kind, occupied: 0, in_flight, sixteenths, release: None })
            }
            ScopeState::SlowStart(_) => None,
        }
    }

    /// When a call of one unit would start if none waited; `NEVER` if that is not known.
    fn next_start(&mut self, now: Moment) -> Moment {
        let start = self.estimate(now, Demand::default(), Costs::ONE_EACH);
        match (&mut self.state, self.mode) {
            // Attempts under way are taken to end at once, which is not known here.
            (ScopeState::Units(window), Mode::Enforce) if start <= now => {
                window.check_free(now, 1).err().unwrap_or(start)
            }
            (ScopeState::Concurrency(limit), Mode::Enforce) if start <= now => {
                limit.check_slot(now).err().unwrap_or(start)
            }
            (
                ScopeState::Units(_)
                | ScopeState::Concurrency(_)
                | ScopeState::SlowStart(_)
                | ScopeState::Upstream(_),
                Mode::Enforce | Mode::Observe,
            ) => start,
        }
    }

    fn levers_view(&mut self, now: Moment) -> LeversView {
        let Some(levers) = &mut self.levers else { return LeversView::default() };
        levers.paused_until(now);
        let pause = levers.pause.as_ref().map(|pause| PauseView {
            remaining: (pause.until != Moment::NEVER).then(|| now.until(pause.until)),
            origin: pause.origin.clone(),
        });
        let lowered = levers.lowered.as_ref().map(|(_, origin)| origin.clone());
        LeversView { pause, lowered }
    }

    /// Its name in the log.
    pub(in crate::allowance) fn label(&self) -> Arc<str> {
        match &self.state {
            ScopeState::Units(_) | ScopeState::Concurrency(_) | ScopeState::SlowStart(_) => {
                Arc::clone(&self.name)
            }
            ScopeState::Upstream(upstream) => match upstream.calls {
                CoveredCalls::All => Arc::from("upstream"),
                CoveredCalls::Counted => Arc::from("counted_calls"),
            },
        }
    }

    /// What `RateLimit` headers say of it, unless it only observes.
    pub(in crate::allowance) fn usage(&mut self, now: Moment) -> Option<TightestAllowance> {
        if self.observes() {
            return None;
        }
        let name = Arc::clone(&self.name);
        let window = self.units_mut()?;
        let remaining = window.free(now);
        let release = window.free_at(remaining.saturating_add(1));
        let known = release != Moment::NEVER;
        Some(TightestAllowance {
            name,
            limit: window.limit(),
            window: window.length(),
            remaining,
            reset: if known { now.until(release) } else { window.length() },
        })
    }
}
