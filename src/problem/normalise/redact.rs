//! The credentials that the gateway injects, removed from whatever a client reads, in the usual
//! encodings: as they are and in any letter case, percent-encoded, as entities of HTML and XML, as
//! escapes of JSON and of JSON Pointer, in hexadecimal, and in base64 at every alignment and in
//! both alphabets.
//!
//! Escapes are decoded, also inside each other, and the patterns run over every stage; what is
//! found is removed from the text as it came. A secret in pieces (one half in each of two members)
//! is not recognised, nor one that was encrypted or hashed.

use std::borrow::Cow;
use std::ops::Range;

use http::{HeaderMap, HeaderValue};
use regex::bytes::{Regex, RegexBuilder};

/// Secrets shorter than this are words, and hiding them would hide sentences.
pub(super) const SECRET_BYTES_MIN: usize = 4;
/// The same for the headers of a success, which pass unchanged but for a secret: there a short
/// word is more likely the vendor's own.
const PASSING_BYTES_MIN: usize = 8;
/// A longer secret is looked for in pieces of this length.
const PIECE_BYTES_MAX: usize = 4 * 1024;
/// Escapes inside escapes are decoded this often.
const DECODINGS_MAX: usize = 4;
/// Bytes of all compiled patterns: a few secrets of the longest kind.
const PATTERN_BYTES_MAX: usize = 1 << 28;
/// What stands in the place of a secret; the first that holds none itself.
const LABELS: [&str; 3] = ["[secret]", "[hidden]", "***"];

/// Finds and removes secrets.
pub struct Redactor {
    /// Nothing is injected, or nothing that is long enough: nothing is looked for.
    all: Option<Patterns>,
    passing: Option<Patterns>,
}

struct Patterns {
    /// Secrets as they are, in any letter case, and in hexadecimal.
    plain: Regex,
    /// Secrets byte by byte, as dumps and lists show them: `73:6b`, `0x73, 0x6b`.
    dumped: Regex,
    /// No shorter text holds one so.
    dumped_bytes_min: usize,
    /// Secrets in base64, without the characters that depend on their neighbours.
    coded: Regex,
    label: &'static str,
    /// No shorter text holds one.
    bytes_min: usize,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    /// Looks for these values of credential headers, whole and without their schemes.
    #[must_use]
    pub fn new<'s>(credentials: impl IntoIterator<Item = &'s [u8]>) -> Self {
        let mut secrets: Vec<Vec<u8>> = credentials.into_iter().flat_map(forms).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self {
            all: Patterns::new(&secrets, SECRET_BYTES_MIN),
            passing: Patterns::new(&secrets, PASSING_BYTES_MIN),
        }
    }

    /// Whether a text holds a secret.
    #[must_use]
    pub fn finds(&self, text: &[u8]) -> bool {
        self.all.as_ref().is_some_and(|patterns| !patterns.places(text).is_empty())
    }

    /// The text without secrets.
    pub(super) fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let redacted = self.all.as_ref().and_then(|patterns| patterns.redact(text.as_bytes()));
        redacted.map_or(Cow::Borrowed(text), |bytes| {
            Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
        })
    }

    /// The value without secrets; `None` when it holds none.
    pub(super) fn redact_value(&self, value: &HeaderValue) -> Option<HeaderValue> {
        self.all.as_ref()?.redact_value(value)
    }

    /// Removes secrets from the headers of an answer that passes unchanged otherwise.
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
        let pieces = || long.iter().flat_map(|secret| secret.chunks(PIECE_BYTES_MAX));
        let pieces = || pieces().filter(|piece| piece.len() >= SECRET_BYTES_MIN);
        let plain = pieces().flat_map(|piece| [literal(piece), hexadecimal(piece)]);
        let plain: Vec<String> = plain.collect();
        let dumped: Vec<String> = pieces().map(dump).collect();
        let coded = pieces().flat_map(|piece| [0, 1, 2].map(|shift| base64_core(piece, shift)));
        let coded: Vec<String> = coded.collect();
        let plain = compiled(&plain, true);
        let free = |label: &&&str| !plain.is_match(label.as_bytes());
        let label = LABELS.iter().find(free).unwrap_or(&LABELS[LABELS.len() - 1]);
        let (dumped, coded) = (compiled(&dumped, true), compiled(&coded, false));
        let dumped_bytes_min = 3 * bytes_min - 1;
        Some(Self { plain, dumped, dumped_bytes_min, coded, label, bytes_min })
    }

    fn redact_value(&self, value: &HeaderValue) -> Option<HeaderValue> {
        let redacted = self.redact(value.as_bytes())?;
        let mut redacted = HeaderValue::from_bytes(&redacted)
            .unwrap_or_else(|_| HeaderValue::from_static(self.label));
        redacted.set_sensitive(value.is_sensitive());
        Some(redacted)
    }

    fn redact(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut places = self.places(text);
        if places.is_empty() {
            return None;
        }
        places.sort_by_key(|place| place.start);
        let (mut redacted, mut end) = (Vec::with_capacity(text.len()), 0);
        for place in places {
            if end <= place.start {
                redacted.extend_from_slice(&text[end..place.start]);
                redacted.extend_from_slice(self.label.as_bytes());
            }
            end = end.max(place.end);
        }
        redacted.extend_from_slice(&text[end..]);
        Some(redacted)
    }

    /// Where secrets stand, in any encoding.
    fn places(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut places = Vec::new();
        if text.len() < self.bytes_min {
            return places;
        }
        self.look(text, |range| range, &mut places);
        let joined = Stage::joined(text);
        if let Some(stage) = &joined {
            self.look(&stage.bytes, |range| stage.place(range), &mut places);
        }
        let (escaped, pointer) =
            (text.iter().any(|byte| b"%&\\".contains(byte)), text.contains(&b'~'));
        if !escaped && !pointer {
            return places;
        }
        let stage = joined.unwrap_or_else(|| Stage::whole(text));
        if pointer && let Some(decoded) = stage.decoded(pointer_escape) {
            self.look(&decoded.bytes, |range| decoded.place(range), &mut places);
            self.look_deeper(decoded, &mut places);
        }
        self.look_deeper(stage, &mut places);
        places
    }

    /// Looks behind escapes, also inside each other.
    fn look_deeper(&self, mut stage: Stage, places: &mut Vec<Range<usize>>) {
        for _ in 0..DECODINGS_MAX {
            let Some(decoded) = stage.decoded(escape) else { return };
            self.look(&decoded.bytes, |range| decoded.place(range), places);
            stage = decoded;
        }
    }

    fn look(
        &self,
        text: &[u8],
        origin: impl Fn(Range<usize>) -> Range<usize>,
        places: &mut Vec<Range<usize>>,
    ) {
        places.extend(self.plain.find_iter(text).map(|found| origin(found.range())));
        if self.dumped_bytes_min <= text.len() {
            places.extend(self.dumped.find_iter(text).map(|found| origin(found.range())));
        }
        let coded = self.coded.find_iter(text).map(|found| run_around(text, found.range()));
        places.extend(coded.map(origin));
    }
}

/// Beside the core of a secret in base64 stand characters that hold a part of it: the whole run
/// is one encoded text.
fn run_around(text: &[u8], core: Range<usize>) -> Range<usize> {
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte);
    let before = text[..core.start].iter().rev().take_while(|byte| belongs(byte)).count();
    let behind = text[core.end..].iter().take_while(|byte| belongs(byte)).count();
    core.start - before..core.end + behind
}

/// A text at some stage of decoding, and where each of its bytes stood in the first one.
struct Stage {
    bytes: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Stage {
    fn whole(text: &[u8]) -> Self {
        Self { bytes: text.to_vec(), places: (0..text.len()).map(|at| at..at + 1).collect() }
    }

    /// Without line breaks, which base64 may be wrapped with; `None` when there are none.
    fn joined(text: &[u8]) -> Option<Self> {
        let breaks = |byte: &u8| matches!(byte, b'\n' | b'\r');
        if !text.iter().any(breaks) {
            return None;
        }
        let kept = text.iter().enumerate().filter(|(_, byte)| !breaks(byte));
        let (bytes, places) = kept.map(|(at, byte)| (*byte, at..at + 1)).unzip();
        Some(Self { bytes, places })
    }

    fn place(&self, range: Range<usize>) -> Range<usize> {
        let all = &self.places[range];
        all.first().map_or(0, |first| first.start)..all.last().map_or(0, |last| last.end)
    }

    /// With every escape replaced by what it stands for; `None` when there is none.
    fn decoded(&self, escape: fn(&[u8]) -> Option<(Escaped, usize)>) -> Option<Self> {
        let mut decoded = Self { bytes: Vec::new(), places: Vec::new() };
        let (mut at, mut changes) = (0, false);
        while at < self.bytes.len() {
            let (character, length) = match escape(&self.bytes[at..]) {
                Some(escape) => {
                    changes = true;
                    escape
                }
                None => (Escaped::Byte(self.bytes[at]), 1),
            };
            let place = self.place(at..at + length);
            let mut push = |byte| {
                decoded.bytes.push(byte);
                decoded.places.push(place.clone());
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

/// The escape with which a text begins, and its length.
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

/// The same for the escapes of JSON Pointer, under which a member's name is told. Apart from the
/// others: `~1` is also a part of tokens.
fn pointer_escape(text: &[u8]) -> Option<(Escaped, usize)> {
    match text {
        [b'~', b'0', ..] => Some((Escaped::Byte(b'~'), 2)),
        [b'~', b'1', ..] => Some((Escaped::Byte(b'/'), 2)),
        _ => None,
    }
}

/// Entities that stand for what tokens consist of beside letters and digits.
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

/// What of a credential header's value is a secret: the whole, what follows its scheme, the value
/// of a parameter (`token="x"`), and the password of `Basic`.
fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![value.to_vec()];
    let space = value.iter().position(|byte| *byte == b' ');
    let (scheme, bare) = match space {
        Some(space) => (&value[..space], value[space + 1..].trim_ascii()),
        None => (&value[..0], value),
    };
    forms.push(bare.to_vec());
    if scheme.eq_ignore_ascii_case(b"basic")
        && let Some(pair) = base64_decoded(bare)
    {
        forms.extend(passwords(&pair));
        forms.push(pair);
    }
    for parameter in bare.split(|byte| matches!(byte, b',' | b' ' | b';')) {
        let name = parameter.iter().position(|byte| *byte == b'=');
        let Some(equals) = name.filter(|name| *name > 0) else { continue };
        let unquoted = parameter[equals + 1..].trim_ascii();
        let unquoted = unquoted.strip_prefix(b"\"").unwrap_or(unquoted);
        let unquoted = unquoted.strip_suffix(b"\"").unwrap_or(unquoted);
        // Padding of base64 is no value.
        if unquoted.iter().any(|byte| *byte != b'=') {
            forms.push(unquoted.to_vec());
        }
    }
    // Bytes beyond ASCII reach a client as UTF-8, whatever they were.
    let latin = |form: &Vec<u8>| form.iter().map(|byte| char::from(*byte)).collect::<String>();
    let odd = forms.iter().filter(|form| !form.is_ascii()).map(|it| latin(it).into_bytes());
    let odd: Vec<_> = odd.collect();
    forms.extend(odd);
    forms
}

/// Behind the colon; where there is too little to be a password, the name is the key.
fn passwords(pair: &[u8]) -> Option<Vec<u8>> {
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let (name, password) = (&pair[..colon], &pair[colon + 1..]);
    Some(if password.len() < SECRET_BYTES_MIN { name } else { password }.to_vec())
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

/// The characters of base64 that a secret alone decides, so many bytes behind a group's start.
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

fn hexadecimal(secret: &[u8]) -> String {
    hexadecimal_digits(secret).concat()
}

fn dump(secret: &[u8]) -> String {
    hexadecimal_digits(secret).join("[ :,-]{1,2}(?:0x)?")
}

fn hexadecimal_digits(secret: &[u8]) -> Vec<String> {
    secret.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn literal(secret: &[u8]) -> String {
    let escaped = |byte: &u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("\\x{byte:02x}"),
    };
    secret.iter().map(escaped).collect()
}

fn compiled(literals: &[String], ignores_case: bool) -> Regex {
    RegexBuilder::new(&literals.join("|"))
        .unicode(false)
        .case_insensitive(ignores_case)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .expect("escaped literals are a pattern, and the settings bound their length")
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
    fn a_secret_is_found_in_the_usual_encodings() {
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
    fn other_texts_stay_as_they_are() {
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
    fn every_part_of_a_credential_is_a_secret() {
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
    fn headers_that_pass_lose_only_long_secrets() {
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
        // Each case compiles patterns of its own.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn no_alignment_hides_a_secret(
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
        fn nothing_panics(text in "(?s:.{0,60})", odd in r"[%&#xu\\0-9a-f;/-]{0,60}") {
            for text in [&text, &odd, &(text.clone() + &odd)] {
                let _ = REDACTOR.redact(text);
            }
        }
    }
}
