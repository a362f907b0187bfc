//! The admin API as an operator, a probe and a hostile web page see it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::handler::Handler;
use super::{AdminState, NamedToken, ReleaseResult, ReloadError, Token};
use crate::allowance::{
    AccountView, HoldView, LedgerKind, Lever, LeverOrder, LeverOrigin, LeverRefusal, LeverReport,
    LeversView, PageOfAccounts, PauseView, RecordView, ScopeKind, ScopeView,
};
use crate::clock::Clock;
use crate::gateway::Drain;
use crate::outcome::HoldCause;
use crate::telemetry::Metrics;

fn account() -> AccountView {
    let hold = HoldView {
        id: 7,
        cause: HoldCause::Maintenance,
        remaining: Duration::from_millis(89_500),
        failed_probes: 1,
    };
    let window = Duration::from_secs(3600);
    let scope = |name: &str, hold| ScopeView {
        name: name.into(),
        kind: ScopeKind::Units {
            kind: LedgerKind::Window,
            limit: 900,
            configured: 1000,
            learned: Some(900),
            window,
        },
        occupied: 100,
        waiting: 2,
        pace_sixteenths: 8,
        next_release: Duration::from_millis(1234),
        drift: Some(-3),
        hold,
        levers: LeversView::default(),
        record: None,
        in_flight: 2,
        elsewhere: 0,
        next_slot: Some(Duration::ZERO),
        observe: false,
    };
    AccountView {
        upstreams: vec![1],
        key: "team-a".into(),
        scopes: vec![scope("hour", Some(hold)), scope("day", None)],
        waiting: 4,
        waiting_by_class: [1, 3, 0],
        waiting_by_client: vec![("web".into(), 3), ("nightly".into(), 1)],
        longest_wait: Duration::from_secs(3),
        overflow_calls: None,
    }
}

fn named_token(name: &str, token: &str) -> NamedToken {
    NamedToken { name: name.into(), token: Token(token.into()) }
}

fn handler(token: Option<&str>) -> Handler {
    let clock = Clock::start();
    let upstreams: Vec<Arc<str>> = vec!["droplink".into(), "wordbee".into()];
    let released = Mutex::new(vec![7]);
    let release = move |id: u64| {
        let mut open = released.lock().unwrap();
        let before = open.len();
        open.retain(|hold| *hold != id);
        if open.len() < before { ReleaseResult::Released } else { ReleaseResult::UnknownHold }
    };
    let metrics = Metrics::new(vec!["droplink".into(), "wordbee".into()], vec![], 1);
    let state = AdminState {
        upstreams,
        accounts: Arc::new(|| vec![account()]),
        page: Arc::new(|page| PageOfAccounts {
            total: 3,
            accounts: vec![account(); page.most.min(2)],
        }),
        release: Arc::new(release),
        tokens: token.iter().map(|token| named_token("alice", token)).collect(),
        ..AdminState::new(clock, Drain::new(clock), Arc::new(metrics))
    };
    let state = Arc::new(ArcSwap::from_pointee(state));
    Handler { state, address: "127.0.0.1:9".parse().unwrap() }
}

fn ask(handler: &Handler, method: &str, uri: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = handler.handle(&request.body(()).unwrap());
    let status = answer.status().as_u16();
    let body = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(answer.into_body().collect())
        .unwrap()
        .to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

const LOCAL: (&str, &str) = ("host", "localhost:9");

#[test]
fn probes_need_no_host_and_readiness_follows_the_drain() {
    let handler = handler(Some("t"));
    assert_eq!(ask(&handler, "GET", "/livez", &[]), (200, "ok\n".to_owned()));
    assert_eq!(ask(&handler, "GET", "/readyz", &[("host", "10.1.1.1:9")]).0, 200);
    let (status, text) = ask(&handler, "GET", "/readyz?verbose", &[]);
    assert_eq!(status, 200);
    assert_eq!(
        text,
        "ready\nwordbee/day: open, 2 waiting\nwordbee/hour: held (maintenance), 90 s left\n"
    );
    handler.state.load().drain.announce();
    assert_eq!(ask(&handler, "GET", "/readyz", &[]), (503, "draining\n".to_owned()));
    assert_eq!(ask(&handler, "GET", "/livez", &[]).0, 200);
}

#[test]
fn verbose_readiness_lists_each_scope_once_over_all_accounts() {
    let handler = handler(None);
    let show = |accounts: Vec<AccountView>| {
        let accounts = Arc::new(move || accounts.clone());
        let state = AdminState { accounts, ..AdminState::clone(&handler.state.load()) };
        handler.state.store(Arc::new(state));
    };
    let own = |hold| ScopeView {
        name: "wordbee".into(),
        kind: ScopeKind::Upstream,
        hold,
        ..account().scopes[1].clone()
    };
    let held = account().scopes[0].hold;
    let busy = AccountView { scopes: vec![own(None), own(held)], ..account() };
    show(vec![busy.clone(), busy, account()]);
    let (_, text) = ask(&handler, "GET", "/readyz?verbose", &[]);
    let scopes = "wordbee: held (maintenance), 90 s left\nwordbee/day: open, 2 waiting\n";
    assert!(text.starts_with(&format!("ready\n{scopes}")), "{text}");
    let busy = AccountView { scopes: vec![own(None), own(None)], ..account() };
    show(vec![busy.clone(), busy]);
    let (_, text) = ask(&handler, "GET", "/readyz?verbose", &[]);
    assert_eq!(text, "ready\nwordbee: open, 4 waiting\n");
    let origin = LeverOrigin { by: "alice".into(), reason: "incident".into() };
    for (left, told) in [(Some(Duration::from_millis(8_500)), ", 9 s left"), (None, "")] {
        let pause = Some(PauseView { remaining: left, origin: origin.clone() });
        let levers = LeversView { pause, lowered: None };
        let paused = ScopeView { levers, ..own(held) };
        show(vec![AccountView { scopes: vec![own(None), paused], ..account() }]);
        let (_, text) = ask(&handler, "GET", "/readyz?verbose", &[]);
        assert_eq!(text, format!("ready\nwordbee: paused by alice{told}\n"));
    }
}

#[test]
fn a_scraper_gets_every_metric() {
    let (status, text) = ask(&handler(None), "GET", "/metrics", &[]);
    assert_eq!(status, 200);
    assert!(
        text.contains("evenkeel_ratelimit_remaining{upstream=\"wordbee\",policy=\"hour\"} 800")
    );
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn the_status_has_limits_queues_and_holds() {
    let (status, text) = ask(&handler(None), "GET", "/api/v1/status", &[LOCAL]);
    assert_eq!(status, 200);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&value["ready"], &value["draining"]), (&json!(true), &json!(false)));
    assert_eq!(value["upstreams"][0], json!({ "name": "droplink", "accounts": [] }));
    let account = &value["upstreams"][1]["accounts"][0];
    assert_eq!((&account["key"], &account["waiting"]), (&json!("team-a"), &json!(4)));
    let expected = json!({
        "name": "hour", "kind": "window", "limit": 900, "limit_configured": 1000,
        "window_seconds": 3600.0, "occupied": 100, "remaining": 800,
        "next_release_seconds": 1.234, "waiting": 2,
            "drift": -3, "pace": 0.5, "observe": false,
        "hold": { "id": 7, "cause": "maintenance", "remaining_seconds": 89.5, "failed_probes": 1 },
    });
    assert_eq!(account["scopes"][0], expected);
    assert_eq!(account["scopes"][1]["hold"], Value::Null);
}

#[test]
fn a_hold_is_released_once_and_with_the_token_only() {
    let handler = handler(Some("s3cret"));
    let release = "/api/v1/holds/7/release";
    let right = ("authorization", "Bearer s3cret");
    assert_eq!(ask(&handler, "POST", release, &[LOCAL]).0, 401);
    for wrong in ["Bearer s3cre", "Bearer s3crets", "Basic s3cret", "s3cret", "Bearer"] {
        assert_eq!(ask(&handler, "POST", release, &[LOCAL, ("authorization", wrong)]).0, 401);
    }
    assert_eq!(ask(&handler, "GET", release, &[LOCAL, right]).0, 405);
    let (status, text) = ask(&handler, "POST", release, &[LOCAL, right]);
    assert_eq!((status, text.contains("\"released\": 7")), (200, true));
    assert_eq!(ask(&handler, "POST", release, &[LOCAL, right]).0, 404);
    assert_eq!(ask(&handler, "POST", "/api/v1/holds/x/release", &[LOCAL, right]).0, 400);
}

#[test]
fn the_allowances_show_limits_use_queue_holds_and_levers() {
    let handler = handler(None);
    let (status, text) = ask(&handler, "GET", "/api/v1/allowances", &[LOCAL]);
    let value: Value = serde_json::from_str(&text).unwrap();
    let page = [&value["accounts_total"], &value["truncated"], &value["next_offset"]];
    assert_eq!((status, page), (200, [&json!(3), &json!(true), &json!(2)]));
    let account = &value["accounts"][0];
    assert_eq!((&account["upstreams"], &account["key"]), (&json!(["wordbee"]), &json!("team-a")));
    let queue = json!({
        "waiting": 4, "longest_wait_seconds": 3.0,
        "by_class": { "interactive": 1, "normal": 3, "batch": 0 },
        "by_client": [
            { "client": "web", "waiting": 3 }, { "client": "nightly", "waiting": 1 },
        ],
        "of_other_clients": 0,
    });
    assert_eq!(account["queue"], queue);
    let hour = json!({
        "name": "hour", "kind": "window", "window_seconds": 3600.0, "limit": 900,
        "limited_by": "vendor", "limit_configured": 1000, "limit_learned": 900, "lowered": null,
        "used": 100, "used_elsewhere": 0, "in_flight": 2, "remaining": 800,
        "next_slot_seconds": 0.0, "pace": 0.5, "waiting": 2, "drift": -3, "observe": false,
        "hold": { "id": 7, "cause": "maintenance", "remaining_seconds": 89.5, "failed_probes": 1 },
        "pause": null, "record": null,
    });
    assert_eq!(account["allowances"][0], hour);
    let (_, text) = ask(&handler, "GET", "/api/v1/allowances/wordbee?limit=1", &[LOCAL]);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["accounts"].as_array().unwrap().len(), 1);
    for (uri, status) in [
        ("/api/v1/allowances/nobody", 404),
        ("/api/v1/allowances?limit=0", 400),
        ("/api/v1/allowances?limit=1001", 400),
        ("/api/v1/allowances?offset=-1", 400),
        ("/api/v1/allowances?accounts=a", 400),
        ("/api/v1/allowances/%f", 400),
        ("/api/v1/allowancesx", 404),
    ] {
        assert_eq!(ask(&handler, "GET", uri, &[LOCAL]).0, status, "{uri}");
    }
    assert_eq!(ask(&handler, "PUT", "/api/v1/allowances", &[LOCAL]).0, 405);
}

#[test]
fn an_allowance_shows_who_lowered_and_paused_it() {
    let origin = || LeverOrigin { by: "alice".into(), reason: "incident".into() };
    let pause = PauseView { remaining: None, origin: origin() };
    let levers = LeversView { pause: Some(pause), lowered: Some(origin()) };
    let kind = ScopeKind::Concurrency { limit: 4, configured: 10 };
    let record = Some(RecordView { failed: true, set_aside: 5, shared_free: None });
    let scope = ScopeView { kind, levers, record, ..account().scopes[1].clone() };
    let upstream = ScopeView { kind: ScopeKind::Upstream, ..scope.clone() };
    let shown = AccountView { scopes: vec![upstream, scope], ..account() };
    let page = move |_: &crate::allowance::AccountPage| PageOfAccounts {
        total: 1,
        accounts: vec![shown.clone()],
    };
    let handler = handler(None);
    let state = AdminState::clone(&handler.state.load());
    handler.state.store(Arc::new(AdminState { page: Arc::new(page), ..state }));
    let (_, text) = ask(&handler, "GET", "/api/v1/allowances", &[LOCAL]);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&value["truncated"], &value["next_offset"]), (&json!(false), &Value::Null));
    let shown = &value["accounts"][0];
    let by = json!({ "by": "alice", "reason": "incident" });
    let paused = json!({ "remaining_seconds": null, "by": "alice", "reason": "incident" });
    let allowance = &shown["allowances"][0];
    assert_eq!((&allowance["limited_by"], &allowance["lowered"]), (&json!("operator"), &by));
    assert_eq!([&allowance["pause"], &shown["calls"][0]["pause"]], [&paused, &paused]);
    assert_eq!(allowance["record"], json!({ "state": "failed", "set_aside": 5 }));
}

#[test]
fn a_lever_needs_a_token_whose_name_is_logged() {
    let pause = "/api/v1/allowances/wordbee/pause?seconds=60&reason=their+incident";
    let open = handler(None);
    let (status, text) = ask(&open, "POST", pause, &[LOCAL]);
    assert!(status == 403 && text.contains("admin: { tokens:"), "{status} {text}");
    let handler = handler(Some("s3cret"));
    let pulled = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&pulled);
    let levers = move |order: &LeverOrder| {
        seen.lock().unwrap().push(order.clone());
        let changed = vec!["wordbee".into()];
        Ok(LeverReport { accounts: 2, changed, forgotten: 0 })
    };
    let state = AdminState::clone(&handler.state.load());
    let tokens = vec![named_token("alice", "s3cret"), named_token("bob", "0ther")];
    let state = AdminState { levers: Arc::new(levers), tokens, ..state };
    handler.state.store(Arc::new(state));
    assert_eq!(ask(&handler, "POST", pause, &[LOCAL]).0, 401);
    assert_eq!(ask(&handler, "POST", pause, &[LOCAL, ("authorization", "Bearer 0the")]).0, 401);
    let bob = ("authorization", "Bearer 0ther");
    assert_eq!(ask(&handler, "GET", pause, &[LOCAL, bob]).0, 405);
    assert_eq!(pulled.lock().unwrap().len(), 0);
    let log = crate::telemetry::captured(|| {
        let (status, text) = ask(&handler, "POST", pause, &[LOCAL, bob]);
        let value: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "lever": "pause", "upstream": "wordbee", "by": "bob", "accounts": 2,
            "changed": ["wordbee"], "forgotten_units": 0,
        });
        assert_eq!((status, value), (200, expected));
    });
    let line: Value = serde_json::from_str(&log).unwrap();
    for (field, value) in [
        ("level", json!("WARN")),
        ("lever", json!("pause")),
        ("by", json!("bob")),
        ("reason", json!("their incident")),
        ("seconds", json!(60.0)),
        ("message", json!("lever pulled by an operator")),
    ] {
        assert_eq!(line[field], value, "{field}: {log}");
    }
    assert_eq!(pulled.lock().unwrap()[0].lever, Lever::Pause(Some(Duration::from_secs(60))));
    let text = ask(&handler, "GET", "/metrics", &[]).1;
    let counted = "evenkeel_levers_total{upstream=\"wordbee\",lever=\"pause\"} 1";
    assert!(text.contains(counted), "{text}");
}

#[test]
fn a_lever_that_does_nothing_says_why() {
    let handler = handler(Some("s3cret"));
    let right = ("authorization", "Bearer s3cret");
    let names = || vec!["a".into(), "b".into()];
    let rows = [
        (LeverRefusal::UnknownUpstream(names()), 404, "There are: a, b."),
        (LeverRefusal::UnknownAccount, 404, "first call"),
        (LeverRefusal::UnknownAllowance(names()), 404, "There are: a, b."),
        (LeverRefusal::UnknownAllowance(Vec::new()), 404, "no allowances"),
        (LeverRefusal::NoAllowances, 400, "paused"),
        (LeverRefusal::AmbiguousAllowance(names()), 400, "(a, b)"),
    ];
    for (refusal, status, told) in rows {
        let levers = Arc::new(move |_: &LeverOrder| Err(refusal.clone()));
        let state = AdminState { levers, ..AdminState::clone(&handler.state.load()) };
        handler.state.store(Arc::new(state));
        let uri = "/api/v1/allowances/x/lower?to=7&reason=x";
        let (found, text) = ask(&handler, "POST", uri, &[LOCAL, right]);
        assert!(found == status && text.contains(told), "{found} {text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert!(jsonschema::is_valid(&crate::problem::schema(), &value), "{text}");
    }
}

#[test]
fn a_reload_returns_the_warnings_or_what_is_wrong() {
    let handler = handler(Some("s3cret"));
    let right = ("authorization", "Bearer s3cret");
    assert_eq!(ask(&handler, "POST", "/api/v1/reload", &[LOCAL]).0, 401);
    assert_eq!(ask(&handler, "GET", "/api/v1/reload", &[LOCAL, right]).0, 405);
    for (result, status) in [
        (Ok(vec!["listen.address: later".to_owned()]), 200),
        (Err(vec![ReloadError { code: "type", text: "a.yaml:1:2: no number".into() }]), 422),
    ] {
        let reload = Arc::new(move || result.clone());
        let state = AdminState { reload, ..AdminState::clone(&handler.state.load()) };
        handler.state.store(Arc::new(state));
        let (found, text) = ask(&handler, "POST", "/api/v1/reload", &[LOCAL, right]);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(found, status, "{text}");
        if status == 200 {
            assert_eq!(value["warnings"], json!(["listen.address: later"]));
        } else {
            let error = &value["errors"][0];
            assert_eq!((&error["code"], &value["code"]), (&json!("type"), &json!("unprocessable")));
            assert_eq!(error["detail"], "a.yaml:1:2: no number");
            assert!(jsonschema::is_valid(&crate::problem::schema(), &value), "{text}");
        }
    }
}

#[test]
fn pages_of_other_sites_are_refused() {
    let handler = handler(None);
    let evil = ("host", "evil.example:9");
    assert_eq!(ask(&handler, "GET", "/api/v1/status", &[evil]).0, 421);
    assert_eq!(ask(&handler, "GET", "/api/v1/status", &[]).0, 421);
    let release = "/api/v1/holds/7/release";
    let foreign = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")];
    for header in foreign {
        assert_eq!(ask(&handler, "POST", release, &[LOCAL, header]).0, 403);
    }
    let own = ("sec-fetch-site", "same-origin");
    let answer = ask(&handler, "POST", release, &[LOCAL, own, ("origin", "http://localhost:9")]);
    assert_eq!(answer.0, 200);
}

fn ask_for(uri: &str, accept: Option<&str>) -> http::Response<http_body_util::Full<bytes::Bytes>> {
    let mut request = Request::builder().uri(uri).header("host", "docs.example");
    if let Some(accept) = accept {
        request = request.header("accept", accept);
    }
    handler(Some("t")).handle(&request.body(()).unwrap())
}

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[test]
fn the_contract_is_served_as_pages_and_as_text_under_any_host() {
    for code in crate::outcome::Code::ALL {
        let uri = format!("/problems/{}", code.as_str());
        let page = ask_for(&uri, Some(BROWSER));
        let header = |name: &str| page.headers().get(name).and_then(|it| it.to_str().ok());
        assert_eq!(header("content-type"), Some("text/html; charset=utf-8"));
        let policy = header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
        assert_eq!(
            (header("vary"), header("x-content-type-options")),
            (Some("accept"), Some("nosniff"))
        );
        for accept in [None, Some("*/*"), Some("text/plain"), Some("text/plain, text/html;q=0.5")] {
            let text = ask_for(&uri, accept);
            assert_eq!(text.headers()["content-type"], "text/plain; charset=utf-8", "{accept:?}");
        }
    }
    assert_eq!(ask_for("/problems/", Some(BROWSER)).status(), 200);
    assert_eq!(ask_for("/problems", None).status(), 200);
    let moved = ask_for("/problems", Some(BROWSER));
    assert_eq!(
        (moved.status().as_u16(), &moved.headers()["location"]),
        (308, &"problems/".parse().unwrap())
    );
    for (uri, kind) in [
        ("/problems/schema.json", "application/schema+json"),
        ("/problems/openapi.json", "application/json"),
        ("/problems/page.css", "text/css; charset=utf-8"),
    ] {
        let response = ask_for(uri, None);
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &kind.parse().unwrap())
        );
    }
    for unknown in ["/problems/no_such_code", "/problemsrate_limited", "/problems/rate_limited/"] {
        assert_eq!(ask_for(unknown, None).status(), 404, "{unknown}");
    }
    assert_eq!(ask(&handler(None), "POST", "/problems/", &[]).0, 405);
}

#[test]
fn an_unknown_code_is_answered_with_the_known_ones_as_a_problem_or_a_page() {
    let codes = crate::outcome::Code::ALL.map(crate::outcome::Code::as_str);
    let long = format!("/problems/{}", "x".repeat(6000));
    let rows = [
        (
            "/problems/rate_limitd",
            "`rate_limitd` is not a problem code; did you mean `rate_limited`?",
        ),
        ("/problems/%3Cb%3E", "This path names no problem code"),
        (long.as_str(), "This path names no problem code"),
    ];
    for (uri, said) in rows {
        let response = ask_for(uri, None);
        let headers = ["content-type", "vary"].map(|name| &response.headers()[name]);
        assert_eq!(headers, ["application/problem+json", "accept"]);
        let (status, text) = ask(&handler(None), "GET", uri, &[]);
        let value: Value = serde_json::from_str(&text).unwrap();
        let detail = value["detail"].as_str().unwrap();
        assert_eq!((status, &value["code"]), (404, &json!("not_found")));
        assert!(
            detail.starts_with(said) && codes.iter().all(|code| detail.contains(code)),
            "{text}"
        );
        assert!(jsonschema::is_valid(&crate::problem::schema(), &value), "{text}");
        let response = ask_for(uri, Some(BROWSER));
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        let (status, page) = ask(&handler(None), "GET", uri, &[("accept", BROWSER)]);
        assert_eq!(status, 404);
        let link = |code: &&str| page.contains(&format!("href=\"{code}\""));
        assert!(codes.iter().all(link), "{page}");
    }
}

#[test]
fn every_link_of_the_pages_is_answered() {
    let (_, page) = ask(&handler(None), "GET", "/problems/", &[("accept", BROWSER)]);
    let links: Vec<&str> =
        page.split("href=\"").skip(1).map(|it| it.split('"').next().unwrap()).collect();
    assert!(links.len() > 40, "{links:?}");
    for link in links {
        let uri = format!("/problems/{}", link.trim_start_matches("./"));
        assert_eq!(ask(&handler(None), "GET", &uri, &[]).0, 200, "{link}");
    }
}

#[test]
fn refusals_are_problems() {
    let handler = handler(None);
    for (method, uri, status, code) in
        [("GET", "/nothing", 404, "route_not_found"), ("POST", "/livez", 405, "method_not_allowed")]
    {
        let (found, text) = ask(&handler, method, uri, &[LOCAL]);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((found, &value["code"]), (status, &json!(code)), "{text}");
        assert!(jsonschema::is_valid(&crate::problem::schema(), &value), "{text}");
    }
}

#[tokio::test]
async fn the_listener_serves_and_names_an_address_in_use() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let settings =
        crate::admin::Settings { address: "127.0.0.1:0".parse().unwrap(), tokens: Vec::new() };
    let state = handler(None).state;
    let listener = crate::admin::AdminListener::bind(&settings, Arc::clone(&state)).await.unwrap();
    let address = listener.address();
    let taken = crate::admin::Settings { address, tokens: Vec::new() };
    let fault = crate::admin::AdminListener::bind(&taken, state).await.unwrap_err();
    assert!(fault.to_string().contains(&address.to_string()), "{fault}");
    tokio::spawn(listener.serve());
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let ask = b"HEAD /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    socket.write_all(ask).await.unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n"), "{text}");
}
