//! How much a text says, and texts that count only as evidence.

use serde_json::Value;

use super::names::{self, is_word};
use crate::outcome::Facts;

/// Further sentences and codes that are kept as evidence, and the bytes of each.
pub(super) const BESIDE_MAX: usize = 6;
pub(super) const BESIDE_BYTES_MAX: usize = 400;

/// How much a text says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// It repeats the status, or that there was an error.
    Generic,
    Word,
    Sentence,
}

pub(super) fn weight(text: &str) -> Weight {
    if is_generic(text) {
        Weight::Generic
    } else if is_word(text) {
        Weight::Word
    } else {
        Weight::Sentence
    }
}

/// Words and phrases that say only that there was an error, or repeat some status.
pub(super) fn is_generic(text: &str) -> bool {
    let generic = [
        "error",
        "errors",
        "err",
        "fail",
        "failed",
        "failure",
        "fault",
        "exception",
        "nok",
        "notok",
        "ok",
        "success",
        "badrequest",
        "unauthorized",
        "paymentrequired",
        "forbidden",
        "notfound",
        "methodnotallowed",
        "conflict",
        "unprocessableentity",
        "toomanyrequests",
        "internalservererror",
        "badgateway",
        "serviceunavailable",
        "gatewaytimeout",
        "notacceptable",
        "gone",
        "none",
        "null",
    ];
    text.len() <= 40 && generic.contains(&&*names::plain(text))
}

/// Whether a text only says that all is well, as the part of a vendor's envelope above an error.
pub(super) fn is_success(text: &str) -> bool {
    let words = ["ok", "success", "successful", "true", "200", "20000", "10000"];
    words.contains(&&*names::plain(text))
}

/// The text of a message: OData writes `{"lang": …, "value": …}`, others a list of one.
pub(super) fn message_text(value: &Value) -> Option<&str> {
    let value = match value {
        Value::Array(items) => items.first().filter(|_| items.len() == 1)?,
        Value::Object(map) => map.get("value").or_else(|| map.get("#text"))?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    };
    value.as_str().filter(|text| !text.trim().is_empty())
}

/// Whether a nameless map, or one of this name, may be one from fields to messages.
pub(super) fn may_map_fields(at: &str) -> bool {
    let name = names::plain(at.rsplit('/').next().unwrap_or_default());
    let about =
        ["err", "invalid", "valid", "field", "violation", "problem", "issue", "detail", "reason"];
    name.is_empty()
        || name.bytes().all(|byte| byte.is_ascii_digit())
        || about.iter().any(|about| name.contains(about))
}

/// Keeps a text as evidence.
pub(super) fn keep_beside(text: &str, facts: &mut Facts) {
    if facts.beside.len() < BESIDE_MAX && text.len() <= BESIDE_BYTES_MAX {
        facts.beside.push(text.to_owned());
    }
}
