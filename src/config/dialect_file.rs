//! A dialect in a file of its own, outside of any configuration: `normalise` tries one.

use std::path::Path;

use super::diagnostic::{Diagnostic, DiagnosticCode, Diagnostics};
use super::files::read_text;
use super::tree::{Location, Node, SourceName};
use super::yaml;
use crate::dialect::{self, Dialect, DialectError};

/// Reads a dialect, which may extend a built-in one.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn dialect_in_file(file: &Path) -> Result<Dialect, Box<Diagnostics>> {
    let mut diagnostics = Box::new(Diagnostics::default());
    let text = read_text(file);
    let source = SourceName::File(file.into());
    let source = diagnostics.sources.add(source, text.clone().unwrap_or_default());
    let at = Location::whole(source);
    let text = match text {
        Ok(text) => text,
        Err(message) => {
            diagnostics.push(Diagnostic::new(DiagnosticCode::File, Some(at), message));
            return Err(diagnostics);
        }
    };
    let Ok(node) = yaml::read(source, &text, &mut diagnostics) else { return Err(diagnostics) };
    let value = node.as_ref().map_or(serde_json::Value::Null, Node::to_json);
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = value.get("name").and_then(|name| name.as_str()).unwrap_or(stem);
    let compiled = dialect::compile(name, &value);
    if let (Err(errors), Some(node)) = (&compiled, &node) {
        report(&mut diagnostics, node, "", errors);
    }
    diagnostics.sort();
    compiled.ok().filter(|_| diagnostics.count() == 0).ok_or(diagnostics)
}

/// Reports errors in a dialect at the location of the data they point to; `key` is that of the
/// data.
pub(super) fn report(
    diagnostics: &mut Diagnostics,
    node: &Node,
    key: &str,
    errors: &[DialectError],
) {
    for error in errors {
        let (key_at, value_at) = node.at_pointer(&error.pointer);
        let name = error.pointer.rsplit('/').next().unwrap_or_default();
        let names_the_key = error.message.contains(&format!("`{name}`"));
        let at = if names_the_key { key_at } else { value_at };
        let key = format!("{key}{}", error.pointer.replace('/', "."));
        let diagnostic = Diagnostic::new(DiagnosticCode::Type, Some(at), &error.message);
        let diagnostic = diagnostic.key(key.trim_start_matches('.')).accepted(&error.accepted);
        diagnostics.push(diagnostic.nearest(error.nearest.clone()));
    }
}
