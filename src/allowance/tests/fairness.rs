//! How much each client gets and how long its calls wait, in simulated minutes.

use std::time::Duration;

use super::simulation::{Caller, Happening, Simulation};
use super::window;
use crate::allowance::{ClientShare, Costs, QueueBounds, Spread};
use crate::routing::client::Priority;
use crate::time::Moment;

const SECOND: Duration = Duration::from_secs(1);

fn caller(client: u64, share: u32, priority: Priority, patience: u32) -> Caller {
    let (of, patience) = (ClientShare { client, share }, SECOND * patience);
    Caller { of, priority, patience, costs: Costs::ONE_EACH }
}

fn at(seconds: f64) -> Moment {
    Moment::START.plus(Duration::from_secs_f64(seconds))
}

fn simulation(per_second: u32, burst: u32, callers: Vec<Caller>) -> Simulation {
    let allowance = window(per_second, SECOND, Spread::Even { burst });
    Simulation::new(allowance, QueueBounds { all: 1_000, client_percent: 50 }, callers)
}

/// Three batch calls arrive while `interactive` callers ask again as soon as they are answered.
/// Returns how long each batch call waited.
fn batch_waits(per_second: u32, interactive: Vec<Caller>) -> Vec<Duration> {
    let mut callers = interactive;
    let batch = callers.len();
    callers.extend([caller(1_000, 1, Priority::Batch, 15); 3]);
    let mut simulation = simulation(per_second, 1, callers);
    (0..batch).for_each(|caller| simulation.at(at(0.0), caller));
    (batch..batch + 3).for_each(|caller| simulation.at(at(20.0), caller));
    let mut waits = Vec::new();
    while let Some(happening) = simulation.next(at(60.0)) {
        match happening {
            Happening::Due(caller) => simulation.ask(caller),
            Happening::Answered(caller) if caller < batch => simulation.ask(caller),
            Happening::Started { caller, waited } if batch <= caller => waits.push(waited),
            Happening::Refused { caller, refusal } => {
                assert!(caller < batch, "a batch call starves");
                simulation.at(simulation.told(&refusal), caller);
            }
            Happening::Answered(_) | Happening::Started { .. } => {}
        }
    }
    waits
}

#[test]
fn no_batch_call_starves_behind_interactive_ones() {
    for (per_second, interactive) in [
        (2, vec![caller(0, 1, Priority::Interactive, 30); 20]),
        (10, vec![caller(0, 1, Priority::Interactive, 30); 20]),
        (10, vec![caller(0, 3, Priority::Interactive, 30); 20]),
        (5, (0..20).map(|it| caller(it, 1, Priority::Interactive, 30)).collect()),
    ] {
        let waits = batch_waits(per_second, interactive);
        assert_eq!(waits.len(), 3, "{per_second}/s: {waits:?}");
        assert!(SECOND * 7 < waits[0], "urgent calls go first for half of the patience: {waits:?}");
    }
}

/// A hundred callers ask at once and obey `Retry-After`. Returns when the last one got its slot,
/// and how often they asked: at most, and on average.
fn until_all_served(callers: Vec<Caller>) -> (Duration, usize, f64) {
    let count = callers.len();
    let mut simulation = simulation(10, 1, callers);
    (0..count).for_each(|caller| simulation.at(at(0.0), caller));
    let (mut asks, mut served, mut last) = (vec![0; count], 0, Moment::START);
    while let Some(happening) = simulation.next(at(1_000.0)) {
        match happening {
            Happening::Due(caller) => {
                asks[caller] += 1;
                simulation.ask(caller);
            }
            Happening::Refused { caller, refusal } => {
                simulation.at(simulation.told(&refusal), caller);
            }
            Happening::Started { .. } => (served, last) = (served + 1, simulation.now),
            Happening::Answered(_) => {}
        }
    }
    assert_eq!(served, count);
    let mean = asks.iter().sum::<usize>() as f64 / count as f64;
    (last.since(Moment::START), asks.into_iter().max().unwrap(), mean)
}

#[test]
fn a_hundred_clients_that_obey_retry_after_are_served_in_turn() {
    for patience in [1, 2, 5] {
        let one = vec![caller(0, 1, Priority::Normal, patience); 100];
        let many = (0..100).map(|it| caller(it, 1, Priority::Normal, patience)).collect();
        for callers in [one, many] {
            let (took, most, mean) = until_all_served(callers);
            assert!(took <= SECOND * 13, "{took:?} for 10 s of calls");
            assert!(most <= 3 && mean <= 2.0, "at most {most}, {mean} on average");
        }
    }
}

/// `pulse` callers ask at once, beside a demand of `per_second` calls that can be served. Returns
/// how many were refused and came back when they were told, and how many then got through.
fn comebacks(pulse: usize, patience: u32, demand_permille: u32) -> (usize, usize) {
    let mut callers = vec![caller(0, 1, Priority::Normal, patience); pulse];
    let steady = 10 * 120 * demand_permille as usize / 1_000;
    callers.extend(vec![caller(1, 1, Priority::Normal, 30); steady]);
    let mut simulation = simulation(10, 1, callers);
    let start = 5.0;
    (0..pulse).for_each(|caller| simulation.at(at(start), caller));
    let gap = 100.0 / f64::from(demand_permille);
    (0..steady).for_each(|call| simulation.at(at(call as f64 * gap), pulse + call));
    let mut back = vec![false; pulse + steady];
    let (mut came_back, mut got_through) = (0, 0);
    while let Some(happening) = simulation.next(at(240.0)) {
        match happening {
            Happening::Due(caller) => {
                came_back += usize::from(back[caller]);
                if back[caller] {
                    simulation.callers[caller].patience = SECOND * 30;
                }
                simulation.ask(caller);
            }
            Happening::Refused { caller, refusal } if !back[caller] => {
                back[caller] = true;
                simulation.at(simulation.told(&refusal), caller);
            }
            Happening::Started { caller, .. } => got_through += usize::from(back[caller]),
            Happening::Refused { .. } | Happening::Answered(_) => {}
        }
    }
    (came_back, got_through)
}

#[test]
fn who_comes_back_when_told_gets_through() {
    for (pulse, patience) in [(100, 0), (100, 2), (300, 5)] {
        for demand in [500, 800, 900, 950] {
            let (came_back, got_through) = comebacks(pulse, patience, demand);
            assert!(came_back * 95 <= got_through * 100, "{got_through} of {came_back}");
        }
    }
}

#[test]
fn shares_bind_under_contention_and_idle_ones_are_everybodys() {
    // A round of all shares is a tenth of a second.
    let shares = [1, 2, 5, 1];
    let clients = |client: usize| caller(client as u64, shares[client], Priority::Normal, 30);
    for (busy, expected) in [
        (vec![0, 1, 2, 3], [600, 1_200, 3_000, 600]),
        (vec![0, 1, 3], [1_350, 2_700, 0, 1_350]),
        (vec![3], [0, 0, 0, 5_400]),
    ] {
        let mut simulation = simulation(90, 1, (0..4).map(clients).collect());
        // The first three keep calls waiting; the fourth floods with ten times its share.
        for client in &busy {
            let calls = if *client == 3 { 6_000 } else { 40 * shares[*client] };
            for call in 0..calls {
                let flood = if *client == 3 { f64::from(call) / 100.0 } else { 0.0 };
                simulation.at(at(flood), *client);
            }
        }
        let (mut got, mut longest) = ([0_u32; 4], [Duration::ZERO; 4]);
        while let Some(happening) = simulation.next(at(60.0)) {
            match happening {
                Happening::Due(caller) => simulation.ask(caller),
                Happening::Answered(caller) if caller < 3 => simulation.ask(caller),
                Happening::Started { caller, waited } => {
                    got[caller] += 1;
                    longest[caller] = longest[caller].max(waited);
                }
                Happening::Refused { caller, .. } => assert_eq!(caller, 3, "only the flood"),
                Happening::Answered(_) => {}
            }
        }
        for client in 0..4 {
            let tolerance = 20.max(expected[client] / 50);
            assert!(got[client].abs_diff(expected[client]) <= tolerance, "{got:?}");
        }
        // Forty calls of its own are before each call of the smallest, ten a second.
        assert!(longest[0] <= Duration::from_millis(4_200), "{longest:?}");
    }
}

#[test]
fn a_call_within_its_clients_share_waits_for_one_round_at_most() {
    let mut callers: Vec<_> = [(0, 1), (1, 2), (2, 5)]
        .map(|(client, share)| caller(client, share, Priority::Normal, 30))
        .into();
    callers.push(caller(3, 1, Priority::Normal, 30));
    let mut simulation = simulation(90, 1, callers);
    for call in 0..6_000 {
        simulation.at(at(f64::from(call) / 100.0), 3);
        simulation.at(at(f64::from(call) / 100.0), 2);
    }
    // Half of its share.
    (0..300).for_each(|call| simulation.at(at(0.05 + f64::from(call) / 5.0), 0));
    let (mut got, mut longest) = (0, Duration::ZERO);
    while let Some(happening) = simulation.next(at(61.0)) {
        match happening {
            Happening::Due(caller) => simulation.ask(caller),
            Happening::Started { caller: 0, waited } => {
                got += 1;
                longest = longest.max(waited);
            }
            Happening::Refused { caller, .. } => assert_ne!(caller, 0),
            Happening::Started { .. } | Happening::Answered(_) => {}
        }
    }
    assert!(got == 300 && longest <= Duration::from_millis(100), "{got}, {longest:?}");
}
