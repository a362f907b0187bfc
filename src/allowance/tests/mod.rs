//! Accounts under a paused clock: whole windows, many waiting calls, hold and probe.

mod accounts;
mod costs;
mod estimates;
mod fairness;
mod holds;
mod levers;
mod many;
pub(super) mod oracle;
mod records;
mod reloads;
mod restarts;
mod simulation;

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

const LINGER: Duration = Duration::from_secs(1);

const MINUTE: Duration = Duration::from_secs(60);

fn window(limit: u32, window: Duration, spread: Spread) -> Allowance {
    let grant = Grant::Window { limit, window, spread, arrival_guard: None };
    Allowance::new("all", grant, LINGER)
}

fn accounts_of(allowances: Vec<Allowance>, clock: Clock) -> Arc<Accounts> {
    let upstream = UpstreamAllowances {
        name: "vendor".into(),
        url: "http://vendor".into(),
        account: AccountRule::Upstream,
        allowances,
        queue: QueueBounds::of_one_client(1_000),
    };
    Arc::new(Accounts::new(&[upstream], &[], 10, clock))
}

fn scheduling(now: Moment, patience: Duration) -> Scheduling {
    Scheduling {
        of: ClientShare { client: 0, share: 1 },
        priority: Priority::Normal,
        arrival: now,
        deadline: now.plus(patience),
        probe_fitness: ProbeFitness::Replayable,
    }
}

fn ask(accounts: &Accounts, clock: Clock, path: &str, patience: Duration) -> Admission {
    let now = clock.now();
    let request =
        accounts.slot_request(0, (&Method::GET, CallPath::new(path)), scheduling(now, patience));
    accounts.account(0, &HeaderMap::new()).acquire(request, now)
}

async fn slot(accounts: &Accounts, clock: Clock, patience: Duration) -> Result<Slot, Refusal> {
    match ask(accounts, clock, "/", patience) {
        Admission::Granted(slot) => Ok(slot),
        Admission::Queued(waiting) => waiting.await,
        Admission::Refused(refusal) => Err(refusal),
    }
}

fn plain(clock: Clock) -> Settlement<'static> {
    Settlement::answered(clock.now(), clock.now())
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

/// The most arrivals in any half-open window.
fn most_in_a_window(arrivals: &mut [u64], window: u64) -> usize {
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

/// Clients that always ask for more, and a vendor that counts at a random moment between request
/// and response. Returns the most attempts in a window, and the used share of the limit.
async fn saturate(limit: u32, spread: Spread, windows: u32) -> (usize, f64) {
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(limit, MINUTE, spread)], clock);
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let end = clock.now().plus(MINUTE * windows);
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..40 {
        let (accounts, arrivals) = (Arc::clone(&accounts), Arc::clone(&arrivals));
        clients.spawn(async move {
            let random = Random::from_seed(client);
            while clock.now() < end {
                let granted = slot(&accounts, clock, MINUTE * 10).await.unwrap();
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
    let worst = most_in_a_window(&mut arrivals, 60_000_000_000);
    (worst, arrivals.len() as f64 / f64::from(limit * windows))
}

#[tokio::test(start_paused = true)]
async fn no_window_exceeds_the_limit_and_almost_all_of_it_is_used() {
    let spreads =
        [Spread::Auto, Spread::None, Spread::Even { burst: 2 }, Spread::Even { burst: 20 }];
    for spread in spreads {
        let (worst, used) = saturate(100, spread, 5).await;
        assert!(worst <= 100, "{spread:?}: {worst} in one window");
        assert!(used >= 0.99, "{spread:?}: only {used:.4} used");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_start_within_its_patience_is_refused_at_once_with_the_right_wait() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(1, MINUTE, Spread::None)], clock);
    slot(&accounts, clock, MINUTE).await.unwrap().settle(&plain(clock));
    let Admission::Refused(refusal) = ask(&accounts, clock, "/", MINUTE / 2) else {
        panic!("it cannot start within half a minute");
    };
    assert_eq!(refusal.retry_after, MINUTE);
    let bottleneck = Bottleneck { kind: BottleneckKind::Allowance, name: "all".into() };
    assert_eq!(refusal.reason, RefusalReason::Exhausted { bottleneck });
    let started = clock.now();
    slot(&accounts, clock, MINUTE).await.unwrap().cancel();
    assert_eq!(clock.now().since(started).as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn leaving_the_queue_costs_no_slot_and_lets_the_next_call_go() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(1, MINUTE, Spread::None)], clock);
    let first = slot(&accounts, clock, MINUTE).await.unwrap();
    let Admission::Queued(leaver) = ask(&accounts, clock, "/", MINUTE * 2) else { panic!() };
    let Admission::Queued(stayer) = ask(&accounts, clock, "/", MINUTE * 3) else { panic!() };
    first.settle(&plain(clock));
    drop(leaver);
    let granted = stayer.await.unwrap();
    assert_eq!(clock.now().since(Moment::START).as_secs(), 60);
    granted.settle(&plain(clock));
}

#[tokio::test(start_paused = true)]
async fn a_slot_dropped_unsettled_counts_for_the_linger_longer() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(1, MINUTE, Spread::None)], clock);
    drop(slot(&accounts, clock, MINUTE).await.unwrap());
    slot(&accounts, clock, MINUTE * 2).await.unwrap().cancel();
    assert_eq!(clock.now().since(Moment::START), MINUTE + LINGER);
}

#[tokio::test(start_paused = true)]
async fn of_two_hundred_waiting_calls_one_goes_as_the_probe() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(1_000, MINUTE, Spread::None)], clock);
    let down = order(HoldCause::Maintenance, 300);
    let held = slot(&accounts, clock, MINUTE).await.unwrap();
    let mut settlement = plain(clock);
    settlement.order = Some(&down);
    let (outcome, _) = held.settle(&settlement);
    assert!(outcome.held_until.is_some());
    let sends = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (accounts, sends) = (Arc::clone(&accounts), Arc::clone(&sends));
        waiting.spawn(async move {
            let granted = slot(&accounts, clock, MINUTE * 30).await.unwrap();
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
    assert_eq!(sends[2..].iter().min(), Some(&604), "the rest waits for the probe");
    assert_eq!(sends.len(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_hold_beyond_their_patience_refuses_all_waiting_calls_at_once() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(1, MINUTE, Spread::None)], clock);
    let held = slot(&accounts, clock, MINUTE).await.unwrap();
    let Admission::Queued(waiting) = ask(&accounts, clock, "/", MINUTE * 2) else { panic!() };
    let down = order(HoldCause::Maintenance, 300);
    let mut settlement = plain(clock);
    settlement.order = Some(&down);
    let (outcome, _) = held.settle(&settlement);
    assert!(matches!(&outcome.hold_changes[..], [HoldChange { kind: HoldChangeKind::Began, .. }]));
    let refusal = waiting.await.unwrap_err();
    let held = RefusalReason::Held { cause: HoldCause::Maintenance, failed_probes: 0 };
    assert_eq!((refusal.reason, refusal.retry_after.as_secs()), (held, 300));
    assert_eq!(clock.now(), Moment::START);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_leaves_before_its_first_byte_is_replaced_and_after_it_has_failed() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![], clock);
    let down = order(HoldCause::Throttle, 10);
    let mut settlement = plain(clock);
    settlement.order = Some(&down);
    slot(&accounts, clock, MINUTE).await.unwrap().settle(&settlement);
    let mut probe = slot(&accounts, clock, MINUTE).await.unwrap();
    assert!(probe.is_probe());
    let Admission::Queued(next) = ask(&accounts, clock, "/", MINUTE) else { panic!() };
    probe.note_delivery(Delivery::NotSent);
    drop(probe);
    let next = next.await.unwrap();
    assert!(next.is_probe());
    let before = clock.now();
    let Admission::Queued(later) = ask(&accounts, clock, "/", MINUTE) else { panic!() };
    drop(next);
    assert!(later.await.unwrap().is_probe());
    let doubled = clock.now().since(before).as_secs();
    assert!(
        (20..=22).contains(&doubled),
        "the hold is doubled, as bytes were written: {doubled} s"
    );
}

#[tokio::test(start_paused = true)]
async fn forty_calls_throttled_in_flight_slow_the_pace_once() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(100, MINUTE, Spread::Even { burst: 100 })], clock);
    let mut slots = Vec::new();
    for _ in 0..40 {
        slots.push(slot(&accounts, clock, MINUTE).await.unwrap());
    }
    let sent = clock.now();
    let mut throttle = order(HoldCause::Throttle, 10);
    (throttle.scope, throttle.slow_sixteenths) = (HoldScope::Allowance, 8);
    for slot in slots {
        clock.sleep_until(clock.now().plus(Duration::from_millis(10))).await;
        let mut settlement = Settlement::answered(sent, clock.now());
        settlement.order = Some(&throttle);
        slot.settle(&settlement);
    }
    let scope = &accounts.view()[0].scopes[2];
    assert_eq!(scope.pace_sixteenths, 8);
    let hold = scope.hold.unwrap();
    assert_eq!((hold.failed_probes, seconds_up(hold.remaining)), (0, 10));
}

#[tokio::test(start_paused = true)]
async fn exempt_calls_pass_an_exhausted_allowance_and_its_hold() {
    let clock = Clock::start();
    let mut hourly = window(1, MINUTE * 60, Spread::None);
    let auth = crate::routing::route::Matcher {
        methods: None,
        path: Some("/auth/token".parse().unwrap()),
    };
    hourly.exempt.push(auth.into());
    let accounts = accounts_of(vec![hourly], clock);
    let mut throttle = order(HoldCause::Throttle, 10);
    throttle.scope = HoldScope::Allowance;
    let mut settlement = plain(clock);
    settlement.order = Some(&throttle);
    slot(&accounts, clock, MINUTE).await.unwrap().settle(&settlement);
    assert!(matches!(ask(&accounts, clock, "/auth/token", MINUTE), Admission::Granted(_)));
    assert!(matches!(ask(&accounts, clock, "/data", MINUTE), Admission::Refused(_)));
}

#[tokio::test(start_paused = true)]
async fn an_allowance_that_only_observes_is_never_the_tightest() {
    let clock = Clock::start();
    let observed = Allowance {
        name: "observed".into(),
        mode: Mode::Observe,
        ..window(1, MINUTE, Spread::None)
    };
    let accounts = accounts_of(vec![observed, window(10, MINUTE, Spread::None)], clock);
    slot(&accounts, clock, MINUTE).await.unwrap().settle(&plain(clock));
    let request = accounts.slot_request(
        0,
        (&Method::GET, CallPath::new("/")),
        scheduling(clock.now(), MINUTE),
    );
    let tightest = accounts.account(0, &HeaderMap::new()).tightest_allowance(&request).unwrap();
    assert_eq!((&*tightest.name, tightest.remaining), ("all", 9));
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_permit_is_kept_until_the_body_ends() {
    let clock = Clock::start();
    let mut parallel = window(1, MINUTE, Spread::None);
    parallel.grant = Grant::Concurrency { limit: 1 };
    let accounts = accounts_of(vec![parallel], clock);
    let (_, mut permit) = slot(&accounts, clock, MINUTE).await.unwrap().settle(&plain(clock));
    let Admission::Queued(next) = ask(&accounts, clock, "/", MINUTE) else { panic!() };
    permit.body_ended();
    drop(permit);
    next.await.unwrap().cancel();
    assert_eq!(clock.now(), Moment::START);
}

#[tokio::test(start_paused = true)]
async fn an_outage_holds_the_upstream() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![], clock);
    for call in 1..=20 {
        let mut settlement = plain(clock);
        settlement.blind_failure = Some(BlindFailure::NoConnection);
        settlement.end = AttemptEnd::NotSent;
        slot(&accounts, clock, MINUTE).await.unwrap().settle(&settlement);
        let request = accounts.slot_request(
            0,
            (&Method::GET, CallPath::new("/")),
            scheduling(clock.now(), MINUTE),
        );
        let account = accounts.account(0, &HeaderMap::new());
        let changes = account.call_failed(&request, BlindFailure::NoConnection, 0.0).hold_changes;
        assert_eq!(changes.len(), usize::from(call == 20));
    }
    let Admission::Refused(refusal) = ask(&accounts, clock, "/", Duration::from_secs(1)) else {
        panic!("the upstream is held");
    };
    let held = RefusalReason::Held { cause: HoldCause::Outage, failed_probes: 0 };
    assert_eq!((refusal.reason, refusal.retry_after.as_secs()), (held, 5));
}

#[test]
fn the_number_of_scopes_is_known_from_the_settings() {
    let named = |name: &str| Allowance { name: name.into(), ..window(1, MINUTE, Spread::None) };
    let upstream = |name: &str, allowances: Vec<Allowance>| UpstreamAllowances {
        name: name.into(),
        url: "http://vendor".into(),
        account: AccountRule::Named("shared".into()),
        allowances,
        queue: QueueBounds::of_one_client(1),
    };
    let upstreams = [
        upstream("one", vec![named("a"), named("b")]),
        upstream("two", vec![named("b"), named("c")]),
        upstream("three", vec![]),
    ];
    let accounts = Accounts::new(&upstreams, &[], 10, Clock::start());
    let counted = scopes_of(upstreams.iter().map(|upstream| &upstream.allowances[..]));
    let slow_starts = upstreams.len();
    assert_eq!(
        (accounts.view()[0].scopes.len() + slow_starts, counted),
        (12, 12),
        "slow starts are not shown"
    );
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_not_sent_gives_its_turn_of_the_pace_back() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(60, MINUTE, Spread::Even { burst: 1 })], clock);
    let mut unsent = plain(clock);
    unsent.end = AttemptEnd::NotSent;
    slot(&accounts, clock, MINUTE).await.unwrap().settle(&unsent);
    slot(&accounts, clock, MINUTE).await.unwrap().cancel();
    let sent = slot(&accounts, clock, MINUTE).await.unwrap();
    let Admission::Queued(next) = ask(&accounts, clock, "/", MINUTE) else {
        panic!("the next turn is a second away");
    };
    sent.cancel();
    next.await.unwrap().settle(&plain(clock));
    assert_eq!(clock.now(), Moment::START);
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_not_given_back_once_the_next_was_taken() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(60, MINUTE, Spread::Even { burst: 2 })], clock);
    let first = slot(&accounts, clock, MINUTE).await.unwrap();
    let second = slot(&accounts, clock, MINUTE).await.unwrap();
    first.cancel();
    assert!(matches!(ask(&accounts, clock, "/", Duration::ZERO), Admission::Refused(_)));
    second.cancel();
    ask_granted(&accounts, clock).cancel();
}

fn ask_granted(accounts: &Accounts, clock: Clock) -> Slot {
    match ask(accounts, clock, "/", Duration::ZERO) {
        Admission::Granted(slot) => slot,
        Admission::Queued(_) | Admission::Refused(_) => panic!("there is room"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_takes_no_turn_of_an_allowance_that_only_observes() {
    let clock = Clock::start();
    let observed = Allowance {
        name: "observed".into(),
        mode: Mode::Observe,
        ..window(30, MINUTE, Spread::Even { burst: 2 })
    };
    let strict = window(60, MINUTE, Spread::Even { burst: 1 });
    let accounts = accounts_of(vec![observed, strict], clock);
    ask_granted(&accounts, clock).settle(&plain(clock));
    for _ in 0..5 {
        assert!(matches!(ask(&accounts, clock, "/", Duration::ZERO), Admission::Refused(_)));
    }
    clock.sleep_until(Moment::from_millis(1_000)).await;
    let second = ask_granted(&accounts, clock);
    assert!(!second.would_have_waited(), "two are within the burst of the one that observes");
    second.settle(&plain(clock));
}

#[tokio::test(start_paused = true)]
async fn sent_attempts_keep_the_pace_whatever_is_given_back() {
    const BURST: usize = 3;
    for seed in 0..50 {
        let (clock, random) = (Clock::start(), Random::from_seed(seed));
        let spread = Spread::Even { burst: 3 };
        let accounts = accounts_of(vec![window(60, MINUTE, spread)], clock);
        let (mut sent, mut open) = (Vec::new(), Vec::new());
        for _ in 0..200 {
            let pause = Duration::from_secs(3).mul_f64(random.unit().powi(3));
            clock.sleep_until(clock.now().plus(pause)).await;
            if let Admission::Granted(slot) = ask(&accounts, clock, "/", Duration::ZERO) {
                open.push((slot, clock.now()));
            }
            while !open.is_empty() && random.unit() < 0.5 {
                let place = usize::from(random.bytes8()[0]) % open.len();
                let (slot, granted) = open.swap_remove(place);
                if random.unit() < 0.4 {
                    slot.cancel();
                } else {
                    slot.settle(&Settlement::answered(granted, clock.now()));
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

/// The timer was once lost when the call that kept it gave up at its own deadline.
#[tokio::test(start_paused = true)]
async fn a_call_that_gives_up_hands_the_timer_on() {
    let clock = Clock::start();
    let second = Duration::from_secs(1);
    let accounts = accounts_of(vec![window(1, MINUTE, Spread::None)], clock);
    let first = slot(&accounts, clock, MINUTE).await.unwrap();
    let Admission::Queued(keeper) = ask(&accounts, clock, "/", second * 70) else { panic!() };
    let Admission::Queued(next) = ask(&accounts, clock, "/", second * 200) else { panic!() };
    let (keeper, next) = (tokio::spawn(keeper), tokio::spawn(next));
    clock.sleep_until(Moment::from_millis(15_000)).await;
    first.settle(&plain(clock));
    assert!(keeper.await.unwrap().is_err(), "the slot is released five seconds after its deadline");
    next.await.unwrap().unwrap().cancel();
    assert_eq!(clock.now().since(Moment::START).as_secs(), 75);
}
