//! The contract as an OpenAPI 3.1 document without paths, for a vendor's or a partner's own
//! description to refer to: `components/schemas/Problem` and a response for each status.
//!
//! The schema is that of `schema`. Its definitions become components of their own, because few
//! tools resolve a reference inside an embedded schema.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{PROBLEM_MEDIA_TYPE, sample, schema};
use crate::outcome::Code;

const DEFINITION: &str = "#/$defs/";

#[must_use]
pub fn openapi() -> Value {
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Problems of Evenkeel",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The error responses of every API behind this gateway. Refer to \
                `components/responses/Problem` as the `default` of an operation, or to the \
                response of a single status.",
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "components": {
            "schemas": schemas(),
            "responses": responses(),
            "headers": headers(),
        },
    })
}

/// `Problem`, and each of its definitions as a component of its own.
fn schemas() -> Map<String, Value> {
    let mut problem = schema();
    let members = problem.as_object_mut().expect("the schema is an object");
    for keyword in ["$schema", "$id"] {
        members.remove(keyword);
    }
    let definitions = members.remove("$defs").unwrap_or_default();
    let definitions = definitions.as_object().into_iter().flatten();
    let named = definitions.map(|(name, schema)| (component(name), schema.clone()));
    let mut schemas: Map<String, Value> =
        std::iter::once(("Problem".to_owned(), problem)).chain(named).collect();
    schemas.values_mut().for_each(refer_to_components);
    schemas
}

/// The component of a definition: `ProblemUpstream` for `upstream`.
fn component(definition: &str) -> String {
    let mut letters = definition.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    "Problem".chars().chain(first).chain(letters).collect()
}

fn refer_to_components(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str().and_then(|text| text.strip_prefix(DEFINITION)) {
                    Some(definition) if name == "$ref" => {
                        let name = component(definition);
                        *value = format!("#/components/schemas/{name}").into();
                    }
                    Some(_) | None => refer_to_components(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(refer_to_components),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `Problem` for any status, and `Problem429` and the like with the codes of one.
fn responses() -> Map<String, Value> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in Code::ALL {
        by_status.entry(code.status().as_u16()).or_default().push(code);
    }
    let general = response("An error, of the vendor or of the gateway.", None, &[]);
    let general = ("Problem".to_owned(), general);
    let single = by_status.iter().map(|(status, codes)| {
        let titles: Vec<String> = codes.iter().map(|code| code.title().to_owned() + ".").collect();
        let response = response(&titles.join(" "), Some(*status), codes);
        (format!("Problem{status}"), response)
    });
    std::iter::once(general).chain(single).collect()
}

fn response(description: &str, status: Option<u16>, codes: &[Code]) -> Value {
    let waits = codes.is_empty() || codes.iter().any(|code| sample(*code).retry_after.is_some());
    let names = HEADERS.iter().filter(|header| match header.stands {
        Stands::Always | Stands::Sometimes => true,
        Stands::WithWait => waits,
        Stands::AlwaysWith(only) | Stands::SometimesWith(only) => status == Some(only),
    });
    let reference = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
    let headers: Map<String, Value> =
        names.map(|header| (header.name.to_owned(), reference(header.name))).collect();
    let mut content = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
    if !codes.is_empty() {
        let example = |code: &Code| {
            let value = serde_json::to_value(sample(*code)).unwrap_or_default();
            (code.as_str().to_owned(), json!({ "summary": code.title(), "value": value }))
        };
        content["examples"] = codes.iter().map(example).collect::<Map<String, Value>>().into();
    }
    let media_type = PROBLEM_MEDIA_TYPE.to_str().unwrap_or_default().to_owned();
    let content: Map<String, Value> = std::iter::once((media_type, content)).collect();
    json!({ "description": description, "headers": headers, "content": content })
}

/// A header that the gateway adds to errors.
struct Header {
    name: &'static str,
    stands: Stands,
    schema: Schema,
    about: &'static str,
}

/// On which errors a header stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    Always,
    /// By what the request or the configuration asks for, or what happened.
    Sometimes,
    /// Where a wait is known.
    WithWait,
    /// With this status.
    AlwaysWith(u16),
    SometimesWith(u16),
}

#[derive(Clone, Copy)]
enum Schema {
    Text,
    /// From this number on.
    Integer(u64),
    OneOf(&'static [&'static str]),
}

const fn header(name: &'static str, stands: Stands, schema: Schema, about: &'static str) -> Header {
    Header { name, stands, schema, about }
}

/// Those of the vendor that stay beside them are the vendor's to describe.
const HEADERS: [Header; 17] = {
    use Schema::{Integer, OneOf, Text};
    use Stands::{Always, AlwaysWith, Sometimes, SometimesWith, WithWait};
    const WORD: Schema = OneOf(&["true", "false"]);
    [
        header(
            "Retry-After",
            WithWait,
            Integer(0),
            "Seconds to wait; equal to the member `retry_after`.",
        ),
        header(
            "Retry-After-Ms",
            WithWait,
            Integer(0),
            "The wait in milliseconds, for SDKs that read it.",
        ),
        header(
            "X-Should-Retry",
            Sometimes,
            WORD,
            "Whether a client should retry; `false` where the gateway has done so already.",
        ),
        header("Stripe-Should-Retry", Sometimes, WORD, "The same, for requests of Stripe's SDKs."),
        header(
            "Evenkeel-Request-Id",
            Always,
            Text,
            "The id of the call; equal to the member `request_id`.",
        ),
        header(
            "X-Request-Id",
            Always,
            Text,
            "The same id, unless the vendor's response has one of its own.",
        ),
        header(
            "Evenkeel-Attempts",
            Sometimes,
            Integer(2),
            "How often the request was sent, if more than once.",
        ),
        header(
            "Evenkeel-Problem",
            Sometimes,
            Text,
            "Where the body is no problem, because the client gets errors in the vendor's shape or \
             speaks gRPC: `code`, `source`, `retryable` and `retry_after` as a dictionary \
             (RFC 9651).",
        ),
        header(
            "Proxy-Status",
            Always,
            Text,
            "Where the response comes from, and why the gateway answered itself (RFC 9209).",
        ),
        header("Cache-Control", Always, OneOf(&["no-store"]), "Problems are not stored."),
        header("WWW-Authenticate", AlwaysWith(401), Text, "The challenge of a 401 (RFC 9110)."),
        header("Allow", SometimesWith(405), Text, "The methods of a 405 (RFC 9110)."),
        header(
            "Preference-Applied",
            Sometimes,
            Text,
            "The part of `Prefer: wait=N` that was granted (RFC 7240).",
        ),
        header(
            "RateLimit",
            Sometimes,
            Text,
            "What remains of the allowance that binds, where the operator shows it.",
        ),
        header("RateLimit-Policy", Sometimes, Text, "That allowance, beside `RateLimit`."),
        header(
            "Server-Timing",
            Sometimes,
            Text,
            "Milliseconds waited here and spent by the vendor, where the operator shows them.",
        ),
        header("Via", Sometimes, Text, "The gateway, where the vendor answered (RFC 9110)."),
    ]
};

fn headers() -> Map<String, Value> {
    let component = |header: &Header| {
        let schema = match header.schema {
            Schema::Text => json!({ "type": "string" }),
            Schema::Integer(minimum) => json!({ "type": "integer", "minimum": minimum }),
            Schema::OneOf(values) => json!({ "enum": values }),
        };
        let mut value = json!({ "description": header.about, "schema": schema });
        match header.stands {
            Stands::Always | Stands::AlwaysWith(_) => value["required"] = true.into(),
            Stands::Sometimes | Stands::WithWait | Stands::SometimesWith(_) => {}
        }
        (header.name.to_owned(), value)
    };
    HEADERS.iter().map(component).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIFICATION: &str = include_str!("../../tests/data/openapi-3.1.schema.json");

    fn references<'v>(value: &'v Value, into: &mut Vec<&'v str>) {
        match value {
            Value::Object(members) => {
                into.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| references(value, into));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, into)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn it_is_an_openapi_document_whose_references_resolve() {
        let specification: Value = serde_json::from_str(SPECIFICATION).unwrap();
        let valid = jsonschema::validator_for(&specification).unwrap();
        let document = openapi();
        let errors: Vec<String> = valid.iter_errors(&document).map(|it| it.to_string()).collect();
        assert_eq!(errors, [""; 0]);
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap_or("not a reference into this file");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        let broken = json!({ "openapi": "3.1.1", "info": { "title": "x" }, "components": {} });
        assert!(!valid.is_valid(&broken), "the check checks");
    }

    #[test]
    fn every_status_of_a_code_has_a_response_whose_examples_fit_the_schema() {
        let document = openapi();
        // The reference resolves inside the whole document.
        let mut schema = document.clone();
        schema["$ref"] = "#/components/schemas/Problem".into();
        let valid = jsonschema::validator_for(&schema).unwrap();
        for code in Code::ALL {
            let (status, name) = (code.status().as_u16(), code.as_str());
            let at = format!(
                "/components/responses/Problem{status}/content/application~1problem+json/examples/{name}/value"
            );
            let example = document.pointer(&at).expect(&at);
            assert!(valid.is_valid(example), "{example:#}");
        }
        assert!(!valid.is_valid(&json!({ "status": 400 })));
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/problems");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let pairs = files.filter(|path| path.extension().is_some_and(|it| it == "json"));
        let mut checked = 0;
        for path in pairs {
            let problem = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            // A response that is no error has none.
            assert!(problem == Value::Null || valid.is_valid(&problem), "{}", path.display());
            checked += 1;
        }
        assert!(checked > 150, "{checked}");
    }
}
