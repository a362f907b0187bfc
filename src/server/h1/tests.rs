//! The tables of heads: every vector of the framing checklist, whole and in pieces.

use bytes::BytesMut;
use http::{Method, Request, Version};

use super::offence::Offence;
use super::request::{Head, Heads, Offending};
use crate::http1::Length;
use crate::server::handler::Refused;
use crate::server::head::Bounds;

const BOUNDS: Bounds =
    Bounds { head_bytes_max: 32 * 1024, headers_max: 100, target_bytes_max: 8 * 1024 };

type Taken = Result<(Request<()>, Head, BytesMut), Offending>;

/// The first head of what comes in pieces, as a connection reads it, and what is left behind it.
fn taken(input: &[u8], piece: usize) -> Option<Taken> {
    let (mut heads, mut received) = (Heads::default(), BytesMut::new());
    input.chunks(piece).find_map(|part| {
        received.extend_from_slice(part);
        let mut request = Request::new(());
        let taken = heads.take(&mut received, &mut request, BOUNDS).transpose()?;
        Some(taken.map(|head| (request, head, received.clone())))
    })
}

/// What is wrong with a head, however it is cut.
fn offence(input: &[u8]) -> Option<Offence> {
    let refused = |piece| taken(input, piece)?.err().map(|offending| offending.offence);
    let whole = refused(input.len());
    // Long inputs in long pieces: each piece is looked at together with what is here.
    let scale = 1 + input.len() / 1000;
    for piece in [scale, 2 * scale, 3 * scale, 7 * scale] {
        assert_eq!(refused(piece), whole, "{piece} bytes at a time: {}", input.escape_ascii());
    }
    whole
}

/// A request with these header lines.
fn with(lines: &str) -> Vec<u8> {
    format!("POST /a HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n").into_bytes()
}

/// What a head without any offence says.
fn read(input: &str) -> (Request<()>, Head) {
    let (request, head, _) = taken(input.as_bytes(), input.len()).expect(input).expect(input);
    (request, head)
}

#[test]
fn a_head_becomes_a_request() {
    let (request, said) =
        read("PUT /a/../b?c=%20 HTTP/1.1\r\nHost: h\r\nX-A:  1 \r\nx-a:\t2\t\r\n\r\n");
    let (method, target) = (request.method(), request.uri().to_string());
    assert_eq!((method, &*target), (&Method::PUT, "/a/../b?c=%20"));
    assert_eq!(request.headers().get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
    let expected = Head {
        version: Version::HTTP_11,
        method: Method::PUT,
        body: Length::None,
        persists: true,
        asks_first: false,
        takes_trailers: false,
    };
    assert_eq!(said, expected);
    for target in ["*", "http://h/x"] {
        let (request, _) = read(&format!("OPTIONS {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(request.uri().to_string(), target);
    }
}

#[test]
fn a_later_minor_version_is_read_as_the_one_we_know() {
    for version in ["HTTP/1.2", "HTTP/1.9"] {
        let (request, head) = read(&format!("GET / {version}\r\nHost: h\r\n\r\n"));
        assert_eq!((request.version(), head.version), (Version::HTTP_11, Version::HTTP_11));
        assert!(head.persists, "{version}");
    }
    assert_eq!(offence(b"GET / HTTP/1.2\r\n\r\n"), Some(Offence::HostMissing));
}

#[test]
fn it_says_how_the_exchange_goes() {
    let persists = |version: &str, connection: &str| {
        read(&format!("GET / {version}\r\nhost: h\r\nconnection: {connection}\r\n\r\n")).1.persists
    };
    assert!(persists("HTTP/1.1", "x"));
    assert!(!persists("HTTP/1.1", "x, Close"));
    assert!(!persists("HTTP/1.1", "keep-alive\r\nconnection: close"));
    assert!(!persists("HTTP/1.1", "close\r\nconnection: keep-alive"));
    assert!(!persists("HTTP/1.0", "x"));
    assert!(persists("HTTP/1.0", "Keep-Alive"));
    let post = |version: &str, line: &str| {
        read(&format!("POST / {version}\r\nhost: h\r\nte: trailers\r\n{line}\r\n\r\n")).1
    };
    let said = post("HTTP/1.1", "content-length: 5\r\nexpect: 100-Continue");
    let (first, trailers) = (said.asks_first, said.takes_trailers);
    assert_eq!((said.body, first, trailers), (Length::Exactly(5), true, true));
    assert!(!post("HTTP/1.0", "content-length: 5\r\nexpect: 100-continue").asks_first);
    assert_eq!(post("HTTP/1.1", "transfer-encoding: chunked").body, Length::Chunks);
}

#[test]
fn whole_heads_are_taken_and_nothing_else() {
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
            let (_, _, left) = taken(input, piece).unwrap().unwrap_or_else(|offending| {
                panic!("{:?} of {}", offending.offence, input.escape_ascii());
            });
            assert!(input[end..].starts_with(&left), "{}", input.escape_ascii());
        }
    }
}

#[test]
fn f1_to_f4_framing_headers_have_one_reading() {
    let rows = [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", Offence::LengthAndEncoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", Offence::LengthAndEncoding),
        ("TRANSFER-ENCODING: CHUNKED\r\ncontent-length: 0", Offence::LengthAndEncoding),
        ("Transfer-Encoding: gzip, chunked", Offence::Encoding),
        ("Transfer-Encoding: chunked, chunked", Offence::Encoding),
        ("Transfer-Encoding: xchunked", Offence::Encoding),
        ("Transfer-Encoding: chunked;a=b", Offence::Encoding),
        ("Transfer-Encoding: identity", Offence::Encoding),
        ("Transfer-Encoding:", Offence::Encoding),
        ("Transfer-Encoding: ,chunked", Offence::Encoding),
        ("Transfer-Encoding: chunked,", Offence::Encoding),
        ("Transfer-Encoding:\tchunked", Offence::Encoding),
        ("Transfer-Encoding: \u{b}chunked", Offence::Control),
        ("Transfer-Encoding: \u{c}chunked", Offence::Control),
        ("Transfer-Encoding: chunked\0", Offence::Control),
        ("Transfer-Encoding:\r\n chunked", Offence::Encoding),
        ("Transfer-Encoding: chunked\r\n x", Offence::Fold),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Offence::Encoding),
        ("Content-Length: 5\r\nContent-Length: 6", Offence::LengthTwice),
        ("Content-Length: 5\r\nContent-Length: 5", Offence::LengthTwice),
        ("Content-Length: 5, 6", Offence::Length),
        ("Content-Length: 5, 5", Offence::Length),
        ("Content-Length: +5", Offence::Length),
        ("Content-Length: -0", Offence::Length),
        ("Content-Length: 0x5", Offence::Length),
        ("Content-Length: 5_0", Offence::Length),
        ("Content-Length: 05", Offence::Length),
        ("Content-Length: 5 5", Offence::Length),
        ("Content-Length: \t5", Offence::Length),
        ("Content-Length:", Offence::Length),
        ("Content-Length: 18446744073709551616", Offence::Length),
        ("Content-Length: 9223372036854775808", Offence::Length),
    ];
    for (lines, expected) in rows {
        assert_eq!(offence(&with(lines)), Some(expected), "{lines:?}");
    }
    let old = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(offence(old), Some(Offence::EncodingTooOld));
}

#[test]
fn f5_lines_end_with_crlf_and_nothing_else() {
    let rows: [(&[u8], Offence); 14] = [
        (b"GET / HTTP/1.1\nHost: a\r\n\r\n", Offence::BareLineFeed),
        (b"GET / HTTP/1.1\r\nHost: a\n\r\n", Offence::BareLineFeed),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n", Offence::BareLineFeed),
        (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Offence::BareLineFeed),
        (b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", Offence::BareCarriageReturn),
        (b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", Offence::BareCarriageReturn),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", Offence::Control),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[0m\r\n\r\n", Offence::Control),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", Offence::Control),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", Offence::SpaceBeforeColon),
        (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", Offence::Fold),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n", Offence::Fold),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", Offence::HeaderLine),
        (b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", Offence::HeaderLine),
    ];
    for (input, expected) in rows {
        assert_eq!(offence(input), Some(expected), "{}", input.escape_ascii());
    }
}

#[test]
fn f12_f13_f16_request_lines_and_hosts_have_one_reading() {
    let rows: [(&[u8], Offence); 33] = [
        (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", Offence::Target),
        (b"GET /<a> HTTP/1.1\r\nHost: a\r\n\r\n", Offence::Target),
        (b"GET /`a HTTP/1.1\r\nHost: a\r\n\r\n", Offence::Target),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", Offence::Target),
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", Offence::Target),
        (b"GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", Offence::Target),
        (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", Offence::Target),
        (b"GET a:443 HTTP/1.1\r\nHost: a\r\n\r\n", Offence::Target),
        (b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", Offence::Target),
        (b"GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", Offence::Target),
        (b"GET http://a\\b/ HTTP/1.1\r\nHost: a\r\n\r\n", Offence::Target),
        (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Offence::Target),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", Offence::Connect),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Offence::RequestLine),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Offence::RequestLine),
        (b"GET /\r\n\r\n", Offence::RequestLine),
        (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Offence::RequestLine),
        (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", Offence::RequestLine),
        (b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", Offence::RequestLine),
        (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Offence::RequestLine),
        (b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", Offence::RequestLine),
        (b"GET / http/1.1\r\nHost: a\r\n\r\n", Offence::RequestLine),
        (b"GET / HTTP/1.22\r\nHost: a\r\n\r\n", Offence::Version),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", Offence::Version),
        (b"GET / HTTP/11\r\nHost: a\r\n\r\n", Offence::Version),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Offence::Version),
        (b"GET / HTTP/1.1\r\n\r\n", Offence::HostMissing),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Offence::HostTwice),
        (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Offence::Host),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", Offence::Host),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Offence::Host),
        (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Offence::Host),
        (b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", Offence::Host),
    ];
    for (input, expected) in rows {
        assert_eq!(offence(input), Some(expected), "{}", input.escape_ascii());
    }
}

#[test]
fn heads_keep_their_bounds() {
    let target = |bytes: usize| {
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(bytes - 1)).into_bytes()
    };
    assert_eq!(offence(&target(8 * 1024)), None);
    assert_eq!(offence(&target(8 * 1024 + 1)), Some(Offence::TargetLength));
    let endless = format!("GET /{}", "x".repeat(9 * 1024));
    assert_eq!(offence(endless.as_bytes()), Some(Offence::TargetLength));
    assert_eq!(offence(format!("\r\n{endless}").as_bytes()), Some(Offence::TargetLength));
    let headers = |count: usize| with(&"X: y\r\n".repeat(count - 1)[..6 * (count - 1) - 2]);
    assert_eq!(offence(&headers(100)), None);
    assert_eq!(offence(&headers(101)), Some(Offence::Head));
    let large = |bytes: usize| with(&format!("X: {}", "y".repeat(bytes)));
    assert_eq!(offence(&large(32 * 1024 - 50)), None);
    assert_eq!(offence(&large(32 * 1024)), Some(Offence::Head));
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(33 * 1024));
    assert_eq!(offence(endless.as_bytes()), Some(Offence::Head));
}

#[test]
fn the_answer_to_a_refused_head_has_no_body_where_head_has_none() {
    for (line, method) in [("HEAD /", Method::HEAD), ("GET /", Method::GET)] {
        let offending =
            taken(format!("{line} HTTP/1.1\r\nX\r\n").as_bytes(), 99).unwrap().unwrap_err();
        assert_eq!((offending.offence, offending.head.method), (Offence::HeaderLine, method));
        assert!(!offending.head.persists);
    }
}

#[test]
fn every_offence_says_what_is_wrong() {
    assert_eq!(Offence::Head.refused(), Refused::HeadersTooLarge);
    assert_eq!(Offence::TargetLength.refused(), Refused::TargetTooLong);
    assert_eq!(Offence::Connect.refused(), Refused::UpgradeUnsupported);
    assert!(Offence::Fold.refused().detail().contains("whitespace"));
}
