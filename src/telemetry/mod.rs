//! The logbook: log set-up, one event per call, every metric in one table.
//!
//! Refuses to decide anything, and to write down what may be a secret: no header values, no
//! query strings, no bodies.

mod access;
mod cells;
mod exposition;
mod holds;
mod json;
mod lines;
mod log;
mod metrics;
mod process;
mod settings;
mod shortage;
mod table;

pub use access::{BodyFault, BrokenBody, BrokenBy, CallRecord, Gist, body_broke, record};
pub use holds::hold;
#[cfg(test)]
pub(crate) use log::tests::captured;
pub use log::{Log, LogFault};
pub use metrics::{
    Admitted, Attempted, CLIENTS_MAX, Ended, LimitOf, Metrics, Shard, Throttled, UpstreamLabels,
};
pub use settings::{Access, Format, Settings};
pub use shortage::shortage;
pub use table::{Kind, METRICS, Metric};
