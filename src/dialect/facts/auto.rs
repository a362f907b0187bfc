//! `auto`: the facts of a body that no dialect describes, by the names that vendors commonly use.
//!
//! It looks for an envelope, then for a sentence, a code, single errors and a reference, each by a
//! list of names in order of trust. It skips decoys: a status phrase, `type: "error"`, a number
//! that repeats the status.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::members::{Member, Members};
use super::names;
use super::values::{escaped, nonempty, scalar};
use super::weight::{
    BESIDE_BYTES_MAX, BESIDE_MAX, Weight, is_any_phrase, is_generic, is_phrase, keep_beside,
    last_of_traceback, may_map_fields, message_text, weight,
};
use super::{children, soap, text};
use crate::dialect::document::{BodyFormat, Document, json};
use crate::dialect::verdict;
use crate::outcome::{Facts, ResponseHead, ValueId};

/// Envelopes and wrappers inside each other that are opened.
const DEPTH_MAX: usize = 10;
/// Objects of one body that are searched.
const OBJECTS_MAX: usize = 400;

/// The facts of a body, and of the headers that carry a message, a code or a reference.
pub(super) fn facts(head: ResponseHead<'_>, document: &Document) -> Facts {
    let guesser = Guesser { status: head.status.as_u16(), objects_left: Cell::new(OBJECTS_MAX) };
    let mut facts = match document.format {
        BodyFormat::Json | BodyFormat::Form => guesser.value(&document.tree, "", DEPTH_MAX),
        BodyFormat::Xml => guesser.xml(&document.tree),
        BodyFormat::Html | BodyFormat::Text => {
            let member = |name| document.tree.get(name).and_then(Value::as_str);
            let (message, at) = match document.tree.as_str() {
                Some(text) => (Some(text), ""),
                None => (member("message"), "/message"),
            };
            let line = message.filter(|_| document.format == BodyFormat::Text);
            let fields = line.and_then(|it| text::in_fields(it, guesser.status));
            fields.unwrap_or_else(|| {
                let message = message.and_then(nonempty);
                let message_at = message.as_ref().map(|_| at.to_owned());
                let code = member("code").map(str::to_owned);
                let code_at = code.as_ref().map(|_| "/code".to_owned());
                Facts { message, message_at, code, code_at, ..Facts::default() }
            })
        }
        BodyFormat::Empty | BodyFormat::Unreadable => Facts::default(),
    };
    facts.message = facts.message.or_else(|| guesser.status_phrase(&document.tree, DEPTH_MAX));
    facts.message = facts.message.map(last_of_traceback);
    of_headers(head, &mut facts);
    facts
}

/// The headers that name an error: `x-amzn-errortype`, `x-acme-error-code`, `x-error-message`.
fn of_headers(head: ResponseHead<'_>, facts: &mut Facts) {
    for (name, value) in head.headers {
        let name = name.as_str();
        let about = name.contains("error") || name.contains("reject");
        let Some(text) = value.to_str().ok().and_then(nonempty).filter(|_| about) else { continue };
        let code = names::CODE_HEADERS.contains(&name) || name.ends_with("error-code");
        let message = name.ends_with("error-message") || name.ends_with("error-description");
        if code && facts.code.is_none() {
            facts.code = Some(names::short(text));
            facts.code_at = Some(name.to_owned());
        } else if message && facts.message.is_none() {
            facts.message = Some(text);
            facts.message_at = Some(name.to_owned());
        } else if text.len() <= BESIDE_BYTES_MAX && facts.beside.len() < BESIDE_MAX {
            facts.beside.push(text);
        }
    }
    if facts.reference.is_none() {
        let header = |name: &&str| nonempty(head.headers.get(*name)?.to_str().ok()?);
        facts.reference = names::REFERENCE_HEADERS.iter().find_map(header);
    }
}

pub(super) struct Guesser {
    pub(super) status: u16,
    objects_left: Cell<usize>,
}

impl Guesser {
    /// XML has one element around all, whose name says something only where it is that of an error.
    fn xml(&self, tree: &Value) -> Facts {
        if let Some(facts) = soap::fault(tree, |detail, at| self.value(detail, at, DEPTH_MAX)) {
            return facts;
        }
        let facts = self.value(tree, "", DEPTH_MAX);
        let root = tree.as_object().filter(|members| members.len() == 1);
        let Some((name, root)) = root.and_then(|members| members.iter().next()) else {
            return facts;
        };
        let found = facts.message.is_some() || facts.code.is_some();
        let named = root.is_array() || Members::is_envelope(name);
        if found && named {
            return facts;
        }
        self.value(root, &format!("/{}", escaped(name)), DEPTH_MAX)
    }

    fn value(&self, value: &Value, at: &str, depth: usize) -> Facts {
        let Some(depth) = depth.checked_sub(1) else { return Facts::default() };
        match value {
            Value::String(text) => {
                let carried = vec![ValueId::of(value)];
                let message_at = Some(at.to_owned());
                Facts { message: nonempty(text), message_at, carried, ..Facts::default() }
            }
            Value::Array(items) => self.array(value, items, at, depth),
            Value::Object(map) => self.object(map, at, depth),
            Value::Null | Value::Bool(_) | Value::Number(_) => Facts::default(),
        }
    }

    /// A list of errors, or of one envelope, as streaming endpoints send it, or of the parts of an
    /// error: `["error", 10020, "limit: invalid"]`.
    fn array(&self, list: &Value, items: &[Value], at: &str, depth: usize) -> Facts {
        if let [Value::String(first), rest @ ..] = items
            && is_generic(first)
            && (1..=4).contains(&rest.len())
        {
            let texts = rest.iter().filter_map(Value::as_str);
            let message = texts.max_by_key(|text| weight(text)).and_then(nonempty);
            let codes = rest.iter().filter_map(scalar);
            let code = codes.into_iter().find(|text| Some(text) != message.as_ref());
            return Facts { message, code, ..Facts::default() };
        }
        let mut facts = match items {
            [Value::Object(only)] => self.object(only, &format!("{at}/0"), depth),
            _ => Facts::default(),
        };
        // The first of a batch of calls that all failed.
        if let [Value::Object(first), _, ..] = items
            && self.status < 300
            && first.contains_key("jsonrpc")
        {
            facts = self.object(first, &format!("{at}/0"), depth);
        }
        children::of_list(list, &mut facts);
        self.promote(&mut facts);
        facts
    }

    fn object(&self, map: &Map<String, Value>, at: &str, depth: usize) -> Facts {
        let Some(left) = self.objects_left.get().checked_sub(1) else { return Facts::default() };
        self.objects_left.set(left);
        let nothing = |facts: &Facts| {
            facts.message.is_none() && facts.code.is_none() && facts.children.is_empty()
        };
        let members = Members::at(map, at);
        // What is inside an envelope counts more than what stands beside it, unless it is a word.
        let envelope = members.envelope();
        let inside = envelope.map(|member| self.value(member.value, &member.at(), depth));
        let own = self.own(&members);
        let mut facts = inner_first(inside.unwrap_or_default(), own);
        self.fault_detail(&members, &mut facts, depth);
        children::of_members(&members, &mut facts);
        self.open_json_message(&mut facts);
        let maps_fields = map.values().any(|value| {
            value.as_array().and_then(|items| items.first()).is_some_and(Value::is_string)
        });
        if facts.message.is_none() && facts.children.is_empty() && !(at.is_empty() && maps_fields) {
            // The first member that has a sentence, under a name of the vendor's own.
            let entered = envelope.map(|member| member.name);
            let holds = |value: &Value| match value {
                Value::Object(_) => true,
                Value::Array(items) => items.first().is_some_and(Value::is_object),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
            };
            let others =
                members.iter().filter(|member| holds(member.value) && entered != Some(member.name));
            let mut coded = Facts::default();
            let mut found = Facts::default();
            for member in others {
                let deeper = self.value(member.value, &member.at(), depth);
                if deeper.message.is_some() {
                    found = deeper;
                    break;
                }
                if coded.code.is_none() && deeper.code.is_some() {
                    coded = deeper;
                }
            }
            found = found.or(coded);
            if facts.code.is_none() || found.code.is_none() {
                facts = facts.or(found);
            } else {
                facts = found.or(facts);
            }
        }
        if nothing(&facts) && may_map_fields(at) {
            children::of_field_map(map, at, &mut facts);
        }
        self.promote(&mut facts);
        facts
    }

    /// The facts among the members themselves.
    fn own(&self, members: &Members<'_>) -> Facts {
        let mut facts = Facts::default();
        self.message(members, &mut facts);
        self.code(members, &mut facts);
        facts.reference = members.take(&names::REFERENCES, &mut facts.carried);
        facts.occurred_at = members.take(&names::DATES, &mut facts.carried);
        facts.operation = members.take(&["operation"], &mut facts.carried);
        // `{"sys": {"type": "Error", "id": CODE}}` (Contentful).
        if facts.code.is_none()
            && let Some(sys) = members.object("sys")
        {
            facts.code = sys.take(&["id"], &mut facts.carried);
        }
        innermost(members, &mut facts);
        self.skip_decoys(members, &mut facts);
        facts
    }

    /// The member that says most; of several that say as much, the one with the best name.
    fn message(&self, members: &Members<'_>, facts: &mut Facts) {
        let listed = members.named(&names::MESSAGES);
        let ending = members.ending(&names::MESSAGE_ENDS, &names::MESSAGES);
        // `error` is a message only where it is a sentence; `code` reads it otherwise.
        let errors =
            members.named(&["error", "errors", "err", "fault", "erro"]).filter_map(|member| {
                let text = member.value.as_str()?;
                // Under a success, the phrase of another status is all there is.
                let in_success = self.status < 300;
                let said = (in_success && text.contains(' ')
                    || weight(text) == Weight::Sentence && !is_any_phrase(text))
                    && !is_phrase(text, self.status);
                said.then_some((member, text))
            });
        // Under a success, what is no state is a sentence.
        let states = members.named(&["status"]).filter(|member| {
            let text = member.value.as_str().unwrap_or_default();
            self.status < 300 && weight(text) == Weight::Sentence && !is_any_phrase(text)
        });
        let listed = listed.chain(ending).filter_map(|member| self.told(member));
        let listed = listed.chain(states.filter_map(|it| Some((it, it.value.as_str()?))));
        let texts: Vec<(Member<'_, '_>, &str)> = listed.chain(errors).collect();
        let mut best: Option<usize> = None;
        for (place, (_, text)) in texts.iter().enumerate() {
            if best.is_none_or(|best| weight(text) > weight(texts[best].1)) {
                best = Some(place);
            }
        }
        // The phrase of a status that is not the response's own says something: it is evidence.
        let phrases = members.named(&["error", "errors", "fault"]);
        for text in phrases.filter_map(|member| member.value.as_str()) {
            if is_any_phrase(text) && !is_phrase(text, self.status) {
                keep_beside(text, facts);
            }
        }
        let Some(best) = best else { return };
        let (member, text) = &texts[best];
        facts.message = nonempty(text);
        facts.message_at = Some(member.at());
        facts.carried.push(member.id());
        for (_, other) in texts.iter().filter(|(_, other)| other != text) {
            keep_beside(other, facts);
        }
    }

    /// A text under the name of a message; under names that hold codes too, a word is a code.
    fn told<'m, 'v>(&self, member: Member<'m, 'v>) -> Option<(Member<'m, 'v>, &'v str)> {
        let text = message_text(member.value)?;
        let coded = match member.plain {
            "reason" => weight(text) == Weight::Word,
            name => names::KINDS.contains(&name) && names::is_code_word(text),
        };
        let fine = self.status < 300 && verdict::is_plain_success(text);
        (text.parse() != Ok(self.status) && !coded && !fine).then_some((member, text))
    }

    /// What stands in a fault's `detail` is more specific than the fault itself (SOAP).
    fn fault_detail(&self, members: &Members<'_>, facts: &mut Facts, depth: usize) {
        let is_fault = members.named(&["faultstring", "faultcode"]).next().is_some();
        let details = members.named(&["detail", "details"]);
        for detail in details.filter(|detail| detail.value.is_object()) {
            let inner = self.value(detail.value, &detail.at(), depth);
            let said = std::mem::take(facts);
            if is_fault {
                *facts = inner_first(inner, said);
            } else {
                let coded = said.code.is_none();
                *facts = said.or(Facts { children: Vec::new(), ..inner });
                facts.code = facts.code.take().filter(|_| !coded || facts.message.is_some());
            }
        }
        // Of a call that failed on the server, JSON-RPC keeps the reason under `data`.
        let said = facts.message.as_deref().unwrap_or_default();
        if said.to_ascii_lowercase().ends_with("server error")
            && let Some(data) = members.named(&["data"]).find(|member| member.value.is_object())
        {
            let inner = self.value(data.value, &data.at(), depth);
            *facts = inner_first(inner, std::mem::take(facts));
        }
    }

    /// Marks members that only repeat that it is an error, or the status, as carried.
    fn skip_decoys(&self, members: &Members<'_>, facts: &mut Facts) {
        let names =
            ["type", "status", "statuscode", "code", "object", "ok", "success", "errorcode"];
        for member in members.named(&names) {
            let decoy = match member.value {
                Value::Bool(flag) => !*flag,
                Value::String(text) => !self.is_code(text),
                Value::Number(number) => number.as_u64() == Some(u64::from(self.status)),
                Value::Null | Value::Array(_) | Value::Object(_) => false,
            };
            if decoy {
                facts.carried.push(member.id());
            }
        }
    }

    /// Reads a message that is JSON itself.
    fn open_json_message(&self, facts: &mut Facts) {
        let Some(inner) = facts.message.as_deref().and_then(json::inside) else { return };
        let inside = self.value(&inner, "/-", 2);
        if inside.message.is_some() {
            facts.message = inside.message;
            facts.beside.extend(inside.beside);
            facts.code = inside.code.or(facts.code.take());
            facts.children.extend(inside.children);
        }
    }

    /// The text of `error` where it is the phrase of a status: a message when there is no other.
    fn status_phrase(&self, value: &Value, depth: usize) -> Option<String> {
        let depth = depth.checked_sub(1)?;
        let error = match value.as_array() {
            Some(items) => items.first().filter(|_| items.len() == 1)?,
            None => value,
        };
        let map = error.as_object()?;
        let members = Members::of(map);
        let envelope = members.envelope();
        let inside = envelope.and_then(|member| self.status_phrase(member.value, depth));
        inside.or_else(|| {
            let mut errors = members.named(&["error", "errors", "fault"]);
            let text = errors.find_map(|member| member.value.as_str())?;
            let alone = members.named(&["message", "msg"]).next().is_none();
            let phrase = is_phrase(text, self.status) || is_any_phrase(text);
            nonempty(text).filter(|_| alone && phrase)
        })
    }
}

/// `innererror` inside `innererror`: the innermost code is the most specific (Microsoft Graph).
fn innermost(members: &Members<'_>, facts: &mut Facts) {
    let mut inner = members.object("innererror");
    for _ in 0..DEPTH_MAX {
        let Some(members) = inner else { return };
        if let Some(code) = members.take(&["code"], &mut facts.carried) {
            facts.code = Some(code);
        }
        let reference = members.take(&names::REFERENCES, &mut facts.carried);
        facts.reference = facts.reference.take().or(reference);
        let date = members.take(&names::DATES, &mut facts.carried);
        facts.occurred_at = facts.occurred_at.take().or(date);
        inner = members.object("innererror");
    }
}

impl Guesser {
    /// An error without a message or code of its own takes those of its children. A single child
    /// that says nothing more is dropped.
    fn promote(&self, facts: &mut Facts) {
        for child in &mut facts.children {
            let repeats = |code: &String| code.parse() == Ok(self.status);
            child.code = child.code.take().filter(|code| !repeats(code));
        }
        children::promote(facts);
    }
}

/// The facts of an envelope's inside, completed by those beside it. A word inside gives way to a
/// sentence outside.
fn inner_first(inside: Facts, outside: Facts) -> Facts {
    let weight_of = |facts: &Facts| facts.message.as_deref().map(weight);
    let inner_weight = weight_of(&inside);
    if inner_weight < Some(Weight::Sentence) && weight_of(&outside) > inner_weight {
        let mut facts = inside;
        if let Some(word) = facts.message.take() {
            keep_beside(&word, &mut facts);
            if facts.code.is_none() && outside.code.is_none() && names::is_code_word(&word) {
                facts.code = Some(word);
            }
        }
        return facts.or(outside);
    }
    let outer = outside.message.clone().filter(|text| inside.message.as_ref() != Some(text));
    let mut facts = inside.or(outside);
    if let Some(outer) = outer {
        keep_beside(&outer, &mut facts);
    }
    facts
}
