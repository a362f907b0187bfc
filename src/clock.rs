//! The only file that reads time.
//!
//! It stands on tokio's instant, so the production clock is also the test clock: a test that
//! pauses the runtime pauses everything.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::time::{Moment, nanos};

/// Where moments are counted from, and how to wait for one. Copy it freely; all copies agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock whose start is now.
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

    /// The wall clock, for HTTP dates, request ids and people; never for a decision about waiting.
    #[expect(clippy::disallowed_methods, reason = "this file is where time is read")]
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    /// A future that ends at `moment`.
    #[expect(clippy::disallowed_methods, reason = "this file is where time is waited for")]
    pub fn sleep_until(&self, moment: Moment) -> tokio::time::Sleep {
        tokio::time::sleep_until(self.instant(moment))
    }

    /// `moment` as tokio's timers want it, to move an existing timer.
    #[must_use]
    pub fn instant(&self, moment: Moment) -> Instant {
        /// No program runs so long: moments behind it are as good as never, and cannot overflow.
        const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        self.start + Duration::from_nanos(moment.as_nanos()).min(FAR)
    }
}
