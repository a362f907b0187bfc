//! What a response contains: no secret of ours, every header that still applies, and no URL that
//! leads around the gateway.

use crate::support::gateway::{Gateway, one_upstream};
use crate::support::problem;
use crate::support::script::{Script, ok, raw, reply};
use crate::support::wire::request;

const AUTH: &str = "auth: { header: authorization, scheme: Bearer, value: { env: TOKEN } }\n";
const TOKEN: &str = "tok-12345+/x";
/// The token in base64, at each of the three alignments.
const CODED: [&str; 3] = ["dG9rLTEyMzQ1Ky94", "eHRvay0xMjM0NSsveA==", "eHh0b2stMTIzNDUrL3g="];

#[test]
fn our_token_appears_in_no_response() {
    let body = serde_json::json!({
        "message": format!("Token {TOKEN} is bad, so is tok%2D12345%2B%2Fx"),
        "code": TOKEN,
        "errors": [{ "message": format!("Bearer {TOKEN}"), "code": "&#116;ok-12345&#43;/x" }],
        TOKEN: [CODED, CODED],
        "escaped": r"\u0074ok-12345\u002b\/x",
    });
    let headers = [
        format!("X-Request-Id: {TOKEN}"),
        format!("Allow: GET, {TOKEN}"),
        format!("X-Echo: {}", CODED[1]),
        "X-Escaped: tok-12345%2b%2fx".to_owned(),
        "X-Tok-12345+/x".replace("+/x", "+: a"),
        "X-Other: b".to_owned(),
    ];
    let script = Script::answering(move |_| {
        let headers: Vec<&str> = headers.iter().map(|header| &**header).collect();
        vec![reply(&format!("401 {TOKEN}"), &headers, body.to_string().as_bytes())]
    });
    let gateway = Gateway::start_with(&one_upstream(&script.url(), AUTH), &[("TOKEN", TOKEN)]);
    let answer = gateway.get("/v/a");
    let response = format!("{:?} {}", answer.headers, answer.text());
    for secret in [TOKEN, "12345%2B%2F", "12345&#43;", "u002b", "dG9r", "eHRvay0x", "eHh0b2st"] {
        assert!(!response.contains(secret), "{secret} in {response}");
    }
    assert_eq!(answer.header("x-other"), Some("b"));
    assert_eq!(script.request().all("authorization"), [format!("Bearer {TOKEN}")]);
}

#[test]
fn only_our_token_is_removed_from_the_headers_of_a_success() {
    let headers = [format!("Location: /v/a?key={TOKEN}"), "ETag: \"x\"".to_owned()];
    let script = Script::answering(move |_| {
        let headers: Vec<&str> = headers.iter().map(|header| &**header).collect();
        vec![reply(&format!("302 Found {TOKEN}"), &headers, TOKEN.as_bytes())]
    });
    let gateway = Gateway::start_with(&one_upstream(&script.url(), AUTH), &[("TOKEN", TOKEN)]);
    let mut connection = gateway.connect();
    connection.send(&request("GET", "/v/a", &[("Connection", "close")], b""));
    let line = String::from_utf8(connection.bytes("HTTP/1.1 302 Found\r".len())).unwrap();
    assert_eq!(line, "HTTP/1.1 302 Found\r");
    let answer = gateway.get("/v/a");
    assert_eq!(answer.header("location"), Some("/v/v/a?key=[secret]"));
    assert_eq!((answer.header("etag"), answer.text().as_str()), (Some("\"x\""), TOKEN));
}

#[test]
fn our_token_appears_in_no_trailer_and_no_interim_response() {
    let text = format!(
        "HTTP/1.1 103 Early Hints\r\nX-Hint: {TOKEN}\r\n\r\nHTTP/1.1 200 OK\r\n\
         Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: {TOKEN}\r\n\
         X-Coded: {}\r\nX-Plain: 5\r\n\r\n",
        CODED[2]
    );
    let script = Script::always(vec![raw(&text)]);
    let gateway = Gateway::start_with(&one_upstream(&script.url(), AUTH), &[("TOKEN", TOKEN)]);
    let mut connection = gateway.connect();
    let welcome = [("TE", "trailers"), ("Connection", "TE")];
    connection.send(&request("GET", "/v/a", &welcome, b""));
    let hint = connection.head().expect("a hint");
    assert_eq!((hint.status, hint.header("x-hint")), (103, Some("[secret]")));
    let answer = connection.answer();
    let trailers: Vec<&str> = answer.trailers.iter().map(|(_, value)| &**value).collect();
    assert_eq!((answer.text().as_str(), trailers), ("ok", vec!["[secret]", "[secret]", "5"]));
}

#[test]
fn an_error_keeps_the_vendors_end_to_end_headers() {
    let rows: [(&str, &[&str], &[&str]); 4] = [
        (
            "403 Forbidden",
            &[
                "WWW-Authenticate: DPoP error=\"insufficient_scope\"",
                "DPoP-Nonce: n1",
                "x-ms-error-code: E",
            ],
            &[
                "ETag: \"x\"",
                "Content-Language: en",
                "Digest: sha-256=x",
                "Content-Range: bytes */1",
            ],
        ),
        ("416 Range Not Satisfiable", &["Content-Range: bytes */12"], &["ETag: \"x\""]),
        ("412 Precondition Failed", &["ETag: \"v2\""], &["Content-MD5: x"]),
        (
            "404 Not Found",
            &["Set-Cookie: a=1", "Set-Cookie: b=2", "Link: <https://docs.example/e>; rel=help"],
            &["X-Hop: 1", "Evenkeel-Attempts: 9"],
        ),
    ];
    for (status, kept, gone) in rows {
        let headers: Vec<&str> = kept.iter().chain(gone).copied().collect();
        let headers = [&headers[..], &["Connection: x-hop"]].concat();
        let script = Script::always(vec![reply(status, &headers, b"{\"error\":\"no\"}")]);
        let gateway = Gateway::start(&one_upstream(&script.url(), ""));
        let answer = gateway.get("/v/a");
        assert_eq!(answer.status.to_string(), status[..3], "{}", answer.text());
        let has = |header: &str| {
            let (name, value) = header.split_once(": ").unwrap();
            answer.all(name).contains(&value)
        };
        for header in kept {
            assert!(has(header), "{status} keeps {header}: {:?}", answer.headers);
        }
        for header in gone {
            assert!(!has(header), "{status} loses {header}: {:?}", answer.headers);
        }
        assert_eq!(answer.all("content-type"), ["application/problem+json"]);
        assert!(answer.all("date").len() <= 1 && answer.header("via").is_some());
    }
}

#[test]
fn vendor_urls_are_mapped_to_the_gateway_in_successes_and_errors() {
    let script = Script::answering(|seen| {
        let host = seen.all("host")[0];
        let headers = [
            format!("Operation-Location: http://{host}/base/jobs/7"),
            format!("Link: <http://{host}/base/a?page=2>; rel=next, </base/a>; rel=first"),
            format!("X-Next-Page: http://{host}/base/a?page=2"),
            "Refresh: 5; url=/base/wait".to_owned(),
            "Set-Cookie: s=1; Domain=localhost; Path=/base; HttpOnly".to_owned(),
        ];
        let headers: Vec<&str> = headers.iter().map(|header| &**header).collect();
        let status = if seen.target().ends_with("bad") { "409 Conflict" } else { "202 Accepted" };
        vec![reply(status, &headers, b"{\"error\":\"no\"}")]
    });
    let url = format!("http://localhost:{}/base", script.address.port());
    let gateway = Gateway::start(&one_upstream(&url, ""));
    for target in ["/v/good", "/v/bad"] {
        let answer = gateway.get(target);
        let rows = [
            ("operation-location", "http://gateway.test/v/jobs/7"),
            ("link", "<http://gateway.test/v/a?page=2>; rel=next, </v/a>; rel=first"),
            ("x-next-page", "http://gateway.test/v/a?page=2"),
            ("refresh", "5; url=/v/wait"),
            ("set-cookie", "s=1; Path=/v; HttpOnly"),
        ];
        for (name, expected) in rows {
            assert_eq!(answer.header(name), Some(expected), "{target} {name}");
        }
    }
}

#[test]
fn a_destination_header_is_mapped_to_the_vendor() {
    let script = Script::always(ok("ok"));
    let gateway = Gateway::start(&one_upstream(&format!("{}/dav", script.url()), ""));
    let copy = |to: &str| gateway.call(&request("COPY", "/v/a", &[("Destination", to)], b""));
    assert_eq!(copy("http://gateway.test/v/b%20c").status, 200);
    assert_eq!(copy("/v/b").status, 200);
    problem::expect(&copy("/v/../x"), 400, "invalid_request", "client");
    let sent: Vec<_> = script.requests().iter().map(|it| it.all("destination").join("")).collect();
    assert_eq!(sent, [format!("{}/dav/b%20c", script.url()), "/dav/b".to_owned()]);
}

#[test]
fn numbers_and_empty_values_stay_as_the_vendor_wrote_them() {
    let details = r#"{"a":1.0,"b":12345678901234567890,"c":-0,"d":0.1000000000000000055,"e":[],"f":{},"g":1e+400,"h":1e-7}"#;
    let body = format!(r#"{{"error":{{"message":"no","meta":{details}}}}}"#);
    let script = Script::always(vec![reply("400 Bad Request", &[], body.as_bytes())]);
    let gateway = Gateway::start(&one_upstream(&script.url(), ""));
    let text = gateway.get("/v/a").text();
    assert!(text.contains(details), "{text}");
}
