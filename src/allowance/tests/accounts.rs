//! Accounts told apart by a header: their limit, the overflow account, and what follows a key out
//! of it.

use http::{HeaderName, HeaderValue};

use super::*;

fn by_header(
    names: &[&str],
    allowance: &Allowance,
    accounts_max: usize,
    clock: Clock,
) -> Arc<Accounts> {
    let upstream = |name: &&str| UpstreamAllowances {
        name: (*name).into(),
        url: "http://vendor".into(),
        account: AccountRule::Header(HeaderName::from_static("x-account")),
        allowances: vec![allowance.clone()],
        queue: QueueBounds::of_one_client(1_000),
    };
    let upstreams: Vec<_> = names.iter().map(upstream).collect();
    Arc::new(Accounts::new(&upstreams, &[], accounts_max, clock))
}

fn of(key: &str) -> HeaderMap {
    let header = HeaderName::from_static("x-account");
    std::iter::once((header, HeaderValue::from_str(key).unwrap())).collect()
}

/// Slots that a key gets at once.
fn granted(accounts: &Accounts, clock: Clock, key: &str) -> Vec<Slot> {
    let mut slots = Vec::new();
    loop {
        let now = clock.now();
        let scheduling = scheduling(now, Duration::ZERO);
        let request = accounts.slot_request(0, (&Method::GET, CallPath::new("/")), scheduling);
        match accounts.account(0, &of(key)).acquire(request, now) {
            Admission::Granted(slot) => slots.push(slot),
            Admission::Refused(_) | Admission::Queued(_) => return slots,
        }
    }
}

fn settle_all(slots: Vec<Slot>, clock: Clock) {
    slots.into_iter().for_each(|slot| drop(slot.settle(&plain(clock))));
}

async fn pass(clock: Clock, span: Duration) {
    clock.sleep_until(clock.now().plus(span)).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_key_spent_in_the_overflow_account_follows_it() {
    let clock = Clock::start();
    let accounts = by_header(&["vendor"], &window(5, MINUTE, Spread::None), 1, clock);
    settle_all(granted(&accounts, clock, "first"), clock);
    pass(clock, MINUTE / 2).await;
    let spent = granted(&accounts, clock, "second");
    assert_eq!(spent.len(), 5);
    settle_all(spent, clock);
    pass(clock, MINUTE / 2).await;
    assert_eq!(granted(&accounts, clock, "second").len(), 0, "30 s after it spent all of its five");
    assert_eq!(accounts.view().len(), 3, "it has an account of its own now");
    pass(clock, MINUTE / 2).await;
    assert_eq!(granted(&accounts, clock, "second").len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_key_with_calls_in_the_overflow_account_stays_there() {
    let clock = Clock::start();
    let accounts = by_header(&["vendor"], &window(5, MINUTE, Spread::None), 1, clock);
    settle_all(granted(&accounts, clock, "first"), clock);
    let open = granted(&accounts, clock, "second");
    pass(clock, MINUTE * 2).await;
    assert_eq!(granted(&accounts, clock, "second").len(), 0);
    settle_all(open, clock);
    assert_eq!(granted(&accounts, clock, "second").len(), 0);
    pass(clock, MINUTE).await;
    assert_eq!(granted(&accounts, clock, "second").len(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_accounts_is_over_all_upstreams() {
    let clock = Clock::start();
    let accounts = by_header(&["one", "two"], &window(5, MINUTE, Spread::None), 3, clock);
    let held: Vec<_> =
        (0..4).map(|number| accounts.account(number % 2, &of(&number.to_string()))).collect();
    let told_apart = accounts
        .view()
        .iter()
        .filter(|view| !view.key.is_empty() && &*view.key != "(overflow)")
        .count();
    assert_eq!((told_apart, held.len()), (3, 4));
}

/// Keys come and go in a table that is too small for them.
#[tokio::test(start_paused = true)]
async fn no_key_exceeds_its_allowance_whichever_account_serves_it() {
    const LIMIT: usize = 3;
    for seed in 0..20 {
        let (clock, random) = (Clock::start(), Random::from_seed(seed));
        let accounts = by_header(&["vendor"], &window(3, MINUTE, Spread::None), 2, clock);
        let mut counted: Vec<Vec<Moment>> = vec![Vec::new(); 6];
        let mut open: Vec<Slot> = Vec::new();
        for _ in 0..600 {
            pass(clock, Duration::from_secs(6).mul_f64(random.unit().powi(2))).await;
            let key = usize::from(random.bytes8()[0]) % counted.len();
            let now = clock.now();
            let request = accounts.slot_request(
                0,
                (&Method::GET, CallPath::new("/")),
                scheduling(now, Duration::ZERO),
            );
            if let Admission::Granted(slot) =
                accounts.account(0, &of(&key.to_string())).acquire(request, now)
            {
                counted[key].push(now);
                open.push(slot);
            }
            while !open.is_empty() && random.unit() < 0.6 {
                let slot = open.swap_remove(usize::from(random.bytes8()[1]) % open.len());
                if random.unit() < 0.2 {
                    drop(slot);
                } else {
                    slot.settle(&plain(clock));
                }
            }
        }
        for (key, moments) in counted.iter().enumerate() {
            for first in moments {
                let within = *first..first.plus(MINUTE);
                let count = moments.iter().filter(|at| within.contains(at)).count();
                assert!(count <= LIMIT, "seed {seed}, key {key}: {count} from {first:?}");
            }
        }
        let sent: usize = counted.iter().map(Vec::len).sum();
        assert!(sent > 40, "seed {seed}: {sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn holds_and_lingering_permits_follow_a_key_too() {
    let clock = Clock::start();
    let parallel = Allowance {
        grant: Grant::Concurrency { limit: 2 },
        linger: MINUTE,
        ..window(1, MINUTE, Spread::None)
    };
    let accounts = by_header(&["vendor"], &parallel, 1, clock);
    let first = granted(&accounts, clock, "first");
    drop(granted(&accounts, clock, "second"));
    for slot in first {
        slot.cancel();
    }
    pass(clock, Duration::from_secs(2)).await;
    assert_eq!(granted(&accounts, clock, "second").len(), 0, "two are given up");
    assert_eq!(accounts.account(0, &of("second")).key(), "second");
    pass(clock, MINUTE).await;
    assert_eq!(granted(&accounts, clock, "second").len(), 2);

    let accounts = by_header(&["vendor"], &window(5, MINUTE, Spread::None), 1, clock);
    drop(granted(&accounts, clock, "first"));
    let throttle = order(HoldCause::Throttle, 300);
    let mut settlement = plain(clock);
    settlement.order = Some(&throttle);
    let mut spent = granted(&accounts, clock, "second");
    spent.remove(0).settle(&settlement);
    drop(spent);
    pass(clock, MINUTE * 2).await;
    assert_eq!(granted(&accounts, clock, "second").len(), 0, "held for five minutes");
    assert_eq!(accounts.account(0, &of("second")).key(), "second");
}

#[tokio::test(start_paused = true)]
async fn calls_in_the_overflow_account_are_counted() {
    let clock = Clock::start();
    let accounts = by_header(&["vendor"], &window(5, MINUTE, Spread::None), 1, clock);
    let keys = ["first", "second", "third", "second"];
    let held: Vec<_> = keys.iter().map(|key| accounts.account(0, &of(key))).collect();
    let calls: Vec<_> = accounts.view().iter().filter_map(|view| view.overflow_calls).collect();
    assert_eq!((calls, held.len()), (vec![3], 4));
}
