//! Evenkeel keeps programs that depend on somebody else's HTTP API on an even keel: it stays
//! inside the vendor's allowance, gives every error one shape, and retries without doing harm.
//!
//! # Rooms, in reading order
//!
//! | room | purpose |
//! | --- | --- |
//! | [`time`] | moments and spans as values |
//! | [`outcome`] | what an exchange produced and what it means, as data |
//! | [`allowance`] | never over the allowance: ledgers, pace, holds, queues; acquire, then settle |
//! | [`dialect`] | how a vendor speaks when something is wrong: error body to classification |
//! | [`problem`] | the documented error: schema, building, redaction, rendering |
//! | [`retry`] | may it be sent again, when, and who pays |
//! | [`routing`] | a request head becomes client, upstream and route |
//! | [`headers`] | what passes, what is added, what is removed |
//! | [`gateway`] | the life of a call |
//! | [`upstream`] | connections to vendors |
//! | [`server`] | connections from clients |
//! | [`http1`] | what both sides share of HTTP/1.1 |
//! | [`admin`] | health, metrics, the API |
//! | [`telemetry`] | log set-up, one event per call, every metric |
//! | [`config`] | text in, settings out |
//! | [`demo`] | simulated vendors that obey the founding documents |
//! | [`cli`] | one file per verb |
//! | [`clock`], [`random`] | the only files that read time and draw chance |
//!
//! # Which way things depend
//!
//! ```text
//! main → cli → every room        config → settings types of the rooms it composes
//! server, admin → gateway → { upstream, allowance, dialect, problem, retry, routing, headers,
//!                             telemetry }
//! dialect, retry, problem → outcome       headers → routing, outcome
//! allowance → outcome, routing
//! upstream → outcome, http1        server → http1        telemetry → outcome, retry, allowance
//! outcome → time        clock → time        routing, time, random, http1 → nothing
//! demo → clock, random: the simulated vendors share no code with the gateway
//! ```
//!
//! # From the command line to a call
//!
//! `cli::run` wires: [`config`] makes [`config::Settings`] of text (it is handed the dialects as
//! functions, so that it need not know the room); one [`gateway::Shared`] holds what all workers
//! share; [`server`] starts a worker for each core, and each makes its own [`gateway::Gateway`]
//! over its own [`upstream::Upstreams`]. `server/workshop.rs` makes the gateway the front door's
//! handler. The control thread keeps signals, the drain and the [`admin`] listener.
//!
//! | stage of a call | acts | decides |
//! | --- | --- | --- |
//! | accept, read the head | `server/{connection, h1, head}` | – |
//! | identify client, match route | `gateway/call` | [`routing`], [`headers`] |
//! | wait for a slot | `gateway/admit`, [`allowance`] | `allowance`: ledger, pace, hold, rank |
//! | exchange | `gateway/attempt`, [`upstream`] | – |
//! | understand | `gateway/body/peek`, [`dialect`] | [`dialect`] |
//! | again, or not | `gateway/attempt` | [`retry`] |
//! | answer | `gateway/respond` | [`problem`], [`headers`] |
//! | record | [`telemetry`] | – |
//!
//! # Invariants
//!
//! 1. The pure rooms and files have no async, runtime, clock, randomness, lock, I/O or logging.
//!    They return reasons; others record them.
//! 2. Only `clock.rs` reads time; only `random.rs` draws. Time on the inside is a
//!    [`time::Moment`].
//! 3. Only `gateway/attempt.rs` sends again.
//! 4. A slot is acquired before the first byte and settled exactly once, on every path,
//!    cancellation included: [`allowance::Slot`] settles itself when it is dropped.
//! 5. A response body is read only to understand an error, only up to a cap. Every other body
//!    streams.
//! 6. Only `upstream` names hyper's client (the demo's client apart); only `config` names the
//!    config crate; only `outcome/code.rs` defines codes.
//! 7. No raw value leaves `config`; settings cannot be invalid.
//! 8. Every queue, map, buffer and loop has a bound with a name.
//! 9. Metric names, header names, defaults and codes have one home each.
//! 10. Refusal, failure and problem are three types, never one.
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
