//! The syntax of a request head's lines: only what every parser reads alike.
//!
//! Leniency here enables request smuggling: lines ending in LF alone, a signed length, a fragment
//! in a target. Which line is expected next is for `request.rs` to decide.

use http::Version;
use memchr::memchr;

use crate::http1::{is_blank, parse_decimal};
use crate::server::host;
use crate::server::request_error::RequestError;

/// The longest registered method has 17 bytes.
const METHOD_BYTES_MAX: usize = 32;
/// A request line without method and target: two spaces and the version.
const REQUEST_LINE_REST_BYTES: usize = 10;
/// The longest accepted body: it also fits the signed 64-bit lengths of other implementations.
const BODY_BYTES_MAX: u64 = i64::MAX as u64;

/// The bytes of a token (RFC 9110 §5.6.2).
const IS_TOKEN: [bool; 256] = {
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

pub(super) struct RequestLine<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) version: Version,
}

pub(super) fn parse_request_line(
    line: &[u8],
    target_bytes_max: usize,
) -> Result<RequestLine<'_>, RequestError> {
    let method_bytes =
        line.iter().position(|byte| !IS_TOKEN[usize::from(*byte)]).unwrap_or(line.len());
    let (method, [b' ', rest @ ..]) = line.split_at(method_bytes) else {
        return Err(RequestError::RequestLine);
    };
    let space = memchr(b' ', rest).ok_or(RequestError::RequestLine)?;
    let (target, version) = (&rest[..space], &rest[space + 1..]);
    if method.is_empty() || method.len() > METHOD_BYTES_MAX {
        return Err(RequestError::RequestLine);
    }
    if target.len() > target_bytes_max {
        return Err(RequestError::TargetTooLong);
    }
    let version = match version {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        // A later minor version is treated as 1.1 (RFC 9110 §2.5).
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9'] => Version::HTTP_11,
        other if other.starts_with(b"HTTP/") && !other.contains(&b' ') => {
            return Err(RequestError::Version);
        }
        _ => return Err(RequestError::RequestLine),
    };
    check_target(method, target)?;
    Ok(RequestLine { method, target, version })
}

/// Whether a request line of which this many bytes are here is too long, however it continues.
pub(super) const fn is_too_long(line_bytes: usize, target_bytes_max: usize) -> bool {
    line_bytes > target_bytes_max + METHOD_BYTES_MAX + REQUEST_LINE_REST_BYTES
}

fn check_target(method: &[u8], target: &[u8]) -> Result<(), RequestError> {
    if method == b"CONNECT" {
        return Err(RequestError::UpgradeUnsupported);
    }
    let path = match target {
        [b'/', ..] => target,
        b"*" if method == b"OPTIONS" => return Ok(()),
        _ => host::after_authority(target).ok_or(RequestError::Target)?,
    };
    // A fragment is never sent in a request.
    let is_allowed = |byte: &u8| *byte > b' ' && !matches!(*byte, 0x7f | b'#' | b'<' | b'>');
    let query = memchr(b'?', path).unwrap_or(path.len());
    let is_valid = path.iter().all(is_allowed) && !path[..query].contains(&b'`');
    if is_valid && (path.is_ascii() || std::str::from_utf8(path).is_ok()) {
        Ok(())
    } else {
        Err(RequestError::Target)
    }
}

/// Parses the value of `Content-Length`, untrimmed.
pub(super) fn parse_content_length(value: &[u8]) -> Result<u64, RequestError> {
    let digits = trim_spaces(value);
    let has_leading_zero = digits.len() > 1 && digits[0] == b'0';
    let length = if has_leading_zero { None } else { parse_decimal(digits) };
    length.filter(|length| *length <= BODY_BYTES_MAX).ok_or(RequestError::ContentLength)
}

/// Whether the untrimmed value of `Transfer-Encoding` is `chunked` and nothing else.
pub(super) fn is_chunked(value: &[u8]) -> bool {
    trim_spaces(value).eq_ignore_ascii_case(b"chunked")
}

/// Trims spaces only: implementations differ about tabs around framing headers.
fn trim_spaces(mut value: &[u8]) -> &[u8] {
    while let Some(rest) = value.strip_prefix(b" ") {
        value = rest;
    }
    while let Some(rest) = value.strip_suffix(b" ") {
        value = rest;
    }
    value
}

/// The error of a line that could not be parsed: a control character in it, otherwise `fallback`.
#[cold]
pub(super) fn line_error(line: &[u8], fallback: RequestError) -> RequestError {
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    if !line.iter().any(is_control) {
        fallback
    } else if memchr(b'\r', line).is_some() {
        RequestError::BareCarriageReturn
    } else {
        RequestError::ControlCharacter
    }
}

/// The error of a header line that could not be parsed.
#[cold]
pub(super) fn header_line_error(line: &[u8]) -> RequestError {
    let name = &line[..memchr(b':', line).unwrap_or(0)];
    let fallback = if line.first().is_some_and(|byte| is_blank(*byte)) {
        RequestError::FoldedLine
    } else if name.last().is_some_and(|byte| is_blank(*byte)) {
        RequestError::SpaceBeforeColon
    } else {
        RequestError::HeaderLine
    };
    line_error(line, fallback)
}
