//! Wordbee: where the facts of its payloads go, and how its causes are distinguished.

use serde_json::{Value, json};

use evenkeel::demo::Action;

use super::wordbee::{call, gateway_to, session, vendor};
use super::{arrivals, config, json as answer_json, saying, tell};
use crate::support::gateway::Gateway;
use crate::support::problem::expect;
use crate::support::script::{Script, ok};
use crate::support::time;
use crate::support::wire::{Answer, request};

/// What the gateway makes of this answer to a POST.
#[track_caller]
fn answer_to(status: &str, body: &[u8]) -> (Answer, usize) {
    let script = saying(status, &["Content-Type: application/json"], body);
    let gateway = Gateway::start(&config("wordbee", &script.url(), ""));
    let answer = gateway.post("/wordbee/documents", b"");
    (answer, script.arrivals())
}

/// The problem made of a 400 with this `error`.
#[track_caller]
fn of_error(error: &Value) -> Value {
    let body = json!({ "error": error, "reason": error["title"] });
    let (answer, sent) = answer_to("400 Bad Request", body.to_string().as_bytes());
    assert_eq!(sent, 1);
    serde_json::from_slice(&answer.body).unwrap()
}

/// The payload of the document with some members replaced.
fn error(changes: &Value) -> Value {
    let mut error = json!({ "operation": null, "date": "2020-12-15T08:34:38.7706101Z",
        "title": "The import failed.", "details": null, "errorurl": null, "messages": [] });
    for (name, value) in changes.as_object().unwrap() {
        error[name] = value.clone();
    }
    error
}

#[test]
fn w1_whatever_is_no_json_is_a_problem_too() {
    let page: &[u8] = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
    for (status, body) in [("502 Bad Gateway", page), ("500 Internal Server Error", &b""[..])] {
        let (answer, _) = answer_to(status, body);
        let problem = expect(&answer, 502, "upstream_error", "upstream");
        assert_eq!(problem["upstream"]["recognised"], false, "{problem:#}");
    }
}

#[test]
fn w2_the_payload_of_a_400_decides() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    let token = session(&gateway, "demo");
    let missing = call(&gateway, "GET /documents/7", ("demo", &token), &[]);
    expect(&missing, 404, "not_found", "upstream");
    let wrong = br#"{"accountid":"demo","key":"wrong"}"#;
    expect(&gateway.post("/wordbee/auth/token", wrong), 401, "credential_rejected", "upstream");
    let dead = call(&gateway, "GET /documents/1", ("demo", "dead"), &[]);
    expect(&dead, 401, "unauthenticated", "upstream");
}

#[test]
fn w3_the_message_is_never_the_phrase() {
    let (answer, _) = answer_to("400 Phrase of the status", br#"{"error":{"title":"The title."}}"#);
    assert_eq!(super::problem(&answer)["detail"], "The title.");
    let (answer, _) = answer_to("400 Phrase of the status", b"{}");
    assert!(!answer.text().contains("Phrase of the status"), "{}", answer.text());
}

#[test]
fn w4_the_date_keeps_its_seven_digits_and_is_never_fatal() {
    let date = |value: Value| {
        of_error(&error(&json!({ "date": value })))["upstream"]["occurred_at"].clone()
    };
    assert_eq!(date(json!("2020-12-15T08:34:38.7706101Z")), "2020-12-15T08:34:38.7706101Z");
    assert_eq!(date(json!("yesterday")), "yesterday");
    for harmless in [json!(""), json!(null)] {
        assert_eq!(date(harmless), Value::Null);
    }
}

#[test]
fn w5_the_title_is_the_message() {
    for title in ["The import failed.", "Größe \"12\" — не найдено", "a < b"] {
        let body = json!({ "error": error(&json!({ "title": title })), "reason": "Not I." });
        let (answer, _) = answer_to("400 Bad Request", body.to_string().as_bytes());
        assert_eq!(super::problem(&answer)["detail"], title);
    }
}

#[test]
fn w6_details_are_details_or_a_reference_and_never_the_title_again() {
    let upstream =
        |details: Value| of_error(&error(&json!({ "details": details })))["upstream"].clone();
    let facts = |upstream: &Value| (upstream["details"].clone(), upstream["reference"].clone());
    assert_eq!(facts(&upstream(json!(null))), (Value::Null, Value::Null));
    assert_eq!(facts(&upstream(json!("The import failed."))), (Value::Null, Value::Null));
    assert_eq!(facts(&upstream(json!("Row 7 is odd."))), (json!("Row 7 is odd."), Value::Null));
    let guid = json!("3f2504e0-4f89-11d3-9a0c-0305e82c3301");
    assert_eq!(upstream(guid.clone())["reference"], guid);
}

#[test]
fn w7_the_operation_is_told() {
    let operation = |value: Value| {
        of_error(&error(&json!({ "operation": value })))["upstream"]["operation"].clone()
    };
    assert_eq!(operation(json!(null)), Value::Null);
    assert_eq!(operation(json!("Export of 12 files")), "Export of 12 files");
}

#[test]
fn w8_children_keep_their_order_and_are_bounded() {
    let child = |number: usize| json!({ "title": format!("child {number}"), "details": null, "errorurl": null });
    for count in [0, 1, 50] {
        let children: Vec<_> = (0..count).map(child).collect();
        let problem = of_error(&error(&json!({ "messages": children })));
        let told: Vec<_> =
            problem["errors"].as_array().unwrap().iter().map(|it| it["detail"].clone()).collect();
        let sent: Vec<_> = (0..count).map(|number| json!(format!("child {number}"))).collect();
        assert_eq!(told, sent);
    }
    let many: Vec<_> = (0..3_000).map(child).collect();
    let told = of_error(&error(&json!({ "messages": many })))["errors"].as_array().unwrap().len();
    assert!((50..=200).contains(&told), "{told}");
    let nested = json!([{ "title": "outer", "messages": [{ "title": "inner" }] }]);
    let problem = of_error(&error(&json!({ "messages": nested })));
    assert_eq!(problem["errors"][0]["detail"], "outer");
    assert_eq!(problem["errors"][1]["detail"], "inner");
}

#[test]
fn w9_the_errorurl_is_neither_shown_nor_fetched() {
    let trap = Script::always(ok("trap"));
    let url = format!("{}/errorurl-trap", trap.url());
    for url in [url.as_str(), "../errorurl-trap", "javascript:errorurl-trap()"] {
        let child = json!({ "title": "child", "details": null, "errorurl": url,
            "messages": [{ "title": "inner", "errorurl": url }] });
        let changes = json!({ "errorurl": url, "messages": [child] });
        let told = of_error(&error(&changes)).to_string();
        assert!(!told.contains("errorurl"), "{told}");
        assert!(told.contains("inner"));
    }
    assert_eq!(trap.connections(), 0);
}

#[test]
fn w10_the_reason_is_kept_and_stands_in() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    let dead = call(&gateway, "GET /documents/1", ("demo", "dead"), &[]);
    let problem = expect(&dead, 401, "unauthenticated", "upstream");
    assert_eq!(problem["detail"], "Token invalid or expired.");
    let reason =
        "Not authenticated - API construct session from token failed with error: Not authenticated";
    assert_eq!(problem["upstream"]["reason"], reason);
    let (answer, _) =
        answer_to("400 Bad Request", br#"{"error":{"title":null},"reason":"Only I."}"#);
    assert_eq!(super::problem(&answer)["detail"], "Only I.");
}

#[test]
fn w11_a_missing_file_is_not_found() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    let token = session(&gateway, "demo");
    let answer = call(&gateway, "GET /documents/7", ("demo", &token), &[]);
    let problem = expect(&answer, 404, "not_found", "upstream");
    assert_eq!(problem["detail"], "The requested file does not exist.");
    assert_eq!((&problem["upstream"]["status"], arrivals(&vendor)), (&400.into(), 2));
}

#[test]
fn w12_a_bad_key_is_tried_once_and_not_logged() {
    let vendor = vendor();
    let loud = "telemetry: { log: { level: trace, access: all } }\n";
    let url = format!("http://{}/api", vendor.address());
    let gateway = Gateway::start(&(loud.to_owned() + &config("wordbee", &url, "")));
    let wrong = br#"{"accountid":"demo","key":"kq9-secret"}"#;
    let answer = gateway.post("/wordbee/auth/token", wrong);
    let problem = expect(&answer, 401, "credential_rejected", "upstream");
    assert_eq!((&problem["detail"], arrivals(&vendor)), (&"Invalid private key.".into(), 1));
    time::until("the call is logged", || gateway.logs().contains("credential_rejected"));
    assert!(!gateway.logs().contains("kq9") && !answer.text().contains("kq9"));
}

#[test]
fn w13_a_dead_token_has_a_code_of_its_own_and_keeps_its_child() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    let dead = call(&gateway, "GET /documents/1", ("demo", "dead"), &[]);
    let problem = expect(&dead, 401, "unauthenticated", "upstream");
    assert_eq!(problem["errors"][0]["detail"], "Not authenticated");
    assert!(dead.header("www-authenticate").is_some());
}

const NO_METHOD: &str = r#"{"error":{"title":"The method does not exist.","details":null,"messages":[]},"reason":"The method does not exist."}"#;

#[test]
fn w24_an_unknown_method_is_final_and_not_remembered() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    tell(&vendor, 1, answer_json(404, NO_METHOD));
    expect(&gateway.get("/wordbee/echo"), 404, "endpoint_not_found", "upstream");
    assert_eq!(arrivals(&vendor), 1);
    assert_eq!(gateway.get("/wordbee/echo").status, 200, "the method has appeared");
}

#[test]
fn w25_a_bad_url_parameter_is_the_requests_fault() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    let token = session(&gateway, "demo");
    let answer = call(&gateway, "GET /documents/abc", ("demo", &token), &[]);
    let problem = expect(&answer, 400, "invalid_request", "upstream");
    assert_eq!((&problem["upstream"]["status"], arrivals(&vendor)), (&404.into(), 2));
}

#[test]
fn w26_a_missing_record_and_a_missing_method_differ() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    let token = session(&gateway, "demo");
    let record = super::problem(&call(&gateway, "GET /documents/7", ("demo", &token), &[]));
    tell(&vendor, 1, answer_json(404, NO_METHOD));
    let method = super::problem(&call(&gateway, "GET /documents/7", ("demo", &token), &[]));
    assert_eq!(
        (&record["code"], &method["code"]),
        (&"not_found".into(), &"endpoint_not_found".into())
    );
    assert_eq!(
        (&record["upstream"]["status"], &method["upstream"]["status"]),
        (&400.into(), &404.into())
    );
}

#[test]
fn w27_w28_a_404_names_documentation_and_support() {
    let vendor = vendor();
    let gateway = gateway_to(&vendor, "");
    tell(&vendor, 1, Action::Fail(404));
    tell(&vendor, 1, answer_json(404, NO_METHOD));
    for _ in 0..2 {
        let problem = super::problem(&gateway.get("/wordbee/echo"));
        assert_eq!(problem["upstream"]["status"], 404);
        assert_eq!(problem["documentation"], "https://help.wordbee.com/api2");
        assert_eq!(problem["support"], "Wordbee support");
    }
    let record = gateway.call(&request("GET", "/wordbee/documents/1", &[], b""));
    assert_eq!(super::problem(&record)["support"], Value::Null, "not on everything");
}
