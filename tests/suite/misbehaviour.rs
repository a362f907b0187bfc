//! Upstreams that misbehave in every way of reference/reliability.md B8: the client gets an
//! answer or a visible abort in time, of the right class; nothing is sent twice unasked; the
//! connection is not used again, and nothing is left behind.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::support::gateway::{Gateway, one_upstream};
use crate::support::script::{Act, Reading, Script, Seen, ok, raw, reply};
use crate::support::wire::{Answer, End, request};
use crate::support::{problem, time};

/// Short timeouts and two attempts, so that every row ends soon.
const SHORT: &str = "\
timeouts: { connect: 500ms, attempt: 1s, idle: 1s }
retry: { attempts: 2, backoff: { base: 10ms, factor: 1, max: 10ms }, budget: 100% }
";

/// Longer than every timeout of `SHORT` together, shorter than a hang.
const SOON: Duration = Duration::from_secs(5);

#[track_caller]
fn before(url: &str) -> Gateway {
    Gateway::start(&one_upstream(url, SHORT))
}

/// What one row expects of a call that cannot succeed.
struct Wanted {
    status: u16,
    code: &'static str,
    source: &'static str,
    /// Whether the vendor may have acted.
    unknown: bool,
}

const TIMEOUT: Wanted =
    Wanted { status: 504, code: "upstream_timeout", source: "gateway", unknown: true };
const PROTOCOL: Wanted =
    Wanted { status: 502, code: "upstream_protocol", source: "gateway", unknown: true };
const TRUNCATED: Wanted =
    Wanted { status: 502, code: "upstream_truncated", source: "gateway", unknown: true };

/// A POST must arrive once and a GET twice; both end in this problem, in time, on connections
/// that are given up.
#[track_caller]
fn fails(what: &str, acts: &[Act], wanted: &Wanted) {
    for (method, arrivals) in [("POST", 1), ("GET", 2)] {
        let script = Script::always(acts.to_vec());
        let gateway = before(&script.url());
        let start = time::now();
        let answer = gateway.call(&request(method, "/v/a", &[], b""));
        assert!(start.elapsed() < SOON, "{what}: {:?}", start.elapsed());
        let problem = expected(&answer, wanted);
        if method == "POST" {
            assert_eq!(problem["outcome_unknown"], wanted.unknown, "{what}: {problem:#}");
        }
        assert_eq!(script.arrivals(), arrivals, "{what}: arrivals of {method}");
        assert_eq!(script.connections(), arrivals, "{what}: a connection is not used again");
        time::until(&format!("{what}: connections close"), || script.open() == 0);
    }
}

#[track_caller]
fn expected(answer: &Answer, wanted: &Wanted) -> Value {
    problem::expect(answer, wanted.status, wanted.code, wanted.source)
}

/// The answer begins and breaks off visibly; nothing is sent again, not even a GET.
#[track_caller]
fn breaks_off(what: &str, acts: Vec<Act>, delivered: &[u8]) {
    let script = Script::always(acts);
    let gateway = before(&script.url());
    let start = time::now();
    let answer = gateway.get("/v/a");
    assert!(start.elapsed() < SOON, "{what}: {:?}", start.elapsed());
    assert_eq!((answer.status, answer.end), (200, End::Broken), "{what}");
    assert!(delivered.starts_with(&answer.body), "{what}: {:?}", answer.text());
    assert_eq!(script.arrivals(), 1, "{what}: a started answer is never retried");
    time::until(&format!("{what}: connections close"), || script.open() == 0);
    assert_eq!(script.connections(), 1, "{what}");
}

#[test]
fn silence() {
    fails("accepts and never answers", &[Act::Silence], &TIMEOUT);
    fails("a status line, then silence", &[raw("HTTP/1.1 200 OK\r\n"), Act::Silence], &TIMEOUT);
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: ";
    fails("half a head, then silence", &[raw(half), Act::Silence], &TIMEOUT);
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    fails("100, then nothing", &[raw(interim), Act::Silence], &TIMEOUT);
    let drip = Act::Drip(b"HTTP/1.1 200 OK\r\n".to_vec(), Duration::from_millis(200));
    fails("a head byte by byte", &[drip, Act::Silence], &TIMEOUT);
}

#[test]
fn no_answer_at_all() {
    for (what, act) in [("closes", Act::Close), ("resets", Act::Reset), ("half-closes", Act::Fin)] {
        for (method, arrivals) in [("POST", 1), ("GET", 2)] {
            let script = Script::always(vec![act.clone()]);
            let gateway = before(&script.url());
            let answer = gateway.call(&request(method, "/v/a", &[], b""));
            let problem: Value = serde_json::from_str(&answer.text()).unwrap();
            let code = problem["code"].as_str().unwrap_or_default().to_owned();
            let codes = ["upstream_unreachable", "upstream_truncated", "upstream_protocol"];
            assert!(codes.contains(&code.as_str()), "{what}: {problem:#}");
            problem::expect(&answer, 502, &code, "gateway");
            if method == "POST" {
                assert_eq!(problem["outcome_unknown"], true, "{what}");
            }
            assert_eq!(script.arrivals(), arrivals, "{what} {method}");
        }
    }
}

#[test]
fn answers_that_are_no_http() {
    let rows = [
        ("junk", "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned()),
        ("a status that is none", "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("an unknown version", "HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()),
        (
            "101 unasked",
            "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_owned(),
        ),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(),
        ),
        ("a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na".to_owned()),
        (
            "a length and chunks",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                .to_owned(),
        ),
        (
            "a coding that is unknown",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_owned(),
        ),
        (
            "a folded header",
            "HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n".to_owned(),
        ),
    ];
    for (what, text) in rows {
        fails(what, &[raw(text), Act::Silence], &PROTOCOL);
    }
}

#[test]
fn a_head_without_end_is_more_than_we_read() {
    let text = format!("HTTP/1.1 200 OK\r\n{}", "X-Bomb: 0123456789\r\n".repeat(60_000));
    for method in ["GET", "POST"] {
        let script = Script::always(vec![raw(text.clone()), Act::Silence]);
        let gateway = before(&script.url());
        let answer = gateway.call(&request(method, "/v/a", &[], b""));
        let problem = problem::expect(&answer, 502, "upstream_protocol", "gateway");
        assert_eq!(problem["outcome_unknown"], method == "POST", "{problem:#}");
        assert_eq!(script.arrivals(), 1, "the same answer would come again");
    }
}

#[test]
fn bodies_that_break_off() {
    let counted = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nde";
    for (how, act) in [("FIN", Act::Close), ("RST", Act::Reset), ("silence", Act::Silence)] {
        let acts = vec![raw(counted), Act::Wait(Duration::from_millis(100)), act.clone()];
        breaks_off(&format!("a counted body, then {how}"), acts, b"abc");
        let acts = vec![raw(chunked), Act::Wait(Duration::from_millis(100)), act];
        breaks_off(&format!("chunks, then {how}"), acts, b"abcde");
    }
    // What came before the break goes out even if the break is known before anything was sent.
    breaks_off("a counted body, then FIN at once", vec![raw(counted), Act::Close], b"abc");
    breaks_off("chunks, then FIN at once", vec![raw(chunked), Act::Close], b"abcde");
    let begun = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let lie =
        vec![raw(begun), Act::Wait(Duration::from_millis(100)), raw("zz\r\nde"), Act::Silence];
    breaks_off("a chunk size that is none", lie, b"abc");
    let endless = "HTTP/1.1 200 OK\r\n\r\nabc";
    let acts = vec![raw(endless), Act::Wait(Duration::from_millis(100)), Act::Reset];
    breaks_off("a body up to the end, reset", acts, b"abc");
}

#[test]
fn a_broken_error_body_is_still_a_problem() {
    let head =
        "HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{\"er";
    for act in [Act::Close, Act::Reset, Act::Silence] {
        let script = Script::always(vec![raw(head), act]);
        let answer = before(&script.url()).post("/v/a", b"");
        let problem = problem::expect(&answer, 400, "invalid_request", "upstream");
        assert_eq!(problem["upstream"]["recognised"], false, "{problem:#}");
        assert_eq!(script.arrivals(), 1);
    }
}

#[test]
fn a_wrong_encoding_label_is_no_error_of_ours() {
    let rows: [(&str, &[u8]); 4] = [
        ("gzip", b"{\"error\":\"plain\"}"),
        ("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x56"),
        ("br", b"\xff\xff\xff"),
        ("made-up", b"whatever"),
    ];
    for (label, body) in rows {
        let encoding = format!("Content-Encoding: {label}");
        let script = Script::always(vec![reply("400 Bad", &[&encoding], body)]);
        let answer = before(&script.url()).post("/v/a", b"");
        problem::expect(&answer, 400, "invalid_request", "upstream");
        assert_eq!(answer.header("content-encoding"), None, "{label}");
        assert_eq!(script.arrivals(), 1);
    }
}

#[test]
fn a_slow_body_passes_as_long_as_it_moves() {
    let head = raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    let drip = Act::Drip(b"abcde".to_vec(), Duration::from_millis(400));
    let script = Script::always(vec![head, drip]);
    let answer = before(&script.url()).get("/v/a");
    assert_eq!((answer.text().as_str(), answer.end), ("abcde", End::Whole));
}

#[test]
fn bytes_behind_an_answer_never_become_the_next_one() {
    let smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\
                    Content-Length: 4\r\n\r\nevil";
    let script = Script::answering(move |seen| match seen.number {
        1 => vec![raw(smuggled)],
        _ => ok("honest"),
    });
    let gateway = before(&script.url());
    let mut connection = gateway.connect();
    connection.send(&request("GET", "/v/a", &[], b""));
    assert_eq!(connection.answer().text(), "ok");
    connection.send(&request("GET", "/v/b", &[], b""));
    assert_eq!(connection.answer().text(), "honest");
    assert_eq!(script.connections(), 2, "the connection that said too much is given up");
}

#[test]
fn a_longer_body_than_announced_is_cut() {
    let script = Script::answering(|seen| match seen.number {
        1 => vec![raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more")],
        _ => ok("honest"),
    });
    let gateway = before(&script.url());
    assert_eq!(gateway.get("/v/a").text(), "ok");
    assert_eq!(gateway.get("/v/b").text(), "honest");
    assert_eq!(script.connections(), 2);
}

#[test]
fn an_upstream_that_speaks_first_confuses_nobody_else() {
    // What came early cannot be told from an early answer, but it answers one request at most.
    // The connection ends with it: one that goes on to answer twice owes somebody an answer, and
    // HTTP/1.1 has nothing to tell by whose it is.
    let unasked = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly";
    let script = Script::greeting(vec![raw(unasked), Act::Close]);
    let gateway = before(&script.url());
    for target in ["/v/a", "/v/b"] {
        let start = time::now();
        let answer = gateway.post(target, b"");
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        match answer.status {
            200 => assert_eq!(answer.text(), "early", "never the answer to another request"),
            status => assert_eq!(status, 502, "{}", answer.text()),
        }
    }
    assert!(script.connections() >= 2, "such a connection is not used again");
}

#[test]
fn bodies_of_bodiless_answers_are_dropped() {
    let text = "HTTP/1.1 204 No\r\nContent-Length: 4\r\n\r\nevil";
    let script = Script::answering(move |seen| match seen.number {
        1 => vec![raw(text)],
        _ => ok("honest"),
    });
    let gateway = before(&script.url());
    let mut connection = gateway.connect();
    connection.send(&request("GET", "/v/a", &[], b""));
    assert_eq!(connection.answer().status, 204);
    connection.send(&request("GET", "/v/b", &[], b""));
    assert_eq!(connection.answer().text(), "honest");
}

#[test]
fn early_refusals_arrive_while_the_client_uploads() {
    static PIECE: [u8; 64 << 10] = [7; 64 << 10];
    let rows = [("413 Too Large", 413, "request_too_large"), ("401 No", 401, "unauthenticated")];
    for (status, wanted, code) in rows {
        let pause = Act::Wait(Duration::from_millis(300));
        let acts = vec![reply(status, &["Connection: close"], b""), pause, Act::Close];
        let script = Script::reading(Reading::Head, move |_| acts.clone());
        let gateway = before(&script.url());
        let mut connection = gateway.connect();
        let head = "POST /v/a HTTP/1.1\r\nHost: g\r\nContent-Length: 1073741824\r\n\r\n";
        connection.send(head.as_bytes());
        connection.send_what_goes(&PIECE);
        let answer = connection.answer();
        problem::expect(&answer, wanted, code, "upstream");
        assert_eq!(script.arrivals(), 1, "{status}: nothing of it is sent again");
    }
}

#[test]
fn many_interim_answers_end_in_an_answer() {
    let interim = "HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n".repeat(20);
    let text = format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let script = Script::always(vec![raw(text)]);
    let answer = before(&script.url()).post("/v/a", b"");
    assert_eq!(script.arrivals(), 1);
    assert!(answer.interim.iter().all(|status| *status != 100), "that is ours to say");
    match answer.status {
        200 => assert_eq!(answer.text(), "ok"),
        _ => drop(expected(&answer, &PROTOCOL)),
    }
}

#[test]
fn what_a_connection_header_says_is_believed() {
    // It says it closes, and does not: the next call takes another connection.
    let script = Script::always(vec![reply("200 OK", &["Connection: close"], b"ok")]);
    let gateway = before(&script.url());
    assert_eq!(
        (gateway.get("/v/a").text(), gateway.post("/v/b", b"").text()),
        ("ok".into(), "ok".into())
    );
    assert_eq!((script.arrivals(), script.connections()), (2, 2));
    // It closes, and did not say so: the next call does not notice.
    let script = Script::always([ok("ok"), vec![Act::Close]].concat());
    let gateway = before(&script.url());
    for target in ["/v/a", "/v/b", "/v/c"] {
        assert_eq!(gateway.post(target, b"x").text(), "ok");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!((script.arrivals(), script.connections()), (3, 3));
}

#[test]
fn redirects_are_the_clients_to_follow() {
    let script = Script::always(vec![reply("302 Found", &["Location: /a"], b"")]);
    let answer = before(&script.url()).get("/v/a");
    assert_eq!(
        (answer.status, answer.header("location"), script.arrivals()),
        (302, Some("/v/a"), 1)
    );
}

#[test]
fn a_closed_port_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    unreachable(&format!("http://{address}"));
}

#[test]
fn a_name_that_does_not_resolve_is_unreachable() {
    unreachable("http://nobody.invalid");
}

#[test]
fn dropped_packets_are_unreachable() {
    let hole = Hole::dig();
    unreachable(&format!("http://{}", hole.address));
}

#[track_caller]
fn unreachable(url: &str) {
    let gateway = before(url);
    for method in ["GET", "POST"] {
        let start = time::now();
        let answer = gateway.call(&request(method, "/v/a", &[], b""));
        assert!(start.elapsed() < SOON, "{url}: {:?}", start.elapsed());
        let problem = problem::expect(&answer, 502, "upstream_unreachable", "gateway");
        assert_eq!(problem["outcome_unknown"], false, "{problem:#}");
        assert_eq!(problem["retryable"], true, "{problem:#}");
        assert_eq!(problem["attempts"], 2, "not sent: every method may be tried again");
        let host = url.trim_start_matches("http://");
        assert!(!answer.text().contains(host), "an internal address: {problem:#}");
    }
}

/// A port whose connections never come about: its queue is full and nobody accepts.
struct Hole {
    address: SocketAddr,
    _listener: socket2::Socket,
    _filling: Vec<std::thread::JoinHandle<Option<TcpStream>>>,
}

impl Hole {
    fn dig() -> Self {
        let kind = socket2::Type::STREAM;
        let listener = socket2::Socket::new(socket2::Domain::IPV4, kind, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let fill = move || TcpStream::connect_timeout(&address, Duration::from_secs(60)).ok();
        let filling = (0..8).map(|_| std::thread::spawn(fill)).collect();
        time::until("its queue is full", || {
            TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_err()
        });
        Self { address, _listener: listener, _filling: filling }
    }
}

#[test]
fn one_upstream_in_trouble_leaves_the_others_alone() {
    let (silent, healthy) = (Script::always(vec![Act::Silence]), Script::always(ok("ok")));
    let yaml = one_upstream(&silent.url(), SHORT)
        + &format!("  healthy:\n    url: {}\n    route: /h\n", healthy.url());
    let gateway = Gateway::start(&yaml);
    let mut waiting = gateway.connect();
    waiting.send(&request("POST", "/v/a", &[], b""));
    silent.await_arrivals(1);
    let start = time::now();
    assert_eq!(gateway.get("/h/a").text(), "ok");
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    expected(&waiting.answer(), &TIMEOUT);
}

#[test]
fn a_truncated_head_is_told_from_silence() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: ";
    for (what, act) in [("closed", Act::Close), ("reset", Act::Reset)] {
        let script = Script::always(vec![raw(half), act]);
        let answer = before(&script.url()).post("/v/a", b"");
        let code = serde_json::from_str::<Value>(&answer.text()).unwrap()["code"].clone();
        let fitting = ["upstream_unreachable", PROTOCOL.code, TRUNCATED.code];
        assert!(fitting.iter().any(|fit| code == **fit), "{what}: {code}");
        assert_eq!((answer.status, script.arrivals()), (502, 1), "{what}");
    }
}

#[test]
fn nothing_of_the_vendors_inside_leaks() {
    let trace = "java.lang.NullPointerException\n\tat com.vendor.Internal.run(Internal.java:42)\n";
    let script = Script::answering(move |_: &Seen| {
        let headers = ["Server: vendor/1.2", "X-Powered-By: php", "Content-Type: text/plain"];
        vec![reply("500 Oops", &headers, trace.as_bytes())]
    });
    let answer = before(&script.url()).post("/v/a", b"");
    problem::expect(&answer, 502, "upstream_error", "upstream");
    assert!(!answer.text().contains("Internal.java"), "{}", answer.text());
    // Its end-to-end headers pass beside an error as they do beside a success.
    assert_eq!(answer.header("server"), Some("vendor/1.2"));
}

/// A client that stops sending its body is told so itself: nobody blames the vendor.
#[test]
fn a_body_that_stops_coming_is_the_clients_own_timeout() {
    let script = Script::always(ok("fine"));
    let gateway = before(&script.url());
    let mut client = gateway.connect();
    client.send(b"POST /v/a HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nhel");
    let problem = problem::expect(&client.answer(), 408, "request_timeout", "client");
    assert_eq!(problem["retryable"], false);
    time::until("the connection to the vendor is given up", || script.open() == 0);
}

/// An operator reads in the log that an upstream is held, and that it is open again.
#[test]
fn holds_are_told_in_the_log() {
    let script = Script::answering(|seen| match seen.target() {
        "/down" => vec![reply("503 Service Unavailable", &["retry-after: 1"], b"{}")],
        _ => ok("fine"),
    });
    let gateway = Gateway::start(&one_upstream(&script.url(), "wait: { default: 0s }"));
    gateway.get("/v/down");
    time::until("the hold is logged", || gateway.logs().contains("hold begins"));
    time::until("the hold ends", || gateway.get("/v/up").status == 200);
    time::until("its end is logged", || gateway.logs().contains("hold ended"));
}
