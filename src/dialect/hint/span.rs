//! A length of time at the start of a text, in every spelling vendors use, and what follows it.
//!
//! Compound spans are read whole, so a wait never ends earlier than stated.

use std::time::Duration;

const PARTS_MAX: usize = 8;

/// The span a text begins with (`6m0s`, `'372' seconds`, `2 hours, 3 minutes`, `5-10 minutes`,
/// `1 day, 2:03:04`, `00:05:00`, `PT30S`), and the rest.
pub(super) fn leading(text: &str) -> Option<(Duration, &str)> {
    if text.starts_with(['P', 'p']) {
        return iso(&text[1..]);
    }
    let (mut sum, mut rest) = part(text)?;
    for _ in 1..PARTS_MAX {
        // Blanks, a comma, the dot of an abbreviation or an "and" may separate two parts.
        let next = rest.trim_start_matches(' ');
        let next = next.strip_prefix([',', ';', '.']).unwrap_or(next).trim_start_matches(' ');
        let joined = ["and ", "plus ", "& ", "+ "].iter().find_map(|it| next.strip_prefix(it));
        let next = joined.unwrap_or(next).trim_start_matches(' ');
        let Some((more, tail)) = part(next) else { break };
        (sum, rest) = (sum.checked_add(more)?, tail);
    }
    Some((sum, rest))
}

/// One number with its unit, or one time as a clock shows it.
fn part(text: &str) -> Option<(Duration, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.');
    // A full stop after a time ends the sentence.
    let clock = text[..end.unwrap_or(text.len())].trim_end_matches('.');
    if let Some(span) = time_span(clock) {
        return Some((span, &text[clock.len()..]));
    }
    let (number, rest) = number(text)?;
    let (unit, rest) = unit(rest)?;
    Some((Duration::try_from_secs_f64(number * unit).ok()?, rest))
}

const WORDS: [(&str, f64); 22] = [
    ("half an ", 0.5),
    ("half a ", 0.5),
    ("eleven ", 11.0),
    ("twelve ", 12.0),
    ("fifteen ", 15.0),
    ("twenty ", 20.0),
    ("thirty ", 30.0),
    ("forty ", 40.0),
    ("forty-five ", 45.0),
    ("sixty ", 60.0),
    ("an ", 1.0),
    ("a ", 1.0),
    ("one ", 1.0),
    ("two ", 2.0),
    ("three ", 3.0),
    ("four ", 4.0),
    ("five ", 5.0),
    ("six ", 6.0),
    ("seven ", 7.0),
    ("eight ", 8.0),
    ("nine ", 9.0),
    ("ten ", 10.0),
];

/// A number, in quotes or not; of a range the larger end.
fn number(text: &str) -> Option<(f64, &str)> {
    let worded = WORDS.iter().find_map(|(word, number)| Some((*number, text.strip_prefix(word)?)));
    if worded.is_some() {
        return worded;
    }
    if let Some(range) = text.strip_prefix("between ") {
        let (first, rest) = amount(range)?;
        let (last, rest) = amount(rest.strip_prefix(" and ")?)?;
        return Some((first.max(last), rest));
    }
    let (first, rest) = amount(text.strip_prefix(['\'', '"', '[']).unwrap_or(text))?;
    for between in ["-", "–", " - ", " – ", " to ", " or "] {
        if let Some((last, rest)) = rest.strip_prefix(between).and_then(amount) {
            return Some((first.max(last), rest));
        }
    }
    let rest = rest.strip_prefix(['\'', '"', ']']).unwrap_or(rest);
    // "59 more minutes".
    let further = [" more ", " further ", " additional "];
    let behind = further.iter().find_map(|word| rest.strip_prefix(word));
    Some((first, behind.unwrap_or(rest)))
}

/// A plain number, perhaps with thousands separators (`1,000`, `1 000`), or with a decimal comma
/// (`1,5`).
fn amount(text: &str) -> Option<(f64, &str)> {
    let (plain, mut rest) = digits(text)?;
    let mut written = plain.to_owned();
    while plain.len() <= 3
        && let Some(group) = rest.strip_prefix([',', ' ']).and_then(|behind| behind.get(..3))
        && group.bytes().all(|byte| byte.is_ascii_digit())
        && !rest[4..].starts_with(|c: char| c.is_ascii_digit())
    {
        written.push_str(group);
        rest = &rest[4..];
    }
    if let Some(behind) = rest.strip_prefix(',')
        && let Some((decimals, tail)) = digits(behind)
        && decimals.len() <= 2
        && !written.contains('.')
        && !decimals.contains('.')
    {
        return Some((decimal(&format!("{written}.{decimals}"))?, tail));
    }
    Some((decimal(&written)?, rest))
}

fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let plain = text[..end].trim_end_matches('.');
    (!plain.is_empty()).then(|| text.split_at(plain.len()))
}

fn unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim_start_matches(' ');
    let end = text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let plain = name.to_ascii_lowercase();
    let seconds = match plain.as_str() {
        "sekunde" | "sekunden" | "seconde" | "secondes" | "segundo" | "segundos" | "secondo"
        | "secondi" | "seconden" | "секунд" | "секунды" | "секунду" => 1.0,
        "minuto" | "minutos" | "minuti" | "minuten" | "минут" | "минуты" | "минуту" => {
            60.0
        }
        "tag" | "tage" | "tagen" | "jour" | "jours" | "día" | "días" | "dia" | "dias"
        | "giorno" | "giorni" | "dag" | "dagen" => 86_400.0,
        "stunde" | "stunden" | "heure" | "heures" | "hora" | "horas" | "ora" | "ore" | "uur"
        | "час" | "часа" | "часов" => 3_600.0,
        "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => 0.001,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => return None,
    };
    Some((seconds, rest.strip_prefix("(s)").unwrap_or(rest)))
}

/// `hh:mm:ss` or `d.hh:mm:ss`, and nothing else.
pub(super) fn time_span(text: &str) -> Option<Duration> {
    let mut parts = text.split(':');
    let first = parts.next()?;
    let (days, hours) = match first.split_once('.') {
        Some((days, hours)) => (whole(days)?, whole(hours)?),
        None => (0, whole(first)?),
    };
    let (minutes, rest) = (whole(parts.next()?)?, parts.next()?);
    if parts.next().is_some() || minutes > 59 {
        return None;
    }
    let last = decimal(rest).filter(|last| *last < 60.0)?;
    let minutes =
        days.checked_mul(24)?.checked_add(hours)?.checked_mul(60)?.checked_add(minutes)?;
    let last = Duration::try_from_secs_f64(last).ok()?;
    Duration::from_secs(minutes.checked_mul(60)?).checked_add(last)
}

fn whole(text: &str) -> Option<u64> {
    let digits = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// What follows the `P` of an ISO 8601 duration; months and years have no fixed length.
fn iso(text: &str) -> Option<(Duration, &str)> {
    let (mut rest, mut sum, mut parts) = (text, Duration::ZERO, 0);
    let mut in_time = false;
    loop {
        if let Some(time) = rest.strip_prefix(['T', 't']).filter(|_| !in_time) {
            (rest, in_time) = (time, true);
        }
        let Some((number, tail)) = digits(rest) else { break };
        let unit = match (tail.chars().next()?.to_ascii_uppercase(), in_time) {
            ('W', false) => 604_800.0,
            ('D', false) => 86_400.0,
            ('H', true) => 3_600.0,
            ('M', true) => 60.0,
            ('S', true) => 1.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(decimal(number)? * unit).ok()?;
        (sum, rest, parts) = (sum.checked_add(part)?, &tail[1..], parts + 1);
    }
    (parts > 0).then_some((sum, rest))
}

/// Digits with at most one point: neither signs, exponents nor `inf`.
pub(super) fn decimal(text: &str) -> Option<f64> {
    let starts = text.bytes().next().is_some_and(|first| first.is_ascii_digit());
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if starts && plain && text.len() <= 30 { text.parse().ok() } else { None }
}
