//! What one exchange produced: an answer, or a failure with its phase.
//!
//! Refuses to know whose library broke: `upstream` translates errors of hyper, the operating
//! system and TLS into these values before anybody decides anything.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// How an exchange, or the body of its answer, broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What broke.
    pub kind: FailureKind,
    /// Whether the upstream may have seen the request.
    pub reach: Reach,
    /// For the operator's log; never shown to a client, because it may name internal hosts.
    pub detail: Cow<'static, str>,
}

impl Failure {
    /// A failure with its detail.
    pub fn new(kind: FailureKind, reach: Reach, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, reach, detail: detail.into() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.detail)
    }
}

impl std::error::Error for Failure {}

/// The ways an exchange breaks; each has its own name in metrics, logs and dialect rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The name did not resolve.
    Dns,
    /// No connection: refused, unreachable, reset while connecting.
    Refused,
    /// No connection in time.
    ConnectTimeout,
    /// Our own limit of connections to this upstream left none free in time.
    ConnectionLimit,
    /// This program has no resources of its own left: file descriptors, ports, memory for sockets.
    LocalResources,
    /// The TLS handshake failed for another reason than the certificate.
    Tls,
    /// The upstream's certificate is not to be trusted.
    TlsCertificate,
    /// The connection ended before an answer: reset, closed, GOAWAY, a stream reset.
    Reset,
    /// HTTP/2 REFUSED_STREAM, or a GOAWAY that says our stream was not processed.
    RefusedStream,
    /// Silence: the request was sent and no answer's head came in time.
    Timeout,
    /// Silence in the middle of a body, either way.
    IdleTimeout,
    /// The answer was not HTTP, or lied about its framing.
    Protocol,
    /// The answer's head is over our own bound.
    HeadTooLarge,
    /// The answer's body broke off.
    Truncated,
}

impl FailureKind {
    /// Every kind, for tables of metrics and for parsing dialects.
    pub const ALL: [Self; 14] = [
        Self::Dns,
        Self::Refused,
        Self::ConnectTimeout,
        Self::ConnectionLimit,
        Self::LocalResources,
        Self::Tls,
        Self::TlsCertificate,
        Self::Reset,
        Self::RefusedStream,
        Self::Timeout,
        Self::IdleTimeout,
        Self::Protocol,
        Self::HeadTooLarge,
        Self::Truncated,
    ];

    /// Whether a limit on our own side broke it, which says nothing about the upstream.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        match self {
            Self::ConnectionLimit | Self::LocalResources | Self::HeadTooLarge => true,
            Self::Dns
            | Self::Refused
            | Self::ConnectTimeout
            | Self::Tls
            | Self::TlsCertificate
            | Self::Reset
            | Self::RefusedStream
            | Self::Timeout
            | Self::IdleTimeout
            | Self::Protocol
            | Self::Truncated => false,
        }
    }

    /// Its name in dialects, metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectionLimit => "connection_limit",
            Self::LocalResources => "local_resources",
            Self::Tls => "tls",
            Self::TlsCertificate => "tls_certificate",
            Self::Reset => "reset",
            Self::RefusedStream => "refused_stream",
            Self::Timeout => "timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::Protocol => "protocol",
            Self::HeadTooLarge => "head_too_large",
            Self::Truncated => "truncated",
        }
    }
}

/// How far a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// No byte of it can have reached the upstream: not charged, free to send again.
    Nothing,
    /// The upstream says it did not process it; charged all the same.
    Refused,
    /// It may have been carried out.
    Maybe,
}

/// An answer that is looked at: its head, and what was read of its body.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The status as sent.
    pub status: StatusCode,
    /// The headers as sent.
    pub headers: &'a HeaderMap,
    /// What was read of the body.
    pub body: &'a Peek,
}

/// What was read of an answer's body, decompressed, within the caps.
#[derive(Clone, Debug, Default)]
pub struct Peek {
    /// The bytes.
    pub bytes: Bytes,
    /// Whether they can be trusted to be the whole body.
    pub extent: Extent,
}

/// How much of a body a peek holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    #[default]
    Whole,
    /// A cap, a timeout, a bomb or a broken encoding cut it short: it counts as unrecognised.
    Cut,
}
