//! The framing gate: raw request bytes → how many of them may pass, and what is wrong with the rest.
//!
//! It exists because the parser behind it is lenient where lenience smuggles: it takes bare line
//! feeds, drops a `Content-Length` that stands beside a `Transfer-Encoding`, cuts fragments off
//! targets and lets any `Host` through. The gate follows the messages of one HTTP/1 connection
//! and lets only whole lines and bodies pass that have one reading; where it and the parser
//! could disagree, there is nothing left to parse. A body of known length costs it one
//! subtraction.
//!
//! Refuses to read sockets, to answer, to keep bytes or to change any: it is a pure state machine.

use memchr::memchr;

use super::handler::Refused;
use super::host;
use super::wire::Part;

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

/// Why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offence {
    /// A line that ends with LF alone.
    BareLineFeed,
    /// A CR that ends no line.
    BareCarriageReturn,
    /// NUL or another control character.
    Control,
    /// Not `METHOD SP target SP HTTP/1.x`.
    RequestLine,
    /// Another version than 1.0 and 1.1.
    Version,
    /// A target with no single reading.
    Target,
    /// A header line without a name and a colon.
    HeaderLine,
    /// Whitespace between name and colon.
    SpaceBeforeColon,
    /// A line that continues the one before.
    Fold,
    /// `Content-Length` that is not a plain number.
    Length,
    /// `Content-Length` more than once.
    LengthTwice,
    /// `Content-Length` and `Transfer-Encoding`.
    LengthAndEncoding,
    /// `Transfer-Encoding` that is not `chunked`, once.
    Encoding,
    /// `Transfer-Encoding` in HTTP/1.0.
    EncodingTooOld,
    /// No `Host` in HTTP/1.1.
    HostMissing,
    /// `Host` more than once.
    HostTwice,
    /// A `Host` that names no host.
    Host,
    /// A chunk whose size or end is wrong.
    Chunk,
    /// More chunk extensions than anybody needs.
    ChunkExtensions,
    /// A trailer that may not stand there.
    Trailer,
    /// More trailers than the bound.
    Trailers,
    /// More head than the bound.
    Head,
    /// A longer target than the bound.
    TargetLength,
    /// CONNECT.
    Connect,
}

impl Offence {
    /// What the client is told.
    pub(super) const fn refused(self) -> Refused {
        let detail = match self {
            Self::Head => return Refused::HeadersTooLarge,
            Self::TargetLength => return Refused::TargetTooLong,
            Self::Connect => return Refused::UpgradeUnsupported,
            Self::BareLineFeed => "A line of the request ends with LF alone instead of CRLF.",
            Self::BareCarriageReturn => "A CR in the request ends no line.",
            Self::Control => "The request's head contains a control character.",
            Self::RequestLine => "The request line is not `METHOD target HTTP/1.1`.",
            Self::Version => "The HTTP version is not 1.0, 1.1 or 2.",
            Self::Target => "The request target is neither a path nor an absolute URL.",
            Self::HeaderLine => "A header line is not `name: value`.",
            Self::SpaceBeforeColon => "A header has whitespace before its colon.",
            Self::Fold => "A header line begins with whitespace.",
            Self::Length => "Content-Length is not a plain decimal number.",
            Self::LengthTwice => "Content-Length stands more than once.",
            Self::LengthAndEncoding => "Content-Length and Transfer-Encoding exclude each other.",
            Self::Encoding => "Transfer-Encoding can only be `chunked`, once.",
            Self::EncodingTooOld => "HTTP/1.0 has no Transfer-Encoding.",
            Self::HostMissing => "The Host header is missing.",
            Self::HostTwice => "The Host header stands more than once.",
            Self::Host => "The Host header names no host.",
            Self::Chunk => "The chunked body is malformed.",
            Self::ChunkExtensions => "The chunked body has more than 4 KiB of extensions.",
            Self::Trailer => "The body has a trailer that may only be a header.",
            Self::Trailers => "The body has too many trailers.",
        };
        Refused::Malformed { detail }
    }
}

impl std::fmt::Display for Offence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.refused().detail())
    }
}

impl std::error::Error for Offence {}

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

/// The first line without its end, if it is there whole.
fn whole_line(rest: &[u8]) -> Result<Option<&[u8]>, Offence> {
    let Some(end) = memchr(b'\n', rest) else { return Ok(None) };
    let line = rest[..end].strip_suffix(b"\r").ok_or(Offence::BareLineFeed)?;
    if !line.iter().fold(false, |found, byte| found | is_control(*byte)) {
        return Ok(Some(line));
    }
    let lone = memchr(b'\r', line).is_some();
    Err(if lone { Offence::BareCarriageReturn } else { Offence::Control })
}

const fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

fn check_request_line(line: &[u8], target_bytes_max: usize) -> Result<Version, Offence> {
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let method = parts.next().ok_or(Offence::RequestLine)?;
    let target = parts.next().ok_or(Offence::RequestLine)?;
    let version = parts.next().ok_or(Offence::RequestLine)?;
    if method.is_empty() || method.len() > METHOD_BYTES_MAX || !method.iter().all(is_token) {
        return Err(Offence::RequestLine);
    }
    if target.len() > target_bytes_max {
        return Err(Offence::TargetLength);
    }
    let version = check_version(version)?;
    check_target(method, target)?;
    Ok(version)
}

fn check_version(version: &[u8]) -> Result<Version, Offence> {
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        other if other.starts_with(b"HTTP/") && !other.contains(&b' ') => Err(Offence::Version),
        _ => Err(Offence::RequestLine),
    }
}

fn check_target(method: &[u8], target: &[u8]) -> Result<(), Offence> {
    if method == b"CONNECT" {
        return Err(Offence::Connect);
    }
    let path = match target {
        [b'/', ..] => target,
        b"*" if method == b"OPTIONS" => return Ok(()),
        _ => host::behind_authority(target).ok_or(Offence::Target)?,
    };
    let query = memchr(b'?', path).unwrap_or(path.len());
    let plain = path.iter().all(|byte| is_target_byte(*byte)) && !path[..query].contains(&b'`');
    if plain && (path.is_ascii() || std::str::from_utf8(path).is_ok()) {
        Ok(())
    } else {
        Err(Offence::Target)
    }
}

/// What a target may contain unescaped; a fragment never belongs into a request.
const fn is_target_byte(byte: u8) -> bool {
    byte > b' ' && !matches!(byte, 0x7f | b'#' | b'<' | b'>')
}

fn name_and_value(line: &[u8]) -> Result<(&[u8], &[u8]), Offence> {
    if line.first().is_some_and(|byte| is_blank(*byte)) {
        return Err(Offence::Fold);
    }
    let colon = memchr(b':', line).ok_or(Offence::HeaderLine)?;
    let name = &line[..colon];
    if name.last().is_some_and(|byte| is_blank(*byte)) {
        return Err(Offence::SpaceBeforeColon);
    }
    let plain = !name.is_empty() && name.iter().all(is_token);
    if plain { Ok((name, &line[colon + 1..])) } else { Err(Offence::HeaderLine) }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_token(byte: &u8) -> bool {
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0u8;
        while byte < 128 {
            table[byte as usize] = byte.is_ascii_alphanumeric()
                || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+')
                || matches!(byte, b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
            byte += 1;
        }
        table
    };
    TOKEN[usize::from(*byte)]
}

/// Spaces only: a tab beside a framing header has two readings out there.
fn trim_spaces(mut value: &[u8]) -> &[u8] {
    while let Some(rest) = value.strip_prefix(b" ") {
        value = rest;
    }
    while let Some(rest) = value.strip_suffix(b" ") {
        value = rest;
    }
    value
}

fn plain_number(digits: &[u8]) -> Option<u64> {
    let plain = digits == b"0" || digits.first().is_some_and(|byte| *byte != b'0');
    if !plain || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (number <= BODY_BYTES_MAX).then_some(number)
}

fn hex_number(digits: &[u8]) -> Option<u64> {
    if digits.len() > CHUNK_DIGITS_MAX {
        return None;
    }
    let number = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (number <= BODY_BYTES_MAX).then_some(number)
}

/// How many of the bytes belong to a run of `left` bytes, and what is left of it.
fn take(rest: &[u8], left: u64) -> (usize, u64) {
    let passed = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
    (passed, left - passed as u64)
}

/// Headers that steer framing, routing or credentials: in a trailer they only deceive.
fn is_header_only(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 20] = [
        b"authorization",
        b"cache-control",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"expect",
        b"forwarded",
        b"host",
        b"keep-alive",
        b"max-forwards",
        b"proxy-authorization",
        b"proxy-connection",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    ];
    const PREFIX: &[u8] = b"x-forwarded-";
    let forwarded = name.get(..PREFIX.len()).is_some_and(|n| n.eq_ignore_ascii_case(PREFIX));
    forwarded || NAMES.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}

#[cfg(test)]
mod tests;
