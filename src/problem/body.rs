//! The members of a problem, their JSON, and how a relayed problem is read back.
//!
//! Every member is always present, an unknown one as null; only the companions of OAuth's `error`
//! are absent elsewhere. Texts are clean and within their bounds
//! before they get here: `build` sees to that.

use bytes::Bytes;
use http::StatusCode;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::{Value, json};

use super::fit::within;
use crate::outcome::{Basis, CHILDREN_MAX, Code, ErrorMember, Source, StoppedBy, TYPE_PREFIX};

/// Characters of `detail`, also in `errors`: enough for a sentence, too little for a log.
pub const DETAIL_CHARS_MAX: usize = 2_000;
/// Bytes of `upstream.details` as JSON: enough for facts, too little for a page.
pub const DETAILS_BYTES_MAX: usize = 4 * 1024;
/// Bytes of `error` as JSON: what SDKs read of it is shorter.
pub const ERROR_BYTES_MAX: usize = 4 * 1024;
/// Characters of every other text of the vendor's: codes, references, dates.
pub const SHORT_CHARS_MAX: usize = 300;

/// Initial capacity of a body apart from its sentences; few problems need more.
const BODY_BYTES: usize = 1024;

/// The body of an error response. `type` and `title` follow from the code.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub code: Code,
    pub status: StatusCode,
    /// One sentence about this occurrence.
    pub detail: String,
    pub source: Source,
    /// Whether the same request can succeed later, unchanged.
    pub retryable: bool,
    pub retry_after: Option<RetryAfter>,
    pub attempts: u32,
    /// How long the call waited in the gateway.
    pub waited_ms: u64,
    pub stopped_by: Option<StoppedBy>,
    /// Whether the request may have been carried out despite the error.
    pub outcome_unknown: bool,
    pub request_id: Option<String>,
    pub upstream: Option<UpstreamError>,
    /// The single errors, in the vendor's order.
    pub errors: Vec<ErrorItem>,
    /// The support contact.
    pub support: Option<String>,
    /// Where the vendor documents its errors.
    pub documentation: Option<String>,
    /// The vendor's own member `error`, else one of ours: never null, so that no client takes an
    /// error for a success.
    pub error: ErrorMember,
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter {
    /// Rounded up.
    pub seconds: u64,
    /// For the header that has more precision than the body.
    pub millis: u64,
    pub basis: Basis,
}

/// The member `upstream`: what the vendor sent.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct UpstreamError {
    /// The upstream's name in the configuration.
    pub name: Option<String>,
    pub status: Option<u16>,
    pub code: Option<String>,
    /// A second sentence, where the vendor sends two.
    pub reason: Option<String>,
    /// What the vendor's support needs to find this occurrence.
    pub reference: Option<String>,
    /// The long-running operation that failed.
    pub operation: Option<String>,
    /// As the vendor wrote it.
    pub occurred_at: Option<String>,
    /// What the vendor sent and no other member holds.
    pub details: Option<Value>,
    /// Whether the dialect understood the body.
    pub recognised: bool,
}

/// One entry of the member `errors`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ErrorItem {
    pub detail: Option<String>,
    pub code: Option<String>,
    /// The JSON Pointer of the request's member that it is about.
    pub pointer: Option<String>,
}

impl Problem {
    /// The body, as compact JSON.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let items = self.errors.iter().filter_map(|item| item.detail.as_ref()).map(String::len);
        let mut body = Vec::with_capacity(BODY_BYTES + self.detail.len() + items.sum::<usize>());
        serde_json::to_writer(&mut body, self).expect("no member can fail to serialise");
        body.into()
    }

    /// Another sentence about this occurrence, also in a member `error` of ours.
    pub fn set_detail(&mut self, detail: String) {
        self.error = own_error(self.code, &detail);
        self.detail = detail;
    }

    /// Writes a member `error` of ours as OAuth does, for a request to a token endpoint: its
    /// libraries would take any other problem for a token.
    pub fn write_oauth_error(&mut self) {
        if self.error != own_error(self.code, &self.detail) {
            return;
        }
        let passes = self.retryable || self.status.is_server_error();
        let code = if passes { "temporarily_unavailable" } else { "invalid_request" };
        let description = Some(self.detail.clone());
        self.error = ErrorMember { value: code.into(), description, uri: None };
    }

    /// Reads a problem that another Evenkeel wrote; `None` for any other value.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        let code: Code = value.get("type")?.as_str()?.strip_prefix(TYPE_PREFIX)?.parse().ok()?;
        let status = u16::try_from(value.get("status")?.as_u64()?).ok()?;
        let retry_after = || {
            let seconds = value.get("retry_after")?.as_u64()?;
            let basis = named(&Basis::ALL, Basis::as_str, value.get("retry_after_basis")?)?;
            Some(RetryAfter { seconds, millis: seconds.saturating_mul(1_000), basis })
        };
        let detail = text(value, "detail")?;
        let error = value.get("error").filter(|error| is_truthy(error)).cloned();
        let error = error.map(|error| ErrorMember {
            value: error,
            description: text(value, "error_description"),
            uri: text(value, "error_uri"),
        });
        Some(Self {
            code,
            status: StatusCode::from_u16(status).ok()?,
            error: error.unwrap_or_else(|| own_error(code, &detail)),
            detail,
            source: named(&Source::ALL, Source::as_str, value.get("source")?)?,
            retryable: value.get("retryable")?.as_bool()?,
            retry_after: retry_after(),
            attempts: u32::try_from(value.get("attempts")?.as_u64()?).ok()?,
            waited_ms: value.get("waited_ms")?.as_u64()?,
            stopped_by: value
                .get("stopped_by")
                .and_then(|by| named(&StoppedBy::ALL, StoppedBy::as_str, by)),
            outcome_unknown: value.get("outcome_unknown")?.as_bool()?,
            request_id: text(value, "request_id"),
            upstream: value.get("upstream").and_then(UpstreamError::from_value),
            errors: value
                .get("errors")
                .and_then(Value::as_array)
                .map(|items| items.iter().take(CHILDREN_MAX).map(ErrorItem::from_value).collect())
                .unwrap_or_default(),
            support: text(value, "support"),
            documentation: text(value, "documentation"),
        })
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const MEMBERS: usize = 21;
        let kind = [TYPE_PREFIX, self.code.as_str()].concat();
        let mut members = serializer.serialize_struct("Problem", MEMBERS)?;
        members.serialize_field("type", &kind)?;
        members.serialize_field("title", self.code.title())?;
        members.serialize_field("status", &self.status.as_u16())?;
        members.serialize_field("detail", &self.detail)?;
        members.serialize_field("code", self.code.as_str())?;
        members.serialize_field("source", self.source.as_str())?;
        members.serialize_field("retryable", &self.retryable)?;
        members.serialize_field("retry_after", &self.retry_after.map(|wait| wait.seconds))?;
        let basis = self.retry_after.map(|wait| wait.basis.as_str());
        members.serialize_field("retry_after_basis", &basis)?;
        members.serialize_field("attempts", &self.attempts)?;
        members.serialize_field("waited_ms", &self.waited_ms)?;
        members.serialize_field("stopped_by", &self.stopped_by.map(StoppedBy::as_str))?;
        members.serialize_field("outcome_unknown", &self.outcome_unknown)?;
        members.serialize_field("request_id", &self.request_id)?;
        members.serialize_field("upstream", &self.upstream)?;
        members.serialize_field("errors", &self.errors)?;
        members.serialize_field("support", &self.support)?;
        members.serialize_field("documentation", &self.documentation)?;
        let ErrorMember { value, description, uri } = &self.error;
        members.serialize_field("error", value)?;
        for (name, text) in [("error_description", description), ("error_uri", uri)] {
            match text {
                Some(text) => members.serialize_field(name, text)?,
                None => members.skip_field(name)?,
            }
        }
        members.end()
    }
}

impl UpstreamError {
    fn from_value(value: &Value) -> Option<Self> {
        value.as_object()?;
        let status = value.get("status").and_then(Value::as_u64);
        Some(Self {
            name: text(value, "name"),
            status: status.and_then(|status| u16::try_from(status).ok()),
            code: text(value, "code"),
            reason: text(value, "reason"),
            reference: text(value, "reference"),
            operation: text(value, "operation"),
            occurred_at: text(value, "occurred_at"),
            details: value.get("details").filter(|details| !details.is_null()).cloned(),
            recognised: value.get("recognised").and_then(Value::as_bool).unwrap_or(false),
        })
    }
}

impl ErrorItem {
    fn from_value(value: &Value) -> Self {
        Self {
            detail: text(value, "detail"),
            code: text(value, "code"),
            pointer: text(value, "pointer"),
        }
    }
}

/// The member `error` where the vendor sent none.
pub(super) fn own_error(code: Code, detail: &str) -> ErrorMember {
    let value = json!({ "type": code.as_str(), "code": code.as_str(), "message": detail });
    ErrorMember { value: within(value, ERROR_BYTES_MAX), ..ErrorMember::default() }
}

/// Whether a client that tests the member takes it for an error in every usual language.
pub(super) fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, value: &Value) -> Option<T> {
    let wanted = value.as_str()?;
    all.iter().copied().find(|candidate| name(*candidate) == wanted)
}

fn text(value: &Value, member: &str) -> Option<String> {
    value.get(member)?.as_str().map(str::to_owned)
}
