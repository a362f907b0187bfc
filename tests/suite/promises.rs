//! The scenarios of `cargo bench --bench promises`, for a few seconds each: windows, dropped
//! connections, outages, waiting calls.
//!
//! They use the library's simulated vendors, which count requests independently of the gateway.

#[path = "../bench/promises/scenario/mod.rs"]
mod scenario;

use std::time::Duration;

use scenario::outage::{Down, DownScenario, MaintenanceScenario, run_down, run_maintenance};
use scenario::report::Report;
use scenario::{delivery, waiting, windows};

/// Fails with every broken promise.
#[track_caller]
fn check(report: &Report) {
    assert!(report.broken.is_empty(), "{:#?}\nfigures: {:#?}", report.broken, report.figures);
}

/// Runs of which one has to use the allowance: clients, vendor and gateway share the machine with
/// the rest of the suite, and without processor time no slots are used.
const USE_RUNS_MAX: usize = 3;

/// Fails with every broken promise; only a run that used too little of the allowance is repeated.
#[track_caller]
fn check_windows(scenario: &windows::Scenario) {
    for _ in 1..USE_RUNS_MAX {
        let report = windows::run(scenario);
        let is_use = |broken: &String| broken.starts_with("use:") || broken.starts_with("reuse:");
        if report.broken.is_empty() || !report.broken.iter().all(is_use) {
            return check(&report);
        }
    }
    check(&windows::run(scenario));
}

/// Two seconds stand for a minute, 7 ms for 200 ms of latency.
fn short(limit: usize, spread: &'static str) -> windows::Scenario {
    // On a busy machine a timer may be late by more than a hundredth of such a window.
    windows::Scenario { scale: 30, use_min: 0.9, ..windows::Scenario::new(limit, spread) }
}

#[test]
fn an_even_spread_stays_inside_the_allowance_and_uses_it() {
    check_windows(&short(200, "even"));
}

#[test]
fn a_spent_allowance_is_available_again_after_its_window_and_no_sooner() {
    check_windows(&windows::Scenario { accounts: 2, ..short(200, "none") });
}

#[test]
fn retries_and_abandoned_calls_stay_inside_the_allowance() {
    // A client that leaves occupies its slot for one more second (`linger`): half of such a window.
    let least = 0.6;
    let trouble =
        windows::Scenario { failure_in: 20, leaving: 0.2, use_min: least, ..short(400, "even") };
    check_windows(&trouble);
}

#[test]
fn no_post_is_delivered_twice() {
    let storm_pause = Duration::from_millis(20);
    check(&delivery::run(&delivery::Scenario {
        posts: 2_000,
        storm_posts: 1_000,
        clients: 32,
        storm_pause,
    }));
}

#[test]
fn a_dead_vendor_receives_few_retries() {
    for down in [Down::Refused, Down::Resets, Down::Answers500, Down::Partly] {
        check(&run_down(&DownScenario { down, calls: 300, per_second: 150 }));
    }
}

#[test]
fn maintenance_costs_one_probe_for_each_hold() {
    let down = Duration::from_millis(2_500);
    check(&run_maintenance(&MaintenanceScenario { calls: 100, down, retry_after: 1, pace: 100 }));
}

#[test]
fn waiting_costs_no_work_and_little_memory() {
    check(&waiting::run(&waiting::Scenario { calls: 1_000, watch: Duration::from_secs(1) }));
}
