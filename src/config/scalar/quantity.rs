//! Numbers with units: durations, sizes, limits.

use std::fmt;
use std::time::Duration;

use super::{Fit, Misfit, Plain};
use crate::config::fault::Sort;

/// N calls in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Limit {
    pub(in crate::config) calls: u32,
    pub(in crate::config) window: Duration,
}

pub(super) fn duration_within(text: &str, min: Duration, max: Duration) -> Fit {
    let length = duration(text)?;
    if (min..=max).contains(&length) {
        return Ok(Plain::Duration(length));
    }
    let accepted = format!("{} to {}", Length(min), Length(max));
    Err(Misfit::new(Sort::Range, format!("{text} is out of bounds"), accepted))
}

pub(super) const DURATIONS: &str = "a duration such as 250ms, 3s, 1m30s, 2h or 1d";

/// The units of durations in nanoseconds, the longest first; a longer unit cannot follow.
pub(super) const TIME_UNITS: [(&str, u64); 6] = [
    ("day", 86_400_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

pub(super) fn duration(text: &str) -> Result<Duration, Misfit> {
    let mut nanos: u64 = 0;
    let mut rest = text;
    let mut ceiling = u64::MAX;
    while !rest.is_empty() || text.is_empty() {
        let (number, unit, behind) = quantity(rest);
        let number = number.ok_or_else(|| no_duration(text))?;
        let factor = time_unit(unit, text)?;
        let term = number.checked_mul(factor).and_then(|term| nanos.checked_add(term));
        nanos = term.filter(|_| factor < ceiling).ok_or_else(|| no_duration(text))?;
        (rest, ceiling) = (behind, factor);
    }
    Ok(Duration::from_nanos(nanos))
}

/// The leading number, the letters behind it, and the rest.
pub(super) fn quantity(text: &str) -> (Option<u64>, &str, &str) {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(letters);
    (number.parse().ok(), unit, rest)
}

pub(super) fn no_duration(text: &str) -> Misfit {
    if text.starts_with('-') {
        return Misfit::new(Sort::Range, format!("`{text}` is negative"), DURATIONS);
    }
    Misfit::new(Sort::Type, format!("`{text}` is no duration"), DURATIONS)
}

pub(super) fn time_unit(unit: &str, text: &str) -> Result<u64, Misfit> {
    let known = TIME_UNITS.iter().find(|(name, _)| *name == unit);
    known.map(|(_, nanos)| *nanos).ok_or_else(|| {
        let message = match unit {
            "" => format!("`{text}` has no unit"),
            unit => format!("`{}` is no unit of time", unit.trim()),
        };
        Misfit::new(Sort::Unit, message, DURATIONS)
    })
}

pub(super) fn size_within(text: &str, min: u64, max: u64) -> Fit {
    let bytes = size(text)?;
    if (min..=max).contains(&bytes) {
        return Ok(Plain::Size(bytes));
    }
    let accepted = format!("{} to {}", Bytes(min), Bytes(max));
    Err(Misfit::new(Sort::Range, format!("{text} is out of bounds"), accepted))
}

pub(super) const SIZES: &str = "a size such as 512B, 64KiB, 10MiB or 1GiB";

pub(super) const SIZE_UNITS: [(&str, u64); 4] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

pub(super) fn size(text: &str) -> Result<u64, Misfit> {
    let (number, unit, rest) = quantity(text);
    let no_size = || Misfit::new(Sort::Type, format!("`{text}` is no size"), SIZES);
    let number = number.filter(|_| rest.is_empty()).ok_or_else(no_size)?;
    let unit = unit.trim();
    if let Some((_, factor)) = SIZE_UNITS.iter().find(|(name, _)| *name == unit) {
        return number.checked_mul(*factor).ok_or_else(no_size);
    }
    let message = match unit {
        "" => format!("`{text}` has no unit"),
        unit => format!("`{unit}` is no unit of size"),
    };
    Err(Misfit::new(Sort::Unit, message, SIZES))
}

pub(super) const RATES: &str = "bytes a second such as 512B/s, 1KiB/s or 2MiB/s";

pub(super) fn rate_within(text: &str, min: u64, max: u64) -> Fit {
    let Some(amount) = text.strip_suffix("/s") else {
        let message = format!("`{text}` does not say per what");
        return Err(Misfit::new(Sort::Unit, message, RATES));
    };
    let bytes = size(amount)
        .map_err(|misfit| Misfit::new(misfit.sort, format!("`{text}` is not a rate"), RATES))?;
    if (min..=max).contains(&bytes) {
        return Ok(Plain::Rate(bytes));
    }
    let accepted = format!("{}/s to {}/s", Bytes(min), Bytes(max));
    Err(Misfit::new(Sort::Range, format!("{text} is out of bounds"), accepted))
}

pub(super) const LIMITS: &str = "calls per window: 10/s, 40/2s, 500/15m, 1000/h, 100/day";
/// No vendor counts faster; below it the timers are the error.
pub(super) const WINDOW_MIN: Duration = Duration::from_millis(10);
/// The longest wait that is a legal word anywhere in this program.
pub(super) const WINDOW_MAX: Duration = Duration::from_secs(31 * 86_400);
/// More is no limit; it also bounds the ledger's arithmetic.
pub(super) const CALLS_MAX: u32 = 100_000_000;

pub(super) fn limit(text: &str) -> Result<Limit, Vec<Misfit>> {
    let Some((calls, window)) = text.split_once('/') else {
        let message = format!("`{text}` does not say per what");
        let accepted = match NO_LIMIT.contains(&&*text.to_ascii_lowercase()) {
            true => format!("{LIMITS}; without an allowance nothing is limited"),
            false => LIMITS.to_owned(),
        };
        return Err(vec![Misfit::new(Sort::Unit, message, accepted)]);
    };
    match (limit_calls(calls.trim(), text), limit_window(window.trim(), text)) {
        (Ok(calls), Ok(window)) => Ok(Limit { calls, window }),
        (calls, window) => Err(calls.err().into_iter().chain(window.err()).collect()),
    }
}

/// Words that ask for no limit at all.
const NO_LIMIT: [&str; 8] =
    ["unlimited", "none", "off", "no", "false", "infinite", "infinity", "-1"];

pub(super) fn limit_calls(calls: &str, text: &str) -> Result<u32, Misfit> {
    match calls.parse::<i64>() {
        Ok(number) if (1..=i64::from(CALLS_MAX)).contains(&number) => {
            Ok(u32::try_from(number).unwrap_or(CALLS_MAX))
        }
        Ok(_) => {
            let accepted = format!("1 to {CALLS_MAX} calls per window");
            Err(Misfit::new(Sort::Range, format!("`{text}`: {calls} is out of bounds"), accepted))
        }
        Err(_) => {
            let message = format!("`{text}` is no limit: `{calls}` is no whole number");
            Err(Misfit::new(Sort::Type, message, LIMITS))
        }
    }
}

pub(super) fn limit_window(window: &str, text: &str) -> Result<Duration, Misfit> {
    let bare = !window.starts_with(|c: char| c.is_ascii_digit());
    let spelled = if bare { format!("1{window}") } else { window.to_owned() };
    let length = duration(&spelled).map_err(|misfit| {
        let message = format!("`{text}` is no limit: {}", misfit.message.replace(&spelled, window));
        Misfit::new(Sort::Unit, message, LIMITS)
    })?;
    if (WINDOW_MIN..=WINDOW_MAX).contains(&length) {
        return Ok(length);
    }
    let accepted = format!("a window of {} to {}", Length(WINDOW_MIN), Length(WINDOW_MAX));
    Err(Misfit::new(Sort::Range, format!("`{text}`: the window is out of bounds"), accepted))
}

/// A duration as the file writes it.
pub(in crate::config) struct Length(pub(in crate::config) Duration);

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

/// A size as the file writes it.
pub(in crate::config) struct Bytes(pub(in crate::config) u64);

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
        let unit =
            TIME_UNITS.iter().find(|(_, nanos)| u128::from(*nanos) == self.window.as_nanos());
        match unit {
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
            assert_eq!(limit(text).unwrap(), expected, "{text}");
            assert_eq!(expected.to_string(), text);
        }
        for text in ["10", "0/s", "-1/s", "x/s", "10/", "10/fortnight", "10/0s", "1/32d", "1/s/s"] {
            assert!(limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_have_units_in_falling_order() {
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
    fn sizes_are_binary() {
        let rows = [("64KiB", 65_536), ("10MiB", 10_485_760), ("512B", 512), ("1GiB", 1 << 30)];
        for (text, bytes) in rows {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        for (text, bytes) in [("1KiB/s", 1024), ("0B/s", 0), ("3MiB/s", 3 << 20)] {
            let rate = rate_within(text, 0, 1 << 30).unwrap();
            assert_eq!((&rate, rate.to_string().as_str()), (&Plain::Rate(bytes), text));
        }
        for text in ["1KiB", "1KB/s", "2GiB/s"] {
            assert!(rate_within(text, 0, 1 << 30).is_err(), "{text}");
        }
        for text in ["", "64", "KiB", "1KiB2", "99999999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
