//! The gate's tables: every vector of the framing checklist, whole and byte by byte.

use super::super::handler::Refused;
use super::*;

const BOUNDS: Bounds =
    Bounds { head_bytes_max: 32 * 1024, headers_max: 100, target_bytes_max: 8 * 1024 };

/// Shows the bytes in pieces, as the stream does; what passed, and how it ended.
fn shown(input: &[u8], piece: usize) -> (Vec<u8>, Option<Offence>, Gate) {
    let mut gate = Gate::new(BOUNDS);
    let (mut held, mut passed) = (Vec::new(), Vec::new());
    for part in input.chunks(piece) {
        held.extend_from_slice(part);
        let cleared = gate.inspect(&held);
        passed.extend(held.drain(..cleared.bytes));
        if cleared.offence.is_some() {
            return (passed, cleared.offence, gate);
        }
    }
    (passed, None, gate)
}

fn offence(input: &[u8]) -> Option<Offence> {
    let (_, whole, _) = shown(input, input.len());
    // Long inputs in long pieces: each piece is looked at together with what is held.
    let scale = 1 + input.len() / 1000;
    for piece in [scale, 2 * scale, 3 * scale, 7 * scale] {
        let (_, pieces, _) = shown(input, piece);
        assert_eq!(pieces, whole, "{piece} bytes at a time: {}", input.escape_ascii());
    }
    whole
}

/// A request with these header lines.
fn with(lines: &str) -> Vec<u8> {
    format!("POST /a HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n").into_bytes()
}

/// A request with this chunked body.
fn chunked(body: &[u8]) -> Vec<u8> {
    [&with("Transfer-Encoding: chunked")[..], body].concat()
}

#[test]
fn whole_messages_pass_and_leave_nothing_open() {
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
        for piece in [1, 2, 5, input.len()] {
            let (passed, offence, gate) = shown(input, piece);
            assert_eq!(offence, None, "{}", input.escape_ascii());
            assert_eq!(passed, input, "{}", input.escape_ascii());
            assert!(gate.between_messages(), "{}", input.escape_ascii());
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
fn f6_to_f8_chunks_have_one_reading() {
    let many = format!("1;{}\r\nx\r\n", "e".repeat(3000));
    let twice = format!("{many}{many}");
    let endless = format!("1;{}", "e".repeat(5000));
    let large = format!("0\r\nX: {}\r\n\r\n", "t".repeat(17 * 1024));
    let trailers = format!("0\r\n{}\r\n", "X: y\r\n".repeat(21));
    let rows: [(&[u8], Offence); 33] = [
        (b"+1\r\nx\r\n", Offence::Chunk),
        (b"-1\r\nx\r\n", Offence::Chunk),
        (b"0x1\r\nx\r\n", Offence::Chunk),
        (b"1_0\r\nx\r\n", Offence::Chunk),
        (b" 1\r\nx\r\n", Offence::Chunk),
        (b"1 \r\nx\r\n", Offence::Chunk),
        (b"1 ;a\r\nx\r\n", Offence::Chunk),
        (b"\r\nx\r\n", Offence::Chunk),
        (b";a\r\nx\r\n", Offence::Chunk),
        (b"00000000000000001\r\nx\r\n", Offence::Chunk),
        (b"ffffffffffffffff\r\nx\r\n", Offence::Chunk),
        (b"g\r\nx\r\n", Offence::Chunk),
        (b"1\nx\r\n", Offence::BareLineFeed),
        (b"1;a\nx\r\n", Offence::BareLineFeed),
        (b"1;a\rb\r\nx\r\n", Offence::BareCarriageReturn),
        (b"1;\0\r\nx\r\n", Offence::Control),
        (b"1\r\nx\n0\r\n\r\n", Offence::Chunk),
        (b"1\r\nx0\r\n\r\n", Offence::Chunk),
        (b"1\r\nxy\r\n", Offence::Chunk),
        (b"1\r\nx\r0\r\n\r\n", Offence::Chunk),
        (b"0\n\r\n", Offence::BareLineFeed),
        (b"0\r\n\n", Offence::BareLineFeed),
        (twice.as_bytes(), Offence::ChunkExtensions),
        (endless.as_bytes(), Offence::ChunkExtensions),
        (b"0\r\nContent-Length: 5\r\n\r\n", Offence::Trailer),
        (b"0\r\ntransfer-encoding: chunked\r\n\r\n", Offence::Trailer),
        (b"0\r\nHost: a\r\n\r\n", Offence::Trailer),
        (b"0\r\nAuthorization: a\r\n\r\n", Offence::Trailer),
        (b"0\r\nConnection: a\r\n\r\n", Offence::Trailer),
        (b"0\r\nX-Forwarded-For: a\r\n\r\n", Offence::Trailer),
        (b"0\r\nX-Sum\r\n\r\n", Offence::HeaderLine),
        (large.as_bytes(), Offence::Trailers),
        (trailers.as_bytes(), Offence::Trailers),
    ];
    for (body, expected) in rows {
        let start: String = body.escape_ascii().to_string().chars().take(60).collect();
        assert_eq!(offence(&chunked(body)), Some(expected), "{start}");
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
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", Offence::Version),
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
fn what_came_before_an_offence_passes_and_nothing_of_the_offending_line() {
    let input = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\nX: y\r\n\r\n";
    let (passed, offence, gate) = shown(input, input.len());
    assert_eq!(passed, b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\n");
    assert_eq!(offence, Some(Offence::BareLineFeed));
    assert_eq!(gate.part(), Part::Head);
    let (_, _, gate) = shown(b"HEAD / HTTP/1.1\r\nX\r\n", 100);
    assert_eq!(gate.part(), Part::HeadOfHead);
    let (_, _, gate) = shown(&chunked(b"x\r\n"), 100);
    assert_eq!(gate.part(), Part::Body);
}

#[test]
fn every_offence_says_what_is_wrong() {
    assert_eq!(Offence::Head.refused(), Refused::HeadersTooLarge);
    assert_eq!(Offence::TargetLength.refused(), Refused::TargetTooLong);
    assert_eq!(Offence::Connect.refused(), Refused::UpgradeUnsupported);
    assert!(Offence::Chunk.to_string().contains("chunked"));
}
