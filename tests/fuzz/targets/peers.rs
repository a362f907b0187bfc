//! The same bytes to httparse and to us. Where the two disagree, a line of
//! `tests/data/framing/differences.txt` has to say why; anything else panics.

use std::sync::LazyLock;

use evenkeel::http1::SizePadding;
use evenkeel::upstream::ResponseLimits;
use http::{Method, Version};

use super::{Fields, Verdict, chunks, request_head, response_head};

/// One intended difference.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    /// The other parser, and what it reads: `httparse-request`.
    pub(crate) peer: String,
    /// Our verdicts: `accepted`, `incomplete` or a reason, separated by commas.
    pub(crate) ours: String,
    /// Its verdicts: `accepted`, `incomplete`, a reason, or `differently` where both accept.
    pub(crate) theirs: String,
    /// Why we differ.
    pub(crate) why: String,
}

pub(crate) static DIFFERENCES: LazyLock<Vec<Difference>> = LazyLock::new(|| {
    let path = super::data().join("framing/differences.txt");
    let text = std::fs::read_to_string(path).expect("the intended differences");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let difference = |line: &str| {
        let mut words = line.split_whitespace();
        let mut word = || words.next().unwrap_or_else(|| panic!("four columns: {line}")).to_owned();
        let (peer, ours, theirs) = (word(), word(), word());
        let why = words.collect::<Vec<_>>().join(" ");
        assert!(!why.is_empty(), "a reason: {line}");
        Difference { peer, ours, theirs, why }
    };
    lines.map(difference).collect()
});

/// What the two parsers make of one input.
#[derive(Debug)]
pub(crate) struct Comparison {
    peer: &'static str,
    ours: String,
    theirs: String,
}

impl Comparison {
    fn new<T>(peer: &'static str, ours: &Verdict<T>, theirs: &str) -> Self {
        let ours = match ours {
            // Of a body in chunks there is only one reason; elsewhere it has a name.
            Verdict::Rejected(_) if peer.ends_with("chunks") => "rejected".to_owned(),
            Verdict::Accepted(_) | Verdict::Rejected(_) | Verdict::Incomplete => kebab(ours.name()),
        };
        Self { peer, ours, theirs: theirs.to_owned() }
    }

    /// A comparison whose verdicts already have names.
    #[cfg(test)]
    pub(crate) fn named(peer: &'static str, ours: &str, theirs: &str) -> Self {
        Self { peer, ours: kebab(ours), theirs: theirs.to_owned() }
    }

    /// The line that explains why the two differ; `None` where they agree.
    ///
    /// # Errors
    /// No line does.
    pub(crate) fn explained(&self) -> Result<Option<&'static Difference>, String> {
        let accepts = |verdict: &str| ["accepted", "incomplete", "differently"].contains(&verdict);
        // Which reason it was matters only where the other does not reject.
        let both_reject = !accepts(&self.ours) && !accepts(&self.theirs);
        if self.ours == self.theirs || both_reject {
            return Ok(None);
        }
        let known = |row: &&Difference| {
            let names = |list: &str, verdict: &str| list.split(',').any(|name| name == verdict);
            row.peer == self.peer
                && names(&row.ours, &self.ours)
                && names(&row.theirs, &self.theirs)
        };
        let row = DIFFERENCES.iter().find(known);
        let Self { peer, ours, theirs } = self;
        row.map(Some).ok_or_else(|| format!("{peer:<18} {ours:<20} {theirs:<12}"))
    }

    /// # Panics
    /// The two differ, and no line says that they may.
    pub(crate) fn check(&self, input: &[u8]) {
        if let Err(line) = self.explained() {
            panic!("an unintended difference, {line}: \"{}\"", input.escape_ascii());
        }
    }
}

/// `BareLineFeed` as `bare-line-feed`, as the data files write it.
pub(crate) fn kebab(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push('-');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

/// The kind of httparse's error.
fn kind(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "header-name",
        httparse::Error::HeaderValue => "header-value",
        httparse::Error::NewLine => "new-line",
        httparse::Error::Status => "status",
        httparse::Error::Token => "token",
        httparse::Error::TooManyHeaders => "too-many-headers",
        httparse::Error::Version => "version",
    }
}

pub(crate) const LIMITS: request_head::Limits =
    request_head::Limits { head_bytes: 32 * 1024, headers: 100, target_bytes: 8 * 1024 };

/// Compares one request head with httparse's reading.
pub(crate) fn request_head(input: &[u8]) -> Comparison {
    let ours = request_head::read(&[input], LIMITS);
    let mut lines = [httparse::EMPTY_HEADER; 128];
    let mut parsed = httparse::Request::new(&mut lines);
    let theirs = match parsed.parse(input) {
        Err(error) => kind(error),
        Ok(httparse::Status::Partial) => "incomplete",
        Ok(httparse::Status::Complete(length)) => match ours.accepted() {
            None => "accepted",
            Some(read) => {
                let version =
                    if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
                let target = parsed.path.unwrap_or_default();
                // An absolute target gets its empty path written out.
                let same_target = read.target == target || !target.starts_with(['/', '*']);
                let same = parsed.method == Some(&*read.method)
                    && same_target
                    && (read.version, read.length) == (version, length)
                    && read.fields == sorted(parsed.headers);
                if same { "accepted" } else { "differently" }
            }
        },
    };
    Comparison::new("httparse-request", &ours, theirs)
}

/// Compares one response head with httparse's reading.
pub(crate) fn response_head(input: &[u8]) -> Comparison {
    let bounds = ResponseLimits { head_bytes_max: 64 * 1024, headers_max: 256 };
    let ours = response_head::read(&[input], &Method::GET, bounds);
    let mut lines = [httparse::EMPTY_HEADER; 300];
    let mut parsed = httparse::Response::new(&mut lines);
    let result = parsed.parse(input);
    let theirs = match result {
        Err(error) => kind(error),
        Ok(httparse::Status::Partial) => "incomplete",
        Ok(httparse::Status::Complete(length)) => match ours.accepted() {
            None => "accepted",
            Some(read) => {
                let same = parsed.code == Some(read.status)
                    && read.length == length
                    && read.fields == sorted(parsed.headers);
                if same { "accepted" } else { "differently" }
            }
        },
    };
    let ours = match ours {
        Verdict::Rejected(fault) if fault == "Malformed" => Verdict::Rejected(
            if theirs == "accepted" { unusable(&parsed, input) } else { "StatusLine" }.to_owned(),
        ),
        Verdict::Accepted(_) | Verdict::Rejected(_) | Verdict::Incomplete => ours,
    };
    Comparison::new("httparse-response", &ours, theirs)
}

/// What is wrong with a response that httparse accepts: its length, or its status.
fn unusable(response: &httparse::Response<'_, '_>, input: &[u8]) -> &'static str {
    let values = |name: &str| {
        let named = response.headers.iter().filter(|line| line.name.eq_ignore_ascii_case(name));
        named.map(|line| line.value).collect::<Vec<_>>()
    };
    let plain = |length: &&[u8]| {
        let text = std::str::from_utf8(length).ok();
        let digits = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        digits.is_some_and(|digits| digits.parse::<u64>().is_ok())
    };
    match (&values("content-length")[..], &values("transfer-encoding")[..]) {
        _ if !without_empty_lines(input).starts_with(b"HTTP/1.") => "StatusLine",
        _ if response.code == Some(101) => "SwitchingProtocols",
        _ if response.code < Some(100) => "Status",
        ([_, _, ..], _) => "LengthTwice",
        ([_], [_, ..]) => "LengthAndEncoding",
        ([length], []) if !plain(length) => "Length",
        ([], [coding]) if !coding.eq_ignore_ascii_case(b"chunked") => "Encoding",
        ([], [_, _, ..]) => "Encoding",
        ([], [_]) if response.version == Some(0) => "EncodingTooOld",
        _ => "Unexplained",
    }
}

/// What follows the empty lines, which end with CRLF, at the front.
fn without_empty_lines(mut input: &[u8]) -> &[u8] {
    while let Some(rest) = input.strip_prefix(b"\r\n") {
        input = rest;
    }
    input
}

/// Compares one body in chunks, as an upstream may send it, with a decoder made of httparse's
/// parts.
pub(crate) fn chunks(input: &[u8]) -> Comparison {
    let ours = chunks::read(&[input], SizePadding::Accepted);
    let decoded = httparse_chunks(input);
    let theirs = match (&decoded, ours.accepted()) {
        (Verdict::Accepted(theirs), Some(ours)) if theirs != ours => "differently",
        (decoded, _) => decoded.name(),
    };
    Comparison::new("httparse-chunks", &ours, theirs)
}

fn httparse_chunks(input: &[u8]) -> Verdict<chunks::Read> {
    let (mut body, mut at) = (Vec::new(), 0);
    let rejected = || Verdict::Rejected("rejected".to_owned());
    loop {
        let (length, size) = match httparse::parse_chunk_size(&input[at..]) {
            Err(_) => return rejected(),
            Ok(httparse::Status::Partial) => return Verdict::Incomplete,
            Ok(httparse::Status::Complete(found)) => found,
        };
        at += length;
        if size == 0 {
            break;
        }
        let end = usize::try_from(size).ok().and_then(|size| at.checked_add(size));
        let Some(end) = end.filter(|end| *end <= input.len()) else { return Verdict::Incomplete };
        body.extend_from_slice(&input[at..end]);
        match &input[end..] {
            [] | [b'\r'] => return Verdict::Incomplete,
            [b'\r', b'\n', ..] => at = end + 2,
            _ => return rejected(),
        }
    }
    let mut lines = [httparse::EMPTY_HEADER; 32];
    match httparse::parse_headers(&input[at..], &mut lines) {
        Err(_) => rejected(),
        Ok(httparse::Status::Partial) => Verdict::Incomplete,
        Ok(httparse::Status::Complete((length, headers))) => {
            let trailers = sorted(headers);
            Verdict::Accepted(chunks::Read { body, trailers, length: at + length })
        }
    }
}

fn sorted(headers: &[httparse::Header<'_>]) -> Fields {
    let owned =
        |header: &httparse::Header<'_>| (header.name.to_ascii_lowercase(), header.value.to_vec());
    let mut fields: Fields = headers.iter().map(owned).collect();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}
