//! The documented error: what a client reads whenever something went wrong (RFC 9457).
//!
//! `build` makes a [`Problem`] of a classified outcome or of a refusal of the gateway; on the way
//! `redact` removes the gateway's credentials and `clean` removes what else must not reach clients.
//! `headers` adds the response headers, `grpc` those of gRPC; `mask` covers credentials in what
//! passes in the vendor's own shape. Codes and their titles are in `code_table`, the published
//! JSON Schema in `schema`.

mod body;
mod build;
mod clean;
mod code;
mod code_table;
mod fit;
mod grpc;
mod headers;
mod mask;
mod missing_field;
mod prefilter;
mod redact;
mod retry_headers;
mod schema;

pub use body::{
    DETAIL_CHARS_MAX, DETAILS_BYTES_MAX, ERROR_BYTES_MAX, ErrorItem, Problem, RetryAfter,
    SHORT_CHARS_MAX, UpstreamError,
};
pub use build::{
    CallContext, CredentialOwner, Occurrence, StatusPolicy, gateway_problem, upstream_problem,
};
pub use clean::Cleaner;
pub use code::UnknownCode;
pub use code_table::Retryable;
pub use grpc::add_grpc_headers;
pub use headers::{
    PROBLEM_MEDIA_TYPE, ProxyError, add_vendor_shape_headers, drop_digests, problem_dictionary,
    problem_headers, proxy_status,
};
pub use mask::{Mask, mask_headers, masked};
pub use redact::Redactor;
pub use retry_headers::add_retry_headers;
pub use schema::schema;
