//! Bounds on how long anything in the suite may take.

use std::time::{Duration, Instant};

/// A test that would hang fails after this time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[expect(clippy::disallowed_methods, reason = "a test measures the program from outside")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits until `happened`; fails after `PATIENCE`.
#[track_caller]
pub(crate) fn until(what: &str, happened: impl FnMut() -> bool) {
    within(PATIENCE, what, happened);
}

/// Waits until `happened`; fails after `limit`.
#[track_caller]
pub(crate) fn within(limit: Duration, what: &str, mut happened: impl FnMut() -> bool) {
    let start = now();
    while !happened() {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
