//! Single errors among several: lists of them, and maps from fields to their messages.

use serde_json::{Map, Value};

use super::members::{MEMBERS_MAX, Member, Members, is_one_error};
use super::names::{
    self, CHILD_CODES, CHILD_FIELDS, CHILD_MESSAGES, LISTS, LOOSE_LISTS, NO_FIELDS, plain,
};
use super::values::{as_pointer, escaped, is_blank, nonempty, only_scalar, pointer_of_steps};
use super::weight::{Weight, keep_beside, message_text, weight};
use crate::outcome::{CHILDREN_MAX, ChildError, Facts, ValueId};

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
        let carried = facts.carried.contains(&member.id());
        let secondary = member.plain == "messages" && !facts.children.is_empty();
        if carried || secondary {
            continue;
        }
        match member.value {
            Value::Array(_) => of_list(member.value, facts),
            Value::Object(_) if is_one_error(member.value) => {}
            Value::Object(map) if maps_fields(member.plain, map) => {
                of_field_map(map, member.name, facts);
            }
            Value::Object(map) if member.plain == "details" => {
                of_members(&Members::of(map), facts);
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
            of_list(member.value, facts);
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

pub(super) fn of_list(list: &Value, facts: &mut Facts) {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    for item in items {
        if facts.children.len() >= CHILDREN_MAX {
            return;
        }
        match (child(item, None, &mut facts.carried), item) {
            (Some(child), _) => facts.children.push(child),
            // Google's `BadRequest` among the details has a list of its own.
            (None, Value::Object(map)) => {
                let inside = Members::of(map);
                for member in inside.ending(&["violations"], &[]) {
                    of_list(member.value, facts);
                }
            }
            (None, _) => {}
        }
    }
}

/// `{"field": ["message"]}`, nested as deep as the vendor's own data. A map without a name of its
/// own, that of the whole body, counts only where every value is a list or an object.
pub(super) fn of_field_map(map: &Map<String, Value>, name: &str, facts: &mut Facts) {
    let mut walk = FieldWalk { facts, values_left: MEMBERS_MAX };
    let named = !name.is_empty();
    if named || map.values().all(|value| value.is_array() || value.is_object()) {
        walk.map(map, "", DEPTH_MAX);
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
    fn map(&mut self, map: &Map<String, Value>, field: &str, depth: usize) {
        for (name, value) in map {
            let spelled = plain(name);
            if names::REFERENCES.contains(&&*spelled) || names::DATES.contains(&&*spelled) {
                continue;
            }
            let inner = if NO_FIELDS.contains(&&*spelled) {
                field.to_owned()
            } else {
                [field, "/", &escaped(name)].concat()
            };
            self.value(value, &inner, depth);
        }
    }

    fn value(&mut self, value: &Value, field: &str, depth: usize) {
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
                    self.value(item, &inner, depth);
                }
            }
            Value::Object(map) if !map.iter().any(is_message) => self.map(map, field, depth),
            Value::Object(_) | Value::String(_) => {
                let child = child(value, Some(field), &mut self.facts.carried);
                self.facts.children.extend(child);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// One error: a text, or an object with a message or a code.
fn child(item: &Value, field: Option<&str>, carried: &mut Vec<ValueId>) -> Option<ChildError> {
    let outer = field.filter(|field| !field.is_empty()).map(str::to_owned);
    match item {
        Value::String(text) => {
            carried.push(ValueId::of(item));
            Some(ChildError { message: Some(nonempty(text)?), code: None, pointer: outer })
        }
        Value::Object(map) => {
            let before = carried.len();
            let child = in_object(&Members::of(map), outer, carried);
            // A code alone makes an error only beside a field (GitHub), or where it is called one.
            let coded = child.code.is_some()
                && (child.pointer.is_some()
                    || map.keys().any(|name| plain(name).ends_with("code")));
            let is_error = child.message.is_some() || coded;
            if !is_error {
                carried.truncate(before);
            }
            is_error.then_some(child)
        }
        Value::Array(parts) => {
            let child = in_parts(parts, outer)?;
            carried.push(ValueId::of(item));
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
    carried: &mut Vec<ValueId>,
) -> ChildError {
    let mut message = message_of(members, carried);
    let mut code = code_of(members, message.as_deref(), carried);
    // A word as the reason is a code (Google's `ErrorInfo`).
    let reason = members.named(&["reason"]).next().and_then(|member| member.value.as_str());
    if code.is_none() && message.is_some() && message.as_deref() == reason {
        code = message.take_if(|word| names::is_code_word(word));
    }
    if let (None, Some(extensions)) = (&code, members.object("extensions")) {
        code = extensions.take(&["code", "classification", "errorclass"], carried);
    }
    let mut pointer = field_of(members, carried).or(outer);
    if let (None, Some(source)) = (&pointer, members.object("source")) {
        let field = source.take(&["pointer", "parameter"], carried);
        pointer = field.as_deref().map(as_pointer);
    }
    // `name` is the field, or the code where the field has a name of its own.
    if pointer.is_none() {
        pointer = text_of(members, &["name"], carried).as_deref().map(as_pointer);
    } else if code.is_none() {
        code = text_of(members, &["name"], carried);
    }
    if code.is_none() && pointer.is_some() && message.is_some() {
        code = word_of(members, carried);
    }
    ChildError { message, code, pointer }
}

/// The text under the best name; a word under a name that may hold a code gives way to a sentence.
fn message_of<'m>(members: &'m Members<'m>, carried: &mut Vec<ValueId>) -> Option<String> {
    let listed = members.named(&CHILD_MESSAGES).chain(members.named(&names::MESSAGES));
    let ending = members.ending(&names::MESSAGE_ENDS, &CHILD_MESSAGES);
    let told = |member: Member<'m, 'm>| {
        let text = message_text(member.value)?;
        Some((member, nonempty(text)?))
    };
    let mut texts = listed.chain(ending).filter_map(told);
    let (mut member, mut text) = texts.next()?;
    let codes = ["error", "reason", "issue", "title"];
    if codes.contains(&member.plain)
        && weight(&text) != Weight::Sentence
        && let Some(better) = texts.find(|(_, text)| weight(text) == Weight::Sentence)
    {
        (member, text) = better;
    }
    carried.push(member.id());
    Some(text)
}

/// A code under a name that as often holds something else: `cause="taken"`, `id="UNKNOWN_SKU"`.
fn word_of(members: &Members<'_>, carried: &mut Vec<ValueId>) -> Option<String> {
    let mut candidates = members.named(&["cause", "id"]);
    let (member, text) = candidates.find_map(|member| {
        let text = member.value.as_str()?;
        let is_code = names::is_word(text)
            && !text.bytes().any(|byte| byte.is_ascii_digit())
            && (member.plain == "cause" || names::is_code_word(text));
        is_code.then_some((member, text))
    })?;
    carried.push(member.id());
    Some(text.to_owned())
}

fn text_of(members: &Members<'_>, names: &[&str], carried: &mut Vec<ValueId>) -> Option<String> {
    let mut candidates = members.named(names);
    let (member, text) =
        candidates.find_map(|member| Some((member, nonempty(member.value.as_str()?)?)))?;
    carried.push(member.id());
    Some(text)
}

/// The ends of further names of a single error's code.
const CHILD_CODE_ENDS: [&str; 5] = ["code", "errno", "errornumber", "messageid", "messagekey"];

fn code_of(
    members: &Members<'_>,
    message: Option<&str>,
    carried: &mut Vec<ValueId>,
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
    carried.push(member.id());
    Some(names::short(text))
}

/// The field: a name, a pointer, or a list of path segments.
fn field_of(members: &Members<'_>, carried: &mut Vec<ValueId>) -> Option<String> {
    let mut candidates = members.named(&CHILD_FIELDS);
    let (member, field) = candidates.find_map(|member| match member.value {
        Value::String(text) if !is_blank(text) => Some((member, as_pointer(text))),
        Value::Array(steps) => Some((member, pointer_of_steps(steps)?)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            None
        }
    })?;
    carried.push(member.id());
    Some(field)
}
