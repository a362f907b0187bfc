//! What was read of a connection and not used yet.
//!
//! It refuses to keep much: what is small is read into a buffer that all connections of a worker
//! share, and copied; room of its own grows while something large comes, and is let go of behind
//! it.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// Room for one read at most, however much comes.
const ROOM_MAX: usize = 64 * 1024;

/// Room for one read into the shared buffer.
const SHARED_BYTES: usize = 8 * 1024;

thread_local! {
    /// The kernel writes to the same few pages again and again, so that they stay in the caches.
    static SHARED: RefCell<[u8; SHARED_BYTES]> = const { RefCell::new([0; SHARED_BYTES]) };
}

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
        let room_min = room_min.min(SHARED_BYTES);
        Self { bytes: BytesMut::new(), room: room_min, room_min, grown: false }
    }

    /// Reads once, behind what is there, into room for `least` bytes or more.
    pub fn poll_read(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
        least: usize,
    ) -> Poll<io::Result<usize>> {
        let (read, room) = if self.room == self.room_min {
            (ready!(self.poll_read_shared(io, cx)), self.room)
        } else {
            if self.bytes.capacity() - self.bytes.len() < least {
                self.bytes.reserve(self.room);
            }
            let room = self.bytes.capacity() - self.bytes.len();
            (ready!(pin!(io.read_buf(&mut self.bytes)).poll(cx)), room)
        };
        self.grown |= self.bytes.capacity() > 2 * self.room_min;
        if matches!(read, Ok(bytes) if bytes == room) {
            self.room = (self.room * 2).min(ROOM_MAX);
        }
        Poll::Ready(read)
    }

    fn poll_read_shared(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        SHARED.with_borrow_mut(|shared| {
            let mut buffer = ReadBuf::new(&mut shared[..self.room]);
            ready!(Pin::new(io).poll_read(cx, &mut buffer))?;
            self.bytes.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }

    /// Gives back the room that something large had, once nothing of it is left.
    pub fn shrink(&mut self) {
        if (self.grown || self.room > self.room_min) && self.bytes.is_empty() {
            *self = Self::new(self.room_min);
        }
    }
}
