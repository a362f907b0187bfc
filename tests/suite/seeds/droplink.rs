//! Droplink: success, timeouts, waiting, and the numbers that the page leaves open.

use std::time::Duration;

use evenkeel::demo::{Action, Command, ScriptRule, ThrottleStyle, VendorHandle, VendorSettings};
use serde_json::Value;

use super::{
    admin, altered, arrivals, config, gap_ms, metric, open, pace, problem, retry_after, scopes,
    statuses, tell,
};
use crate::support::gateway::Gateway;
use crate::support::problem::expect;
use crate::support::script::{Act as Do, Script, ok, reply};
use crate::support::time;
use crate::support::wire::{Answer, request};

pub(super) const KEY: (&str, &str) = ("X-Api-Key", "demo-key");
pub(super) const DROP: &[u8] = br#"{"title":"a","content":"b"}"#;

/// What the page calls five minutes, ten seconds, a short time and a minute.
const COMPRESSED: &[(&str, &str)] = &[
    ("for: 5m", "for: 400ms"),
    ("after: 5m", "after: 400ms"),
    ("for: 10s", "for: 200ms"),
    ("after: 1s", "after: 50ms"),
    ("attempt: 60s", "attempt: 300ms"),
];

/// A gateway with this vendor and the built-in rules.
#[track_caller]
pub(super) fn gateway_to(vendor: &VendorHandle, more: &str) -> Gateway {
    Gateway::start(&at(vendor, more))
}

/// The same with minutes compressed.
#[track_caller]
fn compressed(url: &str, more: &str) -> Gateway {
    Gateway::start(&(config("droplink", url, more) + &altered("droplink", COMPRESSED)))
}

pub(super) fn at(vendor: &VendorHandle, more: &str) -> String {
    config("droplink", &url(vendor), more)
}

fn url(vendor: &VendorHandle) -> String {
    format!("http://{}/api/v1", vendor.address())
}

pub(super) fn vendor() -> VendorHandle {
    open(VendorSettings::droplink())
}

#[track_caller]
pub(super) fn create(gateway: &Gateway, more: &[(&str, &str)]) -> Answer {
    let headers = [&[KEY], more].concat();
    gateway.call(&request("POST", "/droplink/drop/create", &headers, DROP))
}

#[track_caller]
pub(super) fn get(gateway: &Gateway, path: &str) -> Answer {
    gateway.call(&request("GET", &format!("/droplink{path}"), &[KEY], b""))
}

#[test]
fn d1_every_2xx_passes_unchanged() {
    let script = Script::answering(|seen| {
        let status: u16 = seen.target()[1..].parse().unwrap();
        let body: &[u8] = if status == 204 { b"" } else { br#"{"error":"x"}"# };
        vec![reply(&format!("{status} Fine"), &["X-B: 2", "X-A: 1", "X-B: 3"], body)]
    });
    let gateway = Gateway::start(&config("droplink", &script.url(), ""));
    for (calls, status) in [200, 201, 202, 204, 206, 299].into_iter().enumerate() {
        let answer = gateway.post(&format!("/droplink/{status}"), b"x");
        assert_eq!(answer.status, status);
        assert_eq!((answer.all("x-b"), answer.all("x-a")), (vec!["2", "3"], vec!["1"]));
        let body = if status == 204 { "" } else { r#"{"error":"x"}"# };
        assert_eq!(answer.text(), body, "{status}");
        assert_eq!(script.arrivals(), calls + 1, "{status}: one call");
    }
}

#[test]
fn d2_a_200_is_neither_embellished_nor_repeated() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    let direct = request("POST", "/api/v1/drop/create", &[KEY], DROP);
    let direct = crate::support::wire::call(vendor.address(), &direct);
    let answer = create(&gateway, &[]);
    assert_eq!((answer.status, arrivals(&vendor)), (200, 2));
    assert_eq!(answer.text().replace(":2", ":1").replace("/2", "/1"), direct.text());
    let names = |answer: &Answer| {
        let mut names: Vec<_> =
            answer.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
        names.sort();
        names
    };
    let added: Vec<_> =
        names(&answer).into_iter().filter(|it| !names(&direct).contains(it)).collect();
    assert_eq!(added, ["evenkeel-request-id", "via", "x-request-id"]);
}

#[test]
fn d3_the_limit_of_an_attempt_can_be_set() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "timeouts: { attempt: 400ms }");
    tell(&vendor, 1, Action::Delay { ms: 150 });
    assert_eq!(create(&gateway, &[]).status, 200);
    tell(&vendor, 1, Action::Delay { ms: 800 });
    let start = time::now();
    expect(&create(&gateway, &[]), 504, "upstream_timeout", "gateway");
    let took = start.elapsed();
    assert!(Duration::from_millis(400) <= took && took < Duration::from_millis(780), "{took:?}");
}

#[test]
fn d4_only_silence_is_silence() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cut = Script::always(vec![Do::Send(b"HTTP/1.1 200 OK\r\nContent-".to_vec()), Do::Close]);
    let reset = Script::always(vec![Do::Reset]);
    let silent = Script::always(vec![Do::Silence]);
    let rows = [
        (format!("http://{dead}"), "upstream_unreachable", None),
        (reset.url(), "upstream_unreachable", None),
        (cut.url(), "upstream_truncated", None),
        (silent.url().replace("http:", "https:"), "upstream_tls", None),
        (silent.url(), "upstream_timeout", Some("300")),
    ];
    let once = "retry: { attempts: 1 }\ntimeouts: { attempt: 300ms, connect: 400ms }";
    for (url, code, wait) in rows {
        let gateway = Gateway::start(&config("droplink", &url, once));
        let answer = gateway.get("/droplink/a");
        assert_eq!(problem(&answer)["code"], code, "{url}: {}", answer.text());
        assert_eq!(answer.header("retry-after"), wait, "{code}: only silence waits five minutes");
    }
}

#[test]
fn d6_the_retry_is_the_same_to_the_byte() {
    let script = Script::answering(|seen| match seen.number {
        1 => vec![Do::Silence],
        _ => ok("ok"),
    });
    let gateway = compressed(&script.url(), "replay: { max_body: 1KiB }");
    let headers = [("X-A", "1"), ("Content-Type", "a/b"), ("Accept", "*/*")];
    let answer = gateway.call(&request("PUT", "/droplink/a%2Fb?x=%20", &headers, b"\x00\xffbody"));
    assert_eq!((answer.status, script.arrivals()), (200, 2), "{}", answer.text());
    let seen = script.requests();
    assert_eq!(seen[0].raw, seen[1].raw);
    assert!(seen[0].raw.ends_with(b"\x00\xffbody"));
}

#[test]
fn d6_a_body_that_cannot_be_replayed_is_sent_once_and_told() {
    let script = Script::always(vec![Do::Silence]);
    let gateway = compressed(&script.url(), "replay: { max_body: 1KiB }");
    let answer = gateway.call(&request("PUT", "/droplink/a", &[], &[7; 64 << 10]));
    assert_eq!(problem(&answer)["stopped_by"], "body", "{}", answer.text());
    assert_eq!((answer.status, script.arrivals()), (504, 1));
}

#[test]
fn d7_after_silence_only_what_may_be_repeated_is() {
    let declared = "routes: [{ match: { path: /drop/* }, repeatable: true }]";
    let keyed: &[(&str, &str)] = &[KEY, ("Idempotency-Key", "k")];
    let rows = [
        ("POST", "", &[KEY][..], 1),
        ("PATCH", "", &[KEY][..], 1),
        ("POST", "", keyed, 2),
        ("POST", declared, &[KEY][..], 2),
        ("PUT", "", &[KEY][..], 2),
    ];
    for (method, more, headers, sends) in rows {
        let vendor = vendor();
        let gateway = compressed(&url(&vendor), more);
        tell(&vendor, 1, Action::Stall);
        let answer = gateway.call(&request(method, "/droplink/drop/create", headers, DROP));
        assert_eq!(arrivals(&vendor), sends, "{method} {headers:?} {more}: {}", answer.text());
        if sends == 1 {
            let problem = expect(&answer, 504, "upstream_timeout", "gateway");
            assert_eq!(problem["outcome_unknown"], true);
            assert_eq!(problem["stopped_by"], "method");
        } else {
            assert!((650..5_000).contains(&gap_ms(&vendor)), "silence and the wait after it");
        }
    }
}

#[test]
fn d8_the_five_minutes_are_told_and_not_slept() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "timeouts: { attempt: 200ms }");
    tell(&vendor, 1, Action::Stall);
    let start = time::now();
    let answer = get(&gateway, "/drop/1");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let problem = expect(&answer, 504, "upstream_timeout", "gateway");
    assert_eq!((retry_after(&answer), &problem["stopped_by"]), (300, &"patience".into()));
    assert_eq!(arrivals(&vendor), 1);
}

#[test]
fn d18_a_limit_in_disguise_is_waited_for_and_slows() {
    let vendor = vendor();
    let gateway = compressed(&url(&vendor), "allowances: { all: 20/s }");
    vendor.control(&Command::Throttle { times: 1, style: ThrottleStyle::Disguised });
    assert_eq!(create(&gateway, &[]).status, 200);
    assert_eq!(statuses(&vendor), [400, 200]);
    assert!((200..2_000).contains(&gap_ms(&vendor)), "{} ms", gap_ms(&vendor));
    assert!((0.4..0.6).contains(&pace(&gateway)), "{}", pace(&gateway));
}

#[test]
fn d18_without_patience_it_is_a_429_that_keeps_the_vendors_status() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    vendor.control(&Command::Throttle { times: 1, style: ThrottleStyle::Disguised });
    let answer = create(&gateway, &[("Prefer", "wait=1")]);
    let problem = expect(&answer, 429, "rate_limited", "upstream");
    assert_eq!(problem["upstream"]["status"], 400);
    assert!((10..=11).contains(&retry_after(&answer)));
}

#[test]
fn d20_a_deadlock_is_resent_for_any_method() {
    let rows = ["POST", "PUT", "PATCH", "DELETE"].map(|method| {
        std::thread::spawn(move || {
            let vendor = vendor();
            let gateway = gateway_to(&vendor, "");
            vendor.control(&Command::Deadlock { times: 1 });
            let answer = gateway.call(&request(method, "/droplink/echo", &[KEY], DROP));
            assert_eq!(answer.status, 200, "{method}: {}", answer.text());
            assert_eq!(answer.header("evenkeel-attempts"), Some("2"));
            assert_eq!(statuses(&vendor), [400, 200], "{method}");
            assert!((1_000..3_000).contains(&gap_ms(&vendor)), "{method}: {}", gap_ms(&vendor));
            let log = vendor.log();
            assert_eq!(log.arrivals[0].body_hash, log.arrivals[1].body_hash, "{method}");
        })
    });
    rows.into_iter().for_each(|row| row.join().unwrap());
}

#[test]
fn d21_a_deadlock_that_persists_is_the_vendors_trouble() {
    let vendor = vendor();
    let gateway = compressed(&url(&vendor), "");
    vendor.control(&Command::Deadlock { times: 9 });
    let answer = create(&gateway, &[]);
    let problem = expect(&answer, 503, "transient_conflict", "upstream");
    assert_eq!((&problem["retryable"], &problem["attempts"]), (&true.into(), &4.into()));
    assert_eq!((&problem["upstream"]["status"], arrivals(&vendor)), (&400.into(), 4));
}

#[test]
fn d28_vendor_throttles_are_counted_apart_and_accuse_nobody() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "wait: { default: 0s }\nallowances: { all: 100/h }");
    vendor.control(&Command::Throttle { times: 1, style: ThrottleStyle::Plain });
    let problem = expect(&create(&gateway, &[]), 429, "rate_limited", "upstream");
    assert_eq!(problem["title"], "Upstream rate limit reached");
    let vendors = || metric(&gateway, "evenkeel_upstream_throttled_total", &["droplink"]);
    let ours = || metric(&gateway, "evenkeel_ratelimit_requests_total", &["rejected"]);
    assert_eq!((vendors(), ours()), (1.0, 0.0));
    expect(&create(&gateway, &[]), 503, "upstream_held", "gateway");
    assert_eq!((vendors(), ours(), arrivals(&vendor)), (1.0, 1.0, 1));
}

#[test]
fn d29_the_rate_of_everybody_goes_down() {
    let vendor = vendor();
    let gateway = compressed(&url(&vendor), "allowances: { all: { limit: 20/s, burst: 1 } }");
    vendor.control(&Command::Throttle { times: 1, style: ThrottleStyle::Plain });
    assert_eq!(create(&gateway, &[]).status, 200);
    let start = vendor.now_ns();
    // Calls other than the one that was throttled.
    let others: Vec<_> = (0..10)
        .map(|_| {
            let address = gateway.address;
            let request = request("GET", "/droplink/echo", &[("X-Api-Key", "other-key")], b"");
            std::thread::spawn(move || crate::support::wire::call(address, &request).status)
        })
        .collect();
    assert!(others.into_iter().all(|other| other.join().unwrap() == 200));
    let took = (vendor.now_ns() - start) / 1_000_000;
    assert!(900 <= took, "ten calls in {took} ms; half of 20 a second takes a second");
    assert_eq!(pace(&gateway), 0.5);
}

#[test]
fn d30_a_hint_is_honoured() {
    let vendor = vendor();
    let gateway = compressed(&url(&vendor), "");
    tell(&vendor, 1, Action::Answer(throttle_for("1")));
    assert_eq!(create(&gateway, &[]).status, 200);
    assert!((1_000..2_500).contains(&gap_ms(&vendor)), "{} ms", gap_ms(&vendor));
}

fn throttle_for(seconds: &str) -> evenkeel::demo::ScriptedResponse {
    evenkeel::demo::ScriptedResponse::new(429, "text/plain", "slow").header("retry-after", seconds)
}

#[test]
fn d33_maintenance_has_a_code_of_its_own() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    vendor.control(&Command::Maintenance { for_ms: 60_000, retry_after_s: None });
    let problem = expect(&create(&gateway, &[]), 503, "upstream_maintenance", "upstream");
    assert_eq!(problem["upstream"]["status"], 503);
}

#[test]
fn d34_the_whole_upstream_is_held_and_the_wait_counts_down() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    vendor.control(&Command::Maintenance { for_ms: 60_000, retry_after_s: None });
    let told = retry_after(&create(&gateway, &[]));
    assert!((300..=330).contains(&told), "{told}");
    std::thread::sleep(Duration::from_millis(1_100));
    let second = get(&gateway, "/jobs/other");
    expect(&second, 503, "upstream_held", "gateway");
    assert!((told - 3..told).contains(&retry_after(&second)), "{}", retry_after(&second));
    assert_eq!(arrivals(&vendor), 1, "nothing is sent under the hold");
}

#[test]
fn d34_the_vendors_own_word_replaces_the_five_minutes() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    vendor.control(&Command::Maintenance { for_ms: 60_000, retry_after_s: Some(120) });
    let told = retry_after(&create(&gateway, &[]));
    assert!((120..=132).contains(&told), "{told}");
}

#[test]
fn d35_one_probe_goes_first() {
    let vendor = vendor();
    let gateway = compressed(&url(&vendor), "retry: { attempts: 9 }");
    vendor.control(&Command::Maintenance { for_ms: 700, retry_after_s: None });
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let address = gateway.address;
            let request = request("POST", "/droplink/drop/create", &[KEY], DROP);
            let call = std::thread::spawn(move || crate::support::wire::call(address, &request));
            time::until("the first one meets the maintenance", || held(&gateway));
            call
        })
        .collect();
    assert!(calls.into_iter().all(|call| call.join().unwrap().status == 200));
    let refused = statuses(&vendor).iter().filter(|status| **status == 503).count();
    assert!((2..=4).contains(&refused), "a probe per hold: {:?}", statuses(&vendor));
    assert_eq!(arrivals(&vendor), 10 + refused);
}

/// Whether a hold is in force.
fn held(gateway: &Gateway) -> bool {
    scopes(gateway).iter().any(|scope| scope["hold"].is_object())
}

#[test]
fn d36_a_few_retries_are_three() {
    let vendor = vendor();
    let gateway = compressed(&url(&vendor), "");
    vendor.control(&Command::Maintenance { for_ms: 60_000, retry_after_s: None });
    let problem = expect(&create(&gateway, &[]), 503, "upstream_maintenance", "upstream");
    assert_eq!((&problem["attempts"], arrivals(&vendor)), (&4.into(), 4));
    assert_eq!(problem["stopped_by"], "attempts");
}

#[test]
fn d37_the_contact_is_told_only_in_the_end() {
    let vendor = vendor();
    let gateway = compressed(&url(&vendor), "");
    vendor.control(&Command::Maintenance { for_ms: 60_000, retry_after_s: None });
    let support = |answer: &Answer| problem(answer)["support"].clone();
    assert_eq!(support(&create(&gateway, &[("Prefer", "wait=0")])), Value::Null);
    assert_eq!(support(&create(&gateway, &[])), "admin@droplink.cc");
    vendor.control(&Command::EndMaintenance);
    assert_eq!(create(&gateway, &[]).status, 200);
    vendor.control(&Command::Deadlock { times: 9 });
    let other = create(&gateway, &[]);
    assert_eq!((problem(&other)["attempts"].as_u64(), support(&other)), (Some(4), Value::Null));
}

#[test]
fn d38_a_stated_deadline_is_kept() {
    let vendor = vendor();
    let gateway = compressed(&url(&vendor), "");
    vendor.control(&Command::Script(ScriptRule::next(9, Action::Stall)));
    let start = time::now();
    let headers = [KEY, ("Prefer", "wait=1")];
    let answer = gateway.call(&request("GET", "/droplink/drop/1", &headers, b""));
    let took = start.elapsed();
    expect(&answer, 504, "upstream_timeout", "gateway");
    assert!(took < Duration::from_millis(1_900), "patience and one attempt, not {took:?}");
    assert_eq!((answer.header("preference-applied"), arrivals(&vendor)), (Some("wait=1"), 2));
}

#[test]
fn d39_no_limit_is_invented() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "expose: { rate_limit: true }");
    let start = time::now();
    for _ in 0..50 {
        let answer = get(&gateway, "/echo");
        assert_eq!((answer.status, answer.header("ratelimit")), (200, None));
        assert_eq!(answer.header("ratelimit-policy"), None);
    }
    assert!(start.elapsed() < Duration::from_secs(5), "nobody waited");
    assert!(scopes(&gateway).iter().all(|scope| scope["limit"].is_null()));
    assert!(!admin(&gateway, "/metrics").contains("evenkeel_ratelimit_limit{"));
}
