//! The waits in rate-limit headers: when a bucket of which nothing remains is refilled.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::header::{HintSource, WaitHint, text};
use super::{name, value};
use crate::outcome::is_rate_limit_header;

pub(super) const ITEMS_MAX: usize = 16;

/// Whether reset headers state a wait, which they do only where the vendor refused too many calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResetHeaders {
    StateWaits,
    Ignored,
}

/// The header that says of a bucket with a name as wanted that nothing remains.
pub(crate) fn exhausted(headers: &HeaderMap, wanted: impl Fn(&str) -> bool) -> Option<String> {
    let lefts = headers.iter().map(|(name, value)| (name.as_str(), value));
    let mut lefts = lefts.filter(|(name, _)| names_rest(name) && wanted(name));
    let (name, left) = lefts.find(|(_, left)| is_spent(left.as_bytes()))?;
    Some(format!("{name}: {}", left.to_str().unwrap_or_default()))
}

/// Whether a header of an error says how much of a bucket remains, in any vendor's spelling.
fn names_rest(name: &str) -> bool {
    name.contains("remain") || counts(name) && (name.ends_with("-left") || name.ends_with("status"))
}

/// Whether a header is about what a vendor counts.
fn counts(name: &str) -> bool {
    is_rate_limit_header(name) || ["limit", "quota", "throttl"].iter().any(|it| name.contains(it))
}

/// Nothing, or less: `0`, `-1`, `0.0`, `name=rate-limit,0;` (IBM API Connect).
fn is_spent(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let value = value.strip_suffix(b";").unwrap_or(value);
    let value = match value.strip_prefix(b"name=") {
        Some(named) => named.rsplit(|byte| *byte == b',').next().unwrap_or_default(),
        None => value,
    };
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    let number = !digits.is_empty() && digits.iter().all(|it| it.is_ascii_digit() || *it == b'.');
    number && (digits.len() < value.len() || digits.iter().all(|it| matches!(it, b'0' | b'.')))
}

/// The headers that say how much of a bucket remains.
pub(super) fn remaining(headers: &HeaderMap) -> impl Iterator<Item = (&str, &HeaderValue)> {
    let named = headers.iter().map(|(name, value)| (name.as_str(), value));
    named.filter(|(name, _)| is_rate_limit_header(name) && name.contains("remaining"))
}

/// The wait until something remains again: for a throttled call any reset, else only that of an
/// exhausted bucket.
pub(super) fn reset(
    headers: &HeaderMap,
    reset_headers: ResetHeaders,
    now: SystemTime,
) -> Option<(WaitHint, String)> {
    if let Some(span) = text(headers, "ratelimit").and_then(draft_reset) {
        return Some((WaitHint { span, source: HintSource::RateLimit }, "ratelimit".to_owned()));
    }
    let lefts = || {
        let named = headers.iter().map(|(name, value)| (name.as_str(), value));
        named.filter(|(name, _)| names_rest(name))
    };
    let exhausted = lefts().filter(|(_, left)| is_spent(left.as_bytes()));
    let exhausted = exhausted.filter_map(|(name, _)| reset_of(headers, name, now)).max();
    let any = || {
        // A bucket that says that something remains is not the exhausted one.
        let has_left = |reset: &HeaderName| {
            let bucket = name::bucket(reset.as_str());
            let mut own = lefts().filter(|(name, _)| name::bucket(name) == bucket);
            own.any(|(_, left)| !is_spent(left.as_bytes()))
        };
        let open = resets(headers).filter(|(name, _)| !has_left(name));
        open.filter_map(|(name, value)| Some((wait_of(name, value, now)?, name.as_str()))).max()
    };
    let (span, name) = match reset_headers {
        ResetHeaders::StateWaits => exhausted.or_else(any),
        ResetHeaders::Ignored => exhausted,
    }?;
    Some((WaitHint { span, source: HintSource::Reset }, name.to_owned()))
}

/// The wait in a header of the vendor's own that is named like one: `x-acme-retry-in-seconds`.
pub(super) fn named_wait(headers: &HeaderMap, now: SystemTime) -> Option<(WaitHint, String)> {
    headers.iter().find_map(|(name, value)| {
        let text = value.to_str().ok().filter(|_| name.as_str() != "retry-after")?;
        let span = value::wait(text, name::of_wait_header(name.as_str())?, now)?;
        Some((WaitHint { span, source: HintSource::Reset }, name.as_str().to_owned()))
    })
}

/// `"default";r=0;t=30` of the IETF drafts from 08 on, `limit=9, remaining=0, reset=30` of 07.
///
/// Only where nothing remains: a throttle with something left is about another bucket.
fn draft_reset(line: &str) -> Option<Duration> {
    let wait = |left: u64, seconds: u64| {
        value::plausible(Duration::from_secs(seconds)).filter(|_| left == 0)
    };
    let items = || split(line, ',').take(ITEMS_MAX);
    let newer = items().filter_map(|item| {
        let parameter = |name| split(item, ';').skip(1).find_map(|it| number(it, name));
        wait(parameter("r")?, parameter("t")?)
    });
    newer.max().or_else(|| {
        let value = |name| items().find_map(|it| number(it, name));
        wait(value("remaining")?, value("reset")?)
    })
}

pub(super) fn is_zero(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|byte| *byte == b'0')
}

/// The reset of the bucket that a `remaining` header names.
pub(super) fn bucket_reset(
    headers: &HeaderMap,
    remaining: &str,
    now: SystemTime,
) -> Option<Duration> {
    reset_of(headers, remaining, now).map(|(span, _)| span)
}

/// The same, with the name of the header that states it.
fn reset_of<'h>(
    headers: &'h HeaderMap,
    remaining: &str,
    now: SystemTime,
) -> Option<(Duration, &'h str)> {
    let bucket = name::bucket(remaining);
    let mut own = resets(headers).filter(|(name, _)| name::bucket(name.as_str()) == bucket);
    own.find_map(|(name, value)| Some((wait_of(name, value, now)?, name.as_str())))
}

/// The reset headers, and vendors' own spellings of `Retry-After`
/// (`X-Rate-Limit-Retry-After-Seconds`).
fn resets(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    headers.iter().filter(|(name, _)| {
        let name = name.as_str();
        let rates = counts(name);
        let retry_after = name.contains("retry-after") && !name.contains("max");
        rates && name.contains("reset") || (rates || name.starts_with("x-")) && retry_after
    })
}

fn wait_of(name: &HeaderName, value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    value::wait(value.to_str().ok()?, name::of_header(name.as_str()), now)
}

/// `name=12` with a whole number.
pub(super) fn number(parameter: &str, name: &str) -> Option<u64> {
    let (found, value) = parameter.split_once('=')?;
    if found.trim() == name { value.trim().parse().ok() } else { None }
}

/// The parts of a structured field; separators inside quotes do not count.
pub(super) fn split(line: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
}
