//! Finds the field that a vendor's sentence names as missing, in the usual phrasings.

use std::sync::LazyLock;

use regex::Regex;

pub(super) fn missing_field(sentence: &str) -> Option<&str> {
    // A dot inside the name is part of a path; one after it ends the sentence.
    let name = name_in(MISSING_FIELD.find(sentence)?.as_str())?.trim_end_matches('.');
    let pronoun = ["this", "it", "that", "which", "authentication", "authorization"];
    (!pronoun.iter().any(|word| name.eq_ignore_ascii_case(word))).then_some(name)
}

/// The name within the match of `MISSING_FIELD`. Finding the whole match and taking the name out of
/// it is several times as fast as capture groups.
fn name_in(found: &str) -> Option<&str> {
    let quotes = ['\'', '"', '`'];
    if let Some(named) = found.strip_suffix(quotes) {
        return named.rsplit(quotes).next();
    }
    if let Some(named) = found.strip_prefix(quotes) {
        return named.split(quotes).next();
    }
    if let Some((_, name)) = found.rsplit_once(':') {
        return Some(name.trim_start());
    }
    // `field NAME is required`, or `NAME is (a) required`.
    let words: Vec<&str> = found.split_whitespace().collect();
    match *words.as_slice() {
        [_, name, third, _] if !third.eq_ignore_ascii_case("a") => Some(name.trim_matches(quotes)),
        [name, ..] => Some(name),
        [] => None,
    }
}

/// The name is the first group that matched.
static MISSING_FIELD: LazyLock<Regex> = LazyLock::new(|| {
    let text = concat!(
        r#"(?i)(?:missing|required|mandatory)\s+(?:field|parameter|property|attribute|argument|header)s?\s*:?\s*['"`]([\w.\[\]-]+)['"`]"#,
        r"|(?:missing|required|mandatory)\s+(?:field|parameter|property|attribute|argument|header)s?\s*:\s*([\w.\[\]-]+)",
        r#"|\b(?:field|parameter|property)\s+['"`]?([\w.\[\]-]+)['"`]?\s+is\s+(?:required|missing|mandatory)"#,
        r#"|['"`]([\w.\[\]-]+)['"`]\s+is\s+(?:a\s+)?(?:required|missing|mandatory)"#,
        r"|^([\w.\[\]-]+)\s+is\s+(?:a\s+)?(?:required|missing|mandatory)\b",
    );
    Regex::new(text).expect("the pattern is a constant that a test compiles")
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sentences about fields, as a pattern.
    const FIELDS: &str = concat!(
        "((missing|Required|mandatory|[iI][sſ]|a|field|parameters|property|header|:|'|\"|`|ü[.]x|",
        "'na-me'|a[.]b-c|\"d\"|[.]|[!-~]{0,2})[ \t\u{a0}]{0,2}){0,9}"
    );

    #[test]
    fn a_field_named_as_missing_is_found() {
        let rows = [
            ("limit is a required field", Some("limit")),
            ("Missing required field: title", Some("title")),
            ("Missing required field: address.city.", Some("address.city")),
            ("The field 'amount' is required.", Some("amount")),
            ("\"url\" is missing", Some("url")),
            ("The request is missing a required field.", None),
            ("This is required", None),
        ];
        for (sentence, field) in rows {
            assert_eq!(missing_field(sentence), field, "{sentence}");
        }
    }

    #[test]
    fn the_name_is_found_in_every_phrasing() {
        let rows = [
            ("Missing parameter 'a.b': x", "a.b"),
            ("required headers : `c`", "c"),
            ("mandatory property:\td[0]", "d[0]"),
            ("the parameter \"e is missing", "e"),
            ("Field f is required", "f"),
            ("'g' is a mandatory", "g"),
            ("field is required", "field"),
            ("h is a required", "h"),
        ];
        for (sentence, name) in rows {
            let found = MISSING_FIELD.find(sentence).unwrap();
            assert_eq!(name_in(found.as_str()), Some(name), "{sentence}");
        }
    }

    proptest! {
        #[test]
        fn the_name_is_what_the_capture_groups_hold(text in FIELDS, odd in "(?s:.{0,2})") {
            let text = text + &odd;
            let groups = MISSING_FIELD.captures(&text);
            let held = groups.and_then(|found| found.iter().skip(1).flatten().next());
            let found = MISSING_FIELD.find(&text).and_then(|found| name_in(found.as_str()));
            prop_assert_eq!(found, held.map(|name| name.as_str()));
        }
    }
}
