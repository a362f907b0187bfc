//! What the suite stands on: the program, upstreams that do as they are told, clients that see
//! every byte, and the house's own source text.

pub(crate) mod frames;
pub(crate) mod gateway;
pub(crate) mod http2;
pub(crate) mod problem;
pub(crate) mod script;
pub(crate) mod source;
pub(crate) mod time;
pub(crate) mod wire;

mod itself;
