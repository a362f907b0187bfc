//! Idle timeouts of response bodies, the retry budget over many calls, and what is counted once.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use serde_json::json;

use super::harness::{harness, limited, window};
use super::upstream::ExchangeScript;
use super::{OK, PATIENT};
use crate::allowance::{Allowance, Grant, Spread};
use crate::gateway::{ClientConnection, IncomingBody, OriginalHeads, Upstream};
use crate::outcome::FailureKind;
use crate::time::Moment;

/// How a response body fails, if it does, that is silent for so long first, and after how many
/// seconds.
async fn silent_for(seconds: u64, media_type: &'static str) -> (Option<FailureKind>, u64) {
    let harness = harness(
        "auto",
        &[ExchangeScript::respond(0, 200, &[], "slow")
            .media_type(media_type)
            .silent_for(seconds * 1_000)],
        |_| {},
    );
    let (head, body, _) = harness.stream_to(Method::GET, "/vendor/things", &[]).await;
    assert_eq!(head.status, StatusCode::OK);
    (body.err().map(|failure| failure.kind), harness.clock.now().since(Moment::START).as_secs())
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_may_be_silent_for_five_minutes() {
    const EVENTS: &str = "text/event-stream; charset=utf-8";
    assert_eq!(silent_for(299, EVENTS).await, (None, 299));
    assert_eq!(silent_for(1_000, EVENTS).await, (Some(FailureKind::IdleTimeout), 300));
    assert_eq!(silent_for(89, "application/json").await, (None, 89));
    assert_eq!(silent_for(299, "application/json").await, (Some(FailureKind::IdleTimeout), 90));
}

#[tokio::test(start_paused = true)]
async fn a_longer_configured_idle_timeout_applies_to_event_streams_too() {
    let scripts = [ExchangeScript::respond(0, 200, &[], "slow")
        .media_type("text/event-stream")
        .silent_for(599_000)];
    let patient = |upstream: &mut Upstream| upstream.policy.idle_timeout = Duration::from_secs(600);
    let harness = harness("auto", &scripts, patient);
    assert_eq!(harness.call(Method::GET, &[]).await.body, "slow");
}

/// The status of a call to a vendor that takes one at a time, made while the client has not read
/// the response to the first one, and the attempts once that is dropped and a third call has
/// succeeded.
async fn call_beside_unread(first: ExchangeScript) -> (StatusCode, usize) {
    let single = |upstream: &mut Upstream| {
        let grant = Grant::Concurrency { limit: 1 };
        let linger = Duration::from_secs(30);
        upstream.allowances.push(Allowance { grant, linger, ..window("all", 1, 1, Spread::None) });
    };
    let harness = harness("auto", &[first, OK], single);
    let mut request = Request::builder().uri("/vendor/things").body(IncomingBody::Empty).unwrap();
    let client = ClientConnection::detached(([127, 0, 0, 1], 9).into());
    let unread = harness.gateway.handle(&mut request, &mut OriginalHeads::default(), &client).await;
    let second = harness.call(Method::GET, &[("prefer", "wait=1")]).await.status;
    drop(unread);
    harness.call(Method::GET, &[PATIENT]).await.assert_status(200);
    (second, harness.attempts().len())
}

#[tokio::test(start_paused = true)]
async fn an_unread_response_occupies_a_slot_only_while_its_body_streams() {
    assert_eq!(call_beside_unread(OK).await, (StatusCode::OK, 3));
    assert_eq!(
        call_beside_unread(ExchangeScript::respond(0, 200, &[], "slow").silent_for(5_000)).await,
        (StatusCode::TOO_MANY_REQUESTS, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_for_a_slot_is_counted_once_per_limit() {
    let limit = window("client", 1, 60, Spread::None);
    let harness = limited(limit, "auto", &[OK]);
    harness.call(Method::GET, &[]).await.assert_status(200);
    let refused = harness.call(Method::GET, &[]).await;
    refused.assert_problem(429, json!({"code": "client_limited"}));
    let text = harness.metrics.render(&[]);
    let requests = |limit_of: &str, result: &str| {
        let series = "evenkeel_ratelimit_requests_total{upstream=\"vendor\",";
        let series = format!("{series}limit_of=\"{limit_of}\",result=\"{result}\"}} ");
        let count = text.lines().find_map(|line| line.strip_prefix(&*series));
        count.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    let rows = [
        ("upstream", "acquired", 1),
        ("upstream", "rejected", 0),
        ("client", "acquired", 1),
        ("client", "rejected", 1),
    ];
    for (limit_of, result, expected) in rows {
        assert_eq!(requests(limit_of, result), expected, "{limit_of}, {result}");
    }
}

/// The attempts of so many calls. Every fifth response is a 500, which is too few for an outage, so
/// only the retry budget limits them.
async fn attempts_of(calls: u32, pause: Duration) -> usize {
    let failing = ExchangeScript::respond(1, 500, &[], "{}");
    let scripts: Vec<_> = [OK, OK, OK, OK, failing].into_iter().cycle().take(10_000).collect();
    let harness = Arc::new(harness("auto", &scripts, |_| {}));
    let mut all = tokio::task::JoinSet::new();
    for number in 0..calls {
        harness.clock.sleep_until(Moment::START.plus(pause * number)).await;
        let harness = Arc::clone(&harness);
        all.spawn(async move { harness.call(Method::GET, &[]).await.status });
    }
    all.join_all().await;
    harness.attempts().len()
}

#[tokio::test(start_paused = true)]
async fn retries_of_a_busy_vendor_are_limited_to_a_tenth_of_its_calls() {
    let attempts = attempts_of(4_000, Duration::from_millis(20)).await;
    assert!(attempts <= 4_400 + 10, "{attempts} attempts of 4,000 calls");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_vendor_gets_every_retry() {
    let attempts = attempts_of(400, Duration::from_secs(1)).await;
    assert_eq!(attempts, 499, "a fifth of the attempts failed, and the last one did not");
}
