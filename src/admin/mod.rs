//! The window: health, metrics and the API, on a listener of their own.
