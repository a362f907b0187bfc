//! Log set-up, one log line per call worth logging, and every metric.
//!
//! Neither logs nor metrics contain header values, query strings or bodies, any of which may be
//! secret.

mod call_log;
mod counters;
mod exposition;
mod levers;
mod log;
mod log_writer;
mod metrics;
mod operator_log;
mod process;
mod reloads;
mod settings;
mod table;

pub use call_log::{
    BreakCause, BrokenBody, BrokenBy, CallRecord, CallSummary, log_broken_body, log_call,
};
pub use levers::Levers;
#[cfg(test)]
pub(crate) use log::tests::captured;
pub use log::{LevelHandle, Log, LogError};
pub use metrics::{
    AttemptResult, CLIENTS_MAX, EndedCall, LimitOf, Metrics, Shard, SlotResult, Throttle,
    UpstreamLabels,
};
pub use operator_log::{CostOf, log_hold, log_resource_shortage, log_unknown_cost, seconds_of};
pub use reloads::Reloads;
pub use settings::{Access, Format, Settings};
pub use table::{METRICS, Metric, MetricKind};
