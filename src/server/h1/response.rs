//! The head of an answer, into bytes.
//!
//! It says of the connection and of the body's end what holds on this connection, whatever the
//! answer was relayed from.

use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRAILER, TRANSFER_ENCODING};
use http::{Method, Response, StatusCode, Version};
use http_body::Body;
use hyper::ext::ReasonPhrase;

use super::request::Head;
use crate::http1::{HeaderCase, Length, list_contains, parse_decimal, write_header};
use crate::upstream::Interim;

/// Writes the head of `response` to a request with this head, and says how the end of its body is
/// told. `keeps` is whether the connection may go on, and becomes whether it does.
pub(super) fn write<B: Body<Data = Bytes>>(
    out: &mut Vec<u8>,
    response: &Response<B>,
    (to, spelling): (&Head, &HeaderCase),
    keeps: &mut bool,
    wall: impl FnOnce() -> SystemTime,
) -> Length {
    let (status, version) = (response.status(), to.version);
    status_line(out, response);
    let bodiless = has_no_body(&to.method, status);
    let lengthless = status.is_informational() || status == StatusCode::NO_CONTENT;
    let (mut dated, mut length, mut trailer) = (false, None, false);
    for (name, value) in response.headers() {
        if name == CONNECTION {
            *keeps &= !list_contains(value, "close");
            continue;
        }
        if name == TRANSFER_ENCODING {
            continue;
        }
        if name == CONTENT_LENGTH {
            // What HTTP/2 brought may be there twice.
            let first = if length.is_none() { parse_decimal(value.as_bytes()) } else { None };
            if lengthless || first.is_none() {
                continue;
            }
            length = first;
        }
        if name == TRAILER {
            trailer = true;
            continue;
        }
        dated |= name == DATE;
        spelling.write(out, name, value);
    }
    let body = response.body();
    let exact = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
    let told = match (length, exact) {
        (Some(length), _) => Length::Exactly(length),
        (None, Some(exact)) => {
            // Of an answer to HEAD, none is not known to be the length.
            if !lengthless && (!bodiless || exact > 0) {
                write_header(out, spelling.name(&CONTENT_LENGTH), exact.to_string().as_bytes());
            }
            Length::Exactly(exact)
        }
        (None, None) if version == Version::HTTP_10 => Length::Close,
        (None, None) => {
            if !bodiless {
                write_header(out, spelling.name(&TRANSFER_ENCODING), b"chunked");
            }
            Length::Chunks
        }
    };
    if trailer && to.takes_trailers && told == Length::Chunks && !bodiless {
        for value in response.headers().get_all(TRAILER) {
            spelling.write(out, &TRAILER, value);
        }
    }
    let told = if bodiless || told == Length::Exactly(0) { Length::None } else { told };
    *keeps &= told != Length::Close;
    match (*keeps, version) {
        (false, _) => write_header(out, CONNECTION.as_str(), b"close"),
        (true, Version::HTTP_10) => write_header(out, CONNECTION.as_str(), b"keep-alive"),
        (true, _) => {}
    }
    if !dated {
        write_header(out, DATE.as_str(), httpdate::fmt_http_date(wall()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    told
}

/// Writes an interim answer, which has no body whatever it says.
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

/// Whether an answer of this status to this method ends with its head (RFC 9110 §6.4.1).
pub(in crate::server) fn has_no_body(method: &Method, status: StatusCode) -> bool {
    *method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn status_line<B>(out: &mut Vec<u8>, response: &Response<B>) {
    let status = response.status();
    if status == StatusCode::OK && response.extensions().is_empty() {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    let own = response.extensions().get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
    let usual = || status.canonical_reason().unwrap_or_default().as_bytes();
    out.extend_from_slice(own.unwrap_or_else(usual));
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
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
        let (mut out, mut keeps) = (Vec::new(), true);
        let head = Head {
            version: to.1,
            method: to.0.clone(),
            body: Length::None,
            persists: true,
            asks_first: false,
            takes_trailers: to.1 == Version::HTTP_11,
        };
        let asked = (&head, &HeaderCase::default());
        let told = write(&mut out, &response, asked, &mut keeps, || SystemTime::UNIX_EPOCH);
        let text = String::from_utf8(out).unwrap();
        let dated = "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
        assert_eq!(text.matches("date: ").count(), 1);
        (text.replace(dated, "").replace("\r\n", "|"), told, keeps)
    }

    #[test]
    fn the_end_of_a_body_is_told_once() {
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
        for ((text, told, keeps), expected, length) in cases {
            assert_eq!((&*text, told), (&*format!("HTTP/1.1 {expected}"), length));
            assert!(keeps, "{text}");
        }
        let (text, told, keeps) = written((200, &[]), None, (get, old));
        assert_eq!((&*text, told), ("HTTP/1.1 200 OK|connection: close||", Length::Close));
        assert!(!keeps, "the end of the body is the end of the connection");
    }

    #[test]
    fn trailers_are_announced_only_where_they_follow() {
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
    fn an_answer_that_closes_says_so_once() {
        let close = [("connection", "Close")];
        let (text, _, keeps) = written((400, &close), Some(0), (&Method::GET, Version::HTTP_11));
        assert_eq!(text, "HTTP/1.1 400 Bad Request|content-length: 0|connection: close||");
        assert!(!keeps);
    }
}
