//! The admin listener: health checks, metrics, the API for operators, and the contract of problems.
//!
//! It runs on the control thread, never on the path of a call, and refuses requests that a web page
//! of somebody else makes a browser send.

mod accept;
mod allowances;
mod contract;
mod handler;
mod host;
mod levers;
mod listener;
mod metrics_format;
mod query;
mod reload;
mod response;
mod settings;
mod status;

#[cfg(test)]
mod tests;

pub use handler::{AdminState, ReleaseResult};
pub use listener::AdminListener;
pub use reload::{Reload, ReloadError};
pub use settings::{NamedToken, Settings, Token};
