//! The load generator for HTTP/1.1: keep-alive connections on one thread, closed loop (the next
//! request follows the answer) or open loop (requests at a fixed rate, whatever comes back).
//!
//! In the open loop a latency counts from the moment at which the request was due, so a stalled
//! generator does not hide delay.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde::{Deserialize, Serialize};

use crate::histogram::Histogram;
use crate::http1::{self, Keep, Parsed};
use crate::measure::now;
use crate::unmeasured::Unmeasured;

const EVENTS_AT_ONCE: usize = 256;
const BUFFER_BYTES: usize = 64 * 1024;
/// How long answers may still arrive after the last request was sent.
const LINGER: Duration = Duration::from_secs(2);
/// After so many errors a run is over: it says nothing about cost any more.
const ERRORS_MAX: u64 = 1_000;

/// What to send, how long, how fast.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) target: SocketAddr,
    pub(crate) path: String,
    pub(crate) connections: usize,
    pub(crate) span: Duration,
    /// The time between two requests in the open loop; none means the closed loop.
    pub(crate) interval: Option<Duration>,
}

/// What came back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_nanos: u64,
    pub(crate) p99_nanos: u64,
    pub(crate) statuses: BTreeMap<u16, u64>,
}

/// Counts while a run goes on; becomes a [`Report`].
pub(crate) struct Tally {
    latencies: Histogram,
    report: Report,
}

impl Tally {
    /// Nothing counted yet.
    pub(crate) fn empty() -> Self {
        Self { latencies: Histogram::empty(), report: Report::default() }
    }

    /// Counts one answer.
    pub(crate) fn answered(&mut self, status: u16, latency: Duration) {
        self.latencies.record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        self.report.requests += 1;
        *self.report.statuses.entry(status).or_default() += 1;
    }

    /// Counts one request that got no answer.
    pub(crate) fn failed(&mut self) {
        self.report.errors += 1;
    }

    /// Whether going on is pointless.
    pub(crate) fn hopeless(&self) -> bool {
        self.report.errors >= ERRORS_MAX
    }

    /// The figures of the whole run.
    pub(crate) fn report(mut self, took: Duration) -> Report {
        self.report.seconds = took.as_secs_f64();
        self.report.p50_nanos = self.latencies.quantile(0.50);
        self.report.p99_nanos = self.latencies.quantile(0.99);
        self.report
    }
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// When the request under way was sent, or was due.
    since: Option<Instant>,
}

struct Generator<'a> {
    plan: &'a Plan,
    request: Vec<u8>,
    poll: Poll,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    /// Requests that are due and found no idle connection. Bounded by rate × span.
    due: VecDeque<Instant>,
    tally: Tally,
    buffer: Vec<u8>,
}

/// Runs the plan.
pub(crate) fn run(plan: &Plan) -> Result<Report, Unmeasured> {
    let mut generator = Generator::connect(plan)?;
    let mut events = Events::with_capacity(EVENTS_AT_ONCE);
    let start = now();
    let end = start + plan.span;
    let mut next = start;
    while generator.goes_on(end) {
        next = generator.send_what_is_due(next, end)?;
        generator.poll.poll(&mut events, generator.patience())?;
        for event in &events {
            generator.receive(event)?;
        }
    }
    Ok(generator.tally.report(start.elapsed().min(plan.span)))
}

impl<'a> Generator<'a> {
    fn connect(plan: &'a Plan) -> Result<Self, Unmeasured> {
        let mut generator = Self {
            plan,
            request: http1::request(plan.target, &plan.path),
            poll: Poll::new()?,
            connections: Vec::new(),
            idle: (0..plan.connections).collect(),
            due: VecDeque::new(),
            tally: Tally::empty(),
            buffer: vec![0; BUFFER_BYTES],
        };
        for index in 0..plan.connections {
            let connection = generator.open(index)?;
            generator.connections.push(connection);
        }
        Ok(generator)
    }

    /// Connects before anything is measured, so that the first request does not pay for it.
    fn open(&self, index: usize) -> io::Result<Connection> {
        let stream = std::net::TcpStream::connect(self.plan.target)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        self.poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
        Ok(Connection { stream, input: Vec::new(), since: None })
    }

    fn goes_on(&self, end: Instant) -> bool {
        if self.tally.hopeless() {
            return false;
        }
        let under_way = self.idle.len() < self.connections.len() || !self.due.is_empty();
        let now = now();
        now < end || (under_way && now < end + LINGER)
    }

    /// The open loop never sleeps, since a timer would bunch requests; it only yields the core.
    fn patience(&self) -> Option<Duration> {
        if self.plan.interval.is_none() {
            return Some(LINGER);
        }
        std::thread::yield_now();
        Some(Duration::ZERO)
    }

    /// Sends on idle connections what the loop asks for; returns when the next request is due.
    fn send_what_is_due(&mut self, mut next: Instant, end: Instant) -> io::Result<Instant> {
        let now = now();
        match self.plan.interval {
            None if now < end => self.due.resize(self.idle.len(), now),
            None => {}
            Some(interval) => {
                while next <= now && next < end {
                    self.due.push_back(next);
                    next += interval;
                }
            }
        }
        while let (Some(since), Some(index)) =
            (self.due.front().copied(), self.idle.last().copied())
        {
            self.due.pop_front();
            self.idle.pop();
            self.send(index, since)?;
        }
        Ok(next)
    }

    fn send(&mut self, index: usize, since: Instant) -> io::Result<()> {
        let connection = &mut self.connections[index];
        connection.since = Some(since);
        match connection.stream.write(&self.request) {
            Ok(written) if written == self.request.len() => Ok(()),
            Ok(_) | Err(_) => self.lose(index),
        }
    }

    /// Reads until a short read, which proves the socket empty unless the peer has closed.
    fn receive(&mut self, event: &Event) -> io::Result<()> {
        let index = event.token().0;
        loop {
            let connection = &mut self.connections[index];
            let read = match connection.stream.read(&mut self.buffer) {
                Ok(0) => return self.lose(index),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return self.lose(index),
            };
            connection.input.extend_from_slice(&self.buffer[..read]);
            self.count(index)?;
            if read < self.buffer.len() && !event.is_read_closed() {
                return Ok(());
            }
        }
    }

    fn count(&mut self, index: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        match http1::response(&connection.input) {
            Parsed::Incomplete => Ok(()),
            Parsed::Malformed => self.lose(index),
            Parsed::Complete { length, status, keep } => {
                connection.input.drain(..length);
                let Some(since) = connection.since.take() else { return self.lose(index) };
                self.tally.answered(status, since.elapsed());
                if keep == Keep::Close {
                    return self.lose(index);
                }
                self.idle.push(index);
                Ok(())
            }
        }
    }

    /// Opens a connection anew. What was under way on it is an error; closing at rest is not.
    fn lose(&mut self, index: usize) -> io::Result<()> {
        if self.connections[index].since.is_some() {
            self.tally.failed();
        }
        self.connections[index] = self.open(index)?;
        if !self.idle.contains(&index) {
            self.idle.push(index);
        }
        Ok(())
    }
}
