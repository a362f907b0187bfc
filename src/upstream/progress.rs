//! How far a request has got, told by the wire while an exchange runs.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::policy::outcome::Reach;
use crate::policy::time::Moment;

/// Shared between an exchange and the attempt that waits for it; belongs to one attempt.
#[derive(Debug, Default)]
pub struct Progress {
    /// Nanoseconds of the moment the attempt began; zero where nobody said.
    began: AtomicU64,
    /// Nanoseconds of the latest write of this request to the wire; zero before the first.
    written: AtomicU64,
    /// Nanoseconds of the moment its last byte was handed to the wire; zero before that.
    sent: AtomicU64,
}

impl Progress {
    /// That of an attempt which begins at `now`: who sends it need not look at the clock again.
    #[must_use]
    pub fn begun(now: Moment) -> Self {
        Self { began: AtomicU64::new(now.as_nanos()), ..Self::default() }
    }

    /// When the attempt began, if somebody said.
    pub fn began(&self) -> Option<Moment> {
        moment(&self.began)
    }

    /// A byte, or more, of the request was written at `now`.
    pub fn wrote(&self, now: Moment) {
        self.written.store(now.as_nanos().max(1), Ordering::Relaxed);
    }

    /// The request is written to its end.
    pub fn finished(&self, now: Moment) {
        self.sent.store(now.as_nanos().max(1), Ordering::Relaxed);
    }

    /// Nothing of it was written after all, and nothing will be.
    pub(super) fn took_back(&self) {
        self.written.store(0, Ordering::Relaxed);
    }

    /// When a byte of the request was last written.
    pub fn last_write(&self) -> Option<Moment> {
        moment(&self.written)
    }

    /// When its last byte was written.
    pub fn sent(&self) -> Option<Moment> {
        moment(&self.sent)
    }

    /// What an abandoned exchange has to assume.
    pub fn reach(&self) -> Reach {
        if self.last_write().is_some() { Reach::Maybe } else { Reach::Nothing }
    }
}

fn moment(cell: &AtomicU64) -> Option<Moment> {
    match cell.load(Ordering::Relaxed) {
        0 => None,
        nanos => Some(Moment::from_nanos(nanos)),
    }
}
