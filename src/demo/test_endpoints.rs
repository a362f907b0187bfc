//! Endpoints of both vendors that test a proxy: echo, bodies of any size, streams, ranges, content
//! encoding, trailers, any status.
//!
//! They need no credential. Times in their queries are in real time.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, ETAG, IF_NONE_MATCH, RANGE,
    TRAILER,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::message::{BodyChunks, Content, EndpointRequest, VendorResponse};

const CHUNK_BYTES: usize = 64 * 1024;
/// Byte `i` of `/bytes/{n}` is `i % 251`. The period is a prime, so that a copy shifted by a whole
/// buffer differs.
const PATTERN_PERIOD: usize = 251;
/// Up to this size `/echo` includes the body in its response.
const ECHO_BYTES_MAX: u64 = 16 * 1024;
/// Lines or events of a stream.
const STREAM_ITEMS_MAX: u64 = 1_000_000;
/// The largest number a query may contain.
const QUERY_NUMBER_MAX: u64 = 600_000;

/// The response of the test endpoint at this path, if there is one.
pub(super) fn respond(request: EndpointRequest<'_>, target: &str) -> Option<VendorResponse> {
    let segments: Vec<&str> = request.path.split('/').skip(1).collect();
    match segments.as_slice() {
        ["echo"] => Some(echo(request, target)),
        ["bytes", n] => n.parse().ok().map(|n| bytes(n, request.headers)),
        ["stream", n] => n.parse().ok().map(|n| stream(n, request.query)),
        ["events"] => Some(events(request.query)),
        ["trailers"] => Some(trailers()),
        ["gzip"] => Some(gzip()),
        ["status", code] => StatusCode::from_bytes(code.as_bytes()).ok().map(status),
        _ => None,
    }
}

fn echo(request: EndpointRequest<'_>, target: &str) -> VendorResponse {
    let headers: Vec<Value> = request
        .headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let body = Some(request.body).filter(|_| request.body_len <= ECHO_BYTES_MAX);
    let echo = json!({
        "method": request.method,
        "target": target,
        "headers": headers,
        "body_len": request.body_len,
        "body_hash": format!("{:016x}", request.body_hash),
        "body": body.and_then(|body| std::str::from_utf8(body).ok()),
    });
    VendorResponse::json(StatusCode::OK, &echo)
}

/// Error statuses get the vendor's own error body from the caller.
fn status(status: StatusCode) -> VendorResponse {
    let bodiless = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    if bodiless || status.is_informational() {
        return VendorResponse::empty(status);
    }
    VendorResponse::json(status, &json!({ "status": status.as_u16() }))
}

fn bytes(length: u64, headers: &HeaderMap) -> VendorResponse {
    let tag = format!("\"bytes-{length}\"");
    if headers.get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes()) {
        return VendorResponse::empty(StatusCode::NOT_MODIFIED).text_header(ETAG, &tag);
    }
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
    let response = match range.map(|range| parse_range(range, length)) {
        None => slice_of_pattern(StatusCode::OK, 0, length),
        Some(None) => VendorResponse::empty(StatusCode::RANGE_NOT_SATISFIABLE)
            .text_header(CONTENT_RANGE, &format!("bytes */{length}")),
        Some(Some((first, last))) => {
            slice_of_pattern(StatusCode::PARTIAL_CONTENT, first, last + 1 - first)
                .text_header(CONTENT_RANGE, &format!("bytes {first}-{last}/{length}"))
        }
    };
    response.text_header(ETAG, &tag).header(ACCEPT_RANGES, HeaderValue::from_static("bytes"))
}

/// First and last byte of a single range; `None` when it cannot be satisfied.
fn parse_range(text: &str, length: u64) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let end = length.checked_sub(1)?;
    if first.is_empty() {
        let tail: u64 = last.parse().ok()?;
        return (tail > 0).then(|| (length.saturating_sub(tail), end));
    }
    let first: u64 = first.parse().ok()?;
    let last = if last.is_empty() { end } else { last.parse().ok()? };
    (first <= last && first <= end).then(|| (first, last.min(end)))
}

fn slice_of_pattern(status: StatusCode, first: u64, length: u64) -> VendorResponse {
    let mut response = VendorResponse::new(status, "application/octet-stream", Bytes::new());
    let (chunks, pause) = (pattern(first, length), Duration::ZERO);
    response.body = Content::Chunks { chunks, pause, length: Some(length), trailers: None };
    response
}

/// `length` bytes of the pattern from `first` on.
fn pattern(first: u64, length: u64) -> BodyChunks {
    let period = PATTERN_PERIOD as u64;
    let store: Bytes =
        (0..=u8::MAX).take(PATTERN_PERIOD).cycle().take(CHUNK_BYTES + PATTERN_PERIOD).collect();
    let mut next = first;
    let end = first.saturating_add(length);
    Box::new(move || {
        let size = usize::try_from(end - next).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let phase = usize::try_from(next % period).unwrap_or(0);
        next += size as u64;
        (size > 0).then(|| store.slice(phase..phase + size))
    })
}

fn stream(lines: u64, query: &str) -> VendorResponse {
    let pause = Duration::from_millis(number(query, "ms=").unwrap_or(0));
    VendorResponse::chunked("text/plain", numbered(lines, |nth| format!("line {nth}\n")), pause)
}

fn events(query: &str) -> VendorResponse {
    let pause = Duration::from_millis(number(query, "ms=").unwrap_or(10));
    let count = number(query, "n=").unwrap_or(5);
    let event = |nth| format!("id: {nth}\ndata: {{\"tick\":{nth}}}\n\n");
    VendorResponse::chunked("text/event-stream", numbered(count, event), pause)
        .header(CACHE_CONTROL, HeaderValue::from_static("no-cache"))
}

fn trailers() -> VendorResponse {
    let mut response = VendorResponse::chunked(
        "text/plain",
        numbered(2, |nth| format!("part {nth}\n")),
        Duration::ZERO,
    );
    let mut checksum = HeaderMap::new();
    checksum.insert(HeaderName::from_static("x-checksum"), HeaderValue::from_static("abc123"));
    if let Content::Chunks { trailers, .. } = &mut response.body {
        *trailers = Some(checksum);
    }
    response.header(TRAILER, HeaderValue::from_static("x-checksum"))
}

fn gzip() -> VendorResponse {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let written = encoder.write_all(br#"{"message":"this was compressed"}"#);
    let body = written.and_then(|()| encoder.finish()).unwrap_or_default();
    VendorResponse::new(StatusCode::OK, "application/json", body)
        .header(CONTENT_ENCODING, HeaderValue::from_static("gzip"))
}

/// `count` chunks made from the numbers 1, 2, …
fn numbered(count: u64, text: impl Fn(u64) -> String + Send + Sync + 'static) -> BodyChunks {
    let mut numbers = 1..=count.min(STREAM_ITEMS_MAX);
    Box::new(move || numbers.next().map(|nth| Bytes::from(text(nth))))
}

fn number(query: &str, name: &str) -> Option<u64> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name))?;
    value.parse().ok().map(|number: u64| number.min(QUERY_NUMBER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(mut chunks: BodyChunks) -> Vec<u8> {
        std::iter::from_fn(&mut chunks).flatten().collect()
    }

    #[test]
    fn a_slice_of_the_pattern_equals_that_part_of_the_whole() {
        let whole = joined(pattern(0, 200_000));
        assert!(
            whole.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % PATTERN_PERIOD)
        );
        assert_eq!(joined(pattern(70_001, 90_000)), &whole[70_001..160_001]);
    }

    #[test]
    fn ranges_are_parsed() {
        for (text, range) in [
            ("bytes=0-9", Some((0, 9))),
            ("bytes=90-", Some((90, 99))),
            ("bytes=-5", Some((95, 99))),
            ("bytes=50-500", Some((50, 99))),
            ("bytes=100-", None),
            ("bytes=9-3", None),
            ("lines=1-2", None),
        ] {
            assert_eq!(parse_range(text, 100), range, "{text}");
        }
    }
}
