//! The logbook: log set-up, one event per call, every metric in one table.
