//! The share of calls that may become blind retries.
//!
//! A dead upstream sees at most its share more than the calls themselves (10 % by default), plus
//! a few retries under way at once, so that a quiet upstream gets any at all. Waits that the
//! vendor asked for are none of its business: holds bound those.

/// Blind retries under way at once beyond the share.
pub const LOOSE_MAX: u16 = 3;

/// Blind retries that can be saved up: what 1,000 calls earn at 10 %.
const SAVED_MAX: u32 = 100;

/// A hundredth of a retry is the unit of account, so that a share in per cent is exact.
const RETRY: u32 = 100;

/// The balance of one upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    saved: u32,
    loose: u16,
}

/// How a blind retry is paid; given back when its attempt is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payment {
    /// From what calls have earned.
    Saved,
    /// One of the few that are always allowed at once.
    Loose,
}

impl Budget {
    /// A call came in and earns its share.
    #[must_use]
    pub fn deposit(self, percent: u32) -> Self {
        let saved = self.saved.saturating_add(percent).min(SAVED_MAX * RETRY);
        Self { saved, ..self }
    }

    /// One blind retry, if it can be paid.
    #[must_use]
    pub fn withdraw(self) -> Option<(Self, Payment)> {
        if let Some(saved) = self.saved.checked_sub(RETRY) {
            return Some((Self { saved, ..self }, Payment::Saved));
        }
        let loose = self.loose + 1;
        (self.loose < LOOSE_MAX).then_some((Self { loose, ..self }, Payment::Loose))
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
        u64::from(self.saved) << 16 | u64::from(self.loose)
    }

    /// The balance from that number.
    #[must_use]
    pub fn unpack(packed: u64) -> Self {
        let saved = u32::try_from(packed >> 16).unwrap_or(u32::MAX);
        let loose = u16::try_from(packed & 0xFFFF).unwrap_or(u16::MAX);
        Self { saved, loose }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_calls_earn_one_retry_at_ten_per_cent() {
        let mut budget = Budget { saved: 0, loose: LOOSE_MAX };
        for _ in 0..9 {
            budget = budget.deposit(10);
        }
        assert_eq!(budget.withdraw(), None);
        let (budget, payment) = budget.deposit(10).withdraw().unwrap();
        assert_eq!((budget.saved, payment), (0, Payment::Saved));
    }

    #[test]
    fn three_at_once_are_always_allowed() {
        let mut budget = Budget::default();
        for _ in 0..LOOSE_MAX {
            let (next, payment) = budget.withdraw().unwrap();
            assert_eq!(payment, Payment::Loose);
            budget = next;
        }
        assert_eq!(budget.withdraw(), None);
        assert!(budget.finish(Payment::Loose).withdraw().is_some());
    }

    #[test]
    fn savings_are_bounded_and_survive_packing() {
        let mut budget = Budget { saved: 0, loose: 2 };
        for _ in 0..100_000 {
            budget = budget.deposit(10);
        }
        assert_eq!(budget.saved, SAVED_MAX * RETRY);
        assert_eq!(Budget::unpack(budget.pack()), budget);
    }
}
