//! Headers that are made for waiting: `Retry-After` and its kin.

use std::time::{Duration, SystemTime};

use http::header::{AsHeaderName, DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName};

use super::value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitHint {
    /// How long from now.
    pub span: Duration,
    pub source: HintSource,
}

/// Where a response states a wait; the first in this order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintSource {
    /// `retry-after-ms`, `x-ms-retry-after-ms`, `grpc-retry-pushback-ms`.
    Milliseconds,
    /// `Retry-After` as RFC 9110 defines it.
    RetryAfter,
    /// `Retry-After` with a value out of grammar whose meaning is clear all the same.
    LenientRetryAfter,
    /// `t` of `RateLimit`.
    RateLimit,
    /// A reset header of the vendor's own.
    Reset,
    Body,
    Prose,
}

impl WaitHint {
    /// The header that states a hint of [`wait_header`].
    pub(crate) const fn header(self) -> &'static str {
        match self.source {
            HintSource::Milliseconds => "retry-after-ms",
            HintSource::RetryAfter
            | HintSource::LenientRetryAfter
            | HintSource::RateLimit
            | HintSource::Reset
            | HintSource::Body
            | HintSource::Prose => "retry-after",
        }
    }

    /// Whether the value is valid by the header's own grammar.
    pub(crate) fn is_standard(self) -> bool {
        matches!(self.source, HintSource::Milliseconds | HintSource::RetryAfter)
    }
}

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const X_MS_RETRY_AFTER_MS: HeaderName = HeaderName::from_static("x-ms-retry-after-ms");
/// How a server of gRPC asks for a pause.
const GRPC_RETRY_PUSHBACK_MS: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// The wait in a header made for it, which counts with any status. Another vendor's wait header is
/// read here.
#[must_use]
pub fn wait_header(headers: &HeaderMap, wall: SystemTime) -> Option<WaitHint> {
    let hint = |span, source| WaitHint { span, source };
    let precise = [RETRY_AFTER_MS, X_MS_RETRY_AFTER_MS, GRPC_RETRY_PUSHBACK_MS];
    let mut precise = precise.into_iter();
    let longest = |name| lines(headers, name).filter_map(value::milliseconds).max();
    if let Some(span) = precise.find_map(longest) {
        return Some(hint(span, HintSource::Milliseconds));
    }
    if !headers.contains_key(RETRY_AFTER) {
        return None;
    }
    let now = now(headers, wall);
    let stated = lines(headers, RETRY_AFTER).filter_map(|line| {
        let strict = value::strict_retry_after(line.trim(), now);
        let strict = strict.map(|span| hint(span, HintSource::RetryAfter));
        let lenient = || value::lenient_retry_after(line, now);
        strict.or_else(|| Some(hint(lenient()?, HintSource::LenientRetryAfter)))
    });
    let longest = stated.max_by_key(|hint| hint.span)?;
    let first = headers.get(RETRY_AFTER);
    let agreed = headers.get_all(RETRY_AFTER).iter().all(|line| Some(line) == first);
    // Lines that contradict each other are out of grammar.
    let source = if agreed { longest.source } else { HintSource::LenientRetryAfter };
    Some(hint(longest.span, source))
}

/// The vendor's clock where `Date` states it: moments in the same response are compared with it.
pub(super) fn now(headers: &HeaderMap, wall: SystemTime) -> SystemTime {
    text(headers, DATE).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(wall)
}

pub(super) fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The values of a header. Of lines that differ the longest wait counts, as none may be too short.
fn lines(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok())
}
