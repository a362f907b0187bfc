//! Single errors among several: lists of them, and maps from fields to their messages.

use serde_json::{Map, Value};

use super::names::{
    self, CHILD_CODES, CHILD_FIELDS, CHILD_MESSAGES, MEMBERS_MAX, Members, NO_FIELDS, plain,
};
use super::values::{as_pointer, escaped, nonempty};
use crate::outcome::{CHILDREN_MAX, ChildError, Facts};

const DEPTH_MAX: usize = 6;

pub(super) fn of_members(members: &Members<'_>, facts: &mut Facts) {
    if let Some(embedded) = members.object("embedded") {
        of_members(&embedded, facts);
    }
    for member in members.named(&names::LISTS) {
        let at = member.at();
        let carried = facts.pointers.contains(&at);
        let secondary = member.plain == "messages" && !facts.children.is_empty();
        if carried || secondary {
            continue;
        }
        match member.value {
            Value::Array(_) => of_list(member.value, &at, facts),
            Value::Object(map) if maps_fields(member.plain, map) => of_field_map(map, &at, facts),
            Value::Object(map) if member.plain == "details" => {
                of_members(&Members::of(map, &at), facts);
            }
            Value::Object(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_) => {}
        }
    }
}

/// Whether a map is one from fields to messages. Under some names it always is, under others only
/// if every value is a list.
fn maps_fields(name: &str, map: &Map<String, Value>) -> bool {
    match name {
        "errors" | "fielderrors" | "validationerrors" | "modelstate" => true,
        "message" | "details" | "detail" => !map.is_empty() && map.values().all(Value::is_array),
        _ => false,
    }
}

pub(super) fn of_list(list: &Value, at: &str, facts: &mut Facts) {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    for (place, item) in items.iter().enumerate() {
        if facts.children.len() >= CHILDREN_MAX {
            return;
        }
        let child = child(item, &format!("{at}/{place}"), None, &mut facts.pointers);
        facts.children.extend(child);
    }
}

/// `{"field": ["message"]}`, nested as deep as the vendor's own data.
pub(super) fn of_field_map(map: &Map<String, Value>, at: &str, facts: &mut Facts) {
    let mut walk = FieldWalk { facts, values_left: MEMBERS_MAX };
    let named = !at.is_empty();
    if named || map.values().all(|value| value.is_array() || value.is_object()) {
        walk.map(map, at, "", DEPTH_MAX);
    }
}

struct FieldWalk<'a> {
    facts: &'a mut Facts,
    values_left: usize,
}

impl FieldWalk<'_> {
    fn map(&mut self, map: &Map<String, Value>, at: &str, field: &str, depth: usize) {
        for (name, value) in map {
            let step = escaped(name);
            let spelled = plain(name);
            if names::REFERENCES.contains(&&*spelled) || names::DATES.contains(&&*spelled) {
                continue;
            }
            let inner = if NO_FIELDS.contains(&&*spelled) {
                field.to_owned()
            } else {
                format!("{field}/{step}")
            };
            self.value(value, &format!("{at}/{step}"), &inner, depth);
        }
    }

    fn value(&mut self, value: &Value, at: &str, field: &str, depth: usize) {
        let full = self.facts.children.len() >= CHILDREN_MAX;
        let is_message = |(name, value): (&String, &Value)| {
            value.is_string() && CHILD_MESSAGES.contains(&&*plain(name))
        };
        let Some(depth) = depth.checked_sub(1) else { return };
        let Some(values_left) = self.values_left.checked_sub(1) else { return };
        self.values_left = values_left;
        match value {
            _ if full => {}
            Value::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    self.value(item, &format!("{at}/{place}"), field, depth);
                }
            }
            Value::Object(map) if !map.iter().any(is_message) => self.map(map, at, field, depth),
            Value::Object(_) | Value::String(_) => {
                let child = child(value, at, Some(field), &mut self.facts.pointers);
                self.facts.children.extend(child);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// One error: a text, or an object with a message or a code.
fn child(
    item: &Value,
    at: &str,
    field: Option<&str>,
    pointers: &mut Vec<String>,
) -> Option<ChildError> {
    let outer = field.filter(|field| !field.is_empty()).map(str::to_owned);
    match item {
        Value::String(text) => {
            pointers.push(at.to_owned());
            Some(ChildError { message: Some(nonempty(text)?), code: None, pointer: outer })
        }
        Value::Object(map) => {
            let mut found = Vec::new();
            let child = in_object(&Members::of(map, at), outer, &mut found);
            // A code alone makes an error only beside a field (GitHub), or where it is called one.
            let coded = child.code.is_some()
                && (child.pointer.is_some()
                    || map.keys().any(|name| plain(name).ends_with("code")));
            let is_error = child.message.is_some() || coded;
            if is_error {
                pointers.extend(found);
            }
            is_error.then_some(child)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

fn in_object(
    members: &Members<'_>,
    outer: Option<String>,
    pointers: &mut Vec<String>,
) -> ChildError {
    let mut message = text_of(members, &CHILD_MESSAGES, pointers);
    let mut code = code_of(members, message.as_deref(), pointers);
    // A word as the reason is a code (Google's `ErrorInfo`).
    let reason = members.named(&["reason"]).next().and_then(|member| member.value.as_str());
    if code.is_none() && message.is_some() && message.as_deref() == reason {
        code = message.take_if(|word| names::is_code_word(word));
    }
    if let (None, Some(extensions)) = (&code, members.object("extensions")) {
        code = extensions.take(&["code", "classification", "errorclass"], pointers);
    }
    let mut pointer = field_of(members, pointers).or(outer);
    if let (None, Some(source)) = (&pointer, members.object("source")) {
        let field = source.take(&["pointer", "parameter"], pointers);
        pointer = field.as_deref().map(as_pointer);
    }
    // `name` is the field, or the code where the field has a name of its own.
    if pointer.is_none() {
        pointer = text_of(members, &["name"], pointers).as_deref().map(as_pointer);
    } else if code.is_none() {
        code = text_of(members, &["name"], pointers);
    }
    ChildError { message, code, pointer }
}

fn text_of(members: &Members<'_>, names: &[&str], pointers: &mut Vec<String>) -> Option<String> {
    let mut candidates = members.named(names);
    let (member, text) =
        candidates.find_map(|member| Some((member, nonempty(member.value.as_str()?)?)))?;
    pointers.push(member.at());
    Some(text)
}

fn code_of(
    members: &Members<'_>,
    message: Option<&str>,
    pointers: &mut Vec<String>,
) -> Option<String> {
    let mut candidates = members.named(&CHILD_CODES);
    let (member, text) = candidates.find_map(|member| {
        let text = match member.value {
            Value::String(text) => nonempty(text)?,
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        // The only text of an error is its message, and its code as well if it looks like one.
        let both = member.name == "error" && names::is_code_word(&text);
        let typed = member.name == "@type";
        let fits = !typed
            && (both || Some(text.as_str()) != message)
            && !text.contains(char::is_whitespace);
        fits.then_some((member, text))
    })?;
    pointers.push(member.at());
    Some(names::short(text))
}

/// The field: a name, a pointer, or a list of path segments.
fn field_of(members: &Members<'_>, pointers: &mut Vec<String>) -> Option<String> {
    let mut candidates = members.named(&CHILD_FIELDS);
    let (member, field) = candidates.find_map(|member| match member.value {
        Value::String(text) => Some((member, as_pointer(&nonempty(text)?))),
        Value::Array(steps) => {
            let step = |value: &Value| match value {
                Value::String(text) => Some(escaped(text).into_owned()),
                Value::Number(number) => Some(number.to_string()),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
            };
            let steps: Option<Vec<String>> = steps.iter().map(step).collect();
            let steps = steps.filter(|steps| !steps.is_empty())?;
            Some((member, format!("/{}", steps.join("/"))))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    })?;
    pointers.push(member.at());
    Some(field)
}
