//! The program under test, scripted upstreams, clients that see every byte, and the source text.

pub(crate) mod arrivals;
pub(crate) mod frames;
pub(crate) mod gateway;
pub(crate) mod http2;
pub(crate) mod imports;
pub(crate) mod problem;
pub(crate) mod redis;
pub(crate) mod script;
pub(crate) mod source;
pub(crate) mod time;
pub(crate) mod wire;

mod self_test;
