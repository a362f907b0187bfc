//! A sample as `auto` understands it, with every text of its body and where it stands.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::dialect::definition::Dialect;
use crate::dialect::document::Document;
use crate::dialect::{facts, grpc, understand};
use crate::outcome::{Classification, Facts, ResponseHead, ValueId};

/// A captured response.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What the proposal calls it: its file.
    pub name: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// With its content codings.
    pub body: Bytes,
    /// When it arrived.
    pub at: SystemTime,
}

impl Sample {
    fn head(&self) -> ResponseHead<'_> {
        ResponseHead { status: self.status, headers: &self.headers }
    }

    pub(super) fn understood(&self, dialect: &Dialect) -> Option<(Classification, Facts)> {
        understand(dialect, self.head(), Some(self.body.clone()), self.at)
    }
}

#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) sample: &'a Sample,
    pub(super) facts: Facts,
    pub(super) classification: Classification,
    /// What the status alone means.
    pub(super) by_status: Option<Classification>,
    /// Texts and numbers of the body, with their JSON Pointers.
    pub(super) texts: Vec<Text>,
    /// Lists of the body, with their JSON Pointers.
    pub(super) lists: Vec<(String, Value)>,
}

#[derive(Debug)]
pub(super) struct Text {
    pub(super) place: String,
    pub(super) text: String,
    pub(super) is_number: bool,
    /// Whether a fact was taken from it.
    pub(super) is_carried: bool,
}

/// Places of one body that are looked at; an error has a few dozen.
const PLACES_MAX: usize = 2_000;
const DEPTH_MAX: usize = 16;

impl<'a> Reading<'a> {
    /// `None` for a response that is no error.
    pub(super) fn of(sample: &'a Sample, auto: &Dialect) -> Option<Self> {
        let (classification, facts) = sample.understood(auto)?;
        let silent = Dialect { guesses: false, ..auto.clone() };
        let by_status = sample.understood(&silent).map(|(classification, _)| classification);
        let document = Document::read(&sample.headers, Some(sample.body.clone()));
        let carried = facts::of_response(auto, grpc::as_http(sample.head()), &document).carried;
        let (mut texts, mut lists) = (Vec::new(), Vec::new());
        walk(&document.tree, "", DEPTH_MAX, &mut |place, value| {
            if let Value::Array(_) = value {
                lists.push((place.to_owned(), value.clone()));
            }
            texts.extend(text_of(value).filter(|_| !place.is_empty()).map(|text| Text {
                place: place.to_owned(),
                text,
                is_number: value.is_number(),
                is_carried: carried.contains(&ValueId::of(value)),
            }));
            texts.len() + lists.len() < PLACES_MAX
        });
        Some(Self { sample, facts, classification, by_status, texts, lists })
    }

    pub(super) fn status(&self) -> u16 {
        self.sample.status.as_u16()
    }

    pub(super) fn text_at(&self, place: &str) -> Option<&Text> {
        self.texts.iter().find(|text| text.place == place)
    }
}

/// A text that is not blank, or a number: what a place of a dialect can name.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.trim().is_empty()).then(|| text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Visits a value and everything in it, until `visit` says that it is enough.
pub(super) fn walk(
    value: &Value,
    at: &str,
    depth: usize,
    visit: &mut dyn FnMut(&str, &Value) -> bool,
) -> bool {
    if !visit(at, value) {
        return false;
    }
    let Some(depth) = depth.checked_sub(1) else { return true };
    match value {
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.all(|(place, item)| walk(item, &format!("{at}/{place}"), depth, visit))
        }
        Value::Object(members) => members
            .iter()
            .all(|(name, member)| walk(member, &format!("{at}/{}", escaped(name)), depth, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
