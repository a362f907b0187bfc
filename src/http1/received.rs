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
    /// Nothing, with room for `room_min` bytes at first, or as many as the shared buffer has.
    #[must_use]
    pub fn new(room_min: usize) -> Self {
        let room_min = room_min.min(SHARED_BYTES);
        Self { bytes: BytesMut::new(), room: room_min, room_min, grown: false }
    }

    /// Reads once, behind what is there; room of its own is for `least` bytes or more.
    pub fn poll_read(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
        least: usize,
    ) -> Poll<io::Result<usize>> {
        let (read, room) = if self.room == self.room_min {
            (ready!(self.poll_read_shared(io, cx)), self.room)
        } else {
            // Where nothing is left of what was read, its room is used again.
            let again = self.bytes.is_empty() && self.bytes.try_reclaim(self.room);
            if !again && self.bytes.capacity() - self.bytes.len() < least {
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

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const KIB: usize = 1024;

    /// Has so many bytes for each read.
    struct Steady(usize);

    impl AsyncRead for Steady {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let bytes = self.0.min(buffer.remaining());
            buffer.put_slice(&vec![b'x'; bytes]);
            Poll::Ready(Ok(()))
        }
    }

    fn read(received: &mut Received, bytes: usize) -> usize {
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(read) = received.poll_read(&mut Steady(bytes), &mut cx, 2 * KIB) else {
            panic!("it always has something");
        };
        read.unwrap()
    }

    #[test]
    fn the_room_of_a_large_body_is_used_again_from_its_front() {
        let mut received = Received::new(8 * KIB);
        let taken = |received: &mut Received, bytes| {
            let read = read(received, bytes);
            assert_eq!(received.bytes.split(), vec![b'x'; read], "of {bytes}");
            read / KIB
        };
        let growing = [8, 16, 32, 64].map(|_| taken(&mut received, 64 * KIB));
        assert_eq!(growing, [8, 16, 32, 64]);
        for _ in 0..20 {
            assert_eq!(taken(&mut received, 50 * KIB), 50);
        }
    }
}
