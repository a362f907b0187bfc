//! What a scope shows: to operators, and to clients in `RateLimit`.

use std::sync::Arc;

use crate::time::Moment;

use super::{Calls, Kind, Scope};
use crate::allowance::view::{Binding, HoldView, ScopeKind, ScopeView};

impl Scope {
    /// Nothing of a ramp: it is part of its upstream.
    pub(in crate::allowance) fn view(&mut self, now: Moment) -> Option<ScopeView> {
        self.recover(now);
        let (kind, occupied, release) = self.measures(now)?;
        let drift = self.window_mut().and_then(|window| window.drift());
        Some(ScopeView {
            name: Arc::clone(&self.name),
            kind,
            occupied,
            waiting: self.waiting.iter().sum::<u32>() as usize,
            pace_sixteenths: self.sixteenths(),
            next_release: now.until(release),
            drift,
            hold: self.hold.map(|hold| HoldView::of(&hold, now)),
            observe: self.observes(),
        })
    }

    /// What the log calls it.
    pub(in crate::allowance) fn label(&self) -> Arc<str> {
        match &self.kind {
            Kind::Window(_) | Kind::ConcurrencyLimit(_) | Kind::Ramp(_) => Arc::clone(&self.name),
            Kind::Upstream(upstream) => match upstream.calls {
                Calls::All => Arc::from("upstream"),
                Calls::Counted => Arc::from("counted_calls"),
            },
        }
    }

    /// What it counts, how much of it is occupied, and when a slot is free.
    fn measures(&mut self, now: Moment) -> Option<(ScopeKind, u32, Moment)> {
        Some(match &mut self.kind {
            Kind::Window(window) => {
                let occupied = window.occupied(now);
                let release = window.room(now).err().filter(|at| *at != Moment::NEVER);
                let kind = ScopeKind::Window {
                    limit: window.limit(),
                    configured: window.configured(),
                    window: window.length(),
                };
                (kind, occupied, release.unwrap_or(now))
            }
            Kind::ConcurrencyLimit(places) => {
                let kind = ScopeKind::Concurrency { limit: places.limit() };
                let release = places.room(now).err().filter(|at| *at != Moment::NEVER);
                (kind, places.taken(now), release.unwrap_or(now))
            }
            Kind::Upstream(upstream) => match upstream.calls {
                Calls::All => (ScopeKind::Upstream, 0, now),
                Calls::Counted => (ScopeKind::Counted, 0, now),
            },
            Kind::Ramp(_) => return None,
        })
    }

    /// What it would say in `RateLimit`; what only observes binds nobody.
    pub(in crate::allowance) fn binding(&mut self, now: Moment) -> Option<Binding> {
        if self.observes() {
            return None;
        }
        let name = Arc::clone(&self.name);
        let window = self.window_mut()?;
        let remaining = window.free(now);
        let release = window.next_release();
        let known = release != Moment::NEVER;
        Some(Binding {
            name,
            limit: window.limit(),
            window: window.length(),
            remaining,
            reset: if known { now.until(release) } else { window.length() },
        })
    }
}
