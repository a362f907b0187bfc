//! One value of a hint → a span: numbers, dates, durations in every spelling met.
//!
//! Out of grammar is `None`. So is anything longer than 31 days: no vendor means that.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// No legal word is longer.
pub const LEGAL_MAX: Duration = Duration::from_secs(31 * 24 * 3600);
/// Characters of a value; longer ones are no hint.
const CHARS_MAX: usize = 40;
/// From here on a number is a moment in seconds since 1970, not a delay.
const EPOCH_SECONDS_MIN: f64 = 1e9;
/// From here on it is one in milliseconds.
const EPOCH_MILLIS_MIN: f64 = 1e11;

/// `Retry-After`: seconds, decimals, three forms of dates, and what people send instead.
#[must_use]
pub fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    reset(text, now)
}

/// A reset: a delay or a moment, told apart by its form and its magnitude.
pub(super) fn reset(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if text.len() > CHARS_MAX {
        return None;
    }
    match decimal(text) {
        Some(number) if number >= EPOCH_MILLIS_MIN => from_epoch(number / 1000.0, now),
        Some(number) if number >= EPOCH_SECONDS_MIN => from_epoch(number, now),
        Some(number) => seconds(number),
        None => duration(text).or_else(|| until(text, now)),
    }
}

/// A number of seconds, or a duration with its unit.
pub(super) fn delay(text: &str) -> Option<Duration> {
    decimal(text.trim()).and_then(seconds).or_else(|| duration(text))
}

/// A number of milliseconds.
pub(super) fn milliseconds(text: &str) -> Option<Duration> {
    seconds(decimal(text.trim())? / 1000.0)
}

/// A span with units (`6m0s`, `370ms`, `2.12 days`) or as a clock shows it (`00:05:00`).
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text.is_empty() || text.len() > CHARS_MAX {
        return None;
    }
    if text.contains(':') { time_span(text) } else { with_units(text) }
}

/// `hh:mm:ss` or `d.hh:mm:ss`.
pub(super) fn time_span(text: &str) -> Option<Duration> {
    let mut parts = text.split(':');
    let (days, hours) = days_and_hours(parts.next()?)?;
    let (minutes, rest) = (whole(parts.next()?)?, parts.next()?);
    if parts.next().is_some() || minutes > 59 {
        return None;
    }
    let last = decimal(rest).filter(|last| *last < 60.0)?;
    let minutes =
        days.checked_mul(24)?.checked_add(hours)?.checked_mul(60)?.checked_add(minutes)?;
    let last = Duration::try_from_secs_f64(last).ok()?;
    legal(Duration::from_secs(minutes.checked_mul(60)?).checked_add(last)?)
}

/// The span from now until a date; a date that has passed is now.
pub(super) fn until(text: &str, now: SystemTime) -> Option<Duration> {
    legal(moment(text)?.duration_since(now).unwrap_or(Duration::ZERO))
}

/// The span, if it is a legal word.
pub(super) fn legal(span: Duration) -> Option<Duration> {
    (span <= LEGAL_MAX).then_some(span)
}

fn days_and_hours(text: &str) -> Option<(u64, u64)> {
    match text.split_once('.') {
        Some((days, hours)) => Some((whole(days)?, whole(hours)?)),
        None => Some((0, whole(text)?)),
    }
}

fn whole(text: &str) -> Option<u64> {
    let digits = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// Digits with at most one point: neither signs, exponents nor `inf`.
fn decimal(text: &str) -> Option<f64> {
    let starts = text.bytes().next().is_some_and(|first| first.is_ascii_digit());
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if starts && plain && text.len() <= 30 { text.parse().ok() } else { None }
}

fn seconds(number: f64) -> Option<Duration> {
    legal(Duration::try_from_secs_f64(number).ok()?)
}

fn from_epoch(seconds: f64, now: SystemTime) -> Option<Duration> {
    let moment = UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
    legal(moment.duration_since(now).unwrap_or(Duration::ZERO))
}

fn with_units(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, tail) = rest.split_at(number);
        let tail = tail.trim_start_matches(['\'', ' ']);
        let unit = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (name, tail) = tail.split_at(unit);
        let span = decimal(digits)? * unit_seconds(name)?;
        sum = sum.checked_add(Duration::try_from_secs_f64(span).ok()?)?;
        rest = tail.trim_start_matches("(s)").trim_start_matches([',', ' ']);
    }
    legal(sum)
}

fn unit_seconds(name: &str) -> Option<f64> {
    let plain = name.to_ascii_lowercase();
    let seconds = match plain.as_str() {
        "ms" | "millisecond" | "milliseconds" => 0.001,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    };
    Some(seconds)
}

/// HTTP dates in their three forms, RFC 3339, and RFC 3339 without seconds or zone.
fn moment(text: &str) -> Option<SystemTime> {
    if let Ok(date) = httpdate::parse_http_date(text) {
        return Some(date);
    }
    let text = text.trim().replace(' ', "T");
    let stamp = text.parse::<jiff::Timestamp>().or_else(|_| format!("{text}Z").parse());
    stamp.ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_767_225_600) // 2026-01-01T00:00:00Z
    }

    #[test]
    fn every_form_of_the_catalogue() {
        let rows = [
            ("120", Some(120_000)),
            ("0", Some(0)),
            ("2.0", Some(2_000)),
            ("0.5", Some(500)),
            ("64.57", Some(64_570)),
            ("Thu, 01 Jan 2026 00:00:30 GMT", Some(30_000)),
            ("Thursday, 01-Jan-26 00:00:30 GMT", Some(30_000)),
            ("Thu Jan  1 00:00:30 2026", Some(30_000)),
            ("Fri, 31 Dec 1999 23:59:59 GMT", Some(0)),
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
            ("2678400", Some(2_678_400_000)),
        ];
        for (text, expected) in rows {
            let found = retry_after(text, now()).map(|span| span.as_millis());
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_legal_word_is_unsaid() {
        let illegal = [
            "",
            " ",
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
        for text in illegal {
            assert_eq!(retry_after(text, now()), None, "{text:?}");
        }
    }
}
