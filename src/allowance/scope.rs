//! One scope of an account: an allowance, or an upstream as such; and everything that can close it.
//!
//! A pure state machine: time and chance are arguments. Refuses to know who waits.

use std::sync::Arc;
use std::time::Duration;

use crate::policy::classify::{HoldCause, HoldOrder, HoldScope, Wait};
use crate::policy::hold::{Circumstances, Hold, OUTAGE_FIRST, Passage, Probe};
use crate::policy::ledger::Ledger;
use crate::policy::pace::{FULL, Mark, Pace, Rate};
use crate::policy::problem::Basis;
use crate::policy::time::Moment;

use super::recent::Recent;
use super::settings::{Allowance, Grant, Mode, Spread};
use super::view::{Binding, HoldView, ScopeKind, ScopeView};

/// A slowed pace recovers by a sixteenth for each of these without a throttle.
const RECOVERY_STEP: Duration = Duration::from_secs(30);

/// An outage is half of at least so many recent attempts failing blindly.
const OUTAGE_ATTEMPTS_MIN: u32 = 20;

/// The window of `Recent`, over which a temporary pace is reckoned.
const RECENT: Duration = Duration::from_secs(10);

/// One thing that calls need, and that can be closed.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) name: Arc<str>,
    kind: Kind,
    mode: Mode,
    pub(super) hold: Option<Hold>,
    /// When a hold last began here: answers to older attempts never slow or double again.
    last_cut: Moment,
    /// The vendor said that nothing remains until then.
    exhausted_until: Moment,
    speed: Speed,
    /// The pace before a turn that is taken while a grant is tried.
    tried: Option<Mark>,
    /// The latest turn that was granted.
    latest: Option<Turn>,
    recent: Recent,
    /// Calls in line for it, by priority.
    pub(super) waiting: [u32; 3],
}

#[derive(Debug)]
enum Kind {
    Window { ledger: Ledger, pace: Option<Pace>, configured: u32, spread: Spread },
    Concurrency { limit: u32, used: u32 },
    Upstream { pace: Option<Pace>, calls: Calls },
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
        Self::new(name, Kind::Upstream { pace: None, calls }, Mode::Enforce)
    }

    /// The scope of an allowance.
    pub(super) fn allowance(allowance: &Allowance) -> Self {
        let kind = match allowance.grant {
            Grant::Concurrency { limit } => Kind::Concurrency { limit, used: 0 },
            Grant::Window { limit, window, spread, .. } => Kind::Window {
                ledger: Ledger::new(limit, window),
                pace: even_pace(limit, window, spread),
                configured: limit,
                spread,
            },
        };
        Self::new(&allowance.name, kind, allowance.mode)
    }

    fn new(name: &Arc<str>, kind: Kind, mode: Mode) -> Self {
        Self {
            name: Arc::clone(name),
            kind,
            mode,
            hold: None,
            last_cut: Moment::START,
            exhausted_until: Moment::START,
            speed: Speed { sixteenths: FULL, since: Moment::START },
            tried: None,
            latest: None,
            recent: Recent::default(),
            waiting: [0; 3],
        }
    }

    /// Whether calls can be in each other's way here.
    pub(super) fn is_contended(&self) -> bool {
        match &self.kind {
            Kind::Window { .. } | Kind::Concurrency { .. } => self.mode == Mode::Enforce,
            Kind::Upstream { pace, .. } => pace.is_some() || self.hold.is_some(),
        }
    }

    /// Whether it is an allowance that holds calls back, so that a hold on it closes something.
    pub(super) fn is_enforced_allowance(&self) -> bool {
        self.mode == Mode::Enforce && !matches!(self.kind, Kind::Upstream { .. })
    }

    pub(super) const fn window(&self) -> Option<Duration> {
        match &self.kind {
            Kind::Window { ledger, .. } => Some(ledger.window()),
            Kind::Concurrency { .. } | Kind::Upstream { .. } => None,
        }
    }

    /// Whether a call may pass its hold at `now`, and in which role.
    pub(super) fn passage(&self, now: Moment) -> Result<Role, Moment> {
        if now < self.exhausted_until && self.mode == Mode::Enforce {
            return Err(self.exhausted_until);
        }
        match self.hold.as_ref().map(|hold| hold.passage(now)) {
            None => Ok(Role::Ordinary),
            Some(Passage::AsProbe) => Ok(Role::Probe),
            Some(Passage::ClosedUntil(until)) => Err(until),
            Some(Passage::AwaitProbe) => Err(Moment::NEVER),
        }
    }

    /// Whether a slot is free at `now`, else when one will be.
    pub(super) fn room(&mut self, now: Moment) -> Result<(), Moment> {
        match &mut self.kind {
            Kind::Window { ledger, .. } => match ledger.free(now) {
                0 => Err(ledger.next_release()),
                _ => Ok(()),
            },
            Kind::Concurrency { limit, used } if *limit <= *used => Err(Moment::NEVER),
            Kind::Concurrency { .. } | Kind::Upstream { .. } => Ok(()),
        }
    }

    /// Takes a turn of the pace, if there is one.
    pub(super) fn take_turn(&mut self, now: Moment) -> Result<(), Moment> {
        self.recover(now);
        let Some(pace) = self.pace() else { return Ok(()) };
        let mark = pace.mark();
        pace.take(now)?;
        self.tried = Some(mark);
        Ok(())
    }

    /// Gives the turn back that was just taken: the grant failed elsewhere.
    pub(super) fn give_turn_back(&mut self) {
        if let Some(before) = self.tried.take()
            && let Some(pace) = self.pace()
        {
            pace.restore(before);
        }
    }

    /// Takes a slot that `room` has promised, or that only observing takes; and keeps the turn.
    pub(super) fn occupy(&mut self, grant: u64, now: Moment) {
        if let Some(before) = self.tried.take() {
            self.latest = Some(Turn { grant, before });
        }
        match &mut self.kind {
            Kind::Window { ledger, .. } => ledger.force(),
            Kind::Concurrency { used, .. } => *used = used.saturating_add(1),
            Kind::Upstream { .. } => self.recent.sent(now),
        }
    }

    pub(super) const fn observes(&self) -> bool {
        matches!(self.mode, Mode::Observe)
    }

    /// The window's part of a slot is over at `at`.
    pub(super) fn settle(&mut self, at: Moment) {
        if let Kind::Window { ledger, .. } = &mut self.kind {
            ledger.settle(at);
        }
    }

    /// Nothing was sent: the slot is free at once, and its turn if nobody took one since.
    pub(super) fn cancel(&mut self, grant: u64) {
        if let Kind::Window { ledger, .. } = &mut self.kind {
            ledger.cancel();
        }
        if let Some(turn) = self.latest.take_if(|turn| turn.grant == grant)
            && let Some(pace) = self.pace()
        {
            pace.restore(turn.before);
        }
    }

    /// The exchange is over, its body included.
    pub(super) const fn leave(&mut self) {
        if let Kind::Concurrency { used, .. } = &mut self.kind {
            *used = used.saturating_sub(1);
        }
    }

    /// Closes it as ordered.
    pub(super) fn strike(&mut self, strike: &Strike<'_>) {
        let Strike { order, sent, role, at } = *strike;
        let at = Circumstances { window: self.window(), ..at };
        match (self.hold, role) {
            // It was served, so the hold is over: the pause is a new one.
            (Some(_), Role::Probe) if order.cause == HoldCause::Pause => {
                self.reopen();
                self.hold = Some(Hold::begin(order, at));
            }
            (Some(hold), Role::Probe) => {
                self.hold = Some(hold.prolonged(order, at));
                self.cut(order, at.now);
            }
            (Some(hold), Role::Ordinary) => self.hold = Some(hold.lengthened(order, at.now)),
            (None, _) if sent < self.last_cut => self.hold = Some(Hold::begin(order, at)),
            (None, _) => {
                self.hold = Some(Hold::begin(order, at));
                self.cut(order, at.now);
            }
        }
    }

    /// A body says more than its head, which closed this scope: it may only lengthen the hold.
    pub(super) fn refine(&mut self, order: &HoldOrder, now: Moment) {
        self.hold = self.hold.map(|hold| hold.lengthened(order, now));
    }

    /// Its probe got no answer.
    pub(super) fn probe_failed(&mut self, at: Circumstances) {
        let at = Circumstances { window: self.window(), ..at };
        self.hold = self.hold.map(|hold| hold.failed(at));
    }

    /// Its probe was not sent after all: the next one may go.
    pub(super) const fn probe_passed_on(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.probe = Probe::Due;
        }
    }

    /// Its probe is on its way.
    pub(super) const fn probe_sent(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.probe = Probe::Sent;
        }
    }

    /// Open again; what failed before the hold no longer counts.
    pub(super) fn reopen(&mut self) {
        self.hold = None;
        self.recent.forget_failures();
    }

    /// An attempt through this upstream failed blindly, or not; enough of them are an outage.
    pub(super) fn judge(&mut self, failed: Blind, at: Circumstances) {
        self.recent.ended(at.now, failed == Blind::Yes);
        if failed == Blind::No {
            return;
        }
        let (ended, failures) = self.recent.ended_and_failed(at.now);
        let outage = OUTAGE_ATTEMPTS_MIN <= ended && ended <= failures.saturating_mul(2);
        if outage && self.hold.is_none() {
            self.hold = Some(Hold::begin(&outage_order(), at));
            self.last_cut = at.now;
        }
    }

    /// The vendor granted less than we believed; more is never believed.
    pub(super) fn lower(&mut self, limit: u32) {
        if let Kind::Window { ledger, pace, spread, .. } = &mut self.kind
            && limit < ledger.limit()
        {
            ledger.lower(limit);
            if let (Some(pace), Spread::Even { burst }) = (pace, *spread) {
                let rate = even_rate(limit, ledger.window(), burst);
                pace.set_rate(rate, self.speed.sixteenths);
            }
        }
    }

    /// The vendor said that nothing remains for so long; at most one window is believed.
    pub(super) fn exhaust(&mut self, span: Duration, now: Moment) {
        let believed = span.min(self.window().unwrap_or(Duration::ZERO));
        self.exhausted_until = self.exhausted_until.max(now.plus(believed));
    }

    /// Whether we thought there was room when the vendor said there was none.
    pub(super) fn believed_room(&mut self, now: Moment) -> bool {
        match &mut self.kind {
            Kind::Window { ledger, .. } => ledger.free(now) > 0,
            Kind::Concurrency { .. } | Kind::Upstream { .. } => false,
        }
    }

    /// When the `position`-th newcomer would start, counted from 1.
    pub(super) fn estimate(&mut self, now: Moment, position: u32) -> Moment {
        if self.mode == Mode::Observe {
            return now;
        }
        let open = self.hold.map_or(now, |hold| hold.until.max(now)).max(self.exhausted_until);
        let ledger = match &mut self.kind {
            Kind::Window { ledger, .. } => ledger.estimate(open, position),
            Kind::Concurrency { .. } | Kind::Upstream { .. } => open,
        };
        let pace = self.pace().map_or(open, |pace| pace.estimate(open, position));
        ledger.max(pace)
    }

    pub(super) fn is_idle(&mut self, now: Moment) -> bool {
        let occupied = match &mut self.kind {
            Kind::Window { ledger, .. } => {
                ledger.free(now);
                ledger.occupied()
            }
            Kind::Concurrency { used, .. } => *used,
            Kind::Upstream { .. } => 0,
        };
        occupied == 0 && self.hold.is_none() && self.waiting == [0; 3]
    }

    pub(super) fn view(&mut self, now: Moment) -> ScopeView {
        let (kind, occupied, release) = match &mut self.kind {
            Kind::Window { ledger, configured, .. } => {
                let free = ledger.free(now);
                let release = if free > 0 { now } else { ledger.next_release() };
                let window = ledger.window();
                let limit = ledger.limit();
                let kind = ScopeKind::Window { limit, configured: *configured, window };
                (kind, ledger.occupied(), release)
            }
            Kind::Concurrency { limit, used } => {
                (ScopeKind::Concurrency { limit: *limit }, *used, now)
            }
            Kind::Upstream { calls: Calls::All, .. } => (ScopeKind::Upstream, 0, now),
            Kind::Upstream { calls: Calls::Counted, .. } => (ScopeKind::Counted, 0, now),
        };
        ScopeView {
            name: Arc::clone(&self.name),
            kind,
            occupied,
            waiting: self.waiting.iter().sum::<u32>() as usize,
            pace_sixteenths: self.speed.sixteenths,
            next_release: if release == Moment::NEVER {
                Duration::ZERO
            } else {
                now.until(release)
            },
            hold: self.hold.map(|hold| HoldView::of(&hold, now)),
            observe: self.observes(),
        }
    }

    /// What it would say in `RateLimit`; what only observes binds nobody.
    pub(super) fn binding(&mut self, now: Moment) -> Option<Binding> {
        if self.observes() {
            return None;
        }
        let Kind::Window { ledger, .. } = &mut self.kind else { return None };
        let remaining = ledger.free(now);
        let release = ledger.next_release();
        let known = release != Moment::NEVER;
        Some(Binding {
            name: Arc::clone(&self.name),
            limit: ledger.limit(),
            window: ledger.window(),
            remaining,
            reset: if known { now.until(release) } else { ledger.window() },
        })
    }

    const fn pace(&self) -> Option<&Pace> {
        match &self.kind {
            Kind::Window { pace, .. } | Kind::Upstream { pace, .. } => pace.as_ref(),
            Kind::Concurrency { .. } => None,
        }
    }

    fn cut(&mut self, order: &HoldOrder, now: Moment) {
        self.last_cut = now;
        if order.slow_sixteenths < FULL {
            let product = u16::from(self.speed.sixteenths) * u16::from(order.slow_sixteenths);
            let slowed = u8::try_from(product / u16::from(FULL)).unwrap_or(FULL).max(1);
            self.speed = Speed { sixteenths: slowed, since: now };
            self.apply_speed(now);
        }
    }

    fn recover(&mut self, now: Moment) {
        if self.speed.sixteenths == FULL {
            return;
        }
        let steps = now.since(self.speed.since).as_nanos() / RECOVERY_STEP.as_nanos();
        if steps > 0 {
            let steps = u8::try_from(steps).unwrap_or(FULL).min(FULL - self.speed.sixteenths);
            self.speed.sixteenths += steps;
            self.speed.since = self.speed.since.plus(RECOVERY_STEP * u32::from(steps));
            self.apply_speed(now);
        }
    }

    /// Sets the pace to the speed; where there is none, a temporary one serves until recovery.
    fn apply_speed(&mut self, now: Moment) {
        let sixteenths = self.speed.sixteenths;
        let (pace, temporary) = match &mut self.kind {
            Kind::Window { ledger, pace, spread: Spread::None, .. } => {
                let rate = Rate { slots: ledger.limit(), over: ledger.window(), burst: 1 };
                (pace, Some(rate))
            }
            Kind::Window { pace, spread: Spread::Even { .. }, .. } => (pace, None),
            Kind::Upstream { pace, .. } => (pace, Some(recent_rate(&self.recent, now, sixteenths))),
            Kind::Concurrency { .. } => return,
        };
        match (&mut *pace, temporary) {
            (Some(_), Some(_)) if sixteenths == FULL => {
                *pace = None;
                self.latest = None;
            }
            (Some(pace), _) => pace.set_speed(sixteenths),
            (None, Some(rate)) if sixteenths < FULL => *pace = Some(Pace::new(rate, sixteenths)),
            (None, _) => {}
        }
    }
}

/// Whether an attempt failed in a way that says nothing but that the upstream is in trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blind {
    /// It did.
    Yes,
    /// It was answered, or failed for a reason of ours.
    No,
}

fn even_pace(limit: u32, window: Duration, spread: Spread) -> Option<Pace> {
    match spread {
        Spread::Even { burst } => Some(Pace::new(even_rate(limit, window, burst), FULL)),
        Spread::None => None,
    }
}

fn even_rate(limit: u32, window: Duration, burst: u32) -> Rate {
    Rate { slots: limit, over: window, burst: burst.min(limit) }
}

/// The rate of the last seconds, and so much that its slowed form is at least one a second.
fn recent_rate(recent: &Recent, now: Moment, sixteenths: u8) -> Rate {
    let seconds = u32::try_from(RECENT.as_secs()).unwrap_or(u32::MAX);
    let least = (seconds * u32::from(FULL)).div_ceil(u32::from(sixteenths.max(1)));
    Rate { slots: recent.sends(now).max(least), over: RECENT, burst: 1 }
}

const fn outage_order() -> HoldOrder {
    HoldOrder {
        scope: HoldScope::Upstream,
        cause: HoldCause::Outage,
        length: Some(Wait { span: OUTAGE_FIRST, basis: Basis::Estimate }),
        at_least: Duration::ZERO,
        slow_sixteenths: FULL,
    }
}
