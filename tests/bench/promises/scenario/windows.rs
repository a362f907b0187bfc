//! The allowance is never exceeded and is used almost completely: clients always send more than the
//! vendor grants, and the vendor counts late and answers with latency.
//!
//! What counts are the vendor's log, by its own clock, in rolling and in clock-aligned windows, and
//! the requests that the vendor throttled.

use std::cell::Cell;
use std::net::{Ipv4Addr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use evenkeel::clock::Clock;
use evenkeel::demo::{
    Action, Allowance, Command, Counting, Latency, RequestLog, ScriptRule, Vendor, VendorHandle,
    VendorSettings,
};
use evenkeel::random::Random;
use evenkeel::time::Moment;
use tokio::task::JoinSet;

use super::arrivals::{AllowanceUse, counted_by_account};
use super::client::{Answer, Client, ClientRequest, on_one_thread};
use super::gateway::Gateway;
use super::report::Report;

/// The most failures that are scripted; the vendor keeps a thousand rules.
const FAILURES_MAX: u32 = 900;
const SEED: u64 = 17;
const LATENCY_MAX: Duration = Duration::from_millis(200);
/// The default of `wait`, so that no call is rejected because its window is longer.
const WAIT_MIN: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// The vendor's limit for each window and account.
    pub(crate) limit: usize,
    /// On the vendor's clock.
    pub(crate) window: Duration,
    /// How many times faster than real time the vendor's clock runs; applies to window and latency.
    pub(crate) scale: u32,
    /// The setting `spread`: `even` or `none`.
    pub(crate) spread: &'static str,
    /// Whole windows after the first.
    pub(crate) windows: u32,
    /// Clients of each account; each always has one call, under way or waiting.
    pub(crate) clients: usize,
    /// Accounts, distinguished by a header.
    pub(crate) accounts: usize,
    /// One call in about so many is answered 500 and so leads to a blind retry; 0 for none.
    pub(crate) failure_in: usize,
    /// The share of calls whose client may disconnect before the answer.
    pub(crate) leaving: f64,
    /// The least share of the allowance that must be used.
    pub(crate) use_min: f64,
}

impl Scenario {
    /// One-minute windows on a clock ten times as fast; no failures, no clients that leave.
    pub(crate) const fn new(limit: usize, spread: &'static str) -> Self {
        Self {
            limit,
            window: Duration::from_secs(60),
            scale: 10,
            spread,
            windows: 3,
            clients: 300,
            accounts: 1,
            failure_in: 0,
            leaving: 0.0,
            use_min: 0.99,
        }
    }

    fn real_window(&self) -> Duration {
        self.window / self.scale
    }

    /// The vendor's highest latency in real time.
    fn latency_max(&self) -> Duration {
        LATENCY_MAX / self.scale
    }

    fn vendor(&self) -> VendorSettings {
        VendorSettings {
            scale: self.scale,
            allowances: vec![Allowance::new(self.limit, self.window)],
            counting: Counting::Late,
            latency: Latency { min: Duration::ZERO, max: LATENCY_MAX },
            seed: Some(SEED),
            ..VendorSettings::wordbee()
        }
    }

    fn upstream_settings(&self) -> String {
        let (limit, window) = (self.limit, self.real_window().as_millis());
        let (spread, wait) = (self.spread, WAIT_MIN.as_millis().max(2 * window));
        format!(
            "account: {{ header: x-auth-accountid }}\n\
             wait: {{ default: {wait}ms }}\n\
             connections: {{ max: 1000 }}\n\
             allowances: {{ all: {{ limit: {limit}/{window}ms, spread: {spread} }} }}\n"
        )
    }
}

/// Calls by their answers.
#[derive(Debug, Default)]
struct Counts {
    served: Cell<u64>,
    failed: Cell<u64>,
    throttled: Cell<u64>,
    left: Cell<u64>,
    other: Cell<u64>,
}

pub(crate) fn run(scenario: &Scenario) -> Report {
    let vendor = start_vendor(scenario.vendor());
    let url = format!("http://{}/api", vendor.address());
    let gateway = Gateway::start(&url, &scenario.upstream_settings());
    let counts = on_one_thread(saturate(scenario, &gateway, &vendor));
    let end = vendor.now_ns();
    let log = vendor.log();
    let mut report = Report::default();
    check_windows(&mut report, scenario, &log);
    check_use(&mut report, scenario, &log, end);
    check_clients(&mut report, &counts, &log, &gateway);
    report
}

/// Starts a vendor on its own thread and clock.
pub(crate) fn start_vendor(settings: VendorSettings) -> VendorHandle {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of loopback");
    Vendor::on_thread(settings, listener).expect("a vendor starts")
}

/// Keeps all clients busy until the last window is over.
async fn saturate(scenario: &Scenario, gateway: &Gateway, vendor: &VendorHandle) -> Rc<Counts> {
    let counts = Rc::new(Counts::default());
    let (clock, random) = (Clock::start(), Rc::new(Random::from_seed(SEED)));
    let local = tokio::task::LocalSet::new();
    let mut clients = JoinSet::new();
    for number in 0..scenario.clients * scenario.accounts {
        let client = SaturatingClient {
            client: Client::new(gateway.address),
            account: format!("account-{}", number % scenario.accounts),
            leaving: scenario.leaving,
            latency_max: scenario.latency_max(),
            counts: Rc::clone(&counts),
            random: Rc::clone(&random),
        };
        clients.spawn_local_on(client.run(), &local);
    }
    let failures = script_failures(scenario, vendor, clock);
    // All windows, and time for the first requests to arrive.
    let duration = scenario.real_window() * (scenario.windows + 1) + 2 * scenario.latency_max();
    let end = clock.sleep_until(clock.now().plus(duration));
    tokio::select! {
        () = end => {}
        () = local => {}
        () = failures => {}
    }
    counts
}

/// Makes the vendor fail single requests, evenly spread over the scenario.
async fn script_failures(scenario: &Scenario, vendor: &VendorHandle, clock: Clock) {
    if scenario.failure_in == 0 {
        return std::future::pending().await;
    }
    let calls_per_window = u32::try_from(scenario.limit * scenario.accounts).unwrap_or(u32::MAX);
    let pause = scenario.real_window() / calls_per_window
        * u32::try_from(scenario.failure_in).unwrap_or(u32::MAX);
    for _ in 0..FAILURES_MAX {
        clock.sleep_until(clock.now().plus(pause)).await;
        vendor.control(&Command::Script(ScriptRule::next(1, Action::Fail(500)).method("GET")));
    }
    std::future::pending().await
}

struct SaturatingClient {
    client: Client,
    account: String,
    leaving: f64,
    latency_max: Duration,
    counts: Rc<Counts>,
    random: Rc<Random>,
}

impl SaturatingClient {
    /// One call after the other, without end.
    async fn run(mut self) {
        loop {
            let account = self.account.as_str();
            let request = ClientRequest::get("/v/echo").header("x-auth-accountid", account);
            if self.random.unit() < self.leaving {
                self.call_and_leave(request).await;
            } else {
                let answer = self.client.call(request).await;
                self.count(&answer);
            }
        }
    }

    /// Disconnects after a random time, unless the answer comes first. A call waits half a window
    /// on average, so that some clients leave while they wait and some during the exchange.
    async fn call_and_leave(&mut self, request: ClientRequest) {
        let clock = Clock::start();
        let stay = self.latency_max.mul_f64(40.0 * self.random.unit());
        let answer = tokio::select! {
            answer = self.client.call(request) => Some(answer),
            () = clock.sleep_until(Moment::START.plus(stay)) => None,
        };
        match answer {
            Some(answer) => self.count(&answer),
            None => {
                self.client.disconnect();
                add(&self.counts.left);
            }
        }
    }

    fn count(&self, answer: &Answer) {
        add(match answer.status() {
            Some(200) => &self.counts.served,
            Some(429) => &self.counts.throttled,
            Some(500..=504) => &self.counts.failed,
            Some(_) | None => &self.counts.other,
        });
    }
}

fn add(count: &Cell<u64>) {
    count.set(count.get() + 1);
}

fn check_windows(report: &mut Report, scenario: &Scenario, log: &RequestLog) {
    let window = scenario.real_window();
    let rolling = log.worst_window(window);
    let offsets = (0..20).map(|part| window * part / 20);
    let aligned = offsets.map(|offset| log.worst_aligned(window, offset)).max().unwrap_or(0);
    report.figure(format!("worst {rolling} rolling, {aligned} aligned of {}", scenario.limit));
    report.at_most("arrivals in a rolling window", rolling, scenario.limit);
    report.at_most("arrivals in an aligned window", aligned, scenario.limit);
}

fn check_use(report: &mut Report, scenario: &Scenario, log: &RequestLog, end: u64) {
    let accounts = counted_by_account(log);
    report.at_least("accounts seen", accounts.len(), scenario.accounts);
    for times in accounts.values() {
        let window = scenario.real_window();
        let Some(used) = AllowanceUse::of(times, scenario.limit, window, end) else {
            report.broken.push("no window after the first is whole".to_owned());
            continue;
        };
        report.figure(format!(
            "use {:.2} % of {} windows (least {:.2} %), reuse {:.2} %",
            used.mean * 100.0,
            used.windows,
            used.least * 100.0,
            used.reuse * 100.0,
        ));
        report.at_least("use", used.mean, scenario.use_min);
        report.at_least("reuse", used.reuse, scenario.use_min);
    }
}

fn check_clients(report: &mut Report, counts: &Counts, log: &RequestLog, gateway: &Gateway) {
    let (served, failed) = (counts.served.get(), counts.failed.get());
    let (throttled, left, other) = (counts.throttled.get(), counts.left.get(), counts.other.get());
    let throttled_by_vendor = log.arrivals.iter().filter(|arrival| arrival.throttled).count();
    let abandoned = log.arrivals.iter().filter(|arrival| arrival.status.is_none()).count();
    let answered_500 = log.arrivals.iter().filter(|arrival| arrival.status == Some(500)).count();
    report.figure(format!(
        "clients: {served} served, {failed} failed, {left} left, {throttled} throttled; \
         vendor: {answered_500} times 500, {abandoned} abandoned, {throttled_by_vendor} throttled"
    ));
    report.at_most("throttled answers to clients", throttled, 0);
    report.at_most("requests that the vendor throttled", throttled_by_vendor, 0);
    report.at_most("unexpected throttling", gateway.throttled_unexpected(), 0);
    report.at_most("calls without an answer", other, 0);
}
