//! A line of plain text with a code in a field of its own.
//!
//! | | code | sentence |
//! | --- | --- | --- |
//! | `ERR\|105\|The sender is unknown` | `105` | The sender is unknown |
//! | `ERROR = 2 (the key is unknown)` | `2` | the key is unknown |
//! | `-3: The box is empty` | `-3` | The box is empty |

use super::names::is_word;
use super::values::nonempty;
use crate::outcome::Facts;

/// Bytes of such a line.
const LINE_BYTES_MAX: usize = 1_000;
/// Characters of a code.
const CODE_CHARS_MAX: usize = 12;

pub(super) fn in_fields(text: &str, status: u16) -> Option<Facts> {
    let text = text.trim();
    if text.len() > LINE_BYTES_MAX {
        return None;
    }
    let shouted = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if text.contains('_') && text.chars().all(shouted) {
        return Some(Facts { code: Some(text.to_owned()), ..Facts::default() });
    }
    let (code, message) = match text.split_once('\n') {
        // A label, and the code on a line of its own.
        Some((label, code)) => (behind_label(label)?.is_empty().then_some(code.trim())?, ""),
        None if text.contains('|') => between_bars(text)?,
        None => labelled(text)?,
    };
    let is_code = is_word(code) && code.parse() != Ok(status);
    let code = is_code.then(|| code.to_owned())?;
    let message = nonempty(message);
    let message_at = message.as_ref().map(|_| String::new());
    Some(Facts { message, message_at, code: Some(code), ..Facts::default() })
}

/// The first sentence between bars, and the number or word before it.
fn between_bars(text: &str) -> Option<(&str, &str)> {
    let mut code = None;
    for field in text.split('|').map(str::trim) {
        if field.contains(char::is_whitespace) && field.contains(char::is_alphabetic) {
            return Some((code?, field));
        }
        let shouted = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || "-_".contains(c);
        let fits = !field.is_empty() && field.len() <= CODE_CHARS_MAX && field.chars().all(shouted);
        if fits && behind_label(field).is_none() {
            code = Some(field);
        }
    }
    None
}

/// `ERROR: 101`, `ERR: 001, the text`, `-3: the text`, `105: the text`.
fn labelled(text: &str) -> Option<(&str, &str)> {
    let rest = behind_label(text);
    let body = rest.unwrap_or(text);
    let digits = body.strip_prefix('-').unwrap_or(body);
    let length = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (code, behind) = body.split_at(body.len() - digits.len() + length);
    // A number that the sentence goes on with is part of it: "Error: 5 items are missing".
    let inner = behind.trim_start();
    let ends = match inner.chars().next() {
        None => rest.is_some(),
        Some('(' | ',' | ';') => rest.is_some(),
        Some(':') => inner.trim_start_matches(':').starts_with(' '),
        Some(_) => false,
    };
    if length == 0 || code.len() > CODE_CHARS_MAX || !ends {
        return None;
    }
    let inside = inner.strip_prefix('(').and_then(|inner| inner.strip_suffix(')'));
    Some((code, inside.unwrap_or(inner.trim_start_matches([',', ';', ':'])).trim()))
}

/// What follows a word that only says that it is an error.
fn behind_label(text: &str) -> Option<&str> {
    let length = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let labels = ["error", "err", "fail", "failed", "failure"];
    let (label, rest) = text.split_at(length);
    let rest = rest.trim_start();
    let numbered = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = numbered.len() < rest.len() && numbered.trim_start().starts_with("::");
    let separated = rest.is_empty() || numbered || rest.starts_with([':', '=', '|']);
    let is_label = labels.iter().any(|it| it.eq_ignore_ascii_case(label));
    (is_label && separated).then(|| rest.trim_start_matches([':', '=', '|']).trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_in_a_field_of_its_own_is_found_and_other_numbers_are_not() {
        let rows = [
            ("ERR|105|The sender is unknown", "105", Some("The sender is unknown")),
            ("23|the user is unknown (was: a)|", "23", Some("the user is unknown (was: a)")),
            ("3|2|13|The login is inactive.||P|0|", "13", Some("The login is inactive.")),
            ("ERROR = 2 (the key is unknown)", "2", Some("the key is unknown")),
            ("ERROR:101", "101", None),
            ("ERR: 001, The key is unknown", "001", Some("The key is unknown")),
            ("-3: The box is empty", "-3", Some("The box is empty")),
            ("error\nno_box", "no_box", None),
            ("ERROR 132 :: THE BOX IS EMPTY", "132", Some("THE BOX IS EMPTY")),
            ("NO_BOXES", "NO_BOXES", None),
        ];
        for (text, code, message) in rows {
            let facts = in_fields(text, 200).unwrap();
            assert_eq!((facts.code.as_deref(), facts.message.as_deref()), (Some(code), message));
        }
        let none = [
            "Error: 5 items are missing",
            "ERROR: 400",
            "It is 12:30",
            "12:30 is too late",
            "0|IN_PROGRESS|12345",
            "Errors: none",
            "The box | is empty",
            "depot.example | The box is empty",
            "1234",
            "-3",
            "",
        ];
        for text in none {
            assert!(in_fields(text, 400).is_none(), "{text}");
        }
    }
}
