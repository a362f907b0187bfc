//! The suite's own clock: bounds on how long anything may take.

use std::time::{Duration, Instant};

/// Nothing in the suite takes longer; a test that would hang fails instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The present moment.
#[expect(clippy::disallowed_methods, reason = "a test measures the program from outside")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits until `happened`, and fails when it does not within the suite's patience.
#[track_caller]
pub(crate) fn until(what: &str, happened: impl FnMut() -> bool) {
    within(PATIENCE, what, happened);
}

/// Waits until `happened`, and fails when it does not within `limit`.
#[track_caller]
pub(crate) fn within(limit: Duration, what: &str, mut happened: impl FnMut() -> bool) {
    let start = now();
    while !happened() {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
