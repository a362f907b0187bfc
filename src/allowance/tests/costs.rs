//! What calls cost, and how what is left is spread.

use super::*;

/// One allowance of this class beside a plain count of calls.
fn of_class(number: u8, limit: u32) -> Vec<Allowance> {
    let units = Allowance {
        name: "units".into(),
        cost_class: CostClass::new(number).unwrap(),
        ..window(limit, MINUTE, Spread::None)
    };
    vec![window(5, MINUTE, Spread::None), units]
}

fn costing(accounts: &Accounts, clock: Clock, units: u32) -> Result<Slot, Refusal> {
    let now = clock.now();
    let scheduling = scheduling(now, Duration::ZERO);
    let path = CallPath::new("/");
    let mut request = accounts.slot_request(0, (&Method::GET, path), scheduling);
    request.costs = Costs::new([units, 0, 0]);
    match accounts.account(0, &HeaderMap::new()).acquire(request, now) {
        Admission::Granted(slot) => Ok(slot),
        Admission::Queued(_) => panic!("nobody waits"),
        Admission::Refused(refusal) => Err(refusal),
    }
}

fn occupied(accounts: &Accounts) -> [u32; 2] {
    let view = accounts.view().remove(0);
    ["all", "units"].map(|name| {
        view.scopes.iter().find(|scope| &*scope.name == name).map_or(0, |scope| scope.occupied)
    })
}

fn using(clock: Clock, units: u32) -> Settlement<'static> {
    let mut used = UsedCosts::UNKNOWN;
    used.note(CostClass::new(1).unwrap(), units);
    Settlement { used, ..plain(clock) }
}

#[tokio::test(start_paused = true)]
async fn a_cost_is_reserved_in_all_allowances_or_in_none() {
    let clock = Clock::start();
    let accounts = accounts_of(of_class(1, 100), clock);
    let first = costing(&accounts, clock, 70).unwrap();
    assert_eq!(occupied(&accounts), [1, 70]);
    let refusal = costing(&accounts, clock, 40).unwrap_err();
    let bottleneck = Bottleneck { kind: BottleneckKind::Allowance, name: "units".into() };
    assert_eq!(refusal.reason, RefusalReason::Exhausted { bottleneck });
    assert_eq!(occupied(&accounts), [1, 70], "a refused call occupies nothing");
    costing(&accounts, clock, 30).unwrap().cancel();
    assert_eq!(occupied(&accounts), [1, 70]);
    first.settle(&using(clock, 20));
    assert_eq!(occupied(&accounts), [1, 20], "what was not used is free at once");
}

#[tokio::test(start_paused = true)]
async fn an_account_in_debt_waits_until_enough_is_released() {
    let clock = Clock::start();
    let accounts = accounts_of(of_class(1, 100), clock);
    costing(&accounts, clock, 10).unwrap().settle(&using(clock, 130));
    assert_eq!(occupied(&accounts), [1, 130]);
    let refusal = costing(&accounts, clock, 1).unwrap_err();
    assert_eq!(refusal.retry_after, MINUTE);
    assert!(costing(&accounts, clock, 0).is_ok(), "what costs nothing needs no room");
}

#[tokio::test(start_paused = true)]
async fn a_cost_that_only_the_body_tells_is_settled_when_it_has_ended() {
    let clock = Clock::start();
    let mut allowances = of_class(1, 100);
    allowances[1].settles = Settles::AtBodyEnd;
    let accounts = accounts_of(allowances, clock);
    let (_, mut permit) = costing(&accounts, clock, 50).unwrap().settle(&plain(clock));
    tokio::time::advance(MINUTE * 2).await;
    assert_eq!(occupied(&accounts), [0, 50], "the body goes on");
    permit.note_used(CostClass::new(1).unwrap(), 60);
    permit.note_used(CostClass::new(1).unwrap(), 80);
    permit.body_ended();
    drop(permit);
    assert_eq!(occupied(&accounts), [0, 80]);
    let (_, broken_off) = costing(&accounts, clock, 15).unwrap().settle(&plain(clock));
    drop(broken_off);
    tokio::time::advance(MINUTE).await;
    assert_eq!(occupied(&accounts), [0, 15], "from the end of its linger on, as estimated");
    tokio::time::advance(LINGER).await;
    assert_eq!(occupied(&accounts), [0, 0]);
}

/// An even pace would refuse the 21st call of a day, with 980 left.
#[tokio::test(start_paused = true)]
async fn half_of_a_day_goes_at_once_and_the_rest_is_spread() {
    const DAY: Duration = Duration::from_secs(86_400);
    let clock = Clock::start();
    let accounts = accounts_of(vec![window(1_000, DAY, Spread::Auto)], clock);
    for call in 0..500 {
        let slot = slot(&accounts, clock, Duration::ZERO).await;
        slot.unwrap_or_else(|refusal| panic!("call {call}: {refusal:?}")).settle(&plain(clock));
    }
    let refusal = slot(&accounts, clock, Duration::ZERO).await.unwrap_err();
    let bottleneck = Bottleneck { kind: BottleneckKind::Pace, name: "all".into() };
    assert_eq!(refusal.reason, RefusalReason::Exhausted { bottleneck });
    assert_eq!(seconds_up(refusal.retry_after), 173, "a day in 501 parts");
    for _ in 0..499 {
        slot(&accounts, clock, Duration::from_secs(173)).await.unwrap().settle(&plain(clock));
    }
    assert!(clock.now() <= Moment::START.plus(DAY));
}
