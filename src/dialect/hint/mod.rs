//! What a response says about waiting and about the vendor's limits.
//!
//! Nothing here decides whether to wait. Hints are hostile input: a value that no grammar covers,
//! or of more than 31 days, is ignored, and nothing panics.

mod prose;
mod span;
mod standing;
mod unit;
mod value;

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use http::header::{AsHeaderName, DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName};
use regex::Regex;
use serde_json::Value;

use crate::dialect::document::pointer;
use crate::outcome::{LearnedLimit, is_rate_limit_header};

pub use prose::without_links;
pub use standing::standing;
pub use value::{WAIT_MAX, duration};

/// A wait that a response states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitHint {
    /// How long from now.
    pub span: Duration,
    pub source: HintSource,
}

/// Where a response states a wait; the first in this order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintSource {
    /// `retry-after-ms`, `x-ms-retry-after-ms`.
    Milliseconds,
    /// `Retry-After` as RFC 9110 defines it.
    RetryAfter,
    /// `Retry-After` with a value out of grammar whose meaning is clear all the same.
    LenientRetryAfter,
    /// `t` of `RateLimit`.
    RateLimit,
    /// A reset header of the vendor's own.
    Reset,
    /// A number in the body.
    Body,
    /// A sentence.
    Prose,
}

impl WaitHint {
    /// Whether the value is valid by the header's own grammar.
    pub(super) fn is_standard(self) -> bool {
        matches!(self.source, HintSource::Milliseconds | HintSource::RetryAfter)
    }
}

/// Whether reset headers state a wait, which they do only where the vendor refused too many calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetHeaders {
    StateWaits,
    Ignored,
}

/// What `x-should-retry` and its kin say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    Retry,
    Stop,
}

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const X_MS_RETRY_AFTER_MS: HeaderName = HeaderName::from_static("x-ms-retry-after-ms");
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const STRIPE_SHOULD_RETRY: HeaderName = HeaderName::from_static("stripe-should-retry");

/// The wait that a response states, in the order of precedence.
#[must_use]
pub fn wait(
    headers: &HeaderMap,
    body: (&Value, &str),
    reset_headers: ResetHeaders,
    wall: SystemTime,
) -> Option<WaitHint> {
    let (tree, text) = body;
    let now = now(headers, wall);
    retry_after(headers, wall)
        .or_else(|| standing::reset(headers, reset_headers, now))
        .or_else(|| hint(in_body(tree, reset_headers, now), HintSource::Body))
        .or_else(|| hint(prose::wait(text, now), HintSource::Prose))
}

/// The wait in a header made for it, which counts with any status.
#[must_use]
pub fn retry_after(headers: &HeaderMap, wall: SystemTime) -> Option<WaitHint> {
    if let Some(span) = precise(headers) {
        return Some(WaitHint { span, source: HintSource::Milliseconds });
    }
    let (stated, now) = (sole(headers, RETRY_AFTER)?, now(headers, wall));
    hint(value::strict_retry_after(stated.trim(), now), HintSource::RetryAfter)
        .or_else(|| hint(value::lenient_retry_after(stated, now), HintSource::LenientRetryAfter))
}

/// Whether a response asks to return after a stated wait: in a header, the body or a sentence.
#[must_use]
pub fn asks_to_return(headers: &HeaderMap, body: (&Value, &str), wall: SystemTime) -> bool {
    let (tree, text) = body;
    let now = now(headers, wall);
    retry_after(headers, wall).is_some()
        || in_body(tree, ResetHeaders::Ignored, now).is_some()
        || prose::wait(text, now).is_some()
}

/// Whether an answer says of some bucket that nothing remains.
#[must_use]
pub fn nothing_remains(headers: &HeaderMap) -> bool {
    headers.iter().any(|(name, left)| {
        let name = name.as_str();
        is_rate_limit_header(name)
            && name.contains("remaining")
            && standing::is_zero(left.as_bytes())
    })
}

/// What the answer advises about retrying at all.
#[must_use]
pub fn advice(headers: &HeaderMap) -> Option<Advice> {
    let names = [X_SHOULD_RETRY, STRIPE_SHOULD_RETRY];
    match names.iter().find_map(|name| text(headers, name))?.trim() {
        "true" => Some(Advice::Retry),
        "false" => Some(Advice::Stop),
        _ => None,
    }
}

/// The allowance that a sentence names: "Maximum allowed 1000 per 01:00:00" (W17).
#[must_use]
pub fn learned(sentence: &str) -> Option<LearnedLimit> {
    let found = ALLOWANCE.captures(sentence)?;
    let limit = found[1].parse().ok().filter(|limit| *limit > 0)?;
    let window = span::time_span(&found[2]).and_then(value::legal)?;
    Some(LearnedLimit { limit, window })
}

/// The vendor's own now, if it states one: absolute moments are measured against it.
fn now(headers: &HeaderMap, wall: SystemTime) -> SystemTime {
    text(headers, DATE).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(wall)
}

fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The one value of a header; lines that differ contradict each other, and say nothing.
fn sole(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    if lines.all(|line| line == first) { first.to_str().ok() } else { None }
}

/// The wait in milliseconds.
fn precise(headers: &HeaderMap) -> Option<Duration> {
    let names = [RETRY_AFTER_MS, X_MS_RETRY_AFTER_MS];
    names.iter().find_map(|name| value::milliseconds(sole(headers, name)?))
}

fn hint(span: Option<Duration>, source: HintSource) -> Option<WaitHint> {
    span.map(|span| WaitHint { span, source })
}

/// Values of a body that are looked at for a wait; bodies are hostile.
const VALUES_MAX: usize = 2_000;
/// Members deeper than this are not looked at.
const DEPTH_MAX: usize = 8;

/// Characters of a member's value; longer ones are sentences.
const MEMBER_CHARS_MAX: usize = 40;

fn in_body(tree: &Value, reset_headers: ResetHeaders, now: SystemTime) -> Option<Duration> {
    let mut search = Search { values_left: VALUES_MAX, reset_headers, now };
    search.look(tree, DEPTH_MAX).or_else(|| query_cost(tree))
}

struct Search {
    values_left: usize,
    reset_headers: ResetHeaders,
    now: SystemTime,
}

impl Search {
    fn look(&mut self, value: &Value, depth_left: usize) -> Option<Duration> {
        self.values_left = self.values_left.checked_sub(1)?;
        let depth_left = depth_left.checked_sub(1)?;
        match value {
            Value::Object(members) => {
                let own = members.iter().find_map(|(name, value)| self.member(name, value));
                own.or_else(|| members.values().find_map(|value| self.look(value, depth_left)))
            }
            Value::Array(items) => items.iter().find_map(|item| self.look(item, depth_left)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }

    /// A member whose name says that it is a wait.
    fn member(&self, name: &str, value: &Value) -> Option<Duration> {
        let text = match value {
            Value::String(text) if text.len() <= MEMBER_CHARS_MAX => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::String(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Array(_)
            | Value::Object(_) => {
                return None;
            }
        };
        let (event, named) = unit::of_member(name)?;
        let believed =
            event == unit::Event::Retry || self.reset_headers == ResetHeaders::StateWaits;
        if believed { value::named(&text, named, self.now) } else { None }
    }
}

/// GraphQL cost accounts: what is missing, at the rate it comes back.
fn query_cost(tree: &Value) -> Option<Duration> {
    let cost = pointer::at(tree, "/extensions/cost")?;
    let requested = cost.get("requestedQueryCost")?.as_f64()?;
    let status = cost.get("throttleStatus")?;
    let available = status.get("currentlyAvailable")?.as_f64()?;
    let rate = status.get("restoreRate")?.as_f64().filter(|rate| *rate > 0.0)?;
    value::legal(Duration::try_from_secs_f64(((requested - available) / rate).max(0.0)).ok()?)
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is a constant that a test compiles")
}

static ALLOWANCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)maximum allowed (\d{1,9}) per ((?:\d{1,5}\.)?\d{1,2}:\d{2}:\d{2})(?:\D|$)")
});

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::{HeaderValue, StatusCode};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::outcome::ResponseHead;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn wall() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_767_225_600)
    }

    fn millis(headers: &HeaderMap, reset_headers: ResetHeaders) -> Option<u128> {
        wait(headers, (&Value::Null, ""), reset_headers, wall()).map(|hint| hint.span.as_millis())
    }

    #[test]
    fn the_first_voice_is_believed() {
        let mut all = headers(&[
            ("retry-after-ms", "1500"),
            ("retry-after", "2"),
            ("ratelimit", "\"a\";r=0;t=3"),
            ("x-ratelimit-reset", "4"),
        ]);
        let body = json!({ "error": { "retry_after": 5 } });
        let mut voices = Vec::new();
        for gone in ["retry-after-ms", "retry-after", "ratelimit", "x-ratelimit-reset", "-"] {
            let said =
                wait(&all, (&body, "try again in 6 seconds"), ResetHeaders::StateWaits, wall());
            voices.push(said.map(|said| (said.span.as_millis(), said.source)).unwrap());
            all.remove(gone);
        }
        assert_eq!(
            voices,
            [
                (1500, HintSource::Milliseconds),
                (2000, HintSource::RetryAfter),
                (3000, HintSource::RateLimit),
                (4000, HintSource::Reset),
                (5000, HintSource::Body),
            ]
        );
    }

    #[test]
    fn a_reset_without_exhaustion_means_nothing() {
        let plenty = headers(&[("x-ratelimit-remaining", "9"), ("x-ratelimit-reset", "30")]);
        assert_eq!(millis(&plenty, ResetHeaders::Ignored), None);
        assert_eq!(millis(&plenty, ResetHeaders::StateWaits), None);
        let silent = headers(&[("x-ratelimit-reset", "30")]);
        assert_eq!(millis(&silent, ResetHeaders::StateWaits), Some(30_000));
        let none = headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "30")]);
        assert_eq!(millis(&none, ResetHeaders::Ignored), Some(30_000));
        let draft = headers(&[("ratelimit", "\"a\";r=4;t=30")]);
        assert_eq!(millis(&draft, ResetHeaders::Ignored), None);
    }

    #[test]
    fn bodies_state_waits_under_many_names() {
        let rows = [
            (json!({ "retry_after": 1.5, "global": false }), 1500),
            (json!({ "parameters": { "retry_after": 134 } }), 134_000),
            (json!({ "details": { "retryAfterSeconds": 7 } }), 7_000),
            (json!({ "error": { "details": [{ "@type": "x", "retryDelay": "34.5s" }] } }), 34_500),
            (json!({ "retry_after_ms": "250" }), 250),
            (
                json!({ "extensions": { "cost": { "requestedQueryCost": 100, "throttleStatus":
                { "currentlyAvailable": 50, "restoreRate": 50.0 } } } }),
                1_000,
            ),
        ];
        for (body, expected) in rows {
            let found = in_body(&body, ResetHeaders::StateWaits, wall());
            assert_eq!(found.unwrap().as_millis(), expected, "{body}");
        }
        let none = json!({ "retry_after": "never", "retries": 3 });
        assert_eq!(in_body(&none, ResetHeaders::StateWaits, wall()), None);
    }

    #[test]
    fn sentences_state_waits() {
        let rows = [
            ("Too Many Requests: retry after 134", Some(134_000)),
            ("Rate limit is exceeded. Try again in 57 seconds.", Some(57_000)),
            ("Please try again after '372' seconds.", Some(372_000)),
            ("Expected available in 831.0 seconds.", Some(831_000)),
            ("Your quota resets in 16 seconds", Some(16_000)),
            ("Retry after 2026-01-01T00:00:30Z", Some(30_000)),
            (
                "User-rate limit exceeded.  Retry after 2026-01-01T00:01:00.500Z (Mail sending)",
                Some(60_500),
            ),
            ("Please try again in 6m0s.", Some(360_000)),
            ("Please try again in 370ms. Visit x", Some(370)),
            ("Requests blocked for 00:05:00. Maximum allowed 5 per 00:00:01.", Some(300_000)),
            ("Quota will be replenished in 00:12:00.", Some(720_000)),
            ("Requests throttled. Maximum allowed 1000 per 01:00:00.", None),
            ("You may retry 3 times", None),
            ("retry after 99999999999999999999999", None),
            ("try again in 400 days", None),
        ];
        for (sentence, expected) in rows {
            let found = prose::wait(sentence, wall()).map(|span| span.as_millis());
            assert_eq!(found, expected, "{sentence}");
        }
    }

    #[test]
    fn the_maximum_allowed_is_learned() {
        let rows = [
            ("Requests throttled. Maximum allowed 1000 per 01:00:00.", Some((1000, 3600))),
            ("Maximum allowed 10 per 00:00:01", Some((10, 1))),
            ("maximum allowed 5 per 1.00:00:00.", Some((5, 86_400))),
            ("Maximum allowed 0 per 01:00:00", None),
            ("Maximum allowed 5 per 00:00:00", None),
            ("Maximum allowed 9999999999 per 01:00:00", None),
            ("Maximum allowed 5 per hour", None),
        ];
        for (sentence, expected) in rows {
            let found = learned(sentence).map(|it| (it.limit, it.window.as_secs()));
            assert_eq!(found, expected, "{sentence}");
        }
    }

    #[test]
    fn advice_is_read() {
        assert_eq!(advice(&headers(&[("stripe-should-retry", "false")])), Some(Advice::Stop));
        assert_eq!(advice(&headers(&[("x-should-retry", "true")])), Some(Advice::Retry));
        assert_eq!(advice(&headers(&[("x-should-retry", "perhaps")])), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(
            name in 0_usize..9,
            bytes in proptest::collection::vec(32_u8..=255, 0..60),
            text in "(?s:.{0,120})",
        ) {
            let names = ["retry-after", "retry-after-ms", "ratelimit", "ratelimit-policy", "x-ratelimit-reset",
                "x-ratelimit-remaining", "date", "ratelimit-limit", "x-should-retry"];
            let mut map = headers(&[("x-ratelimit-remaining-a", "0")]);
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                map.insert(names[name], value);
            }
            let found = wait(&map, (&Value::String(text.clone()), &text), ResetHeaders::StateWaits, wall());
            prop_assert!(found.is_none_or(|said| said.span <= WAIT_MAX));
            let head = ResponseHead { status: StatusCode::OK, headers: &map };
            let _ = (standing(head, wall()), learned(&text), advice(&map));
        }
    }
}
