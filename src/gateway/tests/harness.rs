//! A gateway before a scripted upstream, and a client that calls it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use super::upstream::{Attempt, ExchangeScript, ScriptedUpstream};
use crate::allowance::{AccountRule, Allowance, Grant, QueueBounds, Spread};
use crate::clock::Clock;
use crate::gateway::{
    AddKey, CallPolicy, ClientAddress, ClientBodyError, ClientConnection, Drain, ErrorShape,
    Expose, Gateway, Idempotency, IncomingBody, Inspect, OriginalHeads, Redirects, Repeat,
    Settings, Shared, Upstream,
};
use crate::outcome::Failure;
use crate::problem::StatusPolicy;
use crate::random::Random;
use crate::retry::backoff::Backoff;
use crate::retry::client::ClientRetries;
use crate::routing::client::Clients;
use crate::routing::route::{Entry, Routes};
use crate::telemetry::{Access, Metrics};
use crate::time::Moment;

pub(super) struct Harness {
    pub(super) gateway: Gateway<ScriptedUpstream>,
    pub(super) upstream: ScriptedUpstream,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
}

/// What the client got.
#[derive(Debug)]
pub(super) struct ClientResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// How long the head took.
    pub(super) after: Duration,
}

pub(in crate::gateway) fn policy(dialect: &str) -> CallPolicy {
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
        client_retries: ClientRetries::AsRequested,
        idempotency: Idempotency {
            header: HeaderName::from_static("idempotency-key"),
            add: AddKey::Never,
        },
        status: StatusPolicy::Map,
        errors: ErrorShape::Problem,
        errors_allowed: None,
        redirects: Redirects::Rewrite,
        client_address: ClientAddress::Drop,
        repeat: Repeat::ByMethod,
        inspect: Inspect::Errors,
        require: Vec::new(),
        expose: Expose::default(),
        dialect,
    }
}

pub(super) fn harness(
    dialect: &str,
    scripts: &[ExchangeScript],
    change: impl FnOnce(&mut Upstream),
) -> Harness {
    Harness::new(7, None, scripts, upstream(dialect, change))
}

/// A harness with another seed for jitter and other random decisions.
pub(super) fn seeded(
    seed: u64,
    dialect: &str,
    scripts: &[ExchangeScript],
    change: impl FnOnce(&mut Upstream),
) -> Harness {
    Harness::new(seed, None, scripts, upstream(dialect, change))
}

/// A harness whose client has a limit of its own.
pub(super) fn limited(
    client_limit: Allowance,
    dialect: &str,
    scripts: &[ExchangeScript],
) -> Harness {
    Harness::new(7, Some(client_limit), scripts, upstream(dialect, |_| {}))
}

fn upstream(dialect: &str, change: impl FnOnce(&mut Upstream)) -> Upstream {
    let mut upstream = Upstream {
        name: "vendor".into(),
        origin: "https://api.vendor.example".into(),
        base_path: "/v1".into(),
        account: AccountRule::Upstream,
        allowances: Vec::new(),
        queue: QueueBounds::of_one_client(100),
        credential: None,
        routes: Vec::new(),
        policy: policy(dialect),
    };
    change(&mut upstream);
    upstream
}

/// An allowance of `limit` calls in so many seconds, which counts every call.
pub(super) fn window(name: &str, limit: u32, seconds: u64, spread: Spread) -> Allowance {
    let window = Duration::from_secs(seconds);
    let grant = Grant::Window { limit, window, spread, arrival_guard: None };
    Allowance::new(name, grant, Duration::from_secs(1))
}

/// Adds an allowance of one call at a time.
pub(super) fn one_at_a_time(upstream: &mut Upstream) {
    let grant = Grant::Concurrency { limit: 1 };
    upstream.allowances.push(Allowance { grant, ..window("all", 1, 1, Spread::None) });
}

impl Harness {
    fn new(
        seed: u64,
        client_limit: Option<Allowance>,
        scripts: &[ExchangeScript],
        upstream: Upstream,
    ) -> Self {
        let clock = Clock::start();
        let entry = Entry { host: None, prefix: "/vendor".into(), upstream: 0 };
        let settings = Settings {
            clients: Clients::without_keys(HeaderName::from_static("evenkeel-key")),
            client_limits: vec![client_limit],
            client_errors: vec![None],
            client_retries: vec![None],
            routes: Routes::new(vec![entry]),
            upstreams: vec![upstream],
            replay_bytes_max: 1 << 20,
            accounts_max: 10,
            via: "evenkeel".into(),
        };
        let shared = Shared::new(Arc::new(settings), Access::None, Drain::new(clock), clock, None);
        let metrics = Arc::new(Metrics::new(vec!["vendor".into()], vec!["default".into()], 1));
        let upstream = ScriptedUpstream::new(scripts, clock);
        let random = Random::from_seed(seed);
        let gateway = Gateway::new(&shared, metrics.shard(0), upstream.clone(), random);
        Self { gateway, upstream, metrics, clock }
    }

    /// Calls the usual URL with a small body.
    pub(super) async fn call(
        &self,
        method: Method,
        headers: &[(&'static str, &'static str)],
    ) -> ClientResponse {
        self.call_to(method, "/vendor/things?q=1", headers).await
    }

    pub(super) async fn call_to(
        &self,
        method: Method,
        target: &str,
        headers: &[(&'static str, &'static str)],
    ) -> ClientResponse {
        let (head, body, after) = self.stream_to(method, target, headers).await;
        let body = body.expect("the body is whole");
        ClientResponse { status: head.status, headers: head.headers, body, after }
    }

    /// The status of a GET of this path below the route's prefix.
    pub(super) async fn get(&self, path: &str) -> u16 {
        self.stream_to(Method::GET, &format!("/vendor{path}"), &[]).await.0.status.as_u16()
    }

    /// Calls with a request body that arrives slowly.
    pub(super) async fn upload(
        &self,
        headers: &[(&'static str, &'static str)],
        body: DrippingBody,
    ) -> ClientResponse {
        let request = Request::post("/vendor/things");
        let (head, body, after) = self.send(request, headers, IncomingBody::of(body)).await;
        let body = body.expect("the body is whole");
        ClientResponse { status: head.status, headers: head.headers, body, after }
    }

    /// The head, the body, which may have broken off, and how long the head took.
    pub(super) async fn stream_to(
        &self,
        method: Method,
        target: &str,
        headers: &[(&'static str, &'static str)],
    ) -> (http::response::Parts, Result<Bytes, Failure>, Duration) {
        let body = IncomingBody::Buffered(Full::new(Bytes::from_static(REQUEST_BODY)));
        self.send(Request::builder().method(method).uri(target), headers, body).await
    }

    async fn send(
        &self,
        mut request: http::request::Builder,
        headers: &[(&'static str, &'static str)],
        body: IncomingBody,
    ) -> (http::response::Parts, Result<Bytes, Failure>, Duration) {
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body).unwrap();
        let began = self.clock.now();
        let client = ClientConnection::detached(([127, 0, 0, 1], 9).into());
        let response =
            self.gateway.handle(&mut request, &mut OriginalHeads::default(), &client).await;
        let after = self.clock.now().since(began);
        let (head, body) = response.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes);
        (head, body, after)
    }

    pub(super) fn attempts(&self) -> Vec<Attempt> {
        self.upstream.attempts()
    }

    #[track_caller]
    pub(super) fn assert_attempts(&self, expected: usize) {
        assert_eq!(self.attempts().len(), expected, "attempts sent to the upstream");
    }

    /// Waits until so many seconds after the start.
    pub(super) async fn until(&self, seconds: f64) {
        let moment = Moment::START.plus(Duration::from_secs_f64(seconds));
        self.clock.sleep_until(moment).await;
    }

    /// How many attempts were sent in these seconds after the start.
    pub(super) fn attempts_between(&self, seconds: std::ops::Range<u64>) -> usize {
        let second = |attempt: &Attempt| attempt.at.since(Moment::START).as_secs();
        self.attempts().iter().filter(|attempt| seconds.contains(&second(attempt))).count()
    }

    /// Milliseconds between the first attempt and each of the others.
    pub(super) fn gaps(&self) -> Vec<u128> {
        let attempts = self.attempts();
        let since_first = |attempt: &Attempt| attempt.at.since(attempts[0].at).as_millis();
        attempts.iter().skip(1).map(since_first).collect()
    }
}

/// The request body of [`Harness::call`].
pub(super) const REQUEST_BODY: &[u8] = b"{\"a\":1}";

impl ClientResponse {
    pub(super) fn problem(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a problem is JSON")
    }

    pub(super) fn retry_after(&self) -> u64 {
        self.headers["retry-after"].to_str().unwrap().parse().unwrap()
    }

    #[track_caller]
    pub(super) fn assert_status(&self, status: u16) {
        assert_eq!(self.status.as_u16(), status, "status; body: {:?}", self.body);
    }

    /// Asserts the status of a problem and these members of it.
    #[track_caller]
    pub(super) fn assert_problem(&self, status: u16, members: Value) {
        self.assert_status(status);
        let problem = self.problem();
        let Value::Object(members) = members else { panic!("members are an object") };
        for (member, expected) in members {
            assert_eq!(problem[&member], expected, "member `{member}` of {problem:#}");
        }
    }
}

/// A request body whose pieces come at an interval; then it ends or breaks off.
pub(super) struct DrippingBody {
    clock: Clock,
    piece: Bytes,
    interval: Duration,
    pieces: usize,
    /// Whether its length is declared.
    declared: bool,
    breaks: bool,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl DrippingBody {
    /// A body of unknown length, whose end comes one interval after the last piece.
    pub(super) fn new(clock: Clock, piece: &'static [u8], interval_ms: u64, pieces: usize) -> Self {
        Self {
            clock,
            piece: Bytes::from_static(piece),
            interval: Duration::from_millis(interval_ms),
            pieces,
            declared: false,
            breaks: false,
            timer: None,
        }
    }

    /// With a declared length, which it has.
    pub(super) fn declared(self) -> Self {
        Self { declared: true, ..self }
    }

    /// It breaks off instead of ending.
    pub(super) fn breaking(self) -> Self {
        Self { breaks: true, ..self }
    }
}

impl Body for DrippingBody {
    type Data = Bytes;
    type Error = ClientBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
        let this = &mut *self;
        if this.pieces == 0 && this.declared {
            return Poll::Ready(None);
        }
        let next = this.clock.now().plus(this.interval);
        let timer = this.timer.get_or_insert_with(|| Box::pin(this.clock.sleep_until(next)));
        std::task::ready!(timer.as_mut().poll(context));
        this.timer = None;
        if this.pieces == 0 {
            return Poll::Ready(this.breaks.then_some(Err(ClientBodyError)));
        }
        this.pieces -= 1;
        Poll::Ready(Some(Ok(Frame::data(this.piece.clone()))))
    }

    fn size_hint(&self) -> SizeHint {
        match self.declared {
            true => SizeHint::with_exact((self.pieces * self.piece.len()) as u64),
            false => SizeHint::default(),
        }
    }
}
