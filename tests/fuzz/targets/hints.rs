//! Hints about waiting: `Retry-After`, durations, rate headers and sentences.

use std::time::{Duration, SystemTime};

use evenkeel::dialect::hint;
use evenkeel::outcome::ResponseHead;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::Target;

pub(crate) const TARGET: Target = Target {
    name: "hints",
    bytes_max: 256,
    run,
    seeds: || SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect(),
};

/// One input each: a value, or a header line.
const SEEDS: [&str; 34] = [
    "0",
    "1",
    "120",
    "1.5",
    "86400",
    "9999999999999",
    "1800000060",
    "1800000060000",
    "-1",
    "+5",
    "1e3",
    "inf",
    "NaN",
    "00:05:00",
    "1.02:03:04",
    "6m0s",
    "370ms",
    "2.12 days",
    "PT30S",
    "P1DT2H",
    "30 seconds",
    "in 5 minutes",
    "Fri, 15 Jan 2027 08:01:00 GMT",
    "Friday, 15-Jan-27 08:01:00 GMT",
    "Fri Jan 15 08:01:00 2027",
    "2027-01-15T08:01:00Z",
    "2027-01-15 08:01:00.123+02:00",
    "Maximum allowed 1000 per 01:00:00",
    "please try again in 20s",
    "ratelimit: \"hour\";r=0;t=30",
    "ratelimit-policy: \"hour\";q=100;w=3600",
    "x-ratelimit-remaining: 0",
    "x-ratelimit-reset: 1800000060",
    "x-rate-limit-limit: 100, 100;w=60",
];

fn run(input: &[u8]) {
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    if let Ok(text) = std::str::from_utf8(input) {
        values(text, wall);
    }
    headers(input, wall);
}

/// Waits are bounded, and a wait of zero is none.
fn is_legal(span: &Duration) -> bool {
    !span.is_zero() && *span <= hint::WAIT_MAX
}

fn values(text: &str, wall: SystemTime) {
    let retry_after = |value: &str| {
        let value = HeaderValue::from_str(value).ok()?;
        let headers = HeaderMap::from_iter([(RETRY_AFTER, value)]);
        hint::wait_header(&headers, wall).map(|hint| hint.span)
    };
    let wait = retry_after(text);
    assert!(wait.as_ref().is_none_or(is_legal), "{text:?}: {wait:?}");
    assert_eq!(retry_after(&format!(" {text}\t")), wait, "blanks around {text:?}");
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= 7;
    if let Some(seconds) = text.parse().ok().filter(|_| digits) {
        let exact = Some(Duration::from_secs(seconds)).filter(is_legal);
        assert_eq!(wait, exact, "whole seconds are exact: {text:?}");
    }
    let span = hint::duration(text);
    assert!(span.is_none_or(|span| span <= hint::WAIT_MAX), "{text:?}: {span:?}");
    if let Some(learned) = hint::learned(text) {
        assert!(learned.limit > 0 && is_legal(&learned.window), "{text:?}: {learned:?}");
    }
    assert!(hint::without_links(text).len() <= text.len(), "{text:?}");
}

fn headers(input: &[u8], wall: SystemTime) {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) =
            colon.map_or((&b"retry-after"[..], line), |colon| (&line[..colon], &line[colon + 1..]));
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value.trim_ascii()))
        {
            headers.append(name, value);
        }
    }
    let wait = hint::wait_header(&headers, wall).map(|hint| hint.span);
    assert!(wait.as_ref().is_none_or(is_legal), "{headers:?}: {wait:?}");
    for status in [StatusCode::OK, StatusCode::ACCEPTED, StatusCode::TOO_MANY_REQUESTS] {
        let head = ResponseHead { status, headers: &headers };
        let Some(standing) = hint::standing(head, wall) else { continue };
        assert!(!standing.buckets.is_empty() || standing.pause.is_some(), "{headers:?}");
        for bucket in &standing.buckets {
            let spans = [bucket.window, bucket.reset].into_iter().flatten();
            assert!(spans.into_iter().all(|span| span <= hint::WAIT_MAX), "{bucket:?}");
        }
    }
}
