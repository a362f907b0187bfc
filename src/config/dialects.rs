//! How the loader asks for dialects: two functions of the dialect room, passed in.

use std::sync::Arc;

use crate::dialect::Dialect;

/// What the loader needs of the dialect room.
#[derive(Clone, Copy, Debug)]
pub struct Dialects {
    /// The built-in dialect of a name.
    pub builtin: fn(&str) -> Option<Arc<Dialect>>,
    /// The names of the built-in dialects.
    pub names: fn() -> Vec<String>,
    /// Compiles a dialect from data, or says everything that is wrong with it.
    pub compile: fn(&str, &serde_json::Value) -> Result<Dialect, Vec<DialectFault>>,
    /// The JSON Schema of a dialect's data.
    pub schema: fn() -> serde_json::Value,
}

/// One mistake in a dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialectFault {
    /// Where in the data, as a JSON Pointer.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What is accepted there.
    pub accepted: String,
    /// The most similar valid word.
    pub nearest: Option<String>,
}
