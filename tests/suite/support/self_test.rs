//! Tests of the support itself: the raw client against scripted upstreams, without a gateway.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};

use super::script::{Act, Reading, Script, ok, raw, reply};
use super::wire::{Connection, End, call, request};
use super::{frames, http2};

#[test]
fn bytes_are_seen_as_they_were_sent() {
    let script = Script::always(vec![reply("203 Odd", &["X-B: 2", "x-b: 1"], b"\0\xff")]);
    let sent = request("POST", "/a?b", &[("X-Odd", "\"v\"")], b"body");
    let answer = call(script.address, &sent);
    assert_eq!((answer.status, &*answer.body, answer.end), (203, &b"\0\xff"[..], End::Whole));
    assert_eq!(answer.all("X-B"), ["2", "1"]);
    let seen = script.request();
    assert_eq!(seen.raw, sent);
    assert_eq!(
        (seen.target(), &*seen.body, seen.all("x-odd")),
        ("/a?b", &b"body"[..], vec!["\"v\""])
    );
}

#[test]
fn connections_are_counted_and_reused() {
    let script = Script::answering(|seen| ok(&seen.number.to_string()));
    let mut connection = Connection::open(script.address);
    for number in ["1", "2"] {
        connection.send(&request("GET", "/", &[], b""));
        assert_eq!(connection.answer().text(), number);
    }
    assert_eq!((script.arrivals(), script.connections(), script.open()), (2, 1, 1));
    drop(connection);
    super::time::until("it closes", || script.open() == 0);
}

#[test]
fn chunks_and_trailers_are_read_on_both_sides() {
    let text =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-T: 1\r\n\r\n";
    let script = Script::always(vec![raw(text)]);
    let sent =
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-S: 2\r\n\r\n";
    let answer = call(script.address, sent.as_bytes());
    assert_eq!((answer.text().as_str(), answer.end), ("abc", End::Whole));
    assert_eq!(answer.trailers, [("X-T".to_owned(), "1".to_owned())]);
    let seen = script.request();
    assert_eq!((&*seen.body, seen.trailers.as_str()), (&b"hi"[..], "X-S: 2\n"));
    assert_eq!(seen.raw, sent.as_bytes());
}

#[test]
fn every_kind_of_end_is_told_apart() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab";
    let open_ended = "HTTP/1.1 200 OK\r\n\r\nab";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab";
    let rows = [
        (vec![raw(head), Act::Close], Some(End::Broken)),
        (vec![raw(head), Act::Fin], Some(End::Broken)),
        (vec![raw(chunked), Act::Close], Some(End::Broken)),
        (vec![raw(open_ended), Act::Close], Some(End::Close)),
        (vec![Act::Close], None),
        (vec![Act::Reset], None),
        (vec![Act::Wait(Duration::from_millis(20)), raw("HTTP/1.1 200"), Act::Close], None),
    ];
    for (acts, expected) in rows {
        let told = format!("{acts:?}");
        let script = Script::always(acts);
        let mut connection = Connection::open(script.address);
        connection.send(&request("GET", "/", &[], b""));
        assert_eq!(connection.answer_if_any("GET").map(|answer| answer.end), expected, "{told}");
    }
}

#[test]
fn interim_answers_heads_and_drips_are_read() {
    let text =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 204 N\r\n\r\n";
    let script = Script::always(vec![Act::Drip(text.into(), Duration::from_micros(100))]);
    let answer = call(script.address, &request("GET", "/", &[], b""));
    assert_eq!((answer.status, answer.interim), (204, vec![100, 103]));
    let script = Script::always(vec![raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")]);
    let answer = call(script.address, &request("HEAD", "/", &[], b""));
    assert_eq!((answer.header("content-length"), answer.body.len()), (Some("9"), 0));
}

#[test]
fn parts_of_requests_can_be_left_unread() {
    let script = Script::reading(Reading::Bytes(3), |_| vec![raw("HTTP/1.1 204 N\r\n\r\n")]);
    let mut connection = Connection::open(script.address);
    connection.send(b"GET");
    assert_eq!(connection.answer().status, 204);
    assert_eq!(script.request().raw, b"GET");
    let script = Script::reading(Reading::Head, |_| vec![reply("413 L", &[], b""), Act::Close]);
    let answer = call(script.address, &request("POST", "/", &[("Content-Type", "x")], b"body"));
    assert_eq!(answer.status, 413);
    assert!(script.request().body.is_empty());
}

#[test]
fn an_upstream_can_speak_before_it_is_asked() {
    let script = Script::greeting(vec![raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!")]);
    let mut connection = Connection::open(script.address);
    assert_eq!(connection.answer().text(), "!");
    connection.send(&request("GET", "/", &[], b""));
    assert_eq!(connection.answer().text(), "ok");
}

#[test]
fn http2_goes_both_ways() {
    let upstream = http2::Upstream::start(|seen| {
        let trailers = HeaderMap::from_iter([("x-t".parse().unwrap(), HeaderValue::from(1))]);
        let body = http2::bytes(b"abc").with_trailers(async move { Some(Ok(trailers)) });
        Response::builder().header("x-path", seen.head.uri.path()).body(body.boxed()).unwrap()
    });
    let url = format!("http://{}/p?q", upstream.address);
    let request = Request::post(url).body(Full::new(Bytes::from_static(b"up"))).unwrap();
    let answer = http2::call(upstream.address, request);
    assert_eq!((answer.head.status.as_u16(), &*answer.body), (200, &b"abc"[..]));
    assert_eq!(
        (&answer.head.headers["x-path"], &answer.trailers["x-t"]),
        (&HeaderValue::from_static("/p"), &HeaderValue::from(1))
    );
    assert!(!answer.broken);
    let seen = upstream.requests();
    assert_eq!((seen.len(), &*seen[0].body, seen[0].trailers.len()), (1, &b"up"[..], 0));
}

#[test]
fn frames_by_hand_are_http2() {
    let upstream = frames::Upstream::start(&[frames::StreamReply::Answered]);
    let request = Request::post(format!("http://{}/", upstream.address));
    let answer =
        http2::call(upstream.address, request.body(Full::new(Bytes::from_static(b"x"))).unwrap());
    assert_eq!((answer.head.status.as_u16(), upstream.arrivals()), (200, 1));
}
