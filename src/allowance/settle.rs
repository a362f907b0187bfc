//! What became of an attempt, and every conclusion the account draws from it.
//!
//! Pure steps of the state, like those in `state.rs`: slots are settled, and holds begin, go on and
//! end. What the vendor said of its own limits is heeded in `heed.rs`.

use std::sync::Arc;

use crate::allowance::hold::{Circumstances, Hold};
use crate::outcome::{Basis, HoldCause, HoldOrder, HoldScope, LearnedLimit, Standing};
use crate::time::Moment;

use super::concurrency::Leave;
use super::health::Blind;
use super::ramp::Ramp;
use super::scope::{Role, Strike};
use super::slot_request::{Granted, SlotRequest};
use super::state::{State, members};

/// What became of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report<'a> {
    pub(super) fate: AttemptEnd,
    pub(super) blind: Blind,
    pub(super) order: Option<&'a HoldOrder>,
    pub(super) learned: Option<LearnedLimit>,
    pub(super) said: Option<&'a Standing>,
    pub(super) sent: Moment,
    pub(super) now: Moment,
    pub(super) chance: f64,
    /// The scopes that its guard has settled already.
    pub(super) settled: u64,
    /// The scopes that its head has closed already.
    pub(super) closed: u64,
    /// Whether its head was unexpected.
    pub(super) unexpected: bool,
}

impl Report<'_> {
    /// Whether it is an answer that says nothing, as most are: then no hold begins or changes.
    fn is_plain(&self) -> bool {
        self.fate == AttemptEnd::Answered
            && self.blind == Blind::No
            && self.order.is_none()
            && self.learned.is_none()
            && self.said.is_none()
    }
}

/// How an attempt ended, as far as slots go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// Its head arrived.
    Answered,
    /// It was abandoned, or broke: it may be counted a little later, and be worked on for longer.
    Unanswered,
    /// The vendor refused it unprocessed: it may be counted, and is not worked on.
    Refused,
    /// Not a byte of it was sent.
    NotSent,
}

/// What a report led to.
#[derive(Clone, Debug, Default)]
pub struct SettleOutcome {
    /// The end of the hold that now stands on what the attempt needed.
    pub held_until: Option<Moment>,
    /// Who said how long it is.
    pub basis: Option<Basis>,
    /// Probes of that hold that failed in a row.
    pub failures: u32,
    /// The vendor throttled although a configured allowance had room.
    pub unexpected: bool,
    /// When one of the paid allowances has a slot again, if they are exhausted.
    pub release: Option<Moment>,
    /// What happened to the holds on what the attempt needed, scope by scope.
    pub news: Vec<HoldNews>,
    /// Whether anything was closed or lowered.
    closed: bool,
}

/// What an operator wants to hear of the hold on one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldNews {
    /// What happened to it.
    pub event: HoldEvent,
    /// As it stands now, or stood before it ended.
    pub hold: Hold,
    /// The allowance that it closes; `upstream` for all calls of an upstream, `counted_calls` for
    /// those that are not exempt.
    pub scope: Arc<str>,
}

/// What happens to a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldEvent {
    /// It begins.
    Began,
    /// It goes on: its probe failed.
    WentOn,
    /// It has ended: its probe met something open.
    Ended,
}

impl SettleOutcome {
    /// Whether calls that wait may have become hopeless.
    pub(super) const fn closes(&self) -> bool {
        self.closed
    }
}

impl State {
    /// The attempt of a grant is over: settles its slots and draws every conclusion.
    pub(super) fn report(&mut self, granted: &Granted, report: &Report<'_>) -> SettleOutcome {
        let unexpected = report.unexpected || self.is_unexpected(granted, report);
        self.settle(granted, report);
        let upstream = usize::from(granted.want.upstream.all);
        let served = report.order.is_none_or(|order| order.cause == HoldCause::Pause);
        if report.fate == AttemptEnd::Answered && report.blind == Blind::No && served {
            self.scopes[upstream].succeeded(granted.want.path, report.now);
            if granted.want.is_on_ramp() {
                let ramp = self.scopes[usize::from(granted.want.upstream.ramp)].ramp_mut();
                ramp.into_iter().for_each(Ramp::served);
            }
        }
        if report.is_plain() && granted.probes == 0 {
            return SettleOutcome::default();
        }
        let before = self.holds_on(granted.want.scopes);
        let targets = report.order.map_or(0, |order| self.strike(granted, order, report));
        self.conclude_probes(granted, granted.probes & !targets, report);
        let used_up = self.heed(granted, report);
        self.number_holds((targets & !report.closed) | used_up);
        let news = self.news(&before);
        let lowered = report.learned.is_some() || report.said.is_some();
        if targets | used_up != 0 || report.learned.is_some() || !news.is_empty() {
            return SettleOutcome { news, ..self.aftermath(granted, unexpected, report.now) };
        }
        SettleOutcome { closed: lowered, ..SettleOutcome::default() }
    }

    /// A slot that was granted and will not be used.
    pub(super) fn cancel(&mut self, granted: &Granted, now: Moment) {
        for scope in members(granted.want.scopes) {
            self.scopes[scope].cancel(granted.number);
            self.scopes[scope].leave(Leave::Done, now);
        }
        for scope in members(granted.probes) {
            self.scopes[scope].probe_passed_on();
        }
    }

    /// The guard of an attempt has passed: these slots are settled, answer or not.
    pub(super) fn settle_scopes(&mut self, scopes: u64, at: Moment) {
        members(scopes).for_each(|scope| self.scopes[scope].settle(at));
    }

    /// An attempt was given up after bytes of it were written: it counts, and as a probe it has
    /// failed, so that a hold has one probe however many clients leave.
    pub(super) fn abandon(
        &mut self,
        granted: &Granted,
        now: Moment,
        settled: u64,
    ) -> SettleOutcome {
        let before = self.holds_on(granted.probes);
        let open = granted.want.scopes & !settled;
        members(open).for_each(|scope| self.scopes[scope].settle_given_up(now));
        self.leave(granted.want.concurrent, Leave::GivenUp, now);
        let at = Circumstances { now, window: None, chance: 0.0 };
        let path = granted.want.path;
        members(granted.probes).for_each(|scope| self.scopes[scope].probe_failed(path, at));
        SettleOutcome { news: self.news(&before), ..SettleOutcome::default() }
    }

    /// The head of an answer closes what its order names before the body is read. Returns the
    /// scopes that it closed; where the attempt was their probe, the probe has its verdict.
    pub(super) fn close(
        &mut self,
        granted: &mut Granted,
        report: &Report<'_>,
    ) -> (u64, SettleOutcome) {
        let Some(order) = report.order else { return (0, SettleOutcome::default()) };
        let unexpected = self.is_unexpected(granted, report);
        let before = self.holds_on(granted.want.scopes);
        let closed = self.strike(granted, order, report);
        granted.probes &= !closed;
        self.number_holds(closed);
        let news = self.news(&before);
        (closed, SettleOutcome { news, ..self.aftermath(granted, unexpected, report.now) })
    }

    /// A call failed blindly, all its attempts included.
    pub(super) fn call_failed(
        &mut self,
        want: &SlotRequest,
        blind: Blind,
        at: Circumstances,
    ) -> SettleOutcome {
        self.outage(want, |state, upstream| state.scopes[upstream].failed(want.path, blind, at))
    }

    /// The body of an answer to a call broke off.
    pub(super) fn broke(&mut self, want: &SlotRequest, now: Moment) -> SettleOutcome {
        let at = Circumstances { now, window: None, chance: 0.0 };
        self.outage(want, |state, upstream| state.scopes[upstream].broke(want.path, at))
    }

    /// The bodies are over, or given up.
    pub(super) fn leave(&mut self, scopes: u64, how: Leave, now: Moment) {
        for scope in members(scopes) {
            self.scopes[scope].leave(how, now);
        }
    }

    /// What may begin the hold of an outage.
    fn outage(
        &mut self,
        want: &SlotRequest,
        failure: impl FnOnce(&mut Self, usize),
    ) -> SettleOutcome {
        let scope = 1 << want.upstream.all;
        let before = self.holds_on(scope);
        failure(self, usize::from(want.upstream.all));
        let news = self.news(&before);
        if !news.is_empty() {
            self.number_holds(scope);
        }
        SettleOutcome {
            closed: !news.is_empty(),
            news: self.news(&before),
            ..SettleOutcome::default()
        }
    }

    fn settle(&mut self, granted: &Granted, report: &Report<'_>) {
        if report.fate == AttemptEnd::Answered {
            for number in members(granted.want.scopes) {
                let scope = &mut self.scopes[number];
                scope.hear(granted.number);
                if report.settled >> number & 1 == 0 {
                    scope.settle(report.now);
                }
            }
            return;
        }
        for scope in members(granted.want.scopes & !report.settled) {
            match report.fate {
                AttemptEnd::NotSent => self.scopes[scope].cancel(granted.number),
                AttemptEnd::Answered | AttemptEnd::Unanswered | AttemptEnd::Refused => {
                    self.scopes[scope].settle_given_up(report.now);
                }
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
        if targets & !report.closed != 0 {
            self.close_ramp(&granted.want, order, report.sent);
        }
        targets
    }

    /// Retries after the hold begin with one again. Where the vendor turned a call away soon after
    /// its own word was over, those that nobody has paid are not sent on that word any more.
    /// Throttling slows the pace instead, and lets them wait.
    fn close_ramp(&mut self, want: &SlotRequest, order: &HoldOrder, sent: Moment) {
        let ramp = self.scopes[usize::from(want.upstream.ramp)].ramp_mut();
        let early = ramp.is_some_and(|ramp| ramp.close(sent));
        if early && order.cause == HoldCause::Maintenance {
            self.failed_words |= 1 << want.upstream.ramp;
        }
    }

    /// Holds whose probe met something else open; those whose probe met nothing hold again.
    fn conclude_probes(&mut self, granted: &Granted, probes: u64, report: &Report<'_>) {
        for number in members(probes) {
            let at = circumstances(report);
            let scope = &mut self.scopes[number];
            let outage = scope.hold.is_some_and(|hold| hold.cause == HoldCause::Outage);
            let unanswered = report.fate != AttemptEnd::Answered;
            if report.fate == AttemptEnd::NotSent && report.blind == Blind::No {
                // Nothing was asked, for a reason of ours: the next one may.
                scope.probe_passed_on();
            } else if unanswered || (outage && report.blind != Blind::No) {
                scope.probe_failed(granted.want.path, at);
            } else {
                scope.reopen(report.now);
                let ramp = &mut self.scopes[usize::from(granted.want.upstream.ramp)];
                ramp.ramp_mut().into_iter().for_each(|ramp| ramp.reopen(report.now));
            }
        }
    }

    fn targets(&self, want: &SlotRequest, scope: HoldScope) -> u64 {
        let paid = members(want.scopes).filter(|n| self.scopes[*n].is_enforced_allowance());
        let paid: u64 = paid.map(|number| 1_u64 << number).sum();
        let named = |window| -> u64 {
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

    fn aftermath(&mut self, granted: &Granted, unexpected: bool, now: Moment) -> SettleOutcome {
        let longest = self.longest_hold(granted.want.scopes);
        let start = self.estimate(&granted.want, now);
        SettleOutcome {
            held_until: longest.map(|hold| hold.until),
            basis: longest.map(|hold| hold.basis),
            failures: longest.map_or(0, |hold| hold.failures),
            unexpected,
            news: Vec::new(),
            release: (now < start).then_some(start),
            closed: true,
        }
    }

    /// Whether a configured allowance should have prevented this throttle: one that is enforced,
    /// that the vendor means, and that had room. A probe asks in doubt.
    fn is_unexpected(&mut self, granted: &Granted, report: &Report<'_>) -> bool {
        let Some(order) = report.order.filter(|order| order.cause == HoldCause::Throttle) else {
            return false;
        };
        let meant = |window| match order.scope {
            HoldScope::Window(named) => window == named,
            HoldScope::Allowance | HoldScope::Upstream => true,
        };
        let (mut any, mut room) = (false, true);
        for number in members(granted.want.scopes) {
            let scope = &mut self.scopes[number];
            if scope.is_enforced_allowance() && scope.window().is_some_and(meant) {
                any = true;
                room &= scope.believed_room(report.sent, report.now);
            }
        }
        any && room && granted.probes == 0
    }

    fn holds_on(&self, scopes: u64) -> Vec<(usize, Option<Hold>)> {
        members(scopes).map(|number| (number, self.scopes[number].hold)).collect()
    }

    /// Gives new holds their numbers, and those that one answer closed the same order.
    pub(super) fn number_holds(&mut self, closed: u64) {
        if closed == 0 {
            return;
        }
        self.orders += 1;
        for number in members(closed) {
            let scope = &mut self.scopes[number];
            scope.order = self.orders;
            if let Some(hold) = scope.hold.as_mut().filter(|hold| hold.id == 0) {
                self.holds += 1;
                hold.id = self.holds;
            }
        }
    }

    fn news(&self, before: &[(usize, Option<Hold>)]) -> Vec<HoldNews> {
        let news = before.iter().filter_map(|(number, before)| {
            let scope = &self.scopes[*number];
            let (event, hold) = change(*before, scope.hold)?;
            Some(HoldNews { event, hold, scope: scope.label() })
        });
        news.collect()
    }
}

fn change(before: Option<Hold>, after: Option<Hold>) -> Option<(HoldEvent, Hold)> {
    match (before, after) {
        (None, Some(after)) => Some((HoldEvent::Began, after)),
        (Some(before), None) => Some((HoldEvent::Ended, before)),
        (Some(before), Some(after)) if before.failures < after.failures => {
            Some((HoldEvent::WentOn, after))
        }
        (Some(before), Some(after)) if before.id != after.id => Some((HoldEvent::Began, after)),
        (Some(_) | None, _) => None,
    }
}

pub(super) const fn circumstances(report: &Report<'_>) -> Circumstances {
    Circumstances { now: report.now, window: None, chance: report.chance }
}
