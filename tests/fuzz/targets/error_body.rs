//! The whole normaliser: a captured response, as `curl -i` writes it, becomes a problem that fits
//! the published schema.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use evenkeel::cli::capture::Capture;
use evenkeel::cli::normalise::normalise;
use evenkeel::dialect::{self, Dialect};
use http::Method;
use serde_json::Value;

use super::{Target, data_files};

pub(crate) const TARGET: Target = Target {
    name: "error_body",
    bytes_max: 4096,
    run,
    seeds: || {
        let mut seeds = data_files("problems", ".http");
        seeds.retain(|seed| seed.len() <= 4096);
        seeds
    },
};

static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    jsonschema::validator_for(&evenkeel::problem::schema()).expect("the published schema")
});

/// Bytes of a problem: what a client must be ready to read.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;

fn run(input: &[u8]) {
    if let Some(capture) = Capture::parse(input.to_vec()) {
        check(&capture);
    }
}

/// The properties of the problems that `auto` makes of a response, and another of the built-in
/// dialects, which the body chooses.
pub(super) fn check(capture: &Capture) {
    let sum = |sum: usize, byte: &u8| sum.wrapping_mul(31).wrapping_add(usize::from(*byte));
    let names: Vec<&str> = dialect::builtin_names().collect();
    let another = names[capture.body.iter().fold(0, sum) % names.len()];
    for name in [dialect::AUTO, another] {
        let dialect = dialect::builtin(name).expect("a built-in dialect");
        check_with(&dialect, capture);
    }
}

fn check_with(dialect: &Dialect, capture: &Capture) {
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let Some(problem) = normalise(dialect, capture, &Method::POST, wall) else { return };
    let bytes = problem.to_bytes();
    assert!(bytes.len() <= PROBLEM_BYTES_MAX, "{} bytes", bytes.len());
    let read: Value = serde_json::from_slice(&bytes).expect("a problem is JSON");
    assert!(SCHEMA.is_valid(&read), "{read:#}");
    let status = read["status"].as_u64().expect("a problem has a status");
    assert!((400..=599).contains(&status), "{read:#}");
    if let Some(wait) = read["retry_after"].as_u64() {
        assert!(wait <= 32 * 24 * 3600, "a wait of {wait} s");
    }
    let twice = normalise(dialect, capture, &Method::POST, wall).expect("a problem again");
    assert_eq!(twice.to_bytes(), bytes, "the same input has the same problem");
}
