//! `a=b&c=d`, or lines of `a=b` → an object of texts.

use serde_json::{Map, Value};

/// Fields of one body; an error has a handful.
const FIELDS_MAX: usize = 100;

/// One field is enough under the media type of forms, two are needed under any other.
pub(super) fn parse(text: &str, media: &str) -> Option<Value> {
    let fields_min = if media.contains("x-www-form-urlencoded") { 1 } else { 2 };
    if text.contains('\n') {
        return lines(text);
    }
    let mut fields = Map::new();
    for pair in text.split('&').take(FIELDS_MAX) {
        let (name, value) = pair.split_once('=')?;
        if !is_name(name) {
            return None;
        }
        fields.insert(name.to_owned(), Value::String(decoded(value)));
    }
    (fields.len() >= fields_min).then_some(Value::Object(fields))
}

/// Lines of `name=value`, perhaps between the marks of a section and of the end (hosting and
/// payment gateways).
fn lines(text: &str) -> Option<Value> {
    let mut fields = Map::new();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_mark = |line: &&str| *line == "EOF" || line.starts_with('[') && line.ends_with(']');
    let mut lines = lines.filter(|line| !is_mark(line)).take(FIELDS_MAX).peekable();
    // Lines as of a header must speak of how the call went, as a sentence may begin so too.
    let separator = if lines.peek()?.contains('=') { "=" } else { ": " };
    let told = |name: &str| {
        let ends = ["status", "status-code", "response", "result", "error", "code"];
        ends.iter().any(|end| name.eq_ignore_ascii_case(end))
    };
    let headed = separator == ": ";
    for line in lines {
        let (name, value) = line.split_once(separator)?;
        let name = name.trim_end();
        if !is_name(name) {
            return None;
        }
        fields.insert(name.to_owned(), Value::String(value.trim_start().to_owned()));
    }
    let enough = !headed || fields.keys().any(|name| told(name));
    (enough && fields.len() >= 2).then_some(Value::Object(fields))
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']');
    !name.is_empty() && name.chars().all(fits)
}

fn decoded(text: &str) -> String {
    let hex = |digits: &[u8]| {
        let plain = digits.iter().all(u8::is_ascii_hexdigit);
        u8::from_str_radix(str::from_utf8(digits).ok().filter(|_| plain)?, 16).ok()
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = tail.get(..2).filter(|_| *first == b'%').and_then(hex);
        bytes.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_decoded() {
        let expected = json!({ "oauth_problem": "rate limit exceeded", "advice": "50% ü" });
        let text = "oauth_problem=rate%20limit+exceeded&advice=50%+%C3%BC";
        assert_eq!(parse(text, "text/plain"), Some(expected));
        let lines = json!({ "code": "530", "description": "It is closed." });
        let text = "[RESPONSE]\r\ncode = 530\r\ndescription = It is closed.\r\nEOF\r\n";
        assert_eq!(parse(text, "text/plain"), Some(lines));
        assert_eq!(parse("a=b\nThe box is empty.", "text/plain"), None);
        let spaced = json!({ "a": "It is closed.", "b": "" });
        assert_eq!(parse("a=It is closed.&b=", "text/plain"), Some(spaced));
        let headed = json!({ "Response": "Error", "Message": "It is closed." });
        assert_eq!(parse("Response: Error\r\nMessage: It is closed.", "text/plain"), Some(headed));
        assert_eq!(parse("Registrar: Depot\nTelephone: 1", "text/plain"), None);
        assert_eq!(parse("a=b", "text/plain"), None);
        assert_eq!(parse("a=b&c", "application/x-www-form-urlencoded"), None);
    }
}
