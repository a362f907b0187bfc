//! How far a request has got, told by the wire while an exchange runs.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, StatusCode};

use crate::http1::OriginalHead;
use crate::outcome::Delivery;
use crate::time::Moment;

/// Shared between an exchange and the attempt that waits for it; belongs to one attempt.
#[derive(Debug, Default)]
pub struct Progress {
    /// Nanoseconds of the moment the attempt began; zero where nobody said.
    began: AtomicU64,
    /// Nanoseconds of the latest write of this request to the wire; zero before the first.
    written: AtomicU64,
    /// Nanoseconds of the moment its last byte was handed to the wire; zero before that.
    sent: AtomicU64,
    heard: Mutex<Heard>,
    /// Whether interim answers wait to be taken.
    has_interim: AtomicBool,
}

/// What the upstream said beside its answer.
#[derive(Debug, Default)]
struct Heard {
    interim: Vec<Interim>,
    head: Option<OriginalHead>,
}

/// An answer before the answer, such as 103 Early Hints.
pub struct Interim {
    /// Its status, which is 1xx.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
}

impl fmt::Debug for Interim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may hold secrets.
        f.debug_struct("Interim").field("status", &self.status).finish_non_exhaustive()
    }
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

    /// An interim answer came.
    pub(super) fn heard_interim(&self, interim: Interim) {
        self.heard().interim.push(interim);
        self.has_interim.store(true, Ordering::Relaxed);
    }

    /// The answer's head as it was received.
    pub(super) fn heard_head(&self, head: OriginalHead) {
        self.heard().head = Some(head);
    }

    /// Takes the interim answers that came since it was last asked.
    pub fn take_interim(&self) -> Vec<Interim> {
        if self.has_interim.load(Ordering::Relaxed) {
            self.has_interim.store(false, Ordering::Relaxed);
            return std::mem::take(&mut self.heard().interim);
        }
        Vec::new()
    }

    /// Takes the answer's head as it was received, if the upstream spoke HTTP/1.1.
    pub fn take_head(&self) -> Option<OriginalHead> {
        self.heard().head.take()
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an abandoned exchange has to assume.
    pub fn delivery(&self) -> Delivery {
        if self.last_write().is_some() { Delivery::Uncertain } else { Delivery::NotSent }
    }
}

fn moment(cell: &AtomicU64) -> Option<Moment> {
    match cell.load(Ordering::Relaxed) {
        0 => None,
        nanos => Some(Moment::from_nanos(nanos)),
    }
}
