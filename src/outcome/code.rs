//! The codes of problems, and the closed sets that go with them: source, basis of a wait, reason to
//! stop, support contact.

use std::sync::Arc;

/// What the `type` of every problem of ours begins with; the code follows.
pub const TYPE_PREFIX: &str = "urn:evenkeel:problem:";

/// Every meaning a problem can have. Each code has one status, one title and one default source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// The request is wrong, or the vendor sent a 4xx that no other code stands for.
    InvalidRequest,
    Unauthenticated,
    /// The vendor refused the credential.
    CredentialRejected,
    /// The credential is valid, but lacks the right.
    Forbidden,
    NotFound,
    EndpointNotFound,
    MethodNotAllowed,
    /// The vendor cannot respond in an accepted media type.
    NotAcceptable,
    Gone,
    UnsupportedMediaType,
    /// Well-formed, but not acceptable.
    Unprocessable,
    /// It conflicts with something that exists or is running.
    Conflict,
    RequestTimeout,
    RequestTooLarge,
    TargetTooLong,
    HeadersTooLarge,
    RateLimited,
    /// The vendor's quota is used up, and a short wait does not help.
    QuotaExhausted,
    /// Our ledger of the vendor's allowance is full for longer than the call's patience.
    AllowanceExhausted,
    QueueFull,
    ClientLimited,
    /// The call costs more than an allowance ever grants.
    CostExceedsAllowance,
    /// A conflict that should have passed, and did not (a database deadlock that persists).
    TransientConflict,
    UpstreamMaintenance,
    /// A hold is in place, so the vendor was not asked.
    UpstreamHeld,
    /// An operator has paused the upstream or one of its allowances.
    Paused,
    /// No connection to the vendor is left, because of a limit on our side.
    ConnectionsExhausted,
    UpstreamError,
    /// The vendor's response was not valid HTTP.
    UpstreamProtocol,
    UpstreamUnreachable,
    /// No trusted TLS connection to the vendor.
    UpstreamTls,
    /// The vendor's response ended early.
    UpstreamTruncated,
    UpstreamTimeout,
    /// The vendor refused the credential that this gateway injects.
    GatewayCredentialRejected,
    RouteNotFound,
    /// This host is not served here.
    Misdirected,
    /// Upgrade and CONNECT are not supported.
    UpgradeUnsupported,
    LoopDetected,
    Draining,
    /// A defect of the gateway.
    GatewayError,
}

/// Where a problem originates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The request cannot be sent.
    Client,
    /// A decision or a failure of this gateway.
    Gateway,
    /// The vendor's response.
    Upstream,
}

impl Source {
    pub const ALL: [Self; 3] = [Self::Client, Self::Gateway, Self::Upstream];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Upstream => "upstream",
        }
    }
}

/// Where a `retry_after` comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Basis {
    /// This response states it: in a header, its body or its prose.
    Upstream,
    /// The vendor's documentation states it.
    Dialect,
    /// Computed here.
    Estimate,
}

impl Basis {
    pub const ALL: [Self; 3] = [Self::Upstream, Self::Dialect, Self::Estimate];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Dialect => "dialect",
            Self::Estimate => "estimate",
        }
    }
}

/// Why a call was not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoppedBy {
    Attempts,
    /// The next attempt could not start in time.
    Patience,
    Budget,
    /// The method may not be repeated, and nothing declares the operation repeatable.
    Method,
    Body,
    /// The same request would get the same response.
    Final,
    /// The client sends it again by itself.
    Client,
}

impl StoppedBy {
    pub const ALL: [Self; 7] = [
        Self::Attempts,
        Self::Patience,
        Self::Budget,
        Self::Method,
        Self::Body,
        Self::Final,
        Self::Client,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Patience => "patience",
            Self::Budget => "budget",
            Self::Method => "method",
            Self::Body => "body",
            Self::Final => "final",
            Self::Client => "client",
        }
    }
}

/// A support contact, from the dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Support {
    /// An address, as the vendor gives it.
    pub contact: Arc<str>,
    pub when: SupportWhen,
}

/// When a problem includes the support contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SupportWhen {
    /// Only after the retries are used up (D37).
    Exhausted,
    /// With every problem of this rule.
    Always,
    /// As a hint beside the documentation.
    Hint,
}
