//! The headers of every attempt: the first takes the map, the others what was kept of it.
//!
//! Most calls need one attempt, and a copy of a map costs an allocation for many a name. So what
//! is kept is one run of bytes, and only a second attempt makes a map of it. Refuses to change a
//! byte: every attempt says the same.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers of every attempt.
pub(super) enum Headers {
    /// Of the first, which is still to come.
    Unsent(HeaderMap),
    /// Of the others.
    Sent(Kept),
}

impl Headers {
    /// The headers of the next attempt.
    pub(super) fn next(&mut self) -> HeaderMap {
        match self {
            Self::Sent(kept) => kept.to_map(),
            Self::Unsent(map) => {
                let map = std::mem::take(map);
                *self = Self::Sent(Kept::of(&map));
                map
            }
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was kept is bytes, a credential's among them.
        f.debug_struct("Headers").finish_non_exhaustive()
    }
}

/// Headers as bytes: for each a mark and its name, and its value. Both end with their line, which
/// neither can contain.
pub(super) struct Kept(Vec<u8>);

/// Room for one header, which most do not fill; a list that needs more grows.
const HEADER_BYTES: usize = 64;

const LINE_END: u8 = b'\n';
/// Before the name of a value that no compression may remember.
const SENSITIVE: u8 = b'!';
const PLAIN: u8 = b' ';

impl Kept {
    fn of(map: &HeaderMap) -> Self {
        let mut kept = Vec::with_capacity(map.len() * HEADER_BYTES);
        for (name, value) in map {
            kept.push(if value.is_sensitive() { SENSITIVE } else { PLAIN });
            kept.extend_from_slice(name.as_str().as_bytes());
            kept.push(LINE_END);
            kept.extend_from_slice(value.as_bytes());
            kept.push(LINE_END);
        }
        Self(kept)
    }

    #[cold]
    fn to_map(&self) -> HeaderMap {
        let mut lines = self.0.split(|byte| *byte == LINE_END);
        let mut map = HeaderMap::new();
        while let (Some([mark, name @ ..]), Some(value)) = (lines.next(), lines.next()) {
            let name = HeaderName::from_bytes(name).expect("it was a name before");
            let mut value = HeaderValue::from_bytes(value).expect("it was a value before");
            value.set_sensitive(*mark == SENSITIVE);
            map.append(name, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attempt_says_the_same() {
        let mut map = HeaderMap::new();
        let mut secret = HeaderValue::from_static("Bearer s3cret");
        secret.set_sensitive(true);
        map.insert("authorization", secret);
        map.insert("x-empty", HeaderValue::from_static(""));
        for value in [&b"a=1; b=\"2\""[..], b"\tcaf\xe9 ", b" : "] {
            map.append("x-many", HeaderValue::from_bytes(value).unwrap());
        }
        let mut headers = Headers::Unsent(map.clone());
        for attempt in 1..=3 {
            let sent = headers.next();
            assert_eq!(sent, map, "{attempt}");
            assert!(sent["authorization"].is_sensitive() && !sent["x-empty"].is_sensitive());
            assert!(!format!("{headers:?}").contains("s3cret"));
        }
    }
}
