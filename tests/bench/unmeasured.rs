//! Why something could not be measured, as a sentence for the table.

use std::fmt;

/// The reason a figure is missing.
#[derive(Clone, Debug)]
pub(crate) struct Unmeasured(String);

impl Unmeasured {
    /// The reason in words.
    pub(crate) fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Unmeasured {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Unmeasured {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
