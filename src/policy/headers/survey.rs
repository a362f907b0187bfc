//! What a request's head has at all, found in one pass over its names.
//!
//! Most heads have none of what a gateway asks for, and asking a map for each would hash a name
//! every time. A survey answers "it is not there" for nothing and sends everything else on to the
//! rule that knows.

use std::time::Duration;

use http::header::VIA;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::names::{PREFER, TRACEPARENT, X_REQUEST_ID};
use super::{identity, prefer, via};

/// Which headers a request's head has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    via: Presence,
    prefer: Presence,
    request_id: Presence,
    traceparent: Presence,
}

/// Whether something is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Presence {
    #[default]
    Absent,
    Present,
}

impl Survey {
    /// Looks at every name once.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut survey = Self::default();
        for name in headers.keys() {
            match name.as_str().len() {
                3 if *name == VIA => survey.via = Presence::Present,
                6 if *name == PREFER => survey.prefer = Presence::Present,
                11 if *name == TRACEPARENT => survey.traceparent = Presence::Present,
                12 if *name == X_REQUEST_ID => survey.request_id = Presence::Present,
                _ => {}
            }
        }
        survey
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

/// Whether a head has a header of this name, without hashing it: heads are short.
#[must_use]
pub(super) fn has(headers: &HeaderMap, name: &HeaderName) -> bool {
    let length = name.as_str().len();
    headers.keys().any(|present| present.as_str().len() == length && present == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found_and_what_is_not_is_not() {
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static("*/*"));
        let none = Survey::of(&headers);
        assert_eq!(none, Survey::default());
        assert_eq!(none.preferred_wait(&headers), None);
        headers.insert(PREFER, HeaderValue::from_static("wait=3"));
        headers.insert(VIA, HeaderValue::from_static("1.1 me"));
        headers.insert(X_REQUEST_ID, HeaderValue::from_static("id-1"));
        let all = Survey::of(&headers);
        assert_eq!(all.preferred_wait(&headers), Some(Duration::from_secs(3)));
        assert!(all.looped(&headers, "me") && all.request_id(&headers).is_some());
        none.renew_traceparent(&mut headers, || panic!("there was no trace"));
        assert!(has(&headers, &VIA) && !has(&headers, &http::header::AGE));
    }
}
