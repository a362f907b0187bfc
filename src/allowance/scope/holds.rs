//! What closes, reopens and slows a scope: holds, their probes, outages and throttles.

use std::time::Duration;

use super::{AttemptRole, Scope, ScopeState, Slowdown, TemporaryPace};
use crate::allowance::hold::{Hold, HoldContext, HoldStatus, OUTAGE_FIRST, ProbeState};
use crate::allowance::outage_detector::BlindFailure;
use crate::allowance::slot_request::PathId;
use crate::outcome::{Basis, FULL_PACE, HoldCause, HoldOrder, HoldScope, Wait};
use crate::time::Moment;

impl Scope {
    /// Whether holds and pauses let a call go at `now`, and in which role; if not, when they may.
    pub(in crate::allowance) fn check_hold(&mut self, now: Moment) -> Result<AttemptRole, Moment> {
        if let Some(until) = self.paused_until(now) {
            return Err(until);
        }
        match self.hold.as_ref().map(|hold| hold.status(now)) {
            None => Ok(AttemptRole::Ordinary),
            Some(HoldStatus::ProbeDue) => Ok(AttemptRole::Probe),
            Some(HoldStatus::ClosedUntil(until)) => Err(until),
            Some(HoldStatus::ProbeUnderWay) => Err(Moment::NEVER),
        }
    }

    /// Closes it as the response to an attempt orders, which was sent at `sent`.
    pub(in crate::allowance) fn apply_order(
        &mut self,
        order: &HoldOrder,
        role: AttemptRole,
        sent: Moment,
        context: HoldContext,
    ) {
        let context = HoldContext { window: self.window(), ..context };
        match (self.hold, role) {
            (Some(_), AttemptRole::Probe) if order.cause == HoldCause::Pause => {
                // The probe was served, so the old hold has ended and the pause is a new one.
                self.reopen(context.now);
                self.hold = Some(Hold::begin(order, context));
            }
            (Some(hold), AttemptRole::Probe) => {
                self.hold = Some(hold.prolonged(order, context));
                self.slow_down(order, context.now);
            }
            (Some(hold), AttemptRole::Ordinary) => {
                self.hold = Some(hold.extended(order, context.now));
            }
            (None, _) => {
                self.hold = Some(Hold::begin(order, context));
                if self.last_closed <= sent {
                    self.slow_down(order, context.now);
                }
            }
        }
    }

    /// The body of a response whose head has closed this scope states a wait too: it may extend
    /// the hold, but neither doubles it nor slows the pace again.
    pub(in crate::allowance) fn extend_hold(&mut self, order: &HoldOrder, now: Moment) {
        self.hold = self.hold.map(|hold| hold.extended(order, now));
    }

    /// Closes it because the vendor states that nothing remains. A hold that stands is extended.
    pub(in crate::allowance) fn close(&mut self, order: &HoldOrder, context: HoldContext) {
        let context = HoldContext { window: self.window(), ..context };
        self.hold = Some(match self.hold {
            Some(hold) => hold.extended(order, context.now),
            None => {
                self.last_closed = context.now;
                Hold::begin(order, context)
            }
        });
    }

    /// The probe of its hold failed without a response.
    pub(in crate::allowance) fn probe_failed(&mut self, path: PathId, context: HoldContext) {
        let context = HoldContext { window: self.window(), ..context };
        self.hold = self.hold.map(|hold| hold.after_failed_probe(context));
        if let ScopeState::Upstream(upstream) = &mut self.state {
            upstream.avoided_path = Some(path);
        }
    }

    /// The call that was to be the probe was not sent: another one may be.
    pub(in crate::allowance) const fn probe_not_sent(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.probe = ProbeState::Due;
        }
    }

    pub(in crate::allowance) const fn probe_sent(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.probe = ProbeState::Sent;
        }
    }

    /// Ends its hold. Earlier failures no longer count, and after a throttle the burst is spent, so
    /// that the waiting calls are paced.
    pub(in crate::allowance) fn reopen(&mut self, now: Moment) {
        self.hold = None;
        match &mut self.state {
            ScopeState::Upstream(upstream) => {
                upstream.outage_detector.reset();
                upstream.avoided_path = None;
                if let Some(pace) = &mut upstream.temporary_pace {
                    pace.reopen(now);
                    self.granted_turn = None;
                }
            }
            ScopeState::Units(window) if self.slowdown.sixteenths < FULL_PACE => {
                if let Some(pace) = &window.pace {
                    pace.spend_burst(now);
                    self.granted_turn = None;
                }
            }
            ScopeState::Units(_) | ScopeState::Concurrency(_) | ScopeState::SlowStart(_) => {}
        }
    }

    /// A call to this upstream ended well, or with a response that says what is wrong.
    pub(in crate::allowance) fn call_succeeded(&mut self, path: PathId, now: Moment) {
        if let ScopeState::Upstream(upstream) = &mut self.state {
            upstream.outage_detector.call_succeeded(path, now);
        }
    }

    /// A call to this upstream failed blindly, which may begin the hold of an outage.
    pub(in crate::allowance) fn call_failed(
        &mut self,
        path: PathId,
        failure: BlindFailure,
        context: HoldContext,
    ) {
        if let ScopeState::Upstream(upstream) = &mut self.state {
            upstream.outage_detector.call_failed(path, failure, context.now);
            self.hold_if_outage(context);
        }
    }

    /// The body of a response broke off, which may begin the hold of an outage.
    pub(in crate::allowance) fn body_broke_off(&mut self, path: PathId, context: HoldContext) {
        if let ScopeState::Upstream(upstream) = &mut self.state {
            upstream.outage_detector.body_broke_off(path, context.now);
            self.hold_if_outage(context);
        }
    }

    /// Whether a call to another path than this one is a better probe.
    pub(in crate::allowance) fn avoids(&self, path: PathId) -> bool {
        match &self.state {
            ScopeState::Upstream(upstream) => upstream.avoided_path == Some(path),
            ScopeState::Units(_) | ScopeState::Concurrency(_) | ScopeState::SlowStart(_) => false,
        }
    }

    /// Whether the window had a free slot by our figure when the vendor throttled an attempt that
    /// was not sent before a hold began.
    pub(in crate::allowance) fn had_room(&mut self, sent: Moment, now: Moment) -> bool {
        let open = self.hold.is_none() && self.last_closed <= sent;
        open && self.units_mut().is_some_and(|window| window.free(now) > 0)
    }

    fn hold_if_outage(&mut self, context: HoldContext) {
        let ScopeState::Upstream(upstream) = &mut self.state else { return };
        if self.hold.is_none() && upstream.outage_detector.is_outage(context.now) {
            upstream.avoided_path = upstream.outage_detector.worst_path(context.now);
            let order = HoldOrder {
                scope: HoldScope::Upstream,
                cause: HoldCause::Outage,
                length: Some(Wait { span: OUTAGE_FIRST, basis: Basis::Estimate }),
                at_least: Duration::ZERO,
                slow_sixteenths: FULL_PACE,
            };
            self.hold = Some(Hold::begin(&order, context));
            self.last_closed = context.now;
        }
    }

    /// Slows the pace as ordered.
    fn slow_down(&mut self, order: &HoldOrder, now: Moment) {
        self.last_closed = now;
        if FULL_PACE <= order.slow_sixteenths {
            return;
        }
        self.granted_turn = None;
        self.recover(now);
        match &mut self.state {
            ScopeState::Units(window) => {
                let product =
                    u16::from(self.slowdown.sixteenths) * u16::from(order.slow_sixteenths);
                let slowed =
                    u8::try_from(product / u16::from(FULL_PACE)).unwrap_or(FULL_PACE).max(1);
                self.slowdown = Slowdown { sixteenths: slowed, since: now };
                window.set_speed(slowed, now);
            }
            ScopeState::Upstream(upstream) => {
                let busiest = upstream.sent.last(now).max().unwrap_or(0);
                let before = upstream.temporary_pace.take();
                let slow = order.slow_sixteenths;
                upstream.temporary_pace = TemporaryPace::after_throttle(before, busiest, slow, now);
            }
            ScopeState::Concurrency(_) | ScopeState::SlowStart(_) => {}
        }
    }
}
