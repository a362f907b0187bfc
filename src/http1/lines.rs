//! Header lines: found, read and written.
//!
//! It refuses what has two readings: a name is a token with its colon right behind it, a line is
//! not continued in the next, and a value has no control characters.

use std::ops::Range;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue};

use super::Lie;

/// The names of the last message's lines, by their number. Who speaks repeats himself, and to
/// recognise a name costs much less than to read it.
#[derive(Debug, Default)]
pub struct Names(Vec<Known>);

#[derive(Debug)]
struct Known {
    /// As it was written, with its colon.
    written: Box<[u8]>,
    name: HeaderName,
    concerns: Concerns,
}

/// A longer name is read anew each time: an idle connection must not keep whatever it was told.
const KNOWN_BYTES_MAX: usize = 64;

/// Whom a header line concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concerns {
    /// The two ends of this connection too: where the message ends and what follows it.
    Connection,
    /// Only who reads the message.
    Message,
}

/// What is said to the other end of a connection.
const OF_CONNECTION: [HeaderName; 5] = [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, EXPECT, TE];

/// One header line, read.
#[derive(Debug)]
pub struct Line {
    /// Its name.
    pub name: HeaderName,
    /// Its value, which shares the bytes of the head.
    pub value: HeaderValue,
    /// Whom it concerns.
    pub concerns: Concerns,
}

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

/// Reads the header line that stands at `line` in `head`, the one of this `number`.
///
/// # Errors
/// It is none.
pub fn read_line(
    head: &Bytes,
    line: Range<usize>,
    number: usize,
    names: &mut Names,
) -> Result<Line, Lie> {
    let text = &head[line.clone()];
    let (name, concerns, colon) = match names.0.get(number) {
        Some(Known { written, name, concerns }) if text.starts_with(written) => {
            (name.clone(), *concerns, written.len() - 1)
        }
        Some(_) | None => names.learn(text, number)?,
    };
    let value = text[colon + 1..].trim_ascii_start();
    let start = line.end - value.len();
    let end = start + value.trim_ascii_end().len();
    let value = HeaderValue::from_maybe_shared(head.slice(start..end));
    let value = value.map_err(|_| Lie("a bad header value"))?;
    Ok(Line { name, value, concerns })
}

impl Names {
    /// Reads the name of a line that is not the one of last time, and where its colon stands.
    #[cold]
    fn learn(&mut self, line: &[u8], number: usize) -> Result<(HeaderName, Concerns, usize), Lie> {
        let colon = memchr::memchr(b':', line).ok_or(Lie("a header line without a colon"))?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| Lie("a bad header name"))?;
        let of_connection = OF_CONNECTION.contains(&name);
        let concerns = if of_connection { Concerns::Connection } else { Concerns::Message };
        self.0.truncate(number);
        if self.0.len() == number && colon < KNOWN_BYTES_MAX {
            self.0.push(Known { written: line[..=colon].into(), name: name.clone(), concerns });
        }
        Ok((name, concerns, colon))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_read_but_not_remembered() {
        let long = "x".repeat(KNOWN_BYTES_MAX);
        let mut names = Names::default();
        for head in [format!("a: 1\r\n{long}: 2\r\nb: 3\r\n\r\n"), "a: 1\r\nb: 3\r\n\r\n".into()] {
            let head = Bytes::from(head);
            for (number, line) in Lines::of(&head).enumerate() {
                let text = String::from_utf8(head[line.clone()].to_vec()).unwrap();
                let line = read_line(&head, line, number, &mut names).unwrap();
                assert_eq!(format!("{}: {}", line.name, line.value.to_str().unwrap()), text);
            }
            assert!(names.0.iter().all(|known| known.written.len() <= KNOWN_BYTES_MAX));
        }
        assert_eq!(names.0.len(), 2);
    }
}
