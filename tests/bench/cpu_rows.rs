//! The rows about CPU time per request. In each round every variant is measured once.
//!
//! A sample with failed requests does not count: the cost per request would mean nothing.

use crate::contenders::{ClientProtocol, Contender, Program, Protocols, Running, UpstreamProtocol};
use crate::error::MeasureError;
use crate::http1;
use crate::load::LoadReport;
use crate::measure::now;
use crate::process::{Process, core_busy_nanos};
use crate::report::{Figures, Spread, print_table};
use crate::setup::Setup;
use crate::upstream::{ERROR_BODY, OK_BODY};

/// The answer that a variant must give.
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
    protocols: Protocols,
    path: &'static str,
    expected: Expected,
}

impl Variant {
    fn small_answer(contender: &Contender, protocols: Protocols) -> Self {
        Self {
            label: contender.program.name().to_owned(),
            contender: contender.clone(),
            protocols,
            path: "/",
            expected: Expected::Body(200, OK_BODY),
        }
    }
}

/// One measurement of one variant.
struct Sample {
    cpu_nanos: f64,
    rate: f64,
    /// The shares of the core that the proxy and other programs used.
    busy: f64,
    others: f64,
    /// At saturation: the delay of a closed loop over all connections.
    p99_micros: f64,
}

/// The samples of one variant, or why it could not be measured.
struct Line {
    label: String,
    samples: Result<Vec<Sample>, MeasureError>,
}

/// The lines of the error row.
pub(crate) const NORMALISED: &str = "evenkeel, normalised";
const PASSED_AS_200: &str = "evenkeel, passed as 200";
const BASELINE_NORMALISED: &str = "baseline, normalised";

pub(crate) fn pass(setup: &Setup, contenders: &[Contender], figures: &mut Figures) {
    let variants =
        contenders.iter().map(|each| Variant::small_answer(each, Protocols::HTTP1)).collect();
    print("pass", &measure(setup, variants), figures);
}

pub(crate) fn tls(setup: &Setup, contenders: &[Contender], figures: &mut Figures) {
    let protocols = Protocols { upstream: UpstreamProtocol::Tls, ..Protocols::HTTP1 };
    let variants = beside_plain_floor(contenders, protocols);
    print("tls", &measure(setup, variants), figures);
}

pub(crate) fn http2_upstream(setup: &Setup, contenders: &[Contender], figures: &mut Figures) {
    let protocols = Protocols { upstream: UpstreamProtocol::Http2, ..Protocols::HTTP1 };
    let variants = beside_plain_floor(contenders, protocols);
    print("h2-upstream", &measure(setup, variants), figures);
}

pub(crate) fn http2_client(setup: &Setup, contenders: &[Contender], figures: &mut Figures) {
    let protocols = Protocols { client: ClientProtocol::Http2, ..Protocols::HTTP1 };
    let variants = beside_plain_floor(contenders, protocols);
    print("h2-client", &measure(setup, variants), figures);
}

/// All contenders with these protocols, except that the floor, as the unit, stays on HTTP/1.1.
fn beside_plain_floor(contenders: &[Contender], protocols: Protocols) -> Vec<Variant> {
    let variant = |each: &Contender| match each.program {
        Program::Direct => None,
        Program::Floor => Some(Variant::small_answer(each, Protocols::HTTP1)),
        Program::Evenkeel
        | Program::Baseline
        | Program::Nginx
        | Program::Haproxy
        | Program::Envoy
        | Program::Traefik
        | Program::Caddy => Some(Variant::small_answer(each, protocols)),
    };
    contenders.iter().filter_map(variant).collect()
}

pub(crate) fn error(setup: &Setup, contenders: &[Contender], figures: &mut Figures) {
    let mut variants = Vec::new();
    let mut add = |label: &str, program, path, expected| {
        if let Some(contender) = contenders.iter().find(|each| each.program == program) {
            variants.push(Variant {
                label: label.into(),
                contender: contender.clone(),
                protocols: Protocols::HTTP1,
                path,
                expected,
            });
        }
    };
    add("floor", Program::Floor, "/error", Expected::Body(400, ERROR_BODY));
    add(PASSED_AS_200, Program::Evenkeel, "/error-as-200", Expected::Body(200, ERROR_BODY));
    add(NORMALISED, Program::Evenkeel, "/error", Expected::Problem);
    add(BASELINE_NORMALISED, Program::Baseline, "/error", Expected::Problem);
    let lines = measure(setup, variants);
    print("error", &lines, figures);
    if let Some(normalised) = samples(&lines, NORMALISED)
        && let Some(passed) = samples(&lines, PASSED_AS_200)
        && let Some(spread) = Spread::of(ratios(normalised, passed, |sample| sample.cpu_nanos))
    {
        println!("\nNormalising the 400 costs {spread} × passing the same bytes.");
        figures.set("normalising", NORMALISED, spread.median);
    }
}

/// Starts all variants, then measures them in rounds, each of which begins with another variant.
fn measure(setup: &Setup, variants: Vec<Variant>) -> Vec<Line> {
    let mut entries: Vec<_> = variants
        .into_iter()
        .map(|variant| {
            let running = prepare(setup, &variant).map(|running| (running, Vec::new()));
            (variant, running)
        })
        .collect();
    for round in 0..setup.parameters.rounds {
        for turn in 0..entries.len() {
            let index = (turn + round) % entries.len();
            let (variant, state) = &mut entries[index];
            if let Ok((running, samples)) = state {
                match sample(setup, variant, running) {
                    Ok(sample) => samples.push(sample),
                    Err(error) => *state = Err(error),
                }
            }
        }
    }
    entries
        .into_iter()
        .map(|(variant, state)| Line {
            label: variant.label,
            samples: state.map(|(_, samples)| samples),
        })
        .collect()
}

/// Starts a variant, checks one answer, and warms it up.
fn prepare(setup: &Setup, variant: &Variant) -> Result<Running, MeasureError> {
    let Variant { contender, protocols, path, .. } = variant;
    let running = setup.start(contender, *protocols)?;
    if contender.program.accepts_http1(protocols.client) {
        check_answer(&running, variant)?;
    }
    let warm_up = setup.parameters.warm_up;
    let report = setup.load(running.address, path, protocols.client, warm_up)?;
    check_report(&report, variant)?;
    Ok(running)
}

fn check_answer(running: &Running, variant: &Variant) -> Result<(), MeasureError> {
    let path = variant.path;
    let answer = http1::fetch(running.address, path)?;
    let status = answer.status;
    let as_expected = match variant.expected {
        // The body may be chunked: a small one is in a single chunk.
        Expected::Body(expected, body) => {
            let mut windows = answer.bytes.windows(body.len());
            status == expected && windows.any(|window| window == body.as_bytes())
        }
        Expected::Problem => (400..600).contains(&status) && answer.is_problem(),
    };
    if as_expected {
        return Ok(());
    }
    Err(MeasureError::new(format!(
        "the answer to {path} is not the expected one (status {status})"
    )))
}

fn sample(setup: &Setup, variant: &Variant, running: &Running) -> Result<Sample, MeasureError> {
    let cpu = || running.process.as_ref().map_or(Ok(0.0), Process::cpu_nanos);
    let client = variant.protocols.client;
    let (start, cpu_before, core_before) = (now(), cpu()?, core_busy_nanos(setup.proxy_core)?);
    let report = setup.load(running.address, variant.path, client, setup.parameters.sample)?;
    let used = cpu()? - cpu_before;
    let core_used = core_busy_nanos(setup.proxy_core)? - core_before;
    let elapsed = start.elapsed().as_secs_f64() * 1e9;
    check_report(&report, variant)?;
    let requests = report.requests as f64;
    Ok(Sample {
        cpu_nanos: used / requests,
        rate: requests / report.seconds,
        busy: used / elapsed,
        others: ((core_used - used) / elapsed).max(0.0),
        p99_micros: report.p99_nanos as f64 / 1e3,
    })
}

/// Fails if a request failed or was answered with an unexpected status.
fn check_report(report: &LoadReport, variant: &Variant) -> Result<(), MeasureError> {
    if report.errors > 0 {
        let (errors, requests) = (report.errors, report.requests);
        return Err(MeasureError::new(format!("{errors} requests failed, {requests} succeeded")));
    }
    let as_expected = |status: &u16| match variant.expected {
        Expected::Body(expected, _) => *status == expected,
        Expected::Problem => *status >= 400,
    };
    match report.statuses.iter().find(|(status, _)| !as_expected(status)) {
        None => Ok(()),
        Some((status, count)) => {
            Err(MeasureError::new(format!("{count} answers had status {status}")))
        }
    }
}

fn print(row: &'static str, lines: &[Line], figures: &mut Figures) {
    let floor = samples(lines, "floor").unwrap_or_default();
    let cells = lines.iter().map(|line| {
        let cells = match &line.samples {
            Ok(samples) => {
                let (cells, cpu) = cells(samples, floor);
                if let Some(cpu) = cpu {
                    figures.set(row, &line.label, cpu);
                }
                cells
            }
            Err(error) => figures.missing(&line.label, error),
        };
        (line.label.clone(), cells)
    });
    let head = [
        "contender",
        "CPU per request",
        "throughput",
        "p99 µs",
        "busy on its core",
        "others there",
    ];
    print_table(&head, cells.collect());
    let micros = Spread::of(floor.iter().map(|sample| sample.cpu_nanos / 1e3).collect());
    if let Some(micros) = micros {
        println!("\nThe floor's 1.00 was {micros} µs of CPU time per request.");
    }
}

/// The cells of a line and the median of its CPU time beside the floor's, if it has a process.
fn cells(samples: &[Sample], floor: &[Sample]) -> (Vec<String>, Option<f64>) {
    let show =
        |spread: &Option<Spread>| spread.as_ref().map_or_else(|| "–".into(), Spread::to_string);
    let rate = Spread::of(ratios(samples, floor, |sample| sample.rate));
    let p99 = Spread::of(samples.iter().map(|sample| sample.p99_micros).collect());
    if samples.iter().all(|sample| sample.cpu_nanos == 0.0) {
        return (vec!["none".into(), show(&rate), show(&p99), "–".into()], None);
    }
    let cpu = Spread::of(ratios(samples, floor, |sample| sample.cpu_nanos));
    let percent = |value: fn(&Sample) -> f64| {
        let spread = Spread::of(samples.iter().map(value).collect());
        spread.map_or_else(String::new, |spread| format!("{:.0} %", spread.median * 100.0))
    };
    let (busy, others) = (percent(|sample| sample.busy), percent(|sample| sample.others));
    (vec![show(&cpu), show(&rate), show(&p99), busy, others], cpu.map(|cpu| cpu.median))
}

fn samples<'a>(lines: &'a [Line], label: &str) -> Option<&'a [Sample]> {
    lines.iter().find(|line| line.label == label)?.samples.as_deref().ok()
}

/// Ratios within each round, so that what slows the whole machine for a while cancels out.
fn ratios(samples: &[Sample], unit: &[Sample], value: fn(&Sample) -> f64) -> Vec<f64> {
    samples.iter().zip(unit).map(|(sample, unit)| value(sample) / value(unit)).collect()
}
