//! The letterbox: text in, settings out.
