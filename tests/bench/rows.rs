//! The rows about CPU time per request: every variant once a round, interleaved.
//!
//! Refuses samples with errors in them: a proxy that fails requests has no cost per request.

use crate::contender::{ClientWire, Contender, Program, Running, Wire};
use crate::http1;
use crate::load::Report;
use crate::measure::now;
use crate::process::{Process, core_busy_nanos};
use crate::report::{Figures, Spread, print_table};
use crate::stage::Stage;
use crate::unmeasured::Unmeasured;
use crate::upstream::{ERROR_BODY, OK_BODY};

/// What an answer must be, or the variant is not what it is called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// This status and exactly these bytes.
    Body(u16, &'static str),
    /// One of the gateway's problems.
    Problem,
}

/// One line of a row.
struct Variant {
    label: String,
    contender: Contender,
    wires: (Wire, ClientWire),
    path: &'static str,
    expected: Expected,
}

/// One measurement of one variant.
struct Sample {
    cpu_nanos: f64,
    rate: f64,
    /// The share of the span that the proxy used of its core, and that others took from it.
    busy: f64,
    others: f64,
}

/// A variant under measurement, or why it is not.
type Entry = (Variant, Result<(Running, Vec<Sample>), Unmeasured>);
type Line = (String, Result<Vec<Sample>, Unmeasured>);

const PASSED: Expected = Expected::Body(200, OK_BODY);
/// The lines of the error row.
pub(crate) const NORMALISED: &str = "evenkeel, normalised";
const PASSED_AS_200: &str = "evenkeel, passed as 200";
const BASELINE_NORMALISED: &str = "baseline, normalised";

pub(crate) fn pass(stage: &Stage, contenders: &[Contender], figures: &mut Figures) {
    let variants =
        contenders.iter().map(|each| variant(each, (Wire::Http1, ClientWire::Http1))).collect();
    print("pass", &measure(stage, variants), figures);
}

pub(crate) fn tls(stage: &Stage, contenders: &[Contender], figures: &mut Figures) {
    between("tls", (Wire::Tls, ClientWire::Http1), (stage, contenders), figures);
}

pub(crate) fn http2_upstream(stage: &Stage, contenders: &[Contender], figures: &mut Figures) {
    between("h2-upstream", (Wire::Http2, ClientWire::Http1), (stage, contenders), figures);
}

pub(crate) fn http2_client(stage: &Stage, contenders: &[Contender], figures: &mut Figures) {
    between("h2-client", (Wire::Http1, ClientWire::Http2), (stage, contenders), figures);
}

/// A row between other wires; the floor stays on HTTP/1.1, since it is the unit.
fn between(
    row: &'static str,
    wires: (Wire, ClientWire),
    (stage, contenders): (&Stage, &[Contender]),
    figures: &mut Figures,
) {
    let line = |each: &Contender| match each.program {
        Program::Direct => None,
        Program::Floor => Some(variant(each, (Wire::Http1, ClientWire::Http1))),
        Program::Evenkeel
        | Program::Baseline
        | Program::Nginx
        | Program::Haproxy
        | Program::Envoy
        | Program::Traefik
        | Program::Caddy => Some(variant(each, wires)),
    };
    print(row, &measure(stage, contenders.iter().filter_map(line).collect()), figures);
}

fn variant(contender: &Contender, wires: (Wire, ClientWire)) -> Variant {
    let label = contender.program.name().to_owned();
    Variant { label, contender: contender.clone(), wires, path: "/", expected: PASSED }
}

pub(crate) fn error(stage: &Stage, contenders: &[Contender], figures: &mut Figures) {
    let find = |program| contenders.iter().find(|each| each.program == program);
    let mut variants = Vec::new();
    let mut add = |label: &str, program, path, expected| {
        if let Some(contender) = find(program) {
            let wires = (Wire::Http1, ClientWire::Http1);
            variants.push(Variant {
                label: label.into(),
                contender: contender.clone(),
                wires,
                path,
                expected,
            });
        }
    };
    add("floor", Program::Floor, "/error", Expected::Body(400, ERROR_BODY));
    add(PASSED_AS_200, Program::Evenkeel, "/error-as-200", Expected::Body(200, ERROR_BODY));
    add(NORMALISED, Program::Evenkeel, "/error", Expected::Problem);
    add(BASELINE_NORMALISED, Program::Baseline, "/error", Expected::Problem);
    let lines = measure(stage, variants);
    print("error", &lines, figures);
    print_normalising(&lines, figures);
}

fn print_normalising(lines: &[Line], figures: &mut Figures) {
    let (Some(normalised), Some(passed)) =
        (samples(lines, NORMALISED), samples(lines, PASSED_AS_200))
    else {
        return;
    };
    if let Some(spread) = Spread::of(ratios(normalised, passed, |sample| sample.cpu_nanos)) {
        println!("\nNormalising the 400 costs {spread} × passing the same bytes.");
        figures.set("normalising", NORMALISED, spread.median);
    }
}

/// Starts every variant, then measures them round by round, each round from another first one.
fn measure(stage: &Stage, variants: Vec<Variant>) -> Vec<Line> {
    let mut ready: Vec<Entry> = variants
        .into_iter()
        .map(|variant| {
            let running = prepare(stage, &variant).map(|running| (running, Vec::new()));
            (variant, running)
        })
        .collect();
    for round in 0..stage.effort.rounds {
        for turn in 0..ready.len() {
            let at = (turn + round) % ready.len();
            let (variant, state) = &mut ready[at];
            if let Ok((running, samples)) = state {
                match sample(stage, variant, running) {
                    Ok(sample) => samples.push(sample),
                    Err(why) => *state = Err(why),
                }
            }
        }
    }
    ready
        .into_iter()
        .map(|(variant, state)| (variant.label, state.map(|(_, samples)| samples)))
        .collect()
}

/// Starts a variant, looks at one answer, warms up.
fn prepare(stage: &Stage, variant: &Variant) -> Result<Running, Unmeasured> {
    let running = stage.start(&variant.contender, variant.wires)?;
    if variant.contender.program.hears_http1(variant.wires.1) {
        look(&running, variant)?;
    }
    let report =
        stage.load(running.address, variant.path, variant.wires.1, stage.effort.warm_up)?;
    flawless(&report, variant)?;
    Ok(running)
}

fn look(running: &Running, variant: &Variant) -> Result<(), Unmeasured> {
    let answer = http1::ask(running.address, variant.path)?;
    let status = answer.status;
    let good = match variant.expected {
        // The body may arrive in chunks; its bytes are in the answer all the same.
        Expected::Body(wanted, body) => {
            status == wanted && contains(&answer.bytes, body.as_bytes())
        }
        Expected::Problem => (400..600).contains(&status) && answer.is_problem(),
    };
    if good {
        Ok(())
    } else {
        Err(Unmeasured::because(format!(
            "answers {} with {status} and other bytes than it should",
            variant.path
        )))
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn sample(stage: &Stage, variant: &Variant, running: &Running) -> Result<Sample, Unmeasured> {
    let cpu = || running.process.as_ref().map_or(Ok(0.0), Process::cpu_nanos);
    let (start, before, core_before) = (now(), cpu()?, core_busy_nanos(stage.proxy_core)?);
    let report = stage.load(running.address, variant.path, variant.wires.1, stage.effort.span)?;
    let (spent, core) = (cpu()? - before, core_busy_nanos(stage.proxy_core)? - core_before);
    let elapsed = start.elapsed().as_secs_f64() * 1e9;
    flawless(&report, variant)?;
    let requests = report.requests as f64;
    Ok(Sample {
        cpu_nanos: spent / requests,
        rate: requests / report.seconds,
        busy: spent / elapsed,
        others: ((core - spent) / elapsed).max(0.0),
    })
}

fn flawless(report: &Report, variant: &Variant) -> Result<(), Unmeasured> {
    if report.errors > 0 {
        let (errors, requests) = (report.errors, report.requests);
        return Err(Unmeasured::because(format!(
            "{errors} requests failed beside {requests} answered"
        )));
    }
    let as_expected = |status: &u16| match variant.expected {
        Expected::Body(wanted, _) => *status == wanted,
        Expected::Problem => *status >= 400,
    };
    match report.statuses.iter().find(|(status, _)| !as_expected(status)) {
        None => Ok(()),
        Some((status, count)) => {
            Err(Unmeasured::because(format!("{count} answers had status {status}")))
        }
    }
}

fn print(row: &'static str, lines: &[Line], figures: &mut Figures) {
    let floor = samples(lines, "floor").unwrap_or_default();
    let cells = lines.iter().map(|(label, outcome)| match outcome {
        Ok(samples) => (label.clone(), cells((row, label), samples, floor, figures)),
        Err(why) => (label.clone(), figures.missing(label, why)),
    });
    let head = ["contender", "CPU per request", "throughput", "busy on its core", "others there"];
    print_table(&head, cells.collect());
    let micros = Spread::of(floor.iter().map(|sample| sample.cpu_nanos / 1e3).collect());
    if let Some(micros) = micros {
        println!("\nThe floor's 1.00 was {micros} µs of CPU time per request.");
    }
}

fn cells(
    (row, label): (&'static str, &str),
    samples: &[Sample],
    floor: &[Sample],
    figures: &mut Figures,
) -> Vec<String> {
    let show =
        |spread: Option<Spread>| spread.map_or_else(|| "–".into(), |spread| spread.to_string());
    let rate = Spread::of(ratios(samples, floor, |sample| sample.rate));
    if samples.iter().all(|sample| sample.cpu_nanos == 0.0) {
        return vec!["none".into(), show(rate), "–".into()];
    }
    let cpu = Spread::of(ratios(samples, floor, |sample| sample.cpu_nanos));
    if let Some(cpu) = &cpu {
        figures.set(row, label, cpu.median);
    }
    let percent = |value: fn(&Sample) -> f64| {
        let spread = Spread::of(samples.iter().map(value).collect());
        spread.map_or_else(String::new, |spread| format!("{:.0} %", spread.median * 100.0))
    };
    vec![show(cpu), show(rate), percent(|sample| sample.busy), percent(|sample| sample.others)]
}

fn samples<'a>(lines: &'a [Line], label: &str) -> Option<&'a [Sample]> {
    let (_, outcome) = lines.iter().find(|(name, _)| name == label)?;
    outcome.as_deref().ok()
}

/// Round by round, so that what slows the whole machine for a while cancels out.
fn ratios(samples: &[Sample], unit: &[Sample], value: fn(&Sample) -> f64) -> Vec<f64> {
    samples.iter().zip(unit).map(|(sample, unit)| value(sample) / value(unit)).collect()
}
