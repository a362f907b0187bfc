//! Facts found in a tree → a reading: what is left over becomes the details.

use serde_json::{Map, Value};

use super::text::Tree;
use crate::dialect::pointer;
use crate::dialect::{Extract, Place};
use crate::outcome::{Form, Part, Reading};
use crate::problem::Problem;

/// What was found, and where, so that nothing is told twice.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) message: Option<String>,
    pub(super) code: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) operation: Option<String>,
    pub(super) date: Option<String>,
    pub(super) children: Vec<Part>,
    /// A sentence that only repeats the status: better than none.
    pub(super) phrase: Option<String>,
    /// Pointers to what the facts above carry.
    pub(super) used: Vec<String>,
}

impl Facts {
    /// These facts; what is missing is taken from others.
    pub(super) fn or(mut self, other: Self) -> Self {
        self.message = self.message.or(other.message);
        self.code = self.code.or(other.code);
        self.reason = self.reason.or(other.reason);
        self.reference = self.reference.or(other.reference);
        self.operation = self.operation.or(other.operation);
        self.date = self.date.or(other.date);
        self.phrase = self.phrase.or(other.phrase);
        if self.children.is_empty() {
            self.children = other.children;
        }
        self.used.extend(other.used);
        self
    }
}

/// Whether a body is what the dialect expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recognised {
    Yes,
    No,
}

/// A body that is a problem of ours already.
pub(super) fn relayed(problem: Problem, tree: Tree) -> Reading {
    Reading {
        form: tree.form,
        recognised: true,
        message: Some(problem.detail.clone()),
        code: Some(problem.code.as_str().to_owned()),
        text: problem.detail.clone(),
        relayed: Some(Box::new(problem)),
        tree: tree.value,
        ..Reading::default()
    }
}

/// The body is not what the dialect expects; a sentence is better than none, and no rule may
/// rely on it.
pub(super) fn fallback(found: Facts, guessed: Facts, tree: Tree, places: &Extract) -> Reading {
    let decoded = tree.text.clone();
    let facts = found.or(guessed);
    let mut reading = reading(facts, tree, places, Recognised::No);
    reading.text = decoded;
    reading
}

/// A reading of these facts.
pub(super) fn reading(
    facts: Facts,
    tree: Tree,
    places: &Extract,
    recognised: Recognised,
) -> Reading {
    let details = match tree.form {
        Form::Json | Form::Fields => leftover(&facts, &tree.value, places),
        Form::Xml => Some(Value::String(tree.text.clone())),
        Form::Empty | Form::Html | Form::Text | Form::Unreadable => None,
    };
    let differs = |reason: &String| Some(reason) != facts.message.as_ref();
    Reading {
        form: tree.form,
        recognised: recognised == Recognised::Yes,
        text: facts.message.clone().unwrap_or(tree.text),
        reason: facts.reason.filter(differs),
        message: facts.message,
        code: facts.code,
        reference: facts.reference,
        operation: facts.operation,
        occurred_at: facts.date,
        details,
        children: facts.children,
        relayed: None,
        tree: tree.value,
    }
}

/// What the body says and no fact carries, in the vendor's own shape.
fn leftover(facts: &Facts, tree: &Value, places: &Extract) -> Option<Value> {
    let rest = Rest {
        used: facts.used.iter().filter_map(|place| pointer::at(tree, place)).collect(),
        told: [facts.message.as_deref(), facts.reason.as_deref()],
        ignored: &places.ignore,
    };
    Some(unwrapped(rest.of(tree)?, &places.details))
}

/// What is left over once it is known what is told.
struct Rest<'a> {
    /// Values that facts carry, wherever they stand.
    used: Vec<&'a Value>,
    /// Texts that are told, wherever they stand again.
    told: [Option<&'a str>; 2],
    ignored: &'a [Box<str>],
}

impl Rest<'_> {
    /// Without null members, ignored members, and what is told already or held nothing else.
    fn of(&self, value: &Value) -> Option<Value> {
        if self.used.iter().any(|used| std::ptr::eq(*used, value)) {
            return None;
        }
        match value {
            Value::Null => None,
            Value::Bool(_) | Value::Number(_) => Some(value.clone()),
            Value::String(text) => {
                let repeats = text.trim().is_empty() || self.told.contains(&Some(text.as_str()));
                (!repeats).then(|| value.clone())
            }
            Value::Array(items) => {
                let kept =
                    |item: &Value| if item.is_null() { Some(Value::Null) } else { self.of(item) };
                let rest: Vec<Value> = items.iter().filter_map(kept).collect();
                (rest.is_empty() == items.is_empty()).then_some(Value::Array(rest))
            }
            Value::Object(members) if members.is_empty() => Some(value.clone()),
            Value::Object(members) => self.of_members(members).map(Value::Object),
        }
    }

    fn of_members(&self, members: &Map<String, Value>) -> Option<Map<String, Value>> {
        let ignored = |name: &str| self.ignored.iter().any(|it| **it == *name);
        let kept = members.iter().filter(|(name, _)| !ignored(name));
        let mut kept = kept.filter_map(|(name, value)| Some((name.clone(), self.of(value)?)));
        let first = kept.next()?;
        let mut rest = Map::with_capacity(members.len());
        rest.extend(std::iter::once(first).chain(kept));
        Some(rest)
    }
}

/// When nothing is left but the details the dialect knows, they stand alone.
fn unwrapped(rest: Value, places: &[Place]) -> Value {
    if places.is_empty() {
        return rest;
    }
    let mut pointer = String::new();
    let mut inner = &rest;
    while let Some((name, value)) = single(inner) {
        pointer += &format!("/{name}");
        inner = value;
        if places.iter().any(|place| matches!(place, Place::Pointer(it) if **it == *pointer)) {
            return inner.clone();
        }
    }
    rest
}

fn single(value: &Value) -> Option<(&String, &Value)> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    members.iter().next()
}
