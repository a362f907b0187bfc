//! Hop-by-hop headers: those that `Connection` nominates, and those that always are (RFC 9110,
//! 7.6.1).
//!
//! A nomination is obeyed before the gateway adds its own headers, and never for a header that
//! frames the body or that a decision depends on: `Connection: authorization` must not remove a
//! credential (CVE-2025-48865).

use http::header::{CONNECTION, MAX_FORWARDS, SEC_WEBSOCKET_KEY, TE, TRAILER, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::names::{Kind, Presence, kind};
use crate::routing::method;

/// Whether trailers can follow the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trailers {
    Pass,
    /// `Trailer` is removed; `TE` stays, because it is about the response.
    Drop,
}

/// Removes `Connection` and what it nominates, except `protected` headers. Returns whether it
/// nominated anything.
pub(super) fn strip(headers: &mut HeaderMap, protected: &[HeaderName]) -> Presence {
    const USUAL: [&[u8]; 2] = [b"keep-alive", b"close"];
    // Ordinary heads repeat no header, so that nothing is collected.
    let repeats = headers.len() > headers.keys_len();
    let further: Vec<HeaderValue> = if repeats {
        headers.get_all(CONNECTION).iter().skip(1).cloned().collect()
    } else {
        Vec::new()
    };
    let first = headers.remove(CONNECTION);
    let mut nominated = Presence::Absent;
    for value in first.iter().chain(&further) {
        if USUAL.iter().any(|usual| value.as_bytes().eq_ignore_ascii_case(usual)) {
            continue;
        }
        nominated = Presence::Present;
        for name in options(value).filter(|name| is_removable(name, protected)) {
            headers.remove(name);
        }
    }
    nominated
}

/// Allocates only if there is something to remove.
pub(super) fn remove_where(headers: &mut HeaderMap, is_removable: impl Fn(&HeaderName) -> bool) {
    let names: Vec<HeaderName> =
        headers.keys().filter(|name| is_removable(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Reduces `TE` to `trailers`, and removes `Trailer` where no trailers follow.
pub(super) fn filter_trailer_headers(headers: &mut HeaderMap, trailers: Trailers) {
    let accepted = headers.get_all(TE).iter().any(|value| {
        let codings = value.as_bytes().split(|byte| *byte == b',');
        codings.map(<[u8]>::trim_ascii).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
    });
    if accepted {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    } else {
        headers.remove(TE);
    }
    if trailers == Trailers::Drop {
        headers.remove(TRAILER);
    }
}

/// Removes trailers that are only valid in a head: framing, routing, credentials, method overrides.
pub fn filter_trailers(trailers: &mut HeaderMap) {
    remove_where(trailers, |name| {
        let name = name.as_str();
        kind(name) != Kind::EndToEnd
            || method::overrides_method(name)
            || matches!(
                name,
                "authorization"
                    | "cookie"
                    | "set-cookie"
                    | "www-authenticate"
                    | "cache-control"
                    | "location"
                    | "range"
                    | "retry-after"
                    | "via"
            )
    });
}

/// Protocols for which a plain HTTP response is of no use to the client.
const REQUIRED_PROTOCOLS: [&str; 6] =
    ["websocket", "connect-udp", "connect-ip", "connect-tcp", "tcp", "spdy"];

/// Whether an HTTP/1.1 request requires another protocol.
///
/// `Upgrade` is an offer that a server may ignore (RFC 9110 §7.8): with `TLS/1.2` or `h2c` the
/// request means the same without it. A client requires the upgrade when it offers one of the
/// protocols above and names `upgrade` in `Connection`, or sends a WebSocket handshake.
#[must_use]
pub fn requires_upgrade(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(UPGRADE).iter().flat_map(options);
    let is_required = |offer: &str| {
        let name = offer.split('/').next().unwrap_or_default();
        REQUIRED_PROTOCOLS.iter().any(|required| name.eq_ignore_ascii_case(required))
    };
    if !offers.into_iter().any(is_required) {
        return false;
    }
    let named = |value| options(value).any(|option| option.eq_ignore_ascii_case("upgrade"));
    headers.get_all(CONNECTION).iter().any(named) || headers.contains_key(SEC_WEBSOCKET_KEY)
}

/// Whether `Max-Forwards` forbids forwarding an OPTIONS request (RFC 9110 §7.6.2).
#[must_use]
pub fn is_last_hop(headers: &HeaderMap) -> bool {
    headers.get_all(MAX_FORWARDS).iter().any(|value| hops(value) == Some(0))
}

/// Decrements the `Max-Forwards` of an OPTIONS request. A value that is not a number stays.
pub fn decrement_max_forwards(headers: &mut HeaderMap) {
    if let http::header::Entry::Occupied(mut entry) = headers.entry(MAX_FORWARDS) {
        for value in entry.iter_mut() {
            if let Some(hops) = hops(value) {
                *value = HeaderValue::from(hops.saturating_sub(1));
            }
        }
    }
}

/// A number beyond 64 bits counts as the largest.
fn hops(value: &HeaderValue) -> Option<u64> {
    let digits = value.to_str().ok()?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn options(value: &HeaderValue) -> impl Iterator<Item = &str> {
    let parts = value.as_bytes().split(|byte| *byte == b',');
    parts.filter_map(|part| std::str::from_utf8(part.trim_ascii()).ok())
}

/// `TE` and `Trailer` are handled by [`filter_trailer_headers`]; `Via` is needed to detect loops.
fn is_removable(name: &str, protected: &[HeaderName]) -> bool {
    let lower = name.to_ascii_lowercase();
    match kind(&lower) {
        Kind::EndToEnd | Kind::HopByHop | Kind::Forwarding | Kind::Expect | Kind::Own => {
            !protected.iter().any(|header| *header == *lower) && lower != "via"
        }
        Kind::Framing | Kind::Connection | Kind::Te | Kind::Trailer | Kind::Prefer => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::map;
    use super::*;

    #[test]
    fn nominated_headers_are_removed_unless_protected() {
        let protected = [HeaderName::from_static("x-account")];
        let mut headers = map(&[
            ("connection", "close, X-Hop,Content-Length"),
            ("connection", "x-account,, te , \"odd\", x-two"),
            ("x-hop", "1"),
            ("x-two", "2"),
            ("content-length", "3"),
            ("x-account", "4"),
            ("te", "trailers"),
            ("x-stays", "5"),
        ]);
        strip(&mut headers, &protected);
        let left = map(&[
            ("content-length", "3"),
            ("x-account", "4"),
            ("te", "trailers"),
            ("x-stays", "5"),
        ]);
        assert_eq!(headers, left);
    }

    #[test]
    fn te_is_reduced_to_trailers() {
        let rows = [
            ("trailers", Trailers::Pass, Some("trailers")),
            ("gzip, Trailers", Trailers::Pass, Some("trailers")),
            ("gzip", Trailers::Pass, None),
            ("trailers;q=1", Trailers::Pass, None),
            ("trailers", Trailers::Drop, Some("trailers")),
        ];
        for (value, trailers, expected) in rows {
            let mut headers = map(&[("te", value), ("trailer", "x-sum")]);
            filter_trailer_headers(&mut headers, trailers);
            assert_eq!(headers.get(TE).map(|te| te.to_str().unwrap()), expected, "{value}");
            assert_eq!(headers.contains_key(TRAILER), trailers == Trailers::Pass, "{value}");
        }
    }

    #[test]
    fn trailers_carry_neither_framing_nor_credentials() {
        let mut trailers = map(&[
            ("x-sum", "1"),
            ("grpc-status", "0"),
            ("content-length", "9"),
            ("transfer-encoding", "chunked"),
            ("host", "evil"),
            ("authorization", "x"),
            ("x-forwarded-for", "1.2.3.4"),
        ]);
        filter_trailers(&mut trailers);
        assert_eq!(trailers, map(&[("x-sum", "1"), ("grpc-status", "0")]));
    }

    #[test]
    fn an_upgrade_is_required_only_for_protocols_that_need_it() {
        let offer = |protocols: &'static str| {
            map(&[("connection", "keep-alive, Upgrade"), ("upgrade", protocols)])
        };
        for protocols in ["websocket", "WebSocket", "h2c, websocket", "SPDY/3.1", "connect-udp"] {
            assert!(requires_upgrade(&offer(protocols)), "{protocols}");
        }
        for protocols in ["h2c", "TLS/1.2", "TLS/1.0, HTTP/1.1", "HTTP/2.0", "foo/2", "", ","] {
            assert!(!requires_upgrade(&offer(protocols)), "{protocols}");
        }
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        assert!(requires_upgrade(&map(&[("upgrade", "websocket"), key])));
        assert!(!requires_upgrade(&map(&[("upgrade", "websocket")])), "not nominated: void");
        assert!(!requires_upgrade(&map(&[("connection", "upgrade"), key])), "no offer");
    }

    #[test]
    fn max_forwards_is_decremented_and_stops_at_zero() {
        let rows = [
            ("0", true, "0"),
            ("000", true, "0"),
            ("1", false, "0"),
            ("17", false, "16"),
            ("99999999999999999999999", false, "18446744073709551614"),
            ("", false, ""),
            ("-1", false, "-1"),
            ("1.0", false, "1.0"),
        ];
        for (value, last, counted) in rows {
            let mut headers = map(&[("max-forwards", value)]);
            assert_eq!(is_last_hop(&headers), last, "{value}");
            decrement_max_forwards(&mut headers);
            assert_eq!(headers["max-forwards"], counted, "{value}");
        }
        let twice = map(&[("max-forwards", "5"), ("max-forwards", "0")]);
        assert!(is_last_hop(&twice) && !is_last_hop(&map(&[])));
    }
}
