//! Random schedules with restarts, against a vendor that keeps every arrival: whatever is written,
//! lost or late, no window contains more than the limit.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use crate::allowance::calendar::{Calendar, Period, WallClock};
use crate::allowance::charge::Charge;
use crate::allowance::ledger::Ledger;
use crate::allowance::settings::{Refill, Spread};
use crate::allowance::unit_limit::UnitLimit;
use crate::allowance::unit_record::UnitRecord;
use crate::time::Moment;

const WINDOW: u64 = 1_000;

const LINGER: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug)]
enum Event {
    /// So many calls of this cost, which are answered so much later.
    Calls {
        calls: u32,
        cost: u32,
        latency: u64,
    },
    /// A record is taken, and is safe or not when the next one is taken.
    Record,
    Written,
    NotWritten,
    /// The process is killed, and starts again so much later. What was being written may be safe.
    Killed {
        after: u64,
        written: bool,
    },
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Rolling,
    Bucket,
    Day,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1_u32..8, 1_u32..3, 0_u64..300)
            .prop_map(|(calls, cost, latency)| Event::Calls { calls, cost, latency }),
        4 => Just(Event::Record),
        4 => Just(Event::Written),
        1 => Just(Event::NotWritten),
        1 => (0_u64..400, any::<bool>())
            .prop_map(|(after, written)| Event::Killed { after, written }),
    ]
}

/// What a process does wrong, to see that it would be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Units are granted while their record is being written.
    GrantsBeforeItIsSafe,
    /// What was set aside counts as unused after a restart.
    ForgetsWhatWasSetAside,
    /// What was settled counts as over.
    ForgetsWhatWasSettled,
}

/// A process with one allowance, and the disk that outlives it.
struct Process {
    fault: Fault,
    kind: Kind,
    limit: u32,
    units: UnitLimit,
    /// The latest record that is safe, and the one that is being written.
    safe: Option<UnitRecord>,
    writing: Option<UnitRecord>,
    under_way: Vec<Attempt>,
    all: Vec<Attempt>,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    sent: u64,
    answered: u64,
    cost: u32,
}

fn at(milli: u64) -> Moment {
    Moment::from_millis(milli)
}

fn wall() -> WallClock {
    WallClock { moment: at(0), shows: "2026-11-30T00:00:00Z".parse().unwrap() }
}

fn ledger(kind: Kind, limit: u32) -> Ledger {
    match kind {
        Kind::Rolling => Ledger::rolling(limit, Duration::from_millis(WINDOW)),
        Kind::Bucket => {
            let over = Duration::from_millis(WINDOW);
            Ledger::bucket(limit, Refill { units: limit, over, step: None })
        }
        Kind::Day => {
            let zone = jiff::tz::TimeZone::UTC;
            let calendar =
                Calendar { period: Period::Day, at: jiff::civil::Time::midnight(), zone };
            Ledger::calendar(limit, calendar, wall())
        }
    }
}

impl Process {
    fn start(fault: Fault, kind: Kind, limit: u32, safe: Option<UnitRecord>, now: u64) -> Self {
        let safe = safe.map(|record| match fault {
            Fault::None | Fault::GrantsBeforeItIsSafe => record,
            Fault::ForgetsWhatWasSetAside => UnitRecord { outstanding: 0, ..record },
            Fault::ForgetsWhatWasSettled => UnitRecord { settled: Vec::new(), ..record },
        });
        let mut units = UnitLimit::new(ledger(kind, limit), Spread::None, 0);
        let since = safe.as_ref().map_or(Moment::START, |record| record.since);
        units.start_lease(Arc::from(""), since);
        let over = at(now).plus(LINGER);
        let window = (limit, units.length());
        let spent = safe.as_ref().map(|record| record.spent(window, over, at(now)));
        for (until, spent) in spent.unwrap_or_default() {
            units.count_earlier(until, u32::try_from(spent).unwrap());
        }
        let (under_way, all) = (Vec::new(), Vec::new());
        Self { fault, kind, limit, units, safe, writing: None, under_way, all }
    }

    fn settle(&mut self, now: u64) {
        let units = &mut self.units;
        self.under_way.retain(|attempt| {
            let over = attempt.answered <= now;
            if over {
                let charge = Charge { reserved: attempt.cost, used: attempt.cost };
                units.settle(0, at(attempt.answered), charge);
            }
            !over
        });
    }

    fn happens(&mut self, event: Event, now: u64) {
        match event {
            Event::Calls { calls, cost, latency } => {
                for _ in 0..calls {
                    if self.units.check_slot(at(now), cost).is_ok() {
                        self.units.occupy(0, cost, at(now));
                        let attempt = Attempt { sent: now, answered: now + latency, cost };
                        self.under_way.push(attempt);
                        self.all.push(attempt);
                    }
                }
            }
            Event::Record => {
                if self.writing.is_none() {
                    let lease = self.units.lease_mut().unwrap();
                    self.writing = Some(lease.record("a".into(), 3, at(now)).units);
                    if self.fault == Fault::GrantsBeforeItIsSafe {
                        lease.written();
                    }
                }
            }
            Event::Written => {
                if let Some(record) = self.writing.take() {
                    self.safe = Some(record);
                    if self.fault != Fault::GrantsBeforeItIsSafe {
                        self.units.lease_mut().unwrap().written();
                    }
                }
            }
            Event::NotWritten => {
                if self.writing.take().is_some() {
                    self.units.lease_mut().unwrap().not_written();
                }
            }
            Event::Killed { written, .. } => {
                let safe = self.writing.take().filter(|_| written).or(self.safe.take());
                // The vendor has counted all that was sent when the process starts again.
                self.under_way.clear();
                let mut all = std::mem::take(&mut self.all);
                all.iter_mut().for_each(|attempt| attempt.answered = attempt.answered.min(now));
                *self = Self { all, ..Self::start(self.fault, self.kind, self.limit, safe, now) };
            }
        }
    }

    /// The units that the vendor counts in the worst window, whenever it counts an attempt between
    /// its send and its answer.
    fn worst(&self) -> u64 {
        let mut worst = 0;
        for first in &self.all {
            // Attempts may all be counted late, or be counted in this window if they could be.
            for start in [first.sent, first.answered] {
                let end = start + WINDOW;
                let counted = self.all.iter().filter(|it| start <= it.sent && it.answered < end);
                worst = worst.max(counted.map(|it| u64::from(it.cost)).sum());
                let late = self.all.iter().filter(|it| start <= it.answered && it.answered < end);
                worst = worst.max(late.map(|it| u64::from(it.cost)).sum());
                let early = self.all.iter().filter(|it| start <= it.sent && it.sent < end);
                worst = worst.max(early.map(|it| u64::from(it.cost)).sum());
            }
        }
        worst
    }
}

fn run(fault: Fault, kind: Kind, limit: u32, events: &[(u64, Event)]) -> Process {
    let mut process = Process::start(fault, kind, limit, None, 0);
    let mut now = 0;
    for (gap, event) in events {
        now += gap;
        process.settle(now);
        if let Event::Killed { after, .. } = event {
            now += after;
        }
        process.happens(*event, now);
    }
    process
}

#[test]
fn every_planted_fault_is_found() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    for fault in
        [Fault::GrantsBeforeItIsSafe, Fault::ForgetsWhatWasSetAside, Fault::ForgetsWhatWasSettled]
    {
        let mut runner = TestRunner::deterministic();
        let schedules = prop::collection::vec((0_u64..80, event()), 1..150);
        let found = (0..600).any(|_| {
            let events = schedules.new_tree(&mut runner).unwrap().current();
            5 < run(fault, Kind::Rolling, 5, &events).worst()
        });
        assert!(found, "{fault:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_restart_grants_a_unit_twice(
        kind in prop_oneof![Just(Kind::Rolling), Just(Kind::Bucket), Just(Kind::Day)],
        limit in 1_u32..12,
        events in prop::collection::vec((0_u64..80, event()), 1..150),
    ) {
        let process = run(Fault::None, kind, limit, &events);
        match kind {
            Kind::Rolling => prop_assert!(process.worst() <= u64::from(limit), "{}", process.worst()),
            // As much as it holds, and as much as leaks in one window.
            Kind::Bucket => prop_assert!(process.worst() <= 2 * u64::from(limit)),
            Kind::Day => {
                let all: u64 = process.all.iter().map(|it| u64::from(it.cost)).sum();
                prop_assert!(all <= u64::from(limit), "{all} in one day");
            }
        }
    }
}

/// After a kill, a process under demand still uses nearly all of what it may.
#[test]
fn a_restart_loses_little() {
    let limit = 1_000;
    let mut process = Process::start(Fault::None, Kind::Rolling, limit, None, 0);
    let mut now = 0;
    let work = |process: &mut Process, until: u64, now: &mut u64| {
        while *now < until {
            process.settle(*now);
            process.happens(Event::Calls { calls: 5, cost: 1, latency: 3 }, *now);
            process.happens(Event::Record, *now);
            process.happens(Event::Written, *now);
            *now += 1;
        }
    };
    work(&mut process, 2_500, &mut now);
    process.happens(Event::Killed { after: 0, written: false }, now);
    let before = process.all.len();
    work(&mut process, 3_500, &mut now);
    let used = process.all.len() - before;
    assert!(used >= 900, "{used} of {limit} in the window after a kill");
    assert!(process.worst() <= u64::from(limit), "{}", process.worst());
}
