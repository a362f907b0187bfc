//! The facts at the places that a dialect names.

use http::HeaderMap;
use serde_json::Value;

use super::children::of_field_map;
use super::members::is_one_error;
use super::names::{is_status_page, short};
use super::values::{as_pointer, nonempty, pointer_of_steps, scalar};
use crate::dialect::definition::{Extract, Place};
use crate::dialect::document::{Document, pointer};
use crate::outcome::{CHILDREN_MAX, ChildError, Facts, ValueId};

const CHILD_DEPTH_MAX: usize = 4;
/// Characters of a reference; a longer text is a sentence.
const REFERENCE_CHARS_MAX: usize = 200;

pub(super) fn facts(places: &Extract, headers: &HeaderMap, document: &Document) -> Facts {
    let mut extractor = Extractor { headers, document, carried: Vec::new() };
    // A number is not a sentence (D11).
    let sentences = places.message.iter().filter(|place| match place {
        Place::Pointer(it) => !pointer::at(&document.tree, it).is_some_and(Value::is_number),
        Place::Header(_) | Place::Text => true,
    });
    let (message, message_at) = extractor.first_placed(sentences).unzip();
    let (code, code_at) = extractor.first_placed(&places.code).unzip();
    let mut facts = Facts {
        message,
        message_at,
        code: code.map(short).filter(|code| !explains_a_status(code)),
        code_at,
        reason: extractor.first(&places.reason),
        operation: extractor.first(&places.operation),
        occurred_at: extractor.first(&places.date),
        reference: extractor.reference(&places.reference),
        children: extractor.children(places),
        carried: extractor.carried,
        ..Facts::default()
    };
    // A list of one, whose error is the message itself, says nothing more.
    if let [only] = facts.children.as_slice()
        && only.pointer.is_none()
        && only.message == facts.message
        && (only.code.is_none() || only.code == facts.code)
    {
        facts.children.clear();
    }
    facts
}

/// Whether the type of a problem says no more than its status.
fn explains_a_status(code: &str) -> bool {
    code == "about:blank" || is_status_page(code)
}

struct Extractor<'a> {
    headers: &'a HeaderMap,
    document: &'a Document,
    /// The values that the facts so far were taken from.
    carried: Vec<ValueId>,
}

impl Extractor<'_> {
    fn first<'p>(&mut self, places: impl IntoIterator<Item = &'p Place>) -> Option<String> {
        places.into_iter().find_map(|place| self.text_at(place))
    }

    /// The first text, with the name of its place.
    fn first_placed<'p>(
        &mut self,
        places: impl IntoIterator<Item = &'p Place>,
    ) -> Option<(String, String)> {
        places.into_iter().find_map(|place| {
            let name = match place {
                Place::Pointer(pointer) => pointer.to_string(),
                Place::Header(name) => name.as_str().to_owned(),
                Place::Text => String::new(),
            };
            Some((self.text_at(place)?, name))
        })
    }

    fn text_at(&mut self, place: &Place) -> Option<String> {
        match place {
            Place::Pointer(pointer) => {
                let value = pointer::at(&self.document.tree, pointer)?;
                let text = scalar(value)?;
                self.carried.push(ValueId::of(value));
                Some(text)
            }
            Place::Header(name) => nonempty(self.headers.get(name)?.to_str().ok()?.trim()),
            Place::Text => nonempty(self.document.text.trim()),
        }
    }

    /// A reference is an id, that is one word with a digit in it, or a GUID inside a sentence.
    fn reference(&mut self, places: &[Place]) -> Option<String> {
        for place in places {
            let before = self.carried.len();
            if let Some(text) = self.text_at(place) {
                let word = text.trim();
                let is_id = word.len() <= REFERENCE_CHARS_MAX
                    && word.bytes().any(|byte| byte.is_ascii_digit())
                    && !word.contains(char::is_whitespace);
                if is_id {
                    return Some(text);
                }
                // The sentence says more than the id in it, so it stays in the details.
                self.carried.truncate(before);
                let is_separator = |c: char| !(c.is_ascii_hexdigit() || c == '-');
                let is_guid = |word: &&str| word.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
                if let Some(guid) = text.split(is_separator).find(is_guid) {
                    return Some(guid.to_owned());
                }
            }
        }
        None
    }

    fn children(&mut self, places: &Extract) -> Vec<ChildError> {
        let mut children = Vec::new();
        for place in &places.children {
            if let Place::Pointer(pointer) = place {
                if let Some(value @ Value::Object(map)) = pointer::at(&self.document.tree, pointer)
                    && !is_one_error(value)
                {
                    let mut found = Facts::default();
                    of_field_map(map, pointer, &mut found);
                    self.carried.extend(found.carried);
                    children.extend(found.children);
                }
                self.list(pointer, places, CHILD_DEPTH_MAX, &mut children);
            }
            if !children.is_empty() {
                break;
            }
        }
        children
    }

    fn list(&mut self, at: &str, places: &Extract, depth_left: usize, into: &mut Vec<ChildError>) {
        let Some(depth_left) = depth_left.checked_sub(1) else { return };
        let Some(list) = pointer::at(&self.document.tree, at) else { return };
        let Some(items) = list.as_array() else { return };
        if items.is_empty() {
            // The problem's own `errors` is empty then, which says the same.
            self.carried.push(ValueId::of(list));
        }
        for (place, item) in items.iter().enumerate() {
            if into.len() >= CHILDREN_MAX {
                return;
            }
            let at = format!("{at}/{place}");
            into.extend(self.child(item, places));
            // A child may carry a list of its own under the same name as the outer one.
            for place in &places.children {
                if let Place::Pointer(pointer) = place {
                    let name = pointer.rsplit('/').next().unwrap_or_default();
                    self.list(&format!("{at}/{name}"), places, depth_left, into);
                }
            }
        }
    }

    fn child(&mut self, item: &Value, places: &Extract) -> Option<ChildError> {
        if let Value::String(text) = item {
            self.carried.push(ValueId::of(item));
            return nonempty(text).map(|text| ChildError { message: Some(text), ..<_>::default() });
        }
        let mut first = |places: &[Place]| {
            places.iter().find_map(|place| match place {
                Place::Pointer(pointer) => {
                    let value = pointer::at(item, pointer)?;
                    let steps = || pointer_of_steps(value.as_array()?);
                    let text = scalar(value).or_else(steps)?;
                    self.carried.push(ValueId::of(value));
                    Some(text)
                }
                Place::Header(_) | Place::Text => None,
            })
        };
        let child = ChildError {
            message: first(&places.child_message).or_else(|| first(&places.child_details)),
            code: first(&places.child_code),
            pointer: first(&places.child_pointer).as_deref().map(as_pointer),
        };
        (child != ChildError::default()).then_some(child)
    }
}
