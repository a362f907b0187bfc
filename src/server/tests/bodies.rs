//! Requests with bodies: who is asked for one, what becomes of one that nobody reads, and where it
//! ends.

use super::*;

const ASKING: &[u8] =
    b"POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn a_client_that_was_not_asked_for_its_body_is_told_that_the_connection_ends() {
    let door = running(settings());
    let (text, _) = door.exchange(ASKING);
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("early"), "{text}");
    assert!(text.contains("\r\nconnection: close\r\n"), "{text}");
}

#[test]
fn a_client_that_waits_is_asked_once() {
    let door = running(settings());
    let mut socket = door.connect();
    socket
        .write_all(&String::from_utf8_lossy(ASKING).replace("/early", "/b").into_bytes())
        .unwrap();
    assert_eq!(read_answer(&mut socket), "HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(b"hi").unwrap();
    assert!(read_answer(&mut socket).ends_with("POST /b hi"));
    socket.write_all(GET).unwrap();
    assert!(read_answer(&mut socket).ends_with("GET /a "));
}

#[test]
fn an_unread_body_that_is_here_does_not_cost_the_connection() {
    let door = running(settings());
    let mut socket = door.connect();
    for head in [ASKING, b"POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n"] {
        let bytes = if head == ASKING { 2 } else { 20_000 };
        socket.write_all(&[head, &vec![b'x'; bytes], GET].concat()).unwrap();
        assert!(read_answer(&mut socket).ends_with("early"));
        assert!(read_answer(&mut socket).ends_with("GET /a "));
    }
    assert!(!door.requests().iter().any(|line| line.contains('x')));
}

#[test]
fn a_body_that_cannot_be_awaited_ends_the_connection_and_the_answer_says_so() {
    let door = running(settings());
    let (text, _) = door
        .exchange(b"POST /early HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab");
    assert!(text.contains("\r\nconnection: close\r\n") && text.ends_with("early"), "{text}");
}

#[test]
fn trailers_that_deceive_end_the_connection_whether_anybody_reads_them_or_not() {
    let door = running(settings());
    let head = "POST /early HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let smuggled = format!("{head}2\r\nhi\r\n0\r\nContent-Length: 9\r\n\r\n");
    let (text, _) = door.exchange(&[smuggled.as_bytes(), GET].concat());
    assert!(text.contains("\r\nconnection: close\r\n") && text.ends_with("early"), "{text}");
    assert_eq!(door.requests(), ["POST /early"]);
}

#[test]
fn a_body_ends_in_the_same_place_wherever_it_is_cut() {
    let door = running(settings());
    let mut socket = door.connect();
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
            assert!(read_answer(&mut socket).ends_with("POST /b GET /"), "{cut}");
            assert!(read_answer(&mut socket).ends_with("GET /a "), "{cut}");
        }
    }
}
