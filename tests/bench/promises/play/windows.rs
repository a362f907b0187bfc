//! Never over the allowance, almost nothing wasted: clients that always want more than the vendor
//! grants, a vendor that counts by rolling and by clock-aligned windows, late and with latency.
//!
//! The verdict is the vendor's: its own count on its own clock, and its own refusals.

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

use super::caller::{Answer, Ask, Caller, on_one_thread};
use super::gateway::Gateway;
use super::line::{accounts, used};
use super::verdict::{Verdict, at_least, at_most};

/// Failed GETs of one play, at most; the vendor remembers a thousand orders.
const FAILURES_MAX: u32 = 900;
/// A client that leaves does so within the vendor's latency, mostly before its answer.
const SEED: u64 = 17;

/// One play.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// N.
    pub(crate) limit: usize,
    /// W on the vendor's clock.
    pub(crate) window: Duration,
    /// How many times faster than the world the vendor's clock runs: window and latency alike.
    pub(crate) scale: u32,
    /// `even` or `none`.
    pub(crate) spread: &'static str,
    /// Whole windows after the first.
    pub(crate) windows: u32,
    /// Clients of each account, each with one call under way or waiting at any time.
    pub(crate) clients: usize,
    /// Accounts, told apart by a header.
    pub(crate) accounts: usize,
    /// One GET in so many calls' time is answered 500, so that blind retries occur; 0 is never.
    pub(crate) failure_in: usize,
    /// The share of calls whose client breaks its connection mid-flight.
    pub(crate) leaving: f64,
    /// The least use that is promised.
    pub(crate) use_least: f64,
}

impl Plan {
    /// A minute on a clock ten times as fast, clients for a whole window at once, no trouble.
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
            use_least: 0.99,
        }
    }

    fn real_window(&self) -> Duration {
        self.window / self.scale
    }

    /// What the vendor may take for an answer, in the world's time.
    fn latency_max(&self) -> Duration {
        LATENCY_MAX / self.scale
    }

    /// The first window, the others, and the time in which the first arrivals come.
    fn lasts(&self) -> Duration {
        self.real_window() * (self.windows + 1) + 2 * self.latency_max()
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

    fn upstream(&self) -> String {
        let (limit, window) = (self.limit, self.real_window().as_millis());
        let (spread, patience) = (self.spread, PATIENCE_MIN.as_millis().max(2 * window));
        format!(
            "account: {{ header: x-auth-accountid }}\n\
             wait: {{ default: {patience}ms }}\n\
             connections: {{ max: 1000 }}\n\
             allowances: {{ all: {{ limit: {limit}/{window}ms, spread: {spread} }} }}\n"
        )
    }
}

const LATENCY_MAX: Duration = Duration::from_millis(200);

/// At least the default wait, so that no call is rejected because a window is longer.
const PATIENCE_MIN: Duration = Duration::from_secs(30);

/// What the clients saw.
#[derive(Debug, Default)]
struct Seen {
    served: Cell<u64>,
    failed: Cell<u64>,
    throttled: Cell<u64>,
    left: Cell<u64>,
    other: Cell<u64>,
}

/// Plays it.
pub(crate) fn play(plan: &Plan) -> Verdict {
    let vendor = open(plan.vendor());
    let gateway = Gateway::before(&format!("http://{}/api", vendor.address()), &plan.upstream());
    let seen = on_one_thread(saturate(plan, &gateway, &vendor));
    let end = vendor.now_ns();
    let log = vendor.log();
    let mut verdict = Verdict::default();
    judge_windows(&mut verdict, plan, &log);
    judge_use(&mut verdict, plan, &log, end);
    judge_clients(&mut verdict, &seen, &log, &gateway);
    verdict
}

/// A vendor on a thread and clock of its own.
pub(crate) fn open(settings: VendorSettings) -> VendorHandle {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of loopback");
    Vendor::on_thread(settings, listener).expect("a vendor opens")
}

/// Keeps every client busy until the last window is over.
async fn saturate(plan: &Plan, gateway: &Gateway, vendor: &VendorHandle) -> Rc<Seen> {
    let seen = Rc::new(Seen::default());
    let (clock, random) = (Clock::start(), Rc::new(Random::from_seed(SEED)));
    let local = tokio::task::LocalSet::new();
    let mut clients = JoinSet::new();
    for number in 0..plan.clients * plan.accounts {
        let client = Client {
            caller: Caller::new(gateway.address),
            account: format!("account-{}", number % plan.accounts),
            leaving: plan.leaving,
            leaves_within: plan.latency_max(),
            seen: Rc::clone(&seen),
            random: Rc::clone(&random),
        };
        clients.spawn_local_on(client.insist(), &local);
    }
    let trouble = trouble(plan, vendor, clock);
    let over = clock.sleep_until(clock.now().plus(plan.lasts()));
    tokio::select! {
        () = over => {}
        () = local => {}
        () = trouble => {}
    }
    seen
}

/// Orders failures, evenly over the play.
async fn trouble(plan: &Plan, vendor: &VendorHandle, clock: Clock) {
    if plan.failure_in == 0 {
        return std::future::pending().await;
    }
    let calls = plan.real_window() / u32::try_from(plan.limit * plan.accounts).unwrap_or(u32::MAX);
    let pause = calls * u32::try_from(plan.failure_in).unwrap_or(u32::MAX);
    for _ in 0..FAILURES_MAX {
        clock.sleep_until(clock.now().plus(pause)).await;
        vendor.control(&Command::Script(ScriptRule::next(1, Action::Fail(500)).method("GET")));
    }
    std::future::pending().await
}

struct Client {
    caller: Caller,
    account: String,
    leaving: f64,
    leaves_within: Duration,
    seen: Rc<Seen>,
    random: Rc<Random>,
}

impl Client {
    /// One call after the other, without end.
    async fn insist(mut self) {
        loop {
            let ask = Ask::get("/v/echo").header("x-auth-accountid", self.account.as_str());
            if self.random.unit() < self.leaving {
                self.leave_during(ask).await;
            } else {
                let answer = self.caller.call(ask).await;
                self.note(&answer);
            }
        }
    }

    /// Leaves within the vendor's latency after the call got its turn, or while it waits.
    async fn leave_during(&mut self, ask: Ask) {
        // The turn comes after half a window on the average: leave around the time it comes.
        let clock = Clock::start();
        let span = self.leaves_within.mul_f64(40.0 * self.random.unit());
        let stays = clock.sleep_until(Moment::START.plus(span));
        let answer = tokio::select! {
            answer = self.caller.call(ask) => Some(answer),
            () = stays => None,
        };
        match answer {
            Some(answer) => self.note(&answer),
            None => {
                self.caller.leave();
                add(&self.seen.left);
            }
        }
    }

    fn note(&self, answer: &Answer) {
        add(match answer.status() {
            Some(200) => &self.seen.served,
            Some(429) => &self.seen.throttled,
            Some(500..=504) => &self.seen.failed,
            Some(_) | None => &self.seen.other,
        });
    }
}

fn add(count: &Cell<u64>) {
    count.set(count.get() + 1);
}

fn judge_windows(verdict: &mut Verdict, plan: &Plan, log: &RequestLog) {
    let window = plan.real_window();
    let rolling = log.worst_window(window);
    let offsets = (0..20).map(|part| window * part / 20);
    let aligned = offsets.map(|offset| log.worst_aligned(window, offset)).max().unwrap_or(0);
    verdict.figure(format!("worst {rolling} rolling, {aligned} aligned of {}", plan.limit));
    verdict.promise(at_most("arrivals in a rolling window", rolling, plan.limit));
    verdict.promise(at_most("arrivals in an aligned window", aligned, plan.limit));
}

fn judge_use(verdict: &mut Verdict, plan: &Plan, log: &RequestLog, end: u64) {
    let accounts = accounts(log);
    verdict.promise(at_least("accounts seen", accounts.len(), plan.accounts));
    for moments in accounts.values() {
        let Some(used) = used(moments, plan.limit, plan.real_window(), end) else {
            verdict.promise(Err("no window after the first is whole".to_owned()));
            continue;
        };
        verdict.figure(format!(
            "use {:.2} % of {} windows (least {:.2} %), reuse {:.2} %",
            used.mean * 100.0,
            used.windows,
            used.least * 100.0,
            used.reuse * 100.0,
        ));
        verdict.promise(at_least("use", used.mean, plan.use_least));
        verdict.promise(at_least("reuse", used.reuse, plan.use_least));
    }
}

fn judge_clients(verdict: &mut Verdict, seen: &Seen, log: &RequestLog, gateway: &Gateway) {
    let (served, failed) = (seen.served.get(), seen.failed.get());
    let (throttled, left, other) = (seen.throttled.get(), seen.left.get(), seen.other.get());
    let refused = log.arrivals.iter().filter(|one| one.throttled).count();
    let broken = log.arrivals.iter().filter(|one| one.status.is_none()).count();
    let wrong = log.arrivals.iter().filter(|one| one.status == Some(500)).count();
    verdict.figure(format!(
        "clients: {served} served, {failed} failed, {left} left, {throttled} throttled; \
         vendor: {wrong} times 500, {broken} abandoned, {refused} throttled"
    ));
    verdict.promise(at_most("throttles that clients saw", throttled, 0));
    verdict.promise(at_most("throttles by the vendor", refused, 0));
    verdict.promise(at_most("throttles not expected", gateway.throttled_unexpected(), 0));
    verdict.promise(at_most("calls without an answer", other, 0));
}
