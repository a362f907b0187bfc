//! How many attempts of an upstream ended when: what an allowance that is new after a reload starts
//! from.
//!
//! Exact to a minute for the last hour, to an hour for the last day, and to a day beyond, up to the
//! longest window. A bucket counts as a whole at its end, so that an allowance believes too much to
//! be spent, never too little.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::{Moment, nanos};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest window or period that can be configured, with what a change of clocks and the linger
/// of an attempt add to it.
const KEPT: Duration = Duration::from_secs(33 * 24 * 60 * 60);

/// The attempts of one upstream, by when they ended.
#[derive(Clone, Debug, Default)]
pub(super) struct AttemptHistory {
    /// Ascending; at most one for each minute of an hour, hour of a day and day of a month.
    buckets: VecDeque<Bucket>,
    under_way: u32,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Attempts that end before this are counted here.
    closes: u64,
    /// When the latest of them ended.
    last: u64,
    attempts: u32,
}

/// What an upstream's attempts may have spent of an allowance that did not count them.
#[derive(Clone, Debug, Default)]
pub(super) struct Spent {
    /// When they ended, and how many.
    pub(super) ended: Vec<(Moment, u32)>,
    pub(super) under_way: u32,
}

impl AttemptHistory {
    /// Attempts that have not ended.
    pub(super) const fn under_way(&self) -> u32 {
        self.under_way
    }

    pub(super) const fn began(&mut self) {
        self.under_way = self.under_way.saturating_add(1);
    }

    pub(super) const fn was_not_sent(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    pub(super) fn ended(&mut self, at: Moment) {
        self.under_way = self.under_way.saturating_sub(1);
        let at = at.as_nanos();
        if let Some(bucket) = self.buckets.back_mut().filter(|bucket| at < bucket.closes) {
            bucket.last = bucket.last.max(at);
            bucket.attempts = bucket.attempts.saturating_add(1);
            return;
        }
        self.begin_bucket(at);
    }

    /// Takes over the attempts that have ended in another one.
    pub(super) fn inherit(&mut self, from: &Self) {
        self.buckets.clone_from(&from.buckets);
    }

    /// What may be spent of a window of this length.
    pub(super) fn spent(&self, window: Duration, now: Moment) -> Spent {
        let counts = |bucket: &&Bucket| now < Moment::from_nanos(bucket.last).plus(window);
        let ended = self.buckets.iter().filter(counts);
        let ended = ended.map(|bucket| (Moment::from_nanos(bucket.last), bucket.attempts));
        Spent { ended: ended.collect(), under_way: self.under_way }
    }

    #[cold]
    fn begin_bucket(&mut self, at: u64) {
        self.coarsen(at);
        let closes = at.saturating_add(nanos(MINUTE));
        self.buckets.push_back(Bucket { closes, last: at, attempts: 1 });
    }

    /// Joins old buckets and forgets those that no window reaches.
    fn coarsen(&mut self, now: u64) {
        let mut kept = 0_usize;
        for place in 0..self.buckets.len() {
            let bucket = self.buckets[place];
            let age = Duration::from_nanos(now.saturating_sub(bucket.last));
            let width = match age {
                age if age < HOUR => Duration::ZERO,
                age if age < DAY => HOUR,
                age if age < KEPT => DAY,
                _ => continue,
            };
            let same = |at: u64| at.checked_div(nanos(width));
            let last = kept.checked_sub(1).map(|place| self.buckets[place]);
            let joined = last
                .filter(|last| same(last.last).is_some() && same(last.last) == same(bucket.last));
            if let Some(last) = joined {
                let attempts = last.attempts.saturating_add(bucket.attempts);
                self.buckets[kept - 1] = Bucket { attempts, ..bucket };
            } else {
                self.buckets[kept] = bucket;
                kept += 1;
            }
        }
        self.buckets.truncate(kept);
    }
}

impl Spent {
    /// The same, with all that is under way taken to end at `at`: its ends will not be seen.
    pub(super) fn all_ended(mut self, at: Moment) -> Self {
        if self.under_way > 0 {
            self.ended.push((at, std::mem::take(&mut self.under_way)));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// No attempt of a window is missed, and memory is bounded however long it runs.
        #[test]
        fn every_attempt_of_a_window_is_counted_not_before_it_ended(
            gaps in prop::collection::vec((0_u64..6, 0_u64..4_000), 1..400),
            window in 1_u64..2_000_000,
        ) {
            let mut history = AttemptHistory::default();
            let (mut now, mut ends) = (0, Vec::new());
            for (scale, gap) in gaps {
                now += gap * 10_u64.pow(u32::try_from(scale).unwrap()) / 1_000;
                history.began();
                history.ended(Moment::from_millis(now * 1_000));
                ends.push(now);
            }
            prop_assert!(history.buckets.len() <= 60 + 25 + 34, "{}", history.buckets.len());
            let window = Duration::from_secs(window);
            let now = Moment::from_millis(now * 1_000);
            let spent = history.spent(window, now);
            for from in &ends {
                // Of the attempts that ended at `from` or later, none is taken to be older.
                let from = Moment::from_millis(from * 1_000);
                if now < from.plus(window) {
                    let later = |end: &&u64| from <= Moment::from_millis(**end * 1_000);
                    let real = ends.iter().filter(later).count();
                    let counted = spent.ended.iter().filter(|(at, _)| from <= *at);
                    let counted: u32 = counted.map(|(_, attempts)| attempts).sum();
                    prop_assert!(real <= counted as usize, "{counted} of {real}");
                }
            }
            prop_assert_eq!(spent.under_way, 0);
        }
    }

    #[test]
    fn what_is_under_way_and_will_not_be_seen_to_end_counts_until_then() {
        let mut history = AttemptHistory::default();
        history.began();
        history.began();
        history.was_not_sent();
        let spent = history.spent(MINUTE, Moment::START);
        assert_eq!(spent.under_way, 1);
        let later = Moment::from_millis(5);
        assert_eq!(spent.all_ended(later).ended, [(later, 1)]);
    }
}
