//! Decodes and folds a path as far as any server does, and classifies single segments.

use std::ops::Range;

/// Rounds of decoding; a path whose escapes are nested deeper may match anything.
const DECODINGS_MAX: usize = 4;

/// One character of a decoded path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathChar {
    Letter(char),
    /// A separator for every server.
    Slash,
    /// A separator for some servers, part of a segment for others.
    SoftSlash,
    /// Begins parameters for some servers.
    Semicolon,
    /// Ends the path for some servers.
    End(char),
}

/// Decodes escapes until none is left; `None` when they are nested too deep.
pub(super) fn decode(text: &str) -> Option<Vec<PathChar>> {
    let mut bytes: Vec<(u8, Origin)> = text.bytes().map(|byte| (byte, Origin::Raw)).collect();
    for _ in 0..DECODINGS_MAX {
        match decoded_once(&bytes) {
            Some(decoded) => bytes = decoded,
            None => return Some(characters(&bytes)),
        }
    }
    decoded_once(&bytes).is_none().then(|| characters(&bytes))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Raw,
    Escaped,
}

/// `None` when there is nothing to decode.
fn decoded_once(bytes: &[(u8, Origin)]) -> Option<Vec<(u8, Origin)>> {
    let mut decoded = Vec::new();
    let (mut at, mut kept) = (0, 0);
    while at < bytes.len() {
        let Some((character, length)) = escape(&bytes[at..]) else {
            at += 1;
            continue;
        };
        decoded.extend_from_slice(&bytes[kept..at]);
        match character {
            Escape::Byte(byte) => decoded.push((byte, Origin::Escaped)),
            Escape::Character(character) => {
                let mut buffer = [0; 4];
                let text = character.encode_utf8(&mut buffer);
                decoded.extend(text.bytes().map(|byte| (byte, Origin::Escaped)));
            }
        }
        at += length;
        kept = at;
    }
    if kept == 0 {
        return None;
    }
    decoded.extend_from_slice(&bytes[kept..]);
    Some(decoded)
}

enum Escape {
    Byte(u8),
    Character(char),
}

/// The escape at the start of `bytes`, `%41` or `%u0041`, and its length.
fn escape(bytes: &[(u8, Origin)]) -> Option<(Escape, usize)> {
    let hex = |range: Range<usize>| {
        let digit = |(byte, _): &(u8, Origin)| char::from(*byte).to_digit(16);
        bytes.get(range)?.iter().try_fold(0_u32, |value, byte| Some(value * 16 + digit(byte)?))
    };
    match bytes {
        [(b'%', _), (b'u' | b'U', _), ..] => {
            let character = char::from_u32(hex(2..6)?).unwrap_or(char::REPLACEMENT_CHARACTER);
            Some((Escape::Character(character), 6))
        }
        [(b'%', _), ..] => Some((Escape::Byte(u8::try_from(hex(1..3)?).ok()?), 3)),
        _ => None,
    }
}

/// Decodes UTF-8, overlong forms included, and folds.
fn characters(bytes: &[(u8, Origin)]) -> Vec<PathChar> {
    let mut chars = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((_, origin)) = rest.first() {
        let (character, length) = character(rest);
        fold(character, *origin, &mut chars);
        rest = &rest[length..];
    }
    chars
}

/// The character at the start of `bytes`, and its length; invalid bytes are replaced.
fn character(bytes: &[(u8, Origin)]) -> (char, usize) {
    let byte = |place: usize| bytes.get(place).map_or(0, |(byte, _)| *byte);
    let tail = |place: usize| {
        let byte = byte(place);
        (byte & 0xc0 == 0x80).then(|| u32::from(byte & 0x3f))
    };
    let first = byte(0);
    let read = match first {
        0..0x80 => Some((u32::from(first), 1)),
        0xc0..0xe0 => tail(1).map(|one| (u32::from(first & 0x1f) << 6 | one, 2)),
        0xe0..0xf0 => tail(1)
            .zip(tail(2))
            .map(|(one, two)| (u32::from(first & 0x0f) << 12 | one << 6 | two, 3)),
        0xf0..0xf8 => tail(1).zip(tail(2)).zip(tail(3)).map(|((one, two), three)| {
            (u32::from(first & 0x07) << 18 | one << 12 | two << 6 | three, 4)
        }),
        0x80..0xc0 | 0xf8..=0xff => None,
    };
    let read = read.and_then(|(value, length)| Some((char::from_u32(value)?, length)));
    read.unwrap_or((char::REPLACEMENT_CHARACTER, 1))
}

/// Folds letter case and compatible forms; invisible characters are dropped.
fn fold(character: char, origin: Origin, chars: &mut Vec<PathChar>) {
    let plain = match character {
        // The fullwidth forms of ASCII.
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character)
        }
        '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{2216}' | '\u{29f5}' => '\\',
        '\u{2024}' => '.',
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => return,
        other => other,
    };
    match (plain, origin) {
        ('/', Origin::Raw) if plain == character => chars.push(PathChar::Slash),
        ('/' | '\\', _) => chars.push(PathChar::SoftSlash),
        (';', _) => chars.push(PathChar::Semicolon),
        ('?' | '#' | '\0', _) => chars.push(PathChar::End(plain)),
        ('\u{2025}', _) => chars.extend([PathChar::Letter('.'); 2]),
        (plain, _) => {
            // Upper case first: it also joins letters such as the long s and the Kelvin c.
            let folded = plain.to_uppercase().flat_map(char::to_lowercase);
            chars.extend(folded.map(PathChar::Letter));
        }
    }
}

pub(super) fn without_parameters(chars: &[PathChar]) -> &[PathChar] {
    let end = chars.iter().position(|c| *c == PathChar::Semicolon);
    &chars[..end.unwrap_or(chars.len())]
}

/// Some servers drop blanks and control characters at the ends of a segment.
fn trimmed(chars: &[PathChar]) -> &[PathChar] {
    let blank =
        |c: &PathChar| matches!(c, PathChar::Letter(c) if c.is_whitespace() || c.is_control());
    let start = chars.iter().position(|c| !blank(c)).unwrap_or(chars.len());
    let end = chars.iter().rposition(|c| !blank(c)).map_or(start, |last| last + 1);
    &chars[start..end]
}

/// Some file systems also drop dots at the end.
pub(super) fn without_final_dots(chars: &[PathChar]) -> &[PathChar] {
    let chars = trimmed(chars);
    let end = chars.iter().rposition(|c| *c != PathChar::Letter('.'));
    trimmed(&chars[..end.map_or(0, |last| last + 1)])
}

/// Whether some server resolves the segment as `..`.
pub(super) fn is_parent(chars: &[PathChar]) -> bool {
    const PARENT: [PathChar; 2] = [PathChar::Letter('.'); 2];
    let end = chars.iter().position(|c| matches!(c, PathChar::End(_)));
    let ended = &chars[..end.unwrap_or(chars.len())];
    [chars, ended].iter().any(|chars| trimmed(without_parameters(chars)) == PARENT)
}

/// Whether some server drops the segment: empty, `.`, or only parameters.
pub(super) fn is_removed(chars: &[PathChar]) -> bool {
    without_final_dots(without_parameters(chars)).is_empty()
}

/// Whether every server takes this for one and the same segment.
pub(super) fn is_unambiguous(chars: &[PathChar]) -> bool {
    let letters = chars.iter().all(|c| matches!(c, PathChar::Letter(_)));
    letters && !is_removed(chars) && !is_parent(chars)
}

pub(super) const fn letter(c: &PathChar) -> char {
    match c {
        PathChar::Letter(character) | PathChar::End(character) => *character,
        PathChar::Slash | PathChar::SoftSlash => '/',
        PathChar::Semicolon => ';',
    }
}
