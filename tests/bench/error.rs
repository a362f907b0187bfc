//! Why something could not be measured. The table prints the text.

use std::fmt;

#[derive(Clone, Debug)]
pub(crate) struct MeasureError(String);

impl MeasureError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for MeasureError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for MeasureError {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
