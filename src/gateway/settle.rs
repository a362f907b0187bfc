//! What the account learns from an attempt: settles its slot with what the vendor's response said,
//! and keeps the retry budget informed.

use crate::allowance::{
    AttemptEnd, BlindFailure, ConcurrencyPermit, SettleOutcome, Settlement, Slot,
};
use crate::outcome::{Classification, Code, Delivery, Failure, Processing, Remedy, Standing};
use crate::telemetry::Throttle;

use super::call::Call;
use super::state::Gateway;

/// Stands in the log in place of a dialect's rule where a hold comes from the rate limit headers
/// of a success.
const RATE_HEADERS_RULE: &str = "rate headers";

impl<E> Gateway<E> {
    /// Settles the slot of a success. Its headers may lower what we believe of the allowance, and
    /// ask for a pause.
    pub(super) fn settle_success(
        &self,
        call: &Call<'_>,
        slot: Slot,
        standing: Option<&Standing>,
        settlement: Settlement<'_>,
    ) -> ConcurrencyPermit {
        self.retry_budgets[call.upstream].succeeded();
        let (settled, permit) = slot.settle(&Settlement {
            order: standing.and_then(|standing| standing.pause.as_ref()),
            standing,
            ..settlement
        });
        self.log_holds(call, &settled, Some(RATE_HEADERS_RULE), settlement.ended);
        permit
    }

    /// Settles the slot of a failed attempt with everything that the account has to know of it.
    pub(super) fn settle_failed(
        &self,
        call: &Call<'_>,
        slot: Slot,
        classification: &Classification,
        settlement: Settlement<'_>,
    ) -> (SettleOutcome, ConcurrencyPermit) {
        let failed = settlement.blind_failure.is_some() || classification.remedy != Remedy::Final;
        match (failed, &classification.hold) {
            (true, None) if call.history.attempts == 1 => {
                self.retry_budgets[call.upstream].call_failed(self.clock.now());
            }
            (false, None) => self.retry_budgets[call.upstream].succeeded(),
            (true, None) | (_, Some(_)) => {}
        }
        let (settled, permit) = slot.settle(&Settlement {
            order: classification.hold.as_ref(),
            learned: classification.learned,
            standing: classification.standing.as_ref(),
            chance: self.random.unit(),
            ..settlement
        });
        self.log_holds(call, &settled, Some(&classification.rule), settlement.ended);
        if classification.code == Code::RateLimited {
            let expected =
                if settled.unexpected_throttle { Throttle::Unexpected } else { Throttle::Expected };
            self.shard.throttled(call.upstream, expected);
        }
        (settled, permit)
    }

    /// Gives up the slot of an exchange that ended without a result. If it was the probe of a
    /// hold, the hold may continue.
    #[cold]
    pub(super) fn abandon(&self, call: &Call<'_>, slot: &mut Slot) {
        let settled = slot.abandon();
        self.log_holds(call, &settled, None, self.clock.now());
    }
}

/// How an attempt ended whose exchange failed.
pub(super) const fn attempt_end(failure: &Failure) -> AttemptEnd {
    match failure.delivery {
        Delivery::NotSent => AttemptEnd::NotSent,
        Delivery::Refused => AttemptEnd::Refused,
        Delivery::Uncertain => AttemptEnd::Unanswered,
    }
}

/// Whether an attempt is evidence of an outage: the vendor did not respond, or it is unknown what
/// it did. Limits on our own side say nothing about the vendor.
pub(super) fn blind_failure(
    classification: &Classification,
    failure: Option<&Failure>,
) -> Option<BlindFailure> {
    if failure.is_some_and(|failure| failure.kind.is_local()) {
        return None;
    }
    match classification.processing {
        Processing::Unknown => Some(BlindFailure::AfterSend),
        Processing::NotSent => Some(BlindFailure::NoConnection),
        Processing::NotProcessed | Processing::Processed => None,
    }
}
