//! Writes header lines with the spelling in which they were received.
//!
//! Header names are case-insensitive, but some servers recognise only `SOAPAction` or `X-API-KEY`.
//! `HeaderName` keeps lower case only, so the received bytes are kept beside the parsed headers.
//! Most lines pass unchanged and are copied whole, name and value in one piece.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::message_writer::write_header;

/// The received bytes of a head; the values parsed from it are slices of them.
#[derive(Clone, Default)]
pub struct OriginalHead {
    bytes: Bytes,
    /// Has bit N set when the head contains a name of N bytes.
    name_lengths: u64,
}

impl OriginalHead {
    pub(super) const fn new(bytes: Bytes, name_lengths: u64) -> Self {
        Self { bytes, name_lengths }
    }

    /// The bit for names of this length in `name_lengths`.
    pub(super) fn length_bit(bytes: usize) -> u64 {
        1 << bytes.min(63)
    }

    /// The received line, with its CRLF, that consists of this name and `value`.
    fn line(&self, name: &HeaderName, value: &HeaderValue) -> Option<&[u8]> {
        let name = name.as_str().as_bytes();
        // A received value is a slice of the head, so its address gives its position in it.
        let place = value.as_bytes().as_ptr().addr().wrapping_sub(self.bytes.as_ptr().addr());
        let start = place.checked_sub(name.len() + COLON.len())?;
        let line = self.bytes.get(start..)?.get(..name.len() + COLON.len() + value.len() + 2)?;
        let (written, rest) = line.split_at(name.len());
        let is_line = rest.starts_with(COLON)
            && rest.ends_with(b"\r\n")
            && start.checked_sub(1).is_some_and(|before| self.bytes[before] == b'\n')
            && is_name(written, name);
        is_line.then_some(line)
    }

    /// The spelling of a name in this head.
    fn name(&self, name: &HeaderName) -> Option<&[u8]> {
        let name = name.as_str().as_bytes();
        if self.name_lengths & Self::length_bit(name.len()) == 0 {
            return None;
        }
        let starts = memchr::memchr_iter(b'\n', &self.bytes).map(|end| end + 1);
        let mut lines = starts.filter_map(|start| self.bytes[start..].split_at_checked(name.len()));
        let line = lines.find(|(written, rest)| rest.starts_with(b":") && is_name(written, name));
        line.map(|(written, _)| written)
    }
}

/// Whether two names of equal length differ only in the case of their letters. (It also takes `^`
/// and `~` for each other, the only other pair of token characters that differs in this bit.)
fn is_name(written: &[u8], name: &[u8]) -> bool {
    let (Some(start), Some(end)) = (written.first_chunk(), written.last_chunk()) else {
        return written.eq_ignore_ascii_case(name);
    };
    let (Some(name_start), Some(name_end)) = (name.first_chunk(), name.last_chunk()) else {
        return false;
    };
    // Most names have 8 to 16 bytes: two overlapping words cover them.
    let difference = |a: &[u8; 8], b: &[u8; 8]| u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b);
    let differing = difference(start, name_start) | difference(end, name_end);
    differing & !u64::from_ne_bytes([LETTER_CASE; 8]) == 0
        && (written.len() <= 16 || written.eq_ignore_ascii_case(name))
}

/// The bit in which a lower-case letter differs from its capital.
const LETTER_CASE: u8 = 0x20;

impl fmt::Debug for OriginalHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may hold secrets.
        f.debug_struct("OriginalHead").finish_non_exhaustive()
    }
}

/// The separator as nearly all programs write it.
const COLON: &[u8] = b": ";

/// The spelling of a message's header names.
#[derive(Clone, Debug, Default)]
pub struct HeaderCase {
    /// The head as received over HTTP/1.1.
    pub received: Option<OriginalHead>,
    /// The name of the configured credential header, as spelled in the configuration.
    pub configured: Option<Arc<str>>,
}

impl HeaderCase {
    /// Writes one header line.
    pub fn write(&self, out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
        match self.received.as_ref().and_then(|head| head.line(name, value)) {
            Some(line) => out.extend_from_slice(line),
            None => write_header(out, self.name(name), value.as_bytes()),
        }
    }

    /// The name as configured, else as received, else in lower case.
    #[must_use]
    pub fn name<'a>(&'a self, name: &'a HeaderName) -> &'a [u8] {
        if let Some(configured) = &self.configured
            && configured.eq_ignore_ascii_case(name.as_str())
        {
            return configured.as_bytes();
        }
        let received = self.received.as_ref().and_then(|head| head.name(name));
        received.unwrap_or(name.as_str().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{HeaderLine, Lines};

    /// The headers of a head, and its spelling of them.
    fn received(head: &str) -> (Vec<(HeaderName, HeaderValue)>, HeaderCase) {
        let bytes = Bytes::copy_from_slice(format!("GET /\r\n{head}\r\n").as_bytes());
        let mut lines = Lines::default();
        lines.find(&bytes).unwrap();
        let read = (1..lines.count() - 1).map(|number| {
            let HeaderLine { name, value, .. } =
                lines.parse(&bytes, lines.place(&bytes, number)).unwrap();
            (name, value)
        });
        let read = read.collect();
        let received = Some(lines.finish_head(bytes));
        (read, HeaderCase { received, configured: None })
    }

    fn written(case: &HeaderCase, name: &'static str, value: &HeaderValue) -> String {
        let mut out = Vec::new();
        case.write(&mut out, &HeaderName::from_static(name), value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn unchanged_lines_are_written_as_received() {
        let head = "Host: h\r\nSOAPAction: \"a\"\r\nx-api-KEY: k\r\nx-api-KEY: l\r\nETag: W/1\r\n";
        let (headers, case) = received(head);
        let mut out = Vec::new();
        headers.iter().rev().for_each(|(name, value)| case.write(&mut out, name, value));
        let mut lines: Vec<_> = head.split_inclusive("\r\n").collect();
        lines.reverse();
        assert_eq!(String::from_utf8(out).unwrap(), lines.concat(), "in any order");
    }

    #[test]
    fn a_line_with_unusual_whitespace_is_written_with_the_usual_one() {
        for head in ["ETag:1\r\n", "ETag:  1 \t\r\n", "ETag: 1\n"] {
            let (headers, case) = received(head);
            assert_eq!(written(&case, "etag", &headers[0].1), "ETag: 1\r\n", "{head:?}");
        }
        let (headers, case) = received("X-Empty:\r\nx: 1\r\n");
        assert_eq!(written(&case, "x-empty", &headers[0].1), "X-Empty: \r\n");
    }

    #[test]
    fn a_changed_value_keeps_the_received_spelling_of_its_name() {
        let (headers, case) = received("Host: h\r\nLocation: /a\r\nlocations: /c\r\n");
        let new = HeaderValue::from_static("/b");
        assert_eq!(written(&case, "location", &new), "Location: /b\r\n");
        assert_eq!(written(&case, "via", &new), "via: /b\r\n");
        let moved = &headers[0].1;
        assert_eq!(written(&case, "etag", moved), "etag: h\r\n", "the value of another line");
        assert_eq!(written(&HeaderCase::default(), "host", moved), "host: h\r\n");
    }

    #[test]
    fn a_configured_spelling_wins_over_the_received_one() {
        let (_, received) = received("Host: h\r\nX-Api-Key: k\r\n");
        let case = HeaderCase { configured: Some(Arc::from("X-API-KEY")), ..received };
        let ours = HeaderValue::from_static("ours");
        assert_eq!(written(&case, "x-api-key", &ours), "X-API-KEY: ours\r\n");
        assert_eq!(written(&case, "host", &ours), "Host: ours\r\n");
    }
}
