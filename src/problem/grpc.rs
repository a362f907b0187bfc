//! A problem as a response of gRPC: a head with `grpc-status` and no body, which clients of gRPC
//! read in place of an HTTP status.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::Problem;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_RETRY_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// Adds the headers that tell a client of gRPC what went wrong, and when to come back.
pub fn add_grpc_headers(headers: &mut HeaderMap, problem: &Problem) {
    headers.insert(GRPC_STATUS, HeaderValue::from(grpc_status(problem.status)));
    let message = percent_encoded(&problem.detail);
    headers.insert(GRPC_MESSAGE, message.try_into().unwrap_or(HeaderValue::from_static("")));
    if let Some(wait) = problem.retry_after {
        headers.insert(GRPC_RETRY_PUSHBACK, HeaderValue::from(wait.seconds.saturating_mul(1_000)));
    }
}

/// The status of gRPC for one of HTTP, as its specification maps them; 429 means exhausted.
const fn grpc_status(status: StatusCode) -> u16 {
    match status {
        StatusCode::TOO_MANY_REQUESTS => 8,
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::FORBIDDEN => 7,
        StatusCode::NOT_FOUND => 12,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        StatusCode::GATEWAY_TIMEOUT => 4,
        _ => 2,
    }
}

/// A text as `grpc-message` holds it: printable ASCII but `%` as it is.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | ..b' ' | b'\x7f'.. => encoded.push_str(&format!("%{byte:02X}")),
            byte => encoded.push(char::from(byte)),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Code;
    use crate::problem::{CallContext, Occurrence, gateway_problem};

    #[test]
    fn each_status_has_one_of_grpc() {
        let rows = [
            (Code::QueueFull, 8),
            (Code::Unauthenticated, 16),
            (Code::Forbidden, 7),
            (Code::RouteNotFound, 12),
            (Code::UpstreamHeld, 14),
            (Code::UpstreamTimeout, 4),
            (Code::UpstreamError, 2),
            (Code::InvalidRequest, 2),
        ];
        for (code, status) in rows {
            let problem = gateway_problem(code, &CallContext::default(), &Occurrence::default());
            let mut headers = HeaderMap::new();
            add_grpc_headers(&mut headers, &problem);
            assert_eq!(headers[GRPC_STATUS], status.to_string(), "{code:?}");
            assert!(!headers.contains_key(GRPC_RETRY_PUSHBACK));
        }
    }

    #[test]
    fn the_message_is_percent_encoded() {
        assert_eq!(percent_encoded("50 % \u{fc}ber\n"), "50 %25 %C3%BCber%0A");
    }
}
