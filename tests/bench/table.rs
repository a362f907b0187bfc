//! `cargo bench --bench table`: what evenkeel costs beside a raw relay and beside its peers.
//!
//! It measures the programs it finds, without installing or tuning any, prints ratios, and states
//! for each target whether it was met. README.md in this folder describes the method.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is the result")]

mod args;
mod cases;
mod certificates;
mod configs;
mod contender;
mod histogram;
mod http1;
mod idle;
mod latency;
mod load;
mod load_h2;
mod measure;
mod memory;
mod process;
mod relay;
mod report;
mod rows;
mod slab;
mod stage;
mod start;
mod targets;
mod unmeasured;
mod upstream;
mod upstream_hyper;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use args::{Args, Role};
use clap::Parser;
use contender::{Contender, Program};
use report::Figures;
use stage::Stage;
use unmeasured::Unmeasured;

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.role {
        Some(role) => play(role, &args).map(|()| ExitCode::SUCCESS),
        None => table(&args),
    };
    done.unwrap_or_else(|why| {
        eprintln!("bench: {why}");
        ExitCode::FAILURE
    })
}

/// Does the part of one process of the comparison.
fn play(role: Role, args: &Args) -> Result<(), Unmeasured> {
    match role {
        Role::Floor => relay::run(args.listen()?, args.target()?),
        Role::Upstream => upstream::run(args.listen()?),
        Role::UpstreamTls => upstream_hyper::run_tls(args.listen()?, &args.folder),
        Role::UpstreamHttp2 => upstream_hyper::run_clear(args.listen()?),
        Role::Idle => idle::run(args.target()?, args.connections),
        Role::Load => say(&load::run(&plan(args)?)?),
        Role::LoadHttp2 => say(&load_h2::run(&plan(args)?)?),
    }
}

fn plan(args: &Args) -> Result<load::Plan, Unmeasured> {
    Ok(load::Plan {
        target: args.target()?,
        path: args.path.clone(),
        connections: args.connections,
        span: Duration::from_secs_f64(args.seconds),
        interval: args.rate.map(|rate| Duration::from_secs_f64(1.0 / rate)),
    })
}

fn say(report: &load::Report) -> Result<(), Unmeasured> {
    println!("{}", serde_json::to_string(report)?);
    Ok(())
}

/// Runs the rows asked for and prints the table, then the targets.
fn table(args: &Args) -> Result<ExitCode, Unmeasured> {
    let contenders = contenders(args)?;
    let stage = Stage::set(args)?;
    println!("{}", stage.method());
    for contender in contenders.iter().filter(|each| Program::PEERS.contains(&each.program)) {
        println!("- {}: {}", contender.program.name(), contender.version());
    }
    let mut figures = Figures::default();
    for row in ROWS.iter().filter(|row| args.wants(row.name)) {
        println!("\n## {}: {}\n", row.name, row.title);
        (row.run)(&stage, &contenders, &mut figures);
    }
    let failed = strictly_failed(args, &targets::print(&figures)) || figures.anything_missing();
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Under `--strict` a target must be met; one that a whole run could not measure is not.
fn strictly_failed(args: &Args, outcome: &targets::Outcome) -> bool {
    args.strict && (outcome.missed > 0 || (args.asks_for_everything() && outcome.not_measured > 0))
}

struct Row {
    name: &'static str,
    title: &'static str,
    run: fn(&Stage, &[Contender], &mut Figures),
}

const ROWS: &[Row] = &[
    Row {
        name: "pass",
        title: "pass-through, HTTP/1.1 to HTTP/1.1, all defaults on",
        run: rows::pass,
    },
    Row {
        name: "error",
        title: "an upstream's 400 normalised, and the same bytes passed as a 200",
        run: rows::error,
    },
    Row { name: "tls", title: "TLS to the upstream (the floor relays in clear)", run: rows::tls },
    Row {
        name: "h2-upstream",
        title: "HTTP/2 to the upstream (the floor relays HTTP/1.1)",
        run: rows::http2_upstream,
    },
    Row {
        name: "h2-client",
        title: "HTTP/2 from the client (the floor relays HTTP/1.1)",
        run: rows::http2_client,
    },
    Row {
        name: "latency",
        title: "delay at half of each one's saturation, beside the floor at the same rate",
        run: latency::row,
    },
    Row {
        name: "memory",
        title: "memory at rest, of idle clients, and growth while a large body passes",
        run: memory::row,
    },
    Row { name: "start", title: "from spawning to ready", run: start::row },
    Row { name: "size", title: "the stripped binary", run: start::size_row },
    Row { name: "decisions", title: "what pure hot decisions cost", run: decisions },
];

fn decisions(_: &Stage, _: &[Contender], figures: &mut Figures) {
    let cells = cases::ALL.iter().map(|case| {
        let cost = measure::measure(case);
        figures.set("decisions", case.name, cost.median);
        (case.name.to_owned(), vec![cost.to_string()])
    });
    report::print_table(&["decision", "ns each"], cells.collect());
}

/// The program as it is shipped.
///
/// cargo offers benches a binary too, but one that shares its libraries with the tests: with
/// tokio's pausable clock in it, which costs every call.
fn shipped_binary() -> Result<PathBuf, Unmeasured> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/target/shipped");
    let build =
        ["build", "--profile", "dist", "--locked", "--bin", "evenkeel", "--target-dir", folder];
    let status = Command::new(env!("CARGO")).args(build).status()?;
    if !status.success() {
        return Err(std::io::Error::other("cargo could not build the binary").into());
    }
    Ok(PathBuf::from(folder).join("dist/evenkeel"))
}

/// The floor, no proxy at all, evenkeel, and the peers found; those asked for.
fn contenders(args: &Args) -> Result<Vec<Contender>, Unmeasured> {
    let own = std::env::current_exe()?;
    let evenkeel = shipped_binary()?;
    let mut all = vec![
        Contender { program: Program::Floor, binary: own.clone() },
        Contender { program: Program::Direct, binary: own },
        Contender { program: Program::Evenkeel, binary: evenkeel },
    ];
    let baseline = args.baseline.clone();
    all.extend(baseline.map(|binary| Contender { program: Program::Baseline, binary }));
    all.extend(contender::peers_found());
    all.retain(|contender| {
        contender.program == Program::Floor || args.wants_program(contender.program.name())
    });
    Ok(all)
}
