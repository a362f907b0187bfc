//! Upstreams that misbehave: the client gets a response or a visible abort in time, with the right
//! code; nothing is sent twice unless it may be; the connection is closed, and nothing leaks.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::support::gateway::{Gateway, one_upstream};
use crate::support::script::{Act, Reading, Script, Seen, ok, raw, reply};
use crate::support::wire::{Answer, End, request};
use crate::support::{problem, time};
use crate::targets::vectors;

/// Short timeouts and two attempts, so that every case ends soon.
const SHORT: &str = "\
timeouts: { connect: 500ms, attempt: 1s, idle: 1s }
retry: { attempts: 2, backoff: { base: 10ms, factor: 1, max: 10ms }, budget: 100% }
";

/// Longer than all timeouts of `SHORT` together.
const SOON: Duration = Duration::from_secs(5);

#[track_caller]
fn gateway_to(url: &str) -> Gateway {
    Gateway::start(&one_upstream(url, SHORT))
}

/// The expected problem of a call that cannot succeed.
struct ExpectedProblem {
    status: u16,
    code: &'static str,
    source: &'static str,
    /// Whether the vendor may have acted.
    unknown: bool,
}

const TIMEOUT: ExpectedProblem =
    ExpectedProblem { status: 504, code: "upstream_timeout", source: "gateway", unknown: true };
const PROTOCOL: ExpectedProblem =
    ExpectedProblem { status: 502, code: "upstream_protocol", source: "gateway", unknown: true };
const TRUNCATED: ExpectedProblem =
    ExpectedProblem { status: 502, code: "upstream_truncated", source: "gateway", unknown: true };

/// Checks that a POST arrives once and a GET twice, and that both end with this problem in time, on
/// connections that are closed.
#[track_caller]
fn fails(what: &str, acts: &[Act], expected_problem: &ExpectedProblem) {
    for (method, arrivals) in [("POST", 1), ("GET", 2)] {
        let script = Script::always(acts.to_vec());
        let gateway = gateway_to(&script.url());
        let start = time::now();
        let answer = gateway.call(&request(method, "/v/a", &[], b""));
        assert!(start.elapsed() < SOON, "{what}: {:?}", start.elapsed());
        let problem = expected(&answer, expected_problem);
        if method == "POST" {
            assert_eq!(problem["outcome_unknown"], expected_problem.unknown, "{what}: {problem:#}");
        }
        assert_eq!(script.arrivals(), arrivals, "{what}: arrivals of {method}");
        assert_eq!(script.connections(), arrivals, "{what}: a connection is not used again");
        time::until(&format!("{what}: connections close"), || script.open() == 0);
    }
}

#[track_caller]
fn expected(answer: &Answer, expected_problem: &ExpectedProblem) -> Value {
    problem::expect(answer, expected_problem.status, expected_problem.code, expected_problem.source)
}

/// Checks that a started response breaks off visibly, and that nothing is sent again, not even a
/// GET.
#[track_caller]
fn breaks_off(what: &str, acts: Vec<Act>, delivered: &[u8]) {
    let script = Script::always(acts);
    let gateway = gateway_to(&script.url());
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
fn a_silent_upstream_is_a_timeout() {
    fails("accepts and never answers", &[Act::Silence], &TIMEOUT);
    fails("a status line, then silence", &[raw("HTTP/1.1 200 OK\r\n"), Act::Silence], &TIMEOUT);
    let truncated = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: ";
    fails("half a head, then silence", &[raw(truncated), Act::Silence], &TIMEOUT);
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    fails("100, then nothing", &[raw(interim), Act::Silence], &TIMEOUT);
    let drip = Act::Drip(b"HTTP/1.1 200 OK\r\n".to_vec(), Duration::from_millis(200));
    fails("a head byte by byte", &[drip, Act::Silence], &TIMEOUT);
}

#[test]
fn a_connection_closed_before_a_response_is_an_upstream_error() {
    for (what, act) in [("closes", Act::Close), ("resets", Act::Reset), ("half-closes", Act::Fin)] {
        for (method, arrivals) in [("POST", 1), ("GET", 2)] {
            let script = Script::always(vec![act.clone()]);
            let gateway = gateway_to(&script.url());
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

/// `codec::wire` sends a POST for every vector; here a GET is sent again and no connection is kept.
#[test]
fn malformed_responses_are_protocol_errors() {
    let mut vectors = vectors::read("response-heads.txt");
    vectors.retain(|vector| vector.expected == "malformed");
    for vector in vectors.into_iter().step_by(7) {
        fails(&vector.place, &[raw(vector.input), Act::Silence], &PROTOCOL);
    }
}

#[test]
fn an_endless_response_head_is_a_protocol_error() {
    let text = format!("HTTP/1.1 200 OK\r\n{}", "X-Bomb: 0123456789\r\n".repeat(60_000));
    for method in ["GET", "POST"] {
        let script = Script::always(vec![raw(text.clone()), Act::Silence]);
        let gateway = gateway_to(&script.url());
        let answer = gateway.call(&request(method, "/v/a", &[], b""));
        let problem = problem::expect(&answer, 502, "upstream_protocol", "gateway");
        assert_eq!(problem["outcome_unknown"], method == "POST", "{problem:#}");
        assert_eq!(script.arrivals(), 1, "the same answer would come again");
    }
}

#[test]
fn a_body_that_breaks_off_is_visibly_aborted() {
    let counted = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nde";
    for (how, act) in [("FIN", Act::Close), ("RST", Act::Reset), ("silence", Act::Silence)] {
        let acts = vec![raw(counted), Act::Wait(Duration::from_millis(100)), act.clone()];
        breaks_off(&format!("a counted body, then {how}"), acts, b"abc");
        let acts = vec![raw(chunked), Act::Wait(Duration::from_millis(100)), act];
        breaks_off(&format!("chunks, then {how}"), acts, b"abcde");
    }
    // Bytes before the break are delivered even if the break is known before anything is sent.
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
        let answer = gateway_to(&script.url()).post("/v/a", b"");
        let problem = problem::expect(&answer, 400, "invalid_request", "upstream");
        assert_eq!(problem["upstream"]["recognised"], false, "{problem:#}");
        assert_eq!(script.arrivals(), 1);
    }
}

#[test]
fn a_wrong_content_encoding_keeps_the_vendors_status() {
    let rows: [(&str, &[u8]); 4] = [
        ("gzip", b"{\"error\":\"plain\"}"),
        ("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x56"),
        ("br", b"\xff\xff\xff"),
        ("made-up", b"whatever"),
    ];
    for (label, body) in rows {
        let encoding = format!("Content-Encoding: {label}");
        let script = Script::always(vec![reply("400 Bad", &[&encoding], body)]);
        let answer = gateway_to(&script.url()).post("/v/a", b"");
        problem::expect(&answer, 400, "invalid_request", "upstream");
        assert_eq!(answer.header("content-encoding"), None, "{label}");
        assert_eq!(script.arrivals(), 1);
    }
}

#[test]
fn a_slow_body_passes_while_bytes_arrive() {
    let head = raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    let drip = Act::Drip(b"abcde".to_vec(), Duration::from_millis(400));
    let script = Script::always(vec![head, drip]);
    let answer = gateway_to(&script.url()).get("/v/a");
    assert_eq!((answer.text().as_str(), answer.end), ("abcde", End::Whole));
}

#[test]
fn bytes_after_a_response_never_become_the_next_response() {
    let smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\
                    Content-Length: 4\r\n\r\nevil";
    let script = Script::answering(move |seen| match seen.number {
        1 => vec![raw(smuggled)],
        _ => ok("honest"),
    });
    let gateway = gateway_to(&script.url());
    let mut connection = gateway.connect();
    connection.send(&request("GET", "/v/a", &[], b""));
    assert_eq!(connection.answer().text(), "ok");
    connection.send(&request("GET", "/v/b", &[], b""));
    assert_eq!(connection.answer().text(), "honest");
    assert_eq!(script.connections(), 2, "the connection that said too much is given up");
}

#[test]
fn a_body_longer_than_announced_is_cut() {
    let script = Script::answering(|seen| match seen.number {
        1 => vec![raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more")],
        _ => ok("honest"),
    });
    let gateway = gateway_to(&script.url());
    assert_eq!(gateway.get("/v/a").text(), "ok");
    assert_eq!(gateway.get("/v/b").text(), "honest");
    assert_eq!(script.connections(), 2);
}

#[test]
fn an_unsolicited_response_answers_at_most_one_request() {
    // Unsolicited bytes cannot be distinguished from an early response, but answer one request at
    // most. The connection is closed afterwards, because a second response on it could not be
    // matched to a request.
    let unasked = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly";
    let script = Script::greeting(vec![raw(unasked), Act::Close]);
    let gateway = gateway_to(&script.url());
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
fn the_body_of_a_204_is_dropped() {
    let text = "HTTP/1.1 204 No\r\nContent-Length: 4\r\n\r\nevil";
    let script = Script::answering(move |seen| match seen.number {
        1 => vec![raw(text)],
        _ => ok("honest"),
    });
    let gateway = gateway_to(&script.url());
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
    for (status, expected_problem, code) in rows {
        let pause = Act::Wait(Duration::from_millis(300));
        let acts = vec![reply(status, &["Connection: close"], b""), pause, Act::Close];
        let script = Script::reading(Reading::Head, move |_| acts.clone());
        let gateway = gateway_to(&script.url());
        let mut connection = gateway.connect();
        let head = "POST /v/a HTTP/1.1\r\nHost: g\r\nContent-Length: 1073741824\r\n\r\n";
        connection.send(head.as_bytes());
        connection.send_what_goes(&PIECE);
        let answer = connection.answer();
        problem::expect(&answer, expected_problem, code, "upstream");
        assert_eq!(script.arrivals(), 1, "{status}: nothing of it is sent again");
    }
}

#[test]
fn many_interim_responses_end_with_a_final_one() {
    let interim = "HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n".repeat(20);
    let text = format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let script = Script::always(vec![raw(text)]);
    let answer = gateway_to(&script.url()).post("/v/a", b"");
    assert_eq!(script.arrivals(), 1);
    assert!(answer.interim.iter().all(|status| *status != 100), "that is ours to say");
    match answer.status {
        200 => assert_eq!(answer.text(), "ok"),
        _ => drop(expected(&answer, &PROTOCOL)),
    }
}

#[test]
fn connection_close_is_honoured_and_a_silent_close_is_noticed() {
    // It announces a close and stays open: the next call uses another connection.
    let script = Script::always(vec![reply("200 OK", &["Connection: close"], b"ok")]);
    let gateway = gateway_to(&script.url());
    assert_eq!(
        (gateway.get("/v/a").text(), gateway.post("/v/b", b"").text()),
        ("ok".into(), "ok".into())
    );
    assert_eq!((script.arrivals(), script.connections()), (2, 2));
    // It closes without announcing it: the next call still succeeds.
    let script = Script::always([ok("ok"), vec![Act::Close]].concat());
    let gateway = gateway_to(&script.url());
    for target in ["/v/a", "/v/b", "/v/c"] {
        assert_eq!(gateway.post(target, b"x").text(), "ok");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!((script.arrivals(), script.connections()), (3, 3));
}

#[test]
fn redirects_are_not_followed() {
    let script = Script::always(vec![reply("302 Found", &["Location: /a"], b"")]);
    let answer = gateway_to(&script.url()).get("/v/a");
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
    let port = FullBacklog::new();
    unreachable(&format!("http://{}", port.address));
}

#[track_caller]
fn unreachable(url: &str) {
    let gateway = gateway_to(url);
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

/// A port on which no connection is established: its backlog is full and never accepted.
struct FullBacklog {
    address: SocketAddr,
    _listener: socket2::Socket,
    _filling: Vec<std::thread::JoinHandle<Option<TcpStream>>>,
}

impl FullBacklog {
    fn new() -> Self {
        let kind = socket2::Type::STREAM;
        let listener = socket2::Socket::new(socket2::Domain::IPV4, kind, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let fill = move || TcpStream::connect_timeout(&address, Duration::from_secs(60)).ok();
        let filling = (0..8).map(|_| std::thread::spawn(fill)).collect();
        time::until("the backlog is full", || {
            TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_err()
        });
        Self { address, _listener: listener, _filling: filling }
    }
}

#[test]
fn a_failing_upstream_does_not_affect_others() {
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
fn a_truncated_head_is_not_a_timeout() {
    let truncated = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: ";
    for (what, act) in [("closed", Act::Close), ("reset", Act::Reset)] {
        let script = Script::always(vec![raw(truncated), act]);
        let answer = gateway_to(&script.url()).post("/v/a", b"");
        let code = serde_json::from_str::<Value>(&answer.text()).unwrap()["code"].clone();
        let fitting = ["upstream_unreachable", PROTOCOL.code, TRUNCATED.code];
        assert!(fitting.iter().any(|fit| code == **fit), "{what}: {code}");
        assert_eq!((answer.status, script.arrivals()), (502, 1), "{what}");
    }
}

#[test]
fn a_vendors_stack_trace_does_not_reach_the_client() {
    let trace = "java.lang.NullPointerException\n\tat com.vendor.Internal.run(Internal.java:42)\n";
    let script = Script::answering(move |_: &Seen| {
        let headers = ["Server: vendor/1.2", "X-Powered-By: php", "Content-Type: text/plain"];
        vec![reply("500 Oops", &headers, trace.as_bytes())]
    });
    let answer = gateway_to(&script.url()).post("/v/a", b"");
    problem::expect(&answer, 502, "upstream_error", "upstream");
    assert!(!answer.text().contains("Internal.java"), "{}", answer.text());
    // End-to-end headers pass with an error as they do with a success.
    assert_eq!(answer.header("server"), Some("vendor/1.2"));
}

#[test]
fn a_request_body_that_stops_arriving_is_the_clients_timeout() {
    let script = Script::always(ok("fine"));
    let gateway = gateway_to(&script.url());
    let mut client = gateway.connect();
    client.send(b"POST /v/a HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nhel");
    let problem = problem::expect(&client.answer(), 408, "request_timeout", "client");
    assert_eq!(problem["retryable"], false);
    time::until("the connection to the vendor is given up", || script.open() == 0);
}

#[test]
fn holds_are_logged_when_they_begin_and_end() {
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
