//! Calls that succeed, are retried, or fail.

use std::collections::HashSet;
use std::sync::Arc;

use http::Method;
use serde_json::json;

use super::harness::{REQUEST_BODY, harness, window};
use super::upstream::ExchangeScript;
use super::{DEADLOCK, MAINTENANCE, OK, PATIENT, wordbee};
use crate::allowance::Spread;
use crate::gateway::Upstream;
use crate::outcome::FailureKind;

#[tokio::test(start_paused = true)]
async fn a_success_passes_byte_for_byte() {
    let harness = harness("droplink", &[OK], |_| {});
    let response = harness.call(Method::POST, &[("connection", "x-mine"), ("x-mine", "1")]).await;
    response.assert_status(200);
    assert_eq!(response.body, "fine");
    assert!(response.headers.contains_key("evenkeel-request-id"), "{:?}", response.headers);
    let attempt = &harness.attempts()[0];
    assert_eq!(attempt.target, "/v1/things?q=1");
    assert_eq!(attempt.method, Method::POST);
    assert_eq!(attempt.body, REQUEST_BODY);
    assert!(!attempt.headers.contains_key("x-mine"), "it belongs to the client's connection");
    assert!(attempt.headers.contains_key("via"), "{:?}", attempt.headers);
}

#[tokio::test(start_paused = true)]
async fn a_deadlock_is_retried_whatever_the_method() {
    let harness = harness("droplink", &[DEADLOCK, OK], |_| {});
    let response = harness.call(Method::POST, &[]).await;
    response.assert_status(200);
    assert_eq!(response.headers["evenkeel-attempts"], "2");
    let [gap] = harness.gaps()[..] else { panic!("two attempts") };
    assert!((1_000..1_200).contains(&gap), "after {gap} ms");
    assert_eq!(harness.attempts()[0].body, harness.attempts()[1].body);
}

#[tokio::test(start_paused = true)]
async fn all_attempts_of_a_call_are_equal_except_for_their_span() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-";
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let harness = harness("droplink", &[DEADLOCK, DEADLOCK, OK], |_| {});
    let headers = [("traceparent", PARENT), ("x-empty", ""), ("x-many", "1"), ("x-many", "\t2, 3")];
    let response = harness.call(Method::GET, &headers).await;
    assert_eq!(response.headers["evenkeel-attempts"], "3");
    let attempts = harness.attempts();
    let mut spans = HashSet::new();
    for attempt in &attempts {
        let mut headers = attempt.headers.clone();
        let first = attempts[0].headers["traceparent"].clone();
        let span = headers.insert("traceparent", first).unwrap();
        assert!(span.to_str().unwrap().starts_with(TRACE), "{span:?}");
        spans.insert(span);
        assert_eq!(headers, attempts[0].headers);
        assert_eq!(attempt.target, attempts[0].target);
        assert_eq!(headers.get_all("x-many").iter().collect::<Vec<_>>(), ["1", "\t2, 3"]);
    }
    assert_eq!(spans.len(), 3, "{spans:?}");
    assert!(spans.iter().all(|span| span != PARENT), "{spans:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deadlock_that_persists_is_not_reported_as_the_clients_mistake() {
    let harness = harness("droplink", &[DEADLOCK], |_| {});
    let response = harness.call(Method::POST, &[]).await;
    response.assert_problem(
        503,
        json!({
            "code": "transient_conflict",
            "attempts": 4,
            "retryable": true,
            "stopped_by": "attempts",
        }),
    );
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_retried_only_if_that_is_safe_and_within_patience() {
    let harness = harness("droplink", &[ExchangeScript::SILENCE], |_| {});
    let response = harness.call(Method::POST, &[PATIENT]).await;
    response.assert_problem(504, json!({"outcome_unknown": true}));
    assert_eq!(response.after.as_secs(), 60);
    harness.assert_attempts(1);
    let response = harness.call(Method::GET, &[]).await;
    response.assert_problem(504, json!({"stopped_by": "patience"}));
    assert_eq!(response.retry_after(), 300);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_a_call_with_an_idempotency_key_is_retried_after_five_minutes() {
    let harness = harness("droplink", &[ExchangeScript::SILENCE, OK], |_| {});
    let response = harness.call(Method::POST, &[PATIENT, ("idempotency-key", "k")]).await;
    response.assert_status(200);
    assert_eq!(response.headers["preference-applied"], "wait=3600");
    let [gap] = harness.gaps()[..] else { panic!("two attempts") };
    assert!((360_000..391_000).contains(&gap), "after {gap} ms");
    assert!(!harness.attempts()[0].headers.contains_key("prefer"), "it is meant for the gateway");
}

#[tokio::test(start_paused = true)]
async fn maintenance_holds_the_whole_upstream() {
    let harness = harness("droplink", &[MAINTENANCE, OK], |_| {});
    let first = harness.call(Method::GET, &[]).await;
    first.assert_problem(503, json!({"code": "upstream_maintenance", "support": null}));
    let second = harness.call(Method::GET, &[]).await;
    second.assert_problem(503, json!({"code": "upstream_held"}));
    assert!((300..=330).contains(&second.retry_after()), "{}", second.retry_after());
    harness.assert_attempts(1);
    let third = harness.call(Method::GET, &[("prefer", "wait=600")]).await;
    third.assert_status(200);
    harness.assert_attempts(2);
}

#[tokio::test(start_paused = true)]
async fn after_a_few_retries_the_problem_names_the_support_contact() {
    let harness = harness("droplink", &[MAINTENANCE], |_| {});
    let response = harness.call(Method::GET, &[PATIENT]).await;
    response.assert_problem(503, json!({"support": "admin@droplink.cc", "stopped_by": "attempts"}));
    harness.assert_attempts(4);
}

#[tokio::test(start_paused = true)]
async fn four_kinds_of_failure_have_four_codes() {
    let rows = [
        (
            ExchangeScript::fail_to_connect(1, FailureKind::Refused),
            "upstream_unreachable",
            "scripted",
        ),
        (
            ExchangeScript::fail_to_connect(1, FailureKind::TlsCertificate),
            "upstream_tls",
            "scripted",
        ),
        (ExchangeScript::fail(1, FailureKind::Protocol), "upstream_protocol", "scripted"),
        (ExchangeScript::SILENCE, "upstream_timeout", "no answer in time"),
    ];
    for (script, code, details) in rows {
        let harness = harness("droplink", &[script], |_| {});
        let response = harness.call(Method::POST, &[]).await;
        assert_eq!(response.problem()["code"], code);
        let proxy_status = response.headers["proxy-status"].to_str().unwrap();
        assert!(proxy_status.ends_with(&format!("; details=\"{details}\"")), "{proxy_status}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_budget_bounds_blind_retries() {
    let harness = harness("auto", &[ExchangeScript::respond(1, 500, &[], "{}")], |_| {});
    let harness = Arc::new(harness);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let harness = Arc::clone(&harness);
        calls.spawn(async move { harness.call(Method::GET, &[]).await.status });
    }
    calls.join_all().await;
    let attempts = harness.attempts().len();
    assert!(attempts <= 220 + 3, "{attempts} attempts of 200 calls");
}

#[tokio::test(start_paused = true)]
async fn a_throttle_that_states_no_wait_is_retried_after_ten_seconds() {
    let hourly = |upstream: &mut Upstream| {
        upstream.allowances.push(window("account", 1000, 3600, Spread::Even { burst: 20 }));
    };
    let harness = harness("wordbee", &[wordbee::THROTTLED, OK], hourly);
    harness.call(Method::POST, &[]).await.assert_status(200);
    let [gap] = harness.gaps()[..] else { panic!("two attempts") };
    assert!((10_000..12_000).contains(&gap), "after {gap} ms");
}

#[tokio::test(start_paused = true)]
async fn a_shortage_of_our_own_is_reported_as_such_and_holds_nothing() {
    for kind in [FailureKind::LocalResources, FailureKind::ConnectionLimit] {
        let harness = harness("auto", &[ExchangeScript::fail_to_connect(0, kind)], |upstream| {
            upstream.policy.attempts = 1;
            upstream.allowances.push(window("all", 5, 3_600, Spread::None));
        });
        for _ in 0..40 {
            let response = harness.call(Method::POST, &[]).await;
            response.assert_problem(
                503,
                json!({
                    "code": "connections_exhausted",
                    "source": "gateway",
                    "retryable": true,
                    "outcome_unknown": false,
                }),
            );
        }
        // Neither the allowance of five nor an outage refuses a call.
        harness.assert_attempts(40);
    }
}
