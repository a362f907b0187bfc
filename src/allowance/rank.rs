//! The order in which waiting calls go: by priority, with ageing, then by arrival.
//!
//! A rank is the arrival of a call, moved back by what its priority concedes to more urgent calls.
//! An interactive call overtakes a batch call that arrived up to that much earlier and no further,
//! so no call starves; within one priority it is first come, first served. A retry keeps the rank
//! of its call.

use std::time::Duration;

use crate::routing::client::Priority;
use crate::time::Moment;

/// Longer than the default patience, so that priority is strict within one patience.
const NORMAL_CONCEDES: Duration = Duration::from_secs(60);

const BATCH_CONCEDES: Duration = Duration::from_secs(300);

/// A place in the order of waiting calls; the smallest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(Moment);

impl Rank {
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
    fn urgent_calls_overtake_others_up_to_the_concession_of_their_priority() {
        let rank = |priority, second: u64| Rank::new(priority, Moment::from_millis(second * 1000));
        assert!(rank(Priority::Interactive, 30) < rank(Priority::Normal, 0));
        assert!(rank(Priority::Normal, 0) < rank(Priority::Normal, 1));
        assert!(rank(Priority::Normal, 200) < rank(Priority::Batch, 0));
        assert!(rank(Priority::Batch, 0) < rank(Priority::Normal, 241));
        assert!(rank(Priority::Batch, 0) < rank(Priority::Interactive, 301));
    }
}
