//! What is counted of reloads, over all configurations of the process.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug, Default)]
pub struct Reloads {
    applied: AtomicU64,
    refused: AtomicU64,
    /// Seconds since 1970.
    loaded: AtomicU64,
}

impl Reloads {
    /// A configuration is in force from now on: the first one, or a reloaded one.
    pub fn loaded(&self, wall: SystemTime) {
        let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.loaded.store(since.as_secs(), Relaxed);
    }

    pub fn applied(&self, wall: SystemTime) {
        self.applied.fetch_add(1, Relaxed);
        self.loaded(wall);
    }

    /// The configuration was faulty, and the old one stays.
    pub fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// By result.
    pub(super) fn counts(&self) -> [(&'static str, u64); 2] {
        [("applied", self.applied.load(Relaxed)), ("refused", self.refused.load(Relaxed))]
    }

    pub(super) fn loaded_seconds(&self) -> f64 {
        self.loaded.load(Relaxed) as f64
    }
}
