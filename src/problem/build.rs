//! A classified outcome, or a refusal of the gateway, becomes the problem that the client reads.
//!
//! The gateway and `evenkeel normalise` both use these functions. What an outcome means is decided
//! before, by `dialect`; whether it is retried, by `retry`.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;

use super::body::own_error;
use super::clean::Cleaner;
use super::missing_field::missing_field;
use super::{
    DETAIL_CHARS_MAX, DETAILS_BYTES_MAX, ErrorItem, Problem, RetryAfter, Retryable,
    SHORT_CHARS_MAX, UpstreamError,
};
use crate::outcome::{
    CHILDREN_MAX, ChildError, Classification, Code, ErrorMember, Facts, HoldCause, Remedy, Source,
    StoppedBy, Support, SupportWhen, Wait,
};
use crate::time::seconds_up;

/// What the gateway knows about a call when it writes its problem.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallContext<'a> {
    pub request_id: Option<&'a str>,
    pub attempts: u32,
    /// How long the call waited in the gateway.
    pub waited: Duration,
    pub stopped_by: Option<StoppedBy>,
    /// Whether the request may have been carried out despite the error.
    pub outcome_unknown: bool,
    /// Whether "a few retries" have been made (D36): the call's own attempts, or the probes of the
    /// hold that answers it.
    pub retries_exhausted: bool,
    pub credential: CredentialOwner,
    /// The gateway's own estimate; the longer of this and the vendor's wait is used.
    pub retry_after: Option<Wait>,
    pub upstream: Option<&'a str>,
    /// The status as the vendor sent it.
    pub vendor_status: Option<StatusCode>,
    /// Where the vendor documents its errors.
    pub documentation: Option<&'a str>,
    /// The support contact, unless the classification has one of its own.
    pub support: Option<&'a Support>,
    pub status: StatusPolicy,
    pub cleaner: Cleaner<'a>,
}

/// The owner of the credential that the vendor received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CredentialOwner {
    #[default]
    Client,
    /// The gateway added it.
    Gateway,
}

/// Which status a problem has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusPolicy {
    /// The status of its code, so that one meaning has one status.
    #[default]
    Map,
    /// The vendor's own.
    Keep,
}

/// What the gateway says about this occurrence of one of its own problems.
#[derive(Clone, Debug, Default)]
pub struct Occurrence<'a> {
    /// If it is not the code's usual source.
    pub source: Option<Source>,
    /// Without it, the detail follows from the hold's cause or the code's title.
    pub detail: Option<Cow<'a, str>>,
    /// The cause of the hold that refused the call.
    pub hold_cause: Option<HoldCause>,
}

/// The problem of a failed exchange; `facts` are those of the vendor's error body, if it answered.
#[must_use]
pub fn upstream_problem(
    classification: &Classification,
    mut facts: Option<Facts>,
    call: &CallContext<'_>,
) -> Problem {
    let relayed = facts.as_ref().and_then(|facts| facts.relayed.as_deref());
    if let Some(problem) = relayed.and_then(|relayed| Problem::from_value(&relayed.body)) {
        return relay(problem, classification.wait, call);
    }
    // A rejected credential of the gateway's is a matter for its operator, not the client (D22).
    let code = match (classification.code, call.credential) {
        (Code::Unauthenticated | Code::CredentialRejected, CredentialOwner::Gateway) => {
            Code::GatewayCredentialRejected
        }
        (code, CredentialOwner::Gateway | CredentialOwner::Client) => code,
    };
    let speaker = if facts.is_some() { Source::Upstream } else { Source::Gateway };
    let source = if code.sources().contains(&speaker) { speaker } else { code.sources()[0] };
    let message = facts.as_mut().and_then(|facts| facts.message.take());
    let detail = message.and_then(|it| call.cleaner.clean_owned(it, DETAIL_CHARS_MAX));
    let children = facts.as_mut().map(|facts| std::mem::take(&mut facts.children));
    let errors = children.map(|children| errors(children, detail.as_deref(), code, call.cleaner));
    let error = facts.as_mut().and_then(|facts| facts.error.take());
    let error = error.and_then(|error| call.cleaner.error(error));
    let support = classification.support.as_ref().or(call.support);
    Problem {
        status: status(code, classification, call),
        source,
        retryable: retryable(code, classification, call),
        retry_after: longest(classification.wait, call.retry_after),
        upstream: Some(upstream_error(facts, call)),
        errors: errors.unwrap_or_default(),
        support: support_contact(support, call),
        ..bare_problem(code, detail, error, call)
    }
}

/// The problem of a call that the gateway itself refuses or fails to serve.
#[must_use]
pub fn gateway_problem(code: Code, call: &CallContext<'_>, occurrence: &Occurrence<'_>) -> Problem {
    let detail = match (&occurrence.detail, occurrence.hold_cause) {
        (Some(detail), _) => Some(detail.as_ref()),
        (None, Some(cause)) => Some(hold_detail(cause)),
        (None, None) => None,
    };
    let detail = detail.and_then(|detail| call.cleaner.clean(detail, DETAIL_CHARS_MAX));
    let usual = || code.sources().iter().copied().find(|source| *source != Source::Upstream);
    Problem {
        source: occurrence.source.or_else(usual).unwrap_or(Source::Gateway),
        retryable: code.retryable() == Retryable::Yes,
        retry_after: longest(None, call.retry_after),
        upstream: call.upstream.is_some().then(|| upstream_error(None, call)),
        support: support_contact(call.support, call),
        ..bare_problem(code, detail, None, call)
    }
}

/// A problem that another Evenkeel wrote passes as it is, apart from a longer wait of our own and
/// our bounds.
fn relay(mut problem: Problem, stated: Option<Wait>, call: &CallContext<'_>) -> Problem {
    // The headers beside it state its wait more precisely.
    let precise = longest(stated, None)
        .filter(|precise| problem.retry_after.is_some_and(|its| its.seconds == precise.seconds));
    if let (Some(its), Some(precise)) = (&mut problem.retry_after, precise) {
        its.millis = precise.millis;
    }
    let own = longest(None, call.retry_after);
    if own.is_some_and(|own| problem.retry_after.is_none_or(|its| own.millis > its.millis)) {
        problem.retry_after = own;
    }
    if !(problem.status.is_client_error() || problem.status.is_server_error()) {
        problem.status = problem.code.status();
    }
    call.cleaner.clean_problem(&mut problem);
    problem
}

/// The members that do not depend on the kind of problem.
fn bare_problem(
    code: Code,
    detail: Option<String>,
    error: Option<ErrorMember>,
    call: &CallContext<'_>,
) -> Problem {
    let detail = detail.unwrap_or_else(|| code.title().to_owned() + ".");
    Problem {
        code,
        status: code.status(),
        error: error.unwrap_or_else(|| own_error(code, &detail)),
        detail,
        source: code.sources()[0],
        retryable: false,
        retry_after: None,
        attempts: call.attempts,
        waited_ms: u64::try_from(call.waited.as_millis()).unwrap_or(u64::MAX),
        stopped_by: call.stopped_by,
        outcome_unknown: call.outcome_unknown,
        request_id: call.request_id.map(str::to_owned),
        upstream: None,
        errors: Vec::new(),
        support: None,
        documentation: call.documentation.map(str::to_owned),
    }
}

fn status(code: Code, classification: &Classification, call: &CallContext<'_>) -> StatusCode {
    if let (StatusPolicy::Keep, Some(sent)) = (call.status, call.vendor_status)
        && is_error(sent)
    {
        return sent;
    }
    if let Some(status) = classification.status {
        return status;
    }
    // A 4xx that no code stands for (402, 418, 451, …) stays as it is.
    let is_mapped = |sent: StatusCode| Code::ALL.iter().any(|code| code.status() == sent);
    match call.vendor_status {
        Some(sent)
            if code == Code::InvalidRequest && sent.is_client_error() && !is_mapped(sent) =>
        {
            sent
        }
        Some(_) | None => code.status(),
    }
}

fn is_error(status: StatusCode) -> bool {
    status.as_u16() >= 400
}

fn retryable(code: Code, classification: &Classification, call: &CallContext<'_>) -> bool {
    let may_help = classification.remedy != Remedy::Final;
    let is_allowed = match call.stopped_by {
        Some(StoppedBy::Method) => false,
        // The vendor may advise a retry that only the client can make safely.
        Some(
            StoppedBy::Attempts
            | StoppedBy::Patience
            | StoppedBy::Budget
            | StoppedBy::Body
            | StoppedBy::Final
            | StoppedBy::Client,
        )
        | None => true,
    };
    match code.retryable() {
        Retryable::Yes => true,
        Retryable::AsStated => classification.wait.is_some(),
        Retryable::ByReplay => may_help && is_allowed,
        Retryable::No => may_help && is_allowed && code != Code::GatewayCredentialRejected,
    }
}

/// The longer wait; the vendor's where both are equal.
fn longest(vendors: Option<Wait>, own: Option<Wait>) -> Option<RetryAfter> {
    let wait = match (vendors, own) {
        (Some(vendors), Some(own)) if own.span > vendors.span => own,
        (vendors, own) => vendors.or(own)?,
    };
    let millis = u64::try_from(wait.span.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
    Some(RetryAfter { seconds: seconds_up(wait.span), millis, basis: wait.basis })
}

fn support_contact(support: Option<&Support>, call: &CallContext<'_>) -> Option<String> {
    let support = support?;
    let is_due = match support.when {
        SupportWhen::Exhausted => call.retries_exhausted,
        SupportWhen::Always | SupportWhen::Hint => true,
    };
    is_due.then(|| support.contact.as_ref().to_owned())
}

fn upstream_error(facts: Option<Facts>, call: &CallContext<'_>) -> UpstreamError {
    let error = UpstreamError {
        name: call.upstream.map(str::to_owned),
        status: call.vendor_status.map(|status| status.as_u16()),
        ..UpstreamError::default()
    };
    let Some(facts) = facts else { return error };
    let clean = |text: Option<String>, chars_max| {
        text.and_then(|text| call.cleaner.clean_owned(text, chars_max))
    };
    UpstreamError {
        code: clean(facts.code, SHORT_CHARS_MAX),
        reason: clean(facts.reason, DETAIL_CHARS_MAX),
        reference: clean(facts.reference, SHORT_CHARS_MAX),
        operation: clean(facts.operation, SHORT_CHARS_MAX),
        occurred_at: clean(facts.occurred_at, SHORT_CHARS_MAX),
        details: facts.details.and_then(|details| call.cleaner.details(details, DETAILS_BYTES_MAX)),
        recognised: facts.recognised,
        ..error
    }
}

fn errors(
    children: Vec<ChildError>,
    detail: Option<&str>,
    code: Code,
    cleaner: Cleaner<'_>,
) -> Vec<ErrorItem> {
    let clean = |text: Option<String>, max| text.and_then(|text| cleaner.clean_owned(text, max));
    let item = |child: ChildError| {
        let item = ErrorItem {
            detail: clean(child.message, DETAIL_CHARS_MAX),
            code: clean(child.code, SHORT_CHARS_MAX),
            pointer: clean(child.pointer, SHORT_CHARS_MAX),
        };
        (item != ErrorItem::default()).then_some(item)
    };
    let items: Vec<ErrorItem> = children.into_iter().take(CHILDREN_MAX).filter_map(item).collect();
    if !items.is_empty() || !matches!(code, Code::InvalidRequest | Code::Unprocessable) {
        return items;
    }
    // Where the vendor lists nothing, its sentence often names the missing field (D17).
    let Some((detail, field)) = detail.and_then(|it| Some((it, missing_field(it)?))) else {
        return items;
    };
    // No character that `missing_field` accepts needs an escape in a JSON Pointer.
    let pointer = Some(["/", field].concat());
    vec![ErrorItem { detail: Some(detail.to_owned()), code: None, pointer }]
}

const fn hold_detail(cause: HoldCause) -> &'static str {
    match cause {
        HoldCause::Throttle => {
            "The upstream limited the request rate a moment ago; requests to it are held until it may be called again."
        }
        HoldCause::Maintenance => {
            "The upstream is closed for maintenance; requests to it are held until it may be called again."
        }
        HoldCause::Outage => {
            "The upstream has been failing; requests to it are held until it may be called again."
        }
        HoldCause::Pause => {
            "The upstream asked for a pause; requests to it are held until it may be called again."
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::outcome::{Basis, Processing, Sign};
    use crate::problem::{Redactor, problem_headers, schema};

    fn classification(code: Code) -> Classification {
        Classification {
            code,
            rule: "test".into(),
            sign: Sign::Status,
            wait_place: None,
            processing: Processing::Unknown,
            remedy: Remedy::Backoff,
            hold: None,
            learned: None,
            standing: None,
            support: None,
            wait: None,
            status: None,
        }
    }

    fn wait(seconds: u64, basis: Basis) -> Option<Wait> {
        Some(Wait { span: Duration::from_secs(seconds), basis })
    }

    #[test]
    fn a_relayed_problem_has_the_status_of_an_error() {
        let written = gateway_problem(
            Code::AllowanceExhausted,
            &CallContext::default(),
            &Occurrence::default(),
        );
        for (stated, sent) in
            [(429, 429), (503, 503), (200, 429), (399, 429), (600, 429), (816, 429)]
        {
            let status = StatusCode::from_u16(stated).unwrap();
            let problem =
                relay(Problem { status, ..written.clone() }, None, &CallContext::default());
            assert_eq!(problem.status.as_u16(), sent, "{stated}");
        }
    }

    #[test]
    fn every_code_makes_a_valid_problem() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let call =
            CallContext { request_id: Some("r"), upstream: Some("u"), ..CallContext::default() };
        for code in Code::ALL {
            let own = gateway_problem(code, &call, &Occurrence::default());
            assert_ne!(own.source, Source::Upstream, "{code:?}");
            let vendors = upstream_problem(&classification(code), Some(Facts::default()), &call);
            for problem in [own, vendors] {
                let value = serde_json::from_slice(&problem.to_bytes()).unwrap();
                assert!(validator.is_valid(&value), "{value}");
                assert_eq!(Problem::from_value(&value), Some(problem));
            }
        }
    }

    #[test]
    fn the_longer_wait_is_used_with_its_basis() {
        let vendors =
            Classification { wait: wait(30, Basis::Upstream), ..classification(Code::RateLimited) };
        let rows = [
            (None, (30, Basis::Upstream)),
            (wait(10, Basis::Estimate), (30, Basis::Upstream)),
            (wait(3_599, Basis::Estimate), (3_599, Basis::Estimate)),
        ];
        for (retry_after, (seconds, basis)) in rows {
            let call = CallContext { retry_after, ..CallContext::default() };
            let problem = upstream_problem(&vendors, Some(Facts::default()), &call);
            let millis = seconds * 1_000;
            assert_eq!(problem.retry_after, Some(RetryAfter { seconds, millis, basis }));
            let headers = problem_headers(&problem, None, Cleaner::default());
            assert_eq!(headers[RETRY_AFTER], seconds.to_string());
        }
    }

    #[test]
    fn retryable_follows_code_remedy_and_stop_reason() {
        let stops = |stopped_by| CallContext { stopped_by, ..CallContext::default() };
        let is_retryable = |code, remedy, stopped_by| {
            let classified = Classification { remedy, ..classification(code) };
            upstream_problem(&classified, None, &stops(stopped_by)).retryable
        };
        assert!(is_retryable(Code::UpstreamTimeout, Remedy::Backoff, Some(StoppedBy::Attempts)));
        assert!(!is_retryable(Code::UpstreamTimeout, Remedy::Backoff, Some(StoppedBy::Method)));
        assert!(!is_retryable(Code::UpstreamError, Remedy::Final, Some(StoppedBy::Final)));
        assert!(is_retryable(Code::RateLimited, Remedy::Hold, Some(StoppedBy::Patience)));
        assert!(!is_retryable(Code::QuotaExhausted, Remedy::Final, Some(StoppedBy::Final)));
        assert!(!is_retryable(Code::InvalidRequest, Remedy::Final, Some(StoppedBy::Final)));
    }

    #[test]
    fn the_support_contact_is_named_after_the_retries_or_at_once_by_rule() {
        let support = |when| Support { contact: "admin@droplink.cc".into(), when };
        let contact_of = |when, retries_exhausted| {
            let classified = Classification {
                support: Some(support(when)),
                ..classification(Code::UpstreamMaintenance)
            };
            upstream_problem(
                &classified,
                None,
                &CallContext { retries_exhausted, ..CallContext::default() },
            )
            .support
        };
        assert_eq!(contact_of(SupportWhen::Exhausted, false), None);
        let contact = Some("admin@droplink.cc".to_owned());
        assert_eq!(contact_of(SupportWhen::Exhausted, true), contact);
        assert_eq!(contact_of(SupportWhen::Hint, false), contact);
        let held = support(SupportWhen::Exhausted);
        let call =
            CallContext { support: Some(&held), retries_exhausted: true, ..CallContext::default() };
        let occurrence =
            Occurrence { hold_cause: Some(HoldCause::Maintenance), ..Occurrence::default() };
        let problem = gateway_problem(Code::UpstreamHeld, &call, &occurrence);
        assert_eq!(problem.support, contact);
        assert!(problem.detail.contains("maintenance"));
    }

    #[test]
    fn a_rejected_gateway_credential_is_a_502_without_challenge() {
        let call = CallContext { credential: CredentialOwner::Gateway, ..CallContext::default() };
        for code in [Code::Unauthenticated, Code::CredentialRejected] {
            let problem = upstream_problem(&classification(code), Some(Facts::default()), &call);
            assert_eq!(problem.code, Code::GatewayCredentialRejected);
            assert_eq!((problem.status.as_u16(), problem.retryable), (502, false));
            let challenge = HeaderValue::from_static("Bearer realm=\"vendor\"");
            let vendor = HeaderMap::from_iter([(WWW_AUTHENTICATE, challenge)]);
            let headers = problem_headers(&problem, Some(&vendor), Cleaner::default());
            assert!(!headers.contains_key(WWW_AUTHENTICATE));
        }
    }

    #[test]
    fn the_status_follows_the_code_unless_the_policy_keeps_the_vendors() {
        let status = |code, sent: u16, status| {
            let vendor_status = StatusCode::from_u16(sent).ok();
            let call = CallContext { vendor_status, status, ..CallContext::default() };
            upstream_problem(&classification(code), Some(Facts::default()), &call).status.as_u16()
        };
        assert_eq!(status(Code::RateLimited, 400, StatusPolicy::Map), 429);
        assert_eq!(status(Code::RateLimited, 400, StatusPolicy::Keep), 400);
        assert_eq!(status(Code::InvalidRequest, 418, StatusPolicy::Map), 418);
        assert_eq!(status(Code::InvalidRequest, 404, StatusPolicy::Map), 400);
        assert_eq!(status(Code::RateLimited, 200, StatusPolicy::Keep), 429);
    }

    #[test]
    fn no_member_contains_a_secret() {
        let secret = "sk-live-1234567890";
        let text = || Some(format!("key {secret} is bad"));
        let facts = Facts {
            message: text(),
            code: text(),
            reason: Some(format!("{secret}!")),
            reference: text(),
            operation: text(),
            occurred_at: text(),
            details: Some(serde_json::json!({ secret: [secret, { "a": secret }] })),
            children: vec![ChildError { message: text(), code: text(), pointer: text() }],
            error: Some(ErrorMember {
                value: serde_json::json!({ "a": [secret], secret: 1 }),
                description: text(),
                uri: text(),
            }),
            ..Facts::default()
        };
        let redactor = Redactor::new([secret.as_bytes()]);
        let call = CallContext { cleaner: Cleaner::new(&redactor), ..CallContext::default() };
        let problem = upstream_problem(&classification(Code::InvalidRequest), Some(facts), &call);
        let body = String::from_utf8(problem.to_bytes().to_vec()).unwrap();
        assert!(!body.contains(secret) && body.contains("[secret]"), "{body}");
        assert!(!format!("{call:?}").contains(secret));
    }
}
