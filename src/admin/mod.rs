//! The window: health, metrics and the API, on a listener of their own.
//!
//! Refuses to sit on the path of a call, and to show or change anything through a page that is
//! not ours.

mod answer;
mod format;
mod host;
mod listener;
mod settings;
mod status;
mod window;

pub use listener::AdminListener;
pub use settings::{Settings, Token};
pub use window::{Released, Window};
