//! What the vendor says of its own limits, and what the account believes of it.
//!
//! Pure steps of the state. Every statement is about one of its buckets; it is heeded for the
//! allowance that is most likely the same bucket, and only lowers what we believe of that.

use std::time::Duration;

use crate::allowance::hold::Circumstances;
use crate::outcome::FULL_PACE;
use crate::outcome::{Basis, Bucket, HoldCause, HoldOrder, HoldScope, Wait};

use super::settle::{Report, circumstances};
use super::slot_request::Granted;
use super::state::{State, members};

impl State {
    /// Heeds what an answer says; the scopes that it closes, because nothing remains.
    pub(super) fn heed(&mut self, granted: &Granted, report: &Report<'_>) -> u64 {
        if let Some(learned) = report.learned {
            for number in members(granted.want.scopes) {
                let scope = &mut self.scopes[number];
                if let Some(window) = scope.window_mut()
                    && window.length() == learned.window
                {
                    window.learn(learned.limit, report.now);
                }
            }
        }
        let buckets = report.said.map_or(&[] as &[Bucket], |said| &said.buckets);
        let mut closed = 0;
        for bucket in buckets {
            for number in members(self.addressed(granted, bucket)) {
                closed |= self.heed_bucket((granted.number, number), bucket, report);
            }
        }
        closed
    }

    /// The windows that a statement is about: those of its own length where it says one, else the
    /// one of its limit, else the shortest that is not over before its reset.
    fn addressed(&self, granted: &Granted, bucket: &Bucket) -> u64 {
        let lengths = members(granted.want.scopes)
            .filter_map(|number| Some((number, self.scopes[number].window()?)));
        if let Some(window) = bucket.window {
            let same = lengths.filter(|(_, length)| *length == window);
            return same.map(|(number, _)| 1 << number).sum();
        }
        let limit = |number: usize| self.scopes[number].configured_limit();
        let rank = |(number, length): &(usize, Duration)| {
            let other_limit = bucket.limit.is_none() || limit(*number) != bucket.limit;
            let over = bucket.reset.is_some_and(|reset| *length < reset);
            let excess = if over { Duration::MAX - *length } else { *length };
            (other_limit, over, excess)
        };
        lengths.min_by_key(rank).map_or(0, |(number, _)| 1 << number)
    }

    /// Heeds one statement for one window; its scope, if that is closed now.
    fn heed_bucket(
        &mut self,
        (grant, number): (u64, usize),
        bucket: &Bucket,
        report: &Report<'_>,
    ) -> u64 {
        let now = report.now;
        let scope = &mut self.scopes[number];
        let outdated = scope.is_outdated(grant);
        let enforced = scope.is_enforced_allowance();
        let Some(window) = scope.window_mut() else { return 0 };
        if let (Some(limit), Some(_)) = (bucket.limit, bucket.window)
            && (!outdated || limit < window.limit())
        {
            window.learn(limit, now);
            if bucket.remaining.is_none() {
                window.heed_limit(limit);
            }
        }
        match (bucket.remaining, bucket.reset) {
            (Some(0), Some(reset)) if enforced && !throttles(report) => {
                // To an older attempt it was said when that was sent, at the latest.
                let elapsed = if outdated { now.since(report.sent) } else { Duration::ZERO };
                let left = reset.min(window.length()).saturating_sub(elapsed);
                if left.is_zero() {
                    return 0;
                }
                let at = Circumstances { chance: 0.0, ..circumstances(report) };
                self.scopes[number].close(&used_up(left), at);
                1 << number
            }
            (Some(remaining), Some(reset)) if remaining > 0 && !outdated => {
                window.heed_remaining(remaining, reset, now);
                0
            }
            // Of the same limit it is the same bucket; its reset is a window away at most.
            (Some(remaining), None)
                if remaining > 0 && !outdated && bucket.limit == Some(window.configured()) =>
            {
                window.heed_remaining(remaining, window.length(), now);
                0
            }
            (Some(_) | None, _) => 0,
        }
    }
}

/// A throttle closes by its own hold: the wait that it states may be another one.
fn throttles(report: &Report<'_>) -> bool {
    report.order.is_some_and(|order| order.cause == HoldCause::Throttle)
}

/// The hold on an allowance of which the vendor says that nothing remains.
const fn used_up(span: Duration) -> HoldOrder {
    HoldOrder {
        scope: HoldScope::Allowance,
        cause: HoldCause::Throttle,
        length: Some(Wait { span, basis: Basis::Upstream }),
        at_least: Duration::ZERO,
        slow_sixteenths: FULL_PACE,
    }
}
