//! Bodies on their way through: replayed requests, peeked errors, streamed answers.

mod merging;
mod peek;
mod pieces;
mod rate;
mod replay;
mod response;

pub use replay::{ClientBodyError, IncomingBody, ReplayPool, RequestBody};
pub use response::{BodyRecord, ResponseBody};

pub(super) use peek::{Peeked, peek};
pub(super) use rate::UploadRate;
pub(super) use replay::Replay;
pub(super) use response::Streamed;
