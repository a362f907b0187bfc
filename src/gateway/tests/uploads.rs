//! Request bodies that arrive slowly, in pieces or not to their end: what they occupy, and for how
//! long.

use http::Method;
use serde_json::json;

use super::OK;
use super::harness::{ClientResponse, DrippingBody, Harness, harness, one_at_a_time, window};
use super::upstream::ExchangeScript;
use crate::allowance::Spread;
use crate::gateway::Upstream;

const PLAIN: (&str, &str) = ("content-type", "text/plain");

/// A declared length of four bytes, one every ten seconds.
fn four_bytes(harness: &Harness) -> DrippingBody {
    DrippingBody::new(harness.clock, b"x", 10_000, 4).declared()
}

/// What a call gets that comes five seconds after such an upload, at an upstream that takes one
/// call at a time, and what the upload gets.
async fn call_beside(
    body: impl FnOnce(&Harness) -> DrippingBody,
    content_type: &'static str,
) -> (ClientResponse, ClientResponse) {
    let harness = harness("auto", &[OK], one_at_a_time);
    let other = async {
        harness.until(5.0).await;
        harness.call(Method::GET, &[("prefer", "wait=1")]).await
    };
    let headers = [("content-type", content_type)];
    tokio::join!(other, harness.upload(&headers, body(&harness)))
}

#[tokio::test(start_paused = true)]
async fn a_small_body_of_declared_length_takes_no_slot_before_it_is_complete() {
    let (other, upload) = call_beside(four_bytes, "text/plain").await;
    other.assert_status(200);
    upload.assert_status(200);
    assert_eq!(upload.after.as_secs(), 40);
}

#[tokio::test(start_paused = true)]
async fn grpc_and_large_and_chunked_bodies_take_a_slot_and_stream() {
    for content_type in ["application/grpc+proto", "Application/gRPC"] {
        let (other, upload) = call_beside(four_bytes, content_type).await;
        other.assert_status(429);
        upload.assert_status(200);
        assert_eq!(upload.after.as_secs(), 40, "{content_type}");
    }
    let chunked = |harness: &Harness| DrippingBody::new(harness.clock, b"x", 10_000, 4);
    let (other, upload) = call_beside(chunked, "text/plain").await;
    other.assert_status(429);
    upload.assert_status(408);
    assert_eq!(upload.after.as_secs(), 30, "it drips while it holds a slot");
    let large = |harness: &Harness| DrippingBody::new(harness.clock, b"x", 1_000, 1025).declared();
    let (other, _) = call_beside(large, "text/plain").await;
    other.assert_status(429);
}

#[tokio::test(start_paused = true)]
async fn a_small_body_that_arrives_too_slowly_is_refused_and_nothing_is_sent() {
    for (interval_ms, pieces) in [(2_000, 1024), (1_000_000, 4)] {
        let harness = harness("auto", &[OK], one_at_a_time);
        let body = DrippingBody::new(harness.clock, b"x", interval_ms, pieces).declared();
        let response = harness.upload(&[PLAIN], body).await;
        response.assert_status(408);
        assert_eq!(response.after.as_secs(), 90, "a byte every {interval_ms} ms");
        harness.assert_attempts(0);
        harness.call(Method::GET, &[]).await.assert_status(200);
    }
}

#[tokio::test(start_paused = true)]
async fn patience_begins_when_the_body_is_complete() {
    let once_a_minute = |upstream: &mut Upstream| {
        upstream.allowances.push(window("all", 1, 60, Spread::None));
    };
    let harness = harness("auto", &[OK], once_a_minute);
    harness.call(Method::GET, &[]).await.assert_status(200);
    let response = harness.upload(&[PLAIN], four_bytes(&harness)).await;
    response.assert_status(200);
    assert_eq!(response.after.as_secs(), 60, "40 s for the body, then 20 s for a slot");
    assert_eq!(harness.attempts_between(0..60), 1);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_call_whose_body_breaks_off_leaves_the_queue_at_once() {
    let slow = ExchangeScript::respond(20_000, 200, &[], "fine");
    let harness = harness("auto", &[slow, OK], one_at_a_time);
    let first = harness.call(Method::GET, &[]);
    let second = async {
        harness.until(1.0).await;
        let body = DrippingBody::new(harness.clock, b"half", 1_000, 2).breaking();
        harness.upload(&[], body).await
    };
    let (first, second) = tokio::join!(first, second);
    first.assert_status(200);
    second.assert_problem(400, json!({"source": "client", "attempts": 0}));
    assert_eq!(second.after.as_secs(), 3, "as soon as it broke off");
    harness.assert_attempts(1);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_drips_loses_its_slot() {
    // A byte every five seconds; 500 bytes a second; a pause of 29 s after every 20 KiB.
    let rows: [(&[u8], u64); 3] = [(b"x", 5_000), (&[b'x'; 50], 100), (&[b'x'; 20_480], 29_000)];
    for (piece, interval_ms) in rows {
        let harness = harness("auto", &[OK], one_at_a_time);
        let body = DrippingBody::new(harness.clock, piece, interval_ms, usize::MAX);
        let response = harness.upload(&[], body).await;
        response.assert_problem(
            408,
            json!({"code": "request_timeout", "source": "client", "outcome_unknown": false}),
        );
        let seconds = response.after.as_secs();
        assert!((30..=60).contains(&seconds), "a piece every {interval_ms} ms: {seconds} s");
        let text = harness.metrics.render(&[]);
        let blamed = "attempts_total{upstream=\"vendor\",outcome=\"idle_timeout\"";
        assert!(!text.contains(blamed), "the vendor is not to blame: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_at_the_minimum_rate_passes() {
    let harness = harness("auto", &[ExchangeScript::respond(0, 200, &[], "taken")], one_at_a_time);
    // 1,100 bytes a second for two minutes.
    let body = DrippingBody::new(harness.clock, &[b'x'; 1_100], 1_000, 120);
    let response = harness.upload(&[], body).await;
    response.assert_status(200);
    assert_eq!(response.after.as_secs(), 121);
}

#[tokio::test(start_paused = true)]
async fn the_client_is_not_blamed_for_a_vendor_that_reads_slowly() {
    let script = ExchangeScript::respond(0, 200, &[], "taken").pacing(20_000);
    let harness = harness("auto", &[script], one_at_a_time);
    let body = DrippingBody::new(harness.clock, &[b'x'; 5_000], 0, 12);
    let response = harness.upload(&[], body).await;
    response.assert_status(200);
    assert_eq!(response.after.as_secs(), 240);
}

#[tokio::test(start_paused = true)]
async fn event_streams_and_grpc_may_drip() {
    let harness = harness("auto", &[ExchangeScript::respond(0, 200, &[], "taken")], one_at_a_time);
    for content_type in ["application/grpc+proto", "Text/Event-Stream; charset=utf-8"] {
        let body = DrippingBody::new(harness.clock, b"event", 5_000, 30);
        harness.upload(&[("content-type", content_type)], body).await.assert_status(200);
    }
}
