//! YAML 1.2 text into a tree with places; JSON is YAML and works unchanged.
//!
//! The parser is serde-saphyr's own (its events carry the places that its serde layer does not
//! give for keys). Refuses what hides things from a reader or grows: aliases, tags, several
//! documents, keys that are not text, nesting beyond a bound.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{
    Event, Parser, ScalarStyle, ScanError, Span, StrInput, StructureStyle,
};

use super::fault::{Fault, Faults, Sort};
use super::tree::{At, Member, Node, Value};

/// Levels of nesting; the deepest key of ours is on the seventh.
const DEPTH_MAX: usize = 32;

/// The text is no YAML; the fault has been recorded.
#[derive(Debug)]
pub(super) struct Unreadable;

/// Reads one document, if there is one. Smaller faults do not end the reading.
pub(super) fn read(
    source: usize,
    text: &str,
    faults: &mut Faults,
) -> Result<Option<Node>, Unreadable> {
    let mut reader = Reader { events: Parser::new_from_str(text), text, source, faults, end: 0 };
    reader.document().map_err(|fault| {
        reader.faults.push(*fault);
        Unreadable
    })
}

struct Reader<'t, 'f> {
    events: Parser<'t, StrInput<'t>>,
    text: &'t str,
    source: usize,
    faults: &'f mut Faults,
    /// The byte behind the last event.
    end: usize,
}

type Read<T> = Result<T, Box<Fault>>;

impl<'t> Reader<'t, '_> {
    fn document(&mut self) -> Read<Option<Node>> {
        let mut root = None;
        while let Some((event, span)) = self.next()? {
            if event.is_node() && root.is_none() {
                root = Some(self.node(&event, span, 0)?);
            } else if event.is_node() || matches!(event, Event::DocumentStart(..)) && root.is_some()
            {
                return Err(self.second_document(span));
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

    /// The event that must come: the parser closes what it opened.
    fn expected(&mut self) -> Read<(Event<'t>, Span)> {
        let cut_off = || Box::new(Fault::new(Sort::Syntax, None, "the text breaks off"));
        self.next()?.ok_or_else(cut_off)
    }

    fn node(&mut self, event: &Event<'t>, span: Span, depth: usize) -> Read<Node> {
        let at = self.at(span);
        self.refuse_tag(event, at);
        if depth > DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(Box::new(Fault::new(Sort::Range, Some(at), message)));
        }
        let value = if let Event::Scalar(text, style, ..) = event {
            scalar(text, *style)
        } else if matches!(event, Event::SequenceStart(..)) {
            self.list(depth)?
        } else if matches!(event, Event::MappingStart(..)) {
            self.map(depth)?
        } else {
            return Err(alias(at));
        };
        Ok(Node { at: self.up_to_here(at, event), value })
    }

    /// A list or map in brackets reaches to its bracket; one in lines is told by its first word.
    fn up_to_here(&self, at: At, event: &Event<'t>) -> At {
        let (Event::SequenceStart(style, ..) | Event::MappingStart(style, ..)) = event else {
            return at;
        };
        let bracketed = *style == StructureStyle::Flow;
        if bracketed { At { end: self.end.max(at.end), ..at } } else { at }
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
        let mut seen = HashMap::new();
        loop {
            let (event, span) = self.expected()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Value::Map(members));
            }
            let key = self.node(&event, span, depth + 1)?;
            let (event, span) = self.expected()?;
            let node = self.node(&event, span, depth + 1)?;
            // The second value is kept as well, so that what is wrong with it is said at once.
            self.look_for_duplicate(&key, &mut seen);
            if let Some(name) = key.text() {
                members.push(Member { key: name.into(), at: key.at, node });
            }
        }
    }

    fn look_for_duplicate(&mut self, key: &Node, seen: &mut HashMap<Box<str>, At>) {
        let Some(name) = key.text() else {
            let fault = Fault::new(Sort::Type, Some(key.at), "a key is a text");
            return self.faults.push(fault.found(key.noun()));
        };
        if let Some(first) = seen.get(name) {
            return self.faults.push(duplicate(name, key.at, *first));
        }
        seen.insert(name.into(), key.at);
    }

    fn refuse_tag(&mut self, event: &Event<'t>, at: At) {
        if let Some(tag) = event.tag() {
            let fault = Fault::new(Sort::Syntax, Some(at), "tags have no meaning here");
            self.faults.push(fault.found(tag.original()));
        }
    }

    fn second_document(&self, span: Span) -> Box<Fault> {
        let message = "a second document in one file";
        let fault = Fault::new(Sort::Syntax, Some(self.at(span)), message);
        Box::new(fault.accepted("one document; more files are layered with another `-c`"))
    }

    fn syntax(&mut self, error: &ScanError) -> Box<Fault> {
        let mark = *error.marker();
        let at = self.at(Span::empty(mark));
        let fault = Fault::new(Sort::Syntax, Some(at), format!("no YAML: {}", error.info()));
        let text = self.text;
        let line = text.lines().nth(at.line.saturating_sub(1)).unwrap_or_default();
        self.hide_possible_secret(line, &at);
        let indentation = &line[..line.len() - line.trim_start().len()];
        Box::new(if indentation.contains('\t') {
            fault.found("a tab in the indentation").accepted("spaces")
        } else if ["${", "{{", ": %"].iter().any(|mark| line.contains(mark)) {
            fault.found("a variable of another program").accepted(VARIABLES)
        } else {
            fault
        })
    }

    /// A line that cannot be read may hold a secret that cannot be recognised as one.
    fn hide_possible_secret(&mut self, line: &str, at: &At) {
        const HOLDERS: [&str; 5] = ["key", "value", "token", "secret", "password"];
        let behind = |name: &str| line.find(&format!("{name}:")).map(|at| at + name.len() + 1);
        let Some(from) = HOLDERS.iter().filter_map(|name| behind(name)).min() else { return };
        let start = self.text[..at.start].rfind('\n').map_or(0, |newline| newline + 1);
        self.faults.hide(At { start: start + from, end: start + line.len(), ..*at });
    }

    fn at(&self, span: Span) -> At {
        let start = span.start.byte_offset().unwrap_or(0).min(self.text.len());
        let end = span.end.byte_offset().unwrap_or(start).clamp(start, self.text.len());
        let (line, column) = (span.start.line(), span.start.col() + 1);
        At { source: self.source, start, end, line, column }
    }
}

/// What takes the place of `${NAME}`, which is no YAML between braces.
const VARIABLES: &str = "variables are not replaced inside a file: a secret is `{ env: NAME }`, \
                         and EVENKEEL__A__B in the environment sets the key a.b";

fn scalar(text: &str, style: ScalarStyle) -> Value {
    match (style, text) {
        (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => Value::Nothing,
        (ScalarStyle::Plain, text) => Value::Plain(text.into()),
        (_, text) => Value::Quoted(text.into()),
    }
}

fn alias(at: At) -> Box<Fault> {
    let fault = Fault::new(Sort::Syntax, Some(at), "aliases are not followed");
    Box::new(fault.accepted("the value itself; what upstreams share belongs under `defaults`"))
}

fn duplicate(name: &str, at: At, first: At) -> Fault {
    Fault::new(Sort::DuplicateKey, Some(at), format!("`{name}` stands here twice"))
        .key(name)
        .also(first, "first here")
}
