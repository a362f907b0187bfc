//! How much a text says, and texts that count only as evidence.

use http::StatusCode;
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

/// Whether a text is the reason phrase of the status; `NOT_FOUND` counts as a code all the same.
pub(super) fn is_phrase(text: &str, status: u16) -> bool {
    let phrase = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let shouted = text.contains('_') || !text.contains(|c: char| c.is_ascii_lowercase());
    // `TooManyRequests` is a code, `Too Many Requests` a phrase.
    let joined = |phrase: &str| phrase.contains(' ') && !text.contains(' ');
    let is_phrase = |phrase: &str| !joined(phrase) && names::plain(phrase) == names::plain(text);
    !shouted && phrase.is_some_and(is_phrase)
}

/// Bytes of a reason phrase.
const PHRASE_BYTES_MAX: usize = 40;

/// Whether a text is the reason phrase of some status in several words.
pub(super) fn is_any_phrase(text: &str) -> bool {
    let text = text.trim().trim_end_matches(['.', '!']);
    let phrase = |status| StatusCode::from_u16(status).ok()?.canonical_reason();
    text.len() <= PHRASE_BYTES_MAX
        && text.contains(' ')
        && (400..=511).filter_map(phrase).any(|phrase| phrase.eq_ignore_ascii_case(text))
}

/// The text of a message: OData writes `{"lang": …, "value": …}`, others a list of one.
pub(super) fn message_text(value: &Value) -> Option<&str> {
    let value = match value {
        Value::Array(items) => items.first().filter(|_| items.len() == 1)?,
        // The last is a message in several languages.
        Value::Object(map) => ["value", "#text", "en"].iter().find_map(|name| map.get(*name))?,
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

/// The error at the end of a traceback of Python; any other text as it is.
pub(super) fn last_of_traceback(text: String) -> String {
    if !text.starts_with("Traceback (most recent call last)") {
        return text;
    }
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    last.map(str::to_owned).unwrap_or(text)
}

/// Keeps a text as evidence.
pub(super) fn keep_beside(text: &str, facts: &mut Facts) {
    if facts.beside.len() < BESIDE_MAX && text.len() <= BESIDE_BYTES_MAX {
        facts.beside.push(text.to_owned());
    }
}
