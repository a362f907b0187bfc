//! The front door: workers, listeners, connections, drain.

mod settings;

pub use settings::{Settings, Shutdown};
