//! The latency of a proxy at half of its own saturation, measured in the open loop, and that of the
//! floor at the same rate. One rate for all contenders would overload the slow ones.

use crate::contenders::{ClientProtocol, Contender, Program, Protocols, Running};
use crate::error::MeasureError;
use crate::load::LoadReport;
use crate::report::{Figures, Spread, print_table};
use crate::setup::Setup;

/// A running contender and half of the rate at which it is saturated.
struct HalfLoaded {
    running: Running,
    /// Requests per second.
    rate: f64,
}

/// One measurement of a contender, and of the floor at the same rate.
struct Sample {
    own: LoadReport,
    floor: LoadReport,
}

pub(crate) fn row(setup: &Setup, contenders: &[Contender], figures: &mut Figures) {
    let Some(floor) = contenders.iter().find(|each| each.program == Program::Floor) else { return };
    let floor = match find_rate(setup, floor) {
        Ok(floor) => floor,
        Err(error) => {
            let cells = figures.missing("floor", &error);
            return print_table(&["contender", "delay"], vec![("floor".into(), cells)]);
        }
    };
    let others =
        contenders.iter().filter(|each| !matches!(each.program, Program::Floor | Program::Direct));
    let mut lines: Vec<_> = others
        .map(|each| {
            (each.program.name(), find_rate(setup, each).map(|loaded| (loaded, Vec::new())))
        })
        .collect();
    for _ in 0..setup.parameters.rounds {
        for (_, state) in &mut lines {
            if let Ok((loaded, samples)) = state {
                match sample(setup, &floor, loaded) {
                    Ok(sample) => samples.push(sample),
                    Err(error) => *state = Err(error),
                }
            }
        }
    }
    let cells = lines.iter().map(|(label, state)| match state {
        Ok((loaded, samples)) => {
            if let Some(spread) = spread(samples, p99_ratio) {
                figures.set("latency", label, spread.median);
            }
            ((*label).to_owned(), cells(loaded, samples))
        }
        Err(error) => ((*label).to_owned(), figures.missing(label, error)),
    });
    let head = ["contender", "requests/s", "p50 µs", "p99 µs", "p50 × floor", "p99 × floor"];
    print_table(&head, cells.collect());
}

/// Starts a contender, warms it up, and measures its saturation.
fn find_rate(setup: &Setup, contender: &Contender) -> Result<HalfLoaded, MeasureError> {
    let running = setup.start(contender, Protocols::HTTP1)?;
    let warm_up = setup.parameters.warm_up;
    setup.load(running.address, "/", ClientProtocol::Http1, warm_up)?;
    let saturated = setup.load(running.address, "/", ClientProtocol::Http1, warm_up)?;
    Ok(HalfLoaded { running, rate: saturated.requests as f64 / saturated.seconds / 2.0 })
}

fn sample(setup: &Setup, floor: &HalfLoaded, loaded: &HalfLoaded) -> Result<Sample, MeasureError> {
    let floor = setup.load_at(floor.running.address, loaded.rate)?;
    let own = setup.load_at(loaded.running.address, loaded.rate)?;
    let errors = own.errors + floor.errors;
    if errors > 0 {
        return Err(MeasureError::new(format!("{errors} requests failed, the floor's included")));
    }
    Ok(Sample { own, floor })
}

fn cells(loaded: &HalfLoaded, samples: &[Sample]) -> Vec<String> {
    let show = |value: fn(&Sample) -> f64| {
        spread(samples, value).map_or_else(String::new, |spread| spread.to_string())
    };
    let p50_micros = show(|sample| sample.own.p50_nanos as f64 / 1e3);
    let p99_micros = show(|sample| sample.own.p99_nanos as f64 / 1e3);
    let p50_ratio = show(|sample| sample.own.p50_nanos as f64 / sample.floor.p50_nanos as f64);
    vec![format!("{:.0}", loaded.rate), p50_micros, p99_micros, p50_ratio, show(p99_ratio)]
}

fn p99_ratio(sample: &Sample) -> f64 {
    sample.own.p99_nanos as f64 / sample.floor.p99_nanos as f64
}

fn spread(samples: &[Sample], value: fn(&Sample) -> f64) -> Option<Spread> {
    Spread::of(samples.iter().map(value).collect())
}
