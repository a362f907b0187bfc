//! What a scope shows: to operators, and to clients in `RateLimit` headers.

use std::sync::Arc;

use super::{CoveredCalls, Scope, ScopeState};
use crate::allowance::view::{
    HoldView, LeversView, PauseView, ScopeKind, ScopeView, TightestAllowance,
};
use crate::outcome::FULL_PACE;
use crate::time::Moment;

impl Scope {
    /// `None` for a slow start, which is shown as part of its upstream, and for a scope that is no
    /// longer configured.
    pub(in crate::allowance) fn view(&mut self, now: Moment) -> Option<ScopeView> {
        if self.retired {
            return None;
        }
        self.recover(now);
        let mut sixteenths = self.slowdown.sixteenths;
        let (kind, occupied, release) = match &mut self.state {
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
                (kind, occupied, window.check_slot(now, 1).err())
            }
            ScopeState::Concurrency(limit) => {
                let configured = limit.configured();
                let kind = ScopeKind::Concurrency { limit: limit.limit(), configured };
                (kind, limit.occupied(now), limit.check_slot(now).err())
            }
            ScopeState::Upstream(upstream) => {
                let kind = match upstream.calls {
                    CoveredCalls::All => ScopeKind::Upstream,
                    CoveredCalls::Counted => ScopeKind::Counted,
                };
                let pace = upstream.temporary_pace.as_ref();
                sixteenths = pace.map_or(FULL_PACE, |pace| pace.sixteenths());
                (kind, 0, None)
            }
            ScopeState::SlowStart(_) => return None,
        };
        let release = release.filter(|at| *at != Moment::NEVER);
        Some(ScopeView {
            name: Arc::clone(&self.name),
            kind,
            occupied,
            waiting: self.waiting as usize,
            pace_sixteenths: sixteenths,
            next_release: now.until(release.unwrap_or(now)),
            drift: self.units_mut().and_then(|window| window.drift()),
            hold: self.hold.map(|hold| HoldView::of(&hold, now)),
            levers: self.levers_view(now),
            observe: self.observes(),
        })
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
