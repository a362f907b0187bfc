//! The headers of an answer on its way to a client: the vendor's own, less its connection's,
//! and what we have to say about the call.
//!
//! Refuses to touch what a vendor says about its allowance; ours is told beside it.

use std::time::Duration;

use http::header::{LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::connection::{self, Trailers};
use super::location::Rewrite;
use super::names::{
    self, EVENKEEL_ATTEMPTS, EVENKEEL_REQUEST_ID, Kind, PREFERENCE_APPLIED, RATELIMIT,
    RATELIMIT_POLICY, SERVER_TIMING, X_REQUEST_ID,
};
use super::references;
use super::survey::{self, AnswerSurvey, Presence};
use super::via;
use crate::time::seconds_up;

/// Headers of an answer that a vendor cannot nominate away: clients and we rely on them.
const RELIED: [HeaderName; 3] = [LOCATION, RETRY_AFTER, WWW_AUTHENTICATE];

/// What must be known of a call to write its answer's headers.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Our `Via`, for the version the vendor spoke.
    pub via: &'a HeaderValue,
    /// Where URLs and paths of the upstream lead; `None` leaves them.
    pub redirects: Option<Rewrite<'a>>,
    /// Whether trailers reach the client.
    pub trailers: Trailers,
    /// What we say about the call.
    pub notes: Notes<'a>,
}

/// What our answer headers say; an answer of our own says it too.
#[derive(Clone, Copy, Debug)]
pub struct Notes<'a> {
    /// The call's id.
    pub request_id: &'a HeaderValue,
    /// Attempts that were made.
    pub attempts: u32,
    /// The patience that was asked for and granted.
    pub wait_applied: Option<Duration>,
    /// Where the time went, if it is told.
    pub timing: Option<Timing>,
    /// The allowance that binds, if it is told.
    pub rate_limit: Option<RateLimit<'a>>,
}

/// Where the time of a call went.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// In our queue, holds and backoff.
    pub wait: Duration,
    /// In exchanges.
    pub upstream: Duration,
}

/// The allowance that binds a call, as `RateLimit` and `RateLimit-Policy` tell it.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit<'a> {
    /// Its name.
    pub name: &'a str,
    /// Attempts per window.
    pub limit: u32,
    /// The window.
    pub window: Duration,
    /// Attempts that remain now.
    pub remaining: u32,
    /// How long until more remain.
    pub reset: Duration,
}

/// Turns a vendor's headers, of which `survey` is true, into those of our answer.
pub fn incoming(headers: &mut HeaderMap, survey: AnswerSurvey, policy: &Incoming<'_>) {
    let survey = strip(headers, survey, policy.trailers);
    if let (Presence::Present, Some(rewrite)) = (survey.reference, &policy.redirects) {
        references::lead_back(headers, rewrite);
    }
    via::add(headers, survey.via, policy.via);
    add_notes(headers, survey.request_id, &policy.notes);
}

/// Turns the headers of a vendor's error into those that may stand beside a problem, and those of
/// an interim answer into those that pass: without trailers and without what we say about the call.
pub fn incoming_bare(headers: &mut HeaderMap, via: &HeaderValue, redirects: Option<&Rewrite<'_>>) {
    let survey = strip(headers, AnswerSurvey::of(headers), Trailers::Drop);
    if let (Presence::Present, Some(rewrite)) = (survey.reference, redirects) {
        references::lead_back(headers, rewrite);
    }
    via::add(headers, survey.via, via);
}

/// Adds our answer headers.
pub fn annotate(headers: &mut HeaderMap, notes: &Notes<'_>) {
    let request_id = survey::has(headers, &X_REQUEST_ID);
    add_notes(headers, if request_id { Presence::Present } else { Presence::Absent }, notes);
}

fn add_notes(headers: &mut HeaderMap, request_id: Presence, notes: &Notes<'_>) {
    headers.insert(EVENKEEL_REQUEST_ID, notes.request_id.clone());
    if request_id == Presence::Absent {
        headers.insert(X_REQUEST_ID, notes.request_id.clone());
    }
    if notes.attempts > 1 {
        headers.insert(EVENKEEL_ATTEMPTS, notes.attempts.into());
    }
    if let Some(wait) = notes.wait_applied {
        headers.append(PREFERENCE_APPLIED, text(&format!("wait={}", wait.as_secs())));
    }
    if let Some(timing) = notes.timing {
        headers.append(SERVER_TIMING, server_timing(timing));
    }
    if let Some(rate_limit) = &notes.rate_limit {
        tell_rate_limit(headers, rate_limit);
    }
}

/// Removes what does not go on; the survey of the rest.
fn strip(headers: &mut HeaderMap, mut survey: AnswerSurvey, trailers: Trailers) -> AnswerSurvey {
    if survey.connection == Presence::Present
        && connection::strip(headers, &RELIED) == Presence::Present
    {
        survey = AnswerSurvey::of(headers);
    }
    if survey.doomed == Presence::Present {
        connection::remove_all(headers, &doomed(headers, trailers));
    }
    survey
}

fn doomed(headers: &HeaderMap, trailers: Trailers) -> Vec<HeaderName> {
    headers.keys().filter(|name| goes(name.as_str(), trailers)).cloned().collect()
}

fn goes(name: &str, trailers: Trailers) -> bool {
    match names::kind(name) {
        Kind::Connection | Kind::HopByHop | Kind::Te | Kind::Own => true,
        Kind::Trailer => trailers == Trailers::Drop,
        Kind::EndToEnd | Kind::Framing | Kind::Hop | Kind::Prefer | Kind::Forwarding => false,
    }
}

fn server_timing(timing: Timing) -> HeaderValue {
    let millis = |span: Duration| span.as_secs_f64() * 1e3;
    let (wait, upstream) = (millis(timing.wait), millis(timing.upstream));
    text(&format!("wait;dur={wait:.1}, upstream;dur={upstream:.1}"))
}

/// The draft's lists grow by a member; a vendor's older form, which is no list, stays alone.
fn tell_rate_limit(headers: &mut HeaderMap, rate_limit: &RateLimit<'_>) {
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

/// A structured-field string; what it cannot hold becomes a question mark.
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

/// A value that we composed of visible ASCII.
fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("composed of visible ASCII")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    static VIA: HeaderValue = HeaderValue::from_static("2 evenkeel-00000000");
    static ID: HeaderValue = HeaderValue::from_static("id-1");
    static NOTES: Notes<'static> =
        Notes { request_id: &ID, attempts: 1, wait_applied: None, timing: None, rate_limit: None };
    static PLAIN: Incoming<'static> =
        Incoming { via: &VIA, redirects: None, trailers: Trailers::Pass, notes: NOTES };
    const DAILY: RateLimit<'static> = RateLimit {
        name: "all",
        limit: 100,
        window: Duration::from_secs(60),
        remaining: 37,
        reset: Duration::from_millis(11_500),
    };

    fn map(rows: &[(&'static str, &'static str)]) -> HeaderMap {
        let row = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        rows.iter().map(row).collect()
    }

    fn incoming(headers: &mut HeaderMap, policy: &Incoming<'_>) {
        super::incoming(headers, AnswerSurvey::of(headers), policy);
    }

    #[test]
    fn a_success_keeps_everything_that_is_end_to_end() {
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
        incoming(&mut headers, &PLAIN);
        assert_eq!(headers.remove("via"), Some(VIA.clone()));
        assert_eq!(headers.remove("evenkeel-request-id"), Some(ID.clone()));
        assert_eq!(headers, map(&rows));
    }

    #[test]
    fn hop_by_hop_headers_of_the_vendor_go() {
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
        let survey = AnswerSurvey::of(&headers);
        strip(&mut headers, survey, Trailers::Drop);
        assert_eq!(headers, map(&[("retry-after", "7"), ("content-type", "text/plain")]));
    }

    #[test]
    fn locations_lead_back() {
        let here = HeaderValue::from_static("here");
        let rewrite = Rewrite {
            origin: "http://vendor",
            base_path: "/v1",
            scheme: "http",
            authority: Some(&here),
            prefix: "/v",
        };
        let mut headers = map(&[("location", "/v1/a"), ("content-location", "http://vendor/v1/b")]);
        incoming(&mut headers, &Incoming { redirects: Some(rewrite), ..PLAIN });
        assert_eq!(headers[LOCATION], "/v/a");
        assert_eq!(headers["content-location"], "http://here/v/b");
        let mut headers = map(&[("location", "/v1/a"), ("location", "http://vendor/v1/b")]);
        incoming(&mut headers, &Incoming { redirects: Some(rewrite), ..PLAIN });
        let all: Vec<_> = headers.get_all(LOCATION).iter().collect();
        assert_eq!(all, ["/v/a", "http://here/v/b"], "whichever a client follows");
    }

    #[test]
    fn notes_are_told() {
        let timing =
            Timing { wait: Duration::from_micros(1250), upstream: Duration::from_millis(88) };
        let notes = Notes {
            attempts: 3,
            wait_applied: Some(Duration::from_secs(20)),
            timing: Some(timing),
            rate_limit: Some(DAILY),
            ..NOTES
        };
        let mut headers = HeaderMap::new();
        annotate(&mut headers, &notes);
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
    fn the_vendors_own_limits_stand_unchanged() {
        let mut listed = map(&[("ratelimit", "\"v\";r=1;t=2")]);
        tell_rate_limit(&mut listed, &DAILY);
        let values: Vec<_> = listed.get_all(RATELIMIT).iter().collect();
        assert_eq!(values, ["\"v\";r=1;t=2", "\"all\";r=37;t=12"]);
        let mut older = map(&[("ratelimit", "limit=5, remaining=1, reset=9")]);
        tell_rate_limit(&mut older, &DAILY);
        assert_eq!(older, map(&[("ratelimit", "limit=5, remaining=1, reset=9")]));
        assert_eq!(quoted("a\"b\\c\u{e9}"), "\"a\\\"b\\\\c?\"");
    }

    proptest! {
        #[test]
        fn a_second_run_changes_nothing(rows in prop::collection::vec(
            (prop::sample::select(vec!["connection", "keep-alive", "transfer-encoding", "trailer",
                "te", "upgrade", "set-cookie", "x-a", "via", "evenkeel-attempts", "location"]),
             prop::sample::select(vec!["close", "x-a, set-cookie", "1", "", "trailer, via"])),
            0..16,
        )) {
            let mut once = map(&rows);
            incoming(&mut once, &PLAIN);
            let survivors = once.keys().filter(|name| goes(name.as_str(), Trailers::Pass));
            prop_assert!(survivors.eq([&EVENKEEL_REQUEST_ID]));
            let mut twice = once.clone();
            incoming(&mut twice, &PLAIN);
            prop_assert_eq!(once, twice);
        }
    }
}
