//! Bytes → text, in the charset they are really in.
//!
//! In this order: a byte-order mark, zeros as in UTF-16, valid UTF-8, the charsets that media type
//! and document declare, UTF-8 with faults, windows-1252. Valid UTF-8 wins over a declaration,
//! because text in another charset is hardly ever valid UTF-8 by chance.

use bytes::Bytes;
use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Bytes in which a document's own declaration is searched.
const DECLARED_BYTES: usize = 1024;
/// Pairs of bytes in which the zeros of UTF-16 are counted.
const PAIRS: usize = 32;

/// The text of a body with this lower-case media type.
pub(super) fn text_of(bytes: Bytes, media: &str) -> String {
    if let Some((encoding, mark)) = Encoding::for_bom(&bytes) {
        return lossy(encoding, &bytes[mark..]);
    }
    if let Some(encoding) = utf16(&bytes) {
        return lossy(encoding, &bytes);
    }
    if bytes.contains(&0x1b) && declared(&bytes, media).any(|encoding| encoding == ISO_2022_JP) {
        return lossy(ISO_2022_JP, &bytes);
    }
    let bytes = match String::from_utf8(Vec::from(bytes)) {
        Ok(text) => return text,
        Err(error) => error.into_bytes(),
    };
    let mut others = declared(&bytes, media).filter(|encoding| *encoding != UTF_8);
    let text = others.find_map(|it| it.decode_without_bom_handling_and_without_replacement(&bytes));
    if let Some(text) = text {
        return text.into_owned();
    }
    let text = lossy(UTF_8, &bytes);
    let broken = text.chars().filter(|c| *c == '\u{fffd}').count();
    let whole = text.chars().filter(|c| !c.is_ascii()).count() - broken;
    let is_binary = text.chars().any(|c| c.is_control() && !c.is_whitespace());
    let is_utf8 = broken <= whole || is_binary || !has_words(&bytes);
    if is_utf8 { text } else { lossy(WINDOWS_1252, &bytes) }
}

/// Whether most bytes beyond ASCII are single letters or touch one, as in Western languages.
fn has_words(bytes: &[u8]) -> bool {
    let mut runs = (0, 0);
    let mut at = 0;
    while let Some(start) = bytes[at..].iter().position(|byte| !byte.is_ascii()) {
        let start = at + start;
        let length = bytes[start..].iter().position(u8::is_ascii).unwrap_or(bytes.len() - start);
        at = start + length;
        let before = start.checked_sub(1).map(|before| bytes[before]);
        let beside = [before, bytes.get(at).copied()];
        runs.0 += 1;
        let touches = beside.iter().flatten().any(u8::is_ascii_alphabetic);
        runs.1 += usize::from(length == 1 || touches);
    }
    runs.1 * 2 > runs.0
}

fn lossy(encoding: &'static Encoding, bytes: &[u8]) -> String {
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

/// UTF-16 without a mark: at least half of the first characters have a zero byte at the same place.
fn utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let pairs = || bytes.chunks_exact(2).take(PAIRS);
    let little = pairs().filter(|pair| pair[1] == 0 && pair[0] != 0).count();
    let big = pairs().filter(|pair| pair[0] == 0 && pair[1] != 0).count();
    let half = pairs().count().div_ceil(2).max(1);
    let is_little = (little >= half).then_some(UTF_16LE);
    is_little.or_else(|| (big >= half).then_some(UTF_16BE))
}

/// The charsets that media type and document declare.
fn declared(bytes: &[u8], media: &str) -> impl Iterator<Item = &'static Encoding> {
    let labels = [label(media, "charset="), declared_inside(bytes)].into_iter().flatten();
    labels.filter_map(|label| Encoding::for_label(&label))
}

/// The charset in an XML declaration or a `meta` element.
fn declared_inside(bytes: &[u8]) -> Option<Vec<u8>> {
    let head = &bytes[..bytes.len().min(DECLARED_BYTES)];
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    if head.trim_start().starts_with("<?xml") {
        return label(head.split("?>").next()?, "encoding=");
    }
    label(&head[head.find("<meta")?..], "charset=")
}

/// The word behind `name`, without quotes.
fn label(text: &str, name: &str) -> Option<Vec<u8>> {
    let value = text[text.find(name)? + name.len()..].trim_start_matches(['"', '\'', ' ']);
    let end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | ',' | '>' | '/' | '?');
    Some(value.split(end).next()?.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use encoding_rs::{EUC_KR, GBK, KOI8_R, SHIFT_JIS};
    use proptest::prelude::*;

    use super::*;

    fn units(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn every_charset_is_read() {
        let text = "{\"a\":\"ü\"}";
        let marked = |mark: &[u8], bytes: Vec<u8>| [mark, &bytes].concat();
        let (little, big) = (units(text, u16::to_le_bytes), units(text, u16::to_be_bytes));
        let latin = b"{\"a\":\"\xfc\"}".to_vec();
        let rows = [
            ("", text.as_bytes().to_vec()),
            ("", marked(b"\xef\xbb\xbf", text.as_bytes().to_vec())),
            ("", marked(b"\xff\xfe", little.clone())),
            ("", marked(b"\xfe\xff", big.clone())),
            ("; charset=utf-16", big.clone()),
            ("", big),
            ("; charset=utf-8", little),
            ("; charset=utf-16", text.as_bytes().to_vec()),
            ("; charset=iso-8859-1", latin.clone()),
            ("; charset=iso-8859-1", text.as_bytes().to_vec()),
            ("; charset=utf-8", latin.clone()),
            ("", latin),
            ("; charset=nonsense", text.as_bytes().to_vec()),
        ];
        let binary = b"{\"a\":\"\xff\xfe\"}";
        assert_eq!(text_of(Bytes::from_static(binary), ""), "{\"a\":\"\u{fffd}\u{fffd}\"}");
        for (media, bytes) in rows {
            let shown = format!("{media} {bytes:?}");
            assert_eq!(text_of(Bytes::from(bytes), media), text, "{shown}");
        }
    }

    #[test]
    fn declared_charsets_are_followed_wherever_they_are_declared() {
        let rows = [
            (SHIFT_JIS, "shift_jis", "混雑しています。"),
            (GBK, "gbk", "请求过于频繁。"),
            (EUC_KR, "euc-kr", "요청이 너무 많습니다."),
            (KOI8_R, "koi8-r", "Слишком много запросов."),
            (ISO_2022_JP, "iso-2022-jp", "混雑しています。"),
            (WINDOWS_1252, "windows-1252", "Trop d’appels – réessayez."),
        ];
        for (encoding, name, text) in rows {
            let in_media = (format!("text/plain; charset=\"{name}\""), text.to_owned());
            let in_xml =
                (String::new(), format!("<?xml version='1.0' encoding='{name}'?><a>{text}"));
            let in_page = (String::new(), format!("<html><meta charset={name}><p>{text}"));
            for (media, text) in [in_media, in_xml, in_page] {
                let bytes = Bytes::from(encoding.encode(&text).0.into_owned());
                assert_eq!(text_of(bytes, &media), text, "{name} {media}");
            }
        }
    }

    #[test]
    fn damaged_and_binary_bodies_get_replacement_characters() {
        let cut = &"Zu viele Aufrufe für ü".as_bytes()[..23];
        assert_eq!(text_of(Bytes::copy_from_slice(cut), ""), "Zu viele Aufrufe für \u{fffd}");
        assert!(text_of(Bytes::from_static(b"\x00\x01\x02\x03abc\xff"), "").contains('\u{fffd}'));
    }

    proptest! {
        #[test]
        fn nothing_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            media in "(charset=)?[a-z0-9\"'; -]{0,20}",
        ) {
            let _ = text_of(Bytes::from(bytes), &media);
        }
    }
}
