//! The facts of every code, one row each; `table` gives access to them.

use http::StatusCode;

use super::table::{Retryable, Row};
use crate::outcome::{Code, Source};

const CLIENT: Source = Source::Client;
const GATEWAY: Source = Source::Gateway;
const UPSTREAM: Source = Source::Upstream;

pub(super) const ROWS: [Row; 38] = [
    Row {
        code: Code::InvalidRequest,
        name: "invalid_request",
        status: StatusCode::BAD_REQUEST,
        title: "The request is not acceptable as it is",
        sources: &[UPSTREAM, CLIENT],
        retryable: Retryable::No,
        proxy_error: Some("http_request_error"),
        about: "The request is wrong: a field is missing, a value is out of range, the body cannot \
                be read. Also every 4xx of the vendor that has no code of its own here; such a \
                problem keeps the vendor's status. Change the request; sending it again as it is \
                gets the same answer.",
    },
    Row {
        code: Code::Unauthenticated,
        name: "unauthenticated",
        status: StatusCode::UNAUTHORIZED,
        title: "The request carries no valid credential",
        sources: &[UPSTREAM, CLIENT],
        retryable: Retryable::No,
        proxy_error: Some("http_request_error"),
        about: "No credential came with the request, or the session it belongs to has ended. From \
                the gateway (`source: client`) it means that no key, or no known key, was presented \
                here, or that a header is missing which this route requires. Authenticate and send \
                the request again.",
    },
    Row {
        code: Code::CredentialRejected,
        name: "credential_rejected",
        status: StatusCode::UNAUTHORIZED,
        title: "The credential was refused",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "A credential was sent and the vendor refused it: the key is wrong, expired or \
                revoked. Sending it again does not help and may lock the account. Obtain a valid \
                credential first.",
    },
    Row {
        code: Code::Forbidden,
        name: "forbidden",
        status: StatusCode::FORBIDDEN,
        title: "The credential does not permit this",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The vendor knows who asks and says no. The account lacks a right, a scope or a plan \
                for this operation.",
    },
    Row {
        code: Code::NotFound,
        name: "not_found",
        status: StatusCode::NOT_FOUND,
        title: "The thing asked for does not exist",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The endpoint exists, and what the request names does not: a record, a file, an id.",
    },
    Row {
        code: Code::EndpointNotFound,
        name: "endpoint_not_found",
        status: StatusCode::NOT_FOUND,
        title: "The vendor has no such endpoint",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The path itself is unknown to the vendor: misspelt, not released yet, or the wrong \
                version. Compare the URL with the vendor's documentation.",
    },
    Row {
        code: Code::MethodNotAllowed,
        name: "method_not_allowed",
        status: StatusCode::METHOD_NOT_ALLOWED,
        title: "The endpoint does not know this method",
        sources: &[UPSTREAM, CLIENT],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The endpoint exists and does not take this method. `Allow` names those it takes, if \
                the vendor said so. TRACE is refused by the gateway itself: its answer would repeat \
                credentials.",
    },
    Row {
        code: Code::NotAcceptable,
        name: "not_acceptable",
        status: StatusCode::NOT_ACCEPTABLE,
        title: "The vendor cannot answer in an accepted form",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "None of the media types, languages or encodings in the request's `Accept` headers is \
                one the vendor can produce.",
    },
    Row {
        code: Code::Gone,
        name: "gone",
        status: StatusCode::GONE,
        title: "The thing asked for is gone for good",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "It existed once and will not come back. Remove references to it.",
    },
    Row {
        code: Code::UnsupportedMediaType,
        name: "unsupported_media_type",
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        title: "The vendor does not read this media type",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The body came in a format or an encoding that the endpoint does not read. Check \
                `Content-Type` and `Content-Encoding`.",
    },
    Row {
        code: Code::Unprocessable,
        name: "unprocessable",
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: "The request is well-formed and still not acceptable",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The vendor could read the request and its own rules refuse the content. `errors` \
                often tells which field is meant.",
    },
    Row {
        code: Code::Conflict,
        name: "conflict",
        status: StatusCode::CONFLICT,
        title: "The request clashes with the present state",
        sources: &[UPSTREAM],
        retryable: Retryable::No,
        proxy_error: None,
        about: "Something that exists or runs stands in the way: a duplicate, an outdated version, a \
                job that is already queued. Look at the present state before trying again.",
    },
    Row {
        code: Code::RequestTimeout,
        name: "request_timeout",
        status: StatusCode::REQUEST_TIMEOUT,
        title: "The request did not arrive in time",
        sources: &[CLIENT, UPSTREAM],
        retryable: Retryable::No,
        proxy_error: Some("http_request_error"),
        about: "The request was begun and not completed in time, so nothing was done with it. Send \
                it again, faster or in smaller parts.",
    },
    Row {
        code: Code::RequestTooLarge,
        name: "request_too_large",
        status: StatusCode::PAYLOAD_TOO_LARGE,
        title: "The body is too large",
        sources: &[CLIENT, UPSTREAM],
        retryable: Retryable::No,
        proxy_error: Some("http_request_error"),
        about: "The body exceeds what the gateway (`source: client`) or the vendor takes.",
    },
    Row {
        code: Code::TargetTooLong,
        name: "target_too_long",
        status: StatusCode::URI_TOO_LONG,
        title: "The target is too long",
        sources: &[CLIENT, UPSTREAM],
        retryable: Retryable::No,
        proxy_error: Some("http_request_error"),
        about: "Path and query together are longer than the gateway (`source: client`) or the vendor \
                takes. Move parameters into a body, if the vendor permits it.",
    },
    Row {
        code: Code::HeadersTooLarge,
        name: "headers_too_large",
        status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        title: "The head is too large",
        sources: &[CLIENT, UPSTREAM],
        retryable: Retryable::No,
        proxy_error: Some("http_request_error"),
        about: "There are too many headers, or they are too long, for the gateway (`source: client`) \
                or the vendor. Cookies are the usual reason.",
    },
    Row {
        code: Code::RateLimited,
        name: "rate_limited",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "The upstream is limiting the rate of calls",
        sources: &[UPSTREAM],
        retryable: Retryable::Yes,
        proxy_error: None,
        about: "The vendor refused because too many calls reach it, from you, from others, or \
                altogether. The gateway has closed the allowance for a while and slowed down. Wait \
                for `retry_after` seconds before sending it again, or let the gateway wait with \
                `Prefer: wait=N`.",
    },
    Row {
        code: Code::QuotaExhausted,
        name: "quota_exhausted",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "The allowance with the vendor is used up",
        sources: &[UPSTREAM],
        retryable: Retryable::AsStated,
        proxy_error: None,
        about: "The allowance of a day or a month, or a credit, is used up. Waiting a little does \
                not cure it; `retry_after` says when it may be over, if the vendor said so. \
                Otherwise somebody has to change the plan.",
    },
    Row {
        code: Code::AllowanceExhausted,
        name: "allowance_exhausted",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "No slot is free within the time this call may wait",
        sources: &[GATEWAY],
        retryable: Retryable::Yes,
        proxy_error: Some("proxy_internal_response"),
        about: "The vendor's allowance is in use for longer than this call may wait, so it was not \
                sent. `retry_after` is when a slot is expected. A call that may wait longer can say \
                `Prefer: wait=N`.",
    },
    Row {
        code: Code::QueueFull,
        name: "queue_full",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "Too many calls are waiting already",
        sources: &[GATEWAY],
        retryable: Retryable::Yes,
        proxy_error: Some("proxy_internal_response"),
        about: "The waiting room of this account is full, so the call was not sent. Send less at the \
                same time, or try again after `retry_after` seconds.",
    },
    Row {
        code: Code::ClientLimited,
        name: "client_limited",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "This client has reached its own limit",
        sources: &[GATEWAY],
        retryable: Retryable::Yes,
        proxy_error: Some("proxy_internal_response"),
        about: "The operator gave this client a limit of its own and it is reached. The vendor was \
                not asked.",
    },
    Row {
        code: Code::TransientConflict,
        name: "transient_conflict",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "A clash that should have passed persists",
        sources: &[UPSTREAM],
        retryable: Retryable::Yes,
        proxy_error: None,
        about: "The vendor met a conflict of its own making, like a database deadlock, and rolled \
                back. The gateway sent the request again as far as the call's attempts allow. It is \
                not a mistake in the request: it can be sent again later.",
    },
    Row {
        code: Code::UpstreamMaintenance,
        name: "upstream_maintenance",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "The upstream is unavailable for a while",
        sources: &[UPSTREAM],
        retryable: Retryable::Yes,
        proxy_error: None,
        about: "The vendor says that it is unavailable for a while: maintenance, or a temporary stop \
                with a moment to return. The gateway holds calls to it and lets one probe go when \
                the time is over. Come back after `retry_after` seconds.",
    },
    Row {
        code: Code::UpstreamHeld,
        name: "upstream_held",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Calls to the upstream are being held",
        sources: &[GATEWAY],
        retryable: Retryable::Yes,
        proxy_error: Some("destination_unavailable"),
        about: "The vendor throttled, closed for maintenance or failed a moment ago, and the time to \
                return has not come; so this call was answered without asking it. `retry_after` is \
                what is left.",
    },
    Row {
        code: Code::ConnectionsExhausted,
        name: "connections_exhausted",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "The gateway has no connection to the upstream left",
        sources: &[GATEWAY],
        retryable: Retryable::Yes,
        proxy_error: Some("connection_limit_reached"),
        about: "All connections that the gateway may have to this upstream (`connections.max`) \
                stayed in use, or the system gives it no more files to open. Nothing was sent, and \
                it says nothing about the vendor. A matter for the operator: raise the limit.",
    },
    Row {
        code: Code::UpstreamError,
        name: "upstream_error",
        status: StatusCode::BAD_GATEWAY,
        title: "The upstream failed",
        sources: &[UPSTREAM, GATEWAY],
        retryable: Retryable::ByReplay,
        proxy_error: Some("http_response_incomplete"),
        about: "The vendor met a failure of its own while it handled the request. `retryable` says \
                whether this request can safely be sent again; `upstream.reference` is what the \
                vendor's support will ask for.",
    },
    Row {
        code: Code::UpstreamProtocol,
        name: "upstream_protocol",
        status: StatusCode::BAD_GATEWAY,
        title: "The upstream did not speak HTTP as agreed",
        sources: &[GATEWAY, UPSTREAM],
        retryable: Retryable::ByReplay,
        proxy_error: Some("http_protocol_error"),
        about: "What came back was not an HTTP answer, broke the rules of its framing, or has a \
                larger head than `head.max` and `head.headers` allow: then `detail` says so. \
                `outcome_unknown` says whether the request may have been carried out.",
    },
    Row {
        code: Code::UpstreamUnreachable,
        name: "upstream_unreachable",
        status: StatusCode::BAD_GATEWAY,
        title: "The upstream cannot be reached",
        sources: &[GATEWAY],
        retryable: Retryable::ByReplay,
        proxy_error: Some("destination_unavailable"),
        about: "No connection came about, or it ended before an answer: the name did not resolve, \
                the connection was refused, timed out or was reset.",
    },
    Row {
        code: Code::UpstreamTls,
        name: "upstream_tls",
        status: StatusCode::BAD_GATEWAY,
        title: "No trusted connection to the upstream",
        sources: &[GATEWAY],
        retryable: Retryable::ByReplay,
        proxy_error: Some("tls_protocol_error"),
        about: "The TLS handshake failed, or the vendor's certificate is not to be trusted. The \
                request was not sent. A matter for the operator.",
    },
    Row {
        code: Code::UpstreamTruncated,
        name: "upstream_truncated",
        status: StatusCode::BAD_GATEWAY,
        title: "The upstream's answer broke off",
        sources: &[GATEWAY, UPSTREAM],
        retryable: Retryable::ByReplay,
        proxy_error: Some("http_response_incomplete"),
        about: "The vendor began to answer and stopped half-way. The request has probably been \
                carried out.",
    },
    Row {
        code: Code::UpstreamTimeout,
        name: "upstream_timeout",
        status: StatusCode::GATEWAY_TIMEOUT,
        title: "The upstream did not answer in time",
        sources: &[GATEWAY, UPSTREAM],
        retryable: Retryable::ByReplay,
        proxy_error: Some("http_response_timeout"),
        about: "The request was sent and nothing came back in time. With `outcome_unknown` nobody \
                knows whether it was carried out: look before you send it again.",
    },
    Row {
        code: Code::GatewayCredentialRejected,
        name: "gateway_credential_rejected",
        status: StatusCode::BAD_GATEWAY,
        title: "The gateway's own credential was refused",
        sources: &[GATEWAY],
        retryable: Retryable::No,
        proxy_error: None,
        about: "The vendor refused the credential that the gateway adds to every call. The client \
                can do nothing about it: the operator has to renew the credential.",
    },
    Row {
        code: Code::RouteNotFound,
        name: "route_not_found",
        status: StatusCode::NOT_FOUND,
        title: "No route leads anywhere from here",
        sources: &[CLIENT],
        retryable: Retryable::No,
        proxy_error: Some("destination_not_found"),
        about: "The gateway has no route for this host and path. Compare the path with the routes \
                the operator configured; `evenkeel explain METHOD PATH` shows what matches.",
    },
    Row {
        code: Code::Misdirected,
        name: "misdirected",
        status: StatusCode::MISDIRECTED_REQUEST,
        title: "This host is not served here",
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
        about: "The request asks for `CONNECT` or for another protocol (like WebSocket). The gateway \
                does not pass these.",
    },
    Row {
        code: Code::LoopDetected,
        name: "loop_detected",
        status: StatusCode::LOOP_DETECTED,
        title: "The request has been here before",
        sources: &[GATEWAY],
        retryable: Retryable::No,
        proxy_error: Some("proxy_loop_detected"),
        about: "`Via` shows that this request already passed this gateway: the upstream's URL leads \
                back here. A matter for the operator.",
    },
    Row {
        code: Code::Draining,
        name: "draining",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "The gateway is stopping",
        sources: &[GATEWAY],
        retryable: Retryable::Yes,
        proxy_error: Some("proxy_internal_response"),
        about: "The gateway is being stopped and this call could not start any more. It was not \
                sent. Send it again; another instance, or the next, will take it.",
    },
    Row {
        code: Code::GatewayError,
        name: "gateway_error",
        status: StatusCode::INTERNAL_SERVER_ERROR,
        title: "The gateway failed",
        sources: &[GATEWAY],
        retryable: Retryable::No,
        proxy_error: Some("proxy_internal_error"),
        about: "A defect of the gateway itself. The log has an entry with this `request_id`; please \
                report it.",
    },
];
