//! Holds: hints that are short, wrong or broken off, and clients that leave.

use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::harness::{Harness, harness, window};
use super::upstream::{ExchangeScript, Headers};
use super::{NO_WAIT, OK};
use crate::allowance::Spread;
use crate::gateway::Upstream;
use crate::outcome::FailureKind;
use crate::routing::route::Matcher;

const ZERO: Headers = &[("retry-after", "0")];
const FIFTH: Headers = &[("retry-after", "0.2")];
const SECOND: Headers = &[("retry-after", "1")];
const THIRTY: Headers = &[("retry-after", "30")];
const PAUSE: Headers =
    &[("retry-after", "3"), ("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "40")];

/// Makes so many calls at the same time.
async fn together(harness: &Arc<Harness>, method: Method, calls: usize) {
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..calls {
        let (harness, method) = (Arc::clone(harness), method.clone());
        all.spawn(async move { harness.call(method, &[]).await.status });
    }
    all.join_all().await;
}

/// Makes a call at each interval; its client leaves after `patience`.
async fn impatient_calls(harness: &Arc<Harness>, calls: u32, pause: Duration, patience: Duration) {
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..calls {
        let caller = Arc::clone(harness);
        all.spawn(async move {
            let _ = tokio::time::timeout(patience, caller.call(Method::GET, &[])).await;
        });
        harness.clock.sleep_until(harness.clock.now().plus(pause)).await;
    }
    all.join_all().await;
}

fn answers(status: u16, headers: Headers) -> Arc<Harness> {
    Arc::new(harness("auto", &[ExchangeScript::respond(1, status, headers, "{}")], |_| {}))
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_of_zero_does_not_multiply_a_hundred_posts() {
    for (status, headers, most) in [
        (503, ZERO, 100),
        (503, FIFTH, 100),
        (429, ZERO, 106),
        (429, FIFTH, 106),
        (503, SECOND, 106),
    ] {
        let harness = answers(status, headers);
        together(&harness, Method::POST, 100).await;
        let attempts = harness.attempts().len();
        assert!((100..=most).contains(&attempts), "{status} {headers:?}: {attempts}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_of_zero_adds_at_most_a_tenth_to_sustained_calls() {
    for (status, headers) in [(503, ZERO), (503, FIFTH), (429, ZERO), (429, SECOND)] {
        let harness = answers(status, headers);
        let pause = Duration::from_millis(50);
        impatient_calls(&harness, 600, pause, Duration::from_secs(60)).await;
        let attempts = harness.attempts().len();
        assert!(attempts <= 660, "{status} {headers:?}: {attempts} for 600 calls");
    }
}

/// Responds alternately with this and with 200.
fn flapping(status: u16, headers: Headers, millis: u64) -> Arc<Harness> {
    let pair = [
        ExchangeScript::respond(millis, status, headers, "{}"),
        ExchangeScript::respond(millis, 200, &[], "ok"),
    ];
    let scripts: Vec<_> = pair.iter().cycle().take(2_000).cloned().collect();
    Arc::new(harness("auto", &scripts, |_| {}))
}

#[tokio::test(start_paused = true)]
async fn few_calls_are_sent_again_to_a_vendor_that_refuses_every_other_one() {
    for (status, millis) in [(503, 1), (503, 500), (503, 3_000), (429, 1), (429, 500)] {
        let harness = flapping(status, SECOND, millis);
        together(&harness, Method::POST, 100).await;
        let attempts = harness.attempts().len();
        assert!(attempts <= 135, "{status} after {millis} ms: {attempts} attempts of 100 calls");
        let harness = flapping(status, SECOND, millis);
        impatient_calls(&harness, 600, Duration::from_millis(20), Duration::from_secs(60)).await;
        let attempts = harness.attempts().len();
        assert!(
            attempts <= 720,
            "{status} after {millis} ms, sustained: {attempts} attempts of 600 calls"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_hold_that_did_not_help_calls_are_sent_one_by_one() {
    let mut scripts = vec![ExchangeScript::respond(10, 503, SECOND, "{}"); 100];
    scripts.extend([
        ExchangeScript::respond(10, 200, &[], "ok"),
        ExchangeScript::respond(10, 503, ZERO, "{}"),
    ]);
    let harness = Arc::new(harness("auto", &scripts, |_| {}));
    together(&harness, Method::POST, 100).await;
    let later = harness.gaps().split_off(100);
    let burst = |start: &u128| later.iter().filter(|at| (*start..*start + 5).contains(at)).count();
    let most = later.iter().map(burst).max();
    assert!(
        most.is_some_and(|most| most <= 13),
        "ten that the budget pays for, and two: {later:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn no_call_fails_if_the_vendor_serves_when_the_hold_ends() {
    for (status, millis) in [(503, 1), (503, 500), (429, 1), (429, 500)] {
        let mut scripts = vec![ExchangeScript::respond(millis, status, SECOND, "{}"); 100];
        scripts.push(ExchangeScript::respond(millis, 200, &[], "ok"));
        let harness = Arc::new(harness("auto", &scripts, |_| {}));
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let harness = Arc::clone(&harness);
            all.spawn(async move { harness.call(Method::POST, &[]).await.status });
        }
        let statuses = all.join_all().await;
        assert!(statuses.iter().all(|status| *status == 200), "{status} after {millis} ms");
        harness.assert_attempts(200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stated_wait_that_keeps_failing_is_believed_three_times() {
    let harness = answers(429, SECOND);
    impatient_calls(&harness, 600, Duration::from_secs(1), Duration::from_secs(600)).await;
    let seconds: Vec<_> = harness.gaps().iter().map(|gap| gap / 1_000).collect();
    assert!(seconds[..3].iter().zip([1, 2, 4]).all(|(found, most)| *found <= most), "{seconds:?}");
    assert!(seconds.len() <= 14, "{seconds:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hold_has_one_probe_however_many_clients_leave() {
    let scripts = [ExchangeScript::respond(1, 429, SECOND, "{}"), ExchangeScript::SILENCE];
    let harness = Arc::new(harness("auto", &scripts, |_| {}));
    impatient_calls(&harness, 400, Duration::from_millis(20), Duration::from_millis(200)).await;
    let attempts = harness.attempts().len();
    assert!((3..=5).contains(&attempts), "{attempts} attempts in eight seconds: 1 s, 2 s, 4 s");
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_throttle_places_a_hold_while_its_body_stalls() {
    for patience in [100, 5_000] {
        let scripts = [ExchangeScript::stalled(429, THIRTY)];
        let harness = Arc::new(harness("auto", &scripts, |_| {}));
        let patience = Duration::from_millis(patience);
        impatient_calls(&harness, 100, Duration::from_millis(20), patience).await;
        assert_eq!(harness.attempts().len(), 1, "clients that wait {patience:?}");
    }
    let late = Arc::new(harness("auto", &[ExchangeScript::stalled(429, &[])], |_| {}));
    impatient_calls(&late, 100, Duration::from_millis(20), Duration::from_secs(5)).await;
    let attempts = late.attempts().len();
    assert!(attempts <= 10, "{attempts}: the head alone places the hold if the body is late");
    let silent = Arc::new(harness("auto", &[ExchangeScript::stalled(429, &[])], |_| {}));
    impatient_calls(&silent, 1, Duration::from_secs(1), Duration::from_millis(100)).await;
    let view = silent.gateway.accounts.view();
    let held = view[0].scopes.iter().any(|scope| scope.hold.is_some());
    assert!(held, "a head without a stated wait places a hold when its client leaves");
}

#[tokio::test(start_paused = true)]
async fn the_body_refines_the_hold_that_the_head_placed() {
    let scripts = [
        ExchangeScript::respond(1, 429, SECOND, r#"{"message":"Maximum allowed 5 per 00:01:00."}"#),
        OK,
    ];
    let minute = |upstream: &mut Upstream| {
        upstream.allowances.push(window("minute", 100, 60, Spread::None));
        upstream.allowances.push(window("hour", 1_000, 3_600, Spread::None));
    };
    let harness = harness("wordbee", &scripts, minute);
    harness.call(Method::GET, &[NO_WAIT]).await;
    let view = harness.gateway.accounts.view();
    let lowered = &view[0].scopes.iter().find(|scope| &*scope.name == "minute").unwrap();
    let hold = lowered.hold.unwrap();
    assert_eq!(hold.failed_probes, 0);
    assert_eq!(hold.remaining.as_secs() / 10, 1, "at least ten seconds");
    assert_eq!(lowered.pace_sixteenths, 8, "slowed once");
}

#[tokio::test(start_paused = true)]
async fn retries_saved_in_good_times_are_not_spent_on_a_dead_vendor() {
    for rest in [0, 11] {
        let mut scripts = vec![OK; 1_500];
        scripts.push(ExchangeScript::respond(1, 500, &[], "{}"));
        let harness = Arc::new(harness("auto", &scripts, |_| {}));
        for _ in 0..15 {
            together(&harness, Method::GET, 100).await;
        }
        harness.clock.sleep_until(harness.clock.now().plus(Duration::from_secs(rest))).await;
        together(&harness, Method::GET, 60).await;
        let attempts = harness.attempts().len() - 1_500;
        assert!((60..=66).contains(&attempts), "{attempts} attempts of 60 calls after {rest} s");
    }
}

#[tokio::test(start_paused = true)]
async fn three_retries_are_free_per_ten_seconds_not_per_call() {
    let harness = answers(500, &[]);
    for _ in 0..5 {
        harness.call(Method::GET, &[]).await;
    }
    harness.assert_attempts(8);
    harness.until(11.0).await;
    harness.call(Method::GET, &[]).await;
    assert_eq!(harness.attempts().len(), 12, "three more");
}

#[tokio::test(start_paused = true)]
async fn a_short_failure_is_retried_although_the_budget_is_small() {
    let mut scripts = vec![OK; 1_000];
    scripts.extend(vec![ExchangeScript::fail(1, FailureKind::Reset); 50]);
    scripts.push(OK);
    let harness = Arc::new(harness("auto", &scripts, |_| {}));
    for _ in 0..10 {
        together(&harness, Method::GET, 100).await;
    }
    together(&harness, Method::GET, 50).await;
    let attempts = harness.attempts().len() - 1_000;
    assert!(95 <= attempts, "{attempts}: once the first retry was answered the others may go");
}

#[tokio::test(start_paused = true)]
async fn an_exempt_call_waits_as_the_vendor_asks_and_is_charged_to_the_budget() {
    let exempt = |upstream: &mut Upstream| {
        let mut limited = window("all", 100, 60, Spread::None);
        let things = Matcher { methods: None, path: Some("/things".parse().unwrap()) };
        limited.exempt.push(things.into());
        upstream.allowances.push(limited);
    };
    let harness =
        Arc::new(harness("auto", &[ExchangeScript::respond(1, 429, SECOND, "{}")], exempt));
    together(&harness, Method::GET, 100).await;
    let attempts = harness.attempts().len();
    assert!(attempts <= 110, "{attempts} attempts of 100 exempt calls");
    assert!(1_000 <= harness.gaps()[100..].iter().copied().min().unwrap_or(1_000));
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_a_successful_response_asks_for_is_kept() {
    let harness = harness("auto", &[ExchangeScript::respond(1, 200, PAUSE, "fine")], |_| {});
    for _ in 0..6 {
        assert_eq!(harness.call(Method::GET, &[]).await.body, "fine");
    }
    let gaps = harness.gaps();
    assert_eq!(gaps.len(), 5);
    for (number, gap) in (1..).zip(gaps) {
        // Three seconds each time and at most a tenth more: a success is not a failed probe.
        assert!((3_000 * number..=3_400 * number).contains(&gap), "{number}: {gap} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn the_retry_after_of_one_operation_holds_no_other_call() {
    const POLL: Headers = &[("retry-after", "3")];
    const ACCEPTED: Headers =
        &[("retry-after", "15"), ("x-ms-ratelimit-remaining-subscription-writes", "1199")];
    const MOVED: Headers = &[("retry-after", "3"), ("x-ratelimit-remaining", "9")];
    for (status, headers) in [(200, POLL), (202, POLL), (202, ACCEPTED), (303, MOVED)] {
        let harness =
            harness("auto", &[ExchangeScript::respond(1, status, headers, "fine")], |_| {});
        harness.call(Method::GET, &[]).await;
        let second = harness.call(Method::GET, &[]).await;
        assert!(second.after < Duration::from_secs(1), "{status} {headers:?}");
    }
}
