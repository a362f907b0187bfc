//! Vendors that count by brute force. They keep every arrival and share no arithmetic with the
//! ledgers.

use std::time::Duration;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{Disambiguation, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::draw::Draw;
use crate::allowance::calendar::{Calendar, Period};
use crate::allowance::settings::{Grant, Refill};
use crate::time::nanos;

/// When the simulated program starts: hours before the clocks are changed in Berlin, days before
/// that in Los Angeles and the end of a month.
pub(super) const START: &str = "2026-10-24T20:00:00Z";

/// An attempt as one vendor sees it: it is counted at some time of its life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) sent: u64,
    pub(super) over: u64,
    pub(super) units: u64,
    /// It was granted before the present limit came into force.
    pub(super) earlier: bool,
}

/// What a vendor counts, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    at: u64,
    units: u64,
    earlier: bool,
}

impl Life {
    /// As near to `at` as it can be.
    fn arrival(&self, at: u64) -> Arrival {
        let at = at.clamp(self.sent, self.over);
        Arrival { at, units: self.units, earlier: self.earlier }
    }
}

#[derive(Debug)]
pub(super) enum Vendor {
    Rolling {
        limit: u64,
        window: u64,
    },
    /// Resets at these times.
    Calendar {
        limit: u64,
        resets: Vec<u64>,
    },
    /// A bucket that leaks continuously, or in steps from some phase on.
    Bucket {
        size: u64,
        refill: Refill,
        phase: u64,
    },
    /// So many at a time, whatever they cost.
    Concurrency {
        limit: u64,
    },
}

impl Vendor {
    /// A vendor that grants this, with a clock and readings of its own.
    pub(super) fn of(grant: &Grant, until: u64, draw: &mut Draw) -> Self {
        match grant {
            Grant::Window { limit, window, .. } => {
                Self::Rolling { limit: u64::from(*limit), window: nanos(*window) }
            }
            Grant::Calendar { limit, calendar, .. } => {
                Self::Calendar { limit: u64::from(*limit), resets: resets(calendar, until, draw) }
            }
            Grant::Bucket { size, refill } => {
                let phase = refill.step.map_or(0, |every| draw.below(nanos(every).max(1)));
                Self::Bucket { size: u64::from(*size), refill: *refill, phase }
            }
            Grant::Concurrency { limit } => Self::Concurrency { limit: u64::from(*limit) },
        }
    }

    /// The same grants as many as this from now on.
    pub(super) fn set_limit(&mut self, grant: &Grant) {
        let units = match grant {
            Grant::Bucket { size, .. } => u64::from(*size),
            Grant::Window { limit, .. }
            | Grant::Calendar { limit, .. }
            | Grant::Concurrency { limit } => u64::from(*limit),
        };
        match self {
            Self::Rolling { limit, .. }
            | Self::Calendar { limit, .. }
            | Self::Concurrency { limit } => *limit = units,
            Self::Bucket { size, .. } => *size = units,
        }
    }

    pub(super) fn limit(&self) -> u64 {
        match self {
            Self::Rolling { limit, .. }
            | Self::Calendar { limit, .. }
            | Self::Concurrency { limit } => *limit,
            Self::Bucket { size, .. } => *size,
        }
    }

    /// The most that it ever counts if each attempt arrives as near to `at` as it can. That is the
    /// worst case for every window that begins, every period that ends and every bucket that is
    /// filled at `at`. What earlier limits let through alone is no concern of this one.
    pub(super) fn most(&self, lives: &[Life], at: u64) -> u64 {
        if let Self::Concurrency { .. } = self {
            let at_work = lives.iter().filter(|life| life.sent <= at && at < life.over);
            let any_later = at_work.clone().any(|life| !life.earlier);
            return if any_later { at_work.count() as u64 } else { 0 };
        }
        let mut arrivals: Vec<_> = lives.iter().map(|life| life.arrival(at)).collect();
        arrivals.sort_unstable();
        self.most_counted(&arrivals)
    }

    /// What it counts at `at`, when everything that is under way arrives.
    pub(super) fn counted(&self, lives: &[Life], at: u64) -> u64 {
        let until: Vec<_> = lives.iter().copied().filter(|life| life.sent <= at).collect();
        let arrivals = until.iter().map(|life| life.arrival(at));
        match self {
            Self::Rolling { window, .. } => {
                arrivals.filter(|it| at < it.at + window).map(|it| it.units).sum()
            }
            Self::Calendar { resets, .. } => {
                let began = resets.iter().rev().find(|reset| **reset <= at).copied().unwrap_or(0);
                arrivals.filter(|it| began <= it.at).map(|it| it.units).sum()
            }
            Self::Bucket { .. } => {
                let mut arrivals: Vec<_> = arrivals.collect();
                arrivals.sort_unstable();
                arrivals.push(Arrival { at, units: 0, earlier: false });
                self.last_level(&arrivals)
            }
            Self::Concurrency { .. } => until.iter().filter(|life| at < life.over).count() as u64,
        }
    }

    fn most_counted(&self, arrivals: &[Arrival]) -> u64 {
        let sum = |counted: &[Arrival]| {
            let any_later = counted.iter().any(|arrival| !arrival.earlier && arrival.units > 0);
            if any_later { counted.iter().map(|arrival| arrival.units).sum() } else { 0 }
        };
        match self {
            Self::Rolling { window, .. } => {
                let in_window = |(place, first): (usize, &Arrival)| {
                    let rest = &arrivals[place..];
                    sum(&rest[..rest.iter().take_while(|it| it.at < first.at + window).count()])
                };
                arrivals.iter().enumerate().map(in_window).max().unwrap_or(0)
            }
            Self::Calendar { resets, .. } => {
                let mut most = 0;
                let mut rest = arrivals;
                for reset in resets.iter().chain([&u64::MAX]) {
                    let count = rest.iter().take_while(|it| it.at < *reset).count();
                    most = most.max(sum(&rest[..count]));
                    rest = &rest[count..];
                }
                most
            }
            Self::Bucket { .. } => {
                let levels = (1..=arrivals.len()).map(|count| self.last_level(&arrivals[..count]));
                levels.max().unwrap_or(0)
            }
            Self::Concurrency { .. } => 0,
        }
    }

    /// The level of a bucket after the last arrival, rounded up to whole units. Attempts that were
    /// granted by other limits fill it at most.
    fn last_level(&self, arrivals: &[Arrival]) -> u64 {
        let Self::Bucket { size, refill, phase } = self else { return 0 };
        let (rate, over) = (u128::from(refill.units), u128::from(nanos(refill.over)));
        let (mut level, mut since) = (0_u128, 0);
        for Arrival { at, units, earlier } in arrivals {
            let leaked = match refill.step.map(nanos) {
                None => u128::from(at - since) * rate,
                Some(every) => {
                    let steps = |time: u64| (time + every - phase) / every;
                    u128::from(steps(*at) - steps(since)) * u128::from(every) * rate
                }
            };
            let left = level.saturating_sub(leaked);
            level = left + u128::from(*units) * over;
            if *earlier {
                level = level.min(left.max(u128::from(*size) * over));
            }
            since = *at;
        }
        u64::try_from(level.div_ceil(over)).unwrap()
    }
}

/// The resets of a calendar by the clock of a vendor that is up to two seconds off, and that reads
/// a time that does not exist or occurs twice in either way.
fn resets(calendar: &Calendar, until: u64, draw: &mut Draw) -> Vec<u64> {
    let start: Timestamp = START.parse().unwrap();
    let off = i64::try_from(draw.below(4_000)).unwrap() - 2_000;
    let end = start + Duration::from_nanos(until);
    let mut date = start.to_zoned(TimeZone::UTC).date() - 40.days();
    let mut resets = Vec::new();
    while date < end.to_zoned(TimeZone::UTC).date() + 40.days() {
        if begins(calendar.period, date) {
            let reading = [Disambiguation::Earlier, Disambiguation::Later][draw.index(2)];
            let reset = reading_of(calendar, date, reading) + SignedDuration::from_millis(off);
            if start < reset {
                let nanos = reset.as_nanosecond() - start.as_nanosecond();
                resets.push(u64::try_from(nanos).unwrap());
            }
        }
        date += 1.day();
    }
    resets
}

fn begins(period: Period, date: Date) -> bool {
    match period {
        Period::Day => true,
        Period::Week(first) => date.weekday() == first,
        Period::Month(day) => {
            let day = i8::try_from(day).unwrap();
            date.day() == day || (date.day() < day && date.day() == date.days_in_month())
        }
    }
}

fn reading_of(calendar: &Calendar, date: Date, reading: Disambiguation) -> Timestamp {
    let ambiguous = calendar.zone.to_ambiguous_zoned(date.to_datetime(calendar.at));
    ambiguous.disambiguate(reading).unwrap().timestamp()
}

pub(super) fn calendar(draw: &mut Draw) -> Calendar {
    const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu"];
    let day = u8::try_from(draw.between(1, 31)).unwrap();
    let periods = [Period::Day, Period::Week(Weekday::Monday), Period::Month(day)];
    let hour = i8::try_from(draw.below(24)).unwrap();
    Calendar {
        period: periods[draw.index(3)],
        // Half of them in the hour that is skipped or repeated.
        at: if draw.one_in(2) {
            Time::constant(2, 30, 0, 0)
        } else {
            Time::constant(hour, 0, 0, 0)
        },
        zone: TimeZone::get(ZONES[draw.index(4)]).unwrap(),
    }
}
