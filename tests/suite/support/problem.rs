//! Assertions about problems: what every one of them must be, and what one in particular is.

use std::process::Command;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value;

use super::gateway::PROGRAM;
use super::wire::Answer;

/// Checks everything that holds for every problem, and these facts of this one.
#[track_caller]
pub(crate) fn expect(answer: &Answer, status: u16, code: &str, source: &str) -> Value {
    let text = answer.text();
    assert_eq!(answer.status, status, "{code} wanted, came {text}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{text}");
    let problem: Value = serde_json::from_str(&text).expect("a problem is JSON");
    let faults: Vec<_> = schema().iter_errors(&problem).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "against its own schema: {faults:?}\n{problem:#}");
    assert_eq!(problem["code"], code, "{problem:#}");
    assert_eq!(problem["source"], source, "{problem:#}");
    assert_eq!(problem["type"], format!("urn:evenkeel:problem:{code}"));
    assert_eq!(problem["status"], status);
    assert_eq!(problem["request_id"].as_str(), answer.header("evenkeel-request-id"));
    let told = problem["retry_after"].as_u64().map(|seconds| seconds.to_string());
    assert_eq!(told.as_deref(), answer.header("retry-after"), "{problem:#}");
    problem
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
