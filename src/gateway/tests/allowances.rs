//! What answers do to allowances, holds and outages, seen through the whole gateway.

use super::*;
use crate::allowance::{HoldView, ScopeKind, ScopeView};
use crate::outcome::HoldCause;

/// The scope of this name, in the first account.
fn scope(bench: &Bench, name: &str) -> ScopeView {
    let scopes = bench.gateway.accounts.view().remove(0).scopes;
    scopes.into_iter().rfind(|scope| &*scope.name == name).expect("the scope exists")
}

fn hold(bench: &Bench, name: &str) -> Option<HoldView> {
    scope(bench, name).hold
}

/// What is believed of the limit of this window.
fn limit(bench: &Bench, name: &str) -> u32 {
    let ScopeKind::Window { limit, .. } = scope(bench, name).kind else { panic!("a window") };
    limit
}

/// The value of a counter of the only upstream.
fn counter(bench: &Bench, name: &str) -> u64 {
    let series = format!("{name}{{upstream=\"vendor\"}} ");
    let text = bench.metrics.render(&[]);
    let value = text.lines().find_map(|line| line.strip_prefix(&*series));
    value.expect("the series exists").parse().unwrap()
}

const USED_UP: Step =
    Step::Answer(10, 200, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1800")], "fine");

#[tokio::test(start_paused = true)]
async fn what_the_vendor_calls_used_up_is_a_hold_like_any_other() {
    let hourly = |upstream: &mut Upstream| {
        upstream.allowances.push(window("hour", 100, 3600, Spread::None));
    };
    let bench = bench("auto", &[USED_UP, OK], hourly);
    assert_eq!(bench.get("/things").await, 200);
    let held = hold(&bench, "hour").expect("a hold stands");
    assert_eq!((held.cause, held.remaining.as_secs()), (HoldCause::Throttle, 1800));
    assert_eq!(bench.get("/things").await, 503);
    assert!(bench.gateway.accounts.release_hold(held.id));
    assert_eq!(bench.get("/things").await, 200);
    assert_eq!((hold(&bench, "hour"), bench.sent().len()), (None, 2));
}

#[tokio::test(start_paused = true)]
async fn a_hold_by_the_vendors_count_ends_with_one_probe_and_outlasts_no_window() {
    let minutely = |upstream: &mut Upstream| {
        upstream.allowances.push(window("minute", 100, 60, Spread::None));
    };
    let bench = Arc::new(bench("auto", &[USED_UP, USED_UP, OK], minutely));
    assert_eq!(bench.get("/things").await, 200);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let bench = Arc::clone(&bench);
        calls.spawn(async move { bench.call(Method::GET, &[PATIENT]).await.status.as_u16() });
    }
    assert!(calls.join_all().await.iter().all(|status| *status == 200));
    let seconds: Vec<_> =
        bench.sent().iter().map(|sent| sent.at.since(Moment::START).as_secs()).collect();
    assert_eq!(seconds[..3], [0, 60, 120], "a probe each time");
    assert_eq!(seconds[3..], [120; 8], "then the others");
}

#[tokio::test(start_paused = true)]
async fn the_guard_counts_from_the_last_byte_however_slow_the_request() {
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
        let steps = [Step::Upload(taken, answered), OK];
        let bench = Arc::new(bench("auto", &steps, guarded));
        let other = Arc::clone(&bench);
        let slow = tokio::spawn(async move { other.get("/slow").await });
        tokio::task::yield_now().await;
        assert_eq!(bench.get("/quick").await, 200);
        assert_eq!(slow.await.unwrap(), 200);
        let [gap] = bench.gaps()[..] else { panic!("two attempts") };
        assert_eq!(gap / 1_000, second, "{taken} ms to send, {answered} ms to answer: {gap} ms");
    }
}

/// What became of so many GETs at once, in seconds and statuses.
async fn crowd(bench: &Arc<Bench>, calls: u32) -> Vec<u16> {
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..calls {
        let bench = Arc::clone(bench);
        all.spawn(async move { bench.get("/things").await });
    }
    all.join_all().await
}

const THROTTLED: Step = Step::Answer(10, 429, &[("retry-after", "1")], "{}");

#[tokio::test(start_paused = true)]
async fn an_idle_history_slows_nobody() {
    let bench = Arc::new(bench("auto", &[THROTTLED, OK], |_| {}));
    assert_eq!(bench.get("/things").await, 200);
    let began = bench.clock.now();
    assert!(crowd(&bench, 60).await.iter().all(|status| *status == 200));
    assert!(bench.clock.now().since(began) < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_was_seen_is_halved_and_doubles_soon() {
    let mut steps = vec![OK; 40];
    steps.push(THROTTLED);
    steps.push(OK);
    let bench = Arc::new(bench("auto", &steps, |upstream| upstream.queue_max = 1_000));
    assert!(crowd(&bench, 40).await.iter().all(|status| *status == 200));
    bench.until(2.0).await;
    assert_eq!(bench.get("/things").await, 200);
    let reopened = bench.clock.now().since(Moment::START).as_secs();
    assert!(crowd(&bench, 300).await.iter().all(|status| *status == 200));
    let in_second = |second: u64| bench.sent_between(second..second + 1);
    assert!(
        (15..=25).contains(&in_second(reopened + 1)),
        "half of 40: {}",
        in_second(reopened + 1)
    );
    assert!((30..=50).contains(&in_second(reopened + 6)), "{}", in_second(reopened + 6));
    assert!(bench.clock.now().since(Moment::START) < Duration::from_secs(20));
}

/// Every call is sent once, so that twenty of them take no time.
const fn once(upstream: &mut Upstream) {
    upstream.policy.attempts = 1;
}

#[tokio::test(start_paused = true)]
async fn one_broken_path_does_not_close_the_others() {
    let bench = Arc::new(bench("auto", &[OK], once));
    *bench.script.0.broken.lock().unwrap() = Some("/v1/broken");
    for number in 0..60 {
        assert_eq!(bench.get(&format!("/broken/{number}?page=2")).await, 502);
        assert_eq!(hold(&bench, "vendor"), None, "after {number}");
    }
    assert_eq!(bench.get("/things").await, 200);
}

#[tokio::test(start_paused = true)]
async fn five_calls_are_no_outage_however_often_they_are_sent() {
    let bench =
        Arc::new(bench("auto", &[Step::Break(5, FailureKind::Refused, Delivery::NotSent)], |_| {}));
    for _ in 0..5 {
        assert_eq!(bench.get("/things").await, 502);
    }
    assert_eq!(hold(&bench, "vendor"), None, "{} attempts", bench.sent().len());
}

#[tokio::test(start_paused = true)]
async fn failures_of_many_paths_or_of_the_connection_are_an_outage() {
    let failing =
        [Step::Answer(1, 500, &[], "{}"), Step::Break(1, FailureKind::Refused, Delivery::NotSent)];
    for step in failing {
        let bench = Arc::new(bench("auto", &[step], once));
        for place in 0..19 {
            let path = ["/orders", "/users", "/files"][place % 3];
            assert_eq!(bench.get(path).await, 502);
            assert_eq!(scope(&bench, "vendor").hold, None);
        }
        assert_eq!(bench.get("/orders").await, 502);
        let scopes = bench.gateway.accounts.view().remove(0).scopes;
        let held = scopes[0].hold.expect("the upstream is held");
        assert_eq!(held.cause, HoldCause::Outage);
    }
}

#[tokio::test(start_paused = true)]
async fn the_probe_of_an_outage_is_a_call_to_another_path_where_there_is_one() {
    let bench = Arc::new(bench("auto", &[OK], once));
    *bench.script.0.broken.lock().unwrap() = Some("/v1");
    for place in 0..20 {
        bench.get(["/broken", "/broken", "/other"][place % 3]).await;
    }
    assert!(bench.gateway.accounts.view()[0].scopes[0].hold.is_some());
    *bench.script.0.broken.lock().unwrap() = Some("/v1/broken");
    let sent = bench.sent().len();
    let mut waiting = tokio::task::JoinSet::new();
    for path in ["/broken", "/broken", "/things"] {
        let bench = Arc::clone(&bench);
        waiting.spawn(async move { bench.get(path).await });
        tokio::task::yield_now().await;
    }
    waiting.join_all().await;
    assert_eq!(bench.sent()[sent].target, "/v1/things");
    assert!(bench.gateway.accounts.view()[0].scopes[0].hold.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_believed_as_long_as_the_vendor_says_so() {
    const LESS: Step = Step::Answer(10, 200, &[("ratelimit-policy", "\"a\";q=10;w=60")], "fine");
    const MORE: Step = Step::Answer(10, 200, &[("ratelimit-policy", "\"a\";q=500;w=60")], "fine");
    let hundred = |upstream: &mut Upstream| {
        upstream.allowances.push(window("minute", 100, 60, Spread::None));
    };
    let bench = bench("auto", &[LESS, OK, MORE, LESS, OK], hundred);
    for believed in [10, 10, 100, 10] {
        assert_eq!(bench.get("/things").await, 200);
        assert_eq!(limit(&bench, "minute"), believed);
    }
    bench.until(86_000.0).await;
    assert_eq!(limit(&bench, "minute"), 10);
    bench.until(86_500.0).await;
    assert_eq!(limit(&bench, "minute"), 100, "not repeated for a day");
}

#[tokio::test(start_paused = true)]
async fn only_the_policy_of_the_same_window_is_about_the_allowance() {
    const TWO: &[(&str, &str)] =
        &[("ratelimit-policy", "\"day\";q=1000;w=86400, \"minute\";q=50;w=60, \"burst\";q=2;w=1")];
    let hundred = |upstream: &mut Upstream| {
        upstream.allowances.push(window("minute", 100, 60, Spread::None));
    };
    let bench = bench("auto", &[Step::Answer(10, 200, TWO, "fine")], hundred);
    assert_eq!(bench.get("/things").await, 200);
    assert_eq!(limit(&bench, "minute"), 50);
}

#[tokio::test(start_paused = true)]
async fn what_others_have_used_is_occupied_until_the_reset() {
    const SOME: Step = Step::Answer(
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
    let bench = Arc::new(bench("auto", &[SOME, OK], hundred));
    assert_eq!(bench.get("/things").await, 200);
    assert_eq!(scope(&bench, "minute").occupied, 97);
    assert!(crowd(&bench, 10).await.iter().all(|status| *status == 200));
    assert_eq!((bench.sent_between(0..20), bench.sent_between(20..22)), (4, 7));
    assert_eq!(scope(&bench, "minute").occupied, 11);
}

#[tokio::test(start_paused = true)]
async fn only_what_an_allowance_should_have_prevented_is_unexpected() {
    const UNEXPECTED: &str = "evenkeel_upstream_throttled_unexpected_total";
    let throttled = Step::Answer(10, 429, &[], "{}");
    let minute = |mode| Allowance { mode, ..window("minute", 100, 60, Spread::None) };
    let exempt = || {
        let things = Matcher { methods: None, path: Some("/**".parse().unwrap()) };
        Allowance { exempt: vec![things], ..minute(Mode::Enforce) }
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
        let steps = [throttled.clone(), OK];
        let bench = Arc::new(bench("auto", &steps, |upstream| upstream.allowances = allowances));
        assert_eq!(crowd(&bench, 1).await, [200]);
        assert_eq!(counter(&bench, UNEXPECTED), expected, "{described}");
    }
}

#[tokio::test(start_paused = true)]
async fn throttles_on_the_way_at_the_same_time_are_unexpected_once() {
    let throttled = Step::Answer(10, 429, &[("retry-after", "1")], "{}");
    let steps: Vec<_> = vec![throttled; 40].into_iter().chain([OK]).collect();
    let bench = Arc::new(bench("auto", &steps, |upstream| {
        upstream.allowances = vec![window("minute", 1_000, 60, Spread::None)];
    }));
    crowd(&bench, 40).await;
    assert_eq!(counter(&bench, "evenkeel_upstream_throttled_total"), 40);
    assert_eq!(counter(&bench, "evenkeel_upstream_throttled_unexpected_total"), 1);
}

/// A vendor that takes so many at a time, and may be at work on a call for 30 s after it was given
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

/// The second at which a call goes that finds the only place taken by this step, whose client
/// leaves after so many seconds.
async fn second_after(step: Step, leaves_after: u64) -> u64 {
    let bench = Arc::new(bench("auto", &[step, OK], at_a_time(1)));
    let first = Arc::clone(&bench);
    let first = tokio::spawn(async move { first.get("/first").await });
    tokio::task::yield_now().await;
    let second = Arc::clone(&bench);
    let second = tokio::spawn(async move { second.call(Method::GET, &[PATIENT]).await.status });
    bench.until(leaves_after as f64).await;
    first.abort();
    assert_eq!(second.await.unwrap(), 200);
    bench.sent()[1].at.since(Moment::START).as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_place_is_taken_for_as_long_as_the_vendor_may_be_at_work() {
    let broken = |delivery| Step::Break(1_000, FailureKind::Reset, delivery);
    let rows = [
        ("answered", Step::Answer(1_000, 200, &[], "fine"), 9, 1),
        ("an error that is whole", Step::Answer(1_000, 500, &[], "{}"), 9, 1),
        ("timed out", Step::Silence, 99, 35),
        ("its client left", Step::Silence, 3, 33),
        ("its client left while it was sent", Step::Upload(4_000, 9_000), 2, 32),
        ("its client left an unfinished body", Step::Slow("text/plain", 20), 4, 34),
        ("broke", broken(Delivery::Uncertain), 9, 31),
        ("was refused", broken(Delivery::Refused), 9, 1),
        ("was never sent", broken(Delivery::NotSent), 9, 1),
        (
            "its client left before it was sent",
            Step::Break(50_000, FailureKind::Refused, Delivery::NotSent),
            2,
            2,
        ),
    ];
    for (what, step, leaves_after, second) in rows {
        assert_eq!(second_after(step, leaves_after).await, second, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn clients_that_leave_never_raise_the_number_at_work() {
    let bench = Arc::new(bench("auto", &[Step::Silence], at_a_time(4)));
    for second in 0..60_u64 {
        let calls: Vec<_> = (0..4)
            .map(|_| {
                let bench = Arc::clone(&bench);
                tokio::spawn(async move { bench.get("/things").await })
            })
            .collect();
        bench.until(second as f64 + 0.5).await;
        calls.iter().for_each(tokio::task::JoinHandle::abort);
        bench.until(second as f64 + 1.0).await;
    }
    let sent = bench.sent();
    for first in &sent {
        let within = first.at..first.at.plus(Duration::from_secs(30));
        assert!(sent.iter().filter(|other| within.contains(&other.at)).count() <= 4);
    }
    assert_eq!(sent.len(), 8);
}
