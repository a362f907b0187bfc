//! The dialect language as JSON Schema, for editors.
//!
//! A test compares its keys with those that `compile` knows.

use serde_json::{Value, json};

use super::fields::SUPPORT_WHENS;
use super::own::OWN_HEADERS_MAX;
use super::rules::{CAUSES, PATTERN_CHARS_MAX, REPLAYS, RULES_MAX, SCOPES, codes};
use crate::outcome::{Code, FailureKind};

/// The JSON Schema of one dialect; its `properties.rules` is that of a route's own rules.
#[must_use]
pub fn schema() -> Value {
    object(&json!({
        "name": text("A name for people; the dialect is named by its key or its file."),
        "extends": text("Another dialect, whose places and rules come behind these."),
        "documentation": text("Where the vendor documents its errors; shown in problems."),
        "support": support(),
        "timeouts": object(&json!({
            "attempt": duration("How long the vendor may take to respond, as it documents."),
        })),
        "spread": {
            "enum": ["auto", "even"],
            "default": "auto",
            "description": "`even` where the vendor asks for calls that are spread evenly.",
        },
        "guess": {
            "type": "boolean",
            "default": false,
            "description": "Whether what no place and no rule covers is guessed, as `auto` does.",
        },
        "extract": extract(),
        "own": own(),
        "rules": {
            "type": ["array", "null"],
            "maxItems": RULES_MAX,
            "items": rule(),
            "description": "What a response or a failure means; the first match wins.",
        },
    }))
}

fn extract() -> Value {
    object(&json!({
        "message": places("The sentence for people: the problem's `detail`."),
        "code": places("The vendor's own code: `upstream.code`, and what rules compare."),
        "reason": places("A second, technical sentence: `upstream.reason`."),
        "details": places("What else belongs to it: `upstream.details`."),
        "reference": places("An id that the vendor's support asks for: `upstream.reference`."),
        "date": places("When it happened: `upstream.occurred_at`."),
        "operation": places("What was being done: `upstream.operation`."),
        "children": places("Lists of single errors: the problem's `errors`."),
        "child": object(&json!({
            "message": places("The sentence, inside one of `children`."),
            "code": places("The code, inside one of `children`."),
            "details": places("A sentence that is used where there is no message."),
            "pointer": places("The field that is wrong, inside one of `children`."),
        })),
        "ignore": words("Members that carry no information and stay out of `upstream.details`."),
    }))
}

fn own() -> Value {
    let (map, word) = (json!({ "type": "object" }), json!({ "type": ["string", "number"] }));
    let name = object(&json!({
        "code": described(&word, "What `{code}` stands for."),
        "type": described(&word, "What `{type}` stands for; absent: the code."),
        "status": {
            "type": "integer",
            "minimum": 400,
            "maximum": 599,
            "description": "The status, instead of the problem's.",
        },
    }));
    let mut own = object(&json!({
        "json": described(&json!({}), "The body as JSON; its texts hold placeholders."),
        "xml": described(&map, "The body as XML: one root, `@name` for attributes, `$` for text."),
        "media_type": text("Absent: application/json or application/xml."),
        "headers": {
            "type": "object",
            "maxProperties": OWN_HEADERS_MAX,
            "additionalProperties": { "type": "string" },
            "description": "Further headers; their texts hold placeholders.",
        },
        "names": {
            "type": ["object", "null"],
            "additionalProperties": { "anyOf": [word, name] },
            "description": "What the vendor calls our errors: by code, status (429), class (5xx) \
                or `default`; a bare word is the code.",
        },
    }));
    own["description"] =
        "Errors of the gateway's own in the vendor's shape, under `errors: vendor`.".into();
    own
}

fn rule() -> Value {
    let codes: Vec<_> = codes().map(Code::as_str).collect();
    let mut rule = object(&json!({
        "name": text("A name for the log and for `explain`."),
        "when": when(),
        "code": { "enum": codes, "description": "What it means; `evenkeel problem` lists them." },
        "replay": {
            "enum": names(&REPLAYS),
            "default": "by_table",
            "description": "`any_method`: the vendor did nothing, so every method is sent again.",
        },
        "retry": object(&json!({
            "after": duration("The wait before the next attempt; absent: the gateway's own backoff."),
        })),
        "hold": hold(),
        "status": {
            "type": "integer",
            "minimum": 400,
            "maximum": 599,
            "description": "The status a client gets, instead of the code's own.",
        },
        "support": support(),
    }));
    rule["required"] = json!(["when", "code"]);
    rule
}

fn when() -> Value {
    let failures: Vec<_> = FailureKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let status = json!({
        "anyOf": [
            { "type": "integer", "minimum": 100, "maximum": 999 },
            { "type": "string", "pattern": "^([0-9]{3}|[1-9]xx|[0-9]{3} *- *[0-9]{3})$" },
        ],
    });
    let mut when = object(&json!({
        "status": described(&one_or_more(&status), "`404`, `4xx`, `500-599`, or a list of these."),
        "text": pattern("A pattern that the message, else the whole body, matches."),
        "code": words("The extracted code is one of these."),
        "body": {
            "type": "object",
            "propertyNames": place(),
            "additionalProperties": words("The texts that may stand there."),
            "description": "A place of the body holds one of these texts.",
        },
        "header": {
            "type": "object",
            "additionalProperties": { "anyOf": [{ "const": true }, { "type": "null" }, pattern("")] },
            "description": "A header is there (`true`), or matches a pattern.",
        },
        "failure": described(
            &one_or_more(&json!({ "enum": failures })),
            "No response arrived, for one of these reasons; without other conditions.",
        ),
    }));
    when["type"] = "object".into();
    when["minProperties"] = 1.into();
    when
}

fn hold() -> Value {
    object(&json!({
        "scope": {
            "enum": names(&SCOPES),
            "description": "What is closed. Absent: the upstream for maintenance, else the allowance.",
        },
        "cause": {
            "enum": names(&CAUSES),
            "description": "Absent: maintenance for `upstream_maintenance`, else throttle.",
        },
        "for": duration("How long, where the vendor does not say; absent: doubling from 1s."),
        "at_least": duration("No hold is shorter, even if the vendor states a shorter wait."),
        "slow": {
            "type": "string",
            "pattern": "^([1-9][0-9]?|100) *%$",
            "description": "The pace afterwards. Absent: 50% after a throttle, else unchanged.",
        },
    }))
}

fn support() -> Value {
    let contact = text("An address that a client may contact.");
    let mut whole = object(&json!({
        "contact": contact,
        "when": {
            "enum": names(&SUPPORT_WHENS),
            "default": "exhausted",
            "description": "`exhausted`: once the retries are used up.",
        },
    }));
    whole["required"] = json!(["contact"]);
    json!({ "anyOf": [text("Only the contact."), whole] })
}

fn object(properties: &Value) -> Value {
    json!({
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": properties,
    })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "description": description })
}

fn pattern(description: &str) -> Value {
    let bounded = json!({ "type": "string", "maxLength": PATTERN_CHARS_MAX });
    described(&bounded, description)
}

fn duration(description: &str) -> Value {
    described(&json!({ "type": "string", "pattern": "^[0-9]" }), description)
}

fn place() -> Value {
    json!({ "type": "string", "pattern": "^((/.*)?|header: *[A-Za-z0-9!#$%&'*+.^_`|~-]+|text)$" })
}

fn places(description: &str) -> Value {
    described(&one_or_more(&place()), description)
}

fn words(description: &str) -> Value {
    described(&one_or_more(&json!({ "type": ["string", "number", "boolean"] })), description)
}

fn one_or_more(one: &Value) -> Value {
    json!({ "anyOf": [one, { "type": "array", "items": one }] })
}

fn described(schema: &Value, description: &str) -> Value {
    let mut schema = schema.clone();
    if !description.is_empty() {
        schema["description"] = description.into();
    }
    schema
}

fn names<T>(choices: &[(&'static str, T)]) -> Vec<&'static str> {
    choices.iter().map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fields::SUPPORT_KEYS;
    use super::super::own::{NAME_KEYS, OWN_KEYS};
    use super::super::rules::{HOLD_KEYS, RETRY_KEYS, RULE_KEYS, WHEN_KEYS};
    use super::super::{CHILD_KEYS, DIALECT_KEYS, EXTRACT_KEYS, TIMEOUT_KEYS};
    use super::*;

    #[test]
    fn the_schema_has_the_keys_that_the_compiler_knows() {
        let rule = "/properties/rules/items/properties";
        let rows: [(&str, &[&str]); 12] = [
            ("/properties", &DIALECT_KEYS),
            ("/properties/timeouts/properties", &TIMEOUT_KEYS),
            ("/properties/support/anyOf/1/properties", &SUPPORT_KEYS),
            ("/properties/extract/properties", &EXTRACT_KEYS),
            ("/properties/extract/properties/child/properties", &CHILD_KEYS),
            ("/properties/own/properties", &OWN_KEYS),
            (
                "/properties/own/properties/names/additionalProperties/anyOf/1/properties",
                &NAME_KEYS,
            ),
            (rule, &RULE_KEYS),
            (&format!("{rule}/when/properties"), &WHEN_KEYS),
            (&format!("{rule}/retry/properties"), &RETRY_KEYS),
            (&format!("{rule}/hold/properties"), &HOLD_KEYS),
            (&format!("{rule}/support/anyOf/1/properties"), &SUPPORT_KEYS),
        ];
        let schema = schema();
        for (pointer, keys) in rows {
            let properties = schema.pointer(pointer).and_then(Value::as_object).expect(pointer);
            assert_eq!(
                properties.keys().map(String::as_str).collect::<Vec<_>>(),
                keys,
                "{pointer}"
            );
        }
    }

    #[test]
    fn the_schema_and_the_compiler_accept_the_same() {
        let accepts = jsonschema::validator_for(&schema()).unwrap();
        let when = json!({ "status": [429, "4xx", "500-599"], "text": "(?i)x", "code": [1, "a"],
            "body": { "/a": ["b"] }, "header": { "x-a": true, "x-b": null, "x-c": "d" } });
        let good = json!({ "guess": true, "support": "a@b", "timeouts": { "attempt": "1m" }, "spread": "even",
            "extract": { "message": ["/a", "header:x-m", "text"], "child": { "code": "/c" } },
            "own": { "json": { "a": "{message}" }, "names": { "429": "x", "5xx": { "status": 503 } } },
            "rules": [
                { "name": "a", "when": when, "code": "rate_limited", "status": 503,
                  "hold": { "scope": "upstream", "cause": "throttle", "for": "10s", "at_least": "1s", "slow": "50%" } },
                { "when": { "failure": ["dns", "tls"] }, "code": "upstream_tls", "retry": null,
                  "replay": "any_method", "support": { "contact": "x", "when": "hint" } },
            ] });
        assert!(crate::dialect::compile("x", &good).is_ok());
        assert_eq!(
            accepts.iter_errors(&good).map(|it| it.to_string()).collect::<Vec<_>>(),
            [""; 0]
        );
        let rule = |rule: Value| json!({ "rules": [rule] });
        let bad = [
            json!({ "guess": "yes" }),
            json!({ "extract": { "message": "a" } }),
            json!({ "own": { "xml": "a" } }),
            json!({ "own": { "json": {}, "names": { "429": { "status": 200 } } } }),
            rule(json!({ "when": { "status": 429 }, "code": "rate_limit" })),
            rule(json!({ "when": { "status": 429 }, "code": "queue_full" })),
            rule(json!({ "when": {}, "code": "conflict" })),
            rule(json!({ "when": { "failure": "silence" }, "code": "conflict" })),
            rule(
                json!({ "when": { "status": 429 }, "code": "conflict", "hold": { "scope": "all" } }),
            ),
            rule(
                json!({ "when": { "status": 429 }, "code": "conflict", "hold": { "slow": "0%" } }),
            ),
            rule(json!({ "when": { "status": 429 }, "code": "conflict", "status": 200 })),
            rule(json!({ "when": { "status": "4x" }, "code": "conflict" })),
            rule(json!({ "code": "conflict" })),
        ];
        for data in bad {
            assert!(crate::dialect::compile("x", &data).is_err(), "{data}");
            assert!(!accepts.is_valid(&data), "{data}");
        }
    }
}
