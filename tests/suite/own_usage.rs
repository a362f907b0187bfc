//! What a client sees of the allowances that its calls need.

use serde_json::{Value, json};

use crate::support::gateway::{Gateway, one_upstream};
use crate::support::problem;
use crate::support::script::{Script, ok};
use crate::support::wire::{Answer, request};

const PATH: &str = "/.well-known/evenkeel/allowance";

fn usage(gateway: &Gateway, headers: &[(&str, &str)]) -> Value {
    let answer = gateway.call(&request("GET", PATH, headers, b""));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.header("evenkeel-request-id").is_some());
    serde_json::from_str(&answer.text()).unwrap()
}

fn call(gateway: &Gateway, headers: &[(&str, &str)]) -> Answer {
    gateway.call(&request("GET", "/v/a", headers, b""))
}

#[test]
fn without_keys_the_only_client_sees_what_is_used_and_uses_nothing_by_it() {
    let script = Script::always(ok("ok"));
    let more = "wait: { default: 0s }\n\
                allowances: { all: { limit: 3/h, spread: none }, at_once: { concurrency: 4 } }";
    let gateway = Gateway::start(&one_upstream(&script.url(), more));
    assert_eq!(call(&gateway, &[]).status, 200);
    (0..20).for_each(|_| drop(usage(&gateway, &[])));
    let expected = json!({
        "client": "default",
        "limit": null,
        "upstreams": [{
            "name": "vendor", "next_slot_seconds": 0.0, "held": false, "paused": false,
            "waiting": 0,
            "allowances": [
                { "name": "all", "limit": 3, "window_seconds": 3600.0, "used": 1, "remaining": 2,
                  "next_slot_seconds": 0.0 },
                { "name": "at_once", "limit": 4, "window_seconds": null, "used": 0,
                  "remaining": 4, "next_slot_seconds": 0.0 },
            ],
        }],
    });
    assert_eq!(usage(&gateway, &[]), expected);
    (0..2).for_each(|_| assert_eq!(call(&gateway, &[]).status, 200));
    let refused = problem::expect(&call(&gateway, &[]), 429, "allowance_exhausted", "gateway");
    let shown = usage(&gateway, &[]);
    let upstream = &shown["upstreams"][0];
    let wait = upstream["next_slot_seconds"].as_f64().unwrap();
    assert!((3_500.0..=3_600.0).contains(&wait), "{shown:#} {refused:#}");
    assert_eq!(upstream["allowances"][0]["remaining"], 0);
    assert_eq!(script.arrivals(), 3);
}

#[test]
fn a_client_sees_its_own_limit_and_no_other_clients() {
    let script = Script::always(ok("ok"));
    let clients = "clients:\n  web: { key: { env: WEB }, limit: 10/h }\n  nightly: { key: { env: \
                   NIGHTLY }, limit: 7/h }\n";
    let yaml = one_upstream(&script.url(), "allowances: { all: 100/h }") + clients;
    let variables = [("WEB", "key-of-web"), ("NIGHTLY", "key-of-nightly")];
    let gateway = Gateway::start_with(&yaml, &variables);
    let (web, nightly) = ([("evenkeel-key", "key-of-web")], [("evenkeel-key", "key-of-nightly")]);
    (0..4).for_each(|_| assert_eq!(call(&gateway, &web).status, 200));
    assert_eq!(call(&gateway, &nightly).status, 200);
    for (headers, client, limit, remaining) in [(&web, "web", 10, 6), (&nightly, "nightly", 7, 6)] {
        let shown = usage(&gateway, headers);
        let own = &shown["limit"];
        assert_eq!((&shown["client"], &own["limit"]), (&json!(client), &json!(limit)));
        assert_eq!(own["remaining"], remaining, "{shown:#}");
        assert_eq!(shown["upstreams"][0]["allowances"][0]["used"], 5, "{shown:#}");
        let other = if client == "web" { "nightly" } else { "web" };
        assert!(!shown.to_string().contains(other), "{shown:#}");
    }
    for headers in [&[][..], &[("evenkeel-key", "key-of-nobody")]] {
        let answer = gateway.call(&request("GET", PATH, headers, b""));
        problem::expect(&answer, 401, "unauthenticated", "client");
    }
}

#[test]
fn accounts_told_apart_by_a_header_are_shown_by_it_and_not_opened() {
    let script = Script::always(ok("ok"));
    let more = "account: { header: x-account }\nallowances: { all: { limit: 5/h, spread: none } }";
    let gateway = Gateway::start(&one_upstream(&script.url(), more));
    (0..2).for_each(|_| assert_eq!(call(&gateway, &[("x-account", "a")]).status, 200));
    for (account, used) in [("a", 2), ("b", 0), ("", 0)] {
        let shown = usage(&gateway, &[("x-account", account)]);
        assert_eq!(shown["upstreams"][0]["allowances"][0]["used"], used, "{account}: {shown:#}");
    }
    let metrics = crate::support::wire::call(gateway.admin, &request("GET", "/metrics", &[], b""));
    let accounts = "evenkeel_accounts{upstream=\"vendor\"} 3";
    assert!(metrics.text().contains(accounts), "none, the overflow, and `a`");
}

#[test]
fn only_reading_is_answered_and_only_this_path() {
    let script = Script::answering(|seen| ok(seen.target()));
    let yaml = one_upstream(&script.url(), "").replace("route: /v", "route: /");
    let gateway = Gateway::start(&yaml);
    let answer = gateway.post(PATH, b"x");
    problem::expect(&answer, 405, "method_not_allowed", "client");
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    let mut connection = gateway.connect();
    connection.send(&request("HEAD", PATH, &[], b""));
    let head = connection.answer_if_any("HEAD").unwrap();
    assert_eq!((head.status, head.text().as_str()), (200, ""));
    let near = "/.well-known/evenkeel/allowances";
    assert_eq!(gateway.get(near).text(), near);
    assert_eq!(usage(&gateway, &[])["upstreams"][0]["name"], "vendor");
    assert_eq!(script.arrivals(), 1);
}
