//! The workshop: the life of a call, one stage after the other.

mod drain;
mod peer;
mod settings;

pub use drain::Drain;
pub use peer::Peer;
pub use settings::{
    CallPolicy, ClientAddress, Credential, Expose, Inspect, Redirects, Repeat, Settings,
    StatusPolicy, Upstream,
};
