//! `auto`: the facts of a body nobody described, by the names that vendors use.
//!
//! It looks for an envelope, then for a sentence, a code, single errors and a reference, each by
//! a list of names in order of trust. Decoys (a status phrase, `type: "error"`, a number that
//! repeats the status) are passed over. Refuses to decide what the facts mean.

mod names;
mod parts;

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::dialect::extract::{nonempty, scalar};
use crate::dialect::facts::Facts;
use crate::dialect::json;
use crate::dialect::text::Tree;
use crate::outcome::{Form, Part};
use names::{is_phrase, is_word, plain};

/// Envelopes inside envelopes are opened this deep.
const DEPTH_MAX: usize = 4;
/// Members of one object that are looked at.
const MEMBERS_MAX: usize = 200;

/// The facts of a body and of the headers that name an occurrence.
pub(super) fn facts(headers: &HeaderMap, tree: &Tree, status: u16) -> Facts {
    let mut facts = match tree.form {
        Form::Json | Form::Fields => Seeker { status }.value(&tree.value, "", DEPTH_MAX),
        Form::Html | Form::Text => sentence(&tree.value),
        Form::Empty | Form::Xml | Form::Unreadable => Facts::default(),
    };
    facts.message = facts.message.or(facts.phrase.take());
    facts.code = facts.code.or_else(|| header(headers, &names::CODE_HEADERS).map(names::short));
    facts.reference = facts.reference.or_else(|| header(headers, &names::REFERENCE_HEADERS));
    facts
}

fn sentence(value: &Value) -> Facts {
    Facts { message: value.as_str().and_then(nonempty), ..Facts::default() }
}

fn header(headers: &HeaderMap, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| nonempty(headers.get(*name)?.to_str().ok()?))
}

/// One object's members with their names in one spelling.
struct Members<'a> {
    at: String,
    list: Vec<(String, &'a str, &'a Value)>,
}

impl<'a> Members<'a> {
    fn of(map: &'a Map<String, Value>, at: &str) -> Self {
        let members = map.iter().take(MEMBERS_MAX);
        let list = members.map(|(name, value)| (plain(name), name.as_str(), value)).collect();
        Self { at: at.to_owned(), list }
    }

    /// The members of these names, in the order of the names.
    fn named<'b>(&'b self, names: &'b [&str]) -> impl Iterator<Item = (String, &'a Value)> + 'b {
        let candidates = names
            .iter()
            .flat_map(|wanted| self.list.iter().filter(move |(plain, _, _)| plain == wanted));
        candidates.map(|(_, name, value)| (self.pointer(name), *value))
    }

    fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.at, name.replace('~', "~0").replace('/', "~1"))
    }
}

struct Seeker {
    status: u16,
}

impl Seeker {
    fn value(&self, value: &Value, at: &str, depth: usize) -> Facts {
        let Some(depth) = depth.checked_sub(1) else { return Facts::default() };
        match value {
            Value::String(text) => {
                Facts { message: nonempty(text), used: vec![at.to_owned()], ..Facts::default() }
            }
            Value::Array(items) => self.list(value, items, at, depth),
            Value::Object(map) => self.object(map, at, depth),
            Value::Null | Value::Bool(_) | Value::Number(_) => Facts::default(),
        }
    }

    /// A list of errors; or of one envelope, as streaming end points send it.
    fn list(&self, value: &Value, items: &[Value], at: &str, depth: usize) -> Facts {
        let mut facts = match items {
            [Value::Object(only)] => self.object(only, &format!("{at}/0"), depth),
            _ => Facts::default(),
        };
        parts::collect(value, at, &mut facts);
        promote(&mut facts);
        facts
    }

    fn object(&self, map: &Map<String, Value>, at: &str, depth: usize) -> Facts {
        let members = Members::of(map, at);
        let mut facts = self.envelope(&members, depth).or(self.own(&members));
        parts::children(&members, &mut facts);
        self.opened(&mut facts);
        if facts.message.is_none() && facts.code.is_none() && facts.children.is_empty() {
            facts = facts.or(self.elsewhere(&members, depth));
        }
        if facts.message.is_none() && facts.code.is_none() && facts.children.is_empty() {
            parts::field_map(map, at, &mut facts);
        }
        promote(&mut facts);
        facts
    }

    /// `{"error": {…}}` and its kin: what is inside counts more than what stands beside.
    fn envelope(&self, members: &Members<'_>, depth: usize) -> Facts {
        let inner = members.named(&names::ENVELOPES).find(|(_, value)| value.is_object());
        inner.map_or_else(Facts::default, |(at, value)| self.value(value, &at, depth))
    }

    /// The facts among the members themselves.
    fn own(&self, members: &Members<'_>) -> Facts {
        let mut facts = Facts::default();
        self.message(members, &mut facts);
        self.code(members, &mut facts);
        facts.reference = take(members, &names::REFERENCES, &mut facts.used);
        facts.date = take(members, &names::DATES, &mut facts.used);
        facts.operation = take(members, &["operation"], &mut facts.used);
        system_id(members, &mut facts);
        self.innermost(members, &mut facts);
        self.pass_over(members, &mut facts);
        facts
    }

    fn message(&self, members: &Members<'_>, facts: &mut Facts) {
        let found = members.named(&names::MESSAGES).find_map(|(at, value)| words(at, value));
        if let Some((at, text)) = found {
            facts.message = Some(text);
            facts.used.push(at);
        }
    }

    /// `error` as a text is a code when it is one word, else a sentence, and only then a phrase
    /// when there is nothing better.
    fn code(&self, members: &Members<'_>, facts: &mut Facts) {
        let stated = members.named(&names::CODES).find_map(|(at, value)| {
            let text = scalar(value).filter(|text| self.is_code(text))?;
            Some((at, text))
        });
        if let Some((at, text)) = stated {
            facts.used.push(at);
            facts.code = Some(names::short(text));
        }
        let error =
            members.named(&["error", "errors", "fault"]).find(|(_, value)| value.is_string());
        let Some((at, Value::String(text))) = error else { return };
        if is_phrase(text, self.status) {
            facts.phrase = nonempty(text).filter(|_| !has_message(members));
            facts.used.push(at);
        } else if is_word(text) {
            facts.code = facts.code.take().or_else(|| Some(text.clone()));
            facts.used.push(at);
        } else if facts.message.is_none() {
            facts.message = nonempty(text);
            facts.used.push(at);
        }
    }

    fn is_code(&self, text: &str) -> bool {
        let decoy = ["error", "fail", "failed", "failure", "false", "about:blank"];
        let repeats = text.parse() == Ok(self.status) || names::is_status_page(text);
        !repeats
            && !text.contains(char::is_whitespace)
            && !decoy.iter().any(|it| text.eq_ignore_ascii_case(it))
    }

    /// `innererror` inside `innererror`: the innermost code is the most specific (Graph).
    fn innermost(&self, members: &Members<'_>, facts: &mut Facts) {
        let Some((mut at, mut inner)) = members.named(&["innererror"]).next() else { return };
        for _ in 0..DEPTH_MAX {
            let Value::Object(map) = inner else { return };
            let list = Members::of(map, &at);
            if let Some(code) = take(&list, &["code"], &mut facts.used) {
                facts.code = Some(code);
            }
            let reference = take(&list, &names::REFERENCES, &mut facts.used);
            facts.reference = facts.reference.take().or(reference);
            let date = take(&list, &names::DATES, &mut facts.used);
            facts.date = facts.date.take().or(date);
            let Some((deeper, value)) = list.named(&["innererror"]).next() else { return };
            (at, inner) = (deeper, value);
        }
    }

    /// Members that only say once more that it is an error, or which status it has.
    fn pass_over(&self, members: &Members<'_>, facts: &mut Facts) {
        let names =
            ["type", "status", "statuscode", "code", "object", "ok", "success", "errorcode"];
        for (at, value) in members.named(&names) {
            let decoy = match value {
                Value::Bool(flag) => !*flag,
                Value::String(text) => !self.is_code(text),
                Value::Number(number) => number.as_u64() == Some(u64::from(self.status)),
                Value::Null | Value::Array(_) | Value::Object(_) => false,
            };
            if decoy {
                facts.used.push(at);
            }
        }
    }

    /// A sentence that is JSON itself is opened.
    fn opened(&self, facts: &mut Facts) {
        let Some(inner) = facts.message.as_deref().and_then(json::inside) else { return };
        let inside = self.value(&inner, "/-", 2);
        if inside.message.is_some() {
            facts.message = inside.message;
            facts.code = inside.code.or(facts.code.take());
            facts.children.extend(inside.children);
        }
    }

    /// Nothing here: perhaps one level deeper, under a name of the vendor's own.
    fn elsewhere(&self, members: &Members<'_>, depth: usize) -> Facts {
        let objects = members.list.iter().filter(|(_, _, value)| value.is_object());
        let mut found = objects
            .map(|(_, name, value)| self.value(value, &members.pointer(name), depth))
            .filter(|facts| facts.message.is_some() && facts.children.is_empty());
        found.next().unwrap_or_default()
    }
}

/// `{"sys": {"type": "Error", "id": CODE}}` (Contentful).
fn system_id(members: &Members<'_>, facts: &mut Facts) {
    let Some((at, Value::Object(map))) = members.named(&["sys"]).next() else { return };
    if facts.code.is_none() {
        facts.code = take(&Members::of(map, &at), &["id"], &mut facts.used);
    }
}

fn has_message(members: &Members<'_>) -> bool {
    members.named(&["message", "msg"]).next().is_some()
}

fn take(members: &Members<'_>, names: &[&str], used: &mut Vec<String>) -> Option<String> {
    let (at, text) = members.named(names).find_map(|(at, value)| Some((at, scalar(value)?)))?;
    used.push(at);
    Some(text)
}

/// A sentence as a text, or as OData's `{"lang": …, "value": …}`.
fn words(at: String, value: &Value) -> Option<(String, String)> {
    match value {
        Value::String(text) => Some((at, nonempty(text)?)),
        Value::Object(map) => {
            let text = map.get("value").or_else(|| map.get("#text"))?.as_str()?;
            Some((at, nonempty(text)?))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// Without a sentence of its own an error says what its first part says; a lone part that says
/// nothing more goes.
fn promote(facts: &mut Facts) {
    if facts.message.is_none() {
        let told = facts.children.iter().filter(|child| child.message.is_some());
        let general = told.clone().find(|child| child.pointer.is_none());
        let first = general.or_else(|| told.clone().next());
        facts.message = first.and_then(|child| child.message.clone());
    }
    if facts.code.is_none() {
        facts.code = facts.children.iter().find_map(|child| child.code.clone());
    }
    if let [Part { message, code, pointer: None }] = facts.children.as_slice() {
        let repeats = *message == facts.message && (code.is_none() || *code == facts.code);
        if repeats {
            facts.children.clear();
        }
    }
}
