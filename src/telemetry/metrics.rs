//! The metrics: one shard per worker to write, one exposition to read.
//!
//! Writing costs a few loads and stores: no lock, no hashing, and no allocation but for the first
//! answer of a status. Refuses to decide what counts as what; it is told.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, StatusCode};

use super::access::BrokenBy;
use super::cells::{ByStatus, Cell, Histogram};
use super::exposition;
use crate::allowance::{AccountView, BottleneckKind};
use crate::outcome::{Code, FailureKind, Source, StoppedBy};
use crate::retry::decision::RetryReason;

/// Clients with a series of their own; the others share one, so that keys can be many.
pub const CLIENTS_MAX: usize = 200;

/// Methods with a label of their own, as OpenTelemetry knows them; then all others as one.
pub(super) const METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "_OTHER"];

/// Every metric of the program.
#[derive(Debug)]
pub struct Metrics {
    pub(super) names: Arc<Names>,
    shards: Arc<[Arc<Shard>]>,
}

/// Labels from the configuration.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) upstreams: Vec<UpstreamLabels>,
    pub(super) clients: Vec<Arc<str>>,
}

/// What series say of an upstream.
#[derive(Clone, Debug)]
pub struct UpstreamLabels {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The host that is dialled.
    pub address: Arc<str>,
    /// The port that is dialled.
    pub port: u16,
    /// The path of its route.
    pub route: Arc<str>,
}

impl Metrics {
    /// Metrics for these upstreams and clients, by their numbers, and so many workers.
    #[must_use]
    pub fn new(upstreams: Vec<UpstreamLabels>, clients: Vec<Arc<str>>, workers: usize) -> Self {
        let shard = |_| Arc::new(Shard::new(upstreams.len(), clients.len()));
        let shards = (0..workers.max(1)).map(shard).collect();
        Self { names: Arc::new(Names { upstreams, clients }), shards }
    }

    /// The shard that worker number `worker` writes, and nobody else.
    #[must_use]
    pub fn shard(self: &Arc<Self>, worker: usize) -> Arc<Shard> {
        Arc::clone(&self.shards[worker % self.shards.len()])
    }

    /// Everything as `OpenMetrics` text; `accounts` as they are now.
    #[must_use]
    pub fn render(&self, accounts: &[AccountView]) -> String {
        exposition::text(Arc::clone(&self.names), Arc::clone(&self.shards), accounts)
    }

    /// The same in the older text format of Prometheus, 0.0.4.
    #[must_use]
    pub fn render_classic(&self, accounts: &[AccountView]) -> String {
        exposition::classic(&self.render(accounts))
    }
}

/// The numbers of one worker.
#[derive(Debug)]
pub struct Shard {
    pub(super) upstreams: Box<[UpstreamCells]>,
    /// Problems of calls that found no upstream.
    pub(super) nowhere: Problems,
    pub(super) connections_opened: Cell,
    pub(super) connections_closed: Cell,
}

/// Durations by method.
pub(super) type ByMethod = [Histogram; METHODS.len()];

pub(super) type Problems = Box<[[Cell; Source::ALL.len()]]>;

/// The numbers of one worker about one upstream.
#[derive(Debug)]
pub(super) struct UpstreamCells {
    pub(super) began: Cell,
    pub(super) ended: Cell,
    pub(super) calls: ByStatus<ByMethod>,
    /// Calls that ended well, and with a problem.
    pub(super) clients: Box<[[Cell; 2]]>,
    pub(super) attempts: ByStatus<ByMethod>,
    pub(super) failures: [OnceLock<Box<ByMethod>>; FailureKind::ALL.len()],
    pub(super) retries_failure: [Cell; FailureKind::ALL.len()],
    pub(super) retries_code: Box<[Cell]>,
    pub(super) not_retried: [Cell; StoppedBy::ALL.len()],
    pub(super) asked: [Asked; LimitOf::ALL.len()],
    pub(super) problems: Problems,
    pub(super) throttled: Cell,
    pub(super) unexpected: Cell,
    pub(super) unrecognised: Cell,
    pub(super) broken: [Cell; BrokenBy::ALL.len()],
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// Whose it was, by number.
    pub client: usize,
    /// Its method.
    pub method: &'a Method,
    /// The status the client got.
    pub status: StatusCode,
    /// The code, if the client got a problem.
    pub code: Option<Code>,
    /// From its head to the head of the answer.
    pub took: Duration,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempted {
    /// An answer with this status.
    Status(StatusCode),
    /// None.
    Failure(FailureKind),
}

/// What came of asking for slots of one limit.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) admitted: [Cell; Admitted::ALL.len()],
    /// By what was waited for.
    pub(super) waited: [Histogram; BottleneckKind::LABELLED.len()],
}

/// Whose limit a slot was asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitOf {
    /// What the vendor grants; every attempt asks.
    Upstream,
    /// What we impose on the client; a call asks once.
    Client,
}

impl LimitOf {
    /// Either.
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

/// What came of asking for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// There was one.
    Immediate,
    /// There was one after a wait.
    Queued,
    /// There was none within the call's patience.
    Refused,
    /// The client left while it waited.
    Left,
    /// Under `mode: observe`: it would have waited. Counted besides what came of it.
    WouldWait,
}

impl Admitted {
    /// Every way.
    pub const ALL: [Self; 5] =
        [Self::Immediate, Self::Queued, Self::Refused, Self::Left, Self::WouldWait];

    /// Its name in metrics; those of the convention for limiters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Immediate => "acquired",
            Self::Queued => "queued",
            Self::Refused => "rejected",
            Self::Left => "cancelled",
            Self::WouldWait => "shadow_rejected",
        }
    }
}

/// Whether we could have known that the vendor would limit the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttled {
    /// The ledger was full, a hold stood, or nothing is configured.
    Expected,
    /// We thought there was room.
    Unexpected,
}

impl Shard {
    fn new(upstreams: usize, clients: usize) -> Self {
        let places = clients.min(CLIENTS_MAX) + 1;
        Self {
            upstreams: (0..upstreams).map(|_| UpstreamCells::new(places)).collect(),
            nowhere: problems(),
            connections_opened: Cell::default(),
            connections_closed: Cell::default(),
        }
    }

    /// A call to this upstream began.
    pub fn call_began(&self, upstream: usize) {
        self.with(upstream, |cells| cells.began.add(1));
    }

    /// It ended.
    pub fn call_ended(&self, upstream: usize, ended: &Ended<'_>) {
        self.with(upstream, |cells| {
            cells.ended.add(1);
            cells.calls.at(ended.status)[method_place(ended.method)].observe(ended.took);
            let place = ended.client.min(cells.clients.len() - 1);
            cells.clients[place][usize::from(ended.code.is_some())].add(1);
        });
    }

    /// An attempt ended: with an answer's head, or without.
    pub fn attempted(&self, upstream: usize, method: &Method, result: Attempted, took: Duration) {
        self.with(upstream, |cells| {
            let by_method = match result {
                Attempted::Status(status) => cells.attempts.at(status),
                Attempted::Failure(kind) => cells.failures[kind as usize].get_or_init(Box::default),
            };
            by_method[method_place(method)].observe(took);
        });
    }

    /// A call is tried again.
    pub fn retried(&self, upstream: usize, reason: RetryReason) {
        self.with(upstream, |cells| match reason {
            RetryReason::Failure(kind) => cells.retries_failure[kind as usize].add(1),
            RetryReason::Code(code) => cells.retries_code[code as usize].add(1),
        });
    }

    /// A failed call is not tried again.
    pub fn not_retried(&self, upstream: usize, why: StoppedBy) {
        self.with(upstream, |cells| cells.not_retried[why as usize].add(1));
    }

    /// A slot was asked for: by an attempt, or by a call of its client's own limit. `waited` is for
    /// what and how long, unless there was one at once.
    pub fn admitted(
        &self,
        upstream: usize,
        limit_of: LimitOf,
        how: Admitted,
        waited: Option<(BottleneckKind, Duration)>,
    ) {
        self.with(upstream, |cells| {
            let asked = &cells.asked[limit_of as usize];
            asked.admitted[how as usize].add(1);
            if let Some((barrier, took)) = waited {
                asked.waited[barrier.index()].observe(took);
            }
        });
    }

    /// A client is told a problem; without an upstream when none was found.
    pub fn problem(&self, upstream: Option<usize>, code: Code, source: Source) {
        let cells = upstream.and_then(|upstream| self.upstreams.get(upstream));
        let problems = cells.map_or(&self.nowhere, |cells| &cells.problems);
        problems[code as usize][source as usize].add(1);
    }

    /// The vendor said that it limits the rate.
    pub fn throttled(&self, upstream: usize, was: Throttled) {
        self.with(upstream, |cells| {
            cells.throttled.add(1);
            match was {
                Throttled::Expected => {}
                Throttled::Unexpected => cells.unexpected.add(1),
            }
        });
    }

    /// An error body was not understood.
    pub fn unrecognised(&self, upstream: usize) {
        self.with(upstream, |cells| cells.unrecognised.add(1));
    }

    /// A body broke off behind its head.
    pub fn body_broke(&self, upstream: usize, by: BrokenBy) {
        self.with(upstream, |cells| cells.broken[by as usize].add(1));
    }

    /// A client connected.
    pub fn connection_opened(&self) {
        self.connections_opened.add(1);
    }

    /// A client's connection ended.
    pub fn connection_closed(&self) {
        self.connections_closed.add(1);
    }

    fn with(&self, upstream: usize, write: impl FnOnce(&UpstreamCells)) {
        debug_assert!(upstream < self.upstreams.len(), "upstreams are numbered");
        if let Some(cells) = self.upstreams.get(upstream) {
            write(cells);
        }
    }
}

impl UpstreamCells {
    fn new(client_places: usize) -> Self {
        Self {
            began: Cell::default(),
            ended: Cell::default(),
            calls: ByStatus::default(),
            clients: (0..client_places).map(|_| Default::default()).collect(),
            attempts: ByStatus::default(),
            failures: Default::default(),
            retries_failure: Default::default(),
            retries_code: Code::ALL.iter().map(|_| Cell::default()).collect(),
            not_retried: Default::default(),
            asked: Default::default(),
            problems: problems(),
            throttled: Cell::default(),
            unexpected: Cell::default(),
            unrecognised: Cell::default(),
            broken: Default::default(),
        }
    }
}

#[cfg(test)]
impl From<&str> for UpstreamLabels {
    fn from(name: &str) -> Self {
        Self { name: name.into(), address: "vendor.example".into(), port: 443, route: "/v".into() }
    }
}

fn problems() -> Problems {
    Code::ALL.iter().map(|_| Default::default()).collect()
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
