//! One problem for each code, made by the functions that make those of live calls, so that the
//! samples of the published contract are always true.

use std::time::Duration;

use http::StatusCode;

use super::{CallContext, Occurrence, Problem, gateway_problem, upstream_problem};
use crate::outcome::{
    Basis, ChildError, Classification, Code, Facts, HoldCause, Processing, Remedy, Sign, StoppedBy,
    Wait,
};

const REQUEST_ID: &str = "01939f0e-8c5e-7d3a-9b1e-0c5a7f2e4d61";
const ATTEMPTS: u32 = 4;

/// A typical problem of this code, of an upstream named `vendor`.
#[must_use]
pub fn sample(code: Code) -> Problem {
    let call = CallContext { request_id: Some(REQUEST_ID), ..CallContext::default() };
    let vendor = CallContext { upstream: Some("vendor"), ..call };
    match origin(code) {
        Origin::Vendor { status, code: vendors, message } => {
            let facts = facts(code, vendors, message);
            vendor_problem(code, StatusCode::from_u16(status).ok(), Some(facts), &vendor)
        }
        Origin::BrokenExchange => vendor_problem(code, None, None, &vendor),
        Origin::Refusal(seconds) => {
            let span = seconds.map(Duration::from_secs);
            let retry_after = span.map(|span| Wait { span, basis: Basis::Estimate });
            let hold_cause = (code == Code::UpstreamHeld).then_some(HoldCause::Maintenance);
            let occurrence = Occurrence { hold_cause, ..Occurrence::default() };
            gateway_problem(code, &CallContext { retry_after, ..vendor }, &occurrence)
        }
        Origin::Rejection => gateway_problem(code, &call, &Occurrence::default()),
    }
}

/// Where the sample of a code comes from.
enum Origin {
    /// The vendor's response, with its own code and sentence.
    Vendor { status: u16, code: &'static str, message: &'static str },
    /// The exchange with the vendor broke.
    BrokenExchange,
    /// The gateway did not send the request; after so many seconds it may.
    Refusal(Option<u64>),
    /// The request cannot become a call.
    Rejection,
}

const fn vendor(status: u16, code: &'static str, message: &'static str) -> Origin {
    Origin::Vendor { status, code, message }
}

const fn origin(code: Code) -> Origin {
    match code {
        Code::InvalidRequest => vendor(400, "invalid_amount", "The amount must be positive."),
        Code::Unauthenticated => vendor(401, "no_token", "The Authorization header is missing."),
        Code::CredentialRejected => vendor(401, "key_revoked", "This API key has been revoked."),
        Code::Forbidden => vendor(403, "missing_scope", "The key lacks the scope orders:write."),
        Code::NotFound => vendor(404, "no_such_order", "There is no order 4711."),
        Code::EndpointNotFound => vendor(404, "unknown_path", "This API has no path /v2/ordres."),
        Code::MethodNotAllowed => vendor(405, "bad_method", "Orders cannot be deleted."),
        Code::NotAcceptable => vendor(406, "no_csv", "Orders are available as JSON only."),
        Code::Gone => vendor(410, "deleted", "Order 4711 was deleted on 2026-01-31."),
        Code::UnsupportedMediaType => vendor(415, "bad_format", "Send application/json."),
        Code::Unprocessable => vendor(422, "validation", "The delivery date is in the past."),
        Code::Conflict => vendor(409, "duplicate", "An order with this number exists already."),
        Code::RateLimited => vendor(429, "rate_limit", "Too many requests."),
        Code::QuotaExhausted => vendor(429, "daily_quota", "The daily quota is used up."),
        Code::TransientConflict => vendor(409, "deadlock", "Transaction was deadlocked."),
        Code::UpstreamMaintenance => vendor(503, "maintenance", "Closed for maintenance."),
        Code::UpstreamError => vendor(500, "internal", "Something went wrong."),
        Code::GatewayCredentialRejected => vendor(401, "key_revoked", "The key has been revoked."),
        Code::UpstreamProtocol
        | Code::UpstreamUnreachable
        | Code::UpstreamTls
        | Code::UpstreamTruncated
        | Code::UpstreamTimeout => Origin::BrokenExchange,
        Code::AllowanceExhausted => Origin::Refusal(Some(40)),
        Code::QueueFull => Origin::Refusal(Some(12)),
        Code::ClientLimited => Origin::Refusal(Some(3)),
        Code::CostExceedsAllowance => Origin::Refusal(None),
        Code::UpstreamHeld => Origin::Refusal(Some(180)),
        Code::Paused => Origin::Refusal(Some(600)),
        Code::ConnectionsExhausted => Origin::Refusal(None),
        Code::Draining => Origin::Refusal(Some(1)),
        Code::RequestTimeout
        | Code::RequestTooLarge
        | Code::TargetTooLong
        | Code::HeadersTooLarge
        | Code::RouteNotFound
        | Code::Misdirected
        | Code::UpgradeUnsupported
        | Code::LoopDetected
        | Code::GatewayError => Origin::Rejection,
    }
}

fn facts(code: Code, vendors: &str, message: &str) -> Facts {
    let fields = [(Code::InvalidRequest, "/amount"), (Code::Unprocessable, "/delivery/date")];
    let child = fields.into_iter().find(|(of, _)| *of == code).map(|(_, field)| ChildError {
        message: Some(message.to_owned()),
        code: Some(vendors.to_owned()),
        pointer: Some(field.to_owned()),
    });
    Facts {
        recognised: true,
        message: Some(message.to_owned()),
        code: Some(vendors.to_owned()),
        reference: Some("7f3c2a90".to_owned()),
        children: child.into_iter().collect(),
        ..Facts::default()
    }
}

/// The problem of a GET that was sent as often as its code permits.
fn vendor_problem(
    code: Code,
    vendor_status: Option<StatusCode>,
    facts: Option<Facts>,
    call: &CallContext<'_>,
) -> Problem {
    let waits = [
        (Code::RateLimited, 30),
        (Code::QuotaExhausted, 6 * 3600),
        (Code::UpstreamMaintenance, 300),
    ];
    let wait = waits
        .into_iter()
        .find(|(of, _)| *of == code)
        .map(|(_, seconds)| Wait { span: Duration::from_secs(seconds), basis: Basis::Upstream });
    let is_final = matches!(code, Code::UpstreamTls | Code::GatewayCredentialRejected)
        || code.status().is_client_error();
    let (remedy, stopped_by, attempts) = if wait.is_some() {
        (Remedy::Hold, StoppedBy::Patience, 1)
    } else if is_final {
        (Remedy::Final, StoppedBy::Final, 1)
    } else {
        (Remedy::Backoff, StoppedBy::Attempts, ATTEMPTS)
    };
    let classification = Classification {
        code,
        rule: "general".into(),
        sign: Sign::Status,
        processing: Processing::Unknown,
        remedy,
        hold: None,
        wait,
        wait_place: None,
        learned: None,
        standing: None,
        support: None,
        status: None,
    };
    let stopped_by = Some(stopped_by);
    let call = CallContext { attempts, stopped_by, vendor_status, ..*call };
    upstream_problem(&classification, facts, &call)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Source;
    use crate::problem::schema;

    #[test]
    fn the_sample_of_a_code_has_its_code_status_and_usual_source() {
        let valid = jsonschema::validator_for(&schema()).unwrap();
        for code in Code::ALL {
            let sample = sample(code);
            let said = (sample.code, sample.status, sample.source);
            assert_eq!(said, (code, code.status(), code.sources()[0]));
            let value = serde_json::from_slice(&sample.to_bytes()).unwrap();
            assert!(valid.is_valid(&value), "{value:#}");
            let vendors = sample.upstream.as_ref().and_then(|upstream| upstream.code.as_ref());
            assert!(vendors.is_some() || sample.source != Source::Upstream, "{value:#}");
        }
    }
}
