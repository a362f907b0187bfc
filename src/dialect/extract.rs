//! The places a dialect names → facts.

use http::HeaderMap;
use serde_json::Value;

use super::facts::Facts;
use super::text::Tree;
use crate::dialect::pointer;
use crate::dialect::{Extract, Place};
use crate::outcome::Part;
use crate::problem::ERRORS_MAX;

/// Children inside children are read this deep.
const CHILD_DEPTH_MAX: usize = 4;
/// Characters of a reference; longer ones are sentences.
const REFERENCE_CHARS_MAX: usize = 200;

/// What stands in the places.
pub(super) fn facts(places: &Extract, headers: &HeaderMap, tree: &Tree) -> Facts {
    let mut finder = Finder { headers, tree, used: Vec::new() };
    let message = finder.sentence(&places.message);
    let code = finder.text(&places.code);
    let reason = finder.text(&places.reason);
    let operation = finder.text(&places.operation);
    let date = finder.text(&places.date);
    let reference = finder.reference(&places.reference);
    let children = finder.children(places);
    let phrase = None;
    let used = finder.used;
    Facts { message, code, reason, reference, operation, date, children, phrase, used }
}

struct Finder<'a> {
    headers: &'a HeaderMap,
    tree: &'a Tree,
    used: Vec<String>,
}

impl Finder<'_> {
    fn text(&mut self, places: &[Place]) -> Option<String> {
        places.iter().find_map(|place| self.look(place))
    }

    /// A number is no sentence (D11).
    fn sentence(&mut self, places: &[Place]) -> Option<String> {
        let tree = self.tree;
        let is_number = |place: &&Place| match place {
            Place::Pointer(pointer) => {
                pointer::at(&tree.value, pointer).is_some_and(Value::is_number)
            }
            Place::Header(_) | Place::Text => false,
        };
        places.iter().filter(|place| !is_number(place)).find_map(|place| self.look(place))
    }

    fn look(&mut self, place: &Place) -> Option<String> {
        match place {
            Place::Pointer(pointer) => {
                let text = scalar(pointer::at(&self.tree.value, pointer)?)?;
                self.used.push(pointer.to_string());
                Some(text)
            }
            Place::Header(name) => {
                let text = self.headers.get(name)?.to_str().ok()?.trim();
                (!text.is_empty()).then(|| text.to_owned())
            }
            Place::Text => {
                let text = self.tree.text.trim();
                (!text.is_empty()).then(|| text.to_owned())
            }
        }
    }

    /// A reference is an id, or a sentence that contains one.
    fn reference(&mut self, places: &[Place]) -> Option<String> {
        for place in places {
            let before = self.used.len();
            if let Some(text) = self.look(place) {
                if looks_like_id(&text) {
                    return Some(text);
                }
                self.used.truncate(before);
                if let Some(id) = guid_in(&text) {
                    return Some(id.to_owned());
                }
            }
        }
        None
    }

    fn children(&mut self, places: &Extract) -> Vec<Part> {
        let mut children = Vec::new();
        for place in &places.children {
            if let Place::Pointer(pointer) = place {
                self.list(pointer, places, CHILD_DEPTH_MAX, &mut children);
            }
            if !children.is_empty() {
                break;
            }
        }
        children
    }

    fn list(&mut self, at: &str, places: &Extract, depth_left: usize, into: &mut Vec<Part>) {
        let Some(depth_left) = depth_left.checked_sub(1) else { return };
        let Some(items) = pointer::at(&self.tree.value, at).and_then(Value::as_array) else {
            return;
        };
        if items.is_empty() {
            // An empty list of errors is told by our own.
            self.used.push(at.to_owned());
        }
        for (place, item) in items.iter().enumerate() {
            if into.len() >= ERRORS_MAX {
                return;
            }
            let at = format!("{at}/{place}");
            into.extend(self.part(item, &at, places));
            self.nested(&at, places, depth_left, into);
        }
    }

    /// A child may carry a list of its own under the same name as the outer one.
    fn nested(&mut self, at: &str, places: &Extract, depth_left: usize, into: &mut Vec<Part>) {
        for place in &places.children {
            if let Place::Pointer(pointer) = place {
                let name = pointer.rsplit('/').next().unwrap_or_default();
                self.list(&format!("{at}/{name}"), places, depth_left, into);
            }
        }
    }

    fn part(&mut self, item: &Value, at: &str, places: &Extract) -> Option<Part> {
        if let Value::String(text) = item {
            self.used.push(at.to_owned());
            return nonempty(text).map(|text| Part { message: Some(text), ..Part::default() });
        }
        let part = Part {
            message: self
                .inside(item, at, &places.child_message)
                .or_else(|| self.inside(item, at, &places.child_details)),
            code: self.inside(item, at, &places.child_code),
            pointer: self.inside(item, at, &places.child_pointer).as_deref().map(as_pointer),
        };
        (part != Part::default()).then_some(part)
    }

    fn inside(&mut self, item: &Value, at: &str, places: &[Place]) -> Option<String> {
        places.iter().find_map(|place| match place {
            Place::Pointer(pointer) => {
                let text = scalar(pointer::at(item, pointer)?)?;
                self.used.push(format!("{at}{pointer}"));
                Some(text)
            }
            Place::Header(_) | Place::Text => None,
        })
    }
}

/// A text that says something, or a number as text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => nonempty(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

pub(super) fn nonempty(text: &str) -> Option<String> {
    (!text.trim().is_empty()).then(|| text.to_owned())
}

/// A field's name as a JSON Pointer; what is one already stays.
pub(super) fn as_pointer(field: &str) -> String {
    match field.strip_prefix('#').unwrap_or(field) {
        pointer if pointer.starts_with('/') => pointer.to_owned(),
        name => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
    }
}

/// One word with a digit in it.
fn looks_like_id(text: &str) -> bool {
    let word = text.trim();
    word.len() <= REFERENCE_CHARS_MAX
        && word.bytes().any(|byte| byte.is_ascii_digit())
        && !word.contains(char::is_whitespace)
}

fn guid_in(text: &str) -> Option<&str> {
    let separator = |c: char| !(c.is_ascii_hexdigit() || c == '-');
    text.split(separator).find(|word| is_guid(word))
}

fn is_guid(word: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    word.len() == 36 && word.split('-').map(str::len).eq(lengths)
}
