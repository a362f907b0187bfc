//! One value of a hint → a span: numbers, dates and durations in every spelling vendors use.
//!
//! A value out of grammar is `None`. So is anything longer than 31 days, which no vendor means, and
//! zero or a moment in the past: "retry at once" beside a refusal is not a wait.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::name::{Meaning, Relation};
use super::span::{self, decimal};

/// The longest wait that counts as meant.
pub const WAIT_MAX: Duration = Duration::from_secs(31 * 24 * 3600);
/// Characters of a value; a longer one is not a hint.
const CHARS_MAX: usize = 40;
/// Characters of a date with the name of its zone, as JavaScript prints it.
const MOMENT_CHARS_MAX: usize = 80;
/// From here on, a number is a moment in seconds since 1970, not a delay.
const EPOCH_SECONDS_MIN: f64 = 1e9;
/// From here on, it is one in milliseconds.
const EPOCH_MILLIS_MIN: f64 = 1e11;

/// `Retry-After` in whatever form vendors send it.
pub(super) fn lenient_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    wait(text, Meaning::default(), now)
}

/// `Retry-After` by the grammar of RFC 9110, 10.2.3: whole seconds, or a date.
pub(super) fn strict_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => decimal(text).and_then(seconds),
        false => plausible(httpdate::parse_http_date(text).ok()?.duration_since(now).ok()?),
    }
}

/// A value whose name may say the unit, and whether it is a delay or a moment. What the name leaves
/// open follows from form and magnitude.
pub(super) fn wait(text: &str, name: Meaning, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if text.len() > CHARS_MAX {
        return until(text, now);
    }
    let Some(number) = decimal(text) else {
        let delay = || duration(text).and_then(plausible);
        return match name.relation {
            Relation::Delay => delay(),
            Relation::Moment => until(text, now),
            Relation::Open => delay().or_else(|| until(text, now)),
        };
    };
    let scaled = number * name.unit.map_or(1.0, |unit| unit.as_secs_f64());
    let epoch = if scaled >= EPOCH_MILLIS_MIN { scaled / 1000.0 } else { scaled };
    match name.relation {
        Relation::Delay => seconds(scaled),
        Relation::Moment => from_epoch(epoch, now),
        Relation::Open if epoch >= EPOCH_SECONDS_MIN => from_epoch(epoch, now),
        Relation::Open => seconds(scaled),
    }
}

pub(super) fn milliseconds(text: &str) -> Option<Duration> {
    seconds(decimal(text.trim())? / 1000.0)
}

/// A span with units (`6m0s`, `370ms`, `2.12 days`, `PT30S`) or as a clock shows it (`00:05:00`).
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text.is_empty() || text.len() > CHARS_MAX {
        return None;
    }
    let (span, rest) = span::leading(text)?;
    (rest.is_empty() && span <= WAIT_MAX).then_some(span)
}

fn until(text: &str, now: SystemTime) -> Option<Duration> {
    plausible(moment(text)?.duration_since(now).ok()?)
}

/// A time of day in UTC (`00:05:00Z`, `14:30 UTC`) as the span until then, if that is today or in
/// the night: what is farther away has passed, and the clocks differ.
pub(super) fn at_clock(text: &str, now: SystemTime) -> Option<Duration> {
    const DAY: Duration = Duration::from_secs(86_400);
    let time = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let whole = if time.len() == 5 { format!("{time}:00") } else { time.to_owned() };
    let at = span::time_span(&whole).filter(|at| *at < DAY)?;
    let since_1970 = now.duration_since(UNIX_EPOCH).ok()?;
    let of_day = Duration::from_secs(since_1970.as_secs() % DAY.as_secs());
    let left = at.checked_sub(of_day).or_else(|| (at + DAY).checked_sub(of_day))?;
    plausible(left).filter(|left| *left <= DAY / 2)
}

/// The span, unless it is zero or longer than a vendor can mean.
pub(super) fn plausible(span: Duration) -> Option<Duration> {
    (!span.is_zero() && span <= WAIT_MAX).then_some(span)
}

fn seconds(number: f64) -> Option<Duration> {
    plausible(Duration::try_from_secs_f64(number).ok()?)
}

fn from_epoch(seconds: f64, now: SystemTime) -> Option<Duration> {
    let moment = UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
    plausible(moment.duration_since(now).ok()?)
}

/// HTTP dates in their three forms, RFC 3339, and RFC 3339 without seconds or zone.
fn moment(text: &str) -> Option<SystemTime> {
    if text.len() > MOMENT_CHARS_MAX {
        return None;
    }
    if let Ok(date) = httpdate::parse_http_date(text) {
        return Some(date);
    }
    let joined = text.trim().replace(' ', "T");
    let stamp = joined.parse::<jiff::Timestamp>().or_else(|_| format!("{joined}Z").parse());
    stamp.ok().or_else(|| spelled(text)).map(SystemTime::from)
}

/// Dates with the name of the month in orders of their own: `2023-May-05 09:31:00+0000 UTC`,
/// `Wed Oct 07 2020 14:00:27 GMT+0000 (Coordinated Universal Time)`.
fn spelled(text: &str) -> Option<jiff::Timestamp> {
    let text = text.split(" (").next()?.trim();
    // Without a zone of their own, these are in that which follows them.
    if let Some(date) = text.strip_suffix(" GMT").or_else(|| text.strip_suffix(" UTC")) {
        let date = format!("{} +0000", date.replace(',', ""));
        let stamp = jiff::fmt::strtime::parse("%b %d %Y %H:%M:%S %z", &date);
        if let Some(stamp) = stamp.ok().and_then(|stamp| stamp.to_timestamp().ok()) {
            return Some(stamp);
        }
    }
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    let formats = [
        "%Y-%b-%d %H:%M:%S%z",
        "%Y-%b-%d %H:%M:%S %z",
        "%a %b %d %Y %H:%M:%S GMT%z",
        "%a, %d %b %Y %H:%M:%S %z",
    ];
    let parsed = |format: &&str| jiff::fmt::strtime::parse(format, text).ok()?.to_timestamp().ok();
    formats.iter().find_map(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_767_225_600) // 2026-01-01T00:00:00Z
    }

    #[test]
    fn every_known_form_is_read() {
        let rows = [
            ("120", Some(120_000)),
            ("2.0", Some(2_000)),
            ("0.5", Some(500)),
            ("64.57", Some(64_570)),
            ("Thu, 01 Jan 2026 00:00:30 GMT", Some(30_000)),
            ("Thursday, 01-Jan-26 00:00:30 GMT", Some(30_000)),
            ("Thu Jan  1 00:00:30 2026", Some(30_000)),
            ("1767225641", Some(41_000)),
            ("1767225641.5", Some(41_500)),
            ("1767225641000", Some(41_000)),
            ("2026-01-01T00:05:00Z", Some(300_000)),
            ("2026-01-01T01:05:00+01:00", Some(300_000)),
            ("2026-01-01T00:05Z", Some(300_000)),
            ("6m0s", Some(360_000)),
            ("370ms", Some(370)),
            ("1h23m31s", Some(5_011_000)),
            ("34.074824224s", Some(34_074)),
            ("00:05:00", Some(300_000)),
            ("01:00:00", Some(3_600_000)),
            ("1.00:00:00", Some(86_400_000)),
            ("2.5 days", Some(216_000_000)),
            ("30s", Some(30_000)),
            ("1 minute and 30 seconds", Some(90_000)),
            ("1 day, 2:03:04", Some(93_784_000)),
            ("PT1H30M", Some(5_400_000)),
            ("P1DT0.5S", Some(86_400_500)),
            ("2678400", Some(2_678_400_000)),
            ("2026-Jan-01 00:05:00+0000 UTC", Some(300_000)),
            ("Thu Jan 01 2026 00:05:00 GMT+0000 (Coordinated Universal Time)", Some(300_000)),
            ("Thu, 01 Jan 2026 01:05:00 +0100", Some(300_000)),
        ];
        for (text, expected) in rows {
            let found = lenient_retry_after(text, now()).map(|span| span.as_millis());
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn values_out_of_grammar_zero_or_past_are_ignored() {
        let ignored = [
            "",
            " ",
            "0",
            "00:00:00",
            "0s",
            "Fri, 31 Dec 1999 23:59:59 GMT",
            "2025-12-31T23:59:59Z",
            "P1M",
            "PT",
            "P",
            "1h30",
            "-10",
            "invalid",
            "2678401",
            "99999999",
            "12345678901234567890123456789012345",
            "1e9",
            "inf",
            "NaN",
            "1..2",
            "1:2",
            "25:61:00",
            "5 parsecs",
            "4102444800",
            "0x10",
            "+5",
            "2026-13-45T00:00:00Z",
            "d.00:00:00",
        ];
        for text in ignored {
            assert_eq!(lenient_retry_after(text, now()), None, "{text:?}");
        }
    }
}
