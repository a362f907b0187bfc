//! Request bodies: `100 Continue`, bodies that are not read, and where a body ends.

use super::*;

const EXPECTING: &[u8] =
    b"POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn a_response_without_100_continue_closes_the_connection() {
    let server = running(settings());
    let (text, _) = server.exchange(EXPECTING);
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("early"), "{text}");
    assert!(text.contains("\r\nconnection: close\r\n"), "{text}");
}

#[test]
fn a_client_that_expects_it_gets_100_continue_once() {
    let server = running(settings());
    let mut socket = server.connect();
    socket
        .write_all(&String::from_utf8_lossy(EXPECTING).replace("/early", "/b").into_bytes())
        .unwrap();
    assert_eq!(read_response(&mut socket), "HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(b"hi").unwrap();
    assert!(read_response(&mut socket).ends_with("POST /b hi"));
    socket.write_all(GET).unwrap();
    assert!(read_response(&mut socket).ends_with("GET /a "));
}

#[test]
fn an_unread_body_that_has_arrived_is_discarded_and_the_connection_kept() {
    let server = running(settings());
    let mut socket = server.connect();
    for head in [EXPECTING, b"POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n"] {
        let bytes = if head == EXPECTING { 2 } else { 20_000 };
        socket.write_all(&[head, &vec![b'x'; bytes], GET].concat()).unwrap();
        assert!(read_response(&mut socket).ends_with("early"));
        assert!(read_response(&mut socket).ends_with("GET /a "));
    }
    assert!(!server.requests().iter().any(|line| line.contains('x')));
}

#[test]
fn an_unread_body_that_has_not_arrived_closes_the_connection() {
    let server = running(settings());
    let (text, _) = server
        .exchange(b"POST /early HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab");
    assert!(text.contains("\r\nconnection: close\r\n") && text.ends_with("early"), "{text}");
}

#[test]
fn a_forbidden_trailer_closes_the_connection_even_if_the_body_is_not_read() {
    let server = running(settings());
    let head = "POST /early HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let smuggled = format!("{head}2\r\nhi\r\n0\r\nContent-Length: 9\r\n\r\n");
    let (text, _) = server.exchange(&[smuggled.as_bytes(), GET].concat());
    assert!(text.contains("\r\nconnection: close\r\n") && text.ends_with("early"), "{text}");
    assert_eq!(server.requests(), ["POST /early"]);
}

#[test]
fn a_body_ends_in_the_same_place_however_its_bytes_are_split() {
    let server = running(settings());
    let mut socket = server.connect();
    let sized = "Content-Length: 5\r\n\r\nGET /";
    let chunks =
        "Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nGE\r\n03\r\nT /\r\n0\r\nx-y: z\r\n\r\n";
    for body in [sized, chunks] {
        let message = format!("POST /b HTTP/1.1\r\nHost: h\r\n{body}").into_bytes();
        let wire = [&message, GET].concat();
        for cut in message.len() - body.len()..wire.len() {
            socket.write_all(&wire[..cut]).unwrap();
            std::thread::sleep(Duration::from_micros(300));
            socket.write_all(&wire[cut..]).unwrap();
            assert!(read_response(&mut socket).ends_with("POST /b GET /"), "{cut}");
            assert!(read_response(&mut socket).ends_with("GET /a "), "{cut}");
        }
    }
}
