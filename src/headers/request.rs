//! Filters the headers of a request on its way to the upstream: removes hop-by-hop headers, the
//! client's key, address and `Prefer: wait`; adds `Via` and the injected credential. `upstream`
//! writes `Host` and framing.

use std::net::IpAddr;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::connection::{self, Trailers};
use super::names::{self, FORWARDED, Kind, Presence, X_FORWARDED_FOR};
use super::scan::RequestScan;
use super::{prefer, via};
use crate::routing::client::KeyLocation;

#[derive(Clone, Copy, Debug)]
pub struct RequestPolicy<'a> {
    pub protected: &'a ProtectedHeaders,
    /// Which header carried the client's key.
    pub key: KeyLocation,
    /// Replaces the client's own.
    pub credential: Option<(&'a HeaderName, &'a HeaderValue)>,
    /// The client's address, if the upstream may know it.
    pub peer: Option<IpAddr>,
    pub trailers: Trailers,
    /// The gateway's `Via` for the client's HTTP version.
    pub via: &'a HeaderValue,
}

/// Request headers that a client can neither nominate in `Connection` nor imitate with underscores
/// (`x_api_key` for `x-api-key`).
#[derive(Clone, Debug)]
pub struct ProtectedHeaders {
    /// Headers that decisions depend on, such as the account or the idempotency key.
    required: Vec<HeaderName>,
    /// Carries the client's key and is never sent on.
    key_header: HeaderName,
    /// The header of the injected credential.
    credential: Option<HeaderName>,
    aliases: AliasNames,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AliasNames {
    /// Only a name with an underscore can be an alias.
    WithUnderscore,
    /// Any name can, because a protected header has an underscore itself.
    Any,
}

impl ProtectedHeaders {
    #[must_use]
    pub fn new(
        key_header: HeaderName,
        credential: Option<HeaderName>,
        required: Vec<HeaderName>,
    ) -> Self {
        let mut protected =
            Self { required, key_header, credential, aliases: AliasNames::WithUnderscore };
        if protected.names().any(|name| name.as_str().contains('_')) {
            protected.aliases = AliasNames::Any;
        }
        protected
    }

    fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.required.iter().chain(&self.credential).chain([&self.key_header])
    }

    /// Removes trailers that are only valid in a head, and those that a server which merges
    /// trailers into the head could take for a protected header.
    pub fn filter_trailers(&self, trailers: &mut HeaderMap) {
        connection::filter_trailers(trailers);
        connection::remove_where(trailers, |name| {
            self.names().any(|protected| protected == name) || self.is_alias(name.as_str())
        });
    }

    /// Whether a server may take this header for one that a client must not set.
    fn is_alias(&self, name: &str) -> bool {
        let underscored = name.as_bytes().contains(&b'_');
        (underscored && names::kind(&name.replace('_', "-")) != Kind::EndToEnd)
            || ((underscored || self.aliases == AliasNames::Any)
                && self
                    .names()
                    .any(|protected| names::is_underscore_alias(name, protected.as_str())))
    }
}

/// Turns a client's headers into those of every attempt; `scan` must be a scan of `headers`.
pub fn filter_request(headers: &mut HeaderMap, scan: RequestScan, policy: &RequestPolicy<'_>) {
    let scan = strip(headers, scan, policy.protected);
    if scan.trailers == Presence::Present {
        connection::filter_trailer_headers(headers, policy.trailers);
    }
    if scan.prefer == Presence::Present {
        prefer::remove_wait(headers);
    }
    if policy.key == KeyLocation::Authorization {
        headers.remove(AUTHORIZATION);
    }
    if let Some((name, value)) = policy.credential {
        headers.insert(name, value.clone());
    }
    if let Some(peer) = policy.peer.map(|peer| peer.to_canonical()) {
        let forwarded = match peer {
            IpAddr::V4(v4) => format!("for={v4}"),
            IpAddr::V6(v6) => format!("for=\"[{v6}]\""),
        };
        let value = |text: &str| HeaderValue::from_str(text).expect("an address is a header value");
        headers.insert(FORWARDED, value(&forwarded));
        headers.insert(X_FORWARDED_FOR, value(&peer.to_string()));
    }
    via::add(headers, scan.via, policy.via);
}

/// Removes what does not pass, and scans what remains.
fn strip(
    headers: &mut HeaderMap,
    mut scan: RequestScan,
    protected: &ProtectedHeaders,
) -> RequestScan {
    if scan.connection == Presence::Present
        && connection::strip(headers, &protected.required) == Presence::Present
    {
        scan = RequestScan::of(headers);
    }
    // From most heads nothing has to be removed, which the scan can tell.
    let may_remove = scan.removable == Presence::Present
        || scan.underscored == Presence::Present
        || protected.aliases == AliasNames::Any
        || scan.may_contain(&protected.key_header);
    if may_remove {
        connection::remove_where(headers, |name| match names::kind(name.as_str()) {
            Kind::HopByHop | Kind::Expect | Kind::Forwarding | Kind::Own => true,
            Kind::Connection | Kind::Te | Kind::Trailer | Kind::Prefer | Kind::Framing => false,
            Kind::EndToEnd => *name == protected.key_header || protected.is_alias(name.as_str()),
        });
    }
    scan
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::super::tests::map;
    use super::*;

    static VENDOR_KEY: HeaderName = HeaderName::from_static("x-api-key");
    static SECRET: HeaderValue = HeaderValue::from_static("ours");
    static OURS: HeaderValue = HeaderValue::from_static("1.1 evenkeel-00000000");

    static GUARDED: LazyLock<ProtectedHeaders> =
        LazyLock::new(|| protected(names::EVENKEEL_KEY, None));
    static PLAIN: LazyLock<RequestPolicy<'static>> = LazyLock::new(|| RequestPolicy {
        protected: &GUARDED,
        key: KeyLocation::None,
        credential: None,
        peer: None,
        trailers: Trailers::Pass,
        via: &OURS,
    });

    fn protected(key_header: HeaderName, credential: Option<&HeaderName>) -> ProtectedHeaders {
        let required = vec![HeaderName::from_static("x-auth-accountid")];
        ProtectedHeaders::new(key_header, credential.cloned(), required)
    }

    /// What `before` becomes where a credential is injected under this name.
    fn sent_with(before: &Rows, name: &HeaderName) -> HeaderMap {
        let protected = protected(names::EVENKEEL_KEY, Some(name));
        let credential = Some((name, &SECRET));
        sent(before, &RequestPolicy { protected: &protected, credential, ..*PLAIN })
    }

    type Rows = [(&'static str, &'static str)];

    fn filter_request(headers: &mut HeaderMap, policy: &RequestPolicy<'_>) {
        super::filter_request(headers, RequestScan::of(headers), policy);
    }

    /// What `before` becomes, our `Via` taken off again.
    fn sent(before: &Rows, policy: &RequestPolicy<'_>) -> HeaderMap {
        let mut headers = map(before);
        filter_request(&mut headers, policy);
        assert_eq!(headers.remove("via"), Some(OURS.clone()));
        headers
    }

    #[test]
    fn end_to_end_headers_pass() {
        let rows = [
            ("host", "localhost"),
            ("accept", "*/*"),
            ("authorization", "Bearer theirs"),
            ("cookie", "a=1"),
            ("x-many", "1"),
            ("x-many", "2"),
            ("content-length", "3"),
            ("x-auth-accountid", "7"),
            ("snake_case", "passes"),
            ("x-request-id", "r1"),
        ];
        assert_eq!(sent(&rows, &PLAIN), map(&rows));
    }

    #[test]
    fn headers_for_the_gateway_or_the_hop_are_removed() {
        let rows = [
            ("connection", "keep-alive"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authenticate", "Basic"),
            ("proxy-authorization", "Basic x"),
            ("te", "gzip"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAA"),
            ("expect", "100-continue"),
            ("evenkeel-key", "secret"),
            ("evenkeel-anything", "x"),
            ("forwarded", "for=1.2.3.4"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("x-real-ip", "1.2.3.4"),
            ("x_forwarded_for", "1.2.3.4"),
            ("evenkeel_key", "x"),
            ("x_auth-accountid", "8"),
            ("transfer_encoding", "chunked"),
            ("prefer", "wait=5"),
        ];
        assert_eq!(sent(&rows, &PLAIN), HeaderMap::new());
    }

    #[test]
    fn a_nomination_cannot_remove_protected_headers() {
        let rows = [
            ("connection", "x-api-key, X-Auth-AccountId, via, content-length, x-hop"),
            ("x-auth-accountid", "7"),
            ("content-length", "3"),
            ("x-hop", "1"),
        ];
        let found = sent_with(&rows, &VENDOR_KEY);
        let rows = [("x-auth-accountid", "7"), ("content-length", "3"), ("x-api-key", "ours")];
        assert_eq!(found, map(&rows));
    }

    #[test]
    fn the_injected_credential_replaces_the_clients_and_its_alias() {
        let rows = [("x-api-key", "a"), ("x-api-key", "b"), ("x_api_key", "c")];
        let found = sent_with(&rows, &VENDOR_KEY);
        assert_eq!(found, map(&[("x-api-key", "ours")]));
        let found = sent_with(&rows, &HeaderName::from_static("x_api_key"));
        assert_eq!(found, map(&[("x_api_key", "ours")]));
    }

    #[test]
    fn the_clients_key_is_not_sent_on() {
        let rows = [("authorization", "Bearer for-us"), ("accept", "*/*")];
        let found = sent(&rows, &RequestPolicy { key: KeyLocation::Authorization, ..*PLAIN });
        assert_eq!(found, map(&[("accept", "*/*")]));
        let custom = HeaderName::from_static("x-team-key");
        let rows = [("x-team-key", "for-us"), ("authorization", "Bearer theirs")];
        let protected = protected(custom, None);
        let policy = RequestPolicy { protected: &protected, key: KeyLocation::KeyHeader, ..*PLAIN };
        assert_eq!(sent(&rows, &policy), map(&[("authorization", "Bearer theirs")]));
    }

    #[test]
    fn the_clients_address_is_stated_only_when_enabled() {
        let rows = [("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=6.6.6.6")];
        let peer = |text: &str| RequestPolicy { peer: Some(text.parse().unwrap()), ..*PLAIN };
        let found = sent(&rows, &peer("192.0.2.1"));
        assert_eq!(found, map(&[("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "192.0.2.1")]));
        let found = sent(&rows, &peer("2001:db8::1"));
        let expected = [("forwarded", "for=\"[2001:db8::1]\""), ("x-forwarded-for", "2001:db8::1")];
        assert_eq!(found, map(&expected));
    }

    #[test]
    fn via_is_appended() {
        let mut headers = map(&[("via", "1.1 cdn")]);
        filter_request(&mut headers, &PLAIN);
        assert_eq!(
            headers.get_all("via").iter().collect::<Vec<_>>(),
            ["1.1 cdn", "1.1 evenkeel-00000000"]
        );
    }

    fn any_head() -> impl Strategy<Value = HeaderMap> {
        let name = prop::sample::select(vec![
            "connection",
            "keep-alive",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "host",
            "proxy-connection",
            "proxy-authorization",
            "proxy-authenticate",
            "http2-settings",
            "via",
            "prefer",
            "x-a",
            "x_a",
            "x-api-key",
            "x_api_key",
            "x-forwarded-for",
            "cookie",
            "evenkeel-key",
            "content-length",
            "x-auth-accountid",
            "authorization",
        ]);
        let value = prop::sample::select(vec![
            "close",
            "keep-alive, x-a",
            "trailers",
            "gzip, trailers",
            "wait=5, x",
            "1",
            "",
            "te, upgrade, x-api-key",
            "x-auth-accountid, connection, host, via",
        ]);
        let row = (name, value).prop_map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        prop::collection::vec(row, 0..24).prop_map(HeaderMap::from_iter)
    }

    proptest! {
        #[test]
        fn filtering_is_idempotent(head in any_head(), send in any::<bool>()) {
            let credential = send.then_some((&VENDOR_KEY, &SECRET));
            let protected = protected(names::EVENKEEL_KEY, send.then_some(&VENDOR_KEY));
            let policy = RequestPolicy { protected: &protected, credential, ..*PLAIN };
            let mut once = head;
            filter_request(&mut once, &policy);
            let mut twice = once.clone();
            filter_request(&mut twice, &policy);
            prop_assert_eq!(once, twice);
        }

        #[test]
        fn no_hop_by_hop_header_survives(head in any_head(), pass in any::<bool>()) {
            let trailers = if pass { Trailers::Pass } else { Trailers::Drop };
            let accounts = head.get("x-auth-accountid").cloned();
            let mut headers = head;
            filter_request(&mut headers, &RequestPolicy { trailers, ..*PLAIN });
            for name in headers.keys() {
                let allowed = match names::kind(name.as_str()) {
                    Kind::EndToEnd | Kind::Framing | Kind::Prefer => true,
                    Kind::Te => headers["te"] == "trailers",
                    Kind::Trailer => pass,
                    Kind::Connection | Kind::HopByHop | Kind::Expect | Kind::Forwarding
                    | Kind::Own => false,
                };
                prop_assert!(allowed, "{name}");
            }
            prop_assert_eq!(headers.get("x-auth-accountid").cloned(), accounts);
        }
    }
}
