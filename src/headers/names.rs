//! The header names that decide how a message is forwarded, and how the gateway treats each. The
//! headers in which vendors state waits and limits are in `dialect/hint`.

use http::{HeaderMap, HeaderName};

/// Carries a client's key unless the configuration names another header.
pub const EVENKEEL_KEY: HeaderName = HeaderName::from_static("evenkeel-key");
/// The call's id, on every response.
pub const EVENKEEL_REQUEST_ID: HeaderName = HeaderName::from_static("evenkeel-request-id");
/// The number of attempts, when there was more than one.
pub const EVENKEEL_ATTEMPTS: HeaderName = HeaderName::from_static("evenkeel-attempts");
/// In which shape a request wants its errors.
pub const EVENKEEL_ERRORS: HeaderName = HeaderName::from_static("evenkeel-errors");
/// What the gateway says of an error that is not in its own shape.
pub const EVENKEEL_PROBLEM: HeaderName = HeaderName::from_static("evenkeel-problem");
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// RFC 7240; `wait=N` is for the gateway.
pub const PREFER: HeaderName = HeaderName::from_static("prefer");
/// RFC 7240.
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
pub const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// draft-ietf-httpapi-ratelimit-headers.
pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// draft-ietf-httpapi-ratelimit-headers.
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// RFC 9209.
pub const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
/// W3C Trace Context.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// RFC 7239.
pub const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// RFC 4918: the second resource of a COPY or a MOVE.
pub const DESTINATION: HeaderName = HeaderName::from_static("destination");
/// The default header for idempotency keys; the configuration may name another.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How the gateway treats a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Passes unchanged.
    EndToEnd,
    /// Frames, describes or addresses the message. `Connection` cannot nominate it, and the side
    /// that writes the message replaces what differs there.
    Framing,
    Connection,
    HopByHop,
    /// Only the coding `trailers` passes.
    Te,
    Trailer,
    /// `Expect`, which the gateway answers itself.
    Expect,
    /// Preferences; `wait` is for the gateway.
    Prefer,
    /// States the client's address, or the target or method before a rewrite, which some servers
    /// take for the real ones.
    Forwarding,
    /// `evenkeel-*`.
    Own,
}

/// `name` is in lower case.
#[must_use]
pub fn kind(name: &str) -> Kind {
    match name.as_bytes() {
        b"connection" => Kind::Connection,
        b"keep-alive"
        | b"proxy-connection"
        | b"proxy-authenticate"
        | b"proxy-authorization"
        | b"transfer-encoding"
        | b"upgrade"
        | b"http2-settings" => Kind::HopByHop,
        b"te" => Kind::Te,
        b"trailer" => Kind::Trailer,
        b"expect" => Kind::Expect,
        b"prefer" => Kind::Prefer,
        b"host" | b"content-length" | b"content-type" | b"content-encoding" | b"content-range" => {
            Kind::Framing
        }
        b"forwarded" | b"x-real-ip" | b"x-original-url" | b"x-original-uri" | b"x-rewrite-url"
        | b"x-original-method" => Kind::Forwarding,
        other if other.starts_with(b"x-forwarded-") => Kind::Forwarding,
        other if other.starts_with(b"evenkeel-") => Kind::Own,
        _ => Kind::EndToEnd,
    }
}

/// Whether a server that reads underscores as hyphens, as CGI does, takes `one` for `other`.
#[must_use]
pub fn is_underscore_alias(one: &str, other: &str) -> bool {
    let hyphen = |byte: u8| if byte == b'_' { b'-' } else { byte };
    one.len() == other.len()
        && one != other
        && one.bytes().map(hyphen).eq(other.bytes().map(hyphen))
}

/// Whether a header is present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Presence {
    #[default]
    Absent,
    Present,
}

/// `HeaderMap::contains_key` without hashing the name: heads are short.
#[must_use]
pub(super) fn contains(headers: &HeaderMap, name: &HeaderName) -> bool {
    let length = name.as_str().len();
    headers.keys().any(|present| present.as_str().len() == length && present == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_header_has_its_kind() {
        let rows = [
            ("connection", Kind::Connection),
            ("http2-settings", Kind::HopByHop),
            ("upgrade", Kind::HopByHop),
            ("te", Kind::Te),
            ("trailer", Kind::Trailer),
            ("host", Kind::Framing),
            ("expect", Kind::Expect),
            ("prefer", Kind::Prefer),
            ("content-length", Kind::Framing),
            ("x-forwarded-anything", Kind::Forwarding),
            ("x-original-url", Kind::Forwarding),
            ("x-rewrite-url", Kind::Forwarding),
            ("x-original-method", Kind::Forwarding),
            ("evenkeel-key", Kind::Own),
            ("evenkeel", Kind::EndToEnd),
            ("authorization", Kind::EndToEnd),
            ("via", Kind::EndToEnd),
        ];
        for (name, expected) in rows {
            assert_eq!(kind(name), expected, "{name}");
        }
    }

    #[test]
    fn a_name_with_underscores_is_an_alias() {
        assert!(is_underscore_alias("x_api_key", "x-api-key"));
        assert!(is_underscore_alias("x-api-key", "x_api_key"));
        assert!(!is_underscore_alias("x-api-key", "x-api-key"));
        assert!(!is_underscore_alias("x-api_keys", "x-api-key"));
    }
}
