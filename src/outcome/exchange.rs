//! What one exchange produced: an answer, or a failure with its phase.
//!
//! Refuses to know whose library broke: `upstream` translates errors of hyper, the operating
//! system and TLS into these values before anybody decides anything.

use std::borrow::Cow;
use std::time::Duration;

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
    /// The same for everybody, in words of the program itself: no host and no secret is in them.
    pub cause: &'static str,
}

/// Causes that have an error type of their own in RFC 9209.
pub mod cause {
    /// The name was not resolved in time.
    pub const LOOKUP_LATE: &str = "the upstream's name was not resolved within the connect timeout";
    /// No way leads to the upstream's address.
    pub const UNREACHABLE: &str = "no way leads to the upstream's address";
    /// The upstream ended the TLS handshake with an alert.
    pub const NOTHING_SHARED: &str =
        "the upstream shares no TLS version, cipher suite or key exchange with this gateway";
    /// Likewise, about the protocol.
    pub const NO_PROTOCOL: &str = "the upstream shares no HTTP version with this gateway";
    /// No alert, and no agreement either.
    pub const NO_HTTP2: &str = "the upstream did not agree to HTTP/2";
    /// Likewise, about the name.
    pub const UNKNOWN_NAME: &str = "the upstream does not serve this name over TLS";
    /// Likewise, about our certificate.
    pub const CLIENT_CERTIFICATE: &str = "the upstream asks for a client certificate";
    /// Likewise, about something else.
    pub const ALERT: &str = "the upstream ended the TLS handshake with an alert";
    /// The upstream stopped reading.
    pub const BODY_STUCK: &str = "the upstream does not take the request's body";
}

impl Failure {
    /// A failure with its detail. A detail that is a text of the program is its cause too; one
    /// that was put together may name hosts, so that its kind has to say the cause.
    pub fn new(kind: FailureKind, reach: Reach, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        let cause = match &detail {
            Cow::Borrowed(text) => text,
            Cow::Owned(_) => kind.words(),
        };
        Self { kind, reach, detail, cause }
    }

    /// The same, and the operator is told which setting was over, and how long it is.
    #[must_use]
    pub fn beyond(self, (setting, limit): (&str, Duration)) -> Self {
        Self { detail: format!("{} ({setting}: {limit:?})", self.detail).into(), ..self }
    }

    /// The same with this cause.
    #[must_use]
    pub fn because(self, cause: &'static str) -> Self {
        Self { cause, ..self }
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

    /// What happened, in words for everybody.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Dns => "the upstream's name does not resolve",
            Self::Refused => "the upstream refused the connection",
            Self::ConnectTimeout => "no connection within the connect timeout",
            Self::ConnectionLimit => "this gateway's own limit of connections to the upstream",
            Self::LocalResources => "this gateway has no open files, ports or socket memory left",
            Self::Tls => "the TLS handshake failed",
            Self::TlsCertificate => "the upstream's certificate is not trusted",
            Self::Reset => "the connection ended before an answer",
            Self::RefusedStream => "the upstream did not process the stream",
            Self::Timeout => "no answer in time",
            Self::IdleTimeout => "silence in the middle of a body",
            Self::Protocol => "the answer is not HTTP as this gateway reads it",
            Self::HeadTooLarge => "the answer's head is larger than this gateway's own limit",
            Self::Truncated => "the answer broke off",
        }
    }

    /// The phase of an exchange in which it happens.
    #[must_use]
    pub const fn phase(self) -> &'static str {
        match self {
            Self::Dns => "lookup",
            Self::Refused | Self::ConnectTimeout | Self::ConnectionLimit | Self::LocalResources => {
                "connect"
            }
            Self::Tls | Self::TlsCertificate => "tls",
            Self::Reset
            | Self::RefusedStream
            | Self::Timeout
            | Self::Protocol
            | Self::HeadTooLarge => "answer",
            Self::IdleTimeout | Self::Truncated => "body",
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
