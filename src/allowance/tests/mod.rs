//! The vault under a paused clock: whole windows, many waiting calls, hold and probe.

mod accounts;
mod holds;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Method};

use super::*;
use crate::clock::Clock;
use crate::outcome::{Basis, Delivery, HoldCause, HoldOrder, HoldScope, Wait};
use crate::random::Random;
use crate::routing::client::Priority;
use crate::routing::route::CallPath;
use crate::time::{Moment, seconds_up};

/// How much later an attempt that was given up counts as over.
const LINGER: Duration = Duration::from_secs(1);

const MINUTE: Duration = Duration::from_secs(60);

fn window(limit: u32, window: Duration, spread: Spread) -> Allowance {
    Allowance {
        name: "all".into(),
        grant: Grant::Window { limit, window, spread, arrival_guard: None },
        counts: None,
        exempt: Vec::new(),
        mode: Mode::Enforce,
        linger: LINGER,
    }
}

fn accounts(allowances: Vec<Allowance>, clock: Clock) -> Arc<Accounts> {
    let rules = UpstreamRules {
        name: "vendor".into(),
        account: AccountRule::Upstream,
        allowances,
        queue_max: 1_000,
    };
    Arc::new(Accounts::new(&[rules], &[], 10, clock))
}

fn asker(now: Moment, patience: Duration) -> Asker {
    Asker {
        priority: Priority::Normal,
        arrival: now,
        deadline: now.plus(patience),
        fit: Fitness::Replayable,
    }
}

fn ask(accounts: &Accounts, clock: Clock, path: &str, patience: Duration) -> Admission {
    let now = clock.now();
    let want = accounts.want(0, &Method::GET, CallPath::new(path), asker(now, patience));
    accounts.account(0, &HeaderMap::new()).acquire(want, now)
}

async fn slot(accounts: &Accounts, clock: Clock, patience: Duration) -> Result<Slot, Refusal> {
    match ask(accounts, clock, "/", patience) {
        Admission::Granted(slot) => Ok(slot),
        Admission::Queued(waiting) => waiting.await,
        Admission::Refused(refusal) => Err(refusal),
    }
}

fn plain(clock: Clock) -> Settlement<'static> {
    Settlement::plain(clock.now(), clock.now())
}

fn order(cause: HoldCause, seconds: u64) -> HoldOrder {
    HoldOrder {
        scope: HoldScope::Upstream,
        cause,
        length: Some(Wait { span: Duration::from_secs(seconds), basis: Basis::Dialect }),
        at_least: Duration::ZERO,
        slow_sixteenths: 16,
    }
}

/// Most arrivals in any half-open window, and the arrivals of the span after warming up.
fn verdict(arrivals: &mut [u64], window: u64) -> usize {
    arrivals.sort_unstable();
    let (mut worst, mut first) = (0, 0);
    for last in 0..arrivals.len() {
        while arrivals[first] + window <= arrivals[last] {
            first += 1;
        }
        worst = worst.max(last - first + 1);
    }
    worst
}

/// Clients that never stop asking, a vendor that counts anywhere between send and answer.
async fn saturate(limit: u32, spread: Spread, windows: u32) -> (usize, f64) {
    let clock = Clock::start();
    let vault = accounts(vec![window(limit, MINUTE, spread)], clock);
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let end = clock.now().plus(MINUTE * windows);
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..40 {
        let (vault, arrivals) = (Arc::clone(&vault), Arc::clone(&arrivals));
        clients.spawn(async move {
            let random = Random::from_seed(client);
            while clock.now() < end {
                let granted = slot(&vault, clock, MINUTE * 10).await.unwrap();
                let (sent, latency) =
                    (clock.now(), Duration::from_millis(200).mul_f64(random.unit()));
                let counted = sent.plus(latency.mul_f64(random.unit()));
                arrivals.lock().unwrap().push(counted.as_nanos());
                clock.sleep_until(sent.plus(latency)).await;
                granted.settle(&plain(clock));
            }
        });
    }
    clients.join_all().await;
    let mut arrivals = Arc::try_unwrap(arrivals).unwrap().into_inner().unwrap();
    arrivals.retain(|arrival| *arrival < end.as_nanos());
    let worst = verdict(&mut arrivals, 60_000_000_000);
    (worst, arrivals.len() as f64 / f64::from(limit * windows))
}

#[tokio::test(start_paused = true)]
async fn never_over_and_almost_nothing_wasted() {
    for spread in [Spread::None, Spread::Even { burst: 2 }, Spread::Even { burst: 20 }] {
        let (worst, used) = saturate(100, spread, 5).await;
        assert!(worst <= 100, "{spread:?}: {worst} in one window");
        assert!(used >= 0.99, "{spread:?}: only {used:.4} used");
    }
}

#[tokio::test(start_paused = true)]
async fn beyond_patience_the_answer_is_now_and_honest() {
    let clock = Clock::start();
    let vault = accounts(vec![window(1, MINUTE, Spread::None)], clock);
    slot(&vault, clock, MINUTE).await.unwrap().settle(&plain(clock));
    let Admission::Refused(refusal) = ask(&vault, clock, "/", MINUTE / 2) else {
        panic!("it cannot start within half a minute");
    };
    assert_eq!(refusal.retry_after, MINUTE);
    assert_eq!(refusal.reason, RefusalReason::Exhausted { allowance: "all".into() });
    let started = clock.now();
    slot(&vault, clock, MINUTE).await.unwrap().cancel();
    assert_eq!(clock.now().since(started).as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn leaving_the_queue_costs_nothing_and_lets_the_next_go() {
    let clock = Clock::start();
    let vault = accounts(vec![window(1, MINUTE, Spread::None)], clock);
    let first = slot(&vault, clock, MINUTE).await.unwrap();
    let Admission::Queued(leaver) = ask(&vault, clock, "/", MINUTE * 2) else { panic!() };
    let Admission::Queued(stayer) = ask(&vault, clock, "/", MINUTE * 3) else { panic!() };
    first.settle(&plain(clock));
    drop(leaver);
    let granted = stayer.await.unwrap();
    assert_eq!(clock.now().since(Moment::START).as_secs(), 60);
    granted.settle(&plain(clock));
}

#[tokio::test(start_paused = true)]
async fn a_slot_dropped_on_the_way_counts_a_second_longer() {
    let clock = Clock::start();
    let vault = accounts(vec![window(1, MINUTE, Spread::None)], clock);
    drop(slot(&vault, clock, MINUTE).await.unwrap());
    slot(&vault, clock, MINUTE * 2).await.unwrap().cancel();
    assert_eq!(clock.now().since(Moment::START), MINUTE + LINGER);
}

#[tokio::test(start_paused = true)]
async fn two_hundred_wait_and_one_probe_goes() {
    let clock = Clock::start();
    let vault = accounts(vec![window(1_000, MINUTE, Spread::None)], clock);
    let down = order(HoldCause::Maintenance, 300);
    let struck = slot(&vault, clock, MINUTE).await.unwrap();
    let mut settlement = plain(clock);
    settlement.order = Some(&down);
    let (aftermath, _) = struck.settle(&settlement);
    assert!(aftermath.held_until.is_some());
    let sends = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (vault, sends) = (Arc::clone(&vault), Arc::clone(&sends));
        waiting.spawn(async move {
            let granted = slot(&vault, clock, MINUTE * 30).await.unwrap();
            sends.lock().unwrap().push(clock.now());
            clock.sleep_until(clock.now().plus(Duration::from_secs(2))).await;
            let failing = sends.lock().unwrap().len() == 1;
            let mut settlement = plain(clock);
            settlement.order = failing.then_some(&down);
            granted.settle(&settlement);
        });
    }
    waiting.join_all().await;
    let sends =
        sends.lock().unwrap().iter().map(|at| at.as_nanos() / 1_000_000_000).collect::<Vec<_>>();
    assert_eq!(sends[..2], [300, 602], "one probe for each hold");
    assert_eq!(sends[2..].iter().min(), Some(&604), "the rest awaits the verdict");
    assert_eq!(sends.len(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_hold_beyond_patience_answers_everybody_at_once() {
    let clock = Clock::start();
    let vault = accounts(vec![window(1, MINUTE, Spread::None)], clock);
    let struck = slot(&vault, clock, MINUTE).await.unwrap();
    let Admission::Queued(waiting) = ask(&vault, clock, "/", MINUTE * 2) else { panic!() };
    let down = order(HoldCause::Maintenance, 300);
    let mut settlement = plain(clock);
    settlement.order = Some(&down);
    let (aftermath, _) = struck.settle(&settlement);
    assert!(matches!(&aftermath.news[..], [HoldNews { event: HoldEvent::Began, .. }]));
    let refusal = waiting.await.unwrap_err();
    let held = RefusalReason::Held { cause: HoldCause::Maintenance, failures: 0 };
    assert_eq!((refusal.reason, refusal.retry_after.as_secs()), (held, 300));
    assert_eq!(clock.now(), Moment::START);
}

#[tokio::test(start_paused = true)]
async fn a_leaving_probe_passes_its_role_on_before_its_first_byte() {
    let clock = Clock::start();
    let vault = accounts(vec![], clock);
    let down = order(HoldCause::Throttle, 10);
    let mut settlement = plain(clock);
    settlement.order = Some(&down);
    slot(&vault, clock, MINUTE).await.unwrap().settle(&settlement);
    let mut probe = slot(&vault, clock, MINUTE).await.unwrap();
    assert!(probe.is_probe());
    let Admission::Queued(next) = ask(&vault, clock, "/", MINUTE) else { panic!() };
    probe.given_up(Delivery::NotSent);
    drop(probe);
    let next = next.await.unwrap();
    assert!(next.is_probe());
    let before = clock.now();
    let Admission::Queued(later) = ask(&vault, clock, "/", MINUTE) else { panic!() };
    drop(next);
    assert!(later.await.unwrap().is_probe());
    let doubled = clock.now().since(before).as_secs();
    assert!((20..=22).contains(&doubled), "bytes of it were written: {doubled} s");
}

#[tokio::test(start_paused = true)]
async fn forty_throttles_in_flight_are_one() {
    let clock = Clock::start();
    let vault = accounts(vec![window(100, MINUTE, Spread::Even { burst: 100 })], clock);
    let mut slots = Vec::new();
    for _ in 0..40 {
        slots.push(slot(&vault, clock, MINUTE).await.unwrap());
    }
    let sent = clock.now();
    let mut throttle = order(HoldCause::Throttle, 10);
    (throttle.scope, throttle.slow_sixteenths) = (HoldScope::Allowance, 8);
    for slot in slots {
        clock.sleep_until(clock.now().plus(Duration::from_millis(10))).await;
        let mut settlement = Settlement::plain(sent, clock.now());
        settlement.order = Some(&throttle);
        slot.settle(&settlement);
    }
    let scope = &vault.view()[0].scopes[2];
    assert_eq!(scope.pace_sixteenths, 8);
    let hold = scope.hold.unwrap();
    assert_eq!((hold.failures, seconds_up(hold.remaining)), (0, 10));
}

#[tokio::test(start_paused = true)]
async fn exempt_calls_pass_an_exhausted_allowance_and_its_hold() {
    let clock = Clock::start();
    let mut hourly = window(1, MINUTE * 60, Spread::None);
    let auth = crate::routing::route::Matcher {
        methods: None,
        path: Some("/auth/token".parse().unwrap()),
    };
    hourly.exempt.push(auth);
    let vault = accounts(vec![hourly], clock);
    let mut throttle = order(HoldCause::Throttle, 10);
    throttle.scope = HoldScope::Allowance;
    let mut settlement = plain(clock);
    settlement.order = Some(&throttle);
    slot(&vault, clock, MINUTE).await.unwrap().settle(&settlement);
    assert!(matches!(ask(&vault, clock, "/auth/token", MINUTE), Admission::Granted(_)));
    assert!(matches!(ask(&vault, clock, "/data", MINUTE), Admission::Refused(_)));
}

#[tokio::test(start_paused = true)]
async fn an_allowance_that_only_observes_binds_nobody() {
    let clock = Clock::start();
    let observed = Allowance {
        name: "observed".into(),
        mode: Mode::Observe,
        ..window(1, MINUTE, Spread::None)
    };
    let vault = accounts(vec![observed, window(10, MINUTE, Spread::None)], clock);
    slot(&vault, clock, MINUTE).await.unwrap().settle(&plain(clock));
    let want = vault.want(0, &Method::GET, CallPath::new("/"), asker(clock.now(), MINUTE));
    let binding = vault.account(0, &HeaderMap::new()).binding(&want).unwrap();
    assert_eq!((&*binding.name, binding.remaining), ("all", 9));
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_seat_is_kept_until_the_body_ends() {
    let clock = Clock::start();
    let mut parallel = window(1, MINUTE, Spread::None);
    parallel.grant = Grant::Concurrency { limit: 1 };
    let vault = accounts(vec![parallel], clock);
    let (_, mut seat) = slot(&vault, clock, MINUTE).await.unwrap().settle(&plain(clock));
    let Admission::Queued(next) = ask(&vault, clock, "/", MINUTE) else { panic!() };
    seat.end();
    drop(seat);
    next.await.unwrap().cancel();
    assert_eq!(clock.now(), Moment::START);
}

#[tokio::test(start_paused = true)]
async fn an_outage_holds_the_upstream() {
    let clock = Clock::start();
    let vault = accounts(vec![], clock);
    for call in 1..=20 {
        let mut settlement = plain(clock);
        (settlement.blind, settlement.fate) = (Blind::OnConnection, AttemptEnd::NotSent);
        slot(&vault, clock, MINUTE).await.unwrap().settle(&settlement);
        let want = vault.want(0, &Method::GET, CallPath::new("/"), asker(clock.now(), MINUTE));
        let account = vault.account(0, &HeaderMap::new());
        let news = account.call_failed(&want, Blind::OnConnection, 0.0).news;
        assert_eq!(news.len(), usize::from(call == 20));
    }
    let Admission::Refused(refusal) = ask(&vault, clock, "/", Duration::from_secs(1)) else {
        panic!("the upstream is held");
    };
    let held = RefusalReason::Held { cause: HoldCause::Outage, failures: 0 };
    assert_eq!((refusal.reason, refusal.retry_after.as_secs()), (held, 5));
}

#[test]
fn scopes_are_counted_as_they_are_made() {
    let named = |name: &str| Allowance { name: name.into(), ..window(1, MINUTE, Spread::None) };
    let upstream = |name: &str, allowances: Vec<Allowance>| UpstreamRules {
        name: name.into(),
        account: AccountRule::Named("shared".into()),
        allowances,
        queue_max: 1,
    };
    let rules = [
        upstream("one", vec![named("a"), named("b")]),
        upstream("two", vec![named("b"), named("c")]),
        upstream("three", vec![]),
    ];
    let vault = Accounts::new(&rules, &[], 10, Clock::start());
    let counted = scopes_of(rules.iter().map(|upstream| &upstream.allowances[..]));
    let ramps = rules.len();
    assert_eq!((vault.view()[0].scopes.len() + ramps, counted), (12, 12), "ramps are not shown");
}

/// A turn of the pace is a slot's place in time: not sent, it goes back like the slot.
#[tokio::test(start_paused = true)]
async fn what_was_not_sent_gives_its_turn_of_the_pace_back() {
    let clock = Clock::start();
    let vault = accounts(vec![window(60, MINUTE, Spread::Even { burst: 1 })], clock);
    let mut unsent = plain(clock);
    unsent.fate = AttemptEnd::NotSent;
    slot(&vault, clock, MINUTE).await.unwrap().settle(&unsent);
    slot(&vault, clock, MINUTE).await.unwrap().cancel();
    let sent = slot(&vault, clock, MINUTE).await.unwrap();
    let Admission::Queued(next) = ask(&vault, clock, "/", MINUTE) else {
        panic!("the turn after it is a second away");
    };
    sent.cancel();
    next.await.unwrap().settle(&plain(clock));
    assert_eq!(clock.now(), Moment::START);
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_kept_once_somebody_took_the_next() {
    let clock = Clock::start();
    let vault = accounts(vec![window(60, MINUTE, Spread::Even { burst: 2 })], clock);
    let first = slot(&vault, clock, MINUTE).await.unwrap();
    let second = slot(&vault, clock, MINUTE).await.unwrap();
    first.cancel();
    assert!(matches!(ask(&vault, clock, "/", Duration::ZERO), Admission::Refused(_)));
    second.cancel();
    ask_granted(&vault, clock).cancel();
}

fn ask_granted(vault: &Accounts, clock: Clock) -> Slot {
    match ask(vault, clock, "/", Duration::ZERO) {
        Admission::Granted(slot) => slot,
        Admission::Queued(_) | Admission::Refused(_) => panic!("there is room"),
    }
}

/// A refusal of one allowance takes nothing of another, one that only observes included.
#[tokio::test(start_paused = true)]
async fn a_refusal_takes_no_turn_of_what_only_observes() {
    let clock = Clock::start();
    let observed = Allowance {
        name: "observed".into(),
        mode: Mode::Observe,
        ..window(30, MINUTE, Spread::Even { burst: 2 })
    };
    let strict = window(60, MINUTE, Spread::Even { burst: 1 });
    let vault = accounts(vec![observed, strict], clock);
    ask_granted(&vault, clock).settle(&plain(clock));
    for _ in 0..5 {
        assert!(matches!(ask(&vault, clock, "/", Duration::ZERO), Admission::Refused(_)));
    }
    clock.sleep_until(Moment::from_millis(1_000)).await;
    let second = ask_granted(&vault, clock);
    assert!(!second.would_have_waited(), "two are within its burst");
    second.settle(&plain(clock));
}

/// Whatever is given back, what was sent is spaced as if nothing else had ever been granted.
#[tokio::test(start_paused = true)]
async fn what_was_sent_keeps_the_pace_whatever_was_not() {
    const BURST: usize = 3;
    for seed in 0..50 {
        let (clock, random) = (Clock::start(), Random::from_seed(seed));
        let spread = Spread::Even { burst: 3 };
        let vault = accounts(vec![window(60, MINUTE, spread)], clock);
        let (mut sent, mut open) = (Vec::new(), Vec::new());
        for _ in 0..200 {
            let pause = Duration::from_secs(3).mul_f64(random.unit().powi(3));
            clock.sleep_until(clock.now().plus(pause)).await;
            if let Admission::Granted(slot) = ask(&vault, clock, "/", Duration::ZERO) {
                open.push((slot, clock.now()));
            }
            while !open.is_empty() && random.unit() < 0.5 {
                let place = usize::from(random.bytes8()[0]) % open.len();
                let (slot, granted) = open.swap_remove(place);
                if random.unit() < 0.4 {
                    slot.cancel();
                } else {
                    slot.settle(&Settlement::plain(granted, clock.now()));
                    sent.push(granted);
                }
            }
        }
        sent.extend(open.iter().map(|(_, granted)| *granted));
        sent.sort_unstable();
        for (place, first) in sent.iter().enumerate() {
            for (ahead, last) in sent[place..].iter().enumerate().skip(BURST) {
                let least = Duration::from_secs((ahead + 1 - BURST) as u64);
                assert!(least <= last.since(*first), "seed {seed}: {ahead} after {first:?}");
            }
        }
        assert!(sent.len() > 50, "seed {seed}: {} sent", sent.len());
    }
}

/// The account's timer was lost once, when the call that kept it gave up at its own deadline.
#[tokio::test(start_paused = true)]
async fn giving_up_hands_the_timer_on() {
    let clock = Clock::start();
    let second = Duration::from_secs(1);
    let vault = accounts(vec![window(1, MINUTE, Spread::None)], clock);
    let first = slot(&vault, clock, MINUTE).await.unwrap();
    let Admission::Queued(keeper) = ask(&vault, clock, "/", second * 70) else { panic!() };
    let Admission::Queued(next) = ask(&vault, clock, "/", second * 200) else { panic!() };
    let (keeper, next) = (tokio::spawn(keeper), tokio::spawn(next));
    clock.sleep_until(Moment::from_millis(15_000)).await;
    first.settle(&plain(clock));
    assert!(keeper.await.unwrap().is_err(), "its slot is released five seconds too late for it");
    next.await.unwrap().unwrap().cancel();
    assert_eq!(clock.now().since(Moment::START).as_secs(), 75);
}
