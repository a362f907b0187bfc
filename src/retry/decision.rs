//! Send again at a moment, or stop, with the reason.
//!
//! Everything the attempt loop needs to know after an outcome that is not a success is decided
//! here, and nowhere else.

use std::time::Duration;

use crate::outcome::{Classification, Code, FailureKind, HOLD_MIN, HoldOrder, Remedy, StoppedBy};
use crate::retry::backoff::Backoff;
use crate::retry::replay::{self, Repeatability};
use crate::time::{Moment, lengthened};

/// What to do after an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send again, not before this moment.
    Again {
        /// The earliest start of the next attempt, holds apart.
        at: Moment,
        /// Whether the retry budget has to pay.
        cost: Cost,
    },
    /// Answer the client now.
    Stop(StoppedBy),
}

/// Whether a retry has to be paid by the retry budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// The vendor asked for the wait: what the budget does not pay is sent as the answers of others
    /// permit.
    Bounded,
    /// Nothing else bounds it.
    Blind,
}

/// Why an attempt is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryReason {
    /// The exchange broke.
    Failure(FailureKind),
    /// The vendor said something that this code stands for.
    Code(Code),
}

/// What is known of the call.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// Whether it may be repeated.
    pub call: Repeatability<'a>,
    /// Attempts made.
    pub attempts: u32,
    /// Attempts allowed.
    pub attempts_max: u32,
    /// The wait we choose ourselves.
    pub backoff: Backoff,
    /// Chance in 0..1.
    pub chance: f64,
    /// Now.
    pub now: Moment,
    /// No attempt starts later.
    pub deadline: Moment,
    /// When the hold that this outcome ordered ends, as the vault keeps it; none where no hold
    /// covers the call.
    pub held_until: Option<Moment>,
    /// Retries of this call after a hold that others' probe opened: one each is bounded by that.
    pub hold_retries: u32,
}

/// Whether the call is sent again.
#[must_use]
pub fn decide(trouble: &Classification, situation: &Situation<'_>) -> Verdict {
    if trouble.remedy == Remedy::Final {
        return Verdict::Stop(StoppedBy::Final);
    }
    if let Err(why) = replay::allowed(trouble.processing, &situation.call) {
        return Verdict::Stop(why);
    }
    if situation.attempts >= situation.attempts_max {
        return Verdict::Stop(StoppedBy::Attempts);
    }
    let at = own_start(trouble, situation);
    let start = situation.held_until.map_or(at, |until| until.max(at));
    if situation.deadline < start {
        return Verdict::Stop(StoppedBy::Patience);
    }
    Verdict::Again { at, cost: cost_of(trouble, situation) }
}

/// When the call would start again if nothing were held; holds are kept by the waiting room.
fn own_start(trouble: &Classification, situation: &Situation<'_>) -> Moment {
    let Situation { attempts, backoff, chance, now, .. } = *situation;
    match (trouble.remedy, &trouble.hold) {
        (Remedy::After(wait), _) => now.plus(lengthened(wait, chance)),
        (Remedy::Hold, Some(order)) if situation.held_until.is_none() => {
            now.plus(lengthened(ordered_wait(order), chance))
        }
        (Remedy::Hold, _) => now,
        (Remedy::Backoff | Remedy::Final, _) => now.plus(backoff.wait(attempts, chance)),
    }
}

/// The wait of a call that the hold it led to does not cover, because it is exempt.
fn ordered_wait(order: &HoldOrder) -> Duration {
    let said = order.length.map_or(Duration::ZERO, |wait| wait.span);
    said.max(order.at_least).max(HOLD_MIN)
}

/// A hold bounds its one probe, and one retry of each call that it made wait. A call that is
/// refused again after that pays, because the vendor's word has failed.
fn cost_of(trouble: &Classification, situation: &Situation<'_>) -> Cost {
    let bounded = trouble.hold.is_some() && situation.held_until.is_some();
    if bounded && situation.hold_retries == 0 { Cost::Bounded } else { Cost::Blind }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::outcome::{Basis, HoldCause, HoldScope, Processing, Wait};
    use crate::retry::replay::{BodyState, Licence};

    fn trouble(processing: Processing, remedy: Remedy) -> Classification {
        Classification {
            code: Code::UpstreamError,
            rule: "test".into(),
            processing,
            remedy,
            hold: None,
            learned: None,
            standing: None,
            support: None,
            status: None,
            wait: None,
        }
    }

    fn decide_for(method: &Method, attempts: u32, trouble: &Classification) -> Verdict {
        decide(trouble, &situation(method, attempts))
    }

    fn situation(method: &Method, attempts: u32) -> Situation<'_> {
        Situation {
            call: Repeatability { method, licence: Licence::None, body: BodyState::Replayable },
            attempts,
            attempts_max: 4,
            backoff: Backoff {
                base: Duration::from_millis(250),
                factor: 2.0,
                max: Duration::from_secs(10),
            },
            chance: 1.0,
            now: Moment::from_millis(1_000),
            deadline: Moment::from_millis(30_000),
            held_until: None,
            hold_retries: 0,
        }
    }

    #[test]
    fn a_hold_that_others_caused_delays_a_blind_retry_and_does_not_pay_for_it() {
        let blind = trouble(Processing::Unknown, Remedy::Backoff);
        let held = |second: u64| Situation {
            held_until: Some(Moment::from_millis(second * 1_000)),
            ..situation(&Method::GET, 1)
        };
        let again = Verdict::Again { at: Moment::from_millis(1_250), cost: Cost::Blind };
        assert_eq!(decide(&blind, &held(6)), again);
        assert_eq!(decide(&blind, &held(31)), Verdict::Stop(StoppedBy::Patience));
    }

    #[test]
    fn a_hold_bounds_one_retry_of_each_call_that_it_covers() {
        let order = HoldOrder {
            scope: HoldScope::Allowance,
            cause: HoldCause::Throttle,
            length: Some(Wait { span: Duration::from_millis(200), basis: Basis::Upstream }),
            at_least: Duration::ZERO,
            slow_sixteenths: 8,
        };
        let mut held = trouble(Processing::NotProcessed, Remedy::Hold);
        held.hold = Some(order);
        let covered = |hold_retries| Situation {
            held_until: Some(Moment::from_millis(2_000)),
            hold_retries,
            ..situation(&Method::POST, 1)
        };
        let at = |millis, cost| Verdict::Again { at: Moment::from_millis(millis), cost };
        assert_eq!(decide(&held, &covered(0)), at(1_000, Cost::Bounded));
        assert_eq!(decide(&held, &covered(1)), at(1_000, Cost::Blind));
        let exempt = situation(&Method::POST, 1);
        assert_eq!(decide(&held, &exempt), at(2_100, Cost::Blind), "a second, and a tenth more");
    }

    #[test]
    fn stops_for_the_first_reason_that_applies() {
        let rows = [
            (Method::GET, 1, Processing::Unknown, Remedy::Final, StoppedBy::Final),
            (Method::POST, 1, Processing::Unknown, Remedy::Backoff, StoppedBy::Method),
            (Method::GET, 4, Processing::Unknown, Remedy::Backoff, StoppedBy::Attempts),
            (Method::GET, 1, Processing::Processed, Remedy::Backoff, StoppedBy::Final),
            (
                Method::GET,
                1,
                Processing::Unknown,
                Remedy::After(Duration::from_secs(300)),
                StoppedBy::Patience,
            ),
        ];
        for (method, attempts, processing, remedy, why) in rows {
            let verdict = decide_for(&method, attempts, &trouble(processing, remedy));
            assert_eq!(verdict, Verdict::Stop(why), "{method} {attempts} {remedy:?}");
        }
    }

    #[test]
    fn backs_off_blindly_and_waits_as_told() {
        let blind = decide_for(&Method::GET, 2, &trouble(Processing::Unknown, Remedy::Backoff));
        assert_eq!(blind, Verdict::Again { at: Moment::from_millis(1_500), cost: Cost::Blind });
        let told = Remedy::After(Duration::from_secs(1));
        let told = decide_for(&Method::POST, 1, &trouble(Processing::NotProcessed, told));
        assert_eq!(told, Verdict::Again { at: Moment::from_millis(2_100), cost: Cost::Blind });
    }
}
