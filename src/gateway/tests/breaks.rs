//! Exchanges that end at any byte of the request or the response.

use std::time::Duration;

use http::Method;
use serde_json::json;

use super::harness::{REQUEST_BODY, harness, one_at_a_time};
use super::upstream::ExchangeScript;
use super::{NO_WAIT, OK, PATIENT};
use crate::gateway::Upstream;
use crate::outcome::FailureKind;

#[tokio::test(start_paused = true)]
async fn a_request_that_breaks_before_its_first_byte_is_sent_again() {
    let broken = ExchangeScript::fail_to_connect(1, FailureKind::Reset);
    let harness = harness("auto", &[broken, OK], |_| {});
    harness.call(Method::POST, &[]).await.assert_status(200);
    harness.assert_attempts(2);
    assert_eq!(harness.attempts()[0].body, "");
    assert_eq!(harness.attempts()[1].body, REQUEST_BODY);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_breaks_at_any_byte_is_sent_again_only_if_that_is_safe() {
    for bytes in 0..=REQUEST_BODY.len() {
        let broken = ExchangeScript::fail(1, FailureKind::Reset).taking(bytes);
        let unsafe_method = harness("auto", &[broken, OK], |_| {});
        let response = unsafe_method.call(Method::POST, &[]).await;
        response.assert_problem(
            502,
            json!({"stopped_by": "method", "outcome_unknown": true, "attempts": 1}),
        );
        unsafe_method.assert_attempts(1);
        assert_eq!(unsafe_method.attempts()[0].body, REQUEST_BODY[..bytes]);

        let safe_method = harness("auto", &[broken, OK], |_| {});
        safe_method.call(Method::GET, &[]).await.assert_status(200);
        safe_method.assert_attempts(2);
        assert_eq!(safe_method.attempts()[1].body, REQUEST_BODY, "after {bytes} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_body_that_breaks_at_any_byte_breaks_there_for_the_client() {
    const TEXT: &str = "a response";
    for bytes in 0..=TEXT.len() {
        let broken = ExchangeScript::respond(1, 200, &[], TEXT).breaking_after(bytes);
        let harness = harness("auto", &[broken, OK], one_at_a_time);
        let (head, body, _) = harness.stream_to(Method::GET, "/vendor/things", &[]).await;
        assert_eq!(head.status.as_u16(), 200);
        assert_eq!(body.map_err(|failure| failure.kind), Err(FailureKind::Truncated));
        harness.assert_attempts(1);
        let text = harness.metrics.render(&[]);
        let broken = "bodies_broken_total{upstream=\"vendor\",by=\"upstream\"} 1";
        assert!(text.lines().any(|line| line.ends_with(broken)), "after {bytes} bytes: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_body_that_breaks_at_any_byte_leaves_what_the_status_says() {
    const TEXT: &str = r#"{"message":"Something broke."}"#;
    for bytes in 0..=TEXT.len() {
        let broken = ExchangeScript::respond(1, 500, &[], TEXT).breaking_after(bytes);
        let harness = harness("auto", &[broken], |_| {});
        let response = harness.call(Method::POST, &[]).await;
        response.assert_problem(502, json!({"code": "upstream_error", "attempts": 1}));
        assert_eq!(response.problem()["upstream"]["status"], 500, "after {bytes} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_comes_before_the_upload_ends_passes_at_once() {
    for bytes in 0..REQUEST_BODY.len() {
        let early = ExchangeScript::respond(5, 200, &[], "early").taking(bytes);
        let harness = harness("auto", &[early], |_| {});
        let response = harness.call(Method::POST, &[]).await;
        response.assert_status(200);
        assert_eq!(response.body, "early");
        assert_eq!(response.after, Duration::from_millis(5));
        assert_eq!(harness.attempts()[0].body, REQUEST_BODY[..bytes]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_early_error_response_is_classified_like_any_other() {
    let early = ExchangeScript::respond(5, 429, &[("retry-after", "2")], "{}").taking(3);
    let harness = harness("auto", &[early, OK], |_| {});
    harness.call(Method::POST, &[]).await.assert_status(200);
    harness.assert_attempts(2);
    assert_eq!(harness.attempts()[1].body, REQUEST_BODY, "the whole body is sent again");
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_the_vendor_stops_reading_times_out() {
    for bytes in 0..REQUEST_BODY.len() {
        let stalled = ExchangeScript::SILENCE.taking(bytes);
        let once = |upstream: &mut Upstream| {
            one_at_a_time(upstream);
            upstream.policy.attempts = 1;
        };
        let harness = harness("auto", &[stalled, OK], once);
        let response = harness.call(Method::POST, &[]).await;
        response.assert_problem(
            504,
            json!({"code": "upstream_timeout", "source": "gateway", "outcome_unknown": true}),
        );
        assert_eq!(response.after.as_secs(), 90, "the idle timeout");
        harness.call(Method::GET, &[PATIENT]).await.assert_status(200);
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_connection_is_not_a_timeout_of_the_attempt() {
    let slow = ExchangeScript::respond(0, 200, &[], "ok").connecting(20_000);
    let harness = harness("auto", &[slow, ExchangeScript::SILENCE], |upstream| {
        upstream.policy.attempt_timeout = Duration::from_secs(5);
        upstream.policy.idle_timeout = Duration::from_secs(3);
        upstream.policy.attempts = 1;
    });
    let response = harness.call(Method::POST, &[NO_WAIT]).await;
    response.assert_status(200);
    assert_eq!(response.after.as_secs(), 20);
    let response = harness.call(Method::POST, &[NO_WAIT]).await;
    response.assert_status(504);
    assert_eq!(response.after.as_secs(), 5);
}
