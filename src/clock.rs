//! The only file that reads time.
//!
//! The clock uses tokio's `Instant`, so that a test that pauses the runtime pauses it too.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use crate::time::Moment;

/// Further back than any window reaches.
const PAST: Duration = Duration::from_secs(100 * 24 * 60 * 60);

/// The moment from which all others are counted. All copies agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    /// The moment of `start`.
    began: Moment,
}

impl Clock {
    /// A clock that starts now, at [`Moment::START`].
    #[expect(clippy::disallowed_methods, reason = "this file is where time is read")]
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now(), began: Moment::START }
    }

    /// A clock that starts now and has moments for what a former process did.
    #[must_use]
    pub fn start_with_past() -> Self {
        Self { began: Moment::START.plus(PAST), ..Self::start() }
    }

    /// The present moment; never goes back.
    #[expect(clippy::disallowed_methods, reason = "this file is where time is read")]
    #[must_use]
    pub fn now(&self) -> Moment {
        self.began.plus(Instant::now().saturating_duration_since(self.start))
    }

    /// How long the program has been running.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.now().since(self.began)
    }

    /// How long ago the machine was started, suspension included: a clock that goes on while no
    /// process of ours runs.
    #[must_use]
    pub fn since_boot(&self) -> Duration {
        clock_gettime(ClockId::Boottime).try_into().unwrap_or_default()
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

    /// What a future results in, if it takes no longer than this.
    pub async fn within<T>(self, span: Duration, future: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(span, future).await.ok()
    }

    /// `moment` for tokio's timers, to reset an existing one.
    #[must_use]
    pub fn instant(&self, moment: Moment) -> Instant {
        /// Longer than any program runs, and short enough that no addition overflows.
        const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        self.start + moment.since(self.began).min(FAR)
    }
}
