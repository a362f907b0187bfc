//! Request id, trace context, idempotency key and account of a request.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Builder;
use uuid::fmt::Hyphenated;

use super::names::{TRACEPARENT, X_REQUEST_ID, contains};

/// Longest request id that is accepted: enough for every scheme in use, too short to fill a log.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// The client's request id, if it is safe to log and to send.
#[must_use]
pub fn request_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let id = headers.get(X_REQUEST_ID)?;
    let length = 1..=REQUEST_ID_BYTES_MAX;
    (length.contains(&id.len()) && id.as_bytes().iter().all(sane)).then_some(id)
}

/// A new id: a UUIDv7.
#[must_use]
pub fn fresh_request_id(wall_millis: u64, random: [u8; 10]) -> HeaderValue {
    let id = Builder::from_unix_timestamp_millis(wall_millis, &random).into_uuid();
    let mut text = [0; Hyphenated::LENGTH];
    id.hyphenated().encode_lower(&mut text);
    // Backed by an owner, the value is cloned into headers without another allocation.
    HeaderValue::from_maybe_shared(Bytes::from_owner(text))
        .expect("hex digits and hyphens are a header value")
}

/// Whether a request has exactly one idempotency key that is not blank. Of several a vendor may use
/// any, so they do not count.
#[must_use]
pub fn has_idempotency_key(headers: &HeaderMap, name: &HeaderName) -> bool {
    contains(headers, name) && matches!(unambiguous_value(headers, name), Ok(Some(_)))
}

/// Why the upstream might read a header differently from the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmbiguousHeader {
    Repeated,
    /// Blanks around the value, which HTTP/1.1 does not preserve.
    Padded,
    /// A list, of which some vendors read a part.
    List,
    /// Bytes beyond ASCII, which vendors decode differently or trim as blanks.
    NonAscii,
}

impl std::fmt::Display for AmbiguousHeader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.remedy())
    }
}

impl std::error::Error for AmbiguousHeader {}

impl AmbiguousHeader {
    /// What is wrong and what to do, as a sentence.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Repeated => {
                "A header that names the account or is required here was sent more than once; \
                 send it once."
            }
            Self::Padded => {
                "A header that names the account or is required here has blanks around its \
                 value; send it without them."
            }
            Self::List => {
                "The header that names the account holds a comma, so vendors may read it as \
                 several values; send one account."
            }
            Self::NonAscii => {
                "The header that names the account holds characters beyond ASCII, which vendors \
                 may read differently; send the account as they name it."
            }
        }
    }
}

/// The value of the header that names the account.
///
/// # Errors
/// Vendors could read it in more than one way.
pub fn account_value<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h HeaderValue>, AmbiguousHeader> {
    let account = unambiguous_value(headers, name)?;
    match account.map(HeaderValue::as_bytes) {
        Some(account) if account.contains(&b',') => Err(AmbiguousHeader::List),
        Some(account) if !account.is_ascii() => Err(AmbiguousHeader::NonAscii),
        Some(_) | None => Ok(account),
    }
}

/// The single value of a header that a decision depends on; a blank one counts as absent.
///
/// # Errors
/// Vendors could read it in more than one way.
pub fn unambiguous_value<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'h HeaderValue>, AmbiguousHeader> {
    let mut all = headers.get_all(name).iter();
    let Some(value) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(AmbiguousHeader::Repeated);
    }
    let trimmed = value.as_bytes().trim_ascii();
    match trimmed.len() {
        0 => Ok(None),
        length if length < value.len() => Err(AmbiguousHeader::Padded),
        _ => Ok(Some(value)),
    }
}

/// Gives an attempt its own span in the client's trace. Without a valid `traceparent` nothing
/// changes: the gateway starts no traces.
pub(super) fn renew_traceparent(headers: &mut HeaderMap, fresh_span_id: impl FnOnce() -> [u8; 8]) {
    let mut all = headers.get_all(TRACEPARENT).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return };
    if let Some(renewed) = renewed(value.as_bytes(), fresh_span_id()) {
        headers.insert(TRACEPARENT, renewed);
    }
}

#[must_use]
pub fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(TRACEPARENT).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return None };
    parse_traceparent(value.as_bytes()).map(|(trace, _)| trace)
}

/// `00-<trace id>-<fresh span id>-<flags>` with the known flags.
fn renewed(value: &[u8], fresh_span_id: [u8; 8]) -> Option<HeaderValue> {
    /// Sampled and random.
    const KNOWN_FLAGS: u8 = 0b11;
    let (trace, flags) = parse_traceparent(value)?;
    let span = u64::from_be_bytes(fresh_span_id).max(1);
    HeaderValue::from_str(&format!("00-{trace}-{span:016x}-{:02x}", flags & KNOWN_FLAGS)).ok()
}

/// The trace id and the flags of a valid value.
fn parse_traceparent(value: &[u8]) -> Option<(&str, u8)> {
    let (known, rest) = value.split_at_checked(55)?;
    let known = std::str::from_utf8(known).ok()?;
    let mut parts = known.split('-');
    let (version, trace) = (hex(parts.next()?, 2)?, hex(parts.next()?, 32)?);
    let (span, flags) = (hex(parts.next()?, 16)?, hex(parts.next()?, 2)?);
    let zero = |text: &str| text.bytes().all(|digit| digit == b'0');
    let ends = rest.is_empty() || (version != "00" && rest.starts_with(b"-"));
    if version == "ff" || zero(trace) || zero(span) || !ends {
        return None;
    }
    Some((trace, u8::from_str_radix(flags, 16).ok()?))
}

fn hex(text: &str, digits: usize) -> Option<&str> {
    let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(lower_hex)).then_some(text)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn a_safe_request_id_is_kept() {
        let long = "x".repeat(REQUEST_ID_BYTES_MAX);
        let longer = "x".repeat(REQUEST_ID_BYTES_MAX + 1);
        for id in ["a", "A-1_b.c", &long] {
            assert!(request_id(&with(X_REQUEST_ID, id)).is_some(), "{id}");
        }
        for id in ["", "a b", "a;b", "\"a\"", &longer] {
            assert!(request_id(&with(X_REQUEST_ID, id)).is_none(), "{id}");
        }
    }

    #[test]
    fn new_ids_are_uuids_that_sort_by_time() {
        let id = |millis| fresh_request_id(millis, [7; 10]).to_str().unwrap().to_owned();
        let parsed: Uuid = id(1_700_000_000_000).parse().unwrap();
        assert_eq!(parsed.get_version_num(), 7);
        assert!(id(1_700_000_000_000) < id(1_700_000_000_001));
        assert!(request_id(&with(X_REQUEST_ID, &id(1))).is_some());
    }

    #[test]
    fn a_blank_idempotency_key_does_not_count() {
        let name = HeaderName::from_static("idempotency-key");
        assert!(has_idempotency_key(&with(name.clone(), "k1"), &name));
        assert!(!has_idempotency_key(&with(name.clone(), "  "), &name));
        assert!(!has_idempotency_key(&HeaderMap::new(), &name));
        let mut twice = with(name.clone(), "");
        twice.append(name.clone(), HeaderValue::from_static("k1"));
        assert!(!has_idempotency_key(&twice, &name), "a vendor may read the blank one");
    }

    #[test]
    fn an_account_is_a_single_ascii_value() {
        let name = HeaderName::from_static("x-account");
        let found = |value: &[u8]| {
            let value = HeaderValue::from_bytes(value).unwrap();
            let headers = HeaderMap::from_iter([(name.clone(), value)]);
            account_value(&headers, &name).map(|account| account.is_some())
        };
        assert_eq!(found(b"acme"), Ok(true));
        assert_eq!(found(b""), Ok(false));
        assert_eq!(found(b"a,b"), Err(AmbiguousHeader::List));
        for odd in [&b"acme\xa0"[..], b"\xe2\x80\x8bacme", "\u{3000}acme".as_bytes(), b"\xff"] {
            assert_eq!(found(odd), Err(AmbiguousHeader::NonAscii), "{odd:?}");
        }
    }

    #[test]
    fn an_ambiguous_header_is_rejected() {
        let name = HeaderName::from_static("x-account");
        let found = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(name.clone(), HeaderValue::from_static(value));
            }
            unambiguous_value(&headers, &name)
                .map(|found| found.map(|it| it.to_str().unwrap().to_owned()))
        };
        assert_eq!(found(&["7"]), Ok(Some("7".to_owned())));
        assert_eq!(found(&["a b"]), Ok(Some("a b".to_owned())));
        for none in [&[][..], &[""], &["  "]] {
            assert_eq!(found(none), Ok(None), "{none:?}");
        }
        for padded in [" 7", "7 ", "\t7"] {
            assert_eq!(found(&[padded]), Err(AmbiguousHeader::Padded), "{padded:?}");
        }
        for repeated in [["7", "7"], ["7", "8"], ["", "7"]] {
            assert_eq!(found(&repeated), Err(AmbiguousHeader::Repeated), "{repeated:?}");
        }
    }

    #[test]
    fn a_valid_trace_continues_with_a_fresh_span() {
        const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        let rows = [
            (format!("00-{TRACE}-00f067aa0ba902b7-01"), Some("01")),
            (format!("00-{TRACE}-00f067aa0ba902b7-ff"), Some("03")),
            (format!("cc-{TRACE}-00f067aa0ba902b7-01-more"), Some("01")),
            (format!("00-{TRACE}-00f067aa0ba902b7-01-more"), None),
            (format!("ff-{TRACE}-00f067aa0ba902b7-01"), None),
            (format!("00-{TRACE}-0000000000000000-01"), None),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), None),
            (format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()), None),
            ("00-short".to_owned(), None),
        ];
        for (before, flags) in rows {
            let mut headers = with(TRACEPARENT, &before);
            renew_traceparent(&mut headers, || [0, 0, 0, 0, 0, 0, 0, 0x2a]);
            let renewed = flags.map(|flags| format!("00-{TRACE}-000000000000002a-{flags}"));
            assert_eq!(headers[TRACEPARENT], renewed.unwrap_or(before));
        }
    }

    #[test]
    fn two_traceparents_count_as_none() {
        let value = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut headers = with(TRACEPARENT, value);
        headers.append(TRACEPARENT, value.parse().unwrap());
        let before = headers.clone();
        renew_traceparent(&mut headers, || [1; 8]);
        assert_eq!(headers, before);
    }
}
