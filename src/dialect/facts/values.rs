//! Single values of a document as the texts of facts.

use std::borrow::Cow;

use serde_json::Value;

/// A text that is not blank, or a number as text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => nonempty(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The text, unless it is blank or of unreadable characters only.
pub(super) fn nonempty(text: &str) -> Option<String> {
    let says_nothing = |c: char| c.is_whitespace() || c == char::REPLACEMENT_CHARACTER;
    (!text.chars().all(says_nothing)).then(|| text.to_owned())
}

pub(super) fn escaped(name: &str) -> Cow<'_, str> {
    if name.contains(['~', '/']) {
        name.replace('~', "~0").replace('/', "~1").into()
    } else {
        name.into()
    }
}

/// The name of a field as a JSON Pointer; a name that is one already stays.
pub(super) fn as_pointer(field: &str) -> String {
    match field.strip_prefix('#').unwrap_or(field) {
        pointer if pointer.starts_with('/') => pointer.to_owned(),
        name => ["/", &escaped(name)].concat(),
    }
}
