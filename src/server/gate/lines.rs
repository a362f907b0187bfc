//! The lines of a message, one at a time: what each may look like.
//!
//! Refuses to know which line comes next: that is the gate.

use memchr::memchr;

use super::super::host;
use super::{BODY_BYTES_MAX, CHUNK_DIGITS_MAX, METHOD_BYTES_MAX, Offence, Version};

/// The first line without its end, if it is there whole.
pub(super) fn whole_line(rest: &[u8]) -> Result<Option<&[u8]>, Offence> {
    let Some(end) = memchr(b'\n', rest) else { return Ok(None) };
    let line = rest[..end].strip_suffix(b"\r").ok_or(Offence::BareLineFeed)?;
    if has_control(line) { Err(control_offence(line)) } else { Ok(Some(line)) }
}

/// Bytes that are looked at together.
const BLOCK_BYTES: usize = 16;

fn has_control(line: &[u8]) -> bool {
    let Some(last) = line.last_chunk::<BLOCK_BYTES>() else {
        return line.iter().any(|byte| is_control(*byte));
    };
    // The last block overlaps the one before it, so that no byte is looked at alone.
    let (blocks, _) = line.as_chunks::<BLOCK_BYTES>();
    blocks.iter().any(block_has_control) || block_has_control(last)
}

fn block_has_control(block: &[u8; BLOCK_BYTES]) -> bool {
    block.iter().fold(false, |found, byte| found | is_control(*byte))
}

const fn is_control(byte: u8) -> bool {
    (byte < b' ') & (byte != b'\t') | (byte == 0x7f)
}

#[cold]
fn control_offence(line: &[u8]) -> Offence {
    if memchr(b'\r', line).is_some() { Offence::BareCarriageReturn } else { Offence::Control }
}

pub(super) fn check_request_line(line: &[u8], target_bytes_max: usize) -> Result<Version, Offence> {
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
    Ok(version)
}

pub(super) fn check_version(version: &[u8]) -> Result<Version, Offence> {
    match version {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        other if other.starts_with(b"HTTP/") && !other.contains(&b' ') => Err(Offence::Version),
        _ => Err(Offence::RequestLine),
    }
}

pub(super) fn check_target(method: &[u8], target: &[u8]) -> Result<(), Offence> {
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

pub(super) fn name_and_value(line: &[u8]) -> Result<(&[u8], &[u8]), Offence> {
    match line.split_at(token_bytes(line)) {
        (name, [b':', value @ ..]) if !name.is_empty() => Ok((name, value)),
        _ => Err(name_offence(line)),
    }
}

#[cold]
fn name_offence(line: &[u8]) -> Offence {
    if line.first().is_some_and(|byte| is_blank(*byte)) {
        return Offence::Fold;
    }
    let name = &line[..memchr(b':', line).unwrap_or(0)];
    let spaced = name.last().is_some_and(|byte| is_blank(*byte));
    if spaced { Offence::SpaceBeforeColon } else { Offence::HeaderLine }
}

/// How many bytes of a token it begins with.
fn token_bytes(line: &[u8]) -> usize {
    line.iter().position(|byte| !is_token(*byte)).unwrap_or(line.len())
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
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

/// Spaces only: a tab beside a framing header has two readings out there.
pub(super) fn trim_spaces(mut value: &[u8]) -> &[u8] {
    while let Some(rest) = value.strip_prefix(b" ") {
        value = rest;
    }
    while let Some(rest) = value.strip_suffix(b" ") {
        value = rest;
    }
    value
}

pub(super) fn plain_number(digits: &[u8]) -> Option<u64> {
    let plain = digits == b"0" || digits.first().is_some_and(|byte| *byte != b'0');
    if !plain || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (number <= BODY_BYTES_MAX).then_some(number)
}

pub(super) fn hex_number(digits: &[u8]) -> Option<u64> {
    if digits.len() > CHUNK_DIGITS_MAX {
        return None;
    }
    let number = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (number <= BODY_BYTES_MAX).then_some(number)
}

/// How many of the bytes belong to a run of `left` bytes, and what is left of it.
pub(super) fn take(rest: &[u8], left: u64) -> (usize, u64) {
    let passed = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
    (passed, left - passed as u64)
}

/// Headers that steer framing, routing or credentials: in a trailer they only deceive.
pub(super) fn is_header_only(name: &[u8]) -> bool {
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
