//! Just enough HTTP/1.1 to count messages: where a head ends, how long its body is, which status.
//!
//! It reads what the benchmark's own programs and the proxies between them write, and reports
//! everything else as malformed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::unmeasured::Unmeasured;

/// How long a single question may take before the answer counts as missing.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);

/// What the front of a buffer holds.
pub(crate) enum Parsed {
    /// Not yet a whole message.
    Incomplete,
    /// A whole response.
    Complete { length: usize, status: u16, keep: Keep },
    /// Nothing that can be understood.
    Malformed,
}

/// Whether the connection lives on after a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Alive,
    Close,
}

/// The length of the head including its blank line, once it is there.
pub(crate) fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// The value of a header field, by its lower-case name.
pub(crate) fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let (before, after) = line.split_at_checked(name.len())?;
        let value = after.strip_prefix(b":")?;
        before.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii())
    })
}

/// The `Content-Length` of a head; 0 when it has none.
pub(crate) fn content_length(head: &[u8]) -> Option<u64> {
    match field(head, "content-length") {
        None => Some(0),
        Some(text) => std::str::from_utf8(text).ok()?.parse().ok(),
    }
}

/// Looks at the front of `bytes` for a whole small response.
pub(crate) fn response(bytes: &[u8]) -> Parsed {
    let Some(head_length) = head_length(bytes) else { return Parsed::Incomplete };
    let (head, body) = bytes.split_at(head_length);
    let Some(status) = status(head) else { return Parsed::Malformed };
    let keep = if closes(head) { Keep::Close } else { Keep::Alive };
    match body_length(head, body) {
        Err(Malformed) => Parsed::Malformed,
        Ok(Some(length)) if length <= body.len() => {
            Parsed::Complete { length: head_length + length, status, keep }
        }
        Ok(_) => Parsed::Incomplete,
    }
}

struct Malformed;

/// The length of the body on the wire, framing included, once it is known.
fn body_length(head: &[u8], body: &[u8]) -> Result<Option<usize>, Malformed> {
    if field(head, "transfer-encoding").is_some() {
        return chunked_length(body);
    }
    let length = content_length(head).ok_or(Malformed)?;
    usize::try_from(length).map(Some).map_err(|_| Malformed)
}

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

fn closes(head: &[u8]) -> bool {
    field(head, "connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close"))
}

/// A request without a body, as the generator sends it.
pub(crate) fn request(host: SocketAddr, path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: bench/1\r\nAccept: application/json\r\nX-Request-Source: bench\r\n\r\n"
    )
    .into_bytes()
}

/// One answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    /// Whether the answer is one of the gateway's problems.
    pub(crate) fn is_problem(&self) -> bool {
        field(&self.bytes, "content-type")
            .is_some_and(|kind| kind.starts_with(b"application/problem+json"))
    }
}

/// Asks once on a new connection.
pub(crate) fn ask(address: SocketAddr, path: &str) -> Result<Answer, Unmeasured> {
    let mut stream = TcpStream::connect_timeout(&address, ASK_TIMEOUT)?;
    stream.set_read_timeout(Some(ASK_TIMEOUT))?;
    stream.write_all(&request(address, path))?;
    read_answer(&mut stream)
}

/// Reads one small response from a connection.
pub(crate) fn read_answer(stream: &mut TcpStream) -> Result<Answer, Unmeasured> {
    let mut bytes = Vec::new();
    let mut part = [0; 16 * 1024];
    loop {
        match response(&bytes) {
            Parsed::Complete { status, .. } => return Ok(Answer { status, bytes }),
            Parsed::Malformed => return Err(Unmeasured::because("the answer was not HTTP/1.1")),
            Parsed::Incomplete => {}
        }
        match stream.read(&mut part)? {
            0 => {
                return Err(Unmeasured::because(
                    "the connection closed before the answer was whole",
                ));
            }
            read => bytes.extend_from_slice(&part[..read]),
        }
    }
}
