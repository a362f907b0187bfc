//! A body in chunks, taken out of the bytes that bring it.
//!
//! It refuses to be lenient: a size is hexadecimal digits, a line ends in CRLF, and what stands
//! between data and the next size is nothing else. Only of an upstream are blanks behind a size
//! taken, because there are some that pad it.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::ParseError;
use super::lines::{Lines, is_blank};

/// Digits of a chunk's size: 64 bits.
const SIZE_DIGITS_MAX: usize = 16;

/// Bytes of chunk extensions of one body; nobody uses them, attackers did (CVE-2023-39326).
const EXTENSION_BYTES_MAX: usize = 4 * 1024;

/// Bytes of a body's trailers.
const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// Trailer lines.
const TRAILERS_MAX: usize = 20;

/// The largest chunk that is believed: what fits into a signed length everywhere.
const SIZE_MAX: u64 = i64::MAX as u64;

/// What comes next out of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of it.
    Data(Bytes),
    /// What stands behind it.
    Trailers(HeaderMap),
    /// It is over.
    End,
    /// Not known before more bytes are there.
    More,
}

/// Where in a body of chunks the next byte stands.
#[derive(Debug)]
pub struct Chunks {
    place: Place,
    padding: Padding,
    extension_bytes: usize,
}

/// Whether blanks may stand behind the size of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// They may.
    Taken,
    /// They may not.
    Refused,
}

#[derive(Debug)]
enum Place {
    /// In the line with a chunk's size.
    Size,
    /// So many bytes before the end of a chunk's data.
    Data(u64),
    /// Behind a chunk's data.
    Behind,
    Trailers,
    End,
}

impl Chunks {
    /// Before the first chunk.
    #[must_use]
    pub const fn new(padding: Padding) -> Self {
        Self { place: Place::Size, padding, extension_bytes: 0 }
    }

    /// Takes the next piece off `received`.
    ///
    /// # Errors
    /// What stands there is no chunk.
    pub fn take(&mut self, received: &mut BytesMut) -> Result<Piece, ParseError> {
        loop {
            match &mut self.place {
                Place::Size => {
                    let Some(size) = self.size(received)? else { return Ok(Piece::More) };
                    self.place = if size == 0 { Place::Trailers } else { Place::Data(size) };
                }
                Place::Data(_) if received.is_empty() => return Ok(Piece::More),
                Place::Data(left) => {
                    let data = data(left, received);
                    if *left == 0 {
                        self.place = Place::Behind;
                    }
                    return Ok(Piece::Data(data));
                }
                Place::Behind => {
                    let Some(end) = received.first_chunk::<2>() else { return Ok(Piece::More) };
                    if end != b"\r\n" {
                        return Err(ParseError("a chunk longer than its size"));
                    }
                    received.advance(2);
                    self.place = Place::Size;
                }
                Place::Trailers => {
                    let Some(trailers) = trailers(received)? else { return Ok(Piece::More) };
                    self.place = Place::End;
                    if !trailers.is_empty() {
                        return Ok(Piece::Trailers(trailers));
                    }
                }
                Place::End => return Ok(Piece::End),
            }
        }
    }

    /// Whether nothing more is to come.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.place, Place::End)
    }

    /// Takes a line with a size off `received`, once it is whole.
    fn size(&mut self, received: &mut BytesMut) -> Result<Option<u64>, ParseError> {
        let line_max = SIZE_DIGITS_MAX + EXTENSION_BYTES_MAX + 2;
        let Some(end) = memchr::memchr(b'\n', &received[..received.len().min(line_max)]) else {
            let endless = received.len() >= line_max;
            return if endless { Err(ParseError("a chunk size without end")) } else { Ok(None) };
        };
        let line =
            received[..end].strip_suffix(b"\r").ok_or(ParseError("a bare line end in chunks"))?;
        let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
        let (digits, extension) = line.split_at(digits);
        let first = match self.padding {
            Padding::Taken => extension.iter().find(|byte| !is_blank(**byte)),
            Padding::Refused => extension.first(),
        };
        if !matches!(first, None | Some(b';')) {
            return Err(ParseError("a chunk size that is none"));
        }
        if extension.iter().any(|byte| byte.is_ascii_control() && !is_blank(*byte)) {
            return Err(ParseError("a control character in a chunk extension"));
        }
        self.extension_bytes += extension.len();
        if self.extension_bytes > EXTENSION_BYTES_MAX {
            return Err(ParseError("too many chunk extensions"));
        }
        let size = hexadecimal(digits).ok_or(ParseError("a chunk size that is none"))?;
        received.advance(end + 1);
        Ok(Some(size))
    }
}

/// Takes what is there of `left` bytes.
pub fn data(left: &mut u64, received: &mut BytesMut) -> Bytes {
    let there = received.len();
    let taken = usize::try_from(*left).map_or(there, |left| left.min(there));
    *left -= taken as u64;
    received.split_to(taken).freeze()
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    if digits.len() > SIZE_DIGITS_MAX {
        return None;
    }
    let size = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (size <= SIZE_MAX).then_some(size)
}

const BARE_END: ParseError = ParseError("a bare line end in trailers");

/// Takes trailers and the empty line behind them off `received`, once they are whole; who goes
/// wrong in the first line is not listened to until the last.
fn trailers(received: &mut BytesMut) -> Result<Option<HeaderMap>, ParseError> {
    if received.starts_with(b"\r\n") {
        received.advance(2);
        return Ok(Some(HeaderMap::new()));
    }
    if received.starts_with(b"\n") {
        return Err(BARE_END);
    }
    let (mut lines, mut trailers) = (Lines::default(), HeaderMap::new());
    let length = lines.find(received);
    if length.unwrap_or(received.len()) > TRAILER_BYTES_MAX {
        return Err(ParseError("trailers without end"));
    }
    let text = match length {
        Some(length) => received.split_to(length).freeze(),
        None => Bytes::copy_from_slice(received),
    };
    for number in 0..lines.count() {
        let place = lines.place(&text, number);
        if text[place.end] != b'\r' {
            return Err(BARE_END);
        }
        if place.is_empty() {
            break;
        }
        if number == TRAILERS_MAX {
            return Err(ParseError("too many trailers"));
        }
        let line = lines.read(&text, place)?;
        trailers.append(line.name, line.value);
    }
    Ok(length.map(|_| trailers))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that comes out of `wire`, cut into parts of `step` bytes.
    fn taken(wire: &str, step: usize) -> Result<(String, HeaderMap, usize), ParseError> {
        taken_with(Padding::Taken, wire, step)
    }

    fn taken_with(
        padding: Padding,
        wire: &str,
        step: usize,
    ) -> Result<(String, HeaderMap, usize), ParseError> {
        let (mut chunks, mut received) = (Chunks::new(padding), BytesMut::new());
        let (mut body, mut trailers) = (String::new(), HeaderMap::new());
        let mut parts = wire.as_bytes().chunks(step);
        loop {
            match chunks.take(&mut received)? {
                Piece::Data(data) => body.push_str(std::str::from_utf8(&data).unwrap()),
                Piece::Trailers(found) => trailers = found,
                Piece::End => return Ok((body, trailers, received.len())),
                Piece::More => received.extend_from_slice(parts.next().ok_or(ParseError("part"))?),
            }
        }
    }

    #[test]
    fn bodies_come_out_however_they_are_cut() {
        let wire = "3\r\nabc\r\nA;x=y\r\n0123456789\r\n000 \t;z\r\nx-sum: 1\r\nX-Sum: 2\r\n\r\n";
        for step in 1..wire.len() {
            let (body, trailers, left) = taken(wire, step).unwrap();
            assert_eq!((&*body, left), ("abc0123456789", 0));
            assert_eq!(trailers.get_all("x-sum").iter().collect::<Vec<_>>(), ["1", "2"]);
        }
        assert_eq!(taken("0\r\n\r\nHTTP", 99), Ok((String::new(), HeaderMap::new(), 4)));
    }

    #[test]
    fn what_others_may_read_differently_is_refused() {
        let lies = [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\na",
            "1 1\r\na",
            "1\na\n0\n\n",
            "1\r\nab\r\n",
            "1\r\na\n0\r\n\r\n",
            "10000000000000000\r\n",
            "00000000000000001\r\nx\r\n",
            "ffffffffffffffff\r\nx\r\n",
            "1_0\r\nx\r\n",
            "g\r\nx\r\n",
            ";a\r\nx\r\n",
            "1;a\nx\r\n",
            "1;a\rb\r\nx\r\n",
            "1;\0\r\nx\r\n",
            "1\r\nx\n0\r\n\r\n",
            "1\r\nx0\r\n\r\n",
            "1\r\nx\r0\r\n\r\n",
            "0\n\r\n",
            "0\r\n\n",
            "0\r\nno colon\r\n\r\n",
            "0\r\nx : 1\r\n\r\n",
            "0\r\nx: 1\n\r\n",
            "0\r\n\nHTTP/1.1 200 OK\r\n\r\n",
        ];
        for lie in lies {
            for step in [1, 99] {
                let fault = taken(lie, step).expect_err(lie);
                assert_ne!(fault, ParseError("part"), "{lie:?}");
            }
        }
    }

    #[test]
    fn trailers_that_went_wrong_are_not_awaited_to_their_end() {
        let many = format!("0\r\n{}", "x: y\r\n".repeat(TRAILERS_MAX + 1));
        for wrong in ["0\r\nx: 1\n", "0\r\nx : 1\r\n", "0\r\nx: 1\r\n y\r\n", &many] {
            for step in [1, 999] {
                let fault = taken(wrong, step).expect_err(wrong);
                assert_ne!(fault, ParseError("part"), "{wrong:?}");
            }
        }
        assert_eq!(taken("0\r\nx: 1\r\ny: 2\r\n", 1), Err(ParseError("part")));
    }

    #[test]
    fn padded_sizes_are_taken_of_upstreams_alone() {
        for padded in ["1 \r\nx\r\n0\r\n\r\n", "1\t ;a\r\nx\r\n0 \r\n\r\n"] {
            assert_eq!(taken(padded, 1).unwrap().0, "x");
            assert!(taken_with(Padding::Refused, padded, 1).is_err(), "{padded:?}");
        }
        assert_eq!(taken_with(Padding::Refused, "1;a \r\nx\r\n0\r\n\r\n", 1).unwrap().0, "x");
    }

    #[test]
    fn nothing_is_without_end() {
        let long = "y".repeat(2 * EXTENSION_BYTES_MAX);
        let often = "1;yyyy\r\nz\r\n".repeat(EXTENSION_BYTES_MAX / 5 + 1);
        let trailers = format!("0\r\n{}", "x: yyyy\r\n".repeat(TRAILER_BYTES_MAX / 9 + 1));
        let trailer = format!("0\r\nx: {}", "y".repeat(TRAILER_BYTES_MAX));
        let many = format!("0\r\n{}\r\n", "x: y\r\n".repeat(TRAILERS_MAX + 1));
        let endless =
            [format!("1;{long}"), format!("1;{long}\r\n"), often, trailers, trailer, many];
        for endless in endless {
            let fault = taken(&endless, 1000).unwrap_err();
            assert_ne!(fault, ParseError("part"), "{}", &endless[..40]);
        }
    }
}
