//! How many of the calls that a hold has made wait may be retried at the same time.
//!
//! If the vendor still rejects some calls when a hold ends, sending all retries at once would
//! double its traffic. So they start like a TCP connection: with one, and one more for each that
//! was served, which doubles with each round trip. A new hold starts again with one. First
//! attempts are no additional traffic and need no slow start.

use crate::time::Moment;

/// The retries after a hold, of one upstream.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlowStart {
    limit: u32,
    in_flight: u32,
    /// When the latest hold was found to have ended.
    reopened: Option<Moment>,
}

impl SlowStart {
    /// Room for one call, which may be the probe.
    pub(super) const fn new() -> Self {
        Self { limit: 1, in_flight: 0, reopened: None }
    }

    /// Whether another retry may be sent; if not, one has to end first.
    pub(super) const fn check_slot(&self) -> Result<(), Moment> {
        if self.in_flight < self.limit { Ok(()) } else { Err(Moment::NEVER) }
    }

    pub(super) const fn occupy(&mut self) {
        self.in_flight = self.in_flight.saturating_add(1);
    }

    /// A retry was served: the vendor can bear one more.
    pub(super) const fn served(&mut self) {
        self.limit = self.limit.saturating_add(1);
    }

    pub(super) const fn ended(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A hold has ended, as its probe has shown.
    pub(super) const fn reopen(&mut self, now: Moment) {
        *self = Self { limit: 2, in_flight: 0, reopened: Some(now) };
    }

    /// A hold begins or goes on because of an attempt that was sent at `sent`. Returns whether the
    /// previous hold had ended too early, because the attempt was sent after its end.
    pub(super) fn close(&mut self, sent: Moment) -> bool {
        let too_early = self.reopened.is_some_and(|reopened| reopened <= sent);
        *self = Self::new();
        too_early
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Moment {
        Moment::from_millis(second * 1_000)
    }

    fn fill(slow_start: &mut SlowStart) -> u32 {
        let mut taken = 0;
        while slow_start.check_slot().is_ok() {
            slow_start.occupy();
            taken += 1;
        }
        taken
    }

    #[test]
    fn the_limit_doubles_with_each_round_trip() {
        let mut slow_start = SlowStart::new();
        slow_start.reopen(at(1));
        for expected in [2, 4, 8, 16] {
            let taken = fill(&mut slow_start);
            assert_eq!(taken, expected);
            for _ in 0..taken {
                slow_start.ended();
                slow_start.served();
            }
        }
    }

    #[test]
    fn a_failed_retry_makes_room_for_one_other() {
        let mut slow_start = SlowStart::new();
        assert_eq!(fill(&mut slow_start), 1);
        slow_start.ended();
        assert_eq!(fill(&mut slow_start), 1);
    }

    #[test]
    fn a_hold_starts_again_with_one_and_reports_whether_the_last_ended_too_early() {
        let mut slow_start = SlowStart::new();
        assert!(!slow_start.close(at(1)), "there was no hold before");
        slow_start.reopen(at(3));
        (0..9).for_each(|_| slow_start.served());
        assert!(!slow_start.close(at(2)), "it was sent before the hold ended");
        assert_eq!(fill(&mut slow_start), 1);
        slow_start.reopen(at(5));
        assert!(slow_start.close(at(5)));
        assert!(!slow_start.close(at(6)), "reported once for each hold");
    }
}
