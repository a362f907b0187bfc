//! A hold: a scope that is closed until a moment, and the one probe that reopens it.
//!
//! Throttling, maintenance, outages and pauses all use it. Until it ends, no call that needs the
//! scope is sent; then one probe goes, and what happens to it prolongs the hold or reopens the
//! scope. Which call becomes the probe is decided by the account's state.

use std::time::Duration;

use crate::outcome::{Basis, FULL_PACE, HOLD_MIN, HoldCause, HoldOrder, HoldScope, Wait};
use crate::time::{Moment, with_jitter};

/// The first hold of an order without a length.
const FIRST: Duration = Duration::from_secs(1);

/// From this failed probe in a row on, a hold is at least twice as long as the one before, even if
/// the vendor states less: twice its statement may have been slightly short, three times it is
/// wrong.
const DISTRUSTED_FROM: u32 = 3;

/// The longest hold that doubling leads to, for a scope without a window.
const DOUBLED_MAX: Duration = Duration::from_secs(15 * 60);

/// The first hold of an outage, which doubles up to `OUTAGE_MAX`: long enough to spare a vendor in
/// trouble, short enough to notice soon that one was restarted by hand.
pub(super) const OUTAGE_FIRST: Duration = Duration::from_secs(5);

const OUTAGE_MAX: Duration = Duration::from_secs(60);

/// A scope that is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// By this id an operator can release it; zero until it has one.
    pub id: u64,
    pub cause: HoldCause,
    /// When the probe may go.
    pub until: Moment,
    /// Its length before jitter.
    pub length: Duration,
    /// Where the length comes from.
    pub basis: Basis,
    /// Probes that failed in a row.
    pub failed_probes: u32,
    pub probe: ProbeState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeState {
    /// It has not been sent.
    Due,
    Sent,
}

/// What a hold means for a call that needs its scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HoldStatus {
    ClosedUntil(Moment),
    /// The call may go as the probe.
    ProbeDue,
    ProbeUnderWay,
}

/// What the length of a hold depends on besides its order.
#[derive(Clone, Copy, Debug)]
pub(super) struct HoldContext {
    pub(super) now: Moment,
    /// The window of the scope, which bounds doubling; the scope fills it in.
    pub(super) window: Option<Duration>,
    /// A random number in 0..1.
    pub(super) chance: f64,
}

impl HoldContext {
    pub(super) const fn new(now: Moment, chance: f64) -> Self {
        Self { now, window: None, chance }
    }
}

impl Hold {
    /// The hold that an order begins on an open scope.
    #[must_use]
    pub(super) fn begin(order: &HoldOrder, context: HoldContext) -> Self {
        let length = order.length.map_or(FIRST, |wait| wait.span);
        let length = length.max(order.at_least).max(shortest(order));
        Self {
            id: 0,
            cause: order.cause,
            until: context.now.plus(with_jitter(length, context.chance)),
            length,
            basis: basis(length, order),
            failed_probes: 0,
            probe: ProbeState::Due,
        }
    }

    /// The hold after its probe led to the same order again.
    #[must_use]
    pub(super) fn prolonged(self, order: &HoldOrder, context: HoldContext) -> Self {
        let length = self.next_length(order, context.window);
        let length = length.max(order.at_least).max(shortest(order));
        Self {
            cause: order.cause,
            until: context.now.plus(with_jitter(length, context.chance)),
            length,
            basis: basis(length, order),
            failed_probes: self.failed_probes.saturating_add(1),
            probe: ProbeState::Due,
            ..self
        }
    }

    /// The hold after its probe failed without a response.
    #[must_use]
    pub(super) fn after_failed_probe(self, context: HoldContext) -> Self {
        let length = match self.cause {
            HoldCause::Maintenance => Some(Wait { span: self.length, basis: self.basis }),
            HoldCause::Throttle | HoldCause::Outage | HoldCause::Pause => None,
        };
        let order = HoldOrder {
            scope: HoldScope::Upstream,
            cause: self.cause,
            length,
            at_least: Duration::ZERO,
            slow_sixteenths: FULL_PACE,
        };
        self.prolonged(&order, context)
    }

    /// The hold after a response to an attempt that was sent before it began. It may become
    /// longer, but never shorter, and is not doubled.
    #[must_use]
    pub(super) fn extended(self, order: &HoldOrder, now: Moment) -> Self {
        let length = order.length.map_or(Duration::ZERO, |wait| wait.span).max(order.at_least);
        let until = now.plus(length);
        if until <= self.until {
            return self;
        }
        Self { until, length, basis: basis(length, order), ..self }
    }

    #[must_use]
    pub(super) fn status(&self, now: Moment) -> HoldStatus {
        match self.probe {
            ProbeState::Sent => HoldStatus::ProbeUnderWay,
            ProbeState::Due if now < self.until => HoldStatus::ClosedUntil(self.until),
            ProbeState::Due => HoldStatus::ProbeDue,
        }
    }

    /// The length after a failed probe: what the vendor states each time. Throttling without a
    /// statement doubles, because the dialect's wait has just proved too short. After several
    /// failures the vendor's statement is distrusted as well, but not a maintenance documented in
    /// the dialect, nor a pause.
    fn next_length(&self, order: &HoldOrder, window: Option<Duration>) -> Duration {
        let stated = order.length.map(|wait| wait.span);
        let basis = order.length.map(|wait| wait.basis);
        let doubled = |most: Duration| (self.length * 2).min(most.max(self.length));
        let by_window = doubled(window.unwrap_or(DOUBLED_MAX));
        let documented = basis == Some(Basis::Dialect);
        let trusted = self.failed_probes.saturating_add(1) < DISTRUSTED_FROM;
        match order.cause {
            HoldCause::Outage => doubled(OUTAGE_MAX),
            HoldCause::Maintenance if trusted || documented => stated.unwrap_or(self.length),
            HoldCause::Throttle if trusted && basis == Some(Basis::Upstream) => {
                stated.unwrap_or(self.length)
            }
            HoldCause::Pause => stated.unwrap_or(self.length),
            HoldCause::Maintenance | HoldCause::Throttle => {
                stated.unwrap_or_default().max(by_window)
            }
        }
    }
}

/// Only a length documented in the dialect may be below the general minimum.
fn shortest(order: &HoldOrder) -> Duration {
    match order.length {
        Some(Wait { span, basis: Basis::Dialect }) if !span.is_zero() => Duration::ZERO,
        Some(_) | None => HOLD_MIN,
    }
}

/// Where a length comes from: from the order if it names just this length, else it is ours.
fn basis(length: Duration, order: &HoldOrder) -> Basis {
    match order.length {
        Some(wait) if wait.span == length => wait.basis,
        Some(_) | None if order.at_least == length => Basis::Dialect,
        Some(_) | None => Basis::Estimate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(cause: HoldCause, seconds: Option<u64>, basis: Basis) -> HoldOrder {
        let length = seconds.map(|s| Wait { span: Duration::from_secs(s), basis });
        HoldOrder {
            scope: HoldScope::Upstream,
            cause,
            length,
            at_least: Duration::ZERO,
            slow_sixteenths: 8,
        }
    }

    fn at(second: u64) -> HoldContext {
        let now = Moment::from_millis(second * 1000);
        HoldContext { now, window: Some(Duration::from_secs(60)), chance: 0.0 }
    }

    fn seconds(hold: Hold) -> u64 {
        hold.length.as_secs()
    }

    #[test]
    fn maintenance_is_prolonged_by_the_same_length_each_time() {
        let order = order(HoldCause::Maintenance, Some(300), Basis::Dialect);
        let hold = Hold::begin(&order, at(0));
        assert_eq!(hold.until, Moment::from_millis(300_000));
        let again = hold.prolonged(&order, at(301));
        assert_eq!((seconds(again), again.failed_probes, again.id), (300, 1, 0));
        assert_eq!(seconds(hold.after_failed_probe(at(301))), 300);
    }

    #[test]
    fn throttling_without_a_stated_wait_doubles_up_to_the_window() {
        let unstated = order(HoldCause::Throttle, None, Basis::Estimate);
        let mut hold = Hold::begin(&unstated, at(0));
        let mut lengths = vec![seconds(hold)];
        for _ in 0..7 {
            hold = hold.prolonged(&unstated, at(0));
            lengths.push(seconds(hold));
        }
        assert_eq!(lengths, [1, 2, 4, 8, 16, 32, 60, 60]);
        let documented = order(HoldCause::Throttle, Some(10), Basis::Dialect);
        assert_eq!(seconds(Hold::begin(&documented, at(0)).prolonged(&documented, at(10))), 20);
        let stated = order(HoldCause::Throttle, Some(90), Basis::Upstream);
        assert_eq!(seconds(Hold::begin(&stated, at(0)).prolonged(&stated, at(90))), 90);
    }

    #[test]
    fn no_hold_is_shorter_than_a_second() {
        for cause in HoldCause::ALL {
            let mut short = order(cause, None, Basis::Upstream);
            short.length = Some(Wait { span: Duration::from_millis(200), basis: Basis::Upstream });
            let hold = Hold::begin(&short, at(0));
            assert_eq!(hold.length, HOLD_MIN, "{cause:?}");
            assert!(HOLD_MIN <= hold.prolonged(&short, at(1)).length, "{cause:?}");
            short.length = Some(Wait { span: Duration::ZERO, basis: Basis::Dialect });
            assert_eq!(Hold::begin(&short, at(0)).length, HOLD_MIN, "{cause:?}");
        }
    }

    #[test]
    fn a_stated_wait_is_distrusted_after_three_failed_probes() {
        let rows = [
            (HoldCause::Throttle, Basis::Upstream, [2, 2, 2, 4, 8, 16, 32, 60, 60]),
            (HoldCause::Maintenance, Basis::Upstream, [2, 2, 2, 4, 8, 16, 32, 60, 60]),
            (HoldCause::Maintenance, Basis::Dialect, [2; 9]),
            (HoldCause::Pause, Basis::Upstream, [2; 9]),
        ];
        for (cause, basis, expected) in rows {
            let order = order(cause, Some(2), basis);
            let next = |hold: &Hold| Some(hold.prolonged(&order, at(0)));
            let first = Hold::begin(&order, at(0));
            let lengths: Vec<_> =
                std::iter::successors(Some(first), next).take(9).map(seconds).collect();
            assert_eq!(lengths, expected, "{cause:?} {basis:?}");
        }
        let order = order(HoldCause::Throttle, Some(2), Basis::Upstream);
        let thrice = Hold { failed_probes: 2, ..Hold::begin(&order, at(0)) };
        let long = HoldOrder { length: Some(Wait { span: LONG, basis: Basis::Upstream }), ..order };
        assert_eq!(
            thrice.prolonged(&long, at(0)).length,
            LONG,
            "a longer wait that is newly stated is kept"
        );
    }

    const LONG: Duration = Duration::from_secs(3_000);

    #[test]
    fn a_stated_wait_below_the_minimum_of_the_dialect_is_raised_to_it() {
        let mut stated = order(HoldCause::Throttle, Some(2), Basis::Upstream);
        stated.at_least = Duration::from_secs(10);
        assert_eq!(seconds(Hold::begin(&stated, at(0))), 10);
        assert_eq!(seconds(Hold::begin(&stated, at(0)).prolonged(&stated, at(0))), 10);
    }

    #[test]
    fn the_basis_of_a_length_is_who_named_just_that_length() {
        let begun = |order: &HoldOrder| Hold::begin(order, at(0)).basis;
        let mut hinted = order(HoldCause::Throttle, Some(20), Basis::Upstream);
        hinted.at_least = Duration::from_secs(10);
        assert_eq!(begun(&hinted), Basis::Upstream);
        hinted.length = order(HoldCause::Throttle, Some(2), Basis::Upstream).length;
        assert_eq!(begun(&hinted), Basis::Dialect, "the minimum is the dialect's");
        hinted.length = None;
        assert_eq!(begun(&hinted), Basis::Dialect);
        let doubled = Hold::begin(&hinted, at(0)).prolonged(&hinted, at(10));
        assert_eq!((seconds(doubled), doubled.basis), (20, Basis::Estimate));
        let maintenance = order(HoldCause::Maintenance, Some(120), Basis::Upstream);
        assert_eq!(
            Hold::begin(&maintenance, at(0)).after_failed_probe(at(120)).basis,
            Basis::Upstream
        );
    }

    #[test]
    fn a_late_response_extends_a_hold_and_never_doubles_it() {
        let hold = Hold::begin(&order(HoldCause::Throttle, Some(10), Basis::Dialect), at(0));
        let same = hold.extended(&order(HoldCause::Throttle, Some(9), Basis::Dialect), at(0).now);
        assert_eq!(same, hold);
        let order = order(HoldCause::Throttle, Some(10), Basis::Dialect);
        let later = hold.extended(&order, at(1).now);
        assert_eq!((later.until, later.failed_probes), (at(11).now, 0));
    }

    #[test]
    fn the_hold_of_an_outage_doubles_up_to_a_minute() {
        let order = order(HoldCause::Outage, Some(5), Basis::Estimate);
        let hold = Hold::begin(&order, at(0));
        let lengths: Vec<_> =
            std::iter::successors(Some(hold), |hold| Some(hold.after_failed_probe(at(0))))
                .take(6)
                .map(seconds)
                .collect();
        assert_eq!(lengths, [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn one_probe_goes_when_the_hold_has_ended() {
        let mut hold = Hold::begin(&order(HoldCause::Throttle, Some(10), Basis::Dialect), at(0));
        assert_eq!(hold.status(at(9).now), HoldStatus::ClosedUntil(at(10).now));
        assert_eq!(hold.status(at(10).now), HoldStatus::ProbeDue);
        hold.probe = ProbeState::Sent;
        assert_eq!(hold.status(at(11).now), HoldStatus::ProbeUnderWay);
    }

    #[test]
    fn jitter_only_lengthens_and_by_a_tenth_at_most() {
        let order = order(HoldCause::Throttle, Some(10), Basis::Dialect);
        let until = |chance| Hold::begin(&order, HoldContext { chance, ..at(0) }).until;
        assert_eq!(until(0.0), at(10).now);
        assert_eq!(until(1.0), at(11).now);
    }
}
