//! Waits in bodies: a sentence, a member under any name, and a member beside a header.

use bytes::Bytes;
use evenkeel::cli::capture::Capture;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::{Target, error_body};

pub(crate) const TARGET: Target = Target {
    name: "waits",
    bytes_max: 256,
    run,
    seeds: || SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect(),
};

/// One input each: a sentence, or a member's name and value.
const SEEDS: [&str; 32] = [
    "Too many requests, try again in 20s.",
    "Wait 7 more minutes.",
    "59 more minutes",
    "Please retry after 1 hour, 2 minutes and 3 seconds",
    "barred until 1735689600000",
    "Try once more after Wed, 01 Jan 2025 00:05:00 GMT or write to us.",
    "renews in 900 seconds",
    "available again at 2027-01-15T08:01:00Z",
    "Maximum allowed 1000 per 01:00:00",
    "retry_after=25",
    "retryAfterMs=2500",
    "pause_seconds=25",
    "PauseMilliseconds=45000",
    "backoff=1.5",
    "reset_at=2027-01-15T08:01:00+02:00",
    "reset=1800000060",
    "resetTime=1800000060000",
    "cooldown=PT30S",
    "wait=6m0s",
    "estimated_time=20.0",
    "ttl=-1",
    "retry_in=1e9",
    "retry_after=NaN",
    "retry_after=99999999999999999999",
    "retryDelay=34.5s",
    "seconds=00:05:00",
    "next_allowed=Fri, 15 Jan 2027 08:01:00 GMT",
    "wait_minutes=3",
    "retry_after_hours=2",
    "retry=soon",
    "until=tomorrow",
    "in a few days",
];

fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (name, value) = text.split_once('=').unwrap_or(("retry_after", text));
    let number = serde_json::from_str::<serde_json::Number>(value).map(Value::Number);
    let value = number.unwrap_or_else(|_| value.into());
    let bodies = [
        json!({ "error": { "message": text } }).to_string(),
        json!({ "error": { "message": "Too many requests.", name: value } }).to_string(),
        text.to_owned(),
    ];
    let mut headers = HeaderMap::new();
    for body in bodies {
        for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
            let (headers, body) = (headers.clone(), Bytes::from(body.clone()));
            error_body::check(&Capture { status, headers, body });
        }
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(RETRY_AFTER, value);
        }
    }
}
