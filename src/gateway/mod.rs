//! The workshop: the life of a call, one stage after the other.

mod settings;

pub use settings::{
    CallPolicy, ClientAddress, Credential, Expose, Inspect, Redirects, Repeat, Settings,
    StatusPolicy, Upstream,
};
