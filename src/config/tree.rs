//! A document as a tree in which every key and value keeps its location.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where something is written: bytes of one of the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    /// The number of the source.
    pub(super) source: usize,
    pub(super) start: usize,
    /// The byte behind the last.
    pub(super) end: usize,
    /// The line, from 1; 0 means the source as a whole.
    pub(super) line: usize,
    /// The column in characters, from 1.
    pub(super) column: usize,
}

impl Location {
    /// A source as a whole, without a line.
    pub(super) const fn whole(source: usize) -> Self {
        Self { source, start: 0, end: 0, line: 0, column: 0 }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Location,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Nothing,
    /// Text without quotes.
    Plain(Box<str>),
    /// Text in quotes, or a block of text.
    Quoted(Box<str>),
    List(Vec<Node>),
    Map(Vec<Member>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) key: Box<str>,
    pub(super) at: Location,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        if let Value::Plain(text) | Value::Quoted(text) = &self.value { Some(text) } else { None }
    }

    /// The node as data, with the scalars of YAML 1.2's core schema.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Nothing => serde_json::Value::Null,
            Value::Plain(text) => plain_to_json(text),
            Value::Quoted(text) => serde_json::Value::String(text.to_string()),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(members) => {
                // Of a duplicate key the first counts, as everywhere.
                let mut map = serde_json::Map::with_capacity(members.len());
                for member in members {
                    map.entry(&*member.key).or_insert_with(|| member.node.to_json());
                }
                serde_json::Value::Object(map)
            }
        }
    }

    /// The key and the value a JSON Pointer leads to, or the last ones on the way that exist.
    pub(super) fn at_pointer(&self, pointer: &str) -> (Location, Location) {
        let mut at = self.at;
        let mut node = self;
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let child = match &node.value {
                Value::Nothing | Value::Plain(_) | Value::Quoted(_) => None,
                Value::List(items) => {
                    let item = token.parse::<usize>().ok().and_then(|number| items.get(number));
                    item.map(|item| (item.at, item))
                }
                Value::Map(members) => {
                    let member = members.iter().find(|member| *member.key == token);
                    member.map(|member| (member.at, &member.node))
                }
            };
            let Some((place, next)) = child else { break };
            (at, node) = (place, next);
        }
        (at, if node.text().is_some() { node.at } else { at })
    }
}

fn plain_to_json(text: &str) -> serde_json::Value {
    match text {
        "true" | "True" | "TRUE" => return true.into(),
        "false" | "False" | "FALSE" => return false.into(),
        _ => {}
    }
    let number = |first: char| first.is_ascii_digit() || matches!(first, '-' | '.');
    if !text.starts_with(number) {
        return text.into();
    }
    if let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    let number = text.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
    number.map_or_else(|| text.into(), serde_json::Value::Number)
}

/// All texts that were read, in the order of the layers; locations refer to them.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources(Vec<Source>);

#[derive(Clone)]
pub(super) struct Source {
    pub(super) name: SourceName,
    pub(super) text: String,
}

impl fmt::Debug for Source {
    /// Without the text, which may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.name, self.text.len())
    }
}

/// Where a text came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SourceName {
    /// A file, by the path that named it.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// The program itself; the demo writes its own configuration.
    Program,
    /// A built-in profile.
    Profile(&'static str),
    /// A variable of the environment.
    Variable(String),
    /// `--set`, with its key.
    Set(String),
    /// Another flag, like `--limit`.
    Flag(&'static str),
}

impl SourceName {
    /// Whether it is a text that people see in lines.
    pub(super) const fn has_lines(&self) -> bool {
        match self {
            Self::File(_) | Self::Stdin | Self::Program | Self::Profile(_) => true,
            Self::Variable(_) | Self::Set(_) | Self::Flag(_) => false,
        }
    }
}

impl Sources {
    /// Adds a text and returns its number.
    pub(super) fn add(&mut self, name: SourceName, text: String) -> usize {
        self.0.push(Source { name, text });
        self.0.len() - 1
    }

    pub(super) fn of(&self, at: Location) -> &Source {
        &self.0[at.source]
    }

    pub(super) fn all(&self) -> &[Source] {
        &self.0
    }

    pub(super) fn position(&self, at: Location) -> Position {
        let name = self.of(at).name.clone();
        let in_text = at.line > 0 && name.has_lines();
        Position { line: in_text.then_some(at.line), column: at.column, name }
    }

    /// The folder that relative paths at this location start from.
    pub(super) fn folder(&self, at: Location) -> &Path {
        match &self.of(at).name {
            SourceName::File(path) => path.parent().unwrap_or(Path::new("")),
            SourceName::Stdin
            | SourceName::Program
            | SourceName::Profile(_)
            | SourceName::Variable(_)
            | SourceName::Set(_)
            | SourceName::Flag(_) => Path::new(""),
        }
    }
}

/// A location as people read it: `evenkeel.yaml:12:5`, `environment EVENKEEL__A__B`, `--set a.b`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    name: SourceName,
    line: Option<usize>,
    column: usize,
}

impl Position {
    /// The line, where the source has lines.
    #[must_use]
    pub const fn line(&self) -> Option<usize> {
        self.line
    }

    /// The column in characters, where the source has lines.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.line.map(|_| self.column)
    }

    /// The file, the variable or the flag.
    #[must_use]
    pub fn source(&self) -> String {
        self.name.to_string()
    }

    /// `file`, `profile`, `environment`, `set` or `flag`.
    #[must_use]
    pub const fn layer(&self) -> &'static str {
        match self.name {
            SourceName::File(_) | SourceName::Stdin | SourceName::Program => "file",
            SourceName::Profile(_) => "profile",
            SourceName::Variable(_) => "environment",
            SourceName::Set(_) => "set",
            SourceName::Flag(_) => "flag",
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}:{}", self.name, self.column),
            None => write!(f, "{}", self.name),
        }
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Stdin => f.write_str("stdin"),
            Self::Program => f.write_str("built in"),
            Self::Profile(name) => write!(f, "profile {name}"),
            Self::Variable(name) => write!(f, "environment {name}"),
            Self::Set(key) => write!(f, "--set {key}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}
