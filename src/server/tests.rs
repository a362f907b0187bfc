//! The front door over real sockets: what a client sees, byte for byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use super::*;
use crate::clock::Clock;
use crate::gateway::{Drain, Peer};
use crate::policy::time::Moment;

/// Answers with what it was asked, or as its path says.
struct Echo {
    seen: Arc<Seen>,
    clock: Clock,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    refused: Mutex<Vec<Refused>>,
    gone: AtomicUsize,
    dropped: AtomicUsize,
    ticks: AtomicUsize,
    opened: AtomicUsize,
    closed: AtomicUsize,
}

impl Handler for Echo {
    type Body = Full<Bytes>;

    async fn handle(&self, request: Request<Incoming>, peer: &Peer) -> Response<Full<Bytes>> {
        let line = format!("{} {}", request.method(), request.uri());
        self.seen.requests.lock().unwrap().push(line.clone());
        match request.uri().path() {
            "/slow" => self.clock.sleep_until(self.clock.now().plus(ms(300))).await,
            "/gone" => {
                peer.gone().await;
                self.seen.gone.fetch_add(1, Ordering::SeqCst);
            }
            "/never" => {
                let _dropped = Dropped(Arc::clone(&self.seen));
                std::future::pending().await
            }
            "/early" => return Response::new(Full::from("early")),
            "/large" => return Response::new(Full::from(vec![b'x'; 64 * 1024 * 1024])),
            _ => {}
        }
        match request.into_body().collect().await {
            Ok(body) => {
                let body = [line.as_bytes(), b" ", &body.to_bytes()].concat();
                let mut response = Response::new(Full::from(body));
                *response.version_mut() = http::Version::HTTP_10;
                response
            }
            Err(_) => answer(StatusCode::BAD_REQUEST, "broken body"),
        }
    }

    fn refuse(&self, refused: Refused, _: Option<&HeaderMap>) -> Response<Full<Bytes>> {
        self.seen.refused.lock().unwrap().push(refused);
        let mut response = answer(refused.code().status(), refused.code().as_str());
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

struct Dropped(Arc<Seen>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

fn answer(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
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

/// A running front door.
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
    let door = Door::open(settings.address, settings.workers).unwrap();
    let address = door.address();
    let house = House { settings, clock, drain: drain.clone() };
    let for_workers = Arc::clone(&seen);
    let factory = move |_| Echo { seen: Arc::clone(&for_workers), clock };
    let mut workers = start(door, &house, factory).unwrap();
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

    /// Sends these bytes; everything that comes back until the connection ends, and when it did.
    fn exchange(&self, bytes: &[u8]) -> (String, Duration) {
        let began = self.clock.now();
        let mut socket = self.connect();
        // The other side may have refused and closed before the last byte.
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

/// One answer with a known length.
fn read_answer(socket: &mut TcpStream) -> String {
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
fn calls_are_answered_on_one_connection_also_when_pipelined() {
    let door = running(settings());
    let mut socket = door.connect();
    socket.write_all(GET).unwrap();
    let text = read_answer(&mut socket);
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("GET /a "), "{text}");
    let two = b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhiGET /c HTTP/1.1\r\nHost: h\r\n\r\n";
    socket.write_all(two).unwrap();
    assert!(read_answer(&mut socket).ends_with("POST /b hi"));
    assert!(read_answer(&mut socket).ends_with("GET /c "));
    drop(socket);
    assert_eq!(door.requests(), ["GET /a", "POST /b", "GET /c"]);
}

#[test]
fn a_head_may_come_in_any_pieces() {
    let door = running(settings());
    let text = b"POST http://h/b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    for piece in [1, 3, 10, 30] {
        let mut socket = door.connect();
        for part in text.chunks(piece) {
            socket.write_all(part).unwrap();
            std::thread::sleep(Duration::from_micros(300));
        }
        assert!(read_answer(&mut socket).ends_with("POST /b hi"));
    }
}

#[test]
fn a_silent_connection_is_closed_when_a_head_should_be_there() {
    let door = running(settings());
    let (text, took) = door.exchange(b"");
    assert_eq!(text, "");
    assert!(ms(250) < took && took < ms(700), "{took:?}");
}

#[test]
fn a_head_that_never_ends_is_closed_from_accept() {
    let door = running(settings());
    let began = door.clock.now();
    let mut socket = door.connect();
    for _ in 0..4 {
        socket.write_all(b"GET / HTTP/1.1\r\n"[..4].as_ref()).unwrap_or_default();
        std::thread::sleep(ms(60));
    }
    assert_eq!(rest_of(&mut socket), "");
    let took = door.clock.now().since(began);
    assert!(ms(250) < took && took < ms(700), "{took:?}");
    assert!(door.requests().is_empty());
}

#[test]
fn an_idle_connection_is_kept_longer_than_a_slow_head() {
    let door = running(settings());
    let mut idle = door.connect();
    let mut slow = door.connect();
    for socket in [&mut idle, &mut slow] {
        socket.write_all(GET).unwrap();
        read_answer(socket);
    }
    let began = door.clock.now();
    std::thread::sleep(ms(100));
    slow.write_all(b"GET /b HT").unwrap();
    rest_of(&mut slow);
    let took = door.clock.now().since(began);
    assert!(ms(350) < took && took < ms(800), "slow head: {took:?}");
    rest_of(&mut idle);
    let took = door.clock.now().since(began);
    assert!(ms(850) < took && took < ms(1500), "idle: {took:?}");
}

#[test]
fn a_call_under_way_has_no_deadline_of_ours() {
    let door = running(Settings { idle_timeout: ms(100), head_timeout: ms(100), ..settings() });
    let mut socket = door.connect();
    socket.write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert!(read_answer(&mut socket).ends_with("GET /slow "));
}

#[test]
fn a_client_that_does_not_read_keeps_its_answer_waiting_only_here() {
    let door = running(settings());
    let mut stuck = door.connect();
    stuck.write_all(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    std::thread::sleep(ms(100));
    let mut other = door.connect();
    other.write_all(GET).unwrap();
    assert!(read_answer(&mut other).ends_with("GET /a "));
}

#[test]
fn refused_heads_are_answered_in_the_handlers_words_and_close() {
    let door = running(settings());
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
        let (text, _) = door.exchange(request.as_bytes());
        assert!(text.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{text}");
        assert!(text.contains("content-type: application/problem+json\r\n"), "{text}");
        assert!(text.contains("connection: close\r\n"), "{text}");
        assert!(text.ends_with(&format!("\r\n\r\n{code}")), "{text}");
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
    }
    assert!(door.requests().is_empty());
    let (text, _) = door.exchange(b"HEAD / HTTP/1.1\r\nHost : h\r\n\r\n");
    assert!(text.contains("content-length: 15\r\n") && text.ends_with("\r\n\r\n"), "{text}");
}

#[test]
fn an_upgrade_is_refused_and_the_connection_stays() {
    let door = running(settings());
    let mut socket = door.connect();
    let ask = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    socket.write_all(ask).unwrap();
    assert!(read_answer(&mut socket).ends_with("upgrade_unsupported"));
    socket.write_all(GET).unwrap();
    assert!(read_answer(&mut socket).ends_with("GET /a "));
}

#[test]
fn f15_what_was_asked_before_a_malformed_head_is_answered_first() {
    let door = running(settings());
    let text = b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost : h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\n\r\n";
    let (text, _) = door.exchange(text);
    let first = text.find("GET /slow ").expect(&text);
    let second = text.find("HTTP/1.1 400").expect(&text);
    assert!(first < second, "{text}");
    assert!(text.ends_with("invalid_request"), "{text}");
    assert_eq!(door.requests(), ["GET /slow"]);
}

#[test]
fn a_broken_body_breaks_its_call_and_the_connection() {
    let door = running(settings());
    let head = "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in ["2\r\nhiX", "g\r\n", "2\nhi", "2\r\nhi\r\n0\r\nHost: x\r\n\r\n"] {
        let smuggled = format!("{head}{body}\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: h\r\n\r\n");
        let (text, _) = door.exchange(smuggled.as_bytes());
        assert!(text.is_empty() || text.contains("400 Bad Request"), "{text}");
        assert!(text.matches("HTTP/1.1").count() <= 1, "{text}");
    }
    assert_eq!(door.requests(), ["POST /b"; 4]);
}

#[test]
fn an_early_answer_arrives_although_the_body_is_not_read() {
    let door = running(settings());
    let mut socket = door.connect();
    let head = format!("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", 4 << 20);
    socket.write_all(head.as_bytes()).unwrap();
    let _ = socket.write_all(&vec![b'x'; 2 << 20]);
    let text = rest_of(&mut socket);
    assert!(text.ends_with("early"), "{text}");
}

#[test]
fn a_client_that_leaves_is_noticed_behind_an_unread_body() {
    let door = running(settings());
    let mut socket = door.connect();
    let head = b"POST /gone HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n";
    socket.write_all(head).unwrap();
    socket.write_all(&vec![b'x'; 50_000]).unwrap();
    std::thread::sleep(ms(100));
    assert_eq!(door.seen.gone.load(Ordering::SeqCst), 0);
    drop(socket);
    eventually(|| door.seen.gone.load(Ordering::SeqCst) == 1);
}

#[test]
fn the_future_of_a_client_that_leaves_is_dropped() {
    let door = running(settings());
    let mut socket = door.connect();
    socket.write_all(b"GET /never HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    std::thread::sleep(ms(100));
    assert_eq!(door.seen.dropped.load(Ordering::SeqCst), 0);
    drop(socket);
    eventually(|| door.seen.dropped.load(Ordering::SeqCst) == 1);
}

fn eventually(holds: impl Fn() -> bool) {
    for _ in 0..300 {
        if holds() {
            return;
        }
        std::thread::sleep(ms(10));
    }
    panic!("not within three seconds");
}

#[test]
fn without_a_free_place_newcomers_wait() {
    let door = running(Settings { connections_max: 1, head_timeout: ms(5000), ..settings() });
    let mut first = door.connect();
    first.write_all(GET).unwrap();
    read_answer(&mut first);
    let mut second = door.connect();
    second.write_all(GET).unwrap();
    second.set_read_timeout(Some(ms(200))).unwrap();
    assert!(second.read(&mut [0; 1]).is_err(), "answered while the place was taken");
    drop(first);
    second.set_read_timeout(Some(ms(5000))).unwrap();
    assert!(read_answer(&mut second).ends_with("GET /a "));
    drop(second);
    let counts = || {
        let opened = door.seen.opened.load(Ordering::SeqCst);
        (opened, door.seen.closed.load(Ordering::SeqCst))
    };
    eventually(|| counts() == (2, 2));
}

#[test]
fn handlers_may_tidy_up_about_once_a_second() {
    let door = running(settings());
    eventually(|| door.seen.ticks.load(Ordering::SeqCst) >= 1);
    assert!(door.clock.now() > Moment::START.plus(ms(900)));
}

#[test]
fn several_workers_share_the_address() {
    let door = running(Settings { workers: 3, ..settings() });
    for _ in 0..12 {
        let mut socket = door.connect();
        socket.write_all(GET).unwrap();
        assert!(read_answer(&mut socket).ends_with("GET /a "));
    }
    assert!(Door::open(door.address, 3).is_err());
}

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
    stuck.write_all(b"GET /gone HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
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
    let how = Shutdown { delay: ms(200), grace: ms(2000) };
    let rows = [(vec![ms(1)], Ended::Drained), (vec![ms(50), ms(1)], Ended::AtOnce)];
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

mod http2 {
    use hyper::client::conn::http2::{SendRequest, handshake};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    use super::*;

    async fn connect(
        address: SocketAddr,
    ) -> (SendRequest<Full<Bytes>>, tokio::task::JoinHandle<hyper::Result<()>>) {
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let (send, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
        (send, tokio::spawn(connection))
    }

    async fn ask(
        send: &mut SendRequest<Full<Bytes>>,
        request: http::request::Builder,
    ) -> (u16, String) {
        send.ready().await.unwrap();
        let response = send.send_request(request.body(Full::default()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn prior_knowledge_is_enough_and_heads_are_checked_alike() {
        let door = running(settings());
        door.runtime.block_on(async {
            let (mut send, _) = connect(door.address).await;
            let get = |path: &str| Request::builder().uri(format!("http://h{path}"));
            assert_eq!(ask(&mut send, get("/a?b")).await, (200, "GET /a?b ".to_owned()));
            let long = get(&format!("/{}", "x".repeat(9000)));
            assert_eq!(ask(&mut send, long).await, (414, "target_too_long".to_owned()));
            let other = get("/").header("host", "other");
            assert_eq!(ask(&mut send, other).await, (400, "invalid_request".to_owned()));
            let large = get("/").header("x", "y".repeat(33_000));
            assert_eq!(ask(&mut send, large).await, (431, "headers_too_large".to_owned()));
            assert_eq!(ask(&mut send, get("/a")).await.0, 200);
        });
    }

    #[test]
    fn an_idle_connection_is_told_to_go() {
        let door = running(Settings { idle_timeout: ms(200), ..settings() });
        door.runtime.block_on(async {
            let (mut send, ended) = connect(door.address).await;
            ask(&mut send, Request::builder().uri("http://h/")).await;
            let ended = tokio::time::timeout(ms(3000), ended).await.expect("told to go");
            assert!(ended.unwrap().is_ok());
        });
    }

    #[test]
    fn a_drain_lets_streams_end() {
        let door = running(settings());
        door.runtime.block_on(async {
            let (mut send, ended) = connect(door.address).await;
            let slow = tokio::spawn(async move {
                ask(&mut send, Request::builder().uri("http://h/slow")).await
            });
            tokio::time::timeout(ms(100), std::future::pending::<()>()).await.unwrap_err();
            door.drain.begin(door.clock.now().plus(ms(3000)));
            assert_eq!(slow.await.unwrap(), (200, "GET /slow ".to_owned()));
            let ended = tokio::time::timeout(ms(2000), ended).await.expect("told to go");
            assert!(ended.unwrap().is_ok());
        });
    }
}
