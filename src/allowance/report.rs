//! What became of an attempt, and every conclusion the account draws from it.
//!
//! Pure steps of the state, like those in `state.rs`: slots are settled, holds begin, go on and
//! end, and what the vendor said of its own limits lowers what we believe.

use std::time::Duration;

use crate::policy::classify::{HoldCause, HoldOrder, HoldScope, Learned};
use crate::policy::hold::{Circumstances, Hold};
use crate::policy::problem::Basis;
use crate::policy::time::Moment;

use super::scope::{Blind, Role, Strike};
use super::state::{State, members};
use super::want::{Granted, Want};

/// What became of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report<'a> {
    pub(super) fate: Fate,
    pub(super) blind: Blind,
    pub(super) order: Option<&'a HoldOrder>,
    pub(super) learned: Option<Learned>,
    pub(super) exhausted_for: Option<Duration>,
    pub(super) sent: Moment,
    pub(super) now: Moment,
    pub(super) chance: f64,
    /// The scopes that its guard has settled already.
    pub(super) settled: u64,
    /// The scopes that its head has closed already.
    pub(super) closed: u64,
}

impl Report<'_> {
    /// Whether it is an answer that says nothing, as most are: then no hold begins or changes.
    fn is_plain(&self) -> bool {
        self.fate == Fate::Answered
            && self.blind == Blind::No
            && self.order.is_none()
            && self.learned.is_none()
            && self.exhausted_for.is_none()
    }
}

/// How an attempt ended, as far as slots go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its head arrived.
    Answered,
    /// It was abandoned, or broke: it may be counted a little later.
    Unanswered,
    /// Not a byte of it was sent.
    NotSent,
}

/// A vendor may count an attempt this long after we abandoned it.
pub const LINGER: Duration = Duration::from_secs(1);

/// What a report led to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Aftermath {
    /// The end of the hold that now stands on what the attempt needed.
    pub held_until: Option<Moment>,
    /// Who said how long it is.
    pub basis: Option<Basis>,
    /// Probes of that hold that failed in a row.
    pub failures: u32,
    /// The vendor throttled although we thought there was room.
    pub unexpected: bool,
    /// When one of the paid allowances has a slot again, if they are exhausted.
    pub release: Option<Moment>,
    /// What happened to the holds on what the attempt needed.
    pub news: Option<HoldNews>,
    /// Whether anything was closed or lowered.
    closed: bool,
}

/// What an operator wants to hear of holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldNews {
    /// One begins.
    Began(Hold),
    /// One goes on: its probe failed.
    WentOn(Hold),
    /// One has ended: its probe met something open.
    Ended(Hold),
}

impl Aftermath {
    /// Whether calls that wait may have become hopeless.
    pub(super) const fn closes(&self) -> bool {
        self.closed
    }
}

impl State {
    /// The attempt of a grant is over: settles its slots and draws every conclusion.
    pub(super) fn report(&mut self, granted: &Granted, report: &Report<'_>) -> Aftermath {
        let believed_room = report.order.is_some_and(|order| order.cause == HoldCause::Throttle)
            && self.believed_room(granted, report.now);
        self.settle(granted, report);
        if report.is_plain() && granted.probes == 0 {
            let upstream = usize::from(granted.want.upstream.all);
            self.scopes[upstream].judge(Blind::No, circumstances(report));
            return Aftermath::default();
        }
        let before = self.longest_hold(granted.want.scopes);
        let upstream = granted.want.upstream.all;
        if report.fate != Fate::NotSent || report.blind == Blind::Yes {
            self.scopes[usize::from(upstream)].judge(report.blind, circumstances(report));
        }
        let targets = report.order.map_or(0, |order| self.strike(granted, order, report));
        self.conclude_probes(granted.probes & !targets, report);
        if targets != 0 || report.blind == Blind::Yes {
            self.number_holds();
        }
        self.believe(granted, report);
        let news = news(before, self.longest_hold(granted.want.scopes));
        let lowered = report.learned.is_some() || report.exhausted_for.is_some();
        if targets != 0 || lowered || news.is_some() {
            return Aftermath { news, ..self.aftermath(granted, believed_room, report.now) };
        }
        Aftermath::default()
    }

    /// A slot that was granted and will not be used.
    pub(super) fn cancel(&mut self, granted: &Granted) {
        for scope in members(granted.want.scopes) {
            self.scopes[scope].cancel(granted.number);
            self.scopes[scope].leave();
        }
        for scope in members(granted.probes) {
            self.scopes[scope].probe_passed_on();
        }
    }

    /// The guard of an attempt has passed: these slots are settled, answer or not.
    pub(super) fn settle_scopes(&mut self, scopes: u64, at: Moment) {
        members(scopes).for_each(|scope| self.scopes[scope].settle(at));
    }

    /// An attempt was given up half-way, bytes of it written: it counts, and what it was to probe
    /// has not answered. Whoever leaves, a hold has one probe.
    pub(super) fn abandon(&mut self, granted: &Granted, now: Moment, settled: u64) {
        self.settle_scopes(granted.want.scopes & !settled, now.plus(LINGER));
        self.leave(granted.want.concurrent);
        let at = Circumstances { now, window: None, chance: 0.0 };
        members(granted.probes).for_each(|scope| self.scopes[scope].probe_failed(at));
    }

    /// The head of an answer closes what its order names before the body is read; the scopes that
    /// it closed. What they were probed by has its verdict.
    pub(super) fn close(&mut self, granted: &mut Granted, report: &Report<'_>) -> (u64, Aftermath) {
        let Some(order) = report.order else { return (0, Aftermath::default()) };
        let before = self.longest_hold(granted.want.scopes);
        let closed = self.strike(granted, order, report);
        granted.probes &= !closed;
        self.number_holds();
        let news = news(before, self.longest_hold(granted.want.scopes));
        (closed, Aftermath { news, ..self.aftermath(granted, false, report.now) })
    }

    /// The body of an answer through this upstream broke off.
    pub(super) fn broke(&mut self, upstream: u8, now: Moment) {
        let at = Circumstances { now, window: None, chance: 0.0 };
        self.scopes[usize::from(upstream)].judge(Blind::Yes, at);
        self.number_holds();
    }

    /// The bodies are over.
    pub(super) fn leave(&mut self, scopes: u64) {
        for scope in members(scopes) {
            self.scopes[scope].leave();
        }
    }

    fn settle(&mut self, granted: &Granted, report: &Report<'_>) {
        for scope in members(granted.want.scopes & !report.settled) {
            match report.fate {
                Fate::Answered => self.scopes[scope].settle(report.now),
                Fate::Unanswered => self.scopes[scope].settle(report.now.plus(LINGER)),
                Fate::NotSent => self.scopes[scope].cancel(granted.number),
            }
        }
    }

    /// Closes what the order names; the scopes it closed.
    fn strike(&mut self, granted: &Granted, order: &HoldOrder, report: &Report<'_>) -> u64 {
        let targets = self.targets(&granted.want, order.scope);
        for scope in members(targets & report.closed) {
            self.scopes[scope].refine(order, report.now);
        }
        for scope in members(targets & !report.closed) {
            let role = if granted.probes >> scope & 1 == 1 { Role::Probe } else { Role::Ordinary };
            let at = circumstances(report);
            self.scopes[scope].strike(&Strike { order, sent: report.sent, role, at });
        }
        targets
    }

    /// Holds whose probe met something else open; those whose probe met nothing hold again.
    fn conclude_probes(&mut self, probes: u64, report: &Report<'_>) {
        for number in members(probes) {
            let at = circumstances(report);
            let scope = &mut self.scopes[number];
            let outage = scope.hold.is_some_and(|hold| hold.cause == HoldCause::Outage);
            let unanswered = report.fate != Fate::Answered;
            if report.fate == Fate::NotSent && report.blind == Blind::No {
                // Nothing was asked, for a reason of ours: the next one may.
                scope.probe_passed_on();
            } else if unanswered || (outage && report.blind == Blind::Yes) {
                scope.probe_failed(at);
            } else {
                scope.reopen();
            }
        }
    }

    /// What the vendor said of its own limits: it only ever lowers what we believe.
    fn believe(&mut self, granted: &Granted, report: &Report<'_>) {
        if report.learned.is_none() && report.exhausted_for.is_none() {
            return;
        }
        let windows = members(granted.want.scopes);
        for number in windows {
            let scope = &mut self.scopes[number];
            if let Some(learned) = report.learned
                && scope.window() == Some(learned.window)
            {
                scope.lower(learned.limit);
            }
            if let Some(span) = report.exhausted_for
                && scope.is_enforced_allowance()
            {
                scope.exhaust(span, report.now);
            }
        }
    }

    fn targets(&self, want: &Want, scope: HoldScope) -> u64 {
        let paid = members(want.scopes).filter(|n| self.scopes[*n].is_enforced_allowance());
        let paid: u64 = paid.map(|number| 1_u64 << number).sum();
        let named = |window: Duration| -> u64 {
            let same = members(paid).filter(|number| self.scopes[*number].window() == Some(window));
            same.map(|number| 1_u64 << number).sum()
        };
        let counted = 1_u64 << want.upstream.counted;
        match scope {
            HoldScope::Upstream => 1 << want.upstream.all,
            HoldScope::Window(window) if named(window) != 0 => named(window),
            HoldScope::Window(_) | HoldScope::Allowance if paid != 0 => paid,
            HoldScope::Window(_) | HoldScope::Allowance => counted,
        }
    }

    fn aftermath(&mut self, granted: &Granted, believed_room: bool, now: Moment) -> Aftermath {
        let longest = self.longest_hold(granted.want.scopes);
        let start = self.estimate(&granted.want, now);
        Aftermath {
            held_until: longest.map(|hold| hold.until),
            basis: longest.map(|hold| hold.basis),
            failures: longest.map_or(0, |hold| hold.failures),
            unexpected: believed_room,
            news: None,
            release: (now < start).then_some(start),
            closed: true,
        }
    }

    fn believed_room(&mut self, granted: &Granted, now: Moment) -> bool {
        let mut counted = members(granted.want.scopes)
            .filter(|number| self.scopes[*number].window().is_some())
            .collect::<Vec<_>>();
        !counted.is_empty()
            && counted.drain(..).all(|number| self.scopes[number].believed_room(now))
    }

    /// Gives new holds their numbers.
    fn number_holds(&mut self) {
        for hold in self.scopes.iter_mut().filter_map(|scope| scope.hold.as_mut()) {
            if hold.id == 0 {
                self.holds += 1;
                hold.id = self.holds;
            }
        }
    }
}

fn news(before: Option<Hold>, after: Option<Hold>) -> Option<HoldNews> {
    match (before, after) {
        (None, Some(after)) => Some(HoldNews::Began(after)),
        (Some(before), None) => Some(HoldNews::Ended(before)),
        (Some(before), Some(after)) if before.failures < after.failures => {
            Some(HoldNews::WentOn(after))
        }
        (Some(before), Some(after)) if before.id != after.id => Some(HoldNews::Began(after)),
        (Some(_) | None, _) => None,
    }
}

const fn circumstances(report: &Report<'_>) -> Circumstances {
    Circumstances { now: report.now, window: None, chance: report.chance }
}
