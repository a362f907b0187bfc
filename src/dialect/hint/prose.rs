//! A wait or a limit that a sentence states. A wait counts only where the sentence is about trying
//! again.
//!
//! A pattern finds the words that introduce a wait. The span after them is parsed by hand, whole or
//! not at all, and must end where the statement ends: "retry after the 30 day trial" states none.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use regex::{Captures, Regex};

use super::name::{Meaning, Relation};
use super::{span, value};
use crate::outcome::LearnedLimit;

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
        let moment = Meaning { unit: None, relation: Relation::Moment };
        value::wait(found.as_str(), moment, now)
    });
    let again =
        || AGAIN_IN.find_iter(&text).find_map(|lead| again_in(lead.as_str(), &text[lead.end()..]));
    // "wait 30 seconds", if nothing follows but to try again.
    let waiting = || {
        WAIT_FOR.find_iter(&text).find_map(|lead| {
            let (span, rest) = span::leading(&text[lead.end()..])?;
            let then = rest.trim_start();
            let again = !then.starts_with(char::is_alphabetic) || TO_TRY_AGAIN.is_match(then);
            value::plausible(span).filter(|_| again && ends(rest))
        })
    };
    moment.or_else(again).or_else(waiting)
}

/// "… in 57 seconds", "… after 134". Without a unit, "… in 2027" is a year.
fn again_in(lead: &str, rest: &str) -> Option<Duration> {
    if let Some((span, rest)) = span::leading(rest) {
        return value::plausible(span).filter(|_| ends(rest));
    }
    if lead.trim_end().to_ascii_lowercase().ends_with(" in") {
        return None;
    }
    let plain = rest.strip_prefix(['\'', '"']).unwrap_or(rest);
    let end = plain.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(plain.len());
    let number = plain[..end].trim_end_matches('.');
    let seconds = Duration::try_from_secs_f64(span::decimal(number)?).ok()?;
    let rest = &plain[number.len()..];
    let alone = !rest.trim_start().starts_with(char::is_alphabetic) && ends(rest);
    value::plausible(seconds).filter(|_| alone)
}

/// Words that may follow a span. Any other is what the span measures, as in "30 day trial".
const AFTER_SPAN: [&str; 25] = [
    "before", "and", "then", "or", "to", "from", "until", "when", "if", "as", "because", "since",
    "with", "please", "for", "due", "at", "later", "prima", "avant", "antes", "bevor", "voordat",
    "erneut", "wieder",
];

/// Words that lengthen a span in a way that is not parsed ("and a half").
const LENGTHENING: [&str; 8] = ["a", "an", "half", "one", "two", "three", "another", "some"];

/// Whether the statement ends here, so that the span before it was all of it.
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

/// The allowance that a sentence names: "Maximum allowed 1000 per 01:00:00" (W17).
#[must_use]
pub fn learned(sentence: &str) -> Option<LearnedLimit> {
    let found = ALLOWANCE.captures(sentence)?;
    let limit = found[1].parse().ok().filter(|limit| *limit > 0)?;
    let window = span::time_span(&found[2]).and_then(value::plausible)?;
    Some(LearnedLimit { limit, window })
}

/// The text without URLs and e-mail addresses, whose words are not a statement of the vendor.
#[must_use]
pub fn without_links(text: &str) -> Cow<'_, str> {
    if text.contains(['/', '@']) || text.contains("www.") {
        LINK.replace_all(text, " ")
    } else {
        Cow::Borrowed(text)
    }
}

/// A pattern whose word characters, word boundaries and digits are those of ASCII, which keeps the
/// automaton small and fast.
pub(crate) fn pattern(text: &str) -> Regex {
    let ascii = text
        .replace(r"\w", "[0-9A-Za-z_]")
        .replace(r"\W", "[^0-9A-Za-z_]")
        .replace(r"\d", "[0-9]")
        .replace(r"\b", r"(?-u:\b)");
    Regex::new(&ascii).expect("the pattern is a constant that a test compiles")
}

static LINK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b[a-z][a-z0-9+.-]*://\S*|\bwww\.\S*|\bmailto:\S*|\S+@\S+",
        r"|\[[^\]]{1,100}\]\([^)]*\)|<a\b[^>]*>[^<]{0,100}</a>",
        r"|\b[a-z0-9-]+(?:\.[a-z0-9-]+)+/\S*|(?:^|[\s(\x22'=])/[a-z0-9_~.-]\S*",
    ))
});

/// Inline tags, and blanks other than a space.
static TAG_OR_SPACE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)</?(?:b|i|u|em|strong|span|code|tt|mark|small)\b[^<>]{0,100}>|[\x{a0}\x{2009}\x{202f}]",
    )
});

/// The words that introduce a moment or a span: some form of "again", and what may stand between it
/// and "in".
const AGAIN: &str = concat!(
    r"(?i)(?:\b(?:re-?try(?:ing)?|re-?submit|re-?send|repeat|(?:come|check|call) back|next (?:request|call|attempt|try)",
    r"|try(?:ing)?(?: \w+){0,3}? (?:again|once more)|access(?: \w+){0,3}? again)",
    r"(?:[ -](?:your|the|this|that|it|again|later|request|requests|call|calls|operation|query",
    r"|please|only|once|no|not|sooner|earlier|than))*",
    r"|\b(?:expected available|available again|(?:service|api|system|server|site|endpoint|resource|we)",
    r"(?: \w+){0,3}? (?:available|back)(?: again| online)?)",
    r"|(?:^|[.(;,] *|\b(?:limits?|quotas?|allowance|window|counter)(?: \w+){0,3}? )",
    r"(?:resets?|renews?|refreshes|refills?|replenishes|replenished|refilled|restored|renewed|lifted)(?: again| automatically)?",
    r"|\b(?:erneut|nochmals?|wieder|réessaye[rz]|intente(?:lo)?|inténtelo|reintente|tente|riprova(?:re)?|probeer)(?: [^ .]+){0,5}?)",
);

const ABOUT: &str =
    r"(?:(?:about|approximately|around|roughly|at least|another|the next|up to) +)?";

static AGAIN_IN: LazyLock<Regex> = LazyLock::new(|| {
    let for_so_long = concat!(
        r"(?i)\b(?:blocked|banned|barred|throttled|rate[ -]limited|suspended|locked(?: out)?) +(?:for|during) +",
        r"(?:the (?:next|remaining) +(?:period of +)?)?|\bban (?:will )?lasts? +",
    );
    let not_for = r"(?i)\b(?:not|n't|cannot|never) (?:re-?try|try again)(?: \w+){0,3}? +for +";
    let in_so_long = format!(
        r"{AGAIN}[ -](?:in|after|dans|en|em|tra|fra|over|nach|après|dopo|después de|após)(?: *:)?\s+{ABOUT}"
    );
    pattern(&format!("(?:{in_so_long})|(?:{for_so_long})|(?:{not_for})"))
});

static AGAIN_AT: LazyLock<Regex> = LazyLock::new(|| {
    let again = format!(r"{AGAIN}[ -](?:in|after|at|until|on|from)(?: *:)?\s+['\x22]?");
    let barred = concat!(
        r"(?i)\b(?:banned|barred|blocked|suspended|locked(?: out)?|throttled|limited|restricted|unavailable)",
        r"(?: \w+){0,2}? until +|\b(?:can|may) (?:\w+ ){1,5}?(?:after|from) +",
    );
    pattern(&format!("(?:{again})|(?:{barred})"))
});

static MOMENT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:\d{4}-(?:\d\d|[A-Z][a-z]{2})-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?",
        r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*, \d\d[ -][A-Z][a-z]{2}[ -]\d{2,4} \d\d:\d\d:\d\d GMT",
        r"|\d{10}(?:\d{3})?(?-u:\b))",
    ))
});

static WAIT_FOR: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"(?i)(?:^|[.!?;,:] *|\b(?:please|must|should|to|kindly|then|and) )wait(?: for)? +{ABOUT}|\b(?:warten(?: sie)?|patientez|attendez|espere|aguarde|attend(?:ere|i)|wacht) +"
    ))
});

static TO_TRY_AGAIN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^(?:before|until|then|prima|avant|antes|bevor|voordat|(?:and|to)(?: then)? (?:re-?try|try|re-?send|re-?submit))\b",
    )
});

static ALLOWANCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)maximum allowed (\d{1,9}) per ((?:\d{1,5}\.)?\d{1,2}:\d{2}:\d{2})(?:\D|$)")
});

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_767_225_600) // 2026-01-01T00:00:00Z
    }

    #[test]
    fn sentences_state_waits() {
        let rows = [
            ("Too Many Requests: retry after 134", Some(134_000)),
            ("Rate limit is exceeded. Try again in 57 seconds.", Some(57_000)),
            ("Please try again after '372' seconds.", Some(372_000)),
            ("Expected available in 831.0 seconds.", Some(831_000)),
            ("Your quota resets in 16 seconds", Some(16_000)),
            ("Retry after 2026-01-01T00:00:30Z", Some(30_000)),
            (
                "User-rate limit exceeded.  Retry after 2026-01-01T00:01:00.500Z (Mail sending)",
                Some(60_500),
            ),
            ("Please try again in 6m0s.", Some(360_000)),
            ("Please try again in 370ms. Visit x", Some(370)),
            ("Requests blocked for 00:05:00. Maximum allowed 5 per 00:00:01.", Some(300_000)),
            ("Quota will be replenished in 00:12:00.", Some(720_000)),
            ("Requests throttled. Maximum allowed 1000 per 01:00:00.", None),
            ("You may retry 3 times", None),
            ("retry after 99999999999999999999999", None),
            ("try again in 400 days", None),
        ];
        for (sentence, expected) in rows {
            let found = wait(sentence, now()).map(|span| span.as_millis());
            assert_eq!(found, expected, "{sentence}");
        }
    }

    #[test]
    fn the_maximum_allowed_is_learned() {
        let rows = [
            ("Requests throttled. Maximum allowed 1000 per 01:00:00.", Some((1000, 3600))),
            ("Maximum allowed 10 per 00:00:01", Some((10, 1))),
            ("maximum allowed 5 per 1.00:00:00.", Some((5, 86_400))),
            ("Maximum allowed 0 per 01:00:00", None),
            ("Maximum allowed 5 per 00:00:00", None),
            ("Maximum allowed 9999999999 per 01:00:00", None),
            ("Maximum allowed 5 per hour", None),
        ];
        for (sentence, expected) in rows {
            let found = learned(sentence).map(|it| (it.limit, it.window.as_secs()));
            assert_eq!(found, expected, "{sentence}");
        }
    }
}
