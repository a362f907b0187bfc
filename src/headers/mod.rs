//! The header policy: what passes to the upstream and to the client, what is added, what is
//! removed.
//!
//! Everything works in place on the given map. A head with nothing to remove costs one pass over
//! its names and no allocation; rarer cases may allocate. Values of end-to-end headers are neither
//! joined nor reordered. (Two different headers may swap places when a third is removed, which HTTP
//! allows.)

mod asked_errors;
mod connection;
mod cookie;
mod destination;
mod identity;
mod location;
pub mod names;
mod prefer;
mod references;
mod request;
mod response;
mod scan;
mod target;
mod via;

pub use asked_errors::{AskedErrors, asked_errors};
pub use connection::{
    Trailers, decrement_max_forwards, filter_trailers, is_last_hop, requires_upgrade,
};
pub use destination::{OutOfRoute, map_destination};
pub use identity::{
    AmbiguousHeader, account_value, fresh_request_id, has_idempotency_key, request_id, trace_id,
    unambiguous_value,
};
pub use location::Rewrite;
pub use prefer::{WAIT_SECONDS_MAX, preferred_wait};
pub use request::{ProtectedHeaders, RequestPolicy, filter_request};
pub use response::{
    CallHeaders, RateLimit, ResponsePolicy, Timing, add_call_headers, filter_error_response,
    filter_response,
};
pub use scan::{RequestScan, ResponseScan};
pub use target::{TargetError, target};
pub use via::Via;

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    /// A header map of these names and values.
    pub(super) fn map(rows: &[(&'static str, &'static str)]) -> HeaderMap {
        let row = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        rows.iter().map(row).collect()
    }
}
