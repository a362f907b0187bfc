//! JSON that is not the whole body: among several documents, behind a prefix, in an event stream,
//! in a call of a function, in a text.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{closed, json};
use crate::dialect::spelling::plain;

/// Documents of one body that are looked at.
const DOCUMENTS_MAX: usize = 200;
/// Braces in a text from which a document may begin.
const STARTS_MAX: usize = 16;
/// Characters of a function's name (JSONP).
const CALLEE_CHARS_MAX: usize = 100;
/// Characters before a document that says nothing of an error by itself; a longer text is about
/// something else.
const INTRODUCTION_CHARS_MAX: usize = 100;

/// What sites put before JSON so that a browser does not run it as a script.
const GUARDS: [&str; 10] = [
    ")]}',",
    ")]}'",
    ")]}",
    "while(1);",
    "while (1);",
    "while(true);",
    "for(;;);",
    "for (;;);",
    "{}&&",
    "&&&START&&&",
];

/// Members that only errors have.
const ERROR_NAMES: [&str; 10] = [
    "error",
    "errors",
    "fault",
    "exception",
    "err",
    "errorcode",
    "errormessage",
    "errcode",
    "errmsg",
    "errordescription",
];
/// Members that say of what kind a document is.
const KIND_NAMES: [&str; 7] = ["type", "event", "kind", "status", "level", "object", "result"];
/// Members that errors have as well as others.
const COMMON_NAMES: [&str; 6] = ["message", "msg", "detail", "details", "code", "reason"];

/// JSON without what stands before or around it by convention; the text itself otherwise.
pub(super) fn unguarded(text: &str) -> &str {
    let text = GUARDS.iter().find_map(|guard| text.strip_prefix(guard)).unwrap_or(text).trim();
    callback_argument(text).unwrap_or(text)
}

/// `name({…});`
fn callback_argument(text: &str) -> Option<&str> {
    let text = match text.strip_prefix("/*") {
        Some(comment) => comment.split_once("*/")?.1.trim_start(),
        None => text,
    };
    // Express and Rails ask first whether there is such a function.
    let text = match text.strip_prefix("typeof ") {
        Some(_) => text.split_once("&&")?.1.trim_start(),
        None => text,
    };
    let (callee, rest) = text.split_once('(')?;
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.' | '[' | ']');
    let is_name = !callee.is_empty()
        && callee.len() <= CALLEE_CHARS_MAX
        && callee.trim_end().chars().all(named);
    let argument = rest.trim_end_matches([';', ' ', '\n', '\r']).strip_suffix(')')?.trim();
    (is_name && argument.starts_with(['{', '['])).then_some(argument)
}

/// The error among several documents one behind the other, else the first of them.
pub(super) fn among_several(text: &str) -> Option<Value> {
    let mut rest = text;
    let documents = std::iter::from_fn(|| {
        let (document, length) = first_document(rest.trim_start());
        rest = &rest.trim_start()[length..];
        document
    });
    let documents = documents.take(DOCUMENTS_MAX);
    first_error(documents.map(|document| (says_error(&document), document)))
}

/// The document that a text begins with, and the bytes that it takes there.
fn first_document(text: &str) -> (Option<Value>, usize) {
    let bounded = closed::bounded(text);
    let mut documents = serde_json::Deserializer::from_str(&bounded).into_iter();
    let document = documents.next().and_then(Result::ok);
    match &bounded {
        Cow::Borrowed(_) => (document, documents.byte_offset()),
        // What lies behind a document over the limit is not read.
        Cow::Owned(_) => (document, text.len()),
    }
}

/// The error among the events of a stream (`text/event-stream`), else the first document.
pub(super) fn in_events(text: &str) -> Option<Value> {
    let fields = ["data:", "event:", "id:", "retry:", ":"];
    let is_stream = fields.iter().any(|field| text.starts_with(field))
        && text.lines().take(DOCUMENTS_MAX).any(|line| line.starts_with("data:"));
    if !is_stream {
        return None;
    }
    let mut lines = text.lines();
    let events = std::iter::from_fn(|| {
        let (mut name, mut data, mut any) = ("", String::new(), false);
        for line in lines.by_ref() {
            any = true;
            if let Some(more) = line.strip_prefix("data:") {
                data.push_str(more.trim_start());
                data.push('\n');
            } else if let Some(event) = line.strip_prefix("event:") {
                name = event.trim();
            } else if line.is_empty() {
                break;
            }
        }
        any.then_some((name, data))
    });
    first_error(events.take(DOCUMENTS_MAX).filter_map(|(name, data)| {
        let name = name.to_ascii_lowercase();
        let named = ["error", "exception", "fail"].iter().any(|it| name.contains(it));
        let data = data.trim();
        let document = json::inside(data)
            .or_else(|| (named && !data.is_empty()).then(|| Value::String(data.to_owned())))?;
        Some((named || says_error(&document), document))
    }))
}

fn first_error(documents: impl Iterator<Item = (bool, Value)>) -> Option<Value> {
    let mut first = None;
    for (is_error, document) in documents {
        if is_error {
            return Some(document);
        }
        let holds_objects = match &document {
            Value::Object(members) => !members.is_empty(),
            Value::Array(items) => items.iter().any(Value::is_object),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        };
        if first.is_none() && holds_objects {
            first = Some(document);
        }
    }
    first
}

/// The error that stands in a text as JSON: behind a sentence or the warnings of a script.
pub(super) fn in_text(text: &str) -> Option<Value> {
    let mut from = 0;
    for _ in 0..STARTS_MAX {
        let brace = from + text[from..].find('{')?;
        let before = text[..brace].trim_end();
        let start = if before.ends_with('[') { before.len() - 1 } else { brace };
        let (document, length) = first_document(&text[start..]);
        if let Some(document) = document {
            let introduced = start <= INTRODUCTION_CHARS_MAX
                && text[start + length..].trim().is_empty()
                && has(&document, &COMMON_NAMES);
            if says_error(&document) || introduced {
                return Some(document);
            }
        }
        from = (start + length).max(brace + 1);
    }
    None
}

/// Whether a document calls itself an error.
fn says_error(document: &Value) -> bool {
    has(document, &ERROR_NAMES)
        || members(document).is_some_and(|members| {
            members.iter().any(|(name, value)| {
                let failed = || {
                    let text = value.as_str().unwrap_or_default().to_ascii_lowercase();
                    ["error", "fail", "exception"].iter().any(|it| text.contains(it))
                };
                KIND_NAMES.contains(&&*plain(name)) && failed()
                    || matches!(name.as_str(), "ok" | "success") && *value == Value::Bool(false)
            })
        })
}

fn has(document: &Value, names: &[&str]) -> bool {
    members(document).is_some_and(|members| {
        members.iter().any(|(name, value)| {
            let given = match value {
                Value::Null | Value::Bool(false) => false,
                Value::String(text) => !text.is_empty(),
                Value::Array(items) => !items.is_empty(),
                Value::Bool(true) | Value::Number(_) | Value::Object(_) => true,
            };
            given && names.contains(&&*plain(name))
        })
    })
}

/// The members of an object, or of the first one in a list.
fn members(document: &Value) -> Option<&Map<String, Value>> {
    document.as_object().or_else(|| document.get(0)?.as_object())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn guards_and_calls_are_taken_off() {
        let rows = [
            (")]}'\n{\"a\":1}", "{\"a\":1}"),
            ("while(1);[1]", "[1]"),
            ("for (;;);{}", "{}"),
            ("cb({\"a\":1});", "{\"a\":1}"),
            ("/**/window.cb[0] ( {\"a\":1} )", "{\"a\":1}"),
            ("/**/ typeof cb === 'function' && cb({\"a\":1});", "{\"a\":1}"),
            ("typeof x is (unknown)", "typeof x is (unknown)"),
            ("f(x)", "f(x)"),
            ("Too many (see {docs})", "Too many (see {docs})"),
        ];
        for (text, expected) in rows {
            assert_eq!(unguarded(text), expected, "{text}");
        }
    }

    #[test]
    fn the_error_among_documents_is_found() {
        let error = json!({ "error": { "code": 1 } });
        let rows = [
            format!("{{\"status\":\"started\"}}\n{error}\n{{\"x\":1}}"),
            format!("{error}{{\"error\":2}}"),
            format!("{error}<!-- 3 ms -->"),
        ];
        for text in rows {
            assert_eq!(among_several(&text), Some(error.clone()), "{text}");
        }
        assert_eq!(among_several("{\"a\":1}\n{\"b\":2}"), Some(json!({ "a": 1 })));
        assert_eq!(among_several("[1] is not a document"), None);
    }

    #[test]
    fn the_error_among_events_is_found() {
        let error = json!({ "error": { "message": "busy" } });
        let rows = [
            (format!("data: {error}"), error.clone()),
            (format!(": hi\nid: 1\n\ndata: {{\"a\":1}}\n\ndata: {error}\n\ndata: [DONE]"), error),
            ("event: error\ndata: It is busy.\n\n".to_owned(), json!("It is busy.")),
            ("data: {\"a\":\ndata: 1}\n\n".to_owned(), json!({ "a": 1 })),
        ];
        for (text, expected) in rows {
            assert_eq!(in_events(&text), Some(expected), "{text}");
        }
        assert_eq!(in_events("id: 5 is unknown"), None);
    }

    #[test]
    fn an_error_in_a_text_is_found_and_other_json_is_not() {
        let error = json!({ "error": "x" });
        let rows = [
            (format!("Error 429: {error}"), Some(error.clone())),
            (format!("<br />\n<b>Warning</b>: a {{b}} in /c.php<br />\n{error}"), Some(error)),
            ("Failed: [{\"message\":\"a\"}]".to_owned(), Some(json!([{ "message": "a" }]))),
            ("Cannot read {\"a\":1}".to_owned(), None),
            ("Cannot read {\"message\":1}, as sent".to_owned(), None),
            ("{{{{".to_owned(), None),
        ];
        for (text, expected) in rows {
            assert_eq!(in_text(&text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in r#"[\[\]{}":,()/*; a1üdt\n]{0,80}"#) {
            let _ = (unguarded(&text), among_several(&text), in_events(&text), in_text(&text));
        }
    }
}
