//! Captured responses, as `normalise`, `explain` and `learn` read them, and what decided about one.

use std::fmt;
use std::io::Read;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::DATE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::dialect::{BODY_BYTES_MAX, Dialect};
use crate::outcome::{Basis, Classification, Facts, ResponseHead, Wait};

/// An exit code and a message.
pub(super) type CommandError = (u8, String);

/// The exit code for a wrong command line.
pub(super) const USAGE: u8 = 2;

/// The name under which standard input is read.
pub(super) const STDIN: &str = "-";

/// A captured response.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// With its content codings.
    pub body: Bytes,
}

impl Capture {
    /// Reads a file, or standard input as `-`. `status` is that of a body alone; what begins with
    /// `HTTP/` has its own.
    ///
    /// # Errors
    /// The file cannot be read, or has neither a head nor a `status` given for it.
    pub(super) fn read(
        file: &str,
        status: Option<StatusCode>,
        stdin: &mut dyn Read,
    ) -> Result<Self, CommandError> {
        let read = match file {
            STDIN => read_bounded(stdin),
            path => std::fs::File::open(path).and_then(read_bounded),
        };
        let bytes = read.map_err(|error| (1, format!("cannot read {file}: {error}")))?;
        let body = |status| Self { status, headers: HeaderMap::new(), body: bytes.clone().into() };
        Self::parse(bytes.clone()).or_else(|| status.map(body)).ok_or_else(|| {
            let remedy = "give --status N, or a capture that begins with `HTTP/`, as `curl -i` \
                          writes it";
            let name = if file == STDIN { "the capture" } else { file };
            (USAGE, format!("{name} has no valid head: {remedy}"))
        })
    }

    /// A response as `curl -i` writes it: status line, headers, a blank line, the body.
    #[must_use]
    pub fn parse(bytes: Vec<u8>) -> Option<Self> {
        let bytes = Bytes::from(bytes);
        let blank_line = |blank: &[u8]| {
            let place = bytes.windows(blank.len()).position(|window| window == blank)?;
            Some((place, place + blank.len()))
        };
        let (head, body) = match (blank_line(b"\r\n\r\n"), blank_line(b"\n\n")) {
            (Some(crlf), Some(lf)) => crlf.min(lf),
            (crlf, lf) => crlf.or(lf)?,
        };
        let mut lines = std::str::from_utf8(&bytes[..head]).ok()?.lines();
        let status = lines.next()?.strip_prefix("HTTP/")?.split_whitespace().nth(1)?;
        let headers = lines.map(|line| header(line).ok()).collect::<Option<HeaderMap>>()?;
        Some(Self { status: status.parse().ok()?, headers, body: bytes.slice(body..) })
    }

    pub(super) const fn head(&self) -> ResponseHead<'_> {
        ResponseHead { status: self.status, headers: &self.headers }
    }

    /// When the vendor says that it sent the response.
    pub(super) fn date(&self) -> Option<SystemTime> {
        let date = self.headers.get(DATE)?.to_str().ok()?;
        httpdate::parse_http_date(date).ok()
    }
}

/// The bytes of a capture. The limit is above that of a body, so a body beyond that is seen to be.
fn read_bounded(from: impl Read) -> std::io::Result<Vec<u8>> {
    let head_bytes_max = 64 * 1024;
    let limit = u64::try_from(BODY_BYTES_MAX + head_bytes_max).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    from.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A header as it is written on the command line and in a capture.
pub(super) fn header(line: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = line.split_once(':').ok_or("a header reads `Name: value`")?;
    let name = name.trim().parse().map_err(|_| format!("`{name}` is not a valid header name"))?;
    let value = HeaderValue::from_str(value.trim()).map_err(|error| error.to_string())?;
    Ok((name, value))
}

/// What decided about a response, and where its facts were found.
#[derive(Clone, Debug)]
pub(super) struct Why {
    dialect: Box<str>,
    rule: Box<str>,
    sign: String,
    message: String,
    code: String,
    wait: String,
}

impl Why {
    pub(super) fn new(dialect: &Dialect, classification: &Classification, facts: &Facts) -> Self {
        let wait = match (classification.wait_place.as_deref(), classification.wait) {
            (Some(place), _) => place,
            (None, Some(Wait { basis: Basis::Dialect, .. })) => "stated by the dialect",
            (None, _) => "none stated",
        };
        Self {
            dialect: dialect.name.as_ref().into(),
            rule: classification.rule.clone(),
            sign: classification.sign.to_string(),
            message: place(facts.message_at.as_deref(), facts.message.is_some()),
            code: place(facts.code_at.as_deref(), facts.code.is_some()),
            wait: wait.to_owned(),
        }
    }

    /// Names and values, in the order of reading.
    pub(super) fn rows(&self) -> [(&'static str, &str); 6] {
        [
            ("dialect", &self.dialect),
            ("rule", &self.rule),
            ("evidence", &self.sign),
            ("message", &self.message),
            ("code", &self.code),
            ("wait", &self.wait),
        ]
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows().iter().try_for_each(|(name, value)| writeln!(f, "{name:<10}{value}"))
    }
}

/// Where a fact was found. One without a place of its own was put together from the body.
fn place(at: Option<&str>, known: bool) -> String {
    match at {
        Some("") => "the body".to_owned(),
        None if known => "the body".to_owned(),
        None => "not found".to_owned(),
        Some(at) if at.starts_with('/') => format!("member {at}"),
        Some(name) => format!("header {name}"),
    }
}
