//! The value of a dialect's text → the dialect, or every error at once.
//!
//! Each error names its place as a JSON Pointer, what is accepted there, and the nearest valid
//! name. Reading files and parsing YAML is left to the caller.

mod fields;
mod own;
mod rules;
mod schema;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::definition::{Dialect, Extract};
use fields::{Errors, Fields};

pub use fields::DialectError;
pub use schema::schema;

/// The longest attempt timeout that a dialect may set.
const ATTEMPT_TIMEOUT_MAX: Duration = Duration::from_secs(3_600);

const DIALECT_KEYS: [&str; 10] = [
    "name",
    "extends",
    "documentation",
    "support",
    "timeouts",
    "spread",
    "guess",
    "extract",
    "own",
    "rules",
];
/// Whether calls are to be spread evenly.
const SPREADS: [(&str, bool); 2] = [("auto", false), ("even", true)];
const TIMEOUT_KEYS: [&str; 1] = ["attempt"];
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
const CHILD_KEYS: [&str; 4] = ["message", "code", "details", "pointer"];

/// The name of the dialect that a value extends.
#[must_use]
pub fn extends(value: &Value) -> Option<&str> {
    value.get("extends")?.as_str()
}

/// Own places and own rules come before those of the dialect that is extended. `base` is that
/// dialect, or why it is none; nothing where that one is faulty itself.
///
/// # Errors
/// Every error in the value, in the order of its text.
pub fn compile_extending(
    name: &str,
    value: &Value,
    base: Result<Option<Arc<Dialect>>, DialectError>,
) -> Result<Dialect, Vec<DialectError>> {
    let errors = Errors::default();
    let base = base.unwrap_or_else(|error| {
        errors.add(error);
        None
    });
    let base = base.as_deref().cloned().unwrap_or_default();
    let fields = Fields::of(value, "", &DIALECT_KEYS, &errors);
    // The name in the text is for people; the dialect is named by its key or its file.
    let _ = (fields.text("name"), fields.text("extends"));
    let dialect = Dialect {
        name: Arc::from(name),
        guesses: fields.flag("guess").unwrap_or(base.guesses),
        documentation: fields.text("documentation").map(Arc::from).or(base.documentation),
        support: fields.support().or(base.support),
        attempt_timeout: fields
            .value("timeouts")
            .and_then(|(value, at)| {
                let timeouts = Fields::of(value, &at, &TIMEOUT_KEYS, &errors);
                timeouts.duration("attempt", ATTEMPT_TIMEOUT_MAX)
            })
            .or(base.attempt_timeout),
        spreads_evenly: fields.choice("spread", &SPREADS).unwrap_or(base.spreads_evenly),
        extract: fields
            .value("extract")
            .map_or_else(Extract::default, |(value, at)| extract(value, &at, &errors))
            .before(base.extract),
        own: fields
            .value("own")
            .and_then(|(value, at)| own::template(value, &at, &errors))
            .or(base.own),
        rules: fields
            .value("rules")
            .map_or_else(Vec::new, |(value, at)| rules::list(value, &at, &errors))
            .into_iter()
            .chain(base.rules)
            .collect(),
    };
    errors.finish(dialect)
}

fn extract(value: &Value, at: &str, errors: &Errors) -> Extract {
    let fields = Fields::of(value, at, &EXTRACT_KEYS, errors);
    let empty = Value::Object(Map::new());
    let (child, child_at) = fields.value("child").unwrap_or((&empty, String::new()));
    let child = Fields::of(child, &child_at, &CHILD_KEYS, errors);
    Extract {
        message: fields.places("message"),
        code: fields.places("code"),
        reason: fields.places("reason"),
        details: fields.places("details"),
        reference: fields.places("reference"),
        date: fields.places("date"),
        operation: fields.places("operation"),
        children: fields.places("children"),
        child_message: child.places("message"),
        child_code: child.places("code"),
        child_details: child.places("details"),
        child_pointer: child.places("pointer"),
        ignore: fields.texts("ignore").into_iter().map(|(text, _)| text.into()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::dialect::{builtin, builtin_names, compile};

    fn errors(value: &Value) -> Vec<(String, String, Option<String>)> {
        let errors = compile("test", value).unwrap_err();
        errors.into_iter().map(|it| (it.pointer, it.message, it.nearest)).collect()
    }

    #[test]
    fn the_built_in_dialects_compile() {
        for name in builtin_names() {
            let dialect = builtin(name).unwrap();
            assert_eq!(&*dialect.name, name);
        }
        assert!(builtin("nobody").is_none());
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let value = json!({
            "documentatoin": "x",
            "guess": "yes",
            "support": { "when": "exhaustd" },
            "timeouts": { "attempt": "60" },
            "spread": "evenly",
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
        let found = errors(&value);
        let pointers: Vec<&str> = found.iter().map(|(pointer, ..)| pointer.as_str()).collect();
        assert_eq!(
            pointers,
            [
                "/documentatoin",
                "/guess",
                "/support/when",
                "/support",
                "/timeouts/attempt",
                "/spread",
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
        assert_eq!(found[10].2.as_deref(), Some("rate_limited"));
    }

    #[test]
    fn common_misspellings_of_values_get_a_suggestion() {
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
            let found = errors(&value);
            assert_eq!(found[0].2.as_deref(), Some(meant), "{value} {found:?}");
        }
    }

    #[test]
    fn a_dialect_extends_another_with_own_places_and_rules_first() {
        let rule = |status: u16, code: &str| json!({ "when": { "status": status }, "code": code });
        let base = json!({
            "guess": true,
            "documentation": "https://base.example",
            "timeouts": { "attempt": "9s" },
            "spread": "even",
            "extract": { "message": "/b", "code": "/c", "child": { "code": "/x" }, "ignore": "i" },
            "rules": [rule(409, "conflict")],
        });
        let base = Arc::new(compile("base", &base).unwrap());
        let own = json!({
            "extends": "base",
            "documentation": "https://own.example",
            "extract": { "message": "/a", "child": { "code": "/y" } },
            "rules": [rule(409, "transient_conflict")],
        });
        let own = compile_extending("own", &own, Ok(Some(base))).unwrap();
        let places = |places: &[crate::dialect::Place]| format!("{places:?}");
        assert_eq!(places(&own.extract.message), r#"[Pointer("/a"), Pointer("/b")]"#);
        assert_eq!(places(&own.extract.code), r#"[Pointer("/c")]"#);
        assert_eq!(places(&own.extract.child_code), r#"[Pointer("/y"), Pointer("/x")]"#);
        assert_eq!(own.extract.ignore, [Box::<str>::from("i")]);
        assert_eq!(
            own.rules.iter().map(|it| it.code.as_str()).collect::<Vec<_>>(),
            ["transient_conflict", "conflict"]
        );
        assert_eq!(own.documentation.as_deref(), Some("https://own.example"));
        assert_eq!((own.guesses, own.spreads_evenly), (true, true));
        assert_eq!(own.attempt_timeout, Some(Duration::from_secs(9)));
    }

    #[test]
    fn an_unknown_dialect_to_extend_is_answered_with_the_nearest() {
        let found = errors(&json!({ "extends": "droplnk" }));
        let message = "there is no dialect `droplnk`".to_owned();
        assert_eq!(found, [("/extends".to_owned(), message, Some("droplink".to_owned()))]);
    }

    #[test]
    fn the_size_of_a_pattern_is_bounded() {
        let greedy = json!({ "rules": [{ "when": { "text": "(((a{999}){999}){999})" }, "code": "conflict" }] });
        assert_eq!(errors(&greedy)[0].0, "/rules/0/when/text");
    }

    proptest! {
        #[test]
        fn nothing_panics(text in r#"[{}\[\]":,a-z0-9/%\n -]{0,80}"#) {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let _ = compile("x", &value);
            }
        }
    }
}
