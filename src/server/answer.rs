//! The answer to a head that the gate held back, written to the socket by us.
//!
//! Refuses to be fast or to stream: the body is a small problem, collected first, and the
//! connection ends behind it.

use std::fmt::Write as _;
use std::time::SystemTime;

use bytes::Bytes;
use http::Response;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderName, TRANSFER_ENCODING};
use http_body::Body;
use http_body_util::{BodyExt, Limited};

use super::wire::Part;

/// A problem is far smaller; a body beyond this is left out rather than kept in memory.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Headers that we write ourselves.
const OURS: [HeaderName; 4] = [CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING];

/// The bytes of a whole HTTP/1.1 answer that ends the connection.
pub(super) async fn encode<B>(response: Response<B>, part: Part, now: SystemTime) -> Vec<u8>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let (head, body) = response.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let mut bytes = status_line(head.status).into_bytes();
    for (name, value) in head.headers.iter().filter(|(name, _)| !OURS.contains(name)) {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    let date = httpdate::fmt_http_date(now);
    let length = body.len();
    let rest = format!("content-length: {length}\r\nconnection: close\r\ndate: {date}\r\n\r\n");
    bytes.extend_from_slice(rest.as_bytes());
    match part {
        Part::HeadOfHead => {}
        Part::Head | Part::Body => bytes.extend_from_slice(&body),
    }
    bytes
}

fn status_line(status: http::StatusCode) -> String {
    let mut line = String::with_capacity(48);
    let reason = status.canonical_reason().unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = write!(line, "HTTP/1.1 {} {reason}\r\n", status.as_str());
    line
}
