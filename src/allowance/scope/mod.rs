//! One scope of an account: an allowance, an upstream itself, or its slow start after a hold.
//!
//! A pure state machine; time and chance are arguments. This file counts and paces; `holds` closes,
//! reopens and slows, `view` shows.

mod change;
mod holds;
mod levers;
mod view;

use std::sync::Arc;
use std::time::Duration;

use super::attempt_history::AttemptHistory;
use super::calendar::WallClock;
use super::charge::{CostClass, Costs, Demand, UsedCosts, saturated};
use super::concurrency_limit::{ConcurrencyLimit, PermitEnd};
use super::hold::{Hold, ProbeState};
use super::ledger::Ledger;
use super::lever::ScopeLevers;
use super::outage_detector::OutageDetector;
use super::pace::Checkpoint;
use super::settings::{Allowance, Grant, Mode};
use super::slot_request::PathId;
use super::slow_start::SlowStart;
use super::temporary_pace::TemporaryPace;
use super::unit_limit::{Turn, UnitLimit};
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
    cost_class: CostClass,
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
    tried_turn: Option<TakenTurn>,
    granted_turn: Option<GrantedTurn>,
    /// Calls that wait for it.
    pub(super) waiting: u32,
    /// What an operator has changed. On the heap, because most scopes have none.
    levers: Option<Box<ScopeLevers>>,
    /// It is no longer configured, and only calls of older configurations use it.
    pub(super) retired: bool,
}

#[derive(Debug)]
enum ScopeState {
    Units(Box<UnitLimit>),
    Concurrency(ConcurrencyLimit),
    SlowStart(SlowStart),
    Upstream(Box<UpstreamState>),
}

#[derive(Debug)]
struct UpstreamState {
    calls: CoveredCalls,
    temporary_pace: Option<TemporaryPace>,
    sent: PerSecond<u32, BUSIEST_OF_SECONDS>,
    /// Kept for all its calls only.
    history: Option<AttemptHistory>,
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
    turn: TakenTurn,
}

/// What gives a turn back.
#[derive(Clone, Copy, Debug)]
enum TakenTurn {
    OfUnits(Turn),
    OfUpstream(Checkpoint),
}

/// The pace as a part of the full one, and since when.
#[derive(Clone, Copy, Debug)]
struct Slowdown {
    sixteenths: u8,
    since: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitingChange {
    Joins,
    Leaves,
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
            history: (calls == CoveredCalls::All).then(AttemptHistory::default),
            outage_detector: OutageDetector::default(),
            avoided_path: None,
        };
        Self::new(name, ScopeState::Upstream(Box::new(upstream)), Mode::Enforce)
    }

    /// The scope of an upstream's retries after a hold.
    pub(super) fn slow_start(name: &Arc<str>) -> Self {
        Self::new(name, ScopeState::SlowStart(SlowStart::new()), Mode::Enforce)
    }

    pub(super) fn allowance(allowance: &Allowance, wall: WallClock) -> Self {
        let (linger, (limit, withheld)) = (allowance.linger, allowance.units());
        let units = |ledger| {
            let limit = UnitLimit::new(ledger, allowance.spread(), withheld);
            ScopeState::Units(Box::new(limit))
        };
        let state = match &allowance.grant {
            Grant::Concurrency { .. } => {
                ScopeState::Concurrency(ConcurrencyLimit::new(limit, linger))
            }
            Grant::Window { window, .. } => units(Ledger::rolling(limit, *window)),
            Grant::Calendar { calendar, .. } => {
                units(Ledger::calendar(limit, calendar.clone(), wall))
            }
            Grant::Bucket { refill, .. } => units(Ledger::bucket(limit, *refill)),
        };
        let cost_class = allowance.cost_class;
        Self { cost_class, linger, ..Self::new(&allowance.name, state, allowance.mode) }
    }

    fn new(name: &Arc<str>, state: ScopeState, mode: Mode) -> Self {
        Self {
            name: Arc::clone(name),
            state,
            mode,
            cost_class: CostClass::CALLS,
            linger: Duration::ZERO,
            hold: None,
            order: 0,
            last_closed: Moment::START,
            latest_answered: 0,
            slowdown: Slowdown { sixteenths: FULL_PACE, since: Moment::START },
            tried_turn: None,
            granted_turn: None,
            waiting: 0,
            levers: None,
            retired: false,
        }
    }

    /// Whether a waiting call can keep others from going first.
    pub(super) fn is_contended(&self) -> bool {
        match &self.state {
            ScopeState::Units(_) | ScopeState::Concurrency(_) | ScopeState::SlowStart(_) => {
                self.mode == Mode::Enforce
            }
            ScopeState::Upstream(upstream) => {
                let paused = self.levers.as_ref().is_some_and(|levers| levers.pause.is_some());
                upstream.temporary_pace.is_some() || self.hold.is_some() || paused
            }
        }
    }

    pub(super) fn is_enforced_allowance(&self) -> bool {
        let allowance = matches!(self.state, ScopeState::Units(_) | ScopeState::Concurrency(_));
        allowance && self.mode == Mode::Enforce
    }

    pub(super) const fn observes(&self) -> bool {
        matches!(self.mode, Mode::Observe)
    }

    pub(super) const fn slow_start_mut(&mut self) -> Option<&mut SlowStart> {
        match &mut self.state {
            ScopeState::SlowStart(slow_start) => Some(slow_start),
            ScopeState::Units(_) | ScopeState::Concurrency(_) | ScopeState::Upstream(_) => None,
        }
    }

    pub(super) fn units_mut(&mut self) -> Option<&mut UnitLimit> {
        match &mut self.state {
            ScopeState::Units(window) => Some(window),
            ScopeState::Concurrency(_) | ScopeState::SlowStart(_) | ScopeState::Upstream(_) => None,
        }
    }

    /// The length of its window.
    pub(super) fn window(&self) -> Option<Duration> {
        match &self.state {
            ScopeState::Units(window) => Some(window.length()),
            ScopeState::Concurrency(_) | ScopeState::SlowStart(_) | ScopeState::Upstream(_) => None,
        }
    }

    /// What the vendor grants in its window.
    pub(super) fn granted(&self) -> Option<u32> {
        match &self.state {
            ScopeState::Units(window) => Some(window.granted()),
            ScopeState::Concurrency(_) | ScopeState::SlowStart(_) | ScopeState::Upstream(_) => None,
        }
    }

    /// How many units a call takes here. Where nothing is counted per window, it is one call.
    pub(super) fn units(&self, costs: Costs) -> u32 {
        match &self.state {
            ScopeState::Units(_) => costs.of(self.cost_class),
            ScopeState::Concurrency(_) | ScopeState::SlowStart(_) | ScopeState::Upstream(_) => 1,
        }
    }

    /// Whether there is room for a call at `now`; if not, when there may be.
    pub(super) fn check_slot(&mut self, now: Moment, costs: Costs) -> Result<(), Moment> {
        let units = self.units(costs);
        match &mut self.state {
            ScopeState::Units(window) => window.check_slot(now, units),
            ScopeState::Concurrency(limit) => limit.check_slot(now),
            ScopeState::SlowStart(slow_start) => slow_start.check_slot(),
            ScopeState::Upstream(_) => Ok(()),
        }
    }

    /// Takes a turn of the pace, if it has one.
    pub(super) fn take_turn(&mut self, now: Moment, costs: Costs) -> Result<(), Moment> {
        self.recover(now);
        let units = self.units(costs);
        let taken = match &mut self.state {
            ScopeState::Units(window) => window.take_turn(now, units).map(TakenTurn::OfUnits),
            ScopeState::Upstream(upstream) => match &upstream.temporary_pace {
                Some(pace) => {
                    let before = TakenTurn::OfUpstream(pace.checkpoint());
                    pace.take_turn(now).map(|()| before)
                }
                None => return Ok(()),
            },
            ScopeState::Concurrency(_) | ScopeState::SlowStart(_) => return Ok(()),
        };
        // The pace recovers meanwhile, so the turn may come sooner than it says.
        let recovers = self.slowdown.since.plus(RECOVERY_STEP);
        let slowed = self.slowdown.sixteenths < FULL_PACE;
        let turn = taken.map_err(|next| if slowed { next.min(recovers) } else { next })?;
        self.tried_turn = Some(turn);
        Ok(())
    }

    /// Gives back the turn that was just taken, because another scope had no slot.
    pub(super) fn give_turn_back(&mut self) {
        if let Some(turn) = self.tried_turn.take() {
            self.restore(turn);
        }
    }

    /// Takes a slot, and keeps the turn that was taken for it. `check_slot` has found one free,
    /// unless the scope only observes. Returns by when the attempt has to start.
    pub(super) fn occupy(&mut self, grant: u64, costs: Costs, now: Moment) -> Moment {
        if let Some(turn) = self.tried_turn.take() {
            self.granted_turn = Some(GrantedTurn { grant, turn });
        }
        let units = self.units(costs);
        match &mut self.state {
            ScopeState::Units(window) => return window.occupy(grant, units, now),
            ScopeState::Concurrency(limit) => limit.occupy(),
            ScopeState::SlowStart(slow_start) => slow_start.occupy(),
            ScopeState::Upstream(upstream) => {
                let sent = upstream.sent.at(now);
                *sent = sent.saturating_add(1);
                if let Some(history) = &mut upstream.history {
                    history.began();
                }
            }
        }
        Moment::NEVER
    }

    /// The attempt of a grant was answered at `at`, from which its window runs.
    pub(super) fn settle(&mut self, grant: u64, at: Moment, costs: Costs, used: UsedCosts) {
        let class = self.cost_class;
        match &mut self.state {
            ScopeState::Units(window) => {
                window.settle(grant, at, used.charge(class, costs.of(class)));
            }
            ScopeState::SlowStart(slow_start) => slow_start.ended(),
            ScopeState::Upstream(upstream) => {
                if let Some(history) = &mut upstream.history {
                    history.ended(at);
                }
            }
            ScopeState::Concurrency(_) => {}
        }
    }

    /// The attempt was given up at `now`: the vendor may count it a little later.
    pub(super) fn settle_given_up(
        &mut self,
        grant: u64,
        now: Moment,
        costs: Costs,
        used: UsedCosts,
    ) {
        self.settle(grant, now.plus(self.linger), costs, used);
    }

    /// Nothing was sent: the slot is free at once, and its turn too unless the next one was taken.
    pub(super) fn cancel(&mut self, grant: u64, costs: Costs) {
        let units = self.units(costs);
        match &mut self.state {
            ScopeState::Units(window) => window.cancel(grant, units),
            ScopeState::SlowStart(slow_start) => slow_start.ended(),
            ScopeState::Upstream(upstream) => {
                if let Some(history) = &mut upstream.history {
                    history.was_not_sent();
                }
            }
            ScopeState::Concurrency(_) => {}
        }
        if let Some(granted) = self.granted_turn.take_if(|granted| granted.grant == grant) {
            self.restore(granted.turn);
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

    /// All calls cease to wait for it.
    pub(super) const fn clear_waiting(&mut self) {
        self.waiting = 0;
    }

    /// A call begins or ceases to wait for it.
    pub(super) const fn adjust_waiting(&mut self, by: WaitingChange) {
        self.waiting = match by {
            WaitingChange::Joins => self.waiting.saturating_add(1),
            WaitingChange::Leaves => self.waiting.saturating_sub(1),
        };
    }

    /// When a call would start behind others that cost `ahead`.
    pub(super) fn estimate(&mut self, now: Moment, ahead: Demand, costs: Costs) -> Moment {
        let resumed = self.paused_until(now).unwrap_or(now);
        if self.mode == Mode::Observe || resumed == Moment::NEVER {
            return resumed;
        }
        let open = self.hold.map_or(resumed, |hold| hold.until.max(resumed));
        let position = saturated(ahead.calls()).saturating_add(1);
        match &self.state {
            ScopeState::Units(window) => {
                window.estimate(open, ahead.of(self.cost_class), self.units(costs))
            }
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
            ScopeState::Units(window) => window.is_idle(now),
            ScopeState::Concurrency(limit) => limit.occupied(now) == 0,
            ScopeState::SlowStart(_) => true,
            ScopeState::Upstream(upstream) => upstream.temporary_pace.is_none(),
        };
        unused && self.hold.is_none() && self.has_no_levers(now)
    }

    /// Takes over what was spent, slowed and held in the same scope of another account, which calls
    /// of the same key may have used.
    pub(super) fn inherit(&mut self, from: &Self, now: Moment) {
        match (&mut self.state, &from.state) {
            (ScopeState::Units(own), ScopeState::Units(other)) => own.inherit(other, now),
            (ScopeState::Concurrency(own), ScopeState::Concurrency(other)) => own.inherit(other),
            (ScopeState::Upstream(own), ScopeState::Upstream(other)) => {
                own.temporary_pace = other.temporary_pace.as_ref().map(TemporaryPace::copy);
                if let (Some(own), Some(other)) = (&mut own.history, &other.history) {
                    own.inherit(other);
                }
            }
            (
                ScopeState::Units(_)
                | ScopeState::Concurrency(_)
                | ScopeState::SlowStart(_)
                | ScopeState::Upstream(_),
                _,
            ) => {}
        }
        self.hold = from.hold.map(|hold| Hold { id: 0, probe: ProbeState::Due, ..hold });
        (self.last_closed, self.slowdown) = (from.last_closed, from.slowdown);
        self.take_levers_of(from, now);
    }

    fn restore(&mut self, turn: TakenTurn) {
        match (&mut self.state, turn) {
            (ScopeState::Units(window), TakenTurn::OfUnits(turn)) => window.give_back(turn),
            (ScopeState::Upstream(upstream), TakenTurn::OfUpstream(before)) => {
                upstream.temporary_pace.iter().for_each(|pace| pace.restore(before));
            }
            (
                ScopeState::Units(_)
                | ScopeState::Concurrency(_)
                | ScopeState::SlowStart(_)
                | ScopeState::Upstream(_),
                TakenTurn::OfUnits(_) | TakenTurn::OfUpstream(_),
            ) => {}
        }
    }

    /// Speeds a slowed pace up by as much as is due.
    fn recover(&mut self, now: Moment) {
        match &mut self.state {
            ScopeState::Units(window) if self.slowdown.sixteenths < FULL_PACE => {
                let steps = now.since(self.slowdown.since).as_nanos() / RECOVERY_STEP.as_nanos();
                let left = FULL_PACE - self.slowdown.sixteenths;
                let steps = u8::try_from(steps).unwrap_or(FULL_PACE).min(left);
                if steps > 0 {
                    self.slowdown.sixteenths += steps;
                    self.slowdown.since =
                        self.slowdown.since.plus(RECOVERY_STEP * u32::from(steps));
                    window.set_speed(self.slowdown.sixteenths, now);
                    if window.pace.is_none() {
                        self.granted_turn = None;
                    }
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
            ScopeState::Units(_)
            | ScopeState::Concurrency(_)
            | ScopeState::SlowStart(_)
            | ScopeState::Upstream(_) => {}
        }
    }
}
