//! Names, titles and statuses of codes, until the table of problems brings them.

use http::StatusCode;

use super::problem::{Code, Source, StoppedBy};

impl Code {
    /// Every code.
    pub const ALL: [Self; 37] = [
        Self::InvalidRequest,
        Self::Unauthenticated,
        Self::CredentialRejected,
        Self::Forbidden,
        Self::NotFound,
        Self::EndpointNotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::Gone,
        Self::UnsupportedMediaType,
        Self::Unprocessable,
        Self::Conflict,
        Self::RequestTimeout,
        Self::RequestTooLarge,
        Self::TargetTooLong,
        Self::HeadersTooLarge,
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::AllowanceExhausted,
        Self::QueueFull,
        Self::ClientLimited,
        Self::TransientConflict,
        Self::UpstreamMaintenance,
        Self::UpstreamHeld,
        Self::UpstreamError,
        Self::UpstreamProtocol,
        Self::UpstreamUnreachable,
        Self::UpstreamTls,
        Self::UpstreamTruncated,
        Self::UpstreamTimeout,
        Self::GatewayCredentialRejected,
        Self::RouteNotFound,
        Self::Misdirected,
        Self::UpgradeUnsupported,
        Self::LoopDetected,
        Self::Draining,
        Self::GatewayError,
    ];

    /// Its name in problems, metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthenticated => "unauthenticated",
            Self::CredentialRejected => "credential_rejected",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::EndpointNotFound => "endpoint_not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotAcceptable => "not_acceptable",
            Self::Gone => "gone",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Unprocessable => "unprocessable",
            Self::Conflict => "conflict",
            Self::RequestTimeout => "request_timeout",
            Self::RequestTooLarge => "request_too_large",
            Self::TargetTooLong => "target_too_long",
            Self::HeadersTooLarge => "headers_too_large",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::AllowanceExhausted => "allowance_exhausted",
            Self::QueueFull => "queue_full",
            Self::ClientLimited => "client_limited",
            Self::TransientConflict => "transient_conflict",
            Self::UpstreamMaintenance => "upstream_maintenance",
            Self::UpstreamHeld => "upstream_held",
            Self::UpstreamError => "upstream_error",
            Self::UpstreamProtocol => "upstream_protocol",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamTls => "upstream_tls",
            Self::UpstreamTruncated => "upstream_truncated",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::GatewayCredentialRejected => "gateway_credential_rejected",
            Self::RouteNotFound => "route_not_found",
            Self::Misdirected => "misdirected",
            Self::UpgradeUnsupported => "upgrade_unsupported",
            Self::LoopDetected => "loop_detected",
            Self::Draining => "draining",
            Self::GatewayError => "gateway_error",
        }
    }

    /// Its status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::Unauthenticated | Self::CredentialRejected => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound | Self::EndpointNotFound | Self::RouteNotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::Gone => StatusCode::GONE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict => StatusCode::CONFLICT,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::RateLimited
            | Self::QuotaExhausted
            | Self::AllowanceExhausted
            | Self::QueueFull
            | Self::ClientLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::TransientConflict
            | Self::UpstreamMaintenance
            | Self::UpstreamHeld
            | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::UpstreamError
            | Self::UpstreamProtocol
            | Self::UpstreamUnreachable
            | Self::UpstreamTls
            | Self::UpstreamTruncated
            | Self::GatewayCredentialRejected => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::UpgradeUnsupported => StatusCode::NOT_IMPLEMENTED,
            Self::LoopDetected => StatusCode::LOOP_DETECTED,
            Self::GatewayError => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
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
