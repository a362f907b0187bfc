//! Evenkeel keeps programs that depend on somebody else's HTTP API on an even keel: it stays
//! inside the vendor's allowance, gives every error one shape, and retries without doing harm.
//!
//! # The house, in reading order
//!
//! | room | purpose |
//! | --- | --- |
//! | [`policy`] | the study: decides; pure values in, pure values out |
//! | [`dialect`] | bytes of an error body into one tree, and the dialects as data |
//! | [`allowance`] | the vault: live ledgers, queues and holds; acquire, then settle |
//! | [`http1`] | the bytes of HTTP/1.1, the same at both doors |
//! | [`upstream`] | the back door: connections to upstreams and what went wrong on them |
//! | [`gateway`] | the workshop: the life of a call |
//! | [`server`] | the front door: workers, listeners, connections, drain |
//! | [`admin`] | the window: health, metrics, the API |
//! | [`telemetry`] | the logbook: log set-up, one event per call, every metric |
//! | [`config`] | the letterbox: text in, settings out |
//! | [`demo`] | simulated vendors that obey the founding documents |
//! | [`cli`] | one file per verb |
//! | [`clock`], [`random`] | the only files that read time and draw chance |
//!
//! # Which way things depend
//!
//! ```text
//! main → cli → every room        config → settings types of the rooms it composes
//! server, admin → gateway → { upstream, allowance, dialect, telemetry } → policy
//! telemetry → allowance, for what it shows        policy → nothing of ours
//! upstream, server → http1 → nothing of ours
//! clock → policy::time        random → nothing
//! demo → clock, random: the referee shares no word with the gateway
//! ```
//!
//! `clock` and `random` are open to whoever acts. A test refuses an import against the arrows.
//!
//! # From the command line to a call
//!
//! `cli::run` wires: [`config`] makes [`config::Settings`] of text (it is handed the dialects as
//! functions, so that it need not know the room); one [`gateway::Shared`] holds what all workers
//! share; [`server`] starts a worker for each core, and each makes its own [`gateway::Gateway`]
//! over its own [`upstream::Upstreams`]. `server/workshop.rs` makes the gateway the front door's
//! handler. The control thread keeps signals, the drain and the [`admin`] listener.
//!
//! | stage of a call | acts | decides, in `policy` |
//! | --- | --- | --- |
//! | accept, read the head | `server/{connection, h1, head}` | – |
//! | who, where to, under which policy | `gateway/call` | `client`, `route`, `headers` |
//! | wait for a slot | `gateway/admit`, [`allowance`] | `ledger`, `pace`, `hold`, `share` |
//! | exchange | `gateway/attempt`, [`upstream`] | – |
//! | understand | `gateway/body/peek`, [`dialect`] | `outcome`, `reading`, `classify`, `hint` |
//! | again, or not | `gateway/attempt` | `replay`, `backoff`, `budget`, `verdict` |
//! | answer | `gateway/respond` | `normalise`, `problem`, `headers` |
//! | record | [`telemetry`] | – |
//!
//! # Invariants
//!
//! 1. `policy` has no async, runtime, clock, randomness, lock, I/O or logging. It returns
//!    reasons; others record them.
//! 2. Only `clock.rs` reads time; only `random.rs` draws. Time on the inside is a
//!    [`policy::time::Moment`].
//! 3. Only `gateway/attempt.rs` sends again.
//! 4. A slot is acquired before the first byte and settled exactly once, on every path,
//!    cancellation included: [`allowance::Slot`] settles itself when it is dropped.
//! 5. A response body is read only to understand an error, only up to a cap. Every other body
//!    streams.
//! 6. Only `upstream` names hyper's client (the demo's visitor apart); only `config` names the
//!    config crate; only `policy/problem` defines codes.
//! 7. No raw value leaves `config`; settings cannot be invalid.
//! 8. Every queue, map, buffer and loop has a bound with a name.
//! 9. Metric names, header names, defaults and codes have one home each.
//! 10. Refusal, failure and problem are three types, never one.

pub mod policy;

pub mod clock;
pub mod random;

pub mod allowance;
pub mod dialect;
pub mod http1;
pub mod upstream;

pub mod gateway;

pub mod admin;
pub mod server;
pub mod telemetry;

pub mod config;

pub mod cli;
pub mod demo;
