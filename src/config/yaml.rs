//! YAML 1.2 text → a tree with locations. JSON is YAML and works unchanged.
//!
//! The parser is serde-saphyr's own, whose events carry locations; its serde layer has none for
//! keys. Aliases, tags, several documents, keys that are not text and deep nesting are errors:
//! they hide things from a reader or grow without bound.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{
    Event, Parser, ScalarStyle, ScanError, Span, StrInput, StructureStyle,
};

use super::diagnostic::{Diagnostic, DiagnosticCode, Diagnostics};
use super::tree::{Location, Member, Node, Value};

/// Levels of nesting; the deepest key of ours is on the seventh.
const DEPTH_MAX: usize = 32;

/// The text is not YAML; the diagnostic has been recorded.
#[derive(Debug)]
pub(super) struct Unreadable;

/// Reads one document, if there is one. Only a syntax error ends the reading.
pub(super) fn read(
    source: usize,
    text: &str,
    diagnostics: &mut Diagnostics,
) -> Result<Option<Node>, Unreadable> {
    let mut reader =
        Reader { events: Parser::new_from_str(text), text, source, diagnostics, end: 0 };
    reader.document().map_err(|diagnostic| {
        reader.diagnostics.push(*diagnostic);
        Unreadable
    })
}

struct Reader<'t, 'f> {
    events: Parser<'t, StrInput<'t>>,
    text: &'t str,
    source: usize,
    diagnostics: &'f mut Diagnostics,
    /// The byte behind the last event.
    end: usize,
}

type Read<T> = Result<T, Box<Diagnostic>>;

impl<'t> Reader<'t, '_> {
    fn document(&mut self) -> Read<Option<Node>> {
        let mut root = None;
        while let Some((event, span)) = self.next()? {
            if event.is_node() && root.is_none() {
                root = Some(self.node(&event, span, 0)?);
            } else if event.is_node() || matches!(event, Event::DocumentStart(..)) && root.is_some()
            {
                let message = "a second document in one file";
                let second = Diagnostic::new(DiagnosticCode::Syntax, Some(self.at(span)), message);
                let accepted = "one document; more files are layered with another `-c`";
                return Err(Box::new(second.accepted(accepted)));
            }
        }
        Ok(root)
    }

    fn next(&mut self) -> Read<Option<(Event<'t>, Span)>> {
        let next = self.events.next_event().transpose().map_err(|error| self.syntax(&error))?;
        if let Some((_, span)) = &next {
            self.end = self.at(*span).end;
        }
        Ok(next)
    }

    /// The next event where there must be one, because the parser closes what it opens.
    fn expected(&mut self) -> Read<(Event<'t>, Span)> {
        let cut_off =
            || Box::new(Diagnostic::new(DiagnosticCode::Syntax, None, "the text ends too early"));
        self.next()?.ok_or_else(cut_off)
    }

    fn node(&mut self, event: &Event<'t>, span: Span, depth: usize) -> Read<Node> {
        let at = self.at(span);
        if let Some(tag) = event.tag() {
            let message = "tags are not supported";
            let diagnostic = Diagnostic::new(DiagnosticCode::Syntax, Some(at), message);
            self.diagnostics.push(diagnostic.found(tag.original()));
        }
        if depth > DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(Box::new(Diagnostic::new(DiagnosticCode::Range, Some(at), message)));
        }
        let value = if let Event::Scalar(text, style, ..) = event {
            match (style, &**text) {
                (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => Value::Nothing,
                (ScalarStyle::Plain, text) => Value::Plain(text.into()),
                (_, text) => Value::Quoted(text.into()),
            }
        } else if matches!(event, Event::SequenceStart(..)) {
            self.list(depth)?
        } else if matches!(event, Event::MappingStart(..)) {
            self.map(depth)?
        } else {
            let message = "aliases are not supported";
            let alias = Diagnostic::new(DiagnosticCode::Syntax, Some(at), message);
            let accepted = "the value itself; what upstreams share belongs under `defaults`";
            return Err(Box::new(alias.accepted(accepted)));
        };
        Ok(Node { at: self.up_to_here(at, event), value })
    }

    /// A list or map in brackets reaches to its bracket; one in lines is marked by its first word.
    fn up_to_here(&self, at: Location, event: &Event<'t>) -> Location {
        let (Event::SequenceStart(style, ..) | Event::MappingStart(style, ..)) = event else {
            return at;
        };
        let bracketed = *style == StructureStyle::Flow;
        if bracketed { Location { end: self.end.max(at.end), ..at } } else { at }
    }

    fn list(&mut self, depth: usize) -> Read<Value> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.expected()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Value::List(items));
            }
            items.push(self.node(&event, span, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Read<Value> {
        let mut members = Vec::new();
        let mut seen: HashMap<Box<str>, Location> = HashMap::new();
        loop {
            let (event, span) = self.expected()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Value::Map(members));
            }
            let key = self.node(&event, span, depth + 1)?;
            let (event, span) = self.expected()?;
            let node = self.node(&event, span, depth + 1)?;
            let Some(name) = key.text() else {
                let message = "a key must be a text";
                let diagnostic = Diagnostic::new(DiagnosticCode::Type, Some(key.at), message);
                self.diagnostics.push(diagnostic.found("a list or a map"));
                continue;
            };
            let first = *seen.entry(name.into()).or_insert(key.at);
            if first != key.at {
                let message = format!("`{name}` is set twice");
                let twice = Diagnostic::new(DiagnosticCode::DuplicateKey, Some(key.at), message);
                self.diagnostics.push(twice.key(name).related(first, "first here"));
            }
            // The second value is kept too, so that its mistakes are reported at once.
            members.push(Member { key: name.into(), at: key.at, node });
        }
    }

    fn syntax(&mut self, error: &ScanError) -> Box<Diagnostic> {
        let mark = *error.marker();
        let at = self.at(Span::empty(mark));
        let diagnostic = Diagnostic::new(
            DiagnosticCode::Syntax,
            Some(at),
            format!("this is not YAML: {}", error.info()),
        );
        let text = self.text;
        let line = text.lines().nth(at.line.saturating_sub(1)).unwrap_or_default();
        // A line that cannot be read may hold a secret that cannot be recognised as one.
        let behind = |name: &&str| line.find(&format!("{name}:")).map(|at| at + name.len() + 1);
        if let Some(from) = SECRET_HOLDERS.iter().filter_map(behind).min() {
            let start = text[..at.start].rfind('\n').map_or(0, |newline| newline + 1);
            let (start, end) = (start + from, start + line.len());
            self.diagnostics.hide(Location { start, end, ..at });
        }
        let indentation = &line[..line.len() - line.trim_start().len()];
        Box::new(if indentation.contains('\t') {
            diagnostic.found("a tab in the indentation").accepted("spaces")
        } else if ["${", "{{", ": %"].iter().any(|mark| line.contains(mark)) {
            diagnostic.found("a variable of another program").accepted(VARIABLES)
        } else {
            diagnostic
        })
    }

    fn at(&self, span: Span) -> Location {
        let start = span.start.byte_offset().unwrap_or(0).min(self.text.len());
        let end = span.end.byte_offset().unwrap_or(start).clamp(start, self.text.len());
        let (line, column) = (span.start.line(), span.start.col() + 1);
        Location { source: self.source, start, end, line, column }
    }
}

/// The ends of keys that may hold a secret.
const SECRET_HOLDERS: [&str; 5] = ["key", "value", "token", "secret", "password"];

/// What to write instead of `${NAME}`, which is not YAML between braces.
const VARIABLES: &str = "variables are not replaced inside a file: a secret is `{ env: NAME }`, \
                         and EVENKEEL__A__B in the environment sets the key a.b";
