//! Conditions on headers and parameters: `NAME`, or `NAME=VALUE`.

use serde_json::Value as Json;

use super::network::HeaderField;
use super::parse::{Format, Mismatch, text_schema};
use crate::config::diagnostic::DiagnosticCode;
use crate::routing::call_matcher::{HeaderCondition, QueryCondition};

/// Headers whose values are secrets, which have no place in a file.
const SECRETS: [&str; 5] =
    ["authorization", "cookie", "proxy-authorization", "x-api-key", "x-auth-token"];

/// A condition on a header.
pub(crate) struct HeaderText;

impl Format for HeaderText {
    type Value = HeaderCondition;

    fn parse(&self, text: &str) -> Result<HeaderCondition, Vec<Mismatch>> {
        let (name, value) = split(text, &self.accepted())?;
        let name = HeaderField::ANY.parse(name).map_err(|mut mismatches| {
            mismatches.iter_mut().for_each(|it| it.accepted = self.accepted());
            mismatches
        })?;
        if value.is_some() && SECRETS.contains(&name.name.as_str()) {
            let message = format!("the value of `{}` is a secret", name.written);
            let accepted = "another header, or the name alone";
            return Err(Mismatch::new(DiagnosticCode::Secret, message, accepted).into());
        }
        Ok(HeaderCondition { name: name.name, value })
    }

    fn write(&self, value: &HeaderCondition) -> String {
        value.to_string()
    }

    fn accepted(&self) -> String {
        "a header as `NAME` or `NAME=VALUE`".into()
    }

    fn schema(&self) -> Json {
        text_schema("^[^= ]+(=.+)?$")
    }

    fn guess(&self, text: &str) -> Option<String> {
        guessed(text)
    }

    fn may_hold_secret(&self) -> bool {
        true
    }
}

/// A condition on a parameter of the query.
pub(crate) struct QueryText;

impl Format for QueryText {
    type Value = QueryCondition;

    fn parse(&self, text: &str) -> Result<QueryCondition, Vec<Mismatch>> {
        let (name, value) = split(text, &self.accepted())?;
        let several = value.as_ref().is_some_and(|value| value.contains('&'));
        if several || name.contains(['&', ';', '?', '#', '%', '+', ':', ' ']) {
            let message = format!("`{text}` is not one parameter");
            return Err(Mismatch::new(DiagnosticCode::Type, message, self.accepted()).into());
        }
        Ok(QueryCondition { name: name.into(), value })
    }

    fn write(&self, value: &QueryCondition) -> String {
        value.to_string()
    }

    fn accepted(&self) -> String {
        "a parameter as `NAME` or `NAME=VALUE`, decoded".into()
    }

    fn schema(&self) -> Json {
        text_schema("^[^= ]+(=.+)?$")
    }

    fn guess(&self, text: &str) -> Option<String> {
        guessed(text.trim_start_matches('?'))
    }

    fn may_hold_secret(&self) -> bool {
        true
    }
}

/// The name and the value of a condition.
fn split<'t>(text: &'t str, accepted: &str) -> Result<(&'t str, Option<Box<str>>), Vec<Mismatch>> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let is_blank = |text: &str| text.is_empty() || text.trim() != text;
    if is_blank(name) || value.is_some_and(is_blank) {
        let message = format!("`{text}` has no name, no value, or blanks around them");
        return Err(Mismatch::new(DiagnosticCode::Type, message, accepted).into());
    }
    Ok((name, value.map(Into::into)))
}

/// `NAME: VALUE`, and blanks around the sign.
fn guessed(text: &str) -> Option<String> {
    let (name, value) = text.split_once(['=', ':'])?;
    Some(format!("{}={}", name.trim(), value.trim()))
}
