//! Send again at a moment, or stop, with the reason.
