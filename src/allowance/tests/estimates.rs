//! What waiting calls are told against when they start, for every kind of grant and calls of
//! different costs.

use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::LINGER;
use super::simulation::{Caller, Happening, Simulation};
use crate::allowance::{
    Allowance, Calendar, ClientShare, CostClass, Costs, Grant, Period, QueueBounds, Refill, Spread,
};
use crate::routing::client::Priority;
use crate::time::Moment;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// In each twenty units these fit exactly.
const COSTS: [u32; 10] = [1, 5, 1, 1, 2, 3, 1, 4, 1, 1];

/// Calls of these costs ask at once, behind each other. Returns when each was estimated to start
/// and when it did, from then on.
fn estimated_and_started(grant: Grant, start: Moment) -> Vec<(Duration, Duration)> {
    let class = CostClass::new(1).unwrap();
    let allowance = Allowance { cost_class: class, ..Allowance::new("units", grant, LINGER) };
    let callers = COSTS.iter().cycle().take(60).map(|units| Caller {
        of: ClientShare { client: 0, share: 1 },
        priority: Priority::Normal,
        patience: DAY * 30,
        costs: Costs::new([*units, 0, 0]),
    });
    let callers: Vec<_> = callers.collect();
    let count = callers.len();
    let mut simulation = Simulation::new(allowance, QueueBounds::of_one_client(1_000), callers);
    (0..count).for_each(|caller| simulation.at(start, caller));
    let mut times = vec![(Duration::ZERO, Duration::MAX); count];
    while let Some(happening) = simulation.next(Moment::NEVER) {
        match happening {
            Happening::Due(caller) => {
                times[caller].0 = start.until(simulation.estimate(caller));
                simulation.ask(caller);
            }
            Happening::Started { caller, .. } => times[caller].1 = start.until(simulation.now),
            Happening::Refused { caller, refusal } => panic!("{caller}: {refusal:?}"),
            Happening::Answered(_) => {}
        }
    }
    times
}

#[test]
fn a_call_starts_when_it_was_estimated_to_whatever_counts_it_and_whatever_it_costs() {
    let window =
        |spread| Grant::Window { limit: 20, window: SECOND * 10, spread, arrival_guard: None };
    let day = |spread| {
        let calendar = Calendar { period: Period::Day, at: Time::midnight(), zone: TimeZone::UTC };
        Grant::Calendar { limit: 20, calendar, spread }
    };
    let bucket =
        |size, step| Grant::Bucket { size, refill: Refill { units: 2, over: SECOND, step } };
    let minute_to_midnight = Moment::START.plus(DAY - SECOND * 60);
    // Where units are spread, a call may start a pause of the pace sooner or later: 2·W/N.
    let (exact, pause) = (Duration::from_millis(200), SECOND);
    let mut wrong = Vec::new();
    for (what, grant, start, tolerance) in [
        ("window", window(Spread::None), Moment::START, exact),
        ("window spread evenly", window(Spread::Even { burst: 2 }), Moment::START, exact),
        ("window spread", window(Spread::Auto), Moment::START, pause),
        ("day", day(Spread::None), minute_to_midnight, exact),
        ("day spread", day(Spread::Auto), minute_to_midnight, DAY / 10),
        ("bucket", bucket(20, None), Moment::START, exact),
        ("bucket refilled in steps", bucket(30, Some(SECOND * 5)), Moment::START, exact),
    ] {
        for (call, (estimated, started)) in
            estimated_and_started(grant, start).into_iter().enumerate()
        {
            if tolerance + estimated / 20 < estimated.abs_diff(started) {
                wrong.push(format!("{what}, call {call}: {estimated:?}, {started:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
