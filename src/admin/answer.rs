//! The answers of the window: JSON, text, and problems in the one error shape.
//!
//! Refuses to be cached, framed or guessed at by a browser.

use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use super::format::Format;
use crate::outcome::{Code, Source};
use crate::problem::Problem;

/// Every body here is small and whole.
pub(super) type Answer = Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const CLASSIC: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// A JSON value.
pub(super) fn json(value: &Value) -> Answer {
    // A value has no keys that are no strings, which is all that can go wrong.
    let body = serde_json::to_vec_pretty(value).unwrap_or_default();
    with_type(StatusCode::OK, JSON, body)
}

/// Text for a person or a probe.
pub(super) fn text(status: StatusCode, text: String) -> Answer {
    with_type(status, TEXT, text)
}

/// An exposition in this format.
pub(super) fn metrics(format: Format, text: String) -> Answer {
    let kind = match format {
        Format::OpenMetrics => OPEN_METRICS,
        Format::Classic => CLASSIC,
    };
    let mut answer = with_type(StatusCode::OK, kind, text);
    answer.headers_mut().insert(VARY, ACCEPT.into());
    answer
}

fn with_type(status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// Why a request to the window is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing is there.
    NotFound,
    /// The thing knows another method.
    Method(&'static str),
    /// The host is none of ours.
    Host,
    /// A token is needed.
    Token,
    /// A browser asks on behalf of another page.
    ForeignPage,
    /// No hold has this number.
    Hold,
    /// What follows `holds/` is no number.
    HoldNumber,
}

impl Refusal {
    fn spoken(self) -> (Code, &'static str) {
        match self {
            Self::NotFound => (Code::RouteNotFound, "The admin API has nothing at this path."),
            Self::Method(_) => (Code::MethodNotAllowed, "This path knows another method."),
            Self::Host => (
                Code::Misdirected,
                "The admin API answers under localhost and its own address only.",
            ),
            Self::Token => {
                (Code::Unauthenticated, "This needs the admin token: `Authorization: Bearer …`.")
            }
            Self::ForeignPage => {
                (Code::Forbidden, "Another page may not ask this of the admin API.")
            }
            Self::Hold => (Code::NotFound, "No hold has this number, or it has ended."),
            Self::HoldNumber => (Code::InvalidRequest, "A hold's number is a decimal number."),
        }
    }

    /// The problem that says so.
    pub(super) fn problem(self) -> Answer {
        let (code, detail) = self.spoken();
        let mut answer = problem(code, detail);
        if let Self::Method(allowed) = self {
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        }
        if self == Self::Token {
            let challenge = HeaderValue::from_static("Bearer realm=\"evenkeel admin\"");
            answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        answer
    }
}

/// A problem of ours about a request to the window.
fn problem(code: Code, detail: &str) -> Answer {
    let problem = Problem {
        code,
        status: code.status(),
        detail: detail.to_owned(),
        source: Source::Client,
        retryable: false,
        retry_after: None,
        attempts: 0,
        waited_ms: 0,
        stopped_by: None,
        outcome_unknown: false,
        request_id: None,
        upstream: None,
        errors: Vec::new(),
        support: None,
        documentation: None,
    };
    with_type(code.status(), PROBLEM, problem.to_bytes())
}

/// What browsers say about where a request comes from.
pub(super) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
