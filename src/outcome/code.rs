//! The codes of problems, and the words that go with them: source, basis, reason to stop, support.

use std::sync::Arc;

/// Every meaning a problem can have. One code has one status, one title, one default source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// The request is wrong, or the vendor's own 4xx without a row of its own.
    InvalidRequest,
    /// No credential.
    Unauthenticated,
    /// A credential that the vendor refuses.
    CredentialRejected,
    /// A good credential without the right.
    Forbidden,
    /// The thing asked for does not exist.
    NotFound,
    /// The endpoint does not exist.
    EndpointNotFound,
    /// The endpoint does not know this method.
    MethodNotAllowed,
    /// The vendor cannot answer in an accepted form.
    NotAcceptable,
    /// The thing existed once.
    Gone,
    /// The vendor does not read this media type.
    UnsupportedMediaType,
    /// Well-formed, and still not acceptable.
    Unprocessable,
    /// It clashes with something that exists or runs.
    Conflict,
    /// The client was too slow.
    RequestTimeout,
    /// The body is too large.
    RequestTooLarge,
    /// The target is too long.
    TargetTooLong,
    /// The head is too large.
    HeadersTooLarge,
    /// The vendor limits the rate.
    RateLimited,
    /// The vendor's allowance is used up, and waiting a little does not cure it.
    QuotaExhausted,
    /// Our ledger of the vendor's allowance is full for longer than the call's patience.
    AllowanceExhausted,
    /// The waiting room is full.
    QueueFull,
    /// The client's own limit.
    ClientLimited,
    /// A clash that should have passed, and did not (a database deadlock that persists).
    TransientConflict,
    /// The vendor is down for maintenance.
    UpstreamMaintenance,
    /// A hold stands; answered without asking the vendor.
    UpstreamHeld,
    /// No connection to the vendor is left, because of a limit on our side.
    ConnectionsExhausted,
    /// The vendor failed.
    UpstreamError,
    /// The vendor's answer was not HTTP as agreed.
    UpstreamProtocol,
    /// The vendor could not be reached.
    UpstreamUnreachable,
    /// No trusted TLS connection to the vendor.
    UpstreamTls,
    /// The vendor's answer broke off.
    UpstreamTruncated,
    /// The vendor did not answer in time.
    UpstreamTimeout,
    /// The credential that this gateway injects was refused.
    GatewayCredentialRejected,
    /// No route leads anywhere from here.
    RouteNotFound,
    /// This host is not served here.
    Misdirected,
    /// Upgrade and CONNECT are not supported.
    UpgradeUnsupported,
    /// The request has been here before.
    LoopDetected,
    /// The gateway is stopping.
    Draining,
    /// A defect of the gateway.
    GatewayError,
}

/// Who speaks in a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The request cannot be sent.
    Client,
    /// We decided, or we failed.
    Gateway,
    /// The vendor said it.
    Upstream,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Client, Self::Gateway, Self::Upstream];

    /// Its name in problems, metrics and logs.
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
    /// This answer said it: in a header, its body or its prose.
    Upstream,
    /// The vendor's documentation says it.
    Dialect,
    /// We reckoned it.
    Estimate,
}

impl Basis {
    /// Every basis.
    pub const ALL: [Self; 3] = [Self::Upstream, Self::Dialect, Self::Estimate];

    /// Its name in problems, metrics and logs.
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
    /// Its attempts are used up.
    Attempts,
    /// The next attempt could not start in time.
    Patience,
    /// The retry budget is spent.
    Budget,
    /// The method may not be repeated, and nobody said otherwise.
    Method,
    /// Its body cannot be sent again.
    Body,
    /// The same request would get the same answer.
    Final,
}

impl StoppedBy {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::Attempts, Self::Patience, Self::Budget, Self::Method, Self::Body, Self::Final];

    /// Its name in problems, metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Patience => "patience",
            Self::Budget => "budget",
            Self::Method => "method",
            Self::Body => "body",
            Self::Final => "final",
        }
    }
}

/// Whom to contact, and how: from the dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Support {
    /// An address, as the vendor gives it.
    pub contact: Arc<str>,
    /// When the problem may tell it.
    pub when: SupportWhen,
}

/// When the support contact is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SupportWhen {
    /// Only after the retries are used up (D37).
    Exhausted,
    /// With every problem of this rule.
    Always,
    /// As a hint beside the documentation.
    Hint,
}
