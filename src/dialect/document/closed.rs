//! JSON that breaks off, or that holds more than anyone reads → the part up to there, closed.

use std::borrow::Cow;

/// Values of one document; a hostile body has one for every two bytes. An object of one member
/// takes about 500 bytes, so that the tree stays near 1 MiB.
const VALUES_MAX: usize = 2_500;
/// A shorter text cannot hold too many values and is not searched for it.
const SURELY_SMALL_BYTES: usize = 2 * VALUES_MAX;
/// Deeper documents are left to serde_json, which refuses them at the same depth.
const DEPTH_MAX: usize = 127;
/// Of a sentence that breaks off earlier, nothing is kept.
const WORDS_MIN: usize = 2;

/// The text, up to its value [`VALUES_MAX`] where it has more.
pub(super) fn bounded(text: &str) -> Cow<'_, str> {
    let small = text.len() <= SURELY_SMALL_BYTES || !text.starts_with(['{', '[']);
    let scan = (!small).then(|| Scan::of(text)).filter(|scan| scan.stopped);
    scan.map_or(Cow::Borrowed(text), |scan| Cow::Owned(scan.closed(text)))
}

/// The text with everything closed that it leaves open; `None` where it leaves nothing open.
///
/// A name without a value, a number or a literal at the end may be incomplete and goes. Of a
/// sentence the whole words stay.
pub(super) fn closed(text: &str) -> Option<String> {
    let scan = Scan::of(text);
    (!scan.open.is_empty() && !scan.too_deep).then(|| scan.closed(text))
}

/// What a pass over the text found.
#[derive(Default)]
struct Scan {
    /// What would close the open objects and arrays, the innermost last.
    open: Vec<u8>,
    /// The text may end here, once these are closed.
    end: usize,
    /// The text has more than [`VALUES_MAX`].
    stopped: bool,
    too_deep: bool,
    /// The start of a sentence that breaks off, behind its quote.
    sentence: Option<usize>,
    /// Whether the next string is a member's name, by open object or array.
    expects_name: bool,
}

impl Scan {
    fn of(text: &str) -> Self {
        let mut scan = Self::default();
        let bytes = text.as_bytes();
        let (mut at, mut values) = (0, 0);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    let Some(length) = string_length(&bytes[at..]) else {
                        scan.sentence = (!scan.expects_name).then_some(at + 1);
                        break;
                    };
                    at += length;
                    if !scan.expects_name {
                        (scan.end, values) = (at, values + 1);
                    }
                    scan.expects_name = false;
                    continue;
                }
                b'{' | b'[' if scan.open.len() == DEPTH_MAX => {
                    scan.too_deep = true;
                    break;
                }
                b'{' | b'[' if values >= VALUES_MAX => {
                    scan.stopped = true;
                    break;
                }
                b'{' | b'[' => {
                    scan.open.push(byte + 2); // `}` and `]` stand two behind `{` and `[`.
                    scan.expects_name = *byte == b'{';
                    (scan.end, values) = (at + 1, values + 1);
                }
                b'}' | b']' => {
                    scan.open.pop();
                    scan.expects_name = false;
                    scan.end = at + 1;
                }
                b',' => scan.expects_name = scan.open.last() == Some(&b'}'),
                b':' | b' ' | b'\t' | b'\r' | b'\n' => {}
                _ => {
                    let word = |byte: &u8| {
                        byte.is_ascii_alphanumeric()
                            || !byte.is_ascii()
                            || matches!(byte, b'+' | b'-' | b'.' | b'_')
                    };
                    let length = bytes[at..].iter().take_while(|byte| word(byte)).count().max(1);
                    at += length;
                    if at < bytes.len() {
                        (scan.end, values) = (at, values + 1);
                    }
                    continue;
                }
            }
            at += 1;
            if scan.open.is_empty() || values > VALUES_MAX {
                scan.stopped = values > VALUES_MAX;
                break;
            }
        }
        scan
    }

    fn closed(self, text: &str) -> String {
        let sentence = self.sentence.and_then(|start| {
            let words = text[start..].trim_end().rfind(char::is_whitespace)?;
            let enough = text[start..start + words].split_whitespace().count() >= WORDS_MIN;
            enough.then(|| format!("{}…\"", text[..start + words].trim_end()))
        });
        let mut closed = sentence.unwrap_or_else(|| text[..self.end].to_owned());
        closed.extend(self.open.iter().rev().map(|byte| char::from(*byte)));
        closed
    }
}

/// The length of a string with its quotes, if it ends.
fn string_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_breaks_off_is_read_up_to_the_last_complete_value() {
        let rows = [
            (r#"{"a":"b","c"#, r#"{"a":"b"}"#),
            (r#"{"a":"b","c":"#, r#"{"a":"b"}"#),
            (r#"{"a":"b","c":12"#, r#"{"a":"b"}"#),
            (r#"{"a":"b","c":tr"#, r#"{"a":"b"}"#),
            (r#"{"a":{"b":[1,2,{"c":"d"#, r#"{"a":{"b":[1,2,{}]}}"#),
            (r#"{"a":"Wait for 12"#, r#"{"a":"Wait for…"}"#),
            (r#"{"a":"The requ"#, "{}"),
            (r#"{"a":-1𐀀5"#, "{}"),
            (r#"{"a":[1,2]"#, r#"{"a":[1,2]}"#),
            ("[", "[]"),
            (r#"{"a":"x\"#, "{}"),
        ];
        for (text, expected) in rows {
            assert_eq!(closed(text).as_deref(), Some(expected), "{text}");
            assert!(serde_json::from_str::<Value>(expected).is_ok(), "{expected}");
        }
        for text in ["", "x", "{}", r#"{"a":"b"}"#, "[1,2]", r#""a"#] {
            assert_eq!(closed(text), None, "{text}");
        }
    }

    #[test]
    fn values_and_depth_are_bounded() {
        let rows =
            ["[1,", r#"[{"a":1},"#, "[\"\","].map(|unit| format!("[{}", unit[1..].repeat(100_000)));
        for text in rows {
            let bounded = bounded(&text);
            assert!(bounded.len() < 40_000, "{} of {}", bounded.len(), &text[..10]);
            assert!(serde_json::from_str::<Value>(&bounded).is_ok(), "{}", &text[..10]);
        }
        let long = format!("{{\"a\":\"{}\"}}", "b".repeat(100_000));
        assert_eq!(bounded(&long), long);
    }

    proptest! {
        #[test]
        fn the_beginning_of_a_document_is_a_document(
            text in r#"\{("[a-c ]{0,5}":(1|true|"[a-z ]{0,9}"|\[1,\{\}\]),){0,4}"z":\[\{"y":-1\.5e3\}\]\}"#,
            cut in 1_usize..100,
        ) {
            prop_assume!(cut < text.len());
            let closed = closed(&text[..cut]).unwrap();
            prop_assert!(serde_json::from_str::<Value>(&closed).is_ok(), "{closed}");
        }

        #[test]
        fn nothing_panics(text in r#"[\[\]{}":,\\ a1ü]{0,80}"#) {
            let _ = (closed(&text), bounded(&text));
        }
    }
}
