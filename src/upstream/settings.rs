//! What the back door must know of one upstream.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;

/// How one upstream is reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Where it is.
    pub origin: Origin,
    /// Which HTTP it is spoken to in.
    pub protocol: Protocol,
    /// Whose certificates are believed.
    pub roots: TlsRoots,
    /// How long DNS, TCP and TLS may take together.
    pub connect_timeout: Duration,
    /// Connections over all workers.
    pub connections_max: usize,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How large the head of an answer may be.
    pub answer_bounds: AnswerBounds,
}

/// What the head of an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerBounds {
    /// Bytes of a head, its status line included.
    pub head_bytes_max: usize,
    /// Header lines of a head.
    pub headers_max: usize,
}

/// Scheme, host and port.
#[derive(Clone, Debug)]
pub struct Origin {
    /// With or without TLS.
    pub scheme: Scheme,
    /// Host and port as the `Host` header says them; the port is absent when it is the default.
    pub authority: Authority,
    /// The host as it is resolved and named in TLS; an IPv6 address without brackets.
    pub host: Arc<str>,
    /// The port that is dialled.
    pub port: u16,
}

/// With or without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In clear.
    Http,
    /// Over TLS.
    Https,
}

/// Which HTTP an upstream is spoken to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// By ALPN over TLS; HTTP/1.1 in clear.
    Auto,
    /// Only HTTP/1.1.
    Http1,
    /// Only HTTP/2; in clear by prior knowledge.
    Http2,
}

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsRoots {
    /// Those the operating system trusts.
    System,
    /// Those in this PEM file, and no others.
    File(PathBuf),
}
