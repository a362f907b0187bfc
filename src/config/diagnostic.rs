//! Mistakes in a configuration: what, where, and what to do about it.
//!
//! They are collected, so that one run shows them all. A secret never enters a message, and the
//! locations of texts that may be secrets are kept, so that no excerpt of a file shows them.

use std::path::PathBuf;

use super::tree::{Location, Position, Sources};

/// Mistakes that are kept; a file with more is not a configuration.
const DIAGNOSTICS_MAX: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiagnosticCode {
    Syntax,
    UnknownKey,
    DuplicateKey,
    /// A required key is missing.
    MissingKey,
    /// A list where a map belongs, a word where a number belongs, an unknown word.
    Type,
    /// A unit is missing or unknown.
    Unit,
    /// A value is outside its bounds.
    Range,
    /// A name is not defined.
    Reference,
    /// Settings contradict each other.
    Conflict,
    /// A secret that is written down, missing or unreadable.
    Secret,
    /// A file cannot be read.
    File,
    /// A variable or `--set` does not name a key and a value.
    Layer,
}

impl DiagnosticCode {
    /// The stable name, for programs.
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
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Diagnostic {
    pub(super) code: DiagnosticCode,
    pub(super) at: Option<Location>,
    /// The path of the key, dotted; empty when no key is concerned.
    pub(super) key: String,
    pub(super) message: String,
    pub(super) found: Option<String>,
    pub(super) accepted: Option<String>,
    pub(super) nearest: Option<String>,
    /// Another location that takes part in it, and how.
    pub(super) related: Option<(Location, &'static str)>,
}

impl Diagnostic {
    pub(super) fn new(
        code: DiagnosticCode,
        at: Option<Location>,
        message: impl Into<String>,
    ) -> Self {
        let message = message.into();
        let key = String::new();
        Self { code, at, key, message, found: None, accepted: None, nearest: None, related: None }
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
    pub(super) const fn related(mut self, at: Location, role: &'static str) -> Self {
        self.related = Some((at, role));
        self
    }
}

/// All mistakes, with the texts they are in.
#[derive(Debug, Default)]
pub struct Diagnostics {
    pub(super) sources: Sources,
    pub(super) list: Vec<Diagnostic>,
    /// How many more were found than the list holds.
    beyond: usize,
    /// Texts that may be secrets.
    pub(super) hidden: Vec<Location>,
    /// The files and folders that were read.
    pub(super) read: Vec<PathBuf>,
}

impl Diagnostics {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        if self.list.len() < DIAGNOSTICS_MAX {
            self.list.push(diagnostic);
        } else {
            self.beyond += 1;
        }
    }

    /// Several scopes may read the same value; the mistake is reported once.
    pub(super) fn push_once(&mut self, diagnostic: Diagnostic) {
        let same = |known: &Diagnostic| known.at.is_some() && known.at == diagnostic.at;
        if !self.list.iter().any(|known| same(known) && known.message == diagnostic.message) {
            self.push(diagnostic);
        }
    }

    pub(super) fn hide(&mut self, at: Location) {
        self.hidden.push(at);
    }

    /// The files and folders that were read, those that hold secrets and certificates included.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.read
    }

    #[must_use]
    pub const fn count(&self) -> usize {
        self.list.len() + self.beyond
    }

    /// The number of mistakes per source: `evenkeel.yaml: 2 errors`.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        let mut counts: Vec<(String, usize)> = Vec::new();
        for diagnostic in &self.list {
            let name = self.position(diagnostic).map_or("configuration".into(), |at| at.source());
            match counts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += 1,
                None => counts.push((name, 1)),
            }
        }
        let line = |(name, count): &(String, usize)| match count {
            1 => format!("{name}: 1 error"),
            count => format!("{name}: {count} errors"),
        };
        let beyond = (self.beyond > 0).then(|| format!("and {} more", self.beyond));
        counts.iter().map(line).chain(beyond).collect()
    }

    pub(super) fn position(&self, diagnostic: &Diagnostic) -> Option<Position> {
        diagnostic.at.map(|at| self.sources.position(at))
    }

    /// Drops those after the first `known` that a layer which could not be read may explain: what
    /// seems to be missing or contradicted may be in that layer.
    pub(super) fn forget_consequences(&mut self, known: usize) {
        let stands = |diagnostic: &Diagnostic| {
            !matches!(
                diagnostic.code,
                DiagnosticCode::MissingKey | DiagnosticCode::Reference | DiagnosticCode::Conflict
            )
        };
        let later = self.list.split_off(known.min(self.list.len()));
        self.list.extend(later.into_iter().filter(stands));
    }

    /// Sorts by location.
    pub(super) fn sort(&mut self) {
        self.list.sort_by_key(|diagnostic| diagnostic.at.map(|at| (at.source, at.start)));
    }
}

/// The most similar of the names, if one is similar enough to be meant.
pub(super) fn nearest<'n>(found: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    const SIMILAR_ENOUGH: f64 = 0.6;
    names
        .map(|name| (strsim::normalized_damerau_levenshtein(found, name), name))
        .filter(|(similarity, _)| *similarity >= SIMILAR_ENOUGH)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name.to_owned())
}
