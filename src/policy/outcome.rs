//! What one exchange produced: a response, or a failure with its phase.
