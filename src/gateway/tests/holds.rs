//! Holds against vendors whose words are short, wrong or broken off, and clients that leave.

use super::*;

type Headers = &'static [(&'static str, &'static str)];

const ZERO: Headers = &[("retry-after", "0")];
const FIFTH: Headers = &[("retry-after", "0.2")];
const SECOND: Headers = &[("retry-after", "1")];
const THIRTY: Headers = &[("retry-after", "30")];
const PAUSE: Headers =
    &[("retry-after", "3"), ("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "40")];

/// So many calls at the same time.
async fn together(bench: &Arc<Bench>, method: Method, calls: usize) {
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..calls {
        let (bench, method) = (Arc::clone(bench), method.clone());
        all.spawn(async move { bench.call(method, &[]).await.status });
    }
    all.join_all().await;
}

/// Calls every so often, whose clients leave after so long.
async fn leaving(bench: &Arc<Bench>, calls: u32, pause: Duration, patience: Duration) {
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..calls {
        let caller = Arc::clone(bench);
        all.spawn(async move {
            let _ = tokio::time::timeout(patience, caller.call(Method::GET, &[])).await;
        });
        bench.clock.sleep_until(bench.clock.now().plus(pause)).await;
    }
    all.join_all().await;
}

fn answers(status: u16, headers: Headers) -> Arc<Bench> {
    Arc::new(bench("auto", &[Step::Answer(1, status, headers, "{}")], |_| {}))
}

#[tokio::test(start_paused = true)]
async fn a_hundred_posts_to_a_vendor_that_says_zero_stay_a_hundred() {
    for (status, headers, most) in [
        (503, ZERO, 100),
        (503, FIFTH, 100),
        (429, ZERO, 106),
        (429, FIFTH, 106),
        (503, SECOND, 106),
    ] {
        let bench = answers(status, headers);
        together(&bench, Method::POST, 100).await;
        let sends = bench.sent().len();
        assert!((100..=most).contains(&sends), "{status} {headers:?}: {sends}");
    }
}

#[tokio::test(start_paused = true)]
async fn sustained_calls_to_a_vendor_that_says_zero_cost_a_tenth_more_at_most() {
    for (status, headers) in [(503, ZERO), (503, FIFTH), (429, ZERO), (429, SECOND)] {
        let bench = answers(status, headers);
        let pause = Duration::from_millis(50);
        leaving(&bench, 600, pause, Duration::from_secs(60)).await;
        let sends = bench.sent().len();
        assert!(sends <= 660, "{status} {headers:?}: {sends} for 600 calls");
    }
}

/// Answers in turn: this one, then an OK, and so on.
fn flapping(status: u16, headers: Headers, millis: u64) -> Arc<Bench> {
    let pair = [Step::Answer(millis, status, headers, "{}"), Step::Answer(millis, 200, &[], "ok")];
    let steps: Vec<_> = pair.iter().cycle().take(2_000).cloned().collect();
    Arc::new(bench("auto", &steps, |_| {}))
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_refuses_every_other_call_sees_few_of_them_again() {
    for (status, millis) in [(503, 1), (503, 500), (503, 3_000), (429, 1), (429, 500)] {
        let bench = flapping(status, SECOND, millis);
        together(&bench, Method::POST, 100).await;
        let sends = bench.sent().len();
        assert!(sends <= 135, "{status} after {millis} ms: {sends} sends of 100 calls");
        let bench = flapping(status, SECOND, millis);
        leaving(&bench, 600, Duration::from_millis(20), Duration::from_secs(60)).await;
        let sends = bench.sent().len();
        assert!(sends <= 720, "{status} after {millis} ms, sustained: {sends} sends of 600 calls");
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_fails_after_the_hold_it_asked_for_gets_the_calls_one_by_one() {
    let mut steps = vec![Step::Answer(10, 503, SECOND, "{}"); 100];
    steps.extend([Step::Answer(10, 200, &[], "ok"), Step::Answer(10, 503, ZERO, "{}")]);
    let bench = Arc::new(bench("auto", &steps, |_| {}));
    together(&bench, Method::POST, 100).await;
    let later = bench.gaps().split_off(100);
    let burst = |start: &u128| later.iter().filter(|at| (*start..*start + 5).contains(at)).count();
    let most = later.iter().map(burst).max();
    assert!(most.is_some_and(|most| most <= 13), "the budget's ten, and two: {later:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_is_over_when_it_ends_costs_no_call() {
    for (status, millis) in [(503, 1), (503, 500), (429, 1), (429, 500)] {
        let mut steps = vec![Step::Answer(millis, status, SECOND, "{}"); 100];
        steps.push(Step::Answer(millis, 200, &[], "ok"));
        let bench = Arc::new(bench("auto", &steps, |_| {}));
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let bench = Arc::clone(&bench);
            all.spawn(async move { bench.call(Method::POST, &[]).await.status });
        }
        let statuses = all.join_all().await;
        assert!(statuses.iter().all(|status| *status == 200), "{status} after {millis} ms");
        assert_eq!(bench.sent().len(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_word_that_keeps_failing_is_believed_three_times() {
    let bench = answers(429, SECOND);
    leaving(&bench, 600, Duration::from_secs(1), Duration::from_secs(600)).await;
    let seconds: Vec<_> = bench.gaps().iter().map(|gap| gap / 1_000).collect();
    assert!(seconds[..3].iter().zip([1, 2, 4]).all(|(found, most)| *found <= most), "{seconds:?}");
    assert!(seconds.len() <= 14, "{seconds:?}");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_left_alone_is_the_only_one() {
    let steps = [Step::Answer(1, 429, SECOND, "{}"), Step::Silence];
    let bench = Arc::new(bench("auto", &steps, |_| {}));
    leaving(&bench, 400, Duration::from_millis(20), Duration::from_millis(200)).await;
    let sends = bench.sent().len();
    assert!((3..=5).contains(&sends), "{sends} sends in eight seconds: 1 s, 2 s, 4 s");
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_throttle_decides_while_its_body_stalls() {
    for patience in [100, 5_000] {
        let steps = [Step::Stall(429, THIRTY)];
        let bench = Arc::new(bench("auto", &steps, |_| {}));
        let patience = Duration::from_millis(patience);
        leaving(&bench, 100, Duration::from_millis(20), patience).await;
        assert_eq!(bench.sent().len(), 1, "clients that wait {patience:?}");
    }
    let late = Arc::new(bench("auto", &[Step::Stall(429, &[])], |_| {}));
    leaving(&late, 100, Duration::from_millis(20), Duration::from_secs(5)).await;
    let sends = late.sent().len();
    assert!(sends <= 10, "{sends}: a body that is late does not keep the head from deciding");
    let silent = Arc::new(bench("auto", &[Step::Stall(429, &[])], |_| {}));
    leaving(&silent, 1, Duration::from_secs(1), Duration::from_millis(100)).await;
    let view = silent.gateway.accounts.view();
    let held = view[0].scopes.iter().any(|scope| scope.hold.is_some());
    assert!(held, "a head without a word decides when its client leaves");
}

#[tokio::test(start_paused = true)]
async fn the_body_refines_what_the_head_closed() {
    let steps =
        [Step::Answer(1, 429, SECOND, r#"{"message":"Maximum allowed 5 per 00:01:00."}"#), OK];
    let minute = |upstream: &mut Upstream| {
        upstream.allowances.push(window("minute", 100, 60, Spread::None));
        upstream.allowances.push(window("hour", 1_000, 3_600, Spread::None));
    };
    let bench = bench("wordbee", &steps, minute);
    bench.call(Method::GET, &[("prefer", "wait=0")]).await;
    let view = bench.gateway.accounts.view();
    let lowered = &view[0].scopes.iter().find(|scope| &*scope.name == "minute").unwrap();
    let hold = lowered.hold.unwrap();
    assert_eq!((hold.failed_probes, hold.remaining.as_secs() / 10), (0, 1), "at least ten seconds");
    assert_eq!(lowered.pace_sixteenths, 8, "slowed once");
}

#[tokio::test(start_paused = true)]
async fn savings_from_good_times_are_not_spent_on_a_dead_vendor() {
    for rest in [0, 11] {
        let mut steps = vec![OK; 1_500];
        steps.push(Step::Answer(1, 500, &[], "{}"));
        let bench = Arc::new(bench("auto", &steps, |_| {}));
        for _ in 0..15 {
            together(&bench, Method::GET, 100).await;
        }
        bench.clock.sleep_until(bench.clock.now().plus(Duration::from_secs(rest))).await;
        together(&bench, Method::GET, 60).await;
        let sends = bench.sent().len() - 1_500;
        assert!((60..=66).contains(&sends), "{sends} sends for 60 calls after {rest} s");
    }
}

#[tokio::test(start_paused = true)]
async fn three_retries_are_free_in_ten_seconds_not_in_each_call() {
    let bench = answers(500, &[]);
    for _ in 0..5 {
        bench.call(Method::GET, &[]).await;
    }
    assert_eq!(bench.sent().len(), 8);
    bench.until(11.0).await;
    bench.call(Method::GET, &[]).await;
    assert_eq!(bench.sent().len(), 12, "three more");
}

#[tokio::test(start_paused = true)]
async fn a_blip_is_mended_though_the_budget_is_small() {
    let mut steps = vec![OK; 1_000];
    steps.extend(vec![Step::Break(1, FailureKind::Reset, Delivery::Uncertain); 50]);
    steps.push(OK);
    let bench = Arc::new(bench("auto", &steps, |_| {}));
    for _ in 0..10 {
        together(&bench, Method::GET, 100).await;
    }
    together(&bench, Method::GET, 50).await;
    let sends = bench.sent().len() - 1_000;
    assert!(95 <= sends, "{sends}: once the first retry was answered the others may go");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_hold_does_not_cover_waits_as_told_and_pays() {
    let exempt = |upstream: &mut Upstream| {
        let mut limited = window("all", 100, 60, Spread::None);
        limited.exempt.push(Matcher { methods: None, path: Some("/things".parse().unwrap()) });
        upstream.allowances.push(limited);
    };
    let bench = Arc::new(bench("auto", &[Step::Answer(1, 429, SECOND, "{}")], exempt));
    together(&bench, Method::GET, 100).await;
    let sends = bench.sent().len();
    assert!(sends <= 110, "{sends} sends for 100 exempt calls");
    assert!(1_000 <= bench.gaps()[100..].iter().copied().min().unwrap_or(1_000));
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_a_serving_vendor_asks_for_is_kept() {
    let bench = bench("auto", &[Step::Answer(1, 200, PAUSE, "fine")], |_| {});
    for _ in 0..6 {
        assert_eq!(bench.call(Method::GET, &[]).await.body, "fine");
    }
    let gaps = bench.gaps();
    assert_eq!(gaps.len(), 5);
    for (number, gap) in (1..).zip(gaps) {
        // Each time three seconds and at most a tenth more: what was served is no failed probe.
        assert!((3_000 * number..=3_400 * number).contains(&gap), "{number}: {gap} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_of_one_operation_holds_nobody() {
    const POLL: Headers = &[("retry-after", "3")];
    const ACCEPTED: Headers =
        &[("retry-after", "15"), ("x-ms-ratelimit-remaining-subscription-writes", "1199")];
    const MOVED: Headers = &[("retry-after", "3"), ("x-ratelimit-remaining", "9")];
    for (status, headers) in [(200, POLL), (202, POLL), (202, ACCEPTED), (303, MOVED)] {
        let bench = bench("auto", &[Step::Answer(1, status, headers, "fine")], |_| {});
        bench.call(Method::GET, &[]).await;
        let second = bench.call(Method::GET, &[]).await;
        assert!(second.after < Duration::from_secs(1), "{status} {headers:?}");
    }
}
