//! Evenkeel is a gateway between client programs and a vendor's HTTP API. It keeps exactly to the
//! vendor's rate limits, gives every error one documented shape (RFC 9457), and retries only what
//! may be sent again.
//!
//! # Modules, in reading order
//!
//! The tests call a top-level module a room.
//!
//! | room | purpose |
//! | --- | --- |
//! | [`time`] | points in time and durations as plain values |
//! | [`outcome`] | what an exchange produced and what it means, as data |
//! | [`allowance`] | the vendor's rate limits: ledgers, paces, holds and queues |
//! | [`dialect`] | how a vendor reports errors: from an error body to its classification |
//! | [`problem`] | the documented error: schema, building, redaction, rendering |
//! | [`retry`] | whether a request may be sent again, when, and at whose cost |
//! | [`routing`] | which client, upstream and route a request belongs to |
//! | [`headers`] | which headers pass, which are added and which are removed |
//! | [`gateway`] | the life of a call |
//! | [`upstream`] | connections to upstreams |
//! | [`server`] | connections from clients |
//! | [`http1`] | the parts of HTTP/1.1 that both sides share |
//! | [`admin`] | health checks, metrics, the API for operators |
//! | [`telemetry`] | log set-up, a log line per call, all metrics |
//! | [`config`] | reads and checks the configuration |
//! | [`demo`] | simulated vendors, for the demo and the tests |
//! | [`cli`] | the command line, one file per verb |
//! | [`clock`], [`random`] | the only files that read time and draw random numbers |
//!
//! # Dependencies
//!
//! ```text
//! main → cli → every room        config → settings types of the rooms it composes
//! server, admin → gateway → { upstream, allowance, dialect, problem, retry, routing, headers,
//!                             telemetry }
//! dialect, retry, problem → outcome       headers → routing, outcome
//! allowance → outcome, routing
//! upstream → outcome, http1        server → http1        telemetry → outcome, retry, allowance
//! outcome → time        clock → time        routing, time, random, http1 → nothing
//! demo → clock, random: the simulated vendors share no code with what they test
//! ```
//!
//! # How the program is assembled
//!
//! `cli/run.rs` reads the configuration into [`config::Settings`] and creates what all workers
//! share: [`allowance::Accounts`], the metrics, the drain, and limits and queues of upstream
//! connections. [`server`] then starts one worker thread per core. Each has its own runtime,
//! listening socket, [`gateway::Gateway`] and [`upstream::Upstreams`] (its connections), so a call
//! that does not wait needs no other thread. The control thread handles signals, the drain, the
//! [`admin`] listener and reloads: `cli/reload.rs` builds everything anew from a changed
//! configuration, continues accounts, connections and counters, and gives each worker another
//! gateway; calls under way keep theirs. `server/service.rs` connects the two sides: it hands
//! requests to the gateway.
//!
//! # The life of a call
//!
//! | stage | performed in | decided by |
//! | --- | --- | --- |
//! | accept the connection, read the head | `server/connection.rs`, `server/h1`, `server/h2` | – |
//! | check the head's syntax | `server/head.rs` | – |
//! | identify client and route, or reject | `gateway/receive.rs` | [`routing`], [`headers`] |
//! | wait for a slot | `gateway/admit.rs` | [`allowance`]: ledger, pace, hold, rank |
//! | exchange | `gateway/attempt.rs`, [`upstream`] | – |
//! | classify | `gateway/classify.rs` | [`dialect`] |
//! | send again, or stop | `gateway/attempt.rs` | [`retry`] |
//! | respond | `gateway/respond.rs` | [`problem`], [`headers`] |
//! | record | `gateway/record.rs`, at the body's end `gateway/body/context.rs`; [`telemetry`] | – |
//!
//! An error goes through four types: a document (the body as a bounded tree), its facts
//! ([`outcome::Facts`]), its meaning ([`outcome::Classification`]), and the
//! [`problem::Problem`] that the client reads. What any response head says about limits and
//! pauses, also that of a success, is one [`outcome::Standing`].
//!
//! # Invariants
//!
//! 1. The pure rooms (`time`, `outcome`, `dialect`, `problem`, `retry`, `routing`, `headers`, and
//!    `allowance` apart from its live files) have no async code, runtime, clock, randomness, lock,
//!    I/O or logging. They return reasons; others record them.
//! 2. Only `clock.rs` reads time and only `random.rs` draws random numbers. Inside, a point in time
//!    is a [`time::Moment`].
//! 3. Only `gateway/attempt.rs` sends requests to upstreams, first attempts and retries alike.
//! 4. A slot is acquired before the first byte is sent and settled exactly once on every path,
//!    cancellation included: a dropped [`allowance::Slot`] settles itself.
//! 5. A response body is read only where it may be an error, and only up to a limit. Every other
//!    body streams.
//! 6. Only `upstream` names rustls and the HTTP/2 client `h2`, and translates their errors; only
//!    `config` names the config crate; only `outcome/code.rs` defines codes.
//! 7. No unchecked value leaves `config`; settings are always valid.
//! 8. Every queue, map, buffer and loop has a named bound.
//! 9. Metric names, header names, defaults and codes are each defined in one place (header names:
//!    what is forwarded in `headers/names.rs`, vendors' hints in `dialect/hint`).
//! 10. A rejection (the gateway will not send), a failure (an exchange broke) and a problem (what
//!     the client reads) are three types.
//!
//! `tests/suite/tidy.rs` checks what the source text can show of this.
//!
#![doc = include_str!("glossary.md")]

pub mod time;

pub mod outcome;

pub mod allowance;
pub mod dialect;
pub mod problem;
pub mod retry;

pub mod headers;
pub mod routing;

pub mod clock;
pub mod random;

pub mod http1;
pub mod upstream;

pub mod gateway;

pub mod admin;
pub mod server;
pub mod telemetry;

pub mod config;

pub mod cli;
pub mod demo;
