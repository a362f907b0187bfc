//! What calls cost, on real sockets: tokens are reserved before a call is sent and settled by what
//! the vendor says, beside a count of calls.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::gateway::{Gateway, one_upstream};
use crate::support::problem;
use crate::support::script::{Act, Script, ok, raw, reply};
use crate::support::time;
use crate::support::wire::request;

const TOKENS: &str = "{ request: [{ json: [/max_completion_tokens, /max_tokens] }, { bytes: 4 }], \
                      default: 50, settle: { json: /usage/total_tokens } }";

fn gateway(script: &Script, limit: &str, cost: &str) -> Gateway {
    let tokens = format!("tokens: {{ limit: {limit}, spread: none, cost: {cost} }}");
    let allowances = format!("allowances: {{ calls: {{ limit: 100/h, spread: none }}, {tokens} }}");
    Gateway::start(&one_upstream(&script.url(), &allowances))
}

/// Posts a request for so many tokens that may not wait.
fn ask(gateway: &Gateway, tokens: u32) -> u16 {
    let body = format!("{{\"max_tokens\":{tokens},\"x\":\"{}\"}}", "y".repeat(20));
    let headers = [("Prefer", "wait=0"), ("Content-Type", "application/json")];
    gateway.call(&request("POST", "/v/chat", &headers, body.as_bytes())).status
}

fn used(tokens: u32) -> String {
    format!("{{\"usage\":{{\"total_tokens\":{tokens}}}}}")
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

#[test]
fn tokens_are_reserved_by_the_request_and_settled_by_the_answer() {
    let events = b"data: {\"id\":1}\n\ndata: {\"usage\":{\"total_tokens\":10}}\n\ndata: [DONE]\n\n";
    let stream = |coding: &str, body: &[u8]| {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{coding}\
             Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n"
        );
        let (first, rest) = body.split_at(length / 2);
        let pause = Act::Wait(Duration::from_millis(30));
        vec![raw(head), raw(first), pause, raw([rest, b"\r\n0\r\n\r\n"].concat())]
    };
    let coded = "Content-Encoding: gzip\r\n";
    // 100 tokens and one for 4 of 40 bytes are reserved each time, 10 are used.
    let rows = [
        ("JSON", ok(&used(10))),
        ("gzip", vec![reply("200 OK", &["Content-Encoding: gzip"], &gzip(used(10).as_bytes()))]),
        ("events", stream("", events)),
        ("gzip of events", stream(coded, &gzip(events))),
    ];
    for (name, answer) in rows {
        let script = Script::always(answer);
        let gateway = gateway(&script, "125/h", TOKENS);
        assert_eq!([(); 2].map(|()| ask(&gateway, 100)), [200; 2], "{name}");
        assert_eq!(ask(&gateway, 100), 429, "{name}: 20 of 125 are used, 110 are asked for");
        assert_eq!(ask(&gateway, 90), 200, "{name}");
    }
}

#[test]
fn an_answer_that_says_nothing_leaves_what_was_reserved() {
    for body in ["{}", "{\"usage\":{\"total_tokens\":0}}", "{\"usage\":{\"total_tokens\":-9}}"] {
        let script = Script::always(ok(body));
        let gateway = gateway(&script, "125/h", TOKENS);
        assert_eq!(ask(&gateway, 100), 200, "{body}");
        assert_eq!(ask(&gateway, 100), 429, "{body}");
        let said = "an answer does not say what its call used";
        time::until(said, || gateway.logs().contains(said));
    }
}

#[test]
fn a_request_that_never_fits_is_refused_and_nothing_is_sent() {
    let script = Script::always(ok("{}"));
    let gateway = gateway(&script, "125/h", TOKENS);
    let body = b"{\"max_tokens\":1,\"max_tokens\":4000}";
    let answer = gateway.post("/v/chat", body);
    let said = problem::expect(&answer, 400, "cost_exceeds_allowance", "gateway");
    assert_eq!(said["retryable"], false);
    assert!(
        said["detail"].as_str().unwrap().contains("`tokens`, which never grants more than 125")
    );
    assert_eq!(script.arrivals(), 0);
}

#[test]
fn what_cannot_be_read_costs_the_default() {
    let script = Script::always(ok("{}"));
    let bodies: [(&str, Vec<u8>); 3] = [
        ("text", b"max_tokens=1".to_vec()),
        ("gzip", gzip(b"{\"max_tokens\":1}")),
        ("broken", b"{\"max_tokens\":1".to_vec()),
    ];
    for (name, body) in bodies {
        let gateway = gateway(&script, "75/h", TOKENS);
        let coding = if name == "gzip" { "gzip" } else { "identity" };
        let headers = [("Content-Encoding", coding), ("Prefer", "wait=0")];
        let headers = if name == "gzip" { &headers[..] } else { &headers[1..] };
        let post = request("POST", "/v/chat", headers, &body);
        assert_eq!(gateway.call(&post).status, 200, "{name}");
        assert_eq!(gateway.call(&post).status, 429, "{name} costs 50 of 75");
        let said = "a request does not say what it costs";
        time::until(said, || gateway.logs().contains(said));
    }
}

/// A vendor that counts what it really used, on its own clock.
#[test]
fn no_window_of_the_vendors_sees_more_tokens_than_it_grants() {
    const LIMIT: u32 = 400;
    const WINDOW: Duration = Duration::from_secs(1);
    let counted: Arc<Mutex<Vec<(Instant, u32)>>> = Arc::default();
    let log = Arc::clone(&counted);
    let script = Script::answering(move |seen| {
        // From a quarter to all of the 40 that were reserved.
        let tokens = 10 + u32::try_from(seen.number % 4).unwrap() * 10;
        log.lock().unwrap().push((time::now(), tokens));
        vec![Act::Wait(Duration::from_millis(5)), ok(&used(tokens)).remove(0)]
    });
    let cost = "{ request: { json: /max_tokens }, default: 40, \
                settle: { json: /usage/total_tokens } }";
    let allowances = format!("allowances: {{ tokens: {{ limit: {LIMIT}/1s, cost: {cost} }} }}");
    let gateway = Gateway::start(&one_upstream(&script.url(), &allowances));
    let began = time::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while began.elapsed() < WINDOW * 5 {
                    gateway.post("/v/chat", b"{\"max_tokens\":40}");
                }
            });
        }
    });
    let counted = counted.lock().unwrap().clone();
    let within = |from: Instant| {
        let inside = counted.iter().filter(|(at, _)| (from..from + WINDOW).contains(at));
        inside.map(|(_, tokens)| tokens).sum::<u32>()
    };
    let most = counted.iter().map(|(at, _)| within(*at)).max().unwrap();
    let used: u32 = counted.iter().map(|(_, tokens)| tokens).sum();
    assert!(most <= LIMIT, "{most} of {LIMIT} in one window");
    assert!(LIMIT * 3 < used, "{used} in five windows of {LIMIT}");
}
