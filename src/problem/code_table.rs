//! What is documented about each code: one row per code, in the order of [`Code`].
//!
//! `evenkeel problem`, the JSON Schema, the default status and the `error` parameter of
//! Proxy-Status (RFC 9209) all come from here.

use http::StatusCode;

use crate::outcome::{Code, Source};

/// Whether the same request may succeed later, unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retryable {
    Yes,
    No,
    /// If sending this request again is safe and may help.
    ByReplay,
    /// If the vendor said when.
    AsStated,
}

pub(super) struct Row {
    pub(super) code: Code,
    pub(super) name: &'static str,
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    /// Possible values of the member `source`; the first is the usual one.
    pub(super) sources: &'static [Source],
    pub(super) retryable: Retryable,
    /// The error of RFC 9209 when no response was received.
    pub(super) proxy_error: Option<&'static str>,
    pub(super) about: &'static str,
}

const CLIENT: Source = Source::Client;
const GATEWAY: Source = Source::Gateway;
const UPSTREAM: Source = Source::Upstream;

pub(super) const ROWS: [Row; 40] = [
    Row {
        code: Code::InvalidRequest,
        name: "invalid_request",
        status: StatusCode::BAD_REQUEST,
        title: "Invalid request",
        sources: &[UPSTREAM, CLIENT],
        retryable: Retryable::No,
        proxy_error: Some("http_request_error"),
        about: "The request is wrong: a field is missing, a value is out of range, the body cannot \
                be parsed. Every 4xx of the vendor without a code of its own here is reported \
                under this code too and keeps the vendor's status.",
    },
    Row {
        code: Code::Unauthenticated,
        name: "unauthenticated",
        status: StatusCode::UNAUTHORIZED,
        title: "Authentication required",
        sources: &[UPSTREAM, CLIENT],
        retryable: Retryable::No,
        proxy_error: Some("http_request_error"),
        about: "The request carries no credential, or its session has ended. With `source: client` \
                the gateway itself says so: the API key is missing or unknown, or a header that \
                this route requires is missing.",
    },
    Row {
        code: Code::CredentialRejected,
        name: "credential_rejected",
        status: StatusCode::UNAUTHORIZED,
        title: "Credential rejected",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The vendor rejected the credential: the key is wrong, expired or revoked.",
    },
    Row {
        code: Code::Forbidden,
        name: "forbidden",
        status: StatusCode::FORBIDDEN,
        title: "Permission denied",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The credential is valid, but the account lacks the permission, scope or plan that \
                this operation requires.",
    },
    Row {
        code: Code::NotFound,
        name: "not_found",
        status: StatusCode::NOT_FOUND,
        title: "Resource not found",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The endpoint exists, but the record, file or id that the request names does not.",
    },
    Row {
        code: Code::EndpointNotFound,
        name: "endpoint_not_found",
        status: StatusCode::NOT_FOUND,
        title: "Endpoint not found",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The vendor does not know this path: it is misspelt, not released yet, or belongs \
                to another version of the API.",
    },
    Row {
        code: Code::MethodNotAllowed,
        name: "method_not_allowed",
        status: StatusCode::METHOD_NOT_ALLOWED,
        title: "Method not allowed",
        sources: &[UPSTREAM, CLIENT],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The endpoint exists but does not support this method. `Allow` lists the methods it \
                supports, if the vendor sent it. The gateway itself refuses TRACE, because the \
                response would repeat credentials.",
    },
    Row {
        code: Code::NotAcceptable,
        name: "not_acceptable",
        status: StatusCode::NOT_ACCEPTABLE,
        title: "No acceptable representation available",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The vendor cannot produce any of the media types, languages or encodings that the \
                request's `Accept` headers permit.",
    },
    Row {
        code: Code::Gone,
        name: "gone",
        status: StatusCode::GONE,
        title: "Resource no longer available",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The resource existed and has been removed permanently.",
    },
    Row {
        code: Code::UnsupportedMediaType,
        name: "unsupported_media_type",
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        title: "Unsupported media type",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The endpoint does not accept the format or encoding of the request body.",
    },
    Row {
        code: Code::Unprocessable,
        name: "unprocessable",
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: "Request validation failed",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The vendor could parse the request, but its content violates a rule of the API. \
                `errors` often names the field.",
    },
    Row {
        code: Code::Conflict,
        name: "conflict",
        status: StatusCode::CONFLICT,
        title: "Conflict with the current state",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The request conflicts with something that exists or is running: a duplicate, an \
                outdated version, a job that is already queued.",
    },
    Row {
        code: Code::RequestTimeout,
        name: "request_timeout",
        status: StatusCode::REQUEST_TIMEOUT,
        title: "Request not received in time",
        sources: &[CLIENT, UPSTREAM],
        retryable: Retryable::No,
        proxy_error: Some("http_request_error"),
        about: "The request did not arrive completely in time, so it was not processed.",
    },
    Row {
        code: Code::RequestTooLarge,
        name: "request_too_large",
        status: StatusCode::PAYLOAD_TOO_LARGE,
        title: "Request body too large",
        sources: &[CLIENT, UPSTREAM],
        retryable: Retryable::No,
        proxy_error: Some("http_request_error"),
        about: "The body exceeds the limit of the gateway (`source: client`) or of the vendor.",
    },
    Row {
        code: Code::TargetTooLong,
        name: "target_too_long",
        status: StatusCode::URI_TOO_LONG,
        title: "Request target too long",
        sources: &[CLIENT, UPSTREAM],
        retryable: Retryable::No,
        proxy_error: Some("http_request_error"),
        about: "Path and query together exceed the limit of the gateway (`source: client`) or of \
                the vendor.",
    },
    Row {
        code: Code::HeadersTooLarge,
        name: "headers_too_large",
        status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        title: "Request headers too large",
        sources: &[CLIENT, UPSTREAM],
        retryable: Retryable::No,
        proxy_error: Some("http_request_error"),
        about: "The request has more headers, or longer ones, than the gateway (`source: client`) \
                or the vendor accepts. Cookies are the usual cause.",
    },
    Row {
        code: Code::RateLimited,
        name: "rate_limited",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "Upstream rate limit reached",
        sources: &[UPSTREAM],
        retryable: Retryable::Yes,
        proxy_error: None,
        about: "The vendor refused the request because it receives too many: from you, from \
                others, or in total. The gateway has stopped sending for a while and reduced its \
                rate.",
    },
    Row {
        code: Code::QuotaExhausted,
        name: "quota_exhausted",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "Upstream quota exhausted",
        sources: &[UPSTREAM],
        retryable: Retryable::AsStated,
        proxy_error: None,
        about: "A daily or monthly quota, or a prepaid credit, is used up; a short wait does not \
                help. `retry_after` says when it is renewed, if the vendor said so.",
    },
    Row {
        code: Code::AllowanceExhausted,
        name: "allowance_exhausted",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "Upstream allowance exhausted",
        sources: &[GATEWAY],
        retryable: Retryable::Yes,
        proxy_error: Some("proxy_internal_response"),
        about: "What the vendor allows is in use for longer than this call may wait, so the \
                request was not sent. `retry_after` says when a slot is expected.",
    },
    Row {
        code: Code::QueueFull,
        name: "queue_full",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "Too many requests waiting",
        sources: &[GATEWAY],
        retryable: Retryable::Yes,
        proxy_error: Some("proxy_internal_response"),
        about: "The queue of this account is full, so the request was not sent.",
    },
    Row {
        code: Code::ClientLimited,
        name: "client_limited",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "Client limit exceeded",
        sources: &[GATEWAY],
        retryable: Retryable::Yes,
        proxy_error: Some("proxy_internal_response"),
        about: "This client has reached the limit that the gateway's operator set for it. The \
                request was not sent to the vendor.",
    },
    Row {
        code: Code::CostExceedsAllowance,
        name: "cost_exceeds_allowance",
        status: StatusCode::BAD_REQUEST,
        title: "Cost exceeds the allowance",
        sources: &[GATEWAY],
        retryable: Retryable::No,
        proxy_error: Some("proxy_internal_response"),
        about: "The request costs more than the vendor ever allows at once, so that it was not \
                sent and waiting does not help.",
    },
    Row {
        code: Code::TransientConflict,
        name: "transient_conflict",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Temporary upstream conflict",
        sources: &[UPSTREAM],
        retryable: Retryable::Yes,
        proxy_error: None,
        about: "The vendor ran into an internal conflict, such as a database deadlock, and rolled \
                the request back. The gateway sent it again as often as the call's attempts \
                permit. The request itself is not at fault.",
    },
    Row {
        code: Code::UpstreamMaintenance,
        name: "upstream_maintenance",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Upstream temporarily unavailable",
        sources: &[UPSTREAM],
        retryable: Retryable::Yes,
        proxy_error: None,
        about: "The vendor says that it is unavailable for a while, for maintenance or another \
                temporary reason. The gateway holds requests to it and then sends a single probe.",
    },
    Row {
        code: Code::UpstreamHeld,
        name: "upstream_held",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Requests to the upstream are on hold",
        sources: &[GATEWAY],
        retryable: Retryable::Yes,
        proxy_error: Some("destination_unavailable"),
        about: "The vendor recently limited the rate, closed for maintenance or kept failing, so \
                the gateway answers without sending the request. `retry_after` is the time that \
                remains.",
    },
    Row {
        code: Code::Paused,
        name: "paused",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Requests to the upstream are paused",
        sources: &[GATEWAY],
        retryable: Retryable::Yes,
        proxy_error: Some("destination_unavailable"),
        about: "The gateway's operator has paused requests to this vendor. `retry_after` is the \
                time that remains; it is absent if the pause has no set end.",
    },
    Row {
        code: Code::ConnectionsExhausted,
        name: "connections_exhausted",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "No upstream connection available",
        sources: &[GATEWAY],
        retryable: Retryable::Yes,
        proxy_error: Some("connection_limit_reached"),
        about: "All connections that the gateway may open to this upstream (`connections.max`) \
                stayed in use, or the gateway ran out of open files. The request was not sent; the \
                vendor is not at fault. The gateway's operator can raise the limit.",
    },
    Row {
        code: Code::UpstreamError,
        name: "upstream_error",
        status: StatusCode::BAD_GATEWAY,
        title: "Upstream error",
        sources: &[UPSTREAM, GATEWAY],
        retryable: Retryable::ByReplay,
        proxy_error: Some("http_response_incomplete"),
        about: "The vendor failed while it processed the request. `retryable` says whether this \
                request can safely be sent again; the vendor's support will ask for \
                `upstream.reference`.",
    },
    Row {
        code: Code::UpstreamProtocol,
        name: "upstream_protocol",
        status: StatusCode::BAD_GATEWAY,
        title: "Invalid upstream response",
        sources: &[GATEWAY, UPSTREAM],
        retryable: Retryable::ByReplay,
        proxy_error: Some("http_protocol_error"),
        about: "The vendor's response is not valid HTTP, or its head is larger than `head.max` and \
                `head.headers` permit; in that case `detail` says so. `outcome_unknown` says \
                whether the request may have been carried out.",
    },
    Row {
        code: Code::UpstreamUnreachable,
        name: "upstream_unreachable",
        status: StatusCode::BAD_GATEWAY,
        title: "Upstream unreachable",
        sources: &[GATEWAY],
        retryable: Retryable::ByReplay,
        proxy_error: Some("destination_unavailable"),
        about: "No connection to the vendor was established, or it ended before a response: the \
                name did not resolve, or the connection was refused, timed out or was reset.",
    },
    Row {
        code: Code::UpstreamTls,
        name: "upstream_tls",
        status: StatusCode::BAD_GATEWAY,
        title: "TLS connection to the upstream failed",
        sources: &[GATEWAY],
        retryable: Retryable::ByReplay,
        proxy_error: Some("tls_protocol_error"),
        about: "The TLS handshake with the vendor failed, or its certificate is not trusted. The \
                request was not sent.",
    },
    Row {
        code: Code::UpstreamTruncated,
        name: "upstream_truncated",
        status: StatusCode::BAD_GATEWAY,
        title: "Upstream response incomplete",
        sources: &[GATEWAY, UPSTREAM],
        retryable: Retryable::ByReplay,
        proxy_error: Some("http_response_incomplete"),
        about: "The vendor's response ended before it was complete. The request was probably \
                carried out.",
    },
    Row {
        code: Code::UpstreamTimeout,
        name: "upstream_timeout",
        status: StatusCode::GATEWAY_TIMEOUT,
        title: "Upstream did not respond in time",
        sources: &[GATEWAY, UPSTREAM],
        retryable: Retryable::ByReplay,
        proxy_error: Some("http_response_timeout"),
        about: "The request was sent and no response came in time. If `outcome_unknown` is true, \
                it may have been carried out: check before sending it again.",
    },
    Row {
        code: Code::GatewayCredentialRejected,
        name: "gateway_credential_rejected",
        status: StatusCode::BAD_GATEWAY,
        title: "Gateway credential rejected by the upstream",
        sources: &[GATEWAY],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The vendor rejected the credential that the gateway adds to requests. Clients \
                cannot fix this.",
    },
    Row {
        code: Code::RouteNotFound,
        name: "route_not_found",
        status: StatusCode::NOT_FOUND,
        title: "No route matches this request",
        sources: &[CLIENT],
        retryable: Retryable::No,
        proxy_error: Some("destination_not_found"),
        about: "The gateway has no route for this host and path. `evenkeel explain METHOD PATH` \
                shows which route matches a request.",
    },
    Row {
        code: Code::Misdirected,
        name: "misdirected",
        status: StatusCode::MISDIRECTED_REQUEST,
        title: "Host not served by this gateway",
        sources: &[CLIENT],
        retryable: Retryable::No,
        proxy_error: Some("destination_not_found"),
        about: "The request names a host that this gateway does not serve, or one that does not \
                belong to this connection.",
    },
    Row {
        code: Code::UpgradeUnsupported,
        name: "upgrade_unsupported",
        status: StatusCode::NOT_IMPLEMENTED,
        title: "Upgrades and tunnels are not supported",
        sources: &[CLIENT],
        retryable: Retryable::No,
        proxy_error: Some("http_upgrade_failed"),
        about: "The request asks for a tunnel (`CONNECT`) or for another protocol, such as \
                WebSocket. The gateway does not support either.",
    },
    Row {
        code: Code::LoopDetected,
        name: "loop_detected",
        status: StatusCode::LOOP_DETECTED,
        title: "Request loop detected",
        sources: &[GATEWAY],
        retryable: Retryable::No,
        proxy_error: Some("proxy_loop_detected"),
        about: "`Via` shows that this request has already passed through this gateway: the \
                upstream's URL leads back to it.",
    },
    Row {
        code: Code::Draining,
        name: "draining",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Gateway shutting down",
        sources: &[GATEWAY],
        retryable: Retryable::Yes,
        proxy_error: Some("proxy_internal_response"),
        about: "The gateway is shutting down and did not send the request. Another instance, or \
                the restarted one, will take it.",
    },
    Row {
        code: Code::GatewayError,
        name: "gateway_error",
        status: StatusCode::INTERNAL_SERVER_ERROR,
        title: "Internal gateway error",
        sources: &[GATEWAY],
        retryable: Retryable::No,
        proxy_error: Some("proxy_internal_error"),
        about: "A defect in the gateway itself. The log entry of this `request_id` has the cause.",
    },
];
