//! Single errors: lists of them, and maps from fields to their sentences.

use serde_json::{Map, Value};

use super::names::{self, NO_FIELDS, PART_CODES, PART_FIELDS, PART_MESSAGES, plain};
use super::{Members, take};
use crate::dialect::extract::{as_pointer, nonempty};
use crate::dialect::facts::Facts;
use crate::outcome::Part;
use crate::problem::ERRORS_MAX;

/// Maps inside maps are followed this deep.
const DEPTH_MAX: usize = 6;

/// The single errors among the members of an object.
pub(super) fn children(members: &Members<'_>, facts: &mut Facts) {
    for (at, value) in members.named(&names::LISTS) {
        let told = facts.used.contains(&at);
        let secondary =
            at.to_ascii_lowercase().ends_with("/messages") && !facts.children.is_empty();
        if told || secondary {
            continue;
        }
        match value {
            Value::Array(_) => collect(value, &at, facts),
            Value::Object(map) if maps_fields(&at, map) => field_map(map, &at, facts),
            Value::Object(map) if at.ends_with("/details") => {
                children(&Members::of(map, &at), facts);
            }
            Value::Object(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_) => {}
        }
    }
}

/// A map under `errors` or `message` is one from fields; elsewhere its values must show it.
fn maps_fields(at: &str, map: &Map<String, Value>) -> bool {
    let name = plain(at.rsplit('/').next().unwrap_or_default());
    match name.as_str() {
        "errors" | "fielderrors" | "validationerrors" | "modelstate" => true,
        "message" | "details" | "detail" => !map.is_empty() && map.values().all(Value::is_array),
        _ => false,
    }
}

/// The errors of a list.
pub(super) fn collect(list: &Value, at: &str, facts: &mut Facts) {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    for (place, item) in items.iter().enumerate() {
        if facts.children.len() >= ERRORS_MAX {
            return;
        }
        if let Some(part) = part(item, &format!("{at}/{place}"), None, &mut facts.used) {
            facts.children.push(part);
        }
    }
}

/// `{"field": ["sentence"]}`, nested as deep as the vendor's own data.
pub(super) fn field_map(map: &Map<String, Value>, at: &str, facts: &mut Facts) {
    let mut walk = Walk { facts, budget: super::MEMBERS_MAX };
    let named = !at.is_empty();
    if named || map.values().all(|value| value.is_array() || value.is_object()) {
        walk.map(map, at, "", DEPTH_MAX);
    }
}

struct Walk<'a> {
    facts: &'a mut Facts,
    budget: usize,
}

impl Walk<'_> {
    fn map(&mut self, map: &Map<String, Value>, at: &str, field: &str, depth: usize) {
        for (name, value) in map {
            let step = name.replace('~', "~0").replace('/', "~1");
            let inner = if NO_FIELDS.contains(&plain(name).as_str()) {
                field.to_owned()
            } else {
                format!("{field}/{step}")
            };
            self.value(value, &format!("{at}/{step}"), &inner, depth);
        }
    }

    fn value(&mut self, value: &Value, at: &str, field: &str, depth: usize) {
        let full = self.facts.children.len() >= ERRORS_MAX;
        let (Some(budget), Some(depth)) = (self.budget.checked_sub(1), depth.checked_sub(1)) else {
            return;
        };
        self.budget = budget;
        match value {
            _ if full => {}
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    self.value(item, &format!("{at}/{place}"), field, depth);
                }
            }
            Value::Object(map) if !has_sentence(map) => self.map(map, at, field, depth),
            Value::Object(_) | Value::String(_) => {
                let part = part(value, at, Some(field), &mut self.facts.used);
                self.facts.children.extend(part);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn has_sentence(map: &Map<String, Value>) -> bool {
    map.iter()
        .any(|(name, value)| value.is_string() && PART_MESSAGES.contains(&plain(name).as_str()))
}

/// One error: a sentence, or an object with a sentence or a code.
fn part(item: &Value, at: &str, field: Option<&str>, used: &mut Vec<String>) -> Option<Part> {
    let outer = field.filter(|field| !field.is_empty()).map(str::to_owned);
    match item {
        Value::String(text) => {
            used.push(at.to_owned());
            Some(Part { message: Some(nonempty(text)?), code: None, pointer: outer })
        }
        Value::Object(map) => {
            let mut found = Vec::new();
            let part = in_object(&Members::of(map, at), outer, &mut found);
            let says = part.message.is_some() || (part.code.is_some() && has_kind(&part, map));
            if says {
                used.extend(found);
            }
            says.then_some(part)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// A code alone makes an error only where it is about something (GitHub), or called a code.
fn has_kind(part: &Part, map: &Map<String, Value>) -> bool {
    part.pointer.is_some() || map.keys().any(|name| plain(name).ends_with("code"))
}

fn in_object(members: &Members<'_>, outer: Option<String>, used: &mut Vec<String>) -> Part {
    let inner = |name: &str| {
        members
            .named(&[name])
            .find_map(|(at, value)| value.as_object().map(|map| (at, map.clone())))
    };
    let message = text_of(members, &PART_MESSAGES, used);
    let mut code = code_of(members, message.as_deref(), used);
    if let (None, Some((at, map))) = (&code, inner("extensions")) {
        code = take(&Members::of(&map, &at), &["code", "classification"], used);
    }
    let mut pointer = field_of(members, used).or(outer);
    if let (None, Some((at, map))) = (&pointer, inner("source")) {
        pointer = take(&Members::of(&map, &at), &["pointer", "parameter"], used)
            .as_deref()
            .map(as_pointer);
    }
    name_of(members, &mut code, &mut pointer, used);
    Part { message, code, pointer }
}

/// `name` is the field, or the code where the field has a name of its own.
fn name_of(
    members: &Members<'_>,
    code: &mut Option<String>,
    pointer: &mut Option<String>,
    used: &mut Vec<String>,
) {
    match (pointer.as_ref(), code.as_ref()) {
        (None, _) => *pointer = text_of(members, &["name"], used).as_deref().map(as_pointer),
        (Some(_), None) => *code = text_of(members, &["name"], used),
        (Some(_), Some(_)) => {}
    }
}

fn text_of(members: &Members<'_>, names: &[&str], used: &mut Vec<String>) -> Option<String> {
    let mut candidates = members.named(names);
    let (at, text) = candidates.find_map(|(at, value)| Some((at, nonempty(value.as_str()?)?)))?;
    used.push(at);
    Some(text)
}

/// A code is one word, and not what the sentence was taken from.
fn code_of(members: &Members<'_>, message: Option<&str>, used: &mut Vec<String>) -> Option<String> {
    let mut candidates = members.named(&PART_CODES);
    let (at, text) = candidates.find_map(|(at, value)| {
        let text = match value {
            Value::String(text) => nonempty(text)?,
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        let fits = Some(text.as_str()) != message && !text.contains(char::is_whitespace);
        fits.then_some((at, text))
    })?;
    used.push(at);
    Some(names::short(text))
}

/// The field: a name, a pointer, or the steps of a path.
fn field_of(members: &Members<'_>, used: &mut Vec<String>) -> Option<String> {
    let mut candidates = members.named(&PART_FIELDS);
    let (at, field) = candidates.find_map(|(at, value)| match value {
        Value::String(text) => Some((at, as_pointer(&nonempty(text)?))),
        Value::Array(steps) => {
            let step = |value: &Value| match value {
                Value::String(text) => Some(text.replace('~', "~0").replace('/', "~1")),
                Value::Number(number) => Some(number.to_string()),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
            };
            let steps: Option<Vec<String>> = steps.iter().map(step).collect();
            let steps = steps.filter(|steps| !steps.is_empty())?;
            Some((at, format!("/{}", steps.join("/"))))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    })?;
    used.push(at);
    Some(field)
}
