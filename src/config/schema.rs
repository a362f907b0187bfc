//! The declared settings as a JSON Schema, for editors.
//!
//! The schema describes single values; what depends on two of them, only `load` knows.

use serde_json::{Map, Value, json};

use super::dialects::Dialects;
use super::keys::{self, Absent, Data, Key, Keys, Kind};

/// The JSON Schema (2020-12) of the configuration.
#[must_use]
pub fn schema(dialects: &Dialects) -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".into(), "evenkeel.yaml".into());
    schema.extend(object(Keys::of(keys::FILE), dialects));
    Value::Object(schema)
}

fn object(keys: Keys, dialects: &Dialects) -> Map<String, Value> {
    let properties: Map<_, _> =
        keys.each().map(|key| (key.name.to_owned(), property(key, dialects))).collect();
    let required: Vec<_> =
        keys.each().filter(|key| key.absent == Absent::Required).map(|key| key.name).collect();
    let mut object = Map::new();
    object.insert("type".into(), json!(["object", "null"]));
    object.insert("additionalProperties".into(), false.into());
    object.insert("required".into(), required.into());
    object.insert("properties".into(), properties.into());
    object
}

fn property(key: Key, dialects: &Dialects) -> Value {
    let description = match key.absent {
        Absent::Default => key.doc.to_owned(),
        Absent::Means(words) => format!("{} Absent: {words}.", key.doc),
        Absent::Required => format!("{} Required.", key.doc),
    };
    let mut schema = of_kind(key.kind, dialects);
    schema["description"] = description.into();
    if let Some(default) = key.default {
        schema["default"] = default;
    }
    schema
}

fn of_kind(kind: Kind, dialects: &Dialects) -> Value {
    match kind {
        Kind::Value(format) => format.schema(),
        Kind::Map(keys) => object(keys, dialects).into(),
        Kind::Shorthand { key, keys } => {
            let mut map = object(keys, dialects);
            map.insert("type".into(), "object".into());
            let bare = keys.find(key).map(|key| of_kind(key.kind, dialects));
            json!({ "anyOf": std::iter::once(map.into()).chain(bare).collect::<Vec<_>>() })
        }
        Kind::Named { of, max } => json!({
            "type": ["object", "null"],
            "maxProperties": max,
            "propertyNames": { "pattern": "^[a-z][a-z0-9_]{0,63}$" },
            "additionalProperties": of_kind(of.into(), dialects),
        }),
        Kind::List { of, min, max } => {
            let items = of_kind(of.into(), dialects);
            json!({ "type": ["array", "null"], "minItems": min, "maxItems": max, "items": items })
        }
        Kind::Secret => json!({ "oneOf": [reference_to("env"), reference_to("file")] }),
        Kind::Data(Data::Dialect) => (dialects.schema)(),
        Kind::Data(Data::Rules) => (dialects.schema)()["properties"]["rules"].take(),
        Kind::Later => json!({ "not": {} }),
    }
}

fn reference_to(source: &str) -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": [source],
        "properties": { source: { "type": "string", "minLength": 1 } },
    })
}
