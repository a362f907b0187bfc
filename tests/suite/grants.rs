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
