//! The head of a message as it was received, so that its lines go out as they came in.
//!
//! Header names are compared without case, but some servers look for `SOAPAction` or `X-API-KEY`
//! and for nothing else. Most lines pass unchanged: they are copied whole, with the name that
//! stands in front of the value.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::outgoing;

/// The bytes of one head, whose values are slices of them.
#[derive(Clone, Default)]
pub struct OriginalHead {
    bytes: Bytes,
    /// One bit for each length that a name in it has.
    name_lengths: u64,
}

impl OriginalHead {
    pub(super) const fn new(bytes: Bytes, name_lengths: u64) -> Self {
        Self { bytes, name_lengths }
    }

    /// The bit of names of so many bytes.
    pub(super) fn length_bit(bytes: usize) -> u64 {
        1 << bytes.min(63)
    }

    /// The line with its end in which `value` came, if it is here, under this name.
    fn line(&self, name: &HeaderName, value: &HeaderValue) -> Option<&[u8]> {
        let name = name.as_str().as_bytes();
        // A value that was received is a slice of the head: its address tells where it stands.
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

    /// A name as it was written here.
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

/// Whether the two, equally long, are the same but for the case of their letters. (`^` and `~` are
/// alike to it: nothing else is, of what a name may have.)
fn is_name(written: &[u8], name: &[u8]) -> bool {
    let (Some(start), Some(end)) = (written.first_chunk(), written.last_chunk()) else {
        return written.eq_ignore_ascii_case(name);
    };
    let (Some(name_start), Some(name_end)) = (name.first_chunk(), name.last_chunk()) else {
        return false;
    };
    // Most names have 8 to 16 bytes: two words that overlap are all of them.
    let differ = |a: &[u8; 8], b: &[u8; 8]| u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b);
    let odd = differ(start, name_start) | differ(end, name_end);
    odd & !u64::from_ne_bytes([LETTER_CASE; 8]) == 0
        && (written.len() <= 16 || written.eq_ignore_ascii_case(name))
}

/// The bit in which a small letter differs from its capital.
const LETTER_CASE: u8 = 0x20;

impl fmt::Debug for OriginalHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may hold secrets.
        f.debug_struct("OriginalHead").finish_non_exhaustive()
    }
}

/// What stands between name and value where a line is written as most programs do.
const COLON: &[u8] = b": ";

/// How the header lines of a message are written.
#[derive(Clone, Debug, Default)]
pub struct Spelling {
    /// The head as the other side sent it, if it did over HTTP/1.1.
    pub received: Option<OriginalHead>,
    /// The name of the header that the configuration adds or replaces, as it is written there.
    pub configured: Option<Arc<str>>,
}

impl Spelling {
    /// Writes one header line.
    pub fn write(&self, out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
        match self.received.as_ref().and_then(|head| head.line(name, value)) {
            Some(line) => out.extend_from_slice(line),
            None => outgoing::line(out, self.name(name), value.as_bytes()),
        }
    }

    /// The name as it is to be written: in lower case where nothing else is known.
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
    use crate::http1::{Line, Lines};

    /// The headers of a head, and how it spells them.
    fn received(head: &str) -> (Vec<(HeaderName, HeaderValue)>, Spelling) {
        let bytes = Bytes::copy_from_slice(format!("GET /\r\n{head}\r\n").as_bytes());
        let mut lines = Lines::default();
        lines.find(&bytes).unwrap();
        let read = (1..lines.count() - 1).map(|number| {
            let Line { name, value, .. } = lines.read(&bytes, lines.place(&bytes, number)).unwrap();
            (name, value)
        });
        let read = read.collect();
        let received = Some(lines.original(bytes));
        (read, Spelling { received, configured: None })
    }

    fn written(spelling: &Spelling, name: &'static str, value: &HeaderValue) -> String {
        let mut out = Vec::new();
        spelling.write(&mut out, &HeaderName::from_static(name), value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_go_out_as_they_came_in() {
        let head = "Host: h\r\nSOAPAction: \"a\"\r\nx-api-KEY: k\r\nx-api-KEY: l\r\nETag: W/1\r\n";
        let (headers, spelling) = received(head);
        let mut out = Vec::new();
        headers.iter().rev().for_each(|(name, value)| spelling.write(&mut out, name, value));
        let mut lines: Vec<_> = head.split_inclusive("\r\n").collect();
        lines.reverse();
        assert_eq!(String::from_utf8(out).unwrap(), lines.concat(), "in any order");
    }

    #[test]
    fn a_line_that_was_written_unusually_goes_out_as_usual() {
        for head in ["ETag:1\r\n", "ETag:  1 \t\r\n", "ETag: 1\n"] {
            let (headers, spelling) = received(head);
            assert_eq!(written(&spelling, "etag", &headers[0].1), "ETag: 1\r\n", "{head:?}");
        }
        let (headers, spelling) = received("X-Empty:\r\nx: 1\r\n");
        assert_eq!(written(&spelling, "x-empty", &headers[0].1), "X-Empty: \r\n");
    }

    #[test]
    fn a_new_value_keeps_the_spelling_of_its_name() {
        let (headers, spelling) = received("Host: h\r\nLocation: /a\r\nlocations: /c\r\n");
        let new = HeaderValue::from_static("/b");
        assert_eq!(written(&spelling, "location", &new), "Location: /b\r\n");
        assert_eq!(written(&spelling, "via", &new), "via: /b\r\n");
        let moved = &headers[0].1;
        assert_eq!(written(&spelling, "etag", moved), "etag: h\r\n", "the value of another line");
        assert_eq!(written(&Spelling::default(), "host", moved), "host: h\r\n");
    }

    #[test]
    fn the_configuration_has_the_last_word() {
        let (_, received) = received("Host: h\r\nX-Api-Key: k\r\n");
        let spelling = Spelling { configured: Some(Arc::from("X-API-KEY")), ..received };
        let ours = HeaderValue::from_static("ours");
        assert_eq!(written(&spelling, "x-api-key", &ours), "X-API-KEY: ours\r\n");
        assert_eq!(written(&spelling, "host", &ours), "Host: ours\r\n");
    }
}
