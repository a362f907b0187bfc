//! What responses change of allowances, holds and outages.

use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::harness::{Harness, harness, window};
use super::upstream::ExchangeScript;
use super::{OK, PATIENT};
use crate::allowance::{
    Allowance, Grant, HoldView, Mode, QueueBounds, ScopeKind, ScopeView, Spread,
};
use crate::gateway::Upstream;
use crate::outcome::{FailureKind, HoldCause};
use crate::routing::route::Matcher;
use crate::time::Moment;

/// The scope of this name in the only account.
fn scope(harness: &Harness, name: &str) -> ScopeView {
    let scopes = harness.gateway.accounts.view().remove(0).scopes;
    scopes.into_iter().rfind(|scope| &*scope.name == name).expect("the scope exists")
}

fn hold(harness: &Harness, name: &str) -> Option<HoldView> {
    scope(harness, name).hold
}

/// The limit that the gateway assumes for this window.
fn limit(harness: &Harness, name: &str) -> u32 {
    let ScopeKind::Units { limit, .. } = scope(harness, name).kind else { panic!("a window") };
    limit
}

/// The value of a counter metric.
fn counter(harness: &Harness, name: &str) -> u64 {
    let series = format!("{name}{{upstream=\"vendor\"}} ");
    let text = harness.metrics.render(&[]);
    let value = text.lines().find_map(|line| line.strip_prefix(&*series));
    value.expect("the series exists").parse().unwrap()
}

const USED_UP: ExchangeScript = ExchangeScript::respond(
    10,
    200,
    &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1800")],
    "fine",
);

#[tokio::test(start_paused = true)]
async fn an_allowance_that_the_vendor_reports_as_used_up_is_held() {
    let hourly = |upstream: &mut Upstream| {
        upstream.allowances.push(window("hour", 100, 3600, Spread::None));
    };
    let harness = harness("auto", &[USED_UP, OK], hourly);
    assert_eq!(harness.get("/things").await, 200);
    let held = hold(&harness, "hour").expect("a hold stands");
    assert_eq!(held.cause, HoldCause::Throttle);
    assert_eq!(held.remaining.as_secs(), 1800);
    assert_eq!(harness.get("/things").await, 503);
    assert!(harness.gateway.accounts.release_hold(held.id));
    assert_eq!(harness.get("/things").await, 200);
    assert_eq!(hold(&harness, "hour"), None);
    harness.assert_attempts(2);
}

#[tokio::test(start_paused = true)]
async fn a_hold_for_a_used_up_window_ends_with_the_window_and_one_probe() {
    let minutely = |upstream: &mut Upstream| {
        upstream.allowances.push(window("minute", 100, 60, Spread::None));
    };
    let harness = Arc::new(harness("auto", &[USED_UP, USED_UP, OK], minutely));
    assert_eq!(harness.get("/things").await, 200);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let harness = Arc::clone(&harness);
        calls.spawn(async move { harness.call(Method::GET, &[PATIENT]).await.status.as_u16() });
    }
    assert!(calls.join_all().await.iter().all(|status| *status == 200));
    let seconds: Vec<_> =
        harness.attempts().iter().map(|sent| sent.at.since(Moment::START).as_secs()).collect();
    assert_eq!(seconds[..3], [0, 60, 120], "a probe each time");
    assert_eq!(seconds[3..], [120; 8], "then the others");
}

#[tokio::test(start_paused = true)]
async fn the_arrival_guard_counts_from_the_last_byte_of_the_request() {
    for (taken, answered, second) in
        [(0, 9_000, 2), (3_000, 9_000, 5), (3_000, 100, 4), (900, 9_000, 2)]
    {
        let guarded = |upstream: &mut Upstream| {
            let mut allowance = window("second", 1, 1, Spread::None);
            if let Grant::Window { arrival_guard, .. } = &mut allowance.grant {
                *arrival_guard = Some(Duration::from_secs(1));
            }
            upstream.allowances.push(allowance);
        };
        let scripts = [ExchangeScript::respond(answered, 200, &[], "taken").uploading(taken), OK];
        let harness = Arc::new(harness("auto", &scripts, guarded));
        let other = Arc::clone(&harness);
        let slow = tokio::spawn(async move { other.get("/slow").await });
        tokio::task::yield_now().await;
        assert_eq!(harness.get("/quick").await, 200);
        assert_eq!(slow.await.unwrap(), 200);
        let [gap] = harness.gaps()[..] else { panic!("two attempts") };
        assert_eq!(gap / 1_000, second, "{taken} ms to send, {answered} ms to answer: {gap} ms");
    }
}

/// The statuses of so many GETs at once.
async fn crowd(harness: &Arc<Harness>, calls: u32) -> Vec<u16> {
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..calls {
        let harness = Arc::clone(harness);
        all.spawn(async move { harness.get("/things").await });
    }
    all.join_all().await
}

const THROTTLED: ExchangeScript = ExchangeScript::respond(10, 429, &[("retry-after", "1")], "{}");

#[tokio::test(start_paused = true)]
async fn a_throttle_after_a_single_call_does_not_slow_a_crowd() {
    let harness = Arc::new(harness("auto", &[THROTTLED, OK], |_| {}));
    assert_eq!(harness.get("/things").await, 200);
    let began = harness.clock.now();
    assert!(crowd(&harness, 60).await.iter().all(|status| *status == 200));
    assert!(harness.clock.now().since(began) < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_throttle_halves_the_observed_rate_which_soon_doubles_again() {
    let mut scripts = vec![OK; 40];
    scripts.push(THROTTLED);
    scripts.push(OK);
    let harness = Arc::new(harness("auto", &scripts, |upstream| {
        upstream.queue = QueueBounds::of_one_client(1_000)
    }));
    assert!(crowd(&harness, 40).await.iter().all(|status| *status == 200));
    harness.until(2.0).await;
    assert_eq!(harness.get("/things").await, 200);
    let reopened = harness.clock.now().since(Moment::START).as_secs();
    assert!(crowd(&harness, 300).await.iter().all(|status| *status == 200));
    let in_second = |second: u64| harness.attempts_between(second..second + 1);
    assert!(
        (15..=25).contains(&in_second(reopened + 1)),
        "half of 40: {}",
        in_second(reopened + 1)
    );
    assert!((30..=50).contains(&in_second(reopened + 6)), "{}", in_second(reopened + 6));
    assert!(harness.clock.now().since(Moment::START) < Duration::from_secs(20));
}

/// Calls are not retried.
const fn once(upstream: &mut Upstream) {
    upstream.policy.attempts = 1;
}

#[tokio::test(start_paused = true)]
async fn failures_of_one_path_do_not_hold_the_others() {
    let harness = Arc::new(harness("auto", &[OK], once));
    harness.upstream.break_path("/v1/broken");
    for number in 0..60 {
        assert_eq!(harness.get(&format!("/broken/{number}?page=2")).await, 502);
        assert_eq!(hold(&harness, "vendor"), None, "after {number}");
    }
    assert_eq!(harness.get("/things").await, 200);
}

#[tokio::test(start_paused = true)]
async fn retries_do_not_make_five_failed_calls_an_outage() {
    let harness = Arc::new(harness(
        "auto",
        &[ExchangeScript::fail_to_connect(5, FailureKind::Refused)],
        |_| {},
    ));
    for _ in 0..5 {
        assert_eq!(harness.get("/things").await, 502);
    }
    assert_eq!(hold(&harness, "vendor"), None, "{} attempts", harness.attempts().len());
}

#[tokio::test(start_paused = true)]
async fn failures_of_several_paths_or_of_the_connection_are_an_outage() {
    let failing = [
        ExchangeScript::respond(1, 500, &[], "{}"),
        ExchangeScript::fail_to_connect(1, FailureKind::Refused),
    ];
    for script in failing {
        let harness = Arc::new(harness("auto", &[script], once));
        for place in 0..19 {
            let path = ["/orders", "/users", "/files"][place % 3];
            assert_eq!(harness.get(path).await, 502);
            assert_eq!(scope(&harness, "vendor").hold, None);
        }
        assert_eq!(harness.get("/orders").await, 502);
        let scopes = harness.gateway.accounts.view().remove(0).scopes;
        let held = scopes[0].hold.expect("the upstream is held");
        assert_eq!(held.cause, HoldCause::Outage);
    }
}

#[tokio::test(start_paused = true)]
async fn the_probe_of_an_outage_goes_to_another_path_if_a_call_for_one_waits() {
    let harness = Arc::new(harness("auto", &[OK], once));
    harness.upstream.break_path("/v1");
    for place in 0..20 {
        harness.get(["/broken", "/broken", "/other"][place % 3]).await;
    }
    assert!(harness.gateway.accounts.view()[0].scopes[0].hold.is_some());
    harness.upstream.break_path("/v1/broken");
    let sent = harness.attempts().len();
    let mut waiting = tokio::task::JoinSet::new();
    for path in ["/broken", "/broken", "/things"] {
        let harness = Arc::clone(&harness);
        waiting.spawn(async move { harness.get(path).await });
        tokio::task::yield_now().await;
    }
    waiting.join_all().await;
    assert_eq!(harness.attempts()[sent].target, "/v1/things");
    assert!(harness.gateway.accounts.view()[0].scopes[0].hold.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_lower_limit_stands_for_a_day_after_the_vendor_last_reported_it() {
    const LESS: ExchangeScript =
        ExchangeScript::respond(10, 200, &[("ratelimit-policy", "\"a\";q=10;w=60")], "fine");
    const MORE: ExchangeScript =
        ExchangeScript::respond(10, 200, &[("ratelimit-policy", "\"a\";q=500;w=60")], "fine");
    let hundred = |upstream: &mut Upstream| {
        upstream.allowances.push(window("minute", 100, 60, Spread::None));
    };
    let harness = harness("auto", &[LESS, OK, MORE, LESS, OK], hundred);
    for expected in [10, 10, 100, 10] {
        assert_eq!(harness.get("/things").await, 200);
        assert_eq!(limit(&harness, "minute"), expected);
    }
    harness.until(86_000.0).await;
    assert_eq!(limit(&harness, "minute"), 10);
    harness.until(86_500.0).await;
    assert_eq!(limit(&harness, "minute"), 100, "a day after the last report");
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_policy_changes_only_the_allowance_with_its_window() {
    const TWO: &[(&str, &str)] =
        &[("ratelimit-policy", "\"day\";q=1000;w=86400, \"minute\";q=50;w=60, \"burst\";q=2;w=1")];
    let hundred = |upstream: &mut Upstream| {
        upstream.allowances.push(window("minute", 100, 60, Spread::None));
    };
    let harness = harness("auto", &[ExchangeScript::respond(10, 200, TWO, "fine")], hundred);
    assert_eq!(harness.get("/things").await, 200);
    assert_eq!(limit(&harness, "minute"), 50);
}

#[tokio::test(start_paused = true)]
async fn calls_of_others_occupy_the_allowance_until_the_reset() {
    const SOME: ExchangeScript = ExchangeScript::respond(
        10,
        200,
        &[
            ("x-ratelimit-limit", "100"),
            ("x-ratelimit-remaining", "3"),
            ("x-ratelimit-reset", "20"),
        ],
        "fine",
    );
    let hundred = |upstream: &mut Upstream| {
        upstream.allowances.push(window("minute", 100, 60, Spread::None));
    };
    let harness = Arc::new(harness("auto", &[SOME, OK], hundred));
    assert_eq!(harness.get("/things").await, 200);
    assert_eq!(scope(&harness, "minute").occupied, 97);
    assert!(crowd(&harness, 10).await.iter().all(|status| *status == 200));
    assert_eq!(harness.attempts_between(0..20), 4, "before the reset");
    assert_eq!(harness.attempts_between(20..22), 7, "after the reset");
    assert_eq!(scope(&harness, "minute").occupied, 11);
}

#[tokio::test(start_paused = true)]
async fn a_throttle_is_unexpected_only_if_an_enforced_window_had_room() {
    const UNEXPECTED: &str = "evenkeel_upstream_throttled_unexpected_total";
    let throttled = ExchangeScript::respond(10, 429, &[], "{}");
    let minute = |mode| Allowance { mode, ..window("minute", 100, 60, Spread::None) };
    let exempt = || {
        let things = Matcher { methods: None, path: Some("/**".parse().unwrap()) };
        Allowance { exempt: vec![things.into()], ..minute(Mode::Enforce) }
    };
    let parallel =
        || Allowance { grant: Grant::Concurrency { limit: 100 }, ..minute(Mode::Enforce) };
    let rows: [(Vec<Allowance>, u64); 5] = [
        (vec![minute(Mode::Enforce)], 1),
        (vec![minute(Mode::Observe)], 0),
        (vec![exempt()], 0),
        (vec![parallel()], 0),
        (vec![], 0),
    ];
    for (allowances, expected) in rows {
        let described = format!("{allowances:?}");
        let scripts = [throttled, OK];
        let harness =
            Arc::new(harness("auto", &scripts, |upstream| upstream.allowances = allowances));
        assert_eq!(crowd(&harness, 1).await, [200]);
        assert_eq!(counter(&harness, UNEXPECTED), expected, "{described}");
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_throttles_are_unexpected_once() {
    let throttled = ExchangeScript::respond(10, 429, &[("retry-after", "1")], "{}");
    let scripts: Vec<_> = vec![throttled; 40].into_iter().chain([OK]).collect();
    let harness = Arc::new(harness("auto", &scripts, |upstream| {
        upstream.allowances = vec![window("minute", 1_000, 60, Spread::None)];
    }));
    crowd(&harness, 40).await;
    assert_eq!(counter(&harness, "evenkeel_upstream_throttled_total"), 40);
    assert_eq!(counter(&harness, "evenkeel_upstream_throttled_unexpected_total"), 1);
}

/// A vendor that takes so many calls at a time, and may work on a call for 30 s after it was given
/// up.
fn at_a_time(limit: u32) -> impl FnOnce(&mut Upstream) {
    move |upstream| {
        let grant = Grant::Concurrency { limit };
        let linger = Duration::from_secs(30);
        upstream.policy.attempt_timeout = Duration::from_secs(5);
        upstream.policy.attempts = 1;
        upstream.allowances =
            vec![Allowance { grant, linger, ..window("parallel", 1, 1, Spread::None) }];
    }
}

/// The second at which a call is sent whose only slot is taken by a call with this script, whose
/// client leaves after so many seconds.
async fn second_after(script: ExchangeScript, leaves_after: u64) -> u64 {
    let harness = Arc::new(harness("auto", &[script, OK], at_a_time(1)));
    let first = Arc::clone(&harness);
    let first = tokio::spawn(async move { first.get("/first").await });
    tokio::task::yield_now().await;
    let second = Arc::clone(&harness);
    let second = tokio::spawn(async move { second.call(Method::GET, &[PATIENT]).await.status });
    harness.until(leaves_after as f64).await;
    first.abort();
    assert_eq!(second.await.unwrap(), 200);
    harness.attempts()[1].at.since(Moment::START).as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_slot_is_taken_for_as_long_as_the_vendor_may_work() {
    let rows = [
        ("answered", ExchangeScript::respond(1_000, 200, &[], "fine"), 9, 1),
        ("responded with a complete error", ExchangeScript::respond(1_000, 500, &[], "{}"), 9, 1),
        ("timed out", ExchangeScript::SILENCE, 99, 35),
        ("its client left", ExchangeScript::SILENCE, 3, 33),
        (
            "its client left during the upload",
            ExchangeScript::respond(9_000, 200, &[], "taken").uploading(4_000),
            2,
            32,
        ),
        (
            "its client left during the response body",
            ExchangeScript::respond(0, 200, &[], "slow").silent_for(20_000),
            4,
            34,
        ),
        ("broke", ExchangeScript::fail(1_000, FailureKind::Reset), 9, 31),
        ("was refused", ExchangeScript::fail(1_000, FailureKind::RefusedStream), 9, 1),
        ("was never sent", ExchangeScript::fail_to_connect(1_000, FailureKind::Reset), 9, 1),
        (
            "its client left before a connection was there",
            ExchangeScript::fail_to_connect(50_000, FailureKind::Refused),
            2,
            2,
        ),
    ];
    for (what, script, leaves_after, second) in rows {
        assert_eq!(second_after(script, leaves_after).await, second, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn clients_that_leave_do_not_raise_concurrency_at_the_vendor() {
    let harness = Arc::new(harness("auto", &[ExchangeScript::SILENCE], at_a_time(4)));
    for second in 0..60_u64 {
        let calls: Vec<_> = (0..4)
            .map(|_| {
                let harness = Arc::clone(&harness);
                tokio::spawn(async move { harness.get("/things").await })
            })
            .collect();
        harness.until(second as f64 + 0.5).await;
        calls.iter().for_each(tokio::task::JoinHandle::abort);
        harness.until(second as f64 + 1.0).await;
    }
    let sent = harness.attempts();
    for first in &sent {
        let within = first.at..first.at.plus(Duration::from_secs(30));
        assert!(sent.iter().filter(|other| within.contains(&other.at)).count() <= 4);
    }
    assert_eq!(sent.len(), 8);
}
