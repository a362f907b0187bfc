//! The server over real sockets: what a client sees, byte for byte.

mod bodies;
mod disconnects;
mod draining;
mod http2;
mod rejections;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};

use super::*;
use crate::clock::Clock;
use crate::gateway::{ClientConnection, Drain, OriginalHeads};
use crate::time::Moment;

/// Echoes the request, or does what the path says.
struct Echo {
    seen: Arc<Seen>,
    clock: Clock,
}

/// What the handlers of all workers have seen.
#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    dropped: AtomicUsize,
    ticks: AtomicUsize,
    opened: AtomicUsize,
    closed: AtomicUsize,
}

impl Handler for Echo {
    type Body = Full<Bytes>;

    async fn handle(
        &self,
        request: &mut Request<ClientBody>,
        _heads: &mut OriginalHeads,
        _peer: &ClientConnection,
    ) -> Response<Full<Bytes>> {
        let line = format!("{} {}", request.method(), request.uri());
        self.seen.requests.lock().unwrap().push(line.clone());
        match request.uri().path() {
            "/slow" => self.clock.sleep_until(self.clock.now().plus(ms(300))).await,
            "/never" => {
                let _dropped = Dropped(Arc::clone(&self.seen));
                std::future::pending().await
            }
            "/204" => return respond(StatusCode::NO_CONTENT, "never sent"),
            "/304" => return respond(StatusCode::NOT_MODIFIED, "never sent"),
            "/length" => {
                let stated = request.headers().get("content-length");
                let stated = stated.map(|value| value.to_str().unwrap().to_owned());
                let known = request.body().size_hint().exact();
                return Response::new(Full::from(format!("{stated:?} {known:?}")));
            }
            "/early" => return Response::new(Full::from("early")),
            "/large" => return Response::new(Full::from(vec![b'x'; 64 * 1024 * 1024])),
            _ => {}
        }
        match request.body_mut().collect().await {
            Ok(body) => {
                let body = [line.as_bytes(), b" ", &body.to_bytes()].concat();
                let mut response = Response::new(Full::from(body));
                *response.version_mut() = http::Version::HTTP_10;
                response
            }
            Err(_) => respond(StatusCode::BAD_REQUEST, "broken body"),
        }
    }

    fn reject(&self, error: RequestError, _: Option<&HeaderMap>) -> Response<Full<Bytes>> {
        let mut response = respond(error.code().status(), error.code().as_str());
        let kind = http::HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        response
    }

    fn tick(&self) {
        self.seen.ticks.fetch_add(1, Ordering::SeqCst);
    }

    fn connection(&self, change: ConnectionChange) {
        match change {
            ConnectionChange::Opened => self.seen.opened.fetch_add(1, Ordering::SeqCst),
            ConnectionChange::Closed => self.seen.closed.fetch_add(1, Ordering::SeqCst),
        };
    }
}

impl OutgoingBody for Full<Bytes> {
    fn was_sent(&mut self) {}
}

struct Dropped(Arc<Seen>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

fn respond(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::from(body)).unwrap()
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn settings() -> Settings {
    Settings {
        address: "127.0.0.1:0".parse().unwrap(),
        workers: 1,
        head_timeout: ms(300),
        idle_timeout: ms(900),
        connections_max: 64,
        head_bytes_max: 32 * 1024,
        headers_max: 100,
        target_bytes_max: 8 * 1024,
        streams_max: 100,
        shutdown: Shutdown { delay: Duration::ZERO, grace: ms(2000) },
    }
}

/// A running server.
struct Running {
    address: SocketAddr,
    clock: Clock,
    drain: Drain,
    seen: Arc<Seen>,
    workers: Workers,
    runtime: tokio::runtime::Runtime,
}

fn running(settings: Settings) -> Running {
    let clock = Clock::start();
    let drain = Drain::new(clock);
    let seen = Arc::new(Seen::default());
    let listeners = Listeners::bind(settings.address, settings.workers).unwrap();
    let address = listeners.address();
    let config = WorkerConfig { settings, clock, drain: drain.clone() };
    let for_workers = Arc::clone(&seen);
    let factory = move |_| Echo { seen: Arc::clone(&for_workers), clock };
    let mut workers = start(listeners, &config, factory).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(workers.ready());
    Running { address, clock, drain, seen, workers, runtime }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    }

    /// Sends these bytes and reads until the connection ends; what was received, and how long it
    /// took.
    fn exchange(&self, bytes: &[u8]) -> (String, Duration) {
        let began = self.clock.now();
        let mut socket = self.connect();
        // The server may have closed the connection before the last byte is sent.
        let _ = socket.write_all(bytes);
        (rest_of(&mut socket), self.clock.now().since(began))
    }

    fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    fn drain_within(&mut self, grace: Duration) -> Duration {
        let began = self.clock.now();
        self.drain.begin(began.plus(grace));
        self.runtime.block_on(self.workers.ended());
        self.clock.now().since(began)
    }
}

fn rest_of(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let ended = socket.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    assert!(ended.is_ok(), "{ended:?} after {text}");
    text
}

/// Reads one response with a Content-Length.
fn read_response(socket: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        assert_eq!(socket.read(&mut byte).unwrap(), 1, "{}", text.escape_ascii());
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).unwrap();
    let length = head
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
    let mut body = vec![0; length];
    socket.read_exact(&mut body).unwrap();
    head + std::str::from_utf8(&body).unwrap()
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn several_calls_are_answered_on_one_connection_even_if_pipelined() {
    let server = running(settings());
    let mut socket = server.connect();
    socket.write_all(GET).unwrap();
    let text = read_response(&mut socket);
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("GET /a "), "{text}");
    let two = b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhiGET /c HTTP/1.1\r\nHost\
        : h\r\n\r\n";
    socket.write_all(two).unwrap();
    assert!(read_response(&mut socket).ends_with("POST /b hi"));
    assert!(read_response(&mut socket).ends_with("GET /c "));
    drop(socket);
    assert_eq!(server.requests(), ["GET /a", "POST /b", "GET /c"]);
}

#[test]
fn a_head_may_arrive_in_any_pieces() {
    let server = running(settings());
    let text = b"POST http://h/b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\
        \r\n0\r\n\r\n";
    for piece in [1, 3, 10, 30] {
        let mut socket = server.connect();
        for part in text.chunks(piece) {
            socket.write_all(part).unwrap();
            std::thread::sleep(Duration::from_micros(300));
        }
        assert!(read_response(&mut socket).ends_with("POST /b hi"));
    }
}

#[test]
fn a_silent_connection_is_closed_after_the_head_timeout() {
    let server = running(settings());
    let (text, took) = server.exchange(b"");
    assert_eq!(text, "");
    assert!(ms(250) < took && took < ms(700), "{took:?}");
}

#[test]
fn the_head_timeout_of_the_first_request_counts_from_the_accept() {
    let server = running(settings());
    let began = server.clock.now();
    let mut socket = server.connect();
    for _ in 0..4 {
        socket.write_all(b"GET / HTTP/1.1\r\n"[..4].as_ref()).unwrap_or_default();
        std::thread::sleep(ms(60));
    }
    assert_eq!(rest_of(&mut socket), "");
    let took = server.clock.now().since(began);
    assert!(ms(250) < took && took < ms(700), "{took:?}");
    assert!(server.requests().is_empty());
}

#[test]
fn an_idle_connection_is_kept_until_the_idle_timeout_and_a_slow_head_until_the_head_timeout() {
    let server = running(settings());
    let mut idle = server.connect();
    let mut slow = server.connect();
    for socket in [&mut idle, &mut slow] {
        socket.write_all(GET).unwrap();
        read_response(socket);
    }
    let began = server.clock.now();
    std::thread::sleep(ms(100));
    slow.write_all(b"GET /b HT").unwrap();
    rest_of(&mut slow);
    let took = server.clock.now().since(began);
    assert!(ms(350) < took && took < ms(800), "slow head: {took:?}");
    rest_of(&mut idle);
    let took = server.clock.now().since(began);
    assert!(ms(850) < took && took < ms(1500), "idle: {took:?}");
}

#[test]
fn no_connection_timeout_applies_during_a_call() {
    let server = running(Settings { idle_timeout: ms(100), head_timeout: ms(100), ..settings() });
    let mut socket = server.connect();
    socket.write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert!(read_response(&mut socket).ends_with("GET /slow "));
}

#[test]
fn a_client_that_does_not_read_blocks_no_other_client() {
    let server = running(settings());
    let mut stuck = server.connect();
    stuck.write_all(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    std::thread::sleep(ms(100));
    let mut other = server.connect();
    other.write_all(GET).unwrap();
    assert!(read_response(&mut other).ends_with("GET /a "));
}

#[test]
fn an_early_response_arrives_although_the_body_is_not_read() {
    let server = running(settings());
    let mut socket = server.connect();
    let head = format!("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", 4 << 20);
    socket.write_all(head.as_bytes()).unwrap();
    let _ = socket.write_all(&vec![b'x'; 2 << 20]);
    let text = rest_of(&mut socket);
    assert!(text.ends_with("early"), "{text}");
}

fn eventually(holds: impl Fn() -> bool) {
    for _ in 0..300 {
        if holds() {
            return;
        }
        std::thread::sleep(ms(10));
    }
    panic!("the condition did not hold within three seconds");
}

#[test]
fn at_the_connection_limit_new_connections_wait() {
    let server = running(Settings { connections_max: 1, head_timeout: ms(5000), ..settings() });
    let mut first = server.connect();
    first.write_all(GET).unwrap();
    read_response(&mut first);
    let mut second = server.connect();
    second.write_all(GET).unwrap();
    second.set_read_timeout(Some(ms(200))).unwrap();
    assert!(second.read(&mut [0; 1]).is_err(), "answered although the limit is reached");
    drop(first);
    second.set_read_timeout(Some(ms(5000))).unwrap();
    assert!(read_response(&mut second).ends_with("GET /a "));
    drop(second);
    let counts = || {
        let opened = server.seen.opened.load(Ordering::SeqCst);
        (opened, server.seen.closed.load(Ordering::SeqCst))
    };
    eventually(|| counts() == (2, 2));
}

#[test]
fn handlers_are_ticked_about_once_a_second() {
    let server = running(settings());
    eventually(|| server.seen.ticks.load(Ordering::SeqCst) >= 1);
    assert!(server.clock.now() > Moment::START.plus(ms(900)));
}

#[test]
fn several_workers_share_the_address() {
    let server = running(Settings { workers: 3, ..settings() });
    for _ in 0..12 {
        let mut socket = server.connect();
        socket.write_all(GET).unwrap();
        assert!(read_response(&mut socket).ends_with("GET /a "));
    }
    assert!(Listeners::bind(server.address, 3).is_err());
}
