//! The delay a proxy adds while half busy: open loop, and the floor at the same rate beside it.
//!
//! Refuses one rate for all: half of what a fast proxy bears would drown a slow one.

use crate::contender::{ClientWire, Contender, Program, Running, Wire};
use crate::load::Report;
use crate::report::{Figures, Spread, print_table};
use crate::stage::Stage;
use crate::unmeasured::Unmeasured;

const WIRES: (Wire, ClientWire) = (Wire::Http1, ClientWire::Http1);

/// A contender and half of its saturation in requests a second.
struct Half {
    running: Running,
    rate: f64,
}

/// One round: the contender, and the floor at the same rate.
struct Pair {
    own: Report,
    floor: Report,
}

type Line = (String, Result<(Half, Vec<Pair>), Unmeasured>);

pub(crate) fn row(stage: &Stage, contenders: &[Contender], figures: &mut Figures) {
    let Some(floor) = contenders.iter().find(|each| each.program == Program::Floor) else { return };
    let floor = match half(stage, floor) {
        Ok(floor) => floor,
        Err(why) => {
            return print_table(
                &["contender", "delay"],
                vec![("floor".into(), figures.missing("floor", &why))],
            );
        }
    };
    let others =
        contenders.iter().filter(|each| !matches!(each.program, Program::Floor | Program::Direct));
    let mut lines: Vec<Line> = others
        .map(|each| {
            (each.program.name().to_owned(), half(stage, each).map(|half| (half, Vec::new())))
        })
        .collect();
    for _ in 0..stage.effort.rounds {
        for (_, state) in &mut lines {
            round(stage, &floor, state);
        }
    }
    print(&lines, figures);
}

fn half(stage: &Stage, contender: &Contender) -> Result<Half, Unmeasured> {
    let running = stage.start(contender, WIRES)?;
    stage.load(running.address, "/", WIRES.1, stage.effort.warm_up)?;
    let full = stage.load(running.address, "/", WIRES.1, stage.effort.warm_up)?;
    Ok(Half { running, rate: full.requests as f64 / full.seconds / 2.0 })
}

fn round(stage: &Stage, floor: &Half, state: &mut Result<(Half, Vec<Pair>), Unmeasured>) {
    let Ok((half, pairs)) = state else { return };
    match pair(stage, floor, half) {
        Ok(pair) => pairs.push(pair),
        Err(why) => *state = Err(why),
    }
}

fn pair(stage: &Stage, floor: &Half, half: &Half) -> Result<Pair, Unmeasured> {
    let floor = stage.load_at(floor.running.address, half.rate)?;
    let own = stage.load_at(half.running.address, half.rate)?;
    let errors = own.errors + floor.errors;
    if errors > 0 {
        return Err(Unmeasured::because(format!("{errors} requests failed, the floor's included")));
    }
    Ok(Pair { own, floor })
}

fn print(lines: &[Line], figures: &mut Figures) {
    let cells = lines.iter().map(|(label, state)| match state {
        Ok((half, pairs)) => (label.clone(), cells(label, half, pairs, figures)),
        Err(why) => (label.clone(), figures.missing(label, why)),
    });
    let head = ["contender", "requests/s", "p50 µs", "p99 µs", "p50 × floor", "p99 × floor"];
    print_table(&head, cells.collect());
}

fn cells(label: &str, half: &Half, pairs: &[Pair], figures: &mut Figures) -> Vec<String> {
    let show = |value: fn(&Pair) -> f64| {
        spread(pairs, value).map_or_else(String::new, |spread| spread.to_string())
    };
    if let Some(spread) = spread(pairs, p99_ratio) {
        figures.set("latency", label, spread.median);
    }
    let p50_micros = show(|pair| pair.own.p50_nanos as f64 / 1e3);
    let p99_micros = show(|pair| pair.own.p99_nanos as f64 / 1e3);
    let p50_ratio = show(|pair| pair.own.p50_nanos as f64 / pair.floor.p50_nanos as f64);
    vec![format!("{:.0}", half.rate), p50_micros, p99_micros, p50_ratio, show(p99_ratio)]
}

fn p99_ratio(pair: &Pair) -> f64 {
    pair.own.p99_nanos as f64 / pair.floor.p99_nanos as f64
}

fn spread(pairs: &[Pair], value: fn(&Pair) -> f64) -> Option<Spread> {
    Spread::of(pairs.iter().map(value).collect())
}
