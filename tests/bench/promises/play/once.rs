//! No POST is delivered twice: an upstream that dies before it reads, after the head, after the
//! body and in its answer, and closes connections behind whole answers, in bursts.
//!
//! Every POST carries a number of its own and no idempotency key; the vendor's log tells which
//! numbers came in how often, whatever the clients were told.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use evenkeel::clock::Clock;
use evenkeel::demo::{Action, Command, RequestLog, ScriptRule, VendorHandle, VendorSettings};
use evenkeel::time::Moment;
use tokio::task::JoinSet;

use super::caller::{Answer, Ask, Caller, on_one_thread};
use super::gateway::Gateway;
use super::verdict::{Verdict, at_least, at_most};
use super::windows::open;

/// Every so many POSTs one has a body that does not fit into one read.
const LARGE_EVERY: u64 = 20;
const LARGE_BYTES: usize = 64 * 1024;
/// One POST in so many may be sent on a connection that the gateway is closing: nothing of it is
/// delivered then, and nothing is answered.
const STALE_EVERY: usize = 10_000;
/// The rhythm of the deaths: probabilities in turn, each for this long.
const BEAT: Duration = Duration::from_millis(50);
/// A fifth on the average, calm at first: the outage hold begins at a half of what was sent in
/// the last ten seconds, and would answer most calls here.
const BURSTS: [f64; 16] =
    [0.0, 0.1, 0.0, 0.1, 0.0, 0.2, 0.1, 0.3, 0.0, 0.1, 0.9, 0.0, 0.3, 0.1, 0.1, 0.9];
/// Far above that half.
const STORM: [f64; 4] = [0.9, 1.0, 0.7, 0.9];
/// The least share of the bulk that must have been sent, so that no hold made it easy.
const SENT_LEAST: f64 = 0.9;
/// A held call is answered after so long; the storm is not to take hours.
const PATIENCE: &str = "wait: { default: 2s }\n";
/// Answers in each beat behind which the connection is closed without a word of it.
const SILENT_CLOSES: u32 = 8;
/// A whole answer; what sends it closes the connection afterwards.
const LAST_WORDS: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// One play.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// POSTs while deaths stay below what makes an outage.
    pub(crate) posts: u64,
    /// POSTs while nearly every request dies.
    pub(crate) storm_posts: u64,
    /// Clients, each with one POST at a time.
    pub(crate) clients: usize,
    /// Each client's pause between POSTs in the storm, so that it lasts for several probes.
    pub(crate) storm_pause: Duration,
}

/// What a client was told about its POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Told {
    /// A success.
    Served,
    /// A success that broke off.
    CutOff,
    /// An error, and that the POST may have been carried out.
    Unknown,
    /// An error, and that it was not.
    Refused,
    /// Nothing.
    Nothing,
}

type Tales = Rc<RefCell<HashMap<u64, Told>>>;

/// Plays it.
pub(crate) fn play(plan: &Plan) -> Verdict {
    let total = plan.posts + plan.storm_posts;
    let log_max = usize::try_from(total).unwrap_or(usize::MAX).saturating_mul(2);
    let settings = VendorSettings { log_max, allowances: Vec::new(), ..VendorSettings::wordbee() };
    let vendor = open(settings);
    let gateway = Gateway::before(&format!("http://{}/api", vendor.address()), PATIENCE);
    let clock = Clock::start();
    let tales = Tales::default();
    let mut verdict = Verdict::default();
    let bulk = Phase { from: 0, to: plan.posts, beats: &BURSTS, pause: Duration::ZERO };
    let storm = Phase { from: plan.posts, to: total, beats: &STORM, pause: plan.storm_pause };
    for (name, phase) in [("bulk", bulk), ("storm", storm)] {
        on_one_thread(phase.play(plan.clients, &gateway, &vendor, &tales));
        let took = clock.now().since(Moment::START).as_secs_f64();
        verdict.figure(format!("{name}: {} (at {took:.1} s)", phase.tell(&tales.borrow())));
    }
    let sent = vendor.log().last_number() + vendor.unread();
    verdict.promise(at_least("sends of the bulk", sent as f64, plan.posts as f64 * SENT_LEAST));
    verdict.figure(format!("{} connections reset unread", vendor.unread()));
    judge(&mut verdict, &tales.borrow(), &vendor.log());
    verdict
}

/// A stretch of POSTs under one rhythm of deaths.
struct Phase {
    from: u64,
    to: u64,
    beats: &'static [f64],
    pause: Duration,
}

impl Phase {
    async fn play(&self, clients: usize, gateway: &Gateway, vendor: &VendorHandle, tales: &Tales) {
        let clock = Clock::start();
        let next = Rc::new(RefCell::new(self.from..self.to));
        let local = tokio::task::LocalSet::new();
        let mut working = JoinSet::new();
        for _ in 0..clients {
            let poster = Poster {
                caller: Caller::new(gateway.address),
                next: Rc::clone(&next),
                tales: Rc::clone(tales),
                pause: self.pause,
                clock,
            };
            working.spawn_local_on(poster.work(), &local);
        }
        tokio::select! {
            () = local => {}
            () = beat(self.beats, vendor, clock) => {}
        }
        vendor.control(&Command::Reset);
    }

    fn tell(&self, tales: &HashMap<u64, Told>) -> String {
        let count = |wanted: Told| {
            tales.iter().filter(|(id, told)| self.holds(**id) && **told == wanted).count()
        };
        format!(
            "{} POSTs: {} served, {} cut off, {} outcome_unknown, {} refused, {} unanswered",
            self.to - self.from,
            count(Told::Served),
            count(Told::CutOff),
            count(Told::Unknown),
            count(Told::Refused),
            count(Told::Nothing),
        )
    }

    const fn holds(&self, id: u64) -> bool {
        self.from <= id && id < self.to
    }
}

/// Lets the vendor die in this rhythm until nobody watches any more.
async fn beat(beats: &[f64], vendor: &VendorHandle, clock: Clock) {
    for probability in beats.iter().cycle() {
        vendor.control(&Command::RandomFaults { probability: *probability });
        let close = Action::Garbage(LAST_WORDS.to_owned());
        vendor.control(&Command::Script(ScriptRule::next(SILENT_CLOSES, close).method("POST")));
        clock.sleep_until(clock.now().plus(BEAT)).await;
    }
}

struct Poster {
    caller: Caller,
    next: Rc<RefCell<std::ops::Range<u64>>>,
    tales: Tales,
    pause: Duration,
    clock: Clock,
}

impl Poster {
    async fn work(mut self) {
        loop {
            let Some(id) = self.next.borrow_mut().next() else { return };
            let ask = Ask::post(&format!("/v/echo?id={id}"), body(id));
            let told = told(&self.caller.call(ask).await);
            self.tales.borrow_mut().insert(id, told);
            if !self.pause.is_zero() {
                self.clock.sleep_until(self.clock.now().plus(self.pause)).await;
            }
        }
    }
}

fn body(id: u64) -> Bytes {
    if id.is_multiple_of(LARGE_EVERY) {
        return Bytes::from(vec![b'x'; LARGE_BYTES]);
    }
    Bytes::from(format!("{{\"id\":{id}}}"))
}

fn told(answer: &Answer) -> Told {
    match answer {
        Answer::Whole { status: 200..=299, .. } => Told::Served,
        Answer::Whole { .. } => match answer.problem().map(|it| it["outcome_unknown"] == true) {
            Some(false) => Told::Refused,
            Some(true) | None => Told::Unknown,
        },
        Answer::CutOff { .. } => Told::CutOff,
        Answer::Nothing => Told::Nothing,
    }
}

fn judge(verdict: &mut Verdict, tales: &HashMap<u64, Told>, log: &RequestLog) {
    let (mut arrived, mut delivered) = (HashMap::new(), HashMap::new());
    for one in &log.arrivals {
        let id = one.target.rsplit('=').next().and_then(|id| id.parse::<u64>().ok());
        let Some(id) = id else { continue };
        *arrived.entry(id).or_insert(0_u32) += 1;
        *delivered.entry(id).or_insert(0_u32) += u32::from(one.delivered);
    }
    let twice = |counts: &HashMap<u64, u32>| counts.values().filter(|count| **count > 1).count();
    let of = |told: Told| tales.iter().filter(move |(_, one)| **one == told).map(|(id, _)| id);
    let lies = of(Told::Refused).filter(|id| arrived.contains_key(*id)).count();
    let lost = of(Told::Served).filter(|id| delivered.get(*id) != Some(&1)).count();
    let reached = delivered.values().filter(|count| **count > 0).count();
    verdict.figure(format!(
        "vendor: {} arrivals, {reached} delivered, {} delivered twice, {} begun twice",
        log.arrivals.len(),
        twice(&delivered),
        twice(&arrived),
    ));
    verdict.figure(format!("refused yet arrived {lies}, served yet not delivered {lost}"));
    verdict.promise(at_most("numbers the log forgot", log.dropped, 0));
    verdict.promise(at_most("POSTs delivered twice", twice(&delivered), 0));
    verdict.promise(at_most("POSTs that arrived twice", twice(&arrived), 0));
    verdict.promise(at_most("POSTs refused although they arrived", lies, 0));
    verdict.promise(at_most("POSTs served although they were not delivered", lost, 0));
    let silent: Vec<u64> = of(Told::Nothing).copied().collect();
    let came = silent.iter().filter(|id| arrived.contains_key(*id)).count();
    verdict.figure(format!("without any answer {} ({came} arrived): {silent:?}", silent.len()));
    verdict.promise(at_most("POSTs that arrived and got no answer", came, 0));
    let most = 1 + tales.len() / STALE_EVERY;
    verdict.promise(at_most("POSTs without any answer", silent.len(), most));
    let unclear = of(Told::Unknown).count() + of(Told::CutOff).count();
    verdict.promise(at_least("deaths that clients noticed", unclear, tales.len() / 20));
}
