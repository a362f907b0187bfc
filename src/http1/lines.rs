//! Header lines: found and read.
//!
//! It refuses what has two readings: a name is a token with its colon right behind it, a line is
//! not continued in the next, and a value has no control characters.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::ParseError;
use super::names::{self, Concerns};
use super::original::OriginalHead;

/// The lines of one head after the other, as one end of a connection sends them.
#[derive(Debug, Default)]
pub struct Lines {
    /// Where the lines of the head that is coming in end: the places of their line feeds.
    ends: Vec<usize>,
    /// Bytes of it that were looked at.
    searched: usize,
    /// The lengths of its names, as [`OriginalHead`] knows them.
    name_lengths: u64,
}

/// Room for so many lines is kept between heads.
const LINES_KEPT_MAX: usize = 64;

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

impl Lines {
    /// Looks at what has come of a head, from its first byte; how long it is, with its empty line,
    /// once that is there.
    pub fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            let start = self.ends.last().map_or(0, |last| last + 1);
            let from = self.searched.max(start);
            let Some(at) = memchr::memchr(b'\n', &bytes[from..]) else {
                self.searched = bytes.len();
                return None;
            };
            let end = from + at;
            self.ends.push(end);
            // An empty line before everything else ends nothing.
            if 0 < start && (start == end || bytes[start..end] == *b"\r") {
                return Some(end + 1);
            }
        }
    }

    /// How many lines were found, the empty one among them.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// Where the line of this number stands in `head`, without its end.
    #[must_use]
    pub fn place(&self, head: &[u8], number: usize) -> Range<usize> {
        let start = if number == 0 { 0 } else { self.ends[number - 1] + 1 };
        let end = self.ends[number];
        start..if start < end && head[end - 1] == b'\r' { end - 1 } else { end }
    }

    /// Reads the header line that stands at this place.
    ///
    /// # Errors
    /// It is none.
    pub fn read(&mut self, head: &Bytes, place: Range<usize>) -> Result<Line, ParseError> {
        let text = &head[place.clone()];
        let colon =
            memchr::memchr(b':', text).ok_or(ParseError("a header line without a colon"))?;
        let (name, concerns) = names::read(&text[..colon])?;
        self.name_lengths |= OriginalHead::length_bit(colon);
        let value = value(head, place.start + colon + 1..place.end)?;
        Ok(Line { name, value, concerns })
    }

    /// The head that was read, whose bytes these are. Another one is to be looked at.
    pub fn original(&mut self, head: Bytes) -> OriginalHead {
        self.searched = 0;
        self.ends.clear();
        if self.ends.capacity() > LINES_KEPT_MAX {
            self.ends = Vec::new();
        }
        OriginalHead::new(head, std::mem::take(&mut self.name_lengths))
    }
}

/// The value that stands there, without the blanks around it: spaces and tabs, and nothing that
/// a reader less strict would take for such.
fn value(head: &Bytes, place: Range<usize>) -> Result<HeaderValue, ParseError> {
    let Range { mut start, mut end } = place;
    while start < end && is_blank(head[start]) {
        start += 1;
    }
    while start < end && is_blank(head[end - 1]) {
        end -= 1;
    }
    let value = head.slice(start..end);
    HeaderValue::from_maybe_shared(value).map_err(|_| ParseError("a bad header value"))
}

/// Whether it is a space or a tab.
#[must_use]
pub const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
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
    let more = |number: u64, digit: &u8| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, more) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits_and_fits() {
        let rows = [("0", Some(0)), ("007", Some(7)), ("18446744073709551615", Some(u64::MAX))];
        for (digits, expected) in rows {
            assert_eq!(number(digits.as_bytes()), expected, "{digits}");
        }
        for none in ["", "+1", "-1", " 1", "1 ", "1_0", "0x1", "18446744073709551616"] {
            assert_eq!(number(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn a_head_is_found_however_it_is_cut() {
        let head = "GET /\r\nHost: h\r\nA: b\nC: d\r\n\r\nrest";
        let mut lines = Lines::default();
        for step in (1..head.len()).chain(1..head.len()) {
            let cut = (0..head.len()).step_by(step).map(|here| &head.as_bytes()[..here]);
            let found = cut.chain([head.as_bytes()]).find_map(|part| lines.find(part));
            assert_eq!(found, Some(head.len() - 4), "{step}");
            let places = (0..lines.count()).map(|number| lines.place(head.as_bytes(), number));
            let texts: Vec<_> = places.map(|place| &head[place]).collect();
            assert_eq!(texts, ["GET /", "Host: h", "A: b", "C: d", ""], "{step}");
            read_all(&mut lines, head);
        }
    }

    fn read_all(lines: &mut Lines, head: &str) {
        let head = Bytes::copy_from_slice(head.as_bytes());
        for number in 1..lines.count() - 1 {
            lines.read(&head, lines.place(&head, number)).unwrap();
        }
        lines.original(head);
    }
}
