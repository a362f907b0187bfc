//! The fields of one map of a dialect, each read as its type; unknown keys are errors.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::Value;

use crate::dialect::definition::Place;
use crate::dialect::hint;
use crate::outcome::{Support, SupportWhen};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialectError {
    /// Where, as a JSON Pointer into the value.
    pub pointer: String,
    pub message: String,
    pub accepted: String,
    /// What was probably meant.
    pub nearest: Option<String>,
}

impl DialectError {
    /// `extends` names none of the known dialects.
    #[must_use]
    pub fn unknown_base<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Self {
        let mut known: Vec<&str> = known.collect();
        known.sort_unstable();
        known.dedup();
        Self {
            pointer: "/extends".to_owned(),
            message: format!("there is no dialect `{name}`"),
            accepted: known.join(", "),
            nearest: nearest(name, &known).map(str::to_owned),
        }
    }

    /// A dialect that extends itself, by way of the others.
    #[must_use]
    pub fn circle(name: &str, through: &[&str]) -> Self {
        let through = through.iter().map(|other| format!("`{other}`")).collect::<Vec<_>>();
        let through = match through.as_slice() {
            [] => String::new(),
            some => format!(" by way of {}", some.join(", ")),
        };
        Self {
            pointer: "/extends".to_owned(),
            message: format!("`{name}` extends itself{through}"),
            accepted: "a dialect that does not extend this one".to_owned(),
            nearest: None,
        }
    }
}

impl std::fmt::Display for DialectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; accepted: {}", self.pointer, self.message, self.accepted)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for DialectError {}

pub(super) const SUPPORT_KEYS: [&str; 2] = ["contact", "when"];
pub(super) const SUPPORT_WHENS: [(&str, SupportWhen); 3] = [
    ("exhausted", SupportWhen::Exhausted),
    ("always", SupportWhen::Always),
    ("hint", SupportWhen::Hint),
];

/// The edit distance beyond which a known name is not suggested.
const SUGGESTION_DISTANCE_MAX: usize = 4;

/// Collects errors, so that all of them are reported at once.
#[derive(Debug, Default)]
pub(super) struct Errors(RefCell<Vec<DialectError>>);

impl Errors {
    pub(super) fn push(&self, at: &str, message: impl Into<String>, accepted: &str) {
        self.push_nearest(at, message, accepted, None);
    }

    pub(super) fn push_nearest(
        &self,
        at: &str,
        message: impl Into<String>,
        accepted: &str,
        nearest: Option<String>,
    ) {
        let (pointer, accepted) = (at.to_owned(), accepted.to_owned());
        let error = DialectError { pointer, message: message.into(), accepted, nearest };
        self.0.borrow_mut().push(error);
    }

    /// A name that is none of the valid ones.
    pub(super) fn unknown(&self, at: &str, kind: &str, name: &str, valid: &[&str]) {
        let nearest = nearest(name, valid).map(str::to_owned);
        self.push_nearest(at, format!("unknown {kind} `{name}`"), &valid.join(", "), nearest);
    }

    pub(super) fn add(&self, error: DialectError) {
        self.0.borrow_mut().push(error);
    }

    /// The value, if there was no error.
    pub(super) fn finish<T>(self, value: T) -> Result<T, Vec<DialectError>> {
        let errors = self.0.into_inner();
        if errors.is_empty() { Ok(value) } else { Err(errors) }
    }
}

fn nearest<'a>(name: &str, valid: &[&'a str]) -> Option<&'a str> {
    let distance = |candidate: &&&str| strsim::damerau_levenshtein(name, candidate);
    let nearest = valid.iter().min_by_key(distance)?;
    let prefix = !name.is_empty() && (nearest.starts_with(name) || name.starts_with(nearest));
    // `connection_refused` is `refused`.
    let inside = valid.iter().filter(|valid| name.split('_').any(|part| part == **valid));
    let near = (prefix || distance(&nearest) <= SUGGESTION_DISTANCE_MAX).then_some(nearest);
    near.or_else(|| inside.max_by_key(|valid| valid.len())).copied()
}

#[derive(Debug)]
pub(super) struct Fields<'a> {
    value: &'a Value,
    at: String,
    errors: &'a Errors,
}

impl<'a> Fields<'a> {
    /// The fields of a value. A value that is not a map is an error, and so is an unknown key.
    pub(super) fn of(value: &'a Value, at: &str, known: &[&str], errors: &'a Errors) -> Self {
        match value {
            Value::Object(members) => {
                for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
                    errors.unknown(&join(at, name), "key", name, known);
                }
            }
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let keys = format!("keys: {}", known.join(", "));
                errors.push(at, format!("expected a map, found {}", kind(value)), &keys);
            }
        }
        Self { value, at: at.to_owned(), errors }
    }

    pub(super) fn value(&self, name: &str) -> Option<(&'a Value, String)> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some((value, join(&self.at, name)))
    }

    /// Whether the field is written at all, `null` included.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value.get(name).is_some()
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        let (value, at) = self.value(name)?;
        let text = value.as_str().filter(|text| !text.trim().is_empty());
        if text.is_none() {
            let found = if value.is_string() { "nothing" } else { kind(value) };
            self.errors.push(&at, format!("expected a text, found {found}"), "a text");
        }
        text
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        let (value, at) = self.value(name)?;
        let flag = value.as_bool();
        if flag.is_none() {
            let message = format!("expected true or false, found {}", kind(value));
            self.errors.push(&at, message, "true or false");
        }
        flag
    }

    /// A field with a closed set of values.
    pub(super) fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let found = choices.iter().find(|(valid, _)| *valid == text).map(|(_, choice)| *choice);
        if found.is_none() {
            let valid: Vec<&str> = choices.iter().map(|(valid, _)| *valid).collect();
            self.errors.unknown(&join(&self.at, name), "value", text, &valid);
        }
        found
    }

    /// A duration with its unit.
    pub(super) fn duration(&self, name: &str, max: Duration) -> Option<Duration> {
        let (value, at) = self.value(name)?;
        let parsed = |text: &str| hint::duration(text).filter(|span| *span <= max);
        let found = value.as_str().and_then(parsed);
        if found.is_none() {
            let accepted = format!(
                "a duration up to {} s with its unit, like 250ms, 10s, 1m30s, 2h",
                max.as_secs()
            );
            let message = format!("{value} is not a duration within the limit");
            // A bare number is meant as one of seconds.
            let bare = value.as_str().map_or_else(|| value.to_string(), |it| it.trim().to_owned());
            let in_seconds = format!("{bare}s");
            let meant = bare.bytes().all(|it| it.is_ascii_digit()) && parsed(&in_seconds).is_some();
            self.errors.push_nearest(&at, message, &accepted, meant.then_some(in_seconds));
        }
        found
    }

    /// One text or a list of texts, each with its place; numbers and flags count as texts.
    pub(super) fn texts(&self, name: &str) -> Vec<(String, String)> {
        let Some((value, at)) = self.value(name) else { return Vec::new() };
        let Value::Array(items) = value else {
            return self.scalar(value, at).into_iter().collect();
        };
        let items = items.iter().enumerate();
        items.filter_map(|(n, item)| self.scalar(item, join(&at, &n.to_string()))).collect()
    }

    fn scalar(&self, value: &Value, at: String) -> Option<(String, String)> {
        match value {
            Value::String(text) => Some((text.clone(), at)),
            Value::Number(number) => Some((number.to_string(), at)),
            Value::Bool(flag) => Some((flag.to_string(), at)),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                let message = format!("expected a text, found {}", kind(value));
                self.errors.push(&at, message, "a text, or a list of texts");
                None
            }
        }
    }

    /// One place or a list of places.
    pub(super) fn places(&self, name: &str) -> Vec<Place> {
        let texts = self.texts(name).into_iter();
        texts.filter_map(|(text, at)| place(&text, &at, self.errors)).collect()
    }

    /// `{ contact: …, when: … }`, or the contact alone.
    pub(super) fn support(&self) -> Option<Support> {
        let (value, at) = self.value("support")?;
        if let Value::String(contact) = value {
            return Some(Support {
                contact: contact.as_str().into(),
                when: SupportWhen::Exhausted,
            });
        }
        let fields = Fields::of(value, &at, &SUPPORT_KEYS, self.errors);
        let when = fields.choice("when", &SUPPORT_WHENS).unwrap_or(SupportWhen::Exhausted);
        let contact = fields.text("contact");
        if contact.is_none() && !fields.has("contact") {
            self.errors.push(&at, "`contact` is missing", "a `contact`");
        }
        Some(Support { contact: contact?.into(), when })
    }
}

/// `/a/b`, `header:NAME` or `text`.
pub(super) fn place(text: &str, at: &str, errors: &Errors) -> Option<Place> {
    let place = match text.strip_prefix("header:") {
        Some(name) => name.trim().parse().ok().map(Place::Header),
        None if text == "text" => Some(Place::Text),
        // The empty pointer is the whole document.
        None => is_pointer(text).then(|| Place::Pointer(text.into())),
    };
    if place.is_none() {
        let accepted = "a JSON Pointer like /error/title, header:NAME, or text";
        errors.push(at, format!("`{text}` is not a valid place"), accepted);
    }
    place
}

/// Whether a text is a JSON Pointer (RFC 6901), in which `~` stands before 0 or 1 only.
fn is_pointer(text: &str) -> bool {
    let escapes = || text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.is_empty() || text.starts_with('/') && escapes()
}

pub(super) fn join(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The kind of a value, for messages.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
