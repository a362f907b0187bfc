//! How long a start takes, and how large the binary is.
//!
//! Refuses warm processes: every start is a new one, on whatever core the system gives it.

use std::fs;

use crate::contender::{Contender, Program};
use crate::report::{Figures, Spread, print_table};
use crate::stage::Stage;
use crate::unmeasured::Unmeasured;

const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn row(stage: &Stage, contenders: &[Contender], figures: &mut Figures) {
    let cells = contenders.iter().filter(|each| each.program != Program::Direct).map(|each| {
        let label = each.program.name();
        let cells = match starts(stage, each) {
            Ok(spread) => {
                figures.set("start", label, spread.median);
                vec![spread.to_string()]
            }
            Err(why) => figures.missing(label, &why),
        };
        (label.to_owned(), cells)
    });
    print_table(&["contender", "ready after, ms"], cells.collect());
}

fn starts(stage: &Stage, contender: &Contender) -> Result<Spread, Unmeasured> {
    let once = |_| Ok(stage.start_anywhere(contender)?.ready_after.as_secs_f64() * 1e3);
    let millis = (0..stage.effort.starts).map(once).collect::<Result<Vec<_>, Unmeasured>>()?;
    Spread::of(millis).ok_or_else(|| Unmeasured::because("no start was asked for"))
}

pub(crate) fn size_row(_: &Stage, contenders: &[Contender], figures: &mut Figures) {
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
