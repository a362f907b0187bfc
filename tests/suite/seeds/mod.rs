//! The founding documents, row by row: the real program with the simulated vendors, or with a
//! scripted upstream where the vendors do not misbehave enough.
//!
//! Each test is named after the row that it shows; tests/data/seeds.md is the index. Waits of
//! minutes are shortened here; src/gateway/tests/ tests them at their real length.

mod droplink;
mod droplink_errors;
mod index;
mod wordbee;
mod wordbee_errors;

use std::net::TcpListener;

use evenkeel::demo::{
    Action, Command, ScriptRule, ScriptedResponse, Vendor, VendorHandle, VendorSettings,
};
use serde_json::Value;

use crate::support::gateway::Gateway;
use crate::support::script::{Script, reply};
use crate::support::source::root;
use crate::support::wire::{self, Answer};

/// A vendor on a thread of its own.
fn open(settings: VendorSettings) -> VendorHandle {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Vendor::on_thread(VendorSettings { seed: Some(3), ..settings }, listener).unwrap()
}

/// An upstream `name` at `url` that speaks the dialect of that name; further keys are indented.
fn config(name: &str, url: &str, more: &str) -> String {
    let more = more.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!("upstreams:\n  {name}:\n    url: {url}\n    dialect: {name}\n{more}")
}

/// The built-in dialect with some words replaced, each of which must occur.
#[track_caller]
fn altered(name: &str, words: &[(&str, &str)]) -> String {
    let file = root().join(format!("config/dialects/{name}.yaml"));
    let mut text = std::fs::read_to_string(file).unwrap();
    for (old, new) in words {
        assert!(text.contains(old), "{name} says nothing of `{old}`");
        text = text.replace(old, new);
    }
    let lines = text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!("dialects:\n  {name}:\n{lines}")
}

/// An upstream that gives every request this response.
fn saying(status: &str, headers: &[&str], body: &[u8]) -> Script {
    Script::always(vec![reply(status, headers, body)])
}

fn json(status: u16, body: &str) -> Action {
    Action::Answer(ScriptedResponse::new(status, "application/json", body))
}

/// Makes the vendor treat its next requests like this.
fn tell(vendor: &VendorHandle, times: u32, act: Action) {
    vendor.control(&Command::Script(ScriptRule::next(times, act)));
}

fn arrivals(vendor: &VendorHandle) -> usize {
    vendor.log().arrivals.len()
}

/// The statuses that the vendor has answered, in order.
fn statuses(vendor: &VendorHandle) -> Vec<u16> {
    vendor.log().arrivals.iter().filter_map(|arrival| arrival.status).collect()
}

/// Milliseconds between the first two requests at the vendor.
#[track_caller]
fn gap_ms(vendor: &VendorHandle) -> u64 {
    let log = vendor.log();
    let [first, second, ..] = &log.arrivals[..] else { panic!("two requests") };
    (second.at_ns - first.at_ns) / 1_000_000
}

#[track_caller]
fn problem(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("a problem is JSON")
}

/// The seconds of `Retry-After`.
#[track_caller]
fn retry_after(answer: &Answer) -> u64 {
    answer.header("retry-after").expect("Retry-After").parse().unwrap()
}

/// A response of the admin listener.
#[track_caller]
fn admin(gateway: &Gateway, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = wire::call(gateway.admin, request.as_bytes());
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.text()
}

/// The scopes of the first account of the first upstream: allowances, and the upstream as such.
#[track_caller]
fn scopes(gateway: &Gateway) -> Vec<Value> {
    let status: Value = serde_json::from_str(&admin(gateway, "/api/v1/status")).unwrap();
    let scopes = &status["upstreams"][0]["accounts"][0]["scopes"];
    scopes.as_array().cloned().unwrap_or_default()
}

/// The slowest pace of any scope, as a part of the full one.
#[track_caller]
fn pace(gateway: &Gateway) -> f64 {
    let paces = scopes(gateway).into_iter().filter_map(|scope| scope["pace"].as_f64());
    paces.fold(1.0, f64::min)
}

/// The sum of a metric's series that hold all of these labels.
#[track_caller]
fn metric(gateway: &Gateway, name: &str, labels: &[&str]) -> f64 {
    let text = admin(gateway, "/metrics");
    let series = text.lines().filter(|line| line.starts_with(name) && !line.starts_with('#'));
    let wanted = series.filter(|line| labels.iter().all(|label| line.contains(label)));
    wanted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
