//! Who goes first among those who wait: priority, with ageing, then arrival.
//!
//! A rank is an arrival, put back by what the call's priority concedes to more urgent ones. An
//! interactive call overtakes a batch call that arrived up to that much earlier and no further, so
//! nobody starves, and within one class it is first come, first served. A retry keeps the rank of
//! its call.

use std::time::Duration;

use crate::routing::client::Priority;
use crate::time::Moment;

/// How far a normal call lets interactive ones overtake: longer than the default patience, so
/// that within one patience priority is strict.
const NORMAL_CONCEDES: Duration = Duration::from_secs(60);

/// How far a batch call lets others overtake.
const BATCH_CONCEDES: Duration = Duration::from_secs(300);

/// A place in the order of those who wait; smaller goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(Moment);

impl Rank {
    /// The rank of a call of this priority that arrived then.
    #[must_use]
    pub fn new(priority: Priority, arrival: Moment) -> Self {
        let concession = match priority {
            Priority::Interactive => Duration::ZERO,
            Priority::Normal => NORMAL_CONCEDES,
            Priority::Batch => BATCH_CONCEDES,
        };
        Self(arrival.plus(concession))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgent_calls_overtake_and_old_ones_age() {
        let rank = |priority, second: u64| Rank::new(priority, Moment::from_millis(second * 1000));
        assert!(rank(Priority::Interactive, 30) < rank(Priority::Normal, 0));
        assert!(rank(Priority::Normal, 0) < rank(Priority::Normal, 1));
        assert!(rank(Priority::Normal, 200) < rank(Priority::Batch, 0));
        assert!(rank(Priority::Batch, 0) < rank(Priority::Normal, 241));
        assert!(rank(Priority::Batch, 0) < rank(Priority::Interactive, 301));
    }
}
