//! What a call costs among a hundred thousand that wait.

use std::sync::Arc;
use std::time::Duration;

use super::window;
use crate::allowance::account_state::{AccountState, AdmissionDecision};
use crate::allowance::queue::Waiter;
use crate::allowance::scope::{CoveredCalls, Scope};
use crate::allowance::slot_request::tests::request;
use crate::allowance::{QueueBounds, Settlement, Spread, WallClock};
use crate::clock::Clock;
use crate::time::Moment;

const CLIENTS: u32 = 50;

/// The shortest time that joining, leaving and being granted a slot took while so many calls wait.
fn round_trip(waiting: u32) -> Duration {
    let clock = Clock::start();
    let name = "vendor".into();
    let scopes = vec![
        Scope::upstream(&name, CoveredCalls::All),
        Scope::upstream(&name, CoveredCalls::Counted),
        Scope::slow_start(&name),
        Scope::allowance(&window(1, Duration::from_secs(1), Spread::None), wall()),
    ];
    let mut state =
        AccountState::new(Arc::default(), scopes, QueueBounds::of_one_client(200_000), 0);
    let call = |number: u32| {
        let mut call = request(u64::from(number % CLIENTS), 1 + number % 3);
        call.deadline = Moment::NEVER;
        call
    };
    let AdmissionDecision::Granted(mut slot) = state.admit(call(0), Moment::START) else {
        panic!("a slot is free")
    };
    let join = |state: &mut AccountState, number, now| {
        let AdmissionDecision::Queued(ticket) = state.admit(call(number), now) else {
            panic!("no slot is free")
        };
        ticket
    };
    for number in 0..waiting {
        join(&mut state, number, Moment::START);
    }
    let mut shortest = Duration::MAX;
    for round in 1..=500 {
        let now = Moment::from_millis(u64::from(round) * 1_000);
        let began = clock.now();
        let leaver = join(&mut state, round, now);
        state.withdraw(leaver, now);
        join(&mut state, round, now);
        state.settle(&slot, &Settlement::answered(now, now));
        let later = now.plus(Duration::from_millis(1_000));
        let granted =
            state.dispatch(later).into_iter().find_map(|it| state.queue.collect_grant(it));
        slot = granted.expect("the slot is free again");
        shortest = shortest.min(clock.now().since(began));
    }
    assert_eq!(state.queue.len(), waiting as usize);
    shortest
}

fn wall() -> WallClock {
    let shows = "1970-01-01T00:00:00Z".parse().unwrap();
    WallClock { moment: Moment::START, shows }
}

#[test]
fn a_hundred_times_the_waiting_calls_do_not_make_each_slower() {
    let (few, many) = (round_trip(1_000), round_trip(100_000));
    assert!(many < few * 10, "among 1,000: {few:?}, among 100,000: {many:?}");
}

#[test]
fn a_waiting_call_takes_less_than_half_a_kilobyte() {
    assert!(size_of::<Waiter>() <= 512, "{} bytes", size_of::<Waiter>());
}
