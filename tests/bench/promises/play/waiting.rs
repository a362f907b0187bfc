//! Waiting costs little: memory for each call that waits, and no work while nothing happens.

use std::net::SocketAddr;
use std::time::Duration;

use evenkeel::clock::Clock;
use evenkeel::demo::{Command, VendorSettings};

use super::caller::{Ask, Caller, on_one_thread};
use super::gateway::Gateway;
use super::verdict::{Verdict, at_least, at_most};
use super::windows::open;

/// What one call may cost while it waits: 4 KiB besides its head and body, and 1 KiB for those.
const WAITING_BYTES_MAX: f64 = 5.0 * 1024.0;
/// Of one core, while calls wait under a hold.
const CPU_SHARE_MAX: f64 = 0.01;
/// Until everybody waits, and until what came of that is over.
const SETTLE: Duration = Duration::from_secs(1);

/// One play.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Calls that wait.
    pub(crate) calls: usize,
    /// How long the CPU is watched.
    pub(crate) watch: Duration,
}

/// Plays it: clients are answered once, then all call again and wait under a hold.
pub(crate) fn play(plan: &Plan) -> Verdict {
    let vendor = open(VendorSettings { allowances: Vec::new(), ..VendorSettings::wordbee() });
    let gateway = Gateway::before(&format!("http://{}/api", vendor.address()), "");
    let mut verdict = Verdict::default();
    let close =
        || vendor.control(&Command::Maintenance { for_ms: 600_000, retry_after_s: Some(300) });
    let figures = on_one_thread(measure(plan, &gateway, close));
    let (idle, waits, cpu, waiting) = figures;
    let each = waits / plan.calls as f64;
    let share = cpu.as_secs_f64() / plan.watch.as_secs_f64();
    verdict.figure(format!(
        "{waiting} calls wait: {each:.0} B each, beyond {:.0} B of an idle client",
        idle / plan.calls as f64
    ));
    verdict.figure(format!("CPU {cpu:?} in {:?} ({:.2} % of a core)", plan.watch, share * 100.0));
    verdict.promise(at_least("calls that wait", waiting, plan.calls as u64));
    verdict.promise(at_most("bytes of a waiting call", each, WAITING_BYTES_MAX));
    verdict.promise(at_most("share of a core", share, CPU_SHARE_MAX));
    verdict
}

/// Bytes of all idle clients, bytes of all waits beyond, CPU while they wait, and how many do.
async fn measure(plan: &Plan, gateway: &Gateway, close: impl Fn()) -> (f64, f64, Duration, u64) {
    let clock = Clock::start();
    let pause = || clock.sleep_until(clock.now().plus(SETTLE));
    warm(gateway.address).await;
    let start = gateway.resident();
    let mut clients = Vec::new();
    for _ in 0..plan.calls {
        let mut client = Caller::new(gateway.address);
        client.call(Ask::get("/v/echo")).await;
        clients.push(client);
    }
    pause().await;
    let idle = gateway.resident();
    close();
    // The first call learns of the hold; it would wait as well, hence as little as it can.
    let hasty = Ask::get("/v/echo").header("prefer", "wait=1");
    Caller::new(gateway.address).call(hasty).await;
    let mut waiting = tokio::task::JoinSet::new();
    for mut client in clients {
        let patient = Ask::get("/v/echo").header("prefer", "wait=500");
        waiting.spawn(async move { drop(client.call(patient).await) });
    }
    pause().await;
    let full = gateway.resident();
    let count = gateway.waiting();
    let cpu = gateway.cpu();
    clock.sleep_until(clock.now().plus(plan.watch)).await;
    let cpu = gateway.cpu().saturating_sub(cpu);
    let grown = |from: u64, to: u64| to.saturating_sub(from) as f64;
    (grown(start, idle), grown(idle, full), cpu, count)
}

/// One-off costs of the first calls are nobody's, nor are those of the first error that is read.
async fn warm(gateway: SocketAddr) {
    let mut client = Caller::new(gateway);
    for _ in 0..20 {
        client.call(Ask::get("/v/echo")).await;
        client.call(Ask::get("/v/status/400")).await;
    }
}
