//! May a request be sent again, when, and who pays: replay safety, backoff, budget, decision.

pub mod backoff;
pub mod budget;
pub mod decision;
pub mod replay;
