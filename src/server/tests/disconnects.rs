//! A client that disconnects: its call is dropped at once, in every state of the connection.

use std::net::Shutdown;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Disconnect {
    /// Closes the socket with nothing unread.
    Fin,
    /// Shuts down the sending side only.
    HalfClose,
    Reset,
}

impl Disconnect {
    const ALL: [Self; 3] = [Self::Fin, Self::HalfClose, Self::Reset];

    /// Disconnects; returns the socket where it stays open.
    fn perform(self, socket: TcpStream) -> Option<TcpStream> {
        match self {
            Self::Fin => None,
            Self::HalfClose => {
                socket.shutdown(Shutdown::Write).unwrap();
                Some(socket)
            }
            Self::Reset => {
                socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
                None
            }
        }
    }
}

/// What clients have sent when they disconnect: a request to `/never`, and perhaps more.
fn states() -> Vec<(&'static str, Vec<u8>)> {
    let post = |rest: &str| format!("POST /never HTTP/1.1\r\nHost: h\r\n{rest}").into_bytes();
    let sized = post("Content-Length: 50000\r\n\r\n");
    let get = b"GET /never HTTP/1.1\r\nHost: h\r\n\r\n".to_vec();
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    vec![
        ("nothing behind the head", get.clone()),
        ("5 KB pipelined", [get.clone(), GET.repeat(180)].concat()),
        ("garbage behind the request", [get, vec![b'x'; 5000]].concat()),
        ("before the body", sized.clone()),
        ("in the middle of the body", [sized.clone(), vec![b'x'; 20_000]].concat()),
        ("behind an unread body", [sized.clone(), vec![b'x'; 50_000]].concat()),
        ("behind a body and 5 KB", [sized, vec![b'x'; 50_000], GET.repeat(180)].concat()),
        ("waiting to be asked", post("Content-Length: 9\r\nExpect: 100-continue\r\n\r\n")),
        ("before the first chunk", post(chunked)),
        ("in a chunk header", post(&format!("{chunked}5\r\nhello\r\n1"))),
        ("in a chunk extension", post(&format!("{chunked}5;a=\"b"))),
        ("in a chunk", post(&format!("{chunked}500\r\nhel"))),
        ("in the trailers", post(&format!("{chunked}0\r\nx-sum: 1"))),
    ]
}

#[test]
fn the_call_of_a_disconnected_client_is_dropped_in_every_state() {
    let server = running(settings());
    let mut missed = Vec::new();
    for disconnect in Disconnect::ALL {
        for (state, bytes) in states() {
            let before = server.seen.dropped.load(Ordering::SeqCst);
            let requests = server.requests().len();
            let mut socket = server.connect();
            socket.write_all(&bytes).unwrap();
            eventually(|| server.requests().len() == requests + 1);
            std::thread::sleep(ms(20));
            assert_eq!(server.seen.dropped.load(Ordering::SeqCst), before, "{state}: too early");
            let open = disconnect.perform(socket);
            if !soon(|| server.seen.dropped.load(Ordering::SeqCst) == before + 1) {
                missed.push(format!("{disconnect:?} {state}"));
            }
            drop(open);
        }
    }
    assert!(missed.is_empty(), "not noticed: {missed:#?}");
}

fn soon(holds: impl Fn() -> bool) -> bool {
    (0..50).any(|_| {
        std::thread::sleep(ms(10));
        holds()
    })
}

/// A frame on stream 1.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, u8::from(kind != 7 && kind != 4)], payload].concat()
}

#[test]
fn the_call_of_a_cancelled_or_disconnected_stream_is_dropped() {
    const HEAD: &[u8] = b"\x83\x86\x44\x06/never\x41\x01h";
    let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, b"")].concat();
    let upload = [preface.clone(), frame(1, 4, HEAD), frame(0, 0, b"hello")].concat();
    let padded = frame(0, 8, b"\x03hi\0\0\0");
    let empty = frame(0, 0, b"").repeat(3);
    let cancel = frame(3, 0, b"\0\0\0\x08");
    let go_away = frame(7, 0, &[0; 8]);
    let rows: [(&str, Vec<u8>, Vec<u8>); 6] = [
        ("closed in an upload", upload.clone(), vec![]),
        ("closed in a frame", [&upload[..], &padded[..12]].concat(), vec![]),
        ("closed behind its request", [preface, frame(1, 5, HEAD)].concat(), vec![]),
        ("reset behind a padded frame", [upload.clone(), padded].concat(), cancel.clone()),
        ("reset behind empty frames", [upload.clone(), empty].concat(), cancel),
        ("GOAWAY and closed", upload, go_away),
    ];
    let server = running(settings());
    for (number, (state, bytes, last)) in rows.into_iter().enumerate() {
        let mut socket = server.connect();
        socket.write_all(&bytes).unwrap();
        eventually(|| server.requests().len() == number + 1);
        std::thread::sleep(ms(20));
        assert_eq!(server.seen.dropped.load(Ordering::SeqCst), number, "{state}: too early");
        socket.write_all(&last).unwrap();
        let open = state.starts_with("reset").then_some(socket);
        let dropped = soon(|| server.seen.dropped.load(Ordering::SeqCst) == number + 1);
        assert!(dropped, "not noticed: {state}");
        drop(open);
    }
}
