//! Request heads, each received whole and in pieces.

use bytes::BytesMut;
use http::{Method, Request, Version};

use super::request::{HeadParser, RejectedHead, RequestHead};
use crate::http1::Length;
use crate::server::head::HeadLimits;
use crate::server::request_error::RequestError;

const LIMITS: HeadLimits =
    HeadLimits { head_bytes_max: 32 * 1024, headers_max: 100, target_bytes_max: 8 * 1024 };

type Parsed = Result<(Request<()>, RequestHead, BytesMut), RejectedHead>;

/// The first head of an input received in pieces, and what is left behind it; `None` while the head
/// is incomplete.
fn parse(input: &[u8], piece: usize) -> Option<Parsed> {
    let (mut parser, mut received) = (HeadParser::default(), BytesMut::new());
    input.chunks(piece).find_map(|part| {
        received.extend_from_slice(part);
        let mut request = Request::new(());
        let parsed = parser.take_head(&mut received, &mut request, LIMITS).transpose()?;
        Some(parsed.map(|head| (request, head, received.clone())))
    })
}

/// Why a head is rejected, which must not depend on the pieces in which it is received.
fn error(input: &[u8]) -> Option<RequestError> {
    let error = |piece| parse(input, piece)?.err().map(|rejected| rejected.error);
    let whole = error(input.len());
    // Long inputs come in long pieces, because each piece is checked together with those before.
    let scale = 1 + input.len() / 1000;
    for piece in [scale, 2 * scale, 3 * scale, 7 * scale] {
        assert_eq!(error(piece), whole, "{piece} bytes at a time: {}", input.escape_ascii());
    }
    whole
}

/// A POST request with these header lines.
fn post_with(lines: &str) -> Vec<u8> {
    format!("POST /a HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n").into_bytes()
}

/// The head of an input that must be accepted.
fn accepted(input: &str) -> (Request<()>, RequestHead) {
    let (request, head, _) = parse(input.as_bytes(), input.len()).expect(input).expect(input);
    (request, head)
}

#[test]
fn a_head_is_parsed_into_a_request() {
    let (request, head) =
        accepted("PUT /a/../b?c=%20 HTTP/1.1\r\nHost: h\r\nX-A:  1 \r\nx-a:\t2\t\r\n\r\n");
    let (method, target) = (request.method(), request.uri().to_string());
    assert_eq!((method, &*target), (&Method::PUT, "/a/../b?c=%20"));
    assert_eq!(request.headers().get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
    let expected = RequestHead {
        version: Version::HTTP_11,
        method: Method::PUT,
        body: Length::None,
        keep_alive: true,
        expects_continue: false,
        accepts_trailers: false,
    };
    assert_eq!(head, expected);
    for target in ["*", "http://h/x"] {
        let (request, _) = accepted(&format!("OPTIONS {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(request.uri().to_string(), target);
    }
}

#[test]
fn a_later_minor_version_is_treated_as_http11() {
    for version in ["HTTP/1.2", "HTTP/1.9"] {
        let (request, head) = accepted(&format!("GET / {version}\r\nHost: h\r\n\r\n"));
        assert_eq!((request.version(), head.version), (Version::HTTP_11, Version::HTTP_11));
        assert!(head.keep_alive, "{version}");
    }
    assert_eq!(error(b"GET / HTTP/1.2\r\n\r\n"), Some(RequestError::MissingHost));
}

#[test]
fn persistence_expectation_and_trailers_follow_from_version_and_headers() {
    let keep_alive = |version: &str, connection: &str| {
        accepted(&format!("GET / {version}\r\nhost: h\r\nconnection: {connection}\r\n\r\n"))
            .1
            .keep_alive
    };
    assert!(keep_alive("HTTP/1.1", "x"));
    assert!(!keep_alive("HTTP/1.1", "x, Close"));
    assert!(!keep_alive("HTTP/1.1", "keep-alive\r\nconnection: close"));
    assert!(!keep_alive("HTTP/1.1", "close\r\nconnection: keep-alive"));
    assert!(!keep_alive("HTTP/1.0", "x"));
    assert!(keep_alive("HTTP/1.0", "Keep-Alive"));
    let post = |version: &str, line: &str| {
        accepted(&format!("POST / {version}\r\nhost: h\r\nte: trailers\r\n{line}\r\n\r\n")).1
    };
    let head = post("HTTP/1.1", "content-length: 5\r\nexpect: 100-Continue");
    assert_eq!(head.body, Length::Exactly(5));
    assert!(head.expects_continue && head.accepts_trailers);
    assert!(!post("HTTP/1.0", "content-length: 5\r\nexpect: 100-continue").expects_continue);
    assert_eq!(post("HTTP/1.1", "transfer-encoding: chunked").body, Length::Chunks);
}

#[test]
fn a_head_is_taken_to_its_end_and_no_further() {
    let rows: [&[u8]; 14] = [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length:0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\
            \r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123\r\n6789\r\n00\
            0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b;c=\"d\"\r\nx\r\n0\
            \r\nX-Sum: 1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://a:80/b?c HTTP/1.1\r\nHost: a:80\r\n\r\n",
        b"GET //b/c;d%00?e=`- HTTP/1.0\r\n\r\n",
        b"PURGE! /\xc3\xa4?\xc3\xa4 HTTP/1.1\r\nHost: [::1]:80\r\nX: \xff\t\x80\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\nX-Y: b: c \r\n\r\n",
    ];
    for input in rows {
        let end = input.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        for piece in [1, 2, 5, input.len()] {
            let (_, _, left) = parse(input, piece).unwrap().unwrap_or_else(|rejected| {
                panic!("{:?} of {}", rejected.error, input.escape_ascii());
            });
            assert!(input[end..].starts_with(&left), "{}", input.escape_ascii());
        }
    }
}

#[test]
fn ambiguous_framing_headers_are_rejected() {
    let rows = [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", RequestError::LengthAndEncoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", RequestError::LengthAndEncoding),
        ("TRANSFER-ENCODING: CHUNKED\r\ncontent-length: 0", RequestError::LengthAndEncoding),
        ("Transfer-Encoding: gzip, chunked", RequestError::TransferEncoding),
        ("Transfer-Encoding: chunked, chunked", RequestError::TransferEncoding),
        ("Transfer-Encoding: xchunked", RequestError::TransferEncoding),
        ("Transfer-Encoding: chunked;a=b", RequestError::TransferEncoding),
        ("Transfer-Encoding: identity", RequestError::TransferEncoding),
        ("Transfer-Encoding:", RequestError::TransferEncoding),
        ("Transfer-Encoding: ,chunked", RequestError::TransferEncoding),
        ("Transfer-Encoding: chunked,", RequestError::TransferEncoding),
        ("Transfer-Encoding:\tchunked", RequestError::TransferEncoding),
        ("Transfer-Encoding: \u{b}chunked", RequestError::ControlCharacter),
        ("Transfer-Encoding: \u{c}chunked", RequestError::ControlCharacter),
        ("Transfer-Encoding: chunked\0", RequestError::ControlCharacter),
        ("Transfer-Encoding:\r\n chunked", RequestError::TransferEncoding),
        ("Transfer-Encoding: chunked\r\n x", RequestError::FoldedLine),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            RequestError::TransferEncoding,
        ),
        ("Content-Length: 5\r\nContent-Length: 6", RequestError::RepeatedContentLength),
        ("Content-Length: 5\r\nContent-Length: 5", RequestError::RepeatedContentLength),
        ("Content-Length: 5, 6", RequestError::ContentLength),
        ("Content-Length: 5, 5", RequestError::ContentLength),
        ("Content-Length: +5", RequestError::ContentLength),
        ("Content-Length: -0", RequestError::ContentLength),
        ("Content-Length: 0x5", RequestError::ContentLength),
        ("Content-Length: 5_0", RequestError::ContentLength),
        ("Content-Length: 05", RequestError::ContentLength),
        ("Content-Length: 5 5", RequestError::ContentLength),
        ("Content-Length: \t5", RequestError::ContentLength),
        ("Content-Length:", RequestError::ContentLength),
        ("Content-Length: 18446744073709551616", RequestError::ContentLength),
        ("Content-Length: 9223372036854775808", RequestError::ContentLength),
    ];
    for (lines, expected) in rows {
        assert_eq!(error(&post_with(lines)), Some(expected), "{lines:?}");
    }
    let old = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(error(old), Some(RequestError::EncodingInHttp10));
}

#[test]
fn lines_must_end_with_crlf_and_be_well_formed() {
    let rows: [(&[u8], RequestError); 14] = [
        (b"GET / HTTP/1.1\nHost: a\r\n\r\n", RequestError::BareLineFeed),
        (b"GET / HTTP/1.1\r\nHost: a\n\r\n", RequestError::BareLineFeed),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n", RequestError::BareLineFeed),
        (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::BareLineFeed),
        (b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", RequestError::BareCarriageReturn),
        (b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", RequestError::BareCarriageReturn),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", RequestError::ControlCharacter),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[0m\r\n\r\n", RequestError::ControlCharacter),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", RequestError::ControlCharacter),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", RequestError::SpaceBeforeColon),
        (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", RequestError::FoldedLine),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n", RequestError::FoldedLine),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", RequestError::HeaderLine),
        (b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", RequestError::HeaderLine),
    ];
    for (input, expected) in rows {
        assert_eq!(error(input), Some(expected), "{}", input.escape_ascii());
    }
}

#[test]
fn ambiguous_request_lines_and_hosts_are_rejected() {
    let rows: [(&[u8], RequestError); 33] = [
        (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::Target),
        (b"GET /<a> HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::Target),
        (b"GET /`a HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::Target),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::Target),
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::Target),
        (b"GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::Target),
        (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::Target),
        (b"GET a:443 HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::Target),
        (b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::Target),
        (b"GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::Target),
        (b"GET http://a\\b/ HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::Target),
        (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::Target),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::UpgradeUnsupported),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::RequestLine),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::RequestLine),
        (b"GET /\r\n\r\n", RequestError::RequestLine),
        (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", RequestError::RequestLine),
        (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::RequestLine),
        (b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::RequestLine),
        (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", RequestError::RequestLine),
        (b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", RequestError::RequestLine),
        (b"GET / http/1.1\r\nHost: a\r\n\r\n", RequestError::RequestLine),
        (b"GET / HTTP/1.22\r\nHost: a\r\n\r\n", RequestError::Version),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", RequestError::Version),
        (b"GET / HTTP/11\r\nHost: a\r\n\r\n", RequestError::Version),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", RequestError::Version),
        (b"GET / HTTP/1.1\r\n\r\n", RequestError::MissingHost),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", RequestError::RepeatedHost),
        (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", RequestError::InvalidHost),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", RequestError::InvalidHost),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", RequestError::InvalidHost),
        (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", RequestError::InvalidHost),
        (b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", RequestError::InvalidHost),
    ];
    for (input, expected) in rows {
        assert_eq!(error(input), Some(expected), "{}", input.escape_ascii());
    }
}

#[test]
fn heads_beyond_the_limits_are_rejected() {
    let target = |bytes: usize| {
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(bytes - 1)).into_bytes()
    };
    assert_eq!(error(&target(8 * 1024)), None);
    assert_eq!(error(&target(8 * 1024 + 1)), Some(RequestError::TargetTooLong));
    let endless = format!("GET /{}", "x".repeat(9 * 1024));
    assert_eq!(error(endless.as_bytes()), Some(RequestError::TargetTooLong));
    assert_eq!(error(format!("\r\n{endless}").as_bytes()), Some(RequestError::TargetTooLong));
    let headers = |count: usize| post_with(&"X: y\r\n".repeat(count - 1)[..6 * (count - 1) - 2]);
    assert_eq!(error(&headers(100)), None);
    assert_eq!(error(&headers(101)), Some(RequestError::HeadTooLarge));
    let large = |bytes: usize| post_with(&format!("X: {}", "y".repeat(bytes)));
    assert_eq!(error(&large(32 * 1024 - 50)), None);
    assert_eq!(error(&large(32 * 1024)), Some(RequestError::HeadTooLarge));
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(33 * 1024));
    assert_eq!(error(endless.as_bytes()), Some(RequestError::HeadTooLarge));
}

#[test]
fn a_rejected_head_request_is_recognised_as_head() {
    for (line, method) in [("HEAD /", Method::HEAD), ("GET /", Method::GET)] {
        let rejected =
            parse(format!("{line} HTTP/1.1\r\nX\r\n").as_bytes(), 99).unwrap().unwrap_err();
        assert_eq!((rejected.error, rejected.head.method), (RequestError::HeaderLine, method));
        assert!(!rejected.head.keep_alive);
    }
}
