//! Limits that the vendor states, applied to the allowances of the account.
//!
//! Each statement is about one bucket of the vendor's. It applies to the allowance that is most
//! likely the same bucket, and only ever lowers what that one grants.

use std::time::Duration;

use super::account_state::AccountState;
use super::hold::HoldContext;
use super::scope_set::{members, set_of};
use super::settlement::Settlement;
use super::slot_request::GrantedSlot;
use super::unit_limit::UnitLimit;
use super::view::LedgerKind;
use crate::outcome::{Basis, Bucket, FULL_PACE, HoldCause, HoldOrder, HoldScope, Standing, Wait};

impl AccountState {
    /// Applies what a response states about limits. Returns the scopes that it closes because
    /// nothing remains.
    pub(super) fn apply_stated_limits(
        &mut self,
        slot: &GrantedSlot,
        settlement: &Settlement<'_>,
    ) -> u64 {
        if let Some(learned) = settlement.learned {
            for number in members(slot.request.scopes) {
                let window = self.scopes[number].units_mut();
                let named = |window: &&mut UnitLimit| {
                    window.kind() != LedgerKind::Bucket && window.length() == learned.window
                };
                if let Some(window) = window.filter(named) {
                    window.learn_limit(learned.limit, settlement.ended);
                }
            }
        }
        let Some(Standing { buckets, .. }) = settlement.standing else { return 0 };
        let mut closed = 0;
        for bucket in buckets {
            for number in members(self.matching_windows(slot.request.scopes, bucket)) {
                if self.apply_bucket(number, bucket, slot.number, settlement) {
                    closed |= 1 << number;
                }
            }
        }
        closed
    }

    /// The windows that a statement is about: those of the length it names; without one, that of
    /// the same limit, else the shortest that does not end before the stated reset.
    fn matching_windows(&self, scopes: u64, bucket: &Bucket) -> u64 {
        let lengths =
            members(scopes).filter_map(|number| Some((number, self.scopes[number].window()?)));
        if let Some(window) = bucket.window {
            let same = lengths.filter(|(_, length)| *length == window);
            return set_of(same.map(|(number, _)| number));
        }
        let rank = |(number, length): &(usize, Duration)| {
            let limit = self.scopes[*number].granted();
            let other_limit = bucket.limit.is_none() || limit != bucket.limit;
            let too_short = bucket.reset.is_some_and(|reset| *length < reset);
            let excess = if too_short { Duration::MAX - *length } else { *length };
            (other_limit, too_short, excess)
        };
        lengths.min_by_key(rank).map_or(0, |(number, _)| 1 << number)
    }

    /// Applies one statement to one window. Returns whether it closes the scope.
    fn apply_bucket(
        &mut self,
        number: usize,
        bucket: &Bucket,
        grant: u64,
        settlement: &Settlement<'_>,
    ) -> bool {
        let now = settlement.ended;
        let scope = &mut self.scopes[number];
        let outdated = scope.is_outdated(grant);
        let enforced = scope.is_enforced_allowance();
        let Some(window) = scope.units_mut() else { return false };
        if let (Some(limit), Some(_)) = (bucket.limit, bucket.window)
            && (!outdated || limit < window.limit())
        {
            window.learn_limit(limit, now);
            if bucket.remaining.is_none() {
                window.note_stated_limit(limit);
            }
        }
        // A throttle closes the scope by its own hold, whose wait may be another one.
        let throttled = settlement.order.is_some_and(|it| it.cause == HoldCause::Throttle);
        match (bucket.remaining, bucket.reset) {
            (Some(0), Some(reset)) if enforced && !throttled => {
                // An outdated response was true when its attempt was sent, at the earliest.
                let age = if outdated { now.since(settlement.sent) } else { Duration::ZERO };
                let left = reset.min(window.length()).saturating_sub(age);
                if left.is_zero() {
                    return false;
                }
                let order = HoldOrder {
                    scope: HoldScope::Allowance,
                    cause: HoldCause::Throttle,
                    length: Some(Wait { span: left, basis: Basis::Upstream }),
                    at_least: Duration::ZERO,
                    slow_sixteenths: FULL_PACE,
                };
                scope.close(&order, HoldContext::new(now, 0.0));
                true
            }
            (Some(remaining), Some(reset)) if remaining > 0 && !outdated => {
                window.note_remaining(remaining, reset, now);
                false
            }
            // The same limit means the same bucket, whose reset is a window away at most.
            (Some(remaining), None)
                if remaining > 0 && !outdated && bucket.limit == Some(window.granted()) =>
            {
                window.note_remaining(remaining, window.length(), now);
                false
            }
            (Some(_) | None, _) => false,
        }
    }
}
