//! The characters of a path, decoded and folded as far as any server goes, and what single segments
//! are to some of them.
//!
//! Refuses to know patterns: `path` matches them.

use std::ops::Range;

/// Escapes inside escapes are decoded this often; a path that is nested deeper has every reading.
const DECODINGS_MAX: usize = 4;
/// One sign of a decoded path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// A character that belongs to its segment.
    Letter(char),
    /// A slash to every server.
    Slash,
    /// A slash to some servers, part of a segment to others.
    SoftSlash,
    /// A semicolon: the beginning of parameters, or part of the segment.
    Semicolon,
    /// The end of the path to some servers.
    End(char),
}

/// Decodes escapes until none is left; `None` when they are nested too deep.
pub(super) fn signs(text: &str) -> Option<Vec<Sign>> {
    let mut bytes: Vec<(u8, Origin)> = text.bytes().map(|byte| (byte, Origin::Raw)).collect();
    for _ in 0..DECODINGS_MAX {
        match decoded_once(&bytes) {
            Some(decoded) => bytes = decoded,
            None => return Some(characters(&bytes)),
        }
    }
    decoded_once(&bytes).is_none().then(|| characters(&bytes))
}

/// Whether a byte stands in a path as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Raw,
    Escaped,
}

/// With every escape replaced by what it stands for; `None` when there is none.
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

/// The escape with which `bytes` begin, `%41` or `%u0041`, and its length.
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

/// Bytes as signs: decoded as UTF-8, overlong forms included, and folded.
fn characters(bytes: &[(u8, Origin)]) -> Vec<Sign> {
    let mut signs = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((_, origin)) = rest.first() {
        let (character, length) = character(rest);
        fold(character, *origin, &mut signs);
        rest = &rest[length..];
    }
    signs
}

/// The character with which `bytes` begin, and its length; what is no character is replaced.
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

/// What a character is to a path, in one letter case; invisible ones are nothing.
fn fold(character: char, origin: Origin, signs: &mut Vec<Sign>) {
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
        ('/', Origin::Raw) if plain == character => signs.push(Sign::Slash),
        ('/' | '\\', _) => signs.push(Sign::SoftSlash),
        (';', _) => signs.push(Sign::Semicolon),
        ('?' | '#' | '\0', _) => signs.push(Sign::End(plain)),
        ('\u{2025}', _) => signs.extend([Sign::Letter('.'); 2]),
        (plain, _) => {
            // Upper case first: it also joins letters such as the long s and the Kelvin sign.
            let folded = plain.to_uppercase().flat_map(char::to_lowercase);
            signs.extend(folded.map(Sign::Letter));
        }
    }
}

/// The segment without its parameters.
pub(super) fn bare_of_parameters(signs: &[Sign]) -> &[Sign] {
    let end = signs.iter().position(|sign| *sign == Sign::Semicolon);
    &signs[..end.unwrap_or(signs.len())]
}

/// Without the blanks and control characters at its ends, which some servers drop.
fn trimmed(signs: &[Sign]) -> &[Sign] {
    let blank =
        |sign: &Sign| matches!(sign, Sign::Letter(c) if c.is_whitespace() || c.is_control());
    let start = signs.iter().position(|sign| !blank(sign)).unwrap_or(signs.len());
    let end = signs.iter().rposition(|sign| !blank(sign)).map_or(start, |last| last + 1);
    &signs[start..end]
}

/// Also without the dots at its end, which some file systems drop.
pub(super) fn without_final_dots(signs: &[Sign]) -> &[Sign] {
    let signs = trimmed(signs);
    let end = signs.iter().rposition(|sign| *sign != Sign::Letter('.'));
    trimmed(&signs[..end.map_or(0, |last| last + 1)])
}

/// Whether some server resolves a segment as `..`.
pub(super) fn climbs(signs: &[Sign]) -> bool {
    const PARENT: [Sign; 2] = [Sign::Letter('.'); 2];
    let end = signs.iter().position(|sign| matches!(sign, Sign::End(_)));
    let ended = &signs[..end.unwrap_or(signs.len())];
    [signs, ended].iter().any(|signs| trimmed(bare_of_parameters(signs)) == PARENT)
}

/// Whether some server leaves a segment out: an empty one, `.`, or one of parameters alone.
pub(super) fn vanishes(signs: &[Sign]) -> bool {
    without_final_dots(bare_of_parameters(signs)).is_empty()
}

/// Whether a piece is one segment, and the same one, to every server.
pub(super) fn is_settled(signs: &[Sign]) -> bool {
    let letters = signs.iter().all(|sign| matches!(sign, Sign::Letter(_)));
    letters && !vanishes(signs) && !climbs(signs)
}

pub(super) const fn letter(sign: &Sign) -> char {
    match sign {
        Sign::Letter(character) | Sign::End(character) => *character,
        Sign::Slash | Sign::SoftSlash => '/',
        Sign::Semicolon => ';',
    }
}
