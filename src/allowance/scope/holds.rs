//! What closes a scope and opens it again: holds, their probes, outages; and what slows it.

use std::time::Duration;

use crate::allowance::hold::{Circumstances, Hold, OUTAGE_FIRST, Passage, Probe};
use crate::outcome::FULL_PACE;
use crate::outcome::{Basis, HoldCause, HoldOrder, HoldScope, Wait};
use crate::time::Moment;

use super::{Kind, Role, Scope, Speed, Strike, Temporary};
use crate::allowance::health::Blind;
use crate::allowance::slot_request::PathId;

impl Scope {
    /// Whether a call may pass its hold at `now`, and in which role.
    pub(in crate::allowance) fn passage(&self, now: Moment) -> Result<Role, Moment> {
        match self.hold.as_ref().map(|hold| hold.passage(now)) {
            None => Ok(Role::Ordinary),
            Some(Passage::AsProbe) => Ok(Role::Probe),
            Some(Passage::ClosedUntil(until)) => Err(until),
            Some(Passage::AwaitProbe) => Err(Moment::NEVER),
        }
    }

    /// Closes it as ordered.
    pub(in crate::allowance) fn strike(&mut self, strike: &Strike<'_>) {
        let Strike { order, sent, role, at } = *strike;
        let at = Circumstances { window: self.window(), ..at };
        match (self.hold, role) {
            (Some(_), Role::Probe) if order.cause == HoldCause::Pause => {
                // It was served, so the hold is over: the pause is a new one.
                self.reopen(at.now);
                self.hold = Some(Hold::begin(order, at));
            }
            (Some(hold), Role::Probe) => {
                self.hold = Some(hold.prolonged(order, at));
                self.cut(order, at.now);
            }
            (Some(hold), Role::Ordinary) => self.hold = Some(hold.lengthened(order, at.now)),
            (None, _) if sent < self.last_cut => self.hold = Some(Hold::begin(order, at)),
            (None, _) => {
                self.hold = Some(Hold::begin(order, at));
                self.cut(order, at.now);
            }
        }
    }

    /// The body of an answer says more than its head, which closed this scope already: it may
    /// lengthen the hold, and never double, slow or begin one again.
    pub(in crate::allowance) fn refine(&mut self, order: &HoldOrder, now: Moment) {
        self.hold = self.hold.map(|hold| hold.lengthened(order, now));
    }

    /// Closes it because nothing remains, as the vendor says; of a hold that stands it is a late
    /// word, which lengthens it perhaps.
    pub(in crate::allowance) fn close(&mut self, order: &HoldOrder, at: Circumstances) {
        let at = Circumstances { window: self.window(), ..at };
        self.hold = Some(match self.hold {
            Some(hold) => hold.lengthened(order, at.now),
            None => {
                self.last_cut = at.now;
                Hold::begin(order, at)
            }
        });
    }

    /// Its probe got no answer.
    pub(in crate::allowance) fn probe_failed(&mut self, path: PathId, at: Circumstances) {
        let at = Circumstances { window: self.window(), ..at };
        self.hold = self.hold.map(|hold| hold.failed(at));
        if let Kind::Upstream(upstream) = &mut self.kind {
            upstream.avoid = Some(path);
        }
    }

    /// Its probe was not sent after all: the next one may go.
    pub(in crate::allowance) const fn probe_passed_on(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.probe = Probe::Due;
        }
    }

    /// Its probe is on its way.
    pub(in crate::allowance) const fn probe_sent(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.probe = Probe::Sent;
        }
    }

    /// Open again; what failed before the hold no longer counts, and after a throttle the burst is
    /// spent: those who wait leave through the pace.
    pub(in crate::allowance) fn reopen(&mut self, now: Moment) {
        self.hold = None;
        match &mut self.kind {
            Kind::Upstream(upstream) => {
                upstream.health.forget();
                upstream.avoid = None;
                if let Some(pace) = &mut upstream.temporary {
                    pace.reopen(now);
                    self.latest = None;
                }
            }
            Kind::Window(window) if self.speed.sixteenths < FULL_PACE => {
                if let Some(pace) = &window.pace {
                    pace.spend_burst(now);
                    self.latest = None;
                }
            }
            Kind::Window(_) | Kind::ConcurrencyLimit(_) | Kind::Ramp(_) => {}
        }
    }

    /// A call through this upstream ended well, or with an answer that says what is wrong.
    pub(in crate::allowance) fn succeeded(&mut self, path: PathId, now: Moment) {
        if let Kind::Upstream(upstream) = &mut self.kind {
            upstream.health.succeeded(path, now);
        }
    }

    /// A call through this upstream failed blindly; enough of them are an outage.
    pub(in crate::allowance) fn failed(&mut self, path: PathId, blind: Blind, at: Circumstances) {
        if let Kind::Upstream(upstream) = &mut self.kind {
            upstream.health.failed(path, blind, at.now);
            self.judge(at);
        }
    }

    /// The body of an answer broke off.
    pub(in crate::allowance) fn broke(&mut self, path: PathId, at: Circumstances) {
        if let Kind::Upstream(upstream) = &mut self.kind {
            upstream.health.broke(path, at.now);
            self.judge(at);
        }
    }

    /// Whether its hold is better tested by a call to another path than this one.
    pub(in crate::allowance) fn avoids(&self, path: PathId) -> bool {
        match &self.kind {
            Kind::Upstream(upstream) => upstream.avoid == Some(path),
            Kind::Window(_) | Kind::ConcurrencyLimit(_) | Kind::Ramp(_) => false,
        }
    }

    /// Whether we thought there was room when the vendor said there was none, for an attempt that
    /// no hold of ours had been too late for.
    pub(in crate::allowance) fn believed_room(&mut self, sent: Moment, now: Moment) -> bool {
        let open = self.hold.is_none() && self.last_cut <= sent;
        open && self.window_mut().is_some_and(|window| window.free(now) > 0)
    }

    /// Begins the hold of an outage where the health of the upstream says so.
    fn judge(&mut self, at: Circumstances) {
        let Kind::Upstream(upstream) = &mut self.kind else { return };
        if self.hold.is_none() && upstream.health.is_out(at.now) {
            upstream.avoid = upstream.health.worst_path(at.now);
            self.hold = Some(Hold::begin(&outage_order(), at));
            self.last_cut = at.now;
        }
    }

    fn cut(&mut self, order: &HoldOrder, now: Moment) {
        self.last_cut = now;
        if FULL_PACE <= order.slow_sixteenths {
            return;
        }
        self.latest = None;
        self.recover(now);
        match &mut self.kind {
            Kind::Window(window) => {
                let product = u16::from(self.speed.sixteenths) * u16::from(order.slow_sixteenths);
                let slowed =
                    u8::try_from(product / u16::from(FULL_PACE)).unwrap_or(FULL_PACE).max(1);
                self.speed = Speed { sixteenths: slowed, since: now };
                window.set_speed(slowed, now);
            }
            Kind::Upstream(upstream) => {
                let busiest = upstream.recent.busiest(now);
                let before = upstream.temporary.take();
                let slow = order.slow_sixteenths;
                upstream.temporary = Temporary::after(before, busiest, slow, now);
            }
            Kind::ConcurrencyLimit(_) | Kind::Ramp(_) => {}
        }
    }
}

const fn outage_order() -> HoldOrder {
    HoldOrder {
        scope: HoldScope::Upstream,
        cause: HoldCause::Outage,
        length: Some(Wait { span: OUTAGE_FIRST, basis: Basis::Estimate }),
        at_least: Duration::ZERO,
        slow_sixteenths: FULL_PACE,
    }
}
