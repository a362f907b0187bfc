//! Pages that no document mentions and both vendors have: echo, sizes, streams, ranges, encodings,
//! trailers, any status. They show whether somebody in between is really invisible.
//!
//! They ask for no credential. Times in their queries are the world's, not the vendor's.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, ETAG, IF_NONE_MATCH, RANGE,
    TRAILER,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::answer::{Answer, Content, Pieces};
use super::wordbee::Visit;

/// Bodies are made in pieces of this size.
const PIECE: usize = 64 * 1024;
/// The pattern of `/bytes/{n}`: byte `i` is `i % 251`, so that a shifted copy is seen.
const PATTERN: usize = 251;
/// Echo repeats a body up to this size.
const ECHO_BYTES_MAX: u64 = 16 * 1024;
/// Lines or events of a stream, at most.
const STREAM_MAX: u64 = 1_000_000;
/// The longest pause a query may ask for.
const PAUSE_MAX_MS: u64 = 600_000;

/// The page of this path, if it is one of these.
pub(super) fn answer(visit: Visit<'_>, target: &str) -> Option<Answer> {
    let parts: Vec<&str> = visit.path.split('/').skip(1).collect();
    match parts.as_slice() {
        ["echo"] => Some(echo(visit, target)),
        ["bytes", n] => n.parse().ok().map(|n| bytes(n, visit.headers)),
        ["stream", n] => n.parse().ok().map(|n| stream(n, visit.query)),
        ["events"] => Some(events(visit.query)),
        ["trailers"] => Some(trailers()),
        ["gzip"] => Some(gzip()),
        ["status", code] => StatusCode::from_bytes(code.as_bytes()).ok().map(bare_status),
        _ => None,
    }
}

fn echo(visit: Visit<'_>, target: &str) -> Answer {
    let headers: Vec<Value> = visit
        .headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let text = Some(visit.body).filter(|_| visit.body_len <= ECHO_BYTES_MAX);
    let seen = json!({
        "method": visit.method,
        "target": target,
        "headers": headers,
        "body_len": visit.body_len,
        "body_hash": format!("{:016x}", visit.body_hash),
        "body": text.and_then(|body| std::str::from_utf8(body).ok()),
    });
    Answer::json(StatusCode::OK, &seen)
}

/// Success codes bare; the caller words the others as its vendor would.
fn bare_status(status: StatusCode) -> Answer {
    let bodiless = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    if bodiless || status.is_informational() {
        return Answer::empty(status);
    }
    Answer::json(status, &json!({ "status": status.as_u16() }))
}

fn bytes(length: u64, headers: &HeaderMap) -> Answer {
    let tag = format!("\"bytes-{length}\"");
    if headers.get(IF_NONE_MATCH).is_some_and(|asked| asked.as_bytes() == tag.as_bytes()) {
        return Answer::empty(StatusCode::NOT_MODIFIED).text_header(ETAG, &tag);
    }
    let asked = headers.get(RANGE).and_then(|range| range.to_str().ok());
    let whole = || sized(StatusCode::OK, 0, length);
    let answer = match asked.map(|range| parse_range(range, length)) {
        None => whole(),
        Some(None) => Answer::empty(StatusCode::RANGE_NOT_SATISFIABLE)
            .text_header(CONTENT_RANGE, &format!("bytes */{length}")),
        Some(Some((first, last))) => sized(StatusCode::PARTIAL_CONTENT, first, last + 1 - first)
            .text_header(CONTENT_RANGE, &format!("bytes {first}-{last}/{length}")),
    };
    answer.text_header(ETAG, &tag).header(ACCEPT_RANGES, HeaderValue::from_static("bytes"))
}

/// First and last byte of a single range; nothing when it cannot be met.
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

fn sized(status: StatusCode, first: u64, length: u64) -> Answer {
    let mut answer = Answer::new(status, "application/octet-stream", Bytes::new());
    let pieces = pattern(first, length);
    let pause = Duration::ZERO;
    answer.body = Content::Pieces { pieces, pause, length: Some(length), trailers: None };
    answer
}

/// `length` bytes of the pattern from `first` on.
fn pattern(first: u64, length: u64) -> Pieces {
    let period = PATTERN as u64;
    let store: Bytes = (0..=u8::MAX).take(PATTERN).cycle().take(PIECE + PATTERN).collect();
    let mut next = first;
    let end = first.saturating_add(length);
    Box::new(move || {
        let size = usize::try_from(end - next).unwrap_or(PIECE).min(PIECE);
        let phase = usize::try_from(next % period).unwrap_or(0);
        next += size as u64;
        (size > 0).then(|| store.slice(phase..phase + size))
    })
}

fn stream(lines: u64, query: &str) -> Answer {
    let pause = Duration::from_millis(number(query, "ms=").unwrap_or(0));
    Answer::pieces("text/plain", counted(lines, |nth| format!("line {nth}\n")), pause)
}

fn events(query: &str) -> Answer {
    let pause = Duration::from_millis(number(query, "ms=").unwrap_or(10));
    let count = number(query, "n=").unwrap_or(5);
    let event = |nth| format!("id: {nth}\ndata: {{\"tick\":{nth}}}\n\n");
    Answer::pieces("text/event-stream", counted(count, event), pause)
        .header(CACHE_CONTROL, HeaderValue::from_static("no-cache"))
}

fn trailers() -> Answer {
    let mut answer =
        Answer::pieces("text/plain", counted(2, |nth| format!("part {nth}\n")), Duration::ZERO);
    let mut sent = HeaderMap::new();
    sent.insert(HeaderName::from_static("x-checksum"), HeaderValue::from_static("abc123"));
    if let Content::Pieces { trailers, .. } = &mut answer.body {
        *trailers = Some(sent);
    }
    answer.header(TRAILER, HeaderValue::from_static("x-checksum"))
}

fn gzip() -> Answer {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let written = encoder.write_all(br#"{"message":"this was compressed"}"#);
    let body = written.and_then(|()| encoder.finish()).unwrap_or_default();
    Answer::new(StatusCode::OK, "application/json", body)
        .header(CONTENT_ENCODING, HeaderValue::from_static("gzip"))
}

/// Texts numbered from 1.
fn counted(count: u64, text: impl Fn(u64) -> String + Send + Sync + 'static) -> Pieces {
    let mut numbers = 1..=count.min(STREAM_MAX);
    Box::new(move || numbers.next().map(|nth| Bytes::from(text(nth))))
}

/// A number in a query.
fn number(query: &str, name: &str) -> Option<u64> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name))?;
    value.parse().ok().map(|number: u64| number.min(PAUSE_MAX_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(mut pieces: Pieces) -> Vec<u8> {
        std::iter::from_fn(&mut pieces).flatten().collect()
    }

    #[test]
    fn any_part_of_the_pattern_is_that_part_of_the_whole() {
        let whole = joined(pattern(0, 200_000));
        assert!(whole.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % PATTERN));
        assert_eq!(joined(pattern(70_001, 90_000)), &whole[70_001..160_001]);
    }

    #[test]
    fn ranges_are_read() {
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
