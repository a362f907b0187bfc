//! The headers of a problem, and its line in `Proxy-Status`.
//!
//! Of the vendor's end-to-end headers all pass but those that described the old body, and none
//! with a secret of ours.

use std::borrow::Cow;

use http::header::{
    CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::Scrub;
use crate::outcome::{Code, Failure, FailureKind, Source, cause};
use crate::problem::Problem;

/// The media type of every problem.
pub const PROBLEM_MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The headers of a problem, beside those of the vendor's that go on to clients anyway; the
/// gateway adds its own ids and `Proxy-Status`.
#[must_use]
pub fn problem_headers(
    problem: &Problem,
    vendor: Option<&HeaderMap>,
    scrub: Scrub<'_>,
) -> HeaderMap {
    let kept = vendor.map_or(0, HeaderMap::len);
    let mut headers = HeaderMap::with_capacity(kept + OWN_HEADERS);
    for (name, value) in vendor.into_iter().flatten() {
        if keeps(name, problem)
            && let Some(value) = scrub.header(name, value)
        {
            headers.append(name, value);
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

/// Headers that an answer gets from us, as a rule.
const OWN_HEADERS: usize = 8;

/// Whether a header of the vendor's still means something beside a problem.
fn keeps(name: &HeaderName, problem: &Problem) -> bool {
    let sent = problem.upstream.as_ref().and_then(|spoken| spoken.status);
    let answers = |status: StatusCode| sent == Some(status.as_u16());
    if *name == CONTENT_RANGE {
        return answers(StatusCode::RANGE_NOT_SATISFIABLE);
    }
    if *name == ETAG || *name == LAST_MODIFIED {
        return answers(StatusCode::PRECONDITION_FAILED);
    }
    if *name == WWW_AUTHENTICATE {
        // A challenge to our own credential is not the client's to answer.
        return problem.code != Code::GatewayCredentialRejected;
    }
    // How long to wait, and for whom to keep the answer, is told by the problem itself.
    *name != RETRY_AFTER && *name != CACHE_CONTROL && !describes_body(name.as_str())
}

fn describes_body(name: &str) -> bool {
    name.starts_with("content-") || matches!(name, "digest" | "repr-digest" | "trailer")
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
        cause::NO_COMMON_TLS,
        cause::NO_COMMON_PROTOCOL,
        cause::UNKNOWN_NAME,
        cause::CLIENT_CERTIFICATE,
        cause::ALERT,
    ];
    match failure.cause {
        cause::LOOKUP_TIMEOUT => return "dns_timeout",
        cause::NO_ROUTE => return "destination_ip_unroutable",
        cause::UPLOAD_STALLED => return "connection_write_timeout",
        alert if ALERTS.contains(&alert) => return "tls_alert_received",
        _ => {}
    }
    match failure.kind {
        FailureKind::Dns => "dns_error",
        FailureKind::Refused => "connection_refused",
        FailureKind::ConnectTimeout => "connection_timeout",
        FailureKind::ConnectionLimit => "connection_limit_reached",
        FailureKind::LocalResources => "proxy_internal_error",
        FailureKind::Tls => "tls_protocol_error",
        FailureKind::TlsCertificate => "tls_certificate_error",
        FailureKind::Reset | FailureKind::RefusedStream => "connection_terminated",
        FailureKind::Timeout => "http_response_timeout",
        FailureKind::IdleTimeout => "connection_read_timeout",
        FailureKind::Protocol => "http_protocol_error",
        FailureKind::HeadTooLarge => "http_response_header_section_size",
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
    use crate::outcome::Delivery;
    use crate::problem::Spoken;
    use crate::problem::normalise::{CallFacts, Redactor, Remark, own_problem};

    #[test]
    fn details_name_no_host_and_every_cause_its_error() {
        let internal = "connect to db-7.internal:443 (10.0.0.7) with key s3cret";
        let broken = |kind, cause: Option<&'static str>| {
            let failure = Failure::new(kind, Delivery::NotSent, internal.to_owned());
            let failure = cause.map_or(failure.clone(), |cause| failure.with_cause(cause));
            let error = ProxyError::broken(Code::UpstreamUnreachable, &failure);
            proxy_status("evenkeel", Some(&error), None, None).to_str().unwrap().to_owned()
        };
        for kind in FailureKind::ALL {
            let line = broken(kind, None);
            assert!(!line.contains("internal:") && !line.contains("10.0"), "{line}");
            assert!(line.contains(kind.summary()), "{line}");
        }
        let rows = [
            (FailureKind::Dns, cause::LOOKUP_TIMEOUT, "dns_timeout"),
            (FailureKind::Refused, cause::NO_ROUTE, "destination_ip_unroutable"),
            (FailureKind::Tls, cause::NO_COMMON_TLS, "tls_alert_received"),
            (FailureKind::IdleTimeout, cause::UPLOAD_STALLED, "connection_write_timeout"),
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
            ("set-cookie", "c=d"),
            ("last-modified", "Sat, 21 Nov 2026 20:00:00 GMT"),
            ("content-range", "bytes */9"),
            ("content-security-policy", "default-src"),
            ("digest", "sha-256=x"),
            ("repr-digest", "sha-256=:x:"),
            ("trailer", "x-sum"),
            ("cache-control", "max-age=9"),
            ("dpop-nonce", "n"),
            ("x-ms-error-code", "e"),
            ("link", "<a>"),
            ("server", "s"),
            ("vary", "accept"),
        ];
        pairs.iter().map(|(n, v)| (n.parse::<HeaderName>().unwrap(), v.parse().unwrap())).collect()
    }

    /// A problem that answers the vendor's status.
    fn about(code: Code, status: u16) -> Problem {
        let mut problem = own_problem(code, &CallFacts::default(), &Remark::default());
        problem.upstream = Some(Spoken { status: Some(status), ..Spoken::default() });
        problem
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn what_described_the_old_body_goes_and_all_else_stays() {
        let problem = about(Code::MethodNotAllowed, 405);
        let headers = problem_headers(&problem, Some(&vendor()), Scrub::default());
        assert_eq!(headers[CONTENT_TYPE], "application/problem+json");
        assert_eq!(headers[CACHE_CONTROL], "no-store");
        let kept = [
            "allow",
            "x-ratelimit-remaining",
            "ratelimit",
            "x-request-id",
            "access-control-allow-origin",
            "www-authenticate",
            "set-cookie",
            "dpop-nonce",
            "x-ms-error-code",
            "link",
            "server",
            "vary",
            "content-type",
            "cache-control",
        ];
        let (mut found, mut kept) = (names(&headers), kept.to_vec());
        found.sort_unstable();
        kept.sort_unstable();
        assert_eq!(found, kept);
        let cookies: Vec<_> = headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=b", "c=d"]);
    }

    #[test]
    fn validators_and_ranges_stay_where_they_are_the_answer() {
        let kept = |status: u16| {
            let problem = about(Code::InvalidRequest, status);
            let headers = problem_headers(&problem, Some(&vendor()), Scrub::default());
            [ETAG, LAST_MODIFIED, CONTENT_RANGE].map(|name| headers.contains_key(name))
        };
        assert_eq!(kept(412), [true, true, false]);
        assert_eq!(kept(416), [false, false, true]);
        assert_eq!(kept(400), [false, false, false]);
    }

    #[test]
    fn no_header_carries_a_secret() {
        let redactor = Redactor::new([&b"Bearer tok-12345"[..]]);
        let rows = [
            ("x-request-id", "tok-12345"),
            ("allow", "GET, tok-12345"),
            ("x-key-tok-12345", "a"),
            ("x-echo", "Bearer tok%2D12345"),
            ("x-base64", "dG9rLTEyMzQ1"),
            ("x-other", "b"),
        ];
        let row = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let vendor: HeaderMap = rows.map(row).into_iter().collect();
        let problem = about(Code::NotFound, 404);
        let headers = problem_headers(&problem, Some(&vendor), Scrub::of(&redactor));
        let shown = format!("{headers:?}").to_lowercase();
        assert!(!shown.contains("12345") && !shown.contains("dg9rlt"), "{shown}");
        assert_eq!(headers["x-request-id"], "[secret]");
        assert_eq!(headers["allow"], "GET, [secret]");
        assert_eq!(headers["x-other"], "b");
    }

    #[test]
    fn a_401_always_has_a_challenge() {
        let problem = own_problem(Code::Unauthenticated, &CallFacts::default(), &Remark::default());
        let ours = problem_headers(&problem, None, Scrub::default());
        assert_eq!(ours[WWW_AUTHENTICATE], "Bearer realm=\"evenkeel\"");
        let theirs = problem_headers(&problem, Some(&vendor()), Scrub::default());
        assert_eq!(theirs[WWW_AUTHENTICATE], "Basic realm=\"v\"");
    }

    #[test]
    fn proxy_status_names_an_error_only_when_nothing_was_received() {
        let silence = Failure::new(FailureKind::Timeout, Delivery::Uncertain, "no answer in time");
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
