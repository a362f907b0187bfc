//! How many attempts were sent in the last ten seconds, by the second.

use crate::time::Moment;

use super::health::second_of;

const SECONDS: u32 = 10;

/// A ring of seconds; a place is cleared when its second comes round again.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    places: [(u32, u32); SECONDS as usize],
}

impl Recent {
    pub(super) fn sent(&mut self, now: Moment) {
        let second = second_of(now);
        let (known, sent) = &mut self.places[(second % SECONDS) as usize];
        if *known != second {
            (*known, *sent) = (second, 0);
        }
        *sent = sent.saturating_add(1);
    }

    /// Attempts in the busiest second.
    pub(super) fn busiest(&self, now: Moment) -> u32 {
        let oldest = (second_of(now) + 1).saturating_sub(SECONDS);
        let live = self.places.iter().filter(|(second, _)| oldest <= *second);
        live.map(|(_, sent)| *sent).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_ten_seconds() {
        let at = |second: u64| Moment::from_millis(second * 1000);
        let mut recent = Recent::default();
        assert_eq!(recent.busiest(at(0)), 0);
        for second in [5, 5, 5, 6, 14, 14] {
            recent.sent(at(second));
        }
        assert_eq!([14, 15, 24].map(|second| recent.busiest(at(second))), [3, 2, 0]);
    }
}
