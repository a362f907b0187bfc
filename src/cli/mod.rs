//! The command line: one file per verb.

pub mod normalise;
pub mod problem;

use std::io::{Read, Write};

/// Where a verb reads and writes: results to `stdout`, everything else to `stderr`.
pub struct Streams<'a> {
    /// Input.
    pub stdin: &'a mut dyn Read,
    /// Results.
    pub stdout: &'a mut dyn Write,
    /// Remarks.
    pub stderr: &'a mut dyn Write,
}

impl std::fmt::Debug for Streams<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}
