//! Says that this program lacks something of the system's: a line, not one for each call.

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::time::Moment;

/// As long as the shortage lasts, it is said once in so long.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// A connection could not be had at `now`, because of `cause`.
pub fn shortage(cause: &dyn Display, now: Moment) {
    static SAID: Once = Once::new();
    if SAID.is_due(now) {
        tracing::warn!(
            %cause,
            "connections fail for want of resources on this side; the limit of open files is the \
             usual one: raise it, or lower `connections.max`"
        );
    }
}

/// What is said once in a while, by whichever thread comes first.
#[derive(Debug)]
struct Once {
    /// Nanoseconds of the moment it was last said, plus one; zero before.
    said: AtomicU64,
}

impl Once {
    const fn new() -> Self {
        Self { said: AtomicU64::new(0) }
    }

    fn is_due(&self, now: Moment) -> bool {
        let said = self.said.load(Relaxed);
        let waits = said > 0 && now.since(Moment::from_nanos(said - 1)) < SAID_AGAIN_AFTER;
        let next = now.as_nanos().saturating_add(1);
        !waits && self.said.compare_exchange(said, next, Relaxed, Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_a_minute() {
        let once = Once::new();
        let said: Vec<_> =
            (0..=120).filter(|n| once.is_due(Moment::from_millis(n * 1_000))).collect();
        assert_eq!(said, [0, 60, 120]);
    }
}
