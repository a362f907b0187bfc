//! `cargo bench --bench promises`: the promises under load, with the real program over sockets.
//!
//! It prints what vendors and clients counted, and fails where a promise was broken. README.md in
//! the folder above describes the output.

#![expect(clippy::print_stdout, reason = "the table is the result")]

mod play;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use evenkeel::clock::Clock;
use evenkeel::time::Moment;
use play::outage::{Down, DownPlan, MaintenancePlan, play_down, play_maintenance};
use play::verdict::Verdict;
use play::{once, waiting, windows};

/// Puts the promises to the test.
#[derive(Parser, Debug)]
#[command(name = "cargo bench --bench promises --")]
struct Args {
    /// Only the plays whose name holds this.
    name: Option<String>,
    /// How many times faster than the world the vendor's windows and latency run.
    #[arg(long, default_value_t = 10)]
    scale: u32,
    /// Whole windows after the first.
    #[arg(long, default_value_t = 3)]
    windows: u32,
    /// POSTs against the dying upstream.
    #[arg(long, default_value_t = 100_000)]
    posts: u64,
    /// Given by cargo; means nothing.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The use that is promised where clients leave in flight: the linger of a second is not scaled.
const LEAVING_USE: f64 = 0.95;

/// A name, and what is played under it.
type Play = (String, Box<dyn Fn() -> Verdict>);

fn main() -> ExitCode {
    let args = Args::parse();
    let mut plays = windows_plays(&args);
    plays.extend(other_plays(&args));
    let wanted = |name: &str| args.name.as_deref().is_none_or(|part| name.contains(part));
    plays.retain(|(name, _)| wanted(name));
    println!("windows of {} s, latency 0-200 ms, both {} times faster", 60, args.scale);
    let failures = plays.iter().filter(|(name, play)| !stands(name, play)).count();
    println!("\n{} plays, {failures} with a broken promise", plays.len());
    ExitCode::from(u8::from(failures > 0 || plays.is_empty()))
}

/// Plays it and prints what came of it.
fn stands(name: &str, play: &dyn Fn() -> Verdict) -> bool {
    let clock = Clock::start();
    let verdict = play();
    let took = clock.now().since(Moment::START).as_secs_f64();
    let word = if verdict.broken.is_empty() { "pass" } else { "FAIL" };
    println!("\n{word}  {name}  ({took:.1} s)");
    verdict.figures.iter().for_each(|figure| println!("      {figure}"));
    verdict.broken.iter().for_each(|broken| println!("   !  {broken}"));
    verdict.broken.is_empty()
}

fn windows_plays(args: &Args) -> Vec<Play> {
    use windows::Plan;
    let usual = |limit, spread| Plan {
        scale: args.scale,
        windows: args.windows,
        ..Plan::new(limit, spread)
    };
    let mut plans = Vec::new();
    for limit in [100, 1000, 5000] {
        for spread in ["even", "none"] {
            plans.push((format!("windows {limit}/m {spread}"), usual(limit, spread)));
        }
    }
    let failing = Plan { failure_in: 50, ..usual(1000, "even") };
    plans.push(("windows 1000/m even, retries".to_owned(), failing));
    let leaving = Plan { leaving: 0.2, use_least: LEAVING_USE, ..usual(1000, "none") };
    plans.push(("windows 1000/m none, clients leave".to_owned(), leaving.clone()));
    let accounts = Plan { accounts: 2, ..usual(1000, "even") };
    plans.push(("windows 1000/m even, two accounts".to_owned(), accounts));
    let all = Plan { failure_in: 50, accounts: 2, ..leaving };
    plans.push(("windows 1000/m none, all of it".to_owned(), all));
    let window = Duration::from_secs(1);
    let short = Plan { window, scale: 1, windows: 15, use_least: 0.0, ..usual(10, "even") };
    plans.push(("windows 10/s, real time (use is reported only)".to_owned(), short));
    let boxed =
        |(name, plan): (String, Plan)| -> Play { (name, Box::new(move || windows::play(&plan))) };
    plans.into_iter().map(boxed).collect()
}

fn other_plays(args: &Args) -> Vec<Play> {
    let posts = args.posts;
    let mut plays: Vec<Play> = vec![(
        format!("once: {posts} POSTs"),
        Box::new(move || {
            let storm_pause = Duration::from_millis(100);
            let storm_posts = posts / 5;
            once::play(&once::Plan { posts, storm_posts, clients: 64, storm_pause })
        }),
    )];
    for down in [Down::Refused, Down::Resets, Down::Answers500, Down::Partly] {
        let plan = DownPlan { down, calls: 2_500, per_second: 120 };
        plays.push((format!("outage: {down:?}"), Box::new(move || play_down(&plan))));
    }
    let plan = MaintenancePlan { calls: 200, down: Duration::from_secs(11), told: 3, pace: 50 };
    plays.push(("maintenance".to_owned(), Box::new(move || play_maintenance(&plan))));
    for calls in [200, 1000] {
        let plan = waiting::Plan { calls, watch: Duration::from_secs(5) };
        plays.push((format!("waiting: {calls} calls"), Box::new(move || waiting::play(&plan))));
    }
    plays
}
