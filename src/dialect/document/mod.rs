//! The bytes of a body → one tree, whatever `Content-Type` claims.
//!
//! `decode` undoes content codings, this file undoes the charset and recognises the format, and
//! `json`, `xml`, `form` and `html` parse. Nothing fails: a body that cannot be read is
//! [`BodyFormat::Unreadable`].

mod cut;
mod decode;
mod entities;
mod form;
mod html;
pub(super) mod json;
pub(super) mod pointer;
mod xml;

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::Value;

pub use decode::{BODY_BYTES_MAX, decoded};
use xml::Xml;

/// A body as one tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    pub(super) format: BodyFormat,
    /// JSON as it is, XML and form fields as objects, a page as its title, sentences as a string.
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
        match body.and_then(|raw| decoded(raw, headers)) {
            Some(bytes) => Self::parse(&text_of(&bytes, &media), &media),
            None => Self::unreadable(),
        }
    }

    fn unreadable() -> Self {
        Self { format: BodyFormat::Unreadable, ..Self::default() }
    }

    fn parse(text: &str, media: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::default();
        }
        // Objects, lists and quoted texts are JSON under any label, bare words only under JSON's.
        let json = text.starts_with(['{', '[', '"']) || media.contains("json");
        if let Some(tree) = json.then(|| json::parse(text)).flatten() {
            return Self { format: BodyFormat::Json, tree, text: text.to_owned() };
        }
        let odd =
            |c: &char| *c == '\u{fffd}' || *c == '\0' || (c.is_control() && !c.is_whitespace());
        if text.chars().filter(odd).count() * UNREADABLE_SHARE > text.chars().count() {
            return Self::unreadable();
        }
        if html::is_page(text, media) {
            let tree = html::title(text).map_or(Value::Null, Value::String);
            return Self { format: BodyFormat::Html, tree, text: html::visible(text) };
        }
        if text.starts_with('<') {
            return Self::xml(text);
        }
        if let Some(tree) = form::parse(text, media) {
            return Self { format: BodyFormat::Form, tree, text: text.to_owned() };
        }
        let broken_json = text.starts_with(['{', '[']);
        let tree = if broken_json { Value::Null } else { Value::String(text.to_owned()) };
        Self { format: BodyFormat::Text, tree, text: text.to_owned() }
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

/// The text by its byte-order mark, else as UTF-8, else in the charset of the lower-case media
/// type, else with replacement characters.
fn text_of<'a>(bytes: &'a [u8], media: &str) -> Cow<'a, str> {
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0, _, ..] if media.contains("utf-16") => utf16(bytes, u16::from_be_bytes),
        [_, 0, ..] => utf16(bytes, u16::from_le_bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) if media.contains("8859-1") || media.contains("windows-1252") => {
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
        let rows: [(&str, &[u8], BodyFormat); 13] = [
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
            ("text/plain", b"  \r\n", BodyFormat::Empty),
            ("text/plain", b"\x00\x01\x02\x03abc\xff", BodyFormat::Unreadable),
        ];
        for (media, bytes, format) in rows {
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(read(media, bytes).format, format, "{media} {text}");
        }
    }

    #[test]
    fn every_charset_is_read() {
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
            assert_eq!(read(media, &bytes).tree, json!({ "a": "ü" }), "{media}");
        }
        assert_eq!(read("", b"{\"a\":\"\xff\"}").tree, json!({ "a": "\u{fffd}" }));
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read("application/json; charset=utf-16", &bytes);
            let _ = read("text/html", &bytes);
        }
    }
}
