//! The result of a scenario: its figures, and every requirement that it did not meet.

use std::fmt::Display;

#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// In the order in which they are printed.
    pub(crate) figures: Vec<String>,
    /// One sentence for each requirement that was not met.
    pub(crate) broken: Vec<String>,
}

impl Report {
    pub(crate) fn figure(&mut self, text: impl Into<String>) {
        self.figures.push(text.into());
    }

    pub(crate) fn at_most<T: Copy + PartialOrd + Display>(&mut self, what: &str, found: T, max: T) {
        if found > max {
            self.broken.push(format!("{what}: {found}, at most {max}"));
        }
    }

    pub(crate) fn at_least<T: Copy + PartialOrd + Display>(
        &mut self,
        what: &str,
        found: T,
        min: T,
    ) {
        if found < min {
            self.broken.push(format!("{what}: {found}, at least {min}"));
        }
    }
}
