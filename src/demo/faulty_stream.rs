//! A TCP stream that fails on command: it simulates connection faults that hyper, which follows the
//! protocol, cannot produce.
//!
//! hyper reads and writes through [`FaultyStream`]; a [`FaultControl`] decides what happens to the
//! bytes. Of HTTP, only the blank line that ends a head is known here.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionEnd {
    /// The peer's pending reads fail.
    Reset,
    /// The peer reads an early end of stream.
    Close,
}

#[derive(Clone, Debug)]
enum ConnectionFault {
    None,
    /// The connection is reset when the next byte arrives, which is not read.
    ResetUnread,
    /// The connection ends when this many more bytes have been sent.
    EndAfter(usize, ConnectionEnd),
    /// The connection ends when the head and this many bytes of the body have been sent.
    EndInBody(usize, ConnectionEnd),
    /// These bytes are sent instead of the response, then the connection closes.
    SendInstead(Bytes),
}

/// Sets the fault of one connection while hyper owns its stream.
#[derive(Clone, Debug)]
pub(super) struct FaultControl(Arc<Mutex<ConnectionFault>>);

impl FaultControl {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(ConnectionFault::None)))
    }

    pub(super) fn reset_unread(&self) {
        self.set(ConnectionFault::ResetUnread);
    }

    pub(super) fn end_after(&self, bytes: usize, end: ConnectionEnd) {
        self.set(ConnectionFault::EndAfter(bytes, end));
    }

    pub(super) fn end_in_body(&self, bytes: usize, end: ConnectionEnd) {
        self.set(ConnectionFault::EndInBody(bytes, end));
    }

    pub(super) fn send_instead(&self, bytes: Bytes) {
        self.set(ConnectionFault::SendInstead(bytes));
    }

    fn set(&self, fault: ConnectionFault) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    fn current(&self) -> ConnectionFault {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(Debug)]
pub(super) struct FaultyStream {
    stream: TcpStream,
    fault: FaultControl,
}

impl FaultyStream {
    pub(super) fn new(stream: TcpStream, fault: FaultControl) -> Self {
        Self { stream, fault }
    }

    fn inner(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.stream)
    }

    /// The error makes hyper drop the stream, and the fault decides how that ends the connection.
    fn end_connection(&self, end: ConnectionEnd) -> io::Error {
        self.fault.end_after(0, end);
        match end {
            ConnectionEnd::Close => io::ErrorKind::BrokenPipe.into(),
            ConnectionEnd::Reset => io::ErrorKind::ConnectionReset.into(),
        }
    }

    fn poll_write_up_to(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
        limit: usize,
        end: ConnectionEnd,
    ) -> Poll<io::Result<usize>> {
        if limit == 0 {
            return Poll::Ready(Err(self.end_connection(end)));
        }
        let allowed = &bytes[..bytes.len().min(limit)];
        let written = ready!(self.inner().poll_write(context, allowed))?;
        self.fault.end_after(limit - written, end);
        Poll::Ready(Ok(written))
    }

    /// Writes the replacement; hyper's own write stays pending until all of it is sent.
    fn poll_write_instead(
        &mut self,
        context: &mut Context<'_>,
        mut bytes: Bytes,
    ) -> Poll<io::Error> {
        while !bytes.is_empty() {
            let written = match ready!(self.inner().poll_write(context, &bytes)) {
                Ok(written) => written,
                Err(error) => return Poll::Ready(error),
            };
            bytes = bytes.slice(written..);
            self.fault.send_instead(bytes.clone());
        }
        Poll::Ready(self.end_connection(ConnectionEnd::Close))
    }
}

impl Drop for FaultyStream {
    /// A socket dropped with a linger of zero is reset, any other is closed.
    fn drop(&mut self) {
        if matches!(self.fault.current(), ConnectionFault::EndAfter(0, ConnectionEnd::Reset)) {
            let socket = socket2::SockRef::from(&self.stream);
            // If this fails, the peer sees a close in place of the reset.
            drop(socket.set_linger(Some(Duration::ZERO)));
        }
    }
}

impl AsyncRead for FaultyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if matches!(self.fault.current(), ConnectionFault::ResetUnread) {
            ready!(self.stream.poll_read_ready(context))?;
            return Poll::Ready(Err(self.end_connection(ConnectionEnd::Reset)));
        }
        self.inner().poll_read(context, buffer)
    }
}

impl AsyncWrite for FaultyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.fault.current() {
            ConnectionFault::None | ConnectionFault::ResetUnread => {
                self.inner().poll_write(context, bytes)
            }
            ConnectionFault::EndAfter(left, end) => {
                self.poll_write_up_to(context, bytes, left, end)
            }
            ConnectionFault::EndInBody(left, end) => {
                let blank_line = bytes.windows(4).position(|four| four == b"\r\n\r\n");
                match blank_line.map(|at| at + 4) {
                    Some(head) => self.poll_write_up_to(context, bytes, head + left, end),
                    None => self.inner().poll_write(context, bytes),
                }
            }
            ConnectionFault::SendInstead(replacement) => {
                self.poll_write_instead(context, replacement).map(Err)
            }
        }
    }

    /// Ends the connection when the last allowed byte is sent, even if hyper has no more to write.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let ConnectionFault::EndAfter(0, end) = self.fault.current() {
            return Poll::Ready(Err(self.end_connection(end)));
        }
        self.inner().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(context)
    }
}
