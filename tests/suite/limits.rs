//! The gateway's own limits: connections to the upstream, open files, slow uploads.

use std::time::Duration;

use crate::support::frames::{Slow, Upstream};
use crate::support::gateway::{Gateway, one_upstream};
use crate::support::script::{Script, ok};
use crate::support::wire::request;
use crate::support::{problem, time};

#[test]
fn one_connection_serves_the_calls_of_all_workers() {
    let script = Script::always(ok("ok"));
    let yaml = one_upstream(&script.url(), "connections: { max: 1 }");
    let gateway = Gateway::start(&format!("{yaml}\nlisten: {{ workers: 2 }}\n"));
    for _ in 0..30 {
        assert_eq!(gateway.get("/v/a").text(), "ok");
    }
    assert_eq!(script.connections(), 1);
}

#[test]
fn workers_that_share_one_connection_are_all_served() {
    let script = Script::always(ok("ok"));
    let yaml = one_upstream(&script.url(), "connections: { max: 1 }");
    let gateway = Gateway::start(&format!("{yaml}\nlisten: {{ workers: 2 }}\n"));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    assert_eq!(gateway.get("/v/a").text(), "ok");
                }
            });
        }
    });
    assert_eq!((script.arrivals(), script.connections()), (200, 1));
}

#[test]
fn workers_share_the_streams_of_one_http2_connection() {
    let (settings, answer) = (Duration::from_millis(50), Duration::from_millis(2));
    let upstream = Upstream::slow(Slow { settings, streams: 3, answer });
    let more = "protocol: http2\nconnections: { max: 1 }";
    let yaml = one_upstream(&format!("http://{}", upstream.address), more);
    let gateway = Gateway::start(&format!("{yaml}\nlisten: {{ workers: 2 }}\n"));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    assert_eq!(gateway.get("/v/a").status, 200);
                }
            });
        }
    });
    assert_eq!(upstream.arrived().len(), 200);
}

#[test]
fn slow_uploads_take_no_connection_from_others() {
    let script = Script::always(ok("ok"));
    let gateway = Gateway::start(&one_upstream(&script.url(), "connections: { max: 2 }"));
    let head = b"POST /v/slow HTTP/1.1\r\nHost: g\r\nContent-Length: 8192\r\n\r\nfirst bytes";
    let slow: Vec<_> = (0..10)
        .map(|_| {
            let mut connection = gateway.connect();
            connection.send(head);
            connection
        })
        .collect();
    for _ in 0..5 {
        let began = time::now();
        assert_eq!(gateway.get("/v/quick").status, 200);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
    assert_eq!(script.arrivals(), 5, "nothing of the slow ones was sent");
    for (number, mut connection) in slow.into_iter().enumerate() {
        connection.send(&[b'x'; 8192 - 11]);
        assert_eq!(connection.answer().status, 200);
        assert_eq!(script.arrivals(), 6 + number);
    }
}

/// 100 clients share an allowance of 20 a second, over HTTP/2.
#[track_caller]
fn stays_inside(plan: Slow) {
    const LIMIT: usize = 20;
    let upstream = Upstream::slow(plan);
    let more = "protocol: http2\nallowances: { all: { limit: 20/s, spread: none } }";
    let gateway = Gateway::start(&one_upstream(&format!("http://{}", upstream.address), more));
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| assert_eq!(gateway.get("/v/a").status, 200, "{plan:?}"));
        }
    });
    let arrived = upstream.arrived();
    assert_eq!(arrived.len(), 100, "{plan:?}: nothing is sent twice");
    for (first, at) in arrived.iter().enumerate() {
        let inside = |it: &&std::time::Instant| **it - *at < Duration::from_secs(1);
        let count = arrived[first..].iter().take_while(inside).count();
        assert!(count <= LIMIT, "{plan:?}: {count} in one second");
    }
}

#[test]
fn an_allowance_holds_where_settings_come_late() {
    let late = Duration::from_secs(3);
    stays_inside(Slow { settings: late, streams: 100, answer: Duration::ZERO });
}

#[test]
fn an_allowance_holds_where_few_streams_are_granted() {
    let (settings, answer) = (Duration::ZERO, Duration::from_millis(700));
    stays_inside(Slow { settings, streams: 2, answer });
}

#[test]
fn an_expectation_is_answered_before_the_body_is_read() {
    let script = Script::answering(|seen| ok(&String::from_utf8_lossy(&seen.body)));
    let gateway = Gateway::start(&one_upstream(&script.url(), ""));
    let mut connection = gateway.connect();
    connection.send(b"POST /v/a HTTP/1.1\r\nHost: g\r\nExpect: 100-continue\r\n");
    connection.send(b"Content-Length: 4\r\n\r\n");
    assert_eq!(connection.head().unwrap().status, 100);
    assert_eq!(script.arrivals(), 0);
    connection.send(b"body");
    assert_eq!(connection.answer().text(), "body");
}

#[test]
fn a_lack_of_open_files_has_a_problem_of_its_own() {
    let script = Script::always(ok("ok"));
    let yaml = one_upstream(&script.url(), "retry: { attempts: 1 }");
    let gateway = Gateway::start_with_files(&format!("{yaml}\nlisten: {{ workers: 1 }}\n"), 48);
    time::until("a warning", || gateway.logs().contains("the system allows 48 open files"));
    let mut caller = gateway.connect();
    caller.send(&request("GET", "/v/a", &[("connection", "keep-alive")], b""));
    assert_eq!(caller.answer().status, 200);
    // The upstream connection is closed after its idle timeout.
    time::within(Duration::from_secs(25), "the upstream connection ends", || script.open() == 0);
    let crowd: Vec<_> = (0..60).map(|_| gateway.connect()).collect();
    time::until("files are used up", || gateway.logs().contains("machine lacks resources"));
    for _ in 0..30 {
        caller.send(&request("POST", "/v/a", &[], b""));
        let problem = problem::expect(&caller.answer(), 503, "connections_exhausted", "gateway");
        assert_eq!(problem["outcome_unknown"], false, "{problem:#}");
    }
    assert_eq!(gateway.logs().matches("machine lacks resources").count(), 1, "{}", gateway.logs());
    drop(crowd);
    time::until("the upstream is reached again", || {
        caller.send(&request("GET", "/v/a", &[], b""));
        caller.answer().status == 200
    });
    assert!(!gateway.logs().contains("hold"), "{}", gateway.logs());
}
