//! The load generator for HTTP/1.1: keep-alive connections on one thread, with a closed loop (each
//! request follows the answer to the previous one) or an open loop (requests at a fixed rate).
//!
//! In the open loop a latency counts from when the request was due, so that delays of the generator
//! itself are not hidden (no coordinated omission).

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde::{Deserialize, Serialize};

use crate::error::MeasureError;
use crate::histogram::Histogram;
use crate::http1::{self, Parsed, Persistence};
use crate::measure::now;

const EVENTS_AT_ONCE: usize = 256;
const BUFFER_BYTES: usize = 64 * 1024;
/// How long answers are awaited after the last request was sent.
const FINAL_ANSWERS_MAX: Duration = Duration::from_secs(2);
/// A run ends after this many errors, since its figures no longer mean anything.
const ERRORS_MAX: u64 = 1_000;

#[derive(Clone, Debug)]
pub(crate) struct LoadPlan {
    pub(crate) target: SocketAddr,
    pub(crate) path: String,
    pub(crate) connections: usize,
    pub(crate) duration: Duration,
    /// The time between two requests of the open loop; `None` for the closed loop.
    pub(crate) interval: Option<Duration>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LoadReport {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_nanos: u64,
    pub(crate) p99_nanos: u64,
    pub(crate) statuses: BTreeMap<u16, u64>,
}

/// Collects the figures of a [`LoadReport`] during a run.
pub(crate) struct Recorder {
    latencies: Histogram,
    report: LoadReport,
}

impl Recorder {
    pub(crate) fn empty() -> Self {
        Self { latencies: Histogram::empty(), report: LoadReport::default() }
    }

    pub(crate) fn answered(&mut self, status: u16, latency: Duration) {
        self.latencies.record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        self.report.requests += 1;
        *self.report.statuses.entry(status).or_default() += 1;
    }

    pub(crate) fn failed(&mut self) {
        self.report.errors += 1;
    }

    pub(crate) fn too_many_errors(&self) -> bool {
        self.report.errors >= ERRORS_MAX
    }

    pub(crate) fn report(mut self, took: Duration) -> LoadReport {
        self.report.seconds = took.as_secs_f64();
        self.report.p50_nanos = self.latencies.quantile(0.50);
        self.report.p99_nanos = self.latencies.quantile(0.99);
        self.report
    }
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// When the current request was sent or, in the open loop, was due.
    started: Option<Instant>,
}

struct Generator<'a> {
    plan: &'a LoadPlan,
    request: Vec<u8>,
    poll: Poll,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    /// Requests that are due and wait for an idle connection. Bounded by rate × duration.
    due: VecDeque<Instant>,
    recorder: Recorder,
    buffer: Vec<u8>,
}

pub(crate) fn run(plan: &LoadPlan) -> Result<LoadReport, MeasureError> {
    let mut generator = Generator::connect(plan)?;
    let mut events = Events::with_capacity(EVENTS_AT_ONCE);
    let start = now();
    let end = start + plan.duration;
    let mut next = start;
    while generator.should_continue(end) {
        next = generator.send_due(next, end)?;
        let timeout = if plan.interval.is_none() {
            FINAL_ANSWERS_MAX
        } else {
            // The open loop never sleeps, since a timer would bunch requests; it yields the core.
            std::thread::yield_now();
            Duration::ZERO
        };
        generator.poll.poll(&mut events, Some(timeout))?;
        for event in &events {
            generator.receive(event)?;
        }
    }
    Ok(generator.recorder.report(start.elapsed().min(plan.duration)))
}

impl<'a> Generator<'a> {
    fn connect(plan: &'a LoadPlan) -> Result<Self, MeasureError> {
        let mut generator = Self {
            plan,
            request: http1::request(plan.target, &plan.path),
            poll: Poll::new()?,
            connections: Vec::new(),
            idle: (0..plan.connections).collect(),
            due: VecDeque::new(),
            recorder: Recorder::empty(),
            buffer: vec![0; BUFFER_BYTES],
        };
        for index in 0..plan.connections {
            let connection = generator.open(index)?;
            generator.connections.push(connection);
        }
        Ok(generator)
    }

    /// Connects before the measurement starts, so that no request includes it.
    fn open(&self, index: usize) -> io::Result<Connection> {
        let stream = std::net::TcpStream::connect(self.plan.target)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        self.poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
        Ok(Connection { stream, input: Vec::new(), started: None })
    }

    fn should_continue(&self, end: Instant) -> bool {
        if self.recorder.too_many_errors() {
            return false;
        }
        let under_way = self.idle.len() < self.connections.len() || !self.due.is_empty();
        let now = now();
        now < end || (under_way && now < end + FINAL_ANSWERS_MAX)
    }

    /// Sends the requests that are due on idle connections. Returns when the next one is due.
    fn send_due(&mut self, mut next: Instant, end: Instant) -> io::Result<Instant> {
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
        while let (Some(started), Some(index)) =
            (self.due.front().copied(), self.idle.last().copied())
        {
            self.due.pop_front();
            self.idle.pop();
            let connection = &mut self.connections[index];
            connection.started = Some(started);
            match connection.stream.write(&self.request) {
                Ok(written) if written == self.request.len() => {}
                Ok(_) | Err(_) => self.reconnect(index)?,
            }
        }
        Ok(next)
    }

    /// Reads until a short read, which means that the socket is empty unless the peer has closed.
    fn receive(&mut self, event: &Event) -> io::Result<()> {
        let index = event.token().0;
        loop {
            let connection = &mut self.connections[index];
            let read = match connection.stream.read(&mut self.buffer) {
                Ok(0) => return self.reconnect(index),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return self.reconnect(index),
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
        match http1::parse_response(&connection.input) {
            Parsed::Incomplete => Ok(()),
            Parsed::Malformed => self.reconnect(index),
            Parsed::Complete { length, status, persistence } => {
                connection.input.drain(..length);
                let Some(started) = connection.started.take() else { return self.reconnect(index) };
                self.recorder.answered(status, started.elapsed());
                if persistence == Persistence::Close {
                    return self.reconnect(index);
                }
                self.idle.push(index);
                Ok(())
            }
        }
    }

    /// Replaces a connection. Counts an error if a request was under way on it.
    fn reconnect(&mut self, index: usize) -> io::Result<()> {
        if self.connections[index].started.is_some() {
            self.recorder.failed();
        }
        self.connections[index] = self.open(index)?;
        if !self.idle.contains(&index) {
            self.idle.push(index);
        }
        Ok(())
    }
}
