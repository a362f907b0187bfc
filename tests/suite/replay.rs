//! What is sent again, and what never is.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::support::frames::{self, INTERNAL_ERROR, REFUSED_STREAM, StreamReply};
use crate::support::gateway::{Gateway, one_upstream};
use crate::support::http2;
use crate::support::problem;
use crate::support::script::{Act, Reading, Script, ok, raw, reply};
use crate::support::time;
use crate::support::wire::{Connection, End, request};

/// Short timeouts, and retries that follow at once.
const SHORT: &str = "\
timeouts: { connect: 500ms, attempt: 2s, idle: 1s }
retry: { attempts: 4, backoff: { base: 10ms, factor: 1, max: 10ms }, budget: 100% }
";

#[track_caller]
fn gateway_to(url: &str, more: &str) -> Gateway {
    Gateway::start(&one_upstream(url, &format!("{SHORT}{more}")))
}

/// Answers every request but the first, which fails by these acts.
fn fails_first(acts: Vec<Act>) -> Script {
    Script::answering(move |seen| if seen.number == 1 { acts.clone() } else { ok("ok") })
}

#[test]
fn posts_are_delivered_at_most_once_while_the_upstream_dies() {
    const CALLS: usize = 400;
    const CLIENTS: usize = 8;
    // How a request fails depends on its number, so every run has all failures; a third of the
    // requests fail, which is too few to count as an outage.
    let script = Script::answering(|seen| match seen.number % 12 {
        0 => vec![Act::Reset],
        3 => vec![Act::Close],
        6 => vec![raw("HTTP/1.1 200 O"), Act::Reset],
        9 => vec![raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"), Act::Close],
        _ => ok("ok"),
    });
    let gateway = gateway_to(&script.url(), "");
    let address = gateway.address;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            std::thread::spawn(move || {
                for number in (client..CALLS).step_by(CLIENTS) {
                    let body = format!("call-{number}");
                    let mut connection = Connection::open(address);
                    connection.send(&request("POST", "/v/a", &[], body.as_bytes()));
                    // A response that breaks off at once may end the connection without a head.
                    drop(connection.answer_if_any("POST"));
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    let mut delivered: HashMap<Vec<u8>, usize> = HashMap::new();
    for seen in script.requests() {
        *delivered.entry(seen.body).or_default() += 1;
    }
    assert_eq!(delivered.len(), CALLS, "every call was sent");
    let twice: Vec<_> = delivered.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "delivered more than once: {twice:?}");
}

#[test]
fn a_get_is_sent_again_after_every_failure_before_its_response() {
    let rows = [
        ("closed", vec![Act::Close]),
        ("reset", vec![Act::Reset]),
        ("half a head, then reset", vec![raw("HTTP/1.1 200 O"), Act::Reset]),
        ("junk", vec![raw("junk\r\n\r\n"), Act::Close]),
    ];
    for (what, acts) in rows {
        let script = fails_first(acts);
        let answer = gateway_to(&script.url(), "").get("/v/a");
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "{what}");
        assert_eq!(script.arrivals(), 2, "{what}: sent again once");
        assert_eq!(answer.header("evenkeel-attempts"), Some("2"), "{what}");
    }
}

#[test]
fn a_post_with_an_unknown_outcome_is_not_repeated() {
    let script = fails_first(vec![Act::Close]);
    let answer = gateway_to(&script.url(), "").post("/v/a", b"pay");
    assert_eq!((answer.status, script.arrivals()), (502, 1));
    let problem: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(
        (&problem["outcome_unknown"], &problem["stopped_by"]),
        (&true.into(), &"method".into())
    );
}

#[test]
fn a_post_that_may_be_repeated_is() {
    let rows = [
        ("by its key", "", ("Idempotency-Key", "k-1")),
        ("by a key of another name", "idempotency_header: x-once\n", ("X-Once", "k-1")),
        ("by its route", "routes: [{ match: { path: /a }, repeatable: true }]\n", ("X-A", "1")),
    ];
    for (what, more, header) in rows {
        let script = fails_first(vec![Act::Close]);
        let answer =
            gateway_to(&script.url(), more).call(&request("POST", "/v/a", &[header], b"pay"));
        assert_eq!((answer.status, script.arrivals()), (200, 2), "{what}: {}", answer.text());
        let seen = script.requests();
        assert_eq!(
            (&seen[0].raw, &seen[0].body),
            (&seen[1].raw, &seen[1].body),
            "{what}: identical"
        );
    }
}

#[test]
fn a_blank_idempotency_key_does_not_allow_a_retry() {
    let script = fails_first(vec![Act::Close]);
    let blank = [("Idempotency-Key", "")];
    let answer = gateway_to(&script.url(), "").call(&request("POST", "/v/a", &blank, b"pay"));
    assert_eq!((answer.status, script.arrivals()), (502, 1));
}

#[test]
fn a_body_too_large_to_keep_is_sent_once() {
    let script = fails_first(vec![Act::Close]);
    let gateway = gateway_to(&script.url(), "replay: { max_body: 1KiB }\n");
    let answer = gateway.call(&request("PUT", "/v/a", &[], &[7; 64 << 10]));
    assert_eq!((answer.status, script.arrivals()), (502, 1));
    let problem: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(problem["stopped_by"], "body");
    let answer = gateway.call(&request("PUT", "/v/a", &[], &[7; 1 << 10]));
    assert_eq!(answer.status, 200);
}

#[test]
fn a_connection_closed_while_idle_fails_no_call() {
    // After a FIN before the request nothing was sent, so even a POST uses another connection.
    for act in [Act::Close, Act::Reset] {
        let script = Script::answering(move |seen| match seen.number {
            1 => [ok("ok"), vec![Act::Wait(Duration::from_millis(20)), act.clone()]].concat(),
            _ => ok("ok"),
        });
        let gateway = gateway_to(&script.url(), "");
        assert_eq!(gateway.post("/v/a", b"1").status, 200);
        time::until("the upstream closes", || script.open() == 0);
        assert_eq!(gateway.post("/v/b", b"2").status, 200);
        assert_eq!((script.arrivals(), script.connections()), (2, 2));
    }
}

#[test]
fn after_a_close_during_a_request_only_a_repeatable_method_is_sent_again() {
    // The connection of the first call is reused, and closed during the second.
    for (method, status, arrivals) in [("GET", 200, 3), ("POST", 502, 2)] {
        let script = Script::reading(Reading::Head, |seen| match seen.number {
            2 => vec![Act::Reset],
            _ => ok("ok"),
        });
        let gateway = gateway_to(&script.url(), "");
        assert_eq!(gateway.get("/v/a").status, 200);
        let answer = gateway.call(&request(method, "/v/b", &[], b""));
        assert_eq!(answer.status, status, "{method}: {}", answer.text());
        assert_eq!(script.arrivals(), arrivals, "{method}");
    }
}

#[test]
fn a_request_reset_after_its_first_bytes_has_an_unknown_outcome() {
    let script = Script::reading(Reading::Bytes(10), |_| vec![Act::Reset]);
    let answer = gateway_to(&script.url(), "").post("/v/a", b"pay");
    assert_eq!((answer.status, script.arrivals()), (502, 1));
    let problem: serde_json::Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(problem["outcome_unknown"], true, "{problem:#}");
}

#[test]
fn a_response_that_began_is_never_retried() {
    let begun = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let acts = vec![raw(begun), Act::Wait(Duration::from_millis(100)), Act::Close];
    let script = fails_first(acts.clone());
    let answer = gateway_to(&script.url(), "").get("/v/a");
    assert_eq!((answer.status, answer.text().as_str(), answer.end), (200, "abc", End::Broken));
    assert_eq!(script.arrivals(), 1);

    let script = fails_first(acts);
    let gateway = gateway_to(&script.url(), "");
    let url = format!("http://{}/v/a", gateway.address);
    let answer = http2::call(gateway.address, Request::get(url).body(Full::default()).unwrap());
    assert_eq!((answer.head.status.as_u16(), answer.broken), (200, true), "the stream is reset");
    assert_eq!(script.arrivals(), 1);
}

#[test]
fn refused_streams_are_sent_again_and_others_are_not() {
    let rows: [(&str, &'static [StreamReply], u16, usize); 4] = [
        ("refused", &[StreamReply::Reset(REFUSED_STREAM), StreamReply::Answered], 200, 2),
        ("goodbye below our stream", &[StreamReply::GoAway(0), StreamReply::Answered], 200, 2),
        ("reset", &[StreamReply::Reset(INTERNAL_ERROR), StreamReply::Answered], 502, 1),
        ("goodbye that names our stream", &[StreamReply::GoAway(1), StreamReply::Answered], 502, 1),
    ];
    for (what, replies, status, arrivals) in rows {
        let upstream = frames::Upstream::start(replies);
        let gateway = gateway_to(&format!("http://{}", upstream.address), "protocol: http2\n");
        let answer = gateway.post("/v/a", b"pay");
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert_eq!(upstream.arrivals(), arrivals, "{what}");
    }
}

#[test]
fn a_vendor_that_did_nothing_is_asked_again_whatever_the_method() {
    let script = fails_first(vec![reply("429 Slow down", &["Retry-After: 1"], b"")]);
    let start = time::now();
    let answer = gateway_to(&script.url(), "").post("/v/a", b"pay");
    assert_eq!((answer.status, script.arrivals()), (200, 2), "{}", answer.text());
    assert!(start.elapsed() >= Duration::from_secs(1), "not before the vendor's word");
}

#[test]
fn a_client_that_leaves_the_queue_uses_no_slot() {
    let script = Script::answering(|seen| match seen.target() {
        "/slow" => [vec![Act::Wait(Duration::from_millis(700))], ok("slow")].concat(),
        _ => ok("ok"),
    });
    let gateway = gateway_to(&script.url(), "allowances: { one: { concurrency: 1 } }\n");
    let mut slow = gateway.connect();
    slow.send(&request("GET", "/v/slow", &[], b""));
    script.await_arrivals(1);
    let mut leaving = gateway.connect();
    leaving.send(&request("GET", "/v/leaving", &[], b""));
    std::thread::sleep(Duration::from_millis(150));
    drop(leaving);
    let mut staying = gateway.connect();
    staying.send(&request("GET", "/v/staying", &[], b""));
    assert_eq!((slow.answer().text(), staying.answer().text()), ("slow".into(), "ok".into()));
    let targets: Vec<_> = script.requests().iter().map(|seen| seen.target().to_owned()).collect();
    assert_eq!(targets, ["/slow", "/staying"]);
}

#[test]
fn a_client_that_leaves_during_its_attempt_has_used_its_slot() {
    let script = Script::answering(|seen| match seen.number {
        1 => vec![Act::Silence],
        _ => ok("ok"),
    });
    let allowance = "allowances: { few: { limit: 2/m, spread: none } }\n";
    let gateway = gateway_to(&script.url(), &format!("{allowance}wait: {{ default: 0s }}\n"));
    let mut leaving = gateway.connect();
    leaving.send(&request("POST", "/v/a", &[], b""));
    script.await_arrivals(1);
    drop(leaving);
    time::within(Duration::from_secs(1), "the exchange is abandoned", || script.open() == 0);
    assert_eq!(gateway.post("/v/b", b"").status, 200, "one slot is left");
    let answer = gateway.post("/v/c", b"");
    problem::expect(&answer, 429, "allowance_exhausted", "gateway");
    assert_eq!(script.arrivals(), 2);
}

#[test]
fn an_http2_client_that_leaves_abandons_its_exchange() {
    let script = Script::always(vec![Act::Silence]);
    let gateway = gateway_to(&script.url(), "");
    let url = format!("http://{}/v/a", gateway.address);
    let request = Request::post(url).body(Full::new(Bytes::from_static(b"x"))).unwrap();
    http2::call_and_leave(gateway.address, request, Duration::from_millis(300));
    script.await_arrivals(1);
    time::within(Duration::from_secs(1), "the exchange is abandoned", || script.open() == 0);
}
