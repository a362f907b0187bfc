//! What changes between HTTP versions, and nothing else: header names, cookies, lengths, interim
//! responses, and methods that the gateway answers itself.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use socket2::{Domain, Socket, Type};

use crate::support::gateway::{Gateway, one_upstream};
use crate::support::script::{Act, Script, ok, raw, reply};
use crate::support::wire::{self, End, request};
use crate::support::{http2, problem, time};

#[track_caller]
fn gateway_to(script: &Script) -> Gateway {
    Gateway::start(&one_upstream(&script.url(), ""))
}

fn over_http2(gateway: &Gateway, method: &str, headers: &[(&str, &str)]) -> http2::Answer {
    let uri = format!("http://{}/v/a", gateway.address);
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    http2::call(gateway.address, request.body(Full::new(Bytes::new())).unwrap())
}

#[test]
fn header_names_are_written_as_they_came() {
    let headers = ["ETag: \"x\"", "X-Vendor-ID: 1", "lower-case: 2", "WWW-Custom: 3"];
    let script = Script::always(vec![reply("200 OK", &headers, b"ok")]);
    let auth = "auth: { header: X-API-KEY, value: { env: KEY } }";
    let yaml = one_upstream(&script.url(), auth);
    let gateway = Gateway::start_with(&yaml, &[("KEY", "secret")]);
    let mut connection = gateway.connect();
    for names in [["SOAPAction", "x-lower", "DNT"], ["soapaction", "X-LOWER", "dnt"]] {
        let sent: Vec<_> = names.iter().map(|name| (*name, "1")).collect();
        let key = [("x-Api-Key", "theirs")];
        connection.send(&request("POST", "/v/a", &[&sent[..], &key].concat(), b"body"));
        let answer = connection.answer();
        let seen = script.requests().pop().unwrap();
        let found: Vec<_> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
        let mut expected = names.to_vec();
        expected.extend(["Host", "X-API-KEY", "Content-Length"]);
        for name in expected {
            assert!(found.contains(&name), "{name} in {found:?}");
        }
        let found: Vec<_> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["ETag", "X-Vendor-ID", "lower-case", "WWW-Custom"] {
            assert!(found.contains(&name), "{name} in {found:?}");
        }
    }
}

#[test]
fn cookies_of_http2_arrive_as_one() {
    let script = Script::always(ok("ok"));
    let gateway = gateway_to(&script);
    let crumbs = [("cookie", "a=1"), ("x-other", "1"), ("cookie", "b=2; c=3"), ("cookie", "d=4")];
    assert_eq!(over_http2(&gateway, "GET", &crumbs).head.status, 200);
    assert_eq!(script.request().all("cookie"), ["a=1; b=2; c=3; d=4"]);
}

#[test]
fn a_method_that_expects_a_body_states_a_length_of_zero() {
    let script = Script::always(ok("ok"));
    let gateway = gateway_to(&script);
    for (method, length) in
        [("POST", vec!["0"]), ("PUT", vec!["0"]), ("PATCH", vec!["0"]), ("GET", vec![])]
    {
        assert_eq!(over_http2(&gateway, method, &[]).head.status, 200);
        let seen = script.requests().pop().unwrap();
        assert_eq!(seen.all("content-length"), length, "{method}");
        assert!(seen.all("transfer-encoding").is_empty(), "{method}");
    }
}

#[test]
fn nothing_follows_the_head_of_an_answer_to_head() {
    let script = Script::answering(|seen| match seen.target() {
        "/a" => vec![raw("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n")],
        _ => ok("ok"),
    });
    let gateway = gateway_to(&script);
    let answer = over_http2(&gateway, "HEAD", &[]);
    assert_eq!((answer.head.status.as_u16(), answer.body.len()), (404, 0));
    assert!(!answer.broken);
    let ours = over_http2(&gateway, "HEAD", &[("via", "1.1 x"), ("host", "other")]);
    assert_eq!((ours.head.status.as_u16(), ours.body.len(), ours.broken), (400, 0, false));
    let mut connection = gateway.connect();
    for target in ["/v/a", "/nowhere"] {
        connection.send(&request("HEAD", target, &[], b""));
        assert_eq!(connection.answer_if_any("HEAD").expect("a head").status, 404);
    }
    connection.send(&request("GET", "/v/b", &[], b""));
    assert_eq!(connection.answer().text(), "ok", "the connection is where it should be");
}

#[test]
fn an_optional_upgrade_is_ignored_and_a_required_one_rejected() {
    let script = Script::always(ok("ok"));
    let gateway = gateway_to(&script);
    for offer in ["TLS/1.2", "h2c", "HTTP/2.0, SHTTP/1.3"] {
        let headers = [
            ("Connection", "Upgrade, HTTP2-Settings"),
            ("Upgrade", offer),
            ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"),
        ];
        let answer = gateway.call(&request("GET", "/v/a", &headers, b""));
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "{offer}");
        let seen = script.requests().pop().unwrap();
        for name in ["upgrade", "connection", "http2-settings"] {
            assert!(seen.all(name).is_empty(), "{name}");
        }
    }
    let socket = [
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
    ];
    let answer = gateway.call(&request("GET", "/v/a", &socket, b""));
    problem::expect(&answer, 501, "upgrade_unsupported", "client");
}

#[test]
fn trace_is_rejected() {
    let script = Script::always(ok("ok"));
    let gateway = gateway_to(&script);
    for (method, hops) in [("TRACE", "5"), ("TRACE", "0"), ("trace", "5"), ("TRACK", "5")] {
        let answer = gateway.call(&request(method, "/v/a", &[("Max-Forwards", hops)], b""));
        problem::expect(&answer, 405, "method_not_allowed", "client");
        assert!(answer.header("allow").is_some_and(|allow| !allow.contains("TRACE")));
    }
    assert_eq!(over_http2(&gateway, "TRACE", &[]).head.status, 405);
    for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "x_method_override"] {
        let answer = gateway.call(&request("POST", "/v/a", &[(name, "trace")], b""));
        problem::expect(&answer, 405, "method_not_allowed", "client");
    }
    let answer = gateway.post("/v/a?%20_method=TRACE", b"");
    problem::expect(&answer, 405, "method_not_allowed", "client");
    assert_eq!(script.arrivals(), 0);
}

#[test]
fn max_forwards_is_honoured_for_options() {
    let script = Script::always(ok("ok"));
    let gateway = gateway_to(&script);
    let options = |hops| gateway.call(&request("OPTIONS", "/v/a", &[("Max-Forwards", hops)], b""));
    let mut connection = gateway.connect();
    connection.send(&request("OPTIONS", "/v/a", &[("Max-Forwards", "0")], b""));
    let answer = connection.answer();
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert!(answer.header("allow").is_some_and(|allow| allow.contains("OPTIONS")));
    assert_eq!(over_http2(&gateway, "OPTIONS", &[("max-forwards", "0")]).head.status, 204);
    assert_eq!(script.arrivals(), 0);
    for (hops, left) in [("1", "0"), ("10", "9")] {
        assert_eq!(options(hops).status, 200);
        assert_eq!(script.requests().pop().unwrap().all("max-forwards"), [left]);
    }
    gateway.call(&request("GET", "/v/a", &[("Max-Forwards", "0")], b""));
    assert_eq!(script.requests().pop().unwrap().all("max-forwards"), ["0"], "not about GET");
}

#[test]
fn early_hints_pass_to_clients_that_can_receive_them() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </v1/a.css>; rel=preload\r\nConnection: x-hop\r\n\
                 X-Hop: 1\r\n\r\n";
    let end = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
               HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let pause = Act::Wait(Duration::from_millis(300));
    let script = Script::always(vec![raw(hints), pause, raw(hints), raw(end)]);
    let gateway = gateway_to(&script);
    let mut connection = gateway.connect();
    for _ in 0..2 {
        connection.send(&request("GET", "/v/a", &[], b""));
        for status in [103, 103, 102] {
            let hint = connection.head().expect("a hint");
            assert_eq!(hint.status, status);
            let link = (status == 103).then_some("</v/v1/a.css>; rel=preload");
            assert_eq!(hint.header("link"), link);
            assert_eq!((hint.header("x-hop"), hint.header("connection")), (None, None));
        }
        let answer = connection.answer();
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        assert_eq!(answer.header("link"), None);
    }
    let old = gateway.call(b"GET /v/a HTTP/1.0\r\n\r\n");
    assert_eq!((old.status, old.interim.len()), (200, 0), "HTTP/1.0 knows no interim answers");
    assert_eq!(over_http2(&gateway, "GET", &[]).body, "ok");
}

#[test]
fn a_response_head_over_our_bound_is_not_counted_against_the_vendor() {
    let head = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok", "X: y\r\n".repeat(255));
    let script = Script::always(vec![raw(&head)]);
    let answer = gateway_to(&script).get("/v/a");
    assert_eq!((answer.status, answer.all("x").len()), (200, 255));
    let small = "head: { max: 1KiB }";
    let gateway = Gateway::start(&one_upstream(&script.url(), small));
    for _ in 0..30 {
        let answer = gateway.get("/v/a");
        let problem = problem::expect(&answer, 502, "upstream_protocol", "gateway");
        assert_eq!((&problem["attempts"], &problem["stopped_by"]), (&1.into(), &"final".into()));
        assert!(problem["detail"].as_str().unwrap().contains("`head.max`"), "{problem}");
        assert_eq!(problem["outcome_unknown"], false);
    }
    let logs = gateway.logs();
    assert!(!logs.contains("hold"), "it says nothing about the vendor: {logs}");
}

#[test]
fn te_is_named_in_connection() {
    let text = "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nContent-Length: 2\r\n\r\nok";
    let script = Script::always(vec![raw(text)]);
    let gateway = gateway_to(&script);
    let headers = [("TE", "trailers, gzip"), ("Connection", "TE"), ("Trailer", "X-Up")];
    let answer = gateway.call(&request("POST", "/v/a", &headers, b"body"));
    assert_eq!((answer.header("trailer"), answer.end), (None, End::Whole), "none follows");
    let seen = script.request();
    assert_eq!((seen.all("te"), seen.all("connection")), (vec!["trailers"], vec!["te"]));
    assert!(seen.all("trailer").is_empty(), "none follows");
}

#[test]
fn a_later_minor_version_is_read_as_http_1_1() {
    let script = Script::always(vec![raw("HTTP/1.3 200 OK\r\nContent-Length: 2\r\n\r\nok")]);
    let gateway = gateway_to(&script);
    let mut connection = gateway.connect();
    for _ in 0..2 {
        connection.send(b"GET /v/a HTTP/1.2\r\nHost: g\r\n\r\n");
        assert_eq!(connection.answer().text(), "ok");
    }
    assert_eq!(script.requests().pop().unwrap().line, "GET /a HTTP/1.1");
}

/// The log line about the body that broke off.
fn broken(gateway: &Gateway) -> serde_json::Value {
    let mut line = None;
    time::until("the break is recorded", || {
        let logs = gateway.logs();
        line =
            logs.lines().find(|line| line.contains("response body broke off")).map(str::to_owned);
        line.is_some()
    });
    serde_json::from_str(&line.unwrap()).expect("a line of JSON")
}

fn breaks(gateway: &Gateway, by: &str) -> bool {
    let metrics = wire::call(gateway.admin, &request("GET", "/metrics", &[], b"")).text();
    let name = format!("evenkeel_bodies_broken_total{{upstream=\"vendor\",by=\"{by}\"}} 1");
    metrics.lines().any(|line| line == name)
}

#[test]
fn a_body_that_the_vendor_breaks_off_is_recorded_at_its_end() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhalf of it";
    let script = Script::always(vec![raw(text), Act::Wait(PAUSE), Act::Close]);
    let gateway = gateway_to(&script);
    assert_eq!(gateway.get("/v/a?secret").end, End::Broken);
    let line = broken(&gateway);
    assert_eq!((&line["outcome"], &line["by"]), (&"broken".into(), &"upstream".into()), "{line}");
    assert_eq!((&line["bytes"], &line["path"]), (&10.into(), &"/v/a".into()), "{line}");
    let why = (&line["phase"], &line["failure"], &line["cause"]);
    let ended = "the connection was closed in the middle of the response";
    assert_eq!(why, (&"body".into(), &"truncated".into(), &ended.into()), "{line}");
    assert!(breaks(&gateway, "upstream") && !line.to_string().contains("secret"));
}

#[test]
fn a_client_that_leaves_in_the_middle_is_recorded() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhalf of it";
    let script = Script::always(vec![raw(text), Act::Silence]);
    let gateway = gateway_to(&script);
    let mut connection = gateway.connect();
    connection.send(&request("GET", "/v/a", &[], b""));
    connection.head().expect("a head");
    assert_eq!(connection.bytes(10), b"half of it");
    drop(connection);
    let line = broken(&gateway);
    assert_eq!((&line["by"], &line["cause"]), (&"client".into(), &"the client left".into()));
    assert_eq!(line["bytes"], 10, "{line}");
    assert!(breaks(&gateway, "client"));
}

const PAUSE: Duration = Duration::from_millis(200);

#[test]
fn a_client_that_does_not_read_is_cut_off_after_the_idle_timeout() {
    let body = vec![b'x'; 32 << 20];
    let script = Script::always(vec![reply("200 OK", &[], &body)]);
    let gateway = Gateway::start(&one_upstream(&script.url(), "timeouts: { idle: 1s }"));
    let mut connection = gateway.connect();
    connection.send(&request("GET", "/v/a", &[], b""));
    let began = time::now();
    let line = broken(&gateway);
    assert_eq!(line["cause"], "the client did not read", "{line}");
    let took = began.elapsed();
    assert!(Duration::from_millis(900) < took && took < Duration::from_secs(8), "{took:?}");
    assert_eq!(connection.answer().end, End::Broken);
}

#[test]
fn a_client_that_reads_slowly_is_not_cut_off() {
    let body = vec![b'x'; 32 << 20];
    let script = Script::always(vec![reply("200 OK", &[], &body)]);
    let gateway = Gateway::start(&one_upstream(&script.url(), "timeouts: { idle: 1s }"));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    socket.connect(&gateway.address.into()).unwrap();
    let mut client = TcpStream::from(socket);
    client.write_all(&request("GET", "/v/a", &[], b"")).unwrap();
    let (mut piece, began) = (vec![0; 60_000], time::now());
    while began.elapsed() < Duration::from_secs(4) {
        assert!(client.read(&mut piece).unwrap() > 0);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!gateway.logs().contains("response body broke off"), "{}", gateway.logs());
}

#[test]
fn over_http2_only_the_stalled_stream_is_reset() {
    let body = vec![b'x'; 4 << 20];
    let script = Script::always(vec![reply("200 OK", &[], &body)]);
    let gateway = Gateway::start(&one_upstream(&script.url(), "timeouts: { idle: 1s }"));
    let ask = || {
        let request = Request::get(format!("http://{}/v/a", gateway.address));
        request.body(Full::new(Bytes::new())).unwrap()
    };
    let paused = http2::call_and_pause(gateway.address, ask(), Duration::from_millis(2500));
    assert!(paused.broken && paused.body.len() < body.len());
    assert_eq!(broken(&gateway)["cause"], "the client did not read");
    let slow = http2::call_and_pause(gateway.address, ask(), PAUSE);
    assert!(!slow.broken && slow.body.len() == body.len(), "a short pause is none");
}
