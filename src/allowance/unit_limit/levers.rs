//! What an operator's levers change of an allowance that counts units.

use super::UnitLimit;
use crate::allowance::lever::LoweredLimit;
use crate::allowance::view::LedgerKind;
use crate::time::Moment;

impl UnitLimit {
    /// Lowers the limit below the configured one, or no longer.
    pub(in crate::allowance) fn set_lowered(&mut self, to: Option<LoweredLimit>, now: Moment) {
        self.lowered = to;
        self.apply_limit();
        // A bucket with less room leaks as fast as before, so its pace is lowered as well.
        self.set_speed(self.sixteenths, now);
        if self.kind() == LedgerKind::Bucket {
            let (rate, sixteenths) = (self.full_rate(), self.sixteenths);
            self.pace.iter_mut().for_each(|pace| pace.set_rate(rate, sixteenths));
        }
    }

    /// Forgets what the vendor stated; returns whether it stated anything.
    pub(in crate::allowance) fn forget_stated(&mut self) -> bool {
        let (stated, elsewhere) = (self.stated.take(), self.used_elsewhere.take());
        self.drift = None;
        self.apply_limit();
        stated.is_some() || elsewhere.is_some()
    }

    /// Forgets what attempts used that are over, and what others used; returns how many units.
    pub(in crate::allowance) fn forget_spent(&mut self, now: Moment) -> u64 {
        self.free(now);
        self.used_elsewhere = None;
        if let Some(reservation) = &mut self.reservation {
            reservation.forget_spent();
        }
        self.ledger.forget_spent()
    }
}
