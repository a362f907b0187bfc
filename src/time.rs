//! A point in time as nanoseconds since the program started, and arithmetic on it.
//!
//! Refuses to know what time it is: `clock.rs` does. A `Moment` can be built from a number, so
//! tables of cases stay readable; all arithmetic saturates, so no input can make it panic.

use std::time::Duration;

/// A point on the program's own time line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The moment the program started.
    pub const START: Self = Self(0);
    /// Later than everything.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment `nanos` nanoseconds after the start.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The moment `millis` milliseconds after the start.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The moment `span` later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }

    /// The moment `span` earlier, or the start.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// How long until `later`; zero when it has passed.
    #[must_use]
    pub const fn until(self, later: Self) -> Duration {
        later.since(self)
    }
}

/// A duration in whole nanoseconds; longer than 584 years counts as that.
#[must_use]
pub fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Upward jitter adds at most this share, so that replicas do not come back in step.
const UPWARD_JITTER_MAX: f64 = 0.1;

/// `span` lengthened by up to 10 %, never shortened; `chance` is in 0..1.
#[must_use]
pub fn lengthened(span: Duration, chance: f64) -> Duration {
    let share = 1.0 + UPWARD_JITTER_MAX * chance.clamp(0.0, 1.0);
    Duration::try_from_secs_f64(span.as_secs_f64() * share).unwrap_or(span)
}

/// Whole seconds, rounded up: what a `Retry-After` may say without inviting anybody early.
#[must_use]
pub fn seconds_up(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Moment::NEVER.plus(Duration::from_secs(1)), Moment::NEVER);
        assert_eq!(Moment::START.minus(Duration::from_secs(1)), Moment::START);
        assert_eq!(Moment::START.since(Moment::NEVER), Duration::ZERO);
        assert_eq!(nanos(Duration::MAX), u64::MAX);
    }

    #[test]
    fn seconds_round_up() {
        for (millis, seconds) in [(0, 0), (1, 1), (1000, 1), (1001, 2)] {
            assert_eq!(seconds_up(Duration::from_millis(millis)), seconds);
        }
    }
}
