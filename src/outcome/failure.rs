//! How an exchange broke: the kind of failure, and whether the upstream may have seen the request.
//!
//! `upstream` translates the errors of hyper, the operating system and TLS into these values, so
//! nothing else in the program depends on where an error came from.

use std::borrow::Cow;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    pub delivery: Delivery,
    /// For the operator's log only: it may name internal hosts.
    pub detail: Cow<'static, str>,
    /// The cause in a fixed text of this program, safe to show to clients.
    pub cause: &'static str,
}

/// Causes that `Proxy-Status` reports with an error type of their own (RFC 9209).
pub mod cause {
    pub const LOOKUP_TIMEOUT: &str =
        "the upstream's name was not resolved within the connect timeout";
    pub const NO_ROUTE: &str = "there is no network route to the upstream's address";
    pub const NO_COMMON_TLS: &str =
        "the upstream shares no TLS version, cipher suite or key exchange with this gateway";
    pub const NO_COMMON_PROTOCOL: &str = "the upstream shares no HTTP version with this gateway";
    pub const NO_HTTP2: &str = "the upstream did not agree to HTTP/2";
    pub const UNKNOWN_NAME: &str = "the upstream does not serve this name over TLS";
    pub const CLIENT_CERTIFICATE: &str = "the upstream asks for a client certificate";
    pub const ALERT: &str = "the upstream ended the TLS handshake with an alert";
    pub const UPLOAD_STALLED: &str = "the upstream stopped reading the request's body";
}

impl Failure {
    /// A borrowed detail is a fixed text of this program and becomes the cause too. A formatted
    /// one may name hosts, so the cause is then the summary of the kind.
    pub fn new(
        kind: FailureKind,
        delivery: Delivery,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        let detail = detail.into();
        let cause = match &detail {
            Cow::Borrowed(text) => text,
            Cow::Owned(_) => kind.summary(),
        };
        Self { kind, delivery, detail, cause }
    }

    /// Adds to the detail which setting imposed the limit, and its value.
    #[must_use]
    pub fn with_limit(self, setting: &str, limit: Duration) -> Self {
        Self { detail: format!("{} ({setting}: {limit:?})", self.detail).into(), ..self }
    }

    /// Whether only the connection ended, before the upstream took the request: the usual end of
    /// one that is reused. HTTP libraries send the request again unasked.
    #[must_use]
    pub fn is_of_connection(&self) -> bool {
        match self.delivery {
            Delivery::NotSent => self.kind == FailureKind::Reset,
            Delivery::Refused => true,
            Delivery::Uncertain => false,
        }
    }

    #[must_use]
    pub fn with_cause(self, cause: &'static str) -> Self {
        Self { cause, ..self }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind.as_str(), self.detail)
    }
}

impl std::error::Error for Failure {}

/// How far a request got before its exchange broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// No byte of it can have reached the upstream: not charged, and safe to send again.
    NotSent,
    /// The upstream says that it did not process it; charged all the same.
    Refused,
    /// It may have been carried out.
    Uncertain,
}

/// The ways an exchange breaks, each with its own name in metrics, logs and dialect rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    Dns,
    /// The connection was refused, unreachable, or reset while it was opened.
    Refused,
    ConnectTimeout,
    /// No connection became free in time under our own limit for this upstream.
    ConnectionLimit,
    /// This machine is out of file descriptors, ports or socket memory.
    LocalResources,
    /// The TLS handshake failed for another reason than the certificate.
    Tls,
    TlsCertificate,
    /// The connection ended before a response: reset, closed, GOAWAY, a stream reset.
    Reset,
    /// HTTP/2 REFUSED_STREAM, or a GOAWAY that says our stream was not processed.
    RefusedStream,
    /// The request was sent and no response head arrived in time.
    Timeout,
    /// No progress in the middle of a body, in either direction.
    IdleTimeout,
    Protocol,
    HeadTooLarge,
    Truncated,
}

impl FailureKind {
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

    /// Whether a limit of this gateway broke the exchange, which says nothing about the upstream.
    #[must_use]
    pub const fn is_local(self) -> bool {
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

    /// What happened, in one line that is safe to show to clients.
    #[must_use]
    pub const fn summary(self) -> &'static str {
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

    /// The phase of an exchange in which it happens, for logs.
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

    /// The name in dialects, metrics and logs.
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
