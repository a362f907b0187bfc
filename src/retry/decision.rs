//! The verdict after an attempt that did not succeed: send again at a moment, or stop, and why.

use crate::outcome::{Classification, Code, FailureKind, HOLD_MIN, HoldOrder, Remedy, StoppedBy};
use crate::retry::backoff::Backoff;
use crate::retry::client::CallSeries;
use crate::retry::replay::{self, Repeatability};
use crate::time::{Moment, with_jitter};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Retry {
        /// When the next attempt may start, apart from holds.
        not_before: Moment,
        charge: BudgetCharge,
    },
    Stop(StoppedBy),
}

/// Whether the retry budget must cover a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetCharge {
    /// It draws on the budget. If that does not cover it, the slow start after the hold limits it
    /// instead.
    IfCovered,
    /// Without cover it is not sent: nothing else limits it.
    Required,
}

/// Why an attempt is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryReason {
    Failure(FailureKind),
    /// The code of the vendor's response.
    Code(Code),
}

/// What the verdict depends on besides the outcome.
#[derive(Clone, Copy, Debug)]
pub struct RetryContext<'a> {
    pub call: Repeatability<'a>,
    /// Attempts made so far.
    pub attempts: u32,
    pub attempts_max: u32,
    pub series: CallSeries,
    pub backoff: Backoff,
    /// A random number in 0..1.
    pub chance: f64,
    pub now: Moment,
    /// No attempt starts later.
    pub deadline: Moment,
    /// When the hold ends that this outcome ordered; `None` if no hold covers the call.
    pub held_until: Option<Moment>,
    /// Retries of this call after holds of which it was not the probe.
    pub hold_retries: u32,
}

/// Whether the call is sent again.
#[must_use]
pub fn decide(classification: &Classification, context: &RetryContext<'_>) -> Verdict {
    if classification.remedy == Remedy::Final {
        return Verdict::Stop(StoppedBy::Final);
    }
    // Neither vendor nor dialect asked for the retry by stating a wait.
    let blind = classification.wait.is_none();
    if blind && context.series != CallSeries::Single {
        return Verdict::Stop(StoppedBy::Client);
    }
    if let Err(why) = replay::may_resend(classification.processing, &context.call) {
        return Verdict::Stop(why);
    }
    if context.attempts >= context.attempts_max {
        return Verdict::Stop(StoppedBy::Attempts);
    }
    if context.attempts >= context.series.attempts_max(context.attempts_max) {
        return Verdict::Stop(StoppedBy::Client);
    }
    let not_before = start_without_hold(classification, context);
    let start = context.held_until.map_or(not_before, |until| until.max(not_before));
    if context.deadline < start {
        return Verdict::Stop(StoppedBy::Patience);
    }
    // A hold limits its one probe, and one retry of each call that it made wait. A call that is
    // rejected again after that needs the budget, because the vendor's stated wait was wrong.
    let covered = classification.hold.is_some() && context.held_until.is_some();
    let limited = covered && context.hold_retries == 0;
    let charge = if limited { BudgetCharge::IfCovered } else { BudgetCharge::Required };
    Verdict::Retry { not_before, charge }
}

/// When the next attempt would start without the hold, which the queue waits for.
fn start_without_hold(classification: &Classification, context: &RetryContext<'_>) -> Moment {
    let RetryContext { attempts, backoff, chance, now, .. } = *context;
    match (classification.remedy, &classification.hold) {
        (Remedy::After(wait), _) => now.plus(with_jitter(wait, chance)),
        // An exempt call is not covered by the hold that it has led to, and waits by itself.
        (Remedy::Hold, Some(HoldOrder { length, at_least, .. }))
            if context.held_until.is_none() =>
        {
            let stated = length.map_or(*at_least, |wait| wait.span.max(*at_least));
            now.plus(with_jitter(stated.max(HOLD_MIN), chance))
        }
        (Remedy::Hold, _) => now,
        // `decide` has stopped before for a final error.
        (Remedy::Backoff | Remedy::Final, _) => now.plus(backoff.wait(attempts, chance)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Method;

    use super::*;
    use crate::outcome::{Basis, HoldCause, HoldScope, Processing, Sign, Wait};
    use crate::retry::replay::{BodyState, RepeatPermission};

    fn trouble(processing: Processing, remedy: Remedy) -> Classification {
        Classification {
            code: Code::UpstreamError,
            rule: "test".into(),
            sign: Sign::Status,
            wait_place: None,
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
        decide(trouble, &context(method, attempts))
    }

    fn context(method: &Method, attempts: u32) -> RetryContext<'_> {
        RetryContext {
            call: Repeatability {
                method,
                permission: RepeatPermission::None,
                body: BodyState::Replayable,
            },
            attempts,
            attempts_max: 4,
            series: CallSeries::Single,
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
    fn a_hold_that_other_calls_caused_delays_a_blind_retry_and_does_not_cover_it() {
        let blind = trouble(Processing::Unknown, Remedy::Backoff);
        let held = |second: u64| RetryContext {
            held_until: Some(Moment::from_millis(second * 1_000)),
            ..context(&Method::GET, 1)
        };
        let again = Verdict::Retry {
            not_before: Moment::from_millis(1_250),
            charge: BudgetCharge::Required,
        };
        assert_eq!(decide(&blind, &held(6)), again);
        assert_eq!(decide(&blind, &held(31)), Verdict::Stop(StoppedBy::Patience));
    }

    #[test]
    fn a_hold_limits_one_retry_of_each_call_that_it_covers() {
        let order = HoldOrder {
            scope: HoldScope::Allowance,
            cause: HoldCause::Throttle,
            length: Some(Wait { span: Duration::from_millis(200), basis: Basis::Upstream }),
            at_least: Duration::ZERO,
            slow_sixteenths: 8,
        };
        let mut held = trouble(Processing::NotProcessed, Remedy::Hold);
        held.hold = Some(order);
        let covered = |hold_retries| RetryContext {
            held_until: Some(Moment::from_millis(2_000)),
            hold_retries,
            ..context(&Method::POST, 1)
        };
        let at =
            |millis, charge| Verdict::Retry { not_before: Moment::from_millis(millis), charge };
        assert_eq!(decide(&held, &covered(0)), at(1_000, BudgetCharge::IfCovered));
        assert_eq!(decide(&held, &covered(1)), at(1_000, BudgetCharge::Required));
        let exempt = context(&Method::POST, 1);
        assert_eq!(
            decide(&held, &exempt),
            at(2_100, BudgetCharge::Required),
            "a second, and a tenth more"
        );
    }

    #[test]
    fn a_call_stops_for_the_first_reason_that_applies() {
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
    fn blind_retries_back_off_and_others_wait_as_stated() {
        let blind = decide_for(&Method::GET, 2, &trouble(Processing::Unknown, Remedy::Backoff));
        assert_eq!(
            blind,
            Verdict::Retry {
                not_before: Moment::from_millis(1_500),
                charge: BudgetCharge::Required
            }
        );
        let stated = Remedy::After(Duration::from_secs(1));
        let stated = decide_for(&Method::POST, 1, &trouble(Processing::NotProcessed, stated));
        assert_eq!(
            stated,
            Verdict::Retry {
                not_before: Moment::from_millis(2_100),
                charge: BudgetCharge::Required
            }
        );
    }

    #[test]
    fn blind_retries_are_left_to_a_client_that_makes_them_itself() {
        let numbered = |call, calls_max| CallSeries::Numbered { call, calls_max };
        let blind = trouble(Processing::Unknown, Remedy::Backoff);
        let throttled = trouble(Processing::NotProcessed, Remedy::Hold);
        let second = Duration::from_secs(1);
        let wait = Some(Wait { span: second, basis: Basis::Upstream });
        let asked =
            Classification { wait, ..trouble(Processing::NotProcessed, Remedy::After(second)) };
        let unknown =
            Classification { wait, ..trouble(Processing::Unknown, Remedy::After(second)) };
        let rows = [
            (Method::GET, CallSeries::Unnumbered, 1, &blind, Some(StoppedBy::Client)),
            (Method::POST, CallSeries::Unnumbered, 1, &blind, Some(StoppedBy::Client)),
            (Method::GET, CallSeries::Unnumbered, 1, &throttled, Some(StoppedBy::Client)),
            (Method::POST, CallSeries::Unnumbered, 3, &asked, None),
            (Method::POST, CallSeries::Unnumbered, 4, &asked, Some(StoppedBy::Attempts)),
            (Method::GET, numbered(1, 3), 1, &asked, None),
            (Method::POST, numbered(1, 3), 1, &unknown, Some(StoppedBy::Method)),
            (Method::GET, numbered(1, 3), 2, &asked, Some(StoppedBy::Client)),
            (Method::GET, numbered(2, 3), 1, &asked, Some(StoppedBy::Client)),
            (Method::GET, numbered(1, 5), 1, &asked, Some(StoppedBy::Client)),
        ];
        for (method, series, attempts, trouble, expected) in rows {
            let context = RetryContext { series, ..context(&method, attempts) };
            let stopped = match decide(trouble, &context) {
                Verdict::Stop(why) => Some(why),
                Verdict::Retry { .. } => None,
            };
            assert_eq!(stopped, expected, "{method} {series:?} {attempts} {:?}", trouble.remedy);
        }
    }
}
