//! The pure decisions on the path of a call that are timed. To add one, write a function like
//! [`moment_arithmetic`], which builds its state and calls `timed`, and add it to [`ALL`].
//! Functions that do I/O are measured by the benchmark `table`.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST, SERVER, USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

use evenkeel::allowance::{
    AccountRule, Accounts, Admission, Allowance, ClientShare, Grant, ProbeFitness, QueueBounds,
    Scheduling, Settlement, Spread, UpstreamAllowances,
};
use evenkeel::clock::Clock;
use evenkeel::dialect;
use evenkeel::headers::{
    self, CallHeaders, ProtectedHeaders, RequestPolicy, RequestScan, ResponsePolicy, ResponseScan,
    Trailers, Via, names,
};
use evenkeel::outcome::ResponseHead;
use evenkeel::problem::{CallContext, upstream_problem};
use evenkeel::routing::client::{KeyLocation, Priority};
use evenkeel::routing::route::{CallPath, Entry, Routes};
use evenkeel::time::Moment;

use crate::measure::{Case, timed};

/// The allocator of the program, because the times include what is allocated.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// In the order of the table. `targets.rs` finds the case of a bound by its name.
pub(crate) const ALL: &[Case] = &[
    Case { name: "moment arithmetic", run: moment_arithmetic },
    Case { name: "grant and settle", run: grant_and_settle },
    Case { name: "route", run: route },
    Case { name: "request's headers", run: request_headers },
    Case { name: "answer's headers", run: answer_headers },
    Case { name: "error of 1 KiB", run: |iterations| error(iterations, json_error(1 << 10)) },
    Case { name: "error of 64 KiB", run: |iterations| error(iterations, json_error(64 << 10)) },
    Case { name: "hostile: deep JSON", run: |iterations| error(iterations, filled("[")) },
    Case { name: "hostile: many values", run: |iterations| error(iterations, filled("[1,")) },
    Case { name: "hostile: one long string", run: |iterations| error(iterations, long_string()) },
    Case { name: "hostile: open tags", run: |iterations| error(iterations, filled("<a>")) },
    Case { name: "hostile: attributes", run: |iterations| error(iterations, attributes()) },
    Case { name: "hostile: less-than signs", run: |iterations| error(iterations, filled("<")) },
    Case { name: "hostile: entities", run: |iterations| error(iterations, entities()) },
    Case { name: "hostile: page", run: |iterations| error(iterations, page()) },
    Case { name: "hostile: events", run: |iterations| error(iterations, filled("data: {\n")) },
    Case { name: "hostile: fields", run: |iterations| error(iterations, filled("a=b&")) },
    Case { name: "hostile: limit words", run: |iterations| error(iterations, filled(LIMIT)) },
];

const LIMIT: &str = "the rate limit of requests per day was not exceeded, try again in 5 ";

fn moment_arithmetic(iterations: u64) -> Duration {
    let window = Duration::from_secs(60);
    timed(iterations, |iteration| {
        let settled = Moment::from_nanos(iteration);
        settled.plus(window).since(Moment::from_millis(iteration))
    })
}

/// One allowance with a window that is never full. Calls come every half millisecond and are
/// answered after twenty milliseconds, so the ledger is as long as that of a busy upstream.
fn grant_and_settle(iterations: u64) -> Duration {
    let accounts = Accounts::new(&[rules()], &[], 1, Clock::start());
    let account = accounts.account(0, &HeaderMap::new());
    timed(iterations, |iteration| {
        let now = Moment::from_nanos(iteration * 500_000);
        let scheduling = Scheduling {
            of: ClientShare { client: 0, share: 1 },
            priority: Priority::Normal,
            arrival: now,
            deadline: now.plus(Duration::from_secs(30)),
            probe_fitness: ProbeFitness::Replayable,
        };
        let request =
            accounts.slot_request(0, (&Method::GET, CallPath::new("/things/1")), scheduling);
        let Admission::Granted(slot) = account.acquire(request, now) else {
            unreachable!("the allowance has room")
        };
        let answered = now.plus(Duration::from_millis(20));
        slot.settle(&Settlement::answered(now, answered))
    })
}

fn rules() -> UpstreamAllowances {
    let grant = Grant::Window {
        limit: 1_000_000,
        window: Duration::from_secs(60),
        spread: Spread::None,
        arrival_guard: None,
    };
    let allowance = Allowance::new("all", grant, Duration::from_secs(1));
    UpstreamAllowances {
        name: Arc::from("vendor"),
        url: "http://vendor".into(),
        account: AccountRule::Upstream,
        allowances: vec![allowance],
        queue: QueueBounds::of_one_client(1_000),
    }
}

/// The request takes the last of ten routes, the one without a prefix.
fn route(iterations: u64) -> Duration {
    let entry = |number: usize| Entry {
        host: None,
        prefix: if number == 0 { "".into() } else { format!("/vendor-{number}").into() },
        upstream: number,
    };
    let routes = Routes::new((0..10).map(entry).collect());
    timed(iterations, |_| routes.find(Some("gateway.example:8080"), "/things/1"))
}

fn map(rows: &[(HeaderName, &'static str)]) -> HeaderMap {
    let row = |(name, value): &(HeaderName, &'static str)| {
        (name.clone(), HeaderValue::from_static(value))
    };
    rows.iter().map(row).collect()
}

/// The headers of a common client. The time includes copying them.
fn request_headers(iterations: u64) -> Duration {
    let head = map(&[
        (HOST, "gateway.example:8080"),
        (USER_AGENT, "python-requests/2.32.5"),
        (ACCEPT, "*/*"),
        (CONNECTION, "keep-alive"),
        (CONTENT_TYPE, "application/json"),
        (CONTENT_LENGTH, "17"),
    ]);
    let via = Via::new("evenkeel", [1, 2, 3, 4]);
    let protected = ProtectedHeaders::new(names::EVENKEEL_KEY, None, vec![names::IDEMPOTENCY_KEY]);
    let policy = RequestPolicy {
        protected: &protected,
        key: KeyLocation::None,
        credential: None,
        peer: None,
        trailers: Trailers::Pass,
        via: via.value(Version::HTTP_11),
    };
    timed(iterations, |_| {
        let mut headers = head.clone();
        let scan = RequestScan::of(&headers);
        headers::filter_request(&mut headers, scan, &policy);
        headers
    })
}

/// The headers of a common vendor. The time includes copying them.
fn answer_headers(iterations: u64) -> Duration {
    let head = map(&[
        (SERVER, "vendor"),
        (DATE, "Sat, 21 Nov 2026 20:00:00 GMT"),
        (CONTENT_TYPE, "application/json"),
        (CONTENT_LENGTH, "257"),
        (CONNECTION, "keep-alive"),
    ]);
    let via = Via::new("evenkeel", [1, 2, 3, 4]);
    let id = HeaderValue::from_static("01927d5e-7b3c-7000-8000-000000000000");
    let call = CallHeaders {
        request_id: &id,
        attempts: 1,
        wait_applied: None,
        timing: None,
        rate_limit: None,
    };
    let policy = ResponsePolicy {
        via: via.value(Version::HTTP_11),
        redirects: None,
        trailers: Trailers::Pass,
        call,
    };
    timed(iterations, |_| {
        let mut headers = head.clone();
        let scan = ResponseScan::of(&headers);
        headers::filter_response(&mut headers, scan, &policy);
        headers
    })
}

/// A vendor's error from its bytes to the problem's, by `auto`.
fn error(iterations: u64, body: String) -> Duration {
    let auto = dialect::builtin(dialect::AUTO).expect("auto is built in");
    let headers =
        map(&[(CONTENT_TYPE, "application/json"), (DATE, "Sat, 21 Nov 2026 20:00:00 GMT")]);
    let head = ResponseHead { status: StatusCode::BAD_REQUEST, headers: &headers };
    let wall = UNIX_EPOCH + Duration::from_secs(1_795_000_000);
    let body = Bytes::from(body);
    let problem = || {
        let understood = dialect::understand(&auto, head, Some(body.clone()), wall);
        let (classification, facts) = understood.expect("a 400 is an error");
        upstream_problem(&classification, Some(facts), &CallContext::default()).to_bytes()
    };
    // The first call compiles the patterns.
    let _ = problem();
    timed(iterations, |_| problem())
}

/// An error with as many single errors as fit.
fn json_error(bytes: usize) -> String {
    let child =
        r#"{"field":"order.lines.quantity","code":"too_small","message":"Must be at least 1."},"#;
    let start =
        r#"{"error":{"code":"invalid_order","message":"The order is not valid.","errors":["#;
    let children = child.repeat((bytes - start.len()) / child.len());
    format!("{start}{}]}}}}", children.trim_end_matches(','))
}

/// The largest body that is read, of one unit repeated.
fn filled(unit: &str) -> String {
    unit.repeat(dialect::BODY_BYTES_MAX / unit.len())
}

fn long_string() -> String {
    format!(r#"{{"message":"{}"}}"#, "x".repeat(dialect::BODY_BYTES_MAX - 14))
}

fn attributes() -> String {
    let mut body = filled(r#"<a b="c" d="e"/>"#);
    body.truncate(dialect::BODY_BYTES_MAX - 7);
    format!("<r>{body}</r>")
}

fn entities() -> String {
    format!("<r>{}</r>", "&amp;".repeat(dialect::BODY_BYTES_MAX / 5 - 2))
}

fn page() -> String {
    format!("<html><body>{}", "<p>a</p>".repeat(dialect::BODY_BYTES_MAX / 8 - 2))
}
