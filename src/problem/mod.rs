//! The documented error: what a client reads whenever something went wrong (RFC 9457).
//!
//! `build` makes a [`Problem`] of a classified outcome or of a refusal of the gateway; on the way
//! `redact` removes the gateway's credentials and `clean` what else must not reach clients, by the
//! rules of `leak`.
//! `headers` adds the response headers, `grpc` those of gRPC; `mask` covers credentials in what
//! passes in the vendor's own shape.
//!
//! What is published about it comes from the same code: the meaning of each code from `code_table`
//! and `advice`, a problem of each from `sample`, pages for people from `page` and `render`, the
//! JSON Schema from `schema` and the OpenAPI components from `openapi`.

mod advice;
mod body;
mod build;
mod clean;
mod code;
mod code_table;
mod fit;
mod grpc;
mod headers;
mod leak;
mod mask;
mod missing_field;
mod openapi;
mod page;
mod prefilter;
mod redact;
mod render;
mod retry_headers;
mod sample;
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
pub use openapi::openapi;
pub use page::Page;
pub use redact::Redactor;
pub use render::{Links, STYLESHEET, html_of_all, html_page};
pub use retry_headers::add_retry_headers;
pub use sample::sample;
pub use schema::schema;
