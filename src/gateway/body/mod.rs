//! Bodies on their way through: replayed requests, peeked errors, streamed answers.

mod peek;
mod replay;
mod response;

pub use replay::{Intake, Replay, ReplayPool, RequestBody};
pub use response::{ResponseBody, Streamed};

pub(super) use peek::{Peeked, peek};
