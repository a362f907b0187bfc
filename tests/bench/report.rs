//! Medians with their spread, tables, and the figures that are compared with the targets. Values
//! are rounded only when they are printed.

use std::collections::BTreeMap;
use std::fmt;

use crate::contenders::Program;
use crate::error::MeasureError;

pub(crate) struct Spread {
    pub(crate) median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    /// `None` if there are no values. Of two middle values the lower is the median.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        Some(Self { median: values[(values.len() - 1) / 2], min, max })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.2} ({:.2}–{:.2})", self.median, self.min, self.max)
    }
}

/// What was measured, by row and label, for the comparison with the targets.
#[derive(Default)]
pub(crate) struct Figures {
    values: BTreeMap<(&'static str, String), f64>,
    missing: bool,
}

impl Figures {
    pub(crate) fn set(&mut self, row: &'static str, label: &str, value: f64) {
        self.values.insert((row, label.to_owned()), value);
    }

    pub(crate) fn value(&self, row: &'static str, label: &str) -> Option<f64> {
        self.values.get(&(row, label.to_owned())).copied()
    }

    /// Records that a line has no figure, and returns its cells. This is a failure of the run
    /// unless the line is a peer's, which may be unable to do what the row asks.
    pub(crate) fn missing(&mut self, label: &str, error: &MeasureError) -> Vec<String> {
        let peer = Program::PEERS.iter().any(|peer| label.starts_with(peer.name()));
        self.missing |= !peer;
        vec![format!("not measured: {error}")]
    }

    /// Whether the floor or evenkeel could not be measured in some row.
    pub(crate) fn anything_missing(&self) -> bool {
        self.missing
    }
}

/// Prints a table in Markdown; short rows are filled with empty cells.
pub(crate) fn print_table(head: &[&str], rows: Vec<(String, Vec<String>)>) {
    println!("| {} |", head.join(" | "));
    println!("|{}", " --- |".repeat(head.len()));
    for (label, mut cells) in rows {
        cells.resize(head.len() - 1, String::new());
        println!("| {label} | {} |", cells.join(" | "));
    }
}
