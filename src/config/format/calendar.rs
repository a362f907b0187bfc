//! When a calendar period begins: a time of day, a day of the week or month, a time zone.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use super::amounts;
use super::parse::{Format, Mismatch, text_schema};
use crate::config::diagnostic::{DiagnosticCode, nearest};

/// A time of day.
pub(crate) struct ClockTime;

const TIMES: &str = "a time of day from \"00:00\" to \"23:59\"";

impl Format for ClockTime {
    type Value = Time;

    fn parse(&self, text: &str) -> Result<Time, Vec<Mismatch>> {
        let digits = |text: &str| text.len() == 2 && text.bytes().all(|it| it.is_ascii_digit());
        let parsed = text.split_once(':').filter(|(hour, minute)| digits(hour) && digits(minute));
        let Some((Ok(hour), Ok(minute))) =
            parsed.map(|(hour, minute)| (hour.parse(), minute.parse()))
        else {
            let message = format!("`{text}` is not a time of day");
            return Err(Mismatch::new(DiagnosticCode::Type, message, TIMES).into());
        };
        Time::new(hour, minute, 0, 0).map_err(|_| {
            let message = format!("{text} is out of bounds");
            Mismatch::new(DiagnosticCode::Range, message, TIMES).into()
        })
    }

    fn write(&self, value: &Time) -> String {
        format!("{:02}:{:02}", value.hour(), value.minute())
    }

    fn accepted(&self) -> String {
        TIMES.into()
    }

    fn schema(&self) -> Json {
        text_schema("^([01][0-9]|2[0-3]):[0-5][0-9]$")
    }

    fn guess(&self, text: &str) -> Option<String> {
        if ["midnight", "24:00", "00:00:00"].contains(&&*text.to_ascii_lowercase()) {
            return Some("00:00".into());
        }
        if text.eq_ignore_ascii_case("noon") {
            return Some("12:00".into());
        }
        let lower = text.to_ascii_lowercase();
        let (text, noon) = match (lower.strip_suffix("am"), lower.strip_suffix("pm")) {
            (Some(text), _) => (text, Some(0)),
            (_, Some(text)) => (text, Some(12)),
            (None, None) => (&*lower, None),
        };
        let (hour, minute) = text.trim().split_once(':').unwrap_or((text.trim(), "0"));
        let (hour, minute) = (hour.parse::<u8>().ok()?, minute.parse::<u8>().ok()?);
        let hour = noon.map_or(hour, |noon| hour % 12 + noon);
        Some(format!("{hour:02}:{minute:02}"))
    }
}

/// The day on which a week or a month begins.
pub(crate) struct FirstDay;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Day {
    OfMonth(u8),
    OfWeek(Weekday),
}

const DAYS: &str = "a day of the month from 1 to 31, or mon, tue, wed, thu, fri, sat, sun";

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl Format for FirstDay {
    type Value = Day;

    fn parse(&self, text: &str) -> Result<Day, Vec<Mismatch>> {
        if let Some((_, day)) = WEEKDAYS.iter().find(|(name, _)| *name == text) {
            return Ok(Day::OfWeek(*day));
        }
        let Ok(day) = text.parse::<i64>() else {
            let message = format!("`{text}` is not a day");
            return Err(Mismatch::new(DiagnosticCode::Type, message, DAYS).into());
        };
        let day = u8::try_from(day).ok().filter(|day| (1..=31).contains(day));
        day.map(Day::OfMonth).ok_or_else(|| {
            let message = format!("{text} is out of bounds");
            Mismatch::new(DiagnosticCode::Range, message, DAYS).into()
        })
    }

    fn write(&self, value: &Day) -> String {
        match value {
            Day::OfMonth(day) => day.to_string(),
            Day::OfWeek(day) => {
                let name = WEEKDAYS.iter().find(|(_, weekday)| weekday == day);
                name.map_or_else(String::new, |(name, _)| (*name).to_owned())
            }
        }
    }

    fn accepted(&self) -> String {
        DAYS.into()
    }

    fn schema(&self) -> Json {
        let names = WEEKDAYS.map(|(name, _)| name);
        json!({ "anyOf": [{ "enum": names }, { "type": "integer", "minimum": 1, "maximum": 31 }] })
    }

    fn guess(&self, text: &str) -> Option<String> {
        let lower = text.to_ascii_lowercase();
        if lower == "last" {
            return Some("31".into());
        }
        if lower == "first" {
            return Some("1".into());
        }
        let weekday = WEEKDAYS.iter().find(|(name, _)| lower.starts_with(name));
        weekday.map(|(name, _)| (*name).to_owned()).or_else(|| {
            let number = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            amounts::count(number).map(|day| day.to_string())
        })
    }

    fn is_unquoted(&self) -> bool {
        false
    }
}

/// A time zone by its name in the time zone database, which is part of this program.
pub(crate) struct Zone;

const ZONES: &str = "a name of the time zone database such as UTC, Europe/Berlin or \
                     America/Los_Angeles";

impl Format for Zone {
    type Value = TimeZone;

    fn parse(&self, text: &str) -> Result<TimeZone, Vec<Mismatch>> {
        TimeZone::get(text).map_err(|_| {
            let message = format!("`{text}` is not a time zone");
            Mismatch::new(DiagnosticCode::Type, message, ZONES).into()
        })
    }

    fn write(&self, value: &TimeZone) -> String {
        value.iana_name().unwrap_or("UTC").to_owned()
    }

    fn accepted(&self) -> String {
        ZONES.into()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string" })
    }

    fn guess(&self, text: &str) -> Option<String> {
        /// What is commonly said for the zones that vendors name.
        const COMMON: [(&str, &str); 12] = [
            ("gmt", "UTC"),
            ("z", "UTC"),
            ("pt", "America/Los_Angeles"),
            ("pst", "America/Los_Angeles"),
            ("pdt", "America/Los_Angeles"),
            ("pacific", "America/Los_Angeles"),
            ("et", "America/New_York"),
            ("edt", "America/New_York"),
            ("eastern", "America/New_York"),
            ("ct", "America/Chicago"),
            ("cest", "Europe/Berlin"),
            ("bst", "Europe/London"),
        ];
        let lower = text.to_ascii_lowercase();
        if let Some((_, zone)) = COMMON.iter().find(|(name, _)| *name == lower) {
            return Some((*zone).to_owned());
        }
        let db = jiff::tz::db();
        let names: Vec<String> = db.available().map(|name| name.to_string()).collect();
        // A city alone names its zone.
        let city = lower.replace(' ', "_");
        let whole = names.iter().find(|name| {
            name.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(&city))
        });
        whole.cloned().or_else(|| nearest(text, names.iter().map(String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::AnyFormat;
    use super::*;

    fn suggested(text: &str, format: &dyn AnyFormat) -> Option<String> {
        format.check(text).expect_err(text).remove(0).nearest
    }

    #[test]
    fn times_days_and_zones_are_read_and_written() {
        let written = |text| ClockTime.parse(text).map(|time| ClockTime.write(&time));
        for text in ["00:00", "09:30", "23:59"] {
            assert_eq!(written(text).unwrap(), text);
        }
        for text in ["1", "15", "31", "mon", "sun"] {
            assert_eq!(FirstDay.write(&FirstDay.parse(text).unwrap()), text);
        }
        for text in ["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu"] {
            assert_eq!(Zone.write(&Zone.parse(text).unwrap()), text);
        }
        for text in ["24:00", "12:60", "1:00", "", "-1:00", "+1:+5", "00:00:00"] {
            assert!(ClockTime.parse(text).is_err(), "{text}");
        }
        for text in ["0", "32", "-1", "", "monday", "1.5"] {
            assert!(FirstDay.parse(text).is_err(), "{text}");
        }
        for text in ["", "Mars/Olympus", "../UTC", "Europe"] {
            assert!(Zone.parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn other_notations_get_a_suggestion() {
        let times =
            [("midnight", "00:00"), ("9:30", "09:30"), ("5 PM", "17:00"), ("12am", "00:00")];
        for (text, meant) in times {
            assert_eq!(suggested(text, &ClockTime).as_deref(), Some(meant), "{text}");
        }
        for (text, meant) in [("Monday", "mon"), ("1st", "1"), ("last", "31")] {
            assert_eq!(suggested(text, &FirstDay).as_deref(), Some(meant), "{text}");
        }
        let zones = [
            ("PST", "America/Los_Angeles"),
            ("Berlin", "Europe/Berlin"),
            ("Europe/Berln", "Europe/Berlin"),
        ];
        for (text, meant) in zones {
            assert_eq!(suggested(text, &Zone).as_deref(), Some(meant), "{text}");
        }
    }
}
