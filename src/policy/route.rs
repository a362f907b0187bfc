//! The route table: a request head → an upstream and its policies.
//!
//! Matching never changes a byte of the target. A path that a vendor may read differently than
//! we do (encoded slashes, dots, double slashes) is *ambiguous*: what would relax a rule is then
//! not believed, and what would count a call is.

use http::Method;

/// The route table; the most specific entry first.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    entries: Vec<Entry>,
    /// Whether any entry asks for a host; most tables never look at one.
    by_host: bool,
}

/// One way to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The host it is for, in lower case and without port; `None` means any.
    pub host: Option<Box<str>>,
    /// Whole segments that are removed, like `/wordbee`; empty for `/`.
    pub prefix: Box<str>,
    /// The upstream it leads to, by its number.
    pub upstream: usize,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The upstream, by its number.
    pub upstream: usize,
    /// Bytes of the path that are the prefix.
    pub prefix_bytes: usize,
}

impl Routes {
    /// A table of these entries.
    #[must_use]
    pub fn new(mut entries: Vec<Entry>) -> Self {
        let rank = |entry: &Entry| (entry.host.is_none(), std::cmp::Reverse(entry.prefix.len()));
        entries.sort_by_key(rank);
        let by_host = entries.iter().any(|entry| entry.host.is_some());
        Self { entries, by_host }
    }

    /// The entries, the most specific first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether any route asks for a host; else it need not be read.
    #[must_use]
    pub const fn by_host(&self) -> bool {
        self.by_host
    }

    /// The route of a request; `host` as the client wrote it, with or without port.
    #[must_use]
    pub fn find(&self, host: Option<&str>, path: &str) -> Option<Route> {
        let host = host.map(without_port);
        let entry = self.entries.iter().find(|entry| entry.matches(host, path))?;
        Some(Route { upstream: entry.upstream, prefix_bytes: entry.prefix.len() })
    }

    /// Whether some route is for this host, whatever the path.
    #[must_use]
    pub fn serves_host(&self, host: Option<&str>) -> bool {
        let host = host.map(without_port);
        self.entries.iter().any(|entry| entry.matches_host(host))
    }
}

impl Entry {
    fn matches(&self, host: Option<&str>, path: &str) -> bool {
        self.matches_host(host)
            && path
                .strip_prefix(&*self.prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn matches_host(&self, host: Option<&str>) -> bool {
        self.host
            .as_deref()
            .is_none_or(|wanted| host.is_some_and(|host| host.eq_ignore_ascii_case(wanted)))
    }
}

fn without_port(authority: &str) -> &str {
    let after_brackets = authority.rfind(']').unwrap_or(0);
    match authority[after_brackets..].rfind(':') {
        Some(colon) => &authority[..after_brackets + colon],
        None => authority,
    }
}

/// The path behind the route's prefix, and whether a vendor may read it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallPath<'a> {
    text: &'a str,
    reading: Reading,
}

/// How surely a path means what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// One reading only.
    Plain,
    /// Encoded separators, empty segments or the like: servers differ.
    Ambiguous,
    /// It climbs: `..`, in any spelling.
    Climbing,
}

impl<'a> CallPath<'a> {
    /// Looks at a path; an empty one is the root.
    #[must_use]
    pub fn new(path: &'a str) -> Self {
        let text = if path.is_empty() { "/" } else { path };
        Self { text, reading: reading(text) }
    }

    /// The path as the client wrote it.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.text
    }

    /// How surely it means what it says.
    #[must_use]
    pub const fn reading(&self) -> Reading {
        self.reading
    }
}

fn reading(path: &str) -> Reading {
    let suspicious = |byte: &u8| matches!(byte, b'%' | b'\\' | b';' | b'.');
    let doubled = |pair: &[u8]| pair == b"//";
    if !path.as_bytes().iter().any(suspicious) && !path.as_bytes().windows(2).any(doubled) {
        return Reading::Plain;
    }
    let plain = path.to_ascii_lowercase().replace("%2e", ".");
    let parts = plain.replace("%2f", "/").replace("%5c", "/").replace('\\', "/");
    if parts.split('/').any(|part| part.split(';').next() == Some("..")) {
        return Reading::Climbing;
    }
    let doubtful = ["//", "/./", "%2f", "%5c", "\\", ";", "%00", "%25", "%3b", "%3f", "%23"];
    if doubtful.iter().any(|mark| plain.contains(mark)) || plain.ends_with("/.") {
        return Reading::Ambiguous;
    }
    Reading::Plain
}

/// Which requests something applies to: any of the methods, and the path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matcher {
    /// Any of these; `None` means all.
    pub methods: Option<Vec<Method>>,
    /// The path behind the route's prefix; `None` means all.
    pub path: Option<Pattern>,
}

impl Matcher {
    /// Whether it applies beyond doubt: what relaxes a rule asks this.
    #[must_use]
    pub fn surely(&self, method: &Method, path: CallPath<'_>) -> bool {
        let matches_path =
            |pattern: &Pattern| path.reading == Reading::Plain && pattern.matches(path.text);
        self.has_method(method) && self.path.as_ref().is_none_or(matches_path)
    }

    /// Whether it may apply: what counts a call asks this.
    #[must_use]
    pub fn possibly(&self, method: &Method, path: CallPath<'_>) -> bool {
        let matches_path =
            |pattern: &Pattern| path.reading != Reading::Plain || pattern.matches(path.text);
        self.has_method(method) && self.path.as_ref().is_none_or(matches_path)
    }

    fn has_method(&self, method: &Method) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.contains(method))
    }
}

/// A path with `*` for one segment and `**` for any rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    Any,
    Rest,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternFault {
    /// It does not begin with a slash.
    NoSlash,
    /// `**` stands before the end.
    RestInside,
    /// A star shares its segment with other characters.
    PartialStar,
}

impl std::fmt::Display for PatternFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoSlash => "a path begins with `/`",
            Self::RestInside => "`**` stands for any rest, so nothing may follow it",
            Self::PartialStar => "`*` stands for a whole segment, `**` for any rest",
        })
    }
}

impl std::error::Error for PatternFault {}

impl std::str::FromStr for Pattern {
    type Err = PatternFault;

    fn from_str(text: &str) -> Result<Self, PatternFault> {
        let rest = text.strip_prefix('/').ok_or(PatternFault::NoSlash)?;
        let segments = rest.split('/').map(segment).collect::<Result<Vec<_>, _>>()?;
        let early_rest = segments.iter().rev().skip(1).any(|part| *part == Segment::Rest);
        if early_rest { Err(PatternFault::RestInside) } else { Ok(Self { segments }) }
    }
}

fn segment(text: &str) -> Result<Segment, PatternFault> {
    match text {
        "*" => Ok(Segment::Any),
        "**" => Ok(Segment::Rest),
        literal if literal.contains('*') => Err(PatternFault::PartialStar),
        literal => Ok(Segment::Literal(literal.into())),
    }
}

impl Pattern {
    /// Whether it matches the whole of a path; `/a/**` matches `/a` too.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let mut parts = path.strip_prefix('/').unwrap_or(path).split('/');
        for segment in &self.segments {
            let part = parts.next();
            match (segment, part) {
                (Segment::Rest, _) => return true,
                (Segment::Any, Some(part)) if !part.is_empty() => {}
                (Segment::Literal(literal), Some(part)) if **literal == *part => {}
                (Segment::Any | Segment::Literal(_), _) => return false,
            }
        }
        parts.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Routes {
        let entry = |host: Option<&str>, prefix: &str, upstream| Entry {
            host: host.map(Into::into),
            prefix: prefix.into(),
            upstream,
        };
        Routes::new(vec![
            entry(None, "/a", 0),
            entry(None, "/a/b", 1),
            entry(Some("api.local"), "", 2),
        ])
    }

    #[test]
    fn the_most_specific_route_wins_on_whole_segments() {
        let rows = [
            (None, "/a", Some((0, 2))),
            (None, "/a/x", Some((0, 2))),
            (None, "/ab", None),
            (None, "/a/b/c", Some((1, 4))),
            (Some("API.local:8080"), "/a/b", Some((2, 0))),
            (Some("[::1]:80"), "/a", Some((0, 2))),
            (None, "/", None),
        ];
        for (host, path, expected) in rows {
            let found = table().find(host, path).map(|route| (route.upstream, route.prefix_bytes));
            assert_eq!(found, expected, "{host:?} {path}");
        }
    }

    #[test]
    fn patterns_match_whole_segments() {
        let rows = [
            ("/drop/*", "/drop/create", true),
            ("/drop/*", "/drop", false),
            ("/drop/*", "/drop/", false),
            ("/drop/*", "/drop/a/b", false),
            ("/jobs/**", "/jobs", true),
            ("/jobs/**", "/jobs/1/2", true),
            ("/jobs/**", "/jobsx", false),
            ("/auth/token", "/auth/token", true),
            ("/", "/", true),
            ("/**", "/anything", true),
        ];
        for (pattern, path, expected) in rows {
            let pattern: Pattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(path), expected, "{pattern:?} {path}");
        }
        assert_eq!("/a/**/b".parse::<Pattern>(), Err(PatternFault::RestInside));
        assert_eq!("/a*".parse::<Pattern>(), Err(PatternFault::PartialStar));
        assert_eq!("a".parse::<Pattern>(), Err(PatternFault::NoSlash));
    }

    #[test]
    fn doubt_never_relaxes_a_rule() {
        let matcher = Matcher { methods: None, path: Some("/auth/*".parse().unwrap()) };
        let rows = [
            ("/auth/token", Reading::Plain, true, true),
            ("/auth/x%2Fy", Reading::Ambiguous, false, true),
            ("/auth//x", Reading::Ambiguous, false, true),
            ("/auth/%2e%2E", Reading::Climbing, false, true),
            ("/auth/..%2fdata", Reading::Climbing, false, true),
            ("/data", Reading::Plain, false, false),
            ("/auth/v1.2", Reading::Plain, true, true),
            ("/auth/a%20b", Reading::Plain, true, true),
        ];
        for (text, reading, surely, possibly) in rows {
            let path = CallPath::new(text);
            assert_eq!(path.reading(), reading, "{text}");
            assert_eq!(matcher.surely(&Method::GET, path), surely, "{text}");
            assert_eq!(matcher.possibly(&Method::GET, path), possibly, "{text}");
        }
    }
}
