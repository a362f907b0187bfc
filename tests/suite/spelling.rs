//! No spelling of a path, a method, an account or a host changes what is counted, or where a
//! request goes.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::support::gateway::{Gateway, one_upstream};
use crate::support::http2;
use crate::support::problem;
use crate::support::script::{Script, ok};
use crate::support::wire::request;

/// An allowance of one POST an hour to the paths under `/drop/`.
const ONE_DROP: &str = "wait: { default: 1s }\nallowances:\n  drops:\n    limit: 1/h\n    match:\n      methods: [POST]\n      path: /drop/*\n";

fn http2_request(gateway: &Gateway, method: &str, target: &str) -> http::request::Builder {
    Request::builder().method(method).uri(format!("http://{}{target}", gateway.address))
}

#[test]
fn every_spelling_of_a_path_is_counted() {
    let script = Script::always(ok("ok"));
    let gateway = Gateway::start(&one_upstream(&script.url(), ONE_DROP));
    assert_eq!(gateway.post("/v/drop/create", b"").status, 200);
    let spellings = [
        "/v/%64rop/create",
        "/v/%44rop/create",
        "/v/%2564rop/create",
        "/v/DROP/create",
        "/v//drop/create",
        "/v/drop/create/",
        "/v/./drop/create",
        "/v/drop;v=1/create",
        "/v/drop%2Fcreate",
        "/v/drop\\create",
        "/v/drop/create?_method=GET",
        "/v/drop/create?.method=GET",
    ];
    for target in spellings {
        let answer = gateway.post(target, b"");
        problem::expect(&answer, 429, "allowance_exhausted", "gateway");
        if !target.contains('\\') {
            let body = Full::new(Bytes::new());
            let asked = http2_request(&gateway, "POST", target).body(body).unwrap();
            let answer = http2::call(gateway.address, asked);
            assert_eq!(answer.head.status, 429, "{target} over HTTP/2");
        }
    }
    let overridden = [("X-HTTP-Method-Override", "post")];
    let answer = gateway.call(&request("PUT", "/v/drop/create", &overridden, b""));
    problem::expect(&answer, 429, "allowance_exhausted", "gateway");
    let answer = gateway.call(&request("post", "/v/drop/create", &[], b""));
    problem::expect(&answer, 429, "allowance_exhausted", "gateway");
    assert_eq!(script.arrivals(), 1, "nothing but the first was sent");
    for other in ["/v/files/a%20b", "/v/drop", "/v/other/"] {
        assert_eq!(gateway.post(other, b"").status, 200, "{other} is another path");
    }
}

#[test]
fn an_account_is_the_same_however_it_is_sent() {
    let script = Script::always(ok("ok"));
    let more = "wait: { default: 1s }\naccount: { header: x-account }\nallowances:\n  all: { limit: 1/h }\n";
    let gateway = Gateway::start(&one_upstream(&script.url(), more));
    let call = |headers: &[(&str, &str)]| gateway.call(&request("GET", "/v/a", headers, b""));
    assert_eq!(call(&[("X-Account", "7")]).status, 200);
    let answer = call(&[("X-Account", "8"), ("X-Account", "7")]);
    let problem = problem::expect(&answer, 400, "invalid_request", "client");
    assert!(problem["detail"].as_str().unwrap().contains("more than once"), "{problem}");
    problem::expect(&call(&[("X-Account", "7, 8")]), 400, "invalid_request", "client");
    let nominated = call(&[("X-Account", "7"), ("Connection", "x-account")]);
    problem::expect(&nominated, 429, "allowance_exhausted", "gateway");
    problem::expect(&call(&[("X-Account", " 7\t")]), 429, "allowance_exhausted", "gateway");
    for foreign in ["7\u{a0}", "\u{200b}7"] {
        problem::expect(&call(&[("X-Account", foreign)]), 400, "invalid_request", "client");
    }
    for padded in [" 7", "7 ", "\t7"] {
        let asked = http2_request(&gateway, "GET", "/v/a").header("x-account", padded);
        let answer = http2::call(gateway.address, asked.body(Full::new(Bytes::new())).unwrap());
        assert_eq!(answer.head.status, 400, "{padded:?} over HTTP/2");
    }
    assert_eq!(script.arrivals(), 1);
}

#[test]
fn a_trailer_cannot_name_another_account() {
    let script = Script::always(ok("ok"));
    let more = "account: { header: x-account }\n";
    let gateway = Gateway::start(&one_upstream(&script.url(), more));
    let head =
        "POST /v/a HTTP/1.1\r\nHost: a\r\nX-Account: 7\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "2\r\nhi\r\n0\r\nX-Account: 8\r\nX_Account: 9\r\nX-Sum: 1\r\n\r\n";
    let answer = gateway.call([head, body].concat().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let trailers = script.request().trailers.to_lowercase();
    assert!(trailers.contains("x-sum: 1") && !trailers.contains("account"), "{trailers}");
}

#[test]
fn a_target_with_a_foreign_host_is_misdirected() {
    let script = Script::always(ok("ok"));
    let upstream = format!("upstreams:\n  vendor:\n    url: {}\n    route: /\n", script.url());
    let gateway = Gateway::start(&upstream);
    let absolute = |authority: &str| {
        let head = format!(
            "GET http://{authority}/a HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer theirs\r\n\r\n"
        );
        gateway.call(head.as_bytes())
    };
    for foreign in ["other.example", "other.example:80", "127.0.0.1", "127.0.0.1:1", "localhost"] {
        problem::expect(&absolute(foreign), 421, "misdirected", "client");
    }
    problem::expect(&absolute("u:p@127.0.0.1"), 400, "invalid_request", "client");
    assert_eq!(script.arrivals(), 0, "the other host's credential stays here");
    let own = format!("localhost.:{}", gateway.address.port());
    for ours in [gateway.address.to_string(), own, script.address.to_string()] {
        assert_eq!(absolute(&ours).status, 200, "{ours}");
    }
    assert_eq!(script.requests()[0].target(), "/a");
    assert_eq!(gateway.get("/a").status, 200, "a host alone is any name of ours");
}

#[test]
fn a_host_with_a_final_dot_is_the_same_host() {
    let script = Script::always(ok("ok"));
    let url = format!("http://localhost.:{}", script.address.port());
    let route = "route: { host: api.local. }";
    let gateway = Gateway::start(&format!("upstreams:\n  vendor:\n    url: {url}\n    {route}\n"));
    for host in ["api.local", "api.local.", "API.local.:8080"] {
        let answer = gateway.call(format!("GET /a HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        assert_eq!(answer.status, 200, "{host}: {}", answer.text());
    }
    let seen = script.requests();
    let sent = format!("localhost:{}", script.address.port());
    assert!(seen.iter().all(|seen| seen.all("host") == [&*sent]), "the dot stays here");
}

#[test]
fn no_spelling_avoids_a_longer_route() {
    let script = Script::always(ok("ok"));
    let upstreams = format!(
        "upstreams:\n  all:\n    url: {0}\n    route: /v\n  writes:\n    url: {0}/write\n    route: /v/write\n    \
         wait: {{ default: 1s }}\n    allowances:\n      some: {{ limit: 1/h }}\n",
        script.url()
    );
    let gateway = Gateway::start(&upstreams);
    assert_eq!(gateway.post("/v/write/a", b"").status, 200);
    problem::expect(&gateway.post("/v/write/a", b""), 429, "allowance_exhausted", "gateway");
    for target in ["/v/%77rite/a", "/v/Write/a", "/v//write/a", "/v/write%2Fa"] {
        problem::expect(&gateway.post(target, b""), 400, "invalid_request", "client");
    }
    assert_eq!(gateway.post("/v/read/write", b"").status, 200);
    let targets: Vec<_> = script.requests().iter().map(|seen| seen.target().to_owned()).collect();
    assert_eq!(targets, ["/write/a", "/read/write"]);
}
