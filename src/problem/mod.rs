//! The problem: the one documented error shape, and the only place where codes are defined.
//!
//! `table` has a row for each code, `body` is what the client reads, `schema` documents it.
//! Refuses to decide which problem it is: `normalise` does.

mod body;
mod rows;
mod schema;
mod table;

pub mod json;
pub mod normalise;

pub use body::{
    Child, DETAIL_CHARS_MAX, DETAILS_BYTES_MAX, Problem, RetryAfter, SHORT_CHARS_MAX, Spoken,
};
pub use schema::schema;
pub use table::{Retryable, UnknownCode};
