//! The framing vectors through the program that ships: a client that sends an ambiguous head is
//! answered and cut off, a vendor that sends one is a protocol error.

use crate::support::gateway::{Gateway, one_upstream};
use crate::support::script::{Act, Script, ok};
use crate::support::{problem, wire};
use crate::targets::vectors::{self, Vector};

/// The vectors of a file whose expectation these words are not.
fn rejected(file: &str, accepted: &[&str]) -> Vec<Vector> {
    let mut vectors = vectors::read(file);
    vectors.retain(|vector| {
        let expected = &*vector.expected;
        !expected.starts_with("body:") && !accepted.contains(&expected)
    });
    vectors
}

#[test]
fn no_rejected_request_head_reaches_the_vendor() {
    let script = Script::always(ok("reached"));
    let gateway = Gateway::start(&one_upstream(&script.url(), "").replace("/v\n", "/\n"));
    assert_eq!(gateway.get("/").text(), "reached");
    let mut vectors = rejected("request-heads.txt", &["incomplete"]);
    // These bytes begin an HTTP/2 connection.
    vectors.retain(|vector| !vector.input.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    for vector in vectors {
        let mut connection = gateway.connect();
        // What is beyond a bound may be answered before all of it is sent.
        connection.send_what_goes(&vector.input);
        let answer = connection.answer_if_any("GET");
        let answer = answer.unwrap_or_else(|| panic!("{}: no response", vector.place));
        let status = match &*vector.expected {
            "target-length" => 414,
            "head" => 431,
            "connect" => 501,
            _ => 400,
        };
        assert_eq!(answer.status, status, "status of {}: {}", vector.place, answer.text());
        assert_eq!(answer.header("connection"), Some("close"), "{}", vector.place);
    }
    assert_eq!(script.arrivals(), 1, "requests at the vendor");
}

#[test]
fn every_malformed_response_head_is_a_protocol_error() {
    let vectors = rejected("response-heads.txt", &["incomplete", "interim"]);
    let responses: Vec<_> = vectors.iter().map(|vector| vector.input.clone()).collect();
    let script = Script::answering(move |seen| {
        let number: usize = seen.target().trim_matches(['/', 'x']).parse().unwrap();
        vec![Act::Send(responses[number].clone()), Act::Silence]
    });
    // An upstream for each, so that none of them is held for the failures of the others.
    let upstream = |number| format!("  p{number}: {{ url: '{}/{number}' }}\n", script.url());
    let upstreams: String = (0..vectors.len()).map(upstream).collect();
    let gateway = Gateway::start(&format!("upstreams:\n{upstreams}"));
    for (number, vector) in vectors.iter().enumerate() {
        let request = wire::request("POST", &format!("/p{number}/x"), &[], b"");
        let answer = gateway.call(&request);
        assert_eq!(answer.status, 502, "status of {}: {}", vector.place, answer.text());
        problem::expect(&answer, 502, "upstream_protocol", "gateway");
    }
    assert_eq!(script.arrivals(), vectors.len(), "each is sent once");
}
