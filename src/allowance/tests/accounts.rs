//! Accounts told apart by a header: the bound, the account that the rest shares, and what follows
//! a key out of it.

use http::{HeaderName, HeaderValue};

use super::*;

fn by_header(
    names: &[&str],
    allowance: &Allowance,
    accounts_max: usize,
    clock: Clock,
) -> Arc<Accounts> {
    let rules = |name: &&str| UpstreamRules {
        name: (*name).into(),
        account: AccountRule::Header(HeaderName::from_static("x-account")),
        allowances: vec![allowance.clone()],
        queue_max: 1_000,
    };
    let rules: Vec<_> = names.iter().map(rules).collect();
    Arc::new(Accounts::new(&rules, &[], accounts_max, clock))
}

fn of(key: &str) -> HeaderMap {
    let header = HeaderName::from_static("x-account");
    std::iter::once((header, HeaderValue::from_str(key).unwrap())).collect()
}

/// Slots that a key gets at once.
fn granted(vault: &Accounts, clock: Clock, key: &str) -> Vec<Slot> {
    let mut slots = Vec::new();
    loop {
        let now = clock.now();
        let asker = asker(now, Duration::ZERO);
        let want = vault.want(0, &Method::GET, CallPath::new("/"), asker);
        match vault.account(0, &of(key)).acquire(want, now) {
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
async fn what_a_key_spent_in_the_overflow_follows_it() {
    let clock = Clock::start();
    let vault = by_header(&["vendor"], &window(5, MINUTE, Spread::None), 1, clock);
    settle_all(granted(&vault, clock, "first"), clock);
    pass(clock, MINUTE / 2).await;
    let spent = granted(&vault, clock, "second");
    assert_eq!(spent.len(), 5);
    settle_all(spent, clock);
    pass(clock, MINUTE / 2).await;
    assert_eq!(granted(&vault, clock, "second").len(), 0, "30 s after it spent all of its five");
    assert_eq!(vault.view().len(), 3, "it has an account of its own now");
    pass(clock, MINUTE / 2).await;
    assert_eq!(granted(&vault, clock, "second").len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_key_with_calls_under_way_in_the_overflow_stays_there() {
    let clock = Clock::start();
    let vault = by_header(&["vendor"], &window(5, MINUTE, Spread::None), 1, clock);
    settle_all(granted(&vault, clock, "first"), clock);
    let open = granted(&vault, clock, "second");
    pass(clock, MINUTE * 2).await;
    assert_eq!(granted(&vault, clock, "second").len(), 0);
    settle_all(open, clock);
    assert_eq!(granted(&vault, clock, "second").len(), 0);
    pass(clock, MINUTE).await;
    assert_eq!(granted(&vault, clock, "second").len(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_bound_is_over_all_upstreams() {
    let clock = Clock::start();
    let vault = by_header(&["one", "two"], &window(5, MINUTE, Spread::None), 3, clock);
    let held: Vec<_> =
        (0..4).map(|number| vault.account(number % 2, &of(&number.to_string()))).collect();
    let told_apart = vault
        .view()
        .iter()
        .filter(|view| !view.key.is_empty() && &*view.key != "(overflow)")
        .count();
    assert_eq!((told_apart, held.len()), (3, 4));
}

/// Keys come and go in a table that is too small for them: no key ever gets more than its
/// allowance in a window, whichever account serves it.
#[tokio::test(start_paused = true)]
async fn no_key_is_ever_over_whichever_account_serves_it() {
    const LIMIT: usize = 3;
    for seed in 0..20 {
        let (clock, random) = (Clock::start(), Random::from_seed(seed));
        let vault = by_header(&["vendor"], &window(3, MINUTE, Spread::None), 2, clock);
        let mut counted: Vec<Vec<Moment>> = vec![Vec::new(); 6];
        let mut open: Vec<Slot> = Vec::new();
        for _ in 0..600 {
            pass(clock, Duration::from_secs(6).mul_f64(random.unit().powi(2))).await;
            let key = usize::from(random.bytes8()[0]) % counted.len();
            let now = clock.now();
            let want = vault.want(0, &Method::GET, CallPath::new("/"), asker(now, Duration::ZERO));
            if let Admission::Granted(slot) =
                vault.account(0, &of(&key.to_string())).acquire(want, now)
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
async fn holds_and_places_given_up_follow_a_key_too() {
    let clock = Clock::start();
    let parallel = Allowance {
        grant: Grant::Concurrency { limit: 2 },
        linger: MINUTE,
        ..window(1, MINUTE, Spread::None)
    };
    let vault = by_header(&["vendor"], &parallel, 1, clock);
    let first = granted(&vault, clock, "first");
    drop(granted(&vault, clock, "second"));
    for slot in first {
        slot.cancel();
    }
    pass(clock, Duration::from_secs(2)).await;
    assert_eq!(granted(&vault, clock, "second").len(), 0, "two are given up");
    assert_eq!(vault.account(0, &of("second")).key(), "second");
    pass(clock, MINUTE).await;
    assert_eq!(granted(&vault, clock, "second").len(), 2);

    let vault = by_header(&["vendor"], &window(5, MINUTE, Spread::None), 1, clock);
    drop(granted(&vault, clock, "first"));
    let throttle = order(HoldCause::Throttle, 300);
    let mut settlement = plain(clock);
    settlement.order = Some(&throttle);
    let mut spent = granted(&vault, clock, "second");
    spent.remove(0).settle(&settlement);
    drop(spent);
    pass(clock, MINUTE * 2).await;
    assert_eq!(granted(&vault, clock, "second").len(), 0, "held for five minutes");
    assert_eq!(vault.account(0, &of("second")).key(), "second");
}

#[tokio::test(start_paused = true)]
async fn calls_without_a_place_are_counted() {
    let clock = Clock::start();
    let vault = by_header(&["vendor"], &window(5, MINUTE, Spread::None), 1, clock);
    let keys = ["first", "second", "third", "second"];
    let held: Vec<_> = keys.iter().map(|key| vault.account(0, &of(key))).collect();
    let calls: Vec<_> = vault.view().iter().filter_map(|view| view.overflow_calls).collect();
    assert_eq!((calls, held.len()), (vec![3], 4));
}
