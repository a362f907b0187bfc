//! The front door: workers, listeners, connections, drain.
