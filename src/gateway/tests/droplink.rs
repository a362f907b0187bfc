//! Droplink's documentation in its own numbers. Each test is named after the row of the
//! requirements that it proves; tests/data/seeds.md is the index.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::json;

use super::harness::{Harness, harness, seeded, window};
use super::upstream::ExchangeScript;
use super::{DEADLOCK, MAINTENANCE, NO_WAIT, OK, PATIENT};
use crate::allowance::Spread;
use crate::gateway::Upstream;
use crate::time::Moment;

/// May be repeated, and may wait an hour.
const KEYED: &[(&str, &str)] = &[PATIENT, ("idempotency-key", "k")];

const THROTTLED: ExchangeScript =
    ExchangeScript::respond(10, 429, &[], r#"{"error":"Too many requests."}"#);
const BROKEN: ExchangeScript =
    ExchangeScript::respond(10, 500, &[], r#"{"error":"The database malfunctioned."}"#);

#[tokio::test(start_paused = true)]
async fn d3_a_response_at_59_9_s_passes_and_an_attempt_ends_at_60_s() {
    let slow =
        |millis| harness("droplink", &[ExchangeScript::respond(millis, 200, &[], "fine")], |_| {});
    let response = slow(59_900).call(Method::POST, &[]).await;
    response.assert_status(200);
    assert_eq!(response.after.as_millis(), 59_900);
    let late = slow(60_100);
    let response = late.call(Method::POST, &[]).await;
    response.assert_status(504);
    assert!((60_000..=60_001).contains(&response.after.as_millis()), "{:?}", response.after);
    assert_eq!(response.problem()["code"], "upstream_timeout");
    late.assert_attempts(1);
}

#[tokio::test(start_paused = true)]
async fn d5_a_timeout_is_retried_after_five_minutes_and_jitter_only_adds() {
    let mut waits = Vec::new();
    for seed in 0..40 {
        let harness = seeded(seed, "droplink", &[ExchangeScript::SILENCE, OK], |_| {});
        harness.call(Method::POST, KEYED).await.assert_status(200);
        let [gap] = harness.gaps()[..] else { panic!("two attempts") };
        waits.push(gap - 60_000);
    }
    waits.sort_unstable();
    let (first, last) = (waits[0], waits[waits.len() - 1]);
    assert!(300_000 <= first, "an attempt {first} ms after the one abandoned");
    assert!(last <= 330_000 && first + 10_000 < last, "jitter from {first} to {last} ms");
}

#[tokio::test(start_paused = true)]
async fn d8_a_wait_beyond_the_calls_patience_is_reported_at_once() {
    let harness = harness("droplink", &[ExchangeScript::SILENCE], |_| {});
    let response = harness.call(Method::GET, &[("prefer", "wait=90")]).await;
    response.assert_problem(
        504,
        json!({"stopped_by": "patience", "retryable": true, "retry_after_basis": "dialect"}),
    );
    assert_eq!(response.after.as_secs(), 60);
    assert_eq!(response.retry_after(), 300);
    harness.assert_attempts(1);
}

#[tokio::test(start_paused = true)]
async fn d18_a_rate_limit_in_disguise_waits_ten_seconds_or_is_reported_as_429() {
    const DISGUISED: ExchangeScript = ExchangeScript::respond(
        10,
        400,
        &[],
        r#"{"error":"The number of requests received exceed the request limit."}"#,
    );
    let waits = harness("droplink", &[DISGUISED, OK], |_| {});
    assert_eq!(waits.call(Method::POST, &[]).await.status.as_u16(), 200);
    let [gap] = waits.gaps()[..] else { panic!("two attempts") };
    assert!((10_000..=11_020).contains(&gap), "after {gap} ms");
    let impatient = harness("droplink", &[DISGUISED], |_| {});
    let response = impatient.call(Method::POST, &[("prefer", "wait=9")]).await;
    response.assert_problem(429, json!({"code": "rate_limited"}));
    assert_eq!(response.problem()["upstream"]["status"], 400);
    impatient.assert_attempts(1);
}

/// Makes one call after the other until so many seconds after the start.
async fn call_until(harness: &Harness, seconds: u64) {
    while harness.clock.now().since(Moment::START).as_secs() < seconds {
        harness.call(Method::GET, &[PATIENT]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn d29_a_throttle_halves_the_rate_which_recovers() {
    let scripts = [vec![OK; 20], vec![THROTTLED], vec![OK]].concat();
    let ten_a_second = |upstream: &mut Upstream| {
        upstream.allowances.push(window("all", 600, 60, Spread::Even { burst: 1 }));
    };
    let harness = harness("droplink", &scripts, ten_a_second);
    call_until(&harness, 300).await;
    assert_eq!(harness.attempts_between(3..12), 0, "held");
    let slowed = harness.attempts_between(14..24);
    assert!((45..=55).contains(&slowed), "{slowed} in ten seconds, once 100");
    let between = harness.attempts_between(130..140);
    assert!((65..=85).contains(&between), "{between} half-way");
    let recovered = harness.attempts_between(280..290);
    assert!((98..=101).contains(&recovered), "{recovered} after recovery");
}

#[tokio::test(start_paused = true)]
async fn d29_a_throttle_halves_an_observed_rate_too() {
    const TENTH: ExchangeScript = ExchangeScript::respond(100, 200, &[], "fine");
    let scripts = [vec![TENTH; 100], vec![THROTTLED], vec![TENTH]].concat();
    let harness = harness("droplink", &scripts, |_| {});
    call_until(&harness, 300).await;
    let slowed = harness.attempts_between(21..25);
    assert!((18..=24).contains(&slowed), "{slowed} in four seconds, once 40");
    let recovered = harness.attempts_between(30..40);
    assert!((98..=101).contains(&recovered), "{recovered} after recovery");
}

#[tokio::test(start_paused = true)]
async fn d30_hints_are_honoured_and_their_absence_is_bounded() {
    const HINTED: ExchangeScript = ExchangeScript::respond(10, 429, &[("retry-after", "7")], "{}");
    const LONG: ExchangeScript = ExchangeScript::respond(10, 429, &[("retry-after", "3000")], "{}");
    for (script, least, most) in [(HINTED, 7_000, 7_720), (THROTTLED, 10_000, 11_020)] {
        let harness = harness("droplink", &[script, OK], |_| {});
        harness.call(Method::POST, &[]).await.assert_status(200);
        let [gap] = harness.gaps()[..] else { panic!("two attempts") };
        assert!((least..=most).contains(&gap), "after {gap} ms");
    }
    let long = harness("droplink", &[LONG], |_| {});
    let response = long.call(Method::GET, &[]).await;
    response.assert_status(429);
    assert_eq!(response.after.as_millis(), 10);
    long.assert_attempts(1);
    assert!((3_000..=3_300).contains(&response.retry_after()), "{}", response.retry_after());
    let persists = harness("droplink", &[THROTTLED], |_| {});
    let response = persists.call(Method::GET, &[PATIENT]).await;
    response.assert_status(429);
    persists.assert_attempts(4);
}

#[tokio::test(start_paused = true)]
async fn d32_a_malfunction_is_retried_within_seconds() {
    let harness = harness("droplink", &[BROKEN], |_| {});
    let response = harness.call(Method::GET, &[]).await;
    response.assert_status(502);
    harness.assert_attempts(4);
    assert!(response.after <= Duration::from_millis(1_800), "{:?}", response.after);
    let response = harness.call(Method::POST, &[]).await;
    response.assert_problem(502, json!({"stopped_by": "method"}));
    harness.assert_attempts(5);
}

#[tokio::test(start_paused = true)]
async fn d34_nothing_is_sent_for_three_hundred_seconds() {
    let harness = harness("droplink", &[MAINTENANCE, OK], |_| {});
    let retry_after = harness.call(Method::GET, &[]).await.retry_after();
    assert!((300..=330).contains(&retry_after), "{retry_after}");
    for second in [100, 200, 299] {
        harness.until(second as f64 + 0.9).await;
        let response = harness.call(Method::POST, &[NO_WAIT]).await;
        response.assert_problem(503, json!({"code": "upstream_held"}));
        harness.assert_attempts(1);
        let left = retry_after - second;
        assert!((left - 1..=left).contains(&response.retry_after()), "it counts down");
    }
    let response = harness.call(Method::POST, &[("prefer", "wait=60")]).await;
    response.assert_status(200);
    let [gap] = harness.gaps()[..] else { panic!("two attempts") };
    assert!((300_000..=330_010).contains(&gap), "after {gap} ms");
}

#[tokio::test(start_paused = true)]
async fn d34_jitter_only_lengthens_the_five_minutes() {
    let mut gaps = Vec::new();
    for seed in 0..40 {
        let harness = seeded(seed, "droplink", &[MAINTENANCE, OK], |_| {});
        harness.call(Method::GET, &[PATIENT]).await.assert_status(200);
        gaps.extend(harness.gaps());
    }
    gaps.sort_unstable();
    assert!(300_010 <= gaps[0], "a probe {} ms after the call", gaps[0]);
    assert!(gaps[39] <= 330_020 && gaps[0] + 10_000 < gaps[39], "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn d34_a_wait_that_the_vendor_states_replaces_the_five_minutes() {
    const TWO: ExchangeScript = ExchangeScript::respond(
        10,
        503,
        &[("retry-after", "120")],
        r#"{"error":"Down for maintenance."}"#,
    );
    let harness = harness("droplink", &[TWO, OK], |_| {});
    let response = harness.call(Method::GET, &[]).await;
    assert!((120..=132).contains(&response.retry_after()), "{}", response.retry_after());
    assert_eq!(response.problem()["retry_after_basis"], "upstream");
    harness.call(Method::GET, &[PATIENT]).await.assert_status(200);
    let [gap] = harness.gaps()[..] else { panic!("two attempts") };
    assert!((120_000..=132_010).contains(&gap), "after {gap} ms");
}

#[tokio::test(start_paused = true)]
async fn d35_one_probe_is_sent_and_ten_calls_wait_for_its_result() {
    const RECOVERING: ExchangeScript = ExchangeScript::respond(5_000, 200, &[], "fine");
    let harness = harness("droplink", &[MAINTENANCE, MAINTENANCE, RECOVERING, OK], |_| {});
    let harness = Arc::new(harness);
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..11 {
        let harness = Arc::clone(&harness);
        calls.spawn(async move {
            // The first one is refused for maintenance; ten others come while it lasts.
            harness.until(f64::from(u8::from(number > 0))).await;
            harness.call(Method::POST, &[PATIENT]).await.status.as_u16()
        });
    }
    assert!(calls.join_all().await.iter().all(|status| *status == 200));
    let gaps = harness.gaps();
    assert_eq!(gaps.len(), 12, "eleven successes and two failures: {gaps:?}");
    assert!((300_000..=330_010).contains(&gaps[0]), "the first probe: {gaps:?}");
    assert!((600_000..=660_020).contains(&gaps[1]), "held again, one more probe: {gaps:?}");
    assert!(gaps[1] + 5_000 <= gaps[2], "the others wait for the probe's result: {gaps:?}");
    assert!(gaps[11] < gaps[1] + 10_000, "then they are sent: {gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn d36_the_number_of_attempts_is_configured() {
    for attempts in [1, 2, 4] {
        let harness = harness("droplink", &[MAINTENANCE], |up| up.policy.attempts = attempts);
        let response = harness.call(Method::GET, &[PATIENT]).await;
        assert_eq!(response.problem()["attempts"], attempts);
        assert_eq!(harness.attempts().len(), usize::try_from(attempts).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn d37_the_support_contact_is_named_after_the_third_retry_and_not_before() {
    let harness = harness("droplink", &[MAINTENANCE], |_| {});
    for (probe, support) in [(0, None), (1, None), (2, None), (3, Some("admin@droplink.cc"))] {
        harness.until(f64::from(probe) * 340.0).await;
        let response = harness.call(Method::GET, &[NO_WAIT]).await;
        assert_eq!(harness.attempts().len(), usize::try_from(probe).unwrap() + 1);
        assert_eq!(response.problem()["support"].as_str(), support, "after retry {probe}");
    }
    let held = harness.call(Method::GET, &[NO_WAIT]).await;
    assert_eq!(held.problem()["support"], "admin@droplink.cc", "without an attempt too");
}

#[tokio::test(start_paused = true)]
async fn d37_other_errors_name_no_support_contact() {
    for script in [DEADLOCK, BROKEN, THROTTLED, ExchangeScript::SILENCE] {
        let harness = harness("droplink", std::slice::from_ref(&script), |_| {});
        let response = harness.call(Method::GET, &[PATIENT]).await;
        assert_eq!(response.problem()["attempts"], 4, "{script:?}");
        harness.assert_attempts(4);
        assert!(response.problem()["support"].is_null(), "{script:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn d38_no_attempt_starts_after_the_deadline() {
    for wait in [0, 30, 400, 800, 1_200] {
        let harness = harness("droplink", &[ExchangeScript::SILENCE], |_| {});
        let asked: &'static str = Box::leak(format!("wait={wait}").into_boxed_str());
        let response = harness.call(Method::GET, &[("prefer", asked)]).await;
        response.assert_status(504);
        let last = harness.gaps().last().copied().unwrap_or(0);
        assert!(last <= wait * 1_000, "an attempt {last} ms after arrival, patience {wait} s");
        let end = last + 60_000;
        assert!((end..=end + 1).contains(&response.after.as_millis()), "nothing is slept after it");
    }
    let worst = harness("droplink", &[ExchangeScript::SILENCE], |_| {});
    let response = worst.call(Method::GET, &[PATIENT]).await;
    assert_eq!(worst.attempts().len(), 4);
    let seconds = response.after.as_secs();
    assert!((1_140..=1_230).contains(&seconds), "4 × 60 s + 3 × 300 s: {seconds}");
}
