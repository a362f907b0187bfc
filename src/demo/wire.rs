//! A socket that can be told to fail: the part of the simulated vendors that hyper, being
//! correct, could not play.
//!
//! hyper reads and writes through it as through any socket; a [`Switch`] decides what becomes of
//! the bytes. Refuses to know HTTP, but for the blank line that ends a head.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// How a connection ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// A reset: the peer's pending reads fail.
    Reset,
    /// A close: the peer reads an early end.
    Close,
}

/// What becomes of the bytes on a connection.
#[derive(Clone, Debug)]
enum Fate {
    /// They pass.
    Sound,
    /// The next byte that arrives is not read; the connection is reset.
    Unread,
    /// So many more bytes go out, then the connection ends.
    Cut(usize, End),
    /// The head goes out and so many bytes of what follows it, then the connection ends.
    CutBody(usize, End),
    /// These bytes go out instead, then the connection closes.
    Instead(Bytes),
}

/// The lever that the vendor holds on one of its connections.
#[derive(Clone, Debug)]
pub(super) struct Switch(Arc<Mutex<Fate>>);

impl Switch {
    pub(super) fn sound() -> Self {
        Self(Arc::new(Mutex::new(Fate::Sound)))
    }

    /// Reset as soon as the next request's first byte arrives.
    pub(super) fn leave_unread(&self) {
        self.set(Fate::Unread);
    }

    /// End once `bytes` more of them have gone out.
    pub(super) fn cut(&self, bytes: usize, end: End) {
        self.set(Fate::Cut(bytes, end));
    }

    /// End once the head and `bytes` of its body have gone out.
    pub(super) fn cut_body(&self, bytes: usize, end: End) {
        self.set(Fate::CutBody(bytes, end));
    }

    /// Send these bytes in place of the answer.
    pub(super) fn send_instead(&self, bytes: Bytes) {
        self.set(Fate::Instead(bytes));
    }

    fn set(&self, fate: Fate) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fate;
    }

    fn fate(&self) -> Fate {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The socket itself.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    switch: Switch,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, switch: Switch) -> Self {
        Self { stream, switch }
    }

    fn inner(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.stream)
    }

    /// The error that makes hyper drop the connection, which ends as the switch then says.
    fn over(&self, end: End) -> io::Error {
        self.switch.cut(0, end);
        match end {
            End::Close => io::ErrorKind::BrokenPipe.into(),
            End::Reset => io::ErrorKind::ConnectionReset.into(),
        }
    }

    fn write_up_to(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
        (left, end): (usize, End),
    ) -> Poll<io::Result<usize>> {
        if left == 0 {
            return Poll::Ready(Err(self.over(end)));
        }
        let some = &bytes[..bytes.len().min(left)];
        let written = ready!(self.inner().poll_write(context, some))?;
        self.switch.cut(left - written, end);
        Poll::Ready(Ok(written))
    }

    /// Writes foreign bytes; hyper is told nothing until they are out.
    fn write_instead(&mut self, context: &mut Context<'_>, mut bytes: Bytes) -> Poll<io::Error> {
        while !bytes.is_empty() {
            let written = match ready!(self.inner().poll_write(context, &bytes)) {
                Ok(written) => written,
                Err(error) => return Poll::Ready(error),
            };
            bytes = bytes.slice(written..);
            self.switch.send_instead(bytes.clone());
        }
        Poll::Ready(self.over(End::Close))
    }
}

impl Drop for Wire {
    /// A socket dropped with a zero linger is reset, any other is closed.
    fn drop(&mut self) {
        if matches!(self.switch.fate(), Fate::Cut(0, End::Reset)) {
            let socket = socket2::SockRef::from(&self.stream);
            // Without the zero linger the peer would see a close; nothing else depends on it.
            drop(socket.set_linger(Some(Duration::ZERO)));
        }
    }
}

/// How many bytes of `written` belong to the head, if it ends in there.
fn head_length(written: &[u8]) -> Option<usize> {
    written.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if matches!(self.switch.fate(), Fate::Unread) {
            ready!(self.stream.poll_read_ready(context))?;
            return Poll::Ready(Err(self.over(End::Reset)));
        }
        self.inner().poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.switch.fate() {
            Fate::Sound | Fate::Unread => self.inner().poll_write(context, bytes),
            Fate::Cut(left, end) => self.write_up_to(context, bytes, (left, end)),
            Fate::CutBody(left, end) => match head_length(bytes) {
                Some(head) => self.write_up_to(context, bytes, (head + left, end)),
                None => self.inner().poll_write(context, bytes),
            },
            Fate::Instead(foreign) => self.write_instead(context, foreign).map(Err),
        }
    }

    /// Ends a connection whose last permitted byte is out, though nothing follows it.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Fate::Cut(0, end) = self.switch.fate() {
            return Poll::Ready(Err(self.over(end)));
        }
        self.inner().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(context)
    }
}
