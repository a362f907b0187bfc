//! What an operator's levers do to calls that wait, come and are under way.

use super::*;
use crate::outcome::LearnedLimit;
use crate::routing::route::Matcher;

fn origin() -> LeverOrigin {
    LeverOrigin { by: "alice".into(), reason: "a test".into() }
}

fn order(lever: Lever) -> LeverOrder {
    let upstream = "vendor".into();
    LeverOrder { lever, upstream, account: None, allowance: None, origin: origin() }
}

fn pull(accounts: &Accounts, lever: Lever) -> LeverReport {
    accounts.pull_lever(&order(lever)).unwrap()
}

fn of_allowance(lever: Lever, name: &str) -> LeverOrder {
    LeverOrder { allowance: Some(name.into()), ..order(lever) }
}

fn named(name: &str, limit: u32, length: Duration) -> Allowance {
    Allowance { name: name.into(), ..window(limit, length, Spread::None) }
}

fn bucket(size: u32, units: u32) -> Allowance {
    let refill = Refill { units, over: Duration::from_secs(1), step: None };
    Allowance::new("all", Grant::Bucket { size, refill }, LINGER)
}

fn spend(accounts: &Accounts, clock: Clock, calls: usize) {
    (0..calls).for_each(|_| drop(ask_granted(accounts, clock).settle(&plain(clock))));
}

/// How many calls without patience are granted now.
fn free(accounts: &Accounts, clock: Clock) -> usize {
    let slots: Vec<_> = std::iter::from_fn(|| match ask(accounts, clock, "/", Duration::ZERO) {
        Admission::Granted(slot) => Some(slot),
        Admission::Queued(_) | Admission::Refused(_) => None,
    })
    .collect();
    let count = slots.len();
    for slot in slots {
        let settlement = Settlement { end: AttemptEnd::NotSent, ..plain(clock) };
        drop(slot.settle(&settlement));
    }
    count
}

fn refused(admission: Admission) -> Refusal {
    match admission {
        Admission::Refused(refusal) => refusal,
        Admission::Granted(_) | Admission::Queued(_) => panic!("the call is not refused"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_lets_nothing_through_until_its_end() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(10, MINUTE, Spread::None)], clock);
    let report = pull(&accounts, Lever::Pause(Some(Duration::from_secs(40))));
    assert_eq!((report.accounts, report.changed), (1, vec!["vendor".into()]));
    let refusal = refused(ask(&accounts, clock, "/", Duration::from_secs(30)));
    let reason = RefusalReason::Paused { name: "vendor".into(), open_ended: false };
    assert_eq!((&refusal.reason, refusal.known_wait()), (&reason, Some(Duration::from_secs(40))));
    let asked = clock.now();
    slot(&accounts, clock, MINUTE).await.unwrap().settle(&plain(clock));
    assert_eq!(clock.now().since(asked), Duration::from_secs(40));
    spend(&accounts, clock, 9);
}

#[tokio::test(start_paused = true)]
async fn a_pause_without_an_end_refuses_at_once_and_is_resumed_by_hand() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(10, MINUTE, Spread::None)], clock);
    pull(&accounts, Lever::Pause(None));
    let refusal = refused(ask(&accounts, clock, "/", MINUTE * 60 * 24 * 365));
    let reason = RefusalReason::Paused { name: "vendor".into(), open_ended: true };
    assert_eq!((&refusal.reason, refusal.known_wait()), (&reason, None));
    assert_eq!(pull(&accounts, Lever::Resume).changed, [Arc::<str>::from("vendor")]);
    assert_eq!(pull(&accounts, Lever::Resume).changed, [] as [Arc<str>; 0]);
    spend(&accounts, clock, 10);
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_are_told_of_a_pause_and_go_once_it_is_resumed() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(1, MINUTE, Spread::None)], clock);
    spend(&accounts, clock, 1);
    let waiting = || {
        let accounts = Arc::clone(&accounts);
        tokio::spawn(async move { slot(&accounts, clock, MINUTE * 2).await })
    };
    let (first, second) = (waiting(), waiting());
    tokio::task::yield_now().await;
    pull(&accounts, Lever::Pause(Some(MINUTE * 60)));
    let ends = [first.await.unwrap(), second.await.unwrap()];
    for end in ends {
        assert!(matches!(end.unwrap_err().reason, RefusalReason::Paused { .. }));
    }
    pull(&accounts, Lever::Pause(Some(MINUTE)));
    let third = waiting();
    tokio::task::yield_now().await;
    let asked = clock.now();
    clock.sleep_until(asked.plus(MINUTE / 2)).await;
    pull(&accounts, Lever::Resume);
    third.await.unwrap().unwrap();
    assert_eq!(clock.now().since(asked), MINUTE, "the ledger goes on meanwhile");
}

#[tokio::test(start_paused = true)]
async fn a_pause_neither_shortens_a_hold_nor_ends_with_it() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(10, MINUTE, Spread::None)], clock);
    let down = super::order(HoldCause::Maintenance, 50);
    let mut settlement = plain(clock);
    settlement.order = Some(&down);
    ask_granted(&accounts, clock).settle(&settlement);
    pull(&accounts, Lever::Pause(Some(Duration::from_secs(10))));
    let refusal = refused(ask(&accounts, clock, "/", Duration::ZERO));
    assert!(matches!(refusal.reason, RefusalReason::Paused { .. }));
    assert_eq!(refusal.retry_after, Duration::from_secs(50));
    assert!(accounts.release_hold(accounts.view()[0].scopes[0].hold.unwrap().id));
    assert_eq!(free(&accounts, clock), 0);
    pull(&accounts, Lever::Resume);
    assert_eq!(free(&accounts, clock), 9);
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_an_allowance_stops_only_the_calls_that_it_counts() {
    let clock = Clock::start();
    let reads = Matcher { methods: None, path: Some("/reads".parse().unwrap()) };
    let own = Allowance { counts: vec![reads.into()], ..named("reads", 10, MINUTE) };
    let accounts = accounts_of(vec![window(10, MINUTE, Spread::None), own], clock);
    let report = accounts.pull_lever(&of_allowance(Lever::Pause(None), "reads")).unwrap();
    assert_eq!(report.changed, [Arc::<str>::from("reads")]);
    let refusal = refused(ask(&accounts, clock, "/reads", Duration::ZERO));
    assert!(matches!(refusal.reason, RefusalReason::Paused { name, .. } if &*name == "reads"));
    spend(&accounts, clock, 3);
    assert_eq!(pull(&accounts, Lever::Resume).changed, [Arc::<str>::from("reads")]);
    assert!(matches!(ask(&accounts, clock, "/reads", Duration::ZERO), Admission::Granted(_)));
}

#[tokio::test(start_paused = true)]
async fn a_pause_binds_also_where_an_allowance_only_observes() {
    let clock = Clock::start();
    let observed = Allowance { mode: Mode::Observe, ..window(1, MINUTE, Spread::None) };
    let accounts = accounts_of(vec![observed], clock);
    spend(&accounts, clock, 3);
    accounts.pull_lever(&of_allowance(Lever::Pause(Some(MINUTE)), "all")).unwrap();
    let refusal = refused(ask(&accounts, clock, "/", Duration::ZERO));
    assert_eq!(refusal.retry_after, MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_lowered_limit_binds_from_the_next_call_and_is_never_above_the_configured_one() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(10, MINUTE, Spread::None)], clock);
    pull(&accounts, Lever::Lower(LoweredLimit::Percent(40)));
    spend(&accounts, clock, 3);
    assert_eq!(free(&accounts, clock), 1);
    pull(&accounts, Lever::Lower(LoweredLimit::Units(500)));
    assert_eq!(free(&accounts, clock), 7);
    pull(&accounts, Lever::Lower(LoweredLimit::Units(2)));
    assert_eq!(free(&accounts, clock), 0);
    assert_eq!(pull(&accounts, Lever::Raise).changed, [Arc::<str>::from("all")]);
    assert_eq!(pull(&accounts, Lever::Raise).changed, [] as [Arc<str>; 0]);
    assert_eq!(free(&accounts, clock), 7);
}

#[tokio::test(start_paused = true)]
async fn a_lowered_limit_stays_over_a_reload_and_follows_the_configured_one() {
    let clock = Clock::start();
    let upstream = |limit, length| UpstreamAllowances {
        name: "vendor".into(),
        url: "http://vendor".into(),
        account: AccountRule::Upstream,
        allowances: vec![window(limit, length, Spread::None)],
        queue: QueueBounds::of_one_client(1_000),
    };
    let accounts = Accounts::new(&[upstream(10, MINUTE)], &[], 10, clock);
    pull(&accounts, Lever::Lower(LoweredLimit::Percent(50)));
    let limit = |accounts: &Accounts| match accounts.view()[0].scopes[2].kind {
        ScopeKind::Units { limit, .. } => limit,
        ScopeKind::Concurrency { .. } | ScopeKind::Upstream | ScopeKind::Counted => 0,
    };
    let wider = accounts.renewed(&[upstream(40, MINUTE)], &[], 10).unwrap();
    assert_eq!(limit(&wider), 20);
    let replaced = wider.renewed(&[upstream(40, MINUTE * 2)], &[], 10).unwrap();
    let views = replaced.view();
    let lowered = views[0].scopes.iter().filter(|scope| scope.levers.lowered.is_some());
    assert_eq!(lowered.count(), 1, "another window takes its place");
    pull(&replaced, Lever::Pause(None));
    let again = replaced.renewed(&[upstream(40, MINUTE * 2)], &[], 10).unwrap();
    assert_eq!(free(&again, clock), 0);
    pull(&again, Lever::Resume);
    assert_eq!(free(&again, clock), 20);
}

/// A bucket with less room would leak as fast as before.
#[tokio::test(start_paused = true)]
async fn a_lowered_bucket_is_used_at_a_lower_rate_too() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![bucket(10, 10)], clock);
    pull(&accounts, Lever::Lower(LoweredLimit::Percent(20)));
    let begun = clock.now();
    let mut granted = 0;
    while clock.now().since(begun) < MINUTE {
        slot(&accounts, clock, MINUTE).await.unwrap().settle(&plain(clock));
        granted += 1;
    }
    assert!((110..=125).contains(&granted), "{granted} in a minute, 600 at the full rate");
    pull(&accounts, Lever::Raise);
    clock.sleep_until(clock.now().plus(MINUTE)).await;
    assert_eq!(free(&accounts, clock), 10);
}

#[tokio::test(start_paused = true)]
async fn lowered_concurrency_waits_for_what_is_in_flight() {
    let clock = Clock::start();
    let grant = Grant::Concurrency { limit: 4 };
    let accounts = accounts_of(vec![Allowance::new("all", grant, LINGER)], clock);
    let slots = [ask_granted(&accounts, clock), ask_granted(&accounts, clock)];
    pull(&accounts, Lever::Lower(LoweredLimit::Units(1)));
    assert_eq!(free(&accounts, clock), 0);
    for slot in slots {
        slot.settle(&plain(clock)).1.body_ended();
    }
    assert_eq!(free(&accounts, clock), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_costs_more_than_a_lowered_limit_is_told_at_once() {
    let clock = Clock::start();
    let class = CostClass::new(1).unwrap();
    let units = Allowance { cost_class: class, ..window(100, MINUTE, Spread::None) };
    let accounts = accounts_of(vec![units], clock);
    pull(&accounts, Lever::Lower(LoweredLimit::Units(10)));
    let now = clock.now();
    let scheduling = scheduling(now, MINUTE);
    let mut request = accounts.slot_request(0, (&Method::GET, CallPath::new("/")), scheduling);
    request.costs = Costs::new([50, 1, 1]);
    let account = accounts.account(0, &HeaderMap::new());
    assert!(matches!(account.acquire(request, now), Admission::Refused(_)));
}

#[tokio::test(start_paused = true)]
async fn a_reset_forgets_what_was_learned_and_keeps_what_is_spent() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(10, MINUTE, Spread::None)], clock);
    let learned = LearnedLimit { limit: 3, window: MINUTE };
    let throttle = HoldOrder { slow_sixteenths: 8, ..super::order(HoldCause::Throttle, 600) };
    let throttle = HoldOrder { scope: HoldScope::Allowance, ..throttle };
    let mut settlement = plain(clock);
    (settlement.order, settlement.learned) = (Some(&throttle), Some(learned));
    ask_granted(&accounts, clock).settle(&settlement);
    pull(&accounts, Lever::Pause(None));
    assert_eq!(pull(&accounts, Lever::Reset).changed, [Arc::<str>::from("all")]);
    let scope = &accounts.view()[0].scopes[2];
    assert_eq!((scope.hold, scope.pace_sixteenths, scope.occupied), (None, 16, 1));
    assert_eq!(free(&accounts, clock), 0, "a pause is not reset");
    pull(&accounts, Lever::Resume);
    assert_eq!(free(&accounts, clock), 9);
}

#[tokio::test(start_paused = true)]
async fn forgotten_units_are_those_of_attempts_that_are_over() {
    let clock = Clock::start();
    let grants = [
        Grant::Window { limit: 10, window: MINUTE, spread: Spread::None, arrival_guard: None },
        Grant::Bucket { size: 10, refill: Refill { units: 1, over: MINUTE, step: None } },
        Grant::Calendar {
            limit: 10,
            calendar: Calendar {
                period: Period::Month(1),
                at: jiff::civil::Time::midnight(),
                zone: jiff::tz::TimeZone::UTC,
            },
            spread: Spread::None,
        },
    ];
    for grant in grants {
        let accounts = accounts_of(vec![Allowance::new("all", grant.clone(), LINGER)], clock);
        spend(&accounts, clock, 6);
        let under_way = ask_granted(&accounts, clock);
        assert_eq!(pull(&accounts, Lever::ForgetSpent).forgotten, 6, "{grant:?}");
        let slots: Vec<_> = (0..9).map(|_| ask_granted(&accounts, clock)).collect();
        assert_eq!(free(&accounts, clock), 0, "{grant:?}");
        drop(under_way.settle(&plain(clock)));
        assert_eq!(free(&accounts, clock), 0, "{grant:?}");
        drop(slots);
    }
}

#[test]
fn an_order_that_names_nothing_or_too_much_is_refused() {
    let clock = Clock::start();
    let both = accounts_of(vec![named("a", 1, MINUTE), named("b", 1, MINUTE)], clock);
    let none = accounts_of(Vec::new(), clock);
    let names: Vec<Arc<str>> = vec!["a".into(), "b".into()];
    let lower = Lever::Lower(LoweredLimit::Units(1));
    let elsewhere = LeverOrder { upstream: "vendors".into(), ..order(Lever::Raise) };
    let unknown = LeverOrder { account: Some("x".into()), ..order(Lever::Raise) };
    let rows = [
        (&both, elsewhere, LeverRefusal::UnknownUpstream(vec!["vendor".into()])),
        (&both, unknown, LeverRefusal::UnknownAccount),
        (&both, of_allowance(lower, "c"), LeverRefusal::UnknownAllowance(names.clone())),
        (&both, order(lower), LeverRefusal::AmbiguousAllowance(names)),
        (&none, order(lower), LeverRefusal::NoAllowances),
    ];
    for (accounts, order, refusal) in rows {
        assert_eq!(accounts.pull_lever(&order), Err(refusal));
    }
}

fn by_header(max: usize, clock: Clock) -> Accounts {
    let upstream = UpstreamAllowances {
        name: "vendor".into(),
        url: "http://vendor".into(),
        account: AccountRule::Header(http::HeaderName::from_static("x-account")),
        allowances: vec![window(10, MINUTE, Spread::None)],
        queue: QueueBounds::of_one_client(1_000),
    };
    Accounts::new(&[upstream], &[], max, clock)
}

fn is_granted(accounts: &Accounts, clock: Clock, account: &str) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert("x-account", account.parse().unwrap());
    let now = clock.now();
    let scheduling = scheduling(now, Duration::ZERO);
    let request = accounts.slot_request(0, (&Method::GET, CallPath::new("/")), scheduling);
    matches!(accounts.account(0, &headers).acquire(request, now), Admission::Granted(_))
}

#[test]
fn a_lever_reaches_one_account_or_all_and_those_opened_later() {
    let clock = Clock::start();
    let accounts = by_header(10, clock);
    assert!(is_granted(&accounts, clock, "one") && is_granted(&accounts, clock, "two"));
    let one = LeverOrder { account: Some("one".into()), ..order(Lever::Pause(None)) };
    assert_eq!(accounts.pull_lever(&one).unwrap().accounts, 1);
    assert!(!is_granted(&accounts, clock, "one") && is_granted(&accounts, clock, "two"));
    pull(&accounts, Lever::Resume);
    assert!(is_granted(&accounts, clock, "one"));
    assert_eq!(pull(&accounts, Lever::Pause(None)).accounts, 4, "with none, and the overflow");
    assert!(!is_granted(&accounts, clock, "two") && !is_granted(&accounts, clock, "later"));
    pull(&accounts, Lever::Resume);
    assert!(is_granted(&accounts, clock, "later"));
}

#[test]
fn a_paused_account_is_not_forgotten() {
    let clock = Clock::start();
    let accounts = by_header(1, clock);
    // Opened and never used.
    let mut headers = HeaderMap::new();
    headers.insert("x-account", "one".parse().unwrap());
    drop(accounts.account(0, &headers));
    let one = LeverOrder { account: Some("one".into()), ..order(Lever::Pause(None)) };
    accounts.pull_lever(&one).unwrap();
    for other in 0..3 {
        is_granted(&accounts, clock, &other.to_string());
    }
    assert!(!is_granted(&accounts, clock, "one"));
}

#[test]
fn in_a_shared_account_a_paused_upstream_stops_its_own_calls() {
    let clock = Clock::start();
    let upstream = |name: &str| UpstreamAllowances {
        name: name.into(),
        url: name.into(),
        account: AccountRule::Named("shared".into()),
        allowances: vec![window(10, MINUTE, Spread::None)],
        queue: QueueBounds::of_one_client(1_000),
    };
    let accounts = Accounts::new(&[upstream("one"), upstream("two")], &[], 10, clock);
    let one = LeverOrder { upstream: "one".into(), ..order(Lever::Pause(None)) };
    accounts.pull_lever(&one).unwrap();
    let granted = |number| {
        let now = clock.now();
        let scheduling = scheduling(now, Duration::ZERO);
        let request = accounts.slot_request(number, (&Method::GET, CallPath::new("/")), scheduling);
        let account = accounts.account(number, &HeaderMap::new());
        matches!(account.acquire(request, now), Admission::Granted(_))
    };
    assert_eq!([granted(0), granted(1)], [false, true]);
}

#[test]
fn accounts_are_shown_page_by_page() {
    let clock = Clock::start();
    let accounts = by_header(10, clock);
    for key in ["c", "a", "b"] {
        assert!(is_granted(&accounts, clock, key));
    }
    let keys = |page: AccountPage| {
        let found = accounts.page(&page);
        let keys = found.accounts.iter().map(|it| it.key.to_string()).collect::<Vec<_>>();
        (found.total, keys.join(" "))
    };
    let page = AccountPage { most: 2, ..AccountPage::default() };
    assert_eq!(keys(page.clone()), (5, " (overflow)".to_owned()));
    assert_eq!(keys(AccountPage { offset: 2, ..page.clone() }), (5, "a b".to_owned()));
    assert_eq!(keys(AccountPage { offset: 4, ..page.clone() }), (5, "c".to_owned()));
    assert_eq!(keys(AccountPage { upstream: Some(1), ..page.clone() }), (0, String::new()));
    assert_eq!(keys(AccountPage { key: Some("b".into()), ..page }), (1, "b".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_and_waits_is_shown_by_class_and_client() {
    let clock = Clock::start();
    let upstream = UpstreamAllowances {
        name: "vendor".into(),
        url: "http://vendor".into(),
        account: AccountRule::Upstream,
        allowances: vec![window(2, MINUTE, Spread::None)],
        queue: QueueBounds::of_one_client(1_000),
    };
    let client = |name: &str| ClientAllowance { name: name.into(), limit: None };
    let clients = [client("web"), client("nightly")];
    let accounts = Accounts::new(&[upstream], &clients, 10, clock);
    let ask = |name: &str, priority| {
        let now = clock.now();
        let of = ClientShare { client: crate::routing::client::client_id(name), share: 1 };
        let scheduling = Scheduling { of, priority, ..scheduling(now, MINUTE * 3) };
        let request = accounts.slot_request(0, (&Method::GET, CallPath::new("/")), scheduling);
        accounts.account(0, &HeaderMap::new()).acquire(request, now)
    };
    let Admission::Granted(over) = ask("web", Priority::Normal) else { panic!("it is free") };
    over.settle(&plain(clock)).1.body_ended();
    let rows = [
        ("web", Priority::Normal),
        ("web", Priority::Interactive),
        ("nightly", Priority::Batch),
        ("web", Priority::Batch),
        ("gone", Priority::Batch),
    ];
    let calls: Vec<_> = rows.map(|(name, priority)| ask(name, priority)).into();
    let view = &accounts.view()[0];
    assert_eq!((view.waiting, view.waiting_by_class), (4, [1, 0, 3]));
    assert_eq!(view.waiting_by_client, [("web".into(), 2), ("nightly".into(), 1)]);
    let scope = &view.scopes[2];
    assert_eq!((scope.occupied, scope.in_flight, view.scopes[0].in_flight), (2, 1, 1));
    assert_eq!(scope.next_slot, Some(MINUTE));
    drop(calls);
}
