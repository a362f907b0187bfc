//! What is known of one client connection, shared between its stream, its calls and its watch.
//!
//! All of them run on one worker's thread, one after the other; the atomics only satisfy the
//! compiler and cost next to nothing. Refuses to act: the watch in `connection.rs` does.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::time::nanos;

/// For so long a client may take nothing of an answer that comes from no upstream, which would
/// have a setting for it: what that is by default.
const PAUSE_DEFAULT: Duration = Duration::from_secs(30);

/// The state of one connection.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// Calls whose response has not ended.
    in_flight: AtomicU32,
    /// Grows whenever something begins or moves on: a new beat is a new deadline.
    beats: AtomicU32,
    calls: AtomicU32,
    /// A head is on its way in.
    head_open: AtomicBool,
    /// The end of the connection left something unread.
    unread: AtomicBool,
    write_blocked: AtomicBool,
    /// The next write is tried although the system reports no room.
    probes: AtomicBool,
    /// Bytes that the socket has taken, wrapping.
    taken_bytes: AtomicU32,
    /// No call after the present one.
    closing: AtomicBool,
    /// Nanoseconds for which the client may take nothing of an answer; zero where nobody said.
    pause_max: AtomicU64,
}

/// What a connection is doing, as far as deadlines are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing was ever asked.
    Fresh,
    /// A call is under way.
    Busy,
    /// The client does not take what we send.
    Stalled,
    /// A head is on its way in.
    Reading,
    /// Kept for another call.
    Idle,
}

impl Wire {
    pub(super) fn phase(&self) -> Phase {
        if self.write_blocked.load(Relaxed) {
            Phase::Stalled
        } else if self.in_flight.load(Relaxed) > 0 {
            Phase::Busy
        } else if self.calls.load(Relaxed) == 0 {
            Phase::Fresh
        } else if self.head_open.load(Relaxed) {
            Phase::Reading
        } else {
            Phase::Idle
        }
    }

    pub(super) fn beats(&self) -> u32 {
        self.beats.load(Relaxed)
    }

    pub(super) fn call_began(&self) {
        self.in_flight.store(self.in_flight.load(Relaxed) + 1, Relaxed);
        self.calls.store(1, Relaxed);
        self.beat();
    }

    pub(super) fn call_ended(&self) {
        self.in_flight.store(self.in_flight.load(Relaxed) - 1, Relaxed);
        self.beat();
    }

    pub(super) fn write_blocked(&self) {
        self.write_blocked.store(true, Relaxed);
    }

    pub(super) fn wrote(&self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.taken_bytes.store(self.taken_bytes().wrapping_add(bytes), Relaxed);
        if self.write_blocked.load(Relaxed) {
            self.write_blocked.store(false, Relaxed);
            self.beat();
        }
    }

    /// The next write is to be tried although the system reports no room.
    pub(super) fn probe(&self) {
        self.probes.store(true, Relaxed);
    }

    /// Whether this is that write.
    pub(super) fn takes_probe(&self) -> bool {
        self.probes.swap(false, Relaxed)
    }

    pub(super) fn taken_bytes(&self) -> u32 {
        self.taken_bytes.load(Relaxed)
    }

    /// Whether a part of a head is there.
    pub(super) fn reads_head(&self, open: bool) {
        self.head_open.store(open, Relaxed);
    }

    pub(super) fn leaves_unread(&self) {
        self.unread.store(true, Relaxed);
    }

    /// Whether the client may still be sending what nobody reads.
    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    /// The client may take nothing of the present answer for so long.
    pub(super) fn allow_pause(&self, pause_max: Duration) {
        self.pause_max.store(nanos(pause_max), Relaxed);
    }

    /// For how long it may.
    pub(super) fn pause_max(&self) -> Duration {
        match self.pause_max.load(Relaxed) {
            0 => PAUSE_DEFAULT,
            nanos => Duration::from_nanos(nanos),
        }
    }

    pub(super) fn close_soon(&self) {
        self.closing.store(true, Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    fn beat(&self) {
        self.beats.store(self.beats().wrapping_add(1), Relaxed);
    }
}
