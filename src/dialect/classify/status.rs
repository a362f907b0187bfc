//! What a status, a failure or a relayed code means when no rule and no sign says more.

use std::time::Duration;

use http::StatusCode;

use super::draft::{Action, Draft};
use super::evidence::Evidence;
use crate::dialect::definition::{HoldRule, RuleScope, SLOW_SIXTEENTHS};
use crate::dialect::hint::WaitHint;
use crate::outcome::{Code, Delivery, FULL_PACE, Failure, FailureKind, HoldCause, Processing};

/// The hold for a throttle, unless a rule orders another.
pub(super) const THROTTLE: HoldRule = HoldRule {
    scope: RuleScope::Allowance,
    cause: HoldCause::Throttle,
    length: None,
    at_least: Duration::ZERO,
    slow_sixteenths: SLOW_SIXTEENTHS,
};

/// The hold for an upstream that is down.
pub(super) const MAINTENANCE: HoldRule = HoldRule {
    scope: RuleScope::Upstream,
    cause: HoldCause::Maintenance,
    length: None,
    at_least: Duration::ZERO,
    slow_sixteenths: FULL_PACE,
};

/// What an error status means; an unlisted one is treated like its class (D13).
pub(super) fn of_response<'a>(evidence: &Evidence<'_>) -> Option<Draft<'a>> {
    evidence.head.is_error().then(|| of_status(evidence.head.status, evidence.retry_after))
}

/// The same for a status alone, and the wait in a header made for it.
pub(super) fn of_status<'a>(status: StatusCode, retry_after: Option<WaitHint>) -> Draft<'a> {
    let (code, action) = match status.as_u16() {
        401 => (Code::Unauthenticated, Action::Final),
        403 => (Code::Forbidden, Action::Final),
        404 => (Code::NotFound, Action::Final),
        405 => (Code::MethodNotAllowed, Action::Final),
        406 => (Code::NotAcceptable, Action::Final),
        408 => (Code::RequestTimeout, Action::Retry(None)),
        409 => (Code::Conflict, Action::Final),
        410 => (Code::Gone, Action::Final),
        // Too large only for now (RFC 9110 §15.5.14).
        413 if retry_after.is_some() => {
            return Draft::new(Code::RequestTooLarge, Processing::Unknown, Action::Retry(None));
        }
        413 => (Code::RequestTooLarge, Action::Final),
        414 => (Code::TargetTooLong, Action::Final),
        415 => (Code::UnsupportedMediaType, Action::Final),
        421 => (Code::UpstreamError, Action::Retry(None)),
        422 => (Code::Unprocessable, Action::Final),
        425 => (Code::InvalidRequest, Action::Retry(None)),
        429 => (Code::RateLimited, Action::Hold(THROTTLE)),
        431 => (Code::HeadersTooLarge, Action::Final),
        400..=499 => (Code::InvalidRequest, Action::Final),
        501 | 505 => (Code::UpstreamError, Action::Final),
        503 | 529 if retry_after.is_some() => {
            (Code::UpstreamMaintenance, Action::Hold(MAINTENANCE))
        }
        504 | 524 => (Code::UpstreamTimeout, Action::Retry(None)),
        _ => (Code::UpstreamError, Action::Retry(None)),
    };
    Draft::new(code, processing(status, retry_after), action)
}

/// The row of the replay table for a status. A vendor that sends a valid `Retry-After` with a 503
/// refused on purpose, and did nothing; a value that only our lenient parser understands is too
/// weak a promise for that.
pub(super) fn processing(status: StatusCode, retry_after: Option<WaitHint>) -> Processing {
    match status.as_u16() {
        408 | 421 | 425 | 429 => Processing::NotProcessed,
        503 | 529 if retry_after.is_some_and(WaitHint::is_standard) => Processing::NotProcessed,
        501 | 505 => Processing::Processed,
        500.. => Processing::Unknown,
        _ => Processing::Processed,
    }
}

/// The kind of a failure gives the code; how far the request got says what may be repeated.
pub(super) fn of_failure<'a>(failure: &Failure) -> Draft<'a> {
    let (code, action) = match failure.kind {
        FailureKind::Dns
        | FailureKind::Refused
        | FailureKind::ConnectTimeout
        | FailureKind::Reset
        | FailureKind::RefusedStream => (Code::UpstreamUnreachable, Action::Retry(None)),
        FailureKind::ConnectionLimit | FailureKind::LocalResources => {
            (Code::ConnectionsExhausted, Action::Retry(None))
        }
        FailureKind::Tls => (Code::UpstreamTls, Action::Retry(None)),
        FailureKind::TlsCertificate => (Code::UpstreamTls, Action::Final),
        FailureKind::Timeout | FailureKind::IdleTimeout => {
            (Code::UpstreamTimeout, Action::Retry(None))
        }
        FailureKind::Protocol => (Code::UpstreamProtocol, Action::Retry(None)),
        // The vendor would send the same head again.
        FailureKind::HeadTooLarge => (Code::UpstreamProtocol, Action::Final),
        FailureKind::Truncated => (Code::UpstreamTruncated, Action::Retry(None)),
    };
    Draft::new(code, processing_of(failure.delivery), action)
}

/// The row of the replay table for a failure.
pub(super) const fn processing_of(delivery: Delivery) -> Processing {
    match delivery {
        Delivery::NotSent => Processing::NotSent,
        Delivery::Refused => Processing::NotProcessed,
        Delivery::Uncertain => Processing::Unknown,
    }
}

/// What a code means in a problem that another gateway of ours wrote.
pub(super) const fn of_code<'a>(code: Code, processing: Processing) -> Draft<'a> {
    let action = match code {
        Code::RateLimited | Code::AllowanceExhausted | Code::QueueFull | Code::ClientLimited => {
            Action::Hold(THROTTLE)
        }
        Code::UpstreamMaintenance | Code::UpstreamHeld | Code::Paused => Action::Hold(MAINTENANCE),
        Code::TransientConflict
        | Code::Draining
        | Code::ConnectionsExhausted
        | Code::RequestTimeout
        | Code::UpstreamError
        | Code::UpstreamProtocol
        | Code::UpstreamUnreachable
        | Code::UpstreamTruncated
        | Code::UpstreamTimeout => Action::Retry(None),
        Code::InvalidRequest
        | Code::CostExceedsAllowance
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
        | Code::GatewayError => Action::Final,
    };
    Draft::new(code, processing, action)
}
