//! The template `own` of a dialect.

use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::fields::{Errors, Fields, join, kind};
use super::rules;
use crate::dialect::own::{
    ATTRIBUTE, Covered, Node, OwnFormat, OwnTemplate, PLACEHOLDERS, Part, TEXT, Text, VendorName,
};
use crate::outcome::Code;

pub(super) const OWN_KEYS: [&str; 5] = ["json", "xml", "media_type", "headers", "names"];
pub(super) const NAME_KEYS: [&str; 3] = ["code", "type", "status"];
/// Bytes of a template as JSON: an error, not a page.
pub(super) const OWN_BYTES_MAX: usize = 8 * 1024;
/// Headers of a template.
pub(super) const OWN_HEADERS_MAX: usize = 16;
/// Levels of a template; no vendor's error has more.
const DEPTH_MAX: usize = 16;

pub(super) fn template(value: &Value, at: &str, errors: &Errors) -> Option<OwnTemplate> {
    let fields = Fields::of(value, at, &OWN_KEYS, errors);
    let names = fields.value("names").map_or_else(Vec::new, |(it, at)| names(it, &at, errors));
    let headers =
        fields.value("headers").map_or_else(Vec::new, |(it, at)| headers(it, &at, errors));
    let (format, usual, (body, body_at)) = match (fields.value("json"), fields.value("xml")) {
        (Some(json), None) => (OwnFormat::Json, "application/json", json),
        (None, Some(xml)) => (OwnFormat::Xml, "application/xml", xml),
        (Some(_), Some(_)) => {
            errors.push(at, "`json` and `xml` exclude each other", "one of them");
            return None;
        }
        (None, None) => {
            errors.push(at, "the template has no body", "`json` or `xml`, a map");
            return None;
        }
    };
    let media_type = match fields.text("media_type") {
        None => HeaderValue::from_static(usual),
        Some(text) => match HeaderValue::from_str(text).ok().filter(|_| text.contains('/')) {
            Some(media_type) => media_type,
            None => {
                let message = format!("`{text}` is not a media type");
                errors.push(&join(at, "media_type"), message, "a media type like application/json");
                return None;
            }
        },
    };
    if body.to_string().len() > OWN_BYTES_MAX {
        errors.push(&body_at, "the template is too large", "up to 8 KiB");
        return None;
    }
    let body = match format {
        OwnFormat::Json => node(body, &body_at, DEPTH_MAX, errors)?,
        OwnFormat::Xml => {
            check_xml_root(body, &body_at, errors)?;
            node(body, &body_at, DEPTH_MAX, errors)?
        }
    };
    Some(OwnTemplate { format, media_type, body, headers, names })
}

fn node(value: &Value, at: &str, depth: usize, errors: &Errors) -> Option<Node> {
    let Some(depth) = depth.checked_sub(1) else {
        errors.push(at, "the template is nested too deeply", "up to 16 levels");
        return None;
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(Node::Fixed(value.clone())),
        Value::String(text) => self::text(text, at, errors).map(Node::Text),
        Value::Array(items) => {
            let item = |(n, item)| node(item, &join(at, &usize::to_string(&n)), depth, errors);
            Some(Node::List(items.iter().enumerate().filter_map(item).collect()))
        }
        Value::Object(members) => {
            let member = |(name, value): (&String, _)| {
                Some((name.as_str().into(), node(value, &join(at, name), depth, errors)?))
            };
            Some(Node::Map(members.iter().filter_map(member).collect()))
        }
    }
}

/// `{message}` is a placeholder, `{{` and `}}` are braces.
fn text(text: &str, at: &str, errors: &Errors) -> Option<Text> {
    const ACCEPTED: &str = "a text with placeholders like {message}; `{{` and `}}` are braces";
    let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
    while let Some(brace) = rest.find(['{', '}']) {
        literal.push_str(&rest[..brace]);
        let from = &rest[brace..];
        if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
            literal.push_str(&from[..1]);
            rest = after;
            continue;
        }
        let inside = from.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let Some((name, after)) = inside else {
            errors.push(at, format!("a brace without its partner in `{text}`"), ACCEPTED);
            return None;
        };
        let Some((_, placeholder)) = PLACEHOLDERS.iter().find(|(known, _)| *known == name) else {
            errors.unknown(at, "placeholder", name, &PLACEHOLDERS.map(|(known, _)| known));
            return None;
        };
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal).into()));
        }
        parts.push(Part::Placeholder(*placeholder));
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into()));
    }
    Some(Text(parts))
}

/// An XML document has one root, and names that XML allows.
fn check_xml_root(value: &Value, at: &str, errors: &Errors) -> Option<()> {
    let root = value.as_object().filter(|members| members.len() == 1);
    let is_root = |name: &String| !name.starts_with(ATTRIBUTE) && name != TEXT;
    if !root.is_some_and(|members| members.keys().all(is_root)) {
        errors.push(at, "an XML document has one root element", "a map with one name");
        return None;
    }
    check_xml_names(value, at, errors)
}

fn check_xml_names(value: &Value, at: &str, errors: &Errors) -> Option<()> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(()),
        Value::Array(items) => items.iter().try_for_each(|item| check_xml_names(item, at, errors)),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            let bare = name.strip_prefix(ATTRIBUTE).unwrap_or(name);
            let valid = bare.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && bare.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c));
            let place = join(at, name);
            if !valid && name != TEXT {
                let message = format!("`{name}` is not a name of XML");
                let accepted = "an element's name, `@` and an attribute's, or `$` for the text";
                errors.push(&place, message, accepted);
                return None;
            }
            if name.starts_with(ATTRIBUTE) && (value.is_object() || value.is_array()) {
                errors.push(&place, format!("an attribute cannot be {}", kind(value)), "a text");
                return None;
            }
            check_xml_names(value, &place, errors)
        }),
    }
}

fn headers(value: &Value, at: &str, errors: &Errors) -> Vec<(HeaderName, Text)> {
    /// Headers that the gateway writes itself.
    const FIXED: [&str; 4] = ["content-type", "content-length", "connection", "transfer-encoding"];
    let Some(members) = value.as_object().filter(|members| members.len() <= OWN_HEADERS_MAX) else {
        errors.push(at, "`headers` is no map of headers", "a map of up to 16 names and texts");
        return Vec::new();
    };
    let header = |(name, value): (&String, &Value)| {
        let place = join(at, name);
        let parsed: Option<HeaderName> = name.parse().ok();
        let Some(parsed) = parsed.filter(|name| !FIXED.contains(&name.as_str())) else {
            let message = format!("`{name}` cannot be set here");
            errors.push(&place, message, "a header other than those of the message itself");
            return None;
        };
        let Some(value) = value.as_str() else {
            errors.push(&place, format!("expected a text, found {}", kind(value)), "a text");
            return None;
        };
        Some((parsed, text(value, &place, errors)?))
    };
    members.iter().filter_map(header).collect()
}

/// The vendor's names, the most specific first.
fn names(value: &Value, at: &str, errors: &Errors) -> Vec<(Covered, VendorName)> {
    let Some(members) = value.as_object() else {
        errors.push(at, format!("expected a map, found {}", kind(value)), "a map of names");
        return Vec::new();
    };
    let entry = |(key, value): (&String, &Value)| {
        let place = join(at, key);
        let Some(covered) = covered(key) else {
            let known: Vec<&str> =
                Code::ALL.iter().map(|code| code.as_str()).chain(["default"]).collect();
            if key.starts_with(|c: char| c.is_ascii_digit()) {
                let message = format!("`{key}` is not an error status");
                errors.push(&place, message, "a status from 400 to 599, 4xx, 5xx, or a code");
            } else {
                errors.unknown(&place, "code", key, &known);
            }
            return None;
        };
        let name = match value {
            Value::String(_) | Value::Number(_) => {
                VendorName { code: Some(value.clone()), ..VendorName::default() }
            }
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                let fields = Fields::of(value, &place, &NAME_KEYS, errors);
                let word = |name| {
                    let (value, at) = fields.value(name)?;
                    if value.is_string() || value.is_number() {
                        return Some(value.clone());
                    }
                    let found = format!("expected a text, found {}", kind(value));
                    errors.push(&at, found, "a text or a number");
                    None
                };
                let (code, kind) = (word("code"), word("type"));
                VendorName { code, kind, status: rules::status(&fields, errors) }
            }
        };
        Some((covered, name))
    };
    let mut names: Vec<_> = members.iter().filter_map(entry).collect();
    names.sort_by_key(|(covered, _)| *covered);
    names
}

/// A code of ours, a status like 429, a class like 5xx, or `default`.
fn covered(key: &str) -> Option<Covered> {
    if key == "default" {
        return Some(Covered::Every);
    }
    if let Ok(code) = key.parse() {
        return Some(Covered::Code(code));
    }
    if let Some(class) = key.strip_suffix("xx") {
        return class.parse().ok().filter(|class| (4..=5).contains(class)).map(Covered::Class);
    }
    key.parse().ok().filter(|status| (400..=599).contains(status)).map(Covered::Status)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::*;
    use crate::dialect::compile;
    use crate::dialect::own::OwnError;

    const HELD: OwnError<'static> = OwnError {
        code: Code::UpstreamHeld,
        status: StatusCode::SERVICE_UNAVAILABLE,
        message: "Held: <b> & \"c\"\u{7}",
        request_id: Some("r-1"),
        retry_after: Some(30),
    };

    fn compiled(own: &Value) -> OwnTemplate {
        compile("test", &json!({ "own": own })).unwrap().own.unwrap()
    }

    fn rendered(own: &Value, error: &OwnError<'_>) -> (u16, String) {
        let rendered = compiled(own).render(error);
        (rendered.status.as_u16(), String::from_utf8(rendered.body).unwrap())
    }

    #[test]
    fn json_keeps_the_types_of_values() {
        let own = json!({
            "json": { "error": { "message": "{problem}: {message}", "type": "{type}", "code": "{code}",
                "status": "{status}", "text": "{status_text}", "wait": "{retry_after}",
                "id": "{request_id}", "param": null, "list": ["{{code}}", 1] } },
            "names": { "429": "too_many", "5xx": { "code": 20503, "type": "server_error" },
                "upstream_timeout": { "code": "late", "status": 500 }, "default": "api_error" },
        });
        let (status, body) = rendered(&own, &HELD);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 503);
        assert_eq!(
            body["error"],
            json!({ "message": "upstream_held: Held: <b> & \"c\"\u{7}", "type": "server_error",
                "code": 20503, "status": 503, "text": "503", "wait": 30, "id": "r-1",
                "param": null, "list": ["{code}", 1] })
        );
        let row = |code: Code, status| {
            let status = StatusCode::from_u16(status).unwrap();
            let error = OwnError { code, status, retry_after: None, request_id: None, ..HELD };
            let (status, body) = rendered(&own, &error);
            let body: Value = serde_json::from_str(&body).unwrap();
            let error = &body["error"];
            (status, error["code"].clone(), error["type"].clone(), error["wait"].clone())
        };
        let text = |it: &str| Value::from(it);
        let too_many = text("too_many");
        assert_eq!(row(Code::QueueFull, 429), (429, too_many.clone(), too_many, Value::Null));
        assert_eq!(row(Code::UpstreamTimeout, 504).0, 500);
        assert_eq!(row(Code::UpstreamTimeout, 504).1, text("late"));
        let (api, null) = (text("api_error"), Value::Null);
        assert_eq!(row(Code::InvalidRequest, 400), (400, api.clone(), api, null));
    }

    #[test]
    fn xml_is_well_formed_whatever_the_message() {
        let own = json!({
            "xml": { "ErrorResponse": { "@xmlns": "http://a.example/?a&b", "Error": [
                { "Code": "{code}", "Message": "{message}" }, { "@k": "v", "$": "{status}" } ],
                "Empty": null } },
            "headers": { "x-amzn-errortype": "{code}", "x-message": "{message}" },
            "names": { "503": { "code": "SlowDown" } },
        });
        assert_eq!(
            rendered(&own, &HELD).1,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <ErrorResponse xmlns=\"http://a.example/?a&amp;b\"><Error><Code>SlowDown</Code>\
             <Message>Held: &lt;b&gt; &amp; &quot;c&quot;</Message></Error>\
             <Error k=\"v\">503</Error><Empty></Empty></ErrorResponse>"
        );
        let rendered = compiled(&own).render(&HELD);
        assert_eq!(rendered.media_type, "application/xml");
        let headers: Vec<_> = rendered.headers.iter().map(|(_, value)| value).collect();
        assert_eq!(headers, ["SlowDown", "Held: <b> & \"c\""]);
    }

    #[test]
    fn every_fault_of_a_template_is_reported_at_its_place() {
        let rows = [
            (json!({}), "/own", None),
            (json!({ "json": {}, "xml": { "a": 1 } }), "/own", None),
            (json!({ "json": { "a": ["{mesage}"] } }), "/own/json/a/0", Some("message")),
            (json!({ "json": { "a": "{message" } }), "/own/json/a", None),
            (json!({ "json": { "a": "message}" } }), "/own/json/a", None),
            (json!({ "xml": { "a": 1, "b": 2 } }), "/own/xml", None),
            (json!({ "xml": "text" }), "/own/xml", None),
            (json!({ "xml": { "a": { "b c": 1 } } }), "/own/xml/a/b c", None),
            (json!({ "xml": { "a": { "@b": [] } } }), "/own/xml/a/@b", None),
            (json!({ "json": {}, "media_type": "json" }), "/own/media_type", None),
            (
                json!({ "json": {}, "headers": { "content-length": "1" } }),
                "/own/headers/content-length",
                None,
            ),
            (json!({ "json": {}, "headers": { "x-a": 1 } }), "/own/headers/x-a", None),
            (
                json!({ "json": {}, "names": { "queue_ful": "x" } }),
                "/own/names/queue_ful",
                Some("queue_full"),
            ),
            (json!({ "json": {}, "names": { "200": "x" } }), "/own/names/200", None),
            (
                json!({ "json": {}, "names": { "429": { "status": 200 } } }),
                "/own/names/429/status",
                None,
            ),
            (
                json!({ "json": {}, "names": { "429": { "kind": "x" } } }),
                "/own/names/429/kind",
                None,
            ),
            (
                json!({ "json": {}, "names": { "429": { "code": [] } } }),
                "/own/names/429/code",
                None,
            ),
            (json!({ "josn": {} }), "/own/josn", Some("json")),
        ];
        for (own, pointer, nearest) in rows {
            let errors = compile("test", &json!({ "own": own })).unwrap_err();
            assert_eq!(errors[0].pointer, pointer, "{own}: {errors:?}");
            if nearest.is_some() {
                assert_eq!(errors[0].nearest.as_deref(), nearest, "{own}");
            }
        }
    }
}
