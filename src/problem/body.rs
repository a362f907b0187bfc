//! What the client reads: the members of a problem, and how they become bytes and come back.
//!
//! Absent facts are null. Refuses to clean or guess anything: `normalise` hands in values that
//! are clean and within their bounds.

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use crate::outcome::{Basis, CHILDREN_MAX, Code, Source, StoppedBy, TYPE_PREFIX};
use crate::problem::json::{self, Members};

/// Characters of `detail` and of a child's `detail`: what a person reads, not a log.
pub const DETAIL_CHARS_MAX: usize = 2_000;
/// Bytes of `upstream.details` as JSON: enough for facts, too little for a page.
pub const DETAILS_BYTES_MAX: usize = 4 * 1024;
/// Characters of every other text a vendor fills in: codes, references, dates.
pub const SHORT_CHARS_MAX: usize = 300;

/// Bytes set aside for a body beside its sentences: most need no more.
const BODY_BYTES: usize = 1024;

/// One problem, complete.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What it means; gives `type` and `title`.
    pub code: Code,
    /// The status on the wire.
    pub status: StatusCode,
    /// This occurrence in one sentence.
    pub detail: String,
    /// Who speaks.
    pub source: Source,
    /// Whether the same request can succeed later.
    pub retryable: bool,
    /// When, and who says so.
    pub retry_after: Option<RetryAfter>,
    /// Sends so far.
    pub attempts: u32,
    /// How long the call waited here.
    pub waited_ms: u64,
    /// Why it was not tried again.
    pub stopped_by: Option<StoppedBy>,
    /// Whether the request may have been carried out all the same.
    pub outcome_unknown: bool,
    /// The id of the call.
    pub request_id: Option<String>,
    /// What the vendor said.
    pub upstream: Option<Spoken>,
    /// Single errors, in the vendor's order.
    pub errors: Vec<Child>,
    /// Whom to contact.
    pub support: Option<String>,
    /// Where the vendor documents its errors.
    pub documentation: Option<String>,
}

/// When to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter {
    /// Whole seconds, rounded up.
    pub seconds: u64,
    /// Who says so.
    pub basis: Basis,
}

/// The vendor's own words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spoken {
    /// The upstream's name here.
    pub name: Option<String>,
    /// The status as sent.
    pub status: Option<u16>,
    /// Its machine code.
    pub code: Option<String>,
    /// A second reason.
    pub reason: Option<String>,
    /// Its reference of this occurrence.
    pub reference: Option<String>,
    /// The long-running operation.
    pub operation: Option<String>,
    /// When it happened, as the vendor wrote it.
    pub occurred_at: Option<String>,
    /// What nothing else here carries.
    pub details: Option<Value>,
    /// Whether the body was understood.
    pub recognised: bool,
}

/// One of several errors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Child {
    /// Its sentence.
    pub detail: Option<String>,
    /// Its code.
    pub code: Option<String>,
    /// The member of the request it is about.
    pub pointer: Option<String>,
}

impl Problem {
    /// Its URI.
    #[must_use]
    pub fn kind(&self) -> String {
        [TYPE_PREFIX, self.code.as_str()].concat()
    }

    /// The body, compact.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let texts = self.errors.iter().filter_map(|child| child.detail.as_ref()).map(String::len);
        let mut body = Vec::with_capacity(BODY_BYTES + self.detail.len() + texts.sum::<usize>());
        json::object(&mut body, |members| self.tell(members));
        body.into()
    }

    /// Reads a problem of ours back; `None` when the value is none.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        let code: Code = value.get("type")?.as_str()?.strip_prefix(TYPE_PREFIX)?.parse().ok()?;
        let status = u16::try_from(value.get("status")?.as_u64()?).ok()?;
        Some(Self {
            code,
            status: StatusCode::from_u16(status).ok()?,
            detail: text(value, "detail")?,
            source: named(&Source::ALL, Source::as_str, value.get("source")?)?,
            retryable: value.get("retryable")?.as_bool()?,
            retry_after: retry_after(value),
            attempts: u32::try_from(value.get("attempts")?.as_u64()?).ok()?,
            waited_ms: value.get("waited_ms")?.as_u64()?,
            stopped_by: value
                .get("stopped_by")
                .and_then(|by| named(&StoppedBy::ALL, StoppedBy::as_str, by)),
            outcome_unknown: value.get("outcome_unknown")?.as_bool()?,
            request_id: text(value, "request_id"),
            upstream: value.get("upstream").and_then(spoken),
            errors: children(value.get("errors")),
            support: text(value, "support"),
            documentation: text(value, "documentation"),
        })
    }
}

fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, value: &Value) -> Option<T> {
    let wanted = value.as_str()?;
    all.iter().copied().find(|candidate| name(*candidate) == wanted)
}

fn text(value: &Value, member: &str) -> Option<String> {
    value.get(member)?.as_str().map(str::to_owned)
}

fn retry_after(value: &Value) -> Option<RetryAfter> {
    let seconds = value.get("retry_after")?.as_u64()?;
    let basis = named(&Basis::ALL, Basis::as_str, value.get("retry_after_basis")?)?;
    Some(RetryAfter { seconds, basis })
}

fn spoken(value: &Value) -> Option<Spoken> {
    value.as_object()?;
    Some(Spoken {
        name: text(value, "name"),
        status: value
            .get("status")
            .and_then(Value::as_u64)
            .and_then(|status| u16::try_from(status).ok()),
        code: text(value, "code"),
        reason: text(value, "reason"),
        reference: text(value, "reference"),
        operation: text(value, "operation"),
        occurred_at: text(value, "occurred_at"),
        details: value.get("details").filter(|details| !details.is_null()).cloned(),
        recognised: value.get("recognised").and_then(Value::as_bool).unwrap_or(false),
    })
}

fn children(value: Option<&Value>) -> Vec<Child> {
    let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let child = |value: &Value| Child {
        detail: text(value, "detail"),
        code: text(value, "code"),
        pointer: text(value, "pointer"),
    };
    list.iter().take(CHILDREN_MAX).map(child).collect()
}

impl Problem {
    fn tell(&self, body: &mut Members<'_>) {
        body.text("type", &self.kind());
        body.text("title", self.code.title());
        body.value("status", &self.status.as_u16());
        body.text("detail", &self.detail);
        body.text("code", self.code.as_str());
        body.text("source", self.source.as_str());
        body.value("retryable", &self.retryable);
        body.value("retry_after", &self.retry_after.map(|wait| wait.seconds));
        let basis = self.retry_after.map(|wait| wait.basis.as_str());
        body.text_or_null("retry_after_basis", basis);
        body.value("attempts", &self.attempts);
        body.value("waited_ms", &self.waited_ms);
        body.text_or_null("stopped_by", self.stopped_by.map(StoppedBy::as_str));
        body.value("outcome_unknown", &self.outcome_unknown);
        body.text_or_null("request_id", self.request_id.as_deref());
        body.object_or_null("upstream", self.upstream.as_ref(), Spoken::tell);
        body.objects("errors", &self.errors, Child::tell);
        body.text_or_null("support", self.support.as_deref());
        body.text_or_null("documentation", self.documentation.as_deref());
    }
}

impl Spoken {
    fn tell(&self, body: &mut Members<'_>) {
        body.text_or_null("name", self.name.as_deref());
        body.value("status", &self.status);
        body.text_or_null("code", self.code.as_deref());
        body.text_or_null("reason", self.reason.as_deref());
        body.text_or_null("reference", self.reference.as_deref());
        body.text_or_null("operation", self.operation.as_deref());
        body.text_or_null("occurred_at", self.occurred_at.as_deref());
        body.value("details", &self.details);
        body.value("recognised", &self.recognised);
    }
}

impl Child {
    fn tell(&self, body: &mut Members<'_>) {
        body.text_or_null("detail", self.detail.as_deref());
        body.text_or_null("code", self.code.as_deref());
        body.text_or_null("pointer", self.pointer.as_deref());
    }
}
