//! A waiting call costs little memory, and no CPU while nothing happens.
//!
//! The limit holds for a call together with its connection. Part of what the idle connection uses
//! is reused once its call waits, and the allocator gets memory from the system in steps; with few
//! clients, a step may fall into either phase. Only the sum of both is stable.

use std::time::Duration;

use evenkeel::clock::Clock;
use evenkeel::demo::{Command, VendorSettings};

use super::client::{Client, ClientRequest, on_one_thread};
use super::gateway::Gateway;
use super::report::Report;
use super::windows::start_vendor;

/// Limit for one waiting call with its client connection: 12 KiB for the idle connection, 4 KiB for
/// the wait, 1 KiB for the head of the request.
const CALL_BYTES_MAX: f64 = 17.0 * 1024.0;
/// Limit for CPU time while all calls wait under a hold, as a share of one core.
const CPU_SHARE_MAX: f64 = 0.01;
/// How long it may take until all calls wait; seconds on a busy machine.
const ALL_WAIT_WITHIN: Duration = Duration::from_secs(20);
/// How long memory gets to settle before it is read.
const SETTLE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// How many calls wait.
    pub(crate) calls: usize,
    /// How long CPU time is measured.
    pub(crate) watch: Duration,
}

struct Measured {
    /// Growth by all idle connections.
    idle_bytes: f64,
    /// Further growth once all calls wait.
    waiting_bytes: f64,
    cpu: Duration,
    waiting: u64,
}

/// Clients are answered once and stay connected; then all of them call again and wait for a hold.
pub(crate) fn run(scenario: &Scenario) -> Report {
    let vendor =
        start_vendor(VendorSettings { allowances: Vec::new(), ..VendorSettings::wordbee() });
    let gateway = Gateway::start(&format!("http://{}/api", vendor.address()), "");
    let stop_vendor =
        || vendor.control(&Command::Maintenance { for_ms: 600_000, retry_after_s: Some(300) });
    let measured = on_one_thread(measure(scenario, &gateway, stop_vendor));
    let (waiting, cpu, watch) = (measured.waiting, measured.cpu, scenario.watch);
    let per_call = |bytes: f64| bytes / scenario.calls as f64;
    let (idle, wait) = (per_call(measured.idle_bytes), per_call(measured.waiting_bytes));
    let share = cpu.as_secs_f64() / watch.as_secs_f64();
    let mut report = Report::default();
    report.figure(format!(
        "{waiting} calls wait: {:.0} B each, of which {idle:.0} B for the idle connection and \
         {wait:.0} B for the wait",
        idle + wait
    ));
    report.figure(format!("CPU {cpu:?} in {watch:?} ({:.2} % of a core)", share * 100.0));
    report.at_least("calls that wait", waiting, scenario.calls as u64);
    report.at_most("bytes of a waiting call and its connection", idle + wait, CALL_BYTES_MAX);
    report.at_most("share of a core", share, CPU_SHARE_MAX);
    report
}

async fn measure(scenario: &Scenario, gateway: &Gateway, stop_vendor: impl Fn()) -> Measured {
    let clock = Clock::start();
    let settle = || clock.sleep_until(clock.now().plus(SETTLE));
    // The first calls and the first error allocate what the program keeps for good.
    let mut client = Client::new(gateway.address);
    for _ in 0..20 {
        client.call(ClientRequest::get("/v/echo")).await;
        client.call(ClientRequest::get("/v/status/400")).await;
    }
    drop(client);
    let at_start = gateway.resident();
    let mut clients = Vec::new();
    for _ in 0..scenario.calls {
        let mut client = Client::new(gateway.address);
        client.call(ClientRequest::get("/v/echo")).await;
        clients.push(client);
    }
    settle().await;
    let with_idle = gateway.resident();
    stop_vendor();
    // The answer to this call starts the hold; it would wait for its end too, so its wait is short.
    let first = ClientRequest::get("/v/echo").header("prefer", "wait=1");
    Client::new(gateway.address).call(first).await;
    let mut calls = tokio::task::JoinSet::new();
    for mut client in clients {
        let request = ClientRequest::get("/v/echo").header("prefer", "wait=500");
        calls.spawn(async move { drop(client.call(request).await) });
    }
    let sent = clock.now();
    while gateway.waiting() < scenario.calls as u64 && clock.now().since(sent) < ALL_WAIT_WITHIN {
        clock.sleep_until(clock.now().plus(Duration::from_millis(100))).await;
    }
    settle().await;
    let with_waiting = gateway.resident();
    let waiting = gateway.waiting();
    let cpu = gateway.cpu();
    clock.sleep_until(clock.now().plus(scenario.watch)).await;
    Measured {
        idle_bytes: with_idle as f64 - at_start as f64,
        waiting_bytes: with_waiting as f64 - with_idle as f64,
        cpu: gateway.cpu().saturating_sub(cpu),
        waiting,
    }
}
