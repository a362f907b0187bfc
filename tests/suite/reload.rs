//! A changed configuration comes into force while calls are served, or changes nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::gateway::{Gateway, one_upstream};
use crate::support::script::{Act, Script, ok, reply};
use crate::support::wire::{self, Answer, request};
use crate::support::{problem, time};

fn reload(gateway: &Gateway) -> Answer {
    let host = gateway.admin;
    let head = format!("POST /api/v1/reload HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
    wire::call(host, head.as_bytes())
}

#[track_caller]
fn reloaded(gateway: &Gateway) -> Value {
    let answer = reload(gateway);
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str(&answer.text()).unwrap()
}

fn metric(gateway: &Gateway, line: &str) -> Option<f64> {
    let text = wire::call(gateway.admin, &request("GET", "/metrics", &[], b"")).text();
    let found = text.lines().find_map(|found| found.strip_prefix(line).map(str::to_owned));
    found.map(|value| value.trim().parse().unwrap())
}

#[test]
fn a_signal_a_changed_file_and_the_api_reload() {
    let script = Script::answering(|seen| ok(seen.target()));
    let at = |path: &str| one_upstream(&format!("{}/{path}", script.url()), "");
    let gateway = Gateway::start(&at("one"));
    assert_eq!(gateway.get("/v/a").text(), "/one/a");
    gateway.configure(&at("two"));
    gateway.signal("HUP");
    time::until("the signal reloads", || gateway.get("/v/a").text() == "/two/a");
    gateway.configure(&at("three"));
    time::until("the changed file is noticed", || gateway.get("/v/a").text() == "/three/a");
    gateway.configure(&at("four"));
    reloaded(&gateway);
    assert_eq!(gateway.get("/v/a").text(), "/four/a");
    assert!(gateway.logs().contains("configuration reloaded"));
}

#[test]
fn a_faulty_file_changes_nothing_and_is_explained() {
    let script = Script::always(ok("ok"));
    let gateway = Gateway::start(&one_upstream(&script.url(), ""));
    assert_eq!(metric(&gateway, "evenkeel_reloads_total{result=\"refused\"}"), Some(0.0));
    gateway.configure(&one_upstream(&script.url(), "allowances: { all: { limit: many } }"));
    let value = problem::expect(&reload(&gateway), 422, "unprocessable", "client");
    let error = value["errors"][0]["detail"].as_str().unwrap();
    assert!(error.contains("evenkeel.yaml:5:") && error.contains("accepted:"), "{error}");
    assert_eq!(gateway.get("/v/a").text(), "ok");
    gateway.signal("HUP");
    let refused = "evenkeel_reloads_total{result=\"refused\"}";
    time::until("it is counted", || metric(&gateway, refused) >= Some(2.0));
    time::until("it is logged", || gateway.logs().contains("reload refused"));
    let loaded = metric(&gateway, "evenkeel_config_loaded_timestamp_seconds");
    assert!(loaded > Some(1.7e9), "{loaded:?}");
}

#[test]
fn what_needs_a_restart_is_named_and_the_rest_is_applied() {
    let script = Script::answering(|seen| ok(seen.target()));
    let quiet = "telemetry: { log: { level: error } }\n";
    let gateway = Gateway::start(&format!("{}{quiet}", one_upstream(&script.url(), "")));
    let more = "listen: { workers: 7, idle: 9s }\n";
    gateway.configure(&format!("{}{more}", one_upstream(&format!("{}/b", script.url()), "")));
    let warnings = reloaded(&gateway)["warnings"].to_string();
    assert!(warnings.contains("listen.workers") && warnings.contains("listen.idle"), "{warnings}");
    assert!(!warnings.contains("listen.address"), "{warnings}");
    assert_eq!(gateway.get("/v/a").text(), "/b/a");
    time::until("the level has changed", || gateway.logs().contains("configuration reloaded"));
}

/// Requests at full speed from several clients while the configuration changes all the time. Every
/// call is answered, connections are kept, counters go on, and the vendor never counts more than
/// the highest limit in any window.
#[test]
fn reloads_under_load_lose_no_call_and_never_overshoot() {
    const WINDOW: Duration = Duration::from_secs(1);
    const HIGHEST: usize = 50;
    let arrived: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let noted = Arc::clone(&arrived);
    let script = Script::answering(move |_| {
        noted.lock().unwrap().push(time::now());
        vec![Act::Wait(Duration::from_millis(3)), reply("200 OK", &[], b"ok")]
    });
    let yaml = |turn: usize| {
        let name = ["all", "all", "rate"][turn / 4 % 3];
        let limit = [50, 20, 35][turn % 3];
        let allowance = format!("{{ limit: {limit}/s, spread: none, arrival_guard: 1s }}");
        one_upstream(&script.url(), &format!("allowances:\n  {name}: {allowance}"))
    };
    let gateway = Gateway::start(&yaml(0));
    let over = AtomicBool::new(false);
    let answered = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    let mut connection = gateway.connect();
                    let mut answered = 0;
                    while !over.load(Ordering::SeqCst) {
                        connection.send(&request("GET", "/v/a", &[], b""));
                        assert_eq!(connection.answer().status, 200);
                        answered += 1;
                    }
                    answered
                })
            })
            .collect();
        let results: Vec<_> = (1..40)
            .map(|turn| {
                gateway.configure(&yaml(turn));
                std::thread::sleep(Duration::from_millis(100));
                reload(&gateway).status
            })
            .collect();
        // First, so that the clients end before anything fails.
        over.store(true, Ordering::SeqCst);
        assert_eq!(results, [200; 39]);
        clients.into_iter().map(|client| client.join().unwrap()).sum::<usize>()
    });
    let mut arrived = arrived.lock().unwrap().clone();
    arrived.sort_unstable();
    assert_eq!(arrived.len(), answered);
    assert!(answered > 60, "{answered}");
    for (place, first) in arrived.iter().enumerate() {
        let within = arrived[place..].iter().take_while(|at| **at < *first + WINDOW).count();
        assert!(within <= HIGHEST, "{within} within a second");
    }
    assert!(script.connections() <= 12, "{} connections", script.connections());
    let counted = "evenkeel_upstream_attempts_total{upstream=\"vendor\",outcome=\"answered\"}";
    assert_eq!(metric(&gateway, counted), Some(answered as f64));
}

#[test]
fn a_lowered_limit_binds_and_a_renamed_upstream_keeps_what_it_spent() {
    let script = Script::always(ok("ok"));
    let limited = |limit: usize| {
        let more = format!(
            "wait: {{ default: 0s }}\nallowances: {{ all: {{ limit: {limit}/h, spread: none }} }}"
        );
        // Each worker opens connections of its own.
        format!("{}listen: {{ workers: 1 }}\n", one_upstream(&script.url(), &more))
    };
    let gateway = Gateway::start(&limited(10));
    (0..4).for_each(|_| assert_eq!(gateway.get("/v/a").status, 200));
    gateway.configure(&limited(6).replace("vendor:", "renamed:"));
    reloaded(&gateway);
    let granted = (0..10).filter(|_| gateway.get("/v/a").status == 200).count();
    assert_eq!((granted, script.arrivals()), (2, 6));
    gateway.configure(&limited(8));
    reloaded(&gateway);
    let granted = (0..10).filter(|_| gateway.get("/v/a").status == 200).count();
    assert_eq!((granted, script.arrivals()), (2, 8));
    assert_eq!(script.connections(), 3, "a renamed upstream opens its own connections");
}

#[test]
fn a_call_under_way_ends_as_it_began() {
    let script = Script::answering(|_| {
        vec![Act::Wait(Duration::from_millis(700)), reply("200 OK", &[], b"late")]
    });
    let gateway = Gateway::start(&one_upstream(&script.url(), ""));
    let mut connection = gateway.connect();
    connection.send(&request("GET", "/v/a", &[], b""));
    script.await_arrivals(1);
    let elsewhere = Script::always(ok("elsewhere"));
    gateway.configure(&one_upstream(&elsewhere.url(), ""));
    reloaded(&gateway);
    assert_eq!(gateway.get("/v/a").text(), "elsewhere");
    assert_eq!(connection.answer().text(), "late");
    connection.send(&request("GET", "/v/a", &[], b""));
    assert_eq!(connection.answer().text(), "elsewhere", "on the same connection");
}
