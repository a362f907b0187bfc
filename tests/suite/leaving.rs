//! Clients that disconnect or send slowly: what they occupy, and that it is released.

use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::support::gateway::{Gateway, one_upstream};
use crate::support::script::{Act, Script, ok};
use crate::support::time;
use crate::support::wire::{Connection, request};

/// A gateway that sends one call at a time to this upstream, under `/v`.
#[track_caller]
fn one_at_a_time(script: &Script) -> Gateway {
    let more = "allowances: { all: { concurrency: 1 } }\nretry: { attempts: 1 }";
    Gateway::start(&one_upstream(&script.url(), more))
}

fn waiting(gateway: &Gateway) -> u32 {
    let mut admin = Connection::open(gateway.admin);
    admin.send(&request("GET", "/metrics", &[("Connection", "close")], b""));
    let text = admin.answer().text();
    let line = text.lines().find(|line| line.starts_with("evenkeel_waiting_calls{")).unwrap();
    line.rsplit(' ').next().unwrap().trim_end_matches(".0").parse().unwrap()
}

#[test]
fn clients_that_leave_the_queue_cost_the_vendor_nothing() {
    let script = Script::answering(|seen| match seen.number {
        1 => [vec![Act::Wait(Duration::from_millis(2500))], ok("first")].concat(),
        _ => ok("next"),
    });
    let gateway = one_at_a_time(&script);
    let mut first = gateway.connect();
    first.send(&request("GET", "/v/first", &[], b""));
    script.await_arrivals(1);
    let post = |rest: &str| format!("POST /v/left HTTP/1.1\r\nHost: g\r\n{rest}").into_bytes();
    let get = request("GET", "/v/left", &[], b"");
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    let states = [
        get.clone(),
        [&get[..], &vec![b'x'; 5 << 10]].concat(),
        [&get[..], &get.repeat(100)].concat(),
        post("Content-Length: 100\r\n\r\nhalf"),
        post("Content-Length: 100\r\nExpect: 100-continue\r\n\r\n"),
        post(&format!("{chunked}5\r\nhello\r\n4")),
        post(&format!("{chunked}4000\r\nhel")),
        [post("Content-Length: 9\r\n\r\n"), vec![b'x'; 9], get.repeat(100)].concat(),
        [post("Content-Length: 400000\r\n\r\n"), vec![b'x'; 390_000]].concat(),
    ];
    let mut leaving = Vec::new();
    for bytes in states.iter().chain(&states) {
        let mut connection = gateway.connect();
        connection.send(bytes);
        leaving.push(connection);
    }
    // The two with a small body of known length are read before they queue.
    let count = u32::try_from(leaving.len() - 2 * 2).unwrap();
    time::until("all of them wait", || waiting(&gateway) == count);
    // Every second client half-closes and stays.
    let mut half = leaving.split_off(states.len());
    half.iter_mut().for_each(Connection::finish);
    drop(leaving);
    time::within(Duration::from_secs(1), "nobody waits any more", || waiting(&gateway) == 0);
    assert_eq!(first.answer().text(), "first");
    assert_eq!(gateway.get("/v/next").text(), "next");
    assert_eq!(script.arrivals(), 2, "{:?}", script.requests());
    drop(half);
}

#[test]
fn uploads_in_tiny_pieces_occupy_only_their_own_bytes() {
    const UPLOADS: usize = 40;
    const BYTES: usize = 48 << 10;
    let script = Script::always(vec![Act::Silence]);
    let gateway = one_at_a_time(&script);
    let mut first = gateway.connect();
    first.send(&request("GET", "/v/first", &[], b""));
    script.await_arrivals(1);
    let before = gateway.resident_kib();
    let head = "POST /v/up HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "1\r\nx\r\n".repeat(BYTES);
    let uploads: Vec<Connection> = (0..UPLOADS)
        .map(|_| {
            let mut connection = gateway.connect();
            connection.send(head.as_bytes());
            connection.send(body.as_bytes());
            connection
        })
        .collect();
    let count = u32::try_from(UPLOADS).unwrap();
    time::until("all of them wait", || waiting(&gateway) == count);
    std::thread::sleep(Duration::from_millis(500));
    let grown = gateway.resident_kib().saturating_sub(before);
    let said = u64::try_from((UPLOADS * BYTES) >> 10).unwrap();
    assert!(grown < 6 * said + 8192, "{grown} KiB for {said} KiB of bodies");
    drop(uploads);
}

#[test]
fn tiny_chunks_are_merged_and_arrive_complete() {
    let script = Script::always(ok("ok"));
    let gateway = Gateway::start(&one_upstream(&script.url(), ""));
    let head = "POST /v/up HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = "1;a=b\r\nx\r\n".repeat(400) + "0\r\nx-sum: 7\r\n\r\n";
    let answer = gateway.call(&[head.as_bytes(), chunks.as_bytes()].concat());
    assert_eq!(answer.text(), "ok");
    let seen = script.request();
    assert_eq!((seen.body.len(), &*seen.trailers), (400, "x-sum: 7\n"));
    assert!(seen.raw.len() < 1200, "400 bytes in {} on the wire", seen.raw.len());
}

#[test]
fn a_client_that_stops_reading_ends_the_vendors_response() {
    let drip = Act::Drip(vec![b'x'; 100_000], Duration::from_millis(10));
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n".to_vec();
    let script = Script::always(vec![Act::Send(head), drip]);
    let gateway = one_at_a_time(&script);
    let stream = TcpStream::connect(gateway.address).unwrap();
    let get = request("GET", "/v/events", &[], b"");
    std::io::Write::write_all(&mut &stream, &[&get[..], &get.repeat(100)].concat()).unwrap();
    script.await_arrivals(1);
    std::thread::sleep(Duration::from_millis(100));
    stream.shutdown(Shutdown::Write).unwrap();
    time::within(Duration::from_secs(2), "the vendor is hung up on", || script.open() == 0);
}
