//! Whatever went wrong → the one problem the client reads.
//!
//! The live gateway and `evenkeel normalise` both come through here. Refuses to decide what an
//! outcome means (`classify`) or what is done about it (`verdict`).

mod clean;
mod field;
mod harmless;
mod headers;
mod redact;

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;

use crate::outcome::{
    CHILDREN_MAX, ChildError, Classification, Code, Facts, HoldCause, Remedy, Source, StoppedBy,
    Support, SupportWhen, Wait,
};
use crate::problem::{
    Child, DETAIL_CHARS_MAX, DETAILS_BYTES_MAX, Problem, RetryAfter, Retryable, SHORT_CHARS_MAX,
    Spoken,
};
use crate::time::seconds_up;

pub use clean::Scrub;
pub use headers::{PROBLEM_MEDIA_TYPE, ProxyError, problem_headers, proxy_status};
pub use redact::Redactor;

/// What the gateway knows about a call when its problem is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallFacts<'a> {
    /// The id of the call.
    pub request_id: Option<&'a str>,
    /// Sends so far.
    pub attempts: u32,
    /// How long the call waited here.
    pub waited: Duration,
    /// Why it was not tried again.
    pub stopped_by: Option<StoppedBy>,
    /// Whether the request may have been carried out all the same.
    pub effect: Effect,
    /// Whether "a few retries" have been made (D36).
    pub retries: Retries,
    /// Whose credential went to the vendor.
    pub credential: Presenter,
    /// What the gateway reckons itself; the longer of this and the vendor's word counts.
    pub retry_after: Option<Wait>,
    /// The upstream's name.
    pub upstream: Option<&'a str>,
    /// The status as the vendor sent it.
    pub vendor_status: Option<StatusCode>,
    /// Where the vendor documents its errors.
    pub documentation: Option<&'a str>,
    /// Whom to contact, when the trouble itself does not say.
    pub support: Option<&'a Support>,
    /// Which status the problem has.
    pub status: StatusPolicy,
    /// What never passes, whoever says it.
    pub scrub: Scrub<'a>,
}

/// Whether it is known what a request did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// It is known.
    #[default]
    Known,
    /// It may have been carried out, or not.
    Unknown,
}

/// Whether "a few retries" have been made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retries {
    /// Not yet.
    #[default]
    Left,
    /// This call's attempts, or the probes of the hold that answers it.
    UsedUp,
}

/// Whose credential went to the vendor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presenter {
    /// The client's own.
    #[default]
    Client,
    /// One that the gateway injects.
    Gateway,
}

/// Which status a problem has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusPolicy {
    /// The one of its code, so that one meaning has one status.
    #[default]
    Map,
    /// The vendor's own.
    Keep,
}

/// What is particular about a refusal or failure of our own.
#[derive(Clone, Debug, Default)]
pub struct Remark<'a> {
    /// Who speaks, if not the code's usual source.
    pub source: Option<Source>,
    /// This occurrence in one sentence; without one, the code's or the cause's own.
    pub detail: Option<Cow<'a, str>>,
    /// The cause of the hold that stands.
    pub cause: Option<HoldCause>,
}

/// The problem of an outcome: with its reading when the vendor answered, without when it did not.
#[must_use]
pub fn upstream_problem(
    trouble: &Classification,
    reading: Option<&Facts>,
    call: &CallFacts<'_>,
) -> Problem {
    let relayed = reading.and_then(|reading| reading.relayed.as_deref());
    if let Some(problem) = relayed.and_then(|relayed| Problem::from_value(&relayed.body)) {
        return relay(problem, call);
    }
    let code = presented_code(trouble.code, call.credential);
    let sentence = reading.and_then(|reading| sentence(reading, call.scrub));
    let errors = reading.map(|reading| errors(reading, sentence.as_deref(), code, call.scrub));
    let mut problem = frame(code, sentence, call);
    problem.errors = errors.unwrap_or_default();
    problem.source = source(code, reading);
    problem.status = status(code, trouble, call);
    problem.retryable = retryable(code, trouble, call);
    problem.retry_after = longer(trouble.wait, call.retry_after);
    problem.support = support(trouble.support.as_ref().or(call.support), call.retries);
    problem.upstream = Some(spoken(reading, call));
    problem
}

/// The problem of a refusal or a defect of our own.
#[must_use]
pub fn own_problem(code: Code, call: &CallFacts<'_>, remark: &Remark<'_>) -> Problem {
    let mut problem = frame(code, own_detail(remark, call), call);
    problem.source = remark.source.unwrap_or_else(|| own_source(code));
    problem.retryable = matches!(code.retryable(), Retryable::Yes);
    problem.retry_after = longer(None, call.retry_after);
    problem.support = support(call.support, call.retries);
    problem.upstream = call.upstream.is_some().then(|| spoken(None, call));
    problem
}

/// The usual source among those that are not the vendor.
fn own_source(code: Code) -> Source {
    let own = code.sources().iter().copied().find(|source| *source != Source::Upstream);
    own.unwrap_or(Source::Gateway)
}

/// Another gateway of ours has said it already: nothing is said twice or otherwise.
fn relay(mut problem: Problem, call: &CallFacts<'_>) -> Problem {
    let own = longer(None, call.retry_after);
    if own.is_some_and(|own| problem.retry_after.is_none_or(|said| own.seconds > said.seconds)) {
        problem.retry_after = own;
    }
    if !is_error(problem.status) {
        problem.status = problem.code.status();
    }
    clean::bound_problem(&mut problem, call.scrub);
    problem
}

/// The parts that every problem has; without a sentence the code's own.
fn frame(code: Code, sentence: Option<String>, call: &CallFacts<'_>) -> Problem {
    Problem {
        code,
        status: code.status(),
        detail: sentence.unwrap_or_else(|| code.title().to_owned() + "."),
        source: code.sources()[0],
        retryable: false,
        retry_after: None,
        attempts: call.attempts,
        waited_ms: u64::try_from(call.waited.as_millis()).unwrap_or(u64::MAX),
        stopped_by: call.stopped_by,
        outcome_unknown: call.effect == Effect::Unknown,
        request_id: call.request_id.map(str::to_owned),
        upstream: None,
        errors: Vec::new(),
        support: None,
        documentation: call.documentation.map(str::to_owned),
    }
}

/// A refused credential of our own is the operator's problem, not the client's (D22).
const fn presented_code(code: Code, credential: Presenter) -> Code {
    match (code, credential) {
        (Code::Unauthenticated | Code::CredentialRejected, Presenter::Gateway) => {
            Code::GatewayCredentialRejected
        }
        (code, Presenter::Gateway | Presenter::Client) => code,
    }
}

fn source(code: Code, reading: Option<&Facts>) -> Source {
    let speaks = if reading.is_some() { Source::Upstream } else { Source::Gateway };
    if code.sources().contains(&speaks) { speaks } else { code.sources()[0] }
}

fn status(code: Code, trouble: &Classification, call: &CallFacts<'_>) -> StatusCode {
    match (call.status, call.vendor_status) {
        (StatusPolicy::Keep, Some(sent)) if is_error(sent) => sent,
        (StatusPolicy::Keep | StatusPolicy::Map, sent) => {
            trouble.status.unwrap_or_else(|| mapped(code, sent))
        }
    }
}

/// The vendor's own 4xx stays when no code stands for it (402, 418, 451 …).
fn mapped(code: Code, sent: Option<StatusCode>) -> StatusCode {
    let has_row = |sent: StatusCode| Code::ALL.iter().any(|code| code.status() == sent);
    match sent {
        Some(sent) if code == Code::InvalidRequest && sent.is_client_error() && !has_row(sent) => {
            sent
        }
        Some(_) | None => code.status(),
    }
}

fn is_error(status: StatusCode) -> bool {
    status.as_u16() >= 400
}

fn retryable(code: Code, trouble: &Classification, call: &CallFacts<'_>) -> bool {
    let helps = trouble.remedy != Remedy::Final;
    let allowed = match call.stopped_by {
        Some(StoppedBy::Method | StoppedBy::Final) => false,
        Some(StoppedBy::Attempts | StoppedBy::Patience | StoppedBy::Budget | StoppedBy::Body)
        | None => true,
    };
    match code.retryable() {
        Retryable::Yes => true,
        Retryable::AsStated => trouble.wait.is_some(),
        Retryable::ByReplay => helps && allowed,
        Retryable::No => helps && allowed && code != Code::GatewayCredentialRejected,
    }
}

fn longer(said: Option<Wait>, reckoned: Option<Wait>) -> Option<RetryAfter> {
    let longest = match (said, reckoned) {
        (Some(said), Some(reckoned)) if reckoned.span > said.span => reckoned,
        (Some(said), Some(_) | None) => said,
        (None, reckoned) => reckoned?,
    };
    Some(RetryAfter { seconds: seconds_up(longest.span), basis: longest.basis })
}

fn support(support: Option<&Support>, retries: Retries) -> Option<String> {
    let support = support?;
    let told = match support.when {
        SupportWhen::Exhausted => retries == Retries::UsedUp,
        SupportWhen::Always | SupportWhen::Hint => true,
    };
    told.then(|| support.contact.as_ref().to_owned())
}

fn spoken(reading: Option<&Facts>, call: &CallFacts<'_>) -> Spoken {
    let mut spoken = Spoken {
        name: call.upstream.map(str::to_owned),
        status: call.vendor_status.map(|status| status.as_u16()),
        ..Spoken::default()
    };
    let Some(reading) = reading else { return spoken };
    let short = |text: &Option<String>| {
        text.as_deref().and_then(|text| call.scrub.clean(text, SHORT_CHARS_MAX))
    };
    spoken.code = short(&reading.code);
    let reason = reading.reason.as_deref();
    spoken.reason = reason.and_then(|reason| call.scrub.clean(reason, DETAIL_CHARS_MAX));
    spoken.reference = short(&reading.reference);
    spoken.operation = short(&reading.operation);
    spoken.occurred_at = short(&reading.occurred_at);
    let details = reading.details.as_ref();
    spoken.details = details.and_then(|details| call.scrub.details(details, DETAILS_BYTES_MAX));
    spoken.recognised = reading.recognised;
    spoken
}

fn sentence(reading: &Facts, scrub: Scrub<'_>) -> Option<String> {
    scrub.clean(reading.message.as_deref()?, DETAIL_CHARS_MAX)
}

fn errors(reading: &Facts, sentence: Option<&str>, code: Code, scrub: Scrub<'_>) -> Vec<Child> {
    let parts = reading.children.iter().take(CHILDREN_MAX);
    let listed: Vec<Child> = parts.filter_map(|part| child(part, scrub)).collect();
    if listed.is_empty() && matches!(code, Code::InvalidRequest | Code::Unprocessable) {
        return sentence.and_then(missing_field).into_iter().collect();
    }
    listed
}

fn child(part: &ChildError, scrub: Scrub<'_>) -> Option<Child> {
    let clean =
        |text: &Option<String>, max| text.as_deref().and_then(|text| scrub.clean(text, max));
    let child = Child {
        detail: clean(&part.message, DETAIL_CHARS_MAX),
        code: clean(&part.code, SHORT_CHARS_MAX),
        pointer: clean(&part.pointer, SHORT_CHARS_MAX),
    };
    (child != Child::default()).then_some(child)
}

/// The field that a sentence names as missing (D17).
fn missing_field(sentence: &str) -> Option<Child> {
    let field = field::missing_field(sentence)?;
    // The pattern admits no letter that a pointer would have to escape.
    let pointer = Some(["/", field].concat());
    Some(Child { detail: Some(sentence.to_owned()), code: None, pointer })
}

fn own_detail(remark: &Remark<'_>, call: &CallFacts<'_>) -> Option<String> {
    let sentence = match (&remark.detail, remark.cause) {
        (Some(detail), _) => detail.as_ref(),
        (None, Some(cause)) => held_because(cause),
        (None, None) => return None,
    };
    call.scrub.clean(sentence, DETAIL_CHARS_MAX)
}

const fn held_because(cause: HoldCause) -> &'static str {
    match cause {
        HoldCause::Throttle => {
            "The upstream limited the rate of calls a moment ago; calls to it are held until it may be asked again."
        }
        HoldCause::Maintenance => {
            "The upstream is closed for maintenance; calls to it are held until it may be asked again."
        }
        HoldCause::Outage => {
            "The upstream has been failing; calls to it are held until it may be asked again."
        }
        HoldCause::Pause => {
            "The upstream asked for a pause; calls to it are held until it may be asked again."
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::outcome::{Basis, Processing};
    use crate::problem::schema;

    fn trouble(code: Code) -> Classification {
        Classification {
            code,
            rule: "test".into(),
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
    fn every_code_makes_a_valid_problem() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let call = CallFacts { request_id: Some("r"), upstream: Some("u"), ..CallFacts::default() };
        for code in Code::ALL {
            let own = own_problem(code, &call, &Remark::default());
            assert_ne!(own.source, Source::Upstream, "{code:?}");
            let vendors = upstream_problem(&trouble(code), Some(&Facts::default()), &call);
            for problem in [own, vendors] {
                let value = serde_json::from_slice(&problem.to_bytes()).unwrap();
                assert!(validator.is_valid(&value), "{value}");
                assert_eq!(Problem::from_value(&value), Some(problem));
            }
        }
    }

    #[test]
    fn the_longer_wait_wins_and_says_who_spoke() {
        let vendors =
            Classification { wait: wait(30, Basis::Upstream), ..trouble(Code::RateLimited) };
        let rows = [
            (None, (30, Basis::Upstream)),
            (wait(10, Basis::Estimate), (30, Basis::Upstream)),
            (wait(3_599, Basis::Estimate), (3_599, Basis::Estimate)),
        ];
        for (retry_after, (seconds, basis)) in rows {
            let call = CallFacts { retry_after, ..CallFacts::default() };
            let problem = upstream_problem(&vendors, Some(&Facts::default()), &call);
            assert_eq!(problem.retry_after, Some(RetryAfter { seconds, basis }));
            let headers = problem_headers(&problem, None, Scrub::default());
            assert_eq!(headers[RETRY_AFTER], seconds.to_string());
        }
    }

    #[test]
    fn retryable_follows_the_replay_table() {
        let stops = |stopped_by| CallFacts { stopped_by, ..CallFacts::default() };
        let ask = |code, remedy, stopped_by| {
            let trouble = Classification { remedy, ..trouble(code) };
            upstream_problem(&trouble, None, &stops(stopped_by)).retryable
        };
        assert!(ask(Code::UpstreamTimeout, Remedy::Backoff, Some(StoppedBy::Attempts)));
        assert!(!ask(Code::UpstreamTimeout, Remedy::Backoff, Some(StoppedBy::Method)));
        assert!(!ask(Code::UpstreamError, Remedy::Final, Some(StoppedBy::Final)));
        assert!(ask(Code::RateLimited, Remedy::Hold, Some(StoppedBy::Patience)));
        assert!(!ask(Code::QuotaExhausted, Remedy::Final, Some(StoppedBy::Final)));
        assert!(!ask(Code::InvalidRequest, Remedy::Final, Some(StoppedBy::Final)));
    }

    #[test]
    fn support_is_told_only_when_its_time_has_come() {
        let support = |when| Support { contact: "admin@droplink.cc".into(), when };
        let told = |when, retries| {
            let trouble = Classification {
                support: Some(support(when)),
                ..trouble(Code::UpstreamMaintenance)
            };
            upstream_problem(&trouble, None, &CallFacts { retries, ..CallFacts::default() }).support
        };
        assert_eq!(told(SupportWhen::Exhausted, Retries::Left), None);
        let contact = Some("admin@droplink.cc".to_owned());
        assert_eq!(told(SupportWhen::Exhausted, Retries::UsedUp), contact);
        assert_eq!(told(SupportWhen::Hint, Retries::Left), contact);
        let held = support(SupportWhen::Exhausted);
        let call =
            CallFacts { support: Some(&held), retries: Retries::UsedUp, ..CallFacts::default() };
        let remark = Remark { cause: Some(HoldCause::Maintenance), ..Remark::default() };
        let problem = own_problem(Code::UpstreamHeld, &call, &remark);
        assert_eq!(problem.support, contact);
        assert!(problem.detail.contains("maintenance"));
    }

    #[test]
    fn a_refused_credential_of_ours_is_not_the_clients_fault() {
        let call = CallFacts { credential: Presenter::Gateway, ..CallFacts::default() };
        for code in [Code::Unauthenticated, Code::CredentialRejected] {
            let problem = upstream_problem(&trouble(code), Some(&Facts::default()), &call);
            assert_eq!(problem.code, Code::GatewayCredentialRejected);
            assert_eq!((problem.status.as_u16(), problem.retryable), (502, false));
            let challenge = HeaderValue::from_static("Bearer realm=\"vendor\"");
            let vendor = HeaderMap::from_iter([(WWW_AUTHENTICATE, challenge)]);
            let headers = problem_headers(&problem, Some(&vendor), Scrub::default());
            assert!(!headers.contains_key(WWW_AUTHENTICATE));
        }
    }

    #[test]
    fn status_is_by_code_unless_kept() {
        let status = |code, sent: u16, status| {
            let vendor_status = StatusCode::from_u16(sent).ok();
            let call = CallFacts { vendor_status, status, ..CallFacts::default() };
            upstream_problem(&trouble(code), Some(&Facts::default()), &call).status.as_u16()
        };
        assert_eq!(status(Code::RateLimited, 400, StatusPolicy::Map), 429);
        assert_eq!(status(Code::RateLimited, 400, StatusPolicy::Keep), 400);
        assert_eq!(status(Code::InvalidRequest, 418, StatusPolicy::Map), 418);
        assert_eq!(status(Code::InvalidRequest, 404, StatusPolicy::Map), 400);
        assert_eq!(status(Code::RateLimited, 200, StatusPolicy::Keep), 429);
    }

    #[test]
    fn secrets_pass_nowhere() {
        let secret = "sk-live-1234567890";
        let text = || Some(format!("key {secret} is bad"));
        let reading = Facts {
            message: text(),
            code: text(),
            reason: Some(format!("{secret}!")),
            reference: text(),
            operation: text(),
            occurred_at: text(),
            details: Some(serde_json::json!({ secret: [secret, { "a": secret }] })),
            children: vec![ChildError { message: text(), code: text(), pointer: text() }],
            ..Facts::default()
        };
        let redactor = Redactor::new([secret.as_bytes()]);
        let call = CallFacts { scrub: Scrub::of(&redactor), ..CallFacts::default() };
        let problem = upstream_problem(&trouble(Code::InvalidRequest), Some(&reading), &call);
        let body = String::from_utf8(problem.to_bytes().to_vec()).unwrap();
        assert!(!body.contains(secret) && body.contains("[secret]"), "{body}");
        assert!(!format!("{call:?}").contains(secret));
    }
}
