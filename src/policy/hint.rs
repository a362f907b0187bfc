//! What a response said about waiting or what remains.
