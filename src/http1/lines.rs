//! Header lines: found, read and written.
//!
//! It refuses what has two readings: a name is a token with its colon right behind it, a line is
//! not continued in the next, and a value has no control characters.

use std::ops::Range;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING};
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
    /// The two ends of this connection too: whose the message is, where it ends, what follows it.
    Connection,
    /// Only who reads the message.
    Message,
}

/// What is said to the other end of a connection.
const OF_CONNECTION: [HeaderName; 6] =
    [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, EXPECT, TE];

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

/// Where the lines of a head stand, found as its bytes come.
#[derive(Debug, Default)]
pub struct Lines {
    /// Where each ends: the place of its line feed.
    ends: Vec<usize>,
    /// Bytes that were looked at.
    searched: usize,
}

/// Room for so many lines is kept between heads.
const LINES_KEPT_MAX: usize = 64;

impl Lines {
    /// Looks at what has come of a head, from its first byte; how long it is, with its empty line,
    /// once that is there.
    pub fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let from = self.searched;
        for at in memchr::memchr_iter(b'\n', &bytes[from..]) {
            let end = from + at;
            let start = self.ends.last().map_or(0, |last| last + 1);
            self.ends.push(end);
            // An empty line before everything else ends nothing.
            if 0 < start && matches!(bytes[start..end], [] | [b'\r']) {
                self.searched = end + 1;
                return Some(end + 1);
            }
        }
        self.searched = bytes.len();
        None
    }

    /// How many lines were found.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The lines that were found in `bytes`, without their ends; the empty one is among them.
    pub fn of<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = Range<usize>> + 'a {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let line = start..end - usize::from(start < *end && bytes[end - 1] == b'\r');
            start = end + 1;
            line
        })
    }

    /// Another head is to be looked at.
    pub fn forget(&mut self) {
        self.searched = 0;
        self.ends.clear();
        if self.ends.capacity() > LINES_KEPT_MAX {
            self.ends = Vec::new();
        }
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
    let value = trim(text, colon + 1);
    let value = head.slice(line.start + value.start..line.start + value.end);
    let value = HeaderValue::from_maybe_shared(value);
    let value = value.map_err(|_| Lie("a bad header value"))?;
    Ok(Line { name, value, concerns })
}

/// What stands in `text` behind `start`, without the blanks around it: spaces and tabs, and nothing
/// that a reader less strict would take for such.
fn trim(text: &[u8], mut start: usize) -> Range<usize> {
    let mut end = text.len();
    while start < end && is_blank(text[start]) {
        start += 1;
    }
    while start < end && is_blank(text[end - 1]) {
        end -= 1;
    }
    start..end
}

/// Whether it is a space or a tab.
#[must_use]
pub const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
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
    fn long_names_are_read_but_not_remembered() {
        let long = "x".repeat(KNOWN_BYTES_MAX);
        let mut names = Names::default();
        for head in [format!("a: 1\r\n{long}: 2\r\nb: 3\r\n\r\n"), "a: 1\r\nb: 3\r\n\r\n".into()] {
            let head = Bytes::from(head);
            let mut lines = Lines::default();
            assert_eq!(lines.find(&head), Some(head.len()));
            for (number, line) in lines.of(&head).take_while(|line| !line.is_empty()).enumerate() {
                let text = String::from_utf8(head[line.clone()].to_vec()).unwrap();
                let line = read_line(&head, line, number, &mut names).unwrap();
                assert_eq!(format!("{}: {}", line.name, line.value.to_str().unwrap()), text);
            }
            assert!(names.0.iter().all(|known| known.written.len() <= KNOWN_BYTES_MAX));
        }
        assert_eq!(names.0.len(), 2);
    }
}
