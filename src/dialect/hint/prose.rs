//! A wait that a sentence states, as the last resort: only where it speaks of trying again.
//!
//! A pattern finds the words that lead to a wait; the span behind them is read by hand, whole or
//! not at all, and must end where the statement ends: "retry after the 30 day trial" states none.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use regex::{Captures, Regex};

use super::{pattern, span, value};

/// The wait that a text states.
pub(super) fn wait(text: &str, now: SystemTime) -> Option<Duration> {
    let text = without_links(text);
    let text = TAG_OR_SPACE.replace_all(
        &text,
        |found: &Captures<'_>| {
            if found[0].starts_with('<') { "" } else { " " }
        },
    );
    let moment = AGAIN_AT.find_iter(&text).find_map(|lead| {
        let rest = text[lead.end()..].trim_start_matches(['\'', '"']);
        let found = MOMENT.find(rest)?;
        value::until(found.as_str(), now)
    });
    let again =
        || AGAIN_IN.find_iter(&text).find_map(|lead| again_in(lead.as_str(), &text[lead.end()..]));
    let waiting = || WAIT_FOR.find_iter(&text).find_map(|lead| wait_for(&text[lead.end()..]));
    moment.or_else(again).or_else(waiting)
}

/// "… in 57 seconds", "… after 134"; without a unit, "… in 2027" is no wait.
fn again_in(lead: &str, rest: &str) -> Option<Duration> {
    if let Some((span, rest)) = span::leading(rest) {
        return value::legal(span).filter(|_| ends(rest));
    }
    if lead.trim_end().to_ascii_lowercase().ends_with(" in") {
        return None;
    }
    let plain = rest.strip_prefix(['\'', '"']).unwrap_or(rest);
    let end = plain.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(plain.len());
    let number = plain[..end].trim_end_matches('.');
    let seconds = Duration::try_from_secs_f64(value::decimal(number)?).ok()?;
    let rest = &plain[number.len()..];
    let alone = !rest.trim_start().starts_with(char::is_alphabetic) && ends(rest);
    value::legal(seconds).filter(|_| alone)
}

/// "wait 30 seconds", and then nothing else than to try again.
fn wait_for(rest: &str) -> Option<Duration> {
    let (span, rest) = span::leading(rest)?;
    let then = rest.trim_start();
    let again = !then.starts_with(char::is_alphabetic) || TO_TRY_AGAIN.is_match(then);
    value::legal(span).filter(|_| again && ends(rest))
}

/// Words that may follow a span without being what it measures, as "trial" would be.
const AFTER_SPAN: [&str; 18] = [
    "before", "and", "then", "or", "to", "from", "until", "when", "if", "as", "because", "since",
    "with", "please", "for", "due", "at", "later",
];

/// Words that lengthen a span in a way that is not read.
const LENGTHENING: [&str; 8] = ["a", "an", "half", "one", "two", "three", "another", "some"];

/// Whether a statement ends here, so that the span before it was all of it.
fn ends(rest: &str) -> bool {
    let trimmed = rest.trim_start_matches([' ', '\t']);
    let Some(first) = trimmed.chars().next() else { return true };
    match first {
        '\n' | '\r' | '.' | ';' | '!' | '?' | '(' | ')' | ']' | '}' | '<' | '|' => true,
        ',' | ':' => !trimmed[1..].trim_start().starts_with(|c: char| c.is_ascii_digit()),
        '\'' | '"' => ends(&trimmed[1..]),
        _ if trimmed.len() == rest.len() => false,
        _ => {
            let mut words = trimmed.split(|c: char| !c.is_alphanumeric());
            let (word, next) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let lengthens = LENGTHENING.contains(&next.to_ascii_lowercase().as_str())
                || next.starts_with(|c: char| c.is_ascii_digit());
            AFTER_SPAN.contains(&word.to_ascii_lowercase().as_str()) && !lengthens
        }
    }
}

/// The text without addresses, which are no words of the vendor's.
#[must_use]
pub fn without_links(text: &str) -> Cow<'_, str> {
    if text.contains(['/', '@']) || text.contains("www.") {
        LINK.replace_all(text, " ")
    } else {
        Cow::Borrowed(text)
    }
}

static LINK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b[a-z][a-z0-9+.-]*://\S*|\bwww\.\S*|\bmailto:\S*|\S+@\S+",
        r"|\[[^\]]{1,100}\]\([^)]*\)|<a\b[^>]*>[^<]{0,100}</a>",
        r"|\b[a-z0-9-]+(?:\.[a-z0-9-]+)+/\S*|(?:^|[\s(\x22'=])/[a-z0-9_~.-]\S*",
    ))
});

/// What stands inside a sentence without being a part of it: an inline tag, and a blank that is no
/// space.
static TAG_OR_SPACE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)</?(?:b|i|u|em|strong|span|code|tt|mark|small)\b[^<>]{0,100}>|[\x{a0}\x{2009}\x{202f}]",
    )
});

/// What leads to a moment or a span: the speaker's "again", and what stands between it and "in".
const AGAIN: &str = concat!(
    r"(?i)(?:\b(?:re-?try(?:ing)?|re-?submit|re-?send|repeat|(?:come|check|call) back|next (?:request|call|attempt|try)",
    r"|try(?:ing)?(?: \w+){0,3}? again)",
    r"(?:[ -](?:your|the|this|that|it|again|later|request|requests|call|calls|operation|query",
    r"|please|only|once|no|not|sooner|earlier|than))*",
    r"|\b(?:expected available|available again|(?:service|api|system|server|site|endpoint|resource|we)",
    r"(?: \w+){0,3}? (?:available|back)(?: again| online)?)",
    r"|(?:^|[.(;,] *|\b(?:limits?|quotas?|allowance|window|counter)(?: \w+){0,3}? )",
    r"(?:resets?|replenished|refilled|restored|renewed|lifted)(?: again| automatically)?)",
);

const ABOUT: &str =
    r"(?:(?:about|approximately|around|roughly|at least|another|the next|up to) +)?";

static AGAIN_IN: LazyLock<Regex> = LazyLock::new(|| {
    let for_so_long = r"(?i)\b(?:blocked|throttled|rate[ -]limited) +for +";
    let not_for = r"(?i)\b(?:not|n't|cannot|never) (?:re-?try|try again)(?: \w+){0,3}? +for +";
    let in_so_long = format!(r"{AGAIN}[ -](?:in|after)(?: *:)?\s+{ABOUT}");
    pattern(&format!("(?:{in_so_long})|(?:{for_so_long})|(?:{not_for})"))
});

static AGAIN_AT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(r"{AGAIN}[ -](?:in|after|at|until|on|from)(?: *:)?\s+['\x22]?"))
});

static MOMENT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?",
        r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*, \d\d[ -][A-Z][a-z]{2}[ -]\d{2,4} \d\d:\d\d:\d\d GMT)",
    ))
});

static WAIT_FOR: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"(?i)(?:^|[.!?;,:] *|\b(?:please|must|should|to|kindly|then|and) )wait(?: for)? +{ABOUT}"
    ))
});

static TO_TRY_AGAIN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^(?:before|until|then|(?:and|to)(?: then)? (?:re-?try|try|re-?send|re-?submit))\b",
    )
});
