//! The class of a waiting call: its priority at first, and more urgent the longer it has waited.
//!
//! A call that has waited for a quarter of its patience counts as one class more urgent. So every
//! call is in the most urgent class by the middle of its patience, with half of it left to get its
//! client's share there; an urgent call goes first until then. A retry keeps the arrival of its
//! call, and with it the class that its call has reached.

use super::slot_request::SlotRequest;
use crate::routing::client::Priority;
use crate::time::{Moment, nanos};

/// Two steps lead from the least to the most urgent class, which leaves half of the patience.
const PATIENCE_PER_STEP: u64 = 4;

/// All classes, the most urgent first.
pub(super) const CLASSES: [Priority; 3] =
    [Priority::Interactive, Priority::Normal, Priority::Batch];

impl SlotRequest {
    /// The class that the call has reached at `now`.
    pub(super) fn class(&self, now: Moment) -> Priority {
        let reached = |class: &&Priority| self.reaches(**class) <= now;
        CLASSES.iter().find(reached).copied().unwrap_or(self.priority)
    }

    /// When the call reaches this class; `NEVER` without any patience, as it does not wait then.
    pub(super) fn reaches(&self, class: Priority) -> Moment {
        let steps = (self.priority as u64).saturating_sub(class as u64);
        let patience = nanos(self.arrival.until(self.deadline));
        if steps == 0 {
            return self.arrival;
        }
        if patience == 0 {
            return Moment::NEVER;
        }
        let waited = patience / PATIENCE_PER_STEP * steps;
        Moment::from_nanos(self.arrival.as_nanos().saturating_add(waited))
    }

    /// When the call leaves this class for a more urgent one.
    pub(super) fn rises_from(&self, class: Priority) -> Option<Moment> {
        let next = match class {
            Priority::Interactive => return None,
            Priority::Normal => Priority::Interactive,
            Priority::Batch => Priority::Normal,
        };
        Some(self.reaches(next)).filter(|at| *at != Moment::NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allowance::slot_request::tests::request;

    #[test]
    fn each_quarter_of_its_patience_makes_a_call_more_urgent() {
        let at = |second: u64| Moment::from_millis(second * 1_000);
        let call = |priority, patience: u64| {
            let mut call = request(1, 1);
            (call.priority, call.arrival, call.deadline) = (priority, at(100), at(100 + patience));
            call
        };
        let batch = call(Priority::Batch, 40);
        for (second, class) in [
            (100, Priority::Batch),
            (109, Priority::Batch),
            (110, Priority::Normal),
            (119, Priority::Normal),
            (120, Priority::Interactive),
        ] {
            assert_eq!(batch.class(at(second)), class, "{second}");
        }
        assert_eq!(batch.rises_from(Priority::Batch), Some(at(110)));
        assert_eq!(batch.rises_from(Priority::Normal), Some(at(120)));
        assert_eq!(batch.rises_from(Priority::Interactive), None);
        assert_eq!(call(Priority::Normal, 40).class(at(110)), Priority::Interactive);
        assert_eq!(call(Priority::Batch, 0).class(at(100)), Priority::Batch);
        assert_eq!(call(Priority::Batch, 0).rises_from(Priority::Batch), None);
    }
}
