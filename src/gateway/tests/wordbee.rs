//! Wordbee's page in its own numbers. Each test is named after the row of the requirements that
//! it shows; tests/data/seeds.md is the index.

use super::*;

/// The 429 of the document: a maximum, and no word on when.
pub(super) const THROTTLED: Step = Step::Answer(
    10,
    429,
    &[],
    r#"{"error":{"type":"Throttling error","message":"Requests throttled. Maximum allowed 1000 per 01:00:00."},"reason":"Requests throttled. Maximum allowed 1000 per 01:00:00."}"#,
);

/// A thousand an hour, which nobody spreads.
fn unspread(upstream: &mut Upstream) {
    upstream.allowances.push(window("account", 1000, 3600, Spread::None));
}

/// A thousand an hour, spread.
fn spread(upstream: &mut Upstream) {
    upstream.allowances.push(window("account", 1000, 3600, Spread::Even { burst: 20 }));
    upstream.queue_max = 1000;
}

#[tokio::test(start_paused = true)]
async fn w19_the_first_retry_comes_after_ten_seconds_and_never_before() {
    const HASTY: Step = Step::Answer(10, 429, &[("retry-after", "2")], "{}");
    let mut gaps = Vec::new();
    for seed in 0..40 {
        let step = if seed % 2 == 0 { THROTTLED } else { HASTY };
        let bench = seeded(seed, "wordbee", &[step, OK], spread);
        assert_eq!(bench.call(Method::POST, &[]).await.status.as_u16(), 200);
        gaps.extend(bench.gaps());
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
    let bench = bench("wordbee", &[THROTTLED], patient);
    bench.call(Method::GET, &[("prefer", "wait=100000")]).await;
    let sent = bench.sent();
    let waits: Vec<u64> = sent.windows(2).map(|two| two[1].at.since(two[0].at).as_secs()).collect();
    assert_eq!(waits.len(), 11);
    for (number, wait) in waits.iter().enumerate() {
        let least = (10 << number).min(3_600);
        assert!((least..=least * 11 / 10 + 1).contains(wait), "retry {number}: {waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn w20_a_spent_hour_is_told_as_an_hour_and_not_as_ten_seconds() {
    const QUICK: Step = Step::Answer(1, 200, &[], "fine");
    let bench = bench("wordbee", &[QUICK], unspread);
    for _ in 0..1000 {
        assert_eq!(bench.call(Method::GET, &[]).await.status.as_u16(), 200);
    }
    let got = bench.call(Method::GET, &[]).await;
    assert_eq!(got.problem()["code"], "allowance_exhausted");
    assert_eq!((got.status.as_u16(), got.after, bench.sent().len()), (429, Duration::ZERO, 1000));
    let detail = got.problem()["detail"].to_string();
    assert!(detail.contains("No slot of the allowance `account` is free"), "{detail}");
    let told = got.headers["proxy-status"].to_str().unwrap();
    assert!(told.contains("details=\"allowance account\""), "{told}");
    assert_eq!(got.retry_after(), 3600, "the oldest call leaves the window, rounded up");
    bench.until(11.0).await;
    let got = bench.call(Method::GET, &[]).await;
    assert_eq!((got.status.as_u16(), got.retry_after()), (429, 3590), "ten seconds are not enough");
    let asked = bench.call(Method::GET, &[PATIENT]).await;
    assert_eq!((asked.status.as_u16(), asked.after.as_secs()), (200, 3589), "held when asked");
}

#[tokio::test(start_paused = true)]
async fn w20_a_throttle_at_a_spent_hour_is_told_as_an_hour_too() {
    let mut steps = vec![Step::Answer(1, 200, &[], "fine"); 999];
    steps.push(THROTTLED);
    let bench = bench("wordbee", &steps, unspread);
    for _ in 0..999 {
        bench.call(Method::GET, &[]).await;
    }
    let got = bench.call(Method::GET, &[]).await;
    assert_eq!((got.status.as_u16(), bench.sent().len()), (429, 1000));
    assert_eq!(got.problem()["retry_after_basis"], "estimate");
    assert!((3_595..=3_600).contains(&got.retry_after()), "{}", got.retry_after());
}

#[tokio::test(start_paused = true)]
async fn w21_calls_are_spread_over_the_hour() {
    let bench = Arc::new(bench("wordbee", &[OK], spread));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let bench = Arc::clone(&bench);
        calls.spawn(async move { bench.call(Method::GET, &[PATIENT]).await.status.as_u16() });
    }
    assert!(calls.join_all().await.iter().all(|status| *status == 200));
    let moments: Vec<u64> = bench.sent().iter().map(|sent| sent.at.as_nanos()).collect();
    let minute = 60_000_000_000;
    let within =
        |start: u64| moments.iter().filter(move |at| (start..start + minute).contains(*at));
    let worst = moments.iter().map(|start| within(*start).count()).max();
    assert!(worst <= Some(17 + 20), "{worst:?} in a minute");
    let later: Vec<usize> = (1..16).map(|number| within(number * minute).count()).collect();
    assert!(later.iter().all(|count| (16..=17).contains(count)), "no silence: {later:?}");
}
