//! Overwrites the gateway's credentials in what passes in the vendor's own shape: body and headers
//! keep their length.
//!
//! A body is searched in windows, so that its length bounds neither memory nor delay. What may be
//! the beginning of a secret is held back until the bytes behind it have come.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use super::redact::Redactor;

/// Bytes of a body that are searched at once: the search takes some 40 bytes of memory for each.
const WINDOW_BYTES: usize = 32 * 1024;

/// What each byte of a secret becomes.
const MASK: u8 = b'*';

/// Masks a body that comes in pieces.
#[derive(Debug)]
pub struct Mask {
    redactor: Arc<Redactor>,
    held: Vec<u8>,
    found: bool,
}

impl Mask {
    #[must_use]
    pub const fn new(redactor: Arc<Redactor>) -> Self {
        Self { redactor, held: Vec::new(), found: false }
    }

    /// The bytes that can pass, now that these have come.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut passing = Vec::with_capacity(bytes.len());
        for window in bytes.chunks(WINDOW_BYTES) {
            self.held.extend_from_slice(window);
            let end = self.held.len().saturating_sub(self.redactor.spelled_bytes_max());
            if end > 0 {
                self.release(end, &mut passing);
            }
        }
        passing
    }

    /// The bytes that were held back, now that the body has ended.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut passing = Vec::with_capacity(self.held.len());
        self.release(self.held.len(), &mut passing);
        passing
    }

    /// How many bytes are held back.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Lets the bytes up to `end` pass, and the rest of a secret that begins before it.
    fn release(&mut self, mut end: usize, passing: &mut Vec<u8>) {
        let mut secrets = self.redactor.secrets_in(&self.held);
        secrets.sort_by_key(|range| range.start);
        for secret in secrets.into_iter().filter(|it| !it.is_empty()) {
            if secret.start < end {
                end = end.max(secret.end);
                self.held[secret].fill(MASK);
                self.found = true;
            }
        }
        passing.extend(self.held.drain(..end));
    }
}

/// The body without secrets; `None` if it has none.
#[must_use]
pub fn masked(redactor: &Arc<Redactor>, body: &[u8]) -> Option<Vec<u8>> {
    let mut mask = Mask::new(Arc::clone(redactor));
    let mut passing = mask.push(body);
    passing.extend(mask.finish());
    mask.found.then_some(passing)
}

/// Overwrites secrets in values, and removes headers that have one in their name.
pub fn mask_headers(redactor: &Arc<Redactor>, headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        if let Some(masked) = masked(redactor, value.as_bytes()) {
            *value = HeaderValue::from_bytes(&masked).unwrap_or(HeaderValue::from_static(""));
        }
    }
    let is_secret = |name: &&http::HeaderName| redactor.finds(name.as_str().as_bytes());
    let named: Vec<_> = headers.keys().filter(is_secret).cloned().collect();
    for name in named {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "sk-live/9+aZ~1_x";

    fn redactor() -> Arc<Redactor> {
        Arc::new(Redactor::new([format!("Bearer {TOKEN}").as_bytes()]))
    }

    fn each(letter: impl Fn(u32) -> String) -> String {
        TOKEN.chars().map(|c| letter(c.into())).collect()
    }

    /// Spellings of the token, each as a client may decode it.
    fn spellings() -> Vec<Vec<u8>> {
        let utf16 = |unit: fn(u16) -> [u8; 2]| TOKEN.encode_utf16().flat_map(unit).collect();
        let texts = [
            TOKEN.to_owned(),
            TOKEN.replace('/', "\\/"),
            each(|c| format!("\\u{c:04x}")),
            each(|c| format!("\\\\\\\\u{c:04X}")),
            each(|c| format!("%25{c:02x}")),
            each(|c| format!("&amp;#x{c:x};")),
            each(|c| format!("{c:02x}")),
            "c2stbGl2ZS85K2FafjFfeA==".to_owned(),
            "eHNrLWxpdmUvOSthWn4xX3g=".to_owned(),
        ];
        let texts = texts.into_iter().map(String::into_bytes);
        texts.chain([utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)]).collect()
    }

    #[test]
    fn every_spelling_is_overwritten_at_equal_length() {
        let redactor = redactor();
        for spelling in spellings() {
            let body = [b"{\"key\": \"", &spelling[..], b"\", \"b\": 1}"].concat();
            let masked = masked(&redactor, &body).expect("a secret");
            assert_eq!(masked.len(), body.len());
            assert!(!redactor.finds(&masked), "{}", String::from_utf8_lossy(&masked));
            assert!(masked.starts_with(b"{\"key\": \"") && masked.ends_with(b"\", \"b\": 1}"));
        }
        assert_eq!(masked(&redactor, b"{\"key\": \"another\"}"), None);
    }

    #[test]
    fn headers_keep_what_is_no_secret() {
        let row = |(name, value): (&str, &str)| {
            (name.parse::<http::HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let echo = format!("a {TOKEN} b");
        let headers = [("x-echo", &*echo), ("etag", "\"v1\""), ("sk-live_9", "a")];
        let mut headers = headers.map(row).into_iter().collect::<HeaderMap>();
        mask_headers(&redactor(), &mut headers);
        assert_eq!(headers["x-echo"], format!("a {} b", "*".repeat(TOKEN.len())));
        assert_eq!(headers["etag"], "\"v1\"");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn no_secret_passes_wherever_the_pieces_end(
            before in 0_usize..70_000,
            cuts in prop::collection::vec(1_usize..900, 1..40),
            chosen in 0_usize..11,
        ) {
            let (redactor, spelling) = (redactor(), &spellings()[chosen]);
            let body = [&b" ab".repeat(before / 3)[..], spelling, b" and more \" text"].concat();
            let mut mask = Mask::new(Arc::clone(&redactor));
            let (mut passed, mut rest) = (Vec::new(), &body[..]);
            // The first piece ends shortly before the secret.
            let first = before.saturating_sub(7).max(1);
            let mut cuts = std::iter::once(first).chain(cuts.iter().copied().cycle());
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                passed.extend(mask.push(piece));
                rest = behind;
            }
            passed.extend(mask.finish());
            prop_assert_eq!(passed.len(), body.len());
            prop_assert!(!redactor.finds(&passed));
            prop_assert!(passed.ends_with(b" and more \" text"));
        }
    }
}
