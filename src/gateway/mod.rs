//! The workshop: the life of a call, one stage after the other.

mod body;
mod drain;
mod peer;
mod settings;

pub use body::{Intake, Replay, ReplayPool, RequestBody, ResponseBody};
pub use drain::Drain;
pub use peer::Peer;
pub use settings::{
    CallPolicy, ClientAddress, Credential, Expose, Inspect, Redirects, Repeat, Settings,
    StatusPolicy, Upstream,
};
