//! `Via`, and loop detection by it.

use http::header::VIA;
use http::{HeaderMap, HeaderValue, Version};

use super::names::Presence;

/// The gateway's pseudonym and the values that carry it.
///
/// Every worker has its own copy: a value that is cloned into each request should not make the
/// workers share a reference count.
#[derive(Debug)]
pub struct Via {
    pseudonym: Box<str>,
    http10: HeaderValue,
    http11: HeaderValue,
    http2: HeaderValue,
}

impl Via {
    /// The pseudonym is `name-<8 hex digits>`. `id` is drawn once per process, so that a loop is
    /// detected but a chain of two gateways is not. Characters of `name` that a token cannot hold
    /// become hyphens.
    #[must_use]
    pub fn new(name: &str, id: [u8; 4]) -> Self {
        let token = |c: char| if c.is_ascii_alphanumeric() || "._".contains(c) { c } else { '-' };
        let name: String = name.chars().map(token).collect();
        let pseudonym = format!("{name}-{:08x}", u32::from_be_bytes(id)).into_boxed_str();
        let value = |version: &str| {
            HeaderValue::from_str(&format!("{version} {pseudonym}"))
                .expect("a version, a space and a token are a header value")
        };
        let (http10, http11, http2) = (value("1.0"), value("1.1"), value("2"));
        Self { pseudonym, http10, http11, http2 }
    }

    /// The gateway's name in `Via` and `Proxy-Status`.
    #[must_use]
    pub fn pseudonym(&self) -> &str {
        &self.pseudonym
    }

    /// The value to append to a message that was received in this version.
    #[must_use]
    pub fn value(&self, received: Version) -> &HeaderValue {
        match received {
            Version::HTTP_09 | Version::HTTP_10 => &self.http10,
            Version::HTTP_2 => &self.http2,
            _ => &self.http11,
        }
    }
}

/// Whether a request has passed this gateway before.
pub(super) fn is_loop(headers: &HeaderMap, pseudonym: &str) -> bool {
    let ours = |value: &HeaderValue| {
        let hops = value.as_bytes().split(|byte| *byte == b',');
        hops.filter_map(|hop| {
            // The second word of `1.1 pseudonym (comment)`.
            let words = hop.split(|byte| byte.is_ascii_whitespace());
            words.filter(|word| !word.is_empty()).nth(1)
        })
        .any(|by| by.eq_ignore_ascii_case(pseudonym.as_bytes()))
    };
    headers.get_all(VIA).iter().any(ours)
}

/// Appends `value` unless it is there already, which keeps the filter idempotent.
pub(super) fn add(headers: &mut HeaderMap, present: Presence, value: &HeaderValue) {
    match present {
        Presence::Absent => drop(headers.insert(VIA, value.clone())),
        Presence::Present if headers.get_all(VIA).iter().any(|other| other == value) => {}
        Presence::Present => drop(headers.append(VIA, value.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_detected_only_by_the_own_pseudonym() {
        let via = Via::new("evenkeel", [0, 0xab, 1, 2]);
        assert_eq!(via.pseudonym(), "evenkeel-00ab0102");
        let rows = [
            ("1.1 evenkeel-00ab0102", true),
            ("1.0 fred, 2  Evenkeel-00AB0102 (x)", true),
            ("1.1 evenkeel-00ab0103", false),
            ("1.1 evenkeel-00ab01020", false),
            ("evenkeel-00ab0102", false),
            ("1.1 p (evenkeel-00ab0102)", false),
            ("", false),
        ];
        for (value, expected) in rows {
            let headers = HeaderMap::from_iter([(VIA, HeaderValue::from_static(value))]);
            assert_eq!(is_loop(&headers, via.pseudonym()), expected, "{value}");
        }
    }

    #[test]
    fn the_received_version_is_stated() {
        let via = Via::new("my gate", [0; 4]);
        assert_eq!(via.value(Version::HTTP_11), "1.1 my-gate-00000000");
        assert_eq!(via.value(Version::HTTP_2), "2 my-gate-00000000");
        assert_eq!(via.value(Version::HTTP_10), "1.0 my-gate-00000000");
    }

    #[test]
    fn via_is_appended_once_after_others() {
        let via = Via::new("evenkeel", [0; 4]);
        let mut headers = HeaderMap::from_iter([(VIA, HeaderValue::from_static("1.1 cdn"))]);
        add(&mut headers, Presence::Present, via.value(Version::HTTP_11));
        add(&mut headers, Presence::Present, via.value(Version::HTTP_11));
        let values: Vec<_> = headers.get_all(VIA).iter().collect();
        assert_eq!(values, ["1.1 cdn", "1.1 evenkeel-00000000"]);
    }
}
