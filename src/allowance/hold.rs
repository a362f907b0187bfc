//! A hold: a scope closed until a moment, and the one probe that opens it.
//!
//! One object for throttling, maintenance and outage. While it stands, nothing it covers is sent;
//! when it ends, one probe goes, and what the probe meets decides: another hold, or open again.
//! Refuses to know who waits and who the probe is: the vault does.

use std::time::Duration;

use crate::outcome::{Basis, FULL_PACE, HOLD_MIN, HoldCause, HoldOrder, HoldScope, Wait};
use crate::time::{Moment, lengthened};

/// The first hold when nobody said how long.
const FIRST: Duration = Duration::from_secs(1);

/// From this failed probe in a row on a hold is at least twice the one before it, the vendor's own
/// word included: twice it may have been a close call, three times it is no word to go by.
const DISBELIEVED_FROM: u32 = 3;

/// The longest hold that doubling leads to, for a scope whose window is unknown.
pub const DOUBLED_MAX: Duration = Duration::from_secs(15 * 60);

/// The first hold of an outage, doubling up to `OUTAGE_MAX`: long enough to spare a dying vendor,
/// short enough that one restarted by hand is found soon.
pub const OUTAGE_FIRST: Duration = Duration::from_secs(5);

/// The longest hold of an outage.
const OUTAGE_MAX: Duration = Duration::from_secs(60);

/// A scope that is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its number, for the operator who releases it; zero until it has one.
    pub id: u64,
    /// Why.
    pub cause: HoldCause,
    /// Until then nothing goes; afterwards one probe.
    pub until: Moment,
    /// How long it was meant to be, before jitter.
    pub length: Duration,
    /// Who said how long.
    pub basis: Basis,
    /// Probes that failed in a row.
    pub failures: u32,
    /// Whether the probe is under way.
    pub probe: Probe,
}

/// Whether the probe is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It has not been sent.
    Due,
    /// It has been sent, and its verdict is awaited.
    Sent,
}

/// What a hold says to a call that wants to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Not before this moment.
    ClosedUntil(Moment),
    /// One may go, as the probe.
    AsProbe,
    /// The probe is under way; its verdict opens or closes.
    AwaitProbe,
}

/// What is known when a hold is ordered.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Now.
    pub now: Moment,
    /// The scope's window, the bound of doubling.
    pub window: Option<Duration>,
    /// Chance in 0..1.
    pub chance: f64,
}

impl Hold {
    /// The hold that an order begins on an open scope.
    #[must_use]
    pub fn begin(order: &HoldOrder, at: Circumstances) -> Self {
        let length = order.length.map_or(FIRST, |wait| wait.span).max(order.at_least);
        let length = length.max(floor(order));
        Self {
            id: 0,
            cause: order.cause,
            until: at.now.plus(lengthened(length, at.chance)),
            length,
            basis: basis(length, order),
            failures: 0,
            probe: Probe::Due,
        }
    }

    /// The hold after its probe met the same trouble again.
    #[must_use]
    pub fn prolonged(self, order: &HoldOrder, at: Circumstances) -> Self {
        let length = self.next_length(order, at.window).max(order.at_least).max(floor(order));
        Self {
            cause: order.cause,
            until: at.now.plus(lengthened(length, at.chance)),
            length,
            basis: basis(length, order),
            failures: self.failures.saturating_add(1),
            probe: Probe::Due,
            ..self
        }
    }

    /// The hold after its probe failed without an answer.
    #[must_use]
    pub fn failed(self, at: Circumstances) -> Self {
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
        self.prolonged(&order, at)
    }

    /// The hold after a late answer to an attempt that was sent before it began: longer perhaps,
    /// never shorter, never doubled.
    #[must_use]
    pub fn lengthened(self, order: &HoldOrder, now: Moment) -> Self {
        let asked = order.length.map_or(Duration::ZERO, |wait| wait.span);
        let length = asked.max(order.at_least);
        let until = now.plus(length);
        if until <= self.until {
            return self;
        }
        Self { until, length, basis: basis(length, order), ..self }
    }

    /// What it says to a call that wants to pass at `now`.
    #[must_use]
    pub fn passage(&self, now: Moment) -> Passage {
        match self.probe {
            Probe::Sent => Passage::AwaitProbe,
            Probe::Due if now < self.until => Passage::ClosedUntil(self.until),
            Probe::Due => Passage::AsProbe,
        }
    }

    /// As long as was said each time; throttling without the vendor's own word doubles, because
    /// its documented wait has just proved too short. After several failures the word no longer
    /// counts, except for a documented maintenance, which lasts as long as its document says.
    fn next_length(&self, order: &HoldOrder, window: Option<Duration>) -> Duration {
        let said = order.length.map(|wait| wait.span);
        let by = order.length.map(|wait| wait.basis);
        let doubled = |most: Duration| (self.length * 2).min(most.max(self.length));
        let by_window = doubled(window.unwrap_or(DOUBLED_MAX));
        let documented = by == Some(Basis::Dialect);
        let believed = self.failures.saturating_add(1) < DISBELIEVED_FROM;
        match order.cause {
            HoldCause::Outage => doubled(OUTAGE_MAX),
            HoldCause::Maintenance if believed || documented => said.unwrap_or(self.length),
            HoldCause::Throttle if believed && by == Some(Basis::Upstream) => {
                said.unwrap_or(self.length)
            }
            HoldCause::Pause => said.unwrap_or(self.length),
            HoldCause::Maintenance | HoldCause::Throttle => said.unwrap_or_default().max(by_window),
        }
    }
}

fn floor(order: &HoldOrder) -> Duration {
    match order.length {
        Some(Wait { span, basis: Basis::Dialect }) if !span.is_zero() => Duration::ZERO,
        Some(_) | None => HOLD_MIN,
    }
}

/// Who said that a hold of this order is so long: whoever named just this length, else nobody.
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

    fn at(second: u64) -> Circumstances {
        let now = Moment::from_millis(second * 1000);
        Circumstances { now, window: Some(Duration::from_secs(60)), chance: 0.0 }
    }

    fn seconds(hold: Hold) -> u64 {
        hold.length.as_secs()
    }

    #[test]
    fn maintenance_lasts_as_long_each_time() {
        let order = order(HoldCause::Maintenance, Some(300), Basis::Dialect);
        let hold = Hold::begin(&order, at(0));
        assert_eq!(hold.until, Moment::from_millis(300_000));
        let again = hold.prolonged(&order, at(301));
        assert_eq!((seconds(again), again.failures, again.id), (300, 1, 0));
        assert_eq!(seconds(hold.failed(at(301))), 300);
    }

    #[test]
    fn throttling_without_a_word_doubles_up_to_the_window() {
        let unsaid = order(HoldCause::Throttle, None, Basis::Estimate);
        let mut hold = Hold::begin(&unsaid, at(0));
        let mut lengths = vec![seconds(hold)];
        for _ in 0..7 {
            hold = hold.prolonged(&unsaid, at(0));
            lengths.push(seconds(hold));
        }
        assert_eq!(lengths, [1, 2, 4, 8, 16, 32, 60, 60]);
        let documented = order(HoldCause::Throttle, Some(10), Basis::Dialect);
        assert_eq!(seconds(Hold::begin(&documented, at(0)).prolonged(&documented, at(10))), 20);
        let said = order(HoldCause::Throttle, Some(90), Basis::Upstream);
        assert_eq!(seconds(Hold::begin(&said, at(0)).prolonged(&said, at(90))), 90);
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
    fn a_word_that_failed_three_times_no_longer_counts() {
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
        let thrice = Hold { failures: 2, ..Hold::begin(&order, at(0)) };
        let long = HoldOrder { length: Some(Wait { span: LONG, basis: Basis::Upstream }), ..order };
        assert_eq!(
            thrice.prolonged(&long, at(0)).length,
            LONG,
            "a fresh longer word is kept whole"
        );
    }

    const LONG: Duration = Duration::from_secs(3_000);

    #[test]
    fn the_floor_binds_the_vendors_word_too() {
        let mut said = order(HoldCause::Throttle, Some(2), Basis::Upstream);
        said.at_least = Duration::from_secs(10);
        assert_eq!(seconds(Hold::begin(&said, at(0))), 10);
        assert_eq!(seconds(Hold::begin(&said, at(0)).prolonged(&said, at(0))), 10);
    }

    #[test]
    fn a_length_is_told_as_the_word_of_whoever_said_it() {
        let begun = |order: &HoldOrder| Hold::begin(order, at(0)).basis;
        let mut hinted = order(HoldCause::Throttle, Some(20), Basis::Upstream);
        hinted.at_least = Duration::from_secs(10);
        assert_eq!(begun(&hinted), Basis::Upstream);
        hinted.length = order(HoldCause::Throttle, Some(2), Basis::Upstream).length;
        assert_eq!(begun(&hinted), Basis::Dialect, "the floor is the dialect's word");
        hinted.length = None;
        assert_eq!(begun(&hinted), Basis::Dialect);
        let doubled = Hold::begin(&hinted, at(0)).prolonged(&hinted, at(10));
        assert_eq!((seconds(doubled), doubled.basis), (20, Basis::Estimate));
        let maintenance = order(HoldCause::Maintenance, Some(120), Basis::Upstream);
        assert_eq!(Hold::begin(&maintenance, at(0)).failed(at(120)).basis, Basis::Upstream);
    }

    #[test]
    fn a_late_answer_lengthens_and_never_doubles() {
        let hold = Hold::begin(&order(HoldCause::Throttle, Some(10), Basis::Dialect), at(0));
        let same = hold.lengthened(&order(HoldCause::Throttle, Some(9), Basis::Dialect), at(0).now);
        assert_eq!(same, hold);
        let order = order(HoldCause::Throttle, Some(10), Basis::Dialect);
        let later = hold.lengthened(&order, at(1).now);
        assert_eq!((later.until, later.failures), (at(11).now, 0));
    }

    #[test]
    fn an_outage_doubles_to_a_minute() {
        let order = order(HoldCause::Outage, Some(5), Basis::Estimate);
        let hold = Hold::begin(&order, at(0));
        let lengths: Vec<_> = std::iter::successors(Some(hold), |hold| Some(hold.failed(at(0))))
            .take(6)
            .map(seconds)
            .collect();
        assert_eq!(lengths, [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn one_probe_after_the_end() {
        let mut hold = Hold::begin(&order(HoldCause::Throttle, Some(10), Basis::Dialect), at(0));
        assert_eq!(hold.passage(at(9).now), Passage::ClosedUntil(at(10).now));
        assert_eq!(hold.passage(at(10).now), Passage::AsProbe);
        hold.probe = Probe::Sent;
        assert_eq!(hold.passage(at(11).now), Passage::AwaitProbe);
    }

    #[test]
    fn jitter_is_upward_and_bounded() {
        let order = order(HoldCause::Throttle, Some(10), Basis::Dialect);
        let until = |chance| Hold::begin(&order, Circumstances { chance, ..at(0) }).until;
        assert_eq!(until(0.0), at(10).now);
        assert_eq!(until(1.0), at(11).now);
    }
}
