//! Medians with their spread, tables, and the figures that are compared with the targets. Only what
//! is printed is rounded.

use std::collections::BTreeMap;
use std::fmt;

use crate::contender::Program;
use crate::unmeasured::Unmeasured;

/// A median with the least and the greatest value.
pub(crate) struct Spread {
    pub(crate) median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    /// The spread of some values, if there are any; the lower of the two middle ones is the median.
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

/// What was measured, by row and line, for the list of targets.
#[derive(Default)]
pub(crate) struct Figures {
    values: BTreeMap<(&'static str, String), f64>,
    missing: bool,
}

impl Figures {
    /// Keeps a figure.
    pub(crate) fn set(&mut self, row: &'static str, label: &str, value: f64) {
        self.values.insert((row, label.to_owned()), value);
    }

    /// A figure kept before.
    pub(crate) fn of(&self, row: &'static str, label: &str) -> Option<f64> {
        self.values.get(&(row, label.to_owned())).copied()
    }

    /// Notes that a line has no figure, and returns its cells. A peer may be unable to do
    /// something; the floor and evenkeel may not.
    pub(crate) fn missing(&mut self, label: &str, why: &Unmeasured) -> Vec<String> {
        let peer = Program::PEERS.iter().any(|peer| label.starts_with(peer.name()));
        self.missing |= !peer;
        vec![format!("not measured: {why}")]
    }

    /// Whether the floor or evenkeel could not be measured somewhere.
    pub(crate) fn anything_missing(&self) -> bool {
        self.missing
    }
}

/// Prints a table in Markdown; rows with fewer cells are filled up.
pub(crate) fn print_table(head: &[&str], rows: Vec<(String, Vec<String>)>) {
    println!("| {} |", head.join(" | "));
    println!("|{}", " --- |".repeat(head.len()));
    for (label, mut cells) in rows {
        cells.resize(head.len() - 1, String::new());
        println!("| {label} | {} |", cells.join(" | "));
    }
}
