//! Text of a dialect → the dialect, or every fault at once.
//!
//! Each fault names its place as a JSON Pointer, what is accepted there, and the nearest valid
//! key. Refuses to read files: whoever holds the text parses it into a value first.

mod fields;
mod rules;
mod schema;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::dialect::definition::{Dialect, Extract, Place, Rule};
use crate::outcome::{Support, SupportWhen};
use fields::{Fields, Sink};

pub use schema::schema;

/// One thing that is wrong in a dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialectError {
    /// Where, as a JSON Pointer into the value.
    pub pointer: String,
    /// What was found.
    pub message: String,
    /// What is accepted there.
    pub accepted: String,
    /// The valid word that is spelt most like it.
    pub nearest: Option<String>,
}

impl std::fmt::Display for DialectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; accepted: {}", self.pointer, self.message, self.accepted)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for DialectError {}

/// Rules of one dialect; more are a program, not data.
pub const RULES_MAX: usize = 200;
/// The longest attempt a dialect may promise.
const ATTEMPT_TIMEOUT_MAX: Duration = Duration::from_secs(3_600);

/// The keys of a dialect.
const DIALECT_KEYS: [&str; 7] =
    ["name", "documentation", "support", "timeouts", "guess", "extract", "rules"];
/// The keys of `timeouts`.
const TIMEOUT_KEYS: [&str; 1] = ["attempt"];
/// The keys of `extract`.
const EXTRACT_KEYS: [&str; 10] = [
    "message",
    "code",
    "reason",
    "details",
    "reference",
    "date",
    "operation",
    "children",
    "child",
    "ignore",
];
/// The keys of `extract.child`.
const CHILD_KEYS: [&str; 4] = ["message", "code", "details", "pointer"];
/// The keys of `support`.
const SUPPORT_KEYS: [&str; 2] = ["contact", "when"];
/// When the support contact is told.
const SUPPORT_WHENS: [(&str, SupportWhen); 3] = [
    ("exhausted", SupportWhen::Exhausted),
    ("always", SupportWhen::Always),
    ("hint", SupportWhen::Hint),
];

/// A dialect from its value.
///
/// # Errors
/// Every fault of the value, in the order of its text.
pub fn compile(name: &str, value: &Value) -> Result<Dialect, Vec<DialectError>> {
    let sink = Sink::default();
    let fields = Fields::of(value, "", &DIALECT_KEYS, &sink);
    let _ = fields.text("name");
    let dialect = Dialect {
        name: Arc::from(name),
        guesses: fields.flag("guess").unwrap_or(false),
        documentation: fields.text("documentation").map(Arc::from),
        support: fields.get("support").and_then(|(value, at)| support(value, &at, &sink)),
        attempt_timeout: fields.get("timeouts").and_then(|(value, at)| {
            let timeouts = Fields::of(value, &at, &TIMEOUT_KEYS, &sink);
            timeouts.duration("attempt", ATTEMPT_TIMEOUT_MAX)
        }),
        extract: fields
            .get("extract")
            .map_or_else(Extract::default, |(value, at)| extract(value, &at, &sink)),
        rules: fields
            .get("rules")
            .map_or_else(Vec::new, |(value, at)| rules::list(value, &at, &sink)),
    };
    sink.finish(dialect)
}

/// The rules of a route, which stand before its dialect's.
///
/// # Errors
/// Every fault of the value; pointers begin at the list.
pub fn compile_rules(value: &Value) -> Result<Vec<Rule>, Vec<DialectError>> {
    let sink = Sink::default();
    let rules = rules::list(value, "", &sink);
    sink.finish(rules)
}

/// The places of a route, which replace its dialect's.
///
/// # Errors
/// Every fault of the value.
pub fn compile_extract(value: &Value) -> Result<Extract, Vec<DialectError>> {
    let sink = Sink::default();
    let extract = extract(value, "", &sink);
    sink.finish(extract)
}

fn extract(value: &Value, at: &str, sink: &Sink) -> Extract {
    let fields = Fields::of(value, at, &EXTRACT_KEYS, sink);
    let places = |fields: &Fields<'_>, name: &str| {
        let words = fields.words(name);
        words.into_iter().filter_map(|(text, at)| place(&text, &at, sink)).collect()
    };
    let empty = Value::Object(serde_json::Map::new());
    let (child, child_at) = fields.get("child").unwrap_or((&empty, String::new()));
    let child = Fields::of(child, &child_at, &CHILD_KEYS, sink);
    Extract {
        message: places(&fields, "message"),
        code: places(&fields, "code"),
        reason: places(&fields, "reason"),
        details: places(&fields, "details"),
        reference: places(&fields, "reference"),
        date: places(&fields, "date"),
        operation: places(&fields, "operation"),
        children: places(&fields, "children"),
        child_message: places(&child, "message"),
        child_code: places(&child, "code"),
        child_details: places(&child, "details"),
        child_pointer: places(&child, "pointer"),
        ignore: fields.words("ignore").into_iter().map(|(text, _)| text.into()).collect(),
    }
}

/// `/a/b`, `header:NAME` or `text`.
fn place(text: &str, at: &str, sink: &Sink) -> Option<Place> {
    let accepted = "a JSON Pointer like /error/title, header:NAME, or text";
    match text.strip_prefix("header:") {
        Some(name) => match name.trim().parse() {
            Ok(name) => Some(Place::Header(name)),
            Err(_) => sink.fault(at, &format!("`{name}` is no header name"), accepted),
        },
        None if text == "text" => Some(Place::Text),
        None if text.starts_with('/') => Some(Place::Pointer(text.into())),
        None => sink.fault(at, &format!("`{text}` is no place"), accepted),
    }
}

/// `{ contact: …, when: … }`, or the contact alone.
fn support(value: &Value, at: &str, sink: &Sink) -> Option<Support> {
    if let Value::String(contact) = value {
        return Some(Support { contact: contact.as_str().into(), when: SupportWhen::Exhausted });
    }
    let fields = Fields::of(value, at, &SUPPORT_KEYS, sink);
    let when = fields.choice("when", &SUPPORT_WHENS).unwrap_or(SupportWhen::Exhausted);
    let Some(contact) = fields.text("contact") else {
        return sink.fault(at, "whom to contact is missing", "a `contact`");
    };
    Some(Support { contact: contact.into(), when })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::dialect::{builtin, builtin_names};

    fn faults(value: &Value) -> Vec<(String, String, Option<String>)> {
        let faults = compile("test", value).unwrap_err();
        faults.into_iter().map(|it| (it.pointer, it.message, it.nearest)).collect()
    }

    #[test]
    fn what_ships_compiles() {
        for name in builtin_names() {
            let dialect = builtin(name).unwrap();
            assert_eq!(&*dialect.name, name);
        }
        assert!(builtin("nobody").is_none());
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let value = json!({
            "documentatoin": "x",
            "guess": "yes",
            "support": { "when": "exhaustd" },
            "timeouts": { "attempt": "60" },
            "extract": { "message": ["error"], "child": { "titel": "/title" } },
            "rules": [
                { "name": "a", "when": { "status": "4x", "text": "(" }, "code": "rate_limit" },
                { "when": {}, "code": "conflict", "retry": { "after": "1h90x" } },
                { "when": { "failure": "silence" }, "code": "queue_full" },
                { "when": { "status": 429 }, "code": "rate_limited", "hold": { "for": "9999d", "slow": "0%" }, "retry": {} },
                { "when": { "status": 400, "failure": "dns" }, "code": "conflict", "hold": { "scope": "all" } },
                7,
            ],
        });
        let found = faults(&value);
        let pointers: Vec<&str> = found.iter().map(|(pointer, ..)| pointer.as_str()).collect();
        assert_eq!(
            pointers,
            [
                "/documentatoin",
                "/guess",
                "/support/when",
                "/support",
                "/timeouts/attempt",
                "/extract/child/titel",
                "/extract/message/0",
                "/rules/0/when/status",
                "/rules/0/when/text",
                "/rules/0/code",
                "/rules/1/when",
                "/rules/1/retry/after",
                "/rules/2/when/failure",
                "/rules/2/code",
                "/rules/3/hold/for",
                "/rules/3/hold/slow",
                "/rules/3/retry",
                "/rules/4/when",
                "/rules/4/hold/scope",
                "/rules/5",
            ]
        );
        assert_eq!(found[0].2.as_deref(), Some("documentation"));
        assert_eq!(found[2].2.as_deref(), Some("exhausted"));
        assert_eq!(found[9].2.as_deref(), Some("rate_limited"));
    }

    #[test]
    fn values_as_people_write_them_get_a_suggestion() {
        let rule = |when: Value, hold: Value| json!({ "rules": [{ "when": when, "code": "rate_limited", "hold": hold }] });
        let (status, nothing) = (json!({ "status": 429 }), json!({}));
        let rows = [
            (rule(json!({ "status": "400..409" }), nothing.clone()), "400-409"),
            (rule(json!({ "status": "4XX" }), nothing.clone()), "4xx"),
            (rule(json!({ "status": "5**" }), nothing.clone()), "5xx"),
            (rule(json!({ "failure": "connection_refused" }), nothing), "refused"),
            (rule(status.clone(), json!({ "for": 30 })), "30s"),
            (rule(status.clone(), json!({ "at_least": "60" })), "60s"),
            (rule(status.clone(), json!({ "slow": 0.5 })), "50%"),
            (rule(status, json!({ "slow": 50 })), "50%"),
        ];
        for (value, meant) in rows {
            let found = faults(&value);
            assert_eq!(found[0].2.as_deref(), Some(meant), "{value} {found:?}");
        }
    }

    #[test]
    fn a_regex_cannot_grow_without_bounds() {
        let greedy = json!({ "rules": [{ "when": { "text": "(((a{999}){999}){999})" }, "code": "conflict" }] });
        assert_eq!(faults(&greedy)[0].0, "/rules/0/when/text");
    }

    proptest! {
        #[test]
        fn nothing_panics(text in r#"[{}\[\]":,a-z0-9/%\n -]{0,80}"#) {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let _ = (compile("x", &value), compile_rules(&value), compile_extract(&value));
            }
        }
    }
}
