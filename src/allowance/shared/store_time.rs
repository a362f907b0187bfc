//! The clock of a store, as far as a replica can know it.

use std::time::Duration;

use crate::time::Moment;

/// A reading of the store's clock, and between which moments of our own it was taken.
///
/// Moments of the store are nanoseconds since 1970. Both clocks run equally fast; how far they are
/// apart is known up to the length of the round trip, so every conversion has an early and a late
/// bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::allowance) struct StoreTime {
    pub(in crate::allowance) shown: Moment,
    pub(in crate::allowance) sent: Moment,
    pub(in crate::allowance) received: Moment,
}

impl StoreTime {
    /// What the store's clock shows at `own`, at the earliest.
    pub(in crate::allowance) fn earliest(&self, own: Moment) -> Moment {
        moved(self.shown, self.received, own)
    }

    /// What the store's clock shows at `own`, at the latest.
    pub(in crate::allowance) fn latest(&self, own: Moment) -> Moment {
        moved(self.shown, self.sent, own)
    }

    /// When the store's clock shows this, at the latest.
    pub(in crate::allowance) fn own_latest(&self, shown: Moment) -> Moment {
        moved(self.received, self.shown, shown)
    }

    /// By how much the store's clock has run ahead of ours since this earlier reading.
    pub(in crate::allowance) fn ahead_of(&self, earlier: &Self) -> Duration {
        self.shown.since(earlier.latest(self.received))
    }
}

/// `base`, moved as far as `to` is from `from`. What never happens stays so.
fn moved(base: Moment, from: Moment, to: Moment) -> Moment {
    if to == Moment::NEVER {
        return to;
    }
    if from <= to { base.plus(to.since(from)) } else { base.minus(from.since(to)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_known_up_to_the_length_of_a_round_trip() {
        let at = Moment::from_millis;
        let time = StoreTime { shown: at(1_000_000), sent: at(100), received: at(130) };
        assert_eq!((time.earliest(at(150)), time.latest(at(150))), (at(1_000_020), at(1_000_050)));
        assert_eq!((time.earliest(at(90)), time.latest(at(90))), (at(999_960), at(999_990)));
        assert_eq!(time.own_latest(at(1_000_500)), at(630));
        assert_eq!(time.own_latest(Moment::NEVER), Moment::NEVER);
    }

    #[test]
    fn a_clock_that_was_set_runs_ahead() {
        let at = Moment::from_millis;
        let earlier = StoreTime { shown: at(1_000_000), sent: at(100), received: at(130) };
        let later = |shown| StoreTime { shown, sent: at(1_100), received: at(1_120) };
        assert_eq!(later(at(1_001_010)).ahead_of(&earlier), Duration::ZERO);
        assert_eq!(later(at(1_003_020)).ahead_of(&earlier), Duration::from_secs(2));
    }
}
