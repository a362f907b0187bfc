//! The share of calls that may become blind retries.
