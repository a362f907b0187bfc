//! The bytes of a body → one tree, whatever `Content-Type` claims.
//!
//! `decode` undoes content codings, `charset` finds the text, this file recognises the format, and
//! `json`, `xml`, `form` and `html` parse. `embedded` finds JSON that is not the whole text,
//! `closed` what is left of JSON that breaks off. Nothing fails: a body that cannot be read is
//! [`BodyFormat::Unreadable`].

mod charset;
mod closed;
mod cut;
mod decode;
mod embedded;
mod entities;
mod form;
mod html;
pub(super) mod json;
pub(super) mod pointer;
mod xml;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;

pub use decode::{BODY_BYTES_MAX, BrokenOff, decoded, is_compressed};
use xml::Xml;

/// A body as one tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    pub(super) format: BodyFormat,
    /// JSON as it is, XML and form fields as objects, sentences and that of a page as a string, or
    /// as `message` where the page has a `code`.
    pub(super) tree: Value,
    /// The decoded body, without markup.
    pub(super) text: String,
}

/// What a body turned out to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum BodyFormat {
    #[default]
    Empty,
    Json,
    Html,
    /// `a=b&c=d`.
    Form,
    /// Sentences.
    Text,
    Xml,
    /// Incomplete, over a limit, in a broken encoding, or not text.
    Unreadable,
}

/// More than one unreadable character in this many, and a body is not text.
const UNREADABLE_SHARE: usize = 10;

impl Document {
    /// Reads a body as it was sent; `None` stands for one that is incomplete.
    pub(super) fn read(headers: &HeaderMap, body: Option<Bytes>) -> Self {
        let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media = media.unwrap_or_default().to_ascii_lowercase();
        match body.and_then(|raw| decoded(raw, headers, BrokenOff::Kept)) {
            Some(bytes) => Self::parse(charset::text_of(bytes, &media), &media),
            None => Self::unreadable(),
        }
    }

    fn unreadable() -> Self {
        Self { format: BodyFormat::Unreadable, ..Self::default() }
    }

    fn parse(whole: String, media: &str) -> Self {
        let text = whole.trim();
        if text.is_empty() {
            return Self::default();
        }
        if let Some(tree) = Self::json(text, media) {
            // Without a copy, as the body may be long.
            let text = if text.len() == whole.len() { whole } else { text.to_owned() };
            return Self { format: BodyFormat::Json, tree, text };
        }
        let odd =
            |c: &char| *c == '\u{fffd}' || *c == '\0' || (c.is_control() && !c.is_whitespace());
        if text.chars().filter(odd).count() * UNREADABLE_SHARE > text.chars().count() {
            return Self::unreadable();
        }
        if html::is_page(text, media) {
            let tree = html::tree(text);
            return Self { format: BodyFormat::Html, tree, text: html::visible(text) };
        }
        if text.starts_with('<') {
            return Self::xml(text);
        }
        if let Some(tree) = form::parse(text, media) {
            return Self { format: BodyFormat::Form, tree, text: text.to_owned() };
        }
        // `[ERROR] …` is a sentence.
        let is_label = |rest: &str| rest.starts_with(|c: char| c.is_alphabetic());
        let broken_json =
            text.starts_with('{') || text.strip_prefix('[').is_some_and(|rest| !is_label(rest));
        let tree = if broken_json { Value::Null } else { Value::String(text.to_owned()) };
        Self { format: BodyFormat::Text, tree, text: text.to_owned() }
    }

    /// The JSON that a text is or holds. Objects, lists and quoted texts are JSON under any label,
    /// bare words only under JSON's.
    fn json(text: &str, media: &str) -> Option<Value> {
        let inner = embedded::unguarded(text);
        let structured = inner.starts_with(['{', '[']);
        if structured || inner.starts_with('"') || media.contains("json") {
            let tree = json::parse(inner);
            let tree = tree.or_else(|| embedded::among_several(inner));
            let cut = || json::parse(&closed::closed(inner)?);
            let tree = tree.or_else(|| if structured { cut() } else { None });
            if tree.is_some() {
                return tree;
            }
        }
        let stream = embedded::in_events(text);
        // The warnings of a script are markup before JSON; a document ends with a tag.
        let mixed = !text.starts_with('<') || text.ends_with(['}', ']']);
        stream
            .or_else(|| if mixed && !html::is_whole(text) { embedded::in_text(text) } else { None })
    }

    /// A document whose only text is a document itself, as old web services write it, is that one.
    fn xml(text: &str) -> Self {
        let Some(Xml { tree, text }) = xml::parse(text) else {
            let text = html::visible(text);
            return Self { format: BodyFormat::Xml, tree: Value::Null, text };
        };
        let root = tree.as_object().and_then(|members| members.values().next());
        let inner = root.and_then(Value::as_str).unwrap_or_default();
        if let Some(tree) = json::inside(inner) {
            return Self { format: BodyFormat::Json, tree, text };
        }
        let inner = if inner.starts_with('<') { xml::parse(inner) } else { None };
        let Xml { tree, text } = inner.unwrap_or(Xml { tree, text });
        Self { format: BodyFormat::Xml, tree, text }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(media: &str, bytes: &[u8]) -> Document {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(media).unwrap());
        Document::read(&headers, Some(Bytes::copy_from_slice(bytes)))
    }

    #[test]
    fn the_bytes_decide_the_format_not_the_label() {
        let rows: [(&str, &[u8], BodyFormat); 14] = [
            ("text/html", b" {\"a\":1}", BodyFormat::Json),
            ("", b"[1]", BodyFormat::Json),
            ("application/json", b"<html><title>x</title>", BodyFormat::Html),
            ("application/json", b"oops", BodyFormat::Text),
            ("application/json", b"null", BodyFormat::Json),
            ("text/plain", b"null", BodyFormat::Text),
            ("application/xml", b"<?xml version='1.0'?><a>b</a>", BodyFormat::Xml),
            ("text/html", b"<Error><Code>x</Code></Error>", BodyFormat::Xml),
            ("application/x-www-form-urlencoded", b"a=b", BodyFormat::Form),
            ("text/plain", b"a=b&c=d", BodyFormat::Form),
            ("text/plain", b"x = y & z", BodyFormat::Text),
            ("text/plain", b"[ERROR] it is closed", BodyFormat::Text),
            ("text/plain", b"  \r\n", BodyFormat::Empty),
            ("text/plain", b"\x00\x01\x02\x03abc\xff", BodyFormat::Unreadable),
        ];
        for (media, bytes, format) in rows {
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(read(media, bytes).format, format, "{media} {text}");
        }
    }

    #[test]
    fn json_is_found_wherever_it_stands() {
        let error = json!({ "error": { "message": "busy" } });
        let rows = [
            format!("{error}"),
            format!(")]}}'\n{error}"),
            format!("cb({error});"),
            format!("{{\"n\":1}}\n{error}\n"),
            format!("event: error\ndata: {error}\n\n"),
            format!("Error 503: {error}"),
            format!("<br />\n<b>Notice</b>: x in <b>/a.php</b><br />\n{error}"),
            "{\"error\":{\"message\":\"busy\",\"co".to_owned(),
        ];
        for text in rows {
            let found = read("text/plain", text.as_bytes());
            assert_eq!((found.format, &found.tree), (BodyFormat::Json, &error), "{text}");
        }
        let page = "<html><title>Down</title><script>x={\"error\":1}</script></html>";
        assert_eq!(read("text/html", page.as_bytes()).format, BodyFormat::Html);
    }

    /// Bytes of a tree, with what its collections allocate beside.
    fn bytes_of(tree: &Value) -> usize {
        let own = size_of::<Value>();
        own + match tree {
            Value::Null | Value::Bool(_) => 0,
            Value::Number(number) => number.to_string().len().max(16),
            Value::String(text) => text.capacity().max(16),
            Value::Array(items) => {
                let spare = items.capacity() - items.len();
                spare * own + items.iter().map(bytes_of).sum::<usize>()
            }
            Value::Object(members) => {
                let entry = own + size_of::<String>() + 3 * size_of::<usize>();
                let inside =
                    members.iter().map(|(name, value)| name.len().max(16) + bytes_of(value));
                entry * members.len().next_power_of_two().max(4) + inside.sum::<usize>()
            }
        }
    }

    #[test]
    fn hostile_bodies_stay_within_four_times_the_largest_body() {
        let units = [
            "[",
            "{\"a\":",
            "[1,",
            "1,",
            "{\"a\":1},",
            "[{\"a\":1},",
            "<",
            "<a>",
            "<a/>",
            "<a b='1'>",
            "<a b='1' c='2'/>",
            "&amp;",
            "<p>x",
            "<h1>",
            "data: {}\n\n",
            "data:\n",
            "event: error\n",
            "{",
            "{}\n",
            "a=b&",
            "x ",
            "\u{fffd}",
            "<!--",
            "<![CDATA[",
            "<script>",
            "</p>",
            "\"",
            "\\",
        ];
        // Long enough to meet every limit on numbers of values, elements and fields.
        let length = BODY_BYTES_MAX / 8;
        for unit in units {
            for start in ["", "<r>", "[", "{\"error\":[", "<html>", "text {\"error\":["] {
                let body = start.to_owned() + &unit.repeat(length / unit.len());
                for body in [body.clone(), body + "1]}"] {
                    let found = read("text/html", body.as_bytes());
                    let bytes = bytes_of(&found.tree) + found.text.capacity();
                    assert!(bytes <= 4 * BODY_BYTES_MAX, "{bytes} bytes of {start}{unit}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read("application/json; charset=utf-16", &bytes);
            let _ = read("text/html", &bytes);
        }
    }
}
