//! Units of an allowance that are on record as used before they are granted, and what has become of
//! those that were.
//!
//! A process that is killed leaves no word of its last attempts. So the record always says more
//! than was used: units are set aside in it first, and granted only once it is safely written.
//! Whatever is set aside and not known to be settled counts as used after a restart.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::charge::Charge;
use super::unit_record::{AllowanceRecord, SettledUnits, UnitRecord};
use super::view::RecordView;
use crate::time::{Moment, nanos};

/// One part in so many of the limit is set aside at a time: as much is lost if the process is
/// killed, and has to last until the next record is written.
const BLOCKS: u32 = 100;

/// Settlements are recorded in so many parts of a window: the record of an allowance stays small,
/// and a restart prolongs a unit's occupation by at most one of them.
const GRAINS: u64 = 256;

#[derive(Clone, Debug)]
pub(super) struct Lease {
    limit: u32,
    window: u64,
    /// Which calls it counts.
    calls: Arc<str>,
    /// What was used before this is not on record.
    since: Moment,
    /// Units of attempts that have not settled.
    under_way: u64,
    /// Units that may be granted; negative after attempts that used more than they reserved.
    left: i64,
    /// Units that may be granted once the record that is being written is safe.
    offered: i64,
    /// Ascending.
    settled: VecDeque<SettledUnits>,
    /// Something has changed that is not recorded.
    changed: bool,
    /// More units must be set aside soon.
    due: bool,
    /// What a call needs for which too few are set aside; `None` until the first call, so that an
    /// account without calls sets nothing aside.
    wanted: Option<u32>,
    /// The latest record could not be written.
    failed: bool,
}

impl Lease {
    pub(super) fn new(limit: u32, window: Duration, calls: Arc<str>, since: Moment) -> Self {
        Self {
            limit,
            window: nanos(window).max(1),
            calls,
            since,
            under_way: 0,
            left: 0,
            offered: 0,
            settled: VecDeque::new(),
            changed: true,
            due: false,
            wanted: None,
            failed: false,
        }
    }

    pub(super) const fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// Whether so many units are set aside. If not, they soon will be.
    pub(super) fn covers(&mut self, units: u32) -> bool {
        let covers = i64::from(units) <= self.left;
        if !covers {
            (self.due, self.wanted) = (true, self.wanted.max(Some(units)));
        }
        covers
    }

    pub(super) fn view(&self) -> RecordView {
        let set_aside = u32::try_from(self.left.max(0)).unwrap_or(u32::MAX);
        RecordView { failed: self.failed, set_aside, shared_free: None }
    }

    /// Whether so many units are not set aside, behind others, and will not be for now because
    /// records cannot be written.
    pub(super) fn has_failed(&self, ahead: u32, units: u32) -> bool {
        self.failed && self.left < i64::from(ahead) + i64::from(units)
    }

    pub(super) fn occupy(&mut self, units: u32) {
        self.under_way += u64::from(units);
        self.left -= i64::from(units);
        self.due |= self.is_short(0);
    }

    pub(super) fn settle(&mut self, at: Moment, charge: Charge) {
        self.under_way = self.under_way.saturating_sub(u64::from(charge.reserved));
        self.left += i64::from(charge.reserved) - i64::from(charge.used);
        self.due |= self.left < 0;
        self.count_earlier(at, charge.used);
    }

    pub(super) fn cancel(&mut self, units: u32) {
        self.under_way = self.under_way.saturating_sub(u64::from(units));
        self.left += i64::from(units);
    }

    /// Forgets what was used by attempts that are over, on record as well.
    pub(super) fn forget_spent(&mut self) {
        self.settled.clear();
        self.changed = true;
    }

    /// Counts units that were used until `at` and were never set aside.
    pub(super) fn count_earlier(&mut self, at: Moment, units: u32) {
        self.changed = true;
        let (units, grain) = (u64::from(units), self.window.div_ceil(GRAINS));
        let at = at.as_nanos();
        match self.settled.back_mut() {
            // Most attempts settle in the same part as the one before.
            Some(last) if at <= last.at && last.at - at < grain => last.units += units,
            _ => {
                let at = at.div_ceil(grain).saturating_mul(grain);
                let place = self.settled.partition_point(|it| it.at < at);
                match self.settled.get_mut(place) {
                    Some(settled) if settled.at == at => settled.units += units,
                    _ => self.settled.insert(place, SettledUnits { at, units }),
                }
            }
        }
    }

    /// Whether more units must be set aside soon; asked once for each time that it becomes so.
    pub(super) const fn take_due(&mut self) -> bool {
        std::mem::replace(&mut self.due, false)
    }

    /// Whether a record has to be written, if calls in the queue need `waiting` units.
    pub(super) fn is_outdated(&self, waiting: u64) -> bool {
        self.changed || self.is_short(waiting)
    }

    /// The record to write now; either [`written`](Self::written) or
    /// [`not_written`](Self::not_written) has to follow.
    pub(super) fn record(&mut self, name: Arc<str>, waiting: u64, now: Moment) -> AllowanceRecord {
        self.settled.retain(|it| now.as_nanos() < it.at.saturating_add(self.window));
        let more = if self.is_short(waiting) { self.needed(waiting) - self.left } else { 0 };
        self.offered = more;
        (self.changed, self.wanted) = (false, self.wanted.map(|_| 0));
        self.record_with(name, self.left + more, now)
    }

    /// The record of a process that grants nothing any more.
    pub(super) fn last_record(&self, name: Arc<str>, now: Moment) -> AllowanceRecord {
        self.record_with(name, 0, now)
    }

    fn record_with(&self, name: Arc<str>, set_aside: i64, now: Moment) -> AllowanceRecord {
        let units = UnitRecord {
            taken: now,
            since: self.since,
            window: Duration::from_nanos(self.window),
            outstanding: self.under_way + u64::try_from(set_aside).unwrap_or(0),
            settled: self.settled.iter().copied().collect(),
        };
        AllowanceRecord { name, calls: Arc::clone(&self.calls), units }
    }

    /// How many units should be set aside.
    fn needed(&self, waiting: u64) -> i64 {
        let Some(wanted) = self.wanted else { return 0 };
        let waiting = waiting.max(wanted.into()).min(u64::from(self.limit));
        i64::from(self.block()).saturating_add_unsigned(waiting).min(i64::from(self.limit))
    }

    fn is_short(&self, waiting: u64) -> bool {
        self.left < (self.needed(waiting) + 1) / 2
    }

    /// The record is safe.
    pub(super) fn written(&mut self) {
        self.left += self.offered;
        (self.offered, self.failed) = (0, false);
    }

    /// The record may be safe or not. What it sets aside may count as used after a restart, and
    /// must not be granted.
    pub(super) const fn not_written(&mut self) {
        (self.offered, self.failed, self.changed) = (0, true, true);
    }

    const fn block(&self) -> u32 {
        let block = self.limit / BLOCKS;
        if block == 0 { 1 } else { block }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(second: u64) -> Moment {
        Moment::from_millis(second * 1_000)
    }

    fn lease(limit: u32) -> Lease {
        Lease { wanted: Some(0), ..Lease::new(limit, MINUTE, "".into(), Moment::START) }
    }

    fn outstanding(lease: &mut Lease, waiting: u64, now: Moment) -> u64 {
        lease.record("a".into(), waiting, now).units.outstanding
    }

    #[test]
    fn nothing_is_granted_before_it_is_on_record() {
        let mut lease = lease(1_000);
        let mut unused = Lease { wanted: None, ..lease.clone() };
        assert_eq!(outstanding(&mut unused, 0, at(0)), 0);
        assert!(!lease.covers(1));
        assert!(lease.take_due() && !lease.take_due());
        let expected = 10 + 1;
        assert_eq!(outstanding(&mut lease, 0, at(0)), expected, "a hundredth, and what is needed");
        assert!(!lease.covers(1), "it is not safe yet");
        lease.written();
        assert!(lease.covers(11) && !lease.covers(12));
        lease.not_written();
        assert!(lease.covers(11), "what is on record stays usable");
        assert!(lease.has_failed(5, 7) && !lease.has_failed(5, 6));
    }

    #[test]
    fn more_is_set_aside_when_half_is_left_and_for_all_that_wait() {
        let mut lease = lease(1_000);
        outstanding(&mut lease, 0, at(0));
        lease.written();
        lease.take_due();
        for _ in 0..5 {
            lease.occupy(1);
        }
        assert!(!lease.take_due() && !lease.is_outdated(0));
        lease.occupy(1);
        assert!(lease.take_due() && lease.is_outdated(0));
        assert_eq!(outstanding(&mut lease, 0, at(1)), 6 + 10);
        lease.written();
        assert!(lease.is_outdated(50), "calls wait for more than is set aside");
        assert_eq!(outstanding(&mut lease, 50, at(1)), 6 + 60);
        lease.written();
        assert_eq!(outstanding(&mut lease, 5_000_000, at(1)), 6 + 1_000, "never more than all");
    }

    #[test]
    fn a_record_names_what_was_used_and_what_may_still_be() {
        let mut lease = lease(1_000);
        outstanding(&mut lease, 0, at(0));
        lease.written();
        lease.occupy(3);
        lease.occupy(4);
        lease.settle(at(10), Charge { reserved: 3, used: 1 });
        lease.cancel(4);
        let record = lease.record("a".into(), 0, at(10));
        assert_eq!(record.units.outstanding, 9, "10 set aside, 1 used");
        let settled = &record.units.settled[..];
        assert_eq!(settled.iter().map(|it| it.units).sum::<u64>(), 1);
        let grain = 60_000_000_000_u64.div_ceil(GRAINS);
        assert!((10_000_000_000..10_000_000_000 + grain).contains(&settled[0].at));
        assert_eq!(lease.last_record("a".into(), at(10)).units.outstanding, 0);
        assert!(lease.record("a".into(), 0, at(71)).units.settled.is_empty());
    }

    #[test]
    fn a_call_that_costs_more_than_a_part_is_set_aside_for() {
        let mut lease = lease(1_000);
        assert!(!lease.covers(300));
        outstanding(&mut lease, 0, at(0));
        lease.written();
        assert!(lease.covers(300));
        lease.occupy(300);
        outstanding(&mut lease, 0, at(0));
        lease.written();
        assert!(lease.covers(10) && !lease.covers(11));
    }

    #[test]
    fn an_attempt_that_used_more_than_it_reserved_is_a_debt_that_is_recorded_soon() {
        let mut lease = lease(100);
        outstanding(&mut lease, 0, at(0));
        lease.written();
        lease.occupy(1);
        lease.take_due();
        lease.settle(at(1), Charge { reserved: 1, used: 6 });
        assert!(lease.take_due() && !lease.covers(1));
        assert_eq!(outstanding(&mut lease, 0, at(1)), 1 + 1);
        lease.written();
        assert!(lease.covers(2) && !lease.covers(3));
    }
}
