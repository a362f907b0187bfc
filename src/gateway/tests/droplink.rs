//! Droplink's page in its own numbers. Each test is named after the row of the requirements that
//! it shows; tests/data/seeds.md is the index.

use super::*;

/// May be repeated, and waits an hour.
const KEYED: &[(&str, &str)] = &[PATIENT, ("idempotency-key", "k")];

const THROTTLED: Step = Step::Answer(10, 429, &[], r#"{"error":"Too many requests."}"#);
const BROKEN: Step = Step::Answer(10, 500, &[], r#"{"error":"The database malfunctioned."}"#);

#[tokio::test(start_paused = true)]
async fn d3_an_answer_at_59_9_s_passes_and_silence_is_abandoned_at_60_s() {
    let slow = |millis| bench("droplink", &[Step::Answer(millis, 200, &[], "fine")], |_| {});
    let got = slow(59_900).call(Method::POST, &[]).await;
    assert_eq!((got.status.as_u16(), got.after.as_millis()), (200, 59_900));
    let late = slow(60_100);
    let got = late.call(Method::POST, &[]).await;
    assert_eq!(got.status.as_u16(), 504);
    assert!((60_000..=60_001).contains(&got.after.as_millis()), "{:?}", got.after);
    assert_eq!((got.problem()["code"].as_str(), late.sent().len()), (Some("upstream_timeout"), 1));
}

#[tokio::test(start_paused = true)]
async fn d5_silence_is_retried_after_five_minutes_and_jitter_only_adds() {
    let mut waits = Vec::new();
    for seed in 0..40 {
        let bench = seeded(seed, "droplink", &[Step::Silence, OK], |_| {});
        assert_eq!(bench.call(Method::POST, KEYED).await.status.as_u16(), 200);
        let [gap] = bench.gaps()[..] else { panic!("two attempts") };
        waits.push(gap - 60_000);
    }
    waits.sort_unstable();
    let (first, last) = (waits[0], waits[waits.len() - 1]);
    assert!(300_000 <= first, "an attempt {first} ms after the one abandoned");
    assert!(last <= 330_000 && first + 10_000 < last, "jitter from {first} to {last} ms");
}

#[tokio::test(start_paused = true)]
async fn d8_a_wait_beyond_patience_is_told_at_once() {
    let bench = bench("droplink", &[Step::Silence], |_| {});
    let got = bench.call(Method::GET, &[("prefer", "wait=90")]).await;
    assert_eq!((got.status.as_u16(), got.after.as_secs(), got.retry_after()), (504, 60, 300));
    let problem = got.problem();
    assert_eq!((&problem["stopped_by"], &problem["retryable"]), (&"patience".into(), &true.into()));
    assert_eq!(problem["retry_after_basis"], "dialect");
    assert_eq!(bench.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn d18_a_limit_in_disguise_waits_ten_seconds_or_is_told_as_429() {
    const DISGUISED: Step = Step::Answer(
        10,
        400,
        &[],
        r#"{"error":"The number of requests received exceed the request limit."}"#,
    );
    let waits = bench("droplink", &[DISGUISED, OK], |_| {});
    assert_eq!(waits.call(Method::POST, &[]).await.status.as_u16(), 200);
    let [gap] = waits.gaps()[..] else { panic!("two attempts") };
    assert!((10_000..=11_020).contains(&gap), "after {gap} ms");
    let told = bench("droplink", &[DISGUISED], |_| {});
    let got = told.call(Method::POST, &[("prefer", "wait=9")]).await;
    let problem = got.problem();
    assert_eq!((got.status.as_u16(), &problem["code"]), (429, &"rate_limited".into()));
    assert_eq!((&problem["upstream"]["status"], told.sent().len()), (&400.into(), 1));
}

/// Calls one after the other for so long; each waits for its turn as long as it takes.
async fn send_for(bench: &Bench, seconds: u64) {
    while bench.clock.now().since(Moment::START).as_secs() < seconds {
        bench.call(Method::GET, &[PATIENT]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn d29_the_rate_goes_down_and_comes_back() {
    let steps = [vec![OK; 20], vec![THROTTLED], vec![OK]].concat();
    let ten_a_second = |upstream: &mut Upstream| {
        upstream.allowances.push(window("all", 600, 60, Spread::Even { burst: 1 }));
    };
    let bench = bench("droplink", &steps, ten_a_second);
    send_for(&bench, 300).await;
    assert_eq!(bench.sent_between(3..12), 0, "held");
    let slowed = bench.sent_between(14..24);
    assert!((45..=55).contains(&slowed), "{slowed} in ten seconds, once 100");
    let between = bench.sent_between(130..140);
    assert!((65..=85).contains(&between), "{between} half-way");
    let recovered = bench.sent_between(280..290);
    assert!((98..=101).contains(&recovered), "{recovered} after recovery");
}

#[tokio::test(start_paused = true)]
async fn d29_a_rate_that_nobody_configured_goes_down_too() {
    const TENTH: Step = Step::Answer(100, 200, &[], "fine");
    let steps = [vec![TENTH; 100], vec![THROTTLED], vec![TENTH]].concat();
    let bench = bench("droplink", &steps, |_| {});
    send_for(&bench, 300).await;
    let slowed = bench.sent_between(21..25);
    assert!((18..=24).contains(&slowed), "{slowed} in four seconds, once 40");
    let recovered = bench.sent_between(30..40);
    assert!((98..=101).contains(&recovered), "{recovered} after recovery");
}

#[tokio::test(start_paused = true)]
async fn d30_hints_are_honoured_and_their_absence_is_bounded() {
    const HINTED: Step = Step::Answer(10, 429, &[("retry-after", "7")], "{}");
    const LONG: Step = Step::Answer(10, 429, &[("retry-after", "3000")], "{}");
    for (step, least, most) in [(HINTED, 7_000, 7_720), (THROTTLED, 10_000, 11_020)] {
        let bench = bench("droplink", &[step, OK], |_| {});
        assert_eq!(bench.call(Method::POST, &[]).await.status.as_u16(), 200);
        let [gap] = bench.gaps()[..] else { panic!("two attempts") };
        assert!((least..=most).contains(&gap), "after {gap} ms");
    }
    let told = bench("droplink", &[LONG], |_| {});
    let got = told.call(Method::GET, &[]).await;
    assert_eq!((got.status.as_u16(), told.sent().len(), got.after.as_millis()), (429, 1, 10));
    assert!((3_000..=3_300).contains(&got.retry_after()), "{}", got.retry_after());
    let persists = bench("droplink", &[THROTTLED], |_| {});
    let got = persists.call(Method::GET, &[PATIENT]).await;
    assert_eq!((got.status.as_u16(), persists.sent().len()), (429, 4));
}

#[tokio::test(start_paused = true)]
async fn d32_a_malfunction_is_retried_within_seconds() {
    let bench = bench("droplink", &[BROKEN], |_| {});
    let got = bench.call(Method::GET, &[]).await;
    assert_eq!((got.status.as_u16(), bench.sent().len()), (502, 4));
    assert!(got.after <= Duration::from_millis(1_800), "{:?}", got.after);
    let got = bench.call(Method::POST, &[]).await;
    assert_eq!((got.problem()["stopped_by"].as_str(), bench.sent().len()), (Some("method"), 5));
}

#[tokio::test(start_paused = true)]
async fn d34_nothing_is_sent_for_three_hundred_seconds() {
    let bench = bench("droplink", &[MAINTENANCE, OK], |_| {});
    let told = bench.call(Method::GET, &[]).await.retry_after();
    assert!((300..=330).contains(&told), "{told}");
    for second in [100, 200, 299] {
        bench.until(second as f64 + 0.9).await;
        let got = bench.call(Method::POST, &[("prefer", "wait=0")]).await;
        assert_eq!(got.problem()["code"], "upstream_held");
        assert_eq!((got.status.as_u16(), bench.sent().len()), (503, 1), "at {second}.9 s");
        let left = told - second;
        assert!((left - 1..=left).contains(&got.retry_after()), "it counts down");
    }
    let got = bench.call(Method::POST, &[("prefer", "wait=60")]).await;
    assert_eq!(got.status.as_u16(), 200);
    let [gap] = bench.gaps()[..] else { panic!("two attempts") };
    assert!((300_000..=330_010).contains(&gap), "after {gap} ms");
}

#[tokio::test(start_paused = true)]
async fn d34_jitter_only_lengthens_the_five_minutes() {
    let mut gaps = Vec::new();
    for seed in 0..40 {
        let bench = seeded(seed, "droplink", &[MAINTENANCE, OK], |_| {});
        assert_eq!(bench.call(Method::GET, &[PATIENT]).await.status.as_u16(), 200);
        gaps.extend(bench.gaps());
    }
    gaps.sort_unstable();
    assert!(300_010 <= gaps[0], "a probe {} ms after the call", gaps[0]);
    assert!(gaps[39] <= 330_020 && gaps[0] + 10_000 < gaps[39], "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn d34_the_vendors_own_word_replaces_the_five_minutes() {
    const TWO: Step =
        Step::Answer(10, 503, &[("retry-after", "120")], r#"{"error":"Down for maintenance."}"#);
    let bench = bench("droplink", &[TWO, OK], |_| {});
    let got = bench.call(Method::GET, &[]).await;
    assert!((120..=132).contains(&got.retry_after()), "{}", got.retry_after());
    assert_eq!(got.problem()["retry_after_basis"], "upstream");
    assert_eq!(bench.call(Method::GET, &[PATIENT]).await.status.as_u16(), 200);
    let [gap] = bench.gaps()[..] else { panic!("two attempts") };
    assert!((120_000..=132_010).contains(&gap), "after {gap} ms");
}

#[tokio::test(start_paused = true)]
async fn d35_one_probe_goes_and_ten_await_its_verdict() {
    const RECOVERING: Step = Step::Answer(5_000, 200, &[], "fine");
    let bench = bench("droplink", &[MAINTENANCE, MAINTENANCE, RECOVERING, OK], |_| {});
    let bench = Arc::new(bench);
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..11 {
        let bench = Arc::clone(&bench);
        calls.spawn(async move {
            // The first one meets the maintenance, ten others come while it lasts.
            bench.until(f64::from(u8::from(number > 0))).await;
            bench.call(Method::POST, &[PATIENT]).await.status.as_u16()
        });
    }
    assert!(calls.join_all().await.iter().all(|status| *status == 200));
    let gaps = bench.gaps();
    assert_eq!(gaps.len(), 12, "eleven successes and two failures: {gaps:?}");
    assert!((300_000..=330_010).contains(&gaps[0]), "the first probe: {gaps:?}");
    assert!((600_000..=660_020).contains(&gaps[1]), "held again, one more probe: {gaps:?}");
    assert!(gaps[1] + 5_000 <= gaps[2], "the others await the probe's verdict: {gaps:?}");
    assert!(gaps[11] < gaps[1] + 10_000, "then they leave: {gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn d36_a_few_is_a_number_and_ends() {
    for attempts in [1, 2, 4] {
        let bench = bench("droplink", &[MAINTENANCE], |up| up.policy.attempts = attempts);
        let got = bench.call(Method::GET, &[PATIENT]).await;
        assert_eq!(got.problem()["attempts"], attempts);
        assert_eq!(bench.sent().len(), usize::try_from(attempts).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn d37_the_contact_is_told_after_the_third_retry_and_not_before() {
    let bench = bench("droplink", &[MAINTENANCE], |_| {});
    for (probe, support) in [(0, None), (1, None), (2, None), (3, Some("admin@droplink.cc"))] {
        bench.until(f64::from(probe) * 340.0).await;
        let got = bench.call(Method::GET, &[("prefer", "wait=0")]).await;
        assert_eq!(bench.sent().len(), usize::try_from(probe).unwrap() + 1);
        assert_eq!(got.problem()["support"].as_str(), support, "after retry {probe}");
    }
    let held = bench.call(Method::GET, &[("prefer", "wait=0")]).await;
    assert_eq!(held.problem()["support"], "admin@droplink.cc", "the answer without a call too");
}

#[tokio::test(start_paused = true)]
async fn d37_other_classes_have_no_contact() {
    for step in [DEADLOCK, BROKEN, THROTTLED, Step::Silence] {
        let bench = bench("droplink", std::slice::from_ref(&step), |_| {});
        let got = bench.call(Method::GET, &[PATIENT]).await;
        assert_eq!((got.problem()["attempts"].as_u64(), bench.sent().len()), (Some(4), 4));
        assert!(got.problem()["support"].is_null(), "{step:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn d38_the_deadline_bounds_the_whole() {
    for wait in [0, 30, 400, 800, 1_200] {
        let bench = bench("droplink", &[Step::Silence], |_| {});
        let asked: &'static str = Box::leak(format!("wait={wait}").into_boxed_str());
        let got = bench.call(Method::GET, &[("prefer", asked)]).await;
        assert_eq!(got.status.as_u16(), 504);
        let last = bench.gaps().last().copied().unwrap_or(0);
        assert!(last <= wait * 1_000, "an attempt {last} ms after arrival, patience {wait} s");
        let end = last + 60_000;
        assert!((end..=end + 1).contains(&got.after.as_millis()), "nothing is slept after it");
    }
    let worst = bench("droplink", &[Step::Silence], |_| {});
    let got = worst.call(Method::GET, &[PATIENT]).await;
    assert_eq!(worst.sent().len(), 4);
    let seconds = got.after.as_secs();
    assert!((1_140..=1_230).contains(&seconds), "4 × 60 s + 3 × 300 s: {seconds}");
}
