//! A document → the facts of an error.
//!
//! Facts come from the places that the dialect names (`extract`), or from the names that vendors
//! commonly use (`auto`). What no fact carries becomes the details.

mod auto;
mod children;
mod code;
mod error_member;
mod extract;
mod members;
mod names;
mod soap;
mod text;
mod values;
mod weight;

pub(super) use names::is_shouted_error;

use serde_json::{Map, Value};

use super::definition::{Dialect, Extract, Place};
use super::document::{BodyFormat, Document};
use crate::outcome::{
    DETAIL_VALUES_MAX, ErrorMember, Facts, RelayedProblem, ResponseHead, TYPE_PREFIX, ValueId,
};

/// The facts of a response. Under a dialect that does not guess, what only `auto` finds gives the
/// client a message, but the body counts as unrecognised.
pub(super) fn of_response(dialect: &Dialect, head: ResponseHead<'_>, document: &Document) -> Facts {
    if head.is_error()
        && let Some(facts) = relayed(&document.tree)
    {
        return facts;
    }
    let places = &dialect.extract;
    let mut facts = extract::facts(places, head.headers, document);
    facts.recognised = facts.message.is_some();
    // A dialect that guesses does so for each fact that no place has.
    if !facts.recognised || dialect.guesses {
        let mut guessed = auto::facts(head, document);
        // Where the dialect knows the list of single errors, another list is none.
        if facts.recognised && !places.children.is_empty() {
            (guessed.children, guessed.carried) = (Vec::new(), Vec::new());
        }
        let found = guessed.message.is_some() || guessed.code.is_some();
        facts = facts.or(guessed);
        facts.recognised |= dialect.guesses && found;
    }
    if facts.reason == facts.message {
        facts.reason = None;
    }
    facts.details = match document.format {
        BodyFormat::Json | BodyFormat::Form | BodyFormat::Xml => {
            details(&facts, &document.tree, places)
        }
        BodyFormat::Empty | BodyFormat::Html | BodyFormat::Text | BodyFormat::Unreadable => None,
    };
    facts
}

/// The body's own member `error`, taken out of the document, which is not read any more.
pub(super) fn error_member(
    dialect: &Dialect,
    head: ResponseHead<'_>,
    document: Document,
) -> Option<ErrorMember> {
    match document.format {
        BodyFormat::Json | BodyFormat::Form => {
            error_member::of(head, document.tree, &dialect.extract.ignore)
        }
        BodyFormat::Empty
        | BodyFormat::Html
        | BodyFormat::Text
        | BodyFormat::Xml
        | BodyFormat::Unreadable => None,
    }
}

/// The facts of a body that is a problem of ours: another gateway stands behind this one.
fn relayed(tree: &Value) -> Option<Facts> {
    let code = tree.get("type")?.as_str()?.strip_prefix(TYPE_PREFIX)?;
    let relayed = RelayedProblem {
        code: code.parse().ok()?,
        outcome_unknown: tree.get("outcome_unknown")?.as_bool()?,
        body: tree.clone(),
    };
    Some(Facts {
        recognised: true,
        message: Some(tree.get("detail")?.as_str()?.to_owned()),
        code: Some(code.to_owned()),
        relayed: Some(Box::new(relayed)),
        ..Facts::default()
    })
}

/// What the body says and no fact carries, in the vendor's own shape.
fn details(facts: &Facts, tree: &Value, places: &Extract) -> Option<Value> {
    let mut carried = facts.carried.clone();
    carried.sort_unstable();
    let mut rest = Rest {
        carried,
        texts: [facts.message.as_deref(), facts.reason.as_deref()],
        ignored: &places.ignore,
        values_left: DETAIL_VALUES_MAX,
    };
    Some(unwrapped(rest.of(tree)?, &places.details))
}

/// Copies a tree without what the facts carry already.
struct Rest<'a> {
    /// Values of the tree that facts were taken from, sorted.
    carried: Vec<ValueId>,
    /// Texts of facts, which vendors often repeat elsewhere.
    texts: [Option<&'a str>; 2],
    ignored: &'a [Box<str>],
    values_left: usize,
}

impl Rest<'_> {
    /// `None` where nothing remains, or the member is null or blank.
    fn of(&mut self, value: &Value) -> Option<Value> {
        if self.values_left == 0 || self.carried.binary_search(&ValueId::of(value)).is_ok() {
            return None;
        }
        let rest = self.of_uncarried(value)?;
        self.values_left = self.values_left.saturating_sub(1);
        Some(rest)
    }

    fn of_uncarried(&mut self, value: &Value) -> Option<Value> {
        match value {
            Value::Null => None,
            Value::Bool(_) | Value::Number(_) => Some(value.clone()),
            Value::String(text) => {
                let repeats = text.trim().is_empty() || self.texts.contains(&Some(text.as_str()));
                (!repeats).then(|| value.clone())
            }
            Value::Array(items) => {
                let kept =
                    |item: &Value| if item.is_null() { Some(Value::Null) } else { self.of(item) };
                let rest: Vec<Value> = items.iter().filter_map(kept).collect();
                (rest.is_empty() == items.is_empty()).then_some(Value::Array(rest))
            }
            Value::Object(members) if members.is_empty() => Some(value.clone()),
            Value::Object(members) => {
                let ignored = self.ignored;
                let is_ignored = |name: &str| ignored.iter().any(|it| **it == *name);
                let kept = members.iter().filter(|(name, _)| !is_ignored(name));
                let kept = kept.filter_map(|(name, value)| {
                    let rest = self.of(value)?;
                    Some((name.clone(), rest))
                });
                let rest: Map<String, Value> = kept.collect();
                (!rest.is_empty()).then_some(Value::Object(rest))
            }
        }
    }
}

/// Drops the objects around the details that the dialect names, when nothing else is left in them.
fn unwrapped(rest: Value, places: &[Place]) -> Value {
    if places.is_empty() {
        return rest;
    }
    let mut pointer = String::new();
    let mut inner = &rest;
    while let Some(members) = inner.as_object().filter(|members| members.len() == 1)
        && let Some((name, value)) = members.iter().next()
    {
        pointer += &format!("/{name}");
        inner = value;
        if places.iter().any(|place| matches!(place, Place::Pointer(it) if **it == *pointer)) {
            return inner.clone();
        }
    }
    rest
}
