//! Clients that retry by themselves, as SDKs do: their retries and ours do not multiply.

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::gateway::{Gateway, one_upstream};
use crate::support::problem;
use crate::support::script::{Act, Script, ok, reply};
use crate::support::time;
use crate::support::wire::{self, Answer, request};

/// Retries follow at once, and no budget keeps them from multiplying.
const EAGER: &str =
    "retry: { attempts: 4, backoff: { base: 10ms, factor: 1, max: 10ms }, budget: 100% }\n";

#[track_caller]
fn gateway_to(script: &Script, more: &str) -> Gateway {
    Gateway::start(&one_upstream(&script.url(), &format!("{EAGER}{more}")))
}

/// How a client's library retries.
#[derive(Clone, Copy)]
struct Sdk {
    name: &'static str,
    calls_max: u32,
    /// The header in which it reads whether to retry.
    advice: Option<&'static str>,
    /// What it says of its retries, by the number of the call.
    says: fn(u32) -> Option<(&'static str, String)>,
    /// Whether it waits as long as `retry-after-ms` or `Retry-After` say.
    heeds_waits: bool,
}

const STAINLESS: Sdk = Sdk {
    name: "openai, anthropic",
    calls_max: 3,
    advice: Some("x-should-retry"),
    says: |call| Some(("X-Stainless-Retry-Count", (call - 1).to_string())),
    heeds_waits: true,
};
const STRIPE: Sdk = Sdk {
    name: "stripe",
    calls_max: 3,
    advice: Some("stripe-should-retry"),
    says: |_| Some(("X-Stripe-Client-User-Agent", "{}".to_owned())),
    heeds_waits: false,
};
const READS_ADVICE: Sdk =
    Sdk { name: "one that only reads the advice", says: |_| None, ..STAINLESS };
const BOTO: Sdk = Sdk {
    name: "boto3",
    calls_max: 5,
    advice: None,
    // Like its legacy mode, whose first request does not state the maximum.
    says: |call| {
        let max = if call == 1 { "" } else { "; max=5" };
        Some(("amz-sdk-request", format!("attempt={call}{max}")))
    },
    heeds_waits: false,
};
const BLIND: Sdk = Sdk { name: "one that reads and says nothing", says: |_| None, ..BOTO };

impl Sdk {
    /// Sends a request until it succeeds or the library gives up; returns the last answer.
    fn perform(&self, address: SocketAddr, method: &str, target: &str) -> Answer {
        let mut call = 1;
        loop {
            let said = (self.says)(call);
            let headers: Vec<_> = said.iter().map(|(name, value)| (*name, &**value)).collect();
            let answer = wire::call(address, &request(method, target, &headers, b""));
            if call == self.calls_max || !self.retries(&answer) {
                return answer;
            }
            std::thread::sleep(self.wait(&answer));
            call += 1;
        }
    }

    fn retries(&self, answer: &Answer) -> bool {
        match self.advice.and_then(|name| answer.header(name)) {
            Some("true") => true,
            Some("false") => false,
            _ => matches!(answer.status, 408 | 409 | 429 | 500..),
        }
    }

    fn wait(&self, answer: &Answer) -> Duration {
        let own = Duration::from_millis(20);
        let stated = |name, unit: u32| {
            answer.header(name)?.parse().ok().map(|count| Duration::from_millis(count) * unit)
        };
        let stated = stated("retry-after-ms", 1).or_else(|| stated("retry-after", 1_000));
        let heeded = |wait: &Duration| self.heeds_waits && *wait <= Duration::from_secs(60);
        stated.filter(heeded).unwrap_or(own)
    }
}

fn slow_down() -> Act {
    let body = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message>\
                 </Error>";
    reply("503 Slow Down", &["Content-Type: application/xml"], body)
}

#[test]
fn no_sdk_makes_more_sends_through_the_gateway_than_one_of_the_two_alone() {
    let json = |status: &str, headers: &[&str]| {
        let headers = [&["Content-Type: application/json"], headers].concat();
        reply(status, &headers, br#"{"error":{"message":"Try later.","type":"server_error"}}"#)
    };
    let troubles = [
        ("500", json("500 Internal Server Error", &[])),
        ("408", json("408 Request Timeout", &[])),
        ("429 with a wait", json("429 Too Many Requests", &["Retry-After: 1"])),
        ("429 with a wait in ms", json("429 Too Many Requests", &["retry-after-ms: 50"])),
        ("429", json("429 Too Many Requests", &[])),
        ("SlowDown", slow_down()),
    ];
    // A boto3 with fewer attempts, because each of them waits for a hold twice as long.
    let standard = Sdk {
        calls_max: 3,
        says: |call| Some(("amz-sdk-request", format!("attempt={call}; max=3"))),
        ..BOTO
    };
    let mut cases = Vec::new();
    for (what, trouble) in &troubles {
        for (sdk, more) in [
            (STAINLESS, ""),
            (STRIPE, ""),
            (READS_ADVICE, ""),
            (standard, ""),
            (Sdk { calls_max: 3, ..BLIND }, "client_retries: true\n"),
        ] {
            cases.push((sdk, more, *what, trouble.clone()));
        }
    }
    // An SDK that obeys the vendor's advice to retry has to be known as such.
    let advised = json("500 Oops", &["x-should-retry: true", "stripe-should-retry: true"]);
    let told = "client_retries: true\n";
    for (sdk, more) in [(STAINLESS, ""), (STRIPE, ""), (READS_ADVICE, told), (standard, "")] {
        cases.push((sdk, more, "500 with the advice to retry", advised.clone()));
    }
    cases.push((BOTO, "", "500", troubles[0].1.clone()));
    cases.push((BLIND, "client_retries: true\n", "500", troubles[0].1.clone()));
    let counts = cases.into_iter().map(|(sdk, more, what, trouble)| {
        std::thread::spawn(move || {
            let script = Script::always(vec![trouble]);
            sdk.perform(script.address, "GET", "/a");
            let direct = script.arrivals();
            let gateway = gateway_to(&script, more);
            let answer = sdk.perform(gateway.address, "GET", "/v/a");
            assert!(answer.status >= 400, "{} {what}", sdk.name);
            (sdk.name, what, direct, script.arrivals() - direct)
        })
    });
    let counts: Vec<_> =
        counts.collect::<Vec<_>>().into_iter().map(|it| it.join().unwrap()).collect();
    // A wait that the vendor states is ours, and a client that does not say which call it makes
    // cannot be counted.
    let uncounted = |sdk, what: &str| sdk == BLIND.name && what.contains("wait");
    let multiplied: Vec<_> = counts
        .iter()
        .filter(|(sdk, what, direct, ours)| ours > direct.max(&4) && !uncounted(*sdk, what))
        .collect();
    assert!(multiplied.is_empty(), "{multiplied:?} of {counts:?}");
}

/// What SDKs read of an answer.
fn advice(answer: &Answer) -> [Option<&str>; 4] {
    ["x-should-retry", "stripe-should-retry", "retry-after", "retry-after-ms"]
        .map(|name| answer.header(name))
}

#[test]
fn exactly_one_advice_goes_out() {
    type Row =
        (&'static str, &'static str, &'static [&'static str], usize, [Option<&'static str>; 4]);
    let stop = Some("false");
    let rows: [Row; 12] = [
        ("GET", "500 Oops", &[], 4, [stop, None, None, None]),
        ("POST", "500 Oops", &[], 1, [stop, None, None, None]),
        ("GET", "404 Not Found", &[], 1, [stop, None, None, None]),
        ("GET", "500 Oops", &["X-Should-Retry: false"], 1, [stop, None, None, None]),
        ("GET", "500 Oops", &["Stripe-Should-Retry: false"], 1, [None, stop, None, None]),
        ("POST", "500 Oops", &["x-should-retry: true"], 1, [Some("true"), None, None, None]),
        ("GET", "500 Oops", &["x-should-retry: true"], 4, [Some("true"), None, None, None]),
        ("GET", "409 Conflict", &["x-should-retry: true"], 1, [Some("true"), None, None, None]),
        ("GET", "400 Bad", &["x-should-retry: maybe"], 1, [stop, None, None, None]),
        (
            "GET",
            "500 Oops",
            &["x-should-retry: true", "x-should-retry: false"],
            1,
            [stop, None, None, None],
        ),
        ("GET", "429 Slow", &["Retry-After: 40"], 1, [None, None, Some("40"), Some("40000")]),
        ("GET", "429 Slow", &["Retry-After: 120"], 1, [stop, None, Some("120"), Some("120000")]),
    ];
    for (method, status, headers, sends, expected) in rows {
        let script = Script::always(vec![reply(status, headers, b"")]);
        let gateway = gateway_to(&script, "");
        let answer = gateway.call(&request(method, "/v/a", &[], b""));
        let what = format!("{method} {status} {headers:?}");
        assert_eq!(script.arrivals(), sends, "{what}");
        let found = advice(&answer);
        assert_eq!(found[..2], expected[..2], "{what}");
        // A hold is up to a tenth longer than the vendor says, and a little of it may be over.
        let number = |text: &str| text.parse::<u64>().unwrap();
        for (found, stated) in found[2..].iter().zip(&expected[2..]) {
            let (found, stated) = (found.map(number), stated.map(number));
            assert_eq!(found.is_some(), stated.is_some(), "{what}");
            let near = |(found, stated)| stated * 9 / 10 < found && found <= stated * 11 / 10;
            assert!(found.zip(stated).is_none_or(near), "{what}: {found:?}");
        }
    }
}

#[test]
fn errors_of_the_gateways_own_carry_the_advice_too() {
    let script = Script::always(ok("ok"));
    let gateway = gateway_to(&script, "allowances: { all: { limit: 1/h, spread: none } }\n");
    let unrouted = gateway.get("/elsewhere");
    assert_eq!(unrouted.header("x-should-retry"), Some("false"));
    assert_eq!(gateway.get("/v/a").status, 200);
    let exhausted = gateway.get("/v/a");
    problem::expect(&exhausted, 429, "allowance_exhausted", "gateway");
    assert_eq!(exhausted.header("x-should-retry"), Some("false"), "an hour is too long");
    assert!(exhausted.header("retry-after-ms").is_some());
}

#[test]
fn stripes_sdks_get_the_advice_under_their_own_name() {
    let script = Script::always(vec![reply("500 Oops", &[], b"")]);
    let gateway = gateway_to(&script, "");
    let sdk = ("X-Stripe-Client-User-Agent", "{}");
    let answer = gateway.call(&request("POST", "/v/a", &[sdk], b"x"));
    assert_eq!(advice(&answer)[..2], [Some("false"); 2]);
}

#[test]
fn a_wait_in_milliseconds_is_never_shorter_than_the_hold() {
    let headers = ["retry-after-ms: 40", "x-ms-retry-after-ms: 30"];
    let script = Script::always(vec![reply("429 Slow", &headers, b"")]);
    let gateway = gateway_to(&script, "wait: { default: 0s }\n");
    let answer = gateway.get("/v/a");
    let millis = answer.header("retry-after-ms").unwrap();
    assert_eq!(answer.header("x-ms-retry-after-ms"), Some(millis));
    assert!((900..=1_100).contains(&millis.parse::<u32>().unwrap()), "{millis}");
}

#[test]
fn blind_retries_are_left_to_a_client_that_makes_its_own() {
    const KEYED: &str = "clients:\n  a: { key: { env: KEY }, client_retries: true }\n";
    const PLAIN: (&str, &str) = ("X-A", "1");
    const KEY: (&str, &str) = ("Evenkeel-Key", "k-123456");
    const STAINLESS: (&str, &str) = ("x-stainless-retry-count", "0");
    let on_route = "routes: [{ match: { path: /a }, client_retries: true }]\n";
    let rows = [
        ("nobody says so", "", "", PLAIN, 4),
        ("the upstream", "client_retries: true\n", "", PLAIN, 1),
        ("the route", on_route, "", PLAIN, 1),
        ("the client", "", KEYED, KEY, 1),
        ("the client, against its upstream", "client_retries: false\n", KEYED, KEY, 1),
        ("the request", "", "", STAINLESS, 1),
        ("the request of a retry", "", "", ("x-stainless-retry-count", "2"), 1),
        ("the request, against its upstream", "client_retries: false\n", "", STAINLESS, 4),
        ("an SDK that does not retry", "", "", ("amz-sdk-request", "attempt=1; max=1"), 4),
        ("an SDK that does", "", "", ("amz-sdk-request", "attempt=1; max=3"), 1),
    ];
    for (who, more, clients, header, sends) in rows {
        let script = Script::always(vec![reply("500 Oops", &[], b"")]);
        let yaml = format!("{}{clients}", one_upstream(&script.url(), &format!("{EAGER}{more}")));
        let gateway = Gateway::start_with(&yaml, &[("KEY", "k-123456")]);
        let answer = gateway.call(&request("GET", "/v/a", &[header], b""));
        assert_eq!((answer.status, script.arrivals()), (502, sends), "{who}");
        let problem = problem::expect(&answer, 502, "upstream_error", "upstream");
        let (stopped_by, advice) =
            if sends == 1 { ("client", None) } else { ("attempts", Some("false")) };
        assert_eq!(problem["stopped_by"], stopped_by, "{who}");
        assert_eq!(problem["retryable"], true, "{who}");
        assert_eq!(answer.header("x-should-retry"), advice, "{who}");
    }
}

#[test]
fn a_wait_that_the_vendor_states_stays_ours() {
    let rows = [
        ("client_retries: true\n", ("X-A", "1")),
        ("", ("x-stainless-retry-count", "0")),
        ("", ("amz-sdk-request", "attempt=1; max=3")),
    ];
    for (more, header) in rows {
        let script = Script::answering(|seen| match seen.number {
            1 => vec![reply("429 Slow", &["Retry-After: 1"], b"")],
            _ => ok("ok"),
        });
        let gateway = gateway_to(&script, more);
        let start = time::now();
        let answer = gateway.call(&request("POST", "/v/a", &[header], b"x"));
        assert_eq!((answer.status, script.arrivals()), (200, 2), "{header:?}");
        assert!(start.elapsed() >= Duration::from_secs(1), "{header:?}");
    }
}

#[test]
fn a_client_that_returns_while_a_hold_stands_waits_for_its_end() {
    let script = Script::answering(|seen| match seen.number {
        1 => vec![slow_down()],
        _ => ok("ok"),
    });
    let gateway = gateway_to(&script, "");
    let first = gateway.call(&request("GET", "/v/a", &[("x-stainless-retry-count", "0")], b""));
    problem::expect(&first, 429, "rate_limited", "upstream");
    let start = time::now();
    let second = gateway.call(&request("GET", "/v/a", &[("x-stainless-retry-count", "1")], b""));
    assert_eq!((second.status, script.arrivals()), (200, 2));
    assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
}

const ADD: &str = "idempotency: { header: X-Once, add: true }\n";

#[test]
fn a_post_without_a_key_gets_one_that_every_attempt_sends() {
    for (method, more) in [
        ("POST", ADD),
        ("PATCH", ADD),
        ("POST", "routes: [{ match: { path: /a }, idempotency: { header: x-once, add: true } }]\n"),
        ("POST", "idempotency_header: x-once\nidempotency: { add: true }\n"),
    ] {
        let script = Script::answering(|seen| match seen.number % 2 {
            0 => ok("ok"),
            _ => vec![Act::Reset],
        });
        let gateway = gateway_to(&script, more);
        for call in 1..3 {
            let answer = gateway.call(&request(method, "/v/a", &[], b"pay"));
            assert_eq!((answer.status, script.arrivals()), (200, 2 * call), "{method} {more}");
        }
        let seen = script.requests();
        let keys: Vec<_> = seen.iter().map(|seen| seen.all("x-once")).collect();
        assert!(keys.iter().all(|keys| keys.len() == 1 && keys[0].len() == 36), "{keys:?}");
        assert!(keys[0] == keys[1] && keys[2] == keys[3] && keys[1] != keys[2], "{keys:?}");
        assert_eq!(seen[0].raw, seen[1].raw, "identical attempts");
    }
}

#[test]
fn no_key_is_added_where_none_is_needed_or_wanted() {
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let rows: [(&str, &str, &str, Headers<'_>, &[&str]); 7] = [
        ("by default", "POST", "", &[], &[]),
        ("a safe method", "GET", ADD, &[], &[]),
        ("an idempotent method", "PUT", ADD, &[], &[]),
        ("the client's own", "POST", ADD, &[("X-Once", "mine")], &["mine"]),
        ("the client's own, blank", "POST", ADD, &[("X-Once", "")], &[""]),
        ("gRPC", "POST", ADD, &[("Content-Type", "application/grpc+proto")], &[]),
        (
            "a route without",
            "POST",
            "idempotency: { header: x-once, add: true }\n\
             routes: [{ match: { path: /a }, idempotency: { add: false } }]\n",
            &[],
            &[],
        ),
    ];
    for (what, method, more, headers, expected) in rows {
        let script = Script::always(ok("ok"));
        let gateway = gateway_to(&script, more);
        assert_eq!(gateway.call(&request(method, "/v/a", headers, b"pay")).status, 200, "{what}");
        assert_eq!(script.request().all("x-once"), expected, "{what}");
    }
}
