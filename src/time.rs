//! Moments as nanoseconds on the program's own time line, arithmetic on them, and values by the
//! second.
//!
//! What time it is, only `clock.rs` knows. A `Moment` can be made of a number, which keeps tables
//! of test cases readable. All arithmetic saturates, so no input can make it panic.

use std::time::Duration;

/// A point on the program's own time line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// Earlier than anything that matters.
    pub const START: Self = Self(0);
    /// Later than any other moment.
    pub const NEVER: Self = Self(u64::MAX);

    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Its whole second.
    #[must_use]
    pub const fn second(self) -> u64 {
        self.0 / 1_000_000_000
    }

    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }

    /// The moment `span` earlier, or the start.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// How long until `later`; zero if it has passed.
    #[must_use]
    pub const fn until(self, later: Self) -> Duration {
        later.since(self)
    }
}

/// A duration in whole nanoseconds, at most `u64::MAX` of them (584 years).
#[must_use]
pub fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Jitter lengthens a wait by at most this share, so that replicas do not return in step.
const JITTER_MAX: f64 = 0.1;

/// `span` lengthened by up to 10 %, never shortened; `chance` is in 0..1.
#[must_use]
pub fn with_jitter(span: Duration, chance: f64) -> Duration {
    let share = 1.0 + JITTER_MAX * chance.clamp(0.0, 1.0);
    Duration::try_from_secs_f64(span.as_secs_f64() * share).unwrap_or(span)
}

/// Whole seconds, rounded up, so that a client that obeys a `Retry-After` is never early.
#[must_use]
pub fn seconds_up(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0))
}

/// One value for each of the last `N` seconds, the present one included: a ring in which the
/// oldest value is overwritten.
#[derive(Clone, Copy, Debug)]
pub struct PerSecond<T, const N: usize> {
    slots: [(u64, T); N],
}

impl<T: Copy + Default, const N: usize> Default for PerSecond<T, N> {
    fn default() -> Self {
        Self { slots: [(0, T::default()); N] }
    }
}

impl<T: Copy + Default, const N: usize> PerSecond<T, N> {
    /// The value of the second that `now` belongs to.
    pub fn at(&mut self, now: Moment) -> &mut T {
        let second = now.second();
        let place = usize::try_from(second % N as u64).unwrap_or_default();
        let (stored, value) = &mut self.slots[place];
        if *stored != second {
            (*stored, *value) = (second, T::default());
        }
        value
    }

    /// The values of the last `N` seconds, in no particular order.
    pub fn last(&self, now: Moment) -> impl Iterator<Item = T> {
        let oldest = (now.second() + 1).saturating_sub(N as u64);
        self.slots.iter().filter(move |(second, _)| oldest <= *second).map(|(_, value)| *value)
    }
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
    fn values_are_kept_for_the_last_seconds_only() {
        let at = |second: u64| Moment::from_millis(second * 1000);
        let mut sent = PerSecond::<u32, 10>::default();
        let most = |sent: &PerSecond<u32, 10>, second| sent.last(at(second)).max();
        assert_eq!(most(&sent, 0), Some(0));
        for second in [5, 5, 5, 6, 14, 14] {
            *sent.at(at(second)) += 1;
        }
        let most = [14, 15, 24].map(|second| most(&sent, second).unwrap_or(0));
        assert_eq!(most, [3, 2, 0]);
    }

    #[test]
    fn seconds_round_up() {
        for (millis, seconds) in [(0, 0), (1, 1), (1000, 1), (1001, 2)] {
            assert_eq!(seconds_up(Duration::from_millis(millis)), seconds);
        }
    }
}
