//! A success passes byte for byte in both directions, as without a gateway.

use std::time::Duration;

use crate::support::gateway::{Gateway, one_upstream};
use crate::support::script::{Act, Reading, Script, Seen, ok, raw, reply};
use crate::support::wire::{Answer, End, request};
use crate::support::{problem, time};

#[track_caller]
fn gateway_to(script: &Script) -> Gateway {
    Gateway::start(&one_upstream(&script.url(), ""))
}

/// Headers that the gateway adds to a response.
const ADDED: [&str; 4] = ["via", "evenkeel-request-id", "x-request-id", "date"];

/// The headers of a response, sorted, without those that the gateway adds.
fn vendors(answer: &Answer) -> Vec<(String, String)> {
    let lower = answer.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
    let mut kept: Vec<_> = lower.filter(|(name, _)| !ADDED.contains(&name.as_str())).collect();
    kept.sort_by(|(one, _), (other, _)| one.cmp(other));
    kept
}

#[test]
fn a_success_passes_byte_for_byte() {
    let headers = [
        "Content-Type: text/plain; charset=odd",
        "ETag: W/\"x\"",
        "Set-Cookie: a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
        "Set-Cookie: b=2",
        "X-Many: 2",
        "X-Many: 1",
        "X-Request-Id: theirs",
        "Server: vendor",
    ];
    let body = b"\0\xff\r\n\r\nHTTP/1.1 500 no\r\n";
    let script = Script::always(vec![reply("203 Whatever", &headers, body)]);
    let gateway = gateway_to(&script);
    let answer = gateway.get("/v/a");
    assert_eq!((answer.status, &*answer.body, answer.end), (203, &body[..], End::Whole));
    let mut expected: Vec<(String, String)> = headers[..6]
        .iter()
        .chain(&headers[7..])
        .map(|header| header.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    expected.push(("content-length".into(), body.len().to_string()));
    expected.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(vendors(&answer), expected);
    assert_eq!(answer.header("x-request-id"), Some("theirs"));
    assert!(answer.header("evenkeel-request-id").is_some());
    assert!(answer.header("via").unwrap().starts_with("1.1 evenkeel"));
}

#[test]
fn encodings_and_ranges_pass_unchanged() {
    let rows: [(&str, &[&str], &[u8]); 3] = [
        ("200 OK", &["Content-Encoding: gzip"], b"\x1f\x8b not gzip at all"),
        ("200 OK", &["Content-Encoding: br", "Vary: Accept-Encoding"], b"\x0b\x02\x80"),
        ("206 Partial", &["Content-Range: bytes 3-5/9", "Accept-Ranges: bytes"], b"def"),
    ];
    for (status, headers, body) in rows {
        let script = Script::always(vec![reply(status, headers, body)]);
        let gateway = gateway_to(&script);
        let wanted = [("Accept-Encoding", "gzip, br"), ("Range", "bytes=3-5")];
        let answer = gateway.call(&request("GET", "/v/a", &wanted, b""));
        assert_eq!((answer.status.to_string().as_str(), &*answer.body), (&status[..3], body));
        for header in headers {
            let (name, value) = header.split_once(": ").unwrap();
            assert_eq!(answer.header(name), Some(value));
        }
        let seen = script.request();
        assert_eq!(seen.all("range"), ["bytes=3-5"]);
        assert_eq!(seen.all("accept-encoding"), ["gzip, br"]);
    }
}

#[test]
fn responses_without_a_body_stay_so() {
    let rows = [
        ("GET", "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", 204, None),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 9\r\n\r\n", 304, None),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 200, Some("9")),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, None),
    ];
    for (method, text, status, length) in rows {
        let script = Script::always(vec![raw(text)]);
        let gateway = gateway_to(&script);
        let mut connection = gateway.connect();
        for _ in 0..2 {
            connection.send(&request(method, "/v/a", &[], b""));
            let answer = connection.answer_if_any(method).expect("an answer");
            assert_eq!((answer.status, answer.body.len()), (status, 0), "{method} {text}");
            if length.is_some() {
                assert_eq!(answer.header("content-length"), length, "{method} {text}");
            }
        }
        assert_eq!(script.connections(), 1, "the upstream's connection is kept: {text}");
    }
}

#[test]
fn a_request_arrives_as_it_was_sent() {
    let script = Script::always(ok("ok"));
    let gateway = Gateway::start(&one_upstream(&format!("{}/base", script.url()), ""));
    let headers = [
        ("Content-Type", "application/json"),
        ("Authorization", "Bearer theirs"),
        ("Cookie", "a=1; b=2"),
        ("X-Many", "2"),
        ("X-Many", "1"),
        ("X-Request-Id", "r-1"),
        ("User-Agent", "suite"),
    ];
    let body = b"\0{\"a\" :  1}\r\n\xff";
    let answer = gateway.call(&request("PATCH", "/v/a/b?c=%20d", &headers, body));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("evenkeel-request-id"), Some("r-1"));
    assert_eq!(answer.header("x-request-id"), Some("r-1"));
    let seen = script.request();
    assert_eq!(seen.line, "PATCH /base/a/b?c=%20d HTTP/1.1");
    assert_eq!(seen.body, body);
    assert_eq!(seen.all("host"), [script.address.to_string()]);
    assert_eq!(seen.all("content-length"), [body.len().to_string()]);
    assert_eq!(seen.all("x-many"), ["2", "1"]);
    for (name, value) in &headers[..3] {
        assert_eq!(seen.all(name), [*value]);
    }
    let mut names: Vec<_> = seen.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    names.sort();
    let expected = [
        "authorization",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "user-agent",
        "via",
        "x-many",
        "x-many",
        "x-request-id",
    ];
    assert_eq!(names, expected, "nothing is added but Via");
}

#[test]
fn targets_keep_every_byte_after_the_prefix() {
    let script = Script::always(ok("ok"));
    let gateway = gateway_to(&script);
    let tails = [
        "//a//b",
        "/a%2fb%2F",
        "/%41%7e",
        "/a;v=1",
        "/x?",
        "/x??a=?&&b=;c=%20+&a",
        "/a/./b",
        "/x?u=https://h/p?q=1",
        "/@:!$&'()*+,=~-_",
        "/%00%25%3b%3f%23%5c",
        "/x?a=/../b",
        "",
    ];
    for tail in tails {
        let answer = gateway.get(&format!("/v{tail}"));
        assert_eq!(answer.status, 200, "{tail}: {}", answer.text());
        let seen = script.requests().pop().unwrap();
        let arrived: Vec<u8> = seen.target().chars().map(|c| u8::try_from(c).unwrap()).collect();
        let expected = if tail.is_empty() { "/" } else { tail };
        assert_eq!(String::from_utf8_lossy(&arrived), expected);
    }
}

#[test]
fn a_target_beyond_ascii_passes_unchanged_or_not_at_all() {
    let script = Script::always(ok("ok"));
    let gateway = gateway_to(&script);
    let answer = gateway.get("/v/caf\u{e9}?\u{e9}");
    match answer.status {
        200 => {
            let seen = script.request();
            let bytes = seen.target().chars().map(|c| u8::try_from(c).unwrap());
            assert_eq!(bytes.collect::<Vec<_>>(), "/caf\u{e9}?\u{e9}".as_bytes());
        }
        status => assert_eq!((status, script.arrivals()), (400, 0)),
    }
}

#[test]
fn a_path_that_leaves_its_route_is_rejected() {
    let script = Script::always(ok("ok"));
    let gateway = gateway_to(&script);
    for tail in ["/..", "/../x", "/a/%2e%2E/b", "/a/..%2fb", "/..;x"] {
        problem::expect(&gateway.get(&format!("/v{tail}")), 400, "invalid_request", "client");
    }
    assert_eq!(script.arrivals(), 0);
}

#[test]
fn hop_by_hop_headers_are_not_forwarded() {
    let text = "HTTP/1.1 200 OK\r\nConnection: x-theirs, keep-alive\r\nX-Theirs: 1\r\n\
                Keep-Alive: timeout=9\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nok";
    let script = Script::always(vec![raw(text)]);
    let gateway = gateway_to(&script);
    let headers = [
        ("Connection", "keep-alive, X-Mine, Content-Length, via"),
        ("X-Mine", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic eA=="),
        ("TE", "gzip"),
        ("Forwarded", "for=192.0.2.9"),
        ("X-Forwarded-For", "192.0.2.9"),
        ("X-Forwarded-Proto", "https"),
        ("X_Forwarded_For", "192.0.2.9"),
        ("X-Real-IP", "192.0.2.9"),
        ("Evenkeel-Anything", "x"),
        ("Prefer", "return=minimal, wait=5"),
        ("X-Stays", "1"),
    ];
    let answer = gateway.call(&request("POST", "/v/a", &headers, b"body"));
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    assert_eq!(answer.header("preference-applied"), Some("wait=5"));
    for name in ["x-theirs", "keep-alive", "proxy-authenticate"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    let seen = script.request();
    let mut names: Vec<_> = seen.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    names.sort();
    assert_eq!(names, ["content-length", "host", "prefer", "via", "x-stays"]);
    assert_eq!(seen.all("prefer"), ["return=minimal"]);
    assert_eq!(seen.body, b"body");
}

#[test]
fn a_request_loop_is_recognised_by_our_via_entry() {
    let script = Script::always(ok("ok"));
    let gateway = gateway_to(&script);
    let answer = gateway.call(&request("GET", "/v/a", &[("Via", "1.1 evenkeel-other")], b""));
    assert_eq!(answer.status, 200);
    let seen = script.request();
    let via = seen.all("via").join(", ");
    assert!(via.starts_with("1.1 evenkeel-other, 1.1 evenkeel-"), "{via}");
    let again = gateway.call(&request("GET", "/v/a", &[("Via", &via)], b""));
    problem::expect(&again, 508, "loop_detected", "gateway");
    assert_eq!(script.arrivals(), 1);
}

#[test]
fn locations_under_the_upstream_are_mapped_to_the_gateway() {
    let script = Script::answering(|seen| {
        let host = seen.all("host")[0];
        let location = match seen.target() {
            "/base/absolute" => format!("http://{host}/base/jobs/7?x=1"),
            "/base/path" => "/base/jobs/7".to_owned(),
            "/base/foreign" => "https://other.example/base/x".to_owned(),
            _ => "jobs/7".to_owned(),
        };
        vec![reply("302 Found", &[&format!("Location: {location}")], b"")]
    });
    let rows = [
        ("", "absolute", "http://gateway.test/v/jobs/7?x=1"),
        ("", "path", "/v/jobs/7"),
        ("", "foreign", "https://other.example/base/x"),
        ("", "relative", "jobs/7"),
        ("redirects: pass", "path", "/base/jobs/7"),
    ];
    for (more, path, expected) in rows {
        let gateway = Gateway::start(&one_upstream(&format!("{}/base", script.url()), more));
        let answer = gateway.get(&format!("/v/{path}"));
        assert_eq!((answer.status, answer.header("location")), (302, Some(expected)), "{path}");
    }
}

#[test]
fn the_clients_address_is_sent_only_if_configured() {
    let script = Script::always(ok("ok"));
    let gateway = Gateway::start(&one_upstream(&script.url(), "client_address: send"));
    gateway.call(&request("GET", "/v/a", &[("X-Forwarded-For", "192.0.2.9")], b""));
    let seen = script.request();
    assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.all("forwarded"), ["for=127.0.0.1"]);
}

#[test]
fn our_credential_replaces_the_clients_and_its_key_is_not_forwarded() {
    let script = Script::always(ok("ok"));
    let auth = "auth: { header: x-api-key, value: { env: VENDOR_KEY } }";
    let yaml = one_upstream(&script.url(), auth) + "clients:\n  shop: { key: { env: SHOP_KEY } }\n";
    let variables = [("VENDOR_KEY", "vendor-secret"), ("SHOP_KEY", "shop-secret")];
    let gateway = Gateway::start_with(&yaml, &variables);
    let theirs = ("X-Api-Key", "theirs");
    let twin = ("X_Api_Key", "theirs");
    for key in [("Evenkeel-Key", "shop-secret"), ("Authorization", "Bearer shop-secret")] {
        let answer = gateway.call(&request("GET", "/v/a", &[key, theirs, twin], b""));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = script.requests().pop().unwrap();
        assert_eq!(seen.all("x-api-key"), ["vendor-secret"]);
        let raw = String::from_utf8_lossy(&seen.raw).into_owned();
        assert!(!raw.contains("shop-secret") && !raw.contains("theirs"), "{raw}");
    }
    problem::expect(&gateway.get("/v/a"), 401, "unauthenticated", "client");
    assert_eq!(script.arrivals(), 2);
    let logs = gateway.logs();
    assert!(!logs.contains("vendor-secret") && !logs.contains("shop-secret"), "{logs}");
}

#[test]
fn traces_continue_under_a_span_of_our_own() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let script = Script::always(ok("ok"));
    let gateway = gateway_to(&script);
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    gateway.call(&request("GET", "/v/a", &[("traceparent", &parent)], b""));
    let seen = script.request();
    let sent = seen.all("traceparent")[0];
    assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-01"), "{sent}");
    assert_ne!(sent, parent);
}

#[test]
fn chunks_and_trailers_pass() {
    let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\nContent-Length: 9\r\n\r\n";
    let script = Script::always(vec![raw(text)]);
    let gateway = gateway_to(&script);
    let mut connection = gateway.connect();
    let sent = "POST /v/a HTTP/1.1\r\nHost: g\r\nTE: trailers\r\nConnection: TE\r\n\
                Transfer-Encoding: chunked\r\nTrailer: X-Up\r\n\r\n\
                4;drop=me\r\nbody\r\n0\r\nX-Up: 4\r\n\r\n";
    connection.send(sent.as_bytes());
    let answer = connection.answer();
    assert_eq!((answer.text().as_str(), answer.end), ("abcde", End::Whole));
    assert_eq!(answer.trailers.len(), 1, "{:?}", answer.trailers);
    assert!(answer.trailers[0].0.eq_ignore_ascii_case("x-sum") && answer.trailers[0].1 == "5");
    let seen = script.request();
    assert_eq!((&*seen.body, seen.all("te")), (&b"body"[..], vec!["trailers"]));
    assert_eq!(seen.trailers.to_lowercase(), "x-up: 4\n");
    assert!(!String::from_utf8_lossy(&seen.raw).contains("drop"), "no extension goes on");
}

#[test]
fn trailers_that_belong_in_a_head_are_dropped() {
    let forbidden = ["Host: evil", "Content-Length: 9", "Authorization: evil", "Connection: evil"];
    for trailer in forbidden {
        let script = Script::always(ok("ok"));
        let gateway = gateway_to(&script);
        let sent = format!(
            "POST /v/a HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\nTrailer: X-Up\r\n\r\n\
             4\r\nbody\r\n0\r\n{trailer}\r\n\r\n"
        );
        let answer = gateway.call(sent.as_bytes());
        assert!([200, 400].contains(&answer.status), "{trailer}: {}", answer.status);
        let arrived = script.requests().iter().any(|seen| !seen.trailers.is_empty());
        assert!(!arrived, "{trailer} went on");
    }
}

#[test]
fn an_expectation_is_answered_with_100_continue() {
    let script = Script::always(ok("ok"));
    let gateway = gateway_to(&script);
    let mut connection = gateway.connect();
    let head = "POST /v/a HTTP/1.1\r\nHost: g\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    connection.send(head.as_bytes());
    assert_eq!(connection.head().expect("an interim answer").status, 100);
    connection.send(b"body");
    assert_eq!(connection.answer().text(), "ok");
    let seen = script.request();
    assert_eq!((&*seen.body, seen.all("expect")), (&b"body"[..], vec![]));
}

#[test]
fn an_early_response_does_not_wait_for_the_upload() {
    static PIECE: [u8; 64 << 10] = [7; 64 << 10];
    const PIECES: usize = 16 << 10;
    let acts = vec![reply("200 OK", &["Connection: close"], b"early"), Act::Silence];
    let script = Script::reading(Reading::Head, move |_| acts.clone());
    let gateway = gateway_to(&script);
    let mut connection = gateway.connect();
    let length = PIECE.len() * PIECES;
    let head = format!("POST /v/a HTTP/1.1\r\nHost: g\r\nContent-Length: {length}\r\n\r\n");
    connection.send(head.as_bytes());
    connection.send_what_goes(&PIECE);
    let answer = connection.answer();
    assert_eq!((answer.status, answer.text().as_str()), (200, "early"));
    time::until("the upstream's connection is given up", || {
        connection.send_what_goes(&PIECE);
        script.open() == 0
    });
}

#[test]
fn interim_responses_do_not_affect_the_final_one() {
    let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n\
                HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let script = Script::always(vec![raw(text)]);
    let answer = gateway_to(&script).get("/v/a");
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    assert_eq!(answer.header("link"), None);
}

#[test]
fn bodies_are_streamed() {
    let pause = Duration::from_millis(1500);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";
    let rest = "9\r\ndata: 2\n\n\r\n0\r\n\r\n";
    let script = Script::always(vec![raw(head), Act::Wait(pause), raw(rest)]);
    let gateway = gateway_to(&script);
    let mut connection = gateway.connect();
    let start = time::now();
    connection.send(&request("GET", "/v/events", &[], b""));
    assert_eq!(connection.head().expect("a head").status, 200);
    assert_eq!(connection.bytes(14), b"9\r\ndata: 1\n\n\r\n");
    assert!(start.elapsed() < pause, "the first event waits for nothing");
    assert_eq!(connection.bytes(rest.len()), rest.as_bytes());
}

#[test]
fn large_bodies_pass_in_constant_memory() {
    const MIB: usize = 1 << 20;
    const SIZE: usize = 40 * MIB;
    let pattern: Vec<u8> = (0..=250).cycle().take(SIZE).collect();
    let answering = |seen: &Seen| vec![reply("200 OK", &[], &seen.body)];
    let script = Script::answering(answering);
    let gateway = gateway_to(&script);
    let at_rest = gateway.resident_kib();
    let answer = gateway.post("/v/a", &pattern);
    assert_eq!((answer.status, answer.end), (200, End::Whole));
    assert!(answer.body == pattern, "what went up comes down");
    let grown = gateway.resident_kib().saturating_sub(at_rest);
    assert!(grown < 16 << 10, "{grown} KiB more than at rest");
}
