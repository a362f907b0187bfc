//! How many calls that a hold has made wait may be sent again at the same time.
//!
//! The calls that the vendor refused before a hold are retries. Where it still refuses some calls
//! when the hold ends, sending all of them at once would double its traffic. So they start like a
//! TCP connection: one, and one more for each that was served, which doubles with each round
//! trip. A new hold begins again with one. Calls that have not been sent yet are no retries, and
//! do not need this.

use crate::time::Moment;

/// Retries after a hold, of one upstream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ramp {
    /// So many may be under way.
    open: u32,
    under_way: u32,
    /// When the latest hold was found to be over.
    reopened: Option<Moment>,
}

impl Ramp {
    /// One call: it may be the probe.
    pub(super) const fn new() -> Self {
        Self { open: 1, under_way: 0, reopened: None }
    }

    /// Whether another one may be sent; if not, the end of one that is under way makes room.
    pub(super) const fn room(&self) -> Result<(), Moment> {
        if self.under_way < self.open { Ok(()) } else { Err(Moment::NEVER) }
    }

    pub(super) const fn occupy(&mut self) {
        self.under_way = self.under_way.saturating_add(1);
    }

    /// One of them was served: the vendor can bear more.
    pub(super) const fn served(&mut self) {
        self.open = self.open.saturating_add(1);
    }

    /// One of them is over.
    pub(super) const fn ended(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// A hold is over, as its probe has shown.
    pub(super) const fn reopen(&mut self, now: Moment) {
        *self = Self { open: 2, under_way: 0, reopened: Some(now) };
    }

    /// The vendor refused a call that was sent at `sent`, and a hold stands. Whether the one before
    /// had ended too early: the call was sent after that.
    pub(super) fn close(&mut self, sent: Moment) -> bool {
        let early = self.reopened.is_some_and(|reopened| reopened <= sent);
        *self = Self::new();
        early
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Moment {
        Moment::from_millis(second * 1_000)
    }

    /// Takes all the room there is.
    fn fill(ramp: &mut Ramp) -> u32 {
        let mut taken = 0;
        while ramp.room().is_ok() {
            ramp.occupy();
            taken += 1;
        }
        taken
    }

    #[test]
    fn it_doubles_with_each_round_trip() {
        let mut ramp = Ramp::new();
        ramp.reopen(at(1));
        for expected in [2, 4, 8, 16] {
            let taken = fill(&mut ramp);
            assert_eq!(taken, expected);
            for _ in 0..taken {
                ramp.ended();
                ramp.served();
            }
        }
    }

    #[test]
    fn what_fails_makes_room_and_no_more() {
        let mut ramp = Ramp::new();
        assert_eq!(fill(&mut ramp), 1);
        ramp.ended();
        assert_eq!(fill(&mut ramp), 1);
    }

    #[test]
    fn a_hold_begins_again_with_one_and_tells_whether_the_last_was_too_short() {
        let mut ramp = Ramp::new();
        assert!(!ramp.close(at(1)), "there was none");
        ramp.reopen(at(3));
        (0..9).for_each(|_| ramp.served());
        assert!(!ramp.close(at(2)), "it was sent before");
        assert_eq!(fill(&mut ramp), 1);
        ramp.reopen(at(5));
        assert!(ramp.close(at(5)));
        assert!(!ramp.close(at(6)), "once for each hold");
    }
}
