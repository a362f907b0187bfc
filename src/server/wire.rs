//! What is known of one client connection, shared between its stream, its calls and its watch.
//!
//! All of them run on one worker's thread, one after the other; the atomics only satisfy the
//! compiler and cost next to nothing. Refuses to act: the watch in `connection.rs` does.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use super::gate::{Gate, Offence};

/// The state of one connection.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// Calls whose response has not ended.
    in_flight: AtomicU32,
    /// Grows whenever something begins or moves on: a new beat is a new deadline.
    beats: AtomicU32,
    calls: AtomicU32,
    head_open: AtomicBool,
    body_open: AtomicBool,
    write_blocked: AtomicBool,
    /// The end of a response has not been written to the socket yet.
    unflushed: AtomicBool,
    read_ended: AtomicBool,
    /// No call after the present one.
    closing: AtomicBool,
    fault: OnceLock<Fault>,
}

/// What was wrong with what the client sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) offence: Offence,
    /// Where in the message it was.
    pub(super) part: Part,
}

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The head of a request whose answer may have a body.
    Head,
    /// The head of a HEAD request.
    HeadOfHead,
    /// The body.
    Body,
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
        self.unflushed.store(true, Relaxed);
        self.beat();
    }

    pub(super) fn flushed(&self) {
        self.unflushed.store(false, Relaxed);
    }

    pub(super) fn write_blocked(&self) {
        self.write_blocked.store(true, Relaxed);
    }

    pub(super) fn wrote(&self) {
        if self.write_blocked.load(Relaxed) {
            self.write_blocked.store(false, Relaxed);
            self.beat();
        }
    }

    /// Where the gate stands after what was read; `held` bytes wait for the rest of their line.
    pub(super) fn read(&self, gate: &Gate, held: usize) {
        let open = held > 0 || !gate.between_messages();
        self.head_open.store(open, Relaxed);
        self.body_open.store(gate.in_body(), Relaxed);
    }

    pub(super) fn read_ended(&self) {
        self.read_ended.store(true, Relaxed);
    }

    /// Whether the client may still be sending a body that nobody reads.
    pub(super) fn is_sending(&self) -> bool {
        self.body_open.load(Relaxed) && !self.read_ended.load(Relaxed)
    }

    pub(super) fn close_soon(&self) {
        self.closing.store(true, Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    pub(super) fn offend(&self, fault: Fault) {
        // Only the first fault counts: the stream ends with it.
        let _ = self.fault.set(fault);
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.get().copied()
    }

    /// The refused head, once everything before it is answered.
    pub(super) fn refusal_due(&self) -> Option<Fault> {
        let fault = self.fault().filter(|fault| fault.part != Part::Body)?;
        let quiet = self.in_flight.load(Relaxed) == 0 && !self.unflushed.load(Relaxed);
        quiet.then_some(fault)
    }

    fn beat(&self) {
        self.beats.store(self.beats().wrapping_add(1), Relaxed);
    }
}
