//! What is wrong with a configuration, said so that somebody can put it right.
//!
//! Faults are collected, never thrown: one run shows them all. A secret never enters one, and
//! the places of texts that may be secrets are kept so that no drawing shows them either.

use super::tree::{At, Position, Sources};

/// Mistakes that are kept; a file with more is not a configuration with mistakes.
const FAULTS_MAX: usize = 1_000;

/// What sort of mistake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// The text is no YAML.
    Syntax,
    /// No such key.
    UnknownKey,
    /// The same key twice.
    DuplicateKey,
    /// A required key is missing.
    MissingKey,
    /// A list where a map belongs, a word where a number belongs, an unknown word.
    Type,
    /// A unit is missing or unknown.
    Unit,
    /// A value outside its bounds.
    Range,
    /// A name that nothing has.
    Reference,
    /// Two settings that contradict each other.
    Conflict,
    /// A secret that is written down, missing or unreadable.
    Secret,
    /// A file that cannot be read.
    File,
    /// A layer above the files that says nothing usable.
    Layer,
    /// A key that a later version will understand.
    Unsupported,
}

impl Sort {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::UnknownKey => "unknown_key",
            Self::DuplicateKey => "duplicate_key",
            Self::MissingKey => "missing_key",
            Self::Type => "type",
            Self::Unit => "unit",
            Self::Range => "range",
            Self::Reference => "reference",
            Self::Conflict => "conflict",
            Self::Secret => "secret",
            Self::File => "file",
            Self::Layer => "layer",
            Self::Unsupported => "unsupported",
        }
    }
}

/// One mistake.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) sort: Sort,
    pub(super) at: Option<At>,
    /// The path of the key, dotted; empty when no key is concerned.
    pub(super) key: String,
    pub(super) message: String,
    pub(super) found: Option<String>,
    pub(super) accepted: Option<String>,
    pub(super) nearest: Option<String>,
    /// Another place that takes part in it, and how.
    pub(super) also: Option<(At, &'static str)>,
}

impl Fault {
    pub(super) fn new(sort: Sort, at: Option<At>, message: impl Into<String>) -> Self {
        let message = message.into();
        let key = String::new();
        Self { sort, at, key, message, found: None, accepted: None, nearest: None, also: None }
    }

    #[must_use]
    pub(super) fn key(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }

    #[must_use]
    pub(super) fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    #[must_use]
    pub(super) fn accepted(mut self, accepted: impl Into<String>) -> Self {
        self.accepted = Some(accepted.into());
        self
    }

    #[must_use]
    pub(super) fn nearest(mut self, nearest: Option<String>) -> Self {
        self.nearest = nearest;
        self
    }

    #[must_use]
    pub(super) const fn also(mut self, at: At, role: &'static str) -> Self {
        self.also = Some((at, role));
        self
    }
}

/// Everything that is wrong, with the texts it is wrong in.
#[derive(Debug, Default)]
pub struct Faults {
    pub(super) sources: Sources,
    pub(super) list: Vec<Fault>,
    /// How many more there are than the list holds.
    beyond: usize,
    /// Texts that may be secrets.
    pub(super) hidden: Vec<At>,
}

impl Faults {
    pub(super) fn push(&mut self, fault: Fault) {
        if self.list.len() < FAULTS_MAX {
            self.list.push(fault);
        } else {
            self.beyond += 1;
        }
    }

    /// The same place is complained about once, however many scopes read it.
    pub(super) fn push_once(&mut self, fault: Fault) {
        let same = |known: &Fault| known.at.is_some() && known.at == fault.at;
        if !self.list.iter().any(|known| same(known) && known.message == fault.message) {
            self.push(fault);
        }
    }

    pub(super) fn hide(&mut self, at: At) {
        self.hidden.push(at);
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.list.len() + self.beyond
    }

    /// In how many places each source is wrong: `evenkeel.yaml: 2 errors`, one line a source.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        let mut counts: Vec<(String, usize)> = Vec::new();
        for fault in &self.list {
            let name = self.position(fault).map_or("configuration".into(), |at| at.source());
            match counts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += 1,
                None => counts.push((name, 1)),
            }
        }
        let line = |(name, count): &(String, usize)| format!("{name}: {count} {}", errors(*count));
        let beyond = (self.beyond > 0).then(|| format!("and {} more", self.beyond));
        counts.iter().map(line).chain(beyond).collect()
    }

    pub(super) fn position(&self, fault: &Fault) -> Option<Position> {
        fault.at.map(|at| self.sources.position(at))
    }

    /// Forgets those found after the first `known` that a layer which could not be read may
    /// explain: what it says is not known, so nothing is known to be missing or contradicted.
    pub(super) fn forget_consequences(&mut self, known: usize) {
        let stands = |fault: &Fault| {
            !matches!(fault.sort, Sort::MissingKey | Sort::Reference | Sort::Conflict)
        };
        let later = self.list.split_off(known.min(self.list.len()));
        self.list.extend(later.into_iter().filter(stands));
    }

    /// Puts them in the order of the text, whatever order they were found in.
    pub(super) fn sort(&mut self) {
        let place = |fault: &Fault| fault.at.map(|at| (at.source, at.start));
        self.list.sort_by_key(place);
    }
}

const fn errors(count: usize) -> &'static str {
    if count == 1 { "error" } else { "errors" }
}

/// The most similar of some names, if one is similar enough to be meant.
pub(super) fn nearest<'n>(found: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    const SIMILAR_ENOUGH: f64 = 0.6;
    names
        .map(|name| (strsim::normalized_damerau_levenshtein(found, name), name))
        .filter(|(similarity, _)| *similarity >= SIMILAR_ENOUGH)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name.to_owned())
}
