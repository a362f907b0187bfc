//! Accounts under changed configurations: what lives on, and that nothing is granted twice.

use proptest::prelude::*;

use super::*;

fn upstream(name: &str, allowances: Vec<Allowance>) -> UpstreamAllowances {
    UpstreamAllowances {
        name: name.into(),
        url: "http://vendor".into(),
        account: AccountRule::Upstream,
        allowances,
        queue: QueueBounds::of_one_client(1_000),
    }
}

fn accounts(upstreams: &[UpstreamAllowances], clock: Clock) -> Accounts {
    Accounts::new(upstreams, &[], 10, clock)
}

fn renewed(accounts: &Accounts, upstreams: &[UpstreamAllowances]) -> Accounts {
    accounts.renewed(upstreams, &[], 10).unwrap()
}

fn named(name: &str, allowance: &Allowance) -> Allowance {
    Allowance { name: name.into(), ..allowance.clone() }
}

/// How many slots there are now; they are settled at once.
fn spend(accounts: &Accounts, clock: Clock) -> usize {
    let slots = take(accounts, clock);
    let taken = slots.len();
    slots.into_iter().for_each(|slot| drop(slot.settle(&plain(clock))));
    taken
}

fn take(accounts: &Accounts, clock: Clock) -> Vec<Slot> {
    let granted = std::iter::from_fn(|| match ask(accounts, clock, "/", Duration::ZERO) {
        Admission::Granted(slot) => Some(slot),
        Admission::Queued(_) | Admission::Refused(_) => None,
    });
    granted.take(100).collect()
}

async fn pass(clock: Clock, span: Duration) {
    clock.sleep_until(clock.now().plus(span)).await;
}

const PLAIN: Spread = Spread::None;

#[tokio::test(start_paused = true)]
async fn a_lowered_limit_binds_from_the_next_grant_and_a_raised_one_at_once() {
    let clock = Clock::start();
    let limit = |limit| [upstream("vendor", vec![window(limit, MINUTE, PLAIN)])];
    let first = accounts(&limit(10), clock);
    assert_eq!(spend(&first, clock), 10);
    let raised = renewed(&first, &limit(12));
    assert_eq!(spend(&first, clock), 2, "calls of the old configuration are bound too");
    assert_eq!(spend(&raised, clock), 0);
    let lowered = renewed(&raised, &limit(5));
    pass(clock, MINUTE).await;
    let [one, other] = [&first, &lowered].map(|accounts| spend(accounts, clock));
    assert_eq!((one, other), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_spent_stays_spent_under_another_name_or_window() {
    let clock = Clock::start();
    let hour = window(10, 60 * MINUTE, PLAIN);
    let before = [upstream("vendor", vec![window(4, MINUTE, PLAIN)])];
    let rows: [(&str, UpstreamAllowances, usize); 5] = [
        ("the upstream is renamed", upstream("renamed", before[0].allowances.clone()), 0),
        (
            "the allowance is renamed",
            upstream("vendor", vec![named("rate", &before[0].allowances[0])]),
            0,
        ),
        ("another window", upstream("vendor", vec![hour.clone()]), 2),
        (
            "an allowance is added",
            upstream("vendor", vec![window(100, MINUTE, PLAIN), named("hour", &hour)]),
            2,
        ),
        (
            "the account has a name now",
            UpstreamAllowances {
                account: AccountRule::Named("shared".into()),
                ..before[0].clone()
            },
            0,
        ),
    ];
    for (what, after, left) in rows {
        let first = accounts(&before, clock);
        assert_eq!(spend(&first, clock), 4);
        pass(clock, MINUTE * 2).await;
        let under_way = take(&first, clock);
        assert_eq!(under_way.len(), 4, "{what}");
        let second = renewed(&first, &[after]);
        assert_eq!(spend(&second, clock), left, "{what}");
        under_way.into_iter().for_each(|slot| drop(slot.settle(&plain(clock))));
        assert_eq!(spend(&second, clock), 0, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_are_bound_by_new_allowances_too() {
    let clock = Clock::start();
    let before = [upstream("vendor", vec![window(2, MINUTE, PLAIN)])];
    let first = accounts(&before, clock);
    assert_eq!(spend(&first, clock), 2);
    let patience = 10 * MINUTE;
    let waiting: Vec<_> = (0..4)
        .map(|_| match ask(&first, clock, "/", patience) {
            Admission::Queued(waiting) => waiting,
            other @ (Admission::Granted(_) | Admission::Refused(_)) => panic!("{other:?}"),
        })
        .collect();
    let limit = named("rate", &window(1, MINUTE, PLAIN));
    let second = renewed(&first, &[upstream("vendor", vec![limit])]);
    let began = clock.now();
    for (turn, waiting) in waiting.into_iter().enumerate() {
        let slot = waiting.await.unwrap();
        let passed = clock.now().since(began);
        assert!(passed >= MINUTE * u32::try_from(turn).unwrap(), "{turn}: {passed:?}");
        slot.settle(&plain(clock));
    }
    assert_eq!(second.view()[0].waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn holds_live_on_and_are_released_by_their_number() {
    let clock = Clock::start();
    let before = [upstream("vendor", vec![window(100, MINUTE, PLAIN)])];
    let first = accounts(&before, clock);
    let held = slot(&first, clock, MINUTE).await.unwrap();
    let order = HoldOrder {
        scope: HoldScope::Upstream,
        cause: HoldCause::Maintenance,
        length: Some(Wait { span: MINUTE, basis: Basis::Upstream }),
        at_least: Duration::ZERO,
        slow_sixteenths: 16,
    };
    held.settle(&Settlement { order: Some(&order), ..plain(clock) });
    let second = renewed(&first, &[upstream("renamed", before[0].allowances.clone())]);
    assert_eq!(spend(&second, clock), 0);
    let id = second.view()[0].scopes.iter().find_map(|scope| scope.hold).unwrap().id;
    assert!(second.release_hold(id));
    assert!(spend(&second, clock) > 0);
}

#[tokio::test(start_paused = true)]
async fn numbers_of_scopes_are_used_again_when_no_older_call_is_left() {
    let clock = Clock::start();
    let of = |turn: usize| {
        let span = MINUTE + Duration::from_secs(turn as u64);
        let allowances =
            (0..20).map(|number| named(&format!("a{turn}_{number}"), &window(50, span, PLAIN)));
        [upstream("vendor", allowances.collect())]
    };
    let mut latest = accounts(&of(0), clock);
    for turn in 1..20 {
        latest = renewed(&latest, &of(turn));
    }
    let mut held = vec![latest];
    let refused = (20..30).find_map(|turn| {
        let next = held.last().unwrap().renewed(&of(turn), &[], 10);
        next.map(|next| held.push(next)).err()
    });
    assert_eq!(&*refused.expect("64 numbers are not enough").upstream, "vendor");
    let last = held.pop().unwrap();
    drop(held);
    assert_eq!(spend(&last, clock), 50);
    assert_eq!(spend(&renewed(&last, &of(40)), clock), 0);
}

#[test]
fn a_client_keeps_its_limit_by_name() {
    let clock = Clock::start();
    let client = |name: &str, limit| ClientAllowance {
        name: name.into(),
        limit: Some(named(name, &window(limit, MINUTE, PLAIN))),
    };
    let free = |accounts: &Accounts, number: usize| {
        let now = clock.now();
        let scheduling = scheduling(now, Duration::ZERO);
        let (account, request) = accounts.client_limit(number, scheduling).unwrap();
        let granted = std::iter::from_fn(|| match account.acquire(request, now) {
            Admission::Granted(slot) => Some(slot),
            Admission::Queued(_) | Admission::Refused(_) => None,
        });
        granted.map(|slot| drop(slot.settle(&plain(clock)))).count()
    };
    let first = Accounts::new(&[], &[client("a", 3), client("b", 4)], 10, clock);
    assert_eq!((free(&first, 0), free(&first, 1)), (3, 4));
    let clients = [client("new", 2), client("b", 6), client("a", 1)];
    let second = first.renewed(&[], &clients, 10).unwrap();
    assert_eq!((free(&second, 0), free(&second, 1), free(&second, 2)), (2, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn accounts_by_header_are_all_changed_and_opened_with_the_new_scopes() {
    let clock = Clock::start();
    let header = http::HeaderName::from_static("x-account");
    let rules = |allowances| {
        let account = AccountRule::Header(header.clone());
        [UpstreamAllowances { account, ..upstream("vendor", allowances) }]
    };
    let granted = |accounts: &Accounts, key: &'static str| {
        let now = clock.now();
        let headers = HeaderMap::from_iter([(header.clone(), key.parse().unwrap())]);
        let path = CallPath::new("/");
        let scheduling = scheduling(now, Duration::ZERO);
        let request = accounts.slot_request(0, (&Method::GET, path), scheduling);
        let account = accounts.account(0, &headers);
        let slots = std::iter::from_fn(|| match account.acquire(request, now) {
            Admission::Granted(slot) => Some(slot),
            Admission::Queued(_) | Admission::Refused(_) => None,
        });
        slots.map(|slot| drop(slot.settle(&plain(clock)))).count()
    };
    let first = accounts(&rules(vec![window(3, MINUTE, PLAIN)]), clock);
    assert_eq!(granted(&first, "a"), 3);
    let hour = named("hour", &window(5, 60 * MINUTE, PLAIN));
    let second = renewed(&first, &rules(vec![window(9, MINUTE, PLAIN), hour]));
    assert_eq!((granted(&second, "a"), granted(&first, "b"), granted(&second, "b")), (2, 5, 0));
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Ask { latency: u64, old: bool },
    Reload(Vec<(u8, u32, u64)>),
}

fn step() -> impl Strategy<Value = Step> {
    let allowance = (0_u8..3, 1_u32..6, 1_u64..90);
    prop_oneof![
        4 => (1_u64..40).prop_map(Step::Pass),
        12 => (0_u64..50, any::<bool>()).prop_map(|(latency, old)| Step::Ask { latency, old }),
        1 => prop::collection::vec(allowance, 1..3).prop_map(Step::Reload),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is reloaded, after each grant no window of the allowances in force holds more than
    /// its limit, unless it did already when they came into force.
    #[test]
    fn no_reload_lets_more_through(steps in prop::collection::vec(step(), 1..150)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(simulate(steps))?;
    }
}

async fn simulate(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let second = Duration::from_secs(1);
    let clock = Clock::start();
    let mut rules = vec![(0, 3, 10)];
    let allowances = |rules: &[(u8, u32, u64)]| {
        let mut known = Vec::new();
        for (name, limit, seconds) in rules {
            let span = second * u32::try_from(*seconds).unwrap();
            let allowance = named(&format!("a{name}"), &window(*limit, span, PLAIN));
            if !known.iter().any(|it: &Allowance| it.name == allowance.name) {
                known.push(allowance);
            }
        }
        known
    };
    let mut latest = accounts(&[upstream("vendor", allowances(&rules))], clock);
    let mut older = Vec::new();
    // The vendor counts an attempt at some moment until it is settled: here at the end.
    let mut counted: Vec<Moment> = Vec::new();
    let mut open: Vec<(Moment, Slot)> = Vec::new();
    for step in steps {
        match step {
            Step::Pass(seconds) => {
                let until = clock.now().plus(second * u32::try_from(seconds).unwrap());
                loop {
                    open.sort_by_key(|(at, _)| *at);
                    let due = open.first().map(|(at, _)| *at).filter(|at| *at <= until);
                    let Some(at) = due else { break };
                    clock.sleep_until(at).await;
                    counted.push(clock.now());
                    open.remove(0).1.settle(&plain(clock));
                }
                clock.sleep_until(until).await;
            }
            Step::Ask { latency, old } => {
                let asked = older.last().filter(|_| old).unwrap_or(&latest);
                let Admission::Granted(slot) = ask(asked, clock, "/", Duration::ZERO) else {
                    continue;
                };
                let end = clock.now().plus(second * u32::try_from(latency).unwrap());
                open.push((end, slot));
                for allowance in allowances(&rules) {
                    let Grant::Window { limit, window, .. } = allowance.grant else { continue };
                    let now = clock.now();
                    let recent = counted.iter().filter(|at| now < at.plus(window)).count();
                    prop_assert!(recent + open.len() <= limit as usize, "{allowance:?}");
                }
            }
            Step::Reload(changed) => {
                rules = changed;
                let next = renewed(&latest, &[upstream("vendor", allowances(&rules))]);
                older.push(std::mem::replace(&mut latest, next));
                if older.len() > 2 {
                    older.remove(0);
                }
            }
        }
    }
    Ok(())
}

/// What such a call costs was not found out when it arrived.
#[tokio::test(start_paused = true)]
async fn a_call_from_before_a_reload_costs_the_default_of_a_cost_that_is_new() {
    let clock = Clock::start();
    let calls = window(50, MINUTE, PLAIN);
    let units = Allowance {
        cost: Some(Arc::new(CostRule::fixed(30))),
        cost_class: CostClass::new(1).unwrap(),
        ..named("units", &window(100, MINUTE, PLAIN))
    };
    let first = accounts(&[upstream("vendor", vec![calls.clone()])], clock);
    let _second = renewed(&first, &[upstream("vendor", vec![calls, units])]);
    assert_eq!(spend(&first, clock), 3, "90 of 100");
}
