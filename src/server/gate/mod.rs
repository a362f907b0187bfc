//! The framing gate: raw request bytes → how many of them may pass, and what is wrong behind them.
//!
//! It exists because the parsers behind it are lenient where lenience smuggles: they take bare
//! line feeds, cut fragments off targets and let any `Host` through. The gate follows the
//! messages of one HTTP/1 connection and lets only whole lines and bodies pass that have one
//! reading; where it and a parser could disagree, there is nothing left to parse. A body of known
//! length costs it one subtraction.
//!
//! Refuses to read sockets, to answer, to keep bytes or to change any: it is a pure state machine.

mod lines;
mod offence;

use super::host;
use super::wire::Part;
use lines::{
    check_request_line, hex_number, is_header_only, name_and_value, plain_number, take,
    trim_spaces, whole_line,
};

pub(super) use offence::Offence;

/// What a gate lets pass; from the settings of the front door.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of a head, its request line included.
    pub(super) head_bytes_max: usize,
    /// Header lines of a head.
    pub(super) headers_max: usize,
    /// Bytes of a request target.
    pub(super) target_bytes_max: usize,
}

/// Bytes of a method; the longest registered one has seventeen.
const METHOD_BYTES_MAX: usize = 32;
/// Bytes of a request line beside method and target: two spaces and the version.
const REQUEST_LINE_REST_BYTES: usize = 10;
/// An empty line before a request line, which old clients send after a body; no second one.
const LEADING_BYTES_MAX: usize = 2;
/// Digits of a chunk's size: what fits into 64 bits.
const CHUNK_DIGITS_MAX: usize = 16;
/// Bytes of chunk extensions of one message; nobody uses them, attackers did (CVE-2023-39326).
const CHUNK_EXTENSION_BYTES_MAX: usize = 4 * 1024;
/// Bytes of trailers; below the parser's own bound, so that ours answers.
const TRAILER_BYTES_MAX: usize = 8 * 1024;
/// Trailer lines.
const TRAILERS_MAX: usize = 20;
/// The longest body that is believed: what fits into a signed length everywhere.
const BODY_BYTES_MAX: u64 = i64::MAX as u64;

/// What of the bytes shown may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cleared {
    /// So many bytes may; the others are shown again with those that follow.
    pub(super) bytes: usize,
    /// What is wrong behind them; nothing passes any more.
    pub(super) offence: Option<Offence>,
}

/// Follows the messages of one connection.
#[derive(Debug)]
pub(super) struct Gate {
    bounds: Bounds,
    stage: Stage,
    head: Head,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    RequestLine,
    Headers,
    /// So much of a body of known length is to come.
    Sized(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
}

/// What is known of the message under way.
#[derive(Debug, Default)]
struct Head {
    /// Bytes of its lines so far, then of its trailers.
    bytes: usize,
    /// Header lines so far, then trailers.
    lines: usize,
    extension_bytes: usize,
    method: Method,
    version: Version,
    length: Option<u64>,
    chunked: bool,
    host: bool,
}

/// Whether an answer to the message may have a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Method {
    Head,
    #[default]
    Other,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Version {
    Http10,
    #[default]
    Http11,
}

impl Gate {
    /// A gate before the first byte of a connection.
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, stage: Stage::RequestLine, head: Head::default() }
    }

    /// Looks at the next bytes; those not cleared before stand in front again.
    pub(super) fn inspect(&mut self, bytes: &[u8]) -> Cleared {
        let mut cleared = 0;
        while cleared < bytes.len() {
            match self.step(&bytes[cleared..]) {
                Ok(0) => break,
                Ok(passed) => cleared += passed,
                Err(offence) => return Cleared { bytes: cleared, offence: Some(offence) },
            }
        }
        Cleared { bytes: cleared, offence: None }
    }

    /// Whether no byte of a message has passed that is not complete.
    pub(super) fn between_messages(&self) -> bool {
        self.stage == Stage::RequestLine && self.head.bytes == 0
    }

    /// Whether a body is under way.
    pub(super) fn in_body(&self) -> bool {
        !matches!(self.stage, Stage::RequestLine | Stage::Headers)
    }

    /// The part of a message that is looked at.
    pub(super) fn part(&self) -> Part {
        match (self.in_body(), self.head.method) {
            (true, _) => Part::Body,
            (false, Method::Head) => Part::HeadOfHead,
            (false, Method::Other) => Part::Head,
        }
    }

    /// One line, or as much of a body as is there; 0 when more bytes are needed.
    fn step(&mut self, rest: &[u8]) -> Result<usize, Offence> {
        match self.stage {
            Stage::RequestLine => self.request_line(rest),
            Stage::Headers => self.header(rest),
            Stage::Sized(left) => Ok(self.body(rest, left)),
            Stage::ChunkSize => self.chunk_size(rest),
            Stage::ChunkData(left) => Ok(self.chunk_data(rest, left)),
            Stage::ChunkEnd => self.chunk_end(rest),
            Stage::Trailers => self.trailer(rest),
        }
    }

    fn request_line(&mut self, rest: &[u8]) -> Result<usize, Offence> {
        let line_max = self.bounds.target_bytes_max + METHOD_BYTES_MAX + REQUEST_LINE_REST_BYTES;
        let Some(line) = whole_line(rest)? else {
            return if rest.len() > line_max { Err(Offence::TargetLength) } else { Ok(0) };
        };
        self.count_head(line)?;
        if line.is_empty() {
            return self.leading_line();
        }
        if line.starts_with(b"HEAD ") {
            self.head.method = Method::Head;
        }
        self.head.version = check_request_line(line, self.bounds.target_bytes_max)?;
        self.stage = Stage::Headers;
        Ok(line.len() + 2)
    }

    fn leading_line(&self) -> Result<usize, Offence> {
        if self.head.bytes > LEADING_BYTES_MAX { Err(Offence::RequestLine) } else { Ok(2) }
    }

    fn header(&mut self, rest: &[u8]) -> Result<usize, Offence> {
        let Some(line) = whole_line(rest)? else {
            let fits = self.head.bytes + rest.len() <= self.bounds.head_bytes_max;
            return if fits { Ok(0) } else { Err(Offence::Head) };
        };
        self.count_head(line)?;
        if line.is_empty() {
            self.finish_head()?;
            return Ok(2);
        }
        self.head.lines += 1;
        if self.head.lines > self.bounds.headers_max {
            return Err(Offence::Head);
        }
        self.note(name_and_value(line)?)?;
        Ok(line.len() + 2)
    }

    fn count_head(&mut self, line: &[u8]) -> Result<(), Offence> {
        self.head.bytes += line.len() + 2;
        if self.head.bytes > self.bounds.head_bytes_max { Err(Offence::Head) } else { Ok(()) }
    }

    /// Takes note of the three headers that decide where a message ends and whose it is.
    fn note(&mut self, (name, value): (&[u8], &[u8])) -> Result<(), Offence> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.note_host(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.note_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.note_encoding(value),
            _ => Ok(()),
        }
    }

    fn note_host(&mut self, value: &[u8]) -> Result<(), Offence> {
        if std::mem::replace(&mut self.head.host, true) {
            return Err(Offence::HostTwice);
        }
        if host::is_valid(value.trim_ascii()) { Ok(()) } else { Err(Offence::Host) }
    }

    fn note_length(&mut self, value: &[u8]) -> Result<(), Offence> {
        let length = plain_number(trim_spaces(value)).ok_or(Offence::Length)?;
        if self.head.chunked {
            return Err(Offence::LengthAndEncoding);
        }
        match self.head.length.replace(length) {
            Some(_) => Err(Offence::LengthTwice),
            None => Ok(()),
        }
    }

    fn note_encoding(&mut self, value: &[u8]) -> Result<(), Offence> {
        if self.head.version == Version::Http10 {
            return Err(Offence::EncodingTooOld);
        }
        if self.head.length.is_some() {
            return Err(Offence::LengthAndEncoding);
        }
        let chunked = trim_spaces(value).eq_ignore_ascii_case(b"chunked");
        if !chunked || self.head.chunked {
            return Err(Offence::Encoding);
        }
        self.head.chunked = true;
        Ok(())
    }

    fn finish_head(&mut self) -> Result<(), Offence> {
        if !self.head.host && self.head.version == Version::Http11 {
            return Err(Offence::HostMissing);
        }
        let length = self.head.length.unwrap_or(0);
        let stage = match (self.head.chunked, length) {
            (true, _) => Stage::ChunkSize,
            (false, 0) => Stage::RequestLine,
            (false, length) => Stage::Sized(length),
        };
        self.enter(stage);
        Ok(())
    }

    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.head = Head::default();
    }

    fn body(&mut self, rest: &[u8], left: u64) -> usize {
        let (passed, left) = take(rest, left);
        self.stage = if left == 0 { Stage::RequestLine } else { Stage::Sized(left) };
        passed
    }

    fn chunk_size(&mut self, rest: &[u8]) -> Result<usize, Offence> {
        let Some(line) = whole_line(rest)? else {
            let fits = rest.len() <= CHUNK_DIGITS_MAX + CHUNK_EXTENSION_BYTES_MAX;
            return if fits { Ok(0) } else { Err(Offence::ChunkExtensions) };
        };
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = hex_number(&line[..digits]).ok_or(Offence::Chunk)?;
        self.count_extensions(&line[digits..])?;
        self.stage = if size == 0 { Stage::Trailers } else { Stage::ChunkData(size) };
        Ok(line.len() + 2)
    }

    fn count_extensions(&mut self, extensions: &[u8]) -> Result<(), Offence> {
        if extensions.first().is_some_and(|byte| *byte != b';') {
            return Err(Offence::Chunk);
        }
        self.head.extension_bytes += extensions.len();
        let many = self.head.extension_bytes > CHUNK_EXTENSION_BYTES_MAX;
        if many { Err(Offence::ChunkExtensions) } else { Ok(()) }
    }

    fn chunk_data(&mut self, rest: &[u8], left: u64) -> usize {
        let (passed, left) = take(rest, left);
        self.stage = if left == 0 { Stage::ChunkEnd } else { Stage::ChunkData(left) };
        passed
    }

    fn chunk_end(&mut self, rest: &[u8]) -> Result<usize, Offence> {
        match rest {
            [b'\r', b'\n', ..] => {
                self.stage = Stage::ChunkSize;
                Ok(2)
            }
            [b'\r'] => Ok(0),
            _ => Err(Offence::Chunk),
        }
    }

    fn trailer(&mut self, rest: &[u8]) -> Result<usize, Offence> {
        let Some(line) = whole_line(rest)? else {
            let fits = self.head.bytes + rest.len() <= TRAILER_BYTES_MAX;
            return if fits { Ok(0) } else { Err(Offence::Trailers) };
        };
        if line.is_empty() {
            self.enter(Stage::RequestLine);
            return Ok(2);
        }
        self.head.bytes += line.len() + 2;
        self.head.lines += 1;
        if self.head.bytes > TRAILER_BYTES_MAX || self.head.lines > TRAILERS_MAX {
            return Err(Offence::Trailers);
        }
        let (name, _) = name_and_value(line)?;
        if is_header_only(name) { Err(Offence::Trailer) } else { Ok(line.len() + 2) }
    }
}

#[cfg(test)]
mod tests;
