//! Connections to upstreams: opening, reusing and sharing them, and exchanges over them.
//!
//! | file | purpose |
//! | --- | --- |
//! | `exchange` | [`Exchange`]: one request and its response, as the gateway sees it |
//! | `request`, `progress` | what is sent, and how far it has got |
//! | `upstreams`, `body` | a worker's [`Exchange`]: picks a connection, sends, streams back |
//! | `pool`, `reserved` | a worker's connections to one upstream |
//! | `shared`, `queue` | what workers share: connection limit, waiting calls, TLS configuration |
//! | `destination` | what requests to one upstream have in common: `Host`, scheme, limits |
//! | `authentication` | NTLM and Negotiate, which authenticate a connection, not a request |
//! | `h1`, `h2` | one HTTP/1.1 connection, one HTTP/2 connection |
//! | `connect`, `transport` | DNS, TCP and TLS; a socket with or without TLS |
//! | `tls`, `certificate` | which certificates are trusted |
//! | `failure` | errors of other crates as [`Failure`](crate::outcome::Failure)s |
//!
//! Nothing is sent twice. A request goes to another connection only if no byte of it was written,
//! because the idle connection it was given to turned out to be closed.

mod authentication;
mod body;
mod certificate;
mod connect;
mod destination;
mod exchange;
mod failure;
mod h1;
mod h2;
mod pool;
mod progress;
mod queue;
mod request;
mod reserved;
mod settings;
mod shared;
mod tls;
mod transport;
mod upstreams;

pub use body::UpstreamBody;
pub use certificate::{Certificate, Role, read as certificates};
pub use exchange::{Exchange, ExchangeBody};
#[doc(hidden)]
pub use h1::examine;
pub use progress::{Interim, Progress};
pub use request::{BoxError, RequestBody, RequestHead};
pub use settings::{Origin, Protocol, ResponseLimits, Scheme, Settings, TlsRoots};
pub use shared::Shared;
pub use upstreams::Upstreams;

pub use crate::http1::{HeaderCase, OriginalHead};

#[cfg(test)]
mod tests;
