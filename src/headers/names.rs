//! The one home of header names that policy knows, and what each of them is to us.
//!
//! Refuses to act on headers: `outgoing` and `incoming` do.

use http::HeaderName;

/// Carries a client's key unless the configuration names another header.
pub const EVENKEEL_KEY: HeaderName = HeaderName::from_static("evenkeel-key");
/// The id of the call, on every answer.
pub const EVENKEEL_REQUEST_ID: HeaderName = HeaderName::from_static("evenkeel-request-id");
/// How many attempts an answer took, when it took more than one.
pub const EVENKEEL_ATTEMPTS: HeaderName = HeaderName::from_static("evenkeel-attempts");
/// The id that clients and vendors give to a request.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What a client would like; we hear `wait=N` (RFC 7240).
pub const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Which preference was honoured (RFC 7240).
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// Where the time went.
pub const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
/// What remains of an allowance (draft-ietf-httpapi-ratelimit-headers).
pub const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// What an allowance grants (the same draft).
pub const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What an intermediary knows about an error (RFC 9209).
pub const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
/// The trace a request belongs to (W3C Trace Context).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Who a request is for (RFC 7239).
pub const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
/// The same, in the form that everybody reads.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The second resource of a COPY or a MOVE (RFC 4918).
pub const DESTINATION: HeaderName = HeaderName::from_static("destination");
/// Makes a request safe to repeat, unless the configuration names another header.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What a header is to a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For the other end: it passes.
    EndToEnd,
    /// Frames, describes or addresses the message for whoever reads next: no nomination removes
    /// it, and who writes it to a wire puts its own in the place of what differs there.
    Framing,
    /// Names the connection's own headers.
    Connection,
    /// Meant for the next hop only.
    HopByHop,
    /// Which transfer codings are welcome; only `trailers` survives.
    Te,
    /// Announces trailers.
    Trailer,
    /// Ours to answer.
    Hop,
    /// Preferences, of which one is for us.
    Prefer,
    /// Says who a client is or was, or what it asked for before somebody rewrote it: some servers
    /// take that for the target or the method.
    Forwarding,
    /// Our own name space.
    Own,
}

/// What the header of this (lower-case) name is to a gateway.
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
        b"expect" => Kind::Hop,
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

/// Whether a vendor that reads underscores as hyphens, as CGI does, takes one for the other.
#[must_use]
pub fn twins(one: &str, other: &str) -> bool {
    let hyphen = |byte: u8| if byte == b'_' { b'-' } else { byte };
    one.len() == other.len()
        && one != other
        && one.bytes().map(hyphen).eq(other.bytes().map(hyphen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_into_kinds() {
        let rows = [
            ("connection", Kind::Connection),
            ("http2-settings", Kind::HopByHop),
            ("upgrade", Kind::HopByHop),
            ("te", Kind::Te),
            ("trailer", Kind::Trailer),
            ("host", Kind::Framing),
            ("expect", Kind::Hop),
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
    fn underscores_make_twins() {
        assert!(twins("x_api_key", "x-api-key"));
        assert!(twins("x-api-key", "x_api_key"));
        assert!(!twins("x-api-key", "x-api-key"));
        assert!(!twins("x-api_keys", "x-api-key"));
    }
}
