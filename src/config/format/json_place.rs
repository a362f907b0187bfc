//! Places in a body of JSON.

use serde_json::Value as Json;

use super::parse::{Format, Mismatch, text_schema};
use crate::allowance::{Pointer, PointerError};
use crate::config::diagnostic::DiagnosticCode;

/// A place in a body of JSON.
pub(crate) struct JsonPlace;

impl Format for JsonPlace {
    type Value = Pointer;

    fn parse(&self, text: &str) -> Result<Pointer, Vec<Mismatch>> {
        text.parse().map_err(|error: PointerError| {
            let message = format!("`{text}` is not a JSON Pointer: {error}");
            Mismatch::new(DiagnosticCode::Type, message, self.accepted()).into()
        })
    }

    fn write(&self, value: &Pointer) -> String {
        value.to_string()
    }

    fn accepted(&self) -> String {
        "a JSON Pointer such as `/usage/total_tokens`".into()
    }

    fn schema(&self) -> Json {
        text_schema("^/")
    }

    /// `usage.total_tokens`, `$.usage.total_tokens`: the notations of JSONPath and jq.
    fn guess(&self, text: &str) -> Option<String> {
        let path = text.trim_start_matches(['$', '.', '#']).replace(['.', '['], "/");
        Some(format!("/{}", path.replace(']', "").trim_start_matches('/')))
    }

    fn may_hold_secret(&self) -> bool {
        true
    }
}
