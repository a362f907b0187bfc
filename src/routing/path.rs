//! A request's path as its vendor may read it, and the patterns of the configuration.
//!
//! Servers differ in what they decode, fold and resolve, so one path can have several readings.
//! What counts or limits a call asks [`Matcher::possibly`]: one reading that matches is enough.
//! What exempts, repeats or permits asks [`Matcher::surely`]: the literal segments are spelled
//! byte for byte as in the pattern, and what stands for a star has one reading.
//!
//! Readings that are considered, at each place on its own: percent escapes, also nested, in the
//! form `%u0041` and in overlong UTF-8; letter case; fullwidth forms and other signs that some
//! servers map to `/`, `\` or `.`; a backslash or an encoded slash as a separator; empty and
//! single-dot segments, a trailing slash; `;parameters`; an encoded `?`, `#` or NUL as the end of
//! the path; blanks and dots at the end of a segment. A path with `..`, or with more doubtful
//! signs than a server would be sent in earnest, possibly matches everything. Not considered: an
//! extension that names a format (`/drop.json`), which is another resource to most vendors.

use std::ops::Range;

use http::Method;

use super::method::CallMethod;
use super::spelling::{
    Sign, bare_of_parameters, climbs, is_settled, letter, signs, vanishes, without_final_dots,
};

/// Separators that only some servers see; a path with more of them matches whatever is asked, so
/// that matching takes bounded time.
const SOFT_SLASHES_MAX: usize = 16;

/// The path behind the route's prefix, and whether a vendor may read it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallPath<'a> {
    text: &'a str,
    reading: Reading,
    spelling: Spelling,
}

/// How surely a path means what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Its segments are the same to everybody.
    Plain,
    /// Encoded separators, empty segments or the like: servers differ.
    Ambiguous,
    /// It climbs: `..`, in any spelling; or it is escaped too often to tell.
    Climbing,
}

/// Whether a path has to be decoded to be matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// ASCII without anything that servers decode, fold (letter case apart) or resolve.
    Bare,
    Encoded,
}

impl<'a> CallPath<'a> {
    /// Looks at a path; an empty one is the root.
    #[must_use]
    pub fn new(path: &'a str) -> Self {
        let text = if path.is_empty() { "/" } else { path };
        if is_bare(text) {
            return Self { text, reading: Reading::Plain, spelling: Spelling::Bare };
        }
        let reading = Decoded::new(text).map_or(Reading::Climbing, |decoded| decoded.reading());
        Self { text, reading, spelling: Spelling::Encoded }
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

/// Whether a path holds nothing that servers read differently, letter case and a trailing slash
/// apart. May refuse a harmless path, which is then decoded.
fn is_bare(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'/' => !matches!(bytes.get(at + 1), Some(b'/' | b'.')),
        b'.' => !matches!(bytes.get(at + 1), None | Some(b'/')),
        b'%' | b'\\' | b';' => false,
        byte => byte.is_ascii(),
    })
}

/// A path decoded as far as it goes, and where its segments are.
struct Decoded {
    signs: Vec<Sign>,
    /// The pieces between separators of either kind.
    pieces: Vec<Range<usize>>,
}

impl Decoded {
    /// `None` when its escapes are nested too deep.
    fn new(path: &str) -> Option<Self> {
        let signs = signs(path)?;
        let behind_root = usize::from(signs.first() == Some(&Sign::Slash));
        let mut pieces = Vec::new();
        let mut start = behind_root;
        for (at, sign) in signs.iter().enumerate().skip(behind_root) {
            if matches!(sign, Sign::Slash | Sign::SoftSlash) {
                pieces.push(start..at);
                start = at + 1;
            }
        }
        pieces.push(start..signs.len());
        Some(Self { signs, pieces })
    }

    fn reading(&self) -> Reading {
        let piece = |range: &Range<usize>| &self.signs[range.clone()];
        if self.pieces.iter().any(|range| climbs(piece(range))) {
            return Reading::Climbing;
        }
        let last = self.pieces.len() - 1;
        let doubtful = |(number, range): (usize, &Range<usize>)| {
            let trailing = number == last && range.is_empty();
            !trailing && !is_settled(piece(range))
        };
        let soft = self.signs.contains(&Sign::SoftSlash);
        if soft || self.pieces.iter().enumerate().any(doubtful) {
            return Reading::Ambiguous;
        }
        Reading::Plain
    }

    /// Whether some reading of it matches the whole of a pattern.
    ///
    /// `open[a]` of a row says whether the pieces from `a` on can match the segments of the
    /// pattern from that row on; rows are filled from the end.
    fn matches(&self, pattern: &[Segment]) -> bool {
        let soft = self.signs.iter().filter(|sign| **sign == Sign::SoftSlash).count();
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
        let goes_on = |signs: &[Sign], behind: usize| {
            let fits = segment.is_some_and(|segment| segment.may_be(signs));
            (vanishes(signs) && here[behind]) || (fits && later.is_some_and(|it| it[behind]))
        };
        (first..end).take_while(|last| *last == first || self.is_soft_before(*last)).any(|last| {
            let signs = &self.signs[self.pieces[first].start..self.pieces[last].end];
            let cut = signs.iter().position(|sign| matches!(sign, Sign::End(_)));
            goes_on(signs, last + 1) || cut.is_some_and(|cut| goes_on(&signs[..cut], end))
        })
    }

    fn is_soft_before(&self, piece: usize) -> bool {
        let start = self.pieces[piece].start;
        start.checked_sub(1).is_some_and(|before| self.signs[before] == Sign::SoftSlash)
    }
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
    pub fn surely<'m>(&self, method: impl Into<CallMethod<'m>>, path: CallPath<'_>) -> bool {
        let method = method.into();
        let methods = self.methods.as_ref();
        methods.is_none_or(|methods| methods.iter().any(|named| method.is(named)))
            && self.path.as_ref().is_none_or(|pattern| pattern.surely_matches(path))
    }

    /// Whether it may apply: what counts or limits a call asks this.
    #[must_use]
    pub fn possibly<'m>(&self, method: impl Into<CallMethod<'m>>, path: CallPath<'_>) -> bool {
        let method = method.into();
        let methods = self.methods.as_ref();
        methods.is_none_or(|methods| methods.iter().any(|named| method.may_be(named)))
            && self.path.as_ref().is_none_or(|pattern| pattern.possibly_matches(path))
    }
}

/// A path with `*` for one segment and `**` for any rest.
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

/// A segment as the configuration writes it, and decoded and folded as a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Literal {
    written: Box<str>,
    folded: Box<str>,
}

impl Segment {
    /// Whether some server takes these signs for this segment.
    fn may_be(&self, signs: &[Sign]) -> bool {
        match self {
            Self::Rest => true,
            Self::Any => !signs.is_empty(),
            Self::Literal(literal) => {
                literal.is_spelled(signs) || literal.is_spelled(bare_of_parameters(signs))
            }
        }
    }
}

impl Literal {
    fn new(written: &str) -> Self {
        let signs = signs(written).unwrap_or_default();
        let folded: String = without_final_dots(&signs).iter().map(letter).collect();
        Self { written: written.into(), folded: folded.into() }
    }

    /// Beyond ASCII there are more forms of one text than are told apart here, so two texts that
    /// both go beyond it are taken for the same.
    fn is_spelled(&self, signs: &[Sign]) -> bool {
        let letters = || without_final_dots(signs).iter().map(letter);
        let foreign = || !self.folded.is_ascii() && letters().any(|letter| !letter.is_ascii());
        self.folded.chars().eq(letters()) || foreign()
    }
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
        literal => Ok(Segment::Literal(Literal::new(literal))),
    }
}

impl Pattern {
    /// Whether it matches the whole of a path as it is spelled, with one reading; `/a/**` matches
    /// `/a` too.
    fn surely_matches(&self, path: CallPath<'_>) -> bool {
        if path.reading == Reading::Climbing {
            return false;
        }
        let settled = |part: &str| {
            let bare = path.spelling == Spelling::Bare && !part.is_empty();
            bare || signs(part).is_some_and(|signs| is_settled(&signs))
        };
        let mut parts = path.text.strip_prefix('/').unwrap_or(path.text).split('/');
        for segment in &self.segments {
            match (segment, parts.next()) {
                (Segment::Rest, part) => {
                    let rest: Vec<&str> = part.into_iter().chain(parts).collect();
                    // A slash at the end is no segment to anybody.
                    let inner = rest.strip_suffix(&[""]).unwrap_or(&rest);
                    return inner.iter().all(|part| settled(part));
                }
                (Segment::Any, Some(part)) if settled(part) => {}
                (Segment::Literal(literal), Some(part)) if *literal.written == *part => {}
                (Segment::Any | Segment::Literal(_), _) => return false,
            }
        }
        parts.next().is_none()
    }

    /// Whether some vendor may read a path as one that it matches.
    fn possibly_matches(&self, path: CallPath<'_>) -> bool {
        match (path.reading, path.spelling) {
            (Reading::Climbing, _) => true,
            (Reading::Plain | Reading::Ambiguous, Spelling::Bare) => self.matches_bare(path.text),
            (Reading::Plain | Reading::Ambiguous, Spelling::Encoded) => {
                Decoded::new(path.text).is_none_or(|decoded| decoded.matches(&self.segments))
            }
        }
    }

    /// The same for a path that need not be decoded: letter case and slashes at the end apart, it
    /// is what it says.
    fn matches_bare(&self, path: &str) -> bool {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
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
            assert_eq!(matcher.surely(&Method::GET, path), expected, "{pattern} {path:?}");
            assert_eq!(matcher.possibly(&Method::GET, path), expected, "{pattern} {path:?}");
        }
        assert_eq!("/a/**/b".parse::<Pattern>(), Err(PatternFault::RestInside));
        assert_eq!("/a*".parse::<Pattern>(), Err(PatternFault::PartialStar));
        assert_eq!("a".parse::<Pattern>(), Err(PatternFault::NoSlash));
    }

    #[test]
    fn every_spelling_counts_and_none_exempts() {
        let spellings = [
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
        for spelling in spellings {
            let path = CallPath::new(spelling);
            for matcher in [&exact, &star] {
                assert!(matcher.possibly(&Method::GET, path), "{spelling}");
            }
            assert!(!exact.surely(&Method::GET, path), "{spelling}");
        }
        assert!(on("/caf\u{e9}").possibly(&Method::GET, CallPath::new("/CAF%E9")));
        assert!(on("/kiss").possibly(&Method::GET, CallPath::new("/\u{212a}i\u{17f}s")));
    }

    #[test]
    fn another_path_is_another_path() {
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
            let possibly = on("/drop/create").possibly(&Method::GET, CallPath::new(path));
            assert!(!possibly, "{path}");
        }
    }

    #[test]
    fn doubt_never_relaxes_a_rule() {
        let rows = [
            ("/auth/token", Reading::Plain, true, true),
            ("/auth/x%2Fy", Reading::Ambiguous, false, true),
            ("/auth//x", Reading::Ambiguous, false, true),
            ("/auth/%2e%2E", Reading::Climbing, false, true),
            ("/auth/%252e%252E", Reading::Climbing, false, true),
            ("/auth/..%2fdata", Reading::Climbing, false, true),
            ("/auth/..%20/data", Reading::Climbing, false, true),
            ("/auth/%25252525252e", Reading::Climbing, false, true),
            ("/data", Reading::Plain, false, false),
            ("/auth/v1.2", Reading::Plain, true, true),
            ("/auth/...", Reading::Ambiguous, false, true),
            ("/auth/.well-known", Reading::Plain, true, true),
            ("/auth/a%20b", Reading::Plain, true, true),
            ("/auth/%20", Reading::Ambiguous, false, true),
            ("/auth/a;b", Reading::Ambiguous, false, true),
            ("/auth/%2564", Reading::Plain, true, true),
            ("/AUTH/token", Reading::Plain, false, true),
            ("/auth/token/", Reading::Plain, false, true),
        ];
        let matcher = on("/auth/*");
        for (text, reading, surely, possibly) in rows {
            let path = CallPath::new(text);
            assert_eq!(path.reading(), reading, "{text}");
            assert_eq!(matcher.surely(&Method::GET, path), surely, "{text}");
            assert_eq!(matcher.possibly(&Method::GET, path), possibly, "{text}");
        }
        let rest = on("/auth/**");
        for (text, surely) in [("/auth/a/b/", true), ("/auth/a//b", false), ("/auth//", false)] {
            assert_eq!(rest.surely(&Method::GET, CallPath::new(text)), surely, "{text}");
        }
    }

    #[test]
    fn many_soft_slashes_are_matched_in_bounded_time() {
        let long = "/".to_owned() + &"%2F".repeat(2_700);
        assert!(on("/drop/create").possibly(&Method::GET, CallPath::new(&long)));
        let long = "/a".repeat(4_000);
        assert!(!on("/drop/create").possibly(&Method::GET, CallPath::new(&(long + "%20"))));
    }

    /// One way of writing a character of a path.
    fn spelled(letter: char) -> impl Strategy<Value = String> {
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

    /// One way of writing a separator, and what some servers leave out beside it.
    fn separated() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "/", "//", "/./", "%2f", "%2F", "\\", "%5c", ";a=b/", "%3b/", "/%2e/", "%252f", "/;x/",
            "%20/", "./",
        ])
    }

    fn spelling() -> impl Strategy<Value = String> {
        let word = |text: &str| text.chars().map(spelled).collect::<Vec<_>>();
        let tail = prop::sample::select(vec!["", "/", "//", ";v=1", "%00", "%3Fx=1", ".", "/."]);
        (separated(), word("drop"), separated(), word("create"), tail).prop_map(
            |(before, drop, between, create, tail)| {
                [before, &drop.concat(), between, &create.concat(), tail].concat()
            },
        )
    }

    proptest! {
        #[test]
        fn no_spelling_escapes_or_gains(path in spelling()) {
            let call = CallPath::new(&path);
            prop_assert!(on("/drop/create").possibly(&Method::GET, call), "{path}");
            prop_assert!(on("/drop/*").possibly(&Method::GET, call), "{path}");
            prop_assert!(on("/drop/**").possibly(&Method::GET, call), "{path}");
            let surely = on("/drop/create").surely(&Method::GET, call);
            prop_assert!(!surely || path == "/drop/create", "{path}");
        }

        #[test]
        fn what_surely_matches_possibly_does(
            path in r"/(drop|[a-c./;%2ef\\]{0,4})(/(create|[a-c./;%2ef\\]{0,4})){0,3}",
            pattern in prop::sample::select(vec!["/drop/*", "/drop/create", "/**", "/*/*", "/drop/"]),
        ) {
            let (matcher, call) = (on(pattern), CallPath::new(&path));
            if matcher.surely(&Method::GET, call) {
                prop_assert!(matcher.possibly(&Method::GET, call), "{pattern} {path}");
            }
        }

        #[test]
        fn nothing_panics(path in "(?s:.{0,60})", odd in "[%u0-9a-f/.;\\\\]{0,60}") {
            for text in [path, odd] {
                let call = CallPath::new(&text);
                let _ = (on("/a/*").surely(&Method::GET, call), on("/a/*").possibly(&Method::GET, call));
            }
        }
    }
}
