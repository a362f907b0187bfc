//! Bodies of errors in every format: the first byte of an input chooses the Content-Type, the
//! second the status, and the rest is the body.

use bytes::Bytes;
use evenkeel::cli::capture::Capture;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{Target, data_files, error_body};

pub(crate) const TARGET: Target = Target { name: "documents", bytes_max: 4096, run, seeds };

const CONTENT_TYPES: [&str; 12] = [
    "",
    "application/json",
    "application/problem+json",
    "application/xml",
    "text/xml; charset=iso-8859-1",
    "text/html; charset=windows-1251",
    "text/plain",
    "text/plain; charset=utf-16",
    "application/x-www-form-urlencoded",
    "text/event-stream",
    "application/x-ndjson",
    "text/javascript; charset=shift_jis",
];

const STATUSES: [u16; 8] = [400, 401, 403, 404, 422, 429, 500, 503];

fn run(input: &[u8]) {
    let [content_type, status, body @ ..] = input else { return };
    let content_type = CONTENT_TYPES[usize::from(*content_type) % CONTENT_TYPES.len()];
    let status = STATUSES[usize::from(*status) % STATUSES.len()];
    let mut headers = HeaderMap::new();
    if !content_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    let status = StatusCode::from_u16(status).expect("a status");
    error_body::check(&Capture { status, headers, body: Bytes::copy_from_slice(body) });
}

/// The bodies of the payload pairs, under a Content-Type that is seldom their own.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (choice, pair) in (0_u8..).zip(data_files("problems", ".http").iter().take(250)) {
        let Some(capture) = Capture::parse(pair.clone()) else { continue };
        for content_type in [0, choice] {
            seeds.push([&[content_type, choice], &capture.body[..]].concat());
        }
    }
    seeds.retain(|seed| seed.len() <= TARGET.bytes_max);
    seeds
}
