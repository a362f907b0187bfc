//! Matches a request's path against the patterns of the configuration.
//!
//! Servers differ in what they decode, fold and resolve, so one path can have several readings. A
//! setting that counts or limits calls uses [`Matcher::may_match`]: one matching reading is enough.
//! A setting that exempts, repeats or permits uses [`Matcher::must_match`]: literal segments equal
//! the pattern's byte for byte, and what a star matches has one reading.
//!
//! These differences are considered, each on its own: percent escapes, nested, as `%u0041` or as
//! overlong UTF-8; letter case; fullwidth forms and other characters that some servers map to `/`,
//! `\` or `.`; a backslash or an encoded slash as a separator; empty and single-dot segments, a
//! trailing slash; `;parameters`; an encoded `?`, `#` or NUL as the end of the path; blanks and
//! dots at the end of a segment. A path with `..`, or with more optional separators than
//! `SOFT_SLASHES_MAX`, may match everything. An extension that names a format (`/drop.json`) is not
//! considered: it is another resource to most vendors.

use std::ops::Range;

use http::Method;

use super::decode::{
    PathChar, decode, is_parent, is_removed, is_unambiguous, letter, without_final_dots,
    without_parameters,
};
use super::method::CallMethod;

/// Separators that only some servers recognise. A path with more of them may match anything, which
/// bounds the time of matching.
const SOFT_SLASHES_MAX: usize = 16;

/// The path behind the route's prefix, and whether servers may read it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallPath<'a> {
    text: &'a str,
    reading: PathReading,
    encoding: Encoding,
}

/// Whether servers agree about what a path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathReading {
    /// All servers see the same segments.
    Unambiguous,
    /// Encoded separators, empty segments and the like.
    Ambiguous,
    /// `..` in any encoding, or escapes nested too deep to tell.
    Traversal,
}

/// Whether a path has to be decoded before it can be matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// ASCII in which servers decode, fold (apart from letter case) and resolve nothing.
    Plain,
    Encoded,
}

impl<'a> CallPath<'a> {
    /// An empty path is the root.
    #[must_use]
    pub fn new(path: &'a str) -> Self {
        let text = if path.is_empty() { "/" } else { path };
        // Servers read such a path alike, apart from letter case and a trailing slash.
        let bytes = text.as_bytes();
        let is_plain = bytes.iter().enumerate().all(|(at, byte)| match byte {
            b'/' => !matches!(bytes.get(at + 1), Some(b'/' | b'.')),
            b'.' => !matches!(bytes.get(at + 1), None | Some(b'/')),
            b'%' | b'\\' | b';' => false,
            byte => byte.is_ascii(),
        });
        if is_plain {
            return Self { text, reading: PathReading::Unambiguous, encoding: Encoding::Plain };
        }
        let reading =
            Decoded::new(text).map_or(PathReading::Traversal, |decoded| decoded.reading());
        Self { text, reading, encoding: Encoding::Encoded }
    }

    /// The path as the client wrote it.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.text
    }

    #[must_use]
    pub const fn reading(&self) -> PathReading {
        self.reading
    }
}

/// A fully decoded path and the ranges between its separators.
struct Decoded {
    chars: Vec<PathChar>,
    pieces: Vec<Range<usize>>,
}

impl Decoded {
    /// `None` when escapes are nested too deep.
    fn new(path: &str) -> Option<Self> {
        let chars = decode(path)?;
        let behind_root = usize::from(chars.first() == Some(&PathChar::Slash));
        let mut pieces = Vec::new();
        let mut start = behind_root;
        for (at, c) in chars.iter().enumerate().skip(behind_root) {
            if matches!(c, PathChar::Slash | PathChar::SoftSlash) {
                pieces.push(start..at);
                start = at + 1;
            }
        }
        pieces.push(start..chars.len());
        Some(Self { chars, pieces })
    }

    fn reading(&self) -> PathReading {
        let piece = |range: &Range<usize>| &self.chars[range.clone()];
        if self.pieces.iter().any(|range| is_parent(piece(range))) {
            return PathReading::Traversal;
        }
        let last = self.pieces.len() - 1;
        let ambiguous = |(number, range): (usize, &Range<usize>)| {
            let trailing = number == last && range.is_empty();
            !trailing && !is_unambiguous(piece(range))
        };
        let soft = self.chars.contains(&PathChar::SoftSlash);
        if soft || self.pieces.iter().enumerate().any(ambiguous) {
            return PathReading::Ambiguous;
        }
        PathReading::Unambiguous
    }

    /// Whether some reading of the path matches the whole pattern.
    ///
    /// Dynamic programming from the end: `open[a]` says whether the pieces from `a` on can match
    /// the pattern's segments from the current one on.
    fn matches(&self, pattern: &[Segment]) -> bool {
        let soft = self.chars.iter().filter(|c| **c == PathChar::SoftSlash).count();
        if SOFT_SLASHES_MAX < soft {
            return true;
        }
        let mut later: Option<Vec<bool>> = None;
        for place in (0..=pattern.len()).rev() {
            let mut open = vec![false; self.pieces.len() + 1];
            for first in (0..=self.pieces.len()).rev() {
                open[first] = self.opens(pattern.get(place), first, (&open, later.as_deref()));
            }
            later = Some(open);
        }
        later.is_some_and(|open| open[0])
    }

    fn opens(
        &self,
        segment: Option<&Segment>,
        first: usize,
        (here, later): (&[bool], Option<&[bool]>),
    ) -> bool {
        let end = self.pieces.len();
        match segment {
            Some(Segment::Rest) => return true,
            None if first == end => return true,
            Some(Segment::Literal(literal)) if literal.folded.is_empty() => {
                if later.is_some_and(|later| later[first]) {
                    return true;
                }
            }
            Some(Segment::Literal(_) | Segment::Any) | None => {}
        }
        let goes_on = |chars: &[PathChar], behind: usize| {
            let fits = segment.is_some_and(|segment| segment.may_be(chars));
            (is_removed(chars) && here[behind]) || (fits && later.is_some_and(|it| it[behind]))
        };
        // A piece goes on behind a separator that only some servers recognise.
        let is_joined = |piece: usize| {
            piece == first || self.chars[self.pieces[piece].start - 1] == PathChar::SoftSlash
        };
        (first..end).take_while(|last| is_joined(*last)).any(|last| {
            let chars = &self.chars[self.pieces[first].start..self.pieces[last].end];
            let cut = chars.iter().position(|c| matches!(c, PathChar::End(_)));
            goes_on(chars, last + 1) || cut.is_some_and(|cut| goes_on(&chars[..cut], end))
        })
    }
}

/// Which requests a setting applies to: any of the methods, and the path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matcher {
    /// `None` matches all.
    pub methods: Option<Vec<Method>>,
    /// Matches the path behind the route's prefix; `None` matches all.
    pub path: Option<Pattern>,
}

impl Matcher {
    /// Whether every server would match: for settings that exempt, repeat or permit.
    #[must_use]
    pub fn must_match<'m>(&self, method: impl Into<CallMethod<'m>>, path: CallPath<'_>) -> bool {
        let method = method.into();
        let methods = self.methods.as_ref();
        methods.is_none_or(|methods| methods.iter().any(|named| method.is(named)))
            && self.path.as_ref().is_none_or(|pattern| pattern.must_match(path))
    }

    /// Whether some server could match: for settings that count or limit.
    #[must_use]
    pub fn may_match<'m>(&self, method: impl Into<CallMethod<'m>>, path: CallPath<'_>) -> bool {
        let method = method.into();
        let methods = self.methods.as_ref();
        methods.is_none_or(|methods| methods.iter().any(|named| method.may_be(named)))
            && self.path.as_ref().is_none_or(|pattern| pattern.may_match(path))
    }
}

/// A path pattern: `*` stands for one segment, `**` at the end for any rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Literal),
    Any,
    Rest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Literal {
    written: Box<str>,
    /// Decoded and folded like a path, to compare with one.
    folded: Box<str>,
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.segments.iter().try_for_each(|segment| match segment {
            Segment::Literal(literal) => write!(f, "/{}", literal.written),
            Segment::Any => f.write_str("/*"),
            Segment::Rest => f.write_str("/**"),
        })
    }
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let methods = self.methods.iter().flatten().map(Method::as_str).collect::<Vec<_>>();
        f.write_str(&methods.join(","))?;
        self.path.iter().try_for_each(|pattern| write!(f, " {pattern}"))
    }
}

impl Segment {
    fn may_be(&self, chars: &[PathChar]) -> bool {
        match self {
            Self::Rest => true,
            Self::Any => !chars.is_empty(),
            Self::Literal(literal) => {
                literal.equals(chars) || literal.equals(without_parameters(chars))
            }
        }
    }
}

impl Literal {
    fn new(written: &str) -> Self {
        let chars = decode(written).unwrap_or_default();
        let folded: String = without_final_dots(&chars).iter().map(letter).collect();
        Self { written: written.into(), folded: folded.into() }
    }

    /// Two texts with characters beyond ASCII count as equal, because Unicode has more equivalent
    /// forms than are compared here.
    fn equals(&self, chars: &[PathChar]) -> bool {
        let letters = || without_final_dots(chars).iter().map(letter);
        let foreign = || !self.folded.is_ascii() && letters().any(|letter| !letter.is_ascii());
        self.folded.chars().eq(letters()) || foreign()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    NoSlash,
    /// `**` before the end.
    RestInside,
    /// A star beside other characters in a segment.
    PartialStar,
}

impl std::fmt::Display for PatternError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoSlash => "a path pattern must begin with `/`",
            Self::RestInside => "`**` matches any rest, so nothing may follow it",
            Self::PartialStar => "`*` must be a whole segment (`/users/*`); `**` matches any rest",
        })
    }
}

impl std::error::Error for PatternError {}

impl std::str::FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let rest = text.strip_prefix('/').ok_or(PatternError::NoSlash)?;
        let segments = rest.split('/').map(segment).collect::<Result<Vec<_>, _>>()?;
        let early_rest = segments.iter().rev().skip(1).any(|part| *part == Segment::Rest);
        if early_rest { Err(PatternError::RestInside) } else { Ok(Self { segments }) }
    }
}

fn segment(text: &str) -> Result<Segment, PatternError> {
    match text {
        "*" => Ok(Segment::Any),
        "**" => Ok(Segment::Rest),
        literal if literal.contains('*') => Err(PatternError::PartialStar),
        literal => Ok(Segment::Literal(Literal::new(literal))),
    }
}

impl Pattern {
    /// `/a/**` matches `/a` too.
    fn must_match(&self, path: CallPath<'_>) -> bool {
        if path.reading == PathReading::Traversal {
            return false;
        }
        let unambiguous = |part: &str| {
            let bare = path.encoding == Encoding::Plain && !part.is_empty();
            bare || decode(part).is_some_and(|chars| is_unambiguous(&chars))
        };
        let mut parts = path.text.strip_prefix('/').unwrap_or(path.text).split('/');
        for segment in &self.segments {
            match (segment, parts.next()) {
                (Segment::Rest, part) => {
                    let rest: Vec<&str> = part.into_iter().chain(parts).collect();
                    // No server takes a trailing slash for a segment.
                    let inner = rest.strip_suffix(&[""]).unwrap_or(&rest);
                    return inner.iter().all(|part| unambiguous(part));
                }
                (Segment::Any, Some(part)) if unambiguous(part) => {}
                (Segment::Literal(literal), Some(part)) if *literal.written == *part => {}
                (Segment::Any | Segment::Literal(_), _) => return false,
            }
        }
        parts.next().is_none()
    }

    fn may_match(&self, path: CallPath<'_>) -> bool {
        if path.reading == PathReading::Traversal {
            return true;
        }
        if path.encoding == Encoding::Encoded {
            return Decoded::new(path.text).is_none_or(|decoded| decoded.matches(&self.segments));
        }
        // Letter case and empty segments do not matter.
        let mut parts = path.text.split('/').filter(|part| !part.is_empty());
        for segment in &self.segments {
            match segment {
                Segment::Rest => return true,
                Segment::Any if parts.next().is_some() => {}
                Segment::Literal(literal) if literal.folded.is_empty() => {}
                Segment::Literal(literal)
                    if parts
                        .next()
                        .is_some_and(|part| literal.folded.eq_ignore_ascii_case(part)) => {}
                Segment::Any | Segment::Literal(_) => return false,
            }
        }
        parts.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn on(pattern: &str) -> Matcher {
        Matcher { methods: None, path: Some(pattern.parse().unwrap()) }
    }

    #[test]
    fn patterns_match_whole_segments() {
        let rows = [
            ("/drop/*", "/drop/create", true),
            ("/drop/*", "/drop", false),
            ("/drop/*", "/drop/", false),
            ("/drop/*", "/drop/a/b", false),
            ("/jobs/**", "/jobs", true),
            ("/jobs/**", "/jobs/", true),
            ("/jobs/**", "/jobs/1/2", true),
            ("/jobs/**", "/jobsx", false),
            ("/auth/token", "/auth/token", true),
            ("/auth/token/", "/auth/token/", true),
            ("/caf\u{e9}/*", "/caf\u{e9}/1", true),
            ("/a%2Fb/*", "/a%2Fb/1", true),
            ("/", "/", true),
            ("/", "", true),
            ("/**", "/anything", true),
        ];
        for (pattern, path, expected) in rows {
            let (matcher, path) = (on(pattern), CallPath::new(path));
            assert_eq!(matcher.must_match(&Method::GET, path), expected, "{pattern} {path:?}");
            assert_eq!(matcher.may_match(&Method::GET, path), expected, "{pattern} {path:?}");
        }
        assert_eq!("/a/**/b".parse::<Pattern>(), Err(PatternError::RestInside));
        assert_eq!("/a*".parse::<Pattern>(), Err(PatternError::PartialStar));
        assert_eq!("a".parse::<Pattern>(), Err(PatternError::NoSlash));
    }

    #[test]
    fn every_encoding_may_match_and_none_must() {
        let encodings = [
            "/%64rop/create",
            "/%44ROP/create",
            "/drop/cr%65ate",
            "/%2564rop/create",
            "/%25252564rop/create",
            "/DROP/create",
            "/Drop/CREATE",
            "//drop/create",
            "/drop//create",
            "/drop/create/",
            "/drop/create//",
            "/./drop/create",
            "/drop/./create",
            "/drop/create/.",
            "/drop/%2E/create",
            "/x/../drop/create",
            "/drop/x/%2e%2e/create",
            "/drop/x/..;a=b/create",
            "/drop/x%2f..%2fcreate",
            "/drop;v=1/create",
            "/drop;/create",
            "/;a/drop/create",
            "/drop/create;jsessionid=1",
            "/drop%3bv=1/create",
            "/drop%2Fcreate",
            "/drop%2fcreate",
            "/drop%252Fcreate",
            "%2Fdrop/create",
            "/drop\\create",
            "/drop%5Ccreate",
            "\\drop\\create",
            "/drop/create%3Fa=b",
            "/drop/create%23a",
            "/drop/create%00.txt",
            "/drop/create%20",
            "/drop%09/create",
            "/drop./create",
            "/%u0064rop/create",
            "/drop%u002Fcreate",
            "/drop%c0%afcreate",
            "/%c1%a4rop/create",
            "/%e0%81%a4rop/create",
            "/\u{ff44}rop/create",
            "/%ef%bd%84rop/create",
            "/drop\u{ff0f}create",
            "/drop%e2%88%95create",
            "/d\u{200b}rop/create",
            "/drop/create;a%2Fb",
        ];
        let (exact, star) = (on("/drop/create"), on("/drop/*"));
        for encoding in encodings {
            let path = CallPath::new(encoding);
            for matcher in [&exact, &star] {
                assert!(matcher.may_match(&Method::GET, path), "{encoding}");
            }
            assert!(!exact.must_match(&Method::GET, path), "{encoding}");
        }
        assert!(on("/caf\u{e9}").may_match(&Method::GET, CallPath::new("/CAF%E9")));
        assert!(on("/kiss").may_match(&Method::GET, CallPath::new("/\u{212a}i\u{17f}s")));
    }

    #[test]
    fn other_paths_do_not_match() {
        let others = [
            "/files/report%202024.pdf",
            "/users/",
            "/dropx/create",
            "/drop/create/more",
            "/drop",
            "/drop/",
            "/drop;create",
            "/drop.create",
            "/drop/create.json",
            "/x/drop/create",
            "/drop/create%2Fmore",
            "/caf%C3%A9/create",
            "/\u{65e5}\u{672c}/create",
            "/%25/create",
            "/a%2Fb%2Fc",
            "/",
        ];
        for path in others {
            let may_match = on("/drop/create").may_match(&Method::GET, CallPath::new(path));
            assert!(!may_match, "{path}");
        }
    }

    #[test]
    fn an_ambiguous_path_never_must_match() {
        let rows = [
            ("/auth/token", PathReading::Unambiguous, true, true),
            ("/auth/x%2Fy", PathReading::Ambiguous, false, true),
            ("/auth//x", PathReading::Ambiguous, false, true),
            ("/auth/%2e%2E", PathReading::Traversal, false, true),
            ("/auth/%252e%252E", PathReading::Traversal, false, true),
            ("/auth/..%2fdata", PathReading::Traversal, false, true),
            ("/auth/..%20/data", PathReading::Traversal, false, true),
            ("/auth/%25252525252e", PathReading::Traversal, false, true),
            ("/data", PathReading::Unambiguous, false, false),
            ("/auth/v1.2", PathReading::Unambiguous, true, true),
            ("/auth/...", PathReading::Ambiguous, false, true),
            ("/auth/.well-known", PathReading::Unambiguous, true, true),
            ("/auth/a%20b", PathReading::Unambiguous, true, true),
            ("/auth/%20", PathReading::Ambiguous, false, true),
            ("/auth/a;b", PathReading::Ambiguous, false, true),
            ("/auth/%2564", PathReading::Unambiguous, true, true),
            ("/AUTH/token", PathReading::Unambiguous, false, true),
            ("/auth/token/", PathReading::Unambiguous, false, true),
        ];
        let matcher = on("/auth/*");
        for (text, reading, must_match, may_match) in rows {
            let path = CallPath::new(text);
            assert_eq!(path.reading(), reading, "{text}");
            assert_eq!(matcher.must_match(&Method::GET, path), must_match, "{text}");
            assert_eq!(matcher.may_match(&Method::GET, path), may_match, "{text}");
        }
        let rest = on("/auth/**");
        for (text, must_match) in [("/auth/a/b/", true), ("/auth/a//b", false), ("/auth//", false)]
        {
            assert_eq!(rest.must_match(&Method::GET, CallPath::new(text)), must_match, "{text}");
        }
    }

    #[test]
    fn many_optional_separators_are_matched_in_bounded_time() {
        let long = "/".to_owned() + &"%2F".repeat(2_700);
        assert!(on("/drop/create").may_match(&Method::GET, CallPath::new(&long)));
        let long = "/a".repeat(4_000);
        assert!(!on("/drop/create").may_match(&Method::GET, CallPath::new(&(long + "%20"))));
    }

    /// One way of encoding a character of a path.
    fn encoded(letter: char) -> impl Strategy<Value = String> {
        let (lower, upper) = (letter.to_ascii_lowercase(), letter.to_ascii_uppercase());
        let code = u32::from(letter);
        prop::sample::select(vec![
            lower.to_string(),
            upper.to_string(),
            format!("%{code:02x}"),
            format!("%{:02X}", u32::from(upper)),
            format!("%25{code:02x}"),
            format!("%u{code:04x}"),
            char::from_u32(code + 0xfee0).unwrap().to_string(),
        ])
    }

    /// One way of writing a separator, with what some servers drop beside it.
    fn separator() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "/", "//", "/./", "%2f", "%2F", "\\", "%5c", ";a=b/", "%3b/", "/%2e/", "%252f", "/;x/",
            "%20/", "./",
        ])
    }

    fn path_encoding() -> impl Strategy<Value = String> {
        let word = |text: &str| text.chars().map(encoded).collect::<Vec<_>>();
        let tail = prop::sample::select(vec!["", "/", "//", ";v=1", "%00", "%3Fx=1", ".", "/."]);
        (separator(), word("drop"), separator(), word("create"), tail).prop_map(
            |(before, drop, between, create, tail)| {
                [before, &drop.concat(), between, &create.concat(), tail].concat()
            },
        )
    }

    proptest! {
        #[test]
        fn no_encoding_escapes_a_limit_or_gains_an_exemption(path in path_encoding()) {
            let call = CallPath::new(&path);
            prop_assert!(on("/drop/create").may_match(&Method::GET, call), "{path}");
            prop_assert!(on("/drop/*").may_match(&Method::GET, call), "{path}");
            prop_assert!(on("/drop/**").may_match(&Method::GET, call), "{path}");
            let must_match = on("/drop/create").must_match(&Method::GET, call);
            prop_assert!(!must_match || path == "/drop/create", "{path}");
        }

        #[test]
        fn what_must_match_may_match(
            path in r"/(drop|[a-c./;%2ef\\]{0,4})(/(create|[a-c./;%2ef\\]{0,4})){0,3}",
            pattern in prop::sample::select(vec!["/drop/*", "/drop/create", "/**", "/*/*", "/drop/"]),
        ) {
            let (matcher, call) = (on(pattern), CallPath::new(&path));
            if matcher.must_match(&Method::GET, call) {
                prop_assert!(matcher.may_match(&Method::GET, call), "{pattern} {path}");
            }
        }

        #[test]
        fn nothing_panics(path in "(?s:.{0,60})", odd in "[%u0-9a-f/.;\\\\]{0,60}") {
            for text in [path, odd] {
                let call = CallPath::new(&text);
                let _ = (on("/a/*").must_match(&Method::GET, call), on("/a/*").may_match(&Method::GET, call));
            }
        }
    }
}
