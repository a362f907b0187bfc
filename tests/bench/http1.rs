//! A minimal HTTP/1.1 parser for counting responses: end of the head, length of the body, status.
//!
//! It accepts what the benchmark's own programs and the proxies send; everything else is malformed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::error::MeasureError;

/// For the connection and for each read.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// The result of parsing the start of a buffer.
pub(crate) enum Parsed {
    Incomplete,
    Complete { length: usize, status: u16, persistence: Persistence },
    Malformed,
}

/// Whether the connection stays open after a response.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistence {
    KeepAlive,
    Close,
}

/// The length of the head including its blank line, once it is complete.
pub(crate) fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// The value of a header; `name` is in lower case.
fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let (before, after) = line.split_at_checked(name.len())?;
        let value = after.strip_prefix(b":")?;
        before.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
    })
}

/// The `Content-Length` of a head: 0 if it has none, `None` if it is invalid.
pub(crate) fn content_length(head: &[u8]) -> Option<u64> {
    match field(head, "content-length") {
        None => Some(0),
        Some(text) => std::str::from_utf8(text).ok()?.parse().ok(),
    }
}

/// Parses a small response at the start of `bytes`.
pub(crate) fn parse_response(bytes: &[u8]) -> Parsed {
    let Some(head_length) = head_length(bytes) else { return Parsed::Incomplete };
    let (head, body) = bytes.split_at(head_length);
    let Some(status) = status(head) else { return Parsed::Malformed };
    let close = field(head, "connection").is_some_and(|it| it.eq_ignore_ascii_case(b"close"));
    let persistence = if close { Persistence::Close } else { Persistence::KeepAlive };
    let length = if field(head, "transfer-encoding").is_some() {
        chunked_length(body)
    } else {
        let length = content_length(head).and_then(|length| usize::try_from(length).ok());
        length.map(Some).ok_or(Malformed)
    };
    match length {
        Err(Malformed) => Parsed::Malformed,
        Ok(Some(length)) if length <= body.len() => {
            Parsed::Complete { length: head_length + length, status, persistence }
        }
        Ok(_) => Parsed::Incomplete,
    }
}

struct Malformed;

/// The length of a chunked body including its framing; `None` if it is not complete.
fn chunked_length(body: &[u8]) -> Result<Option<usize>, Malformed> {
    let mut at = 0;
    loop {
        let Some(rest) = body.get(at..) else { return Ok(None) };
        let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&rest[..line])
            .ok()
            .and_then(|text| usize::from_str_radix(text, 16).ok());
        let size = size.ok_or(Malformed)?;
        at += line + 2 + size + 2;
        if size == 0 {
            return Ok(Some(at));
        }
    }
}

fn status(head: &[u8]) -> Option<u16> {
    let code = head.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    std::str::from_utf8(code).ok()?.parse().ok()
}

/// A request without a body, as the load generator sends it.
pub(crate) fn request(host: SocketAddr, path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: bench/1\r\nAccept: application/json\r\nX-Request-Source: bench\r\n\r\n"
    )
    .into_bytes()
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Head and body.
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn is_problem(&self) -> bool {
        field(&self.bytes, "content-type")
            .is_some_and(|media_type| media_type.starts_with(b"application/problem+json"))
    }
}

/// Sends one request on a new connection.
pub(crate) fn fetch(address: SocketAddr, path: &str) -> Result<Answer, MeasureError> {
    let mut stream = TcpStream::connect_timeout(&address, FETCH_TIMEOUT)?;
    stream.set_read_timeout(Some(FETCH_TIMEOUT))?;
    stream.write_all(&request(address, path))?;
    read_answer(&mut stream)
}

pub(crate) fn read_answer(stream: &mut TcpStream) -> Result<Answer, MeasureError> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        match parse_response(&bytes) {
            Parsed::Complete { status, .. } => return Ok(Answer { status, bytes }),
            Parsed::Malformed => return Err(MeasureError::new("the answer is not valid HTTP/1.1")),
            Parsed::Incomplete => {}
        }
        match stream.read(&mut buffer)? {
            0 => {
                return Err(MeasureError::new(
                    "the connection was closed before the answer was complete",
                ));
            }
            read => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}
