//! A vendor in trouble is not made worse: sends stay within 1.1 times the calls while it is down,
//! and a maintenance window costs one probe for each hold, however many calls wait.

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

use super::caller::{Answer, Ask, Caller, on_one_thread};
use super::gateway::{Gateway, free_address};
use super::line::densest;
use super::verdict::{Verdict, at_least, at_most};
use super::windows::open;

/// Sends for each call.
const RATIO_MAX: f64 = 1.1;
/// Retries that a quiet upstream may have at once; what a play sends in its last moments may exceed
/// the share by so much. What calls have earned before is spent by then.
const FLOOR: f64 = 3.0;
/// An upstream is quiet for its first thirty calls. Of these one in five fails, and each of those
/// is sent again three times at most.
const QUIET_RETRIES_MAX: f64 = 18.0;
/// How long a call may be held while the vendor is down: long enough for every retry.
const PATIENCE: &str = "wait: { default: 2s }\n";

/// How the vendor is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Down {
    /// Connections are refused.
    Refused,
    /// Every connection is reset once a request came.
    Resets,
    /// Every answer is a 500.
    Answers500,
    /// One answer in five is: too few for the outage hold, so the budget alone stands.
    Partly,
}

impl Down {
    /// What may be sent beyond the share.
    const fn beyond_max(self) -> f64 {
        match self {
            Self::Refused | Self::Resets | Self::Answers500 => FLOOR,
            Self::Partly => QUIET_RETRIES_MAX,
        }
    }
}

/// One play.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DownPlan {
    pub(crate) down: Down,
    pub(crate) calls: u32,
    pub(crate) per_second: u32,
}

/// Plays it: calls at a steady rate, whatever becomes of them.
pub(crate) fn play_down(plan: &DownPlan) -> Verdict {
    let vendor = Ruin::of(plan.down);
    let gateway = Gateway::before(&format!("http://{}/api", vendor.address()), PATIENCE);
    let seen = on_one_thread(call_steadily(plan, gateway.address));
    let sends = vendor.sends().unwrap_or_else(|| gateway.attempts());
    let ratio = sends as f64 / f64::from(plan.calls);
    let mut verdict = Verdict::default();
    verdict.figure(format!(
        "{} calls at {}/s: {sends} sends, ratio {ratio:.3} ({} served, {} failed, {} held)",
        plan.calls,
        plan.per_second,
        seen.served.get(),
        seen.failed.get(),
        seen.held.get(),
    ));
    let most = RATIO_MAX * f64::from(plan.calls) + plan.down.beyond_max();
    verdict.promise(at_most("sends", sends as f64, most));
    verdict.promise(at_least("sends", sends, 20));
    verdict.promise(at_most("calls without an answer", seen.nothing.get(), 0));
    if vendor.sends().is_some() {
        verdict.promise(at_least("attempts that it owns up to", gateway.attempts(), sends));
    }
    verdict
}

/// A vendor that is down, and what it saw of the sends.
enum Ruin {
    Nobody(SocketAddr),
    Resetting(SocketAddr, Arc<AtomicU64>),
    Failing(VendorHandle),
}

impl Ruin {
    fn of(down: Down) -> Self {
        match down {
            Down::Refused => Self::Nobody(free_address()),
            Down::Resets => resetting(),
            Down::Answers500 => {
                let vendor = open(unlimited());
                let always = ScriptRule::next(u32::MAX, Action::Fail(500));
                vendor.control(&Command::Script(always));
                Self::Failing(vendor)
            }
            Down::Partly => Self::Failing(open(unlimited())),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Nobody(address) | Self::Resetting(address, _) => *address,
            Self::Failing(vendor) => vendor.address(),
        }
    }

    /// What came; nobody is there to count what was refused.
    fn sends(&self) -> Option<u64> {
        match self {
            Self::Nobody(_) => None,
            Self::Resetting(_, count) => Some(count.load(Ordering::Relaxed)),
            Self::Failing(vendor) => Some(vendor.log().last_number()),
        }
    }
}

fn unlimited() -> VendorSettings {
    VendorSettings { allowances: Vec::new(), ..VendorSettings::wordbee() }
}

/// Accepts, reads a little, resets; the thread ends with the program.
fn resetting() -> Ruin {
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
    Ruin::Resetting(address, count)
}

fn reset(mut stream: TcpStream, counted: &AtomicU64) {
    // Nothing comes on a connection that was made and not needed: that is no send.
    if stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {
        counted.fetch_add(1, Ordering::Relaxed);
    }
    // Without the zero linger the peer would see a close, which is a failure as well.
    drop(socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)));
}

#[derive(Debug, Default)]
struct Seen {
    served: Cell<u64>,
    failed: Cell<u64>,
    held: Cell<u64>,
    nothing: Cell<u64>,
}

async fn call_steadily(plan: &DownPlan, gateway: SocketAddr) -> Rc<Seen> {
    let (clock, seen) = (Clock::start(), Rc::new(Seen::default()));
    let local = tokio::task::LocalSet::new();
    let (down, pause) = (plan.down, Duration::from_secs(1) / plan.per_second);
    local
        .run_until(async {
            let mut calls = JoinSet::new();
            for number in 0..plan.calls {
                clock.sleep_until(Moment::START.plus(pause * number)).await;
                let seen = Rc::clone(&seen);
                calls.spawn_local(async move {
                    let ask = Ask::get(target(down, number));
                    let answer = Caller::new(gateway).call(ask).await;
                    note(&seen, &answer);
                });
            }
            while calls.join_next().await.is_some() {}
        })
        .await;
    seen
}

const fn target(down: Down, number: u32) -> &'static str {
    match down {
        Down::Partly if number.is_multiple_of(5) => "/v/status/500",
        Down::Partly | Down::Refused | Down::Resets | Down::Answers500 => "/v/echo",
    }
}

fn note(seen: &Seen, answer: &Answer) {
    let count = match (answer.status(), answer.code().as_deref()) {
        (Some(200), _) => &seen.served,
        (Some(_), Some("upstream_held")) => &seen.held,
        (Some(_), _) => &seen.failed,
        (None, _) => &seen.nothing,
    };
    count.set(count.get() + 1);
}

/// A maintenance window with calls that wait for its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MaintenancePlan {
    /// Calls that wait.
    pub(crate) calls: usize,
    /// How long the vendor is down.
    pub(crate) down: Duration,
    /// What it says in `Retry-After`: the length of each hold.
    pub(crate) told: u64,
    /// The pace in which they leave, a second.
    pub(crate) pace: usize,
}

/// Plays it.
pub(crate) fn play_maintenance(plan: &MaintenancePlan) -> Verdict {
    let vendor = open(unlimited());
    let allowance = format!("allowances: {{ all: {{ limit: {}/s, burst: 1 }} }}\n", plan.pace);
    let gateway = Gateway::before(&format!("http://{}/api", vendor.address()), &allowance);
    let for_ms = u64::try_from(plan.down.as_millis()).unwrap_or(u64::MAX);
    vendor.control(&Command::Maintenance { for_ms, retry_after_s: Some(plan.told) });
    let (first, served) = on_one_thread(wait_together(plan.calls, gateway.address));
    let mut verdict = Verdict::default();
    judge_maintenance(&mut verdict, plan, &vendor.log().arrivals);
    verdict
        .figure(format!("{served} of {} waiting calls served; the first got {first}", plan.calls));
    verdict.promise(at_least("waiting calls served", served, plan.calls));
    verdict
}

/// One call closes the hold and probes it, until its attempts are used up; the others find it
/// closed. The status of the first, and how many of the others were served.
async fn wait_together(calls: usize, gateway: SocketAddr) -> (u16, usize) {
    let clock = Clock::start();
    let patient = || Ask::get("/v/echo").header("prefer", "wait=120");
    let first = tokio::spawn(async move { Caller::new(gateway).call(patient()).await });
    clock.sleep_until(Moment::START.plus(Duration::from_millis(300))).await;
    let mut waiting = JoinSet::new();
    for _ in 0..calls {
        waiting.spawn(async move { Caller::new(gateway).call(patient()).await });
    }
    let mut served = 0;
    while let Some(answer) = waiting.join_next().await {
        served += usize::from(answer.is_ok_and(|answer| answer.status() == Some(200)));
    }
    (first.await.ok().and_then(|answer| answer.status()).unwrap_or(0), served)
}

fn judge_maintenance(verdict: &mut Verdict, plan: &MaintenancePlan, arrivals: &[RequestRecord]) {
    let moments = |status: u16| {
        let such = arrivals.iter().filter(move |one| one.status == Some(status));
        such.map(|one| one.at_ns).collect::<Vec<u64>>()
    };
    let (down, up) = (moments(503), moments(200));
    let gaps: Vec<u64> = down.iter().chain(up.first()).copied().collect();
    let holds: Vec<f64> = gaps.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e9).collect();
    let shortest = holds.iter().copied().fold(f64::INFINITY, f64::min);
    // The first answer closes; each further 503, and the first success, is a probe.
    verdict.figure(format!(
        "{:.0} s down, {} s told: {} arrivals while down, holds of {holds:.2?} s",
        plan.down.as_secs_f64(),
        plan.told,
        down.len(),
    ));
    verdict.promise(at_least("seconds between probes", shortest, plan.told as f64));
    let holds_max = plan.down.as_secs_f64() / plan.told as f64;
    verdict.promise(at_most("arrivals while down", down.len() as f64, holds_max.ceil()));
    verdict.promise(at_least("arrivals while down", down.len(), 2));
    let stampede = densest(&up, Duration::from_millis(100));
    let allowed = plan.pace / 10 + 2;
    verdict.figure(format!("at most {stampede} arrivals in 100 ms afterwards ({allowed} allowed)"));
    verdict.promise(at_most("arrivals in 100 ms", stampede, allowed));
    let first_after = up.get(1).zip(up.first()).map(|(second, first)| second - first);
    verdict.promise(at_least("arrivals after the probe", first_after.map_or(0, |_| 1), 1));
}
