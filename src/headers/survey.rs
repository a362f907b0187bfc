//! What a head has at all, found in one pass over its names.
//!
//! Most heads have none of what a gateway asks for, and asking a map for each would hash a name
//! every time. A survey answers "it is not there" for nothing and sends everything else on to the
//! rule that knows.

use std::time::Duration;

use http::header::{CONTENT_TYPE, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::names::{self, DESTINATION, Kind, TRACEPARENT, X_REQUEST_ID};
use super::{identity, prefer, references, via};
use crate::outcome;
use crate::routing::method;

/// Which headers a request's head has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    pub(super) connection: Presence,
    pub(super) via: Presence,
    pub(super) prefer: Presence,
    /// `TE` or `Trailer`.
    pub(super) trailers: Presence,
    /// A name that is for this hop or for us, whoever sends it.
    pub(super) doomed: Presence,
    pub(super) underscored: Presence,
    request_id: Presence,
    traceparent: Presence,
    destination: Presence,
    /// A field that overrides the method at some vendors.
    overriding: Presence,
    lengths: Lengths,
}

/// Which headers an answer's head has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerSurvey {
    pub(super) connection: Presence,
    pub(super) via: Presence,
    pub(super) request_id: Presence,
    /// A field that may name a URL or a path of the vendor's.
    pub(super) reference: Presence,
    /// A name that is for this hop or ours, or `Trailer`.
    pub(super) doomed: Presence,
    rates: Presence,
    events: Presence,
}

/// Whether something is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Presence {
    #[default]
    Absent,
    Present,
}

/// The lengths of the names that are there: a bit for each, the last one for all beyond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lengths(u64);

impl Lengths {
    fn add(&mut self, name: &str) {
        self.0 |= Self::bit(name);
    }

    fn has_that_of(self, name: &str) -> bool {
        self.0 & Self::bit(name) != 0
    }

    fn bit(name: &str) -> u64 {
        1 << name.len().min(63)
    }
}

impl Survey {
    /// Looks at every name once.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut survey = Self::default();
        headers.keys().for_each(|name| survey.note(name));
        survey
    }

    fn note(&mut self, name: &HeaderName) {
        let text = name.as_str();
        self.lengths.add(text);
        let noted = match names::kind(text) {
            Kind::Connection => &mut self.connection,
            Kind::HopByHop | Kind::Hop | Kind::Forwarding | Kind::Own => &mut self.doomed,
            Kind::Te | Kind::Trailer => &mut self.trailers,
            Kind::Prefer => &mut self.prefer,
            Kind::Framing => return,
            Kind::EndToEnd => match text.len() {
                3 if *name == VIA => &mut self.via,
                11 if *name == TRACEPARENT => &mut self.traceparent,
                11 if *name == DESTINATION => &mut self.destination,
                12 if *name == X_REQUEST_ID => &mut self.request_id,
                13 | 17 | 22 if method::overrides_method(text) => {
                    self.overriding = Presence::Present;
                    if !text.bytes().any(|byte| byte == b'_') {
                        return;
                    }
                    &mut self.underscored
                }
                _ if text.bytes().any(|byte| byte == b'_') => &mut self.underscored,
                _ => return,
            },
        };
        *noted = Presence::Present;
    }

    /// Whether a header of this name may be there; if not, it need not be looked for.
    pub(super) fn may_have(self, name: &HeaderName) -> bool {
        self.lengths.has_that_of(name.as_str())
    }

    /// Whether the request has been here before.
    #[must_use]
    pub fn looped(self, headers: &HeaderMap, pseudonym: &str) -> bool {
        self.via == Presence::Present && via::looped(headers, pseudonym)
    }

    /// The patience the client asks for.
    #[must_use]
    pub fn preferred_wait(self, headers: &HeaderMap) -> Option<Duration> {
        (self.prefer == Presence::Present).then(|| prefer::preferred_wait(headers)).flatten()
    }

    /// The id the client gave to its request, when it is fit for logs and headers.
    #[must_use]
    pub fn request_id(self, headers: &HeaderMap) -> Option<&HeaderValue> {
        (self.request_id == Presence::Present).then(|| identity::request_id(headers)).flatten()
    }

    /// Whether the request carries an idempotency key under this name.
    #[must_use]
    pub fn has_idempotency_key(self, headers: &HeaderMap, name: &HeaderName) -> bool {
        self.may_have(name) && identity::has_idempotency_key(headers, name)
    }

    /// The methods that the request names beside the one on its request line.
    #[must_use]
    pub fn overrides(
        self,
        sent: &Method,
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> Vec<Box<str>> {
        let asked = query.is_some_and(method::query_may_override);
        if asked || self.overriding == Presence::Present {
            return method::overrides(sent, headers, query);
        }
        Vec::new()
    }

    /// Whether the request names a second resource, as COPY and MOVE do.
    #[must_use]
    pub fn has_destination(self) -> bool {
        self.destination == Presence::Present
    }

    /// Makes an attempt a span of its own in its client's trace, if there is one.
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

impl AnswerSurvey {
    /// Looks at every header once.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut survey = Self::default();
        headers.iter().for_each(|(name, value)| survey.note(name, value));
        survey
    }

    fn note(&mut self, name: &HeaderName, value: &HeaderValue) {
        let text = name.as_str();
        let noted = match names::kind(text) {
            Kind::Connection => &mut self.connection,
            Kind::HopByHop | Kind::Te | Kind::Trailer | Kind::Own => &mut self.doomed,
            Kind::Framing if *name == CONTENT_TYPE && is_event_stream(value) => &mut self.events,
            Kind::Framing | Kind::Hop | Kind::Prefer | Kind::Forwarding => return,
            Kind::EndToEnd => match text.len() {
                3 if *name == VIA => &mut self.via,
                12 if *name == X_REQUEST_ID => &mut self.request_id,
                _ if references::may_refer(text, value) => &mut self.reference,
                _ if outcome::is_rate_limit_header(text) => &mut self.rates,
                _ => return,
            },
        };
        *noted = Presence::Present;
    }

    /// Whether a field of it may name a URL or a path of the vendor's.
    #[must_use]
    pub fn has_reference(self) -> bool {
        self.reference == Presence::Present
    }

    /// Whether it says anything about the allowance.
    #[must_use]
    pub fn speaks_of_rates(self) -> bool {
        self.rates == Presence::Present
    }

    /// Whether the body is a stream of events.
    #[must_use]
    pub fn is_event_stream(self) -> bool {
        self.events == Presence::Present
    }
}

fn is_event_stream(media_type: &HeaderValue) -> bool {
    media_type.as_bytes().starts_with(b"text/event-stream")
}

/// Whether a head has a header of this name, without hashing it: heads are short.
#[must_use]
pub(super) fn has(headers: &HeaderMap, name: &HeaderName) -> bool {
    let length = name.as_str().len();
    headers.keys().any(|present| present.as_str().len() == length && present == name)
}

#[cfg(test)]
mod tests {
    use http::header::AGE;

    use super::super::names::PREFER;
    use super::*;

    fn map(rows: &[(&'static str, &'static str)]) -> HeaderMap {
        let row = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn what_is_there_is_found_and_what_is_not_is_not() {
        let mut headers = map(&[("accept", "*/*")]);
        let none = Survey::of(&headers);
        let lengths = Lengths(1 << "accept".len());
        assert_eq!(none, Survey { lengths, ..Survey::default() });
        assert_eq!(none.preferred_wait(&headers), None);
        assert!(none.may_have(&PREFER) && !none.may_have(&VIA));
        headers.insert(PREFER, HeaderValue::from_static("wait=3"));
        headers.insert(VIA, HeaderValue::from_static("1.1 me"));
        headers.insert(X_REQUEST_ID, HeaderValue::from_static("id-1"));
        let all = Survey::of(&headers);
        assert_eq!(all.preferred_wait(&headers), Some(Duration::from_secs(3)));
        assert!(all.looped(&headers, "me") && all.request_id(&headers).is_some());
        none.renew_traceparent(&mut headers, || panic!("there was no trace"));
        assert!(has(&headers, &VIA) && !has(&headers, &AGE));
    }

    #[test]
    fn names_of_any_length_are_found() {
        let long = "x".repeat(200);
        for name in [&long[..1], &long[..62], &long[..63], &long[..64], &long] {
            let name: HeaderName = name.parse().unwrap();
            let mut headers = HeaderMap::new();
            assert!(!Survey::of(&headers).has_idempotency_key(&headers, &name), "{name}");
            headers.insert(&name, HeaderValue::from_static("key"));
            assert!(Survey::of(&headers).has_idempotency_key(&headers, &name), "{name}");
        }
    }

    #[test]
    fn an_answer_is_looked_at_once() {
        let ordinary = [("content-type", "text/html"), ("content-length", "3"), ("date", "now")];
        assert_eq!(AnswerSurvey::of(&map(&ordinary)), AnswerSurvey::default());
        let events = map(&[("content-type", "text/event-stream; charset=utf-8")]);
        assert!(AnswerSurvey::of(&events).is_event_stream());
        let rates = map(&[("date", "now"), ("x-ratelimit-remaining", "3")]);
        assert!(AnswerSurvey::of(&rates).speaks_of_rates());
    }
}
