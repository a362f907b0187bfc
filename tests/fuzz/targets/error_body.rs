//! Errors of vendors: a captured response, as `curl -i` writes it, becomes a problem.

use std::time::{Duration, SystemTime};

use evenkeel::cli::capture::Capture;
use evenkeel::cli::normalise::normalise;
use evenkeel::dialect;
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

/// Bytes of a problem: what a client must be ready to read.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;

fn run(input: &[u8]) {
    let Some(capture) = Capture::parse(input.to_vec()) else { return };
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    for name in dialect::builtin_names() {
        let dialect = dialect::builtin(name).expect("a built-in dialect");
        let Some(problem) = normalise(&dialect, &capture, &Method::POST, wall) else { continue };
        let bytes = problem.to_bytes();
        assert!(bytes.len() <= PROBLEM_BYTES_MAX, "{} bytes", bytes.len());
        let read: Value = serde_json::from_slice(&bytes).expect("a problem is JSON");
        let status = read["status"].as_u64().expect("a problem has a status");
        assert!((400..=599).contains(&status), "{read:#}");
        for member in ["type", "title", "code", "source"] {
            assert!(
                read[member].as_str().is_some_and(|text| !text.is_empty()),
                "{member}: {read:#}"
            );
        }
        if let Some(wait) = read["retry_after"].as_u64() {
            assert!(wait <= 32 * 24 * 3600, "a wait of {wait} s");
        }
        let twice = normalise(&dialect, &capture, &Method::POST, wall).expect("a problem again");
        assert_eq!(twice.to_bytes(), bytes, "the same input has the same problem");
    }
}
