//! The letterbox: text in, settings out.

mod settings;

pub use settings::Settings;
