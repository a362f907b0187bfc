//! What the head of any response says about the vendor's limits: what remains of which bucket, when
//! it is refilled, and whether the vendor asks for a pause.

use std::time::{Duration, SystemTime};

use http::header::AGE;
use http::{HeaderMap, StatusCode};

use super::header::{now, text, wait_header};
use super::rate_limit::{ITEMS_MAX, bucket_reset, is_zero, number, remaining, split};
use super::value;
use crate::outcome::{
    Basis, Bucket, FULL_PACE, HoldCause, HoldOrder, HoldScope, ResponseHead, Standing, Wait,
    is_rate_limit_header,
};

const BUCKETS_MAX: usize = 32;

/// `None` for a head without rate-limit headers, and for a cached response.
///
/// The gateway asks only for heads in which it has seen such a header, so the passing path of most
/// successes does not come here.
#[must_use]
#[cold]
pub fn standing(head: ResponseHead<'_>, wall: SystemTime) -> Option<Standing> {
    let headers = head.headers;
    let cached = text(headers, AGE).is_some_and(|age| age.trim() != "0");
    if cached || !headers.keys().any(|name| is_rate_limit_header(name.as_str())) {
        return None;
    }
    let buckets = buckets(headers, wall);
    let pause = pause(head, wall);
    (!buckets.is_empty() || pause.is_some()).then_some(Standing { buckets, pause })
}

/// The pause that a vendor asks for while it still serves: `Retry-After` beside rate-limit headers.
///
/// Without them, and on a redirect, `Retry-After` is about that operation only. The same holds for
/// a 202 whose rate-limit headers say that something is left, because some vendors send those with
/// every response.
fn pause(head: ResponseHead<'_>, wall: SystemTime) -> Option<HoldOrder> {
    let hint = wait_header(head.headers, wall).filter(|_| head.status.is_success())?;
    let of_operation = head.status == StatusCode::ACCEPTED
        && remaining(head.headers).any(|(_, left)| !is_zero(left.as_bytes()));
    (!of_operation).then_some(HoldOrder {
        scope: HoldScope::Allowance,
        cause: HoldCause::Pause,
        length: Some(Wait { span: hint.span, basis: Basis::Upstream }),
        at_least: Duration::ZERO,
        slow_sixteenths: FULL_PACE,
    })
}

fn buckets(headers: &HeaderMap, wall: SystemTime) -> Vec<Bucket> {
    let policies: Vec<_> = policies(headers).collect();
    let now = now(headers, wall);
    let mut buckets = Vec::new();
    for line in headers.get_all("ratelimit").iter().filter_map(|line| line.to_str().ok()) {
        let items = split(line, ',').take(ITEMS_MAX);
        buckets.extend(items.filter_map(|item| draft_item(item, &policies)));
        buckets.extend(draft_07(line, &policies));
    }
    for (name, value) in remaining(headers) {
        if let Some(left) = value.to_str().ok().and_then(whole) {
            buckets.extend(own_bucket(headers, (name, left), &policies, now));
        }
    }
    for policy in policies.iter().filter(|policy| policy.unit == Unit::Requests) {
        let known = buckets.iter().any(|bucket| bucket.window == Some(policy.window));
        if !known {
            let (limit, window) = (Some(policy.limit), Some(policy.window));
            buckets.push(Bucket { limit, window, ..Bucket::default() });
        }
    }
    buckets.truncate(BUCKETS_MAX);
    buckets.sort_by_key(|bucket| bucket.remaining == Some(0));
    buckets
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Requests,
    Other,
}

/// One item of `RateLimit-Policy`.
#[derive(Clone, Copy, Debug)]
struct Policy<'a> {
    /// The name, or the quota that stands in its place.
    name: &'a str,
    limit: u32,
    window: Duration,
    unit: Unit,
}

/// The items of `RateLimit-Policy`, or of `RateLimit-Limit` with a window.
fn policies(headers: &HeaderMap) -> impl Iterator<Item = Policy<'_>> {
    let names = ["ratelimit-policy", "ratelimit-limit", "x-ratelimit-limit", "x-ratelimit-policy"];
    let lines = names.into_iter().flat_map(|name| headers.get_all(name));
    let lines = lines.filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| split(line, ',').take(ITEMS_MAX).filter_map(policy))
}

/// `"burst";q=100;w=60` or `100;w=60`.
fn policy(item: &str) -> Option<Policy<'_>> {
    let name = split(item, ';').next()?.trim();
    let other_unit = item.contains("qu=") && !item.contains("qu=\"request");
    let unit = if other_unit { Unit::Other } else { Unit::Requests };
    let quota = split(item, ';').find_map(|it| number(it, "q")).or_else(|| name.parse().ok())?;
    let window = split(item, ';').find_map(|it| number(it, "w")).filter(|window| *window > 0)?;
    let window = value::plausible(Duration::from_secs(window))?;
    let limit = u32::try_from(quota).ok().filter(|limit| *limit > 0)?;
    Some(Policy { name, limit, window, unit })
}

/// `"default";r=0;t=30` of the IETF drafts from 08 on.
fn draft_item(item: &str, policies: &[Policy<'_>]) -> Option<Bucket> {
    let name = split(item, ';').next()?.trim();
    let left = split(item, ';').skip(1).find_map(|it| number(it, "r"))?;
    let reset = split(item, ';').skip(1).find_map(|it| number(it, "t"));
    let named = policies.iter().find(|policy| policy.name == name);
    let policy = named.or_else(|| policies.first().filter(|_| policies.len() == 1));
    bucket(left, seconds(reset), policy, None)
}

/// `limit=9, remaining=0, reset=30` of draft 07.
fn draft_07(line: &str, policies: &[Policy<'_>]) -> Option<Bucket> {
    let value = |name| split(line, ',').take(ITEMS_MAX).find_map(|it| number(it, name));
    let limit = value("limit").and_then(|limit| u32::try_from(limit).ok());
    bucket(value("remaining")?, seconds(value("reset")), of_limit(policies, limit), limit)
}

/// A bucket in the vendor's own headers, identified by the one that says what remains.
fn own_bucket(
    headers: &HeaderMap,
    (name, left): (&str, u64),
    policies: &[Policy<'_>],
    now: SystemTime,
) -> Option<Bucket> {
    let counts_requests = !OTHER_UNITS.iter().any(|unit| name.contains(unit));
    if !counts_requests && left > 0 {
        return None;
    }
    let limit = text(headers, name.replacen("remaining", "limit", 1).as_str());
    let limit = limit.and_then(|limit| whole(split(limit, ',').next()?));
    let limit = limit.and_then(|limit| u32::try_from(limit).ok());
    let found = bucket(left, bucket_reset(headers, name, now), of_limit(policies, limit), limit)?;
    if !counts_requests {
        return Some(Bucket { limit: None, window: None, ..found });
    }
    // The name may say the window: `x-ratelimit-remaining-minute`.
    let named = || {
        name.split('-').find_map(|word| match word {
            "second" => Some(1),
            "minute" => Some(60),
            "hour" | "hourly" => Some(3_600),
            "day" | "daily" => Some(86_400),
            _ => None,
        })
    };
    let window = found.window.or_else(|| named().map(Duration::from_secs));
    Some(Bucket { window, ..found })
}

/// Parts of a header's name that say that it counts something else than requests.
const OTHER_UNITS: [&str; 7] = ["token", "byte", "char", "credit", "point", "cost", "unit"];

fn bucket(
    left: u64,
    reset: Option<Duration>,
    policy: Option<&Policy<'_>>,
    limit: Option<u32>,
) -> Option<Bucket> {
    let remaining = Some(u32::try_from(left).unwrap_or(u32::MAX));
    match policy {
        Some(policy) if policy.unit == Unit::Other && left > 0 => None,
        Some(policy) if policy.unit == Unit::Other => {
            Some(Bucket { limit: None, window: None, remaining, reset })
        }
        Some(policy) => {
            let (limit, window) = (Some(policy.limit), Some(policy.window));
            Some(Bucket { limit, window, remaining, reset })
        }
        None => Some(Bucket { limit, window: None, remaining, reset }),
    }
}

/// The policy of a bucket that names none: the only one, or the one with its limit.
fn of_limit<'a>(policies: &'a [Policy<'a>], limit: Option<u32>) -> Option<&'a Policy<'a>> {
    match policies {
        [only] if limit.is_none_or(|limit| limit == only.limit) => Some(only),
        several => several.iter().find(|policy| Some(policy.limit) == limit),
    }
}

/// A whole number, or one with decimals, rounded down.
fn whole(text: &str) -> Option<u64> {
    let digits = text.trim().split('.').next()?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { Some(digits.parse().unwrap_or(u64::MAX)) } else { None }
}

fn seconds(number: Option<u64>) -> Option<Duration> {
    value::plausible(Duration::from_secs(number?))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::{HeaderName, HeaderValue};

    use super::*;

    type Found = (Option<u32>, Option<u64>, Option<u32>, Option<u64>);

    fn read(pairs: &[(&str, &str)]) -> Vec<Found> {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let headers: HeaderMap = pairs.iter().map(pair).collect();
        let wall = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let head = ResponseHead { status: StatusCode::OK, headers: &headers };
        let buckets = standing(head, wall).map(|found| found.buckets).unwrap_or_default();
        let seconds = |span: Option<Duration>| span.map(|span| span.as_secs());
        let found = |it: Bucket| (it.limit, seconds(it.window), it.remaining, seconds(it.reset));
        buckets.into_iter().map(found).collect()
    }

    #[test]
    fn heads_without_usable_rate_limit_headers_have_no_standing() {
        assert_eq!(read(&[("content-type", "text/html"), ("retry-after", "3")]), []);
        assert_eq!(read(&[("ratelimit", "garbage;;;=,\"")]), []);
        assert_eq!(read(&[("x-ratelimit-remaining", "some"), ("x-ratelimit-reset", "3")]), []);
        assert_eq!(read(&[("x-ratelimit-reset", "3")]), [], "a reset alone means nothing");
    }

    #[test]
    fn remaining_calls_are_read_in_every_spelling() {
        let rows: [(&[(&str, &str)], Found); 9] = [
            (
                &[("ratelimit", "limit=10, remaining=0, reset=7")],
                (Some(10), None, Some(0), Some(7)),
            ),
            (
                &[("ratelimit", "limit=10, remaining=4, reset=7"), ("ratelimit-policy", "10;w=60")],
                (Some(10), Some(60), Some(4), Some(7)),
            ),
            (
                &[("ratelimit", "\"a\";r=4;t=7"), ("ratelimit-policy", "\"a\";q=10;w=60")],
                (Some(10), Some(60), Some(4), Some(7)),
            ),
            (
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1767225641")],
                (None, None, Some(0), Some(41)),
            ),
            (
                &[("x-ratelimit-limit", "60"), ("x-ratelimit-remaining", "12")],
                (Some(60), None, Some(12), None),
            ),
            (
                &[("x-ratelimit-limit-minute", "5"), ("x-ratelimit-remaining-minute", "4")],
                (Some(5), Some(60), Some(4), None),
            ),
            (
                &[("ratelimit-limit", "100, 100;w=60"), ("ratelimit-remaining", "3.0")],
                (Some(100), Some(60), Some(3), None),
            ),
            (
                &[
                    ("anthropic-ratelimit-requests-limit", "50"),
                    ("anthropic-ratelimit-requests-remaining", "0"),
                    ("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:20Z"),
                ],
                (Some(50), None, Some(0), Some(20)),
            ),
            (
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1767225641"),
                    ("date", "Thu, 01 Jan 2026 00:00:40 GMT"),
                ],
                (None, None, Some(0), Some(1)),
            ),
        ];
        for (headers, expected) in rows {
            assert_eq!(read(headers), [expected], "{headers:?}");
        }
    }

    #[test]
    fn buckets_are_kept_apart_and_exhausted_ones_come_last() {
        let two = [
            ("ratelimit", "\"b\";r=0;t=30, \"a\";r=5;t=9"),
            ("ratelimit-policy", "\"a\";q=10;w=60, \"b\";q=1000;w=3600, \"c\";q=9;w=1"),
        ];
        let expected = [
            (Some(10), Some(60), Some(5), Some(9)),
            (Some(9), Some(1), None, None),
            (Some(1000), Some(3600), Some(0), Some(30)),
        ];
        assert_eq!(read(&two), expected);
    }

    #[test]
    fn buckets_of_other_units_count_only_when_exhausted() {
        let tokens = |left| {
            read(&[
                ("x-ratelimit-limit-tokens", "1000"),
                ("x-ratelimit-remaining-tokens", left),
                ("x-ratelimit-reset-tokens", "6m0s"),
            ])
        };
        assert_eq!(tokens("7"), []);
        assert_eq!(tokens("0"), [(None, None, Some(0), Some(360))]);
        let bytes = |left| {
            let line = format!("\"x\";r={left};t=9");
            read(&[
                ("ratelimit", &line),
                ("ratelimit-policy", "\"x\";q=1;w=60;qu=\"content-bytes\""),
            ])
        };
        assert_eq!(bytes(1), []);
        assert_eq!(bytes(0), [(None, None, Some(0), Some(9))]);
    }

    #[test]
    fn policies_become_buckets_with_their_windows() {
        let two: &[_] = &[(100, 60), (1000, 86_400)];
        let other_unit = "\"a,b;w=1\";q=7;w=60, \"x\";q=1;w=60;qu=\"content-bytes\"";
        let rows = [
            ("ratelimit-policy", "\"burst\";q=100;w=60,\"daily\";q=1000;w=86400", two),
            ("ratelimit-limit", "100;w=21600", &[(100, 21_600)]),
            ("ratelimit-policy", "100;w=60", &[(100, 60)]),
            ("ratelimit-policy", other_unit, &[(7, 60)]),
        ];
        for (name, value, expected) in rows {
            let expected: Vec<Found> = expected
                .iter()
                .map(|(limit, window)| (Some(*limit), Some(*window), None, None))
                .collect();
            assert_eq!(read(&[(name, value)]), expected, "{value}");
        }
    }

    #[test]
    fn a_cached_response_has_no_standing() {
        let stale = [("ratelimit", "\"a\";r=0;t=9"), ("age", "12")];
        assert_eq!(read(&stale), []);
    }
}
