//! The format of the journal: a line for each record, `CHECKSUM JSON`.
//!
//! Times are ages, counted back from when the line was written, because the clock of a process is
//! of no use to the next one. Each line tells when that was, on two clocks: that of the machine
//! since its start, and the wall clock for when the machine was started anew.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::allowance::recovered::{AccountId, RecordedAllowance};
use crate::allowance::unit_record::{AllowanceRecord, SettledUnits, UnitRecord};
use crate::time::{Moment, nanos};

/// The version of this format.
pub(super) const VERSION: u32 = 1;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Version(u32),
    Group(Arc<str>, Vec<RecordedAllowance>),
    Account(AccountId, Vec<AllowanceRecord>),
    /// The process ended in order.
    Stopped,
}

/// When a line is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// Which start of the machine it is.
    pub(super) boot: String,
    /// Nanoseconds since that start.
    pub(super) since_boot: u64,
    /// Nanoseconds of the wall clock since 1970.
    pub(super) wall: u64,
}

impl Stamp {
    /// How long before `now` it was. A wall clock that was set back shows nothing.
    fn age(&self, now: &Self) -> Duration {
        Duration::from_nanos(match self.boot == now.boot && !self.boot.is_empty() {
            true => now.since_boot.saturating_sub(self.since_boot),
            false => now.wall.saturating_sub(self.wall),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct StampedLine {
    at: Stamp,
    record: WrittenLine,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum WrittenLine {
    Version(u32),
    Group { name: Arc<str>, allowances: Vec<WrittenAllowance> },
    Account { group: Arc<str>, key: Arc<str>, allowances: Vec<WrittenRecord> },
    Stopped {},
}

#[derive(Serialize, Deserialize)]
struct WrittenAllowance {
    name: Arc<str>,
    calls: Arc<str>,
    since: i64,
}

#[derive(Serialize, Deserialize)]
struct WrittenRecord {
    name: Arc<str>,
    calls: Arc<str>,
    since: i64,
    window: u64,
    outstanding: u64,
    settled: Vec<(i64, u64)>,
}

/// The line for a record, with its end.
pub(super) fn encode(line: &Line, stamp: &Stamp, now: Moment) -> String {
    let record = match line {
        Line::Version(version) => WrittenLine::Version(*version),
        Line::Stopped => WrittenLine::Stopped {},
        Line::Group(name, allowances) => {
            let allowances = allowances.iter().map(|it| WrittenAllowance {
                name: Arc::clone(&it.name),
                calls: Arc::clone(&it.calls),
                since: age_of(it.since, now),
            });
            WrittenLine::Group { name: Arc::clone(name), allowances: allowances.collect() }
        }
        Line::Account(AccountId { group, key }, allowances) => WrittenLine::Account {
            group: Arc::clone(group),
            key: Arc::clone(key),
            allowances: allowances.iter().map(|it| WrittenRecord::new(it, now)).collect(),
        },
    };
    let json = serde_json::to_string(&StampedLine { at: stamp.clone(), record });
    let json = json.expect("a record has no value that JSON cannot express");
    format!("{:08x} {json}\n", crc32c::crc32c(json.as_bytes()))
}

/// The record of a line and when it was written; `None` if it is damaged.
pub(super) fn decode(line: &[u8], stamp: &Stamp, now: Moment) -> Option<(Line, Moment)> {
    let (checksum, json) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    if u32::from_str_radix(checksum, 16).ok()? != crc32c::crc32c(json.as_bytes()) {
        return None;
    }
    let StampedLine { at, record } = serde_json::from_str(json).ok()?;
    let taken = now.minus(at.age(stamp));
    let line = match record {
        WrittenLine::Version(version) => Line::Version(version),
        WrittenLine::Stopped {} => Line::Stopped,
        WrittenLine::Group { name, allowances } => {
            let allowances = allowances.into_iter().map(|it| RecordedAllowance {
                since: moment_of(it.since, taken),
                name: it.name,
                calls: it.calls,
            });
            Line::Group(name, allowances.collect())
        }
        WrittenLine::Account { group, key, allowances } => {
            let allowances = allowances.into_iter().map(|it| it.read(taken));
            Line::Account(AccountId { group, key }, allowances.collect())
        }
    };
    Some((line, taken))
}

impl WrittenRecord {
    fn new(record: &AllowanceRecord, now: Moment) -> Self {
        let AllowanceRecord { name, calls, units } = record;
        let settled = units.settled.iter();
        Self {
            name: Arc::clone(name),
            calls: Arc::clone(calls),
            since: age_of(units.since, now),
            window: nanos(units.window),
            outstanding: units.outstanding,
            settled: settled.map(|it| (age_of(Moment::from_nanos(it.at), now), it.units)).collect(),
        }
    }

    fn read(self, taken: Moment) -> AllowanceRecord {
        let settled = self.settled.into_iter();
        let settled = settled
            .map(|(age, units)| SettledUnits { at: moment_of(age, taken).as_nanos(), units });
        let units = UnitRecord {
            taken,
            since: moment_of(self.since, taken),
            window: Duration::from_nanos(self.window),
            outstanding: self.outstanding,
            settled: settled.collect(),
        };
        AllowanceRecord { name: self.name, calls: self.calls, units }
    }
}

/// How long ago a moment was; negative if it lies ahead.
fn age_of(at: Moment, now: Moment) -> i64 {
    let nanos = i128::from(now.as_nanos()) - i128::from(at.as_nanos());
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

fn moment_of(age: i64, now: Moment) -> Moment {
    let span = Duration::from_nanos(age.unsigned_abs());
    if age < 0 { now.plus(span) } else { now.minus(span) }
}
