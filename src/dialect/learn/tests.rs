//! Proposals from samples of made-up vendors, and from every payload pair.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use super::*;

fn at() -> SystemTime {
    "2026-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().into()
}

fn sample(name: &str, status: u16, headers: &[(&str, &str)], body: &str) -> Sample {
    let header = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    Sample {
        name: name.to_owned(),
        status: StatusCode::from_u16(status).unwrap(),
        headers: headers.iter().map(header).collect(),
        body: body.to_owned().into_bytes().into(),
        at: at(),
    }
}

fn payco() -> Vec<Sample> {
    vec![
        sample(
            "missing.http",
            404,
            &[],
            r#"{"error":{"message":"There is no order 4711.","code":"P-12","requestId":"ab12"}}"#,
        ),
        sample(
            "busy.http",
            429,
            &[("retry-after", "25")],
            r#"{"error":{"message":"Too many requests.","code":"P-90","requestId":"ab13"}}"#,
        ),
        sample(
            "fields.http",
            422,
            &[],
            r#"{"error":{"message":"Two fields are wrong.","code":"P-17","requestId":"ab14"},
                "errors":[{"message":"must be positive","code":"range","field":"amount"},
                          {"message":"is missing","code":"required","field":"currency"}]}"#,
        ),
    ]
}

#[test]
fn facts_rules_and_doubts_are_proposed_with_the_samples_that_support_them() {
    let text = learn("payco", &payco()).unwrap();
    let value: Value = serde_saphyr::from_str(&text).unwrap();
    let extract = &value["extract"];
    assert_eq!(extract["message"], serde_json::json!(["/error/message"]), "{text}");
    assert_eq!(extract["code"], serde_json::json!(["/error/code"]), "{text}");
    assert_eq!(extract["reference"], serde_json::json!(["/error/requestId"]), "{text}");
    assert_eq!(extract["children"], serde_json::json!(["/errors"]), "{text}");
    let child =
        serde_json::json!({ "message": ["/message"], "code": ["/code"], "pointer": ["/field"] });
    assert_eq!(extract["child"], child, "{text}");
    let rules = value["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 1, "{text}");
    assert_eq!(rules[0]["code"], "rate_limited", "{text}");
    assert_eq!(rules[0]["when"], serde_json::json!({ "status": 429, "code": ["P-90"] }), "{text}");
    for said in ["busy.http: 429 -> rate_limited", "wait 25 s", "every sample", "here up to 25 s"] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn a_fact_under_an_unknown_name_is_suspected_where_every_sample_has_it() {
    let depot = |name: &str, status, words: &str, number: &str| {
        let body = format!(r#"{{"depot":{{"satz":"{words}","nr":"{number}"}},"at":"noon"}}"#);
        sample(name, status, &[], &body)
    };
    let samples = [
        depot("full.http", 409, "The depot is full.", "D17"),
        depot("none.http", 404, "There is no such depot.", "D04"),
        sample("coded.http", 422, &[], r#"{"code":"E1","message":"It is wrong."}"#),
    ];
    let text = learn("depot", &samples).unwrap();
    for said in [
        "message: missing in full.http, none.http; it may be at `/depot/satz`",
        "code: missing in full.http, none.http; it may be at `/depot/nr` or `/at`",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn what_is_uncertain_is_said() {
    let rows = [
        (&payco()[..1], "one sample shows little"),
        (&payco()[..1], "no sample is a throttle"),
        (
            &[sample("page", 502, &[], "<html><title>Bad day</title></html>")],
            "code: missing in page",
        ),
        (
            &[sample(
                "ok",
                200,
                &[],
                r#"{"ok":false,"error":"ratelimited","message":"Too many requests"}"#,
            )],
            "inspect_success",
        ),
        (
            &[sample(
                "a",
                400,
                &[],
                r#"{"errors":{"name":["is too long"],"age":["is negative"]}}"#,
            )],
            "not in a list",
        ),
    ];
    for (samples, said) in rows {
        let text = learn("v", samples).unwrap();
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn a_throttle_that_only_words_show_is_a_rule_to_be_reviewed() {
    let throttled =
        sample("a", 400, &[], r#"{"error":"Too many requests per minute were made by you."}"#);
    let text = learn("v", &[throttled]).unwrap();
    let value: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(value.get("rules"), None, "{text}");
    assert!(text.contains("#  - name: rate_limited_400"), "{text}");
    assert!(text.contains("#    hold: {}"), "{text}");
    let (active, review) = text.split_once("\n# Unsure: as rules").unwrap();
    let enabled = format!("{active}\nrules: #{}", review.replace("\n#  ", "\n  "));
    let value: Value = serde_saphyr::from_str(&enabled).unwrap();
    assert_eq!(value["rules"][0]["code"], "rate_limited", "{enabled}");
    assert!(compile("v", &value).is_ok(), "{enabled}");
}

#[test]
fn successes_own_problems_and_contradictions_are_refused() {
    let own = std::fs::read_to_string("tests/data/problems/auto-own-problem.http").unwrap();
    let (_, own) = own.split_once("\n\n").unwrap();
    let one = sample("one", 400, &[], r#"{"error":"The name is too long."}"#);
    let other =
        sample("other", 400, &[], r#"{"error":"bad_name","error_description":"Too long."}"#);
    assert!(learn("v", &[one.clone(), other]).is_ok(), "an order of places reads both");
    let swapped =
        sample("swapped", 400, &[], r#"{"title":"A title.","message":"The name is wrong."}"#);
    assert!(learn("v", &[one.clone(), swapped]).is_ok());
    let rows = [
        (vec![one, sample("ok", 200, &[], "{}")], "ok is not an error"),
        (vec![sample("ours", 400, &[], own)], "ours is a problem that Evenkeel wrote"),
        (vec![sample("empty", 500, &[], "")], "no sample has a message"),
    ];
    for (samples, said) in rows {
        let refused = learn("v", &samples).unwrap_err().to_string();
        assert!(refused.starts_with(said), "{refused}");
    }
    // The same place, first the sentence and then a code word beside the sentence's own place.
    let crossed = [
        sample("first", 400, &[], r#"{"error":"The name is too long.","message":"bad_name"}"#),
        sample("second", 400, &[], r#"{"message":"The name is too long.","error":"bad_name"}"#),
    ];
    if let Err(refused) = learn("v", &crossed) {
        assert!(refused.to_string().starts_with("the samples disagree"), "{refused}");
    }
}

#[test]
fn hostile_names_and_values_stay_inside_their_lines() {
    let body = r#"{"error":{"message":"No.","code":"x'\n- y: \"z\" # {","we ird\n\"k":{"a":1}}}"#;
    let samples = [
        sample("a\nname: evil", 429, &[], body),
        sample("b", 400, &[], r#"{"er'r\nor: [":{"message":"Wrong.","code":"null"}}"#),
    ];
    let text = learn("yes\n\u{2028}x", &samples).unwrap();
    let value: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(value["name"], "yes\n\u{2028}x", "{text}");
    assert!(compile("v", &value).is_ok(), "{text}");
}

/// The payload pairs by dialect and, for `auto`, by vendor.
fn groups() -> BTreeMap<String, Vec<Sample>> {
    let entries = std::fs::read_dir("tests/data/problems").unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "http"));
    paths.sort();
    let mut groups: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for path in paths {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let capture = capture(&std::fs::read(&path).unwrap());
        let vendor: Vec<&str> = name.split('-').collect();
        let vendor = vendor.iter().take(if vendor[0] == "auto" { 2 } else { 1 });
        let group = vendor.copied().collect::<Vec<_>>().join("-");
        let (status, headers, body) = capture;
        groups.entry(group).or_default().push(Sample { name, status, headers, body, at: at() });
    }
    groups
}

fn capture(bytes: &[u8]) -> (StatusCode, HeaderMap, bytes::Bytes) {
    let end = |blank: &[u8]| {
        bytes.windows(blank.len()).position(|it| it == blank).map(|at| (at, at + blank.len()))
    };
    let (head, body) = end(b"\n\n").into_iter().chain(end(b"\r\n\r\n")).min().unwrap();
    let mut lines = std::str::from_utf8(&bytes[..head]).unwrap().lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.trim().parse::<HeaderName>().unwrap(), HeaderValue::from_str(value.trim()).unwrap())
    };
    (status, lines.map(header).collect(), bytes[body..].to_vec().into())
}

#[test]
fn every_payload_is_read_at_least_as_well_as_by_auto() {
    let auto = builtin(AUTO).unwrap();
    let (mut learned, mut contradicted, mut refused) = (0, 0, Vec::new());
    'groups: for (group, mut samples) in groups() {
        // A success teaches nothing, and is refused by name.
        samples.retain(|it| it.understood(&auto).is_some_and(|(_, facts)| facts.relayed.is_none()));
        let text = loop {
            match learn(&group, &samples) {
                Ok(text) => break text,
                Err(LearnError::Disagree { other, .. }) if samples.len() > 2 => {
                    contradicted += 1;
                    samples.retain(|sample| sample.name != other);
                }
                Err(error) => {
                    refused.push(format!("{group}: {error}"));
                    continue 'groups;
                }
            }
        };
        let value: Value =
            serde_saphyr::from_str(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
        let dialect = compile(&group, &value).unwrap_or_else(|it| panic!("{it:?}\n{text}"));
        for sample in &samples {
            let (expected, facts) = sample.understood(&auto).unwrap();
            let (said, found) = sample.understood(&dialect).unwrap();
            assert_eq!(found.message, facts.message, "{}: {text}", sample.name);
            assert!(facts.code.is_none() || found.code == facts.code, "{}: {text}", sample.name);
            assert_eq!(found.children, facts.children, "{}: {text}", sample.name);
            assert!(found.recognised || !facts.recognised, "{}: {text}", sample.name);
            let meaning =
                |it: &Classification| (it.code, it.remedy, it.hold, it.wait, it.processing);
            assert_eq!(meaning(&said), meaning(&expected), "{}: {text}", sample.name);
            learned += 1;
        }
    }
    assert!(
        learned > 180 && contradicted * 40 < learned,
        "{learned}, {contradicted}: {refused:#?}"
    );
    assert!(refused.len() <= 4, "{refused:#?}");
}
