//! Log lines of holds and broken bodies.

use std::task::Poll;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::NO_WAIT;
use super::harness::{Harness, harness, window};
use super::upstream::ExchangeScript;
use crate::allowance::Spread;
use crate::telemetry::captured;

/// The lines that are logged while `act` runs under a paused clock.
fn logged<F: Future<Output = ()>>(act: impl FnOnce() -> F) -> Vec<Value> {
    let text = captured(|| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("the system gives a runtime").block_on(act());
    });
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn hold_lines(lines: &[Value]) -> Vec<&Value> {
    let about_hold =
        |line: &&Value| line["message"].as_str().is_some_and(|it| it.starts_with("hold "));
    lines.iter().filter(about_hold).collect()
}

/// Asserts these fields of a log line.
#[track_caller]
fn assert_fields(line: &Value, fields: Value) {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    for (field, expected) in fields {
        assert_eq!(line[&field], expected, "field `{field}` of {line:#}");
    }
}

/// Makes a call whose client leaves after so many milliseconds.
async fn call_and_leave(harness: &Harness, millis: u64) {
    let patience = Duration::from_millis(millis);
    let left = tokio::time::timeout(patience, harness.call(Method::GET, &[])).await;
    assert!(left.is_err(), "its client leaves before it is answered");
}

#[test]
fn a_hold_that_a_response_head_places_is_logged_with_its_rule() {
    const LATER: &[(&str, &str)] = &[("retry-after", "30")];
    let lines = logged(|| async {
        let harness =
            harness("wordbee", &[ExchangeScript::respond(10, 429, LATER, "{}")], |upstream| {
                upstream.allowances.push(window("hour", 100, 3_600, Spread::None));
            });
        harness.call(Method::GET, &[NO_WAIT]).await;
    });
    let [line] = hold_lines(&lines)[..] else { panic!("{lines:#?}") };
    assert_fields(line, json!({"scope": "hour", "cause": "throttle", "rule": "throttled"}));
}

#[test]
fn a_hold_for_a_used_up_allowance_is_logged_with_the_rate_headers_as_rule() {
    const NOTHING: &[(&str, &str)] = &[
        ("x-ratelimit-limit", "100"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "600"),
    ];
    let lines = logged(|| async {
        let harness =
            harness("auto", &[ExchangeScript::respond(10, 200, NOTHING, "{}")], |upstream| {
                upstream.allowances.push(window("hour", 100, 3_600, Spread::None));
            });
        harness.call(Method::GET, &[]).await;
    });
    let [line] = hold_lines(&lines)[..] else { panic!("{lines:#?}") };
    assert_fields(line, json!({"rule": "rate headers", "seconds": 600.0}));
}

#[test]
fn a_hold_that_continues_because_its_probes_client_left_is_logged() {
    const SECOND: &[(&str, &str)] = &[("retry-after", "1")];
    let lines = logged(|| async {
        let scripts = [ExchangeScript::respond(1, 429, SECOND, "{}"), ExchangeScript::SILENCE];
        let harness = harness("auto", &scripts, |_| {});
        harness.call(Method::GET, &[NO_WAIT]).await;
        harness.until(3.0).await;
        call_and_leave(&harness, 500).await;
    });
    let events: Vec<_> = hold_lines(&lines).iter().map(|line| line["message"].clone()).collect();
    assert_eq!(events, ["hold begins", "hold continues: its probe failed"], "{lines:#?}");
    assert_eq!(hold_lines(&lines)[1]["failures"], 1);
}

#[test]
fn an_outage_because_of_broken_bodies_is_logged() {
    let lines = logged(|| async {
        let harness = harness("auto", &[ExchangeScript::stalled(200, &[])], |upstream| {
            upstream.policy.idle_timeout = Duration::from_secs(1);
        });
        let calls = (0..24).map(|n| {
            let target = if n % 2 == 0 { "/vendor/a" } else { "/vendor/b" };
            harness.stream_to(Method::GET, target, &[])
        });
        for (_, body, _) in join_all(calls).await {
            assert!(body.is_err(), "the body is cut");
        }
    });
    let [line] = hold_lines(&lines)[..] else { panic!("{lines:#?}") };
    let expected = json!({
        "scope": "upstream",
        "cause": "outage",
        "upstream": "vendor",
        "seconds": 5.0,
    });
    assert_fields(line, expected);
    assert!(line["id"].is_u64(), "{line}");
}

#[test]
fn the_head_of_an_error_counts_if_the_client_leaves_during_its_body() {
    const NOTHING: &[(&str, &str)] = &[
        ("x-ratelimit-limit", "100"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "600"),
    ];
    for status in [400, 404, 500] {
        let script = ExchangeScript::stalled(status, NOTHING);
        let lines = logged(|| async {
            let harness = harness("auto", &[script], |upstream| {
                upstream.allowances.push(window("hour", 100, 3_600, Spread::None));
            });
            call_and_leave(&harness, 500).await;
            let view = harness.gateway.accounts.view();
            let held = view[0].scopes.iter().find(|scope| &*scope.name == "hour").unwrap().hold;
            assert_eq!(held.map(|hold| hold.remaining.as_secs()), Some(599), "{status}");
        });
        assert_eq!(hold_lines(&lines).len(), 1, "{status}: {lines:#?}");
    }
}

/// Runs all of them at once.
async fn join_all<F: Future>(calls: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = calls.map(|call| (Box::pin(call), None)).collect();
    std::future::poll_fn(|context| {
        for (call, output) in all.iter_mut().filter(|(_, output)| output.is_none()) {
            if let Poll::Ready(done) = call.as_mut().poll(context) {
                *output = Some(done);
            }
        }
        if all.iter().all(|(_, output)| output.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    all.into_iter().filter_map(|(_, output)| output).collect()
}
