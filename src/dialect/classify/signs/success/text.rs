//! Texts and pages under a success that say that they are an error.

use serde_json::Value;

use super::super::{excerpt, sentence};
use super::declaration::{Declared, Strength};
use super::names::error_status;
use super::object::is_failed;
use crate::dialect::classify::evidence::Evidence;
use crate::outcome::Sign;

/// Characters of a text that may be an error as a whole.
const TEXT_CHARS_MAX: usize = 400;
/// Lines of such a text; more are a table or a log.
const TEXT_LINES_MAX: usize = 3;
/// Characters of a page that may be an error; a longer one is about something.
const PAGE_CHARS_MAX: usize = 1_000;

pub(super) fn of_line(evidence: &Evidence<'_>) -> Option<Declared> {
    let Evidence { document, facts, .. } = *evidence;

    let text = document.text.trim();
    let lines = text.lines().count();
    if text.is_empty() || text.len() > TEXT_CHARS_MAX || lines > TEXT_LINES_MAX {
        return None;
    }
    let labelled = is_labelled(text);
    // More lines, or a date before the rest, make a log.
    let logged = lines > 1 || dated(text);
    if logged && !labelled {
        return None;
    }
    let word = !text.contains(char::is_whitespace) && text.contains('_');
    let status = |code: &String| error_status(&Value::from(code.as_str())).is_some();
    let strength = match &facts.code {
        _ if labelled || word && (is_failed(text) || is_lack(text)) => Strength::Certain,
        // A line of a table of statuses has one too.
        Some(code) if !status(code) => Strength::Coded,
        Some(_) | None => Strength::Worded,
    };
    Some(Declared::by(Sign::Sentence(excerpt(text)), strength))
}

/// The heading of a short page says it, not what the page is about.
pub(super) fn of_page(evidence: &Evidence<'_>) -> Option<Declared> {
    let Evidence { document, facts, .. } = *evidence;

    let heading = facts.message.as_deref()?.trim();
    let short = document.text.len() <= PAGE_CHARS_MAX;
    let states = [&sentence::THROTTLED, &sentence::IN_MAINTENANCE, &sentence::OVERLOADED];
    let stated =
        states.iter().any(|what| what.is_match(heading)) || sentence::PAGE_FAULT.is_match(heading);
    let sign = Sign::Sentence(excerpt(heading));
    (short && stated).then(|| Declared::by(sign, Strength::Worded))
}

/// Whether a text starts with a word that calls it an error, as `Error: …` and `FAIL` do.
pub(super) fn is_labelled(text: &str) -> bool {
    // Redis, POP3 and telephone switches.
    if text.starts_with("-ERR ") {
        return true;
    }
    let labels = ["error", "err", "fail", "failed", "failure", "fault", "exception", "ko"];
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (label, rest) = text.split_at(end);
    let ends = |c: char| c.is_ascii_digit() || [':', '=', '|', '!', '\r', '\n'].contains(&c);
    let behind = rest.trim_start_matches(' ');
    let is_word = rest.starts_with(|c: char| c.is_ascii_digit())
        && rest.contains(|c: char| c.is_ascii_alphabetic());
    labels.iter().any(|it| it.eq_ignore_ascii_case(label))
        && !is_word
        && behind.chars().next().is_none_or(ends)
}

/// Whether a code says in capitals that something is missing: `NO_BALANCE`, `BAD_KEY`.
fn is_lack(text: &str) -> bool {
    let shouted = |c: char| c.is_ascii_uppercase() || c == '_';
    text.chars().all(shouted) && ["NO_", "BAD_"].iter().any(|start| text.starts_with(start))
}

/// Whether a text starts with a date.
fn dated(text: &str) -> bool {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    matches!(digits, 2 | 4) && text[digits..].starts_with(['-', '/'])
}
