//! How the attempts of a call end: a response, a failed attempt, or an interruption.

use std::time::Duration;

use http::Response;
use http::response::Parts;

use crate::allowance::{CostExceeded, Refusal, RefusalReason, SettleOutcome};
use crate::headers::ResponseScan;
use crate::outcome::{Classification, Code, Facts, Failure, StoppedBy};
use crate::retry::decision::RetryReason;

use super::body::{KeptBody, ResponseBody};
use super::call::Call;

/// What the client gets.
#[derive(Debug)]
pub(super) enum CallResult<B> {
    /// The vendor's response, and what its head contains.
    Response(Response<ResponseBody<B>>, ResponseScan),
    /// A problem that describes the last attempt.
    Failed(Box<FailedAttempt<B>>, StoppedBy),
    /// A problem that describes why no attempt answers the call.
    Interrupted(Interruption),
}

/// An attempt that did not succeed.
#[derive(Debug)]
pub(super) struct FailedAttempt<B> {
    pub(super) classification: Classification,
    /// The head of the vendor's response and the facts of its body, if it responded.
    pub(super) response: Option<(Parts, Facts)>,
    /// The body, if the client gets the vendor's errors as they are.
    pub(super) kept: Option<KeptBody<B>>,
    /// How the exchange broke, if it did.
    pub(super) failure: Option<Failure>,
    pub(super) settled: SettleOutcome,
    /// Whether it was the probe of a hold.
    pub(super) was_probe: bool,
}

/// Why a call ends although no attempt answers it.
#[derive(Debug)]
pub(super) enum Interruption {
    /// No slot: the vendor's allowance, a hold or the queue.
    Refused(Refusal),
    /// No slot of the client's own limit.
    ClientLimited(Refusal),
    /// It costs more than an allowance ever grants.
    CostExceeded(CostExceeded),
    /// The program is stopping.
    Draining,
    /// The client's connection broke within the request's body.
    ClientBodyBroken,
    /// The client stopped sending the request's body, or sends it too slowly.
    ClientBodyStalled,
}

impl<B> CallResult<B> {
    /// How long the response's body may be silent, and the client may leave it unread.
    pub(super) fn body_idle_timeout(&self, call: &Call<'_>) -> Duration {
        match self {
            Self::Response(_, scan) => call.response_idle_timeout(*scan),
            Self::Failed(..) | Self::Interrupted(_) => call.policy.idle_timeout,
        }
    }
}

impl<B> FailedAttempt<B> {
    /// Gives up a body that has not ended, because a retry may need its connection.
    pub(super) fn release_body(&mut self) {
        self.kept = self.kept.take().filter(KeptBody::is_whole);
    }

    /// Why a retry is made after it.
    pub(super) fn retry_reason(&self) -> RetryReason {
        match &self.failure {
            Some(failure) => RetryReason::Failure(failure.kind),
            None => RetryReason::Code(self.classification.code),
        }
    }
}

impl Interruption {
    pub(super) const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) | Self::ClientLimited(refusal) => Some(refusal),
            Self::CostExceeded(_)
            | Self::Draining
            | Self::ClientBodyBroken
            | Self::ClientBodyStalled => None,
        }
    }

    pub(super) const fn code(&self) -> Code {
        match self {
            Self::Refused(refusal) => refusal_code(refusal, Code::AllowanceExhausted),
            Self::ClientLimited(refusal) => refusal_code(refusal, Code::ClientLimited),
            Self::CostExceeded(_) => Code::CostExceedsAllowance,
            Self::Draining => Code::Draining,
            Self::ClientBodyBroken => Code::InvalidRequest,
            Self::ClientBodyStalled => Code::RequestTimeout,
        }
    }
}

const fn refusal_code(refusal: &Refusal, exhausted: Code) -> Code {
    match refusal.reason {
        RefusalReason::QueueFull | RefusalReason::ClientQueueFull => Code::QueueFull,
        RefusalReason::Exhausted { .. } => exhausted,
        RefusalReason::Paused { .. } => Code::Paused,
        RefusalReason::Held { .. } => Code::UpstreamHeld,
    }
}
