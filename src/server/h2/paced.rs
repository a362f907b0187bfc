//! Reads a client's HTTP/2 bytes in portions, between which the tasks of its streams run.
//!
//! Otherwise hyper would parse everything received before any stream reads its data, and it treats
//! thousands of small unread frames as an attack and closes the connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use crate::server::socket::ClientReader;

/// Bytes read before the other tasks run, plus the rest of the last read. hyper tolerates 2,000
/// unread frames of one data byte, which take ten bytes each.
const PORTION_BYTES: usize = 8 * 1024;

/// How often the other tasks run between two portions: a call yields before it begins, and then
/// reads.
const YIELDS: u8 = 3;

#[derive(Debug)]
pub(super) struct PacedReader {
    reader: ClientReader,
    /// Bytes read of the present portion.
    read_bytes: usize,
    /// How often this task has yielded since.
    yields: u8,
}

impl PacedReader {
    pub(super) const fn new(reader: ClientReader) -> Self {
        Self { reader, read_bytes: 0, yields: 0 }
    }
}

impl AsyncRead for PacedReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_bytes >= PORTION_BYTES {
            if self.yields < YIELDS {
                self.yields += 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            (self.read_bytes, self.yields) = (0, 0);
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.reader).poll_read(cx, buffer);
        let read = buffer.filled().len() - before;
        self.read_bytes = if polled.is_pending() { 0 } else { self.read_bytes + read };
        polled
    }
}
