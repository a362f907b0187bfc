//! The methods by which a vendor may take a request: the one on its request line, and those that
//! frameworks let a client put in its place.
//!
//! A method in the body of a form (`_method=DELETE`) cannot be seen: bodies are not read.

use http::{HeaderMap, Method};

/// Header fields that override the method at some vendors; in a query the same names are used.
const OVERRIDING: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];
/// The parameter of a query that does so at most frameworks, whatever its value.
const OVERRIDING_PARAMETER: &str = "_method";
/// The parameter that does so at a few vendors; it counts where its value is one of these.
const BARE_PARAMETER: &str = "method";
/// The methods that `method` can stand for; every other value is a word of the vendor's.
const METHODS: [&str; 7] = ["delete", "get", "head", "options", "patch", "post", "put"];
/// Methods that are answered with the request itself.
const ECHOES: [&str; 2] = ["TRACE", "TRACK"];
/// Overrides that are told apart; a request with more of them may have any method.
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
    /// A method that these others may override.
    #[must_use]
    pub const fn new(sent: &'a Method, overrides: &'a [Box<str>]) -> Self {
        Self { sent, overrides }
    }

    /// Whether it is this method to every vendor.
    #[must_use]
    pub fn is(self, method: &Method) -> bool {
        self.overrides.is_empty() && self.sent == method
    }

    /// Whether some vendor may answer with the request itself, credentials included. Some read
    /// methods in any letter case, and TRACK is what one of them calls TRACE.
    #[must_use]
    pub fn may_echo(self) -> bool {
        let echoes = |text: &str| ECHOES.iter().any(|echo| text.eq_ignore_ascii_case(echo));
        OVERRIDES_MAX < self.overrides.len()
            || echoes(self.sent.as_str())
            || self.overrides.iter().any(|text| echoes(text))
    }

    /// Whether some vendor may take the call for one of this method: in any letter case, by an
    /// override, and HEAD where GET is named, which most vendors serve as one.
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

/// The methods other than `sent` that the header fields and the query of a request name, at most
/// one more than are told apart.
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

/// Whether a (lower-case) field name overrides the method at some vendor; one that reads
/// underscores as hyphens included.
#[must_use]
pub fn overrides_method(name: &str) -> bool {
    let hyphen = |byte: u8| if byte == b'_' { b'-' } else { byte };
    OVERRIDING
        .iter()
        .any(|known| known.len() == name.len() && name.bytes().map(hyphen).eq(known.bytes()))
}

/// Whether a query may name a method; most need no closer look.
#[must_use]
pub fn query_may_override(query: &str) -> bool {
    let bytes = query.as_bytes();
    let word = |rest: &[u8]| rest.get(..6).is_some_and(|it| it.eq_ignore_ascii_case(b"method"));
    bytes.iter().enumerate().any(|(at, byte)| match byte {
        b'm' | b'M' => word(&bytes[at..]),
        byte => *byte == b'%',
    })
}

/// The name of a query's parameter as some framework reads it. PHP drops blanks before it, ends it
/// at a NUL, and reads a blank, a dot or a bracket at its start as `_`; a list is named like its
/// items (`_method[]`).
fn parameter_name(text: &str) -> String {
    let text = decoded(text).to_ascii_lowercase();
    let name = until_nul(&text).trim_matches(is_blank);
    let bracket = name.char_indices().skip(1).find(|(_, c)| *c == '[');
    name[..bracket.map_or(name.len(), |(at, _)| at)].replace([' ', '.', '['], "_")
}

fn until_nul(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// A name or a value of a query without its escapes, also nested ones.
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
    fn an_echo_is_one_by_an_override_too() {
        let traced: [Box<str>; 2] = ["put".into(), "Trace".into()];
        let many: Vec<Box<str>> = (0..=OVERRIDES_MAX).map(|n| n.to_string().into()).collect();
        let lower = Method::from_bytes(b"track").unwrap();
        assert!(CallMethod::from(&lower).may_echo() && CallMethod::from(&Method::TRACE).may_echo());
        assert!(CallMethod::new(&Method::POST, &traced).may_echo(), "one of several");
        assert!(CallMethod::new(&Method::POST, &many).may_echo(), "too many to tell");
        assert!(!CallMethod::new(&Method::POST, &traced[..1]).may_echo());
    }

    #[test]
    fn a_method_is_one_only_when_nothing_overrides_it() {
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
