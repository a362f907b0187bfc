//! Random schedules of replicas that share an allowance, with a store that stalls, forgets and
//! fails over, against a vendor that keeps every arrival: no window contains more than the limit.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::lease::SharedLease;
use super::session::{Condition, Found, Received, Reply, Request, Session};
use super::state::{Grant, ShareRules};
use super::used::Release;
use crate::allowance::charge::Charge;
use crate::allowance::settings::{FirstStart, Spread};
use crate::allowance::tests::oracle::number;
use crate::time::Moment;

/// What a replica does wrong, to see that it would be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Attempts start with units of a lease that has ended.
    StartsAfterItsLease,
    /// What the store holds is taken as it is, whatever it held before.
    TrustsEveryStore,
    /// What has settled is not reported.
    ForgetsWhatSettled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Window(Spread),
    Bucket,
}

/// Milliseconds.
const WINDOW: u64 = 1_000;
const LENGTH: u64 = 9_000;
const START_WITHIN: u64 = 400;
const ENDS_WITHIN: u64 = 300;
const TIMEOUT: u64 = 40;

/// Our moments and those of the store differ, and each process has its own.
const STORE_AHEAD: u64 = 1_700_000_000_000;

fn at(millisecond: u64) -> Moment {
    Moment::from_millis(millisecond)
}

struct Store {
    found: Found,
    instance: u64,
    /// How much later a time is shown than it is.
    ahead: u64,
    /// Before this it does not answer.
    away_until: u64,
    snapshots: Vec<Found>,
}

impl Store {
    fn new() -> Self {
        Self {
            found: Found::default(),
            instance: 0,
            ahead: STORE_AHEAD,
            away_until: 0,
            snapshots: Vec::new(),
        }
    }

    fn serve(&mut self, request: &Request, now: u64) -> Reply {
        let reply = |found| Reply {
            found,
            shown: at(now + self.ahead),
            instance: self.instance.to_string().into(),
        };
        let holds = |it: &Condition| {
            *it.instance == self.instance.to_string()
                && (&it.header, &it.version) == (&self.found.header, &self.found.version)
        };
        match request {
            Request::Begin { condition, header } if holds(condition) => {
                self.found.header.clone_from(header);
            }
            Request::Write { condition, version, value, .. } if holds(condition) => {
                self.found.version.clone_from(version);
                self.found.value.clone_from(value);
            }
            Request::Read | Request::Begin { .. } | Request::Write { .. } => {
                return reply(Some(self.found.clone()));
            }
        }
        reply(None)
    }

    fn fail(&mut self, rng: &mut Rng, now: u64) {
        if rng.u32(..40) == 0 {
            self.snapshots.push(self.found.clone());
        }
        match rng.u32(..6_000) {
            0 => self.found = Found::default(),
            1 => {
                // Another one takes over that lacks the latest writes, or it starts anew.
                self.instance += 1;
                if !self.snapshots.is_empty() {
                    self.found = self.snapshots.swap_remove(rng.usize(..self.snapshots.len()));
                }
            }
            2 => self.instance += 1,
            3 => self.away_until = now + rng.u64(..2_000),
            _ => {}
        }
    }
}

/// What is on its way to the store and back.
struct Exchange {
    request: Request,
    grants: Vec<Grant>,
    asked: Moment,
    sent: u64,
    arrives: u64,
    reply: Option<(u64, Reply)>,
}

struct Attempt {
    /// When its first byte is written.
    starts: u64,
    start_by: Moment,
    grant: u64,
    settles: u64,
    arrives: Option<u64>,
}

struct Replica {
    name: Arc<str>,
    limit: u32,
    born: u64,
    fault: Fault,
    lease: SharedLease,
    session: Session,
    exchange: Option<Exchange>,
    /// Exchanges that were given up; they may arrive all the same.
    given_up: Vec<Exchange>,
    wakes: u64,
    waiting: u64,
    grants: u64,
    attempts: Vec<Attempt>,
    /// It does not run until then.
    paused_until: u64,
}

impl Replica {
    fn new(number: u64, rules: &Arc<ShareRules>, fault: Fault, born: u64) -> Self {
        let name: Arc<str> = format!("replica {number}").into();
        Self {
            name: Arc::clone(&name),
            limit: rules.limit,
            born,
            fault,
            lease: SharedLease::new(Arc::clone(rules)),
            session: Session::new(name, FirstStart::Unused),
            exchange: None,
            given_up: Vec::new(),
            wakes: born,
            waiting: 0,
            grants: 0,
            attempts: Vec::new(),
            paused_until: 0,
        }
    }

    /// Its own clock, which begins with it.
    fn own(&self, now: u64) -> Moment {
        at(now - self.born + 50_000)
    }

    fn run(&mut self, store: &mut Store, arrivals: &mut Vec<u64>, rng: &mut Rng, now: u64) {
        self.deliver(store, now);
        if now < self.paused_until {
            return;
        }
        self.proceed(arrivals, now);
        self.take_units(rng, now);
        self.answer(now);
        let due = self.lease.take_due() || self.wakes <= now;
        if self.exchange.is_none() && due {
            self.ask(rng, now);
        }
    }

    /// Attempts start and settle. Those that start too late are not sent.
    fn proceed(&mut self, arrivals: &mut Vec<u64>, now: u64) {
        let own = self.own(now);
        let (lease, fault) = (&mut self.lease, self.fault);
        self.attempts.retain_mut(|attempt| {
            if attempt.arrives.is_none() && attempt.starts <= now {
                if attempt.start_by < own && fault != Fault::StartsAfterItsLease {
                    lease.cancel(attempt.grant, 1);
                    return false;
                }
                let lasts = attempt.settles - attempt.starts;
                let arrival = now + (attempt.starts * 7 + attempt.settles) % (lasts + 1);
                attempt.settles = now + lasts;
                attempt.arrives = Some(arrival);
                arrivals.push(arrival);
            }
            let settled = attempt.arrives.is_some() && attempt.settles <= now;
            if settled && fault != Fault::ForgetsWhatSettled {
                lease.settle(attempt.grant, own, Charge::ONE);
            } else if settled {
                lease.settle(attempt.grant, own, Charge { reserved: 1, used: 0 });
            }
            !settled
        });
    }

    fn take_units(&mut self, rng: &mut Rng, now: u64) {
        let own = self.own(now);
        while 0 < self.waiting && self.lease.check(1, own).is_ok() {
            self.grants += 1;
            let grant = self.grants;
            let start_by = self.lease.occupy(grant, 1, own);
            self.waiting -= 1;
            let starts = now + if rng.u32(..20) == 0 { rng.u64(..2_000) } else { rng.u64(..3) };
            let settles = starts + rng.u64(1..ENDS_WITHIN - 10);
            self.attempts.push(Attempt { starts, start_by, grant, settles, arrives: None });
        }
    }

    fn ask(&mut self, rng: &mut Rng, now: u64) {
        let own = self.own(now);
        let (request, grants) = match (self.session.preparation(own), self.session.time()) {
            (Some(request), _) => (request, Vec::new()),
            (None, time) => {
                let time = *time.expect("it has been read");
                let asks = [self.lease.ask((self.limit, self.waiting), &time, own)];
                self.session.propose(&asks, own)
            }
        };
        let arrives = now + if rng.u32(..50) == 0 { rng.u64(..100) } else { rng.u64(..3) };
        let exchange = Exchange { request, grants, asked: own, sent: now, arrives, reply: None };
        self.exchange = Some(exchange);
    }

    /// The request arrives, even if the replica has given up or is paused.
    fn deliver(&mut self, store: &mut Store, now: u64) {
        let away_until = store.away_until;
        let arrives = |it: &Exchange| it.reply.is_none() && it.arrives.max(away_until) <= now;
        let (arrived, left) = std::mem::take(&mut self.given_up).into_iter().partition(&arrives);
        self.given_up = left;
        for exchange in Vec::<Exchange>::into_iter(arrived) {
            store.serve(&exchange.request, now);
        }
        let Some(exchange) = self.exchange.as_mut().filter(|it| arrives(it)) else { return };
        let reply = store.serve(&exchange.request, now);
        exchange.reply = Some((now + exchange.sent % 3, reply));
    }

    fn answer(&mut self, now: u64) {
        let own = self.own(now);
        let Some(exchange) = &self.exchange else { return };
        let answered = exchange.reply.as_ref().is_some_and(|(at, _)| *at <= now);
        if !answered && now < exchange.sent + TIMEOUT {
            return;
        }
        let Some(exchange) = self.exchange.take() else { return };
        if !answered {
            self.given_up.push(exchange);
            self.session.unanswered();
            self.lease.unanswered();
            self.wakes = now + 20;
            return;
        }
        let (_, reply) = exchange.reply.expect("it is answered");
        let moments = [exchange.asked, own];
        match self.session.receive(&exchange.request, reply, moments).expect("it is ours") {
            Received::Read { earlier_was_written: true } => {
                self.lease.was_noted();
                self.wakes = now;
            }
            Received::Read { earlier_was_written: false } => self.wakes = now,
            Received::Written => {
                let time = *self.session.time().expect("it has been read");
                let mut next = now;
                for grant in exchange.grants {
                    self.lease.granted(grant, &time, exchange.asked);
                    let wakes = self.lease.next_ask(own);
                    next = now + u64::try_from(wakes.since(own).as_millis()).unwrap().min(500);
                }
                self.wakes = next;
                if self.fault == Fault::TrustsEveryStore {
                    self.session = Session::new(Arc::clone(&self.name), FirstStart::Unused);
                }
            }
        }
    }
}

/// What a run has shown.
#[derive(Debug, Default)]
struct Outcome {
    arrivals: Vec<u64>,
    limit: u32,
}

fn rules(kind: Kind, limit: u32, reserve: u32) -> ShareRules {
    let (release, spread) = match kind {
        Kind::Window(spread) => (Release::After(Duration::from_millis(WINDOW)), spread),
        Kind::Bucket => {
            let over = Duration::from_millis(WINDOW);
            (Release::Leaking { units: limit, over }, Spread::None)
        }
    };
    ShareRules {
        name: "a".into(),
        counts: "all".into(),
        limit,
        release,
        spread,
        reserve,
        reserves_max: 3,
        start_within: Duration::from_millis(START_WITHIN),
        ends_within: Duration::from_millis(ENDS_WITHIN),
    }
}

/// What befalls the store and the replicas in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Faults {
    None,
    Many,
}

fn simulate(seed: u64, kind: Kind, fault: Fault, faults: Faults) -> Outcome {
    let mut rng = Rng::with_seed(seed);
    let limit = [1, 2, 5, 20, 100, 500][rng.usize(..6)];
    let reserve = if rng.bool() { limit / 20 } else { 0 };
    let rules = Arc::new(rules(kind, limit, reserve));
    let mut store = Store::new();
    let count = rng.u64(1..4);
    let mut replicas: Vec<_> =
        (0..count).map(|number| Replica::new(number, &rules, fault, 0)).collect();
    let mut born = count;
    let mut outcome = Outcome { limit, ..Outcome::default() };
    for now in 0..LENGTH {
        if faults == Faults::Many && 2_000 < now {
            store.fail(&mut rng, now);
            let chosen = rng.usize(..replicas.len());
            match rng.u32(..4_000) {
                0 => {
                    // What was sent arrives all the same.
                    let gone = &mut replicas[chosen];
                    *gone = Replica::new(born, &rules, fault, now);
                    // The store is emptied only where it had been used.
                    gone.session = Session::new(format!("{born}").into(), FirstStart::Spent);
                    born += 1;
                }
                1..=5 => replicas[chosen].paused_until = now + rng.u64(..4_000),
                _ => {}
            }
        }
        for replica in &mut replicas {
            if rng.u32(..1_000) < limit.max(5) * 2 {
                replica.waiting += rng.u64(1..4);
            }
            replica.run(&mut store, &mut outcome.arrivals, &mut rng, now);
        }
    }
    outcome.arrivals.sort_unstable();
    outcome
}

impl Outcome {
    /// The first arrival of a window, or of a filling of the bucket, that holds too many.
    fn violation(&self, kind: Kind) -> Option<u64> {
        let limit = self.limit as usize;
        match kind {
            Kind::Window(_) => {
                let windows = self.arrivals.windows(limit + 1);
                windows.into_iter().find(|it| it[limit] - it[0] < WINDOW).map(|it| it[0])
            }
            Kind::Bucket => {
                // In parts of a unit, of which one leaks in a window.
                let (mut fill, mut before) = (0_u64, 0);
                self.arrivals.iter().copied().find(|arrival| {
                    let leaked = (arrival - before) * u64::from(self.limit);
                    fill = fill.saturating_sub(leaked) + WINDOW;
                    before = *arrival;
                    u64::from(self.limit) * WINDOW < fill
                })
            }
        }
    }
}

/// Beyond the seeds of the suite: schedules that once exceeded a limit.
const ONCE_WRONG: [u64; 1] = [80];

const KINDS: [Kind; 4] = [
    Kind::Window(Spread::None),
    Kind::Window(Spread::Auto),
    Kind::Window(Spread::Even { burst: 2 }),
    Kind::Bucket,
];

/// The first seeds whose schedule violates the limit, with the kind.
fn violations(seeds: impl IntoIterator<Item = u64>, fault: Fault) -> Vec<(u64, Kind)> {
    let kinds = |seed| KINDS.map(|kind| (seed, kind));
    let all = seeds.into_iter().flat_map(kinds);
    all.filter(|(seed, kind)| {
        simulate(*seed, *kind, fault, Faults::Many).violation(*kind).is_some()
    })
    .take(1)
    .collect()
}

#[test]
fn replicas_never_exceed_what_they_share() {
    let seeds = number("EVENKEEL_SHARED_SEEDS").unwrap_or(12);
    assert_eq!(violations((0..seeds).chain(ONCE_WRONG), Fault::None), []);
}

#[test]
fn every_planted_fault_is_found() {
    for fault in [Fault::TrustsEveryStore, Fault::ForgetsWhatSettled] {
        assert_ne!(violations(0..40, fault), [], "{fault:?}");
    }
}

/// One replica is paused before its attempts have started, until after another one has been granted
/// all that it had leased.
fn paused_before_the_start(fault: Fault) -> Outcome {
    let kind = Kind::Window(Spread::None);
    let rules = Arc::new(rules(kind, 20, 0));
    let (mut store, mut rng) = (Store::new(), Rng::with_seed(0));
    let mut replicas = [0, 1].map(|number| Replica::new(number, &rules, fault, 0));
    let mut outcome = Outcome { limit: 20, ..Outcome::default() };
    for now in 0..5_000 {
        match now {
            500 => replicas[0].waiting = 20,
            520 => {
                replicas[0].paused_until = 3_600;
                replicas[0].attempts.iter_mut().for_each(|it| it.arrives = None);
                outcome.arrivals.clear();
            }
            3_000 => replicas[1].waiting = 100,
            _ => {}
        }
        for replica in &mut replicas {
            replica.run(&mut store, &mut outcome.arrivals, &mut rng, now);
        }
    }
    outcome.arrivals.sort_unstable();
    outcome
}

#[test]
fn no_attempt_starts_after_its_lease() {
    let violation = |fault| paused_before_the_start(fault).violation(KINDS[0]);
    assert_eq!(violation(Fault::None), None);
    assert_ne!(violation(Fault::StartsAfterItsLease), None);
}

#[test]
fn replicas_use_what_they_share() {
    for kind in KINDS {
        for seed in 0..5 {
            let outcome = simulate(seed, kind, Fault::None, Faults::None);
            assert_eq!(outcome.violation(kind), None, "{kind:?} {seed}");
            let used = outcome.arrivals.iter().filter(|it| (2_000..9_000).contains(*it)).count();
            // Attempts take 150 ms on average, which is a part of a window of a second.
            let most = u64::from(outcome.limit) * 7;
            assert!(most * 7 / 10 <= used as u64, "{kind:?} {seed}: {used} of {most}");
        }
    }
}
