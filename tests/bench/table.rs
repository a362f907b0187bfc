//! `cargo bench --bench table`: the cost of evenkeel beside a raw relay and its peers.
//!
//! It measures the programs that it finds, without installing or tuning any, prints ratios, and
//! says for each target whether it is met. README.md in this folder describes the method.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is the result")]

mod args;
mod cases;
mod certificates;
mod configs;
mod connection_table;
mod contenders;
mod cpu_rows;
mod error;
mod floor;
mod histogram;
mod http1;
mod hyper_upstream;
mod idle_clients;
mod latency;
mod load;
mod load_h2;
mod measure;
mod memory;
mod process;
mod report;
mod setup;
mod start;
mod targets;
mod upstream;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use args::{Args, Role};
use clap::Parser;
use contenders::{Contender, Program};
use error::MeasureError;
use report::Figures;
use setup::Setup;

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.role {
        Some(role) => run_role(role, &args).map(|()| ExitCode::SUCCESS),
        None => print_rows(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("bench: {error}");
        ExitCode::FAILURE
    })
}

/// Upstreams, floor and load generators are processes of this program, so that their CPU time is
/// separate and each can be bound to a core.
fn run_role(role: Role, args: &Args) -> Result<(), MeasureError> {
    match role {
        Role::Floor => floor::run(args.listen()?, args.target()?),
        Role::Upstream => upstream::run(args.listen()?),
        Role::UpstreamTls => hyper_upstream::run_tls(args.listen()?, &args.folder),
        Role::UpstreamHttp2 => hyper_upstream::run_clear(args.listen()?),
        Role::Idle => idle_clients::run(args.target()?, args.connections),
        Role::Load => print_report(&load::run(&load_plan(args)?)?),
        Role::LoadHttp2 => print_report(&load_h2::run(&load_plan(args)?)?),
    }
}

fn load_plan(args: &Args) -> Result<load::LoadPlan, MeasureError> {
    Ok(load::LoadPlan {
        target: args.target()?,
        path: args.path.clone(),
        connections: args.connections,
        duration: Duration::from_secs_f64(args.seconds),
        interval: args.rate.map(|rate| Duration::from_secs_f64(1.0 / rate)),
    })
}

fn print_report(report: &load::LoadReport) -> Result<(), MeasureError> {
    println!("{}", serde_json::to_string(report)?);
    Ok(())
}

/// Runs the selected rows, then compares the figures with the targets.
fn print_rows(args: &Args) -> Result<ExitCode, MeasureError> {
    let contenders = contenders(args)?;
    let setup = Setup::new(args)?;
    println!("{}", setup.description());
    for contender in contenders.iter().filter(|each| Program::PEERS.contains(&each.program)) {
        println!("- {}: {}", contender.program.name(), contender.version());
    }
    let mut figures = Figures::default();
    for row in ROWS.iter().filter(|row| args.selects_row(row.name)) {
        println!("\n## {}: {}\n", row.name, row.title);
        (row.run)(&setup, &contenders, &mut figures);
    }
    let outcome = targets::print(&figures);
    // A run of all rows and contenders should be able to measure every target.
    let incomplete = args.selects_everything() && outcome.not_measured > 0;
    let failed = args.strict && (outcome.missed > 0 || incomplete);
    Ok(ExitCode::from(u8::from(failed || figures.anything_missing())))
}

struct Row {
    name: &'static str,
    title: &'static str,
    run: fn(&Setup, &[Contender], &mut Figures),
}

const ROWS: &[Row] = &[
    Row {
        name: "pass",
        title: "pass-through, HTTP/1.1 to HTTP/1.1, all defaults on",
        run: cpu_rows::pass,
    },
    Row {
        name: "error",
        title: "a 400 of the upstream normalised, and the same bytes passed as a 200",
        run: cpu_rows::error,
    },
    Row {
        name: "tls",
        title: "TLS to the upstream (the floor relays in clear)",
        run: cpu_rows::tls,
    },
    Row {
        name: "h2-upstream",
        title: "HTTP/2 to the upstream (the floor relays HTTP/1.1)",
        run: cpu_rows::http2_upstream,
    },
    Row {
        name: "h2-client",
        title: "HTTP/2 from the client (the floor relays HTTP/1.1)",
        run: cpu_rows::http2_client,
    },
    Row {
        name: "latency",
        title: "delay at half of each contender's saturation, beside the floor at the same rate",
        run: latency::row,
    },
    Row {
        name: "memory",
        title: "memory at rest, of idle clients, and growth while a large body passes",
        run: memory::row,
    },
    Row { name: "start", title: "from spawning to ready", run: start::row },
    Row { name: "size", title: "the stripped binary", run: start::size_row },
    Row { name: "decisions", title: "pure decisions on the path of a call", run: decisions },
];

fn decisions(_: &Setup, _: &[Contender], figures: &mut Figures) {
    let cells = cases::ALL.iter().map(|case| {
        let cost = measure::measure(case);
        figures.set("decisions", case.name, cost.median);
        (case.name.to_owned(), vec![cost.to_string()])
    });
    report::print_table(&["decision", "ns each"], cells.collect());
}

/// Builds the program as it is shipped. The binary that cargo builds for benchmarks shares features
/// of its libraries with the tests, among them tokio's pausable clock, which costs time in each
/// call.
fn shipped_binary() -> Result<PathBuf, MeasureError> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/target/shipped");
    let build =
        ["build", "--profile", "dist", "--locked", "--bin", "evenkeel", "--target-dir", folder];
    let status = Command::new(env!("CARGO")).args(build).status()?;
    if !status.success() {
        return Err(std::io::Error::other("cargo failed to build the binary").into());
    }
    Ok(PathBuf::from(folder).join("dist/evenkeel"))
}

/// The selected contenders; the floor is always among them.
fn contenders(args: &Args) -> Result<Vec<Contender>, MeasureError> {
    let own = std::env::current_exe()?;
    let evenkeel = shipped_binary()?;
    let mut all = vec![
        Contender { program: Program::Floor, binary: own.clone() },
        Contender { program: Program::Direct, binary: own },
        Contender { program: Program::Evenkeel, binary: evenkeel },
    ];
    let baseline = args.baseline.clone();
    all.extend(baseline.map(|binary| Contender { program: Program::Baseline, binary }));
    all.extend(contenders::peers_found());
    all.retain(|contender| {
        contender.program == Program::Floor || args.selects_program(contender.program.name())
    });
    Ok(all)
}
