//! Writes response heads.
//!
//! Headers about the connection and the framing of the body describe this connection, whatever the
//! response was relayed from.

use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRAILER, TRANSFER_ENCODING};
use http::{Response, StatusCode, Version};
use http_body::Body;
use hyper::ext::ReasonPhrase;

use super::request::RequestHead;
use crate::http1::{HeaderCase, Length, list_contains, parse_decimal, write_header};
use crate::server::call::has_no_body;
use crate::upstream::Interim;

/// What a response head depends on besides the response.
pub(super) struct ResponseContext<'a> {
    pub(super) request: &'a RequestHead,
    pub(super) case: &'a HeaderCase,
    /// Whether the connection can be kept; cleared when the response does not allow it.
    pub(super) keep_alive: &'a mut bool,
}

/// Writes the head of `response` and returns how the end of its body is marked.
pub(super) fn write_head<B: Body<Data = Bytes>>(
    out: &mut Vec<u8>,
    response: &Response<B>,
    context: ResponseContext<'_>,
    wall: impl FnOnce() -> SystemTime,
) -> Length {
    let ResponseContext { request, case, keep_alive } = context;
    let (status, version) = (response.status(), request.version);
    write_status_line(out, response);
    let ends_with_head = has_no_body(&request.method, status);
    let has_no_length = status.is_informational() || status == StatusCode::NO_CONTENT;
    let (mut has_date, mut content_length, mut has_trailer) = (false, None, false);
    for (name, value) in response.headers() {
        if name == CONNECTION {
            *keep_alive &= !list_contains(value, "close");
            continue;
        }
        if name == TRANSFER_ENCODING {
            continue;
        }
        if name == CONTENT_LENGTH {
            // A response received over HTTP/2 may have several; the first valid one counts.
            let first = content_length.is_none();
            let length = if first { parse_decimal(value.as_bytes()) } else { None };
            if has_no_length || length.is_none() {
                continue;
            }
            content_length = length;
        }
        if name == TRAILER {
            has_trailer = true;
            continue;
        }
        has_date |= name == DATE;
        case.write(out, name, value);
    }
    let body = response.body();
    let body_bytes = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
    let length = match (content_length, body_bytes) {
        (Some(length), _) => Length::Exactly(length),
        (None, Some(bytes)) => {
            // An empty HEAD response does not imply a length of 0, so Content-Length is omitted.
            if !has_no_length && (!ends_with_head || bytes > 0) {
                write_header(out, case.name(&CONTENT_LENGTH), bytes.to_string().as_bytes());
            }
            Length::Exactly(bytes)
        }
        (None, None) if version == Version::HTTP_10 => Length::Close,
        (None, None) => {
            if !ends_with_head {
                write_header(out, case.name(&TRANSFER_ENCODING), b"chunked");
            }
            Length::Chunks
        }
    };
    let sends_trailers = request.accepts_trailers && length == Length::Chunks && !ends_with_head;
    if has_trailer && sends_trailers {
        for value in response.headers().get_all(TRAILER) {
            case.write(out, &TRAILER, value);
        }
    }
    let is_empty = ends_with_head || length == Length::Exactly(0);
    let length = if is_empty { Length::None } else { length };
    *keep_alive &= length != Length::Close;
    match (*keep_alive, version) {
        (false, _) => write_header(out, CONNECTION.as_str(), b"close"),
        (true, Version::HTTP_10) => write_header(out, CONNECTION.as_str(), b"keep-alive"),
        (true, _) => {}
    }
    if !has_date {
        write_header(out, DATE.as_str(), httpdate::fmt_http_date(wall()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    length
}

/// Writes an interim (1xx) response of the vendor, which never has a body.
#[cold]
pub(super) fn write_interim(out: &mut Vec<u8>, interim: &Interim) {
    let reason = interim.status.canonical_reason().unwrap_or_default();
    for part in ["HTTP/1.1 ", interim.status.as_str(), " ", reason, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    for (name, value) in &interim.headers {
        if ![CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name) {
            write_header(out, name.as_str(), value.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn write_status_line<B>(out: &mut Vec<u8>, response: &Response<B>) {
    let status = response.status();
    if status == StatusCode::OK && response.extensions().is_empty() {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    let received = response.extensions().get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
    let canonical = || status.canonical_reason().unwrap_or_default().as_bytes();
    out.extend_from_slice(received.unwrap_or_else(canonical));
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::http1::tests::SizedBody;

    fn written(
        (status, lines): (u16, &[(&'static str, &'static str)]),
        length: Option<u64>,
        to: (&Method, Version),
    ) -> (String, Length, bool) {
        let mut response = Response::builder().status(status);
        for (name, value) in lines {
            response = response.header(*name, *value);
        }
        let response = response.body(SizedBody(length)).unwrap();
        let (mut out, mut keep_alive) = (Vec::new(), true);
        let request = RequestHead {
            version: to.1,
            method: to.0.clone(),
            body: Length::None,
            keep_alive: true,
            expects_continue: false,
            accepts_trailers: to.1 == Version::HTTP_11,
        };
        let case = HeaderCase::default();
        let context =
            ResponseContext { request: &request, case: &case, keep_alive: &mut keep_alive };
        let length = write_head(&mut out, &response, context, || SystemTime::UNIX_EPOCH);
        let text = String::from_utf8(out).unwrap();
        let date = "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
        assert_eq!(text.matches("date: ").count(), 1);
        (text.replace(date, "").replace("\r\n", "|"), length, keep_alive)
    }

    #[test]
    fn the_end_of_the_body_is_marked_exactly_once() {
        let (get, head) = (&Method::GET, &Method::HEAD);
        let (new, old) = (Version::HTTP_11, Version::HTTP_10);
        let length = [("content-length", "7")];
        let twice = [("content-length", "7"), ("content-length", "5"), ("content-length", "x")];
        let chunked = [("transfer-encoding", "gzip, chunked")];
        let cases = [
            (
                written((200, &length), Some(7), (get, new)),
                "200 OK|content-length: 7||",
                Length::Exactly(7),
            ),
            (
                written((200, &[]), Some(7), (get, new)),
                "200 OK|content-length: 7||",
                Length::Exactly(7),
            ),
            (
                written((200, &twice), Some(7), (get, new)),
                "200 OK|content-length: 7||",
                Length::Exactly(7),
            ),
            (written((200, &[]), Some(0), (get, new)), "200 OK|content-length: 0||", Length::None),
            (
                written((200, &chunked), None, (get, new)),
                "200 OK|transfer-encoding: chunked||",
                Length::Chunks,
            ),
            (
                written((200, &length), Some(0), (head, new)),
                "200 OK|content-length: 7||",
                Length::None,
            ),
            (written((200, &[]), Some(0), (head, new)), "200 OK||", Length::None),
            (written((204, &length), Some(0), (get, new)), "204 No Content||", Length::None),
            (
                written((304, &length), Some(0), (get, new)),
                "304 Not Modified|content-length: 7||",
                Length::None,
            ),
            (
                written((200, &length), Some(7), (get, old)),
                "200 OK|content-length: 7|connection: keep-alive||",
                Length::Exactly(7),
            ),
        ];
        for ((text, length, keep_alive), expected, expected_length) in cases {
            assert_eq!(text, format!("HTTP/1.1 {expected}"));
            assert_eq!(length, expected_length, "{text}");
            assert!(keep_alive, "{text}");
        }
        let (text, length, keep_alive) = written((200, &[]), None, (get, old));
        assert_eq!(text, "HTTP/1.1 200 OK|connection: close||");
        assert_eq!(length, Length::Close);
        assert!(!keep_alive, "the end of the body is the end of the connection");
    }

    #[test]
    fn trailers_are_announced_only_where_they_are_sent() {
        let (get, new) = (&Method::GET, Version::HTTP_11);
        let announced = [("trailer", "x-sum"), ("trailer", "x-more")];
        let (text, ..) = written((200, &announced), None, (get, new));
        assert!(text.ends_with("chunked|trailer: x-sum|trailer: x-more||"), "{text}");
        let rows = [
            written((200, &announced), Some(7), (get, new)),
            written((200, &announced), None, (&Method::HEAD, new)),
            written((304, &announced), None, (get, new)),
            written((200, &announced), None, (get, Version::HTTP_10)),
        ];
        for (text, ..) in rows {
            assert!(!text.contains("trailer"), "{text}");
        }
    }

    #[test]
    fn a_closing_response_has_one_connection_header() {
        let close = [("connection", "Close")];
        let (text, _, keep_alive) =
            written((400, &close), Some(0), (&Method::GET, Version::HTTP_11));
        assert_eq!(text, "HTTP/1.1 400 Bad Request|content-length: 0|connection: close||");
        assert!(!keep_alive);
    }
}
