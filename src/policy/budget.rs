//! The share of calls that may become blind retries.
//!
//! A dead upstream sees at most its share more than the calls themselves (10 % by default). A
//! quiet one may have a few retries under way beyond it, so that it gets any at all; a busy one
//! may not, for whom they would add up to more than the share. Waits that the vendor asked for are
//! none of its business: holds bound those.

use super::time::Moment;

/// Blind retries under way at once beyond the share of a quiet upstream.
pub const LOOSE_MAX: u16 = 3;

/// An upstream is quiet up to so many calls in ten seconds: until its share, at 10 %, is as many
/// retries as it may have beyond it.
const QUIET_CALLS_MAX: u64 = 30;

/// How long those calls are remembered, each behind the one before: a lasting rate above three a
/// second is busy.
const QUIET_MS: u64 = 10_000;

/// Calls beyond the quiet ones are remembered up to as many again: quiet is back within the ten
/// seconds.
const MEMORY_MS_MAX: u64 = 2 * QUIET_MS;

/// Blind retries that can be saved up: what 1,000 calls earn at 10 %.
const SAVED_MAX: u32 = 100;

/// A hundredth of a retry is the unit of account, so that a share in per cent is exact.
const RETRY: u32 = 100;

/// The balance of one upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    saved: u32,
    loose: u16,
    /// When, in milliseconds, the calls of late are forgotten. Not kept up while the savings are
    /// full: it only matters once they are spent.
    forgotten_ms: u64,
}

/// How a blind retry is paid; given back when its attempt is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payment {
    /// From what calls have earned.
    Saved,
    /// One of the few that a quiet upstream may have at once.
    Loose,
}

impl Budget {
    /// A call came in and earns its share.
    #[must_use]
    pub fn deposit(self, percent: u32, now: Moment) -> Self {
        const CALL_MS: u64 = QUIET_MS / QUIET_CALLS_MAX;
        if self.saved == SAVED_MAX * RETRY {
            return self;
        }
        let saved = self.saved.saturating_add(percent).min(SAVED_MAX * RETRY);
        let now_ms = millis(now);
        let forgotten_ms = (self.forgotten_ms.max(now_ms) + CALL_MS).min(now_ms + MEMORY_MS_MAX);
        Self { saved, forgotten_ms, ..self }
    }

    /// One blind retry, if it can be paid.
    #[must_use]
    pub fn withdraw(self, now: Moment) -> Option<(Self, Payment)> {
        if let Some(saved) = self.saved.checked_sub(RETRY) {
            return Some((Self { saved, ..self }, Payment::Saved));
        }
        let loose = self.loose + 1;
        let allowed = loose <= LOOSE_MAX && self.is_quiet(now);
        allowed.then_some((Self { loose, ..self }, Payment::Loose))
    }

    const fn is_quiet(self, now: Moment) -> bool {
        self.forgotten_ms <= millis(now) + QUIET_MS
    }

    /// The attempt it paid for is over.
    #[must_use]
    pub const fn finish(self, payment: Payment) -> Self {
        match payment {
            Payment::Saved => self,
            Payment::Loose => Self { loose: self.loose.saturating_sub(1), ..self },
        }
    }

    /// The balance as one number, for an atomic.
    #[must_use]
    pub fn pack(self) -> u64 {
        self.forgotten_ms << 24 | u64::from(self.saved) << 8 | u64::from(self.loose)
    }

    /// The balance from that number.
    #[must_use]
    pub fn unpack(packed: u64) -> Self {
        let saved = u32::try_from(packed >> 8 & 0xFFFF).unwrap_or(u32::MAX);
        let loose = u16::try_from(packed & 0xFF).unwrap_or(u16::MAX);
        Self { saved, loose, forgotten_ms: packed >> 24 }
    }
}

/// Forty bits of them, all that the packed form has room for, last for 34 years.
const fn millis(now: Moment) -> u64 {
    now.as_nanos() / 1_000_000
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Moment = Moment::from_millis(60_000);

    /// So many calls, evenly over so long.
    fn calls(mut budget: Budget, count: u64, over: Duration) -> (Budget, Moment) {
        let mut now = NOW;
        for _ in 0..count {
            now = now.plus(over / u32::try_from(count).unwrap());
            budget = budget.deposit(10, now);
        }
        (budget, now)
    }

    #[test]
    fn ten_calls_earn_one_retry_at_ten_per_cent() {
        let mut budget = Budget { loose: LOOSE_MAX, ..Budget::default() };
        for _ in 0..9 {
            budget = budget.deposit(10, NOW);
        }
        assert_eq!(budget.withdraw(NOW), None);
        let (budget, payment) = budget.deposit(10, NOW).withdraw(NOW).unwrap();
        assert_eq!((budget.saved, payment), (0, Payment::Saved));
    }

    #[test]
    fn three_at_once_are_allowed_to_a_quiet_upstream() {
        let mut budget = Budget::default();
        for _ in 0..LOOSE_MAX {
            let (next, payment) = budget.withdraw(NOW).unwrap();
            assert_eq!(payment, Payment::Loose);
            budget = next;
        }
        assert_eq!(budget.withdraw(NOW), None);
        assert!(budget.finish(Payment::Loose).withdraw(NOW).is_some());
    }

    #[test]
    fn a_busy_upstream_has_its_share_and_no_more() {
        let second = Duration::from_secs(1);
        // Calls, over how long, and what may be sent again at once beyond the share.
        let rows = [
            (1, second, true),
            (30, second / 1000, true),
            (31, second / 1000, false),
            (300, second * 120, true),
            (480, second * 120, false),
            (100_000, second, false),
        ];
        for (count, over, allowed) in rows {
            let (budget, now) = calls(Budget::default(), count, over);
            let spent = Budget { saved: 0, ..budget };
            assert_eq!(spent.withdraw(now).is_some(), allowed, "{count} calls in {over:?}");
            let later = now.plus(Duration::from_millis(MEMORY_MS_MAX - QUIET_MS));
            assert!(spent.withdraw(later).is_some(), "{count} calls in {over:?}, long ago");
        }
    }

    #[test]
    fn savings_are_bounded_and_survive_packing() {
        let budget = Budget { loose: 2, ..Budget::default() };
        let (budget, _) = calls(budget, 100_000, Duration::from_secs(10));
        assert_eq!(budget.saved, SAVED_MAX * RETRY);
        assert_eq!(budget.deposit(10, NOW), budget, "a full budget is not written");
        assert_eq!(Budget::unpack(budget.pack()), budget);
    }
}
