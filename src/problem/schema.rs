//! The JSON Schema of a problem: what `evenkeel problem schema` prints and the admin API serves.

use serde_json::{Map, Value, json};

use super::{DETAIL_CHARS_MAX, SHORT_CHARS_MAX};
use crate::outcome::{Basis, CHILDREN_MAX, Code, Source, StoppedBy, TYPE_PREFIX};

/// The contract as JSON Schema, draft 2020-12.
#[must_use]
pub fn schema() -> Value {
    let members = members();
    let required: Vec<String> = members.keys().cloned().collect();
    let beside = "Beside an `error` that is a registered code of OAuth.";
    let oauth = ["error_description", "error_uri"]
        .map(|name| (name.to_owned(), text(beside, DETAIL_CHARS_MAX)));
    let properties: Map<String, Value> = members.into_iter().chain(oauth).collect();
    let pointer = "The member of the request that it is about, as a JSON Pointer.";
    let error = json!({ "type": "object", "required": ["detail", "code", "pointer"], "properties": {
        "detail": text_or_null("One sentence.", DETAIL_CHARS_MAX),
        "code": text_or_null("The vendor's code.", SHORT_CHARS_MAX),
        "pointer": text_or_null(pointer, SHORT_CHARS_MAX),
    } });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:evenkeel:schema:problem",
        "title": "Problem",
        "description": "The body of every error response of Evenkeel, for the vendor's errors and \
            its own alike: application/problem+json of RFC 9457. Members may be added later; \
            ignore those you do not know.",
        "type": "object",
        "required": required,
        "properties": properties,
        "$defs": { "upstream": upstream(), "error": error, "codes": codes() },
    })
}

fn members() -> Map<String, Value> {
    let meaning = json!({
        "type": { "type": "string", "pattern": format!("^{TYPE_PREFIX}[a-z_]+$"),
            "description": "The code as a URI." },
        "title": text("The code as a short phrase; always the same for a code.", SHORT_CHARS_MAX),
        "status": { "type": "integer", "minimum": 100, "maximum": 999,
            "description": "The status of this response; the vendor's own is upstream.status." },
        "detail": text("This occurrence in one sentence: the vendor's own, or the gateway's if the \
            vendor sent none.", DETAIL_CHARS_MAX),
        "code": { "description": "What went wrong. Branch on this.", "$ref": "#/$defs/codes" },
        "source": { "enum": Source::ALL.map(Source::as_str),
            "description": "Who reports the error: `client` the request cannot be sent, `gateway` \
                the gateway refused or failed, `upstream` the vendor reported it." },
        "retryable": { "type": "boolean",
            "description": "Whether the same request can succeed later, unchanged." },
        "retry_after": { "type": ["integer", "null"], "minimum": 0,
            "description": "Seconds to wait, rounded up; equal to the header Retry-After." },
        "retry_after_basis": one_of_or_null(&Basis::ALL.map(Basis::as_str),
            "Where the wait comes from: `upstream` this response, `dialect` the vendor's \
                documentation, `estimate` the gateway's own estimate."),
    });
    let handling = json!({
        "attempts": { "type": "integer", "minimum": 0,
            "description": "How often the request was sent." },
        "waited_ms": { "type": "integer", "minimum": 0,
            "description": "Milliseconds the call waited in the gateway." },
        "stopped_by": one_of_or_null(&StoppedBy::ALL.map(StoppedBy::as_str),
            "Why the request was not sent again: `attempts` or `patience` are used up, the retry \
                `budget` is spent, its `method` or its `body` forbids it, the response is \
                `final`, or the `client` sends it again by itself."),
        "outcome_unknown": { "type": "boolean",
            "description": "Whether the request may have been carried out despite the error." },
        "request_id": text_or_null("The id of the call, as in Evenkeel-Request-Id and in the \
            logs.", SHORT_CHARS_MAX),
        "upstream": { "anyOf": [{ "$ref": "#/$defs/upstream" }, { "type": "null" }],
            "description": "What the vendor sent; null when no upstream was involved." },
        "errors": { "type": "array", "maxItems": CHILDREN_MAX, "items": { "$ref": "#/$defs/error" },
            "description": "The single errors, in the vendor's order." },
        "support": text_or_null("Whom to contact, if this problem calls for it.", SHORT_CHARS_MAX),
        "documentation": text_or_null("Where the vendor documents its errors.", SHORT_CHARS_MAX),
        "error": { "not": { "enum": [null, false, 0, ""] },
            "description": "For clients that look for such a member: the vendor's own top-level \
                `error` of whatever type, at most 4 KiB; else `type`, `code` and `message`, which \
                repeat `code` and `detail`. Never null." },
    });
    let halves = [meaning, handling].into_iter().filter_map(|half| half.as_object().cloned());
    halves.flatten().collect()
}

fn upstream() -> Value {
    let short = |description| text_or_null(description, SHORT_CHARS_MAX);
    let members = json!({
        "name": short("The upstream's name in the gateway's configuration."),
        "status": { "type": ["integer", "null"], "minimum": 100, "maximum": 999,
            "description": "The status as the vendor sent it; null when there was no response." },
        "code": short("The vendor's error code."),
        "reason": text_or_null("A second sentence of the vendor's, if it differs from `detail`.",
            DETAIL_CHARS_MAX),
        "reference": short("The vendor's reference of this occurrence; its support asks for it."),
        "operation": short("The long-running operation that failed."),
        "occurred_at": short("When it happened, as the vendor wrote it."),
        "details": { "description": "What the vendor sent and no other member holds; at most 4 KiB." },
        "recognised": { "type": "boolean",
            "description": "Whether the gateway understood the body." },
    });
    let required: Vec<&String> = members.as_object().into_iter().flat_map(Map::keys).collect();
    json!({ "type": "object", "required": required, "properties": members })
}

fn codes() -> Value {
    let row = |code: Code| {
        let description = [code.about(), code.advice()].join(" ");
        json!({ "const": code.as_str(), "title": code.title(), "description": description })
    };
    json!({ "oneOf": Code::ALL.map(row).to_vec() })
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
