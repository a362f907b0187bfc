//! What a response says about waiting and about the vendor's limits.
//!
//! | file | reads |
//! | --- | --- |
//! | `header` | `Retry-After` and its kin |
//! | `rate_limit` | the wait in reset headers |
//! | `standing` | what remains of which bucket, and pauses |
//! | `body` | members of a body that state a wait |
//! | `prose` | sentences that state a wait or a limit |
//! | `name`, `value`, `span` | one name, one value, one length of time |
//!
//! Nothing here decides whether to wait. Hints are hostile input: a value that no grammar covers,
//! or of more than 31 days, is ignored, and nothing panics.

mod body;
mod header;
mod name;
mod prose;
mod rate_limit;
mod span;
mod standing;
mod value;

use std::time::SystemTime;

use http::HeaderMap;
use serde_json::Value;

pub use header::{HintSource, WaitHint, wait_header};
pub(super) use prose::pattern;
pub use prose::{learned, without_links};
pub(super) use rate_limit::{ResetHeaders, exhausted};
pub use standing::standing;
pub use value::{WAIT_MAX, duration};

/// The wait that a response states, and the place where it does; of several the first in the order
/// of [`HintSource`]. Inside the body the longest counts, so that no call is made too early.
pub(super) fn wait(
    headers: &HeaderMap,
    tree: &Value,
    text: &str,
    reset_headers: ResetHeaders,
    wall: SystemTime,
) -> Option<(WaitHint, String)> {
    let now = header::now(headers, wall);
    let in_header = |(hint, name): (WaitHint, String)| (hint, format!("header {name}"));
    let in_body = || {
        let maintenance = prose::speaks_of_maintenance(text);
        let ends = if maintenance { body::Ends::StateWaits } else { body::Ends::Ignored };
        let member = body::wait(tree, reset_headers, ends, now).map(|(span, at)| {
            (WaitHint { span, source: HintSource::Body }, format!("member {at}"))
        });
        let sentence = prose::wait(text, now)
            .map(|span| (WaitHint { span, source: HintSource::Prose }, "the sentence".to_owned()));
        // The last of equals is the member.
        [sentence, member].into_iter().flatten().max_by_key(|(hint, _)| hint.span)
    };
    let made_for_it = wait_header(headers, wall).map(|hint| (hint, hint.header().to_owned()));
    made_for_it
        .or_else(|| rate_limit::reset(headers, reset_headers, now))
        .or_else(|| rate_limit::named_wait(headers, now))
        .map(in_header)
        .or_else(in_body)
}

/// Whether a response asks to return after a wait: in a header, the body or a sentence.
pub(super) fn asks_to_return(
    headers: &HeaderMap,
    tree: &Value,
    text: &str,
    wall: SystemTime,
) -> bool {
    let now = header::now(headers, wall);
    wait_header(headers, wall).is_some()
        || rate_limit::named_wait(headers, now).is_some()
        || body::wait(tree, ResetHeaders::Ignored, body::Ends::Ignored, now).is_some()
        || prose::wait(text, now).is_some()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use http::{HeaderName, HeaderValue, StatusCode};
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
        wait(headers, &Value::Null, "", reset_headers, wall())
            .map(|(hint, _)| hint.span.as_millis())
    }

    #[test]
    fn hints_have_an_order_of_precedence() {
        let mut all = headers(&[
            ("retry-after-ms", "1500"),
            ("retry-after", "2"),
            ("ratelimit", "\"a\";r=0;t=3"),
            ("x-ratelimit-reset", "4"),
        ]);
        let body = json!({ "error": { "retry_after": 5 } });
        let mut hints = Vec::new();
        for gone in ["retry-after-ms", "retry-after", "ratelimit", "x-ratelimit-reset", "-"] {
            let text = "try again in 4 seconds";
            let (hint, _) = wait(&all, &body, text, ResetHeaders::StateWaits, wall()).unwrap();
            hints.push((hint.span.as_millis(), hint.source));
            all.remove(gone);
        }
        assert_eq!(
            hints,
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

    proptest! {
        #[test]
        fn nothing_panics(
            name in 0_usize..8,
            bytes in proptest::collection::vec(32_u8..=255, 0..60),
            text in "(?s:.{0,120})",
        ) {
            let names = ["retry-after", "retry-after-ms", "ratelimit", "ratelimit-policy", "x-ratelimit-reset",
                "x-ratelimit-remaining", "date", "ratelimit-limit"];
            let mut map = headers(&[("x-ratelimit-remaining-a", "0")]);
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                map.insert(names[name], value);
            }
            let body = Value::String(text.clone());
            let found = wait(&map, &body, &text, ResetHeaders::StateWaits, wall());
            prop_assert!(found.is_none_or(|(hint, _)| hint.span <= WAIT_MAX));
            let head = ResponseHead { status: StatusCode::OK, headers: &map };
            let _ = (standing(head, wall()), learned(&text));
        }
    }
}
