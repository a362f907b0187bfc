//! What holds and slowing leave behind: release by an operator, the burst, the recovery.

use super::*;

fn throttle(seconds: u64) -> HoldOrder {
    HoldOrder {
        scope: HoldScope::Allowance,
        slow_sixteenths: 8,
        ..order(HoldCause::Throttle, seconds)
    }
}

async fn settle_throttled(accounts: &Accounts, clock: Clock, order: &HoldOrder) {
    let mut settlement = plain(clock);
    settlement.order = Some(order);
    slot(accounts, clock, MINUTE).await.unwrap().settle(&settlement);
}

#[tokio::test(start_paused = true)]
async fn an_estimate_under_a_hold_releases_no_slot() {
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(2, MINUTE, Spread::None)], clock);
    ask_granted(&accounts, clock).settle(&plain(clock));
    settle_throttled(&accounts, clock, &throttle(300)).await;
    assert!(matches!(ask(&accounts, clock, "/", MINUTE), Admission::Refused(_)));
    let held = accounts.view()[0].scopes[2].hold.expect("it is held");
    assert!(accounts.release_hold(held.id));
    assert!(matches!(ask(&accounts, clock, "/", MINUTE / 2), Admission::Refused(_)));
}

#[tokio::test(start_paused = true)]
async fn releasing_one_hold_releases_all_that_the_same_throttle_began() {
    let clock = Clock::start();
    let hour = Allowance { name: "hour".into(), ..window(100, MINUTE * 60, Spread::None) };
    for place in [2, 3] {
        let accounts = accounts_of(vec![window(10, MINUTE, Spread::None), hour.clone()], clock);
        settle_throttled(&accounts, clock, &throttle(30)).await;
        let holds = |accounts: &Accounts| {
            accounts.view()[0].scopes.iter().map(|it| it.hold).collect::<Vec<_>>()
        };
        let id = holds(&accounts)[place].expect("both are held").id;
        assert!(accounts.release_hold(id));
        assert!(holds(&accounts).iter().all(Option::is_none));
        assert!(!accounts.release_hold(id));
    }
}

/// How many of 200 waiting calls go in each second after a throttle's hold has ended.
async fn seconds_after_a_throttle(spread: Spread) -> Vec<usize> {
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(6_000, MINUTE, spread)], clock);
    settle_throttled(&accounts, clock, &throttle(10)).await;
    let sends = Arc::new(Mutex::new(vec![0_usize; 60]));
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (accounts, sends) = (Arc::clone(&accounts), Arc::clone(&sends));
        waiting.spawn(async move {
            let granted = slot(&accounts, clock, MINUTE).await.unwrap();
            let second = clock.now().since(Moment::START).as_secs();
            sends.lock().unwrap()[usize::try_from(second).unwrap()] += 1;
            granted.settle(&plain(clock));
        });
    }
    waiting.join_all().await;
    let sends = sends.lock().unwrap().clone();
    sends[10..].to_vec()
}

#[tokio::test(start_paused = true)]
async fn a_slowed_pace_has_a_smaller_burst() {
    for spread in [Spread::Even { burst: 200 }, Spread::Even { burst: 2 }, Spread::None] {
        let seconds = seconds_after_a_throttle(spread).await;
        assert!(seconds.iter().all(|sends| *sends <= 52), "{spread:?}: {seconds:?}");
        assert!(seconds[..4].iter().sum::<usize>() >= 195, "{spread:?}: {seconds:?}");
    }
}
