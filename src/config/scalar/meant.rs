//! A text that does not fit → the text that was probably meant, in the form the key accepts.
//!
//! Reads the ways in which people and other programs write limits, durations, sizes and words
//! (`500rpm`, `10 per second`, `1.5 hours`, `yes`). A suggestion is only made where it fits: the
//! caller reads every one of them before it is shown.

use std::time::Duration;

use super::quantity::{Bytes, Length, Limit};
use crate::config::fault::nearest;
use crate::config::keys::Scalar;

/// What was probably meant.
pub(super) fn value(text: &str, scalar: &Scalar) -> Option<String> {
    let text = text.trim();
    match scalar {
        Scalar::Limit => limit(text),
        Scalar::Duration { min, max } => {
            let span = endless(text, *min, *max).or_else(|| duration(text).map(Length))?;
            Some(span.to_string())
        }
        Scalar::Size { min, max } => {
            let bytes = extreme(text, *min, *max).or_else(|| size(text))?;
            Some(Bytes(bytes).to_string())
        }
        Scalar::Rate { .. } => {
            let amount = text.split(['/', 'p']).next().unwrap_or(text);
            Some(format!("{}/s", Bytes(size(amount.trim())?)))
        }
        Scalar::Percent { .. } => percent(text),
        Scalar::Count { min, max } => {
            Some(extreme(text, *min, *max).or_else(|| count(text))?.to_string())
        }
        Scalar::Workers { .. } => count(text).map(|number| number.to_string()).or_else(|| {
            let cores = ["cores", "cpu", "cpus", "num_cpus", "default", "max", "0"];
            cores.contains(&&*text.to_ascii_lowercase()).then(|| "auto".to_owned())
        }),
        Scalar::Version => text.contains('1').then(|| "1".to_owned()),
        Scalar::Factor { .. } => text.trim_matches(['x', '×', 'X', ' ']).to_owned().into(),
        Scalar::Flag => flag(text),
        Scalar::Word(words) => word(text, words),
        Scalar::Level => word(text, &super::LEVELS),
        Scalar::Pattern => pattern(text),
        Scalar::Prefix => prefix(text),
        Scalar::Host => Some(authority(text).split(':').next()?.to_owned()),
        Scalar::Url => url(text),
        Scalar::Address => address(text),
        Scalar::Header | Scalar::AccountHeader => {
            Some(text.trim_end_matches(':').trim_end().replace(' ', "-"))
        }
        Scalar::Method => nearest(&text.to_ascii_uppercase(), super::METHODS.into_iter()),
        Scalar::Text { .. } | Scalar::Token { .. } => None,
    }
}

/// The variable that a text such as `${NAME}` stands for in other programs.
pub(in crate::config) fn variable(text: &str) -> Option<&str> {
    const FORMS: [(&str, &str); 8] = [
        ("${", "}"),
        ("$(", ")"),
        ("{{", "}}"),
        ("<%=", "%>"),
        ("%", "%"),
        ("$", ""),
        ("env:", ""),
        ("env.", ""),
    ];
    let text = text.trim();
    FORMS.iter().find_map(|(before, behind)| {
        let name = text.strip_prefix(before)?.strip_suffix(behind)?.trim();
        let name = [".Env.", "env.", "env:", "ENV:", "env "]
            .iter()
            .fold(name, |name, word| name.strip_prefix(word).unwrap_or(name));
        let name = name.split(":-").next()?.split(":?").next()?.trim();
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        (starts && name.chars().all(letters)).then_some(name)
    })
}

/// The first variable in braces anywhere in a text.
pub(in crate::config) fn variable_inside(text: &str) -> Option<&str> {
    let start = text.find("${")?;
    let end = start + text[start..].find('}')?;
    variable(&text[start..=end])
}

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'t> {
    Number(Fraction),
    Word(&'t str),
    Mark(char),
}

/// A number as people write it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fraction {
    over: u64,
    under: u64,
}

impl Fraction {
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
    let factor = match bytes.get(at) {
        Some(b'k' | b'K') if alone => 1_000,
        Some(b'M') if alone && bytes.get(at + 1).is_some_and(|next| *next == b'/') => 1_000_000,
        _ => 1,
    };
    let number = || {
        let under = 10_u64.checked_pow(decimals.unwrap_or(0))?;
        let over = digits.parse::<u64>().ok()?.checked_mul(factor)?;
        Some(reduced(over, under))
    };
    (number(), at + usize::from(factor > 1))
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

/// `500rpm`, `10 per second`, `100 requests/min`, `10k/h`, `1000/month`, `0.5/s`.
fn limit(text: &str) -> Option<String> {
    let tokens = tokens(text);
    let [Token::Number(calls), rest @ ..] = tokens.as_slice() else { return None };
    let (calls, window) = match rest {
        [] => (*calls, SECOND),
        [Token::Word(word)] if short_rate(word).is_some() => (*calls, short_rate(word)?),
        rest => {
            let noise = |token: &&Token<'_>| match token {
                Token::Word(word) => is_noise(word),
                Token::Mark(mark) => matches!(mark, '/' | '@' | '-' | ':'),
                Token::Number(_) => false,
            };
            let start = rest.iter().take_while(noise).count();
            window(*calls, &rest[start..])?
        }
    };
    let length = window.checked_mul(calls.under)?;
    let calls = u32::try_from(calls.over).ok()?;
    Some(Limit { calls, window: Duration::from_nanos(length) }.to_string())
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
    let unit =
        ["rp", "qp", "tp", "cp", "reqp"].iter().find_map(|start| word.strip_prefix(start))?;
    ["s", "m", "h", "d", "min", "sec", "hr"].contains(&unit).then(|| time_unit(unit)).flatten()
}

/// Words that say what is counted, or "per".
fn is_noise(word: &str) -> bool {
    const WORDS: [&str; 22] = [
        "r", "req", "reqs", "request", "requests", "call", "calls", "hit", "hits", "query",
        "queries", "times", "ops", "per", "every", "each", "in", "a", "an", "any", "within", "p",
    ];
    WORDS.contains(&&*word.to_lowercase())
}

/// `30 sec`, `1 hour and 30 minutes`, `1.5h`, `PT30S`, `00:01:30`, `30`.
fn duration(text: &str) -> Option<Duration> {
    let tokens = tokens(text);
    if let [Token::Number(number)] = tokens.as_slice() {
        // Bare milliseconds have four digits where bare seconds have two.
        let unit = if text.len() > 3 { SECOND / 1_000 } else { SECOND };
        return number.times(unit).map(Duration::from_nanos);
    }
    if let [hours, Token::Mark(':'), minutes, Token::Mark(':'), seconds] = tokens.as_slice() {
        let parts = [(hours, 3_600), (minutes, 60), (seconds, 1)].map(|(part, length)| {
            if let Token::Number(number) = part { number.times(length * SECOND) } else { None }
        });
        let sum = parts.into_iter().try_fold(0_u64, |sum, part| sum.checked_add(part?))?;
        return Some(Duration::from_nanos(sum));
    }
    let iso = matches!(tokens.first(), Some(Token::Word(word)) if is_iso_mark(word));
    let mut rest = &tokens[usize::from(iso)..];
    let mut sum = 0_u64;
    while let [Token::Number(number), Token::Word(unit), behind @ ..] = rest {
        let unit = if iso { unit.trim_end_matches(['T', 't']) } else { unit };
        sum = sum.checked_add(number.times(time_unit(unit)?)?)?;
        let linked = matches!(behind, [Token::Mark(','), ..])
            || matches!(behind, [Token::Word(word), ..] if *word == "and");
        rest = if linked { &behind[1..] } else { behind };
    }
    (rest.is_empty() && !tokens.is_empty()).then(|| Duration::from_nanos(sum))
}

fn is_iso_mark(word: &str) -> bool {
    word.eq_ignore_ascii_case("p") || word.eq_ignore_ascii_case("pt")
}

const NO_BOUND: [&str; 7] = ["unlimited", "infinite", "infinity", "inf", "forever", "never", "-1"];
const NOTHING: [&str; 8] = ["none", "off", "no", "false", "disabled", "disable", "null", "0"];

/// The bound that stands for "as much as possible" or "not at all", where there is one.
fn extreme(text: &str, min: u64, max: u64) -> Option<u64> {
    let said = text.to_ascii_lowercase();
    if NO_BOUND.contains(&said.as_str()) {
        return Some(max);
    }
    NOTHING.contains(&said.as_str()).then_some(min)
}

/// Where a duration cannot be zero, "none" means that it does not end anything.
fn endless(text: &str, min: Duration, max: Duration) -> Option<Length> {
    let end = if min.is_zero() { min } else { max };
    let said = text.to_ascii_lowercase();
    if NO_BOUND.contains(&said.as_str()) {
        return Some(Length(max));
    }
    NOTHING.contains(&said.as_str()).then_some(Length(end))
}

/// `64KB`, `1.5 MB`, `1_000_000`, `2 gigabytes`.
fn size(text: &str) -> Option<u64> {
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
    Some(number.over.checked_mul(factor)? / number.under)
}

fn percent(text: &str) -> Option<String> {
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
        _ => shown(extreme(text, 0, 100)?),
    }
}

fn count(text: &str) -> Option<u64> {
    match tokens(text).as_slice() {
        [Token::Number(number)] | [Token::Number(number), Token::Word(_)] => number.times(1),
        [Token::Word("x" | "X"), Token::Number(number)] => number.times(1),
        _ => None,
    }
}

fn flag(text: &str) -> Option<String> {
    let said = text.to_ascii_lowercase();
    let yes = ["true", "yes", "y", "on", "1", "enable", "enabled", "always", "t"];
    let no = ["false", "no", "n", "off", "0", "disable", "disabled", "never", "none", "f"];
    let meant = yes.contains(&said.as_str()).then_some("true");
    meant.or(no.contains(&said.as_str()).then_some("false")).map(str::to_owned)
}

/// Words of other programs, and ours for the same; the first that the key knows counts.
const SYNONYMS: [(&str, &[&str]); 25] = [
    ("http2", &["h2", "h2c", "2", "2.0", "http/2", "http/2.0", "http_2", "http-2", "grpc"]),
    ("http1", &["h1", "1", "1.1", "http", "http/1", "http/1.1", "http1.1", "http_1", "http11"]),
    ("auto", &["default", "automatic", "any", "detect", "true", "on", "yes"]),
    ("interactive", &["high", "urgent", "important", "critical", "realtime", "user"]),
    ("normal", &["medium", "default", "standard", "middle", "regular"]),
    ("batch", &["low", "background", "bulk", "lowest", "idle", "offline"]),
    ("observe", &["shadow", "dry_run", "dry-run", "dryrun", "report", "report_only", "monitor"]),
    ("observe", &["log", "audit", "warn", "permissive", "count", "off", "false", "disabled"]),
    ("enforce", &["enforced", "enforcing", "strict", "block", "on", "true", "enabled", "limit"]),
    ("keep", &["pass", "original", "vendor", "preserve", "passthrough", "upstream", "raw"]),
    ("map", &["mapped", "normalise", "normalize", "rewrite", "problem", "true"]),
    ("rewrite", &["rewritten", "map", "on", "true", "yes", "follow"]),
    ("pass", &["passthrough", "keep", "off", "false", "no", "none", "ignore", "manual"]),
    ("send", &["forward", "true", "on", "yes", "pass", "keep", "add", "x-forwarded-for"]),
    ("drop", &["false", "off", "no", "none", "remove", "hide", "strip", "anonymise", "anonymize"]),
    ("even", &["true", "on", "yes", "smooth", "uniform", "evenly", "steady", "linear", "auto"]),
    ("none", &["false", "off", "no", "never", "disabled", "0", "nothing", "burst"]),
    ("all", &["true", "on", "yes", "every", "everything", "always", "full", "verbose"]),
    ("errors_and_slow", &["errors", "error", "slow", "failures", "some", "default", "problems"]),
    ("text", &["pretty", "plain", "console", "human", "logfmt", "compact", "line"]),
    ("json", &["structured", "jsonl", "ndjson", "machine"]),
    ("warn", &["warning", "warnings"]),
    ("error", &["err", "errors", "fatal", "critical", "crit", "alert", "emerg"]),
    ("info", &["information", "notice", "normal", "default", "informational"]),
    ("debug", &["verbose", "dbg", "all"]),
];

fn word(text: &str, words: &[&str]) -> Option<String> {
    let said = text.to_ascii_lowercase();
    let same = words.iter().find(|word| word.replace('_', "") == said.replace(['_', '-', ' '], ""));
    let named = || {
        let known = SYNONYMS.iter().filter(|(ours, _)| words.contains(ours));
        known.filter(|(_, theirs)| theirs.contains(&said.as_str())).map(|(ours, _)| *ours).next()
    };
    let off =
        || (["none", "quiet", "silent", "false", "no"].contains(&said.as_str())).then_some("off");
    let meant = same.copied().or_else(named).or_else(|| off().filter(|off| words.contains(off)));
    meant.map(str::to_owned).or_else(|| nearest(&said, words.iter().copied()))
}

/// Text without a scheme, and without what follows the host.
fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// The path of a URL, or a path without its slash.
fn path_of(text: &str) -> String {
    let path = match text.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => text,
    };
    let path = path.split(['?', '#']).next().unwrap_or(path);
    format!("/{}", path.trim_start_matches(['/', '^']))
}

/// `orders`, `^/orders/.*`, `/orders*`, `/a/**/b`: every star that is not a segment of its own.
fn pattern(text: &str) -> Option<String> {
    let path = path_of(text).trim_end_matches('$').replace(".*", "**").replace(".+", "**");
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "**" => {
                parts.push("**".to_owned());
                break;
            }
            part if part.len() > 1 && part.ends_with('*') => {
                parts.push(part.trim_end_matches('*').to_owned());
                parts.push("**".to_owned());
                break;
            }
            part if part.contains('*') => parts.push("*".to_owned()),
            part => parts.push(part.to_owned()),
        }
    }
    Some(parts.join("/"))
}

fn prefix(text: &str) -> Option<String> {
    let path = path_of(text);
    let path = path.trim_end_matches('$').trim_end_matches(".*").trim_end_matches(['*', '/']);
    Some(if path.is_empty() { "/".to_owned() } else { path.to_owned() })
}

fn url(text: &str) -> Option<String> {
    let text = text.split(['?', '#']).next().unwrap_or(text);
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
        None => match text.split_once(":/") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text.trim_start_matches('/')),
        },
    };
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    let here = host == "localhost" || host.starts_with("127.") || rest.starts_with("[::1]");
    let scheme = match scheme.as_deref() {
        Some("http" | "ws" | "tcp" | "h2c" | "grpc" | "htp") => "http",
        Some(_) => "https",
        None if here => "http",
        None => "https",
    };
    Some(format!("{scheme}://{rest}"))
}

/// `localhost:8080`, `:8080`, `8080`, `http://127.0.0.1:8080/`, `*:8080`.
fn address(text: &str) -> Option<String> {
    let text = authority(text);
    if text.parse::<u16>().is_ok() {
        return Some(format!("127.0.0.1:{text}"));
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "8080"));
    Some(match host {
        "localhost" => format!("127.0.0.1:{port}"),
        "" | "*" => format!("0.0.0.0:{port}"),
        "::1" | "::" => format!("[{host}]:{port}"),
        _ => format!("{host}:{port}"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    /// What a fault about `text` suggests.
    fn suggested(text: &str, scalar: &Scalar) -> Option<String> {
        read(text, scalar).expect_err(text).remove(0).nearest
    }

    #[test]
    fn limits_as_people_write_them_are_understood() {
        let rows = [
            ("500rpm", "500/m"),
            ("10 per second", "10/s"),
            ("1000/month", "1000/31d"),
            ("100 req/min", "100/m"),
            ("5rps", "5/s"),
            ("5 RPS", "5/s"),
            ("10k/h", "10000/h"),
            ("1,000 requests per hour", "1000/h"),
            ("1_000/day", "1000/day"),
            ("0.5/s", "1/2s"),
            ("1.5/s", "3/2s"),
            ("10r/s", "10/s"),
            ("60/60", "60/m"),
            ("5 per 10 seconds", "5/10s"),
            ("1 request every 100ms", "1/100ms"),
            ("12000/year", "1000/31d"),
            ("300 per quarter", "100/31d"),
            ("10/fortnight", "10/14d"),
            ("70/week", "70/7d"),
            ("10/Second", "10/s"),
            ("10", "10/s"),
            ("2M/day", "2000000/day"),
            ("10qps", "10/s"),
            ("100@1m", "100/m"),
        ];
        for (text, meant) in rows {
            assert_eq!(suggested(text, &Scalar::Limit).as_deref(), Some(meant), "{text}");
        }
        for text in ["ten/s", "unlimited", "1/s/s", "10/parsec", "-5/s", ""] {
            assert_eq!(suggested(text, &Scalar::Limit), None, "{text}");
        }
    }

    #[test]
    fn durations_as_people_write_them_are_understood() {
        const ANY: Scalar =
            Scalar::Duration { min: Duration::from_millis(1), max: Duration::from_secs(86_400) };
        let rows = [
            ("30 sec", "30s"),
            ("1 hour", "1h"),
            ("1 hour 30 minutes", "1h30m"),
            ("1 minute and 5 seconds", "1m5s"),
            ("1.5h", "1h30m"),
            ("1.5s", "1s500ms"),
            ("PT30S", "30s"),
            ("PT1H30M", "1h30m"),
            ("00:01:30", "1m30s"),
            ("30S", "30s"),
            ("250 MS", "250ms"),
            ("30", "30s"),
            ("30000", "30s"),
            ("30s1m", "1m30s"),
            ("none", "1d"),
            ("never", "1d"),
            ("0", "1d"),
        ];
        for (text, meant) in rows {
            assert_eq!(suggested(text, &ANY).as_deref(), Some(meant), "{text}");
        }
        for text in ["soon", "-3s", "3 parsecs", "2 weeks"] {
            assert_eq!(suggested(text, &ANY), None, "{text}");
        }
        let from_zero = Scalar::Duration { min: Duration::ZERO, max: Duration::from_secs(60) };
        assert_eq!(suggested("off", &from_zero).as_deref(), Some("0s"));
    }

    #[test]
    fn sizes_numbers_and_shares_are_understood() {
        let size = Scalar::Size { min: 0, max: 1 << 30 };
        let count = Scalar::Count { min: 1, max: 100 };
        let share = Scalar::Percent { max: 100 };
        let factor = Scalar::Factor { min: 1.0, max: 10.0 };
        let rows = [
            ("64KB", &size, "64KiB"),
            ("64k", &size, "64KiB"),
            ("1.5 MB", &size, "1536KiB"),
            ("1_048_576", &size, "1MiB"),
            ("65536", &size, "64KiB"),
            ("unlimited", &size, "1GiB"),
            ("off", &size, "0B"),
            ("3x", &count, "3"),
            ("4 times", &count, "4"),
            ("0", &count, "1"),
            ("none", &count, "1"),
            ("unlimited", &count, "100"),
            ("4.0", &count, "4"),
            ("0.1", &share, "10%"),
            ("10", &share, "10%"),
            ("10 percent", &share, "10%"),
            ("off", &share, "0%"),
            ("2x", &factor, "2"),
        ];
        for (text, scalar, meant) in rows {
            assert_eq!(suggested(text, scalar).as_deref(), Some(meant), "{text}");
        }
    }

    #[test]
    fn words_of_other_programs_are_understood() {
        let protocol = Scalar::Word(&["auto", "http1", "http2"]);
        let mode = Scalar::Word(&["enforce", "observe"]);
        let status = Scalar::Word(&["map", "keep"]);
        let rows = [
            ("h2", &protocol, "http2"),
            ("HTTP/1.1", &protocol, "http1"),
            ("HTTP2", &protocol, "http2"),
            ("shadow", &mode, "observe"),
            ("dry-run", &mode, "observe"),
            ("Enforce", &mode, "enforce"),
            ("passthrough", &status, "keep"),
            ("kep", &status, "keep"),
            ("TRUE!", &Scalar::Flag, ""),
            ("Yes", &Scalar::Flag, "true"),
            ("tRue", &Scalar::Flag, "true"),
            ("disabled", &Scalar::Flag, "false"),
            ("WARNING", &Scalar::Level, "warn"),
            ("INFO", &Scalar::Level, "info"),
            ("get", &Scalar::Method, "GET"),
            ("PSOT", &Scalar::Method, "POST"),
            ("orders", &Scalar::Pattern, "/orders"),
            ("^/orders/.*$", &Scalar::Pattern, "/orders/**"),
            ("/orders*", &Scalar::Pattern, "/orders/**"),
            ("/a/**/b", &Scalar::Pattern, "/a/**"),
            ("https://a.example/orders?x=1", &Scalar::Pattern, "/orders"),
            ("/vendor/*", &Scalar::Prefix, "/vendor"),
            ("http://api.local:80/x", &Scalar::Host, "api.local"),
            ("api.local:8080", &Scalar::Host, "api.local"),
            ("localhost:3000", &Scalar::Url, "http://localhost:3000"),
            ("htps://a.example/v1", &Scalar::Url, "https://a.example/v1"),
            ("8080", &Scalar::Address, "127.0.0.1:8080"),
            ("*:8080", &Scalar::Address, "0.0.0.0:8080"),
            ("http://127.0.0.1:8080", &Scalar::Address, "127.0.0.1:8080"),
            ("::1:8080", &Scalar::Address, "[::1]:8080"),
            ("X-Account:", &Scalar::Header, "X-Account"),
            ("X Account", &Scalar::Header, "X-Account"),
            ("v1", &Scalar::Version, "1"),
        ];
        for (text, scalar, meant) in rows {
            let meant = Some(meant).filter(|meant| !meant.is_empty());
            assert_eq!(suggested(text, scalar).as_deref(), meant, "{text}");
        }
    }

    #[test]
    fn variables_are_recognised() {
        let named = ["${KEY}", "$KEY", "$(KEY)", "${KEY:-x}", "{{ KEY }}", "%KEY%", "env:KEY"];
        for text in named {
            assert_eq!(variable(text), Some("KEY"), "{text}");
        }
        assert_eq!(variable("{{ .Env.KEY }}"), Some("KEY"));
        for text in ["$", "${}", "50%", "env", "$1", "a$KEY", "/a$b"] {
            assert_eq!(variable(text), None, "{text}");
        }
        assert_eq!(variable_inside("Bearer ${TOKEN}"), Some("TOKEN"));
    }

    proptest::proptest! {
        /// Whatever the text: no panic, and every suggestion fits.
        #[test]
        fn suggestions_fit(text in "[ -~äµ]{0,20}") {
            let all = [
                Scalar::Limit, Scalar::Flag, Scalar::Level, Scalar::Header, Scalar::Method,
                Scalar::Address, Scalar::Host, Scalar::Prefix, Scalar::Pattern, Scalar::Url,
                Scalar::Size { min: 1, max: 1 << 20 }, Scalar::Count { min: 1, max: 9 },
                Scalar::Percent { max: 100 }, Scalar::Word(&["map", "keep"]),
                Scalar::Duration { min: Duration::from_millis(1), max: Duration::from_secs(60) },
            ];
            for scalar in all {
                let misfits = read(&text, &scalar).err().unwrap_or_default();
                for meant in misfits.into_iter().filter_map(|misfit| misfit.nearest) {
                    proptest::prop_assert!(read(&meant, &scalar).is_ok(), "{text} → {meant}");
                }
            }
        }
    }
}
