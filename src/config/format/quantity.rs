//! Numbers with units: durations, sizes, rates, limits.

use std::fmt;
use std::time::Duration;

use serde_json::Value as Json;

use super::amounts::{self, Fraction};
use super::parse::{Format, Mismatch, text_schema};
use crate::config::diagnostic::DiagnosticCode;

/// A duration between two bounds.
pub(crate) struct Span {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

const DURATIONS: &str = "a duration such as 250ms, 3s, 1m30s, 2h or 1d";

impl Format for Span {
    type Value = Duration;

    fn parse(&self, text: &str) -> Result<Duration, Vec<Mismatch>> {
        let length = duration(text)?;
        let accepted = || format!("{} to {}", Length(self.min), Length(self.max));
        within(text, length, (self.min, self.max), accepted)
    }

    fn write(&self, value: &Duration) -> String {
        Length(*value).to_string()
    }

    fn accepted(&self) -> String {
        DURATIONS.into()
    }

    fn schema(&self) -> Json {
        text_schema("^([0-9]+(day|d|h|ms|m|s))+$")
    }

    /// Where a duration cannot be zero, `none` means that nothing ends it.
    fn guess(&self, text: &str) -> Option<String> {
        let none = if self.min.is_zero() { self.min } else { self.max };
        let length = amounts::extreme(text, none, self.max);
        length.or_else(|| amounts::duration(text)).map(|length| Length(length).to_string())
    }
}

fn within<T: PartialOrd>(
    text: &str,
    value: T,
    (min, max): (T, T),
    accepted: impl FnOnce() -> String,
) -> Result<T, Vec<Mismatch>> {
    if (&min..=&max).contains(&&value) {
        return Ok(value);
    }
    let message = format!("{text} is out of bounds");
    Err(Mismatch::new(DiagnosticCode::Range, message, accepted()).into())
}

/// The units of durations in nanoseconds, the longest first.
const TIME_UNITS: [(&str, u64); 6] = [
    ("day", 86_400_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

fn duration(text: &str) -> Result<Duration, Mismatch> {
    let not_a_duration = || match text.starts_with('-') {
        true => Mismatch::new(DiagnosticCode::Range, format!("`{text}` is negative"), DURATIONS),
        false => {
            Mismatch::new(DiagnosticCode::Type, format!("`{text}` is not a duration"), DURATIONS)
        }
    };
    let mut nanos: u64 = 0;
    let mut rest = text;
    let mut larger_unit = u64::MAX;
    while !rest.is_empty() || text.is_empty() {
        let (number, unit, behind) = quantity(rest);
        let number = number.ok_or_else(not_a_duration)?;
        let factor = TIME_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, nanos)| *nanos);
        let factor = factor.ok_or_else(|| {
            let message = match unit {
                "" => format!("`{text}` has no unit"),
                unit => format!("`{}` is not a unit of time", unit.trim()),
            };
            Mismatch::new(DiagnosticCode::Unit, message, DURATIONS)
        })?;
        let sum = number.checked_mul(factor).and_then(|term| nanos.checked_add(term));
        nanos = sum.filter(|_| factor < larger_unit).ok_or_else(not_a_duration)?;
        (rest, larger_unit) = (behind, factor);
    }
    Ok(Duration::from_nanos(nanos))
}

/// The leading number, the letters behind it, and the rest.
fn quantity(text: &str) -> (Option<u64>, &str, &str) {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(letters);
    (number.parse().ok(), unit, rest)
}

/// A number of bytes between two bounds.
pub(crate) struct Size {
    pub(crate) min: usize,
    pub(crate) max: usize,
}

const SIZES: &str = "a size such as 512B, 64KiB, 10MiB or 1GiB";

const SIZE_UNITS: [(&str, usize); 4] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Format for Size {
    type Value = usize;

    fn parse(&self, text: &str) -> Result<usize, Vec<Mismatch>> {
        let bytes = size(text)?;
        let accepted = || format!("{} to {}", Bytes(self.min), Bytes(self.max));
        within(text, bytes, (self.min, self.max), accepted)
    }

    fn write(&self, value: &usize) -> String {
        Bytes(*value).to_string()
    }

    fn accepted(&self) -> String {
        SIZES.into()
    }

    fn schema(&self) -> Json {
        text_schema("^[0-9]+(B|KiB|MiB|GiB)$")
    }

    fn guess(&self, text: &str) -> Option<String> {
        let bytes = amounts::extreme(text, self.min, self.max).or_else(|| amounts::size(text))?;
        Some(Bytes(bytes).to_string())
    }
}

fn size(text: &str) -> Result<usize, Mismatch> {
    let not_a_size =
        || Mismatch::new(DiagnosticCode::Type, format!("`{text}` is not a size"), SIZES);
    let (number, unit, rest) = quantity(text);
    let number = number.filter(|_| rest.is_empty()).ok_or_else(not_a_size)?;
    let unit = unit.trim();
    let factor = SIZE_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let factor = factor.ok_or_else(|| {
        let message = match unit {
            "" => format!("`{text}` has no unit"),
            unit => format!("`{unit}` is not a unit of size"),
        };
        Mismatch::new(DiagnosticCode::Unit, message, SIZES)
    })?;
    let number = usize::try_from(number).ok();
    number.and_then(|number| number.checked_mul(factor)).ok_or_else(not_a_size)
}

/// Bytes per second, up to a bound.
pub(crate) struct Rate {
    pub(crate) max: usize,
}

const RATES: &str = "bytes per second such as 512B/s, 1KiB/s or 2MiB/s";

impl Format for Rate {
    type Value = u64;

    fn parse(&self, text: &str) -> Result<u64, Vec<Mismatch>> {
        let Some(amount) = text.strip_suffix("/s") else {
            let message = format!("`{text}` has no unit of time");
            return Err(Mismatch::new(DiagnosticCode::Unit, message, RATES).into());
        };
        let bytes = size(amount).map_err(|mismatch| {
            Mismatch::new(mismatch.code, format!("`{text}` is not a rate"), RATES)
        })?;
        let accepted = || format!("0B/s to {}/s", Bytes(self.max));
        within(text, bytes, (0, self.max), accepted).map(|bytes| bytes as u64)
    }

    fn write(&self, value: &u64) -> String {
        format!("{}/s", Bytes(usize::try_from(*value).unwrap_or(usize::MAX)))
    }

    fn accepted(&self) -> String {
        RATES.into()
    }

    fn schema(&self) -> Json {
        text_schema("^[0-9]+(B|KiB|MiB|GiB)/s$")
    }

    fn guess(&self, text: &str) -> Option<String> {
        if amounts::is_nothing(text) {
            return Some("0B/s".to_owned());
        }
        let amount = text.split(['/', 'p']).next().unwrap_or(text);
        Some(format!("{}/s", Bytes(amounts::size(amount.trim())?)))
    }
}

/// A number of calls per window.
pub(crate) struct CallLimit;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) calls: u32,
    pub(crate) window: Duration,
}

const LIMITS: &str = "calls per window: 10/s, 1.5/s, 500/15m, 1000/h, 100/day, 5000/month";
/// No vendor counts faster; below it the timers are the error.
const WINDOW_MIN: Duration = Duration::from_millis(10);
/// The longest wait that this program accepts anywhere.
const WINDOW_MAX: Duration = Duration::from_secs(31 * 86_400);
/// A higher number limits nothing in practice. It also bounds the ledger's arithmetic.
const CALLS_MAX: u32 = 100_000_000;

impl Format for CallLimit {
    type Value = Limit;

    fn parse(&self, text: &str) -> Result<Limit, Vec<Mismatch>> {
        parse_limit(text).map_err(|mut mismatches| {
            // The suggestion replaces the whole limit, so it answers both mismatches.
            if self.guess(text.trim()).is_some_and(|guess| parse_limit(&guess).is_ok()) {
                mismatches.truncate(1);
            }
            mismatches
        })
    }

    fn write(&self, value: &Limit) -> String {
        value.to_string()
    }

    fn accepted(&self) -> String {
        LIMITS.into()
    }

    fn schema(&self) -> Json {
        const CALLS: &str = "[0-9]+(\\.[0-9]+)?";
        text_schema(&format!("^{CALLS}/(week|month|([0-9]+)?(day|d|h|ms|m|s)([0-9]+(h|ms|m|s))*)$"))
    }

    fn guess(&self, text: &str) -> Option<String> {
        let (calls, nanos) = amounts::limit(text)?;
        Some(Limit { calls, window: Duration::from_nanos(nanos) }.to_string())
    }
}

fn parse_limit(text: &str) -> Result<Limit, Vec<Mismatch>> {
    /// Words that ask for no limit at all.
    const NO_LIMIT: [&str; 8] =
        ["unlimited", "none", "off", "no", "false", "infinite", "infinity", "-1"];
    let Some((calls, window)) = text.split_once('/') else {
        let message = format!("`{text}` has no window");
        let accepted = match NO_LIMIT.contains(&&*text.to_ascii_lowercase()) {
            true => format!("{LIMITS}; without an allowance nothing is limited"),
            false => LIMITS.to_owned(),
        };
        return Err(Mismatch::new(DiagnosticCode::Unit, message, accepted).into());
    };
    let (calls, window) = match (limit_calls(calls.trim(), text), limit_window(window.trim(), text))
    {
        (Ok(calls), Ok(window)) => (calls, window),
        (calls, window) => return Err(calls.err().into_iter().chain(window.err()).collect()),
    };
    // 1.5 calls per second are 3 in 2 seconds: whole calls in the shortest window that has them.
    let under = u32::try_from(calls.under).unwrap_or(u32::MAX);
    let window = window.checked_mul(under).filter(|window| *window <= WINDOW_MAX);
    let Some(window) = window else {
        let message = format!("`{text}` is a whole number of calls only in a window of months");
        let accepted = format!("whole calls in a window of at most {}", Length(WINDOW_MAX));
        return Err(Mismatch::new(DiagnosticCode::Range, message, accepted).into());
    };
    let calls_in_bounds = u32::try_from(calls.over).ok().filter(|it| (1..=CALLS_MAX).contains(it));
    let Some(calls) = calls_in_bounds else {
        let message = format!("`{text}`: {} is out of bounds", calls.over);
        let accepted = format!("1 to {CALLS_MAX} calls per window");
        return Err(Mismatch::new(DiagnosticCode::Range, message, accepted).into());
    };
    Ok(Limit { calls, window })
}

fn limit_calls(calls: &str, text: &str) -> Result<Fraction, Mismatch> {
    if let Some(calls) = Fraction::decimal(calls) {
        return Ok(calls);
    }
    if calls.parse::<i64>().is_ok() {
        let message = format!("`{text}`: {calls} is out of bounds");
        let accepted = format!("1 to {CALLS_MAX} calls per window");
        return Err(Mismatch::new(DiagnosticCode::Range, message, accepted));
    }
    let message = format!("`{text}` is not a limit: `{calls}` is not a number");
    Err(Mismatch::new(DiagnosticCode::Type, message, LIMITS))
}

fn limit_window(window: &str, text: &str) -> Result<Duration, Mismatch> {
    let spelled = match window {
        "week" => "7d".to_owned(),
        // The longest month: a limit that is kept over 31 days is kept in every month.
        "month" => "31d".to_owned(),
        bare if !bare.starts_with(|c: char| c.is_ascii_digit()) => format!("1{bare}"),
        counted => counted.to_owned(),
    };
    let length = duration(&spelled).map_err(|mismatch| {
        let reason = mismatch.message.replace(&spelled, window);
        let message = format!("`{text}` is not a limit: {reason}");
        Mismatch::new(DiagnosticCode::Unit, message, LIMITS)
    })?;
    if (WINDOW_MIN..=WINDOW_MAX).contains(&length) {
        return Ok(length);
    }
    let accepted = format!("a window of {} to {}", Length(WINDOW_MIN), Length(WINDOW_MAX));
    let message = format!("`{text}`: the window is out of bounds");
    Err(Mismatch::new(DiagnosticCode::Range, message, accepted))
}

/// Displays a duration as the file writes it.
pub(crate) struct Length(pub(crate) Duration);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX);
        if rest < 1_000_000 {
            return f.write_str("0s");
        }
        for (unit, nanos) in &TIME_UNITS[1..] {
            if rest >= *nanos {
                write!(f, "{}{unit}", rest / nanos)?;
                rest %= nanos;
            }
        }
        Ok(())
    }
}

/// Displays a size as the file writes it.
struct Bytes(usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit =
            SIZE_UNITS.iter().find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor));
        let (unit, factor) = unit.unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.window.as_nanos();
        match TIME_UNITS.iter().find(|(_, unit)| u128::from(*unit) == nanos) {
            Some((unit, _)) => write!(f, "{}/{unit}", self.calls),
            None => write!(f, "{}/{}", self.calls, Length(self.window)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_calls_per_window() {
        let rows = [
            ("10/s", 10, 1_000),
            ("40/2s", 40, 2_000),
            ("500/15m", 500, 900_000),
            ("1000/h", 1000, 3_600_000),
            ("100/day", 100, 86_400_000),
            ("7/250ms", 7, 250),
        ];
        for (text, calls, millis) in rows {
            let expected = Limit { calls, window: Duration::from_millis(millis) };
            assert_eq!(parse_limit(text).unwrap(), expected, "{text}");
            assert_eq!(expected.to_string(), text);
        }
        let rows = [
            ("1.5/s", "3/2s"),
            ("0.5/m", "1/2m"),
            ("2.50/h", "5/2h"),
            ("10.0/s", "10/s"),
            ("0.001/s", "1/16m40s"),
            ("0.333/s", "333/16m40s"),
            ("100/week", "100/7d"),
            ("100/month", "100/31d"),
            ("00012/s", "12/s"),
        ];
        for (text, shown) in rows {
            assert_eq!(parse_limit(text).unwrap().to_string(), shown, "{text}");
        }
        let rejected = ["0.1/31d", "0.0/s", "1./s", ".5/s", "1.5.2/s", "0.00000001/h", "1e3/s"];
        for text in rejected {
            assert!(parse_limit(text).is_err(), "{text}");
        }
        for text in ["10", "0/s", "-1/s", "x/s", "10/", "10/fortnight", "10/0s", "1/32d", "1/s/s"] {
            assert!(parse_limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn units_of_a_duration_go_from_long_to_short() {
        let rows = [("250ms", 250), ("3s", 3_000), ("1m30s", 90_000), ("2h", 7_200_000), ("0s", 0)];
        for (text, millis) in rows {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(millis), "{text}");
            assert_eq!(Length(Duration::from_millis(millis)).to_string(), text);
        }
        for text in ["", "30", "s", "30s1m", "1.5s", "-3s", "99999999999999999h", "5 s", "3ss"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        const RATE: Rate = Rate { max: 1 << 30 };
        let rows = [("64KiB", 65_536), ("10MiB", 10_485_760), ("512B", 512), ("1GiB", 1 << 30)];
        for (text, bytes) in rows {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        for (text, bytes) in [("1KiB/s", 1024), ("0B/s", 0), ("3MiB/s", 3 << 20)] {
            assert_eq!(RATE.parse(text).unwrap(), bytes, "{text}");
            assert_eq!(RATE.write(&bytes), text);
        }
        for text in ["1KiB", "1KB/s", "2GiB/s"] {
            assert!(RATE.parse(text).is_err(), "{text}");
        }
        for text in ["", "64", "KiB", "1KiB2", "99999999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
