//! An outage is not made worse by retries: while the vendor is down, sends stay within 1.1 times
//! the calls, and in a maintenance window each hold sends one probe, however many calls wait.

use std::cell::Cell;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel::clock::Clock;
use evenkeel::demo::{Action, Command, RequestRecord, ScriptRule, VendorHandle, VendorSettings};
use evenkeel::time::Moment;
use tokio::task::JoinSet;

use super::arrivals::most_within;
use super::client::{Answer, Client, ClientRequest, on_one_thread};
use super::gateway::{Gateway, free_address};
use super::report::Report;
use super::windows::start_vendor;

const SENDS_PER_CALL_MAX: f64 = 1.1;
/// Retries allowed beyond the ratio: the retry budget always permits this many, and they may fall
/// into the last moments of the scenario.
const BUDGET_RESERVE: f64 = 3.0;
/// Retries allowed beyond the ratio for the first thirty calls to an upstream: one call in five
/// fails and is retried at most three times.
const FIRST_RETRIES_MAX: f64 = 18.0;
/// How long a call may wait while the vendor is down: enough for all retries.
const WAIT_SETTING: &str = "wait: { default: 2s }\n";

/// How the vendor fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Down {
    /// Refuses connections.
    Refused,
    /// Resets each connection after the first bytes of a request.
    Resets,
    Answers500,
    /// Answers 500 to one call in five: too few for the outage hold, so only the retry budget
    /// limits the retries.
    Partly,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct DownScenario {
    pub(crate) down: Down,
    pub(crate) calls: u32,
    pub(crate) per_second: u32,
}

/// Calls arrive at a steady rate, whether or not earlier ones have been answered.
pub(crate) fn run_down(scenario: &DownScenario) -> Report {
    let vendor = BrokenVendor::start(scenario.down);
    let gateway = Gateway::start(&format!("http://{}/api", vendor.address()), WAIT_SETTING);
    let counts = on_one_thread(call_steadily(scenario, gateway.address));
    let sends = vendor.requests().unwrap_or_else(|| gateway.attempts());
    let ratio = sends as f64 / f64::from(scenario.calls);
    let mut report = Report::default();
    report.figure(format!(
        "{} calls at {}/s: {sends} sends, ratio {ratio:.3} ({} served, {} failed, {} held)",
        scenario.calls,
        scenario.per_second,
        counts.served.get(),
        counts.failed.get(),
        counts.held.get(),
    ));
    let extra = match scenario.down {
        Down::Refused | Down::Resets | Down::Answers500 => BUDGET_RESERVE,
        Down::Partly => FIRST_RETRIES_MAX,
    };
    let sends_max = SENDS_PER_CALL_MAX * f64::from(scenario.calls) + extra;
    report.at_most("sends", sends as f64, sends_max);
    report.at_least("sends", sends, 20);
    report.at_most("calls without an answer", counts.unanswered.get(), 0);
    if vendor.requests().is_some() {
        report.at_least("attempts in the gateway's metrics", gateway.attempts(), sends);
    }
    report
}

enum BrokenVendor {
    Refusing(SocketAddr),
    /// With the number of requests that it received.
    Resetting(SocketAddr, Arc<AtomicU64>),
    Failing(VendorHandle),
}

impl BrokenVendor {
    fn start(down: Down) -> Self {
        match down {
            Down::Refused => Self::Refusing(free_address()),
            Down::Resets => start_resetting(),
            Down::Answers500 => {
                let vendor = start_vendor(unlimited());
                let always = ScriptRule::next(u32::MAX, Action::Fail(500));
                vendor.control(&Command::Script(always));
                Self::Failing(vendor)
            }
            Down::Partly => Self::Failing(start_vendor(unlimited())),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Refusing(address) | Self::Resetting(address, _) => *address,
            Self::Failing(vendor) => vendor.address(),
        }
    }

    /// Requests received; unknown if connections are refused, since no program sees them.
    fn requests(&self) -> Option<u64> {
        match self {
            Self::Refusing(_) => None,
            Self::Resetting(_, count) => Some(count.load(Ordering::Relaxed)),
            Self::Failing(vendor) => Some(vendor.log().last_number()),
        }
    }
}

fn unlimited() -> VendorSettings {
    VendorSettings { allowances: Vec::new(), ..VendorSettings::wordbee() }
}

/// Its thread runs until the program ends.
fn start_resetting() -> BrokenVendor {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of loopback");
    let address = listener.local_addr().expect("a listener has an address");
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || reset(stream, &counted));
        }
    });
    BrokenVendor::Resetting(address, count)
}

fn reset(mut stream: TcpStream, counted: &AtomicU64) {
    // A connection that was opened but not used carries no request.
    if stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {
        counted.fetch_add(1, Ordering::Relaxed);
    }
    // A linger of zero makes the close a reset. If it cannot be set, the plain close is a failure
    // too.
    drop(socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)));
}

/// Calls by their answers.
#[derive(Debug, Default)]
struct Counts {
    served: Cell<u64>,
    failed: Cell<u64>,
    held: Cell<u64>,
    unanswered: Cell<u64>,
}

impl Counts {
    fn add(&self, answer: &Answer) {
        let count = match (answer.status(), answer.code().as_deref()) {
            (Some(200), _) => &self.served,
            (Some(_), Some("upstream_held")) => &self.held,
            (Some(_), _) => &self.failed,
            (None, _) => &self.unanswered,
        };
        count.set(count.get() + 1);
    }
}

async fn call_steadily(scenario: &DownScenario, gateway: SocketAddr) -> Rc<Counts> {
    let (clock, counts) = (Clock::start(), Rc::new(Counts::default()));
    let local = tokio::task::LocalSet::new();
    let pause = Duration::from_secs(1) / scenario.per_second;
    local
        .run_until(async {
            let mut calls = JoinSet::new();
            for number in 0..scenario.calls {
                clock.sleep_until(Moment::START.plus(pause * number)).await;
                let target = match scenario.down {
                    Down::Partly if number.is_multiple_of(5) => "/v/status/500",
                    Down::Partly | Down::Refused | Down::Resets | Down::Answers500 => "/v/echo",
                };
                let counts = Rc::clone(&counts);
                calls.spawn_local(async move {
                    let request = ClientRequest::get(target);
                    counts.add(&Client::new(gateway).call(request).await);
                });
            }
            while calls.join_next().await.is_some() {}
        })
        .await;
    counts
}

/// Calls wait for the end of a maintenance window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaintenanceScenario {
    /// How many calls wait.
    pub(crate) calls: usize,
    /// How long the vendor is down.
    pub(crate) down: Duration,
    /// The vendor's `Retry-After`, in seconds: the length of each hold.
    pub(crate) retry_after: u64,
    /// Calls per second once the vendor is up again.
    pub(crate) pace: usize,
}

pub(crate) fn run_maintenance(scenario: &MaintenanceScenario) -> Report {
    let vendor = start_vendor(unlimited());
    let allowance = format!("allowances: {{ all: {{ limit: {}/s, burst: 1 }} }}\n", scenario.pace);
    let gateway = Gateway::start(&format!("http://{}/api", vendor.address()), &allowance);
    let for_ms = u64::try_from(scenario.down.as_millis()).unwrap_or(u64::MAX);
    vendor.control(&Command::Maintenance { for_ms, retry_after_s: Some(scenario.retry_after) });
    let (first, served) = on_one_thread(wait_together(scenario.calls, gateway.address));
    let mut report = Report::default();
    check_maintenance(&mut report, scenario, &vendor.log().arrivals);
    report.figure(format!(
        "{served} of {} waiting calls served; the first got {first}",
        scenario.calls
    ));
    report.at_least("waiting calls served", served, scenario.calls);
    report
}

/// The first call starts the hold and probes until its attempts are used up; the others wait from
/// the start. Returns the status of the first and how many of the others were served.
async fn wait_together(calls: usize, gateway: SocketAddr) -> (u16, usize) {
    let clock = Clock::start();
    let request = || ClientRequest::get("/v/echo").header("prefer", "wait=120");
    let first = tokio::spawn(async move { Client::new(gateway).call(request()).await });
    clock.sleep_until(Moment::START.plus(Duration::from_millis(300))).await;
    let mut waiting = JoinSet::new();
    for _ in 0..calls {
        waiting.spawn(async move { Client::new(gateway).call(request()).await });
    }
    let mut served = 0;
    while let Some(answer) = waiting.join_next().await {
        served += usize::from(answer.is_ok_and(|answer| answer.status() == Some(200)));
    }
    (first.await.ok().and_then(|answer| answer.status()).unwrap_or(0), served)
}

fn check_maintenance(
    report: &mut Report,
    scenario: &MaintenanceScenario,
    arrivals: &[RequestRecord],
) {
    let times_of = |status: u16| {
        let answered = arrivals.iter().filter(move |arrival| arrival.status == Some(status));
        answered.map(|arrival| arrival.at_ns).collect::<Vec<u64>>()
    };
    let (while_down, after) = (times_of(503), times_of(200));
    // The first 503 starts the hold; each later 503 and the first success answer a probe.
    let probes: Vec<u64> = while_down.iter().chain(after.first()).copied().collect();
    let holds: Vec<f64> = probes.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e9).collect();
    let shortest = holds.iter().copied().fold(f64::INFINITY, f64::min);
    let down_seconds = scenario.down.as_secs_f64();
    report.figure(format!(
        "{down_seconds:.0} s down, Retry-After {} s: {} arrivals while down, holds of {holds:.2?} s",
        scenario.retry_after,
        while_down.len(),
    ));
    report.at_least("seconds between probes", shortest, scenario.retry_after as f64);
    let holds_max = (down_seconds / scenario.retry_after as f64).ceil();
    report.at_most("arrivals while down", while_down.len() as f64, holds_max);
    report.at_least("arrivals while down", while_down.len(), 2);
    let most = most_within(&after, Duration::from_millis(100));
    let allowed = scenario.pace / 10 + 2;
    report.figure(format!("at most {most} arrivals in 100 ms afterwards ({allowed} allowed)"));
    report.at_most("arrivals in 100 ms", most, allowed);
    report.at_least("arrivals after the probe", after.len().saturating_sub(1), 1);
}
