//! Text → JSON, forgiving where vendors are known to err.
//!
//! Depth is bounded by the parser (128). Of a key that occurs twice the last one counts. A number
//! keeps the digits it was written with.

use serde_json::Value;

/// JSON inside JSON is opened this often.
const WRAPPINGS_MAX: usize = 2;

/// The value of a text, if it is JSON or can be mended to be.
pub(super) fn parse(text: &str) -> Option<Value> {
    let value = serde_json::from_str(text).or_else(|_| serde_json::from_str(&mended(text))).ok()?;
    Some(unwrapped(value))
}

/// The JSON inside a text, if the text is nothing else.
pub(in crate::dialect) fn inside(text: &str) -> Option<Value> {
    let text = text.trim();
    if text.starts_with(['{', '[']) { parse(text) } else { None }
}

fn unwrapped(mut value: Value) -> Value {
    for _ in 0..WRAPPINGS_MAX {
        let Value::String(text) = &value else { return value };
        let trimmed = text.trim();
        if !trimmed.starts_with(['{', '[', '"']) {
            return value;
        }
        let Ok(inner) = serde_json::from_str(trimmed) else { return value };
        value = inner;
    }
    value
}

/// The text with `NaN`, numbers that JSON does not know, lone surrogates and raw control characters
/// made readable.
fn mended(text: &str) -> String {
    let mut mended = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(quote) = rest.find('"') {
        mend_bare(&rest[..quote], &mut mended);
        let string = string_end(&rest[quote..]);
        mend_string(&rest[quote..quote + string], &mut mended);
        rest = &rest[quote + string..];
    }
    mend_bare(rest, &mut mended);
    mended
}

/// Bytes of a string with its quotes; everything when it never ends.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (place, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return place + 1,
            _ => {}
        }
    }
    text.len()
}

/// Between strings: words and numbers.
fn mend_bare(text: &str, mended: &mut String) {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '_');
    let mut rest = text;
    while let Some(start) = rest.find(word) {
        mended.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
        mended.push_str(&mend_word(&rest[..end]));
        rest = &rest[end..];
    }
    mended.push_str(rest);
}

fn mend_word(word: &str) -> String {
    match word {
        "NaN" | "Infinity" | "-Infinity" | "+Infinity" | "undefined" | "None" => "null".to_owned(),
        "True" => "true".to_owned(),
        "False" => "false".to_owned(),
        number if number.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
            match serde_json::from_str::<Value>(number) {
                Ok(_) => number.to_owned(),
                Err(_) => format!("\"{number}\""),
            }
        }
        other => other.to_owned(),
    }
}

/// Inside a string: escapes that stand for half a character, and raw control characters.
fn mend_string(text: &str, mended: &mut String) {
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let taken = match next {
            '\\' => mend_escape(rest, mended),
            control if control < ' ' => {
                mended.push_str(&format!("\\u{:04x}", u32::from(control)));
                1
            }
            plain => {
                mended.push(plain);
                plain.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
}

/// Copies one escape, or one pair of surrogates, and returns the bytes it took.
fn mend_escape(text: &str, mended: &mut String) -> usize {
    let Some(unit) = unit(text) else {
        let taken = 1 + text[1..].chars().next().map_or(0, char::len_utf8);
        let known = text[1..].starts_with(['"', '\\', '/', 'b', 'f', 'n', 'r', 't']);
        mended.push_str(if known { &text[..taken] } else { "\\ufffd" });
        return taken;
    };
    let low = text.get(6..).and_then(self::unit);
    let pair = matches!(unit, 0xd800..=0xdbff) && matches!(low, Some(0xdc00..=0xdfff));
    let lone = !pair && matches!(unit, 0xd800..=0xdfff);
    let taken = if pair { 12 } else { 6 };
    mended.push_str(if lone { "\\ufffd" } else { &text[..taken] });
    taken
}

/// The number of a `\u` escape (four hex digits) at the start of a text.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if plain { u16::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_vendors_send_is_read() {
        let rows = [
            (r#"{"a":NaN,"b":-Infinity,"c":01}"#, json!({"a":null,"b":null,"c":"01"})),
            (
                r#"{"a":"\ud800x\udc00","b":"\ud83d\ude00"}"#,
                json!({"a":"\u{fffd}x\u{fffd}","b":"😀"}),
            ),
            ("{\"a\":\"x\ny\u{1}\"}", json!({"a":"x\ny\u{1}"})),
            (r#"{"a":1,"a":2}"#, json!({"a":2})),
            (r#""{\"a\":\"b\"}""#, json!({"a":"b"})),
            (r#""\"{\\\"a\\\":1}\"""#, json!({"a":1})),
            (r#"{"a":"\q","n":NaN}"#, json!({"a":"\u{fffd}","n":null})),
            ("\"plain\"", json!("plain")),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        let numbers = "[1.0,1e+400,12345678901234567890,-0,0.1000000000000000055,1.50e-7]";
        assert_eq!(parse(numbers).unwrap().to_string(), numbers);
        let mended = numbers.replace("[1.0", "[NaN,1.0");
        assert_eq!(parse(&mended).unwrap().to_string(), numbers.replace("[1.0", "[null,1.0"));
        assert_eq!(parse("[1E5,1e400]").unwrap().to_string(), "[1e+5,1e+400]", "the same numbers");
    }

    #[test]
    fn what_is_no_json_is_none() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        for text in ["{", "{\"a\":}", "{\"a\":\"b", "hello", &deep] {
            assert_eq!(parse(text), None, "{}", &text[..text.len().min(20)]);
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in r#"[\[\]{}":,\\ua-f0-9dD.eE+N\n -]{0,80}"#, any in "(?s:.{0,60})") {
            let _ = (parse(&text), parse(&any), inside(&any));
        }
    }
}
