//! Whether a request may be sent again and when: replay safety, backoff, retry budget,
//! the client's own retries, verdict.

pub mod backoff;
pub mod budget;
pub mod client;
pub mod decision;
pub mod replay;
