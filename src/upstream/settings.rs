//! Settings of one upstream, as far as connections are concerned.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its name in the configuration.
    pub name: Arc<str>,
    pub origin: Origin,
    pub protocol: Protocol,
    pub roots: TlsRoots,
    /// For DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Connections of all workers together.
    pub connections_max: usize,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    pub response_limits: ResponseLimits,
}

/// How large the head of a response may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseLimits {
    /// Bytes of a head, its status line included.
    pub head_bytes_max: usize,
    /// Header lines of a head.
    pub headers_max: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub scheme: Scheme,
    /// Host and port as in the `Host` header; the port is absent when it is the scheme's default.
    pub authority: Authority,
    /// The host as it is resolved and named in TLS; an IPv6 address without brackets.
    pub host: Arc<str>,
    /// The port that is connected to.
    pub port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

/// Which versions of HTTP an upstream is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Chosen by ALPN over TLS; HTTP/1.1 without TLS.
    Auto,
    Http1,
    /// Without TLS by prior knowledge.
    Http2,
}

/// Which certificates of an upstream are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsRoots {
    /// Those of the operating system's authorities.
    System,
    /// Those in this PEM file, or signed by an authority in it, and no others.
    File(PathBuf),
}
