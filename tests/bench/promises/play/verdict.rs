//! What came of one promise: its figures, and every way in which it was broken.

/// The figures of one play, and what broke.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// Figures in the order in which they are printed.
    pub(crate) figures: Vec<String>,
    /// One sentence for each promise that did not hold.
    pub(crate) broken: Vec<String>,
}

impl Verdict {
    /// One more figure.
    pub(crate) fn figure(&mut self, text: impl Into<String>) {
        self.figures.push(text.into());
    }

    /// A promise: where it does not hold, this sentence is its failure.
    pub(crate) fn promise(&mut self, holds: Result<(), String>) {
        self.broken.extend(holds.err());
    }
}

/// A promise that something is at most so much.
pub(crate) fn at_most<T: Copy + PartialOrd + std::fmt::Display>(
    what: &str,
    found: T,
    most: T,
) -> Result<(), String> {
    if found <= most { Ok(()) } else { Err(format!("{what}: {found}, at most {most}")) }
}

/// A promise that something is at least so much.
pub(crate) fn at_least<T: Copy + PartialOrd + std::fmt::Display>(
    what: &str,
    found: T,
    least: T,
) -> Result<(), String> {
    if found >= least { Ok(()) } else { Err(format!("{what}: {found}, at least {least}")) }
}
