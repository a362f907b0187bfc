//! `auto`: the facts of a body that no dialect describes, by the names that vendors commonly use.
//!
//! It looks for an envelope, then for a sentence, a code, single errors and a reference, each by a
//! list of names in order of trust. It skips decoys: a status phrase, `type: "error"`, a number
//! that repeats the status.

use serde_json::{Map, Value};

use super::names::{self, Members, is_phrase, is_word};
use super::values::{escaped, nonempty, scalar};
use super::{children, soap};
use crate::dialect::document::{BodyFormat, Document, json};
use crate::outcome::{ChildError, Facts, ResponseHead};

const DEPTH_MAX: usize = 4;

/// The facts of a body, and of the headers that carry a code or a reference.
pub(super) fn facts(head: ResponseHead<'_>, document: &Document) -> Facts {
    let guesser = Guesser { status: head.status.as_u16() };
    let mut facts = match document.format {
        BodyFormat::Json | BodyFormat::Form => guesser.value(&document.tree, "", DEPTH_MAX),
        BodyFormat::Xml => guesser.xml(&document.tree),
        BodyFormat::Html | BodyFormat::Text => {
            let member = |name| document.tree.get(name).and_then(Value::as_str);
            let message = document.tree.as_str().or_else(|| member("message"));
            let code = member("code").map(str::to_owned);
            Facts { message: message.and_then(nonempty), code, ..Facts::default() }
        }
        BodyFormat::Empty | BodyFormat::Unreadable => Facts::default(),
    };
    facts.message = facts.message.or_else(|| guesser.status_phrase(&document.tree, DEPTH_MAX));
    let header = |names: &[&str]| {
        names.iter().find_map(|name| nonempty(head.headers.get(*name)?.to_str().ok()?))
    };
    facts.code = facts.code.or_else(|| header(&names::CODE_HEADERS).map(names::short));
    facts.reference = facts.reference.or_else(|| header(&names::REFERENCE_HEADERS));
    facts
}

struct Guesser {
    status: u16,
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
                let pointers = vec![at.to_owned()];
                Facts { message: nonempty(text), pointers, ..Facts::default() }
            }
            // A list of errors, or of one envelope, as streaming endpoints send it.
            Value::Array(items) => {
                let mut facts = match items.as_slice() {
                    [Value::Object(only)] => self.object(only, &format!("{at}/0"), depth),
                    _ => Facts::default(),
                };
                children::of_list(value, at, &mut facts);
                promote(&mut facts);
                facts
            }
            Value::Object(map) => self.object(map, at, depth),
            Value::Null | Value::Bool(_) | Value::Number(_) => Facts::default(),
        }
    }

    fn object(&self, map: &Map<String, Value>, at: &str, depth: usize) -> Facts {
        let nothing = |facts: &Facts| {
            facts.message.is_none() && facts.code.is_none() && facts.children.is_empty()
        };
        let members = Members::of(map, at);
        // What is inside an envelope counts more than what stands beside it.
        let inside = members.envelope().map(|(at, value)| self.value(value, &at, depth));
        let mut facts = inside.unwrap_or_default().or(self.own(&members));
        children::of_members(&members, &mut facts);
        self.open_json_message(&mut facts);
        if nothing(&facts) {
            // The first member that has a sentence, under a name of the vendor's own.
            let objects = members.iter().filter(|(_, value)| value.is_object());
            let mut deeper = objects.map(|(at, value)| self.value(value, &at, depth));
            let found = deeper.find(|facts| facts.message.is_some() && facts.children.is_empty());
            facts = facts.or(found.unwrap_or_default());
        }
        if nothing(&facts) {
            children::of_field_map(map, at, &mut facts);
        }
        promote(&mut facts);
        facts
    }

    /// The facts among the members themselves.
    fn own(&self, members: &Members<'_>) -> Facts {
        let mut facts = Facts::default();
        let message = members.named(&names::MESSAGES).find_map(|(at, value)| {
            // OData writes `{"lang": …, "value": …}` in place of a text.
            let text = value.get("value").or_else(|| value.get("#text")).unwrap_or(value);
            Some((at, nonempty(text.as_str()?)?))
        });
        if let Some((at, text)) = message {
            facts.message = Some(text);
            facts.pointers.push(at);
        }
        self.code(members, &mut facts);
        facts.reference = members.take(&names::REFERENCES, &mut facts.pointers);
        facts.occurred_at = members.take(&names::DATES, &mut facts.pointers);
        facts.operation = members.take(&["operation"], &mut facts.pointers);
        // `{"sys": {"type": "Error", "id": CODE}}` (Contentful).
        if facts.code.is_none()
            && let Some((at, Value::Object(map))) = members.named(&["sys"]).next()
        {
            facts.code = Members::of(map, &at).take(&["id"], &mut facts.pointers);
        }
        innermost(members, &mut facts);
        self.skip_decoys(members, &mut facts);
        facts
    }

    /// `error` as a text is a code when it is one word, else a sentence, unless it only repeats
    /// the status.
    fn code(&self, members: &Members<'_>, facts: &mut Facts) {
        let code = members.named(&names::CODES).find_map(|(at, value)| {
            let text = scalar(value).filter(|text| self.is_code(text))?;
            Some((at, text))
        });
        if let Some((at, text)) = code {
            facts.pointers.push(at);
            facts.code = Some(names::short(text));
        }
        let Some((at, text)) = error_text(members) else { return };
        if is_phrase(text, self.status) {
            facts.pointers.push(at);
        } else if is_word(text) {
            facts.code = facts.code.take().or_else(|| Some(text.to_owned()));
            facts.pointers.push(at);
        } else if facts.message.is_none() {
            facts.message = nonempty(text);
            facts.pointers.push(at);
        }
    }

    fn is_code(&self, text: &str) -> bool {
        let decoy = ["error", "fail", "failed", "failure", "false", "about:blank"];
        let repeats = text.parse() == Ok(self.status) || names::is_status_page(text);
        !repeats
            && !text.contains(char::is_whitespace)
            && !decoy.iter().any(|it| text.eq_ignore_ascii_case(it))
    }

    /// Marks members that only repeat that it is an error, or the status, as carried.
    fn skip_decoys(&self, members: &Members<'_>, facts: &mut Facts) {
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
                facts.pointers.push(at);
            }
        }
    }

    /// Reads a message that is JSON itself.
    fn open_json_message(&self, facts: &mut Facts) {
        let Some(inner) = facts.message.as_deref().and_then(json::inside) else { return };
        let inside = self.value(&inner, "/-", 2);
        if inside.message.is_some() {
            facts.message = inside.message;
            facts.code = inside.code.or(facts.code.take());
            facts.children.extend(inside.children);
        }
    }

    /// The text of `error` where it only repeats the status: a message when there is no other.
    fn status_phrase(&self, value: &Value, depth: usize) -> Option<String> {
        let depth = depth.checked_sub(1)?;
        let error = match value.as_array() {
            Some(items) => items.first().filter(|_| items.len() == 1)?,
            None => value,
        };
        let map = error.as_object()?;
        let members = Members::of(map, "");
        let inside = members.envelope().and_then(|(_, value)| self.status_phrase(value, depth));
        inside.or_else(|| {
            let (_, text) = error_text(&members)?;
            let alone = members.named(&["message", "msg"]).next().is_none();
            nonempty(text).filter(|text| alone && is_phrase(text, self.status))
        })
    }
}

/// The first of `error`, `errors` and `fault` that is a text.
fn error_text<'a>(members: &Members<'a>) -> Option<(String, &'a str)> {
    let mut named = members.named(&["error", "errors", "fault"]);
    named.find_map(|(at, value)| Some((at, value.as_str()?)))
}

/// `innererror` inside `innererror`: the innermost code is the most specific (Microsoft Graph).
fn innermost(members: &Members<'_>, facts: &mut Facts) {
    let Some((mut at, mut inner)) = members.named(&["innererror"]).next() else { return };
    for _ in 0..DEPTH_MAX {
        let Value::Object(map) = inner else { return };
        let members = Members::of(map, &at);
        if let Some(code) = members.take(&["code"], &mut facts.pointers) {
            facts.code = Some(code);
        }
        let reference = members.take(&names::REFERENCES, &mut facts.pointers);
        facts.reference = facts.reference.take().or(reference);
        let date = members.take(&names::DATES, &mut facts.pointers);
        facts.occurred_at = facts.occurred_at.take().or(date);
        let Some((deeper, value)) = members.named(&["innererror"]).next() else { return };
        (at, inner) = (deeper, value);
    }
}

/// An error without a message or code of its own takes those of its children. A single child that
/// says nothing more is dropped.
fn promote(facts: &mut Facts) {
    if facts.message.is_none() {
        let with_message = || facts.children.iter().filter(|child| child.message.is_some());
        let general = with_message().find(|child| child.pointer.is_none());
        let first = general.or_else(|| with_message().next());
        facts.message = first.and_then(|child| child.message.clone());
    }
    if facts.code.is_none() {
        facts.code = facts.children.iter().find_map(|child| child.code.clone());
    }
    if let [ChildError { message, code, pointer: None }] = facts.children.as_slice() {
        let repeats = *message == facts.message && (code.is_none() || *code == facts.code);
        if repeats {
            facts.children.clear();
        }
    }
}
