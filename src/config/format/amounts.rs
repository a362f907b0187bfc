//! Reads amounts as people and other programs write them (`500rpm`, `1.5 hours`, `64KB`), for
//! suggestions.
//!
//! Texts are read token by token, so blanks, plurals and long unit names do not matter.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'t> {
    Number(Fraction),
    Word(&'t str),
    Mark(char),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fraction {
    pub(super) over: u64,
    pub(super) under: u64,
}

impl Fraction {
    /// A plain decimal number such as `12` or `1.5`.
    pub(super) fn decimal(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(decimals) || text.ends_with('.') {
            return None;
        }
        let under = 10_u64.checked_pow(u32::try_from(decimals.len()).ok()?)?;
        Some(reduced(format!("{whole}{decimals}").parse().ok()?, under))
    }

    fn times(self, factor: u64) -> Option<u64> {
        let product = self.over.checked_mul(factor)?;
        product.is_multiple_of(self.under).then(|| product / self.under)
    }
}

/// Longer texts are not a number with a unit.
const TOKENS_MAX: usize = 32;

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next().filter(|_| tokens.len() < TOKENS_MAX) {
        let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let taken = if first.is_ascii_digit() {
            let (number, bytes) = fraction(rest);
            tokens.push(number.map_or(Token::Mark('?'), Token::Number));
            bytes
        } else if letters > 0 {
            tokens.push(Token::Word(&rest[..letters]));
            letters
        } else {
            tokens.push(Token::Mark(first));
            first.len_utf8()
        };
        rest = rest[taken..].trim_start();
    }
    tokens
}

/// `1,000`, `1_000`, `0.5`, `10k`, `2M`, and how many bytes it takes.
fn fraction(text: &str) -> (Option<Fraction>, usize) {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = 0;
    let (mut digits, mut decimals) = (String::new(), None::<u32>);
    while let Some(byte) = bytes.get(at) {
        let thousands = matches!(byte, b',' | b'_' | b'\'')
            && (1..=3).all(|next| digit(at + next))
            && !digit(at + 4);
        match byte {
            b'0'..=b'9' => {
                digits.push(char::from(*byte));
                decimals = decimals.map(|count| count + 1);
            }
            b'.' if decimals.is_none() && digit(at + 1) => decimals = Some(0),
            _ if thousands && decimals.is_none() => {}
            _ => break,
        }
        at += 1;
    }
    let alone = !bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic);
    let mut exponent = 0;
    let factor = match bytes.get(at) {
        Some(b'k' | b'K') if alone => 1_000,
        Some(b'e' | b'E') if digit(at + 1) && !digit(at + 2) => {
            exponent = 2;
            10_u64.pow(u32::from(bytes[at + 1] - b'0'))
        }
        Some(b'M') if alone && bytes.get(at + 1).is_some_and(|next| *next == b'/') => 1_000_000,
        _ => 1,
    };
    let number = || {
        let under = 10_u64.checked_pow(decimals.unwrap_or(0))?;
        let over = digits.parse::<u64>().ok()?.checked_mul(factor)?;
        Some(reduced(over, under))
    };
    (number(), at + exponent.max(usize::from(factor > 1)))
}

fn reduced(over: u64, under: u64) -> Fraction {
    let (mut a, mut b) = (over, under);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let divisor = a.max(1);
    Fraction { over: over / divisor, under: under / divisor }
}

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * SECOND;
/// The longest month: a limit that holds over 31 days holds in every month.
const MONTH: u64 = 31 * DAY;

/// Nanoseconds of a unit of time.
fn time_unit(word: &str) -> Option<u64> {
    Some(match word.to_lowercase().as_str() {
        "ms" | "msec" | "msecs" | "milli" | "millis" | "millisecond" | "milliseconds" => {
            SECOND / 1_000
        }
        "s" | "sec" | "secs" | "second" | "seconds" => SECOND,
        "m" | "min" | "mins" | "minute" | "minutes" | "mn" => 60 * SECOND,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600 * SECOND,
        "d" | "day" | "days" | "daily" => DAY,
        "w" | "wk" | "week" | "weeks" | "weekly" => 7 * DAY,
        "fortnight" | "fortnights" => 14 * DAY,
        "mo" | "mon" | "month" | "months" | "monthly" => MONTH,
        _ => return None,
    })
}

/// Words that only say what is counted, or `per`.
const NOISE: [&str; 22] = [
    "r", "req", "reqs", "request", "requests", "call", "calls", "hit", "hits", "query", "queries",
    "times", "ops", "per", "every", "each", "in", "a", "an", "any", "within", "p",
];

/// Calls and the window in nanoseconds: `500rpm`, `100 requests/min`, `10k/h`, `0.5/s`.
pub(super) fn limit(text: &str) -> Option<(u32, u64)> {
    let tokens = tokens(text);
    let [Token::Number(calls), rest @ ..] = tokens.as_slice() else { return None };
    let (calls, window) = match rest {
        [] => (*calls, SECOND),
        [Token::Word(word)] if short_rate(word).is_some() => (*calls, short_rate(word)?),
        rest => {
            let noise = |token: &&Token<'_>| match token {
                Token::Word(word) => NOISE.contains(&&*word.to_lowercase()),
                Token::Mark(mark) => matches!(mark, '/' | '@' | '-' | ':'),
                Token::Number(_) => false,
            };
            let start = rest.iter().take_while(noise).count();
            window(*calls, &rest[start..])?
        }
    };
    let length = window.checked_mul(calls.under)?;
    let calls = u32::try_from(calls.over).ok()?;
    Some((calls, length))
}

fn window(calls: Fraction, tokens: &[Token<'_>]) -> Option<(Fraction, u64)> {
    match tokens {
        [Token::Word(unit)] => {
            // Twelve spans of 31 days cover a year, three a quarter.
            let parts = match unit.to_lowercase().as_str() {
                "y" | "yr" | "year" | "years" | "yearly" => Some(12),
                "quarter" => Some(3),
                _ => None,
            };
            match parts {
                Some(parts) => {
                    let calls = calls.times(1)? / parts;
                    Some((Fraction { over: calls, under: 1 }, MONTH))
                }
                None => Some((calls, time_unit(unit)?)),
            }
        }
        [Token::Number(number), Token::Word(unit)] => {
            Some((calls, number.times(time_unit(unit)?)?))
        }
        [Token::Number(number)] => Some((calls, number.times(SECOND)?)),
        _ => None,
    }
}

/// `rps`, `qpm`, `tph`: something per unit.
fn short_rate(word: &str) -> Option<u64> {
    let word = word.to_lowercase();
    if word == "hz" {
        return Some(SECOND);
    }
    let unit =
        ["rp", "qp", "tp", "cp", "reqp"].iter().find_map(|start| word.strip_prefix(start))?;
    ["s", "m", "h", "d", "min", "sec", "hr"].contains(&unit).then(|| time_unit(unit)).flatten()
}

/// `30 sec`, `1 hour and 30 minutes`, `1.5h`, `PT30S`, `00:01:30`, `30`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let tokens = tokens(text);
    if let [Token::Number(number)] = tokens.as_slice() {
        // Bare milliseconds have four digits where bare seconds have two.
        let unit = if text.len() > 3 { SECOND / 1_000 } else { SECOND };
        return number.times(unit).map(Duration::from_nanos);
    }
    let clock = match tokens.as_slice() {
        [hours, Token::Mark(':'), minutes, Token::Mark(':'), seconds] => {
            Some([(Some(hours), 3_600), (Some(minutes), 60), (Some(seconds), 1)])
        }
        [minutes, Token::Mark(':'), seconds] => {
            Some([(None, 0), (Some(minutes), 60), (Some(seconds), 1)])
        }
        _ => None,
    };
    if let Some(parts) = clock {
        let parts = parts.map(|(part, length)| match part {
            Some(Token::Number(number)) => number.times(length * SECOND),
            Some(_) => None,
            None => Some(0),
        });
        let sum = parts.into_iter().try_fold(0_u64, |sum, part| sum.checked_add(part?))?;
        return Some(Duration::from_nanos(sum));
    }
    let iso = matches!(tokens.first(), Some(Token::Word(word))
        if word.eq_ignore_ascii_case("p") || word.eq_ignore_ascii_case("pt"));
    let mut rest = &tokens[usize::from(iso)..];
    let mut sum = 0_u64;
    while let [Token::Number(number), Token::Word(unit), behind @ ..] = rest {
        let unit = if iso { unit.trim_end_matches(['T', 't']) } else { unit };
        sum = sum.checked_add(number.times(time_unit(unit)?)?)?;
        let linked = matches!(behind, [Token::Mark(','), ..])
            || matches!(behind, [Token::Word(word), ..] if *word == "and");
        rest = if linked { &behind[1..] } else { behind };
        // `1h30`: the next smaller unit.
        if let ([Token::Number(number)], "h" | "m") = (rest, unit) {
            let smaller = if unit == "h" { 60 * SECOND } else { SECOND };
            sum = sum.checked_add(number.times(smaller)?)?;
            rest = &[];
        }
    }
    (rest.is_empty() && !tokens.is_empty()).then(|| Duration::from_nanos(sum))
}

/// The bound that a word such as `unlimited` or `none` stands for.
pub(super) fn extreme<T>(text: &str, none: T, unlimited: T) -> Option<T> {
    const UNLIMITED: [&str; 7] =
        ["unlimited", "infinite", "infinity", "inf", "forever", "never", "-1"];
    if UNLIMITED.contains(&&*text.to_ascii_lowercase()) {
        return Some(unlimited);
    }
    is_nothing(text).then_some(none)
}

pub(super) fn is_nothing(text: &str) -> bool {
    const NOTHING: [&str; 8] = ["none", "off", "no", "false", "disabled", "disable", "null", "0"];
    NOTHING.contains(&&*text.to_ascii_lowercase())
}

/// `64KB`, `1.5 MB`, `1_000_000`, `2 gigabytes`.
pub(super) fn size(text: &str) -> Option<usize> {
    // A number takes a bare `k` for a thousand; here it is a unit.
    let split = text.rfind(|c: char| c.is_ascii_digit()).map(|at| at + 1)?;
    let (number, unit) = text.split_at(split);
    let (number, taken) = fraction(number);
    let unit = unit.trim();
    let factor = match unit.to_lowercase().as_str() {
        "" | "b" | "byte" | "bytes" => 1,
        "k" | "kb" | "kib" | "ki" | "kilobyte" | "kilobytes" => 1 << 10,
        "m" | "mb" | "mib" | "mi" | "megabyte" | "megabytes" | "meg" => 1 << 20,
        "g" | "gb" | "gib" | "gi" | "gigabyte" | "gigabytes" | "gig" => 1 << 30,
        _ => return None,
    };
    let number = number.filter(|_| taken == split)?;
    // A fraction of a unit is rounded to whole bytes.
    usize::try_from(number.over.checked_mul(factor)? / number.under).ok()
}

pub(super) fn percent(text: &str) -> Option<String> {
    let tokens = tokens(text);
    let shown = |number: u64| Some(format!("{number}%"));
    match tokens.as_slice() {
        [Token::Number(share)] if share.under > 1 && share.over <= share.under => {
            shown(share.times(100)?)
        }
        [Token::Number(number)] => shown(number.times(1)?),
        [Token::Number(number), Token::Word("percent" | "pct" | "Percent")] => {
            shown(number.times(1)?)
        }
        [Token::Number(number), Token::Mark('%')] => shown(number.over / number.under),
        _ => shown(extreme(text, 0_u64, 100)?),
    }
}

pub(super) fn count(text: &str) -> Option<u64> {
    match tokens(text).as_slice() {
        [Token::Number(number)] | [Token::Number(number), Token::Word(_)] => number.times(1),
        [Token::Word("x" | "X"), Token::Number(number)] => number.times(1),
        _ => None,
    }
}
