//! Serves client connections: listeners, workers, HTTP/1.1 and HTTP/2, timeouts, drain.
//!
//! ```text
//! Listeners ─ start ─► worker thread ─► connection ─► h1 or h2 ─► call ─► head ─► Handler
//! ```
//!
//! HTTP/1.1 is parsed here, HTTP/2 by hyper. Calls are answered by a [`Handler`]; `service.rs`
//! makes the gateway one.

mod batch;
mod body;
mod call;
mod connection;
mod drive;
mod h1;
mod h2;
mod handler;
mod head;
mod host;
mod listener;
mod request_error;
mod service;
mod settings;
mod shutdown;
mod socket;
mod state;
mod timeouts;
mod workers;

#[cfg(test)]
mod tests;

pub use body::ClientBody;
#[doc(hidden)]
pub use h1::examine;
pub use handler::{ConnectionChange, Handler, OutgoingBody};
pub use listener::{ListenError, Listeners};
pub use request_error::RequestError;
pub use settings::{Settings, Shutdown};
pub use shutdown::{ShutdownOutcome, StopRequests, StopSignals, serve_until_stopped};
pub use workers::{WorkerConfig, Workers, start};
