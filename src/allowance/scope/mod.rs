//! One scope of an account: an allowance, or an upstream as such; and everything that can close it.
//!
//! A pure state machine: time and chance are arguments. Here it counts and paces, `holds` closes
//! and opens it, `view` shows it. Refuses to know who waits.

mod holds;
mod view;

use std::sync::Arc;
use std::time::Duration;

use crate::allowance::hold::{Circumstances, Hold, Probe};
use crate::allowance::pace::Mark;
use crate::outcome::FULL_PACE;
use crate::outcome::HoldOrder;
use crate::time::Moment;

use super::concurrency::{ConcurrencyLimit, Leave};
use super::health::Health;
use super::ramp::Ramp;
use super::recent::Recent;
use super::settings::{Allowance, Grant, Mode};
use super::slot_request::PathId;
use super::temporary::Temporary;
use super::window::Window;

/// A slowed pace recovers by a sixteenth for each of these without a throttle.
const RECOVERY_STEP: Duration = Duration::from_secs(30);

/// One thing that calls need, and that can be closed.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) name: Arc<str>,
    kind: Kind,
    mode: Mode,
    /// How much later an attempt that was given up counts as over.
    linger: Duration,
    pub(super) hold: Option<Hold>,
    /// The order that closed it; scopes that one answer closed are released together.
    pub(super) order: u64,
    /// When a hold last began here: answers to older attempts never slow or double again.
    last_cut: Moment,
    /// The latest grant whose answer was heard: what the vendor says with older ones is outdated.
    heard: u64,
    speed: Speed,
    /// The pace before a turn that is taken while a grant is tried.
    tried: Option<Mark>,
    /// The latest turn that was granted.
    latest: Option<Turn>,
    /// Calls in line for it, by priority.
    pub(super) waiting: [u32; 3],
}

#[derive(Debug)]
enum Kind {
    Window(Window),
    ConcurrencyLimit(ConcurrencyLimit),
    Ramp(Ramp),
    Upstream(Box<Upstream>),
}

/// What an upstream as such has besides its allowances.
#[derive(Debug)]
struct Upstream {
    calls: Calls,
    temporary: Option<Temporary>,
    recent: Recent,
    health: Health,
    /// The path that failed most when its outage began, or that of the last probe that failed.
    avoid: Option<PathId>,
}

/// Which of an upstream's calls a scope of its own covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// All of them.
    All,
    /// Those that are not exempt.
    Counted,
}

/// A turn of the pace, as long as it can be given back: until the next one is taken. Before that
/// the pace is what it would be had the turn never been; afterwards nobody can tell, and it is
/// lost, which is late and never over.
#[derive(Clone, Copy, Debug)]
struct Turn {
    grant: u64,
    before: Mark,
}

#[derive(Clone, Copy, Debug)]
struct Speed {
    sixteenths: u8,
    since: Moment,
}

/// What an answer, or its absence, means for a scope.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strike<'a> {
    pub(super) order: &'a HoldOrder,
    /// When the attempt was sent.
    pub(super) sent: Moment,
    /// Whether the attempt was the probe of this scope's hold.
    pub(super) role: Role,
    pub(super) at: Circumstances,
}

/// Whether an attempt was the probe of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Ordinary,
    Probe,
}

impl Scope {
    /// The scope of an upstream as such.
    pub(super) fn upstream(name: &Arc<str>, calls: Calls) -> Self {
        let upstream = Upstream {
            calls,
            temporary: None,
            recent: Recent::default(),
            health: Health::default(),
            avoid: None,
        };
        Self::new(name, Kind::Upstream(Box::new(upstream)), Mode::Enforce)
    }

    /// The retries after a hold of an upstream.
    pub(super) fn ramp(name: &Arc<str>) -> Self {
        Self::new(name, Kind::Ramp(Ramp::new()), Mode::Enforce)
    }

    /// The scope of an allowance.
    pub(super) fn allowance(allowance: &Allowance) -> Self {
        let linger = allowance.linger;
        let kind = match allowance.grant {
            Grant::Concurrency { limit } => {
                Kind::ConcurrencyLimit(ConcurrencyLimit::new(limit, linger))
            }
            Grant::Window { limit, window, spread, .. } => {
                Kind::Window(Window::new(limit, window, spread))
            }
        };
        Self { linger, ..Self::new(&allowance.name, kind, allowance.mode) }
    }

    fn new(name: &Arc<str>, kind: Kind, mode: Mode) -> Self {
        Self {
            name: Arc::clone(name),
            kind,
            mode,
            linger: Duration::ZERO,
            hold: None,
            order: 0,
            last_cut: Moment::START,
            heard: 0,
            speed: Speed { sixteenths: FULL_PACE, since: Moment::START },
            tried: None,
            latest: None,
            waiting: [0; 3],
        }
    }

    /// Whether calls can be in each other's way here.
    pub(super) fn is_contended(&self) -> bool {
        match &self.kind {
            Kind::Window(_) | Kind::ConcurrencyLimit(_) | Kind::Ramp(_) => {
                self.mode == Mode::Enforce
            }
            Kind::Upstream(upstream) => upstream.temporary.is_some() || self.hold.is_some(),
        }
    }

    /// Whether it is an allowance that holds calls back, so that a hold on it closes something.
    pub(super) fn is_enforced_allowance(&self) -> bool {
        self.mode == Mode::Enforce
            && matches!(self.kind, Kind::Window(_) | Kind::ConcurrencyLimit(_))
    }

    pub(super) const fn ramp_mut(&mut self) -> Option<&mut Ramp> {
        match &mut self.kind {
            Kind::Ramp(ramp) => Some(ramp),
            Kind::Window(_) | Kind::ConcurrencyLimit(_) | Kind::Upstream(_) => None,
        }
    }

    pub(super) const fn window(&self) -> Option<Duration> {
        match &self.kind {
            Kind::Window(window) => Some(window.length()),
            Kind::ConcurrencyLimit(_) | Kind::Ramp(_) | Kind::Upstream(_) => None,
        }
    }

    pub(super) const fn window_mut(&mut self) -> Option<&mut Window> {
        match &mut self.kind {
            Kind::Window(window) => Some(window),
            Kind::ConcurrencyLimit(_) | Kind::Ramp(_) | Kind::Upstream(_) => None,
        }
    }

    /// N of its window as configured.
    pub(super) const fn configured_limit(&self) -> Option<u32> {
        match &self.kind {
            Kind::Window(window) => Some(window.configured()),
            Kind::ConcurrencyLimit(_) | Kind::Ramp(_) | Kind::Upstream(_) => None,
        }
    }

    /// Whether a slot is free at `now`, else when one will be.
    pub(super) fn room(&mut self, now: Moment) -> Result<(), Moment> {
        match &mut self.kind {
            Kind::Window(window) => window.room(now),
            Kind::ConcurrencyLimit(places) => places.room(now),
            Kind::Ramp(ramp) => ramp.room(),
            Kind::Upstream(_) => Ok(()),
        }
    }

    /// Takes a turn of the pace, if there is one.
    pub(super) fn take_turn(&mut self, now: Moment) -> Result<(), Moment> {
        self.recover(now);
        let (mark, taken) = match &self.kind {
            Kind::Window(window) => match &window.pace {
                Some(pace) => (pace.mark(), pace.take(now)),
                None => return Ok(()),
            },
            Kind::Upstream(upstream) => match &upstream.temporary {
                Some(pace) => (pace.mark(), pace.take(now)),
                None => return Ok(()),
            },
            Kind::ConcurrencyLimit(_) | Kind::Ramp(_) => return Ok(()),
        };
        // A pace that recovers is faster by then.
        let faster = self.speed.since.plus(RECOVERY_STEP);
        let recovering = self.speed.sixteenths < FULL_PACE;
        taken.map_err(|next| if recovering { next.min(faster) } else { next })?;
        self.tried = Some(mark);
        Ok(())
    }

    /// Gives the turn back that was just taken: the grant failed elsewhere.
    pub(super) fn give_turn_back(&mut self) {
        if let Some(before) = self.tried.take() {
            self.restore(before);
        }
    }

    /// Takes a slot that `room` has promised, or that only observing takes; and keeps the turn.
    pub(super) fn occupy(&mut self, grant: u64, now: Moment) {
        if let Some(before) = self.tried.take() {
            self.latest = Some(Turn { grant, before });
        }
        match &mut self.kind {
            Kind::Window(window) => window.occupy(),
            Kind::ConcurrencyLimit(places) => places.occupy(),
            Kind::Ramp(ramp) => ramp.occupy(),
            Kind::Upstream(upstream) => upstream.recent.sent(now),
        }
    }

    pub(super) const fn observes(&self) -> bool {
        matches!(self.mode, Mode::Observe)
    }

    /// The window's part of a slot is over at `at`, because it was answered.
    pub(super) fn settle(&mut self, at: Moment) {
        match &mut self.kind {
            Kind::Window(window) => window.settle(at),
            Kind::Ramp(ramp) => ramp.ended(),
            Kind::ConcurrencyLimit(_) | Kind::Upstream(_) => {}
        }
    }

    /// The attempt was given up at `now`: the vendor may count it a little later.
    pub(super) fn settle_given_up(&mut self, now: Moment) {
        match &mut self.kind {
            Kind::Window(window) => window.settle(now.plus(self.linger)),
            Kind::Ramp(ramp) => ramp.ended(),
            Kind::ConcurrencyLimit(_) | Kind::Upstream(_) => {}
        }
    }

    /// Nothing was sent: the slot is free at once, and its turn if nobody took one since.
    pub(super) fn cancel(&mut self, grant: u64) {
        match &mut self.kind {
            Kind::Window(window) => window.cancel(),
            Kind::Ramp(ramp) => ramp.ended(),
            Kind::ConcurrencyLimit(_) | Kind::Upstream(_) => {}
        }
        if let Some(turn) = self.latest.take_if(|turn| turn.grant == grant) {
            self.restore(turn.before);
        }
    }

    /// The exchange is over, its body included.
    pub(super) fn leave(&mut self, how: Leave, now: Moment) {
        if let Kind::ConcurrencyLimit(places) = &mut self.kind {
            places.leave(how, now);
        }
    }

    /// The answer to this grant was heard.
    pub(super) fn hear(&mut self, grant: u64) {
        self.heard = self.heard.max(grant);
    }

    /// Whether an answer to a later grant than this one has been heard.
    pub(super) const fn is_outdated(&self, grant: u64) -> bool {
        grant < self.heard
    }

    /// When the `position`-th newcomer would start, counted from 1.
    pub(super) fn estimate(&mut self, now: Moment, position: u32) -> Moment {
        if self.mode == Mode::Observe {
            return now;
        }
        let open = self.hold.map_or(now, |hold| hold.until.max(now));
        match &self.kind {
            Kind::Window(window) => window.estimate(open, position),
            Kind::ConcurrencyLimit(places) => places.estimate(open, position),
            Kind::Ramp(_) => open,
            Kind::Upstream(upstream) => match &upstream.temporary {
                Some(pace) => pace.estimate(open, position),
                None => open,
            },
        }
    }

    pub(super) fn is_idle(&mut self, now: Moment) -> bool {
        self.recover(now);
        let unused = match &mut self.kind {
            Kind::Window(window) => window.is_idle(now),
            Kind::ConcurrencyLimit(places) => places.taken(now) == 0,
            Kind::Ramp(_) => true,
            Kind::Upstream(upstream) => upstream.temporary.is_none(),
        };
        unused && self.hold.is_none() && self.waiting == [0; 3]
    }

    /// Takes over what was spent, slowed and held in another scope of the same kind, which calls
    /// of the same vendor's account may have used.
    pub(super) fn inherit(&mut self, from: &Self, now: Moment) {
        match (&mut self.kind, &from.kind) {
            (Kind::Window(own), Kind::Window(other)) => own.inherit(other, now),
            (Kind::ConcurrencyLimit(own), Kind::ConcurrencyLimit(other)) => own.inherit(other),
            (Kind::Upstream(own), Kind::Upstream(other)) => {
                own.temporary = other.temporary.as_ref().map(Temporary::copy);
            }
            (
                Kind::Window(_) | Kind::ConcurrencyLimit(_) | Kind::Ramp(_) | Kind::Upstream(_),
                _,
            ) => {}
        }
        self.hold = from.hold.map(|hold| Hold { id: 0, probe: Probe::Due, ..hold });
        (self.last_cut, self.speed) = (from.last_cut, from.speed);
    }

    fn sixteenths(&self) -> u8 {
        match &self.kind {
            Kind::Upstream(upstream) => match &upstream.temporary {
                Some(pace) => pace.sixteenths(),
                None => FULL_PACE,
            },
            Kind::Window(_) | Kind::ConcurrencyLimit(_) | Kind::Ramp(_) => self.speed.sixteenths,
        }
    }

    fn restore(&self, mark: Mark) {
        match &self.kind {
            Kind::Window(window) => window.pace.iter().for_each(|pace| pace.restore(mark)),
            Kind::Upstream(upstream) => {
                upstream.temporary.iter().for_each(|pace| pace.restore(mark));
            }
            Kind::ConcurrencyLimit(_) | Kind::Ramp(_) => {}
        }
    }

    fn recover(&mut self, now: Moment) {
        match &mut self.kind {
            Kind::Window(window) if self.speed.sixteenths < FULL_PACE => {
                let steps = now.since(self.speed.since).as_nanos() / RECOVERY_STEP.as_nanos();
                let left = FULL_PACE - self.speed.sixteenths;
                let steps = u8::try_from(steps).unwrap_or(FULL_PACE).min(left);
                if steps > 0 {
                    self.speed.sixteenths += steps;
                    self.speed.since = self.speed.since.plus(RECOVERY_STEP * u32::from(steps));
                    window.set_speed(self.speed.sixteenths, now);
                    self.latest = self.latest.filter(|_| window.pace.is_some());
                }
            }
            // Under a hold nothing can be throttled: that time proves nothing.
            Kind::Upstream(upstream) if upstream.temporary.is_some() && self.hold.is_none() => {
                let pace = upstream.temporary.take();
                upstream.temporary = pace.and_then(|pace| pace.recovered(now));
                self.latest = self.latest.filter(|_| upstream.temporary.is_some());
            }
            Kind::Window(_) | Kind::ConcurrencyLimit(_) | Kind::Ramp(_) | Kind::Upstream(_) => {}
        }
    }
}
