//! A client's socket as HTTP reads and writes it.
//!
//! The first bytes say which HTTP it is, and are handed over like all others. Refuses to look at
//! any byte behind them.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::wire::Wire;

/// What a client sends first to speak HTTP/2 without having asked.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Answers up to so many bytes, head and body, go out in one plain write; larger ones are not
/// worth copying.
const JOINED_BYTES_MAX: usize = 1024;

/// Which HTTP a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// One client's socket.
#[derive(Debug)]
pub(super) struct ClientStream {
    writer: ClientWriter,
    /// What was read to learn the protocol, and not handed over.
    first: Bytes,
}

impl ClientStream {
    /// Reads until the client's protocol is known; `None` when it closed before that.
    pub(super) async fn open(
        socket: Arc<TcpStream>,
        wire: Arc<Wire>,
    ) -> io::Result<Option<(Self, Protocol)>> {
        let Some((first, protocol)) = first_bytes(&socket).await? else { return Ok(None) };
        let stream = Self { writer: ClientWriter { socket, wire }, first: first.into() };
        Ok(Some((stream, protocol)))
    }
}

/// The first bytes of a connection, and what they say about its protocol.
async fn first_bytes(socket: &TcpStream) -> io::Result<Option<(Vec<u8>, Protocol)>> {
    let mut held = Vec::new();
    let mut bytes = [0; PREFACE.len()];
    loop {
        socket.readable().await?;
        match socket.try_read(&mut bytes[held.len()..]) {
            Ok(0) => return Ok(None),
            Ok(read) => held.extend_from_slice(&bytes[held.len()..held.len() + read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        if !PREFACE.starts_with(&held) {
            return Ok(Some((held, Protocol::Http1)));
        }
        if held.len() == PREFACE.len() {
            return Ok(Some((held, Protocol::Http2)));
        }
    }
}

/// The parts one behind the other, if they fit.
fn join<'b>(parts: &[io::IoSlice<'_>], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut filled = 0;
    for part in parts {
        buffer.get_mut(filled..filled + part.len())?.copy_from_slice(part);
        filled += part.len();
    }
    Some(&buffer[..filled])
}

/// Reads what is there. A read that does not fill the buffer has emptied the socket, so the
/// socket counts as dry until the next event: that saves a second, failing read per request.
fn poll_read_into(
    socket: &TcpStream,
    cx: &mut Context<'_>,
    buffer: &mut impl bytes::BufMut,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_read_ready(cx))?;
        let mut drained = None;
        let room = buffer.chunk_mut().len();
        let result = socket.try_io(Interest::READABLE, || match socket.try_read_buf(buffer)? {
            read if 0 < read && read < room => {
                drained = Some(read);
                Err(io::ErrorKind::WouldBlock.into())
            }
            read => Ok(read),
        });
        match (drained, result) {
            (Some(read), _) | (None, Ok(read)) => return Poll::Ready(Ok(read)),
            (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            (None, Err(error)) => return Poll::Ready(Err(error)),
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let fits = self.first.len().min(buffer.remaining());
            buffer.put_slice(&self.first[..fits]);
            self.first.advance(fits);
            return Poll::Ready(Ok(()));
        }
        poll_read_into(&self.writer.socket, cx, buffer).map_ok(|_| ())
    }
}

impl ClientStream {
    /// The writing half, for whoever answers while somebody else reads.
    pub(super) fn writer(&self) -> ClientWriter {
        self.writer.clone()
    }

    /// Ready when a read has something to tell; to ask costs less than to try.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.first.is_empty() {
            // What is wrong with the socket, the read will say.
            self.writer.socket.poll_read_ready(cx).map(|_| ())
        } else {
            Poll::Ready(())
        }
    }

    /// Ends when the client has closed its side or reset the connection, also behind unread bytes;
    /// only a close that still queues behind bytes at the client's own end cannot be seen.
    pub(super) fn left(&self) -> impl Future<Output = ()> + Send + use<> {
        let socket = Arc::clone(&self.writer.socket);
        async move {
            // Readiness for urgent data is also told of the end of the stream, and not of bytes.
            while let Ok(ready) = socket.ready(Interest::PRIORITY).await {
                if ready.is_read_closed() {
                    return;
                }
                // Urgent bytes are nobody's: to say that it would block asks for the next event.
                let _ = socket
                    .try_io(Interest::PRIORITY, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
            }
        }
    }

    /// Whether everything that was read was handed over.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

/// A client's socket as HTTP/2 reads it: after some bytes the tasks of its streams get their turn.
///
/// Otherwise all that is here would be cut into frames before any of them is read, and the library
/// takes thousands of small ones that nobody has read for an attack.
#[derive(Debug)]
pub(super) struct InTurns {
    stream: ClientStream,
    /// Bytes that were read since others had their turn.
    read_bytes: usize,
    /// How often they have had it since.
    passes: u8,
}

/// Bytes of one turn, but for the last read's: of frames of one byte, which take ten, the library
/// tolerates 2,000 unread.
const TURN_BYTES: usize = 8 * 1024;

/// How often the others run between two turns: a call yields before it begins, and then reads.
const PASSES: u8 = 3;

impl InTurns {
    pub(super) const fn new(stream: ClientStream) -> Self {
        Self { stream, read_bytes: 0, passes: 0 }
    }
}

impl AsyncRead for InTurns {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_bytes >= TURN_BYTES {
            if self.passes < PASSES {
                self.passes += 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            (self.read_bytes, self.passes) = (0, 0);
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = buffer.filled().len() - before;
        self.read_bytes = if polled.is_pending() { 0 } else { self.read_bytes + read };
        polled
    }
}

/// A client's socket as it is written.
#[derive(Clone, Debug)]
pub(super) struct ClientWriter {
    socket: Arc<TcpStream>,
    wire: Arc<Wire>,
}

impl ClientWriter {
    /// Writes when the socket takes something; a full one is noted, for somebody may not read.
    fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.socket.poll_write_ready(cx)?.is_pending() {
                self.wire.write_blocked();
                return Poll::Pending;
            }
            match write(&self.socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    self.wire.wrote(*result.as_ref().unwrap_or(&0));
                    return Poll::Ready(result);
                }
            }
        }
    }
}

impl AsyncWrite for ClientWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |socket| socket.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A head and a small body in one plain write cost the kernel less than their vector.
        let mut joined = [0; JOINED_BYTES_MAX];
        match join(parts, &mut joined) {
            Some(bytes) => self.poll_write_with(cx, |socket| socket.try_write(bytes)),
            None => self.poll_write_with(cx, |socket| socket.try_write_vectored(parts)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(end_writing(&self.socket))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}

impl AsyncWrite for InTurns {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Tells the client that nothing more comes; one that has left already need not be told.
pub(super) fn end_writing(socket: &TcpStream) -> io::Result<()> {
    match SockRef::from(socket).shutdown(Shutdown::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        result => result,
    }
}
