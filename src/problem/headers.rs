//! The response headers of a problem, among them the gateway's entry in Proxy-Status (RFC 9209).
//!
//! The vendor's end-to-end headers pass, apart from those that described the replaced body, and
//! without secrets of the gateway's.

use std::borrow::Cow;

use http::header::{
    CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, RETRY_AFTER, TRAILER,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::Problem;
use super::clean::Cleaner;
use super::retry_headers::add_retry_headers;
use crate::outcome::{Basis, Code, Failure, FailureKind, Source, cause};

pub const PROBLEM_MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Room for the headers that the gateway adds to a response.
const OWN_HEADERS: usize = 8;

/// The headers of a problem; `vendor` are those of the vendor's response, without hop-by-hop ones.
/// Proxy-Status and the gateway's own `Evenkeel-*` headers are added by the gateway.
#[must_use]
pub fn problem_headers(
    problem: &Problem,
    vendor: Option<&HeaderMap>,
    cleaner: Cleaner<'_>,
) -> HeaderMap {
    let vendor_count = vendor.map_or(0, HeaderMap::len);
    let mut headers = HeaderMap::with_capacity(vendor_count + OWN_HEADERS);
    for (name, value) in vendor.into_iter().flatten() {
        if is_kept(name, problem)
            && let Some(value) = cleaner.header(name, value)
        {
            headers.append(name, value);
        }
    }
    headers.insert(CONTENT_TYPE, PROBLEM_MEDIA_TYPE);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    add_retry_headers(&mut headers, problem);
    add_challenge(&mut headers, problem.status, problem.source);
    headers
}

/// Adds to the vendor's own error what the gateway knows of it.
pub fn add_vendor_shape_headers(headers: &mut HeaderMap, status: StatusCode, problem: &Problem) {
    let said = headers.get(RETRY_AFTER).cloned();
    add_retry_headers(headers, problem);
    // What the vendor said stays as it wrote it, unless the gateway knows of a longer wait: one of
    // its own, or the vendor's with the time that keeps clients from coming all at once.
    let longer = |said: &HeaderValue| {
        let wait = problem.retry_after?;
        let seconds = said.to_str().ok()?.trim().parse::<u64>();
        Some(wait.basis != Basis::Upstream || seconds.is_ok_and(|said| said < wait.seconds))
    };
    if let Some(said) = said.filter(|said| longer(said) != Some(true)) {
        headers.insert(RETRY_AFTER, said);
    }
    add_challenge(headers, status, problem.source);
}

/// Removes what a body that was changed contradicts.
pub fn drop_digests(headers: &mut HeaderMap) {
    let named = headers.keys().filter(|name| is_digest(name)).cloned();
    for name in named.chain([ETAG]).collect::<Vec<_>>() {
        headers.remove(name);
    }
}

/// Whether a header is a checksum, hash or signature of the body, under any vendor's name:
/// `Content-MD5`, `x-amz-crc32`, `x-goog-hash`, `Signature-Input`.
fn is_digest(name: &HeaderName) -> bool {
    name.as_str().split('-').any(|word| {
        let sized = word.strip_prefix("crc").or_else(|| word.strip_prefix("sha"));
        let sized = sized.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        sized || matches!(word, "md5" | "digest" | "checksum" | "hash" | "signature")
    })
}

/// The problem as a dictionary of RFC 9651, for responses in another shape.
#[must_use]
pub fn problem_dictionary(problem: &Problem) -> HeaderValue {
    let (code, source) = (problem.code.as_str(), problem.source.as_str());
    let retryable = if problem.retryable { "retryable" } else { "retryable=?0" };
    let mut members = format!("code={code}, source={source}, {retryable}");
    if let Some(wait) = problem.retry_after {
        members += &format!(", retry_after={}", wait.seconds);
    }
    HeaderValue::try_from(members).expect("codes and sources are lower-case letters")
}

/// A 401 has a challenge (RFC 9110, 15.5.2), whoever it is from.
fn add_challenge(headers: &mut HeaderMap, status: StatusCode, source: Source) {
    if status == StatusCode::UNAUTHORIZED && !headers.contains_key(WWW_AUTHENTICATE) {
        let challenge = match source {
            Source::Client | Source::Gateway => "Bearer realm=\"evenkeel\"",
            Source::Upstream => "Bearer realm=\"upstream\"",
        };
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
}

/// Whether a header of the vendor's still applies once a problem has replaced its body.
fn is_kept(name: &HeaderName, problem: &Problem) -> bool {
    let sent = problem.upstream.as_ref().and_then(|upstream| upstream.status);
    if *name == CONTENT_RANGE {
        return sent == Some(StatusCode::RANGE_NOT_SATISFIABLE.as_u16());
    }
    if *name == ETAG || *name == LAST_MODIFIED {
        return sent == Some(StatusCode::PRECONDITION_FAILED.as_u16());
    }
    if *name == WWW_AUTHENTICATE {
        // A challenge to the gateway's credential is not the client's to answer.
        return problem.code != Code::GatewayCredentialRejected;
    }
    let describes_body =
        name.as_str().starts_with("content-") || *name == TRAILER || is_digest(name);
    // The problem states its own caching rule.
    *name != CACHE_CONTROL && !describes_body
}

/// Why the gateway answered in place of the upstream.
#[derive(Clone, Debug)]
pub struct ProxyError<'a> {
    pub code: Code,
    /// How the exchange broke, if one did.
    pub failure: Option<&'a Failure>,
    /// Without names of internal hosts: clients read it.
    pub details: Option<Cow<'a, str>>,
}

impl<'a> ProxyError<'a> {
    /// The gateway answered without an exchange.
    #[must_use]
    pub const fn refused(code: Code, details: Option<Cow<'a, str>>) -> Self {
        Self { code, failure: None, details }
    }

    #[must_use]
    pub const fn failed(code: Code, failure: &'a Failure) -> Self {
        Self { code, failure: Some(failure), details: Some(Cow::Borrowed(failure.cause)) }
    }
}

/// Initial capacity of a Proxy-Status entry; names are short.
const ENTRY_BYTES: usize = 96;

/// The gateway's entry in Proxy-Status (RFC 9209). It has an `error` only if the upstream sent no
/// response.
#[must_use]
pub fn proxy_status(
    gateway: &str,
    error: Option<&ProxyError<'_>>,
    upstream: Option<&str>,
    received: Option<StatusCode>,
) -> HeaderValue {
    let mut entry = String::with_capacity(ENTRY_BYTES);
    push_token_or_string(&mut entry, gateway);
    let error = error.filter(|_| received.is_none());
    let error_type =
        error.and_then(|error| error.failure.map(error_type).or_else(|| error.code.proxy_error()));
    if let Some(error_type) = error_type {
        entry += "; error=";
        entry += error_type;
    }
    if let Some(upstream) = upstream {
        entry += "; next-hop=";
        push_token_or_string(&mut entry, upstream);
    }
    if let Some(received) = received {
        entry += "; received-status=";
        entry += received.as_str();
    }
    if let Some(details) = error.and_then(|error| error.details.as_deref()) {
        entry += "; details=";
        push_string(&mut entry, details);
    }
    HeaderValue::try_from(entry).unwrap_or(HeaderValue::from_static("evenkeel"))
}

/// The error type of RFC 9209; some causes have a more precise one than their kind.
fn error_type(failure: &Failure) -> &'static str {
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

/// A name as a token of structured fields (RFC 9651), or as a string when it is not a token.
fn push_token_or_string(entry: &mut String, name: &str) {
    let is_token_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
    let starts_a_token =
        name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'*');
    if starts_a_token && name.bytes().all(is_token_byte) {
        *entry += name;
        return;
    }
    let kept = |c: &char| (c.is_ascii_graphic() || *c == ' ') && !matches!(c, '"' | '\\');
    entry.push('"');
    entry.extend(name.chars().filter(kept));
    entry.push('"');
}

/// A text as a string of structured fields, which holds printable ASCII only.
fn push_string(entry: &mut String, text: &str) {
    entry.push('"');
    for c in text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ') {
        if matches!(c, '"' | '\\') {
            entry.push('\\');
        }
        entry.push(c);
    }
    entry.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Delivery;
    use crate::problem::{
        CallContext, Occurrence, Redactor, RetryAfter, UpstreamError, gateway_problem,
    };

    #[test]
    fn a_vendors_error_keeps_its_wait_unless_ours_is_longer() {
        let problem = |basis| Problem {
            retry_after: Some(RetryAfter { seconds: 30, millis: 30_000, basis }),
            ..gateway_problem(Code::RateLimited, &CallContext::default(), &Occurrence::default())
        };
        let date = "Thu, 01 Jan 2026 00:00:30 GMT";
        let rows = [
            (Some(date), Basis::Upstream, date),
            (Some("5"), Basis::Estimate, "30"),
            (Some("28"), Basis::Upstream, "30"),
            (Some("30"), Basis::Upstream, "30"),
            (None, Basis::Upstream, "30"),
        ];
        for (said, basis, expected) in rows {
            let said = said.map(|said| (RETRY_AFTER, HeaderValue::from_static(said)));
            let precise = ("retry-after-ms".parse().unwrap(), HeaderValue::from_static("5000"));
            let mut headers: HeaderMap = said.into_iter().chain([precise]).collect();
            let status = StatusCode::TOO_MANY_REQUESTS;
            add_vendor_shape_headers(&mut headers, status, &problem(basis));
            assert_eq!(headers[RETRY_AFTER], expected);
            assert_eq!(headers["retry-after-ms"], "30000");
        }
        let said = "code=rate_limited, source=gateway, retryable, retry_after=30";
        assert_eq!(problem_dictionary(&problem(Basis::Upstream)), said);
    }

    #[test]
    fn proxy_status_names_no_host_and_the_error_type_of_every_cause() {
        let internal = "connect to db-7.internal:443 (10.0.0.7) with key s3cret";
        let broken = |kind, cause: Option<&'static str>| {
            let failure = Failure::new(kind, Delivery::NotSent, internal.to_owned());
            let failure = cause.map_or(failure.clone(), |cause| failure.with_cause(cause));
            let error = ProxyError::failed(Code::UpstreamUnreachable, &failure);
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
            ("x-amz-crc32", "2468"),
            ("x-amz-checksum-sha256", "abc="),
            ("x-goog-hash", "crc32c=abc"),
            ("x-ms-content-crc64", "abc"),
            ("signature", "s=:abc:"),
            ("signature-input", "s=();created=1"),
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

    /// A problem about a response with this status.
    fn about(code: Code, status: u16) -> Problem {
        let mut problem = gateway_problem(code, &CallContext::default(), &Occurrence::default());
        problem.upstream = Some(UpstreamError { status: Some(status), ..UpstreamError::default() });
        problem
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn headers_that_described_the_replaced_body_are_removed() {
        let problem = about(Code::MethodNotAllowed, 405);
        let headers = problem_headers(&problem, Some(&vendor()), Cleaner::default());
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
            "x-should-retry",
        ];
        let (mut found, mut kept) = (names(&headers), kept.to_vec());
        found.sort_unstable();
        kept.sort_unstable();
        assert_eq!(found, kept);
        let cookies: Vec<_> = headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=b", "c=d"]);
    }

    #[test]
    fn validators_stay_on_412_and_content_range_on_416() {
        let kept = |status: u16| {
            let problem = about(Code::InvalidRequest, status);
            let headers = problem_headers(&problem, Some(&vendor()), Cleaner::default());
            [ETAG, LAST_MODIFIED, CONTENT_RANGE].map(|name| headers.contains_key(name))
        };
        assert_eq!(kept(412), [true, true, false]);
        assert_eq!(kept(416), [false, false, true]);
        assert_eq!(kept(400), [false, false, false]);
    }

    #[test]
    fn no_header_contains_a_secret() {
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
        let headers = problem_headers(&problem, Some(&vendor), Cleaner::new(&redactor));
        let shown = format!("{headers:?}").to_lowercase();
        assert!(!shown.contains("12345") && !shown.contains("dg9rlt"), "{shown}");
        assert_eq!(headers["x-request-id"], "[secret]");
        assert_eq!(headers["allow"], "GET, [secret]");
        assert_eq!(headers["x-other"], "b");
    }

    #[test]
    fn a_401_always_has_a_challenge() {
        let problem =
            gateway_problem(Code::Unauthenticated, &CallContext::default(), &Occurrence::default());
        let ours = problem_headers(&problem, None, Cleaner::default());
        assert_eq!(ours[WWW_AUTHENTICATE], "Bearer realm=\"evenkeel\"");
        let theirs = problem_headers(&problem, Some(&vendor()), Cleaner::default());
        assert_eq!(theirs[WWW_AUTHENTICATE], "Basic realm=\"v\"");
    }

    #[test]
    fn proxy_status_has_an_error_only_without_a_response() {
        let silence = Failure::new(FailureKind::Timeout, Delivery::Uncertain, "no answer in time");
        let timeout = ProxyError::failed(Code::UpstreamTimeout, &silence);
        let invalid = ProxyError::refused(Code::InvalidRequest, None);
        let exhausted =
            ProxyError::refused(Code::AllowanceExhausted, Some("allowance \"hour\" ä".into()));
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
