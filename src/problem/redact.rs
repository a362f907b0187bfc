//! Removes the credentials that the gateway adds to requests from everything that a client reads.
//!
//! They are found in the usual encodings: in any letter case, percent-encoded, as entities of HTML
//! and XML, as escapes of JSON and JSON Pointer, in hexadecimal, and in base64 at every alignment
//! and in both alphabets. Escapes are decoded, also nested ones, and the patterns search every
//! stage of decoding; each match is removed from the original text. A secret that is split (one
//! half in each of two members), encrypted or hashed is not found.

use std::borrow::Cow;
use std::ops::Range;

use http::{HeaderMap, HeaderValue};
use regex::bytes::{Regex, RegexBuilder};

/// Shorter secrets are not looked for: they are ordinary words, and removing them would mutilate
/// sentences.
const SECRET_BYTES_MIN: usize = 4;
/// The same for headers of a success, where a short match is more likely a word of the vendor's.
const PASSING_BYTES_MIN: usize = 8;
/// A longer secret is searched for in pieces of this length.
const PIECE_BYTES_MAX: usize = 4 * 1024;
/// Bytes in which one byte of a secret may be spelled: an escaped escape (`&amp;#00065;`), or any
/// escape in UTF-16.
const SPELLED_BYTES_MAX: usize = 12;
/// Levels of nested escapes that are decoded.
const DECODINGS_MAX: usize = 4;
/// Bytes of one compiled pattern: enough for a few secrets of the longest kind.
const PATTERN_BYTES_MAX: usize = 1 << 28;
/// What replaces a secret: the first of these that contains none itself.
const LABELS: [&str; 3] = ["[secret]", "[hidden]", "***"];

pub struct Redactor {
    /// For problems. `None` if the gateway adds no credential, or only very short ones.
    all: Option<Patterns>,
    /// For the headers of a success.
    passing: Option<Patterns>,
}

struct Patterns {
    /// Secrets in any letter case and in hexadecimal.
    plain: Regex,
    /// Secrets byte by byte, as dumps and lists show them: `73:6b`, `0x73, 0x6b`.
    dump: Regex,
    /// No shorter text can match `dump`.
    dump_bytes_min: usize,
    /// Secrets in base64, without the characters that depend on the neighbouring bytes.
    base64: Regex,
    label: &'static str,
    /// No spelling of a secret, or of a piece of one, is longer.
    spelled_bytes_max: usize,
    /// No shorter text can match at all.
    bytes_min: usize,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// Searches for these values of credential headers, whole and without their schemes.
    #[must_use]
    pub fn new<'s>(credentials: impl IntoIterator<Item = &'s [u8]>) -> Self {
        let mut secrets: Vec<Vec<u8>> = credentials.into_iter().flat_map(secrets_of).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self {
            all: Patterns::new(&secrets, SECRET_BYTES_MIN),
            passing: Patterns::new(&secrets, PASSING_BYTES_MIN),
        }
    }

    #[must_use]
    pub fn finds(&self, text: &[u8]) -> bool {
        self.all.as_ref().is_some_and(|patterns| !patterns.matches(text).is_empty())
    }

    /// The ranges that hold secrets, in any spelling.
    pub(super) fn secrets_in(&self, text: &[u8]) -> Vec<Range<usize>> {
        self.all.as_ref().map_or_else(Vec::new, |patterns| patterns.matches(text))
    }

    /// No spelling of a secret, or of a piece of one, is longer.
    pub(super) fn spelled_bytes_max(&self) -> usize {
        self.all.as_ref().map_or(0, |patterns| patterns.spelled_bytes_max)
    }

    /// The text without secrets.
    #[must_use]
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let redacted = self.all.as_ref().and_then(|patterns| patterns.redact(text.as_bytes()));
        redacted.map_or(Cow::Borrowed(text), |bytes| {
            Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
        })
    }

    /// The value without secrets; `None` if it contains none.
    pub(super) fn redact_value(&self, value: &HeaderValue) -> Option<HeaderValue> {
        self.all.as_ref()?.redact_value(value)
    }

    /// Removes secrets from the headers of a success, which pass unchanged otherwise.
    pub fn redact_passing(&self, headers: &mut HeaderMap) {
        let Some(patterns) = &self.passing else { return };
        for value in headers.values_mut() {
            if let Some(redacted) = patterns.redact_value(value) {
                *value = redacted;
            }
        }
    }
}

impl Patterns {
    fn new(secrets: &[Vec<u8>], bytes_min: usize) -> Option<Self> {
        let long: Vec<&Vec<u8>> = secrets.iter().filter(|it| it.len() >= bytes_min).collect();
        let bytes_min = long.iter().map(|secret| secret.len().min(PIECE_BYTES_MAX)).min()?;
        let longest = long.iter().map(|secret| secret.len().min(PIECE_BYTES_MAX)).max()?;
        let pieces = || long.iter().flat_map(|secret| secret.chunks(PIECE_BYTES_MAX));
        let pieces = || pieces().filter(|piece| piece.len() >= SECRET_BYTES_MIN);
        let plain = pieces().flat_map(|piece| [literal(piece), hex_digits(piece).concat()]);
        let plain: Vec<String> = plain.collect();
        let plain = compiled(&plain, true);
        let dump = pieces().map(|piece| hex_digits(piece).join("[ :,-]{1,2}(?:0x)?"));
        let dump = compiled(&dump.collect::<Vec<_>>(), true);
        let dump_bytes_min = "xx:".len() * bytes_min - 1;
        let base64 = pieces().flat_map(|piece| [0, 1, 2].map(|shift| base64_core(piece, shift)));
        let base64 = compiled(&base64.collect::<Vec<_>>(), false);
        let is_free = |label: &&&str| !plain.is_match(label.as_bytes());
        let label = LABELS.iter().find(is_free).unwrap_or(&LABELS[LABELS.len() - 1]);
        let spelled_bytes_max = longest * SPELLED_BYTES_MAX;
        Some(Self { plain, dump, dump_bytes_min, base64, label, spelled_bytes_max, bytes_min })
    }

    fn redact_value(&self, value: &HeaderValue) -> Option<HeaderValue> {
        let redacted = self.redact(value.as_bytes())?;
        let mut redacted = HeaderValue::from_bytes(&redacted)
            .unwrap_or_else(|_| HeaderValue::from_static(self.label));
        redacted.set_sensitive(value.is_sensitive());
        Some(redacted)
    }

    fn redact(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut matches = self.matches(text);
        if matches.is_empty() {
            return None;
        }
        matches.sort_by_key(|range| range.start);
        let (mut redacted, mut end) = (Vec::with_capacity(text.len()), 0);
        for range in matches {
            if end <= range.start {
                redacted.extend_from_slice(&text[end..range.start]);
                redacted.extend_from_slice(self.label.as_bytes());
            }
            end = end.max(range.end);
        }
        redacted.extend_from_slice(&text[end..]);
        Some(redacted)
    }

    /// The ranges of `text` that hold secrets, in any encoding.
    fn matches(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut matches = Vec::new();
        if text.len() < self.bytes_min {
            return matches;
        }
        self.search(text, |range| range, &mut matches);
        let joined = Stage::joined(text);
        if let Some(stage) = &joined {
            self.search(&stage.bytes, |range| stage.origin(range), &mut matches);
        }
        let has_escapes = text.iter().any(|byte| b"%&\\".contains(byte));
        let has_pointer_escapes = text.contains(&b'~');
        if !has_escapes && !has_pointer_escapes {
            return matches;
        }
        let stage = joined.unwrap_or_else(|| Stage {
            bytes: text.to_vec(),
            origins: (0..text.len()).map(|at| at..at + 1).collect(),
        });
        // Tried separately, because the `~1` of a JSON Pointer may also be part of a secret.
        let pointer_escape: fn(&[u8]) -> _ = |text| match text {
            [b'~', b'0', ..] => Some((Escaped::Byte(b'~'), 2)),
            [b'~', b'1', ..] => Some((Escaped::Byte(b'/'), 2)),
            _ => None,
        };
        if has_pointer_escapes && let Some(decoded) = stage.decoded(pointer_escape) {
            self.search(&decoded.bytes, |range| decoded.origin(range), &mut matches);
            self.search_decoded(decoded, &mut matches);
        }
        self.search_decoded(stage, &mut matches);
        matches
    }

    /// Decodes escapes, level by level, and searches each result.
    fn search_decoded(&self, mut stage: Stage, matches: &mut Vec<Range<usize>>) {
        for _ in 0..DECODINGS_MAX {
            let Some(decoded) = stage.decoded(escape) else { return };
            self.search(&decoded.bytes, |range| decoded.origin(range), matches);
            stage = decoded;
        }
    }

    fn search(
        &self,
        text: &[u8],
        origin: impl Fn(Range<usize>) -> Range<usize>,
        matches: &mut Vec<Range<usize>>,
    ) {
        matches.extend(self.plain.find_iter(text).map(|found| origin(found.range())));
        if self.dump_bytes_min <= text.len() {
            matches.extend(self.dump.find_iter(text).map(|found| origin(found.range())));
        }
        let is_base64 = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte);
        matches.extend(self.base64.find_iter(text).map(|core| {
            // The base64 characters next to a match hold a part of the secret too.
            let before = text[..core.start()].iter().rev().take_while(is_base64).count();
            let after = text[core.end()..].iter().take_while(is_base64).count();
            origin(core.start() - before..core.end() + after)
        }));
    }
}

/// A text at some stage of decoding, and for each of its bytes the range of the original text that
/// it came from.
struct Stage {
    bytes: Vec<u8>,
    origins: Vec<Range<usize>>,
}

impl Stage {
    /// Without line breaks, because base64 may be wrapped, and without the zeros of UTF-16; `None`
    /// if there are none.
    fn joined(text: &[u8]) -> Option<Self> {
        let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r' | 0);
        if !text.iter().any(is_break) {
            return None;
        }
        let kept = text.iter().enumerate().filter(|(_, byte)| !is_break(byte));
        let (bytes, origins) = kept.map(|(at, byte)| (*byte, at..at + 1)).unzip();
        Some(Self { bytes, origins })
    }

    fn origin(&self, range: Range<usize>) -> Range<usize> {
        let all = &self.origins[range];
        all.first().map_or(0, |first| first.start)..all.last().map_or(0, |last| last.end)
    }

    /// With every escape replaced by the character it stands for; `None` if there is none.
    fn decoded(&self, escape: fn(&[u8]) -> Option<(Escaped, usize)>) -> Option<Self> {
        let mut decoded = Self { bytes: Vec::new(), origins: Vec::new() };
        let (mut at, mut changes) = (0, false);
        while at < self.bytes.len() {
            let (character, length) = match escape(&self.bytes[at..]) {
                Some(escape) => {
                    changes = true;
                    escape
                }
                None => (Escaped::Byte(self.bytes[at]), 1),
            };
            let origin = self.origin(at..at + length);
            let mut push = |byte| {
                decoded.bytes.push(byte);
                decoded.origins.push(origin.clone());
            };
            match character {
                Escaped::Byte(byte) => push(byte),
                Escaped::Character(character) => {
                    character.encode_utf8(&mut [0; 4]).bytes().for_each(push);
                }
            }
            at += length;
        }
        changes.then_some(decoded)
    }
}

#[derive(Clone, Copy)]
enum Escaped {
    Byte(u8),
    Character(char),
}

/// The escape at the beginning of a text, and its length.
fn escape(text: &[u8]) -> Option<(Escaped, usize)> {
    let number = |digits: &[u8], radix| {
        let text = std::str::from_utf8(digits).ok().filter(|it| !it.starts_with('+'))?;
        u32::from_str_radix(text, radix).ok()
    };
    let character = |code: u32| Some(Escaped::Character(char::from_u32(code)?));
    match text {
        [b'%', one, two, ..] => {
            Some((Escaped::Byte(u8::try_from(number(&[*one, *two], 16)?).ok()?), 3))
        }
        [b'\\', b'u', b'{', rest @ ..] => {
            let digits = rest.iter().take(6).take_while(|byte| byte.is_ascii_hexdigit()).count();
            let closed = rest.get(digits) == Some(&b'}');
            let code = number(&rest[..digits], 16).filter(|_| closed)?;
            Some((character(code)?, digits + 4))
        }
        [b'\\', b'u', digits @ ..] => Some((character(number(digits.get(..4)?, 16)?)?, 6)),
        [b'\\', b'x', digits @ ..] => Some((character(number(digits.get(..2)?, 16)?)?, 4)),
        [b'\\', mark @ (b'/' | b'"' | b'\\' | b'\''), ..] => Some((Escaped::Byte(*mark), 2)),
        [b'&', b'#', rest @ ..] => {
            let (radix, sign) = if matches!(rest, [b'x' | b'X', ..]) { (16, 1) } else { (10, 0) };
            let digits = rest[sign..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            let code = number(&rest[sign..sign + digits], radix)?;
            let end = usize::from(rest.get(sign + digits) == Some(&b';'));
            Some((character(code)?, 2 + sign + digits + end))
        }
        [b'&', rest @ ..] => {
            let named = |(name, _): &&(&[u8], u8)| rest.starts_with(name);
            let (name, byte) = NAMED.iter().find(named)?;
            Some((Escaped::Byte(*byte), 1 + name.len()))
        }
        _ => None,
    }
}

/// Entities of the characters, other than letters and digits, that occur in tokens.
const NAMED: [(&[u8], u8); 19] = [
    (b"amp;", b'&'),
    (b"lt;", b'<'),
    (b"gt;", b'>'),
    (b"quot;", b'"'),
    (b"apos;", b'\''),
    (b"sol;", b'/'),
    (b"bsol;", b'\\'),
    (b"plus;", b'+'),
    (b"equals;", b'='),
    (b"period;", b'.'),
    (b"colon;", b':'),
    (b"semi;", b';'),
    (b"comma;", b','),
    (b"hyphen;", b'-'),
    (b"dash;", b'-'),
    (b"lowbar;", b'_'),
    (b"num;", b'#'),
    (b"commat;", b'@'),
    (b"dollar;", b'$'),
];

/// The secrets in the value of a credential header: the whole value, what follows its scheme, the
/// value of a parameter (`token="x"`), and the password of `Basic`.
fn secrets_of(value: &[u8]) -> Vec<Vec<u8>> {
    let mut secrets = vec![value.to_vec()];
    let space = value.iter().position(|byte| *byte == b' ');
    let (scheme, bare) = match space {
        Some(space) => (&value[..space], value[space + 1..].trim_ascii()),
        None => (&value[..0], value),
    };
    secrets.push(bare.to_vec());
    if scheme.eq_ignore_ascii_case(b"basic")
        && let Some(pair) = base64_decoded(bare)
    {
        if let Some(colon) = pair.iter().position(|byte| *byte == b':') {
            // Some vendors take the key as the user name, with a meaningless password.
            let (name, password) = (&pair[..colon], &pair[colon + 1..]);
            let secret = if password.len() < SECRET_BYTES_MIN { name } else { password };
            secrets.push(secret.to_vec());
        }
        secrets.push(pair);
    }
    for parameter in bare.split(|byte| matches!(byte, b',' | b' ' | b';')) {
        let name = parameter.iter().position(|byte| *byte == b'=');
        let Some(equals) = name.filter(|name| *name > 0) else { continue };
        let unquoted = parameter[equals + 1..].trim_ascii();
        let unquoted = unquoted.strip_prefix(b"\"").unwrap_or(unquoted);
        let unquoted = unquoted.strip_suffix(b"\"").unwrap_or(unquoted);
        // The padding of base64 looks like an empty parameter.
        if unquoted.iter().any(|byte| *byte != b'=') {
            secrets.push(unquoted.to_vec());
        }
    }
    // A vendor that reads the header as Latin-1 echoes bytes beyond ASCII in UTF-8.
    let as_utf8 = |secret: &Vec<u8>| {
        secret.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes()
    };
    let beyond_ascii: Vec<_> =
        secrets.iter().filter(|secret| !secret.is_ascii()).map(as_utf8).collect();
    secrets.extend(beyond_ascii);
    secrets
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let (mut decoded, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for byte in text.iter().filter(|byte| **byte != b'=') {
        let standard = match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => *other,
        };
        let value = BASE64.iter().position(|letter| *letter == standard)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            decoded.push(u8::try_from(bits >> held & 0xff).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    Some(decoded)
}

/// A pattern of the base64 characters that the secret alone determines, when it begins `shift`
/// bytes after a group of three.
fn base64_core(secret: &[u8], shift: usize) -> String {
    let bit = |at: usize| {
        let byte = secret[at / 8 - shift];
        usize::from(byte >> (7 - at % 8) & 1)
    };
    let characters = (shift * 8).div_ceil(6)..(shift + secret.len()) * 8 / 6;
    let letter =
        |at: usize| match BASE64[(at * 6..at * 6 + 6).fold(0, |value, it| value << 1 | bit(it))] {
            b'+' => "[-+]".to_owned(),
            b'/' => "[/_]".to_owned(),
            letter => char::from(letter).to_string(),
        };
    characters.map(letter).collect()
}

fn hex_digits(secret: &[u8]) -> Vec<String> {
    secret.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A pattern that matches exactly these bytes.
fn literal(secret: &[u8]) -> String {
    let escaped = |byte: &u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("\\x{byte:02x}"),
    };
    secret.iter().map(escaped).collect()
}

fn compiled(alternatives: &[String], ignores_case: bool) -> Regex {
    RegexBuilder::new(&alternatives.join("|"))
        .unicode(false)
        .case_insensitive(ignores_case)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .expect("escaped bytes are a valid pattern, and the settings bound their number")
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "sk-live/9+aZ~1_x";

    fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> String {
        let group = |group: &[u8]| {
            let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - group.len()));
            let letter = |at: usize| char::from(alphabet[(bits >> (18 - 6 * at) & 63) as usize]);
            (0..=group.len()).map(letter).collect::<String>() + &"=".repeat(3 - group.len())
        };
        bytes.chunks(3).map(group).collect()
    }

    fn url_safe() -> [u8; 64] {
        BASE64.map(|letter| match letter {
            b'+' => b'-',
            b'/' => b'_',
            letter => letter,
        })
    }

    fn redactor() -> Redactor {
        Redactor::new([format!("Bearer {TOKEN}").as_bytes()])
    }

    fn each(letter: impl Fn(u32) -> String) -> String {
        TOKEN.chars().map(|c| letter(c.into())).collect()
    }

    #[test]
    fn a_secret_is_removed_in_all_usual_encodings() {
        let redactor = redactor();
        let mut texts = vec![
            TOKEN.to_owned(),
            format!("Bearer {TOKEN}"),
            TOKEN.to_uppercase(),
            TOKEN.to_lowercase(),
            each(|c| format!("%{c:02X}")),
            each(|c| format!(":{c:02x}"))[1..].to_owned(),
            each(|c| format!(" {c:02X}"))[1..].to_owned(),
            each(|c| format!(", 0x{c:02x}"))[4..].to_owned(),
            TOKEN.replace('~', "~0").replace('/', "\\~1"),
            TOKEN.replace('~', "~0").replace("/9", "\n~19"),
            each(|c| format!("%{c:02x}")),
            each(|c| format!("%25{c:02x}")),
            TOKEN.replace('/', "%2F").replace('+', "%2b"),
            each(|c| format!("&#{c};")),
            each(|c| format!("&#{c:05} ").trim_end().to_owned() + ";"),
            each(|c| format!("&#x{c:X};")),
            each(|c| format!("&amp;#{c};")),
            TOKEN.replace('/', "&sol;").replace('+', "&plus;").replace('_', "&lowbar;"),
            each(|c| format!("\\u{c:04x}")),
            each(|c| format!("\\\\u{c:04X}")),
            each(|c| format!("\\x{c:02x}")),
            each(|c| format!("\\u{{{c:x}}}")),
            TOKEN.replace('~', "~0").replace('/', "~1"),
            TOKEN.replace('/', "\\/"),
            TOKEN.replace('/', "\\\\/"),
            each(|c| format!("{c:02x}")),
            format!("42656172657220{}", each(|c| format!("{c:02X}"))),
            TOKEN.replace('9', "9\r\n"),
        ];
        for alphabet in [*BASE64, url_safe()] {
            for before in ["", "x", "xy", "xyz", "Bearer ", "user:"] {
                for behind in ["", "z", "zz", "\n"] {
                    let text = base64(format!("{before}{TOKEN}{behind}").as_bytes(), &alphabet);
                    texts.extend([text.replace('=', ""), text.replace('+', "%2B"), text]);
                }
            }
        }
        for secret in texts {
            let text = format!("key \u{fc} {secret} is bad");
            let redacted = redactor.redact(&text);
            let expected = ["key \u{fc} [secret] is bad", "key \u{fc} Bearer [secret] is bad"];
            let bearer = secret.strip_prefix("Bearer ").is_some();
            assert!(redacted == expected[0] || (bearer && redacted == expected[1]), "{redacted}");
            assert!(redactor.finds(text.as_bytes()), "{text}");
            assert_eq!(redactor.redact(&redacted), redacted);
        }
    }

    #[test]
    fn texts_without_secrets_are_unchanged() {
        let texts = [
            "",
            "sk-live",
            "100 % of &amp; \\u0041 %zz %4",
            "&#;&#x;&#99999999999;\\u00",
            "\u{fc}%fc",
        ];
        for text in texts {
            assert_eq!(redactor().redact(text), text);
        }
        assert_eq!(Redactor::new([]).redact("anything"), "anything");
        assert_eq!(Redactor::new([&b"abc"[..]]).redact("abc"), "abc");
    }

    #[test]
    fn every_secret_part_of_a_credential_header_is_removed() {
        let basic = |pair: &str| format!("Basic {}", base64(pair.as_bytes(), BASE64));
        let rows = [
            ("key-12345".to_owned(), "key-12345"),
            ("Token token=\"key-12345\", x=y".to_owned(), "key-12345"),
            ("GenieKey key-12345".to_owned(), "key-12345"),
            (basic("user:pass-word"), "pass-word"),
            (basic("user:pass-word"), "user:pass-word"),
            (basic("sk-key-1:"), "sk-key-1"),
            (basic("sk-key-1:X"), "sk-key-1"),
            ("s\u{fc}cr\u{e9}t".to_owned(), "s\u{fc}cr\u{e9}t"),
            ("secret".to_owned(), "secret"),
        ];
        for (value, secret) in rows {
            let redactor = Redactor::new([value.as_bytes()]);
            let redacted = redactor.redact(secret).into_owned();
            assert!(!redacted.contains(secret), "{value}: {redacted}");
            assert_eq!(redactor.redact(&redacted), redacted, "{value}");
        }
        let long = "0123456789abcdef".repeat(640);
        let redacted = Redactor::new([long.as_bytes()]).redact(&format!("<{long}>")).into_owned();
        assert!(redacted.len() < 300 && !redacted.contains("0123"), "{redacted}");
    }

    #[test]
    fn headers_of_a_success_lose_only_long_secrets() {
        let redactor = Redactor::new([&b"test"[..], b"Bearer key-12345"]);
        let row = |(name, value): (&'static str, &'static str)| {
            (http::HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let headers = [("etag", "latest"), ("location", "/a?key=KEY-12345&b=1")].map(row);
        let mut headers = HeaderMap::from_iter(headers);
        redactor.redact_passing(&mut headers);
        assert_eq!(
            (&headers["etag"], &headers["location"]),
            (&HeaderValue::from_static("latest"), &HeaderValue::from_static("/a?key=[secret]&b=1"),)
        );
        let value = HeaderValue::from_static("a test");
        assert_eq!(redactor.redact_value(&value), Some(HeaderValue::from_static("a [secret]")));
    }

    static REDACTOR: LazyLock<Redactor> = LazyLock::new(redactor);

    proptest! {
        // Each case compiles its own patterns.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn base64_at_any_alignment_is_found(
            secret in "[!-~]{4,40}",
            before in prop::collection::vec(any::<u8>(), 0..7),
            behind in prop::collection::vec(any::<u8>(), 0..7),
        ) {
            let redactor = Redactor::new([secret.as_bytes()]);
            let text = base64(&[&before, secret.as_bytes(), &behind].concat(), BASE64);
            prop_assert!(redactor.finds(text.as_bytes()), "{secret} in {text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(?s:.{0,60})", odd in r"[%&#xu\\0-9a-f;/-]{0,60}") {
            for text in [&text, &odd, &(text.clone() + &odd)] {
                let _ = REDACTOR.redact(text);
            }
        }
    }
}
