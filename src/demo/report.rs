//! The printed report of the tour, and the checks that it collects.

use std::fmt::Display;
use std::io::Write;

use super::client::TourError;

/// Widths of the first two columns of a table row; the third is as wide as its text.
const COLUMN_WIDTHS: (usize, usize) = (22, 34);

/// A statement about what client and vendor saw, and whether it is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub claim: String,
    pub holds: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TourStep {
    pub title: &'static str,
    pub checks: Vec<Check>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TourResult {
    /// In the order of the tour.
    pub steps: Vec<TourStep>,
}

impl TourResult {
    /// Whether there was a step and every check of every step holds.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.steps.is_empty() && self.failed().next().is_none()
    }

    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.steps.iter().flat_map(|step| &step.checks).filter(|check| !check.holds)
    }
}

/// Where the report is printed.
pub struct TourOutput<'a> {
    pub out: &'a mut (dyn Write + Send),
    pub kind: OutputKind,
}

impl std::fmt::Debug for TourOutput<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TourOutput").field("kind", &self.kind).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// A progress line is overwritten by the next line.
    Terminal,
    /// A file or a pipe: each progress line stays.
    Plain,
}

/// Returns to the first column and clears the line.
const CLEAR_LINE: &str = "\r\x1b[K";

pub(super) struct TourReport<'a> {
    output: TourOutput<'a>,
    steps: Vec<TourStep>,
    /// Whether the cursor is at the end of a progress line that the next line overwrites.
    progress_shown: bool,
}

impl<'a> TourReport<'a> {
    pub(super) fn new(output: TourOutput<'a>) -> Self {
        Self { output, steps: Vec::new(), progress_shown: false }
    }

    /// Prints what is happening right now.
    pub(super) fn progress(&mut self, text: impl Display) -> Result<(), TourError> {
        match self.output.kind {
            OutputKind::Plain => self.line(format!("… {text}")),
            OutputKind::Terminal => {
                self.progress_shown = true;
                self.print(&format!("{CLEAR_LINE}   … {text}"))
            }
        }
    }

    pub(super) fn introduction(&mut self, text: &str) -> Result<(), TourError> {
        self.unindented(text)
    }

    pub(super) fn begin_step(&mut self, title: &'static str) -> Result<(), TourError> {
        self.steps.push(TourStep { title, checks: Vec::new() });
        let number = self.steps.len();
        self.unindented(format!("\n{number}  {title}"))
    }

    pub(super) fn line(&mut self, text: impl Display) -> Result<(), TourError> {
        self.unindented(format!("   {text}"))
    }

    pub(super) fn table_header(&mut self) -> Result<(), TourError> {
        self.line("")?;
        self.row("", "the client saw", "the vendor saw")
    }

    pub(super) fn row(
        &mut self,
        action: &str,
        client: impl Display,
        vendor: impl Display,
    ) -> Result<(), TourError> {
        let (first, second) = COLUMN_WIDTHS;
        self.line(format!("{action:first$}{:second$}{vendor}", client.to_string()))
    }

    pub(super) fn check(&mut self, holds: bool, claim: impl Into<String>) -> Result<(), TourError> {
        let claim = claim.into();
        self.line(format!("{}   {claim}", if holds { "ok  " } else { "FAIL" }))?;
        let step = self.steps.last_mut().expect("a check belongs to a step that has begun");
        step.checks.push(Check { claim, holds });
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<TourResult, TourError> {
        let result = TourResult { steps: std::mem::take(&mut self.steps) };
        let all: usize = result.steps.iter().map(|step| step.checks.len()).sum();
        let passed = all - result.failed().count();
        self.unindented(format!("\n{passed} of {all} checks passed"))?;
        Ok(result)
    }

    fn unindented(&mut self, text: impl Display) -> Result<(), TourError> {
        let text = text.to_string();
        let clear = if std::mem::take(&mut self.progress_shown) { CLEAR_LINE } else { "" };
        self.print(&format!("{clear}{}\n", text.trim_end()))
    }

    fn print(&mut self, text: &str) -> Result<(), TourError> {
        let out = &mut self.output.out;
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(TourError::Output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(kind: OutputKind) -> String {
        let mut out = Vec::new();
        let mut report = TourReport::new(TourOutput { out: &mut out, kind });
        report.progress("12 calls wait").unwrap();
        report.progress("11 calls wait").unwrap();
        report.line("all served").unwrap();
        report.line("the end").unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn progress_overwrites_itself_on_a_terminal_and_adds_lines_in_a_file() {
        let plain = "   … 12 calls wait\n   … 11 calls wait\n   all served\n   the end\n";
        assert_eq!(printed(OutputKind::Plain), plain);
        let overwritten = "\r\x1b[K   … 12 calls wait\r\x1b[K   … 11 calls wait\r\x1b[K   all \
                           served\n   the end\n";
        assert_eq!(printed(OutputKind::Terminal), overwritten);
    }

    #[test]
    fn a_result_without_steps_has_not_passed() {
        assert!(!TourResult::default().passed());
    }
}
