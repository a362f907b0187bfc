//! The logbook: log set-up, one event per call, every metric in one table.

mod settings;

pub use settings::{Access, Format, Settings};
