//! Hop-by-hop headers: what `Connection` nominates and what is meant for one hop anyway
//! (RFC 9110, 7.6.1).
//!
//! A nomination is obeyed before anything of ours is added, and never for a header that frames
//! the body or that a decision of ours rests on: `Connection: authorization` must not be a way
//! to take somebody's credential away (CVE-2025-48865).

use http::header::{CONNECTION, TE, TRAILER, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::names::{Kind, kind};
use super::survey::Presence;
use crate::policy::method;

/// Whether trailers reach the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trailers {
    /// They do.
    Pass,
    /// They do not, so nobody announces them.
    Drop,
}

/// Removes `Connection` and what it nominates, except `relied` headers; whether it nominated
/// anything.
pub(super) fn strip(headers: &mut HeaderMap, relied: &[HeaderName]) -> Presence {
    let further = further_values(headers);
    let first = headers.remove(CONNECTION);
    let mut nominated = Presence::Absent;
    for value in first.iter().chain(&further).filter(|value| nominates(value)) {
        nominated = Presence::Present;
        for name in options(value).filter(|name| may_go(name, relied)) {
            headers.remove(name);
        }
    }
    nominated
}

/// The values of `Connection` behind its first; no head that a program wrote has any.
fn further_values(headers: &HeaderMap) -> Vec<HeaderValue> {
    if headers.len() == headers.keys_len() {
        return Vec::new();
    }
    headers.get_all(CONNECTION).iter().skip(1).cloned().collect()
}

/// Removes headers by name; the names were found by a pass over the map.
pub(super) fn remove_all(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

/// `TE` says `trailers` or nothing, and `Trailer` only announces what will come.
pub(super) fn settle_trailers(headers: &mut HeaderMap, trailers: Trailers) {
    let welcome = headers.get_all(TE).iter().any(|value| {
        let codings = value.as_bytes().split(|byte| *byte == b',');
        codings.map(<[u8]>::trim_ascii).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
    });
    match (trailers, welcome) {
        (Trailers::Pass, true) => {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        (Trailers::Pass, false) => {
            headers.remove(TE);
        }
        (Trailers::Drop, _) => {
            headers.remove(TE);
            headers.remove(TRAILER);
        }
    }
}

/// Removes from trailers what only a head may carry: framing, routing, credentials, methods.
pub fn filter_trailers(trailers: &mut HeaderMap) {
    let doomed = trailers.keys().filter(|name| !may_trail(name.as_str()));
    let doomed: Vec<HeaderName> = doomed.cloned().collect();
    remove_all(trailers, &doomed);
}

/// Whether a client asks for another protocol on its connection; `h2c` may be ignored.
#[must_use]
pub fn asks_upgrade(headers: &HeaderMap) -> bool {
    let Some(protocol) = headers.get(UPGRADE) else { return false };
    let named = |value| options(value).any(|option| option.eq_ignore_ascii_case("upgrade"));
    headers.get_all(CONNECTION).iter().any(named)
        && !protocol.as_bytes().trim_ascii().eq_ignore_ascii_case(b"h2c")
}

/// Whether a value holds an option beyond those that go with the hop anyway.
fn nominates(value: &HeaderValue) -> bool {
    const USUAL: [&[u8]; 2] = [b"keep-alive", b"close"];
    !USUAL.iter().any(|usual| value.as_bytes().eq_ignore_ascii_case(usual))
}

fn options(value: &HeaderValue) -> impl Iterator<Item = &str> {
    let parts = value.as_bytes().split(|byte| *byte == b',');
    parts.filter_map(|part| std::str::from_utf8(part.trim_ascii()).ok())
}

/// `TE` and `Trailer` are settled later, by whether trailers pass; `Via` tells loops.
fn may_go(name: &str, relied: &[HeaderName]) -> bool {
    let lower = name.to_ascii_lowercase();
    match kind(&lower) {
        Kind::EndToEnd | Kind::HopByHop | Kind::Forwarding | Kind::Hop | Kind::Own => {
            !relied.iter().any(|header| *header == *lower) && lower != "via"
        }
        Kind::Framing | Kind::Connection | Kind::Te | Kind::Trailer | Kind::Prefer => false,
    }
}

fn may_trail(name: &str) -> bool {
    match kind(name) {
        Kind::EndToEnd if method::overrides_method(name) => false,
        Kind::EndToEnd => !matches!(
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
        ),
        Kind::Framing
        | Kind::Connection
        | Kind::HopByHop
        | Kind::Te
        | Kind::Trailer
        | Kind::Hop
        | Kind::Prefer
        | Kind::Forwarding
        | Kind::Own => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rows: &[(&'static str, &'static str)]) -> HeaderMap {
        let row = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn nominated_headers_go_unless_somebody_relies_on_them() {
        let relied = [HeaderName::from_static("x-account")];
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
        strip(&mut headers, &relied);
        let left = map(&[
            ("content-length", "3"),
            ("x-account", "4"),
            ("te", "trailers"),
            ("x-stays", "5"),
        ]);
        assert_eq!(headers, left);
    }

    #[test]
    fn te_is_trailers_or_nothing() {
        let rows = [
            ("trailers", Trailers::Pass, Some("trailers")),
            ("gzip, Trailers", Trailers::Pass, Some("trailers")),
            ("gzip", Trailers::Pass, None),
            ("trailers;q=1", Trailers::Pass, None),
            ("trailers", Trailers::Drop, None),
        ];
        for (value, trailers, expected) in rows {
            let mut headers = map(&[("te", value), ("trailer", "x-sum")]);
            settle_trailers(&mut headers, trailers);
            assert_eq!(headers.get(TE).map(|te| te.to_str().unwrap()), expected, "{value}");
            assert_eq!(headers.contains_key(TRAILER), trailers == Trailers::Pass, "{value}");
        }
    }

    #[test]
    fn trailers_carry_no_framing_and_no_credentials() {
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
    fn an_upgrade_counts_when_it_is_nominated_and_not_h2c() {
        let rows = [
            (map(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]), true),
            (map(&[("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c")]), false),
            (map(&[("upgrade", "websocket")]), false),
            (map(&[("connection", "upgrade")]), false),
        ];
        for (headers, expected) in rows {
            assert_eq!(asks_upgrade(&headers), expected, "{headers:?}");
        }
    }
}
