//! What an accepted request head says. Which heads are rejected, and why, is in the vectors of
//! `tests/data/framing`.

use bytes::BytesMut;
use http::{Method, Request, Version};

use super::request::{HeadParser, RejectedHead, RequestHead};
use crate::http1::Length;
use crate::server::head::HeadLimits;
use crate::server::request_error::RequestError;

const LIMITS: HeadLimits =
    HeadLimits { head_bytes_max: 32 * 1024, headers_max: 100, target_bytes_max: 8 * 1024 };

/// The first head of an input, which must be complete or rejected.
fn parse(input: &str) -> Result<(Request<()>, RequestHead), RejectedHead> {
    let (mut request, mut received) = (Request::new(()), BytesMut::from(input));
    let head = HeadParser::default().take_head(&mut received, &mut request, LIMITS)?;
    Ok((request, head.expect(input)))
}

/// The head of an input that must be accepted.
fn accepted(input: &str) -> (Request<()>, RequestHead) {
    parse(input).expect(input)
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
fn a_rejected_head_request_is_recognised_as_head() {
    for (line, method) in [("HEAD /", Method::HEAD), ("GET /", Method::GET)] {
        let rejected = parse(&format!("{line} HTTP/1.1\r\nX\r\n")).unwrap_err();
        assert_eq!((rejected.error, rejected.head.method), (RequestError::HeaderLine, method));
        assert!(!rejected.head.keep_alive);
    }
}
