//! What may be repeated of a vendor's words: no control characters, markup, stack traces,
//! internal hosts or secrets, and never more than the bounds.
//!
//! Cleaning what is clean changes nothing.

use std::borrow::Cow;
use std::sync::LazyLock;

use http::{HeaderName, HeaderValue};
use regex::Regex;
use serde_json::{Map, Value};

use super::harmless::is_harmless;
use super::redact::Redactor;
use crate::outcome::CHILDREN_MAX;
use crate::problem::json::quoted_bytes;
use crate::problem::{DETAIL_CHARS_MAX, DETAILS_BYTES_MAX, Problem, SHORT_CHARS_MAX};

/// What never passes, whoever says it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scrub<'a> {
    /// Finds what we hold as a secret.
    redactor: Option<&'a Redactor>,
}
/// Rounds of removing markup; markup nested deeper loses its brackets.
const MARKUP_ROUNDS_MAX: usize = 4;
/// Bytes that are looked at of one text; more than any bound lets through.
const LOOKED_AT_BYTES_MAX: usize = 16 * 1024;
/// Values of a tree that are looked at; more than 4 KiB can hold and still be read.
const VALUES_MAX: usize = 500;

impl<'a> Scrub<'a> {
    /// Also without these secrets.
    #[must_use]
    pub const fn of(redactor: &'a Redactor) -> Self {
        Self { redactor: Some(redactor) }
    }

    /// The text as it may be shown; `None` when nothing is left.
    #[must_use]
    pub fn clean(self, text: &str, chars_max: usize) -> Option<String> {
        if text.len() <= LOOKED_AT_BYTES_MAX && is_harmless(text) && !self.holds_secret(text) {
            return shown(text, chars_max);
        }
        self.clean_thoroughly(text, chars_max)
    }

    fn clean_thoroughly(self, text: &str, chars_max: usize) -> Option<String> {
        // Secrets go first, so that no cut leaves half of one, and again when what split them
        // is gone.
        let text = self.without_secrets(text);
        let text = printable(head(&text, LOOKED_AT_BYTES_MAX));
        let text = without_markup(text);
        let text = self.without_secrets(without_trace(&text));
        let text = INTERNAL_HOST.replace_all(&text, "[internal host]");
        shown(&text, chars_max)
    }

    /// The value as it may be shown, in at most `bytes_max` bytes of JSON.
    #[must_use]
    pub fn details(self, value: &Value, bytes_max: usize) -> Option<Value> {
        let (mut values_left, mut bytes_left) = (VALUES_MAX, bytes_max);
        let clean = self.clean_value(value, &mut values_left)?;
        if bytes(&clean) <= bytes_max { Some(clean) } else { fit(&clean, &mut bytes_left) }
    }

    fn clean_value(self, value: &Value, values_left: &mut usize) -> Option<Value> {
        *values_left = values_left.checked_sub(1)?;
        match value {
            Value::Null | Value::Bool(_) => Some(value.clone()),
            Value::Number(number) => {
                let text = number.to_string();
                let secret = self.holds_secret(&text);
                Some(if secret { self.without_secrets(&text).into() } else { value.clone() })
            }
            Value::String(text) => self.clean(text, DETAIL_CHARS_MAX).map(Value::String),
            Value::Array(items) => {
                let clean = |item| self.clean_value(item, values_left);
                let clean: Vec<Value> = items.iter().filter_map(clean).collect();
                (clean.is_empty() == items.is_empty()).then_some(Value::Array(clean))
            }
            Value::Object(members) if members.is_empty() => Some(value.clone()),
            Value::Object(members) => self.clean_members(members, values_left),
        }
    }

    fn clean_members(self, members: &Map<String, Value>, values_left: &mut usize) -> Option<Value> {
        let shown = members.iter().filter(|(name, _)| !names_a_trace(name));
        let mut members_clean = shown.filter_map(|(name, value)| {
            let value = self.clean_value(value, values_left)?;
            Some((self.clean(name, SHORT_CHARS_MAX)?, value))
        });
        let first = members_clean.next()?;
        let mut clean = Map::with_capacity(members.len());
        clean.extend(std::iter::once(first).chain(members_clean));
        Some(Value::Object(clean))
    }

    fn holds_secret(self, text: &str) -> bool {
        self.redactor.is_some_and(|redactor| redactor.finds(text.as_bytes()))
    }

    fn without_secrets(self, text: &str) -> Cow<'_, str> {
        self.redactor.map_or(Cow::Borrowed(text), |redactor| redactor.redact(text))
    }

    /// A header of the vendor's as it may be shown; `None` when its name is a secret.
    pub(super) fn header(self, name: &HeaderName, value: &HeaderValue) -> Option<HeaderValue> {
        if self.holds_secret(name.as_str()) {
            return None;
        }
        let redacted = self.redactor.and_then(|redactor| redactor.redact_value(value));
        Some(redacted.unwrap_or_else(|| value.clone()))
    }
}

/// Puts a problem that came from elsewhere within our bounds.
pub(super) fn bound_problem(problem: &mut Problem, scrub: Scrub<'_>) {
    let detail = scrub.clean(&problem.detail, DETAIL_CHARS_MAX);
    problem.detail = detail.unwrap_or_else(|| problem.code.title().to_owned() + ".");
    let short = |text: &mut Option<String>, max: usize| {
        *text = text.take().and_then(|text| scrub.clean(&text, max));
    };
    for text in [&mut problem.request_id, &mut problem.support, &mut problem.documentation] {
        short(text, SHORT_CHARS_MAX);
    }
    if let Some(spoken) = &mut problem.upstream {
        let details = spoken.details.take();
        spoken.details = details.and_then(|value| scrub.details(&value, DETAILS_BYTES_MAX));
        short(&mut spoken.reason, DETAIL_CHARS_MAX);
        for text in [&mut spoken.name, &mut spoken.code, &mut spoken.reference] {
            short(text, SHORT_CHARS_MAX);
        }
        for text in [&mut spoken.operation, &mut spoken.occurred_at] {
            short(text, SHORT_CHARS_MAX);
        }
    }
    problem.errors.truncate(CHILDREN_MAX);
    for child in &mut problem.errors {
        short(&mut child.detail, DETAIL_CHARS_MAX);
        short(&mut child.code, SHORT_CHARS_MAX);
        short(&mut child.pointer, SHORT_CHARS_MAX);
    }
}

fn head(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Newlines and tabs stay; other control characters and marks that turn the direction go.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| hidden(c) || c == '\r' || c == '\u{2028}' || c == '\u{2029}') {
        return Cow::Borrowed(text);
    }
    let lines = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n");
    Cow::Owned(lines.chars().filter(|c| !hidden(*c)).collect())
}

const fn hidden(c: char) -> bool {
    match c {
        '\n' | '\t' | '\r' => false,
        '\u{061c}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => true,
        c => c.is_ascii_control() || matches!(c, '\u{80}'..='\u{9f}'),
    }
}

fn without_markup(mut text: Cow<'_, str>) -> String {
    for _ in 0..MARKUP_ROUNDS_MAX {
        if !text.contains('<') {
            return text.into_owned();
        }
        let Cow::Owned(shorter) = MARKUP.replace_all(&text, "") else { return text.into_owned() };
        text = Cow::Owned(shorter);
    }
    if MARKUP.is_match(&text) { text.replace('<', "") } else { text.into_owned() }
}

fn without_trace(text: &str) -> &str {
    TRACE.find(text).map_or(text, |trace| &text[..trace.start()])
}

fn names_a_trace(name: &str) -> bool {
    let plain = || name.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_lowercase());
    let names = ["stack", "stacktrace", "trace", "backtrace", "traceback", "stacktraces"];
    names.iter().any(|trace| plain().eq(trace.bytes()))
}

/// The text as it is told: without blanks around it, and not too long.
fn shown(text: &str, chars_max: usize) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| shortened(text, chars_max))
}

fn shortened(text: &str, chars_max: usize) -> String {
    if text.len() <= chars_max {
        return text.to_owned();
    }
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => {
            let kept: String = text.chars().take(chars_max - 1).collect();
            kept.trim_end().to_owned() + "…"
        }
    }
}

/// What `fit` spends on a value of which nothing is cut.
fn bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string().len(),
        Value::String(text) => quoted_bytes(text),
        Value::Array(items) => items.iter().map(|item| 1 + bytes(item)).sum::<usize>() + 2,
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| quoted_bytes(name) + 2 + bytes(value);
            members.iter().map(member).sum::<usize>() + 2
        }
    }
}

/// As much of a value as fits into the bytes left; texts are cut, members left out.
fn fit(value: &Value, bytes_left: &mut usize) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            spend(bytes_left, value.to_string().len()).then(|| value.clone())
        }
        Value::String(text) => fit_text(text, bytes_left).map(Value::String),
        Value::Array(items) => {
            spend(bytes_left, 2).then(|| Value::Array(fit_items(items, bytes_left)))
        }
        Value::Object(members) => {
            spend(bytes_left, 2).then(|| Value::Object(fit_members(members, bytes_left)))
        }
    }
}

fn fit_items(items: &[Value], bytes_left: &mut usize) -> Vec<Value> {
    let mut fitting = Vec::new();
    for item in items {
        if !spend(bytes_left, 1) {
            break;
        }
        let Some(item) = fit(item, bytes_left) else { break };
        fitting.push(item);
    }
    fitting
}

fn fit_members(members: &Map<String, Value>, bytes_left: &mut usize) -> Map<String, Value> {
    let mut fitting = Map::new();
    for (name, value) in members {
        if !spend(bytes_left, quoted_bytes(name) + 2) {
            break;
        }
        let Some(value) = fit(value, bytes_left) else { break };
        fitting.insert(name.clone(), value);
    }
    fitting
}

fn fit_text(text: &str, bytes_left: &mut usize) -> Option<String> {
    if spend(bytes_left, quoted_bytes(text)) {
        return Some(text.to_owned());
    }
    let room = bytes_left.checked_sub("\"…\"".len())?;
    let mut used = 0;
    let fits = |c: &char| {
        used += quoted_bytes(c.encode_utf8(&mut [0; 4])) - 2;
        used <= room
    };
    let kept: String = text.chars().take_while(fits).collect();
    *bytes_left = 0;
    Some(kept.trim_end().to_owned() + "…")
}

fn spend(bytes_left: &mut usize, bytes: usize) -> bool {
    bytes_left.checked_sub(bytes).map(|left| *bytes_left = left).is_some()
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is a constant that a test compiles")
}

/// Elements of HTML, anything with an attribute, comments and declarations; scripts and styles
/// with their content.
static MARKUP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?is)<script\b.*?</script\s*>|<style\b.*?</style\s*>|<!--.*?-->|<!doctype\b[^>]*>|<!\[CDATA\[|\]\]>",
        r"|</?(?:a|abbr|article|b|base|big|blockquote|body|br|button|center|code|div|dl|dt|dd|em|embed",
        r"|font|footer|form|frame|h[1-6]|head|header|hr|html|i|iframe|img|input|li|link|main|meta",
        r"|nav|noscript|object|ol|p|pre|script|section|small|span|strong|style|sub|sup|svg|table",
        r"|tbody|td|textarea|th|thead|title|tr|tt|u|ul|video)(?:\s[^<>]*)?/?>",
        r#"|</?[a-z][\w:-]*\s+[\w:-]+\s*=\s*["'][^<>]*>"#,
    ))
});

/// Where a stack trace begins, in the styles of the usual run-times.
static TRACE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?m)^\s*(?:Traceback \(most recent call last\)|Stack trace:|goroutine \d+ \[|Caused by: \S",
        r#"|File ".*", line \d+|#\d+\s+\S+\(\d+\)|\S+\.rb:\d+:in |--- End of )"#,
        r"|\s+at\s+(?:async\s+|new\s+)?(?:[\w$<>`]+[./])+[\w$<>`]+\s?\([^)\n]*\)?",
        r"|\s+at\s+\S+\s\([^)\n]*:\d+:\d+\)|(?m)^\s*at\s\S+:\d+:\d+$",
    ))
});

/// Addresses and names that only mean something inside somebody's network.
static INTERNAL_HOST: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:(?:10|127)(?:\.\d{1,3}){3}|(?:169\.254|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2}",
        r"|(?:[a-z0-9_-]+\.)+(?:internal|local|localdomain|lan|corp|intranet|svc|home\.arpa)\b|localhost\b",
        r"|(?:fe80|f[cd][0-9a-f]{2}):[0-9a-f:]+[0-9a-f])(?::\d{1,5}\b|\b)",
    ))
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Parts of what the patterns find, to be put together by chance.
    const TRIGGERS: [&str; 48] = [
        "Traceback (most recent call last)",
        "Stack trace:",
        "goroutine ",
        "7",
        " [",
        "Caused by: ",
        "File \"",
        "\", line ",
        "#0",
        " f(1)",
        "a.rb",
        ":5",
        ":in ",
        "--- End of ",
        "\n",
        "\n  at ",
        " at ",
        "at ",
        "async ",
        "new ",
        "a.b",
        "(",
        ")",
        " (",
        "x.js:3:5",
        "<b>",
        "</b",
        "<!-- x -->",
        "]]>",
        "<",
        "10.1.2.3",
        "127",
        ".0",
        ".1",
        "192.168",
        "172.16",
        "a.internal",
        ".local",
        ".svc",
        "localhost",
        "LOCAL",
        "HOST",
        "fe80",
        "fd00",
        "::1",
        ":ab",
        "s3cr3t-key",
        "loca\u{17f}t",
    ];

    static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new([&b"s3cr3t-key"[..]]));

    fn clean(text: &str) -> Option<String> {
        Scrub::of(&REDACTOR).clean(text, 100)
    }

    #[test]
    fn a_sentence_stays_as_it_is() {
        let sentences = [
            "The requested file does not exist.",
            "Zeile 1\nZeile \"2\"\t„Größe“ 漢字 🙂",
            "value must be < 3 and > 1, use <id> or List<T>",
            "Look at it (twice) at 10:00.",
            "Version 10.0.19041.1 of api.vendor.example",
        ];
        for sentence in sentences {
            assert_eq!(clean(sentence).as_deref(), Some(sentence));
        }
    }

    #[test]
    fn what_must_not_pass_does_not() {
        let rows = [
            ("a\u{0}b\u{1b}[31m\u{202e}c\r\nd", "ab[31mc\nd"),
            ("<b>Bad</b> <script>alert(1)</script>thing", "Bad thing"),
            ("<scr<b>ipt>x", "x"),
            ("<x onload=\"y\">z", "z"),
            ("key s3cr3t-key is bad", "key [secret] is bad"),
            ("no route to 10.1.2.3:8080", "no route to [internal host]"),
            (
                "db01.prod.internal:5432 refused, localhost:80",
                "[internal host] refused, [internal host]",
            ),
            ("boom\n   at com.acme.Db.run(Db.java:12)\n   at x", "boom"),
            ("boom    at Acme.Db.Run(String q) in C:\\a\\Db.cs:line 3", "boom"),
            ("boom\nTraceback (most recent call last):\n  File \"a.py\", line 1", "boom"),
            ("boom\n    at run (/srv/app/index.js:3:5)", "boom"),
            ("boom\nStack trace:\n#0 /var/www/x.php(12): f()", "boom"),
        ];
        for (text, expected) in rows {
            assert_eq!(clean(text).as_deref(), Some(expected), "{text:?}");
        }
        assert_eq!(clean(" \u{200b}\n<br/> "), None);
    }

    #[test]
    fn details_keep_what_the_vendor_wrote() {
        let text = r#"{"a":1.0,"b":1e+400,"c":12345678901234567890,"d":-0,"e":[],"f":{},"g":[{},null,[]],"h":0.1000000000000000055,"i":1e+5}"#;
        let details: Value = serde_json::from_str(text).unwrap();
        let shown = Scrub::default().details(&details, 4096).unwrap();
        assert_eq!(shown.to_string(), text);
        let numbers = Redactor::new([&b"1234567890"[..]]);
        let shown = Scrub::of(&numbers).details(&serde_json::json!({ "n": 1_234_567_890 }), 4096);
        assert_eq!(shown, Some(serde_json::json!({ "n": "[secret]" })));
        let traced = serde_json::json!({ "inner": { "stack": "x" }, "lines": [" "] });
        assert_eq!(Scrub::default().details(&traced, 4096), None);
    }

    #[test]
    fn long_texts_are_cut_on_a_character() {
        let long = clean(&"ß".repeat(300)).unwrap();
        assert_eq!(long.chars().count(), 100);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn details_fit_and_lose_traces() {
        let long = serde_json::json!({ "stackTrace": "x", "list": vec!["ab\"c"; 3000], "n": 1 });
        let details = Scrub::default().details(&long, 200).unwrap();
        let length = details.to_string().len();
        assert!(details.get("stackTrace").is_none());
        assert!((150..=200).contains(&length), "{length}");
        assert_eq!(Scrub::default().details(&details, 200), Some(details.clone()));
    }

    proptest! {
        #[test]
        fn what_looks_harmless_is(
            words in proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(TRIGGERS.as_slice()).prop_map(str::to_owned),
                    r"[ -~\n\t]{0,4}".prop_map(String::from),
                    "(?s:.{0,3})".prop_map(String::from),
                ],
                0..6,
            ),
        ) {
            let text = words.concat();
            let scrub = Scrub::of(&REDACTOR);
            prop_assert_eq!(scrub.clean(&text, 100), scrub.clean_thoroughly(&text, 100));
        }

        #[test]
        fn what_fits_is_what_is_counted(text in "(?s:.{0,30})", n in any::<i64>()) {
            let value = serde_json::json!({ "a": [text, n, null, true], &text: { "b": {} } });
            let all = bytes(&value);
            prop_assert_eq!(fit(&value, &mut all.clone()), Some(value.clone()));
            prop_assert_ne!(fit(&value, &mut (all - 1)), Some(value));
        }

        #[test]
        fn cleaning_twice_is_cleaning_once(text in "(?s:.{0,200})", odd in r#"[<>/a-b ="\n\u{0}.:0-9]{0,60}"#) {
            let text = text + &odd;
            if let Some(once) = clean(&text) {
                prop_assert_eq!(clean(&once), Some(once));
            }
        }
    }
}
