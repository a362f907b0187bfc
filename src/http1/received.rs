//! What was read of a connection and not used yet.
//!
//! It refuses to keep much: room grows while something large comes, and is let go of behind it.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Room for one read at most, however much comes.
const ROOM_MAX: usize = 64 * 1024;

/// Bytes that were read, and room for more.
#[derive(Debug)]
pub struct Received {
    /// Those that were not used yet.
    pub bytes: BytesMut,
    /// Room for the next read.
    room: usize,
    /// Room for the first.
    room_min: usize,
    /// There was far more of it once: what waits for its rest grows even from small reads.
    grown: bool,
}

impl Received {
    /// Nothing, with room for `room_min` bytes at first.
    #[must_use]
    pub fn new(room_min: usize) -> Self {
        Self { bytes: BytesMut::new(), room: room_min, room_min, grown: false }
    }

    /// Reads once, behind what is there, into room for `least` bytes or more.
    pub fn poll_read(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
        least: usize,
    ) -> Poll<io::Result<usize>> {
        // Where nothing is left of what was read, its room is used again, warm as it is.
        let warm = self.bytes.is_empty() && self.bytes.try_reclaim(self.room);
        if !warm && self.bytes.capacity() - self.bytes.len() < least {
            self.bytes.reserve(self.room);
            self.grown |= self.bytes.capacity() > 2 * self.room_min;
        }
        let room = self.bytes.capacity() - self.bytes.len();
        let read = ready!(pin!(io.read_buf(&mut self.bytes)).poll(cx));
        if matches!(read, Ok(bytes) if bytes == room) {
            self.room = (self.room * 2).min(ROOM_MAX);
        }
        Poll::Ready(read)
    }

    /// Gives back the room that something large had, once nothing of it is left.
    pub fn shrink(&mut self) {
        if (self.grown || self.room > self.room_min) && self.bytes.is_empty() {
            *self = Self::new(self.room_min);
        }
    }
}
