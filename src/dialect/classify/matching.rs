//! Whether the conditions of a rule hold.

use http::HeaderMap;
use regex::Regex;
use serde_json::Value;

use crate::dialect::pointer;
use crate::dialect::{Place, When};
use crate::outcome::{Answer, Reading};

/// Whether every condition that is given holds for an answer.
pub(super) fn answer(when: &When, answer: &Answer<'_>, reading: &Reading) -> bool {
    when.failure.is_empty()
        && status(when, answer.status.as_u16())
        && when.header.iter().all(|(name, wanted)| header(answer.headers, name, wanted.as_ref()))
        && code(when, reading)
        && when.body.iter().all(|(place, wanted)| holds(place, wanted, answer, reading))
        && when.text.as_ref().is_none_or(|wanted| wanted.is_match(&reading.text))
}

fn status(when: &When, status: u16) -> bool {
    when.status.is_empty()
        || when.status.iter().any(|(first, last)| (*first..=*last).contains(&status))
}

fn header(headers: &HeaderMap, name: &http::HeaderName, wanted: Option<&Regex>) -> bool {
    let mut values = headers.get_all(name).iter();
    values.any(|value| {
        wanted.is_none_or(|wanted| value.to_str().is_ok_and(|value| wanted.is_match(value)))
    })
}

fn code(when: &When, reading: &Reading) -> bool {
    when.code.is_empty() || reading.code.as_deref().is_some_and(|code| contains(&when.code, code))
}

fn holds(place: &Place, wanted: &[Box<str>], answer: &Answer<'_>, reading: &Reading) -> bool {
    match place {
        Place::Pointer(pointer) => match pointer::at(&reading.tree, pointer) {
            Some(Value::String(text)) => contains(wanted, text),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => {
                contains(wanted, &value.to_string())
            }
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => false,
        },
        Place::Header(name) => {
            let mut values = answer.headers.get_all(name).iter();
            values.any(|value| value.to_str().is_ok_and(|value| contains(wanted, value)))
        }
        Place::Text => contains(wanted, &reading.text),
    }
}

fn contains(wanted: &[Box<str>], found: &str) -> bool {
    wanted.iter().any(|candidate| **candidate == *found)
}
