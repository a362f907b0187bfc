//! Settings of the client side.

use std::net::SocketAddr;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Settings {
    pub address: SocketAddr,
    /// Worker threads, one per core.
    pub workers: usize,
    /// Time to receive a request head: the first one from the accept, later ones from their first
    /// byte.
    pub head_timeout: Duration,
    /// Time an unused connection is kept open. It should exceed the keep-alive time of a load
    /// balancer in front, which otherwise sends requests on connections being closed.
    pub idle_timeout: Duration,
    /// Client connections of all workers together.
    pub connections_max: usize,
    pub head_bytes_max: usize,
    pub headers_max: usize,
    pub target_bytes_max: usize,
    /// Concurrent HTTP/2 streams per connection.
    pub streams_max: u32,
    pub shutdown: Shutdown,
}

#[derive(Clone, Copy, Debug)]
pub struct Shutdown {
    /// Everything is still served for this long after readiness went off, so that load balancers
    /// notice.
    pub delay: Duration,
    /// Time that calls in progress have to end afterwards.
    pub grace: Duration,
}
