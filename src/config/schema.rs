//! The declared settings as a JSON Schema, for editors.
//!
//! The schema describes single values; what depends on two of them, only `load` knows.

use serde_json::{Map, Value, json};

use super::keys::{self, Absent, Bare, Data, Keys, Kind};
use crate::dialect;

/// The JSON Schema (2020-12) of the configuration.
#[must_use]
pub fn schema() -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".into(), "evenkeel.yaml".into());
    schema.extend(object(Keys::of(keys::FILE)));
    let mut schema = Value::Object(schema);
    // The URL is that of the profile, where one is used.
    schema["properties"]["upstreams"]["additionalProperties"]["anyOf"] =
        json!([{ "required": ["url"] }, { "required": ["use"] }, { "type": "null" }]);
    schema
}

fn object(keys: Keys) -> Map<String, Value> {
    let mut properties = Map::new();
    for key in keys.each() {
        let description = match key.absent {
            Absent::Default => key.doc.to_owned(),
            Absent::Means(words) => format!("{} Absent: {words}.", key.doc),
            Absent::Required => format!("{} Required.", key.doc),
        };
        let mut property = of_kind(key.kind);
        property["description"] = description.into();
        if let Some(default) = key.default {
            property["default"] = default;
        }
        properties.insert(key.name.to_owned(), property);
    }
    let required: Vec<_> =
        keys.each().filter(|key| key.absent == Absent::Required).map(|key| key.name).collect();
    let mut object = Map::new();
    object.insert("type".into(), json!(["object", "null"]));
    object.insert("additionalProperties".into(), false.into());
    object.insert("required".into(), required.into());
    object.insert("properties".into(), properties.into());
    object
}

fn of_kind(kind: Kind) -> Value {
    match kind {
        Kind::Value(format) => format.schema(),
        Kind::Map(keys) => object(keys).into(),
        Kind::Shorthand { key, keys } => {
            let mut map = object(keys);
            map.insert("type".into(), "object".into());
            let bare = keys.find(key).map(|key| of_kind(key.kind));
            json!({ "anyOf": std::iter::once(map.into()).chain(bare).collect::<Vec<_>>() })
        }
        Kind::Named { of, max } => json!({
            "type": ["object", "null"],
            "maxProperties": max,
            "propertyNames": { "pattern": "^[a-z][a-z0-9_]{0,63}$" },
            "additionalProperties": of_kind(of.into()),
        }),
        Kind::List { of, min, max, bare } => {
            let items = of_kind(of.into());
            let list = json!({
                "type": ["array", "null"], "minItems": min, "maxItems": max, "items": items,
            });
            match bare {
                Bare::Refused => list,
                Bare::ListOfOne => json!({ "anyOf": [items, list] }),
            }
        }
        Kind::Secret => json!({ "oneOf": [reference_to("env"), reference_to("file")] }),
        Kind::Data(Data::Dialect) => dialect::schema(),
        Kind::Data(Data::Rules) => dialect::schema()["properties"]["rules"].take(),
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
