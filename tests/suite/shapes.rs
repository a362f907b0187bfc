//! The shape a client gets: the documented problem, the vendor's own error, or that of gRPC and
//! OAuth; and that no credential of ours passes in any of them.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::support::gateway::{Gateway, one_upstream};
use crate::support::script::{Act, Script, raw, reply};
use crate::support::wire::{Answer, End, request};
use crate::support::{http2, problem};

const VENDOR: &str = "errors: vendor\n";
const AUTH: &str = "auth: { header: authorization, scheme: Bearer, value: { env: TOKEN } }\n";
const TOKEN: &str = "tok-12345+/x";
const BUSY: &[u8] = br#"{ "message": "No such film", "status": 404 ,"errors":[]}"#;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn with_token(script: &Script) -> Gateway {
    let yaml = one_upstream(&script.url(), &[AUTH, VENDOR].concat());
    Gateway::start_with(&yaml, &[("TOKEN", TOKEN)])
}

#[track_caller]
fn is_problem(answer: &Answer) -> bool {
    answer.header("content-type") == Some("application/problem+json")
}

#[test]
fn the_vendors_error_passes_as_it_was_sent() {
    let headers = ["Content-Type: application/vnd.v+json", "ETag: \"a\"", "x-ms-error-code: E"];
    let script = Script::always(vec![reply("404 Nowhere", &headers, BUSY)]);
    let gateway = Gateway::start(&one_upstream(&script.url(), VENDOR));
    let answer = gateway.get("/v/films");
    assert_eq!((answer.status, &answer.body[..]), (404, BUSY));
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let said = answer.header("evenkeel-problem");
    assert_eq!(said, Some("code=not_found, source=upstream, retryable=?0"));
    assert!(answer.header("proxy-status").unwrap().contains("received-status=404"));
    assert!(answer.header("evenkeel-request-id").is_some());
    let head = gateway.call(&request("HEAD", "/v/films", &[], b""));
    assert_eq!((head.status, head.header("content-length")), (404, Some("56")));
    assert_eq!(head.header("content-type"), Some("application/vnd.v+json"));
}

#[test]
fn the_strongest_word_decides_the_shape() {
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let script = Script::always(vec![reply("404 Not Found", &[], BUSY)]);
    let yaml = format!(
        "clients:\n  sdk: {{ key: {{ env: SDK }}, errors: vendor }}\n  \
         app: {{ key: {{ env: APP }} }}\n\
         upstreams:\n  vendor:\n    url: {}\n    route: /v\n    routes:\n    \
         - {{ match: {{ path: /raw/** }}, errors: vendor }}\n    \
         - {{ match: {{ path: /any/** }}, errors_allowed: [problem, vendor] }}\n",
        script.url()
    );
    let gateway = Gateway::start_with(&yaml, &[("SDK", "key-of-sdk"), ("APP", "key-of-app")]);
    let (sdk, app) = (("evenkeel-key", "key-of-sdk"), ("evenkeel-key", "key-of-app"));
    let (vendor, documented) = (("Evenkeel-Errors", "vendor"), ("Evenkeel-Errors", "problem"));
    let accept = ("Accept", "application/problem+json, */*");
    let rows: [(&str, Headers<'_>, bool); 9] = [
        ("/v/x", &[app], true),
        ("/v/x", &[sdk], false),
        ("/v/raw/x", &[app], false),
        ("/v/raw/x", &[app, accept], true),
        ("/v/raw/x", &[app, documented], true),
        ("/v/x", &[app, vendor], true),
        ("/v/any/x", &[app, vendor], false),
        ("/v/x", &[sdk, documented], true),
        ("/v/x", &[sdk, accept, vendor], true),
    ];
    for (target, headers, expected) in rows {
        let answer = gateway.call(&request("GET", target, headers, b""));
        assert_eq!(is_problem(&answer), expected, "{target} {headers:?}: {}", answer.text());
    }
    let sent = script.requests();
    assert!(sent.iter().all(|seen| seen.all("evenkeel-errors").is_empty()), "it is ours");
}

#[test]
fn http2_carries_the_vendors_error_too() {
    let upstream = http2::Upstream::start(|_| {
        let answer = Response::builder().status(418).header("content-type", "text/x-tea");
        answer.body(http2::bytes(b"short and stout")).unwrap()
    });
    let yaml =
        one_upstream(&format!("http://{}", upstream.address), "protocol: http2\nerrors: vendor\n");
    let gateway = Gateway::start(&yaml);
    let request = Request::get(format!("http://{}/v/pot", gateway.address));
    let answer = http2::call(gateway.address, request.body(Full::default()).unwrap());
    assert_eq!((answer.head.status.as_u16(), &answer.body[..]), (418, &b"short and stout"[..]));
    assert_eq!(answer.head.headers["content-type"], "text/x-tea");
    assert!(!answer.broken);
}

#[test]
fn a_compressed_body_is_only_decoded_where_our_secret_is_in_it() {
    let (clean, echo) = (gzip(BUSY), gzip(format!("{{\"key\":\"{TOKEN}\"}}").as_bytes()));
    let broken = echo[..echo.len() - 9].to_vec();
    let bodies = [clean.clone(), echo.clone(), broken, echo];
    let script = Script::answering(move |seen| {
        let number: usize = seen.target().trim_start_matches('/').parse().unwrap();
        // The last one claims to be plain.
        let coding = if number == 3 { "X-A: b" } else { "Content-Encoding: gzip" };
        let headers =
            [coding, "ETag: \"a\"", "Digest: sha-256=x", "Content-Type: application/json"];
        vec![reply("404 Not Found", &headers, &bodies[number])]
    });
    let gateway = with_token(&script);
    let answer = gateway.get("/v/0");
    assert_eq!((answer.header("content-encoding"), &answer.body), (Some("gzip"), &clean));
    assert_eq!(answer.header("etag"), Some("\"a\""));
    let answer = gateway.get("/v/1");
    assert_eq!(answer.text(), format!("{{\"key\":\"{}\"}}", "*".repeat(TOKEN.len())));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    for gone in ["content-encoding", "etag", "digest"] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
    assert!(is_problem(&gateway.get("/v/2")), "the end may hold the start of a secret");
    assert_eq!(gateway.get("/v/3").text(), answer.text(), "the bytes decide, not the label");
    let plain = Gateway::start(&one_upstream(&script.url(), VENDOR));
    assert_eq!(plain.get("/v/1").header("content-encoding"), Some("gzip"), "no secret of ours");
}

#[test]
fn no_spelling_of_our_token_passes() {
    let spellings = [
        TOKEN.to_owned(),
        TOKEN.to_uppercase(),
        "tok-12345\\u002b\\/x".to_owned(),
        "\\\\u0074ok-12345+\\\\/x".to_owned(),
        "tok%2D12345%2B%2Fx".to_owned(),
        "&#116;ok-12345&#43;/x".to_owned(),
        "dG9rLTEyMzQ1Ky94".to_owned(),
        "eHRvay0xMjM0NSsveA==".to_owned(),
        "746f6b2d31323334352b2f78".to_owned(),
        TOKEN.chars().flat_map(|c| [c, '\0']).collect(),
    ];
    let bodies: Vec<_> = spellings.iter().map(|it| format!("{{\"a\": \"{it}\"}}")).collect();
    let lengths: Vec<_> = bodies.iter().map(String::len).collect();
    let script = Script::answering(move |seen| {
        let number: usize = seen.target().trim_start_matches('/').parse().unwrap();
        let echo = format!("X-Echo: {}", bodies[number].replace('\0', ""));
        vec![reply("403 Forbidden", &[&echo, "Set-Cookie: a=1"], bodies[number].as_bytes())]
    });
    let client = "clients: { app: { key: { env: APP }, errors: vendor } }\n";
    let yaml = [client, &one_upstream(&script.url(), AUTH)].concat();
    let gateway = Gateway::start_with(&yaml, &[("TOKEN", TOKEN), ("APP", "key-of-app")]);
    for (number, (spelling, length)) in spellings.iter().zip(lengths).enumerate() {
        let key = [("Authorization", "Bearer key-of-app")];
        let answer = gateway.call(&request("GET", &format!("/v/{number}"), &key, b""));
        let whole = format!("{:?} {}", answer.headers, answer.text());
        assert!(!whole.contains(&**spelling), "{spelling} in {whole}");
        assert_eq!(answer.body.len(), length, "{spelling}: {}", answer.text());
        assert!(answer.text().starts_with("{\"a\": \"") && answer.text().ends_with("\"}"));
        assert_eq!(answer.header("set-cookie"), Some("a=1"));
    }
}

#[test]
fn a_long_body_streams_on_through_the_mask() {
    /// Behind the 256 KiB that are read to understand an error.
    const FAR: usize = 300 << 10;
    let chunk =
        |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let filler = "film ".repeat(FAR / 5);
    let script = Script::answering(move |_| {
        let head = "HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\nETag: \"a\"\r\n\r\n";
        let (first, second) = TOKEN.split_at(5);
        let acts = [
            head.as_bytes().to_vec(),
            chunk(format!("begin {TOKEN} ").as_bytes()),
            chunk(filler.as_bytes()),
            chunk(first.as_bytes()),
        ];
        let rest =
            [chunk(second.as_bytes()), chunk(b" dG9rLTEy"), chunk(b"MzQ1Ky94 end"), chunk(b"")];
        let acts = acts
            .map(Act::Send)
            .into_iter()
            .chain([Act::Wait(std::time::Duration::from_millis(50))]);
        acts.chain(rest.map(Act::Send)).collect()
    });
    let gateway = with_token(&script);
    let answer = gateway.post("/v/long", b"x");
    let text = answer.text();
    assert_eq!((answer.status, answer.end, answer.header("etag")), (500, End::Whole, None));
    let stars = "*".repeat(TOKEN.len());
    assert!(text.starts_with(&format!("begin {stars} film film")), "{}", &text[..60]);
    assert!(
        text.ends_with(&format!(" {stars} {} end", "*".repeat(16))),
        "{}",
        &text[text.len() - 60..]
    );
    assert_eq!(text.len(), 6 + TOKEN.len() + 1 + FAR / 5 * 5 + TOKEN.len() + 1 + 16 + 4);
    assert!(gateway.logs().contains("upstream_error"), "it is logged as an error");
}

#[test]
fn an_error_that_breaks_off_becomes_a_problem() {
    let head = "HTTP/1.1 500 Oops\r\nContent-Length: 900\r\n\r\n{\"error\": \"cut";
    let script = Script::always(vec![raw(head), Act::Close]);
    let gateway = Gateway::start(&one_upstream(&script.url(), VENDOR));
    let answer = gateway.post("/v/a", b"x");
    problem::expect(&answer, 502, "upstream_error", "upstream");
}

/// A dialect whose errors are XML.
const BUCKET: &str = "
dialects:
  bucket:
    own:
      xml: { Error: { Code: '{code}', Message: '{message}', RequestId: '{request_id}' } }
      headers: { x-amz-error: '{code}' }
      names: { 503: SlowDown, 404: { code: NoSuchBucket, status: 400 } }
";

#[test]
fn our_own_errors_follow_the_template_of_the_dialect() {
    let script =
        Script::always(vec![reply("503 Closed", &["Retry-After: 90"], b"{\"error\":\"closed\"}")]);
    let url = script.url();
    let gateway = Gateway::start(&format!(
        "defaults: {{ errors: vendor, wait: {{ default: 0s }} }}\n\
         upstreams:\n  bucket: {{ url: '{url}', dialect: bucket }}\n  \
         drop: {{ url: '{url}', dialect: droplink }}\n  auto: {{ url: '{url}' }}\n{BUCKET}"
    ));
    for route in ["bucket", "drop", "auto"] {
        let first = gateway.get(&format!("/{route}/a"));
        assert_eq!(
            (first.status, first.text().as_str()),
            (503, "{\"error\":\"closed\"}"),
            "{route}"
        );
        let wait: u64 = first.header("retry-after").unwrap().parse().unwrap();
        assert!((90..=99).contains(&wait), "{route}: {wait}");
    }
    let held = gateway.get("/bucket/a");
    assert_eq!((held.status, held.header("content-type")), (503, Some("application/xml")));
    let wait: u64 = held.header("retry-after").unwrap().parse().unwrap();
    assert_eq!((held.header("x-amz-error"), (85..=100).contains(&wait)), (Some("SlowDown"), true));
    let id = held.header("evenkeel-request-id").unwrap();
    assert!(held.text().contains("<Error><Code>SlowDown</Code><Message>"), "{}", held.text());
    assert!(held.text().contains(&format!("<RequestId>{id}</RequestId>")), "{}", held.text());
    let said = held.header("evenkeel-problem");
    assert_eq!(
        said,
        Some(&*format!("code=upstream_held, source=gateway, retryable, retry_after={wait}"))
    );
    let held: Value = serde_json::from_slice(&gateway.get("/drop/a").body).unwrap();
    assert!(held["error"].as_str().unwrap().contains("held"), "{held}");
    problem::expect(&gateway.get("/auto/a"), 503, "upstream_held", "gateway");
    let head = gateway.call(&request("HEAD", "/bucket/a", &[], b""));
    assert_eq!((head.status, head.header("content-type")), (503, Some("application/xml")));
    let rejected = gateway.call(&request("TRACE", "/drop/a", &[], b""));
    assert_eq!((rejected.status, rejected.header("content-type")), (405, Some("application/json")));
}

#[test]
fn a_longer_wait_of_ours_wins_and_a_401_has_a_challenge() {
    let script = Script::answering(|seen| match seen.target() {
        "/401" => vec![reply("401 Unauthorized", &[], BUSY)],
        _ => vec![reply("429 Slow", &["Retry-After: 1", "retry-after-ms: 1000"], BUSY)],
    });
    let yaml =
        format!("{VENDOR}allowances: {{ hour: {{ limit: 1/h }} }}\nwait: {{ default: 0s }}\n");
    let gateway = Gateway::start(&one_upstream(&script.url(), &yaml));
    let answer = gateway.get("/v/a");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert_eq!((answer.status, &answer.body[..], wait > 3_000), (429, BUSY, true), "{wait}");
    let millis: u64 = answer.header("retry-after-ms").unwrap().parse().unwrap();
    assert!(millis > 3_000_000, "it does not say less: {millis}");
    let gateway = Gateway::start(&one_upstream(&script.url(), VENDOR));
    let answer = gateway.get("/v/401");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"upstream\""));
}

#[test]
fn a_client_of_oauth_takes_no_problem_for_a_token() {
    let script = Script::answering(|seen| {
        match seen.target() {
        "/polling" => vec![reply(
            "400 Bad Request",
            &["Content-Type: application/json"],
            br#"{"error":"authorization_pending","error_description":"No.","error_uri":"http://a"}"#,
        )],
        "/busy" => vec![reply("503 Busy", &[], b"<html><title>Busy</title></html>")],
        _ => vec![reply("400 Bad Request", &[], b"no")],
    }
    });
    let gateway = Gateway::start(&one_upstream(&script.url(), ""));
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let ask = |target: &str| {
        let body = b"client_id=a&grant_type=client_credentials";
        let answer = gateway.call(&request("POST", target, &[form], body));
        assert!(is_problem(&answer), "{}", answer.text());
        serde_json::from_slice::<Value>(&answer.body).unwrap()
    };
    let polling = ask("/v/polling");
    let members = ["error", "error_description", "error_uri"].map(|name| polling[name].clone());
    assert_eq!(json!(members), json!(["authorization_pending", "No.", "http://a"]));
    let busy = ask("/v/busy");
    assert_eq!(
        (&busy["error"], &busy["error_description"]),
        (&json!("temporarily_unavailable"), &busy["detail"])
    );
    assert_eq!(ask("/v/no")["error"], "invalid_request");
    let other = gateway.call(&request("POST", "/v/no", &[form], b"a=grant_type"));
    assert_eq!(
        serde_json::from_slice::<Value>(&other.body).unwrap()["error"]["code"],
        "invalid_request"
    );
}

fn grpc(gateway: &Gateway, target: &str) -> http2::Answer {
    let request = Request::post(format!("http://{}{target}", gateway.address))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .header("prefer", "wait=0")
        .body(Full::new(Bytes::from_static(b"\0\0\0\0\x02hi")));
    http2::call(gateway.address, request.unwrap())
}

#[test]
fn grpc_gets_its_own_statuses_in_every_mode() {
    let upstream = http2::Upstream::start(|seen| {
        let answer = Response::builder().header("content-type", "application/grpc");
        let answer = match seen.head.uri.path() {
            "/full" => answer.header("grpc-status", "8").header("grpc-message", "too%20fast"),
            "/html" => Response::builder().status(429).header("content-type", "text/html"),
            _ => answer.header("grpc-status", "0"),
        };
        answer.body(http2::bytes(b"")).unwrap()
    });
    let url = format!("http://{}", upstream.address);
    for mode in ["problem", "vendor"] {
        let gateway =
            Gateway::start(&one_upstream(&url, &format!("protocol: http2\nerrors: {mode}\n")));
        let fine = grpc(&gateway, "/v/fine");
        assert_eq!(fine.head.headers["grpc-status"], "0");
        let full = grpc(&gateway, "/v/full");
        assert_eq!((full.head.status.as_u16(), &full.body[..]), (200, &b""[..]));
        assert_eq!(full.head.headers["grpc-message"], "too%20fast", "as the vendor sent it");
        assert_eq!(full.head.headers["content-type"], "application/grpc");
        // The vendor's word has placed a hold, which our own answer tells.
        let held = grpc(&gateway, "/v/fine");
        assert_eq!((held.head.status.as_u16(), &held.body[..]), (200, &b""[..]));
        let headers = &held.head.headers;
        assert_eq!(
            (&headers["grpc-status"], &headers["content-type"]),
            (&"14".parse().unwrap(), &"application/grpc+proto".parse().unwrap())
        );
        assert!(headers["grpc-message"].to_str().unwrap().contains("held"), "{headers:?}");
        let pushback: u64 = headers["grpc-retry-pushback-ms"].to_str().unwrap().parse().unwrap();
        assert!((1_000..=60_000).contains(&pushback), "{pushback}");
        assert!(headers["evenkeel-problem"].to_str().unwrap().starts_with("code=upstream_held"));
        let nowhere = grpc(&gateway, "/nowhere");
        assert_eq!(
            (nowhere.head.status.as_u16(), &nowhere.head.headers["grpc-status"]),
            (200, &"12".parse().unwrap())
        );
    }
    let gateway = Gateway::start(&one_upstream(&url, "protocol: http2\n"));
    let html = grpc(&gateway, "/v/html");
    assert_eq!(
        (html.head.status.as_u16(), &html.head.headers["grpc-status"]),
        (200, &"8".parse().unwrap())
    );
}
