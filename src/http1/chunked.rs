//! Decodes chunked bodies (RFC 9112 §7.1) incrementally.
//!
//! Strict, because lenient chunk parsing enables request smuggling: a size is hexadecimal digits
//! only, every line ends in CRLF, and nothing but CRLF follows a chunk's data. Spaces behind a
//! size are accepted from upstreams alone, because some servers pad the size.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::ParseError;
use super::lines::{Lines, is_blank};

/// 16 hexadecimal digits are 64 bits.
const SIZE_DIGITS_MAX: usize = 16;

/// Chunk extensions of one body. Clients do not use them; attackers did (CVE-2023-39326).
const EXTENSION_BYTES_MAX: usize = 4 * 1024;

const TRAILER_BYTES_MAX: usize = 8 * 1024;

const TRAILERS_MAX: usize = 20;

/// The largest accepted chunk: it also fits the signed 64-bit lengths of other implementations.
const SIZE_MAX: u64 = i64::MAX as u64;

/// One step of decoding a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
    /// More bytes have to be read first.
    More,
}

#[derive(Debug)]
pub struct ChunkedDecoder {
    state: State,
    padding: SizePadding,
    extension_bytes: usize,
}

/// Whether spaces and tabs may follow the size of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizePadding {
    Accepted,
    Rejected,
}

#[derive(Debug)]
enum State {
    Size,
    /// Bytes left of this chunk's data.
    Data(u64),
    DataEnd,
    Trailers,
    End,
}

impl ChunkedDecoder {
    #[must_use]
    pub const fn new(padding: SizePadding) -> Self {
        Self { state: State::Size, padding, extension_bytes: 0 }
    }

    /// Takes the next piece off `received`.
    ///
    /// # Errors
    /// The bytes are not a valid chunk.
    pub fn take(&mut self, received: &mut BytesMut) -> Result<Piece, ParseError> {
        loop {
            match &mut self.state {
                State::Size => {
                    let Some(size) = self.size(received)? else { return Ok(Piece::More) };
                    self.state = if size == 0 { State::Trailers } else { State::Data(size) };
                }
                State::Data(_) if received.is_empty() => return Ok(Piece::More),
                State::Data(left) => {
                    let data = take_data(left, received);
                    if *left == 0 {
                        self.state = State::DataEnd;
                    }
                    return Ok(Piece::Data(data));
                }
                State::DataEnd => {
                    let Some(end) = received.first_chunk::<2>() else { return Ok(Piece::More) };
                    if end != b"\r\n" {
                        return Err(ParseError("a chunk longer than its size"));
                    }
                    received.advance(2);
                    self.state = State::Size;
                }
                State::Trailers => {
                    let Some(trailers) = take_trailers(received)? else { return Ok(Piece::More) };
                    self.state = State::End;
                    if !trailers.is_empty() {
                        return Ok(Piece::Trailers(trailers));
                    }
                }
                State::End => return Ok(Piece::End),
            }
        }
    }

    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// Takes the size line off `received` once it is complete.
    fn size(&mut self, received: &mut BytesMut) -> Result<Option<u64>, ParseError> {
        let line_max = SIZE_DIGITS_MAX + EXTENSION_BYTES_MAX + 2;
        let Some(end) = memchr::memchr(b'\n', &received[..received.len().min(line_max)]) else {
            let endless = received.len() >= line_max;
            return if endless { Err(ParseError("an endless chunk size line")) } else { Ok(None) };
        };
        let line = received[..end]
            .strip_suffix(b"\r")
            .ok_or(ParseError("a line feed without CR in the chunk framing"))?;
        let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
        let (digits, extension) = line.split_at(digits);
        let first = match self.padding {
            SizePadding::Accepted => extension.iter().find(|byte| !is_blank(**byte)),
            SizePadding::Rejected => extension.first(),
        };
        if !matches!(first, None | Some(b';')) {
            return Err(ParseError("an invalid chunk size"));
        }
        if extension.iter().any(|byte| byte.is_ascii_control() && !is_blank(*byte)) {
            return Err(ParseError("a control character in a chunk extension"));
        }
        self.extension_bytes += extension.len();
        if self.extension_bytes > EXTENSION_BYTES_MAX {
            return Err(ParseError("too many chunk extensions"));
        }
        let digits = std::str::from_utf8(digits).ok().filter(|it| it.len() <= SIZE_DIGITS_MAX);
        let size = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let size = size.filter(|size| *size <= SIZE_MAX);
        let size = size.ok_or(ParseError("an invalid chunk size"))?;
        received.advance(end + 1);
        Ok(Some(size))
    }
}

/// Takes up to `left` bytes off `received`, and counts them off `left`.
pub fn take_data(left: &mut u64, received: &mut BytesMut) -> Bytes {
    let available = received.len();
    let taken = usize::try_from(*left).map_or(available, |left| left.min(available));
    *left -= taken as u64;
    received.split_to(taken).freeze()
}

const BARE_LINE_FEED: ParseError = ParseError("a line feed without CR in the trailers");

/// Takes the trailer section off `received` once it is complete. Each line is checked as soon as it
/// is here, so that an invalid one ends the connection at once.
fn take_trailers(received: &mut BytesMut) -> Result<Option<HeaderMap>, ParseError> {
    if received.starts_with(b"\r\n") {
        received.advance(2);
        return Ok(Some(HeaderMap::new()));
    }
    if received.starts_with(b"\n") {
        return Err(BARE_LINE_FEED);
    }
    let (mut lines, mut trailers) = (Lines::default(), HeaderMap::new());
    let length = lines.find(received);
    if length.unwrap_or(received.len()) > TRAILER_BYTES_MAX {
        return Err(ParseError("a trailer section larger than 8 KiB"));
    }
    let text = match length {
        Some(length) => received.split_to(length).freeze(),
        None => Bytes::copy_from_slice(received),
    };
    for number in 0..lines.count() {
        let place = lines.place(&text, number);
        if text[place.end] != b'\r' {
            return Err(BARE_LINE_FEED);
        }
        if place.is_empty() {
            break;
        }
        if number == TRAILERS_MAX {
            return Err(ParseError("too many trailers"));
        }
        let line = lines.parse(&text, place)?;
        trailers.append(line.name, line.value);
    }
    Ok(length.map(|_| trailers))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Body, trailers and left-over bytes of `wire`, received in parts of `step` bytes.
    fn decode(wire: &str, step: usize) -> Result<(String, HeaderMap, usize), ParseError> {
        let (mut chunks, mut received) =
            (ChunkedDecoder::new(SizePadding::Accepted), BytesMut::new());
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
    fn a_body_decodes_alike_however_its_bytes_are_split() {
        let wire = "3\r\nabc\r\nA;x=y\r\n0123456789\r\n000 \t;z\r\nx-sum: 1\r\nX-Sum: 2\r\n\r\n";
        for step in 1..wire.len() {
            let (body, trailers, left) = decode(wire, step).unwrap();
            assert_eq!((&*body, left), ("abc0123456789", 0));
            assert_eq!(trailers.get_all("x-sum").iter().collect::<Vec<_>>(), ["1", "2"]);
        }
        assert_eq!(decode("0\r\n\r\nHTTP", 99), Ok((String::new(), HeaderMap::new(), 4)));
    }

    #[test]
    fn an_invalid_trailer_is_rejected_before_the_section_is_complete() {
        let many = format!("0\r\n{}", "x: y\r\n".repeat(TRAILERS_MAX + 1));
        for wrong in ["0\r\nx: 1\n", "0\r\nx : 1\r\n", "0\r\nx: 1\r\n y\r\n", &many] {
            for step in [1, 999] {
                let fault = decode(wrong, step).expect_err(wrong);
                assert_ne!(fault, ParseError("part"), "{wrong:?}");
            }
        }
        assert_eq!(decode("0\r\nx: 1\r\ny: 2\r\n", 1), Err(ParseError("part")));
    }

    #[test]
    fn sizes_extensions_and_trailers_are_bounded() {
        let long = "y".repeat(2 * EXTENSION_BYTES_MAX);
        let often = "1;yyyy\r\nz\r\n".repeat(EXTENSION_BYTES_MAX / 5 + 1);
        let trailers = format!("0\r\n{}", "x: yyyy\r\n".repeat(TRAILER_BYTES_MAX / 9 + 1));
        let trailer = format!("0\r\nx: {}", "y".repeat(TRAILER_BYTES_MAX));
        let many = format!("0\r\n{}\r\n", "x: y\r\n".repeat(TRAILERS_MAX + 1));
        let endless =
            [format!("1;{long}"), format!("1;{long}\r\n"), often, trailers, trailer, many];
        for endless in endless {
            let fault = decode(&endless, 1000).unwrap_err();
            assert_ne!(fault, ParseError("part"), "{}", &endless[..40]);
        }
    }
}
