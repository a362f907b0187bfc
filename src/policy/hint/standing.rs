//! What remains of an allowance, as headers of any answer state it.
//!
//! Successes come through here too, so the first question is cheap: is there such a header?

use std::time::{Duration, SystemTime};

use http::header::AGE;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Said, Throttled, Voice, now, said, text, unit, value};
use crate::policy::classify::Learned;

/// What an answer says about the allowance: it only ever lowers what we believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The allowance as the vendor states it; the slowest one of several.
    pub limit: Option<Learned>,
    /// Nothing remains, for this long.
    pub exhausted_for: Option<Duration>,
}

/// Items of a header's list that are looked at.
const ITEMS_MAX: usize = 16;

/// What the headers of an answer say about the allowance; `wall` is asked only when needed.
#[must_use]
pub fn standing(headers: &HeaderMap, wall: impl FnOnce() -> SystemTime) -> Option<Standing> {
    if !headers.keys().any(|name| speaks_of_rates(name.as_str())) {
        return None;
    }
    spelt_out(headers, wall())
}

/// Kept apart so that the hot path stays small.
#[cold]
fn spelt_out(headers: &HeaderMap, wall: SystemTime) -> Option<Standing> {
    let cached = text(headers, AGE).is_some_and(|age| age.trim() != "0");
    if cached {
        return None;
    }
    let exhausted = reset(headers, Throttled::No, now(headers, wall));
    let standing =
        Standing { limit: policy(headers), exhausted_for: exhausted.map(|said| said.span) };
    (standing.limit.is_some() || standing.exhausted_for.is_some()).then_some(standing)
}

/// Whether a header is one of the `RateLimit` family, in any vendor's spelling.
#[must_use]
pub fn speaks_of_rates(name: &str) -> bool {
    let name = name.as_bytes();
    let spelt = |at: &[u8]| at.starts_with(b"ratelimit") || at.starts_with(b"rate-limit");
    name.len() >= b"ratelimit".len()
        && matches!(name[0], b'r' | b'x' | b'a')
        && name.windows(4).enumerate().any(|(at, four)| four == b"rate" && spelt(&name[at..]))
}

/// The wait until something remains again: on a throttle any reset, else only an exhausted one.
pub(super) fn reset(headers: &HeaderMap, throttled: Throttled, now: SystemTime) -> Option<Said> {
    let draft = || draft_reset(text(headers, "ratelimit")?);
    let exhausted = || exhausted_reset(headers, now);
    let any = || match throttled {
        Throttled::Yes => any_reset(headers, now),
        Throttled::No => None,
    };
    said(draft(), Voice::RateLimit)
        .or_else(|| said(exhausted(), Voice::Reset))
        .or_else(|| said(any(), Voice::Reset))
}

/// `"default";r=0;t=30` of the drafts from 08 on, `limit=9, remaining=0, reset=30` of 07.
///
/// Only where nothing is left: a throttle with something left is about another bucket.
fn draft_reset(line: &str) -> Option<Duration> {
    let parameters = |item| split(item, ';').skip(1);
    let wait = |item| {
        let closed = parameters(item).find_map(|it| number(it, "r"))? == 0;
        let seconds = parameters(item).find_map(|it| number(it, "t"))?;
        if closed { value::legal(Duration::from_secs(seconds)) } else { None }
    };
    let newer = split(line, ',').take(ITEMS_MAX).filter_map(wait).max();
    newer.or_else(|| {
        let left = split(line, ',').take(ITEMS_MAX).find_map(|it| number(it, "remaining"))?;
        let closed = left == 0;
        let seconds = split(line, ',').take(ITEMS_MAX).find_map(|it| number(it, "reset"))?;
        if closed { value::legal(Duration::from_secs(seconds)) } else { None }
    })
}

/// The longest reset among the buckets of which nothing remains.
fn exhausted_reset(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let empty = headers.iter().filter(|(name, value)| {
        speaks_of_rates(name.as_str())
            && name.as_str().contains("remaining")
            && is_zero(value.as_bytes())
    });
    empty.filter_map(|(name, _)| bucket_reset(headers, name.as_str(), now)).max()
}

pub(super) fn is_zero(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|byte| *byte == b'0')
}

/// The reset of the bucket that this header says remains.
fn bucket_reset(headers: &HeaderMap, remaining: &str, now: SystemTime) -> Option<Duration> {
    let bucket = unit::bucket(remaining);
    let mut own = resets(headers).filter(|(name, _)| unit::bucket(name.as_str()) == bucket);
    own.find_map(|(name, value)| wait_of(name, value, now))
}

/// The longest reset of a bucket that does not say that something is left.
fn any_reset(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let open = resets(headers).filter(|(name, _)| !has_left(headers, name));
    open.filter_map(|(name, value)| wait_of(name, value, now)).max()
}

fn resets(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    let is_reset = |name: &str| speaks_of_rates(name) && name.contains("reset");
    headers.iter().filter(move |(name, _)| is_reset(name.as_str()))
}

fn wait_of(name: &HeaderName, value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    value::named(value.to_str().ok()?, unit::of_header(name.as_str()), now)
}

/// Whether the bucket of a reset says that something is left.
fn has_left(headers: &HeaderMap, reset: &HeaderName) -> bool {
    let bucket = unit::bucket(reset.as_str());
    headers.iter().any(|(name, left)| {
        let name = name.as_str();
        speaks_of_rates(name)
            && name.contains("remaining")
            && unit::bucket(name) == bucket
            && !is_zero(left.as_bytes())
    })
}

/// The slowest policy that counts requests: `RateLimit-Policy`, or `RateLimit-Limit` with a window.
fn policy(headers: &HeaderMap) -> Option<Learned> {
    let lines = ["ratelimit-policy", "ratelimit-limit", "x-ratelimit-limit"];
    let items = lines
        .iter()
        .filter_map(|name| text(headers, *name))
        .flat_map(|line| split(line, ',').take(ITEMS_MAX).filter_map(policy_item));
    items.min_by(|a, b| rate(a).total_cmp(&rate(b)))
}

/// `"burst";q=100;w=60` or `100;w=60`.
fn policy_item(item: &str) -> Option<Learned> {
    let mut parts = split(item, ';');
    let head = parts.next()?.trim();
    let other_unit = item.contains("qu=") && !item.contains("qu=\"request");
    if other_unit {
        return None;
    }
    let quota = split(item, ';').find_map(|it| number(it, "q")).or_else(|| head.parse().ok())?;
    let window = split(item, ';').find_map(|it| number(it, "w")).filter(|window| *window > 0)?;
    let window = value::legal(Duration::from_secs(window))?;
    u32::try_from(quota).ok().filter(|limit| *limit > 0).map(|limit| Learned { limit, window })
}

fn rate(learned: &Learned) -> f64 {
    f64::from(learned.limit) / learned.window.as_secs_f64()
}

/// `name=12` with a whole number.
fn number(parameter: &str, name: &str) -> Option<u64> {
    let (found, value) = parameter.split_once('=')?;
    if found.trim() == name { value.trim().parse().ok() } else { None }
}

/// The parts of a structured field; separators inside quotes do not count.
fn split(line: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// Limit and window, and the seconds of exhaustion.
    type Found = (Option<(u32, u64)>, Option<u64>);

    fn read(pairs: &[(&str, &str)]) -> Option<Found> {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let headers: HeaderMap = pairs.iter().map(pair).collect();
        let wall = || UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        standing(&headers, wall).map(|found| {
            let limit = found.limit.map(|it| (it.limit, it.window.as_secs()));
            (limit, found.exhausted_for.map(|span| span.as_secs()))
        })
    }

    #[test]
    fn ordinary_answers_have_no_standing() {
        assert_eq!(read(&[("content-type", "text/html"), ("retry-after", "3")]), None);
        assert_eq!(read(&[("x-ratelimit-remaining", "9"), ("x-ratelimit-reset", "3")]), None);
        assert_eq!(read(&[("ratelimit", "garbage;;;=,\"")]), None);
    }

    #[test]
    fn exhaustion_closes_until_its_own_reset() {
        let rows: [(&[(&str, &str)], u64); 6] = [
            (&[("ratelimit", "\"a\";r=5;t=9, \"b\";r=0;t=30")], 30),
            (&[("ratelimit", "limit=10, remaining=0, reset=7")], 7),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1767225641")], 41),
            (
                &[
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-reset-tokens", "6m0s"),
                    ("x-ratelimit-remaining-requests", "5"),
                    ("x-ratelimit-reset-requests", "9h"),
                ],
                360,
            ),
            (
                &[
                    ("anthropic-ratelimit-requests-remaining", "0"),
                    ("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:20Z"),
                ],
                20,
            ),
            (
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1767225641"),
                    ("date", "Thu, 01 Jan 2026 00:00:40 GMT"),
                ],
                1,
            ),
        ];
        for (headers, expected) in rows {
            assert_eq!(read(headers), Some((None, Some(expected))), "{headers:?}");
        }
    }

    #[test]
    fn the_slowest_policy_is_the_limit() {
        let rows = [
            ("ratelimit-policy", "\"burst\";q=100;w=60,\"daily\";q=1000;w=86400", (1000, 86_400)),
            ("ratelimit-limit", "100;w=21600", (100, 21_600)),
            ("ratelimit-policy", "100;w=60", (100, 60)),
            (
                "ratelimit-policy",
                "\"a,b;w=1\";q=7;w=60, \"x\";q=1;w=60;qu=\"content-bytes\"",
                (7, 60),
            ),
        ];
        for (name, value, expected) in rows {
            assert_eq!(read(&[(name, value)]), Some((Some(expected), None)), "{value}");
        }
    }

    #[test]
    fn a_cached_answer_says_nothing() {
        let stale = [("ratelimit", "\"a\";r=0;t=9"), ("age", "12")];
        assert_eq!(read(&stale), None);
    }
}
