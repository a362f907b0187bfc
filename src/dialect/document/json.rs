//! Text → JSON, tolerant of the mistakes that vendors are known to make.
//!
//! `closed::bounded` limits the number of values and the depth. Of a duplicate key the last value
//! counts, and numbers keep the digits they were written with.

use serde_json::Value;

use super::closed;

/// How many layers of JSON inside a JSON string are opened.
const WRAPPINGS_MAX: usize = 2;

/// The value of a text that is JSON or can be repaired to be.
pub(super) fn parse(text: &str) -> Option<Value> {
    let text = closed::bounded(text);
    let repair = |_| serde_json::from_str(&repaired(&text));
    let mut value = serde_json::from_str(&text).or_else(repair).ok()?;
    for _ in 0..WRAPPINGS_MAX {
        let Value::String(text) = &value else { break };
        let inner = text.trim();
        if !inner.starts_with(['{', '[', '"']) {
            break;
        }
        let Ok(inner) = serde_json::from_str(&closed::bounded(inner)) else { break };
        value = inner;
    }
    Some(value)
}

/// The value of a text that is a JSON object or array.
pub(crate) fn inside(text: &str) -> Option<Value> {
    let text = text.trim();
    if text.starts_with(['{', '[']) { parse(text) } else { None }
}

/// Replaces `NaN`, numbers out of grammar, lone surrogates and raw control characters.
fn repaired(text: &str) -> String {
    let mut repaired = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(quote) = rest.find('"') {
        repair_bare(&rest[..quote], &mut repaired);
        let string = string_end(&rest[quote..]);
        repair_string(&rest[quote..quote + string], &mut repaired);
        rest = &rest[quote + string..];
    }
    repair_bare(rest, &mut repaired);
    repaired
}

/// The length of a string with its quotes; everything when it never ends.
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

/// Repairs literals and numbers between strings.
fn repair_bare(text: &str, repaired: &mut String) {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '_');
    let mut rest = text;
    while let Some(start) = rest.find(word) {
        repaired.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
        match &rest[..end] {
            "NaN" | "Infinity" | "-Infinity" | "+Infinity" | "undefined" | "None" => {
                repaired.push_str("null");
            }
            "True" => repaired.push_str("true"),
            "False" => repaired.push_str("false"),
            number
                if number.starts_with(|c: char| c.is_ascii_digit() || c == '-')
                    && serde_json::from_str::<Value>(number).is_err() =>
            {
                repaired.push_str(&format!("\"{number}\""));
            }
            other => repaired.push_str(other),
        }
        rest = &rest[end..];
    }
    repaired.push_str(rest);
}

/// Repairs escapes and raw control characters inside a string.
fn repair_string(text: &str, repaired: &mut String) {
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let taken = match next {
            '\\' => repair_escape(rest, repaired),
            control if control < ' ' => {
                repaired.push_str(&format!("\\u{:04x}", u32::from(control)));
                1
            }
            plain => {
                repaired.push(plain);
                plain.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
}

/// Copies one escape, or one pair of surrogates, and returns the length of the original.
fn repair_escape(text: &str, repaired: &mut String) -> usize {
    let Some(unit) = unit(text) else {
        let taken = 1 + text[1..].chars().next().map_or(0, char::len_utf8);
        let known = text[1..].starts_with(['"', '\\', '/', 'b', 'f', 'n', 'r', 't']);
        repaired.push_str(if known { &text[..taken] } else { "\\ufffd" });
        return taken;
    };
    let low = text.get(6..).and_then(self::unit);
    let pair = matches!(unit, 0xd800..=0xdbff) && matches!(low, Some(0xdc00..=0xdfff));
    let lone = !pair && matches!(unit, 0xd800..=0xdfff);
    let taken = if pair { 12 } else { 6 };
    repaired.push_str(if lone { "\\ufffd" } else { &text[..taken] });
    taken
}

/// The UTF-16 unit of a `\u` escape at the start of a text.
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
    fn common_mistakes_of_vendors_are_repaired() {
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
        let repaired = numbers.replace("[1.0", "[NaN,1.0");
        assert_eq!(parse(&repaired).unwrap().to_string(), numbers.replace("[1.0", "[null,1.0"));
        assert_eq!(parse("[1E5,1e400]").unwrap().to_string(), "[1e+5,1e+400]", "the same numbers");
    }

    #[test]
    fn other_texts_are_not_json() {
        for text in ["{", "{\"a\":}", "{\"a\":\"b", "hello"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in r#"[\[\]{}":,\\ua-f0-9dD.eE+N\n -]{0,80}"#, any in "(?s:.{0,60})") {
            let _ = (parse(&text), parse(&any), inside(&any));
        }
    }
}
