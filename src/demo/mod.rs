//! Simulated vendors that behave as the founding documents say.
