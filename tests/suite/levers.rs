//! Levers of operators: by the command line and the admin API, seen by clients.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::gateway::{Gateway, PROGRAM, one_upstream};
use crate::support::script::{Script, ok};
use crate::support::wire::{self, Answer, request};
use crate::support::{problem, time};

const TOKENS: &str = "admin: { tokens: { alice: { env: ALICE }, bob: { env: BOB } } }\n";
const VARIABLES: [(&str, &str); 2] = [("ALICE", "token-of-alice"), ("BOB", "token-of-bob")];

fn start(url: &str, more: &str) -> Gateway {
    let more = format!("wait: {{ default: 0s }}\n{more}");
    Gateway::start_with(&(one_upstream(url, &more) + TOKENS), &VARIABLES)
}

/// Runs `evenkeel allowance` against a gateway.
fn lever(gateway: &Gateway, words: &[&str], token: &str) -> Output {
    let admin = gateway.admin.to_string();
    Command::new(PROGRAM)
        .arg("allowance")
        .args(words)
        .args(["--admin", &admin])
        .env_clear()
        .env("EVENKEEL_ADMIN_TOKEN", token)
        .output()
        .unwrap()
}

#[track_caller]
fn pulled(gateway: &Gateway, words: &[&str]) -> String {
    let output = lever(gateway, words, "token-of-alice");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[track_caller]
fn refused(output: &Output, told: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && text.contains(told), "{text}");
}

fn post(gateway: &Gateway, target: &str, token: &str) -> Answer {
    let (host, bearer) = (gateway.admin.to_string(), format!("Bearer {token}"));
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {bearer}\r\n\
         Content-Length: 0\r\n\r\n"
    );
    wire::call(gateway.admin, head.as_bytes())
}

#[test]
fn a_paused_upstream_is_answered_here_until_it_is_resumed() {
    let script = Script::always(ok("ok"));
    let gateway = start(&script.url(), "");
    assert_eq!(gateway.get("/v/a").status, 200);
    let told = pulled(&gateway, &["pause", "vendor", "--for", "10m", "--reason", "their incident"]);
    assert_eq!(told, "pause vendor: vendor in 1 account\n");
    let answer = gateway.get("/v/a");
    let paused = problem::expect(&answer, 503, "paused", "gateway");
    let wait = paused["retry_after"].as_u64().unwrap();
    assert!((590..=600).contains(&wait) && paused["retryable"] == true, "{paused:#}");
    assert!(!answer.text().contains("incident"), "the reason is not for clients");
    pulled(&gateway, &["pause", "vendor", "--reason", "longer than thought"]);
    let paused = problem::expect(&gateway.get("/v/a"), 503, "paused", "gateway");
    assert_eq!(paused["retry_after"].as_u64(), None, "its end is not known");
    assert_eq!(script.arrivals(), 1);
    assert_eq!(pulled(&gateway, &["resume", "vendor"]), "resume vendor: vendor in 1 account\n");
    assert_eq!(gateway.get("/v/a").status, 200);
    let nothing = "resume vendor: nothing to change in 1 account\n";
    assert_eq!(pulled(&gateway, &["resume", "vendor"]), nothing);
    let logs = gateway.logs();
    let line = logs.lines().find(|line| line.contains("their incident")).unwrap();
    assert!(line.contains("alice") && line.contains("pause") && line.contains("600"), "{line}");
    assert!(logs.contains("operator's pause of vendor"), "{logs}");
}

#[test]
fn a_call_waits_for_the_end_of_a_pause_that_its_patience_outlasts() {
    let script = Script::always(ok("ok"));
    let gateway = start(&script.url(), "");
    pulled(&gateway, &["pause", "vendor", "--for", "2s", "--reason", "x"]);
    let start = time::now();
    let patient = request("GET", "/v/a", &[("prefer", "wait=20")], b"");
    assert_eq!(gateway.call(&patient).status, 200);
    assert!(time::now() - start > Duration::from_millis(1_000));
}

#[test]
fn levers_stay_in_force_over_a_reload() {
    let script = Script::always(ok("ok"));
    let limit = |limit: u32| {
        format!(
            "wait: {{ default: 0s }}\nallowances: {{ all: {{ limit: {limit}/h, spread: none }} }}"
        )
    };
    let yaml = |count| one_upstream(&script.url(), &limit(count)) + TOKENS;
    let gateway = Gateway::start_with(&yaml(10), &VARIABLES);
    pulled(&gateway, &["lower", "vendor", "--to", "50%", "--reason", "x"]);
    let granted = || (0..20).filter(|_| gateway.get("/v/a").status == 200).count();
    assert_eq!(granted(), 5);
    gateway.configure(&yaml(20));
    assert_eq!(post(&gateway, "/api/v1/reload", "token-of-bob").status, 200);
    assert_eq!(granted(), 5, "half of 20");
    pulled(&gateway, &["raise", "vendor"]);
    assert_eq!(granted(), 10);
    let told = pulled(&gateway, &["forget-spent", "vendor", "--yes", "--reason", "x"]);
    assert_eq!(told, "forget-spent vendor: 20 units of all in 1 account\n");
    pulled(&gateway, &["pause", "vendor", "--allowance", "all", "--reason", "x"]);
    gateway.configure(&yaml(30));
    assert_eq!(post(&gateway, "/api/v1/reload", "token-of-bob").status, 200);
    problem::expect(&gateway.get("/v/a"), 503, "paused", "gateway");
    let metrics = wire::call(gateway.admin, &request("GET", "/metrics", &[], b"")).text();
    for line in [
        "evenkeel_forgotten_units_total{upstream=\"vendor\"} 20",
        "evenkeel_levers_total{upstream=\"vendor\",lever=\"forget-spent\"} 1",
        "evenkeel_paused{upstream=\"vendor\",policy=\"all\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

/// What is forgotten is off the record too: a killed process does not bring it back.
#[test]
fn forgotten_units_stay_forgotten_after_a_kill() {
    let script = Script::always(ok("ok"));
    let dir = tempfile::tempdir().unwrap();
    let more = "wait: { default: 200ms }\nallowances: { all: { limit: 1000/h, spread: none } }";
    let state = format!("state: {{ dir: {}, first_start: unused }}\n", dir.path().display());
    let yaml = one_upstream(&script.url(), more) + TOKENS + &state;
    let used = |gateway: &Gateway| -> u64 {
        let shown: Value = serde_json::from_str(&pulled(gateway, &["show"])).unwrap();
        let all = &shown["accounts"][0]["allowances"][0];
        assert_eq!(all["record"]["state"], "recorded", "{shown:#}");
        all["used"].as_u64().unwrap()
    };
    let gateway = Gateway::start_with(&yaml, &VARIABLES);
    (0..60).for_each(|_| assert_eq!(gateway.get("/v/a").status, 200));
    assert_eq!(used(&gateway), 60);
    pulled(&gateway, &["forget-spent", "vendor", "--yes", "--reason", "they reset it"]);
    assert_eq!(used(&gateway), 0);
    // The record follows at most a second later.
    std::thread::sleep(Duration::from_millis(2_500));
    gateway.signal("KILL");
    let gateway = Gateway::start_with(&yaml, &VARIABLES);
    let used = used(&gateway);
    assert!(used <= 11, "{used}: only what was set aside");
}

#[test]
fn operators_see_use_queue_and_levers_of_each_account() {
    let script = Script::always(ok("ok"));
    let more = "wait: { default: 20s }\naccount: { header: x-account }\n\
                allowances: { all: { limit: 2/h, spread: none } }";
    let clients = "clients: { web: { key: { env: WEB } } }\n";
    let yaml = one_upstream(&script.url(), more) + TOKENS + clients;
    let variables = [VARIABLES[0], VARIABLES[1], ("WEB", "key-of-web")];
    let gateway = Gateway::start_with(&yaml, &variables);
    let as_account = |account: &str| {
        request("GET", "/v/a", &[("evenkeel-key", "key-of-web"), ("x-account", account)], b"")
    };
    for account in ["a", "a", "b"] {
        assert_eq!(gateway.call(&as_account(account)).status, 200);
    }
    pulled(&gateway, &["pause", "vendor", "--account", "b", "--for", "5s", "--reason", "audit"]);
    let mut waiting = gateway.connect();
    waiting.send(&as_account("b"));
    let show = || -> Value {
        serde_json::from_str(&pulled(&gateway, &["show", "vendor", "--account", "b"])).unwrap()
    };
    time::until("the call waits", || show()["accounts"][0]["queue"]["waiting"] == 1);
    let shown = show();
    let account = &shown["accounts"][0];
    assert_eq!(account["queue"]["by_client"][0], json!({ "client": "web", "waiting": 1 }));
    assert_eq!(account["queue"]["by_class"]["normal"], 1);
    let pause = &account["calls"][0]["pause"];
    assert!(pause["by"] == "alice" && pause["reason"] == "audit", "{shown:#}");
    let all = &account["allowances"][0];
    assert_eq!([&all["used"], &all["remaining"], &all["limit"]], [1, 1, 2]);
    assert_eq!(waiting.answer().status, 200);
    let listed: Value = serde_json::from_str(&pulled(&gateway, &["show"])).unwrap();
    let keys = listed["accounts"].as_array().unwrap().iter().map(|it| it["key"].as_str().unwrap());
    assert_eq!(keys.collect::<Vec<_>>(), ["", "(overflow)", "a", "b"]);
    assert_eq!(listed["accounts"][2]["allowances"][0]["remaining"], 0);
}

#[test]
fn without_a_token_no_lever_moves() {
    let script = Script::always(ok("ok"));
    let gateway = start(&script.url(), "");
    let pause = ["pause", "vendor", "--reason", "x"];
    refused(&lever(&gateway, &pause, ""), "needs an admin token");
    refused(&lever(&gateway, &pause, "token-of-carol"), "needs an admin token");
    let unknown = ["pause", "vendors", "--reason", "x"];
    refused(&lever(&gateway, &unknown, "token-of-bob"), "There are: vendor.");
    let no_allowances = ["lower", "vendor", "--to", "10", "--reason", "x"];
    refused(&lever(&gateway, &no_allowances, "token-of-bob"), "no allowances");
    assert_eq!(gateway.get("/v/a").status, 200);
    let open = Gateway::start(&one_upstream(&script.url(), ""));
    refused(&lever(&open, &pause, "token-of-bob"), "admin: { tokens:");
    assert_eq!(open.get("/v/a").status, 200);
    // What the refusal says helps.
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "token-in-a-file\n").unwrap();
    let tokens =
        format!("admin: {{ tokens: {{ carol: {{ file: {} }} }} }}\n", secret.path().display());
    open.configure(&(one_upstream(&script.url(), "") + &tokens));
    assert_eq!(post(&open, "/api/v1/reload", "").status, 200);
    assert!(lever(&open, &pause, "token-in-a-file").status.success());
    problem::expect(&open.get("/v/a"), 503, "paused", "gateway");
    time::until("it is logged", || open.logs().contains("carol"));
}
