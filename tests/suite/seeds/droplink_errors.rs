//! Droplink: what each error means, and the problem that the client receives.

use std::time::Duration;

use evenkeel::demo::{Action, Command, VendorSettings};
use http::Response;

use super::droplink::{DROP, KEY, at, create, gateway_to, get, vendor};
use super::{altered, arrivals, config, json, open, pace, problem, saying, statuses, tell};
use crate::support::gateway::Gateway;
use crate::support::problem::expect;
use crate::support::script::{Script, ok, reply};
use crate::support::wire::request;
use crate::support::{http2, time};

#[test]
fn d9_every_error_status_becomes_a_problem() {
    let rows = [
        (402, 402, "invalid_request"),
        (410, 410, "gone"),
        (418, 418, "invalid_request"),
        (422, 422, "unprocessable"),
        (451, 451, "invalid_request"),
        (502, 502, "upstream_error"),
        (504, 504, "upstream_timeout"),
        (529, 502, "upstream_error"),
        (599, 502, "upstream_error"),
    ];
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    for (theirs, status, code) in rows {
        tell(&vendor, 1, Action::Fail(theirs));
        let answer = create(&gateway, &[]);
        let problem = expect(&answer, status, code, "upstream");
        assert_eq!(problem["upstream"]["status"], theirs);
        assert_eq!(problem["detail"], format!("The request failed with code {theirs}."));
    }
    assert_eq!(arrivals(&vendor), rows.len());
}

#[test]
fn d10_the_error_is_told_verbatim() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    for sentence in ["Say \"please\".", "Ошибка: 項目がありません 🙂", "a\tb", "x < y & z > 1"]
    {
        let body = serde_json::json!({ "error": sentence }).to_string();
        tell(&vendor, 1, json(400, &body));
        let told = problem(&create(&gateway, &[]))["detail"].clone();
        assert_eq!(told.as_str().unwrap().replace(' ', "\t"), sentence.replace(' ', "\t"));
    }
    tell(&vendor, 1, json(400, r#"{"error":"first\nsecond"}"#));
    let told = problem(&create(&gateway, &[]))["detail"].clone();
    let lines: Vec<_> = told.as_str().unwrap().split_whitespace().collect();
    assert_eq!(lines, ["first", "second"]);
}

#[test]
fn d11_bodies_that_break_the_promise_still_make_a_problem() {
    let long = format!(r#"{{"error":7,"more":"{}"}}"#, "x".repeat(3 << 20));
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    let rows: [(&str, &str, &[u8], bool); 13] = [
        ("missing", "application/json", b"{}", false),
        ("null", "application/json", br#"{"error":null}"#, false),
        ("empty text", "application/json", br#"{"error":""}"#, false),
        ("a number", "application/json", br#"{"error":7}"#, false),
        ("an object", "application/json", br#"{"error":{"text":"An object."}}"#, false),
        ("a list", "application/json", br#"{"error":["first","second"]}"#, false),
        ("no JSON", "application/json", b"oops", false),
        ("nothing", "application/json", b"", false),
        ("no UTF-8", "application/json", b"{\"error\":\"\xff\xfe\"", false),
        ("megabytes", "application/json", long.as_bytes(), false),
        ("depth", "application/json", deep.as_bytes(), false),
        ("another type", "text/html", br#"{"error":"The URI."}"#, true),
        ("a mark", "application/json", b"\xef\xbb\xbf{\"error\":\"The URI.\"}", true),
    ];
    for (what, media_type, body, recognised) in rows {
        let script = saying("400 Bad", &[&format!("Content-Type: {media_type}")], body);
        let gateway = Gateway::start(&config("droplink", &script.url(), ""));
        let start = time::now();
        let answer = gateway.post("/droplink/a", b"");
        let problem = expect(&answer, 400, "invalid_request", "upstream");
        assert_eq!(problem["upstream"]["recognised"], recognised, "{what}: {problem:#}");
        assert!(!problem["detail"].as_str().unwrap().is_empty(), "{what}");
        assert!(answer.body.len() < 16 << 10, "{what}: {} bytes", answer.body.len());
        assert!(start.elapsed() < Duration::from_secs(4), "{what}: {:?}", start.elapsed());
        assert_eq!(script.arrivals(), 1, "{what}");
    }
}

#[test]
fn d12_a_function_has_its_own_errors_and_nothing_is_lost() {
    let vendor = vendor();
    let own = r"routes:
  - match: { path: /frozen/** }
    dialect: frozen
    rules: [{ name: frozen, when: { status: 400, text: '(?i)frozen' }, code: conflict }]";
    let frozen = "dialects: { frozen: { extract: { message: [/fault/text] }, rules: [] } }\n";
    let gateway = Gateway::start(&(at(&vendor, own) + frozen));
    let body = r#"{"fault":{"text":"It is frozen."},"error":"No.","hint":"thaw it"}"#;
    tell(&vendor, 2, json(400, body));
    let special = expect(&get(&gateway, "/frozen/1"), 409, "conflict", "upstream");
    assert_eq!(special["detail"], "It is frozen.");
    let general = expect(&get(&gateway, "/other/1"), 400, "invalid_request", "upstream");
    assert_eq!(general["detail"], "No.");
    for problem in [special, general] {
        assert_eq!(problem["upstream"]["details"]["hint"], "thaw it", "{problem:#}");
    }
}

#[test]
fn d13_an_unlisted_status_is_treated_like_its_class() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    tell(&vendor, 1, Action::Fail(418));
    expect(&get(&gateway, "/drop/1"), 418, "invalid_request", "upstream");
    assert_eq!(statuses(&vendor), [418], "like 400: final");
    tell(&vendor, 1, Action::Fail(599));
    assert_eq!(get(&gateway, "/echo").status, 200);
    assert_eq!(statuses(&vendor), [418, 599, 200], "like 500: a GET is sent again");
    tell(&vendor, 1, Action::Fail(599));
    expect(&create(&gateway, &[]), 502, "upstream_error", "upstream");
    assert_eq!(arrivals(&vendor), 4, "like 500: a POST is not");
}

#[test]
fn d14_an_undecidable_400_is_final() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    tell(&vendor, 2, json(400, r#"{"error":"Something is not right."}"#));
    for answer in [get(&gateway, "/drop/1"), create(&gateway, &[])] {
        let problem = expect(&answer, 400, "invalid_request", "upstream");
        assert_eq!((&problem["retryable"], &problem["attempts"]), (&false.into(), &1.into()));
    }
    assert_eq!(arrivals(&vendor), 2);
}

#[test]
fn d15_an_invalid_uri_is_the_requests_fault() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    let problem = expect(&get(&gateway, "/drop/none"), 400, "invalid_request", "upstream");
    assert_eq!(problem["detail"], "The specified URI is invalid.");
    assert_eq!(arrivals(&vendor), 1);
}

#[test]
fn d16_a_malformed_request_is_the_requests_fault() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    let answer = gateway.call(&request("POST", "/droplink/drop/create", &[KEY], b"nonsense"));
    let problem = expect(&answer, 400, "invalid_request", "upstream");
    assert_eq!(problem["detail"], "The request is not formatted correctly.");
    assert_eq!(arrivals(&vendor), 1);
}

#[test]
fn d17_a_missing_field_is_named() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    let answer =
        gateway.call(&request("POST", "/droplink/drop/create", &[KEY], b"{\"title\":\"a\"}"));
    let problem = expect(&answer, 400, "invalid_request", "upstream");
    assert_eq!(problem["detail"], "The request is missing a required field: content.");
    assert_eq!(problem["errors"][0]["pointer"], "/content", "{problem:#}");
    assert_eq!(arrivals(&vendor), 1);
}

#[test]
fn d19_look_alikes_are_no_throttles() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "allowances: { all: 100/s }");
    let sentences = [
        "The title exceeds the maximum length.",
        "The limit must be below 100.",
        "The file size limit exceeded.",
        "limit is a required field",
    ];
    for (calls, sentence) in sentences.into_iter().enumerate() {
        tell(&vendor, 1, json(400, &format!(r#"{{"error":"{sentence}"}}"#)));
        let problem = expect(&create(&gateway, &[]), 400, "invalid_request", "upstream");
        assert_eq!((&problem["detail"], arrivals(&vendor)), (&sentence.into(), calls + 1));
        assert_eq!(pace(&gateway), 1.0, "{sentence}");
    }
}

#[test]
fn d22_a_401_is_the_clients_or_the_operators() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    let answer = gateway.post("/droplink/drop/create", DROP);
    expect(&answer, 401, "unauthenticated", "upstream");
    assert_eq!(arrivals(&vendor), 1, "the client's own: never again");
    assert!(!gateway.logs().contains("ERROR") && !gateway.logs().contains("\"error\""));

    let held = at(&vendor, "auth: { header: x-api-key, value: { env: DROPLINK_KEY } }");
    let gateway = Gateway::start_with(&held, &[("DROPLINK_KEY", "demo-key")]);
    tell(&vendor, 1, Action::Fail(401));
    let answer = gateway.post("/droplink/drop/create", DROP);
    expect(&answer, 502, "gateway_credential_rejected", "gateway");
    assert_eq!(arrivals(&vendor), 2, "ours: never again either");
    time::until("the operator hears of it", || gateway.logs().contains("ERROR"));
    let alarms = ["gateway_credential_rejected"];
    assert_eq!(super::metric(&gateway, "evenkeel_problems_total", &alarms), 1.0);
}

#[test]
fn d23_every_401_has_a_challenge() {
    let vendor = vendor();
    let clients = "clients: { shop: { key: { env: SHOP } } }\n".to_owned();
    let gateway = Gateway::start_with(&(clients + &at(&vendor, "")), &[("SHOP", "shop-key")]);
    let ours = gateway.post("/droplink/drop/create", DROP);
    expect(&ours, 401, "unauthenticated", "client");
    assert!(ours.header("www-authenticate").is_some(), "{ours:?}");
    assert_eq!(arrivals(&vendor), 0);
    let shop = ("Evenkeel-Key", "shop-key");
    let plain = gateway.call(&request("POST", "/droplink/drop/create", &[shop], DROP));
    expect(&plain, 401, "unauthenticated", "upstream");
    assert!(plain.header("www-authenticate").is_some(), "the vendor sends none");
    let challenge =
        evenkeel::demo::ScriptedResponse::new(401, "application/json", r#"{"error":"No."}"#);
    let challenge = challenge.header("www-authenticate", "Key realm=\"drops\"");
    tell(&vendor, 1, Action::Answer(challenge));
    let theirs = gateway.call(&request("POST", "/droplink/drop/create", &[shop], DROP));
    assert_eq!(theirs.header("www-authenticate"), Some("Key realm=\"drops\""));
}

#[test]
fn d24_a_missing_header_is_refused_without_a_call() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "routes: [{ match: { path: /** }, require: [x-api-key] }]");
    let answer = gateway.post("/droplink/drop/create", DROP);
    expect(&answer, 401, "unauthenticated", "client");
    assert_eq!(arrivals(&vendor), 0, "nothing was sent");
    assert_eq!((create(&gateway, &[]).status, arrivals(&vendor)), (200, 1));
}

#[test]
fn d25_a_bad_key_is_final_and_never_shown() {
    let vendor = vendor();
    let loud = "telemetry: { log: { level: trace, access: all } }\n";
    let gateway = Gateway::start(&(loud.to_owned() + &at(&vendor, "")));
    let bad = ("X-Api-Key", "kq7-secret-of-a-client");
    let answer = gateway.call(&request("POST", "/droplink/drop/create", &[bad], DROP));
    let problem = expect(&answer, 401, "credential_rejected", "upstream");
    assert_eq!((&problem["upstream"]["status"], arrivals(&vendor)), (&403.into(), 1));
    assert!(!answer.text().contains("kq7"), "{}", answer.text());
    time::until("the call is logged", || gateway.logs().contains("credential_rejected"));
    assert!(!gateway.logs().contains("kq7"), "{}", gateway.logs());

    let held = at(&vendor, "auth: { header: x-api-key, value: { env: DROPLINK_KEY } }");
    let secret = [("DROPLINK_KEY", "kq8-secret-of-the-gateway")];
    let gateway = Gateway::start_with(&(loud.to_owned() + &held), &secret);
    let echo = r#"{"error":"The key kq8-secret-of-the-gateway was revoked.","k":["kq8-secret-of-the-gateway"]}"#;
    tell(&vendor, 1, json(403, echo));
    let answer = gateway.post("/droplink/drop/create", DROP);
    expect(&answer, 502, "gateway_credential_rejected", "gateway");
    assert_eq!(arrivals(&vendor), 2);
    time::until("the call is logged", || gateway.logs().contains("gateway_credential_rejected"));
    let output = format!("{answer:?}{}", gateway.logs());
    assert!(!output.contains("kq8") && !answer.text().contains("kq8"), "{output}");
}

#[test]
fn d26_an_unknown_endpoint_is_no_missing_record() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    let problem = expect(&get(&gateway, "/nowhere"), 404, "endpoint_not_found", "upstream");
    assert_eq!(problem["detail"], "The API Endpoint is invalid.");
    assert_ne!(problem["title"], "Resource not found", "not_found's");
    assert_eq!(arrivals(&vendor), 1);
}

#[test]
fn d27_a_running_job_is_a_conflict_and_not_started_again() {
    let vendor = open(VendorSettings { scale: 300, ..VendorSettings::droplink() });
    let gateway = gateway_to(&vendor, "");
    let start = request("POST", "/droplink/jobs/nightly", &[KEY], b"");
    assert_eq!(gateway.call(&start).status, 200);
    expect(&gateway.call(&start), 409, "conflict", "upstream");
    assert_eq!(statuses(&vendor), [200, 409], "nothing is repeated by itself");

    let wait = "routes:
  - match: { path: /jobs/* }
    rules: [{ name: wait_until_free, when: { status: 409 }, code: conflict, replay: any_method, retry: { after: 400ms } }]";
    let vendor = open(VendorSettings { scale: 300, ..VendorSettings::droplink() });
    let gateway = gateway_to(&vendor, wait);
    assert_eq!(gateway.call(&start).status, 200);
    assert_eq!(gateway.call(&start).status, 200, "a job runs 600 ms here");
    assert!(statuses(&vendor).contains(&409), "{:?}", statuses(&vendor));
}

#[test]
fn d31_the_phrase_of_a_500_is_never_needed() {
    for phrase in ["Internal Server Error/Not Closed", "", "OK", "\u{e9}\u{fc}"] {
        let script = saying(&format!("500 {phrase}"), &[], br#"{"error":"No."}"#);
        let gateway = Gateway::start(&config("droplink", &script.url(), ""));
        let answer = gateway.post("/droplink/a", b"");
        let problem = expect(&answer, 502, "upstream_error", "upstream");
        assert_eq!((&problem["detail"], script.arrivals()), (&"No.".into(), 1), "{phrase:?}");
    }
    let upstream = http2::Upstream::start(|_| {
        Response::builder().status(500).body(http2::bytes(br#"{"error":"No."}"#)).unwrap()
    });
    let url = format!("http://{}", upstream.address);
    let gateway = Gateway::start(&config("droplink", &url, "protocol: http2"));
    let problem = expect(&gateway.post("/droplink/a", b""), 502, "upstream_error", "upstream");
    assert_eq!(problem["upstream"]["status"], 500);
}

#[test]
fn d32_a_malfunction_is_retried_where_it_is_safe() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    tell(&vendor, 1, Action::Fail(500));
    let start = time::now();
    assert_eq!(get(&gateway, "/echo").status, 200);
    assert!(start.elapsed() < Duration::from_secs(3), "seconds, not minutes");
    assert_eq!(statuses(&vendor), [500, 200]);
    tell(&vendor, 1, Action::Fail(500));
    let problem = expect(&create(&gateway, &[]), 502, "upstream_error", "upstream");
    assert_eq!(
        (&problem["stopped_by"], &problem["outcome_unknown"]),
        (&"method".into(), &true.into())
    );
    assert_eq!(statuses(&vendor), [500, 200, 500]);
    vendor.control(&Command::Reset);
    tell(&vendor, 9, Action::Fail(500));
    // Another gateway, because the three free retries are per ten seconds, not per call.
    let gateway = gateway_to(&vendor, "");
    let problem = expect(&get(&gateway, "/echo"), 502, "upstream_error", "upstream");
    assert_eq!((&problem["attempts"], arrivals(&vendor)), (&4.into(), 7), "few");
}

#[test]
fn d32_the_rules_of_a_file_are_those_built_in() {
    let script = Script::answering(|seen| match seen.number {
        1 => vec![reply("500 No", &[], br#"{"error":"No."}"#)],
        _ => ok("ok"),
    });
    let yaml = config("droplink", &script.url(), "") + &altered("droplink", &[]);
    let gateway = Gateway::start(&yaml);
    assert_eq!((gateway.get("/droplink/a").status, script.arrivals()), (200, 2));
}
