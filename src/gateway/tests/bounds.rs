//! Bounds that only time or numbers show: how long a body may be silent, what retries add up to,
//! how often a call is counted.

use super::*;

/// How the body ended that was silent for so long, and how long after the head.
async fn silent_for(seconds: u64, media_type: &'static str) -> (Option<FailureKind>, u64) {
    let bench = bench("auto", &[Step::Slow(media_type, seconds)], |_| {});
    let (head, body, _) = bench.stream(Method::GET, &[]).await;
    assert_eq!(head.status, StatusCode::OK);
    (body.err().map(|failure| failure.kind), bench.clock.now().since(Moment::START).as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_events_may_be_silent_for_five_minutes() {
    const EVENTS: &str = "text/event-stream; charset=utf-8";
    assert_eq!(silent_for(299, EVENTS).await, (None, 299));
    assert_eq!(silent_for(1_000, EVENTS).await, (Some(FailureKind::IdleTimeout), 300));
    assert_eq!(silent_for(89, "application/json").await, (None, 89));
    assert_eq!(silent_for(299, "application/json").await, (Some(FailureKind::IdleTimeout), 90));
}

#[tokio::test(start_paused = true)]
async fn a_longer_idle_timeout_of_ones_own_holds_for_streams_of_events_too() {
    let steps = [Step::Slow("text/event-stream", 599)];
    let patient = |upstream: &mut Upstream| upstream.policy.idle_timeout = Duration::from_secs(600);
    let bench = bench("auto", &steps, patient);
    assert_eq!(bench.call(Method::GET, &[]).await.body, "slow");
}

/// What a second call gets of a vendor that takes one at a time while the first one's answer is
/// unread, and what was sent once that is gone and a third has been answered.
async fn beside_unread(first: Step) -> (StatusCode, usize) {
    let single = |upstream: &mut Upstream| {
        let grant = Grant::Concurrency { limit: 1 };
        let linger = Duration::from_secs(30);
        upstream.allowances.push(Allowance { grant, linger, ..window("all", 1, 1, Spread::None) });
    };
    let bench = bench("auto", &[first, OK], single);
    let mut request = Request::builder().uri("/vendor/things").body(IncomingBody::Empty).unwrap();
    let peer = ClientConnection::detached(([127, 0, 0, 1], 9).into());
    let unread = bench.gateway.handle(&mut request, &mut OriginalHeads::default(), &peer).await;
    let second = bench.call(Method::GET, &[("prefer", "wait=1")]).await.status;
    drop(unread);
    assert_eq!(bench.call(Method::GET, &[PATIENT]).await.status, 200);
    (second, bench.sent().len())
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_of_what_is_here_keeps_nobody_waiting() {
    assert_eq!(beside_unread(OK).await, (StatusCode::OK, 3));
    assert_eq!(
        beside_unread(Step::Slow("text/plain", 5)).await,
        (StatusCode::TOO_MANY_REQUESTS, 2)
    );
}

/// Two calls of a client that may make one a minute.
#[tokio::test(start_paused = true)]
async fn asking_for_a_slot_is_counted_once_for_each_limit() {
    let limit = window("client", 1, 60, Spread::None);
    let bench = limited(7, "auto", (&[OK], Some(limit)), |_| {});
    assert_eq!(bench.call(Method::GET, &[]).await.status, 200);
    assert_eq!(bench.call(Method::GET, &[]).await.problem()["code"], "client_limited");
    let text = bench.metrics.render(&[]);
    let asked = |limit_of: &str, result: &str| {
        let series = "evenkeel_ratelimit_requests_total{upstream=\"vendor\",";
        let series = format!("{series}limit_of=\"{limit_of}\",result=\"{result}\"}} ");
        let count = text.lines().find_map(|line| line.strip_prefix(&*series));
        count.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    assert_eq!((asked("upstream", "acquired"), asked("upstream", "rejected")), (1, 0));
    assert_eq!((asked("client", "acquired"), asked("client", "rejected")), (1, 1));
}

/// Every fifth answer is a 500: too few for the outage hold, so the budget alone stands.
async fn sends_of(calls: u32, pause: Duration) -> usize {
    let failing = Step::Answer(1, 500, &[], "{}");
    let steps: Vec<_> = [OK, OK, OK, OK, failing].into_iter().cycle().take(10_000).collect();
    let bench = Arc::new(bench("auto", &steps, |_| {}));
    let mut all = tokio::task::JoinSet::new();
    for number in 0..calls {
        bench.clock.sleep_until(Moment::START.plus(pause * number)).await;
        let bench = Arc::clone(&bench);
        all.spawn(async move { bench.call(Method::GET, &[]).await.status });
    }
    all.join_all().await;
    bench.sent().len()
}

#[tokio::test(start_paused = true)]
async fn a_busy_vendor_that_fails_in_part_sees_a_tenth_more() {
    let sends = sends_of(4_000, Duration::from_millis(20)).await;
    assert!(sends <= 4_400 + 10, "{sends} sends for 4,000 calls");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_vendor_that_fails_in_part_sees_every_retry() {
    let sends = sends_of(400, Duration::from_secs(1)).await;
    assert_eq!(sends, 499, "a fifth of the sends failed, and the last one did not");
}
