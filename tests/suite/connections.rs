//! Connections on both sides of the gateway: reused, half-closed, of another HTTP version,
//! translated between versions, rejected, drained. `transparency` tests what travels on them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};

use crate::support::gateway::{Gateway, one_upstream};
use crate::support::script::{Act, Script, ok, raw, reply};
use crate::support::wire::{End, request};
use crate::support::{http2, problem};

#[track_caller]
fn gateway_to(script: &Script) -> Gateway {
    Gateway::start(&one_upstream(&script.url(), ""))
}

#[test]
fn a_half_closed_client_is_answered_or_disconnected() {
    let script = Script::always(vec![Act::Wait(Duration::from_millis(100)), ok("ok").remove(0)]);
    let gateway = gateway_to(&script);
    let mut connection = gateway.connect();
    connection.send(&request("POST", "/v/a", &[], b"body"));
    connection.finish();
    let answer = connection.answer_if_any("POST");
    // A client that half-closed may be treated as gone, but must not be left waiting.
    if let Some(answer) = answer {
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    }
    assert!(connection.is_ended());
}

#[test]
fn a_client_connection_serves_many_calls() {
    let script = Script::answering(|seen| ok(&format!("{} {}", seen.number, seen.target())));
    let gateway = gateway_to(&script);
    let mut connection = gateway.connect();
    for number in 1..=5 {
        connection.send(&request("POST", &format!("/v/{number}"), &[], b"x"));
        assert_eq!(connection.answer().text(), format!("{number} /{number}"));
    }
    let pipelined = [request("GET", "/v/6", &[], b""), request("GET", "/v/7", &[], b"")].concat();
    connection.send(&pipelined);
    assert_eq!(connection.answer().text(), "6 /6");
    assert_eq!(connection.answer().text(), "7 /7");
    assert_eq!(script.connections(), 1, "one upstream connection is enough");
}

#[test]
fn an_authenticated_upstream_connection_serves_only_its_own_client() {
    let names = Mutex::new(HashMap::new());
    let script = Script::answering(move |seen| {
        let mut names = names.lock().unwrap();
        let challenge = |value| vec![reply("401 Unauthorized", &[value], b"")];
        match seen.all("authorization").first().and_then(|value| value.strip_prefix("NTLM ")) {
            Some("hello") => challenge("WWW-Authenticate: NTLM challenge"),
            Some(name) => {
                names.insert(seen.connection, name.to_owned());
                ok(name)
            }
            None => match names.get(&seen.connection) {
                Some(name) => ok(name),
                None => challenge("WWW-Authenticate: NTLM"),
            },
        }
    });
    let gateway = gateway_to(&script);
    let get = |token: Option<&str>| {
        let value = token.map(|token| format!("NTLM {token}"));
        let headers = value.as_deref().map(|value| ("authorization", value));
        request("GET", "/v/a", &headers.into_iter().collect::<Vec<_>>(), b"")
    };
    let mut clients = [(gateway.connect(), "alice"), (gateway.connect(), "bob")];
    for step in 0..20 {
        for (client, name) in &mut clients {
            let token = [None, Some("hello"), Some(*name)];
            client.send(&get(if step < 3 { token[step] } else { None }));
            let answer = client.answer();
            match step {
                0 | 1 => assert_eq!(answer.status, 401),
                _ => assert_eq!(answer.text(), *name, "step {step}"),
            }
        }
    }
    assert_eq!(gateway.get("/v/a").status, 401, "another client is nobody");
}

#[test]
fn http_1_0_clients_are_served() {
    let script = Script::always(vec![raw(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    )]);
    let gateway = gateway_to(&script);
    let mut connection = gateway.connect();
    connection.send(b"GET /v/a HTTP/1.0\r\nHost: g\r\n\r\n");
    let answer = connection.answer();
    assert_eq!((answer.status, answer.text().as_str(), answer.end), (200, "ok", End::Close));
    assert_eq!(answer.header("transfer-encoding"), None, "HTTP/1.0 knows no chunks");
    assert_eq!(script.request().line, "GET /a HTTP/1.1");
    assert!(script.request().all("via")[0].starts_with("1.0 evenkeel"));
}

#[test]
fn http2_works_on_both_sides() {
    let upstream = http2::Upstream::start(|seen| {
        let sum = [(HeaderName::from_static("x-sum"), HeaderValue::from(3))];
        let trailers = HeaderMap::from_iter(sum);
        let body = http2::bytes(b"abc").with_trailers(async move { Some(Ok(trailers)) });
        let response = Response::builder().status(201).header("x-b", "2").header("x-b", "1");
        response.header("x-path", seen.head.uri.path()).body(body.boxed()).unwrap()
    });
    let url = format!("http://{}", upstream.address);
    let gateway = Gateway::start(&one_upstream(&url, "protocol: http2"));
    let body = Full::new(Bytes::from_static(b"up"));
    let request = Request::put(format!("http://{}/v/a?b", gateway.address))
        .header("te", "trailers")
        .header("x-many", "2")
        .header("x-many", "1")
        .body(body)
        .unwrap();
    let answer = http2::call(gateway.address, request);
    assert_eq!((answer.head.status.as_u16(), &*answer.body), (201, &b"abc"[..]));
    assert_eq!(answer.head.headers.get_all("x-b").iter().collect::<Vec<_>>(), ["2", "1"]);
    assert_eq!(
        (&answer.head.headers["x-path"], answer.broken),
        (&HeaderValue::from_static("/a"), false)
    );
    assert_eq!(answer.trailers["x-sum"], "3");
    let seen = upstream.requests();
    assert_eq!((seen.len(), &*seen[0].body), (1, &b"up"[..]));
    let head = &seen[0].head;
    assert_eq!(head.uri.query(), Some("b"));
    assert_eq!(head.headers.get_all("x-many").iter().collect::<Vec<_>>(), ["2", "1"]);
    assert!(head.headers["via"].to_str().unwrap().starts_with("2 evenkeel"));
}

#[test]
fn http1_and_http2_are_translated_into_each_other() {
    let script = Script::always(vec![reply("200 OK", &["X-A: 1"], b"one")]);
    let gateway = gateway_to(&script);
    let url = format!("http://{}/v/a", gateway.address);
    let request = Request::post(url).body(Full::new(Bytes::from_static(b"up"))).unwrap();
    let answer = http2::call(gateway.address, request);
    assert_eq!((answer.head.status.as_u16(), &*answer.body), (200, &b"one"[..]));
    let seen = script.request();
    assert_eq!(
        (&*seen.body, seen.all("host")),
        (&b"up"[..], vec![script.address.to_string().as_str()])
    );
    let framings = seen.all("content-length").len() + seen.all("transfer-encoding").len();
    assert_eq!(framings, 1, "one framing: {:?}", seen.headers);

    let upstream = http2::Upstream::start(|_| Response::new(http2::bytes(b"two")));
    let url = format!("http://{}", upstream.address);
    let gateway = Gateway::start(&one_upstream(&url, "protocol: http2"));
    let answer = gateway.post("/v/a", b"up");
    assert_eq!((answer.status, answer.text().as_str(), answer.end), (200, "two", End::Whole));
    assert_eq!(&*upstream.requests()[0].body, b"up");
}

#[test]
fn unknown_routes_and_upgrades_are_answered_with_problems() {
    let script = Script::always(ok("ok"));
    let gateway = gateway_to(&script);
    problem::expect(&gateway.get("/elsewhere"), 404, "route_not_found", "client");
    let upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
    let answer = gateway.call(&request("GET", "/v/a", &upgrade, b""));
    problem::expect(&answer, 501, "upgrade_unsupported", "client");
    let answer = gateway.call(b"CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n");
    problem::expect(&answer, 501, "upgrade_unsupported", "client");
    let head = gateway.call(&request("HEAD", "/elsewhere", &[], b""));
    assert_eq!((head.status, head.body.len()), (404, 0));
    assert_eq!(head.header("content-type"), Some("application/problem+json"));
    assert_eq!(script.arrivals(), 0);
}

#[test]
fn a_stopped_gateway_finishes_its_calls_and_exits() {
    let script = Script::always(vec![Act::Wait(Duration::from_millis(300)), ok("late").remove(0)]);
    let gateway = gateway_to(&script);
    let mut connection = gateway.connect();
    connection.send(&request("GET", "/v/a", &[], b""));
    script.await_arrivals(1);
    let stopping = std::thread::spawn(move || gateway.stop());
    assert_eq!(connection.answer().text(), "late", "a call under way is served");
    assert!(stopping.join().unwrap().success());
}
