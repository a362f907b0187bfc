//! The state of one client connection, shared by its socket, its calls and `drive`.
//!
//! All of them run on one worker thread, so relaxed loads and stores suffice; atomics are needed
//! only because hyper requires `Send`.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::time::nanos;

/// How long a client may pause reading a response that comes from no upstream: the default of the
/// upstream setting.
const PAUSE_DEFAULT: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct ConnectionState {
    /// Calls whose response has not ended.
    in_flight: AtomicU32,
    /// Changes when a call begins or ends and when a blocked write continues: each change sets a
    /// new deadline.
    activity: AtomicU32,
    was_used: AtomicBool,
    /// A request head is incomplete.
    reading_head: AtomicBool,
    /// The connection ended before the client's last request was read to its end.
    has_unread_request: AtomicBool,
    write_blocked: AtomicBool,
    /// The next write is tried although the socket is not reported writable.
    probing: AtomicBool,
    /// Bytes written to the socket, wrapping.
    written_bytes: AtomicU32,
    /// No call follows the present one.
    closing: AtomicBool,
    /// Nanoseconds for which the client may read nothing of a response; zero for the default.
    pause_max: AtomicU64,
}

/// What a connection is doing, as far as its deadline is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No call has begun yet.
    New,
    InCall,
    /// The client does not read what is sent.
    WriteBlocked,
    ReadingHead,
    Idle,
}

impl ConnectionState {
    pub(super) fn phase(&self) -> Phase {
        if self.write_blocked.load(Relaxed) {
            Phase::WriteBlocked
        } else if self.in_flight.load(Relaxed) > 0 {
            Phase::InCall
        } else if !self.was_used.load(Relaxed) {
            Phase::New
        } else if self.reading_head.load(Relaxed) {
            Phase::ReadingHead
        } else {
            Phase::Idle
        }
    }

    pub(super) fn activity(&self) -> u32 {
        self.activity.load(Relaxed)
    }

    fn count_activity(&self) {
        self.activity.store(self.activity().wrapping_add(1), Relaxed);
    }

    pub(super) fn call_began(&self) {
        self.in_flight.store(self.in_flight.load(Relaxed) + 1, Relaxed);
        self.was_used.store(true, Relaxed);
        self.count_activity();
    }

    pub(super) fn call_ended(&self) {
        self.in_flight.store(self.in_flight.load(Relaxed) - 1, Relaxed);
        self.count_activity();
    }

    pub(super) fn write_blocked(&self) {
        self.write_blocked.store(true, Relaxed);
    }

    pub(super) fn wrote(&self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.written_bytes.store(self.written_bytes().wrapping_add(bytes), Relaxed);
        if self.write_blocked.load(Relaxed) {
            self.write_blocked.store(false, Relaxed);
            self.count_activity();
        }
    }

    pub(super) fn written_bytes(&self) -> u32 {
        self.written_bytes.load(Relaxed)
    }

    /// Has the next write tried although the socket is not reported writable.
    pub(super) fn probe_next_write(&self) {
        self.probing.store(true, Relaxed);
    }

    /// Whether this write is to be tried; true once.
    pub(super) fn take_probe(&self) -> bool {
        self.probing.swap(false, Relaxed)
    }

    pub(super) fn set_reading_head(&self, reading: bool) {
        self.reading_head.store(reading, Relaxed);
    }

    pub(super) fn leave_request_unread(&self) {
        self.has_unread_request.store(true, Relaxed);
    }

    pub(super) fn has_unread_request(&self) -> bool {
        self.has_unread_request.load(Relaxed)
    }

    /// Sets how long the client may read nothing of the present response.
    pub(super) fn allow_pause(&self, pause_max: Duration) {
        self.pause_max.store(nanos(pause_max), Relaxed);
    }

    pub(super) fn pause_max(&self) -> Duration {
        match self.pause_max.load(Relaxed) {
            0 => PAUSE_DEFAULT,
            nanos => Duration::from_nanos(nanos),
        }
    }

    /// Has the connection close after the present call.
    pub(super) fn close_after_call(&self) {
        self.closing.store(true, Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }
}
