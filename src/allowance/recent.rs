//! How many attempts were sent, ended and failed in the last ten seconds, by the second.

use crate::policy::time::Moment;

const SECONDS: usize = 10;

/// A ring of seconds; a slot is cleared when its second comes round again.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    slots: [Second; SECONDS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    second: u64,
    sent: u32,
    ended: u32,
    failed: u32,
}

impl Recent {
    pub(super) fn sent(&mut self, now: Moment) {
        let slot = self.slot(now);
        slot.sent = slot.sent.saturating_add(1);
    }

    pub(super) fn ended(&mut self, now: Moment, failed: bool) {
        let slot = self.slot(now);
        slot.ended = slot.ended.saturating_add(1);
        slot.failed = slot.failed.saturating_add(u32::from(failed));
    }

    pub(super) fn sends(&self, now: Moment) -> u32 {
        self.live(now).fold(0, |sum, slot| sum.saturating_add(slot.sent))
    }

    pub(super) fn ended_and_failed(&self, now: Moment) -> (u32, u32) {
        self.live(now).fold((0, 0), |(ended, failed), slot| {
            (ended.saturating_add(slot.ended), failed.saturating_add(slot.failed))
        })
    }

    pub(super) fn forget_failures(&mut self) {
        for slot in &mut self.slots {
            (slot.ended, slot.failed) = (0, 0);
        }
    }

    fn live(&self, now: Moment) -> impl Iterator<Item = &Second> {
        let oldest = (second_of(now) + 1).saturating_sub(SECONDS as u64);
        self.slots.iter().filter(move |slot| oldest <= slot.second)
    }

    fn slot(&mut self, now: Moment) -> &mut Second {
        let second = second_of(now);
        let place = usize::try_from(second % SECONDS as u64).unwrap_or_default();
        let slot = &mut self.slots[place];
        if slot.second != second {
            *slot = Second { second, ..Second::default() };
        }
        slot
    }
}

const fn second_of(now: Moment) -> u64 {
    now.as_nanos() / 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_ten_seconds() {
        let at = |second: u64| Moment::from_millis(second * 1000);
        let mut recent = Recent::default();
        for second in 0..20 {
            recent.sent(at(second));
            recent.ended(at(second), second % 2 == 0);
        }
        assert_eq!(recent.sends(at(19)), 10);
        assert_eq!(recent.ended_and_failed(at(19)), (10, 5));
        assert_eq!(recent.sends(at(24)), 5);
        recent.forget_failures();
        assert_eq!(recent.ended_and_failed(at(19)), (0, 0));
        assert_eq!(recent.sends(at(100)), 0);
    }
}
