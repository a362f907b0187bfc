//! The only file that reads time.
//!
//! The clock uses tokio's `Instant`, so that a test that pauses the runtime pauses it too.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::time::{Moment, nanos};

/// The moment from which all others are counted. All copies agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[expect(clippy::disallowed_methods, reason = "this file is where time is read")]
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// The present moment; never goes back.
    #[expect(clippy::disallowed_methods, reason = "this file is where time is read")]
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment::from_nanos(nanos(Instant::now().saturating_duration_since(self.start)))
    }

    /// The wall clock, for HTTP dates, request ids and people; waits are never computed from it.
    #[expect(clippy::disallowed_methods, reason = "this file is where time is read")]
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    #[expect(clippy::disallowed_methods, reason = "this file is where time is waited for")]
    pub fn sleep_until(&self, moment: Moment) -> tokio::time::Sleep {
        tokio::time::sleep_until(self.instant(moment))
    }

    /// `moment` for tokio's timers, to reset an existing one.
    #[must_use]
    pub fn instant(&self, moment: Moment) -> Instant {
        /// Longer than any program runs, and short enough that no addition overflows.
        const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        self.start + Duration::from_nanos(moment.as_nanos()).min(FAR)
    }
}
