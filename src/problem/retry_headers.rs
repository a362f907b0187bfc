//! What SDKs read of an error before they send a request again: `Retry-After`, the same in
//! milliseconds, and whether to retry at all.
//!
//! The vendor's word on retrying passes. Where it said nothing, we advise against a retry if ours
//! are used up or forbidden, so that the two do not multiply.

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Problem;
use crate::outcome::{Advice, Code, StoppedBy, X_SHOULD_RETRY};

/// Read before `Retry-After` by Azure's SDKs and those that Stainless generates.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// An older name of the same, which is replaced where the vendor sends it.
const X_MS_RETRY_AFTER_MS: HeaderName = HeaderName::from_static("x-ms-retry-after-ms");

/// A longer wait is ignored by SDKs, which then return after their own short backoff.
const HEEDED_SECONDS_MAX: u64 = 60;

/// Adds them to the headers of a problem, which hold those of the vendor's response.
pub fn add_retry_headers(headers: &mut HeaderMap, problem: &Problem) {
    let millis = problem.retry_after.map(|wait| HeaderValue::from(wait.millis));
    if headers.remove(X_MS_RETRY_AFTER_MS).is_some()
        && let Some(millis) = &millis
    {
        headers.insert(X_MS_RETRY_AFTER_MS, millis.clone());
    }
    headers.remove(RETRY_AFTER_MS);
    headers.remove(RETRY_AFTER);
    if let (Some(wait), Some(millis)) = (problem.retry_after, millis) {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.seconds));
        headers.insert(RETRY_AFTER_MS, millis);
    }
    let vendors = Advice::of(headers);
    for name in Advice::HEADERS {
        if headers.remove(&name).is_some()
            && let Some(advice) = vendors
        {
            headers.insert(name, advice.value());
        }
    }
    if vendors.is_none() && discourages_retry(problem) {
        headers.insert(X_SHOULD_RETRY, Advice::Stop.value());
    }
}

/// Whether a retry of the client's would only repeat ours, be unsafe, or come too early.
fn discourages_retry(problem: &Problem) -> bool {
    let stopped = match problem.stopped_by {
        Some(
            StoppedBy::Final
            | StoppedBy::Method
            | StoppedBy::Body
            | StoppedBy::Budget
            | StoppedBy::Attempts,
        ) => true,
        Some(StoppedBy::Patience | StoppedBy::Client) => false,
        None => !problem.retryable,
    };
    let too_long = match problem.retry_after {
        Some(wait) => HEEDED_SECONDS_MAX < wait.seconds,
        // An operator's pause that ends when it is resumed.
        None => problem.code == Code::Paused,
    };
    stopped || too_long
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Basis;
    use crate::problem::{CallContext, Occurrence, RetryAfter, gateway_problem};

    fn problem(stopped_by: Option<StoppedBy>, millis: Option<u64>) -> Problem {
        let occurrence = Occurrence::default();
        let problem = gateway_problem(Code::UpstreamError, &CallContext::default(), &occurrence);
        let wait = |millis: u64| RetryAfter {
            seconds: millis.div_ceil(1_000),
            millis,
            basis: Basis::Upstream,
        };
        Problem { stopped_by, retry_after: millis.map(wait), retryable: true, ..problem }
    }

    fn sent(problem: &Problem, vendor: &[(&'static str, &'static str)]) -> Vec<String> {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut headers: HeaderMap = vendor.iter().map(line).collect();
        add_retry_headers(&mut headers, problem);
        let lines =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let mut lines: Vec<_> = lines.collect();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn a_retry_is_discouraged_where_ours_are_used_up_or_forbidden() {
        let rows = [
            (Some(StoppedBy::Final), true),
            (Some(StoppedBy::Method), true),
            (Some(StoppedBy::Body), true),
            (Some(StoppedBy::Budget), true),
            (Some(StoppedBy::Attempts), true),
            (Some(StoppedBy::Patience), false),
            (Some(StoppedBy::Client), false),
            (None, false),
        ];
        for (stopped_by, discouraged) in rows {
            let expected: &[&str] = if discouraged { &["x-should-retry: false"] } else { &[] };
            assert_eq!(sent(&problem(stopped_by, None), &[]), expected, "{stopped_by:?}");
        }
        let unsent = Problem { retryable: false, ..problem(None, None) };
        assert_eq!(sent(&unsent, &[]), ["x-should-retry: false"]);
    }

    #[test]
    fn a_wait_that_sdks_ignore_discourages_a_retry() {
        let patience = Some(StoppedBy::Patience);
        let at = |millis| sent(&problem(patience, Some(millis)), &[]);
        assert_eq!(at(59_001), ["retry-after-ms: 59001", "retry-after: 60"]);
        let late = ["retry-after-ms: 60001", "retry-after: 61", "x-should-retry: false"];
        assert_eq!(at(60_001), late);
    }

    #[test]
    fn a_pause_without_an_end_discourages_a_retry() {
        let paused = |millis| Problem { code: Code::Paused, ..problem(None, millis) };
        assert_eq!(sent(&paused(None), &[]), ["x-should-retry: false"]);
        assert_eq!(sent(&paused(Some(2_000)), &[]), ["retry-after-ms: 2000", "retry-after: 2"]);
    }

    #[test]
    fn the_vendors_word_is_the_only_one() {
        type Lines = &'static [(&'static str, &'static str)];
        let rows: [(Lines, &[&str]); 5] = [
            (&[("x-should-retry", "true")], &["x-should-retry: true"]),
            (&[("stripe-should-retry", "true")], &["stripe-should-retry: true"]),
            (&[("x-should-retry", "perhaps")], &["x-should-retry: false"]),
            (
                &[("x-should-retry", "true"), ("x-should-retry", "false")],
                &["x-should-retry: false"],
            ),
            (
                &[("stripe-should-retry", "false"), ("x-should-retry", "true")],
                &["stripe-should-retry: false", "x-should-retry: false"],
            ),
        ];
        for (vendor, expected) in rows {
            let exhausted = problem(Some(StoppedBy::Attempts), None);
            assert_eq!(sent(&exhausted, vendor), expected, "{vendor:?}");
        }
    }

    #[test]
    fn no_wait_in_milliseconds_is_shorter_than_ours() {
        let vendor =
            [("retry-after-ms", "20"), ("x-ms-retry-after-ms", "30"), ("retry-after", "1")];
        let ours = problem(Some(StoppedBy::Patience), Some(1_400));
        let expected = ["retry-after-ms: 1400", "retry-after: 2", "x-ms-retry-after-ms: 1400"];
        assert_eq!(sent(&ours, &vendor), expected);
        assert_eq!(sent(&problem(Some(StoppedBy::Client), None), &vendor), [""; 0]);
    }
}
