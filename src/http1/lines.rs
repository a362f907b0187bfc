//! Finds the lines of a head and parses header lines.
//!
//! Strict, so that no other parser reads a line differently: a name is a token directly followed
//! by its colon, folded lines are rejected, and values contain no control characters.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::ParseError;
use super::header_case::OriginalHead;
use super::name_cache::{self, HeaderKind};

/// Finds the lines of successive heads on one connection.
#[derive(Debug, Default)]
pub struct Lines {
    /// Positions of the line feeds of the head being received.
    ends: Vec<usize>,
    /// Bytes of the head already searched for line feeds.
    searched: usize,
    /// The lengths of the parsed names, as a bit set of [`OriginalHead`].
    name_lengths: u64,
}

/// Capacity of `ends` that is kept between heads.
const LINES_KEPT_MAX: usize = 64;

#[derive(Debug)]
pub struct HeaderLine {
    pub name: HeaderName,
    /// Shares the bytes of the head.
    pub value: HeaderValue,
    pub kind: HeaderKind,
}

impl Lines {
    /// Searches the bytes received of a head, from its first byte on. Returns the length of the
    /// head with its empty line, once that is here.
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
            // An empty line in front of the first one does not end the head (RFC 9112 §2.2).
            if 0 < start && (start == end || bytes[start..end] == *b"\r") {
                return Some(end + 1);
            }
        }
    }

    /// The number of lines found, the empty one included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The range of a line in `head`, without its CRLF or LF.
    #[must_use]
    pub fn place(&self, head: &[u8], number: usize) -> Range<usize> {
        let start = if number == 0 { 0 } else { self.ends[number - 1] + 1 };
        let end = self.ends[number];
        start..if start < end && head[end - 1] == b'\r' { end - 1 } else { end }
    }

    /// Parses the header line at `place`.
    ///
    /// # Errors
    /// The line is not a valid header line.
    pub fn parse(&mut self, head: &Bytes, place: Range<usize>) -> Result<HeaderLine, ParseError> {
        let text = &head[place.clone()];
        let colon =
            memchr::memchr(b':', text).ok_or(ParseError("a header line without a colon"))?;
        let (name, kind) = name_cache::parse_name(&text[..colon])?;
        self.name_lengths |= OriginalHead::length_bit(colon);
        let Range { mut start, mut end } = place.start + colon + 1..place.end;
        // Only spaces and tabs are trimmed: other whitespace is an invalid value.
        while start < end && is_blank(head[start]) {
            start += 1;
        }
        while start < end && is_blank(head[end - 1]) {
            end -= 1;
        }
        let value = HeaderValue::from_maybe_shared(head.slice(start..end))
            .map_err(|_| ParseError("an invalid header value"))?;
        Ok(HeaderLine { name, value, kind })
    }

    /// The parsed head with its bytes; the next search begins a new head.
    pub fn finish_head(&mut self, head: Bytes) -> OriginalHead {
        self.searched = 0;
        self.ends.clear();
        if self.ends.capacity() > LINES_KEPT_MAX {
            self.ends = Vec::new();
        }
        OriginalHead::new(head, std::mem::take(&mut self.name_lengths))
    }
}

/// Optional whitespace of RFC 9110 §5.6.3: a space or a tab.
#[must_use]
pub const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Whether a comma-separated list contains `word`, in any case.
#[must_use]
pub fn list_contains(list: &HeaderValue, word: &str) -> bool {
    let mut members = list.as_bytes().split(|byte| *byte == b',');
    members.any(|member| member.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

/// Parses decimal digits and nothing else: no sign, no whitespace.
#[must_use]
pub fn parse_decimal(digits: &[u8]) -> Option<u64> {
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
    fn a_decimal_is_digits_only_and_fits_64_bits() {
        let rows = [("0", Some(0)), ("007", Some(7)), ("18446744073709551615", Some(u64::MAX))];
        for (digits, expected) in rows {
            assert_eq!(parse_decimal(digits.as_bytes()), expected, "{digits}");
        }
        for invalid in ["", "+1", "-1", " 1", "1 ", "1_0", "0x1", "18446744073709551616"] {
            assert_eq!(parse_decimal(invalid.as_bytes()), None, "{invalid}");
        }
    }

    #[test]
    fn the_end_of_a_head_is_found_however_its_bytes_are_split() {
        let head = "GET /\r\nHost: h\r\nA: b\nC: d\r\n\r\nrest";
        let mut lines = Lines::default();
        for step in (1..head.len()).chain(1..head.len()) {
            let cut = (0..head.len()).step_by(step).map(|here| &head.as_bytes()[..here]);
            let found = cut.chain([head.as_bytes()]).find_map(|part| lines.find(part));
            assert_eq!(found, Some(head.len() - 4), "{step}");
            let places = (0..lines.count()).map(|number| lines.place(head.as_bytes(), number));
            let texts: Vec<_> = places.map(|place| &head[place]).collect();
            assert_eq!(texts, ["GET /", "Host: h", "A: b", "C: d", ""], "{step}");
            parse_all(&mut lines, head);
        }
    }

    fn parse_all(lines: &mut Lines, head: &str) {
        let head = Bytes::copy_from_slice(head.as_bytes());
        for number in 1..lines.count() - 1 {
            lines.parse(&head, lines.place(&head, number)).unwrap();
        }
        lines.finish_head(head);
    }
}
