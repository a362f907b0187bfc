//! What the lines of a request's head may look like: only what has one reading.
//!
//! Elsewhere lenience smuggles: a line that ends in LF alone, a length with a sign, a fragment in
//! a target. Refuses to know which line comes next: that is `request`.

use http::Version;
use memchr::memchr;

use super::offence::Offence;
use crate::http1::is_blank;
use crate::server::host;

/// Bytes of a method; the longest registered one has seventeen.
const METHOD_BYTES_MAX: usize = 32;
/// Bytes of a request line beside method and target: two spaces and the version.
const REQUEST_LINE_REST_BYTES: usize = 10;
/// The longest body that is believed: what fits into a signed length everywhere.
const BODY_BYTES_MAX: u64 = i64::MAX as u64;

/// A request line, taken apart.
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) version: Version,
}

/// Takes a request line apart.
pub(super) fn request_line(
    line: &[u8],
    target_bytes_max: usize,
) -> Result<RequestLine<'_>, Offence> {
    let (method, [b' ', rest @ ..]) = line.split_at(token_bytes(line)) else {
        return Err(Offence::RequestLine);
    };
    let space = memchr(b' ', rest).ok_or(Offence::RequestLine)?;
    let (target, version) = (&rest[..space], &rest[space + 1..]);
    if method.is_empty() || method.len() > METHOD_BYTES_MAX {
        return Err(Offence::RequestLine);
    }
    if target.len() > target_bytes_max {
        return Err(Offence::TargetLength);
    }
    let version = check_version(version)?;
    check_target(method, target)?;
    Ok(RequestLine { method, target, version })
}

/// Whether a request line of which so many bytes are here can still end in time.
pub(super) const fn is_endless(bytes: usize, target_bytes_max: usize) -> bool {
    bytes > target_bytes_max + METHOD_BYTES_MAX + REQUEST_LINE_REST_BYTES
}

fn check_version(version: &[u8]) -> Result<Version, Offence> {
    match version {
        b"HTTP/1.1" => Ok(Version::HTTP_11),
        b"HTTP/1.0" => Ok(Version::HTTP_10),
        // A later minor version is read as the one we know (RFC 9110 §2.5).
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => Ok(Version::HTTP_11),
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

/// How many bytes of a token it begins with.
fn token_bytes(line: &[u8]) -> usize {
    line.iter().position(|byte| !is_token(*byte)).unwrap_or(line.len())
}

fn is_token(byte: u8) -> bool {
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
    TOKEN[usize::from(byte)]
}

/// The length that `Content-Length` says, of what stands behind its colon.
pub(super) fn length(value: &[u8]) -> Result<u64, Offence> {
    let digits = trim_spaces(value);
    let plain = digits == b"0" || digits.first().is_some_and(|byte| *byte != b'0');
    let number = if plain { crate::http1::parse_decimal(digits) } else { None };
    number.filter(|number| *number <= BODY_BYTES_MAX).ok_or(Offence::Length)
}

/// Whether `Transfer-Encoding` is `chunked` and nothing else.
pub(super) fn is_chunked(value: &[u8]) -> bool {
    trim_spaces(value).eq_ignore_ascii_case(b"chunked")
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

/// What is wrong with a line that could not be read, if it is not what `otherwise` says.
#[cold]
pub(super) fn offence(line: &[u8], otherwise: Offence) -> Offence {
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    if !line.iter().any(is_control) {
        return otherwise;
    }
    if memchr(b'\r', line).is_some() { Offence::BareCarriageReturn } else { Offence::Control }
}

/// What is wrong with a header line that could not be read.
#[cold]
pub(super) fn header_offence(line: &[u8]) -> Offence {
    let name = &line[..memchr(b':', line).unwrap_or(0)];
    offence(
        line,
        if line.first().is_some_and(|byte| is_blank(*byte)) {
            Offence::Fold
        } else if name.last().is_some_and(|byte| is_blank(*byte)) {
            Offence::SpaceBeforeColon
        } else {
            Offence::HeaderLine
        },
    )
}
