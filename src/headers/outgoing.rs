//! The headers of a request on its way to a vendor.
//!
//! What is between a client and us stays between us: its connection's headers, its key, its
//! address, its wish for patience. What is between us and the vendor is ours: `Via`, the
//! injected credential. `Host` is the back door's, framing the wire's.

use std::net::IpAddr;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::connection::{self, Trailers};
use super::names::{self, FORWARDED, Kind, X_FORWARDED_FOR};
use super::survey::{Presence, Survey};
use super::{prefer, via};
use crate::routing::client::KeyLocation;

/// What must be known of a call to write its request's headers.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The headers that are not a client's to set.
    pub guarded: &'a Guarded,
    /// Where this client's key stood.
    pub key: KeyLocation,
    /// The credential that replaces the client's.
    pub credential: Option<(&'a HeaderName, &'a HeaderValue)>,
    /// The client's address, where the vendor may know it.
    pub peer: Option<IpAddr>,
    /// Whether trailers reach the vendor.
    pub trailers: Trailers,
    /// Our `Via`, for the version the client spoke.
    pub via: &'a HeaderValue,
}

/// The headers of an upstream's calls that a client can neither nominate away nor send a twin of
/// (`x_api_key` beside `x-api-key`).
#[derive(Clone, Debug)]
pub struct Guarded {
    /// Those that decisions rest on, like the account's or the idempotency key's.
    relied: Vec<HeaderName>,
    /// The one that carries clients' keys, which stays here.
    key_header: HeaderName,
    /// The one of the credential that replaces the client's.
    credential: Option<HeaderName>,
    twins: Twins,
}

/// Which names can have a twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Twins {
    /// Only those with an underscore.
    Underscored,
    /// Any: a guarded header has an underscore itself.
    Any,
}

impl Guarded {
    /// Guards these.
    #[must_use]
    pub fn new(
        key_header: HeaderName,
        credential: Option<HeaderName>,
        relied: Vec<HeaderName>,
    ) -> Self {
        let mut guarded = Self { relied, key_header, credential, twins: Twins::Underscored };
        if guarded.names().any(|name| name.as_str().contains('_')) {
            guarded.twins = Twins::Any;
        }
        guarded
    }

    fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.relied.iter().chain(&self.credential).chain([&self.key_header])
    }

    /// Removes from the trailers of a request what only a head may carry, and what a vendor that
    /// joins trailers to the head could take for a header that decisions rest on.
    pub fn filter_trailers(&self, trailers: &mut HeaderMap) {
        connection::filter_trailers(trailers);
        let doomed = |name: &&HeaderName| {
            self.names().any(|guarded| guarded == *name) || self.has_twin(name.as_str())
        };
        let doomed: Vec<HeaderName> = trailers.keys().filter(doomed).cloned().collect();
        connection::remove_all(trailers, &doomed);
    }

    /// Whether anything of such a head may have to go; of most heads nothing has.
    fn may_doom(&self, survey: Survey) -> bool {
        survey.doomed == Presence::Present
            || survey.underscored == Presence::Present
            || self.twins == Twins::Any
            || survey.may_have(&self.key_header)
    }

    /// Whether a vendor may take this header for one that a client must not set.
    fn has_twin(&self, name: &str) -> bool {
        let underscored = name.as_bytes().contains(&b'_');
        (underscored && names::kind(&name.replace('_', "-")) != Kind::EndToEnd)
            || ((underscored || self.twins == Twins::Any)
                && self.names().any(|guarded| names::twins(name, guarded.as_str())))
    }
}

/// Turns a client's headers, of which `survey` is true, into those of every attempt of its call.
pub fn outgoing(headers: &mut HeaderMap, survey: Survey, policy: &Outgoing<'_>) {
    let survey = strip(headers, survey, policy.guarded);
    if survey.trailers == Presence::Present {
        connection::settle_trailers(headers, policy.trailers);
    }
    if survey.prefer == Presence::Present {
        prefer::remove_wait(headers);
    }
    if policy.key == KeyLocation::Authorization {
        headers.remove(AUTHORIZATION);
    }
    if let Some((name, value)) = policy.credential {
        headers.insert(name, value.clone());
    }
    if let Some(peer) = policy.peer {
        add_peer(headers, peer);
    }
    via::add(headers, survey.via, policy.via);
}

fn add_peer(headers: &mut HeaderMap, peer: IpAddr) {
    let peer = peer.to_canonical();
    let forwarded = match peer {
        IpAddr::V4(v4) => format!("for={v4}"),
        IpAddr::V6(v6) => format!("for=\"[{v6}]\""),
    };
    let value = |text: &str| HeaderValue::from_str(text).expect("an address is a header value");
    headers.insert(FORWARDED, value(&forwarded));
    headers.insert(X_FORWARDED_FOR, value(&peer.to_string()));
}

/// Removes what does not go on; the survey of the rest.
fn strip(headers: &mut HeaderMap, mut survey: Survey, guarded: &Guarded) -> Survey {
    if survey.connection == Presence::Present
        && connection::strip(headers, &guarded.relied) == Presence::Present
    {
        survey = Survey::of(headers);
    }
    if guarded.may_doom(survey) {
        connection::remove_all(headers, &doomed(headers, guarded));
    }
    survey
}

fn doomed(headers: &HeaderMap, guarded: &Guarded) -> Vec<HeaderName> {
    let doomed = |name: &&HeaderName| match names::kind(name.as_str()) {
        Kind::HopByHop | Kind::Hop | Kind::Forwarding | Kind::Own => true,
        Kind::Connection | Kind::Te | Kind::Trailer | Kind::Prefer | Kind::Framing => false,
        Kind::EndToEnd => **name == guarded.key_header || guarded.has_twin(name.as_str()),
    };
    headers.keys().filter(doomed).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    static VENDOR_KEY: HeaderName = HeaderName::from_static("x-api-key");
    static SECRET: HeaderValue = HeaderValue::from_static("ours");
    static OURS: HeaderValue = HeaderValue::from_static("1.1 evenkeel-00000000");

    static GUARDED: LazyLock<Guarded> = LazyLock::new(|| guarded(names::EVENKEEL_KEY, None));
    static PLAIN: LazyLock<Outgoing<'static>> = LazyLock::new(|| Outgoing {
        guarded: &GUARDED,
        key: KeyLocation::None,
        credential: None,
        peer: None,
        trailers: Trailers::Pass,
        via: &OURS,
    });

    fn guarded(key_header: HeaderName, credential: Option<&HeaderName>) -> Guarded {
        let relied = vec![HeaderName::from_static("x-auth-accountid")];
        Guarded::new(key_header, credential.cloned(), relied)
    }

    /// What `before` becomes where a credential is injected under this name.
    fn sent_with(before: &Rows, name: &HeaderName) -> HeaderMap {
        let guarded = guarded(names::EVENKEEL_KEY, Some(name));
        let credential = Some((name, &SECRET));
        sent(before, &Outgoing { guarded: &guarded, credential, ..*PLAIN })
    }

    type Rows = [(&'static str, &'static str)];

    fn map(rows: &Rows) -> HeaderMap {
        let row = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        rows.iter().map(row).collect()
    }

    fn outgoing(headers: &mut HeaderMap, policy: &Outgoing<'_>) {
        super::outgoing(headers, Survey::of(headers), policy);
    }

    /// What `before` becomes, our `Via` taken off again.
    fn sent(before: &Rows, policy: &Outgoing<'_>) -> HeaderMap {
        let mut headers = map(before);
        outgoing(&mut headers, policy);
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
    fn what_is_for_us_or_the_hop_goes() {
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
    fn a_nomination_cannot_remove_what_counts() {
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
    fn the_injected_credential_replaces_the_clients_and_its_twin() {
        let rows = [("x-api-key", "a"), ("x-api-key", "b"), ("x_api_key", "c")];
        let found = sent_with(&rows, &VENDOR_KEY);
        assert_eq!(found, map(&[("x-api-key", "ours")]));
        let found = sent_with(&rows, &HeaderName::from_static("x_api_key"));
        assert_eq!(found, map(&[("x_api_key", "ours")]));
    }

    #[test]
    fn the_clients_key_stays_here() {
        let rows = [("authorization", "Bearer for-us"), ("accept", "*/*")];
        let found = sent(&rows, &Outgoing { key: KeyLocation::Authorization, ..*PLAIN });
        assert_eq!(found, map(&[("accept", "*/*")]));
        let custom = HeaderName::from_static("x-team-key");
        let rows = [("x-team-key", "for-us"), ("authorization", "Bearer theirs")];
        let guarded = guarded(custom, None);
        let policy = Outgoing { guarded: &guarded, key: KeyLocation::KeyHeader, ..*PLAIN };
        assert_eq!(sent(&rows, &policy), map(&[("authorization", "Bearer theirs")]));
    }

    #[test]
    fn the_address_is_told_only_when_asked_for_and_only_by_us() {
        let rows = [("x-forwarded-for", "6.6.6.6"), ("forwarded", "for=6.6.6.6")];
        let peer = |text: &str| Outgoing { peer: Some(text.parse().unwrap()), ..*PLAIN };
        let found = sent(&rows, &peer("192.0.2.1"));
        assert_eq!(found, map(&[("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "192.0.2.1")]));
        let found = sent(&rows, &peer("2001:db8::1"));
        let expected = [("forwarded", "for=\"[2001:db8::1]\""), ("x-forwarded-for", "2001:db8::1")];
        assert_eq!(found, map(&expected));
    }

    #[test]
    fn via_is_appended() {
        let mut headers = map(&[("via", "1.1 cdn")]);
        outgoing(&mut headers, &PLAIN);
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
        fn a_second_run_changes_nothing(head in any_head(), send in any::<bool>()) {
            let credential = send.then_some((&VENDOR_KEY, &SECRET));
            let guarded = guarded(names::EVENKEEL_KEY, send.then_some(&VENDOR_KEY));
            let policy = Outgoing { guarded: &guarded, credential, ..*PLAIN };
            let mut once = head;
            outgoing(&mut once, &policy);
            let mut twice = once.clone();
            outgoing(&mut twice, &policy);
            prop_assert_eq!(once, twice);
        }

        #[test]
        fn no_hop_by_hop_header_survives(head in any_head(), pass in any::<bool>()) {
            let trailers = if pass { Trailers::Pass } else { Trailers::Drop };
            let accounts = head.get("x-auth-accountid").cloned();
            let mut headers = head;
            outgoing(&mut headers, &Outgoing { trailers, ..*PLAIN });
            for name in headers.keys() {
                let allowed = match names::kind(name.as_str()) {
                    Kind::EndToEnd | Kind::Framing | Kind::Prefer => true,
                    Kind::Te => headers["te"] == "trailers",
                    Kind::Trailer => pass,
                    Kind::Connection | Kind::HopByHop | Kind::Hop | Kind::Forwarding
                    | Kind::Own => false,
                };
                prop_assert!(allowed, "{name}");
            }
            prop_assert_eq!(headers.get("x-auth-accountid").cloned(), accounts);
        }
    }
}
