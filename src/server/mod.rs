//! The front door: workers, listeners, connections, drain.
//!
//! ```text
//! Door ─ start ─► worker thread ─► connection ─► ClientStream ─► h1 or hyper's h2 ─► head
//!     ─► Handler
//! ```
//!
//! Refuses to know what is behind the [`Handler`].

mod body;
mod connection;
mod door;
mod frames;
mod h1;
mod handler;
mod head;
mod host;
mod hpack;
mod patrol;
mod reader;
mod settings;
mod shutdown;
mod stream;
mod turn;
mod wire;
mod workers;
mod workshop;

#[cfg(test)]
mod tests;

pub use body::ClientBody;
pub use door::{Door, DoorFault};
#[doc(hidden)]
pub use h1::examine;
pub use handler::{ConnectionChange, Handler, Refused, Sending};
pub use settings::{Settings, Shutdown};
pub use shutdown::{Ended, StopRequests, StopSignals, serve_until_stopped};
pub use workers::{House, Workers, start};
