//! What the front door must know.

use std::net::SocketAddr;
use std::time::Duration;

/// Where clients are served, and every bound of their connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address clients connect to.
    pub address: SocketAddr,
    /// How many workers serve; one per core.
    pub workers: usize,
    /// A head must be complete so long after the connection or the previous answer's end began it.
    pub head_timeout: Duration,
    /// An unused client connection is kept so long; longer than the balancer in front keeps it.
    pub idle_timeout: Duration,
    /// Client connections over all workers.
    pub connections_max: usize,
    /// Bytes of a request head.
    pub head_bytes_max: usize,
    /// Headers of a request.
    pub headers_max: usize,
    /// Bytes of a request target.
    pub target_bytes_max: usize,
    /// HTTP/2 streams of one client connection at the same time.
    pub streams_max: u32,
    /// How shutting down goes.
    pub shutdown: Shutdown,
}

/// How shutting down goes.
#[derive(Clone, Copy, Debug)]
pub struct Shutdown {
    /// Serving goes on so long after readiness went off.
    pub delay: Duration,
    /// Calls may end so long afterwards.
    pub grace: Duration,
}
