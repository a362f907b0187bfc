//! The drain: which connections end, and when.

use super::*;

#[test]
fn a_drain_lets_calls_end_and_closes_idle_connections() {
    let mut server =
        running(Settings { head_timeout: ms(5000), idle_timeout: ms(5000), ..settings() });
    let mut idle = server.connect();
    idle.write_all(GET).unwrap();
    read_response(&mut idle);
    let mut busy = server.connect();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    std::thread::sleep(ms(100));
    let took = server.drain_within(ms(2000));
    assert!(ms(50) < took && took < ms(1500), "{took:?}");
    assert_eq!(rest_of(&mut idle), "");
    let text = rest_of(&mut busy);
    assert!(text.contains("connection: close\r\n") && text.ends_with("GET /slow "), "{text}");
    assert!(TcpStream::connect(server.address).is_err(), "the listener is closed");
}

#[test]
fn a_drain_ends_at_its_deadline() {
    let mut server = running(Settings { head_timeout: ms(5000), ..settings() });
    let mut stuck = server.connect();
    stuck.write_all(b"GET /never HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut silent = server.connect();
    std::thread::sleep(ms(50));
    let took = server.drain_within(ms(300));
    assert!(ms(250) < took && took < ms(900), "{took:?}");
    assert!(!matches!(stuck.read(&mut [0; 1]), Ok(1)));
    assert!(!matches!(silent.read(&mut [0; 1]), Ok(1)));
}

/// Requests to stop, each after a pause, the last entry first.
struct DelayedStops(Vec<Duration>, Clock);

impl StopRequests for DelayedStops {
    async fn next(&mut self) {
        match self.0.pop() {
            Some(after) => self.1.sleep_until(self.1.now().plus(after)).await,
            None => std::future::pending().await,
        }
    }
}

#[test]
fn a_stop_is_announced_before_the_drain_and_a_second_request_skips_it() {
    let shutdown = Shutdown { delay: ms(1500), grace: ms(2000) };
    let rows = [
        (vec![ms(1)], ShutdownOutcome::Drained),
        (vec![ms(50), ms(1)], ShutdownOutcome::Drained),
        (vec![ms(300), ms(600), ms(1)], ShutdownOutcome::Drained),
        (vec![ms(1100), ms(1)], ShutdownOutcome::Forced),
        (vec![ms(600), ms(500), ms(1)], ShutdownOutcome::Forced),
    ];
    for (stops, expected) in rows {
        let mut server = running(settings());
        let mut stops = DelayedStops(stops, server.clock);
        let (clock, drain) = (server.clock, server.drain.clone());
        let serving = serve_until_stopped(&mut server.workers, &mut stops, shutdown, clock, &drain);
        assert_eq!(server.runtime.block_on(serving), expected);
        assert!(drain.is_announced());
        assert_eq!(drain.is_draining(), expected == ShutdownOutcome::Drained);
    }
}

#[test]
fn responses_close_their_connections_once_a_stop_is_announced() {
    let server = running(settings());
    let mut socket = server.connect();
    socket.write_all(GET).unwrap();
    assert!(!read_response(&mut socket).contains("connection: close"));
    server.drain.announce();
    socket.write_all(&[GET, GET].concat()).unwrap();
    let text = rest_of(&mut socket);
    assert!(text.contains("connection: close\r\n") && text.ends_with("GET /a "), "{text}");
    assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "the connection closes behind it");
    let (text, _) = server.exchange(GET);
    assert!(text.contains("connection: close\r\n"), "a new connection is served: {text}");
}

#[test]
fn a_connection_without_a_call_does_not_delay_the_drain() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mut server =
        running(Settings { head_timeout: ms(9000), idle_timeout: ms(9000), ..settings() });
    // These clients do not read, so none of them answers a PING.
    let mut fresh = server.connect();
    fresh.write_all(PREFACE).unwrap();
    let silent = server.connect();
    let mut halfway = server.connect();
    halfway.write_all(b"GET / HT").unwrap();
    let mut used = server.connect();
    let get_h = [&b"\0\0\x04\x01\x05\0\0\0\x01\x82\x84\x86\x41"[..], b"\x01h"].concat();
    used.write_all(&[PREFACE, &with_length(get_h)].concat()).unwrap();
    eventually(|| server.requests().len() == 1);
    std::thread::sleep(ms(50));
    let took = server.drain_within(ms(8000));
    assert!(took < ms(2500), "{took:?}");
    drop((fresh, silent, halfway, used));
}

/// Sets the length of a frame to that of its payload.
fn with_length(mut frame: Vec<u8>) -> Vec<u8> {
    frame[2] = u8::try_from(frame.len() - 9).unwrap();
    frame
}
