//! What workers count: each has a shard of its own, and a scrape adds them up.
//!
//! Counting costs a few loads and stores: no lock, no hashing, and an allocation only when a status
//! is first seen.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, StatusCode};

use super::call_log::BrokenBy;
use super::counters::{ByStatus, Counter, Histogram};
use super::levers::Levers;
use super::reloads::Reloads;
use crate::allowance::BottleneckKind;
use crate::outcome::{Code, FailureKind, Source, StoppedBy};
use crate::retry::decision::RetryReason;

/// Clients with time series of their own; the others share one, because there may be many keys.
pub const CLIENTS_MAX: usize = 200;

/// The methods that OpenTelemetry knows, and one label for all others.
pub(super) const METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "_OTHER"];

/// The counters of all workers, and the labels for them.
#[derive(Debug)]
pub struct Metrics {
    pub(super) names: Arc<Names>,
    pub(super) shards: Arc<[Arc<Shard>]>,
    pub(super) reloads: Arc<Reloads>,
    pub(super) levers: Arc<Levers>,
}

/// Labels from the configuration.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) upstreams: Vec<UpstreamLabels>,
    pub(super) clients: Vec<Arc<str>>,
}

#[derive(Clone, Debug)]
pub struct UpstreamLabels {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The host of its URL.
    pub address: Arc<str>,
    pub port: u16,
    /// The path of its route.
    pub route: Arc<str>,
}

impl Metrics {
    /// Upstreams and clients are counted by their place in these lists.
    #[must_use]
    pub fn new(upstreams: Vec<UpstreamLabels>, clients: Vec<Arc<str>>, workers: usize) -> Self {
        let none = Names { upstreams: Vec::new(), clients: Vec::new() };
        let names = Names { upstreams, clients };
        let shard = |_| Arc::new(Shard::default().renewed(&none, &names));
        let shards = (0..workers.max(1)).map(shard).collect();
        Self { names: Arc::new(names), shards, reloads: Arc::default(), levers: Arc::default() }
    }

    /// The metrics of a changed configuration: upstreams and clients of the same name are counted
    /// on.
    #[must_use]
    pub fn renewed(&self, upstreams: Vec<UpstreamLabels>, clients: Vec<Arc<str>>) -> Self {
        let names = Names { upstreams, clients };
        let shards = self.shards.iter().map(|it| Arc::new(it.renewed(&self.names, &names)));
        let (reloads, levers) = (Arc::clone(&self.reloads), Arc::clone(&self.levers));
        Self { shards: shards.collect(), names: Arc::new(names), reloads, levers }
    }

    #[must_use]
    pub fn reloads(&self) -> &Reloads {
        &self.reloads
    }

    #[must_use]
    pub fn levers(&self) -> &Levers {
        &self.levers
    }

    /// The shard of one worker. Only that worker may write to it: its counters have a single
    /// writer.
    #[must_use]
    pub fn shard(self: &Arc<Self>, worker: usize) -> Arc<Shard> {
        Arc::clone(&self.shards[worker % self.shards.len()])
    }
}

/// The counters of one worker, as one configuration numbers them.
#[derive(Debug, Default)]
pub struct Shard {
    pub(super) upstreams: Box<[UpstreamShard]>,
    pub(super) worker: Arc<WorkerCounters>,
}

/// The counters of one worker that belong to no upstream.
#[derive(Debug, Default)]
pub(super) struct WorkerCounters {
    /// Problems of requests without an upstream.
    pub(super) problems: Problems,
    pub(super) connections_opened: Counter,
    pub(super) connections_closed: Counter,
}

/// One upstream in a worker's shard.
#[derive(Debug, Default)]
pub(super) struct UpstreamShard {
    pub(super) counters: Arc<UpstreamCounters>,
    /// By client: calls without and with a problem. The last place is for all further clients.
    pub(super) clients: Box<[Arc<[Counter; 2]>]>,
}

pub(super) type ByMethod = [Histogram; METHODS.len()];

/// A value for each code; arrays of this length have no `Default` of their own.
#[derive(Debug)]
pub(super) struct ByCode<T>([T; Code::ALL.len()]);

impl<T: Default> Default for ByCode<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| T::default()))
    }
}

impl<T> ByCode<T> {
    pub(super) fn of(&self, code: Code) -> &T {
        &self.0[code as usize]
    }
}

pub(super) type Problems = ByCode<[Counter; Source::ALL.len()]>;

/// The counters of one worker for one upstream.
#[derive(Debug, Default)]
pub(super) struct UpstreamCounters {
    pub(super) calls_started: Counter,
    pub(super) calls_ended: Counter,
    pub(super) calls: ByStatus<ByMethod>,
    pub(super) attempts: ByStatus<ByMethod>,
    pub(super) failures: [OnceLock<Box<ByMethod>>; FailureKind::ALL.len()],
    pub(super) retries_after_failure: [Counter; FailureKind::ALL.len()],
    pub(super) retries_after_code: ByCode<Counter>,
    pub(super) not_retried: [Counter; StoppedBy::ALL.len()],
    pub(super) slot_requests: [SlotRequests; LimitOf::ALL.len()],
    pub(super) problems: Problems,
    pub(super) throttled: Counter,
    pub(super) throttled_unexpectedly: Counter,
    pub(super) unrecognised: Counter,
    pub(super) broken_bodies: [Counter; BrokenBy::ALL.len()],
}

/// Requests for slots of one kind of limit.
#[derive(Debug, Default)]
pub(super) struct SlotRequests {
    pub(super) results: [Counter; SlotResult::ALL.len()],
    /// By what was waited for.
    pub(super) waits: [Histogram; BottleneckKind::LABELLED.len()],
}

/// How a call ended, for the metrics.
#[derive(Clone, Copy, Debug)]
pub struct EndedCall<'a> {
    pub client: usize,
    pub method: &'a Method,
    /// As the client received it.
    pub status: StatusCode,
    /// The code, if the client received a problem.
    pub code: Option<Code>,
    /// From the head of the request to the head of the response.
    pub took: Duration,
}

/// The result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    Status(StatusCode),
    Failure(FailureKind),
}

/// The owner of the limit that a slot was requested of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitOf {
    /// The vendor's allowance: one request per attempt.
    Upstream,
    /// The limit set for the client: one request per call.
    Client,
}

impl LimitOf {
    pub const ALL: [Self; 2] = [Self::Upstream, Self::Client];

    /// Its name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Client => "client",
        }
    }
}

/// The result of a request for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotResult {
    Immediate,
    /// Granted after a wait.
    Queued,
    /// None was free within the call's patience.
    Refused,
    /// The client left while it waited.
    ClientLeft,
    /// With `mode: observe`: it would have waited. Counted in addition to the actual result.
    WouldWait,
}

impl SlotResult {
    pub const ALL: [Self; 5] =
        [Self::Immediate, Self::Queued, Self::Refused, Self::ClientLeft, Self::WouldWait];

    /// Its name in metrics, as usual for rate limiters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Immediate => "acquired",
            Self::Queued => "queued",
            Self::Refused => "rejected",
            Self::ClientLeft => "cancelled",
            Self::WouldWait => "shadow_rejected",
        }
    }
}

/// Whether the gateway had reason to expect that the vendor limits the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttle {
    /// The allowance was used up or held, or none is configured.
    Expected,
    /// The configured allowance had room.
    Unexpected,
}

impl Shard {
    /// The shard of a changed configuration, with the counters that it has under the same names.
    fn renewed(&self, before: &Names, names: &Names) -> Self {
        let upstream = |labels: &UpstreamLabels| {
            let place = before.upstreams.iter().position(|it| it.name == labels.name);
            let known = place.map(|place| &self.upstreams[place]);
            let client = |name: &Arc<str>| {
                let place = before.clients.iter().position(|it| it == name);
                let place = place.filter(|place| *place < CLIENTS_MAX);
                let counted = known.zip(place).map(|(known, place)| &known.clients[place]);
                counted.cloned().unwrap_or_default()
            };
            let further = known.and_then(|known| known.clients.last());
            let clients = names.clients.iter().take(CLIENTS_MAX).map(client);
            UpstreamShard {
                clients: clients.chain([further.cloned().unwrap_or_default()]).collect(),
                counters: known.map(|known| Arc::clone(&known.counters)).unwrap_or_default(),
            }
        };
        Self {
            upstreams: names.upstreams.iter().map(upstream).collect(),
            worker: Arc::clone(&self.worker),
        }
    }

    pub fn call_started(&self, upstream: usize) {
        self.with(upstream, |counters| counters.calls_started.add(1));
    }

    pub fn call_ended(&self, upstream: usize, call: &EndedCall<'_>) {
        self.with(upstream, |counters| {
            counters.calls_ended.add(1);
            counters.calls.at(call.status)[method_place(call.method)].observe(call.took);
        });
        if let Some(UpstreamShard { clients, .. }) = self.upstreams.get(upstream) {
            let client = call.client.min(clients.len() - 1);
            clients[client][usize::from(call.code.is_some())].add(1);
        }
    }

    /// `took` is the time until the head of the response or the failure.
    pub fn attempt_ended(
        &self,
        upstream: usize,
        method: &Method,
        result: AttemptResult,
        took: Duration,
    ) {
        self.with(upstream, |counters| {
            let by_method = match result {
                AttemptResult::Status(status) => counters.attempts.at(status),
                AttemptResult::Failure(kind) => {
                    counters.failures[kind as usize].get_or_init(Box::default)
                }
            };
            by_method[method_place(method)].observe(took);
        });
    }

    pub fn retried(&self, upstream: usize, reason: RetryReason) {
        self.with(upstream, |counters| match reason {
            RetryReason::Failure(kind) => counters.retries_after_failure[kind as usize].add(1),
            RetryReason::Code(code) => counters.retries_after_code.of(code).add(1),
        });
    }

    /// A failed call is not retried.
    pub fn not_retried(&self, upstream: usize, reason: StoppedBy) {
        self.with(upstream, |counters| counters.not_retried[reason as usize].add(1));
    }

    /// A request for a slot ended; `waited` says for what and how long, unless it was immediate.
    pub fn slot_requested(
        &self,
        upstream: usize,
        limit_of: LimitOf,
        result: SlotResult,
        waited: Option<(BottleneckKind, Duration)>,
    ) {
        self.with(upstream, |counters| {
            let requests = &counters.slot_requests[limit_of as usize];
            requests.results[result as usize].add(1);
            if let Some((barrier, took)) = waited {
                requests.waits[barrier.index()].observe(took);
            }
        });
    }

    /// A client is sent a problem; `upstream` is `None` if no route matched.
    pub fn problem(&self, upstream: Option<usize>, code: Code, source: Source) {
        let shard = upstream.and_then(|upstream| self.upstreams.get(upstream));
        let problems = shard.map_or(&self.worker.problems, |shard| &shard.counters.problems);
        problems.of(code)[source as usize].add(1);
    }

    /// The vendor limited the rate.
    pub fn throttled(&self, upstream: usize, throttle: Throttle) {
        self.with(upstream, |counters| {
            counters.throttled.add(1);
            match throttle {
                Throttle::Expected => {}
                Throttle::Unexpected => counters.throttled_unexpectedly.add(1),
            }
        });
    }

    /// No dialect recognised an error body.
    pub fn unrecognised(&self, upstream: usize) {
        self.with(upstream, |counters| counters.unrecognised.add(1));
    }

    /// A response body broke after its head.
    pub fn body_broke(&self, upstream: usize, by: BrokenBy) {
        self.with(upstream, |counters| counters.broken_bodies[by as usize].add(1));
    }

    pub fn connection_opened(&self) {
        self.worker.connections_opened.add(1);
    }

    pub fn connection_closed(&self) {
        self.worker.connections_closed.add(1);
    }

    fn with(&self, upstream: usize, count: impl FnOnce(&UpstreamCounters)) {
        debug_assert!(upstream < self.upstreams.len(), "upstreams are numbered");
        if let Some(shard) = self.upstreams.get(upstream) {
            count(&shard.counters);
        }
    }
}

fn method_place(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::POST => 1,
        Method::PUT => 2,
        Method::PATCH => 3,
        Method::DELETE => 4,
        Method::HEAD => 5,
        Method::OPTIONS => 6,
        Method::TRACE => 7,
        Method::CONNECT => 8,
        _ => METHODS.len() - 1,
    }
}

#[cfg(test)]
impl From<&str> for UpstreamLabels {
    fn from(name: &str) -> Self {
        Self { name: name.into(), address: "vendor.example".into(), port: 443, route: "/v".into() }
    }
}
