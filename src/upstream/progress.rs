//! How far a request has got, reported by the connection while an exchange runs.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, StatusCode};

use crate::clock::Clock;
use crate::http1::OriginalHead;
use crate::outcome::Delivery;
use crate::time::Moment;

/// Bytes that may precede the head of one response. This bounds a flood of interim responses or
/// empty lines, each of which is small.
pub(super) const INTERIM_BYTES_MAX: usize = 256 * 1024;

/// Belongs to one attempt, which watches it while the exchange updates it.
///
/// Moments are kept as nanoseconds; zero means that it has not happened.
#[derive(Debug)]
pub struct Progress {
    started: AtomicU64,
    /// No byte may be written after this, if none has been before.
    start_by: Moment,
    /// The latest write of the request to the socket.
    written: AtomicU64,
    /// The write of its last byte.
    sent: AtomicU64,
    received: Mutex<ReceivedHeads>,
    /// Whether interim responses wait to be taken; spares the lock on every poll.
    has_interim: AtomicBool,
}

/// What arrived besides the response itself.
#[derive(Debug, Default)]
struct ReceivedHeads {
    interim: Vec<Interim>,
    head: Option<OriginalHead>,
}

/// A `1xx` response that precedes the final one, such as 103 Early Hints.
pub struct Interim {
    pub status: StatusCode,
    pub headers: HeaderMap,
}

impl fmt::Debug for Interim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may hold secrets.
        f.debug_struct("Interim").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            started: AtomicU64::default(),
            start_by: Moment::NEVER,
            written: AtomicU64::default(),
            sent: AtomicU64::default(),
            received: Mutex::default(),
            has_interim: AtomicBool::default(),
        }
    }
}

impl Progress {
    /// For an attempt that starts at `now`, so that the exchange need not read the clock again.
    #[must_use]
    pub fn starting_at(now: Moment) -> Self {
        Self { started: AtomicU64::new(now.as_nanos()), ..Self::default() }
    }

    /// The same; its first byte has to be written by then.
    #[must_use]
    pub fn with_start_by(self, start_by: Moment) -> Self {
        Self { start_by, ..self }
    }

    /// Whether it is too late to begin. Asked right before the first byte is written: what the
    /// attempt was granted may have been granted to others since.
    pub(super) fn is_too_late(&self, clock: Clock) -> bool {
        self.start_by != Moment::NEVER && self.start_by < clock.now()
    }

    /// When the attempt started, if that was stated.
    pub fn started(&self) -> Option<Moment> {
        moment(&self.started)
    }

    /// Records that bytes of the request were written at `now`.
    pub fn wrote(&self, now: Moment) {
        self.written.store(now.as_nanos().max(1), Relaxed);
    }

    /// Records that the last byte of the request was written at `now`.
    pub fn finished(&self, now: Moment) {
        self.sent.store(now.as_nanos().max(1), Relaxed);
    }

    /// Withdraws what [`Self::wrote`] recorded: nothing was written after all, nor will be.
    pub(super) fn retract_write(&self) {
        self.written.store(0, Relaxed);
    }

    /// When a byte of the request was last written.
    pub fn last_write(&self) -> Option<Moment> {
        moment(&self.written)
    }

    /// When its last byte was written.
    pub fn sent(&self) -> Option<Moment> {
        moment(&self.sent)
    }

    pub(super) fn add_interim(&self, interim: Interim) {
        self.received().interim.push(interim);
        self.has_interim.store(true, Relaxed);
    }

    pub(super) fn set_head(&self, head: OriginalHead) {
        self.received().head = Some(head);
    }

    /// Takes the interim responses that arrived since the last call.
    pub fn take_interim(&self) -> Vec<Interim> {
        if self.has_interim.load(Relaxed) {
            self.has_interim.store(false, Relaxed);
            return std::mem::take(&mut self.received().interim);
        }
        Vec::new()
    }

    /// Takes the response's head as it was received, if it came over HTTP/1.1.
    pub fn take_head(&self) -> Option<OriginalHead> {
        self.received().head.take()
    }

    fn received(&self) -> MutexGuard<'_, ReceivedHeads> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has to be assumed if the exchange is abandoned now.
    pub fn delivery(&self) -> Delivery {
        if self.last_write().is_some() { Delivery::Uncertain } else { Delivery::NotSent }
    }
}

fn moment(cell: &AtomicU64) -> Option<Moment> {
    match cell.load(Relaxed) {
        0 => None,
        nanos => Some(Moment::from_nanos(nanos)),
    }
}
