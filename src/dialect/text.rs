//! The bytes of a body → text, and the text → one tree, whatever `Content-Type` claims.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use super::{form, html, json};
use crate::outcome::{Extent, Form, Peek};

/// A body as one tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    /// What it turned out to be.
    pub(super) form: Form,
    /// JSON as it is, fields as an object, a page as its title, sentences as a text.
    pub(super) value: Value,
    /// The decoded body, without markup.
    pub(super) text: String,
}

/// One in so many characters may be unreadable; more of them are no text.
const UNREADABLE_SHARE: usize = 10;

/// The body of an answer as one tree.
pub(super) fn parse(headers: &HeaderMap, body: &Peek) -> Tree {
    match body.extent {
        Extent::Cut => Tree { form: Form::Unreadable, ..Tree::default() },
        Extent::Whole => parse_text(&decoded(headers, &body.bytes), media_type(headers)),
    }
}

fn parse_text(text: &str, media: &str) -> Tree {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Tree::default();
    }
    if let Some(value) = json_in(trimmed, media) {
        return Tree { form: Form::Json, value, text: trimmed.to_owned() };
    }
    if unreadable(trimmed) {
        return Tree { form: Form::Unreadable, ..Tree::default() };
    }
    if html::is_page(trimmed, media) {
        return page(trimmed);
    }
    if trimmed.starts_with('<') {
        return Tree { form: Form::Xml, value: Value::Null, text: html::visible(trimmed) };
    }
    if let Some(value) = form::parse(trimmed, media) {
        return Tree { form: Form::Fields, value, text: trimmed.to_owned() };
    }
    Tree { form: Form::Text, value: sentence(trimmed), text: trimmed.to_owned() }
}

/// JSON that is broken is no sentence.
fn sentence(text: &str) -> Value {
    if text.starts_with(['{', '[']) { Value::Null } else { Value::String(text.to_owned()) }
}

fn page(text: &str) -> Tree {
    let value = html::title(text).map_or(Value::Null, Value::String);
    Tree { form: Form::Html, value, text: html::visible(text) }
}

/// Objects, lists and quoted texts are JSON under any name; bare words only where it is claimed.
fn json_in(text: &str, media: &str) -> Option<Value> {
    let looks = text.starts_with(['{', '[', '"']);
    if looks || media.contains("json") { json::parse(text) } else { None }
}

fn unreadable(text: &str) -> bool {
    let odd = |c: &char| *c == '\u{fffd}' || *c == '\0' || (c.is_control() && !c.is_whitespace());
    let odd = text.chars().filter(odd).count();
    odd * UNREADABLE_SHARE > text.chars().count()
}

fn media_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// By byte-order mark, else UTF-8, else what `charset` names, else with replacements.
fn decoded<'a>(headers: &HeaderMap, bytes: &'a [u8]) -> Cow<'a, str> {
    let names = |charset: &str| media_type(headers).to_ascii_lowercase().contains(charset);
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0, _, ..] if names("utf-16") => utf16(bytes, u16::from_be_bytes),
        [_, 0, ..] => utf16(bytes, u16::from_le_bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) if names("8859-1") || names("windows-1252") => {
                Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect())
            }
            Err(_) => String::from_utf8_lossy(bytes),
        },
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'_, str> {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    Cow::Owned(char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(media: &str, bytes: &[u8]) -> Tree {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(media).unwrap());
        parse(&headers, &Peek { bytes: Bytes::copy_from_slice(bytes), extent: Extent::Whole })
    }

    #[test]
    fn the_bytes_decide_not_the_label() {
        let rows: [(&str, &[u8], Form); 13] = [
            ("text/html", b" {\"a\":1}", Form::Json),
            ("", b"[1]", Form::Json),
            ("application/json", b"<html><title>x</title>", Form::Html),
            ("application/json", b"oops", Form::Text),
            ("application/json", b"null", Form::Json),
            ("text/plain", b"null", Form::Text),
            ("application/xml", b"<?xml version='1.0'?><a>b</a>", Form::Xml),
            ("text/html", b"<Error><Code>x</Code></Error>", Form::Xml),
            ("application/x-www-form-urlencoded", b"a=b", Form::Fields),
            ("text/plain", b"a=b&c=d", Form::Fields),
            ("text/plain", b"x = y & z", Form::Text),
            ("text/plain", b"  \r\n", Form::Empty),
            ("text/plain", b"\x00\x01\x02\x03abc\xff", Form::Unreadable),
        ];
        for (media, bytes, form) in rows {
            assert_eq!(read(media, bytes).form, form, "{media} {}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn texts_of_every_charset_are_read() {
        let utf16 = |unit: fn(u16) -> [u8; 2], mark: &[u8]| {
            let mut bytes = mark.to_vec();
            bytes.extend("{\"a\":\"ü\"}".encode_utf16().flat_map(unit));
            bytes
        };
        let rows = [
            ("application/json", b"\xef\xbb\xbf{\"a\":\"\xc3\xbc\"}".to_vec()),
            ("application/json", utf16(u16::to_le_bytes, &[0xff, 0xfe])),
            ("application/json", utf16(u16::to_be_bytes, &[0xfe, 0xff])),
            ("application/json; charset=utf-16", utf16(u16::to_be_bytes, &[])),
            ("application/json", utf16(u16::to_le_bytes, &[])),
            ("application/json; charset=ISO-8859-1", b"{\"a\":\"\xfc\"}".to_vec()),
            ("application/json; charset=nonsense", "{\"a\":\"ü\"}".as_bytes().to_vec()),
        ];
        for (media, bytes) in rows {
            assert_eq!(read(media, &bytes).value, json!({ "a": "ü" }), "{media}");
        }
        assert_eq!(read("", b"{\"a\":\"\xff\"}").value, json!({ "a": "\u{fffd}" }));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read("application/json; charset=utf-16", &bytes);
            let _ = read("text/html", &bytes);
        }
    }
}
