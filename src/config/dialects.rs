//! What the loader needs of the dialect room, passed in as functions.

use std::sync::Arc;

use crate::dialect::Dialect;

#[derive(Clone, Copy, Debug)]
pub struct Dialects {
    /// The built-in dialect of a name.
    pub builtin: fn(&str) -> Option<Arc<Dialect>>,
    /// The names of the built-in dialects.
    pub names: fn() -> Vec<String>,
    /// Compiles a dialect from data, or returns all mistakes in it.
    pub compile: fn(&str, &serde_json::Value) -> Result<Dialect, Vec<DialectMistake>>,
    /// The JSON Schema of a dialect's data.
    pub schema: fn() -> serde_json::Value,
}

/// One mistake in a dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialectMistake {
    /// Where in the data, as a JSON Pointer.
    pub pointer: String,
    pub message: String,
    pub accepted: String,
    /// The most similar valid word.
    pub nearest: Option<String>,
}
