//! Request and response bodies on their way through: replayed requests, peeked errors, streamed
//! responses.

mod coalesce;
mod context;
mod incoming;
mod masked;
mod peek;
mod pieces;
mod replay;
mod response;
mod tap;

pub use incoming::{ClientBodyError, IncomingBody};
pub use replay::{ReplayPool, RequestBody};
pub use response::ResponseBody;

pub(super) use context::{CallIdentity, ResponseContext};
pub(super) use peek::{Extent, KeptBody, PeekedBody, peek};
pub(super) use replay::{ReplayBody, UploadProgress};
pub(super) use response::{IdleTimer, Metered};
pub(super) use tap::UsageTap;
