//! What the log tells of holds and broken bodies, whatever they began with.

use super::*;
use crate::telemetry::captured;

/// The lines that are written while `act` runs under a paused clock, without those of libraries.
fn told<F: Future<Output = ()>>(act: impl FnOnce() -> F) -> Vec<Value> {
    let text = captured(|| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("the system gives a runtime").block_on(act());
    });
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn holds(lines: &[Value]) -> Vec<&Value> {
    let about_hold =
        |line: &&Value| line["message"].as_str().is_some_and(|it| it.starts_with("hold "));
    lines.iter().filter(about_hold).collect()
}

/// A call whose client leaves after so many milliseconds.
async fn left_after(bench: &Bench, millis: u64) {
    let patience = Duration::from_millis(millis);
    let left = tokio::time::timeout(patience, bench.call(Method::GET, &[])).await;
    assert!(left.is_err(), "its client leaves before it is answered");
}

#[test]
fn a_hold_that_the_head_begins_names_the_rule() {
    const LATER: &[(&str, &str)] = &[("retry-after", "30")];
    let lines = told(|| async {
        let bench = bench("wordbee", &[Step::Answer(10, 429, LATER, "{}")], |upstream| {
            upstream.allowances.push(window("hour", 100, 3_600, Spread::None));
        });
        bench.call(Method::GET, &[("prefer", "wait=0")]).await;
    });
    let [line] = holds(&lines)[..] else { panic!("{lines:#?}") };
    assert_eq!((&line["scope"], &line["cause"]), (&"hour".into(), &"throttle".into()), "{line}");
    assert_eq!(line["rule"], "throttled", "{line}");
}

#[test]
fn a_hold_that_begins_because_nothing_remains_names_the_headers() {
    const NOTHING: &[(&str, &str)] = &[
        ("x-ratelimit-limit", "100"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "600"),
    ];
    let lines = told(|| async {
        let bench = bench("auto", &[Step::Answer(10, 200, NOTHING, "{}")], |upstream| {
            upstream.allowances.push(window("hour", 100, 3_600, Spread::None));
        });
        bench.call(Method::GET, &[]).await;
    });
    let [line] = holds(&lines)[..] else { panic!("{lines:#?}") };
    assert_eq!((&line["rule"], &line["seconds"]), (&"rate headers".into(), &600.0.into()));
}

#[test]
fn a_probe_whose_client_leaves_is_told() {
    const SECOND: &[(&str, &str)] = &[("retry-after", "1")];
    let lines = told(|| async {
        let steps = [Step::Answer(1, 429, SECOND, "{}"), Step::Silence];
        let bench = bench("auto", &steps, |_| {});
        bench.call(Method::GET, &[("prefer", "wait=0")]).await;
        bench.until(3.0).await;
        left_after(&bench, 500).await;
    });
    let events: Vec<_> = holds(&lines).iter().map(|line| line["message"].clone()).collect();
    assert_eq!(events, ["hold begins", "hold continues: its probe failed"], "{lines:#?}");
    assert_eq!(holds(&lines)[1]["failures"], 1);
}

#[test]
fn an_outage_that_broken_bodies_begin_is_told() {
    let lines = told(|| async {
        let bench = bench("auto", &[Step::Stall(200, &[])], |upstream| {
            upstream.policy.idle_timeout = Duration::from_secs(1);
        });
        let calls = (0..24).map(|n| {
            let target = if n % 2 == 0 { "/vendor/a" } else { "/vendor/b" };
            bench.stream_to(Method::GET, target, &[])
        });
        for (_, body, _) in futures_of(calls).await {
            assert!(body.is_err(), "the body is cut");
        }
    });
    let [line] = holds(&lines)[..] else { panic!("{lines:#?}") };
    let found = (&line["scope"], &line["cause"], &line["upstream"]);
    assert_eq!(found, (&"upstream".into(), &"outage".into(), &"vendor".into()));
    assert_eq!((&line["seconds"], line["id"].as_u64().is_some()), (&5.0.into(), true));
}

#[test]
fn a_client_that_leaves_an_errors_body_leaves_what_its_head_says() {
    const NOTHING: &[(&str, &str)] = &[
        ("x-ratelimit-limit", "100"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "600"),
    ];
    for status in [400, 404, 500] {
        let step = match status {
            400 => Step::Stall(400, NOTHING),
            404 => Step::Stall(404, NOTHING),
            _ => Step::Stall(500, NOTHING),
        };
        let lines = told(|| async {
            let bench = bench("auto", &[step], |upstream| {
                upstream.allowances.push(window("hour", 100, 3_600, Spread::None));
            });
            left_after(&bench, 500).await;
            let view = bench.gateway.accounts.view();
            let held = view[0].scopes.iter().find(|scope| &*scope.name == "hour").unwrap().hold;
            assert_eq!(held.map(|hold| hold.remaining.as_secs()), Some(599), "{status}");
        });
        assert_eq!(holds(&lines).len(), 1, "{status}: {lines:#?}");
    }
}

/// All of them at once.
async fn futures_of<F: Future>(calls: impl Iterator<Item = F>) -> Vec<F::Output> {
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
