//! The fields of one object of a dialect: typed, complete, unknown ones refused.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::Value;

use super::DialectError;
use crate::dialect::hint;

/// Words further away than this are not what was meant.
const NEAREST_DISTANCE_MAX: usize = 4;

/// Collects faults.
#[derive(Debug, Default)]
pub(super) struct Sink(RefCell<Vec<DialectError>>);

impl Sink {
    /// One more fault; there is no value.
    pub(super) fn fault<T>(&self, at: &str, message: &str, accepted: &str) -> Option<T> {
        self.push(at, message, accepted, None);
        None
    }

    /// One more fault, and what was probably meant.
    pub(super) fn meant<T>(
        &self,
        at: &str,
        message: &str,
        accepted: &str,
        meant: Option<String>,
    ) -> Option<T> {
        self.push(at, message, accepted, meant);
        None
    }

    /// A word that is none of the valid ones.
    pub(super) fn unknown<T>(&self, at: &str, kind: &str, word: &str, valid: &[&str]) -> Option<T> {
        let nearest = nearest(word, valid).map(str::to_owned);
        self.push(at, &format!("unknown {kind} `{word}`"), &valid.join(", "), nearest);
        None
    }

    /// The value, if nothing was wrong.
    pub(super) fn finish<T>(self, value: T) -> Result<T, Vec<DialectError>> {
        let faults = self.0.into_inner();
        if faults.is_empty() { Ok(value) } else { Err(faults) }
    }

    fn push(&self, at: &str, message: &str, accepted: &str, nearest: Option<String>) {
        let fault = DialectError {
            pointer: at.to_owned(),
            message: message.to_owned(),
            accepted: accepted.to_owned(),
            nearest,
        };
        self.0.borrow_mut().push(fault);
    }
}

fn nearest<'a>(word: &str, valid: &[&'a str]) -> Option<&'a str> {
    let distance = |candidate: &&&str| strsim::damerau_levenshtein(word, candidate);
    let nearest = valid.iter().min_by_key(distance)?;
    let prefix = !word.is_empty() && (nearest.starts_with(word) || word.starts_with(nearest));
    // `connection_refused` is `refused`.
    let inside = valid.iter().filter(|valid| word.split('_').any(|part| part == **valid));
    let near = (prefix || distance(&nearest) <= NEAREST_DISTANCE_MAX).then_some(nearest);
    near.or_else(|| inside.max_by_key(|valid| valid.len())).copied()
}

/// A bare number is one of seconds.
fn with_unit(value: &Value) -> Option<String> {
    let number = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| format!("{number}s"))
}

/// One object, its place, and where its faults go.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    value: &'a Value,
    at: String,
    sink: &'a Sink,
}

impl<'a> Fields<'a> {
    /// The fields of a value; a value that is no object and keys that are unknown are faults.
    pub(super) fn of(value: &'a Value, at: &str, known: &[&str], sink: &'a Sink) -> Self {
        match value {
            Value::Object(members) => {
                for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
                    let _: Option<()> = sink.unknown(&join(at, name), "key", name, known);
                }
            }
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let keys = format!("keys: {}", known.join(", "));
                let _: Option<()> = sink.fault(at, &format!("{} is no map", kind(value)), &keys);
            }
        }
        Self { value, at: at.to_owned(), sink }
    }

    /// A field and its place.
    pub(super) fn get(&self, name: &str) -> Option<(&'a Value, String)> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some((value, join(&self.at, name)))
    }

    /// Whether the field is written at all, `null` included.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value.get(name).is_some()
    }

    /// A field that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        let (value, at) = self.get(name)?;
        let text = value.as_str().filter(|text| !text.trim().is_empty());
        text.or_else(|| self.sink.fault(&at, &format!("{} is no text", kind(value)), "a text"))
    }

    /// A field that is true or false.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        let (value, at) = self.get(name)?;
        let accepted = "true or false";
        value
            .as_bool()
            .or_else(|| self.sink.fault(&at, &format!("{} is neither", kind(value)), accepted))
    }

    /// A field that is one of some words.
    pub(super) fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let word = self.text(name)?;
        let found = choices.iter().find(|(valid, _)| *valid == word).map(|(_, choice)| *choice);
        let valid: Vec<&str> = choices.iter().map(|(valid, _)| *valid).collect();
        found.or_else(|| self.sink.unknown(&join(&self.at, name), "word", word, &valid))
    }

    /// A field that is a duration with its unit.
    pub(super) fn duration(&self, name: &str, max: Duration) -> Option<Duration> {
        let (value, at) = self.get(name)?;
        let accepted = format!(
            "a duration up to {} s with its unit, like 250ms, 10s, 1m30s, 2h",
            max.as_secs()
        );
        let found = value.as_str().and_then(hint::duration).filter(|span| *span <= max);
        found.or_else(|| {
            let message = format!("{value} is no duration that fits here");
            let fits = |text: &String| hint::duration(text).is_some_and(|span| span <= max);
            let meant = with_unit(value).filter(fits);
            self.sink.meant(&at, &message, &accepted, meant)
        })
    }

    /// A field that is a word or a list of words, each with its place; numbers count as words.
    pub(super) fn words(&self, name: &str) -> Vec<(String, String)> {
        let Some((value, at)) = self.get(name) else { return Vec::new() };
        match value {
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items.filter_map(|(n, item)| self.word(item, join(&at, &n.to_string()))).collect()
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => self.word(value, at).into_iter().collect(),
        }
    }

    fn word(&self, value: &Value, at: String) -> Option<(String, String)> {
        match value {
            Value::String(text) => Some((text.clone(), at)),
            Value::Number(number) => Some((number.to_string(), at)),
            Value::Bool(flag) => Some((flag.to_string(), at)),
            Value::Null | Value::Array(_) | Value::Object(_) => self.sink.fault(
                &at,
                &format!("{} is no word", kind(value)),
                "a word, or a list of words",
            ),
        }
    }
}

/// The pointer of a member.
pub(super) fn join(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// What a value is, for people.
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
