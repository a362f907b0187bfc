//! The log lines about calls: one per call worth logging, and one when a response body breaks.
//!
//! Members have the same names as in problems and metrics. Header values, query strings and bodies
//! are never logged, and text from a client is escaped so that it cannot imitate a line of its own.

use std::fmt;
use std::time::Duration;

use http::{Method, StatusCode};

use super::settings::Access;
use crate::allowance::Bottleneck;
use crate::outcome::{Code, Failure, Source, StoppedBy};
use crate::retry::decision::RetryReason;

/// A call that took or waited longer is logged although it succeeded.
const SLOW: Duration = Duration::from_secs(1);

/// The tracing target, by which a filter selects these lines.
const TARGET: &str = "evenkeel::call";

/// What decides whether a call is logged.
#[derive(Clone, Copy, Debug)]
pub struct CallSummary {
    /// The code, if the client received a problem.
    pub code: Option<Code>,
    pub attempts: u32,
    /// How long the call waited in the gateway.
    pub waited: Duration,
    /// From the head of the request to the head of the response.
    pub total: Duration,
}

impl CallSummary {
    #[must_use]
    pub fn is_logged(&self, access: Access) -> bool {
        match access {
            Access::None => false,
            Access::ErrorsAndSlow => {
                let slow = self.waited > SLOW || self.total > SLOW;
                self.code.is_some() || self.attempts > 1 || slow
            }
            Access::All => true,
        }
    }
}

/// Everything that is logged about a call.
#[derive(Clone, Debug)]
pub struct CallRecord<'a> {
    pub summary: CallSummary,
    /// As the client received it.
    pub request_id: &'a str,
    pub client: &'a str,
    pub upstream: &'a str,
    pub method: &'a Method,
    /// As the client wrote it, without the query.
    pub path: &'a str,
    /// As the client received it.
    pub status: StatusCode,
    /// The problem's source, if the client received one.
    pub source: Option<Source>,
    /// How long the upstream took, over all attempts.
    pub upstream_time: Duration,
    /// The dialect's rule that classified the response.
    pub rule: Option<&'a str>,
    pub stopped_by: Option<StoppedBy>,
    /// In seconds.
    pub retry_after: Option<u64>,
    /// The vendor's own status, of the last attempt.
    pub vendor_status: Option<StatusCode>,
    /// Why the last retry was made.
    pub retried_because: Option<RetryReason>,
    /// The vendor's account, where one upstream has several or several upstreams share one.
    pub account: Option<Box<str>>,
    /// The trace that the client's request belongs to.
    pub trace_id: Option<Box<str>>,
    /// How the last exchange broke, or the one that a retry followed.
    pub failure: Option<&'a Failure>,
    /// What the call waited for, or got no slot of.
    pub awaited: Option<&'a Bottleneck>,
}

/// Logs a call if `access` says so. Most are not logged, so `record` runs only for those that are.
pub fn log_call<'a>(
    access: Access,
    summary: &CallSummary,
    record: impl FnOnce() -> CallRecord<'a>,
) {
    if summary.is_logged(access) {
        write(&record());
    }
}

/// The level of an event is fixed where it is written, so three levels need the line three times.
macro_rules! call_event {
    ($level:ident, $call:expr) => {
        tracing::$level!(
            target: TARGET,
            method = %$call.method,
            path = %Escaped($call.path),
            status = $call.status.as_u16(),
            code = $call.summary.code.map(Code::as_str),
            source = $call.source.map(Source::as_str),
            client = $call.client,
            upstream = $call.upstream,
            account = $call.account.as_deref().map(|account| display(Escaped(account))),
            phase = $call.failure.map(|failure| failure.kind.phase()),
            failure = $call.failure.map(|failure| failure.kind.as_str()),
            cause = $call.failure.map(|failure| display(Escaped(cause(failure)))),
            waited_for = $call.awaited.map(display),
            attempts = $call.summary.attempts,
            waited_ms = millis($call.summary.waited),
            upstream_ms = millis($call.upstream_time),
            total_ms = millis($call.summary.total),
            rule = $call.rule,
            stopped_by = $call.stopped_by.map(StoppedBy::as_str),
            retry_after = $call.retry_after,
            upstream_status = $call.vendor_status.map(|status| status.as_u16()),
            retried_because = $call.retried_because.map(|reason| match reason {
                RetryReason::Failure(kind) => kind.as_str(),
                RetryReason::Code(code) => code.as_str(),
            }),
            request_id = %Escaped($call.request_id),
            trace_id = $call.trace_id.as_deref(),
            "call"
        )
    };
}

#[cold]
fn write(call: &CallRecord<'_>) {
    if let Some(Code::GatewayCredentialRejected | Code::GatewayError) = call.summary.code {
        // Only the operator can repair it (D22).
        call_event!(error, call);
    } else if call.summary.code == Some(Code::UpstreamError) {
        // It does not happen in normal operation (W29).
        call_event!(warn, call);
    } else {
        call_event!(info, call);
    }
}

/// A response whose body broke after its head was sent to the client.
#[derive(Clone, Copy, Debug)]
pub struct BrokenBody<'a> {
    /// As the client received it.
    pub request_id: &'a str,
    pub client: &'a str,
    pub upstream: &'a str,
    pub method: &'a Method,
    /// As the client wrote it, without the query.
    pub path: &'a str,
    /// As the client received it.
    pub status: StatusCode,
    /// Bytes of the body that were sent to the client.
    pub bytes: u64,
    pub by: BrokenBy,
    pub cause: BreakCause<'a>,
    /// The vendor's account, where one upstream has several or several upstreams share one.
    pub account: Option<&'a str>,
    /// The trace that the client's request belongs to.
    pub trace_id: Option<&'a str>,
    /// From the head of the request to the break.
    pub total: Duration,
}

/// Why a body broke.
#[derive(Clone, Copy, Debug)]
pub enum BreakCause<'a> {
    /// The exchange with the vendor failed.
    Exchange(&'a Failure),
    /// The client's side failed, as described here.
    Client(&'a str),
}

/// The side on which a body broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenBy {
    /// The vendor ended early or was silent for too long.
    Upstream,
    /// The client left or did not read for too long.
    Client,
}

impl BrokenBy {
    pub const ALL: [Self; 2] = [Self::Upstream, Self::Client];

    /// Its name in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Client => "client",
        }
    }
}

/// Logs that a body broke, when it did: the line of the call itself was written with the head of
/// the response, if at all.
#[cold]
pub fn log_broken_body(access: Access, body: &BrokenBody<'_>) {
    if access == Access::None {
        return;
    }
    let (failure, cause) = match body.cause {
        BreakCause::Exchange(failure) => (Some(failure.kind.as_str()), cause(failure)),
        BreakCause::Client(cause) => (None, cause),
    };
    macro_rules! broken_event {
        ($level:ident) => {
            tracing::$level!(
                target: TARGET,
                outcome = "broken",
                method = %body.method,
                path = %Escaped(body.path),
                status = body.status.as_u16(),
                client = body.client,
                upstream = body.upstream,
                account = body.account.map(|account| display(Escaped(account))),
                by = body.by.as_str(),
                phase = failure.map(|_| "body"),
                failure,
                cause = %Escaped(cause),
                bytes = body.bytes,
                total_ms = millis(body.total),
                request_id = %Escaped(body.request_id),
                trace_id = body.trace_id,
                "response body broke off"
            )
        };
    }
    match body.by {
        BrokenBy::Upstream => broken_event!(warn),
        BrokenBy::Client => broken_event!(info),
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The most precise description of a failure.
fn cause(failure: &Failure) -> &str {
    if failure.detail.is_empty() { failure.cause } else { &failure.detail }
}

/// Shows text with escapes for the characters that could imitate other log output.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return f.write_str(self.0);
        }
        self.0.split_inclusive(is_deceptive).try_for_each(|part| {
            let last = part.chars().next_back().filter(|last| is_deceptive(*last));
            f.write_str(&part[..part.len() - last.map_or(0, char::len_utf8)])?;
            last.map_or(Ok(()), |last| write!(f, "{}", last.escape_default()))
        })
    }
}

/// Control characters, and those that end a line or change the direction of reading.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::super::log::tests::captured;
    use super::*;
    use crate::allowance::BottleneckKind;
    use crate::outcome::{Delivery, FailureKind};

    const ORDINARY: CallRecord<'static> = CallRecord {
        summary: CallSummary {
            code: None,
            attempts: 1,
            waited: Duration::ZERO,
            total: Duration::from_millis(81),
        },
        request_id: "r1",
        client: "shop",
        upstream: "wordbee",
        method: &Method::GET,
        path: "/docs",
        status: StatusCode::OK,
        source: None,
        upstream_time: Duration::from_millis(80),
        rule: None,
        stopped_by: None,
        retry_after: None,
        vendor_status: Some(StatusCode::OK),
        retried_because: None,
        account: None,
        trace_id: None,
        failure: None,
        awaited: None,
    };

    fn lines(access: Access, call: &CallRecord<'_>) -> String {
        captured(|| log_call(access, &call.summary, || call.clone()))
    }

    #[test]
    fn by_default_only_failed_retried_and_slow_calls_are_logged() {
        let default = Access::default();
        let with = |summary| CallRecord { summary, ..ORDINARY };
        let ordinary = ORDINARY.summary;
        let retried = CallSummary { attempts: 2, ..ordinary };
        assert_eq!(lines(default, &ORDINARY), "");
        assert_eq!(lines(Access::None, &with(retried)), "");
        assert!(lines(Access::All, &ORDINARY).contains("\"path\":\"/docs\""));
        let slow = Duration::from_millis(1001);
        let logged = [
            CallSummary { code: Some(Code::RouteNotFound), ..ordinary },
            retried,
            CallSummary { waited: slow, ..ordinary },
            CallSummary { total: slow, ..ordinary },
        ];
        for summary in logged {
            assert_eq!(lines(default, &with(summary)).lines().count(), 1, "{summary:?}");
        }
    }

    #[test]
    fn a_line_has_the_members_of_the_problem_and_omits_absent_ones() {
        let call = CallRecord {
            summary: CallSummary { code: Some(Code::RateLimited), attempts: 4, ..ORDINARY.summary },
            status: StatusCode::TOO_MANY_REQUESTS,
            source: Some(Source::Upstream),
            rule: Some("throttled"),
            stopped_by: Some(StoppedBy::Patience),
            retry_after: Some(3599),
            retried_because: Some(RetryReason::Failure(FailureKind::Reset)),
            ..ORDINARY
        };
        let line: serde_json::Value =
            serde_json::from_str(&lines(Access::ErrorsAndSlow, &call)).unwrap();
        let expected = [
            ("status", serde_json::json!(429)),
            ("code", "rate_limited".into()),
            ("source", "upstream".into()),
            ("attempts", 4.into()),
            ("upstream_ms", 80.into()),
            ("rule", "throttled".into()),
            ("stopped_by", "patience".into()),
            ("retry_after", 3599.into()),
            ("upstream_status", 200.into()),
            ("retried_because", "reset".into()),
            ("request_id", "r1".into()),
        ];
        for (field, value) in expected {
            assert_eq!(line[field], value, "{field} in {line}");
        }
        let ordinary: serde_json::Value =
            serde_json::from_str(&lines(Access::All, &ORDINARY)).unwrap();
        for absent in ["code", "source", "rule", "stopped_by", "retry_after"] {
            assert!(ordinary.get(absent).is_none(), "{absent} in {ordinary}");
        }
    }

    #[test]
    fn a_line_says_why_the_call_failed_or_waited() {
        let detail = "the certificate is for a.example, not for `b.example`".to_owned();
        let failure = Failure::new(FailureKind::TlsCertificate, Delivery::NotSent, detail);
        let awaited = Bottleneck { kind: BottleneckKind::Allowance, name: "hour".into() };
        let call = CallRecord {
            account: Some("acme\u{1b}".into()),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
            failure: Some(&failure),
            awaited: Some(&awaited),
            ..ORDINARY
        };
        let line: serde_json::Value = serde_json::from_str(&lines(Access::All, &call)).unwrap();
        let expected = [
            ("account", "acme\\u{1b}"),
            ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
            ("phase", "tls"),
            ("failure", "tls_certificate"),
            ("cause", "the certificate is for a.example, not for `b.example`"),
            ("waited_for", "allowance hour"),
        ];
        for (field, value) in expected {
            assert_eq!(line[field], value, "{field} in {line}");
        }
        let ordinary: serde_json::Value =
            serde_json::from_str(&lines(Access::All, &ORDINARY)).unwrap();
        assert!(expected.iter().all(|(absent, _)| ordinary.get(absent).is_none()), "{ordinary}");
    }

    #[test]
    fn a_broken_body_is_logged_with_side_phase_and_cause() {
        let failure =
            Failure::new(FailureKind::Reset, Delivery::Uncertain, "reset by peer".to_owned());
        let body = BrokenBody {
            request_id: "r1",
            client: "shop",
            upstream: "wordbee",
            method: &Method::GET,
            path: "/docs",
            status: StatusCode::OK,
            bytes: 70_000,
            by: BrokenBy::Upstream,
            cause: BreakCause::Exchange(&failure),
            account: Some("acme"),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
            total: Duration::from_secs(2),
        };
        let parsed = |body: &BrokenBody<'_>| -> serde_json::Value {
            serde_json::from_str(&captured(|| log_broken_body(Access::default(), body))).unwrap()
        };
        let line = parsed(&body);
        let expected = [
            ("outcome", "broken"),
            ("by", "upstream"),
            ("phase", "body"),
            ("failure", "reset"),
            ("cause", "reset by peer"),
            ("account", "acme"),
            ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ];
        for (field, value) in expected {
            assert_eq!(line[field], value, "{field} in {line}");
        }
        let cause = BreakCause::Client("the client left");
        let line = parsed(&BrokenBody { by: BrokenBy::Client, cause, account: None, ..body });
        assert_eq!((&line["by"], &line["cause"]), (&"client".into(), &"the client left".into()));
        assert!(["phase", "failure", "account"].iter().all(|it| line.get(it).is_none()), "{line}");
    }

    #[test]
    fn a_client_cannot_forge_log_lines() {
        let path = "/a\r\nERROR faked\u{1b}[31m\u{202e}\u{85}/ä";
        let shown = Escaped(path).to_string();
        assert_eq!(shown, "/a\\r\\nERROR faked\\u{1b}[31m\\u{202e}\\u{85}/ä");
        assert_eq!(lines(Access::All, &CallRecord { path, ..ORDINARY }).lines().count(), 1);
    }
}
