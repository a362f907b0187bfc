//! Filters the headers of a response on its way to the client and adds the gateway's own. What the
//! vendor says about its rate limit stays; the gateway's is added beside it.

use std::time::Duration;

use http::header::{LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::connection::{self, Trailers};
use super::location::Rewrite;
use super::names::{
    self, EVENKEEL_ATTEMPTS, EVENKEEL_REQUEST_ID, Kind, PREFERENCE_APPLIED, Presence, RATELIMIT,
    RATELIMIT_POLICY, SERVER_TIMING, X_REQUEST_ID, contains,
};
use super::references;
use super::scan::ResponseScan;
use super::via;
use crate::time::seconds_up;

/// Response headers that `Connection` cannot nominate, because clients and the gateway depend on
/// them.
const PROTECTED: [HeaderName; 3] = [LOCATION, RETRY_AFTER, WWW_AUTHENTICATE];

#[derive(Clone, Copy, Debug)]
pub struct ResponsePolicy<'a> {
    /// The gateway's `Via` for the upstream's HTTP version.
    pub via: &'a HeaderValue,
    /// How URLs and paths of the upstream are mapped; `None` leaves them.
    pub redirects: Option<Rewrite<'a>>,
    pub trailers: Trailers,
    pub call: CallHeaders<'a>,
}

/// The headers that describe the call, on every response.
#[derive(Clone, Copy, Debug)]
pub struct CallHeaders<'a> {
    pub request_id: &'a HeaderValue,
    pub attempts: u32,
    /// The granted part of the client's `Prefer: wait`.
    pub wait_applied: Option<Duration>,
    /// For `Server-Timing`, if enabled.
    pub timing: Option<Timing>,
    /// The binding allowance, if enabled.
    pub rate_limit: Option<RateLimit<'a>>,
}

#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Queue, holds and backoff.
    pub wait: Duration,
    pub upstream: Duration,
}

/// The contents of `RateLimit` and `RateLimit-Policy`.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit<'a> {
    pub name: &'a str,
    pub limit: u32,
    pub window: Duration,
    pub remaining: u32,
    /// Time until more remain.
    pub reset: Duration,
}

/// `scan` must be a scan of `headers`.
pub fn filter_response(headers: &mut HeaderMap, scan: ResponseScan, policy: &ResponsePolicy<'_>) {
    let scan = strip(headers, scan, policy.trailers);
    if let (Presence::Present, Some(rewrite)) = (scan.reference, &policy.redirects) {
        references::map_references(headers, rewrite);
    }
    via::add(headers, scan.via, policy.via);
    add_call_fields(headers, scan.request_id, &policy.call);
}

/// For the vendor's headers beside a problem and for interim responses: no trailers, and no headers
/// that describe the call.
pub fn filter_error_response(
    headers: &mut HeaderMap,
    via: &HeaderValue,
    redirects: Option<&Rewrite<'_>>,
) {
    let scan = strip(headers, ResponseScan::of(headers), Trailers::Drop);
    if let (Presence::Present, Some(rewrite)) = (scan.reference, redirects) {
        references::map_references(headers, rewrite);
    }
    via::add(headers, scan.via, via);
}

pub fn add_call_headers(headers: &mut HeaderMap, call: &CallHeaders<'_>) {
    let request_id = contains(headers, &X_REQUEST_ID);
    add_call_fields(headers, if request_id { Presence::Present } else { Presence::Absent }, call);
}

fn add_call_fields(headers: &mut HeaderMap, request_id: Presence, call: &CallHeaders<'_>) {
    headers.insert(EVENKEEL_REQUEST_ID, call.request_id.clone());
    if request_id == Presence::Absent {
        headers.insert(X_REQUEST_ID, call.request_id.clone());
    }
    if call.attempts > 1 {
        headers.insert(EVENKEEL_ATTEMPTS, call.attempts.into());
    }
    if let Some(wait) = call.wait_applied {
        headers.append(PREFERENCE_APPLIED, text(&format!("wait={}", wait.as_secs())));
    }
    if let Some(timing) = call.timing {
        let [wait, upstream] = [timing.wait, timing.upstream].map(|span| span.as_secs_f64() * 1e3);
        let timing = format!("wait;dur={wait:.1}, upstream;dur={upstream:.1}");
        headers.append(SERVER_TIMING, text(&timing));
    }
    if let Some(rate_limit) = &call.rate_limit {
        add_rate_limit(headers, rate_limit);
    }
}

/// Removes what does not pass, and scans what remains.
fn strip(headers: &mut HeaderMap, mut scan: ResponseScan, trailers: Trailers) -> ResponseScan {
    if scan.connection == Presence::Present
        && connection::strip(headers, &PROTECTED) == Presence::Present
    {
        scan = ResponseScan::of(headers);
    }
    if scan.removable == Presence::Present {
        connection::remove_where(headers, |name| match names::kind(name.as_str()) {
            Kind::Connection | Kind::HopByHop | Kind::Te | Kind::Own => true,
            Kind::Trailer => trailers == Trailers::Drop,
            Kind::EndToEnd | Kind::Framing | Kind::Expect | Kind::Prefer | Kind::Forwarding => {
                false
            }
        });
    }
    scan
}

/// Appends a member to the lists of the current draft. A vendor's older form, which is not a list,
/// is left alone.
fn add_rate_limit(headers: &mut HeaderMap, rate_limit: &RateLimit<'_>) {
    let foreign = [&RATELIMIT, &RATELIMIT_POLICY].map(|name| headers.get_all(name));
    let is_list = |value: &HeaderValue| value.as_bytes().trim_ascii_start().starts_with(b"\"");
    if !foreign.iter().flatten().all(is_list) {
        return;
    }
    let RateLimit { name, limit, window, remaining, reset } = *rate_limit;
    let name = quoted(name);
    let (window, reset) = (seconds_up(window), seconds_up(reset));
    headers.append(RATELIMIT_POLICY, text(&format!("{name};q={limit};w={window}")));
    headers.append(RATELIMIT, text(&format!("{name};r={remaining};t={reset}")));
}

/// A structured-field string; characters it cannot hold become question marks.
fn quoted(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for c in name.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("composed of visible ASCII")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::map;
    use super::*;

    static VIA: HeaderValue = HeaderValue::from_static("2 evenkeel-00000000");
    static ID: HeaderValue = HeaderValue::from_static("id-1");
    static CALL: CallHeaders<'static> = CallHeaders {
        request_id: &ID,
        attempts: 1,
        wait_applied: None,
        timing: None,
        rate_limit: None,
    };
    static PLAIN: ResponsePolicy<'static> =
        ResponsePolicy { via: &VIA, redirects: None, trailers: Trailers::Pass, call: CALL };
    const DAILY: RateLimit<'static> = RateLimit {
        name: "all",
        limit: 100,
        window: Duration::from_secs(60),
        remaining: 37,
        reset: Duration::from_millis(11_500),
    };

    fn filter_response(headers: &mut HeaderMap, policy: &ResponsePolicy<'_>) {
        super::filter_response(headers, ResponseScan::of(headers), policy);
    }

    #[test]
    fn a_success_keeps_its_end_to_end_headers() {
        let rows = [
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("content-type", "text/plain"),
            ("x-request-id", "theirs"),
            ("server", "vendor"),
            ("trailer", "x-sum"),
            ("date", "Sat, 21 Nov 2026 20:00:00 GMT"),
        ];
        let mut headers = map(&rows);
        filter_response(&mut headers, &PLAIN);
        assert_eq!(headers.remove("via"), Some(VIA.clone()));
        assert_eq!(headers.remove("evenkeel-request-id"), Some(ID.clone()));
        assert_eq!(headers, map(&rows));
    }

    #[test]
    fn the_upstreams_hop_by_hop_headers_are_removed() {
        let mut headers = map(&[
            ("connection", "x-hop, retry-after, content-type"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2"),
            ("proxy-authenticate", "Basic"),
            ("evenkeel-attempts", "9"),
            ("trailer", "x"),
            ("x-hop", "1"),
            ("retry-after", "7"),
            ("content-type", "text/plain"),
        ]);
        let scan = ResponseScan::of(&headers);
        strip(&mut headers, scan, Trailers::Drop);
        assert_eq!(headers, map(&[("retry-after", "7"), ("content-type", "text/plain")]));
    }

    #[test]
    fn locations_are_mapped() {
        let here = HeaderValue::from_static("here");
        let rewrite = Rewrite {
            origin: "http://vendor",
            base_path: "/v1",
            scheme: "http",
            authority: Some(&here),
            prefix: "/v",
        };
        let mut headers = map(&[("location", "/v1/a"), ("content-location", "http://vendor/v1/b")]);
        filter_response(&mut headers, &ResponsePolicy { redirects: Some(rewrite), ..PLAIN });
        assert_eq!(headers[LOCATION], "/v/a");
        assert_eq!(headers["content-location"], "http://here/v/b");
        let mut headers = map(&[("location", "/v1/a"), ("location", "http://vendor/v1/b")]);
        filter_response(&mut headers, &ResponsePolicy { redirects: Some(rewrite), ..PLAIN });
        let all: Vec<_> = headers.get_all(LOCATION).iter().collect();
        assert_eq!(all, ["/v/a", "http://here/v/b"], "whichever a client follows");
    }

    #[test]
    fn call_headers_are_added() {
        let timing =
            Timing { wait: Duration::from_micros(1250), upstream: Duration::from_millis(88) };
        let call = CallHeaders {
            attempts: 3,
            wait_applied: Some(Duration::from_secs(20)),
            timing: Some(timing),
            rate_limit: Some(DAILY),
            ..CALL
        };
        let mut headers = HeaderMap::new();
        add_call_headers(&mut headers, &call);
        let expected = map(&[
            ("evenkeel-request-id", "id-1"),
            ("x-request-id", "id-1"),
            ("evenkeel-attempts", "3"),
            ("preference-applied", "wait=20"),
            ("server-timing", "wait;dur=1.2, upstream;dur=88.0"),
            ("ratelimit-policy", "\"all\";q=100;w=60"),
            ("ratelimit", "\"all\";r=37;t=12"),
        ]);
        assert_eq!(headers, expected);
    }

    #[test]
    fn the_vendors_own_rate_limit_headers_are_unchanged() {
        let mut listed = map(&[("ratelimit", "\"v\";r=1;t=2")]);
        add_rate_limit(&mut listed, &DAILY);
        let values: Vec<_> = listed.get_all(RATELIMIT).iter().collect();
        assert_eq!(values, ["\"v\";r=1;t=2", "\"all\";r=37;t=12"]);
        let mut older = map(&[("ratelimit", "limit=5, remaining=1, reset=9")]);
        add_rate_limit(&mut older, &DAILY);
        assert_eq!(older, map(&[("ratelimit", "limit=5, remaining=1, reset=9")]));
        assert_eq!(quoted("a\"b\\c\u{e9}"), "\"a\\\"b\\\\c?\"");
    }

    proptest! {
        #[test]
        fn filtering_is_idempotent(rows in prop::collection::vec(
            (prop::sample::select(vec!["connection", "keep-alive", "transfer-encoding", "trailer",
                "te", "upgrade", "set-cookie", "x-a", "via", "evenkeel-attempts", "location"]),
             prop::sample::select(vec!["close", "x-a, set-cookie", "1", "", "trailer, via"])),
            0..16,
        )) {
            let mut once = map(&rows);
            filter_response(&mut once, &PLAIN);
            let survivors = once.keys().filter(|name| match names::kind(name.as_str()) {
                Kind::Connection | Kind::HopByHop | Kind::Te | Kind::Own => true,
                Kind::EndToEnd | Kind::Framing | Kind::Expect | Kind::Prefer | Kind::Forwarding
                | Kind::Trailer => false,
            });
            prop_assert!(survivors.eq([&EVENKEEL_REQUEST_ID]));
            let mut twice = once.clone();
            filter_response(&mut twice, &PLAIN);
            prop_assert_eq!(once, twice);
        }
    }
}
