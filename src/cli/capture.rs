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

/// Heads before the one that counts; clients follow fewer redirects.
const HEADS_MAX: usize = 50;

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

    /// A response as `curl -i` writes it: status line, headers, a blank line, the body. Of several
    /// heads the last counts: curl writes interim responses, a proxy's and redirects before it.
    #[must_use]
    pub fn parse(bytes: Vec<u8>) -> Option<Self> {
        let mut capture = Self::parse_first(&bytes.into())?;
        for _ in 0..HEADS_MAX {
            if !capture.body.starts_with(b"HTTP/") {
                break;
            }
            let Some(next) = Self::parse_first(&capture.body) else { break };
            capture = next;
        }
        Some(capture)
    }

    fn parse_first(bytes: &Bytes) -> Option<Self> {
        let blank_line = |blank: &[u8]| {
            let place = bytes.windows(blank.len()).position(|window| window == blank)?;
            Some((place, place + blank.len()))
        };
        let (head, body) = match (blank_line(b"\r\n\r\n"), blank_line(b"\n\n")) {
            (Some(crlf), Some(lf)) => crlf.min(lf),
            (crlf, lf) => crlf.or(lf)?,
        };
        let lines = bytes[..head].split(|byte| *byte == b'\n');
        let mut lines = lines.map(<[u8]>::trim_ascii);
        let status = std::str::from_utf8(lines.next()?).ok()?.strip_prefix("HTTP/")?;
        let status = status.split_whitespace().nth(1)?.parse().ok()?;
        let headers = lines.map(|line| header_line(line).ok()).collect::<Option<HeaderMap>>()?;
        Some(Self { status, headers, body: bytes.slice(body..) })
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
    header_line(line.as_bytes())
}

fn header_line(line: &[u8]) -> Result<(HeaderName, HeaderValue), String> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or("a header reads `Name: value`")?;
    let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
    let name = HeaderName::from_bytes(name)
        .map_err(|_| format!("`{}` is not a valid header name", String::from_utf8_lossy(name)))?;
    let value = HeaderValue::from_bytes(value).map_err(|error| error.to_string())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_head_of_a_capture_counts() {
        let error = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 5\r\n\r\nHTTP/1.1 is busy";
        let before = [
            "",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 200 Connection established\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\n\n",
            "HTTP/2 302 \r\nlocation: /b\r\n\r\nHTTP/2 301 \nlocation: /c\n\n",
        ];
        for before in before {
            let capture = Capture::parse(format!("{before}{error}").into()).unwrap();
            assert_eq!((capture.status.as_u16(), &*capture.body), (429, &b"HTTP/1.1 is busy"[..]));
            assert_eq!(capture.headers["retry-after"], "5");
        }
    }

    #[test]
    fn a_value_beyond_ascii_is_no_reason_to_refuse_a_capture() {
        let capture = Capture::parse(b"HTTP/1.1 400 Bad\r\nx-note: K\xe4se\r\n\r\n{}".to_vec());
        assert_eq!(capture.unwrap().headers["x-note"].as_bytes(), b"K\xe4se");
    }
}
