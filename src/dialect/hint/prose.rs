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
    let moment_behind = |end: usize| {
        let rest = text[end..].trim_start_matches(['\'', '"']);
        let moment = Meaning { unit: None, relation: Relation::Moment };
        let dated = || value::wait(MOMENT.find(rest)?.as_str(), moment, now);
        dated().or_else(|| value::at_clock(CLOCK.find(rest)?.as_str(), now))
    };
    let moments = AGAIN_AT.find_iter(&text).filter_map(|lead| moment_behind(lead.end()));
    let spans = AGAIN_IN.find_iter(&text);
    let spans = spans.filter_map(|lead| again_in(lead.as_str(), &text[lead.end()..]));
    // "wait 30 seconds", if nothing follows but to try again.
    let waits = WAIT_FOR.find_iter(&text).filter_map(|lead| {
        let (span, rest) = span::leading(&text[lead.end()..])?;
        let then = rest.trim_start();
        let again = !then.starts_with(char::is_alphabetic) || TO_TRY_AGAIN.is_match(then);
        value::plausible(span).filter(|_| again && ends(rest))
    });
    // "After 30 seconds, retry."
    let first = AFTER.find_iter(&text).filter_map(|lead| {
        let (span, rest) = span::leading(&text[lead.end()..])?;
        value::plausible(span).filter(|_| THEN_RETRY.is_match(rest))
    });
    let stated = moments.chain(spans).chain(waits).chain(first).max();
    let ends = || {
        let ends = MAINTENANCE_ENDS.find_iter(&text).filter(|_| speaks_of_maintenance(&text));
        let behind = |end: usize| {
            let span = || again_in(" in", &text[end..]);
            moment_behind(end).or_else(span)
        };
        ends.filter_map(|lead| behind(lead.end())).max()
    };
    stated.or_else(|| in_east_asian(&text)).or_else(ends)
}

/// Whether a text is about a vendor's maintenance, whose end is a wait.
pub(super) fn speaks_of_maintenance(text: &str) -> bool {
    let word = b"maintenance";
    text.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

/// `30秒后重试`, `30秒後に再試行してください`, `30초 후에 다시 시도하세요`.
fn in_east_asian(text: &str) -> Option<Duration> {
    if text.is_ascii() {
        return None;
    }
    let found = EAST_ASIAN.captures(text)?;
    let unit = match &found[2] {
        "秒" | "秒钟" | "秒鐘" | "초" => 1.0,
        "时" | "小时" | "小時" | "時間" | "시간" => 3_600.0,
        _ => 60.0,
    };
    value::plausible(Duration::try_from_secs_f64(span::decimal(&found[1])? * unit).ok()?)
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
const AFTER_SPAN: [&str; 33] = [
    "before",
    "and",
    "then",
    "or",
    "to",
    "from",
    "until",
    "when",
    "if",
    "as",
    "because",
    "since",
    "with",
    "please",
    "for",
    "due",
    "at",
    "later",
    "again",
    "prima",
    "avant",
    "antes",
    "bevor",
    "voordat",
    "erneut",
    "wieder",
    "nochmals",
    "noch",
    "opnieuw",
    "novamente",
    "nuevamente",
    "nuovamente",
    "снова",
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
    r"|try(?:ing)?(?: \w+){0,3}? (?:again|once more)|access(?: \w+){0,3}? again",
    r"|(?:may|can|able to|allowed to)(?: \w+){0,2}? (?:send|call|request|post|submit|connect|ask|search|query|log ?in)(?: \w+){0,3}? again",
    r"|(?:calls?|requests?|access|service|traffic)(?: will| can)? resumes?",
    r"|next (?:slot|window)(?: \w+){0,2}? (?:opens|starts|available|is))",
    r"(?:[ -](?:your|the|this|that|it|again|later|request|requests|call|calls|operation|query",
    r"|please|only|once|no|not|sooner|earlier|than))*",
    r"|\b(?:expected available|available again|(?:service|api|system|server|site|endpoint|resource|we)",
    r"(?: \w+){0,3}? (?:available|back)(?: again| online)?)",
    r"|(?:^|[.(;,] *|\b(?:limits?|quotas?|allowance|window|counter)(?: \w+){0,3}? )",
    r"(?:resets?|renews?|refreshes|refills?|replenishes|replenished|refilled|restored|renewed|lifted)(?: again| automatically)?",
    r"|(?:\b(?:erneut|nochmals?|wieder|versuchen? sie(?: es)?|versuche es|réessaye[rz]|intente(?:lo)?|inténte?lo",
    r"|intentarlo|intentar|reintente|reinténtelo|tente|tentar|riprova(?:re|te)?|riprovi|probeer)",
    r"|повторите|попробуйте)(?: [^ .]+){0,5}?)",
);

const ABOUT: &str = concat!(
    r"(?:(?:about|approximately|around|roughly|at least|at most|less than|no more than|another",
    r"|the next|up to|noch|ca\.|etwa|mindestens|environ|encore|unos|cerca de|circa|ongeveer|nog) +){0,2}",
);

static AGAIN_IN: LazyLock<Regex> = LazyLock::new(|| {
    let for_so_long = concat!(
        r"(?i)\b(?:blocked|banned|barred|throttled|rate[ -]limited|suspended|locked(?: out)?) +(?:for|during) +",
        r"(?:the (?:next|remaining) +(?:period of +)?)?|\bban (?:will )?lasts? +",
    );
    let not_for = r"(?i)\b(?:not|n't|cannot|never) (?:re-?try|try again)(?: \w+){0,3}? +(?:for|within|before) +";
    let in_so_long = format!(
        r"{AGAIN}[ -](?:in|after|dans|en|em|tra|fra|over|nach|après|dopo|dentro de|después de|após|через)(?: *:)?\s+{ABOUT}"
    );
    let off = r"(?i)\bback[ -]?off(?: for)? +|(?:^|[.;(] *)(?:cool-?down(?: period)?|time remaining) *: *";
    pattern(&format!("(?:{in_so_long})|(?:{for_so_long})|(?:{not_for}{ABOUT})|(?:{off}{ABOUT})"))
});

static AGAIN_AT: LazyLock<Regex> = LazyLock::new(|| {
    let again = format!(
        r"{AGAIN}[ -](?:in|on or after|after|at|until|till|on|from|no (?:earlier|sooner) than|not before)(?: *:)?\s+['\x22]?"
    );
    let barred = concat!(
        r"(?i)\b(?:banned|barred|blocked|suspended|locked(?: out)?|throttled|limited|restricted|unavailable)",
        r"(?: \w+){0,2}? (?:until|till) +|\b(?:can|may) (?:\w+ ){1,5}?(?:after|from) +",
        r"|\b(?:not|n't|cannot|never) (?:re-?try|try again|send|call)(?: \w+){0,3}? (?:before|until|till) +",
    );
    pattern(&format!("(?:{again})|(?:{barred})"))
});

static MOMENT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:\d{4}-(?:\d\d|[A-Z][a-z]{2})-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?",
        r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*, \d\d[ -][A-Z][a-z]{2}[ -]\d{2,4} \d\d:\d\d:\d\d GMT",
        r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}",
        r"|[A-Z][a-z]{2} \d{1,2},? \d{4},? \d\d:\d\d:\d\d (?:GMT|UTC)",
        r"|\d{10}(?:\d{3})?(?-u:\b))",
    ))
});

/// A time of day, only with its zone.
static CLOCK: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\d\d:\d\d(?::\d\d)?(?:Z| ?UTC| ?GMT)(?-u:\b)"));

static AFTER: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"(?i)(?:^|[.!?;:] *)after +{ABOUT}")));

static THEN_RETRY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^,? *(?:please |then |you (?:can|may|should) )*(?:re-?try|re-?send|re-?submit|try (?:\w+ ){0,3}?again)\b",
    )
});

/// What introduces the end of maintenance.
static MAINTENANCE_ENDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"(?i)\b(?:(?:maintenance|down|unavailable|offline|closed)(?: \w+)? (?:until|till)|(?:ends?|ending|over|back|back online|back up|available|complet(?:ed?|ion)|finished|resumes?)(?: again)? (?:in|at|on|by|around))(?: *:)? +{ABOUT}"
    ))
});

static EAST_ASIAN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(\d{1,6}) *(秒钟|秒鐘|秒|分钟|分鐘|分|小时|小時|時間|초|분|시간) *(?:之后|以后|之後|以後|后|後|이후|후)",
        r"[^。.0-9]{0,12}?(?:重试|再试|重試|再試|再次|再度|重新|お試し|다시|재시도)",
    ))
});

static WAIT_FOR: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"(?i)(?:^|[.!?;,:] *|\b(?:please|must|should|to|kindly|then|and) )wait(?: for)? +{ABOUT}|\b(?:warten?(?: sie)?(?: bitte)?|patiente[rz]|attend(?:re|ez|ere|i|a)|esper[ea]r?|aguarde?|wacht) +{ABOUT}"
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
            ("You may send again in 59 more minutes", Some(3_540_000)),
            ("Blocked till 1767225660", Some(60_000)),
            ("Banned till 2026-01-01T00:01:00Z", Some(60_000)),
            ("Retry no earlier than 2026-01-01T00:01:00Z", Some(60_000)),
            ("Do not retry before 2026-01-01T00:01:00Z", Some(60_000)),
            ("Please retry on or after 2026-01-01T00:01:00Z.", Some(60_000)),
            ("Blocked until Thu Jan  1 00:03:00 2026.", Some(180_000)),
            ("The next slot opens at 2026-01-01T00:00:45Z.", Some(45_000)),
            ("Retry after Jan 01 2026 00:01:00 GMT", Some(60_000)),
            ("Try again at 00:05:00Z", Some(300_000)),
            ("Try again at 23:59 UTC", None),
            ("Retry in 1 000 seconds", Some(1_000_000)),
            ("Retry in 1,5 minutes", Some(90_000)),
            ("Try again in less than 5 minutes", Some(300_000)),
            ("Please slow down and wait between 30 and 60 seconds", Some(60_000)),
            ("Calls resume in 60 seconds", Some(60_000)),
            ("Back off for 60 seconds", Some(60_000)),
            ("After 60 seconds, retry.", Some(60_000)),
            ("Cooldown: 60s", Some(60_000)),
            ("Try again in 5 seconds. You can call again in 20 seconds.", Some(20_000)),
            ("Scheduled maintenance until 2026-01-01T00:30:00Z", Some(1_800_000)),
            ("We are down for maintenance and will be back in 30 minutes.", Some(1_800_000)),
            ("Maintenance ends in 10 minutes", Some(600_000)),
            ("Maintenance. Expected completion at 2026-01-01T02:00:00Z", Some(7_200_000)),
            ("The maintenance contract is valid until 2026-01-05T00:00:00Z", None),
            ("You may use it again in production in 3 days.", None),
            ("Retry in 5 100 requests", None),
            ("Timed out after 30 seconds, please try again", None),
            ("The offer ends in 10 minutes", None),
            ("Your token is valid until 2026-01-01T00:30:00Z", None),
            ("Retry before 2026-01-01T00:30:00Z", None),
            ("The trial time remaining: 3 days", None),
            ("Maintenance mode is valid in 3 regions", None),
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
    fn waits_are_read_in_other_languages() {
        let rows = [
            ("Bitte versuchen Sie es in 20 Sekunden erneut.", 20),
            ("Versuche es in 2 Minuten noch einmal.", 120),
            ("Warte noch 3 Minuten.", 180),
            ("Bitte warten Sie 30 Sekunden.", 30),
            ("Vuelva a intentarlo en 30 segundos", 30),
            ("Inténtelo de nuevo en 2 horas.", 7_200),
            ("Espere 30 segundos antes de volver a intentarlo.", 30),
            ("Veuillez patienter 30 secondes.", 30),
            ("Veuillez réessayer dans 2 jours.", 172_800),
            ("Tente novamente em 30 segundos.", 30),
            ("Aguarde 2 dias.", 172_800),
            ("Riprova tra 30 secondi.", 30),
            ("Attendere 2 ore.", 7_200),
            ("Probeer het over 30 seconden opnieuw.", 30),
            ("Wacht 2 dagen.", 172_800),
            ("Повторите через 30 секунд", 30),
            ("请在30秒后重试", 30),
            ("请求过于频繁,请5分钟后再试", 300),
            ("30秒後に再試行してください", 30),
            ("30초 후에 다시 시도하세요", 30),
        ];
        for (sentence, expected) in rows {
            let found = wait(sentence, now()).map(|span| span.as_secs());
            assert_eq!(found, Some(expected), "{sentence}");
        }
        let none = [
            "Das Token läuft in 20 Sekunden ab.",
            "Der Bericht ist in 20 Sekunden fertig.",
            "El token caduca en 30 segundos",
            "验证码30秒后过期",
            "30秒後に期限が切れます",
        ];
        for sentence in none {
            assert_eq!(wait(sentence, now()), None, "{sentence}");
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
