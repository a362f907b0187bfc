//! The table of keys: the one home of every key's name, kind, bounds, default and meaning.
//!
//! The check, the nearest key, the JSON Schema, the defaults and the test of the reference file
//! all read it. Refuses to hold anything that depends on two keys: `resolve` does.

mod file;
mod form;
mod upstream;

use std::time::Duration;

use super::scalar::Plain;

/// One key.
#[derive(Debug)]
pub(in crate::config) struct Key {
    pub(in crate::config) name: &'static str,
    pub(in crate::config) kind: Kind,
    pub(in crate::config) fallback: Fallback,
    /// What it means, in one sentence.
    pub(in crate::config) doc: &'static str,
}

/// Keys in groups: what several maps have in common is one group.
pub(in crate::config) type Keys = &'static [&'static [Key]];

/// What a key holds.
#[derive(Debug)]
pub(in crate::config) enum Kind {
    /// One value.
    One(Scalar),
    /// A map of these keys.
    Map(Keys),
    /// A map of these keys, for which a single text may stand: the value of the first named.
    Short { key: &'static str, keys: Keys },
    /// A map from names of the operator's choosing.
    Named { of: &'static Self, max: usize },
    /// A list.
    List { of: &'static Self, min: usize, max: usize },
    /// `{ env: NAME }` or `{ file: PATH }`.
    Secret,
    /// Data for a dialect, judged by the dialects themselves.
    Data(Data),
    /// Understood, and refused until it is built.
    Later { of: &'static Self },
}

/// What data for a dialect describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Data {
    /// A whole dialect.
    Dialect,
    /// A list of rules.
    Rules,
    /// Nothing that this version knows.
    Free,
}

/// What one value looks like.
#[derive(Debug)]
pub(in crate::config) enum Scalar {
    Flag,
    Count { min: u64, max: u64 },
    Workers { max: u64 },
    Version,
    Factor { min: f64, max: f64 },
    Percent { max: u32 },
    Duration { min: Duration, max: Duration },
    Size { min: u64, max: u64 },
    Rate { min: u64, max: u64 },
    Limit,
    Word(&'static [&'static str]),
    Text { accepted: &'static str },
    Level,
    Header,
    AccountHeader,
    Method,
    Address,
    Host,
    Prefix,
    Pattern,
    Url,
    Token { accepted: &'static str },
}

/// What an absent key means.
#[derive(Debug)]
pub(in crate::config) enum Fallback {
    /// This value.
    Is(fn() -> Plain),
    /// What the words say.
    Means(&'static str),
    /// A fault.
    Required,
}

/// The whole file.
pub(in crate::config) const ROOT: Keys = &[file::ROOT_KEYS];

/// Names of upstreams, clients, allowances and dialects, so that variables can reach them.
pub(in crate::config) const NAMES: &str =
    "a name: lower-case letters, digits and `_`, a letter first, at most 64 characters";

/// Whether a name can be used everywhere, in metrics and variables too.
pub(in crate::config) fn is_name(text: &str) -> bool {
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(rest) && text.len() <= 64
}

/// The key of a name.
pub(in crate::config) fn find(keys: Keys, name: &str) -> Option<&'static Key> {
    each(keys).find(|key| key.name == name)
}

/// The keys of all groups.
pub(in crate::config) fn each(keys: Keys) -> impl Iterator<Item = &'static Key> {
    keys.iter().flat_map(|group| group.iter())
}

/// What stands at a path, if the table reaches that far.
pub(in crate::config) fn kind_at<'p>(
    mut path: impl Iterator<Item = &'p str>,
) -> Option<&'static Kind> {
    static WHOLE: Kind = Kind::Map(ROOT);
    path.try_fold(&WHOLE, inside)
}

impl Key {
    /// What is accepted there, in words.
    pub(in crate::config) fn accepted(&self) -> String {
        match &self.kind {
            Kind::One(scalar) => scalar.accepted(),
            Kind::Secret => "`{ env: NAME }` or `{ file: PATH }`".into(),
            Kind::Short { .. } | Kind::Map(_) => format!("a map: {}", self.doc),
            Kind::Named { .. } => format!("a map from names to their settings: {}", self.doc),
            Kind::List { .. } => format!("a list: {}", self.doc),
            Kind::Data(_) | Kind::Later { .. } => self.doc.into(),
        }
    }
}

fn inside(kind: &'static Kind, segment: &str) -> Option<&'static Kind> {
    match kind {
        Kind::Map(keys) | Kind::Short { keys, .. } => find(keys, segment).map(|key| &key.kind),
        Kind::Named { of, .. } => Some(of),
        Kind::Later { of } => inside(of, segment),
        Kind::List { of, .. } => (segment == ANY).then_some(*of),
        Kind::One(_) | Kind::Secret | Kind::Data(_) => None,
    }
}

/// Stands for any name, or any place in a list.
pub(in crate::config) const ANY: &str = "*";

/// The keys of the map at a path.
pub(in crate::config) fn keys_at(path: &[&str]) -> Keys {
    match kind_at(path.iter().copied()) {
        Some(Kind::Map(keys) | Kind::Short { keys, .. }) => keys,
        _ => &[],
    }
}
