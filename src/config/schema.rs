//! The table of keys as JSON Schema, for editors.
//!
//! The schema says what one value may look like; what depends on two of them, only `load` knows.

use serde_json::{Map, Value, json};

use super::dialects::Dialects;
use super::keys::{self, Data, Fallback, Key, Keys, Kind, Scalar};
use super::scalar::Plain;

/// The JSON Schema (2020-12) of the configuration.
#[must_use]
pub fn schema(dialects: &Dialects) -> Value {
    let Value::Object(whole) = object(keys::ROOT, dialects) else { return Value::Null };
    let mut head = Map::new();
    head.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    head.insert("title".into(), "evenkeel.yaml".into());
    head.extend(whole);
    Value::Object(head)
}

fn object(keys: Keys, dialects: &Dialects) -> Value {
    let properties: Map<_, _> =
        keys::each(keys).map(|key| (key.name.to_owned(), described(key, dialects))).collect();
    let required = |key: &&'static Key| matches!(key.fallback, Fallback::Required);
    let required: Vec<_> = keys::each(keys).filter(required).map(|key| key.name).collect();
    json!({
        "type": ["object", "null"],
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    })
}

fn described(key: &Key, dialects: &Dialects) -> Value {
    let description = match &key.fallback {
        Fallback::Is(_) => key.doc.to_owned(),
        Fallback::Means(words) => format!("{} Absent: {words}.", key.doc),
        Fallback::Required => format!("{} Required.", key.doc),
    };
    let mut schema = of_kind(&key.kind, dialects);
    schema["description"] = description.into();
    if let Fallback::Is(value) = &key.fallback {
        schema["default"] = plain(&value());
    }
    schema
}

fn of_kind(kind: &Kind, dialects: &Dialects) -> Value {
    match kind {
        Kind::One(scalar) => of_scalar(scalar),
        Kind::Map(keys) => object(keys, dialects),
        Kind::Short { key, keys } => match keys::find(keys, key) {
            Some(main) => {
                json!({ "anyOf": [filled(keys, dialects), of_kind(&main.kind, dialects)] })
            }
            None => object(keys, dialects),
        },
        Kind::Named { of, max } => json!({
            "type": ["object", "null"],
            "maxProperties": max,
            "propertyNames": { "pattern": "^[a-z][a-z0-9_]{0,63}$" },
            "additionalProperties": of_kind(of, dialects),
        }),
        Kind::List { of, min, max } => {
            let items = of_kind(of, dialects);
            json!({ "type": ["array", "null"], "minItems": min, "maxItems": max, "items": items })
        }
        Kind::Secret => secret(),
        Kind::Data(Data::Dialect) => (dialects.schema)(),
        Kind::Data(Data::Rules) => (dialects.schema)()["properties"]["rules"].take(),
        Kind::Data(Data::Free) => json!({}),
        Kind::Later { .. } => json!({ "not": {} }),
    }
}

fn filled(keys: Keys, dialects: &Dialects) -> Value {
    let mut schema = object(keys, dialects);
    schema["type"] = "object".into();
    schema
}

fn secret() -> Value {
    let one = |key: &str| {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": [key],
            "properties": { key: { "type": "string", "minLength": 1 } },
        })
    };
    json!({ "oneOf": [one("env"), one("file")] })
}

fn of_scalar(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Flag => json!({ "type": "boolean" }),
        Scalar::Count { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Scalar::Workers { max } => json!({
            "anyOf": [{ "const": "auto" }, { "type": "integer", "minimum": 1, "maximum": max }],
        }),
        Scalar::Version => json!({ "const": 1 }),
        Scalar::Factor { min, max } => json!({ "type": "number", "minimum": min, "maximum": max }),
        Scalar::Word(words) => json!({ "enum": words }),
        Scalar::Percent { .. } => pattern("^[0-9]+%$"),
        Scalar::Duration { .. } => pattern("^([0-9]+(day|d|h|ms|m|s))+$"),
        Scalar::Size { .. } => pattern("^[0-9]+(B|KiB|MiB|GiB)$"),
        Scalar::Rate { .. } => pattern("^[0-9]+(B|KiB|MiB|GiB)/s$"),
        Scalar::Limit => pattern("^[0-9]+/([0-9]+)?(day|d|h|ms|m|s)([0-9]+(h|ms|m|s))*$"),
        Scalar::Header | Scalar::AccountHeader | Scalar::Token { .. } => {
            pattern("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
        }
        Scalar::Method => pattern("^[A-Z]+$"),
        Scalar::Address => pattern("^.+:[0-9]+$"),
        Scalar::Host => pattern("^[A-Za-z0-9._:\\[\\]-]+$"),
        Scalar::Prefix | Scalar::Pattern => pattern("^/"),
        Scalar::Url => pattern("^https?://[^@?#]+$"),
        Scalar::Text { .. } | Scalar::Level => json!({ "type": "string", "minLength": 1 }),
    }
}

fn pattern(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn plain(value: &Plain) -> Value {
    match value {
        Plain::Flag(flag) => (*flag).into(),
        Plain::Count(number) => (*number).into(),
        Plain::Factor(number) => (*number).into(),
        Plain::Percent(_)
        | Plain::Duration(_)
        | Plain::Size(_)
        | Plain::Rate(_)
        | Plain::Limit(_)
        | Plain::Word(_)
        | Plain::Text(_)
        | Plain::Header(..)
        | Plain::Method(_)
        | Plain::Address(_)
        | Plain::Host(_)
        | Plain::Prefix(_)
        | Plain::Pattern(..)
        | Plain::Url(_) => value.to_string().into(),
    }
}
