//! The time from the start of the process until it is ready, on any core, and the size of the
//! binary.

use std::fs;

use crate::contenders::{Contender, Program};
use crate::error::MeasureError;
use crate::report::{Figures, Spread, print_table};
use crate::setup::Setup;

const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn row(setup: &Setup, contenders: &[Contender], figures: &mut Figures) {
    let cells = contenders.iter().filter(|each| each.program != Program::Direct).map(|each| {
        let label = each.program.name();
        let cells = match start_millis(setup, each) {
            Ok(spread) => {
                figures.set("start", label, spread.median);
                vec![spread.to_string()]
            }
            Err(error) => figures.missing(label, &error),
        };
        (label.to_owned(), cells)
    });
    print_table(&["contender", "ready after, ms"], cells.collect());
}

fn start_millis(setup: &Setup, contender: &Contender) -> Result<Spread, MeasureError> {
    let once = |_| Ok(setup.start_on_any_core(contender)?.ready_after.as_secs_f64() * 1e3);
    let millis =
        (0..setup.parameters.starts).map(once).collect::<Result<Vec<_>, MeasureError>>()?;
    Spread::of(millis).ok_or_else(|| MeasureError::new("no start was measured"))
}

pub(crate) fn size_row(_: &Setup, contenders: &[Contender], figures: &mut Figures) {
    let own = contenders.iter().filter(|each| each.program == Program::Evenkeel);
    let cells = own.map(|each| {
        let label = each.program.name();
        let cells = match fs::metadata(&each.binary) {
            Ok(file) => {
                let mib = file.len() as f64 / MIB;
                figures.set("size", label, mib);
                vec![format!("{mib:.1}")]
            }
            Err(error) => figures.missing(label, &error.into()),
        };
        (label.to_owned(), cells)
    });
    print_table(&["binary", "MiB"], cells.collect());
}
