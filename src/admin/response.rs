//! The responses of the admin listener: JSON, text, pages, and problems.
//!
//! Caches must not store a response, and browsers must not guess its media type.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
    VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use super::metrics_format::MetricsFormat;
use super::reload::ReloadError;
use crate::outcome::{Code, Source};
use crate::problem::{
    CallContext, ErrorItem, Occurrence, PROBLEM_MEDIA_TYPE, Problem, gateway_problem,
};

pub(super) type AdminResponse = Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON_SCHEMA: HeaderValue = HeaderValue::from_static("application/schema+json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const CSS: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
/// A page may load its stylesheet and nothing else, and no page may frame it.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const CLASSIC: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

pub(super) fn json(value: &Value) -> AdminResponse {
    json_as(JSON, value)
}

pub(super) fn json_schema(value: &Value) -> AdminResponse {
    json_as(JSON_SCHEMA, value)
}

fn json_as(kind: HeaderValue, value: &Value) -> AdminResponse {
    // Only keys that are not strings could fail, and a `Value` has none.
    let body = serde_json::to_vec_pretty(value).unwrap_or_default();
    with_type(StatusCode::OK, kind, body)
}

pub(super) fn text(status: StatusCode, text: String) -> AdminResponse {
    with_type(status, TEXT, text)
}

pub(super) fn html(status: StatusCode, page: String) -> AdminResponse {
    let mut response = with_type(status, HTML, page);
    varies_by_accept(&mut response);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, PAGE_POLICY);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

pub(super) fn stylesheet(text: &'static str) -> AdminResponse {
    with_type(StatusCode::OK, CSS, text)
}

/// The page is at another URL for good.
pub(super) fn moved(location: &'static str) -> AdminResponse {
    let mut response = with_type(StatusCode::PERMANENT_REDIRECT, TEXT, "");
    varies_by_accept(&mut response);
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(location));
    response
}

pub(super) fn varies_by_accept(response: &mut AdminResponse) {
    response.headers_mut().insert(VARY, ACCEPT.into());
}

pub(super) fn metrics(format: MetricsFormat, text: String) -> AdminResponse {
    let kind = match format {
        MetricsFormat::OpenMetrics => OPEN_METRICS,
        MetricsFormat::Classic => CLASSIC,
    };
    let mut response = with_type(StatusCode::OK, kind, text);
    varies_by_accept(&mut response);
    response
}

fn with_type(status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> AdminResponse {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The problem of a path that names nothing.
pub(super) fn not_found(detail: String) -> AdminResponse {
    problem(Code::NotFound, detail)
}

/// The problem of a reload whose configuration is faulty.
pub(super) fn faulty_configuration(errors: Vec<ReloadError>) -> AdminResponse {
    let mut problem = client_problem(
        Code::Unprocessable,
        "The configuration is faulty, and the former one stays in force.".to_owned(),
    );
    let item = |error: ReloadError| ErrorItem {
        detail: Some(error.text),
        code: Some(error.code.to_owned()),
        pointer: None,
    };
    problem.errors = errors.into_iter().map(item).collect();
    with_type(problem.status, PROBLEM_MEDIA_TYPE, problem.to_bytes())
}

fn problem(code: Code, detail: String) -> AdminResponse {
    let problem = client_problem(code, detail);
    with_type(problem.status, PROBLEM_MEDIA_TYPE, problem.to_bytes())
}

fn client_problem(code: Code, detail: String) -> Problem {
    let occurrence = Occurrence { source: Some(Source::Client), ..Occurrence::default() };
    let mut problem = gateway_problem(code, &CallContext::default(), &occurrence);
    // Set afterwards, because cleaning would hide `localhost` as an internal host.
    problem.set_detail(detail);
    problem
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The API has no such path.
    NotFound,
    /// The path supports only these methods.
    Method(&'static str),
    /// The request names another host.
    Host,
    /// The token is missing or wrong.
    Token,
    /// No token is configured, and this request needs one.
    NoTokens,
    /// What the request is about does not exist.
    Unknown(String),
    /// A part of the request is missing or wrong.
    Invalid(Cow<'static, str>),
    /// A page of another site made a browser send the request.
    ForeignPage,
    /// No hold has this number.
    Hold,
}

impl Refusal {
    /// No upstream has the name; these are the ones that there are.
    pub(super) fn unknown_upstream(known: &[Arc<str>]) -> Self {
        let known = known.join(", ");
        Self::Unknown(format!("No upstream has this name. There are: {known}."))
    }

    /// The problem that tells the client.
    pub(super) fn response(self) -> AdminResponse {
        let (code, detail): (_, Cow<'_, str>) = match &self {
            Self::NotFound => (Code::RouteNotFound, "The admin API has no such path.".into()),
            Self::Method(_) => {
                (Code::MethodNotAllowed, "This path does not support the request's method.".into())
            }
            Self::Host => (
                Code::Misdirected,
                "The admin API must be addressed as localhost or by its own IP address.".into(),
            ),
            Self::Token => (
                Code::Unauthenticated,
                "This request needs an admin token: `Authorization: Bearer …`.".into(),
            ),
            Self::NoTokens => (
                Code::Forbidden,
                "Levers need a token, also from this machine, and none is configured. Add \
                 `admin: { tokens: { NAME: { file: PATH } } }` and reload."
                    .into(),
            ),
            Self::Unknown(detail) => (Code::NotFound, detail.into()),
            Self::Invalid(detail) => (Code::InvalidRequest, (&**detail).into()),
            Self::ForeignPage => {
                (Code::Forbidden, "Web pages of other sites may not use the admin API.".into())
            }
            Self::Hold => {
                (Code::NotFound, "No hold has this number, or it has already ended.".into())
            }
        };
        let mut response = problem(code, detail.into_owned());
        if let Self::Method(allowed) = self {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        }
        if self == Self::Token {
            let challenge = HeaderValue::from_static("Bearer realm=\"evenkeel admin\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
