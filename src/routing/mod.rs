//! A request head becomes a client, an upstream and a route.

pub mod authority;
pub mod call_matcher;
pub mod client;
mod decode;
pub mod method;
pub mod path;
pub mod route;
