//! Heads of HTTP/2: a request's headers in HTTP/2 form, and the limits of a response's.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Parts, Uri};
use http::{HeaderMap, HeaderValue, Method, Request, Version};

use crate::outcome::Failure;
use crate::upstream::destination::Destination;
use crate::upstream::failure;
use crate::upstream::request::RequestHead;
use crate::upstream::settings::ResponseLimits;

/// What HTTP/2 counts for each header beside its bytes (RFC 9113 §6.5.2).
const HEADER_OVERHEAD_BYTES: usize = 32;

/// HTTP/1.1 headers about the connection, which HTTP/2 forbids (RFC 9113 §8.2.2).
const CONNECTION_HEADERS: [HeaderName; 5] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The head to send, for a body of `length` bytes if that is known.
pub(super) fn request(
    head: &RequestHead,
    destination: &Destination,
    length: Option<u64>,
) -> Request<()> {
    let mut headers = head.headers.clone();
    headers.remove(HOST);
    trim_values(&mut headers);
    for name in &CONNECTION_HEADERS {
        headers.remove(name);
    }
    if headers.get(TE).is_some_and(|te| te != "trailers") {
        headers.remove(TE);
    }
    let expects_body = matches!(head.method, Method::POST | Method::PUT | Method::PATCH);
    if let Some(length) = length.filter(|length| *length != 0 || expects_body) {
        headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    let mut uri = Parts::default();
    uri.scheme = Some(destination.scheme.clone());
    uri.authority = Some(destination.authority.clone());
    uri.path_and_query = Some(head.target.clone());
    let mut request = Request::new(());
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = Uri::from_parts(uri).expect("scheme, authority and path are all set");
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    request
}

/// Checks the head of a response against our limits.
pub(super) fn check_limits(headers: &HeaderMap, limits: ResponseLimits) -> Result<(), Failure> {
    if headers.len() > limits.headers_max {
        let what = "the response has more headers than `head.headers`";
        return Err(failure::head_too_large(what));
    }
    if size(headers) > limits.head_bytes_max {
        let what = "the response's head has more bytes than `head.max`";
        return Err(failure::head_too_large(what));
    }
    Ok(())
}

/// Removes blanks around values, which HTTP/2 forbids (RFC 9113 §8.2.1). A strict peer closes the
/// connection because of them, and with it the calls of others.
pub(super) fn trim_values(headers: &mut HeaderMap) {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    for value in headers.values_mut() {
        let bytes = value.as_bytes();
        if is_blank(bytes.first()) || is_blank(bytes.last()) {
            let trimmed = HeaderValue::from_bytes(bytes.trim_ascii());
            *value = trimmed.expect("a part of a valid value is valid");
        }
    }
}

/// The size of a head as HTTP/2 counts it.
pub(super) fn size(headers: &HeaderMap) -> usize {
    let size = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD_BYTES);
    size.sum()
}
