//! Wordbee's documentation in its own numbers. Each test is named after the row of the requirements
//! that it proves; tests/data/seeds.md is the index.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::json;

use super::harness::{harness, seeded, window};
use super::upstream::ExchangeScript;
use super::{OK, PATIENT};
use crate::allowance::{QueueBounds, Spread};
use crate::gateway::Upstream;

/// The 429 of the documentation, which states a maximum but no wait.
pub(super) const THROTTLED: ExchangeScript = ExchangeScript::respond(
    10,
    429,
    &[],
    r#"{"error":{"type":"Throttling error","message":"Requests throttled. Maximum allowed 1000 per 01:00:00."},"reason":"Requests throttled. Maximum allowed 1000 per 01:00:00."}"#,
);

/// A thousand an hour, not spread.
fn unspread(upstream: &mut Upstream) {
    upstream.allowances.push(window("account", 1000, 3600, Spread::None));
}

/// A thousand an hour, spread.
fn spread(upstream: &mut Upstream) {
    upstream.allowances.push(window("account", 1000, 3600, Spread::Even { burst: 20 }));
    upstream.queue = QueueBounds::of_one_client(1_000);
}

#[tokio::test(start_paused = true)]
async fn w19_the_first_retry_comes_after_ten_seconds_and_never_before() {
    const HASTY: ExchangeScript = ExchangeScript::respond(10, 429, &[("retry-after", "2")], "{}");
    let mut gaps = Vec::new();
    for seed in 0..40 {
        let script = if seed % 2 == 0 { THROTTLED } else { HASTY };
        let harness = seeded(seed, "wordbee", &[script, OK], spread);
        harness.call(Method::POST, &[]).await.assert_status(200);
        gaps.extend(harness.gaps());
    }
    gaps.sort_unstable();
    assert_eq!(gaps.len(), 40);
    assert!(10_010 <= gaps[0], "a retry {} ms after the call", gaps[0]);
    assert!(gaps[39] <= 11_020 && gaps[0] + 300 < gaps[39], "jitter only adds: {gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn w20_later_waits_grow_towards_the_hour() {
    let patient = |up: &mut Upstream| {
        spread(up);
        up.policy.attempts = 12;
        up.policy.wait_max = Duration::from_secs(100_000);
    };
    let harness = harness("wordbee", &[THROTTLED], patient);
    harness.call(Method::GET, &[("prefer", "wait=100000")]).await;
    let sent = harness.attempts();
    let waits: Vec<u64> = sent.windows(2).map(|two| two[1].at.since(two[0].at).as_secs()).collect();
    assert_eq!(waits.len(), 11);
    for (number, wait) in waits.iter().enumerate() {
        let least = (10 << number).min(3_600);
        assert!((least..=least * 11 / 10 + 1).contains(wait), "retry {number}: {waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn w20_a_used_up_hour_is_reported_as_an_hour_and_not_as_ten_seconds() {
    const QUICK: ExchangeScript = ExchangeScript::respond(1, 200, &[], "fine");
    let harness = harness("wordbee", &[QUICK], unspread);
    for _ in 0..1000 {
        harness.call(Method::GET, &[]).await.assert_status(200);
    }
    let response = harness.call(Method::GET, &[]).await;
    response.assert_problem(429, json!({"code": "allowance_exhausted"}));
    assert_eq!(response.after, Duration::ZERO);
    harness.assert_attempts(1000);
    let detail = response.problem()["detail"].to_string();
    assert!(detail.contains("No slot of the allowance `account` is free"), "{detail}");
    let proxy_status = response.headers["proxy-status"].to_str().unwrap();
    assert!(proxy_status.contains("details=\"allowance account\""), "{proxy_status}");
    assert_eq!(response.retry_after(), 3600, "the oldest call leaves the window, rounded up");
    harness.until(11.0).await;
    let response = harness.call(Method::GET, &[]).await;
    response.assert_status(429);
    assert_eq!(response.retry_after(), 3590, "ten seconds are not enough");
    let asked = harness.call(Method::GET, &[PATIENT]).await;
    asked.assert_status(200);
    assert_eq!(asked.after.as_secs(), 3589, "it waits as long as it is asked to");
}

#[tokio::test(start_paused = true)]
async fn w20_a_throttle_when_the_hour_is_used_up_is_reported_as_an_hour_too() {
    let mut scripts = vec![ExchangeScript::respond(1, 200, &[], "fine"); 999];
    scripts.push(THROTTLED);
    let harness = harness("wordbee", &scripts, unspread);
    for _ in 0..999 {
        harness.call(Method::GET, &[]).await;
    }
    let response = harness.call(Method::GET, &[]).await;
    response.assert_status(429);
    harness.assert_attempts(1000);
    assert_eq!(response.problem()["retry_after_basis"], "estimate");
    assert!((3_595..=3_600).contains(&response.retry_after()), "{}", response.retry_after());
}

#[tokio::test(start_paused = true)]
async fn w21_calls_are_spread_over_the_hour() {
    let harness = Arc::new(harness("wordbee", &[OK], spread));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let harness = Arc::clone(&harness);
        calls.spawn(async move { harness.call(Method::GET, &[PATIENT]).await.status.as_u16() });
    }
    assert!(calls.join_all().await.iter().all(|status| *status == 200));
    let moments: Vec<u64> = harness.attempts().iter().map(|sent| sent.at.as_nanos()).collect();
    let minute = 60_000_000_000;
    let within =
        |start: u64| moments.iter().filter(move |at| (start..start + minute).contains(*at));
    let worst = moments.iter().map(|start| within(*start).count()).max();
    assert!(worst <= Some(17 + 20), "{worst:?} in a minute");
    let later: Vec<usize> = (1..16).map(|number| within(number * minute).count()).collect();
    assert!(later.iter().all(|count| (16..=17).contains(count)), "no silence: {later:?}");
}
