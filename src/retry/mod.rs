//! Whether a request may be sent again and when: replay safety, backoff, retry budget, verdict.

pub mod backoff;
pub mod budget;
pub mod decision;
pub mod replay;
