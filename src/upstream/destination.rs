//! What requests to one upstream have in common, and the spare header map of a worker's pool.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::uri::{self, Authority};
use http::{HeaderMap, HeaderValue};

use super::settings::{ResponseLimits, Scheme, Settings};

/// Room of a new header map. Most responses have fewer headers, and growing a map costs more than
/// unused room.
const HEADERS_USUAL: usize = 12;

/// A larger map is not kept: one request with many headers must not make the memory of later
/// responses grow.
const SPARE_HEADERS_MAX: usize = 64;

pub(super) struct Destination {
    /// The `Host` header of every HTTP/1.1 request.
    pub(super) host: HeaderValue,
    /// Scheme and authority take the place of `Host` in HTTP/2.
    pub(super) scheme: uri::Scheme,
    pub(super) authority: Authority,
    pub(super) limits: ResponseLimits,
    /// The empty map of a request that was sent; the next HTTP/1.1 response uses its allocation.
    spare_headers: Mutex<HeaderMap>,
}

impl Destination {
    pub(super) fn new(settings: &Settings) -> Self {
        let authority = settings.origin.authority.clone();
        let host = HeaderValue::from_str(authority.as_str())
            .expect("every character of an authority is allowed in a header value");
        let scheme = match settings.origin.scheme {
            Scheme::Http => uri::Scheme::HTTP,
            Scheme::Https => uri::Scheme::HTTPS,
        };
        let limits = settings.response_limits;
        Self { host, scheme, authority, limits, spare_headers: Mutex::new(HeaderMap::new()) }
    }

    /// Gives `headers`, an empty map, the allocation of the spare map or a new one.
    pub(super) fn allocate(&self, headers: &mut HeaderMap) {
        std::mem::swap(&mut *self.spare_headers(), headers);
        if headers.capacity() == 0 {
            *headers = HeaderMap::with_capacity(HEADERS_USUAL);
        }
    }

    /// Keeps the allocation of `headers`, whose content is no longer needed, unless it is large.
    pub(super) fn recycle(&self, headers: &mut HeaderMap) {
        if headers.capacity() > SPARE_HEADERS_MAX {
            *headers = HeaderMap::new();
            return;
        }
        headers.clear();
        std::mem::swap(&mut *self.spare_headers(), headers);
    }

    fn spare_headers(&self) -> MutexGuard<'_, HeaderMap> {
        self.spare_headers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
