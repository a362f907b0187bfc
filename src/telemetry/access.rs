//! One event per call: who asked for what, what it got, and what was done for it.
//!
//! The names are those of the glossary and of the problem. Refuses to carry header values, query
//! strings or bodies, and to let control characters of a client through: a line is a line.

use std::fmt;
use std::time::Duration;

use http::{Method, StatusCode};

use super::settings::Access;
use crate::allowance::Awaited;
use crate::outcome::{Code, Failure, Source, StoppedBy};
use crate::retry::decision::RetryReason;

/// A call that took longer, or waited longer, is slow.
const SLOW: Duration = Duration::from_secs(1);

/// The name under which a filter finds these events.
const TARGET: &str = "evenkeel::call";

/// Everything that is written down about a call.
#[derive(Clone, Debug)]
pub struct CallRecord<'a> {
    /// Its id, as the client got it.
    pub request_id: &'a str,
    /// The client's name.
    pub client: &'a str,
    /// The upstream's name.
    pub upstream: &'a str,
    /// The method.
    pub method: &'a Method,
    /// The path without its query, as the client wrote it.
    pub path: &'a str,
    /// The status the client got.
    pub status: StatusCode,
    /// The code, if it got a problem.
    pub code: Option<Code>,
    /// Who spoke in that problem.
    pub source: Option<Source>,
    /// Sends.
    pub attempts: u32,
    /// How long the call waited here.
    pub waited: Duration,
    /// How long the upstream took, over all attempts.
    pub upstream_time: Duration,
    /// From its head to the head of the answer.
    pub total: Duration,
    /// The dialect's rule that said what the answer meant.
    pub rule: Option<&'a str>,
    /// Why it was not tried again.
    pub stopped_by: Option<StoppedBy>,
    /// Seconds after which the client may come back.
    pub retry_after: Option<u64>,
    /// The vendor's own status, of the last attempt.
    pub vendor_status: Option<StatusCode>,
    /// What the last retry was to repair.
    pub retried_because: Option<RetryReason>,
    /// The vendor's account, where one upstream has several or several upstreams share one.
    pub account: Option<Box<str>>,
    /// The trace that the client's request belongs to.
    pub trace_id: Option<Box<str>>,
    /// How the last exchange broke, or the one that a retry repaired.
    pub failure: Option<&'a Failure>,
    /// What the call waited for, or was refused a slot of.
    pub awaited: Option<&'a Awaited>,
}

/// An answer whose body broke off behind its head.
#[derive(Clone, Copy, Debug)]
pub struct BrokenBody<'a> {
    /// The call's id, as the client got it.
    pub request_id: &'a str,
    /// The client's name.
    pub client: &'a str,
    /// The upstream's name.
    pub upstream: &'a str,
    /// The method.
    pub method: &'a Method,
    /// The path without its query, as the client wrote it.
    pub path: &'a str,
    /// The status the client got.
    pub status: StatusCode,
    /// Bytes of the body that were handed on.
    pub bytes: u64,
    /// The side that broke.
    pub by: BrokenBy,
    /// What happened.
    pub why: BodyFault<'a>,
    /// The vendor's account, where one upstream has several or several upstreams share one.
    pub account: Option<&'a str>,
    /// The trace that the client's request belongs to.
    pub trace_id: Option<&'a str>,
    /// From the call's head to the break.
    pub total: Duration,
}

/// What happened to a body that broke off.
#[derive(Clone, Copy, Debug)]
pub enum BodyFault<'a> {
    /// The exchange with the vendor broke.
    Failure(&'a Failure),
    /// Something on the client's side, in words.
    Words(&'a str),
}

/// The side on which a body broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenBy {
    /// The vendor stopped in the middle, or said nothing for too long.
    Upstream,
    /// The client left, or did not read for too long.
    Client,
}

impl BrokenBy {
    /// Both.
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

/// Writes down that a body broke off, at its end: the line of the call, if there was one, was
/// written when its head came.
#[cold]
pub fn body_broke(access: Access, body: &BrokenBody<'_>) {
    if access == Access::None {
        return;
    }
    let (failure, cause) = match body.why {
        BodyFault::Failure(failure) => (Some(failure.kind.as_str()), words(failure)),
        BodyFault::Words(words) => (None, words),
    };
    macro_rules! broken {
        ($level:ident) => {
            tracing::$level!(
                target: TARGET,
                outcome = "broken",
                method = %body.method,
                path = %Plain(body.path),
                status = body.status.as_u16(),
                client = body.client,
                upstream = body.upstream,
                account = body.account.map(|account| display(Plain(account))),
                by = body.by.as_str(),
                phase = failure.map(|_| "body"),
                failure,
                cause = %Plain(cause),
                bytes = body.bytes,
                total_ms = millis(body.total),
                request_id = %Plain(body.request_id),
                trace_id = body.trace_id,
                "body broke off"
            )
        };
    }
    match body.by {
        BrokenBy::Upstream => broken!(warn),
        BrokenBy::Client => broken!(info),
    }
}

/// What decides whether a call is written down.
#[derive(Clone, Copy, Debug)]
pub struct Gist {
    /// The code, if the client got a problem.
    pub code: Option<Code>,
    /// Sends.
    pub attempts: u32,
    /// How long the call waited here.
    pub waited: Duration,
    /// From its head to the head of the answer.
    pub total: Duration,
}

impl Gist {
    /// Whether a call has a line.
    #[must_use]
    pub fn is_wanted(&self, access: Access) -> bool {
        match access {
            Access::None => false,
            Access::ErrorsAndSlow => self.is_noteworthy(),
            Access::All => true,
        }
    }

    fn is_noteworthy(&self) -> bool {
        self.code.is_some() || self.attempts > 1 || self.waited > SLOW || self.total > SLOW
    }
}

/// Writes a call down, if `access` wants it; nearly none is, so `call` is asked for only then.
pub fn record<'a>(access: Access, gist: &Gist, call: impl FnOnce() -> CallRecord<'a>) {
    if gist.is_wanted(access) {
        write(&call());
    }
}

/// An event's level is fixed where it is written: one line, three levels.
macro_rules! line {
    ($level:ident, $call:expr) => {
        tracing::$level!(
            target: TARGET,
            method = %$call.method,
            path = %Plain($call.path),
            status = $call.status.as_u16(),
            code = $call.code.map(Code::as_str),
            source = $call.source.map(Source::as_str),
            client = $call.client,
            upstream = $call.upstream,
            account = $call.account.as_deref().map(|account| display(Plain(account))),
            phase = $call.failure.map(|failure| failure.kind.phase()),
            failure = $call.failure.map(|failure| failure.kind.as_str()),
            cause = $call.failure.map(|failure| display(Plain(words(failure)))),
            waited_for = $call.awaited.map(display),
            attempts = $call.attempts,
            waited_ms = millis($call.waited),
            upstream_ms = millis($call.upstream_time),
            total_ms = millis($call.total),
            rule = $call.rule,
            stopped_by = $call.stopped_by.map(StoppedBy::as_str),
            retry_after = $call.retry_after,
            upstream_status = $call.vendor_status.map(|status| status.as_u16()),
            retried_because = $call.retried_because.map(reason),
            request_id = %Plain($call.request_id),
            trace_id = $call.trace_id.as_deref(),
            "call"
        )
    };
}

#[cold]
fn write(call: &CallRecord<'_>) {
    match call.code.map_or(Alarm::None, alarm) {
        Alarm::None => line!(info, call),
        Alarm::Abnormal => line!(warn, call),
        Alarm::Operator => line!(error, call),
    }
}

/// Who should hear of a call.
enum Alarm {
    /// Whoever asks.
    None,
    /// Whoever watches: this normally does not happen (W29).
    Abnormal,
    /// The operator: nobody else can repair it (D22).
    Operator,
}

const fn alarm(code: Code) -> Alarm {
    if matches!(code, Code::GatewayCredentialRejected | Code::GatewayError) {
        return Alarm::Operator;
    }
    if matches!(code, Code::UpstreamError) { Alarm::Abnormal } else { Alarm::None }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// What is known of a failure; where only its kind is, that in words.
fn words(failure: &Failure) -> &str {
    if failure.detail.is_empty() { failure.cause } else { &failure.detail }
}

const fn reason(reason: RetryReason) -> &'static str {
    match reason {
        RetryReason::Failure(kind) => kind.as_str(),
        RetryReason::Code(code) => code.as_str(),
    }
}

/// Text of a client with everything escaped that could pass for something else in a log.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
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

/// Control characters, and those that turn the direction of reading or end a line.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::super::log::tests::captured;
    use super::*;
    use crate::allowance::Barrier;
    use crate::outcome::{Delivery, FailureKind};

    const CALM: CallRecord<'static> = CallRecord {
        request_id: "r1",
        client: "shop",
        upstream: "wordbee",
        method: &Method::GET,
        path: "/docs",
        status: StatusCode::OK,
        code: None,
        source: None,
        attempts: 1,
        waited: Duration::ZERO,
        upstream_time: Duration::from_millis(80),
        total: Duration::from_millis(81),
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
        let gist = Gist {
            code: call.code,
            attempts: call.attempts,
            waited: call.waited,
            total: call.total,
        };
        captured(|| record(access, &gist, || call.clone()))
    }

    #[test]
    fn only_calls_that_say_something_are_written_by_default() {
        let default = Access::default();
        assert_eq!(lines(default, &CALM), "");
        assert_eq!(lines(Access::None, &CallRecord { attempts: 2, ..CALM }), "");
        assert!(lines(Access::All, &CALM).contains("\"path\":\"/docs\""));
        let late = Duration::from_millis(1001);
        let noteworthy = [
            CallRecord { code: Some(Code::RouteNotFound), ..CALM },
            CallRecord { attempts: 2, ..CALM },
            CallRecord { waited: late, ..CALM },
            CallRecord { total: late, ..CALM },
        ];
        for call in noteworthy {
            assert_eq!(lines(default, &call).lines().count(), 1, "{call:?}");
        }
    }

    #[test]
    fn an_event_has_the_words_of_the_problem_and_no_absent_facts() {
        let call = CallRecord {
            status: StatusCode::TOO_MANY_REQUESTS,
            code: Some(Code::RateLimited),
            source: Some(Source::Upstream),
            attempts: 4,
            rule: Some("throttled"),
            stopped_by: Some(StoppedBy::Patience),
            retry_after: Some(3599),
            retried_because: Some(RetryReason::Failure(FailureKind::Reset)),
            ..CALM
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
        let calm: serde_json::Value = serde_json::from_str(&lines(Access::All, &CALM)).unwrap();
        for absent in ["code", "source", "rule", "stopped_by", "retry_after"] {
            assert!(calm.get(absent).is_none(), "{absent} in {calm}");
        }
    }

    #[test]
    fn why_is_in_the_line() {
        let detail = "the certificate is for a.example, not for `b.example`".to_owned();
        let failure = Failure::new(FailureKind::TlsCertificate, Delivery::NotSent, detail);
        let awaited = Awaited { what: Barrier::Allowance, name: "hour".into() };
        let call = CallRecord {
            account: Some("acme\u{1b}".into()),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
            failure: Some(&failure),
            awaited: Some(&awaited),
            ..CALM
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
        let calm: serde_json::Value = serde_json::from_str(&lines(Access::All, &CALM)).unwrap();
        assert!(expected.iter().all(|(absent, _)| calm.get(absent).is_none()), "{calm}");
    }

    #[test]
    fn a_broken_body_says_where_whose_and_why() {
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
            why: BodyFault::Failure(&failure),
            account: Some("acme"),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
            total: Duration::from_secs(2),
        };
        let parsed = |body: &BrokenBody<'_>| -> serde_json::Value {
            serde_json::from_str(&captured(|| body_broke(Access::default(), body))).unwrap()
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
        let why = BodyFault::Words("the client left");
        let line = parsed(&BrokenBody { by: BrokenBy::Client, why, account: None, ..body });
        assert_eq!((&line["by"], &line["cause"]), (&"client".into(), &"the client left".into()));
        assert!(["phase", "failure", "account"].iter().all(|it| line.get(it).is_none()), "{line}");
    }

    #[test]
    fn a_client_cannot_write_lines_of_its_own() {
        let path = "/a\r\nERROR faked\u{1b}[31m\u{202e}\u{85}/ä";
        let shown = Plain(path).to_string();
        assert_eq!(shown, "/a\\r\\nERROR faked\\u{1b}[31m\\u{202e}\\u{85}/ä");
        assert_eq!(lines(Access::All, &CallRecord { path, ..CALM }).lines().count(), 1);
    }
}
