//! The life of a call under a paused clock, against a script instead of a wire.
//!
//! `droplink` and `wordbee` hold the founding documents' own numbers: there an hour costs nothing.
//! `bounds` holds what only a long time or many calls show, `holds` what short, wrong and broken
//! words of a vendor lead to, `allowances` what answers do to allowances, holds and outages, and
//! `told` what the log says of holds.

mod allowances;
mod bounds;
mod droplink;
mod holds;
mod receive;
mod spelling;
mod told;
mod uploads;
mod wordbee;

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use super::*;
use crate::allowance::{AccountRule, Allowance, Grant, Mode, Spread};
use crate::outcome::{Failure, FailureKind, Reach};
use crate::problem::normalise::StatusPolicy;
use crate::retry::backoff::Backoff;
use crate::routing::client::Clients;
use crate::routing::route::{Entry, Routes};
use crate::telemetry::Metrics;
use crate::upstream::{AnswerBody, Progress, RequestHead};

/// What the scripted upstream does with one attempt.
#[derive(Clone, Debug)]
enum Step {
    /// Answers after so many milliseconds.
    Answer(u64, u16, &'static [(&'static str, &'static str)], &'static str),
    /// Breaks after so many milliseconds.
    Break(u64, FailureKind, Reach),
    /// Waits so many seconds for a connection, then answers.
    Connect(u64),
    /// Never answers.
    Silence,
    /// Answers at once with a body of this media type, which is silent for so many seconds first.
    Slow(&'static str, u64),
    /// Answers at once with a head whose body never comes.
    Stall(u16, &'static [(&'static str, &'static str)]),
    /// Takes the request in so many milliseconds and answers it so many milliseconds later.
    Upload(u64, u64),
}

/// One attempt as the upstream saw it.
#[derive(Clone, Debug)]
struct Sent {
    at: Moment,
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Clone, Debug)]
struct Script(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    steps: Mutex<VecDeque<Step>>,
    last: Step,
    sent: Mutex<Vec<Sent>>,
    /// Targets that begin like this are answered 500, whatever the steps say.
    broken: Mutex<Option<&'static str>>,
    clock: Clock,
}

struct ScriptBody {
    bytes: Option<Bytes>,
    silence: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl ScriptBody {
    /// All of it is here.
    fn whole(bytes: &'static str) -> Self {
        Self { bytes: Some(Bytes::from_static(bytes.as_bytes())), silence: None }
    }

    /// It comes after a silence.
    fn slow(bytes: &'static str, clock: Clock, silence: Duration) -> Self {
        let silence = Box::pin(clock.sleep_until(clock.now().plus(silence)));
        Self { silence: Some(silence), ..Self::whole(bytes) }
    }
}

impl Body for ScriptBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let Some(bytes) = self.bytes.take() else { return Poll::Ready(None) };
        if let Some(silence) = &mut self.silence
            && silence.as_mut().poll(context).is_pending()
        {
            self.bytes = Some(bytes);
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

impl AnswerBody for ScriptBody {
    fn take_whole(&mut self) -> Option<Bytes> {
        if self.silence.is_some() { None } else { Some(self.bytes.take().unwrap_or_default()) }
    }
}

impl Exchange<RequestBody> for Script {
    type Body = ScriptBody;

    async fn exchange(
        &self,
        _upstream: usize,
        head: &RequestHead,
        body: RequestBody,
        progress: &Progress,
    ) -> Result<Response<ScriptBody>, Failure> {
        let Inner { clock, .. } = *self.0;
        let body = body.collect().await.expect("the body is in memory").to_bytes();
        let sent = Sent {
            at: clock.now(),
            method: head.method.clone(),
            target: head.target.to_string(),
            headers: head.headers.clone(),
            body,
        };
        self.0.sent.lock().unwrap().push(sent);
        let broken =
            self.0.broken.lock().unwrap().is_some_and(|it| head.target.as_str().starts_with(it));
        let step = match broken {
            true => Step::Answer(10, 500, &[], "{}"),
            false => self.0.steps.lock().unwrap().pop_front().unwrap_or(self.0.last.clone()),
        };
        match step {
            Step::Answer(millis, status, headers, body) => {
                progress.wrote(clock.now());
                progress.finished(clock.now());
                clock.sleep_until(clock.now().plus(Duration::from_millis(millis))).await;
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(*name, *value);
                }
                Ok(response.body(ScriptBody::whole(body)).unwrap())
            }
            Step::Break(millis, kind, reach) => {
                clock.sleep_until(clock.now().plus(Duration::from_millis(millis))).await;
                Err(Failure::new(kind, reach, "scripted"))
            }
            Step::Connect(seconds) => {
                clock.sleep_until(clock.now().plus(Duration::from_secs(seconds))).await;
                progress.wrote(clock.now());
                progress.finished(clock.now());
                Ok(Response::new(ScriptBody::whole("ok")))
            }
            Step::Silence => {
                progress.wrote(clock.now());
                progress.finished(clock.now());
                std::future::pending().await
            }
            Step::Stall(status, headers) => {
                progress.wrote(clock.now());
                progress.finished(clock.now());
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(*name, *value);
                }
                let body = ScriptBody::slow("late", clock, Duration::from_secs(3_600));
                Ok(response.body(body).unwrap())
            }
            Step::Upload(taken, answered) => {
                progress.wrote(clock.now());
                clock.sleep_until(clock.now().plus(Duration::from_millis(taken))).await;
                progress.finished(clock.now());
                clock.sleep_until(clock.now().plus(Duration::from_millis(answered))).await;
                Ok(Response::new(ScriptBody::whole("taken")))
            }
            Step::Slow(media_type, seconds) => {
                progress.wrote(clock.now());
                progress.finished(clock.now());
                let response = Response::builder().header("content-type", media_type);
                let body = ScriptBody::slow("slow", clock, Duration::from_secs(seconds));
                Ok(response.body(body).unwrap())
            }
        }
    }

    fn reuse(&self, _upstream: usize, headers: &mut HeaderMap) {
        headers.clear();
    }
}

/// A gateway before a script, and what happened there.
struct Bench {
    gateway: Gateway<Script>,
    script: Script,
    metrics: Arc<Metrics>,
    clock: Clock,
}

/// What the client got.
#[derive(Debug)]
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    after: Duration,
}

impl Got {
    fn problem(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a problem is JSON")
    }
}

fn policy(dialect: &str) -> CallPolicy {
    let dialect = crate::dialect::builtin(dialect).expect("it is built in");
    CallPolicy {
        attempt_timeout: dialect.attempt_timeout.unwrap_or(Duration::from_secs(30)),
        idle_timeout: Duration::from_secs(90),
        request_rate: 1024,
        wait: Duration::from_secs(30),
        wait_max: Duration::from_secs(3600),
        attempts: 4,
        backoff: Backoff {
            base: Duration::from_millis(250),
            factor: 2.0,
            max: Duration::from_secs(10),
        },
        budget_percent: 10,
        replay_body_max: 1024,
        idempotency_header: HeaderName::from_static("idempotency-key"),
        status: StatusPolicy::Map,
        redirects: Redirects::Rewrite,
        client_address: ClientAddress::Drop,
        repeat: Repeat::ByMethod,
        inspect: Inspect::Errors,
        require: Vec::new(),
        expose: Expose::default(),
        dialect,
    }
}

fn bench(dialect: &str, steps: &[Step], change: impl FnOnce(&mut Upstream)) -> Bench {
    seeded(7, dialect, steps, change)
}

/// The same with a chance of its own.
fn seeded(seed: u64, dialect: &str, steps: &[Step], change: impl FnOnce(&mut Upstream)) -> Bench {
    limited(seed, dialect, (steps, None), change)
}

/// The same for a client with a limit of its own.
fn limited(
    seed: u64,
    dialect: &str,
    (steps, limit): (&[Step], Option<Allowance>),
    change: impl FnOnce(&mut Upstream),
) -> Bench {
    let clock = Clock::start();
    let mut steps: VecDeque<_> = steps.to_vec().into();
    let last = steps.back().cloned().expect("a script has steps");
    let steps = Mutex::new(std::mem::take(&mut steps));
    let script = Script(Arc::new(Inner {
        steps,
        last,
        sent: Mutex::default(),
        broken: Mutex::default(),
        clock,
    }));
    let metrics = Arc::new(Metrics::new(vec!["vendor".into()], vec!["default".into()], 1));
    let shared = shared(dialect, limit, clock, change);
    let random = Random::from_seed(seed);
    let gateway = Gateway::new(&shared, metrics.shard(0), script.clone(), random);
    Bench { gateway, script, metrics, clock }
}

/// A gateway before another upstream than a script.
fn before<E: Exchange<RequestBody>>(
    exchange: E,
    clock: Clock,
    change: impl FnOnce(&mut Upstream),
) -> Gateway<E> {
    let metrics = Arc::new(Metrics::new(vec!["vendor".into()], vec!["default".into()], 1));
    let shared = shared("auto", None, clock, change);
    Gateway::new(&shared, metrics.shard(0), exchange, Random::from_seed(7))
}

fn shared(
    dialect: &str,
    limit: Option<Allowance>,
    clock: Clock,
    change: impl FnOnce(&mut Upstream),
) -> Shared {
    let mut upstream = Upstream {
        name: "vendor".into(),
        origin: "https://api.vendor.example".into(),
        base_path: "/v1".into(),
        account: AccountRule::Upstream,
        allowances: Vec::new(),
        queue_max: 100,
        credential: None,
        routes: Vec::new(),
        policy: policy(dialect),
    };
    change(&mut upstream);
    let entry = Entry { host: None, prefix: "/vendor".into(), upstream: 0 };
    let settings = Settings {
        clients: Clients::anybody(HeaderName::from_static("evenkeel-key")),
        client_limits: vec![limit],
        routes: Routes::new(vec![entry]),
        upstreams: vec![upstream],
        replay_bytes_max: 1 << 20,
        accounts_max: 10,
        via: "evenkeel".into(),
    };
    Shared::new(Arc::new(settings), Access::None, Drain::new(clock), clock)
}

impl Bench {
    async fn call(&self, method: Method, headers: &[(&'static str, &'static str)]) -> Got {
        let (head, body, after) = self.stream(method, headers).await;
        let body = body.expect("the body is whole");
        Got { status: head.status, headers: head.headers, body, after }
    }

    /// The status of a GET of this path behind the route's prefix.
    async fn get(&self, path: &str) -> u16 {
        let request = Request::builder().uri(format!("/vendor{path}"));
        self.answer(request, &[]).await.0.status.as_u16()
    }

    /// The same, with a body that may have broken off; and when the head came.
    async fn stream(
        &self,
        method: Method,
        headers: &[(&'static str, &'static str)],
    ) -> (http::response::Parts, Result<Bytes, Failure>, Duration) {
        self.stream_to(method, "/vendor/things?q=1", headers).await
    }

    /// The same for another target than the usual one.
    async fn call_to(
        &self,
        method: Method,
        target: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Got {
        let (head, body, after) = self.stream_to(method, target, headers).await;
        let body = body.expect("the body is whole");
        Got { status: head.status, headers: head.headers, body, after }
    }

    async fn stream_to(
        &self,
        method: Method,
        target: &str,
        headers: &[(&'static str, &'static str)],
    ) -> (http::response::Parts, Result<Bytes, Failure>, Duration) {
        self.answer(Request::builder().method(method).uri(target), headers).await
    }

    async fn answer(
        &self,
        mut request: http::request::Builder,
        headers: &[(&'static str, &'static str)],
    ) -> (http::response::Parts, Result<Bytes, Failure>, Duration) {
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::from_static(b"{\"a\":1}"));
        let mut request = request.body(IncomingBody::Buffered(body)).unwrap();
        let began = self.clock.now();
        let peer = ClientConnection::detached(([127, 0, 0, 1], 9).into());
        let response =
            self.gateway.handle(&mut request, &mut OriginalHeads::default(), &peer).await;
        let after = self.clock.now().since(began);
        let (head, body) = response.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes);
        (head, body, after)
    }

    fn sent(&self) -> Vec<Sent> {
        self.script.0.sent.lock().unwrap().clone()
    }

    /// Waits until so many seconds after the start.
    async fn until(&self, seconds: f64) {
        let moment = Moment::START.plus(Duration::from_secs_f64(seconds));
        self.clock.sleep_until(moment).await;
    }

    /// How many attempts were sent in these seconds after the start.
    fn sent_between(&self, seconds: std::ops::Range<u64>) -> usize {
        let second = |sent: &Sent| sent.at.since(Moment::START).as_secs();
        self.sent().iter().filter(|sent| seconds.contains(&second(sent))).count()
    }

    /// Milliseconds between the first attempt and each of the others.
    fn gaps(&self) -> Vec<u128> {
        let sent = self.sent();
        sent.iter().skip(1).map(|it| it.at.since(sent[0].at).as_millis()).collect()
    }
}

impl Got {
    fn retry_after(&self) -> u64 {
        self.headers["retry-after"].to_str().unwrap().parse().unwrap()
    }
}

/// An allowance that counts everything.
fn window(name: &str, limit: u32, seconds: u64, spread: Spread) -> Allowance {
    Allowance {
        name: name.into(),
        grant: Grant::Window {
            limit,
            window: Duration::from_secs(seconds),
            spread,
            arrival_guard: None,
        },
        counts: None,
        exempt: Vec::new(),
        mode: Mode::Enforce,
        linger: Duration::from_secs(1),
    }
}

/// As long as an hour, whatever the default is.
const PATIENT: (&str, &str) = ("prefer", "wait=3600");

const OK: Step = Step::Answer(10, 200, &[], "fine");
const MAINTENANCE: Step = Step::Answer(10, 503, &[], r#"{"error":"Down for maintenance."}"#);
const DEADLOCK: Step =
    Step::Answer(10, 400, &[], r#"{"error":"The request encountered a database deadlock."}"#);

#[tokio::test(start_paused = true)]
async fn a_success_passes_byte_for_byte() {
    let bench = bench("droplink", &[OK], |_| {});
    let got = bench.call(Method::POST, &[("connection", "x-mine"), ("x-mine", "1")]).await;
    assert_eq!((got.status.as_u16(), &*got.body), (200, &b"fine"[..]));
    let sent = &bench.sent()[0];
    assert_eq!(sent.target, "/v1/things?q=1");
    assert_eq!((&sent.method, &*sent.body), (&Method::POST, &b"{\"a\":1}"[..]));
    assert!(!sent.headers.contains_key("x-mine") && sent.headers.contains_key("via"));
    assert!(got.headers.contains_key("evenkeel-request-id"));
}

#[tokio::test(start_paused = true)]
async fn a_deadlock_disappears_for_any_method() {
    let bench = bench("droplink", &[DEADLOCK, OK], |_| {});
    let got = bench.call(Method::POST, &[]).await;
    assert_eq!(got.status.as_u16(), 200);
    assert_eq!(got.headers["evenkeel-attempts"], "2");
    let [gap] = bench.gaps()[..] else { panic!("two attempts") };
    assert!((1_000..1_200).contains(&gap), "after {gap} ms");
    assert_eq!(bench.sent()[0].body, bench.sent()[1].body);
}

#[tokio::test(start_paused = true)]
async fn every_attempt_says_the_same_but_for_its_span() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-";
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let bench = bench("droplink", &[DEADLOCK, DEADLOCK, OK], |_| {});
    let asked = [("traceparent", PARENT), ("x-empty", ""), ("x-many", "1"), ("x-many", "\t2, 3")];
    let got = bench.call(Method::GET, &asked).await;
    assert_eq!(got.headers["evenkeel-attempts"], "3");
    let sent = bench.sent();
    let mut spans = HashSet::new();
    for attempt in &sent {
        let mut headers = attempt.headers.clone();
        let span = headers.insert("traceparent", sent[0].headers["traceparent"].clone()).unwrap();
        assert!(span.to_str().unwrap().starts_with(TRACE), "{span:?}");
        spans.insert(span);
        assert_eq!((&headers, &attempt.target), (&sent[0].headers, &sent[0].target));
        assert_eq!(headers.get_all("x-many").iter().collect::<Vec<_>>(), ["1", "\t2, 3"]);
    }
    assert_eq!(spans.len(), 3);
    assert!(spans.iter().all(|span| span != PARENT));
}

#[tokio::test(start_paused = true)]
async fn a_deadlock_that_persists_is_not_the_clients_mistake() {
    let bench = bench("droplink", &[DEADLOCK], |_| {});
    let got = bench.call(Method::POST, &[]).await;
    let problem = got.problem();
    assert_eq!((got.status.as_u16(), &problem["code"]), (503, &"transient_conflict".into()));
    assert_eq!((&problem["attempts"], &problem["retryable"]), (&4.into(), &true.into()));
    assert_eq!(problem["stopped_by"], "attempts");
}

#[tokio::test(start_paused = true)]
async fn silence_is_retried_only_where_it_is_safe_and_fits() {
    let bench = bench("droplink", &[Step::Silence], |_| {});
    let got = bench.call(Method::POST, &[("prefer", "wait=3600")]).await;
    assert_eq!((got.status.as_u16(), bench.sent().len()), (504, 1));
    assert_eq!(got.problem()["outcome_unknown"], true);
    assert_eq!(got.after.as_secs(), 60);
    let got = bench.call(Method::GET, &[]).await;
    assert_eq!(got.headers["retry-after"], "300");
    assert_eq!(got.problem()["stopped_by"], "patience");
}

#[tokio::test(start_paused = true)]
async fn silence_is_retried_after_five_minutes_by_key() {
    let bench = bench("droplink", &[Step::Silence, OK], |_| {});
    let asked = [("prefer", "wait=3600"), ("idempotency-key", "k")];
    let got = bench.call(Method::POST, &asked).await;
    assert_eq!(got.status.as_u16(), 200);
    assert_eq!(got.headers["preference-applied"], "wait=3600");
    let [gap] = bench.gaps()[..] else { panic!("two attempts") };
    assert!((360_000..391_000).contains(&gap), "after {gap} ms");
    assert!(!bench.sent()[0].headers.contains_key("prefer"));
}

#[tokio::test(start_paused = true)]
async fn maintenance_holds_the_whole_upstream() {
    let bench = bench("droplink", &[MAINTENANCE, OK], |_| {});
    let first = bench.call(Method::GET, &[]).await;
    assert_eq!(first.problem()["code"], "upstream_maintenance");
    assert!(first.problem()["support"].is_null());
    let second = bench.call(Method::GET, &[]).await;
    assert_eq!((second.status.as_u16(), bench.sent().len()), (503, 1));
    assert_eq!(second.problem()["code"], "upstream_held");
    let told: u64 = second.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((300..=330).contains(&told), "{told}");
    let third = bench.call(Method::GET, &[("prefer", "wait=600")]).await;
    assert_eq!((third.status.as_u16(), bench.sent().len()), (200, 2));
}

#[tokio::test(start_paused = true)]
async fn after_a_few_retries_the_support_contact_is_told() {
    let bench = bench("droplink", &[MAINTENANCE], |_| {});
    let got = bench.call(Method::GET, &[("prefer", "wait=3600")]).await;
    assert_eq!((bench.sent().len(), got.status.as_u16()), (4, 503));
    assert_eq!(got.problem()["support"], "admin@droplink.cc");
    assert_eq!(got.problem()["stopped_by"], "attempts");
}

#[tokio::test(start_paused = true)]
async fn four_faults_have_four_codes() {
    let rows = [
        (Step::Break(1, FailureKind::Refused, Reach::Nothing), "upstream_unreachable"),
        (Step::Break(1, FailureKind::TlsCertificate, Reach::Nothing), "upstream_tls"),
        (Step::Break(1, FailureKind::Protocol, Reach::Maybe), "upstream_protocol"),
        (Step::Silence, "upstream_timeout"),
    ];
    for (step, code) in rows {
        let bench = bench("droplink", &[step], |_| {});
        let got = bench.call(Method::POST, &[]).await;
        assert_eq!(got.problem()["code"], code);
        let why = if code == "upstream_timeout" { "no answer in time" } else { "scripted" };
        let told = got.headers["proxy-status"].to_str().unwrap();
        assert!(told.ends_with(&format!("; details=\"{why}\"")), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_budget_bounds_blind_retries() {
    let bench = bench("auto", &[Step::Answer(1, 500, &[], "{}")], |_| {});
    let bench = Arc::new(bench);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let bench = Arc::clone(&bench);
        calls.spawn(async move { bench.call(Method::GET, &[]).await.status });
    }
    calls.join_all().await;
    let sends = bench.sent().len();
    assert!(sends <= 220 + 3, "{sends} sends for 200 calls");
}

#[tokio::test(start_paused = true)]
async fn a_throttle_without_a_word_waits_ten_seconds_and_says_whose_number_it_is() {
    let hourly = |upstream: &mut Upstream| {
        upstream.allowances.push(window("account", 1000, 3600, Spread::Even { burst: 20 }));
    };
    let bench = bench("wordbee", &[wordbee::THROTTLED, OK], hourly);
    let got = bench.call(Method::POST, &[]).await;
    assert_eq!(got.status.as_u16(), 200);
    let [gap] = bench.gaps()[..] else { panic!("two attempts") };
    assert!((10_000..12_000).contains(&gap), "after {gap} ms");
}
