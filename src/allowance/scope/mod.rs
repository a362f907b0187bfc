//! One scope of an account: an allowance, an upstream itself, or its slow start after a hold.
//!
//! A pure state machine; time and chance are arguments. This file counts and paces; `holds` closes,
//! reopens and slows, `view` shows.

mod holds;
mod view;

use std::sync::Arc;
use std::time::Duration;

use super::concurrency_limit::{ConcurrencyLimit, PermitEnd};
use super::hold::{Hold, ProbeState};
use super::outage_detector::OutageDetector;
use super::pace::Checkpoint;
use super::settings::{Allowance, Grant, Mode};
use super::slot_request::PathId;
use super::slow_start::SlowStart;
use super::temporary_pace::TemporaryPace;
use super::window_limit::WindowLimit;
use crate::outcome::FULL_PACE;
use crate::time::{Moment, PerSecond};

/// A slowed pace recovers by one sixteenth after each of these without a throttle.
const RECOVERY_STEP: Duration = Duration::from_secs(30);

/// The seconds of which the busiest makes the pace of an upstream without allowances.
const BUSIEST_OF_SECONDS: usize = 10;

#[derive(Debug)]
pub(super) struct Scope {
    pub(super) name: Arc<str>,
    state: ScopeState,
    mode: Mode,
    /// How much later an attempt that was given up counts as over.
    linger: Duration,
    pub(super) hold: Option<Hold>,
    /// The number of the order that closed it: scopes that one response closed are released
    /// together.
    pub(super) order: u64,
    /// When a hold last began or was prolonged here. Responses to attempts sent before it neither
    /// slow the pace again nor double the hold.
    last_closed: Moment,
    /// The latest grant that was answered: what responses to earlier ones state is outdated.
    latest_answered: u64,
    slowdown: Slowdown,
    /// The pace before the turn that is taken while a grant is tried.
    tried_turn: Option<Checkpoint>,
    granted_turn: Option<GrantedTurn>,
}

#[derive(Debug)]
enum ScopeState {
    Window(WindowLimit),
    Concurrency(ConcurrencyLimit),
    SlowStart(SlowStart),
    Upstream(Box<UpstreamState>),
}

#[derive(Debug)]
struct UpstreamState {
    calls: CoveredCalls,
    temporary_pace: Option<TemporaryPace>,
    sent: PerSecond<u32, BUSIEST_OF_SECONDS>,
    outage_detector: OutageDetector,
    /// The path that failed most when the outage began, or that of the latest failed probe.
    avoided_path: Option<PathId>,
}

/// Which calls of an upstream need a scope of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CoveredCalls {
    All,
    /// Those that are not exempt.
    Counted,
}

/// The latest turn of the pace that was granted. It can be given back until the next one is taken;
/// later ones hide what the pace would be without it, so that it is lost, which is late but safe.
#[derive(Clone, Copy, Debug)]
struct GrantedTurn {
    grant: u64,
    before: Checkpoint,
}

/// The pace as a part of the full one, and since when.
#[derive(Clone, Copy, Debug)]
struct Slowdown {
    sixteenths: u8,
    since: Moment,
}

/// Whether an attempt is the probe of a scope's hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AttemptRole {
    Ordinary,
    Probe,
}

impl Scope {
    /// The scope of an upstream itself.
    pub(super) fn upstream(name: &Arc<str>, calls: CoveredCalls) -> Self {
        let upstream = UpstreamState {
            calls,
            temporary_pace: None,
            sent: PerSecond::default(),
            outage_detector: OutageDetector::default(),
            avoided_path: None,
        };
        Self::new(name, ScopeState::Upstream(Box::new(upstream)), Mode::Enforce)
    }

    /// The scope of an upstream's retries after a hold.
    pub(super) fn slow_start(name: &Arc<str>) -> Self {
        Self::new(name, ScopeState::SlowStart(SlowStart::new()), Mode::Enforce)
    }

    pub(super) fn allowance(allowance: &Allowance) -> Self {
        let linger = allowance.linger;
        let state = match allowance.grant {
            Grant::Concurrency { limit } => {
                ScopeState::Concurrency(ConcurrencyLimit::new(limit, linger))
            }
            Grant::Window { limit, window, spread, .. } => {
                ScopeState::Window(WindowLimit::new(limit, window, spread))
            }
        };
        Self { linger, ..Self::new(&allowance.name, state, allowance.mode) }
    }

    fn new(name: &Arc<str>, state: ScopeState, mode: Mode) -> Self {
        Self {
            name: Arc::clone(name),
            state,
            mode,
            linger: Duration::ZERO,
            hold: None,
            order: 0,
            last_closed: Moment::START,
            latest_answered: 0,
            slowdown: Slowdown { sixteenths: FULL_PACE, since: Moment::START },
            tried_turn: None,
            granted_turn: None,
        }
    }

    /// Whether a waiting call can keep others from going first.
    pub(super) fn is_contended(&self) -> bool {
        match &self.state {
            ScopeState::Window(_) | ScopeState::Concurrency(_) | ScopeState::SlowStart(_) => {
                self.mode == Mode::Enforce
            }
            ScopeState::Upstream(upstream) => {
                upstream.temporary_pace.is_some() || self.hold.is_some()
            }
        }
    }

    pub(super) fn is_enforced_allowance(&self) -> bool {
        let allowance = matches!(self.state, ScopeState::Window(_) | ScopeState::Concurrency(_));
        allowance && self.mode == Mode::Enforce
    }

    pub(super) const fn observes(&self) -> bool {
        matches!(self.mode, Mode::Observe)
    }

    pub(super) const fn slow_start_mut(&mut self) -> Option<&mut SlowStart> {
        match &mut self.state {
            ScopeState::SlowStart(slow_start) => Some(slow_start),
            ScopeState::Window(_) | ScopeState::Concurrency(_) | ScopeState::Upstream(_) => None,
        }
    }

    pub(super) const fn window_mut(&mut self) -> Option<&mut WindowLimit> {
        match &mut self.state {
            ScopeState::Window(window) => Some(window),
            ScopeState::Concurrency(_) | ScopeState::SlowStart(_) | ScopeState::Upstream(_) => None,
        }
    }

    /// The length of its window.
    pub(super) const fn window(&self) -> Option<Duration> {
        match &self.state {
            ScopeState::Window(window) => Some(window.length()),
            ScopeState::Concurrency(_) | ScopeState::SlowStart(_) | ScopeState::Upstream(_) => None,
        }
    }

    /// The configured limit of its window.
    pub(super) const fn configured_limit(&self) -> Option<u32> {
        match &self.state {
            ScopeState::Window(window) => Some(window.configured()),
            ScopeState::Concurrency(_) | ScopeState::SlowStart(_) | ScopeState::Upstream(_) => None,
        }
    }

    /// Whether a slot is free at `now`; if not, when one may be.
    pub(super) fn check_slot(&mut self, now: Moment) -> Result<(), Moment> {
        match &mut self.state {
            ScopeState::Window(window) => window.check_slot(now),
            ScopeState::Concurrency(limit) => limit.check_slot(now),
            ScopeState::SlowStart(slow_start) => slow_start.check_slot(),
            ScopeState::Upstream(_) => Ok(()),
        }
    }

    /// Takes a turn of the pace, if it has one.
    pub(super) fn take_turn(&mut self, now: Moment) -> Result<(), Moment> {
        self.recover(now);
        let (before, taken) = match &self.state {
            ScopeState::Window(window) => match &window.pace {
                Some(pace) => (pace.checkpoint(), pace.take_turn(now)),
                None => return Ok(()),
            },
            ScopeState::Upstream(upstream) => match &upstream.temporary_pace {
                Some(pace) => (pace.checkpoint(), pace.take_turn(now)),
                None => return Ok(()),
            },
            ScopeState::Concurrency(_) | ScopeState::SlowStart(_) => return Ok(()),
        };
        // The pace recovers meanwhile, so the turn may come sooner than it says.
        let recovers = self.slowdown.since.plus(RECOVERY_STEP);
        let slowed = self.slowdown.sixteenths < FULL_PACE;
        taken.map_err(|next| if slowed { next.min(recovers) } else { next })?;
        self.tried_turn = Some(before);
        Ok(())
    }

    /// Gives back the turn that was just taken, because another scope had no slot.
    pub(super) fn give_turn_back(&mut self) {
        if let Some(before) = self.tried_turn.take() {
            self.restore(before);
        }
    }

    /// Takes a slot, and keeps the turn that was taken for it. `check_slot` has found one free,
    /// unless the scope only observes.
    pub(super) fn occupy(&mut self, grant: u64, now: Moment) {
        if let Some(before) = self.tried_turn.take() {
            self.granted_turn = Some(GrantedTurn { grant, before });
        }
        match &mut self.state {
            ScopeState::Window(window) => window.occupy(),
            ScopeState::Concurrency(limit) => limit.occupy(),
            ScopeState::SlowStart(slow_start) => slow_start.occupy(),
            ScopeState::Upstream(upstream) => {
                let sent = upstream.sent.at(now);
                *sent = sent.saturating_add(1);
            }
        }
    }

    /// The attempt was answered at `at`, from which its window runs.
    pub(super) fn settle(&mut self, at: Moment) {
        match &mut self.state {
            ScopeState::Window(window) => window.settle(at),
            ScopeState::SlowStart(slow_start) => slow_start.ended(),
            ScopeState::Concurrency(_) | ScopeState::Upstream(_) => {}
        }
    }

    /// The attempt was given up at `now`: the vendor may count it a little later.
    pub(super) fn settle_given_up(&mut self, now: Moment) {
        self.settle(now.plus(self.linger));
    }

    /// Nothing was sent: the slot is free at once, and its turn too unless the next one was taken.
    pub(super) fn cancel(&mut self, grant: u64) {
        match &mut self.state {
            ScopeState::Window(window) => window.cancel(),
            ScopeState::SlowStart(slow_start) => slow_start.ended(),
            ScopeState::Concurrency(_) | ScopeState::Upstream(_) => {}
        }
        if let Some(turn) = self.granted_turn.take_if(|turn| turn.grant == grant) {
            self.restore(turn.before);
        }
    }

    /// The exchange has ended, its body included.
    pub(super) fn release_permit(&mut self, end: PermitEnd, now: Moment) {
        if let ScopeState::Concurrency(limit) = &mut self.state {
            limit.release(end, now);
        }
    }

    pub(super) fn note_answered(&mut self, grant: u64) {
        self.latest_answered = self.latest_answered.max(grant);
    }

    /// Whether a later grant than this one has been answered already.
    pub(super) const fn is_outdated(&self, grant: u64) -> bool {
        grant < self.latest_answered
    }

    /// When the `position`-th new attempt would start, counted from 1.
    pub(super) fn estimate(&mut self, now: Moment, position: u32) -> Moment {
        if self.mode == Mode::Observe {
            return now;
        }
        let open = self.hold.map_or(now, |hold| hold.until.max(now));
        match &self.state {
            ScopeState::Window(window) => window.estimate(open, position),
            ScopeState::Concurrency(limit) => limit.estimate(open, position),
            ScopeState::SlowStart(_) => open,
            ScopeState::Upstream(upstream) => match &upstream.temporary_pace {
                Some(pace) => pace.estimate(open, position),
                None => open,
            },
        }
    }

    /// Whether nothing would be lost if it were forgotten.
    pub(super) fn is_idle(&mut self, now: Moment) -> bool {
        self.recover(now);
        let unused = match &mut self.state {
            ScopeState::Window(window) => window.is_idle(now),
            ScopeState::Concurrency(limit) => limit.occupied(now) == 0,
            ScopeState::SlowStart(_) => true,
            ScopeState::Upstream(upstream) => upstream.temporary_pace.is_none(),
        };
        unused && self.hold.is_none()
    }

    /// Takes over what was spent, slowed and held in the same scope of another account, which calls
    /// of the same key may have used.
    pub(super) fn inherit(&mut self, from: &Self, now: Moment) {
        match (&mut self.state, &from.state) {
            (ScopeState::Window(own), ScopeState::Window(other)) => own.inherit(other, now),
            (ScopeState::Concurrency(own), ScopeState::Concurrency(other)) => own.inherit(other),
            (ScopeState::Upstream(own), ScopeState::Upstream(other)) => {
                own.temporary_pace = other.temporary_pace.as_ref().map(TemporaryPace::copy);
            }
            (
                ScopeState::Window(_)
                | ScopeState::Concurrency(_)
                | ScopeState::SlowStart(_)
                | ScopeState::Upstream(_),
                _,
            ) => {}
        }
        self.hold = from.hold.map(|hold| Hold { id: 0, probe: ProbeState::Due, ..hold });
        (self.last_closed, self.slowdown) = (from.last_closed, from.slowdown);
    }

    fn restore(&self, checkpoint: Checkpoint) {
        match &self.state {
            ScopeState::Window(window) => {
                window.pace.iter().for_each(|pace| pace.restore(checkpoint));
            }
            ScopeState::Upstream(upstream) => {
                upstream.temporary_pace.iter().for_each(|pace| pace.restore(checkpoint));
            }
            ScopeState::Concurrency(_) | ScopeState::SlowStart(_) => {}
        }
    }

    /// Speeds a slowed pace up by as much as is due.
    fn recover(&mut self, now: Moment) {
        match &mut self.state {
            ScopeState::Window(window) if self.slowdown.sixteenths < FULL_PACE => {
                let steps = now.since(self.slowdown.since).as_nanos() / RECOVERY_STEP.as_nanos();
                let left = FULL_PACE - self.slowdown.sixteenths;
                let steps = u8::try_from(steps).unwrap_or(FULL_PACE).min(left);
                if steps > 0 {
                    self.slowdown.sixteenths += steps;
                    self.slowdown.since =
                        self.slowdown.since.plus(RECOVERY_STEP * u32::from(steps));
                    window.set_speed(self.slowdown.sixteenths, now);
                    self.granted_turn = self.granted_turn.filter(|_| window.pace.is_some());
                }
            }
            // Under a hold no call can be throttled, so that time does not count.
            ScopeState::Upstream(upstream)
                if upstream.temporary_pace.is_some() && self.hold.is_none() =>
            {
                let pace = upstream.temporary_pace.take();
                upstream.temporary_pace = pace.and_then(|pace| pace.recovered(now));
                self.granted_turn = self.granted_turn.filter(|_| upstream.temporary_pace.is_some());
            }
            ScopeState::Window(_)
            | ScopeState::Concurrency(_)
            | ScopeState::SlowStart(_)
            | ScopeState::Upstream(_) => {}
        }
    }
}
