//! One pass over a head's names that finds out which special headers it has.
//!
//! Most heads have none of them, and asking the map for each would hash a name every time. After a
//! scan, "absent" costs nothing.

use std::time::Duration;

use http::header::{CONTENT_TYPE, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::names::{self, DESTINATION, EVENKEEL_ERRORS, Kind, Presence, TRACEPARENT, X_REQUEST_ID};
use super::{AskedErrors, asked_errors, identity, prefer, references, via};
use crate::outcome;
use crate::routing::method;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestScan {
    pub(super) connection: Presence,
    pub(super) via: Presence,
    pub(super) prefer: Presence,
    /// `TE` or `Trailer`.
    pub(super) trailers: Presence,
    /// A header that is always removed.
    pub(super) removable: Presence,
    pub(super) underscored: Presence,
    asked_errors: Presence,
    request_id: Presence,
    traceparent: Presence,
    destination: Presence,
    method_override: Presence,
    /// A bit for each length of a name; the last bit stands for all longer names.
    lengths: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseScan {
    pub(super) connection: Presence,
    pub(super) via: Presence,
    pub(super) request_id: Presence,
    /// A header that may hold a URL or a path of the upstream.
    pub(super) reference: Presence,
    /// A header that is always removed, or `Trailer`.
    pub(super) removable: Presence,
    rate_limit: Presence,
    event_stream: Presence,
    grpc_status: Presence,
}

impl RequestScan {
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut scan = Self::default();
        headers.keys().for_each(|name| scan.note(name));
        scan
    }

    fn note(&mut self, name: &HeaderName) {
        let text = name.as_str();
        self.lengths |= length_bit(text);
        let found = match names::kind(text) {
            Kind::Connection => &mut self.connection,
            Kind::Own => {
                if *name == EVENKEEL_ERRORS {
                    self.asked_errors = Presence::Present;
                }
                &mut self.removable
            }
            Kind::HopByHop | Kind::Expect | Kind::Forwarding => &mut self.removable,
            Kind::Te | Kind::Trailer => &mut self.trailers,
            Kind::Prefer => &mut self.prefer,
            Kind::Framing => return,
            Kind::EndToEnd => match text.len() {
                3 if *name == VIA => &mut self.via,
                11 if *name == TRACEPARENT => &mut self.traceparent,
                11 if *name == DESTINATION => &mut self.destination,
                12 if *name == X_REQUEST_ID => &mut self.request_id,
                13 | 17 | 22 if method::overrides_method(text) => {
                    self.method_override = Presence::Present;
                    if !text.bytes().any(|byte| byte == b'_') {
                        return;
                    }
                    &mut self.underscored
                }
                _ if text.bytes().any(|byte| byte == b'_') => &mut self.underscored,
                _ => return,
            },
        };
        *found = Presence::Present;
    }

    /// Whether the head may contain a header of this name.
    pub(super) fn may_contain(self, name: &HeaderName) -> bool {
        self.lengths & length_bit(name.as_str()) != 0
    }

    /// Whether the request has passed this gateway before.
    #[must_use]
    pub fn is_loop(self, headers: &HeaderMap, pseudonym: &str) -> bool {
        self.via == Presence::Present && via::is_loop(headers, pseudonym)
    }

    /// The patience the client asks for.
    #[must_use]
    pub fn preferred_wait(self, headers: &HeaderMap) -> Option<Duration> {
        (self.prefer == Presence::Present).then(|| prefer::preferred_wait(headers)).flatten()
    }

    /// The shape in which the client wants its errors.
    #[must_use]
    pub fn asked_errors(self, headers: &HeaderMap) -> Option<AskedErrors> {
        (self.asked_errors == Presence::Present).then(|| asked_errors(headers)).flatten()
    }

    #[must_use]
    pub fn request_id(self, headers: &HeaderMap) -> Option<&HeaderValue> {
        (self.request_id == Presence::Present).then(|| identity::request_id(headers)).flatten()
    }

    #[must_use]
    pub fn has_idempotency_key(self, headers: &HeaderMap, name: &HeaderName) -> bool {
        self.may_contain(name) && identity::has_idempotency_key(headers, name)
    }

    /// The method overrides of the request.
    #[must_use]
    pub fn overrides(
        self,
        sent: &Method,
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> Vec<Box<str>> {
        let asked = query.is_some_and(method::query_may_override);
        if asked || self.method_override == Presence::Present {
            return method::overrides(sent, headers, query);
        }
        Vec::new()
    }

    #[must_use]
    pub fn has_destination(self) -> bool {
        self.destination == Presence::Present
    }

    /// Gives an attempt its own span in the client's trace, if there is one.
    pub fn renew_traceparent(
        self,
        headers: &mut HeaderMap,
        fresh_span_id: impl FnOnce() -> [u8; 8],
    ) {
        if self.traceparent == Presence::Present {
            identity::renew_traceparent(headers, fresh_span_id);
        }
    }
}

fn length_bit(name: &str) -> u64 {
    1 << name.len().min(63)
}

impl ResponseScan {
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut scan = Self::default();
        headers.iter().for_each(|(name, value)| scan.note(name, value));
        scan
    }

    fn note(&mut self, name: &HeaderName, value: &HeaderValue) {
        let text = name.as_str();
        let found = match names::kind(text) {
            Kind::Connection => &mut self.connection,
            Kind::HopByHop | Kind::Te | Kind::Trailer | Kind::Own => &mut self.removable,
            Kind::Framing
                if *name == CONTENT_TYPE && value.as_bytes().starts_with(b"text/event-stream") =>
            {
                &mut self.event_stream
            }
            Kind::Framing | Kind::Expect | Kind::Prefer | Kind::Forwarding => return,
            Kind::EndToEnd => match text.len() {
                3 if *name == VIA => &mut self.via,
                12 if *name == X_REQUEST_ID => &mut self.request_id,
                11 if text == "grpc-status" => &mut self.grpc_status,
                _ if references::may_refer(text, value) => &mut self.reference,
                _ if outcome::is_rate_limit_header(text) => &mut self.rate_limit,
                _ => return,
            },
        };
        *found = Presence::Present;
    }

    /// Whether a header may hold a URL or a path of the upstream.
    #[must_use]
    pub fn has_reference(self) -> bool {
        self.reference == Presence::Present
    }

    #[must_use]
    pub fn has_rate_limit(self) -> bool {
        self.rate_limit == Presence::Present
    }

    /// Whether the head may state an error of gRPC.
    #[must_use]
    pub fn has_grpc_status(self) -> bool {
        self.grpc_status == Presence::Present
    }

    #[must_use]
    pub fn is_event_stream(self) -> bool {
        self.event_stream == Presence::Present
    }
}

#[cfg(test)]
mod tests {
    use http::header::AGE;

    use super::super::names::PREFER;
    use super::super::tests::map;
    use super::*;

    #[test]
    fn a_scan_finds_what_is_present() {
        let mut headers = map(&[("accept", "*/*")]);
        let none = RequestScan::of(&headers);
        let lengths = 1 << "accept".len();
        assert_eq!(none, RequestScan { lengths, ..RequestScan::default() });
        assert_eq!(none.preferred_wait(&headers), None);
        assert!(none.may_contain(&PREFER) && !none.may_contain(&VIA));
        headers.insert(PREFER, HeaderValue::from_static("wait=3"));
        headers.insert(VIA, HeaderValue::from_static("1.1 me"));
        headers.insert(X_REQUEST_ID, HeaderValue::from_static("id-1"));
        let all = RequestScan::of(&headers);
        assert_eq!(all.preferred_wait(&headers), Some(Duration::from_secs(3)));
        assert!(all.is_loop(&headers, "me") && all.request_id(&headers).is_some());
        none.renew_traceparent(&mut headers, || panic!("there was no trace"));
        assert!(names::contains(&headers, &VIA) && !names::contains(&headers, &AGE));
    }

    #[test]
    fn names_of_any_length_are_found() {
        let long = "x".repeat(200);
        for name in [&long[..1], &long[..62], &long[..63], &long[..64], &long] {
            let name: HeaderName = name.parse().unwrap();
            let mut headers = HeaderMap::new();
            assert!(!RequestScan::of(&headers).has_idempotency_key(&headers, &name), "{name}");
            headers.insert(&name, HeaderValue::from_static("key"));
            assert!(RequestScan::of(&headers).has_idempotency_key(&headers, &name), "{name}");
        }
    }

    #[test]
    fn a_response_scan_finds_what_is_present() {
        let ordinary = [("content-type", "text/html"), ("content-length", "3"), ("date", "now")];
        assert_eq!(ResponseScan::of(&map(&ordinary)), ResponseScan::default());
        let event_stream = map(&[("content-type", "text/event-stream; charset=utf-8")]);
        assert!(ResponseScan::of(&event_stream).is_event_stream());
        let rate_limit = map(&[("date", "now"), ("x-ratelimit-remaining", "3")]);
        assert!(ResponseScan::of(&rate_limit).has_rate_limit());
    }
}
