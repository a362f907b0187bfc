//! Assertions about problems.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::gateway::PROGRAM;
use super::wire::Answer;

/// Checks what holds for every problem, and these members of this one.
#[track_caller]
pub(crate) fn expect(answer: &Answer, status: u16, code: &str, source: &str) -> Value {
    let text = answer.text();
    assert_eq!(answer.status, status, "status, expected with {code}: {text}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "type: {text}");
    let problem: Value = serde_json::from_str(&text).expect("a problem is JSON");
    let faults: Vec<_> = schema().iter_errors(&problem).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "against its own schema: {faults:?}\n{problem:#}");
    assert_eq!(problem["code"], code, "code: {problem:#}");
    assert_eq!(problem["source"], source, "source: {problem:#}");
    assert_eq!(problem["type"], format!("urn:evenkeel:problem:{code}"));
    assert_eq!(problem["status"], status, "status: {problem:#}");
    let request_id = problem["request_id"].as_str();
    assert_eq!(request_id, answer.header("evenkeel-request-id"), "request_id: {problem:#}");
    let wait = problem["retry_after"].as_u64().map(|seconds| seconds.to_string());
    assert_eq!(wait.as_deref(), answer.header("retry-after"), "retry_after: {problem:#}");
    problem
}

/// The members in which two JSON values differ, as `upstream.status: found 1, expected 2`.
pub(crate) fn differences(found: &Value, expected: &Value) -> Vec<String> {
    let (Value::Object(ours), Value::Object(theirs)) = (found, expected) else {
        let differs = found != expected;
        return differs
            .then(|| format!("found {found}, expected {expected}"))
            .into_iter()
            .collect();
    };
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let member = |name: &String| {
        let (found, expected) = (&found[name.as_str()], &expected[name.as_str()]);
        let below = differences(found, expected);
        below
            .into_iter()
            .map(|difference| match difference.starts_with("found ") {
                true => format!("{name}: {difference}"),
                false => format!("{name}.{difference}"),
            })
            .collect::<Vec<_>>()
    };
    names.into_iter().flat_map(member).collect()
}

#[test]
fn differences_name_their_members() {
    let (found, expected) =
        (json!({"a": 1, "b": {"c": 2}}), json!({"a": 1, "b": {"c": 3}, "d": 4}));
    let expected_lines = ["b.c: found 2, expected 3", "d: found null, expected 4"];
    assert_eq!(differences(&found, &expected), expected_lines);
    assert!(differences(&found, &found).is_empty());
}

/// The published schema, as the program prints it.
fn schema() -> &'static Validator {
    static SCHEMA: OnceLock<Validator> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let output = Command::new(PROGRAM).args(["problem", "schema"]).output().unwrap();
        assert!(output.status.success(), "`evenkeel problem schema` prints the schema");
        let schema = serde_json::from_slice(&output.stdout).expect("the schema is JSON");
        jsonschema::validator_for(&schema).expect("the schema is a JSON Schema")
    })
}
