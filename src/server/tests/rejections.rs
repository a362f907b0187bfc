//! Rejected heads and broken bodies, and what happens to their connections.

use super::*;

#[test]
fn rejected_heads_are_answered_by_the_handler_and_close_the_connection() {
    let server = running(settings());
    let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(9000));
    let large = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(101));
    let rows: [(&str, &str, &str); 8] = [
        ("GET / HTTP/1.1\nHost: h\n\n", "400 Bad Request", "invalid_request"),
        ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request", "invalid_request"),
        ("BAD\r\n\r\n", "400 Bad Request", "invalid_request"),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "400 Bad Request",
            "invalid_request",
        ),
        (&long, "414 URI Too Long", "target_too_long"),
        (&large, "431 Request Header Fields Too Large", "headers_too_large"),
        (&many, "431 Request Header Fields Too Large", "headers_too_large"),
        (
            "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
            "501 Not Implemented",
            "upgrade_unsupported",
        ),
    ];
    for (request, status, code) in rows {
        let (text, _) = server.exchange(request.as_bytes());
        assert!(text.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{text}");
        assert!(text.contains("content-type: application/problem+json\r\n"), "{text}");
        assert!(text.contains("connection: close\r\n"), "{text}");
        assert!(text.ends_with(&format!("\r\n\r\n{code}")), "{text}");
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
    }
    assert!(server.requests().is_empty());
    let (text, _) = server.exchange(b"HEAD / HTTP/1.1\r\nHost : h\r\n\r\n");
    assert!(text.contains("content-length: 15\r\n") && text.ends_with("\r\n\r\n"), "{text}");
}

#[test]
fn an_upgrade_is_rejected_and_the_connection_stays_open() {
    let server = running(settings());
    let mut socket = server.connect();
    let upgrade = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    socket.write_all(upgrade).unwrap();
    assert!(read_response(&mut socket).ends_with("upgrade_unsupported"));
    socket.write_all(GET).unwrap();
    assert!(read_response(&mut socket).ends_with("GET /a "));
}

#[test]
fn requests_before_a_malformed_head_are_answered_first() {
    let server = running(settings());
    let text = b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost : h\r\n\r\nGET /3 H\
        TTP/1.1\r\nHost: h\r\n\r\n";
    let (text, _) = server.exchange(text);
    let first = text.find("GET /slow ").expect(&text);
    let second = text.find("HTTP/1.1 400").expect(&text);
    assert!(first < second, "{text}");
    assert!(text.ends_with("invalid_request"), "{text}");
    assert_eq!(server.requests(), ["GET /slow"]);
}

#[test]
fn a_broken_body_ends_its_call_and_the_connection() {
    let server = running(settings());
    let head = "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in ["2\r\nhiX", "g\r\n", "2\nhi", "2\r\nhi\r\n0\r\nHost: x\r\n\r\n"] {
        let smuggled = format!("{head}{body}\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: h\r\n\r\n");
        let (text, _) = server.exchange(smuggled.as_bytes());
        assert!(text.is_empty() || text.contains("400 Bad Request"), "{text}");
        assert!(text.matches("HTTP/1.1").count() <= 1, "{text}");
    }
    assert_eq!(server.requests(), ["POST /b"; 4]);
}
