//! Stopping: what ends, what may end, and when.

use super::*;

#[test]
fn a_drain_lets_calls_end_and_closes_the_rest() {
    let mut door =
        running(Settings { head_timeout: ms(5000), idle_timeout: ms(5000), ..settings() });
    let mut idle = door.connect();
    idle.write_all(GET).unwrap();
    read_answer(&mut idle);
    let mut busy = door.connect();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    std::thread::sleep(ms(100));
    let took = door.drain_within(ms(2000));
    assert!(ms(50) < took && took < ms(1500), "{took:?}");
    assert_eq!(rest_of(&mut idle), "");
    let text = rest_of(&mut busy);
    assert!(text.contains("connection: close\r\n") && text.ends_with("GET /slow "), "{text}");
    assert!(TcpStream::connect(door.address).is_err(), "nobody listens any more");
}

#[test]
fn a_drain_ends_at_its_deadline() {
    let mut door = running(Settings { head_timeout: ms(5000), ..settings() });
    let mut stuck = door.connect();
    stuck.write_all(b"GET /never HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut silent = door.connect();
    std::thread::sleep(ms(50));
    let took = door.drain_within(ms(300));
    assert!(ms(250) < took && took < ms(900), "{took:?}");
    assert!(!matches!(stuck.read(&mut [0; 1]), Ok(1)));
    assert!(!matches!(silent.read(&mut [0; 1]), Ok(1)));
}

struct Stops(Vec<Duration>, Clock);

impl StopRequests for Stops {
    async fn next(&mut self) {
        match self.0.pop() {
            Some(after) => self.1.sleep_until(self.1.now().plus(after)).await,
            None => std::future::pending().await,
        }
    }
}

#[test]
fn stopping_is_announced_first_and_a_second_request_does_not_wait() {
    let how = Shutdown { delay: ms(1500), grace: ms(2000) };
    let rows = [
        (vec![ms(1)], Ended::Drained),
        (vec![ms(50), ms(1)], Ended::Drained),
        (vec![ms(300), ms(600), ms(1)], Ended::Drained),
        (vec![ms(1100), ms(1)], Ended::AtOnce),
        (vec![ms(600), ms(500), ms(1)], Ended::AtOnce),
    ];
    for (stops, expected) in rows {
        let mut door = running(settings());
        let mut stops = Stops(stops, door.clock);
        let (clock, drain) = (door.clock, door.drain.clone());
        let serving = serve_until_stopped(&mut door.workers, &mut stops, how, (clock, &drain));
        assert_eq!(door.runtime.block_on(serving), expected);
        assert!(drain.is_announced());
        assert_eq!(drain.is_draining(), expected == Ended::Drained);
    }
}

#[test]
fn answers_close_their_connections_as_soon_as_the_stop_is_announced() {
    let door = running(settings());
    let mut socket = door.connect();
    socket.write_all(GET).unwrap();
    assert!(!read_answer(&mut socket).contains("connection: close"));
    door.drain.announce();
    socket.write_all(&[GET, GET].concat()).unwrap();
    let text = rest_of(&mut socket);
    assert!(text.contains("connection: close\r\n") && text.ends_with("GET /a "), "{text}");
    assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "the connection ends behind it");
    let (text, _) = door.exchange(GET);
    assert!(text.contains("connection: close\r\n"), "a newcomer is served: {text}");
}

#[test]
fn a_connection_without_a_call_does_not_delay_the_drain() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mut door =
        running(Settings { head_timeout: ms(9000), idle_timeout: ms(9000), ..settings() });
    // These clients do not read, so they do not answer a PING.
    let mut fresh = door.connect();
    fresh.write_all(PREFACE).unwrap();
    let silent = door.connect();
    let mut halfway = door.connect();
    halfway.write_all(b"GET / HT").unwrap();
    let mut used = door.connect();
    let get_h = [&b"\0\0\x04\x01\x05\0\0\0\x01\x82\x84\x86\x41"[..], b"\x01h"].concat();
    used.write_all(&[PREFACE, &fixed_length(get_h)].concat()).unwrap();
    eventually(|| door.requests().len() == 1);
    std::thread::sleep(ms(50));
    let took = door.drain_within(ms(8000));
    assert!(took < ms(2500), "{took:?}");
    drop((fresh, silent, halfway, used));
}

/// A frame whose length says what follows its nine bytes.
fn fixed_length(mut frame: Vec<u8>) -> Vec<u8> {
    frame[2] = u8::try_from(frame.len() - 9).unwrap();
    frame
}
