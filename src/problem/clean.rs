//! Removes from a vendor's texts what must not reach clients: control characters, markup, the
//! gateway's credentials, and by the rules of `leak` what tells of the vendor's inside; and keeps
//! them within their bounds.
//!
//! Cleaning a clean text changes nothing.

use std::borrow::Cow;
use std::sync::LazyLock;

use http::{HeaderName, HeaderValue};
use regex::Regex;
use serde_json::Value;

use super::body::{is_truthy, own_error};
use super::fit::within;
use super::leak::{Leaks, SECRET, is_named, is_secret_member, without_leaks};
use super::prefilter::is_surely_clean;
use super::redact::Redactor;
use super::{DETAIL_CHARS_MAX, DETAILS_BYTES_MAX, ERROR_BYTES_MAX, Problem, SHORT_CHARS_MAX};
use crate::outcome::{CHILDREN_MAX, DETAIL_VALUES_MAX, ErrorMember};

/// Markup nested deeper than this loses only its opening brackets.
const MARKUP_ROUNDS_MAX: usize = 4;
/// Bytes of one text that are cleaned; what follows is cut off. More than any bound lets through.
const CLEANED_BYTES_MAX: usize = 16 * 1024;
/// Members of details that hold a stack trace, without regard to letter case and punctuation.
const TRACE_MEMBERS: [&str; 11] = [
    "stack",
    "stacktrace",
    "trace",
    "backtrace",
    "traceback",
    "stacktraces",
    "traces",
    "callstack",
    "stacktracestring",
    "remotestacktracestring",
    "stackframes",
];

/// Headers that name URLs, hosts and paths for the client to use.
const ADDRESSING: [HeaderName; 7] = [
    http::header::LOCATION,
    http::header::CONTENT_LOCATION,
    http::header::LINK,
    http::header::SET_COOKIE,
    http::header::WWW_AUTHENTICATE,
    http::header::ACCESS_CONTROL_ALLOW_ORIGIN,
    http::header::VIA,
];

/// How much more of a tree is cleaned; what lies behind is cut off anyway.
struct Left {
    values: usize,
    bytes: usize,
}

impl Left {
    /// Counts a clean text, which takes at least as many bytes of JSON.
    fn spend(&mut self, text: &str) {
        self.bytes = self.bytes.saturating_sub(text.len());
    }
}

/// Cleans texts; the default one knows no credentials.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cleaner<'a> {
    redactor: Option<&'a Redactor>,
}

impl<'a> Cleaner<'a> {
    #[must_use]
    pub const fn new(redactor: &'a Redactor) -> Self {
        Self { redactor: Some(redactor) }
    }

    /// The text without what must not reach clients; `None` when nothing is left.
    #[must_use]
    pub fn clean(self, text: &str, chars_max: usize) -> Option<String> {
        if text.len() <= CLEANED_BYTES_MAX && is_surely_clean(text) && !self.holds_secret(text) {
            return trimmed(text, chars_max).map(Cow::into_owned);
        }
        self.clean_by_patterns(text, chars_max)
    }

    /// As [`Self::clean`], without a copy of a clean text.
    #[must_use]
    pub(super) fn clean_owned(self, text: String, chars_max: usize) -> Option<String> {
        if self.is_clean(&text, chars_max) { Some(text) } else { self.clean(&text, chars_max) }
    }

    /// Whether the text surely stays as it is.
    fn is_clean(self, text: &str, chars_max: usize) -> bool {
        (1..=chars_max).contains(&text.len())
            && text.trim().len() == text.len()
            && is_surely_clean(text)
            && !self.holds_secret(text)
    }

    fn clean_by_patterns(self, text: &str, chars_max: usize) -> Option<String> {
        // Secrets are removed first, so that no cut leaves half of one, and once more after the
        // removal of characters that may have split them.
        let text = self.without_secrets(text);
        let mut end = text.len().min(CLEANED_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = without_markup(printable(&text[..end]));
        let text = self.without_secrets(&text);
        trimmed(&without_leaks(&text, Leaks::All), chars_max).map(Cow::into_owned)
    }

    /// The value without what must not reach clients, as at most `bytes_max` bytes of JSON.
    #[must_use]
    pub fn details(self, mut value: Value, bytes_max: usize) -> Option<Value> {
        let mut left = Left { values: DETAIL_VALUES_MAX, bytes: bytes_max };
        self.clean_value(&mut value, &mut left).then(|| within(value, bytes_max))
    }

    /// A member `error` without what must not reach clients; `None` when nothing is left of it.
    pub(super) fn error(self, error: ErrorMember) -> Option<ErrorMember> {
        let clean =
            |text: Option<String>, chars_max| text.and_then(|it| self.clean_owned(it, chars_max));
        Some(ErrorMember {
            value: self.details(error.value, ERROR_BYTES_MAX).filter(is_truthy)?,
            description: clean(error.description, DETAIL_CHARS_MAX),
            uri: clean(error.uri, SHORT_CHARS_MAX),
        })
    }

    /// Whether anything is left of the value.
    fn clean_value(self, value: &mut Value, left: &mut Left) -> bool {
        if left.values == 0 || left.bytes == 0 {
            return false;
        }
        left.values -= 1;
        match value {
            Value::Null | Value::Bool(_) => true,
            Value::Number(number) => {
                if let Some(redactor) = self.redactor
                    && let Cow::Owned(shown) = redactor.redact(&number.to_string())
                {
                    *value = shown.into();
                }
                true
            }
            Value::String(text) => match self.clean_owned(std::mem::take(text), DETAIL_CHARS_MAX) {
                Some(clean) => {
                    left.spend(&clean);
                    *text = clean;
                    true
                }
                None => false,
            },
            Value::Array(items) => {
                let was_empty = items.is_empty();
                items.retain_mut(|item| self.clean_value(item, left));
                items.is_empty() == was_empty
            }
            Value::Object(members) => {
                let was_empty = members.is_empty();
                let mut names_are_clean = true;
                members.retain(|name, value| {
                    let text = value.as_str();
                    if text.is_some_and(|text| is_secret_member(name, text)) {
                        *value = SECRET.into();
                    } else if is_trace(name, text) || !self.clean_value(value, left) {
                        return false;
                    }
                    if self.is_clean(name, SHORT_CHARS_MAX) {
                        left.spend(name);
                    } else {
                        names_are_clean = false;
                    }
                    true
                });
                if !names_are_clean {
                    let named = std::mem::take(members).into_iter().filter_map(|(name, value)| {
                        Some((self.clean_owned(name, SHORT_CHARS_MAX)?, value))
                    });
                    *members = named.collect();
                }
                members.is_empty() == was_empty
            }
        }
    }

    /// Cleans a problem that came from elsewhere.
    pub(super) fn clean_problem(self, problem: &mut Problem) {
        let detail = self.clean(&problem.detail, DETAIL_CHARS_MAX);
        problem.detail = detail.unwrap_or_else(|| problem.code.title().to_owned() + ".");
        let error = self.error(std::mem::take(&mut problem.error));
        problem.error = error.unwrap_or_else(|| own_error(problem.code, &problem.detail));
        let clean = |text: &mut Option<String>, chars_max: usize| {
            *text = text.take().and_then(|text| self.clean_owned(text, chars_max));
        };
        clean(&mut problem.request_id, SHORT_CHARS_MAX);
        clean(&mut problem.support, SHORT_CHARS_MAX);
        clean(&mut problem.documentation, SHORT_CHARS_MAX);
        if let Some(upstream) = &mut problem.upstream {
            let details = upstream.details.take();
            upstream.details = details.and_then(|value| self.details(value, DETAILS_BYTES_MAX));
            clean(&mut upstream.reason, DETAIL_CHARS_MAX);
            clean(&mut upstream.name, SHORT_CHARS_MAX);
            clean(&mut upstream.code, SHORT_CHARS_MAX);
            clean(&mut upstream.reference, SHORT_CHARS_MAX);
            clean(&mut upstream.operation, SHORT_CHARS_MAX);
            clean(&mut upstream.occurred_at, SHORT_CHARS_MAX);
        }
        problem.errors.truncate(CHILDREN_MAX);
        for item in &mut problem.errors {
            clean(&mut item.detail, DETAIL_CHARS_MAX);
            clean(&mut item.code, SHORT_CHARS_MAX);
            clean(&mut item.pointer, SHORT_CHARS_MAX);
        }
    }

    /// The value of a vendor's header without the gateway's secrets and without what tells of the
    /// vendor's inside; `None` when its name holds a secret.
    pub(super) fn header(self, name: &HeaderName, value: &HeaderValue) -> Option<HeaderValue> {
        if self.holds_secret(name.as_str()) {
            return None;
        }
        let redacted = self.redactor.and_then(|redactor| redactor.redact_value(value));
        let value = redacted.as_ref().unwrap_or(value);
        let text = value.to_str().ok().filter(|text| !is_surely_clean(text));
        // Addresses that the client is told to use are its own.
        let text = text.filter(|_| !ADDRESSING.contains(name));
        let shown = text.map(|text| without_leaks(text, Leaks::Internals));
        match shown {
            Some(Cow::Owned(shown)) => HeaderValue::try_from(shown).ok(),
            Some(Cow::Borrowed(_)) | None => Some(value.clone()),
        }
    }

    fn holds_secret(self, text: &str) -> bool {
        self.redactor.is_some_and(|redactor| redactor.finds(text.as_bytes()))
    }

    fn without_secrets(self, text: &str) -> Cow<'_, str> {
        self.redactor.map_or(Cow::Borrowed(text), |redactor| redactor.redact(text))
    }
}

/// Whether a member with this name and text holds a stack trace. The id of a trace is none.
fn is_trace(name: &str, text: Option<&str>) -> bool {
    is_named(name, &TRACE_MEMBERS) && text.is_none_or(|text| text.contains(char::is_whitespace))
}

/// Removes control characters other than newline and tab, invisible ones, and marks that change the
/// direction of reading; every kind of line break becomes a newline.
fn printable(text: &str) -> Cow<'_, str> {
    let is_changed =
        |c: char| is_hidden(c) || is_joiner(c) || matches!(c, '\r' | '\u{2028}' | '\u{2029}');
    if !text.contains(is_changed) {
        return Cow::Borrowed(text);
    }
    let lines = text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}'], "\n");
    let mut shown = String::with_capacity(lines.len());
    let mut characters = lines.chars().filter(|c| !is_hidden(*c)).peekable();
    while let Some(c) = characters.next() {
        // Persian words and emoji need joiners; between other characters they only hide something.
        let joins = |next: Option<char>| next.is_some_and(|c| !c.is_ascii() && !is_joiner(c));
        if !is_joiner(c) || (joins(shown.chars().next_back()) && joins(characters.peek().copied()))
        {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

const fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' | '\r' => false,
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{fffe}'
        | '\u{ffff}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => true,
        c => c.is_ascii_control() || matches!(c, '\u{80}'..='\u{9f}'),
    }
}

/// Removing markup may join the halves of more markup, hence the rounds.
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

/// The text without surrounding whitespace, cut to `chars_max`; `None` when it is blank.
fn trimmed(text: &str, chars_max: usize) -> Option<Cow<'_, str>> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if text.len() <= chars_max || text.char_indices().nth(chars_max).is_none() {
        return Some(Cow::Borrowed(text));
    }
    let kept: String = text.chars().take(chars_max - 1).collect();
    Some(Cow::Owned(kept.trim_end().to_owned() + "…"))
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
        r"|tbody|td|textarea|th|thead|title|tr|tt|u|ul|video)(?:[\s/][^<>]*)?>",
        // With an attribute, whatever its name; one that is not closed may be by what surrounds it.
        r"|</?[a-z][\w:-]*[\s/]+[\w:-]+\s*=[^<>]*>|<[a-z][\w:-]*[\s/]+(?:on[a-z]+|src|href|style)\s*=[^<>]*",
    ))
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Fragments of what the patterns find, for the property test to combine.
    const TRIGGERS: [&str; 98] = [
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
        "SELECT a",
        " FROM ",
        " from t where ",
        "UPDATE a SET ",
        "update a set b =",
        "DELETE FROM ",
        "INSERT INTO a (",
        "password",
        "=",
        ": ",
        "=x",
        "api_key",
        "?sig=",
        "a1b2c3d4e5f6g7h8",
        "\"",
        "Bearer ",
        "basic ",
        "AKIAIOSFODNN7EXAMPLE",
        "AIza",
        "sk_live_",
        "sk-",
        "ghp_",
        "hf_",
        "xoxb-",
        "glpat-",
        "eyJhbGciOiJ9.",
        "eyJhbGciOiJ9",
        "0123456789abcdef0123456789abcdef0123",
        "4111 1111 1111 1111",
        "5555555555554444",
        "411111",
        "-----BEGIN PRIVATE KEY-----",
        "postgres://",
        "u:p@",
        "Server=a;",
        "/var/a",
        "/app/a.js",
        "C:\\a",
        "\\\\a\\b",
        "ip-10-0-0-1",
        "a:5432",
        "ENOTFOUND a",
        "ECONNREFUSED ",
        "EAI_AGAIN b",
        "lookup a: no such host",
        "panicked at a:1",
        "thread 'a' ",
        "stack backtrace:",
        "\u{200d}",
        "\u{ad}",
    ];

    static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new([&b"s3cr3t-key"[..]]));

    fn clean(text: &str) -> Option<String> {
        Cleaner::new(&REDACTOR).clean(text, 100)
    }

    #[test]
    fn an_ordinary_sentence_is_unchanged() {
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
    fn control_characters_markup_secrets_hosts_and_traces_are_removed() {
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
            ("<svg/onload=alert(1)>a<x onclick=b>c<img src=x onerror=alert(1) d", "ac"),
            ("pass\u{200d}word a\u{ad}b \u{200c}c", "password ab c"),
            (
                "\u{645}\u{6cc}\u{200c}\u{62e} 👨\u{200d}👩",
                "\u{645}\u{6cc}\u{200c}\u{62e} 👨\u{200d}👩",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(clean(text).as_deref(), Some(expected), "{text:?}");
        }
        assert_eq!(clean(" \u{200b}\n<br/> "), None);
    }

    #[test]
    fn headers_lose_what_tells_of_the_inside_and_keep_what_the_client_needs() {
        let rows = [
            ("x-backend", "ip-10-0-3-7.ec2.internal", "[internal host]"),
            ("x-debug-exception-file", "/var/www/app/a.php:12", "[file]"),
            ("x-debug", "10.0.0.9:80 s3cr3t-key", "[internal host] [secret]"),
            ("set-cookie", "s=sk_live_0123456789abcdef; Domain=a.local", ""),
            ("location", "http://10.0.0.9/x", ""),
            ("x-session", "sk_live_0123456789abcdef", ""),
            ("date", "Thu, 01 Jan 2026 00:00:30 GMT", ""),
        ];
        for (name, value, expected) in rows {
            let expected = if expected.is_empty() { value } else { expected };
            let value = HeaderValue::from_static(value);
            let shown = Cleaner::new(&REDACTOR).header(&HeaderName::from_static(name), &value);
            assert_eq!(shown.unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn details_keep_numbers_and_empty_values_as_written() {
        let text = r#"{"a":1.0,"b":1e+400,"c":12345678901234567890,"d":-0,"e":[],"f":{},"g":[{},null,[]],"h":0.1000000000000000055,"i":1e+5}"#;
        let details: Value = serde_json::from_str(text).unwrap();
        let shown = Cleaner::default().details(details, 4096).unwrap();
        assert_eq!(shown.to_string(), text);
        let numbers = Redactor::new([&b"1234567890"[..]]);
        let shown = Cleaner::new(&numbers).details(serde_json::json!({ "n": 1_234_567_890 }), 4096);
        assert_eq!(shown, Some(serde_json::json!({ "n": "[secret]" })));
        let traced = serde_json::json!({ "inner": { "stack": "at x" }, "lines": [" "] });
        assert_eq!(Cleaner::default().details(traced, 4096), None);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = clean(&"ß".repeat(300)).unwrap();
        assert_eq!(long.chars().count(), 100);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn details_are_cut_to_their_bound_and_lose_stack_traces() {
        let long = serde_json::json!({ "stackTrace": ["x"], "list": vec!["ab\"c"; 3000], "n": 1 });
        let details = Cleaner::default().details(long, 200).unwrap();
        let length = details.to_string().len();
        assert!(details.get("stackTrace").is_none());
        assert!((150..=200).contains(&length), "{length}");
        assert_eq!(Cleaner::default().details(details.clone(), 200), Some(details));
    }

    proptest! {
        #[test]
        fn the_prefilter_never_passes_what_the_patterns_would_change(
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
            let cleaner = Cleaner::new(&REDACTOR);
            prop_assert_eq!(cleaner.clean(&text, 100), cleaner.clean_by_patterns(&text, 100));
        }

        #[test]
        fn cleaning_is_idempotent(text in "(?s:.{0,200})", odd in r#"[<>/a-b ="\n\u{0}.:0-9]{0,60}"#) {
            let text = text + &odd;
            if let Some(once) = clean(&text) {
                prop_assert_eq!(clean(&once), Some(once));
            }
        }
    }
}
