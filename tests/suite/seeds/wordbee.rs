//! Wordbee: allowances, accounts, waiting, and what follows the last attempt.

use std::time::Duration;

use evenkeel::demo::{
    Action, Allowance, Command, ScriptedResponse, ThrottleStyle, VendorHandle, VendorSettings,
};
use serde_json::{Value, json};

use super::{
    admin, altered, arrivals, config, gap_ms, metric, open, problem, retry_after, saying, scopes,
    statuses, tell,
};
use crate::support::gateway::Gateway;
use crate::support::problem::expect;
use crate::support::time;
use crate::support::wire::{Answer, request};

const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn vendor() -> VendorHandle {
    open(VendorSettings::wordbee())
}

fn at(vendor: &VendorHandle, more: &str) -> String {
    config("wordbee", &format!("http://{}/api", vendor.address()), more)
}

/// A gateway with this vendor and the built-in rules.
#[track_caller]
pub(super) fn gateway_to(vendor: &VendorHandle, more: &str) -> Gateway {
    Gateway::start(&at(vendor, more))
}

#[track_caller]
fn authenticate(gateway: &Gateway, account: &str) -> Answer {
    let body = json!({ "accountid": account, "key": format!("{account}-key") }).to_string();
    gateway.post("/wordbee/auth/token", body.as_bytes())
}

/// A session of this account.
#[track_caller]
pub(super) fn session(gateway: &Gateway, account: &str) -> String {
    let answer = authenticate(gateway, account);
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice::<String>(&answer.body).unwrap()
}

#[track_caller]
pub(super) fn call(
    gateway: &Gateway,
    line: &str,
    who: (&str, &str),
    more: &[(&str, &str)],
) -> Answer {
    let (method, path) = line.split_once(' ').unwrap();
    let own = [("X-Auth-AccountId", who.0), ("X-Auth-Token", who.1)];
    let target = format!("/wordbee{path}");
    gateway.call(&request(method, &target, &[&own, more].concat(), b""))
}

const DOCUMENT: &str = "GET /documents/1";
const BY_ACCOUNT: &str = "account: { header: x-auth-accountid }\n";
const AT_ONCE: &str = "wait: { default: 0s }\n";

#[test]
fn w15_a_throttle_is_the_accounts_and_so_is_the_ledger() {
    let allowances = vec![Allowance::new(2, HOUR)];
    let vendor = open(VendorSettings { allowances, ..VendorSettings::wordbee() });
    let gateway = gateway_to(&vendor, &format!("{BY_ACCOUNT}{AT_ONCE}"));
    let (demo, other) = (session(&gateway, "demo"), session(&gateway, "other"));
    let (demo, other) = (("demo", demo.as_str()), ("other", other.as_str()));
    let answered = |who| call(&gateway, DOCUMENT, who, &[]);
    assert_eq!([answered(demo).status, answered(demo).status], [200, 200]);
    expect(&answered(demo), 429, "rate_limited", "upstream");
    let before = arrivals(&vendor);
    expect(&answered(demo), 503, "upstream_held", "gateway");
    assert_eq!(arrivals(&vendor), before, "the throttled account is held");
    assert_eq!(answered(other).status, 200, "the other is not");

    let vendor = self::vendor();
    let ledger =
        "allowances: { account: { limit: 2/h, spread: none, exempt: [{ path: /auth/token }] } }";
    let gateway = gateway_to(&vendor, &format!("{BY_ACCOUNT}{AT_ONCE}{ledger}"));
    let (demo, other) = (session(&gateway, "demo"), session(&gateway, "other"));
    let (demo, other) = (("demo", demo.as_str()), ("other", other.as_str()));
    let answered = |who| call(&gateway, DOCUMENT, who, &[]);
    assert_eq!([answered(demo).status, answered(demo).status], [200, 200]);
    let refused = answered(demo);
    expect(&refused, 429, "allowance_exhausted", "gateway");
    assert!((3_590..=3_600).contains(&retry_after(&refused)), "the window is an hour");
    assert_eq!([answered(other).status, answered(other).status], [200, 200]);
}

#[test]
fn w16_authentication_is_neither_counted_nor_held() {
    let vendor = vendor();
    let hourly =
        "allowances: { account: { limit: 2/h, spread: none, exempt: [{ path: /auth/token }] } }";
    let gateway = gateway_to(&vendor, &format!("{AT_ONCE}{hourly}"));
    let tokens: Vec<_> = (0..5).map(|_| session(&gateway, "demo")).collect();
    let who = ("demo", tokens[4].as_str());
    assert_eq!(call(&gateway, DOCUMENT, who, &[]).status, 200, "tokens took nothing");
    assert_eq!(call(&gateway, DOCUMENT, who, &[]).status, 200);
    expect(&call(&gateway, DOCUMENT, who, &[]), 429, "allowance_exhausted", "gateway");
    session(&gateway, "demo");

    let gateway = gateway_to(&vendor, &format!("{AT_ONCE}{}", hourly.replace("2/h", "9/h")));
    vendor.control(&Command::Throttle { times: 1, style: ThrottleStyle::Plain });
    let token = tokens[0].as_str();
    expect(&call(&gateway, DOCUMENT, ("demo", token), &[]), 429, "rate_limited", "upstream");
    expect(&call(&gateway, DOCUMENT, ("demo", token), &[]), 503, "upstream_held", "gateway");
    session(&gateway, "demo");
}

#[test]
fn w17_the_stated_maximum_is_read_and_corrects_the_limit() {
    let rows = [
        ("1000 per 01:00:00", "5000/h", Some(1000)),
        ("10 per 00:00:01", "100/s", Some(10)),
        ("5 per 1.00:00:00", "70/day", Some(5)),
        ("9000 per 01:00:00", "5000/h", None),
        ("10 per 00:00:01", "100/h", None),
    ];
    for (stated, configured, lowered) in rows {
        let sentence = format!("Requests throttled. Maximum allowed {stated}.");
        let body = json!({ "error": { "type": "Throttling error", "message": sentence } });
        let script = saying("429 Throttled", &[], body.to_string().as_bytes());
        let more = format!("{AT_ONCE}allowances: {{ account: {configured} }}");
        let gateway = Gateway::start(&config("wordbee", &script.url(), &more));
        let answer = gateway.get("/wordbee/documents/1");
        assert_eq!(problem(&answer)["detail"], sentence.as_str(), "limit and window are exposed");
        let scope = scopes(&gateway).into_iter().find(|scope| scope["name"] == "account").unwrap();
        let believed = lowered.map_or(scope["limit_configured"].clone(), Value::from);
        assert_eq!(scope["limit"], believed, "{stated} against {configured}");
    }
}

#[test]
fn w18_the_wait_is_never_told_as_the_vendors() {
    let throttled =
        ScriptedResponse::new(429, "application/json", r#"{"error":{"message":"Throttled."}}"#);
    let rows = [(None, "dialect"), (Some("2"), "dialect"), (Some("40"), "upstream")];
    for (hint, basis) in rows {
        let vendor = vendor();
        let gateway = gateway_to(&vendor, AT_ONCE);
        let answer = throttled.clone();
        tell(
            &vendor,
            1,
            Action::Answer(match hint {
                Some(seconds) => answer.header("retry-after", seconds),
                None => answer,
            }),
        );
        let told = expect(&gateway.get("/wordbee/echo"), 429, "rate_limited", "upstream");
        assert_eq!(told["retry_after_basis"], basis, "{hint:?}: {told:#}");
        let held = expect(&gateway.get("/wordbee/echo"), 503, "upstream_held", "gateway");
        assert_eq!(held["retry_after_basis"], "estimate");
    }
}

#[test]
fn w19_the_first_retry_keeps_the_floor_on_the_wire() {
    let vendor = vendor();
    let words = [("at_least: 10s", "at_least: 700ms")];
    let gateway = Gateway::start(&(at(&vendor, "") + &altered("wordbee", &words)));
    vendor.control(&Command::Throttle { times: 1, style: ThrottleStyle::Plain });
    assert_eq!(gateway.get("/wordbee/echo").status, 200);
    assert!((700..3_000).contains(&gap_ms(&vendor)), "{} ms", gap_ms(&vendor));
    let gateway = gateway_to(&vendor, AT_ONCE);
    vendor.control(&Command::Throttle { times: 1, style: ThrottleStyle::Plain });
    let told = retry_after(&gateway.get("/wordbee/echo"));
    assert!((10..=11).contains(&told), "{told}");
}

#[test]
fn w20_a_spent_hour_is_told_as_an_hour() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "allowances: { account: { limit: 5/h, spread: none } }");
    for _ in 0..5 {
        assert_eq!(gateway.get("/wordbee/echo").status, 200);
    }
    let start = time::now();
    let answer = gateway.get("/wordbee/echo");
    assert!(start.elapsed() < Duration::from_secs(2), "nobody is held for an hour unasked");
    expect(&answer, 429, "allowance_exhausted", "gateway");
    assert!((3_590..=3_600).contains(&retry_after(&answer)), "{}", retry_after(&answer));
    assert_eq!(arrivals(&vendor), 5);
}

#[test]
fn w21_calls_are_spread_on_the_wire() {
    let vendor = vendor();
    // One in 20 ms, and five at once.
    let gateway = gateway_to(&vendor, "allowances: { account: { limit: 50/s, burst: 5 } }");
    let calls: Vec<_> = (0..30)
        .map(|_| {
            let address = gateway.address;
            let request = request("GET", "/wordbee/echo", &[], b"");
            std::thread::spawn(move || crate::support::wire::call(address, &request).status)
        })
        .collect();
    assert!(calls.into_iter().all(|call| call.join().unwrap() == 200));
    let moments: Vec<u64> = vendor.log().arrivals.iter().map(|one| one.at_ns / 1_000_000).collect();
    let worst = moments
        .iter()
        .map(|start| moments.iter().filter(|at| (*start..start + 100).contains(at)).count());
    let worst = worst.max().unwrap();
    assert!(worst <= 5 + 5 + 2, "{worst} in a tenth of a second: {moments:?}");
    let spread = moments[29] - moments[0];
    assert!((450..2_000).contains(&spread), "25 turns of 20 ms: {moments:?}");
}

#[test]
fn w23_each_customer_has_its_own_limit() {
    let vendor = vendor();
    let url = format!("http://{}/api", vendor.address());
    let limit =
        |limit: &str| format!("{AT_ONCE}allowances: {{ all: {{ limit: {limit}, spread: none }} }}");
    let first = config("wordbee", &url, &limit("1/h"));
    let second = config("wordbee", &url, &format!("route: /second\n{}", limit("3/h")));
    let second = second.replace("upstreams:\n  wordbee:", "  second:");
    let gateway = Gateway::start(&(first + &second));
    let spend = |path: &str| {
        let statuses = (0..4).map(|_| gateway.get(path).status);
        statuses.filter(|status| *status == 200).count()
    };
    assert_eq!((spend("/wordbee/echo"), spend("/second/echo")), (1, 3));
    assert_eq!(arrivals(&vendor), 4);
}

#[test]
fn w29_an_internal_error_is_abnormal_in_log_and_metrics() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "allowances: { all: 100/s }");
    expect(&gateway.post("/wordbee/missing", b""), 401, "unauthenticated", "upstream");
    assert!(!gateway.logs().contains("WARN"), "{}", gateway.logs());
    tell(&vendor, 1, Action::Fail(500));
    expect(&gateway.post("/wordbee/echo", b""), 502, "upstream_error", "upstream");
    time::until("it is logged as abnormal", || gateway.logs().contains("WARN"));
    let problems = ["upstream_error", "source=\"upstream\""];
    assert_eq!(metric(&gateway, "evenkeel_problems_total", &problems), 1.0);
    let attempts = admin(&gateway, "/metrics");
    assert!(attempts.contains("http_response_status_code=\"500\""), "{attempts}");
}

#[test]
fn w30_few_retries_where_safe_then_a_breaker() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    tell(&vendor, 1, Action::Fail(500));
    assert_eq!(gateway.get("/wordbee/echo").status, 200);
    assert_eq!(statuses(&vendor), [500, 200], "a GET is sent again");
    tell(&vendor, 60, Action::Fail(500));
    let mut sent = 0;
    let hasty = |path: &str| request("POST", path, &[("Prefer", "wait=0")], b"");
    let paths = ["/wordbee/echo", "/wordbee/jobs", "/wordbee/orders"];
    while gateway.call(&hasty(paths[sent % paths.len()])).status == 502 {
        sent += 1;
        assert!(sent < 40, "nothing opens");
    }
    let before = arrivals(&vendor);
    assert_eq!(before, 2 + sent, "a POST is not");
    expect(&gateway.call(&hasty(paths[0])), 503, "upstream_held", "gateway");
    assert_eq!(arrivals(&vendor), before, "nothing is sent while it is open");
}

#[test]
fn w31_support_is_told_after_giving_up_with_what_it_needs() {
    let body = r#"{"error":{"operation":"Export","date":"2020-12-15T08:34:38.7706101Z","title":"Boom.","details":"ref-99812","errorurl":null,"messages":[]},"reason":"Boom."}"#;
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    tell(&vendor, 5, Action::Answer(ScriptedResponse::new(500, "application/json", body)));
    let early = expect(&gateway.post("/wordbee/echo", b""), 502, "upstream_error", "upstream");
    assert_eq!(early["support"], Value::Null, "nothing was given up yet");
    let last = expect(&gateway.get("/wordbee/echo"), 502, "upstream_error", "upstream");
    assert_eq!((&last["attempts"], arrivals(&vendor)), (&4.into(), 5));
    assert_eq!(last["support"], "Wordbee support");
    let upstream = &last["upstream"];
    assert_eq!(upstream["reference"], "ref-99812");
    assert_eq!(upstream["occurred_at"], "2020-12-15T08:34:38.7706101Z");
    assert_eq!(upstream["operation"], "Export");
    assert!(last["request_id"].is_string());
}

#[test]
fn w35_a_failure_inside_a_200_is_told_where_it_was_asked_for() {
    let vendor = open(VendorSettings { scale: 100, ..VendorSettings::wordbee() });
    let looking = "routes: [{ match: { path: /trm/* }, inspect_success: true }]";
    let (plain, looking) = (gateway_to(&vendor, ""), gateway_to(&vendor, looking));
    let token = session(&plain, "demo");
    let own = [("X-Auth-AccountId", "demo"), ("X-Auth-Token", token.as_str())];
    let empty = request("POST", "/wordbee/documents", &own, br#"{"name":"a.docx"}"#);
    let started: Value = serde_json::from_slice(&plain.call(&empty).body).unwrap();
    let poll =
        format!("GET /trm/status?requestid={}", started["trm"]["requestid"].as_str().unwrap());
    let waiting = call(&looking, &poll, ("demo", &token), &[]);
    assert_eq!((waiting.status, waiting.text().contains("Waiting")), (200, true), "no failure yet");
    let failed = || call(&plain, &poll, ("demo", &token), &[]);
    time::until("the operation fails", || failed().text().contains("\"Failed\""));
    assert_eq!(failed().status, 200, "without being asked a success is a success");
    let told =
        expect(&call(&looking, &poll, ("demo", &token), &[]), 502, "upstream_error", "upstream");
    assert_eq!(told["detail"], "The file is empty and cannot be processed.");
    assert_eq!(told["upstream"]["status"], 200);
}
