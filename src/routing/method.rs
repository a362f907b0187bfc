//! The methods an upstream may act on: the one on the request line, and overrides that frameworks
//! accept in headers and the query.
//!
//! An override in a form body (`_method=DELETE`) is not detected, because bodies are not read.

use http::{HeaderMap, Method};

/// Header fields with which some frameworks override the method; also accepted as query parameters.
const OVERRIDING: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];
/// The query parameter with which most frameworks override the method, whatever its value.
const OVERRIDING_PARAMETER: &str = "_method";
/// A query parameter that a few vendors accept; it counts only when its value is one of `METHODS`.
const BARE_PARAMETER: &str = "method";
/// Values of [`BARE_PARAMETER`] that are overrides; any other value has a meaning of the vendor's
/// own.
const METHODS: [&str; 7] = ["delete", "get", "head", "options", "patch", "post", "put"];
/// Methods whose response repeats the request, credentials included.
const ECHOES: [&str; 2] = ["TRACE", "TRACK"];
/// A request with more overrides than this may have any method.
const OVERRIDES_MAX: usize = 8;

/// The method of a call as matchers see it.
#[derive(Clone, Copy, Debug)]
pub struct CallMethod<'a> {
    sent: &'a Method,
    overrides: &'a [Box<str>],
}

impl<'a> From<&'a Method> for CallMethod<'a> {
    fn from(sent: &'a Method) -> Self {
        Self { sent, overrides: &[] }
    }
}

impl<'a> CallMethod<'a> {
    /// `sent` is on the request line; `overrides` come from [`overrides`].
    #[must_use]
    pub const fn new(sent: &'a Method, overrides: &'a [Box<str>]) -> Self {
        Self { sent, overrides }
    }

    /// Whether every vendor takes the call for this method.
    #[must_use]
    pub fn is(self, method: &Method) -> bool {
        self.overrides.is_empty() && self.sent == method
    }

    /// Whether some vendor may repeat the request in its response. Some ignore the letter case of
    /// methods; TRACK is IIS's name for TRACE.
    #[must_use]
    pub fn may_echo(self) -> bool {
        let echoes = |text: &str| ECHOES.iter().any(|echo| text.eq_ignore_ascii_case(echo));
        OVERRIDES_MAX < self.overrides.len()
            || echoes(self.sent.as_str())
            || self.overrides.iter().any(|text| echoes(text))
    }

    /// Whether some vendor may take the call for this method: in any letter case, by an override,
    /// or HEAD for GET, which most vendors count alike.
    #[must_use]
    pub fn may_be(self, method: &Method) -> bool {
        let may_be = |text: &str| {
            text.eq_ignore_ascii_case(method.as_str())
                || (*method == Method::GET && text.eq_ignore_ascii_case("HEAD"))
        };
        OVERRIDES_MAX < self.overrides.len()
            || may_be(self.sent.as_str())
            || self.overrides.iter().any(|text| may_be(text))
    }
}

/// The methods other than `sent` that the headers and the query of a request name, at most
/// `OVERRIDES_MAX + 1`.
#[must_use]
pub fn overrides(sent: &Method, headers: &HeaderMap, query: Option<&str>) -> Vec<Box<str>> {
    let fields = headers.iter().filter(|(name, _)| overrides_method(name.as_str()));
    let listed = fields.flat_map(|(_, value)| value.as_bytes().split(|byte| *byte == b','));
    let listed = listed.map(|value| String::from_utf8_lossy(value).into_owned());
    let pairs = query.into_iter().flat_map(|query| query.split(['&', ';']));
    let asked = pairs.filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (parameter_name(name), decoded(value));
        let bare = name == BARE_PARAMETER && METHODS.contains(&&*value.trim().to_ascii_lowercase());
        (bare || name == OVERRIDING_PARAMETER || overrides_method(&name)).then_some(value)
    });
    let others = listed.chain(asked).filter_map(|text| {
        let word = until_nul(&text).trim_matches(|c| is_blank(c) || c == '"');
        (!word.is_empty() && !word.eq_ignore_ascii_case(sent.as_str())).then(|| word.into())
    });
    others.take(OVERRIDES_MAX + 1).collect()
}

/// Whether a lower-case header or parameter name overrides the method at some vendor. Some
/// frameworks read underscores as hyphens.
#[must_use]
pub fn overrides_method(name: &str) -> bool {
    let hyphen = |byte: u8| if byte == b'_' { b'-' } else { byte };
    OVERRIDING
        .iter()
        .any(|known| known.len() == name.len() && name.bytes().map(hyphen).eq(known.bytes()))
}

/// Whether a query may contain an override. Cheap: most queries are ruled out here.
#[must_use]
pub fn query_may_override(query: &str) -> bool {
    let bytes = query.as_bytes();
    let word = |rest: &[u8]| rest.get(..6).is_some_and(|it| it.eq_ignore_ascii_case(b"method"));
    bytes.iter().enumerate().any(|(at, byte)| match byte {
        b'm' | b'M' => word(&bytes[at..]),
        byte => *byte == b'%',
    })
}

/// A query parameter's name as the most lenient framework reads it. PHP drops leading blanks, ends
/// the name at a NUL, reads a blank, a dot or a leading bracket as `_`, and drops `[]`.
pub(super) fn parameter_name(text: &str) -> String {
    let text = decoded(text).to_ascii_lowercase();
    let name = until_nul(&text).trim_matches(is_blank);
    let bracket = name.char_indices().skip(1).find(|(_, c)| *c == '[');
    name[..bracket.map_or(name.len(), |(at, _)| at)].replace([' ', '.', '['], "_")
}

/// A query parameter's value as the most lenient framework reads it.
pub(super) fn parameter_value(text: &str) -> String {
    until_nul(&decoded(text)).to_owned()
}

fn until_nul(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// Decodes `+` and percent escapes, nested ones included.
fn decoded(text: &str) -> String {
    let mut text = text.replace('+', " ");
    while text.contains('%') {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((first, tail)) = rest.split_first() {
            let pair = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
            let escaped = pair.filter(|_| *first == b'%');
            match escaped.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
                Some(byte) => {
                    bytes.push(byte);
                    rest = &tail[2..];
                }
                None => {
                    bytes.push(*first);
                    rest = tail;
                }
            }
        }
        let shorter = String::from_utf8_lossy(&bytes).into_owned();
        if bytes.len() == text.len() {
            return shorter;
        }
        text = shorter;
    }
    text
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn found(headers: &[(&'static str, &'static str)], query: Option<&str>) -> Vec<Box<str>> {
        let row = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        overrides(&Method::POST, &headers.iter().map(row).collect(), query)
    }

    #[test]
    fn overrides_are_found_wherever_vendors_look() {
        type Row = (
            &'static [(&'static str, &'static str)],
            Option<&'static str>,
            &'static [&'static str],
        );
        let rows: [Row; 26] = [
            (&[], Some("%20_method=PUT"), &["PUT"]),
            (&[], Some("+_method=PUT"), &["PUT"]),
            (&[], Some(".method=PUT"), &["PUT"]),
            (&[], Some("%5bmethod=PUT"), &["PUT"]),
            (&[], Some("_method[]=PUT"), &["PUT"]),
            (&[], Some("_method%5B0%5D=PUT"), &["PUT"]),
            (&[], Some("_method%00x=PUT%00y"), &["PUT"]),
            (&[], Some("_method=%09PUT%0a"), &["PUT"]),
            (&[], Some("[method]=PUT&method[=PUT"), &["PUT"]),
            (&[("x-http-method-override", "DELETE")], None, &["DELETE"]),
            (&[("x-http-method", " merge ")], None, &["merge"]),
            (&[("x-method-override", "put, \"PATCH\"")], None, &["put", "PATCH"]),
            (&[("x_http_method_override", "PUT")], None, &["PUT"]),
            (&[("x-http_method", "PUT")], None, &["PUT"]),
            (&[("x-http-method-override", "POST")], None, &[]),
            (&[("x-http-method-override", "")], None, &[]),
            (&[("x-method", "PUT")], None, &[]),
            (&[], Some("a=1&_method=delete"), &["delete"]),
            (&[], Some("%5Fm%65thod=d%65lete"), &["delete"]),
            (&[], Some("%255f_METHOD=x;_METHOD=PUT"), &["PUT"]),
            (&[], Some("X-HTTP-Method-Override=PUT"), &["PUT"]),
            (&[], Some("method=delete"), &["delete"]),
            (&[], Some("method=photos.search&q=_method"), &[]),
            (&[], Some("_method="), &[]),
            (&[], Some("method_=put&_methods=put"), &[]),
            (&[], None, &[]),
        ];
        for (headers, query, expected) in rows {
            let found = found(headers, query);
            let found: Vec<&str> = found.iter().map(|text| &**text).collect();
            assert_eq!(found, expected, "{headers:?} {query:?}");
            let seen = query.is_none_or(query_may_override) || expected.is_empty();
            assert!(seen, "{query:?} is looked at");
        }
        assert!(!query_may_override("page=2&mode=x&thod=1"));
    }

    #[test]
    fn an_override_to_trace_may_echo() {
        let traced: [Box<str>; 2] = ["put".into(), "Trace".into()];
        let many: Vec<Box<str>> = (0..=OVERRIDES_MAX).map(|n| n.to_string().into()).collect();
        let lower = Method::from_bytes(b"track").unwrap();
        assert!(CallMethod::from(&lower).may_echo() && CallMethod::from(&Method::TRACE).may_echo());
        assert!(CallMethod::new(&Method::POST, &traced).may_echo(), "one of several");
        assert!(CallMethod::new(&Method::POST, &many).may_echo(), "too many to tell");
        assert!(!CallMethod::new(&Method::POST, &traced[..1]).may_echo());
    }

    #[test]
    fn a_method_is_certain_only_without_overrides() {
        let get = Method::GET;
        let overriding: [Box<str>; 1] = ["delete".into()];
        let many: Vec<Box<str>> = (0..=OVERRIDES_MAX).map(|n| n.to_string().into()).collect();
        let lower = Method::from_bytes(b"get").unwrap();
        let rows = [
            (CallMethod::from(&get), Method::GET, true, true),
            (CallMethod::from(&get), Method::HEAD, false, false),
            (CallMethod::from(&Method::HEAD), Method::GET, false, true),
            (CallMethod::from(&lower), Method::GET, false, true),
            (CallMethod::new(&get, &overriding), Method::GET, false, true),
            (CallMethod::new(&get, &overriding), Method::DELETE, false, true),
            (CallMethod::new(&get, &overriding), Method::POST, false, false),
            (CallMethod::new(&get, &many), Method::POST, false, true),
        ];
        for (method, named, is, may_be) in rows {
            assert_eq!(method.is(&named), is, "{method:?} {named}");
            assert_eq!(method.may_be(&named), may_be, "{method:?} {named}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(query in "(?s:[%a-f0-9_=&;+é]{0,40})", any in "(?s:.{0,40})") {
            let _ = (found(&[], Some(&query)), found(&[], Some(&any)));
            let _ = (query_may_override(&query), query_may_override(&any));
        }
    }
}
