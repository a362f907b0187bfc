//! Kinds of grant on real sockets: what passes, what is refused, and what the refusal says.

use serde_json::Value;

use crate::support::gateway::{Gateway, one_upstream};
use crate::support::problem;
use crate::support::script::{Script, ok};
use crate::support::wire::request;

/// Asks until a call is refused that may not wait: how many passed, and the problem.
fn until_refused(gateway: &Gateway) -> (usize, Value, String) {
    let request = request("GET", "/v/things", &[("Prefer", "wait=0")], b"");
    for passed in 0..100 {
        let answer = gateway.call(&request);
        if answer.status != 200 {
            let said = problem::expect(&answer, 429, "allowance_exhausted", "gateway");
            let binds = answer.header("proxy-status").unwrap_or_default().to_owned();
            return (passed, said, binds);
        }
    }
    panic!("nothing was refused");
}

fn gateway_with(script: &Script, allowance: &str) -> Gateway {
    Gateway::start(&one_upstream(&script.url(), &format!("allowances: {{ all: {allowance} }}")))
}

#[test]
fn half_of_a_day_passes_at_once_and_then_the_pace_is_named() {
    let script = Script::always(ok("ok"));
    let (passed, said, binds) = until_refused(&gateway_with(&script, "60/day"));
    assert_eq!((passed, script.arrivals()), (30, 30));
    assert!(binds.contains("pace of all"), "{binds}");
    let detail = said["detail"].as_str().unwrap();
    assert!(detail.contains("What is left of `all` is spread over time"), "{detail}");
    let wait = said["retry_after"].as_u64().unwrap();
    assert!((86_400 / 31 - 5..=86_400 / 31 + 1).contains(&wait), "a share of the day: {wait}");
}

#[test]
fn a_bucket_grants_its_size_and_then_what_has_leaked() {
    let script = Script::always(ok("ok"));
    let gateway = gateway_with(&script, "{ bucket: { size: 5, refill: 1/m } }");
    let (passed, said, binds) = until_refused(&gateway);
    assert_eq!(passed, 5);
    assert!(binds.contains("allowance all"), "{binds}");
    let wait = said["retry_after"].as_u64().unwrap();
    assert!((50..=60).contains(&wait), "one unit leaks in a minute: {wait}");
    let quick = gateway_with(&script, "{ bucket: { size: 2, refill: 10/s } }");
    for _ in 0..6 {
        assert_eq!(quick.get("/v/things").status, 200, "it waits a tenth of a second");
    }
}

#[test]
fn one_step_of_a_stepwise_refill_is_never_used() {
    let script = Script::always(ok("ok"));
    let bucket = "{ bucket: { size: 10, refill: { rate: 6/m, every: 1m } } }";
    assert_eq!(until_refused(&gateway_with(&script, bucket)).0, 4);
}

#[test]
fn headroom_is_left_to_others() {
    let script = Script::always(ok("ok"));
    for (headroom, passed) in [("headroom: 70%", 3), ("headroom: 9", 1), ("mode: enforce", 10)] {
        let allowance = format!("{{ limit: 10/h, spread: none, {headroom} }}");
        assert_eq!(until_refused(&gateway_with(&script, &allowance)).0, passed, "{headroom}");
    }
}

#[test]
fn a_calendar_day_ends_when_the_vendors_does() {
    let script = Script::always(ok("ok"));
    let now = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::get("Asia/Tokyo").unwrap());
    let tomorrow = now.date().tomorrow().unwrap().to_zoned(now.time_zone().clone()).unwrap();
    let left = u64::try_from(now.duration_until(&tomorrow).as_secs()).unwrap();
    let allowance = "{ limit: 3/day, spread: none, resets: { zone: Asia/Tokyo } }";
    let gateway = gateway_with(&script, allowance);
    let (passed, said, _) = until_refused(&gateway);
    assert_eq!(passed, 3);
    let wait = said["retry_after"].as_u64().unwrap();
    assert!((left..=left + 4).contains(&wait), "{wait}, with {left} left of the day");
}

#[test]
fn a_fraction_of_a_call_a_second_is_kept_exactly() {
    let script = Script::always(ok("ok"));
    let gateway = gateway_with(&script, "{ limit: 1.5/m, spread: none }");
    let (passed, said, _) = until_refused(&gateway);
    assert_eq!(passed, 3, "three in two minutes");
    assert!((115..=120).contains(&said["retry_after"].as_u64().unwrap()), "{said:#}");
}

/// Asks in these spellings, each of which may count; how many passed.
fn passed(gateway: &Gateway, spellings: &[(&str, &[(&str, &str)])]) -> usize {
    let answers = spellings.iter().map(|(target, headers)| {
        let headers = [&[("Prefer", "wait=0")], *headers].concat();
        gateway.call(&request("GET", target, &headers, b"")).status
    });
    answers.filter(|status| *status == 200).count()
}

#[test]
fn an_allowance_counts_what_any_of_its_matches_may_match() {
    let script = Script::always(ok("ok"));
    let allowance = "{ limit: 2/h, spread: none, match: [{ path: /bulk }, \
                     { headers: x-kind=bulk }, { query: action=export }] }";
    let spellings: [(&str, &[(&str, &str)]); 8] = [
        ("/v/bulk", &[]),
        ("/v/BULK/", &[]),
        ("/v/a", &[("X-Kind", "Bulk")]),
        ("/v/a", &[("X-Kind", "small, \"bulk\"")]),
        ("/v/a", &[("X-Kind", "small"), ("X-Kind", "bulk")]),
        ("/v/a?action=export", &[]),
        ("/v/a?b&ACTION%5b%5d=%65xport", &[]),
        ("/v/a?action=import;action=export", &[]),
    ];
    assert_eq!(passed(&gateway_with(&script, allowance), &spellings), 2);
    let others: [(&str, &[(&str, &str)]); 4] = [
        ("/v/a", &[("X-Kind", "bulky"), ("X_Kind", "bulk")]),
        ("/v/a?action=exports", &[]),
        ("/v/a?xaction=export", &[]),
        ("/v/bulk/more", &[]),
    ];
    let before = script.arrivals();
    assert_eq!(passed(&gateway_with(&script, allowance), &others), 4);
    let seen = &script.requests()[before];
    assert!(seen.all("x_kind").is_empty(), "an imitation is not sent on: {seen:?}");
}

#[test]
fn only_the_exact_spelling_of_headers_and_query_exempts() {
    let script = Script::always(ok("ok"));
    let allowance =
        "{ limit: 1/h, spread: none, exempt: [{ headers: x-probe=yes, query: dry=1 }] }";
    let gateway = gateway_with(&script, allowance);
    let exact: (&str, &[(&str, &str)]) = ("/v/a?dry=1", &[("X-Probe", "yes")]);
    assert_eq!(passed(&gateway, &[exact; 5]), 5, "they are not counted");
    let inexact: [(&str, &[(&str, &str)]); 6] = [
        ("/v/a?dry=1", &[("X-Probe", "YES")]),
        ("/v/a?dry=1", &[("X-Probe", "yes"), ("X-Probe", "no")]),
        ("/v/a?dry=1&dry=0", &[("X-Probe", "yes")]),
        ("/v/a?dry=1&d%72y=0", &[("X-Probe", "yes")]),
        ("/v/a?dry=1;x=1", &[("X-Probe", "yes")]),
        ("/v/a?dry=1", &[]),
    ];
    assert_eq!(passed(&gateway, &inexact), 1, "all of them are counted");
    let nominated: (&str, &[(&str, &str)]) =
        ("/v/a?dry=1", &[("X-Probe", "yes"), ("Connection", "x-probe")]);
    assert_eq!(passed(&gateway, &[nominated]), 1, "it reaches the vendor as it was read");
    let last = script.requests().pop().unwrap();
    assert_eq!(last.all("x-probe"), ["yes"]);
}
