//! The rule that stands last: what a status, a failure or a code means when nobody said better.

use std::time::Duration;

use http::StatusCode;

use super::{Meaning, Plan};
use crate::dialect::hint::Stated;
use crate::dialect::{HoldRule, RuleScope};
use crate::outcome::{Answer, Code, Failure, FailureKind, HoldCause, Processing, Reach};

/// Half the pace after a throttle (D29).
const SLOW_SIXTEENTHS: u8 = 8;
/// A hold that leaves the pace as it is.
const UNSLOWED_SIXTEENTHS: u8 = 16;

/// The hold of a throttle of which nobody says how long.
pub(super) const THROTTLE: HoldRule = HoldRule {
    scope: RuleScope::Allowance,
    cause: HoldCause::Throttle,
    length: None,
    at_least: Duration::ZERO,
    slow_sixteenths: SLOW_SIXTEENTHS,
};

/// The hold of an upstream that is down.
pub(super) const MAINTENANCE: HoldRule = HoldRule {
    scope: RuleScope::Upstream,
    cause: HoldCause::Maintenance,
    length: None,
    at_least: Duration::ZERO,
    slow_sixteenths: UNSLOWED_SIXTEENTHS,
};

/// What an error status means; an unlisted one is treated like its class (D13).
pub(super) fn by_status<'a>(answer: &Answer<'_>, stated: Option<Stated>) -> Option<Meaning<'a>> {
    let status = answer.status.as_u16();
    if status < 400 {
        return None;
    }
    let (code, plan) = match status {
        408 => (Code::RequestTimeout, Plan::Retry(None)),
        421 => (Code::UpstreamError, Plan::Retry(None)),
        425 => (Code::InvalidRequest, Plan::Retry(None)),
        429 => (Code::RateLimited, Plan::Hold(THROTTLE)),
        400..=499 => (refusal(status), Plan::Final),
        501 | 505 => (Code::UpstreamError, Plan::Final),
        503 | 529 if stated.is_some() => (Code::UpstreamMaintenance, Plan::Hold(MAINTENANCE)),
        504 | 524 => (Code::UpstreamTimeout, Plan::Retry(None)),
        _ => (Code::UpstreamError, Plan::Retry(None)),
    };
    Some(meaning(code, processing(answer.status, stated), plan))
}

/// The code of a 4xx that the same request would meet again.
const fn refusal(status: u16) -> Code {
    match status {
        401 => Code::Unauthenticated,
        403 => Code::Forbidden,
        404 => Code::NotFound,
        405 => Code::MethodNotAllowed,
        406 => Code::NotAcceptable,
        409 => Code::Conflict,
        410 => Code::Gone,
        413 => Code::RequestTooLarge,
        414 => Code::TargetTooLong,
        415 => Code::UnsupportedMediaType,
        422 => Code::Unprocessable,
        431 => Code::HeadersTooLarge,
        _ => Code::InvalidRequest,
    }
}

/// The row of the replay table that a status stands in.
pub(super) const fn processing(status: StatusCode, stated: Option<Stated>) -> Processing {
    match (status.as_u16(), stated) {
        (408 | 421 | 425 | 429, _) | (503 | 529, Some(Stated::Legally)) => Processing::NotProcessed,
        (501 | 505, _) => Processing::Processed,
        (500.., _) => Processing::Unknown,
        (_, _) => Processing::Processed,
    }
}

/// Where a repetition is said to help, "processed" is no longer certain; the method decides.
pub(super) const fn at_most_unknown(processing: Processing) -> Processing {
    match processing {
        Processing::Processed => Processing::Unknown,
        Processing::NotSent | Processing::NotProcessed | Processing::Unknown => processing,
    }
}

/// What a failure means: how far the request got decides, the kind names it.
pub(super) fn by_failure<'a>(failure: &Failure) -> Meaning<'a> {
    let (code, plan) = match failure.kind {
        FailureKind::Dns
        | FailureKind::Refused
        | FailureKind::ConnectTimeout
        | FailureKind::Reset
        | FailureKind::RefusedStream => (Code::UpstreamUnreachable, Plan::Retry(None)),
        FailureKind::ConnectionLimit | FailureKind::LocalResources => {
            (Code::ConnectionsExhausted, Plan::Retry(None))
        }
        FailureKind::Tls => (Code::UpstreamTls, Plan::Retry(None)),
        FailureKind::TlsCertificate => (Code::UpstreamTls, Plan::Final),
        FailureKind::Timeout | FailureKind::IdleTimeout => {
            (Code::UpstreamTimeout, Plan::Retry(None))
        }
        FailureKind::Protocol => (Code::UpstreamProtocol, Plan::Retry(None)),
        // The vendor answered, and would answer the same again; what, we did not read.
        FailureKind::HeadTooLarge => (Code::UpstreamProtocol, Plan::Final),
        FailureKind::Truncated => (Code::UpstreamTruncated, Plan::Retry(None)),
    };
    meaning(code, reached(failure.reach), plan)
}

/// The row of the replay table that a failure stands in.
pub(super) const fn reached(reach: Reach) -> Processing {
    match reach {
        Reach::Nothing => Processing::NotSent,
        Reach::Refused => Processing::NotProcessed,
        Reach::Maybe => Processing::Unknown,
    }
}

/// What a code means when another gateway of ours says it.
pub(super) const fn by_code<'a>(code: Code, processing: Processing) -> Meaning<'a> {
    let plan = match code {
        Code::RateLimited | Code::AllowanceExhausted | Code::QueueFull | Code::ClientLimited => {
            Plan::Hold(THROTTLE)
        }
        Code::UpstreamMaintenance | Code::UpstreamHeld => Plan::Hold(MAINTENANCE),
        Code::TransientConflict
        | Code::Draining
        | Code::ConnectionsExhausted
        | Code::RequestTimeout
        | Code::UpstreamError
        | Code::UpstreamProtocol
        | Code::UpstreamUnreachable
        | Code::UpstreamTruncated
        | Code::UpstreamTimeout => Plan::Retry(None),
        Code::InvalidRequest
        | Code::Unauthenticated
        | Code::CredentialRejected
        | Code::Forbidden
        | Code::NotFound
        | Code::EndpointNotFound
        | Code::MethodNotAllowed
        | Code::NotAcceptable
        | Code::Gone
        | Code::UnsupportedMediaType
        | Code::Unprocessable
        | Code::Conflict
        | Code::RequestTooLarge
        | Code::TargetTooLong
        | Code::HeadersTooLarge
        | Code::QuotaExhausted
        | Code::UpstreamTls
        | Code::GatewayCredentialRejected
        | Code::RouteNotFound
        | Code::Misdirected
        | Code::UpgradeUnsupported
        | Code::LoopDetected
        | Code::GatewayError => Plan::Final,
    };
    meaning(code, processing, plan)
}

/// A meaning without a rule.
pub(super) const fn meaning<'a>(code: Code, processing: Processing, plan: Plan) -> Meaning<'a> {
    Meaning { code, rule: "general", processing, plan, status: None, support: None }
}
