//! The JSON Schema of a problem: every member documented once, for people and machines.

use serde_json::{Map, Value, json};

use super::{DETAIL_CHARS_MAX, SHORT_CHARS_MAX};
use crate::outcome::{Basis, CHILDREN_MAX, Code, Source, StoppedBy, TYPE_PREFIX};

/// The contract as JSON Schema, draft 2020-12. Clients ignore members they do not know.
#[must_use]
pub fn schema() -> Value {
    let members = members();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:evenkeel:schema:problem",
        "title": "Problem",
        "description": "The body of every error that Evenkeel answers with, the vendor's errors \
            and its own alike: application/problem+json of RFC 9457. Members may be added later; \
            ignore those you do not know.",
        "type": "object",
        "required": members.keys().collect::<Vec<_>>(),
        "properties": members,
        "$defs": { "upstream": upstream(), "error": child(), "codes": codes() },
    })
}

fn members() -> Map<String, Value> {
    let meaning =
        [("type", kind()), ("title", title()), ("status", status()), ("detail", detail())];
    let blame = [("code", code()), ("source", source()), ("retryable", retryable())];
    let when = [("retry_after", retry_after()), ("retry_after_basis", basis())];
    let effort = [("attempts", attempts()), ("waited_ms", waited()), ("stopped_by", stopped_by())];
    let rest = [
        ("outcome_unknown", outcome_unknown()),
        ("request_id", request_id()),
        ("upstream", upstream_or_null()),
        ("errors", errors()),
        (
            "support",
            text_or_null("Whom to contact, if this problem calls for it.", SHORT_CHARS_MAX),
        ),
        ("documentation", text_or_null("Where the vendor documents its errors.", SHORT_CHARS_MAX)),
    ];
    let all = meaning.into_iter().chain(blame).chain(when).chain(effort).chain(rest);
    all.map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn title() -> Value {
    text("The code in one stable sentence.", SHORT_CHARS_MAX)
}

fn detail() -> Value {
    text("This occurrence: the vendor's own sentence, or ours when it gave none.", DETAIL_CHARS_MAX)
}

fn code() -> Value {
    json!({ "description": "What it means. Branch on this.", "$ref": "#/$defs/codes" })
}

fn source() -> Value {
    json!({ "enum": Source::ALL.map(Source::as_str),
        "description": "Who speaks: `client` the request cannot be sent, `gateway` we decided \
            or failed, `upstream` the vendor said it." })
}

fn retryable() -> Value {
    json!({ "type": "boolean",
        "description": "Whether the same request can succeed later, unchanged." })
}

fn retry_after() -> Value {
    json!({ "type": ["integer", "null"], "minimum": 0,
        "description": "Seconds to wait, rounded up; equal to the header Retry-After." })
}

fn basis() -> Value {
    one_of_or_null(
        &Basis::ALL.map(Basis::as_str),
        "Where the wait comes from: `upstream` this answer said it, `dialect` the vendor's \
            documents say it, `estimate` we reckoned it.",
    )
}

fn attempts() -> Value {
    json!({ "type": "integer", "minimum": 0, "description": "How often the request was sent." })
}

fn waited() -> Value {
    json!({ "type": "integer", "minimum": 0,
        "description": "Milliseconds the call waited here." })
}

fn stopped_by() -> Value {
    one_of_or_null(
        &StoppedBy::ALL.map(StoppedBy::as_str),
        "Why it was not tried again: its attempts or its patience are used up, the retry budget \
            is spent, its method or its body forbids it, or the answer is final.",
    )
}

fn outcome_unknown() -> Value {
    json!({ "type": "boolean",
        "description": "Whether the request may have been carried out all the same." })
}

fn request_id() -> Value {
    text_or_null("The id of the call, as in Evenkeel-Request-Id and in the logs.", SHORT_CHARS_MAX)
}

fn upstream_or_null() -> Value {
    json!({ "anyOf": [{ "$ref": "#/$defs/upstream" }, { "type": "null" }],
        "description": "What the vendor said; null when no upstream was concerned." })
}

fn errors() -> Value {
    json!({ "type": "array", "maxItems": CHILDREN_MAX, "items": { "$ref": "#/$defs/error" },
        "description": "Single errors, in the vendor's order." })
}

fn kind() -> Value {
    json!({ "type": "string", "pattern": format!("^{TYPE_PREFIX}[a-z_]+$"),
        "description": "The code as a URI." })
}

fn status() -> Value {
    json!({ "type": "integer", "minimum": 100, "maximum": 999,
        "description": "The status of this answer; the vendor's own is upstream.status." })
}

fn text(description: &str, chars_max: usize) -> Value {
    json!({ "type": "string", "maxLength": chars_max, "description": description })
}

fn text_or_null(description: &str, chars_max: usize) -> Value {
    json!({ "type": ["string", "null"], "maxLength": chars_max, "description": description })
}

fn one_of_or_null(names: &[&'static str], description: &str) -> Value {
    let mut values: Vec<Value> = names.iter().map(|name| json!(name)).collect();
    values.push(Value::Null);
    json!({ "enum": values, "description": description })
}

fn codes() -> Value {
    let row = |code: Code| json!({ "const": code.as_str(), "title": code.title(), "description": code.about() });
    json!({ "oneOf": Code::ALL.map(row).to_vec() })
}

fn upstream() -> Value {
    let short = |description| text_or_null(description, SHORT_CHARS_MAX);
    let members = json!({
        "name": short("The upstream's name in this gateway."),
        "status": { "type": ["integer", "null"], "minimum": 100, "maximum": 999,
            "description": "The status as the vendor sent it; null when no answer came." },
        "code": short("The vendor's machine code."),
        "reason": text_or_null("A second reason, when it differs from the sentence.", DETAIL_CHARS_MAX),
        "reference": short("The vendor's reference of this occurrence; its support asks for it."),
        "operation": short("The long-running operation it belongs to."),
        "occurred_at": short("When it happened, as the vendor wrote it."),
        "details": { "description": "What the vendor sent and nothing else here carries; at most 4 KiB." },
        "recognised": { "type": "boolean", "description": "Whether the body was understood." },
    });
    let required: Vec<&String> = members.as_object().into_iter().flat_map(Map::keys).collect();
    json!({ "type": "object", "required": required, "properties": members })
}

fn child() -> Value {
    json!({ "type": "object", "required": ["detail", "code", "pointer"], "properties": {
        "detail": text_or_null("Its sentence.", DETAIL_CHARS_MAX),
        "code": text_or_null("Its code.", SHORT_CHARS_MAX),
        "pointer": text_or_null("The member of the request it is about, as a JSON Pointer.", SHORT_CHARS_MAX),
    } })
}
