//! The headers of a problem, and its line in `Proxy-Status`.
//!
//! Of the vendor's headers only those that still mean something pass; whatever described the
//! old body, or the connection, does not.

use std::borrow::Cow;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, VARY, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::policy::outcome::{Failure, FailureKind, cause};
use crate::policy::problem::{Code, Problem, Source};

/// The media type of every problem.
pub const PROBLEM_MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The headers of a problem; the gateway adds its own ids, `Via` and `Proxy-Status`.
#[must_use]
pub fn problem_headers(problem: &Problem, vendor: Option<&HeaderMap>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    for (name, value) in vendor.into_iter().flatten() {
        if keeps(name, problem.status) {
            headers.append(name, value.clone());
        }
    }
    headers.insert(CONTENT_TYPE, PROBLEM_MEDIA_TYPE);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(wait) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.seconds));
    }
    if problem.status == StatusCode::UNAUTHORIZED && !headers.contains_key(WWW_AUTHENTICATE) {
        headers.insert(WWW_AUTHENTICATE, challenge(problem.source));
    }
    headers
}

/// Whether a header of the vendor still means something beside a problem.
fn keeps(name: &HeaderName, status: StatusCode) -> bool {
    if *name == WWW_AUTHENTICATE {
        return status == StatusCode::UNAUTHORIZED;
    }
    if *name == ALLOW {
        return status == StatusCode::METHOD_NOT_ALLOWED;
    }
    *name == VARY || says_more(name.as_str().as_bytes())
}

/// What browsers need, allowances, and ids that the vendor's support asks for.
fn says_more(name: &[u8]) -> bool {
    BEGINNINGS.iter().any(|start| name.starts_with(start))
        || (0..name.len()).any(|place| contained(&name[place..]))
}

const BEGINNINGS: [&[u8]; 4] =
    [b"access-control-", b"timing-allow-origin", b"cross-origin-resource-policy", b"cf-ray"];

/// Whether a name goes on with one of the words that make it stay.
fn contained(rest: &[u8]) -> bool {
    let words: &[&[u8]] = match rest {
        [b'r', b'a', ..] => &[b"ratelimit", b"rate-limit"],
        [b'r', b'e', ..] => &[b"request-id", b"requestid"],
        [b'c', b'o', ..] => &[b"correlation"],
        [b't', b'r', ..] => &[b"trace-id"],
        _ => &[],
    };
    words.iter().any(|word| rest.starts_with(word))
}

const fn challenge(source: Source) -> HeaderValue {
    match source {
        Source::Client | Source::Gateway => HeaderValue::from_static("Bearer realm=\"evenkeel\""),
        Source::Upstream => HeaderValue::from_static("Bearer realm=\"upstream\""),
    }
}

/// Bytes set aside for a line of `Proxy-Status`; names are short.
const LINE_BYTES: usize = 96;

/// What this gateway says about an answer that it made itself.
#[derive(Clone, Debug)]
pub struct ProxyError<'a> {
    /// The code of the problem.
    pub code: Code,
    /// How the exchange broke, if one did.
    pub failure: Option<&'a Failure>,
    /// Why, in words that name no host.
    pub details: Option<Cow<'a, str>>,
}

impl<'a> ProxyError<'a> {
    /// A problem that no exchange led to.
    #[must_use]
    pub const fn own(code: Code, details: Option<Cow<'a, str>>) -> Self {
        Self { code, failure: None, details }
    }

    /// A broken exchange.
    #[must_use]
    pub const fn broken(code: Code, failure: &'a Failure) -> Self {
        Self { code, failure: Some(failure), details: Some(Cow::Borrowed(failure.cause)) }
    }

    fn token(&self) -> Option<&'static str> {
        self.failure.map(failure_error).or_else(|| self.code.proxy_error())
    }
}

/// This gateway's line for `Proxy-Status` (RFC 9209): an error of its own only when no answer
/// was received.
#[must_use]
pub fn proxy_status(
    gateway: &str,
    error: Option<&ProxyError<'_>>,
    upstream: Option<&str>,
    received: Option<StatusCode>,
) -> HeaderValue {
    let mut line = String::with_capacity(LINE_BYTES);
    push_item(&mut line, gateway);
    let error = error.filter(|_| received.is_none());
    if let Some(token) = error.and_then(ProxyError::token) {
        line += "; error=";
        line += token;
    }
    if let Some(upstream) = upstream {
        line += "; next-hop=";
        push_item(&mut line, upstream);
    }
    if let Some(received) = received {
        line += "; received-status=";
        line += received.as_str();
    }
    if let Some(details) = error.and_then(|error| error.details.as_deref()) {
        line += "; details=";
        push_text(&mut line, details);
    }
    HeaderValue::try_from(line).unwrap_or(HeaderValue::from_static("evenkeel"))
}

/// The error of RFC 9209 for each way an exchange breaks; some causes have one of their own.
fn failure_error(failure: &Failure) -> &'static str {
    const ALERTS: [&str; 5] = [
        cause::NOTHING_SHARED,
        cause::NO_PROTOCOL,
        cause::UNKNOWN_NAME,
        cause::CLIENT_CERTIFICATE,
        cause::ALERT,
    ];
    match failure.cause {
        cause::LOOKUP_LATE => return "dns_timeout",
        cause::UNREACHABLE => return "destination_ip_unroutable",
        cause::BODY_STUCK => return "connection_write_timeout",
        alert if ALERTS.contains(&alert) => return "tls_alert_received",
        _ => {}
    }
    match failure.kind {
        FailureKind::Dns => "dns_error",
        FailureKind::Refused => "connection_refused",
        FailureKind::ConnectTimeout => "connection_timeout",
        FailureKind::ConnectionLimit => "connection_limit_reached",
        FailureKind::Tls => "tls_protocol_error",
        FailureKind::TlsCertificate => "tls_certificate_error",
        FailureKind::Reset | FailureKind::RefusedStream => "connection_terminated",
        FailureKind::Timeout => "http_response_timeout",
        FailureKind::IdleTimeout => "connection_read_timeout",
        FailureKind::Protocol => "http_protocol_error",
        FailureKind::Truncated => "http_response_incomplete",
    }
}

/// A name as a structured-field token, or as a string when it is none.
fn push_item(line: &mut String, name: &str) {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
    let starts =
        name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'*');
    if starts && name.bytes().all(token) {
        *line += name;
        return;
    }
    let plain = name.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
    line.push('"');
    line.extend(plain.filter(|c| !matches!(c, '"' | '\\')));
    line.push('"');
}

/// A text as a structured-field string, which is printable ASCII.
fn push_text(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ') {
        if matches!(c, '"' | '\\') {
            line.push('\\');
        }
        line.push(c);
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::normalise::{CallFacts, Remark, own_problem};
    use crate::policy::outcome::Reach;

    #[test]
    fn details_name_no_host_and_every_cause_its_error() {
        let internal = "connect to db-7.internal:443 (10.0.0.7) with key s3cret";
        let broken = |kind, cause: Option<&'static str>| {
            let failure = Failure::new(kind, Reach::Nothing, internal.to_owned());
            let failure = cause.map_or(failure.clone(), |cause| failure.because(cause));
            let error = ProxyError::broken(Code::UpstreamUnreachable, &failure);
            proxy_status("evenkeel", Some(&error), None, None).to_str().unwrap().to_owned()
        };
        for kind in FailureKind::ALL {
            let line = broken(kind, None);
            assert!(!line.contains("internal") && !line.contains("10.0"), "{line}");
            assert!(line.contains(kind.words()), "{line}");
        }
        let rows = [
            (FailureKind::Dns, cause::LOOKUP_LATE, "dns_timeout"),
            (FailureKind::Refused, cause::UNREACHABLE, "destination_ip_unroutable"),
            (FailureKind::Tls, cause::NOTHING_SHARED, "tls_alert_received"),
            (FailureKind::IdleTimeout, cause::BODY_STUCK, "connection_write_timeout"),
        ];
        for (kind, cause, error) in rows {
            let line = broken(kind, Some(cause));
            assert!(line.starts_with(&format!("evenkeel; error={error};")), "{line}");
        }
    }

    fn vendor() -> HeaderMap {
        let pairs = [
            ("content-type", "text/html"),
            ("content-encoding", "gzip"),
            ("content-length", "12"),
            ("etag", "\"x\""),
            ("retry-after", "01:00:00"),
            ("allow", "GET"),
            ("x-ratelimit-remaining", "0"),
            ("ratelimit", "\"a\";r=0;t=3"),
            ("x-request-id", "abc"),
            ("access-control-allow-origin", "*"),
            ("www-authenticate", "Basic realm=\"v\""),
            ("set-cookie", "a=b"),
        ];
        pairs.iter().map(|(n, v)| (n.parse::<HeaderName>().unwrap(), v.parse().unwrap())).collect()
    }

    #[test]
    fn what_described_the_old_body_goes() {
        let problem =
            own_problem(Code::MethodNotAllowed, &CallFacts::default(), &Remark::default());
        let headers = problem_headers(&problem, Some(&vendor()));
        assert_eq!(headers[CONTENT_TYPE], "application/problem+json");
        for kept in [
            "access-control-allow-origin",
            "allow",
            "x-ratelimit-remaining",
            "ratelimit",
            "x-request-id",
        ] {
            assert!(headers.contains_key(kept), "{kept}");
        }
        for gone in ["content-encoding", "content-length", "etag", "retry-after", "set-cookie"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
    }

    #[test]
    fn a_401_always_has_a_challenge() {
        let problem = own_problem(Code::Unauthenticated, &CallFacts::default(), &Remark::default());
        let ours = problem_headers(&problem, None);
        assert_eq!(ours[WWW_AUTHENTICATE], "Bearer realm=\"evenkeel\"");
        let theirs = problem_headers(&problem, Some(&vendor()));
        assert_eq!(theirs[WWW_AUTHENTICATE], "Basic realm=\"v\"");
    }

    #[test]
    fn proxy_status_names_an_error_only_when_nothing_was_received() {
        let silence = Failure::new(FailureKind::Timeout, Reach::Maybe, "no answer in time");
        let timeout = ProxyError::broken(Code::UpstreamTimeout, &silence);
        let invalid = ProxyError::own(Code::InvalidRequest, None);
        let exhausted =
            ProxyError::own(Code::AllowanceExhausted, Some("allowance \"hour\" ä".into()));
        let rows = [
            (
                proxy_status("evenkeel", Some(&timeout), Some("droplink"), None),
                "evenkeel; error=http_response_timeout; next-hop=droplink; \
                 details=\"no answer in time\"",
            ),
            (
                proxy_status(
                    "evenkeel",
                    Some(&invalid),
                    Some("wordbee"),
                    Some(StatusCode::BAD_REQUEST),
                ),
                "evenkeel; next-hop=wordbee; received-status=400",
            ),
            (
                proxy_status("my gate\"way", Some(&exhausted), None, None),
                "\"my gateway\"; error=proxy_internal_response; \
                 details=\"allowance \\\"hour\\\" \"",
            ),
        ];
        for (line, expected) in rows {
            assert_eq!(line, expected);
        }
    }
}
