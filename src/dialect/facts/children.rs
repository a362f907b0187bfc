//! Single errors among several: lists of them, and maps from fields to their messages.

use serde_json::{Map, Value};

use super::names::{
    self, CHILD_CODES, CHILD_FIELDS, CHILD_MESSAGES, LISTS, LOOSE_LISTS, MEMBERS_MAX, Member,
    Members, NO_FIELDS, plain,
};
use super::values::{as_pointer, escaped, nonempty, only_scalar, pointer_of_steps};
use super::weight::{Weight, keep_beside, message_text, weight};
use crate::outcome::{CHILDREN_MAX, ChildError, Facts};

const DEPTH_MAX: usize = 6;

pub(super) fn of_members(members: &Members<'_>, facts: &mut Facts) {
    if let Some(embedded) = members.object("embedded") {
        of_members(&embedded, facts);
    }
    // Texts under a name of the vendor's own may be those of a field (`non_field_errors`).
    let said = facts.message.is_some();
    let further = members.ending(&names::LIST_ENDS, &LISTS).filter(|member| {
        let first = member.value.as_array().and_then(|items| items.first());
        first.is_some_and(|first| first.is_object() || said)
    });
    for member in members.named(&LISTS).chain(further) {
        let at = member.at();
        let carried = facts.pointers.contains(&at);
        let secondary = member.plain == "messages" && !facts.children.is_empty();
        if carried || secondary {
            continue;
        }
        match member.value {
            Value::Array(_) => of_list(member.value, &at, facts),
            Value::Object(_) if names::is_one_error(member.value) => {}
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
    for member in members.named(&LOOSE_LISTS) {
        let items = member.value.as_array().map(Vec::as_slice).unwrap_or_default();
        let is_error = |item: &Value| {
            let map = item.as_object();
            map.is_some_and(|map| map.keys().any(|name| STRICT_MESSAGES.contains(&&*plain(name))))
        };
        if facts.children.is_empty() && items.iter().all(is_error) {
            of_list(member.value, &member.at(), facts);
        }
    }
}

/// Messages of errors, and of nothing that a client sends.
const STRICT_MESSAGES: [&str; 4] = ["message", "msg", "errormessage", "error"];

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
        let at = format!("{at}/{place}");
        match (child(item, &at, None, &mut facts.pointers), item) {
            (Some(child), _) => facts.children.push(child),
            // Google's `BadRequest` among the details has a list of its own.
            (None, Value::Object(map)) => {
                let inside = Members::of(map, &at);
                for member in inside.ending(&["violations"], &[]) {
                    of_list(member.value, &member.at(), facts);
                }
            }
            (None, _) => {}
        }
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

/// Message and code of one child: those of two would speak of different errors.
pub(super) fn promote(facts: &mut Facts) {
    let said = facts.message.as_deref().map(weight);
    let sentence = |child: &&ChildError| {
        let text = child.message.as_deref();
        text.is_some_and(|text| said.is_none() || weight(text) == Weight::Sentence)
    };
    let with_message = || facts.children.iter().filter(sentence);
    if said.is_none_or(|weight| weight == Weight::Generic)
        && let Some(child) = with_message()
            .find(|child| child.pointer.is_none())
            .or_else(|| with_message().next())
            .cloned()
    {
        if let Some(phrase) = facts.message.take() {
            keep_beside(&phrase, facts);
        }
        (facts.message, facts.message_at) = (child.message, None);
        facts.code = facts.code.take().or(child.code);
    } else if facts.code.is_none() {
        facts.code = facts.children.iter().find_map(|child| child.code.clone());
    }
    if let [ChildError { message, code, pointer: None }] = facts.children.as_slice() {
        let repeats = *message == facts.message && (code.is_none() || *code == facts.code);
        if repeats {
            facts.children.clear();
        }
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
                    let map = item.as_object().filter(|map| !map.iter().any(is_message));
                    // Of a list of the client's own objects, the place says which.
                    let inner = match map {
                        Some(_) if !field.is_empty() => format!("{field}/{place}"),
                        Some(_) | None => field.to_owned(),
                    };
                    self.value(item, &format!("{at}/{place}"), &inner, depth);
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
        Value::Array(parts) => {
            let child = in_parts(parts, outer)?;
            pointers.push(at.to_owned());
            Some(child)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// `["RATELIMIT", "You are doing that too much.", "ratelimit"]`: a code, a sentence, a field
/// (Reddit).
fn in_parts(parts: &[Value], outer: Option<String>) -> Option<ChildError> {
    let [code, message, field @ ..] = parts else { return None };
    let (code, message) = (code.as_str()?, message.as_str()?);
    let is_error = names::is_code_word(code) && weight(message) == Weight::Sentence;
    let field = field.first().and_then(Value::as_str).filter(|field| names::is_word(field));
    is_error.then(|| ChildError {
        message: Some(message.to_owned()),
        code: Some(code.to_owned()),
        pointer: field.map(as_pointer).or(outer),
    })
}

fn in_object(
    members: &Members<'_>,
    outer: Option<String>,
    pointers: &mut Vec<String>,
) -> ChildError {
    let mut message = message_of(members, pointers);
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
    if code.is_none() && pointer.is_some() && message.is_some() {
        code = word_of(members, pointers);
    }
    ChildError { message, code, pointer }
}

/// The text under the best name; a word under a name that may hold a code gives way to a sentence.
fn message_of(members: &Members<'_>, pointers: &mut Vec<String>) -> Option<String> {
    let listed = members.named(&CHILD_MESSAGES).chain(members.named(&names::MESSAGES));
    let ending = members.ending(&names::MESSAGE_ENDS, &CHILD_MESSAGES);
    let told = |member: Member<'_, '_>| {
        let text = message_text(member.value)?;
        Some((member.at(), member.plain.to_owned(), nonempty(text)?))
    };
    let mut texts = listed.chain(ending).filter_map(told);
    let (mut at, name, mut text) = texts.next()?;
    let codes = ["error", "reason", "issue", "title"];
    if codes.contains(&name.as_str())
        && weight(&text) != Weight::Sentence
        && let Some(better) = texts.find(|(_, _, text)| weight(text) == Weight::Sentence)
    {
        (at, _, text) = better;
    }
    pointers.push(at);
    Some(text)
}

/// A code under a name that as often holds something else: `cause="taken"`, `id="UNKNOWN_SKU"`.
fn word_of(members: &Members<'_>, pointers: &mut Vec<String>) -> Option<String> {
    let mut candidates = members.named(&["cause", "id"]);
    let (member, text) = candidates.find_map(|member| {
        let text = member.value.as_str()?;
        let is_code = names::is_word(text)
            && !text.bytes().any(|byte| byte.is_ascii_digit())
            && (member.plain == "cause" || names::is_code_word(text));
        is_code.then_some((member, text))
    })?;
    pointers.push(member.at());
    Some(text.to_owned())
}

fn text_of(members: &Members<'_>, names: &[&str], pointers: &mut Vec<String>) -> Option<String> {
    let mut candidates = members.named(names);
    let (member, text) =
        candidates.find_map(|member| Some((member, nonempty(member.value.as_str()?)?)))?;
    pointers.push(member.at());
    Some(text)
}

/// The ends of further names of a single error's code.
const CHILD_CODE_ENDS: [&str; 5] = ["code", "errno", "errornumber", "messageid", "messagekey"];

fn code_of(
    members: &Members<'_>,
    message: Option<&str>,
    pointers: &mut Vec<String>,
) -> Option<String> {
    let ending = members.ending(&CHILD_CODE_ENDS, &CHILD_CODES);
    let ending = ending.filter(|member| !names::NO_CODES.contains(&member.plain));
    let mut candidates = members.named(&CHILD_CODES).chain(ending);
    let (member, text) = candidates.find_map(|member| {
        let text = only_scalar(member.value)?;
        // The only text of an error is its message, and its code as well if it looks like one.
        let both = member.name == "error" && names::is_code_word(&text);
        let typed = member.name == "@type";
        let graded = ["fatal", "warning"].iter().any(|it| text.eq_ignore_ascii_case(it));
        let fits = !typed
            && !graded
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
        Value::Array(steps) => Some((member, pointer_of_steps(steps)?)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    })?;
    pointers.push(member.at());
    Some(field)
}
