//! Header lines: found, read and written.
//!
//! It refuses what has two readings: a name is a token with its colon right behind it, a line is
//! not continued in the next, and a value has no control characters.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::Lie;

/// The names of the last message's lines, by their number. Who speaks repeats himself, and to
/// recognise a name costs much less than to read it.
#[derive(Debug, Default)]
pub struct Names(Vec<HeaderName>);

/// Where the first head in `bytes` ends, behind its empty line; `searched` bytes have been seen
/// to hold no end.
#[must_use]
pub fn end(bytes: &[u8], searched: usize) -> Option<usize> {
    // The last bytes may have been the first of an end.
    let from = searched.saturating_sub(3);
    memchr::memchr_iter(b'\n', &bytes[from..]).find_map(|at| match bytes[from + at + 1..] {
        [b'\n', ..] => Some(from + at + 2),
        [b'\r', b'\n', ..] => Some(from + at + 3),
        _ => None,
    })
}

/// Where the lines of a head stand, without their ends, up to the empty one.
#[derive(Debug)]
pub struct Lines<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    /// The lines of `text`.
    #[must_use]
    pub const fn of(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }
}

impl Iterator for Lines<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let end = start + memchr::memchr(b'\n', &self.text[start..])?;
        self.at = end + 1;
        let end = if self.text[start..end].ends_with(b"\r") { end - 1 } else { end };
        (start < end).then_some(start..end)
    }
}

/// Reads the header line that stands at `line` in `head`, the one of this `number`. Its value
/// shares the bytes of the head.
///
/// # Errors
/// It is none.
pub fn read_line(
    head: &Bytes,
    line: Range<usize>,
    number: usize,
    names: &mut Names,
) -> Result<(HeaderName, HeaderValue), Lie> {
    let text = &head[line.clone()];
    let name = match names.0.get(number) {
        Some(name) if begins(text, name) => name.clone(),
        Some(_) | None => names.learn(text, number)?,
    };
    let behind = name.as_str().len() + 1;
    let value = text[behind..].trim_ascii_start();
    let start = line.end - value.len();
    let end = start + value.trim_ascii_end().len();
    let value = HeaderValue::from_maybe_shared(head.slice(start..end));
    Ok((name, value.map_err(|_| Lie("a bad header value"))?))
}

/// Whether a line begins with this name.
fn begins(line: &[u8], name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    line.split_at_checked(name.len()).is_some_and(|(start, rest)| {
        rest.first() == Some(&b':') && start.eq_ignore_ascii_case(name)
    })
}

impl Names {
    /// Reads the name of a line that is not the one of last time.
    #[cold]
    fn learn(&mut self, line: &[u8], number: usize) -> Result<HeaderName, Lie> {
        let colon = memchr::memchr(b':', line).ok_or(Lie("a header line without a colon"))?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| Lie("a bad header name"))?;
        self.0.truncate(number);
        self.0.push(name.clone());
        Ok(name)
    }
}

/// Writes one header line.
pub fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Whether a comma-separated list has this word in it.
#[must_use]
pub fn is_listed(list: &HeaderValue, word: &str) -> bool {
    let words = list.as_bytes().split(|byte| *byte == b',');
    words.into_iter().any(|listed| listed.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

/// A whole number in digits and nothing else.
#[must_use]
pub fn number(digits: &[u8]) -> Option<u64> {
    let plain = digits.iter().all(u8::is_ascii_digit);
    if plain { std::str::from_utf8(digits).ok()?.parse().ok() } else { None }
}
