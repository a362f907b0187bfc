//! When the calendar periods of a vendor begin: each day, week or month, at a time of its own zone.
//!
//! A vendor that counts calendar periods resets at a boundary on its own clock. Where the clocks of
//! its zone are changed, that boundary may not exist or occur twice; then it has two readings and
//! the vendor may mean either.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan as _};

use crate::time::{Moment, nanos};

/// How far the vendor's clock and ours may be apart.
pub const CLOCK_GUARD: Duration = Duration::from_secs(2);

/// From two days before now, no later boundary than this one can be the next.
const LOOKED_AHEAD: usize = 4;

/// Calendar periods: when they begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    pub period: Period,
    pub at: Time,
    pub zone: TimeZone,
}

/// What is counted, and on which day it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    Day,
    Week(Weekday),
    /// On this day of the month, or on its last one if it is shorter.
    Month(u8),
}

/// A moment and what the wall clock showed at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    pub moment: Moment,
    pub shows: Timestamp,
}

/// The beginning of a period, as the moments between which the vendor's counter is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Boundary {
    pub(super) date: Date,
    pub(super) earliest: Moment,
    pub(super) latest: Moment,
}

impl Period {
    /// The length of the longest one.
    #[must_use]
    pub const fn length(self) -> Duration {
        const DAY: u64 = 24 * 60 * 60;
        Duration::from_secs(match self {
            Self::Day => DAY,
            Self::Week(_) => 7 * DAY,
            Self::Month(_) => 31 * DAY,
        })
    }
}

impl Calendar {
    /// The first boundary that is not over at `now`.
    pub(super) fn first(&self, now: Moment, wall: WallClock) -> Boundary {
        // No zone is further from UTC than a day, and clocks are changed by less than one.
        let date = self.zone.to_datetime(wall.timestamp(now)).date();
        let mut boundary = self.boundary(self.start_from(date.saturating_sub(2.days())), wall);
        for _ in 0..LOOKED_AHEAD {
            if now < boundary.latest {
                break;
            }
            boundary = self.following(boundary, wall);
        }
        boundary
    }

    /// The boundary after another one.
    pub(super) fn following(&self, boundary: Boundary, wall: WallClock) -> Boundary {
        self.boundary(self.start_from(boundary.date.saturating_add(1.day())), wall)
    }

    /// The first day, from `date` on, on which a period begins.
    fn start_from(&self, date: Date) -> Date {
        match self.period {
            Period::Day => date,
            Period::Week(first) => {
                date.saturating_add(i64::from(date.weekday().until(first)).days())
            }
            Period::Month(day) => {
                let in_month = |month: Date| {
                    let last = month.last_of_month();
                    let day = i8::try_from(day).unwrap_or(i8::MAX).clamp(1, last.day());
                    last.saturating_sub(i64::from(last.day() - day).days())
                };
                let this = in_month(date);
                if date <= this {
                    return this;
                }
                in_month(date.last_of_month().saturating_add(1.day()))
            }
        }
    }

    fn boundary(&self, date: Date, wall: WallClock) -> Boundary {
        let [first, second] = self.readings(date.to_datetime(self.at));
        let earliest = wall.nanos_at(first.min(second)) - i128::from(nanos(CLOCK_GUARD));
        let latest = wall.nanos_at(first.max(second)) + i128::from(nanos(CLOCK_GUARD));
        // What lies before the start of the program is over.
        let moment =
            |nanos: i128| Moment::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX));
        Boundary { date, earliest: moment(earliest), latest: moment(latest) }
    }

    /// What a time of the zone can mean.
    fn readings(&self, time: DateTime) -> [Timestamp; 2] {
        let ambiguous = self.zone.to_ambiguous_timestamp(time);
        let (before, after) = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => (offset, offset),
            AmbiguousOffset::Gap { before, after } | AmbiguousOffset::Fold { before, after } => {
                (before, after)
            }
        };
        // Beyond the year 9999 there is no timestamp, and no boundary that matters.
        [before, after].map(|offset| offset.to_timestamp(time).unwrap_or(Timestamp::MAX))
    }
}

impl WallClock {
    fn timestamp(self, moment: Moment) -> Timestamp {
        let ahead = i128::from(moment.as_nanos()) - i128::from(self.moment.as_nanos());
        let nanos = self.shows.as_nanosecond() + ahead;
        Timestamp::from_nanosecond(nanos).unwrap_or(Timestamp::MAX)
    }

    /// When it shows this, in nanoseconds since the program started.
    fn nanos_at(self, time: Timestamp) -> i128 {
        i128::from(self.moment.as_nanos()) + time.as_nanosecond() - self.shows.as_nanosecond()
    }

    /// How far the two clocks are apart.
    pub(super) fn difference(self, other: Self) -> Duration {
        let nanos = self.timestamp(other.moment).as_nanosecond() - other.shows.as_nanosecond();
        Duration::from_nanos(u64::try_from(nanos.unsigned_abs()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;

    use super::*;

    fn calendar(period: Period, at: Time, zone: &str) -> Calendar {
        Calendar { period, at, zone: TimeZone::get(zone).unwrap() }
    }

    /// The program starts at this time.
    fn wall(start: &str) -> WallClock {
        WallClock { moment: Moment::START, shows: start.parse().unwrap() }
    }

    /// The next boundaries from the start, without the guard: their earliest and latest reading.
    fn boundaries(calendar: &Calendar, start: &str, count: usize) -> Vec<String> {
        let wall = wall(start);
        let mut boundary = calendar.first(Moment::START, wall);
        let mut found = Vec::new();
        for _ in 0..count {
            let earliest = wall.timestamp(boundary.earliest.plus(CLOCK_GUARD));
            let latest = wall.timestamp(boundary.latest.minus(CLOCK_GUARD));
            found.push(match earliest == latest {
                true => earliest.to_string(),
                false => format!("{earliest} {latest}"),
            });
            boundary = calendar.following(boundary, wall);
        }
        found
    }

    #[test]
    fn days_begin_at_a_time_of_the_zone() {
        let tokyo = calendar(Period::Day, time(0, 0, 0, 0), "Asia/Tokyo");
        let expected = ["2026-11-30T15:00:00Z", "2026-12-01T15:00:00Z"];
        assert_eq!(boundaries(&tokyo, "2026-11-30T12:00:00Z", 2), expected);
        let kathmandu = calendar(Period::Day, time(9, 30, 0, 0), "Asia/Kathmandu");
        assert_eq!(boundaries(&kathmandu, "2026-11-30T03:45:03Z", 1), ["2026-12-01T03:45:00Z"]);
    }

    #[test]
    fn a_day_has_23_or_25_hours_where_the_clocks_are_changed() {
        let pacific = calendar(Period::Day, time(0, 0, 0, 0), "America/Los_Angeles");
        let expected = ["2026-03-08T08:00:00Z", "2026-03-09T07:00:00Z"];
        assert_eq!(boundaries(&pacific, "2026-03-08T00:00:00Z", 2), expected);
        let expected = ["2026-11-01T07:00:00Z", "2026-11-02T08:00:00Z"];
        assert_eq!(boundaries(&pacific, "2026-11-01T00:00:00Z", 2), expected);
    }

    #[test]
    fn a_boundary_that_does_not_exist_or_occurs_twice_has_two_readings() {
        let night = calendar(Period::Day, time(2, 30, 0, 0), "Europe/Berlin");
        let expected = ["2026-03-29T00:30:00Z 2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"];
        assert_eq!(boundaries(&night, "2026-03-28T12:00:00Z", 2), expected);
        let expected = ["2026-10-25T00:30:00Z 2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"];
        assert_eq!(boundaries(&night, "2026-10-24T12:00:00Z", 2), expected);
        let midnight = calendar(Period::Day, time(0, 0, 0, 0), "Africa/Cairo");
        let expected = ["2026-04-23T21:00:00Z 2026-04-23T22:00:00Z"];
        assert_eq!(boundaries(&midnight, "2026-04-23T12:00:00Z", 1), expected);
    }

    #[test]
    fn weeks_begin_on_a_weekday_and_months_on_a_day_or_their_last() {
        let monday = calendar(Period::Week(Weekday::Monday), time(6, 0, 0, 0), "UTC");
        let expected = ["2026-11-30T06:00:00Z", "2026-12-07T06:00:00Z"];
        assert_eq!(boundaries(&monday, "2026-11-24T06:00:03Z", 2), expected);
        let month = calendar(Period::Month(31), time(0, 0, 0, 0), "UTC");
        let expected = [
            "2026-12-31T00:00:00Z",
            "2027-01-31T00:00:00Z",
            "2027-02-28T00:00:00Z",
            "2027-03-31T00:00:00Z",
            "2027-04-30T00:00:00Z",
        ];
        assert_eq!(boundaries(&month, "2026-11-30T00:00:03Z", 5), expected);
        let first = calendar(Period::Month(1), time(0, 0, 0, 0), "UTC");
        assert_eq!(boundaries(&first, "2028-02-02T00:00:00Z", 1), ["2028-03-01T00:00:00Z"]);
    }

    #[test]
    fn a_boundary_counts_until_the_guard_has_passed() {
        let utc = calendar(Period::Day, time(0, 0, 0, 0), "UTC");
        let found = |start| utc.first(Moment::START, wall(start)).date.to_string();
        assert_eq!(found("2026-11-30T00:00:01.999Z"), "2026-11-30");
        assert_eq!(found("2026-11-30T00:00:02Z"), "2026-12-01");
    }

    #[test]
    fn no_date_panics() {
        for period in [Period::Day, Period::Week(Weekday::Sunday), Period::Month(31)] {
            let calendar = calendar(period, time(23, 59, 59, 0), "Pacific/Kiritimati");
            for start in ["-009999-01-02T02:00:00Z", "9999-12-29T00:00:00Z"] {
                let wall = wall(start);
                let boundary = calendar.first(Moment::NEVER, wall);
                calendar.following(boundary, wall);
            }
        }
    }
}
