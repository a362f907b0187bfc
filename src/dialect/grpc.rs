//! An error of gRPC in the head of a response (`grpc-status` without a body, under 200) is read as
//! the error of HTTP that means the same.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};

use crate::outcome::{Facts, ResponseHead};

/// The codes of gRPC by number, and the statuses of HTTP that mean the same.
const CODES: [(&str, u16); 17] = [
    ("OK", 200),
    ("CANCELLED", 499),
    ("UNKNOWN", 500),
    ("INVALID_ARGUMENT", 400),
    ("DEADLINE_EXCEEDED", 504),
    ("NOT_FOUND", 404),
    ("ALREADY_EXISTS", 409),
    ("PERMISSION_DENIED", 403),
    ("RESOURCE_EXHAUSTED", 429),
    ("FAILED_PRECONDITION", 400),
    ("ABORTED", 409),
    ("OUT_OF_RANGE", 400),
    ("UNIMPLEMENTED", 501),
    ("INTERNAL", 500),
    ("UNAVAILABLE", 503),
    ("DATA_LOSS", 500),
    ("UNAUTHENTICATED", 401),
];

/// Whether a head of status 200 states an error of gRPC.
#[must_use]
pub fn is_grpc_error(headers: &HeaderMap) -> bool {
    code(headers).is_some_and(|(name, _)| name != "OK")
}

/// The head with the status that means the same in HTTP, where it states an error of gRPC.
pub(super) fn as_http(head: ResponseHead<'_>) -> ResponseHead<'_> {
    let code = (!head.is_error()).then(|| code(head.headers)).flatten();
    let status = code.and_then(|(_, status)| StatusCode::from_u16(status).ok());
    ResponseHead { status: status.filter(|it| it.as_u16() >= 400).unwrap_or(head.status), ..head }
}

/// Adds what the head says of the error.
pub(super) fn add_facts(facts: &mut Facts, headers: &HeaderMap) {
    let Some((name, _)) = code(headers).filter(|(name, _)| *name != "OK") else { return };
    facts.recognised = true;
    facts.code = Some(name.to_owned());
    let message = headers.get("grpc-message").map(|value| percent_decoded(value.as_bytes()));
    facts.message = message.filter(|message| !message.trim().is_empty()).or(facts.message.take());
}

fn code(headers: &HeaderMap) -> Option<(&'static str, u16)> {
    let media_type = headers.get(CONTENT_TYPE)?.as_bytes().to_ascii_lowercase();
    let number = headers.get("grpc-status").filter(|_| media_type.starts_with(b"application/grpc"));
    let number: usize = number?.to_str().ok()?.trim().parse().ok()?;
    // A code that is not defined means UNKNOWN.
    Some(CODES.get(number).copied().unwrap_or(CODES[2]))
}

fn percent_decoded(text: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|_| *byte == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::HeaderValue;

    use super::*;
    use crate::dialect::{builtin, understand};
    use crate::outcome::Code;

    fn headers(rows: &[(&'static str, &'static str)]) -> HeaderMap {
        let row = |(name, value): &(&'static str, &'static str)| {
            (http::HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn a_status_of_grpc_means_what_its_http_status_means() {
        let auto = builtin("auto").unwrap();
        let rows = [
            ("8", Code::RateLimited),
            ("16", Code::Unauthenticated),
            ("14", Code::UpstreamError),
            ("4", Code::UpstreamTimeout),
            ("5", Code::NotFound),
            ("99", Code::UpstreamError),
        ];
        for (status, expected) in rows {
            let message = ("grpc-message", "50 %25 f%C3%BCr all");
            let kind = ("content-type", "application/grpc+proto");
            let headers = headers(&[kind, ("grpc-status", status), message]);
            let head = ResponseHead { status: StatusCode::OK, headers: &headers };
            let (classification, facts) =
                understand(&auto, head, None, SystemTime::UNIX_EPOCH).unwrap();
            assert_eq!(classification.code, expected, "{status}");
            assert_eq!(facts.message.as_deref(), Some("50 % für all"));
            assert_eq!(classification.hold.is_some(), status == "8", "{status}");
        }
    }

    #[test]
    fn what_states_no_error_of_grpc_stays_a_success() {
        let auto = builtin("auto").unwrap();
        let kind = ("content-type", "application/grpc");
        let rows: [&[_]; 3] = [
            &[kind, ("grpc-status", "0")],
            &[kind],
            &[("content-type", "application/json"), ("grpc-status", "8")],
        ];
        for rows in rows {
            let headers = headers(rows);
            let head = ResponseHead { status: StatusCode::OK, headers: &headers };
            assert!(understand(&auto, head, None, SystemTime::UNIX_EPOCH).is_none(), "{rows:?}");
            assert!(!is_grpc_error(&headers));
        }
    }
}
