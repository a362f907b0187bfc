//! Header lines: found, read, remembered and written.
//!
//! It refuses what has two readings: a name is a token with its colon right behind it, a line is
//! not continued in the next, and a value has no control characters.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue};

use super::Lie;
use super::names::{NameMemory, Names};

/// The lines of one head after the other, as one end of a connection sends them.
///
/// Who speaks repeats himself, and to recognise a line costs much less than to find and to read
/// it. So the lines of former heads are remembered, by their number; what is recognised is a whole
/// line, byte for byte, so that it means what it meant before.
#[derive(Default)]
pub struct Lines {
    /// Those of the head that is coming in.
    found: Vec<Found>,
    /// Bytes of it that were looked at.
    searched: usize,
    known: Vec<Known>,
    names: NameMemory,
}

struct Found {
    /// The place of its line feed.
    end: usize,
    /// It is the known one of its number.
    known: bool,
}

/// A header line of a former head.
struct Known {
    /// As it was written: the whole line with its end, or its name and colon.
    written: Box<[u8]>,
    name: HeaderName,
    /// What it says, if the whole line is here.
    value: Option<HeaderValue>,
    concerns: Concerns,
    /// How often another line came since it was learned.
    misses: u8,
}

/// Lines that are remembered; few heads have more.
const KNOWN_MAX: usize = 32;

/// Bytes of a line that is: an idle connection must not keep whatever it was told.
const KNOWN_BYTES_MAX: usize = 128;

/// A line is learned anew after so many others: a date says something new each second, an id each
/// time.
const MISSES_MAX: u8 = 8;

/// Room for so many lines is kept between heads.
const FOUND_KEPT_MAX: usize = 64;

/// Whose name has one of these in it is not kept beyond its message: it may be a credential, and
/// everybody calls his own differently.
const SECRET_WORDS: [&str; 8] =
    ["auth", "cookie", "credential", "key", "password", "secret", "session", "token"];

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
    /// Its value, which shares the bytes of the head or of the line that was known.
    pub value: HeaderValue,
    /// Whom it concerns.
    pub concerns: Concerns,
}

impl Lines {
    /// Looks at what has come of a head, from its first byte; how long it is, with its empty line,
    /// once that is there.
    pub fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        self.names.begin();
        loop {
            let start = self.found.last().map_or(0, |last| last.end + 1);
            let rest = &bytes[start..];
            let known = self.found.len().checked_sub(1).and_then(|number| self.known.get(number));
            if let Some(known) = known.filter(|known| known.is_at(rest)) {
                self.found.push(Found { end: start + known.written.len() - 1, known: true });
                continue;
            }
            if 0 < start && rest.starts_with(b"\r\n") {
                self.found.push(Found { end: start + 1, known: false });
                return Some(start + 2);
            }
            let from = self.searched.max(start);
            let Some(at) = memchr::memchr(b'\n', &bytes[from..]) else {
                self.searched = bytes.len();
                return None;
            };
            let end = from + at;
            self.found.push(Found { end, known: false });
            // An empty line before everything else ends nothing. This one lacks its CR.
            if 0 < start && start == end {
                return Some(end + 1);
            }
        }
    }

    /// How many lines were found, the empty one among them.
    #[must_use]
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// Where the line of this number stands in `head`, without its end.
    #[must_use]
    pub fn place(&self, head: &[u8], number: usize) -> Range<usize> {
        let start = if number == 0 { 0 } else { self.found[number - 1].end + 1 };
        let end = self.found[number].end;
        start..if start < end && head[end - 1] == b'\r' { end - 1 } else { end }
    }

    /// Reads the header line of this number; the first line of a head is never known.
    ///
    /// # Errors
    /// It is none.
    pub fn read(&mut self, head: &Bytes, number: usize) -> Result<Line, Lie> {
        let place = self.place(head, number);
        let Found { end, known: is_known } = self.found[number];
        let start = place.start;
        let spelled = |name: &HeaderName| &head[start..start + name.as_str().len()];
        let known = number.checked_sub(1).and_then(|slot| self.known.get_mut(slot));
        let Some(known) = known else {
            let line = read_new(head, place.clone())?;
            self.names.learn(&line.name, spelled(&line.name));
            if self.known.len() + 1 == number && number <= KNOWN_MAX {
                self.known.push(Known::of(&line, &head[place.start..=end]));
            }
            return Ok(line);
        };
        if is_known && let Some(value) = &known.value {
            self.names.learn(&known.name, spelled(&known.name));
            let (name, value) = (known.name.clone(), value.clone());
            return Ok(Line { name, value, concerns: known.concerns });
        }
        let line = if known.is_named(&head[place.clone()]) {
            let value = value(head, place.start + known.name_bytes() + 1..place.end)?;
            Line { name: known.name.clone(), value, concerns: known.concerns }
        } else {
            read_new(head, place.clone())?
        };
        self.names.learn(&line.name, spelled(&line.name));
        known.misses += 1;
        if known.misses == MISSES_MAX {
            *known = Known::of(&line, &head[place.start..=end]);
        }
        Ok(line)
    }

    /// The names of the latest head's lines, as they were written.
    pub fn names(&mut self) -> Arc<Names> {
        self.names.latest()
    }

    /// Lets go of what is large while the connection is idle.
    pub fn rest(&mut self) {
        self.names.rest();
    }

    /// Another head is to be looked at.
    pub fn forget(&mut self) {
        self.searched = 0;
        self.found.clear();
        if self.found.capacity() > FOUND_KEPT_MAX {
            self.found = Vec::new();
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was said is nobody's business.
        f.debug_struct("Lines").field("searched", &self.searched).finish_non_exhaustive()
    }
}

impl Known {
    /// Learns a line, `written` with its end.
    #[cold]
    fn of(line: &Line, written: &[u8]) -> Self {
        let name_bytes = line.name.as_str().len();
        if name_bytes >= KNOWN_BYTES_MAX {
            return Self::nothing();
        }
        let whole = written.len() <= KNOWN_BYTES_MAX && written.ends_with(b"\r\n");
        let value = if whole && !SECRET_WORDS.iter().any(|word| line.name.as_str().contains(word)) {
            HeaderValue::from_bytes(line.value.as_bytes()).ok()
        } else {
            None
        };
        let kept = if value.is_some() { written } else { &written[..=name_bytes] };
        Self {
            written: kept.into(),
            name: line.name.clone(),
            value,
            concerns: line.concerns,
            misses: 0,
        }
    }

    /// Like no line: not even its name is worth keeping.
    fn nothing() -> Self {
        let (written, concerns) = (Box::default(), Concerns::Message);
        Self { written, name: HOST, value: None, concerns, misses: 0 }
    }

    fn name_bytes(&self) -> usize {
        self.name.as_str().len()
    }

    /// Whether it stands at the beginning of `bytes`.
    fn is_at(&self, bytes: &[u8]) -> bool {
        self.value.is_some() && bytes.starts_with(&self.written)
    }

    /// Whether `line` begins with its name, written the same way.
    fn is_named(&self, line: &[u8]) -> bool {
        self.written.get(..=self.name_bytes()).is_some_and(|written| line.starts_with(written))
    }
}

/// Reads a header line that is not known.
#[cold]
fn read_new(head: &Bytes, place: Range<usize>) -> Result<Line, Lie> {
    let text = &head[place.clone()];
    let colon = memchr::memchr(b':', text).ok_or(Lie("a header line without a colon"))?;
    let name = HeaderName::from_bytes(&text[..colon]).map_err(|_| Lie("a bad header name"))?;
    let of_connection = OF_CONNECTION.contains(&name);
    let concerns = if of_connection { Concerns::Connection } else { Concerns::Message };
    Ok(Line { name, value: value(head, place.start + colon + 1..place.end)?, concerns })
}

/// The value that stands there, without the blanks around it: spaces and tabs, and nothing that
/// a reader less strict would take for such.
fn value(head: &Bytes, place: Range<usize>) -> Result<HeaderValue, Lie> {
    let Range { mut start, mut end } = place;
    while start < end && is_blank(head[start]) {
        start += 1;
    }
    while start < end && is_blank(head[end - 1]) {
        end -= 1;
    }
    let value = HeaderValue::from_maybe_shared(head.slice(start..end));
    value.map_err(|_| Lie("a bad header value"))
}

/// Whether it is a space or a tab.
#[must_use]
pub const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Writes one header line.
pub fn line(out: &mut Vec<u8>, name: impl AsRef<[u8]>, value: &[u8]) {
    out.extend_from_slice(name.as_ref());
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
    use proptest::collection::vec;
    use proptest::prelude::*;

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

    /// What stands in each line of `head`.
    fn read(lines: &mut Lines, head: &str) -> Vec<String> {
        let head = Bytes::copy_from_slice(head.as_bytes());
        assert_eq!(lines.find(&head), Some(head.len()));
        let read = (1..lines.count() - 1).map(|number| {
            let Line { name, value, .. } = lines.read(&head, number).unwrap();
            format!("{name}: {}", value.to_str().unwrap())
        });
        let read = read.collect();
        lines.forget();
        read
    }

    #[test]
    fn what_is_known_reads_as_it_did() {
        let mut lines = Lines::default();
        let same = "GET /\r\nHost: h\r\nA:\tb \r\nX: 1\r\n\r\n";
        let shorter = "GET /b\r\nHost: h\r\nA:\tb \r\n\r\n";
        let longer = "GET /c\r\nHost: h\r\nA:\tb \r\nX: 12\r\ny:\r\n\r\n";
        let other = "GET /\r\nhost: h\r\nA:\tb\r\n x: 1\r\n\r\n".replace("\n x", "\nX");
        for _ in 0..3 * MISSES_MAX {
            assert_eq!(read(&mut lines, same), ["host: h", "a: b", "x: 1"]);
            assert_eq!(read(&mut lines, shorter), ["host: h", "a: b"]);
            assert_eq!(read(&mut lines, longer), ["host: h", "a: b", "x: 12", "y: "]);
            assert_eq!(read(&mut lines, &other), ["host: h", "a: b", "x: 1"]);
        }
    }

    #[test]
    fn a_line_that_changed_is_learned_again() {
        let mut lines = Lines::default();
        let is_known = |lines: &mut Lines, head: &str| {
            lines.find(head.as_bytes());
            let known = lines.found[1].known;
            lines.forget();
            known
        };
        for date in 0..5 {
            let head = format!("HTTP/1.1 200 OK\r\nDate: {date}\r\n\r\n");
            for _ in 0..MISSES_MAX {
                read(&mut lines, &head);
            }
            assert!(is_known(&mut lines, &head), "{date}");
        }
    }

    #[test]
    fn secrets_and_what_is_long_are_not_kept() {
        let long = "x".repeat(KNOWN_BYTES_MAX);
        let head =
            format!("GET /\r\nAuthorization: Bearer s3cret\r\nA: {long}\r\n{long}: 1\r\n\r\n");
        let mut lines = Lines::default();
        for _ in 0..2 * MISSES_MAX {
            assert_eq!(read(&mut lines, &head).len(), 3);
        }
        let kept = |known: &Known| (known.value.is_some(), known.written.len());
        let kept: Vec<_> = lines.known.iter().map(kept).collect();
        assert_eq!(kept, [(false, 14), (false, 2), (false, 0)]);
        assert!(lines.known.iter().all(|known| known.name.as_str().len() < KNOWN_BYTES_MAX));
        let many = format!("GET /\r\n{}\r\n", "a: b\r\n".repeat(2 * KNOWN_MAX));
        assert_eq!(read(&mut lines, &many).len(), 2 * KNOWN_MAX);
        assert_eq!(lines.known.len(), KNOWN_MAX);
        assert!(!format!("{lines:?}").contains("a: b"));
    }

    #[test]
    fn keys_are_not_kept_whatever_their_header_is_called() {
        let standard = ["authorization", "proxy-authorization", "cookie", "set-cookie"];
        let own = ["Evenkeel-Key", "x-api-key", "X-Auth-Token", "acme-secret", "x-session"];
        for name in standard.into_iter().chain(own) {
            let mut lines = Lines::default();
            read(&mut lines, &format!("GET /\r\n{name}: s3cret\r\n\r\n"));
            let known = &lines.known[0];
            assert!(known.value.is_none() && known.written.ends_with(b":"), "{name}");
        }
        let mut lines = Lines::default();
        read(&mut lines, "GET /\r\nAccept: a\r\n\r\n");
        assert!(lines.known[0].value.is_some());
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

    /// How long a head is, and what stands in each of its lines.
    fn heard(lines: &mut Lines, bytes: &str) -> (Option<usize>, Vec<Result<String, Lie>>) {
        let bytes = Bytes::copy_from_slice(bytes.as_bytes());
        let length = lines.find(&bytes);
        let line = |line: Line| format!("{:?} {:?} {:?}", line.name, line.value, line.concerns);
        let read = (1..lines.count()).map(|number| lines.read(&bytes, number).map(line)).collect();
        lines.forget();
        (length, read)
    }

    proptest! {
        #[test]
        fn memory_changes_nothing(heads in vec(vec(0..PIECES.len(), 0..12), 1..40)) {
            let mut remembering = Lines::default();
            for head in heads {
                let head: String = head.into_iter().map(|piece| PIECES[piece]).collect();
                let expected = heard(&mut Lines::default(), &head);
                prop_assert_eq!(heard(&mut remembering, &head), expected, "{:?}", head);
            }
        }
    }

    /// What heads are made of, and what they are not.
    const PIECES: [&str; 14] = [
        "GET /\r\n",
        "a: 1\r\n",
        "a: 1\r\n",
        "A:1\r\n",
        "a: 12\r\n",
        "a: 1\n",
        "b:\r\n",
        "b: \t2 \r\n",
        "host: h\r\n",
        "a: 1\r\nb: 2\r\n",
        "\r\n",
        "\n",
        "\r",
        " : 1\r\n",
    ];

    fn read_all(lines: &mut Lines, head: &str) {
        let head = Bytes::copy_from_slice(head.as_bytes());
        for number in 1..lines.count() - 1 {
            lines.read(&head, number).unwrap();
        }
        lines.forget();
    }
}
