//! Maps the upstream's URLs and paths in response headers to the gateway.
//!
//! `*-Location` headers hold a URL or a path, `Link` and `Refresh` contain some, cookies have a
//! scope; any other header may hold a URL as its whole value (`X-Next-Page`, `X-Upload-Url`). A
//! path in a header that is not known to hold one stays, and so do lists of origins.

use http::{HeaderMap, HeaderValue};

use super::cookie::map_cookie;
use super::location::{Rewrite, map_reference};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A URL or a path.
    Reference,
    /// A header of any name whose value looks like a URL.
    Url,
    /// `<reference>; rel=next, <reference>`.
    Links,
    /// `5; url=reference`.
    Refresh,
    Cookie,
}

/// Whether a header may hold a URL or a path of the upstream; `name` is in lower case.
pub(super) fn may_refer(name: &str, value: &HeaderValue) -> bool {
    form(name, value.as_bytes()).is_some()
}

fn form(name: &str, value: &[u8]) -> Option<Form> {
    match name {
        "link" => Some(Form::Links),
        "refresh" => Some(Form::Refresh),
        "set-cookie" => Some(Form::Cookie),
        "azure-asyncoperation" | "sourcemap" | "x-sourcemap" => Some(Form::Reference),
        name if name.ends_with("location") => Some(Form::Reference),
        _ if !is_url(value) => None,
        // The values of these are compared with origins, not followed.
        "origin" | "timing-allow-origin" | "content-security-policy" => None,
        name if name.starts_with("access-control-") || name.starts_with("cross-origin-") => None,
        _ => Some(Form::Url),
    }
}

fn is_url(value: &[u8]) -> bool {
    let starts = |scheme: &[u8]| {
        value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    matches!(value.first(), Some(b'h' | b'H')) && (starts(b"http://") || starts(b"https://"))
}

/// Maps every reference in a response's headers, repeated headers included, because it is unknown
/// which one a client follows.
pub(super) fn map_references(headers: &mut HeaderMap, rewrite: &Rewrite<'_>) {
    for (name, value) in headers {
        let Some(form) = form(name.as_str(), value.as_bytes()) else { continue };
        // Latin-1, so that bytes beyond ASCII survive the round trip.
        let text: String = value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
        let mapped = match form {
            Form::Reference | Form::Url => map_reference(&text, rewrite),
            Form::Links => map_links(&text, rewrite),
            Form::Refresh => map_refresh(&text, rewrite),
            Form::Cookie => map_cookie(&text, rewrite),
        };
        let bytes = mapped.and_then(|text| text.chars().map(|it| u8::try_from(it).ok()).collect());
        let Some(bytes): Option<Vec<u8>> = bytes else { continue };
        if let Ok(mapped) = HeaderValue::from_bytes(&bytes) {
            *value = mapped;
        }
    }
}

/// `Link` (RFC 8288): the targets between angle brackets.
fn map_links(text: &str, rewrite: &Rewrite<'_>) -> Option<String> {
    let mut mapped = String::with_capacity(text.len());
    let (mut rest, mut changes) = (text, false);
    while let Some(open) = unquoted(rest, b'<') {
        let (before, target) = rest.split_at(open + 1);
        let target = &target[..target.find('>')?];
        mapped.push_str(before);
        match map_reference(target.trim(), rewrite) {
            Some(reference) => {
                mapped.push_str(&reference);
                changes = true;
            }
            None => mapped.push_str(target),
        }
        rest = &rest[before.len() + target.len()..];
    }
    changes.then(|| mapped + rest)
}

/// The first position of a byte outside quoted strings.
fn unquoted(text: &str, wanted: u8) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.bytes().position(|byte| {
        let found = byte == wanted && !quoted;
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ => {}
        }
        found
    })
}

/// `5; url=/v1/a` as browsers read it: case-insensitive, with optional quotes and optional `url=`.
fn map_refresh(text: &str, rewrite: &Rewrite<'_>) -> Option<String> {
    let behind_delay = text[text.find([';', ','])? + 1..].trim_start();
    let named = behind_delay.get(..3).filter(|name| name.eq_ignore_ascii_case("url"));
    let named = named.and_then(|_| behind_delay[3..].trim_start().strip_prefix('='));
    let value = named.unwrap_or(behind_delay).trim_start();
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
    let value = quote.map_or(value, |_| &value[1..]);
    let url = quote.and_then(|quote| value.split(quote).next()).unwrap_or(value).trim_end();
    let mapped = map_reference(url, rewrite)?;
    let start = text.len() - value.len();
    Some([&text[..start], &mapped, &text[start + url.len()..]].concat())
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    static HERE: HeaderValue = HeaderValue::from_static("here:8080");

    static REWRITE: Rewrite<'_> = Rewrite {
        origin: "https://api.vendor.example",
        base_path: "/v1",
        scheme: "http",
        authority: Some(&HERE),
        prefix: "/v",
    };

    fn mapped(name: &'static str, value: &str) -> String {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        let name = HeaderName::from_static(name);
        let seen = may_refer(name.as_str(), &value);
        let before = value.clone();
        let mut headers = HeaderMap::from_iter([(name.clone(), value)]);
        map_references(&mut headers, &REWRITE);
        assert!(seen || headers[&name] == before, "{name} is noticed");
        String::from_utf8(headers[&name].as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn references_are_mapped_in_every_header_that_holds_them() {
        let rows = [
            ("location", "/v1/a", "/v/a"),
            ("content-location", "https://api.vendor.example/v1/b", "http://here:8080/v/b"),
            ("operation-location", "https://api.vendor.example/v1/o?x", "http://here:8080/v/o?x"),
            ("azure-asyncoperation", "https://API.vendor.example:443/v1/o", "http://here:8080/v/o"),
            ("x-resource-location", "/v1/r", "/v/r"),
            (
                "x-next-page",
                "https://api.vendor.example/v1/p?page=2",
                "http://here:8080/v/p?page=2",
            ),
            ("x-goog-upload-url", "HTTPS://api.vendor.example/v1/u", "http://here:8080/v/u"),
            (
                "link",
                "<https://api.vendor.example/v1/a?page=2>; rel=\"next\", </v1/a?page=9>; rel=last",
                "<http://here:8080/v/a?page=2>; rel=\"next\", </v/a?page=9>; rel=last",
            ),
            (
                "link",
                "<https://other.example/x>; title=\"<a> \\\" </v1/b>\"; rel=up,</v1/c>",
                "<https://other.example/x>; title=\"<a> \\\" </v1/b>\"; rel=up,</v/c>",
            ),
            ("link", "<?page=2>; rel=next", "<?page=2>; rel=next"),
            ("link", "</v1/a", "</v1/a"),
            ("refresh", "5; url=/v1/a", "5; url=/v/a"),
            ("refresh", "0;URL='https://api.vendor.example/v1/a'", "0;URL='http://here:8080/v/a'"),
            ("refresh", "0; /v1/a", "0; /v/a"),
            ("refresh", "5,URL = /v1/a", "5,URL = /v/a"),
            ("refresh", "0; url", "0; url"),
            ("refresh", "5", "5"),
            ("sourcemap", "/v1/a.js.map", "/v/a.js.map"),
            ("set-cookie", "a=/v1; Path=/v1/x", "a=/v1; Path=/v/x"),
            ("location", "/v1/caf\u{e9}?\u{4f60}", "/v/caf\u{e9}?\u{4f60}"),
            ("set-cookie", "a=\u{e9}; Path=/v1", "a=\u{e9}; Path=/v"),
            ("x-path", "/v1/a", "/v1/a"),
            ("x-next-page", "https://other.example/v1/p", "https://other.example/v1/p"),
            (
                "access-control-allow-origin",
                "https://api.vendor.example/v1",
                "https://api.vendor.example/v1",
            ),
        ];
        for (name, value, expected) in rows {
            assert_eq!(mapped(name, value), expected, "{name}: {value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(text in "(?s:.{0,60})", odd in "[<>/v1urlURL=;,'\"\\\\ a]{0,60}") {
            for text in [text, odd] {
                let _ = (map_links(&text, &REWRITE), map_refresh(&text, &REWRITE));
                let _ = map_cookie(&text, &REWRITE);
            }
        }
    }
}
