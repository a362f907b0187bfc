//! Bytes that were read from a connection and not parsed yet.
//!
//! Small reads go into one buffer shared by all connections of a worker and are copied from there,
//! so an idle connection holds almost no memory. A connection gets a growing buffer of its own
//! while a large message arrives, and gives it back behind that message.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// Largest single read.
const READ_BYTES_MAX: usize = 64 * 1024;

/// Size of the shared buffer.
const SHARED_BYTES: usize = 8 * 1024;

thread_local! {
    /// Reused for every small read, so that its pages stay in the CPU caches.
    static SHARED: RefCell<[u8; SHARED_BYTES]> = const { RefCell::new([0; SHARED_BYTES]) };
}

#[derive(Debug)]
pub struct ReadBuffer {
    /// The bytes not parsed yet.
    pub bytes: BytesMut,
    /// Size of the next read.
    read_bytes: usize,
    /// Size of the first read of a message.
    read_bytes_min: usize,
    /// `bytes` has allocated far more than one read: even small reads add up while a message is
    /// incomplete.
    grown: bool,
}

impl ReadBuffer {
    /// An empty buffer; reads begin with `read_bytes_min`, at most the size of the shared buffer.
    #[must_use]
    pub fn new(read_bytes_min: usize) -> Self {
        let read_bytes_min = read_bytes_min.min(SHARED_BYTES);
        let read_bytes = read_bytes_min;
        Self { bytes: BytesMut::new(), read_bytes, read_bytes_min, grown: false }
    }

    /// Reads once and appends to `bytes`. A buffer of its own has room for `room_min` bytes at
    /// least.
    pub fn poll_read(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
        room_min: usize,
    ) -> Poll<io::Result<usize>> {
        let (read, room) = if self.read_bytes == self.read_bytes_min {
            (ready!(self.poll_read_shared(io, cx)), self.read_bytes)
        } else {
            // Once everything was parsed, the allocation is reused from its front.
            let reused = self.bytes.is_empty() && self.bytes.try_reclaim(self.read_bytes);
            if !reused && self.bytes.capacity() - self.bytes.len() < room_min {
                self.bytes.reserve(self.read_bytes);
            }
            let room = self.bytes.capacity() - self.bytes.len();
            (ready!(pin!(io.read_buf(&mut self.bytes)).poll(cx)), room)
        };
        self.grown |= self.bytes.capacity() > 2 * self.read_bytes_min;
        if matches!(read, Ok(bytes) if bytes == room) {
            self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
        }
        Poll::Ready(read)
    }

    fn poll_read_shared(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        SHARED.with_borrow_mut(|shared| {
            let mut buffer = ReadBuf::new(&mut shared[..self.read_bytes]);
            ready!(Pin::new(io).poll_read(cx, &mut buffer))?;
            self.bytes.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }

    /// Frees the buffer of a large message once all of it was parsed.
    pub fn shrink(&mut self) {
        if (self.grown || self.read_bytes > self.read_bytes_min) && self.bytes.is_empty() {
            *self = Self::new(self.read_bytes_min);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const KIB: usize = 1024;

    /// Yields this many bytes for each read.
    struct EndlessReader(usize);

    impl AsyncRead for EndlessReader {
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

    fn read(buffer: &mut ReadBuffer, bytes: usize) -> usize {
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(read) = buffer.poll_read(&mut EndlessReader(bytes), &mut cx, 2 * KIB)
        else {
            panic!("the reader is always ready");
        };
        read.unwrap()
    }

    #[test]
    fn the_buffer_of_a_large_body_is_reused_from_its_front() {
        let mut buffer = ReadBuffer::new(8 * KIB);
        let taken = |buffer: &mut ReadBuffer, bytes| {
            let read = read(buffer, bytes);
            assert_eq!(buffer.bytes.split(), vec![b'x'; read], "of {bytes}");
            read / KIB
        };
        let growing = [8, 16, 32, 64].map(|_| taken(&mut buffer, 64 * KIB));
        assert_eq!(growing, [8, 16, 32, 64]);
        for _ in 0..20 {
            assert_eq!(taken(&mut buffer, 50 * KIB), 50);
        }
    }
}
