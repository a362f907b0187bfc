//! Matches calls by headers and query beside method and path.
//!
//! As for paths, servers differ in what they read: what counts takes every reading, what exempts
//! only the exact one.

use std::fmt;

use http::{HeaderMap, HeaderName};

use super::method::{CallMethod, parameter_name, parameter_value};
use super::path::{CallPath, Matcher};

/// What is known of a call's head.
#[derive(Clone, Copy, Debug)]
pub struct CallHead<'a> {
    pub method: CallMethod<'a>,
    pub path: CallPath<'a>,
    /// `None` where neither is known.
    pub fields: Option<CallFields<'a>>,
}

/// The headers and the query of a call.
#[derive(Clone, Copy, Debug)]
pub struct CallFields<'a> {
    pub headers: &'a HeaderMap,
    pub query: Option<&'a str>,
}

impl<'a, M: Into<CallMethod<'a>>> From<(M, CallPath<'a>)> for CallHead<'a> {
    fn from((method, path): (M, CallPath<'a>)) -> Self {
        Self { method: method.into(), path, fields: None }
    }
}

/// Which calls a setting applies to: method, path, and all of these headers and parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallMatcher {
    pub matcher: Matcher,
    pub headers: Vec<HeaderCondition>,
    pub query: Vec<QueryCondition>,
}

/// A header that a call has, with this value if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderCondition {
    pub name: HeaderName,
    pub value: Option<Box<str>>,
}

/// A parameter of the query, with this value if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryCondition {
    pub name: Box<str>,
    pub value: Option<Box<str>>,
}

impl From<Matcher> for CallMatcher {
    fn from(matcher: Matcher) -> Self {
        Self { matcher, ..Self::default() }
    }
}

impl CallMatcher {
    /// Whether every server would match: for settings that exempt.
    #[must_use]
    pub fn must_match(&self, call: CallHead<'_>) -> bool {
        let is_plain = self.headers.is_empty() && self.query.is_empty();
        let fields = |fields: CallFields<'_>| {
            self.headers.iter().all(|it| it.must_match(fields.headers))
                && self.query.iter().all(|it| it.must_match(fields.query.unwrap_or_default()))
        };
        self.matcher.must_match(call.method, call.path)
            && (is_plain || call.fields.is_some_and(fields))
    }

    /// Whether some server could match: for settings that count or limit.
    #[must_use]
    pub fn may_match(&self, call: CallHead<'_>) -> bool {
        let fields = |fields: CallFields<'_>| {
            self.headers.iter().all(|it| it.may_match(fields.headers))
                && self.query.iter().all(|it| it.may_match(fields.query.unwrap_or_default()))
        };
        self.matcher.may_match(call.method, call.path) && call.fields.is_none_or(fields)
    }
}

impl HeaderCondition {
    fn must_match(&self, headers: &HeaderMap) -> bool {
        let mut all = headers.get_all(&self.name).iter();
        let (Some(only), None) = (all.next(), all.next()) else { return false };
        self.value.as_ref().is_none_or(|value| only.as_bytes() == value.as_bytes())
    }

    /// The value may be one of a list, in quotes, in another letter case, with parameters.
    fn may_match(&self, headers: &HeaderMap) -> bool {
        let Some(value) = &self.value else { return headers.contains_key(&self.name) };
        headers.get_all(&self.name).iter().any(|found| {
            let found = String::from_utf8_lossy(found.as_bytes());
            let same = |part: &str| same_text(part, value);
            same(&found) || found.split([',', ';']).any(same)
        })
    }
}

impl QueryCondition {
    fn must_match(&self, query: &str) -> bool {
        // Where some servers see two parameters, others see one.
        if query.contains(';') {
            return false;
        }
        let same = |(name, _): &(&str, &str)| parameter_name(name) == parameter_name(&self.name);
        let mut all = pairs(query).filter(same);
        let (Some((name, found)), None) = (all.next(), all.next()) else { return false };
        name == &*self.name && self.value.as_ref().is_none_or(|value| found == &**value)
    }

    fn may_match(&self, query: &str) -> bool {
        pairs(query).any(|(name, found)| {
            parameter_name(name) == parameter_name(&self.name)
                && self.value.as_ref().is_none_or(|value| {
                    let found = parameter_value(found);
                    same_text(&found, value) || found.split(',').any(|it| same_text(it, value))
                })
        })
    }
}

/// The parameters of a query as they are written.
fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.split(['&', ';']).filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Two texts with characters beyond ASCII count as equal, because Unicode has more equivalent
/// forms than are compared here.
fn same_text(found: &str, value: &str) -> bool {
    let trimmed = found.trim_matches(|c: char| c.is_whitespace() || c.is_control() || c == '"');
    trimmed.eq_ignore_ascii_case(value) || !(trimmed.is_ascii() && value.is_ascii())
}

impl fmt::Display for CallMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.matcher)?;
        self.headers.iter().try_for_each(|it| write!(f, " {it}"))?;
        self.query.iter().try_for_each(|it| write!(f, " ?{it}"))
    }
}

impl fmt::Display for HeaderCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        self.value.iter().try_for_each(|value| write!(f, "={value}"))
    }
}

impl fmt::Display for QueryCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.value.iter().try_for_each(|value| write!(f, "={value}"))
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Method};

    use super::*;

    /// Whether a call may match, and whether it must.
    fn matched(
        matcher: &CallMatcher,
        values: &[&'static str],
        query: Option<&str>,
    ) -> (bool, bool) {
        let name = || HeaderName::from_static("x-kind");
        let headers: HeaderMap =
            values.iter().map(|value| (name(), HeaderValue::from_static(value))).collect();
        let head = CallHead {
            fields: Some(CallFields { headers: &headers, query }),
            ..CallHead::from((&Method::GET, CallPath::new("/a")))
        };
        (matcher.may_match(head), matcher.must_match(head))
    }

    #[test]
    fn a_header_counts_in_every_reading_and_exempts_in_one() {
        let of = |value: Option<&str>| CallMatcher {
            headers: vec![HeaderCondition {
                name: HeaderName::from_static("x-kind"),
                value: value.map(Into::into),
            }],
            ..CallMatcher::default()
        };
        let rows: [(&[&'static str], (bool, bool)); 9] = [
            (&["bulk"], (true, true)),
            (&["BULK"], (true, false)),
            (&["\"bulk\""], (true, false)),
            (&["other, bulk"], (true, false)),
            (&["bulk;q=1"], (true, false)),
            (&["other", "bulk"], (true, false)),
            (&["bulk", "bulk"], (true, false)),
            (&["bulky"], (false, false)),
            (&[], (false, false)),
        ];
        for (values, expected) in rows {
            assert_eq!(matched(&of(Some("bulk")), values, None), expected, "{values:?}");
        }
        assert_eq!(matched(&of(None), &["x"], None), (true, true));
        assert_eq!(matched(&of(None), &["x", "y"], None), (true, false));
        assert_eq!(matched(&of(None), &[], None), (false, false));
    }

    #[test]
    fn a_parameter_counts_in_every_reading_and_exempts_in_one() {
        let of = |value: Option<&str>| CallMatcher {
            query: vec![QueryCondition { name: "action".into(), value: value.map(Into::into) }],
            ..CallMatcher::default()
        };
        let rows = [
            ("action=export", (true, true)),
            ("a=1&action=export&b", (true, true)),
            ("ACTION=Export", (true, false)),
            ("a%63tion=%65xport", (true, false)),
            ("+action=export+", (true, false)),
            ("action[]=export", (true, false)),
            ("a=1;action=export", (true, false)),
            ("action=other&action=export", (true, false)),
            ("action=import,export", (true, false)),
            ("action=%ff", (true, false)),
            ("action=import", (false, false)),
            ("action", (false, false)),
            ("xaction=export", (false, false)),
            ("", (false, false)),
        ];
        for (query, expected) in rows {
            assert_eq!(matched(&of(Some("export")), &[], Some(query)), expected, "{query}");
        }
        assert_eq!(matched(&of(None), &[], Some("action")), (true, true));
        assert_eq!(matched(&of(None), &[], None), (false, false));
    }

    #[test]
    fn without_knowledge_of_the_fields_a_call_may_match_and_need_not() {
        let name = HeaderName::from_static("x-kind");
        let matcher = CallMatcher {
            headers: vec![HeaderCondition { name, value: None }],
            ..CallMatcher::default()
        };
        let head = CallHead::from((&Method::GET, CallPath::new("/a")));
        assert!(matcher.may_match(head) && !matcher.must_match(head));
    }
}
