//! The window: health, metrics and the API, on a listener of their own.

mod settings;

pub use settings::{Settings, Token};
