//! `cargo bench --bench promises`: the gateway's promises under load, with the real program over
//! sockets.
//!
//! It prints what vendors and clients counted, and fails if a promise was broken. README.md in the
//! folder above describes the output.

#![expect(clippy::print_stdout, reason = "the report is the result")]

mod scenario;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use evenkeel::clock::Clock;
use evenkeel::time::Moment;
use scenario::outage::{Down, DownScenario, MaintenanceScenario, run_down, run_maintenance};
use scenario::report::Report;
use scenario::{delivery, waiting, windows};

/// Tests the gateway's promises under load.
#[derive(Parser, Debug)]
#[command(name = "cargo bench --bench promises --")]
struct Args {
    /// Run only the scenarios whose name contains this.
    name: Option<String>,
    /// How many times faster than real time the vendor's windows and latency run.
    #[arg(long, default_value_t = 10)]
    scale: u32,
    /// Whole windows after the first.
    #[arg(long, default_value_t = 3)]
    windows: u32,
    /// POSTs to the vendor that drops connections.
    #[arg(long, default_value_t = 100_000)]
    posts: u64,
    /// Passed by cargo; ignored.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The use required if clients leave during the exchange: the `linger` of a second is not scaled.
const LEAVING_USE_MIN: f64 = 0.95;

struct Scenario {
    name: String,
    run: Box<dyn Fn() -> Report>,
}

impl Scenario {
    fn new(name: impl Into<String>, run: impl Fn() -> Report + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut scenarios = windows_scenarios(&args);
    scenarios.extend(other_scenarios(args.posts));
    let part = args.name.as_deref();
    scenarios.retain(|scenario| part.is_none_or(|part| scenario.name.contains(part)));
    println!("windows of 60 s, latency 0-200 ms, both {} times faster", args.scale);
    let failures = scenarios.iter().filter(|scenario| !passes(scenario)).count();
    println!("\n{} scenarios, {failures} with a broken promise", scenarios.len());
    ExitCode::from(u8::from(failures > 0 || scenarios.is_empty()))
}

/// Runs a scenario and prints its report.
fn passes(scenario: &Scenario) -> bool {
    let clock = Clock::start();
    let report = (scenario.run)();
    let took = clock.now().since(Moment::START).as_secs_f64();
    let word = if report.broken.is_empty() { "pass" } else { "FAIL" };
    println!("\n{word}  {}  ({took:.1} s)", scenario.name);
    report.figures.iter().for_each(|figure| println!("      {figure}"));
    report.broken.iter().for_each(|broken| println!("   !  {broken}"));
    report.broken.is_empty()
}

fn windows_scenarios(args: &Args) -> Vec<Scenario> {
    let usual = |limit, spread| windows::Scenario {
        scale: args.scale,
        windows: args.windows,
        ..windows::Scenario::new(limit, spread)
    };
    let mut scenarios = Vec::new();
    let mut add = |name: &str, scenario: windows::Scenario| {
        scenarios.push(Scenario::new(name, move || windows::run(&scenario)));
    };
    for limit in [100, 1000, 5000] {
        for spread in ["even", "none"] {
            add(&format!("windows {limit}/m {spread}"), usual(limit, spread));
        }
    }
    let failing = windows::Scenario { failure_in: 50, ..usual(1000, "even") };
    add("windows 1000/m even, retries", failing);
    let leaving =
        windows::Scenario { leaving: 0.2, use_min: LEAVING_USE_MIN, ..usual(1000, "none") };
    add("windows 1000/m none, clients leave", leaving.clone());
    let accounts = windows::Scenario { accounts: 2, ..usual(1000, "even") };
    add("windows 1000/m even, two accounts", accounts);
    let all = windows::Scenario { failure_in: 50, accounts: 2, ..leaving };
    add("windows 1000/m none, all of it", all);
    let window = Duration::from_secs(1);
    let short =
        windows::Scenario { window, scale: 1, windows: 15, use_min: 0.0, ..usual(10, "even") };
    add("windows 10/s, real time (use is reported only)", short);
    scenarios
}

fn other_scenarios(posts: u64) -> Vec<Scenario> {
    let storm_pause = Duration::from_millis(100);
    let once = delivery::Scenario { posts, storm_posts: posts / 5, clients: 64, storm_pause };
    let mut scenarios =
        vec![Scenario::new(format!("once: {posts} POSTs"), move || delivery::run(&once))];
    for down in [Down::Refused, Down::Resets, Down::Answers500, Down::Partly] {
        let scenario = DownScenario { down, calls: 2_500, per_second: 120 };
        scenarios.push(Scenario::new(format!("outage: {down:?}"), move || run_down(&scenario)));
    }
    let down = Duration::from_secs(11);
    let maintenance = MaintenanceScenario { calls: 200, down, retry_after: 3, pace: 50 };
    scenarios.push(Scenario::new("maintenance", move || run_maintenance(&maintenance)));
    for calls in [200, 1000] {
        let scenario = waiting::Scenario { calls, watch: Duration::from_secs(5) };
        let name = format!("waiting: {calls} calls");
        scenarios.push(Scenario::new(name, move || waiting::run(&scenario)));
    }
    scenarios
}
