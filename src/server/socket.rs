//! Reads and writes a client's socket; the first bytes tell HTTP/1.1 and HTTP/2 apart.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::state::ConnectionState;

/// The preface of HTTP/2 with prior knowledge (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Head and body up to this size together are copied and sent with one plain write, which costs
/// less than a vectored one.
const JOINED_BYTES_MAX: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

#[derive(Debug)]
pub(super) struct ClientReader {
    socket: Arc<TcpStream>,
    /// Bytes read to detect the protocol and not yet handed out.
    detected: Bytes,
}

impl ClientReader {
    /// Reads until the client's protocol is known; `None` when the client closes before that.
    pub(super) async fn open(socket: Arc<TcpStream>) -> io::Result<Option<(Self, Protocol)>> {
        let mut detected = Vec::new();
        let mut bytes = [0; PREFACE.len()];
        let protocol = loop {
            socket.readable().await?;
            match socket.try_read(&mut bytes[detected.len()..]) {
                Ok(0) => return Ok(None),
                Ok(read) => detected.extend_from_slice(&bytes[detected.len()..][..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            if !PREFACE.starts_with(&detected) {
                break Protocol::Http1;
            }
            if detected.len() == PREFACE.len() {
                break Protocol::Http2;
            }
        };
        Ok(Some((Self { socket, detected: detected.into() }, protocol)))
    }

    /// Ready when a read would return something; cheaper than a read that would block.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.detected.is_empty() {
            // An error is reported by the read that follows.
            self.socket.poll_read_ready(cx).map(|_| ())
        } else {
            Poll::Ready(())
        }
    }

    /// Ends when the client has closed its side or reset the connection, even behind unread bytes.
    /// A close still queued at the client behind unsent bytes is not visible here.
    pub(super) fn disconnected(&self) -> impl Future<Output = ()> + Send + use<> {
        let socket = Arc::clone(&self.socket);
        async move {
            // Readiness for urgent data reports the end of the stream but not ordinary bytes.
            while let Ok(ready) = socket.ready(Interest::PRIORITY).await {
                if ready.is_read_closed() {
                    return;
                }
                // Urgent bytes are not read: WouldBlock makes tokio wait for the next event.
                let _ = socket
                    .try_io(Interest::PRIORITY, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
            }
        }
    }

    /// Whether all bytes read so far were handed out.
    pub(super) fn is_empty(&self) -> bool {
        self.detected.is_empty()
    }
}

impl AsyncRead for ClientReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.detected.is_empty() {
            let fits = self.detected.len().min(buffer.remaining());
            buffer.put_slice(&self.detected[..fits]);
            self.detected.advance(fits);
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.socket.poll_read_ready(cx))?;
            let room = buffer.chunk_mut().len();
            let mut drained = false;
            let read = self.socket.try_io(Interest::READABLE, || {
                let bytes = self.socket.try_read_buf(buffer)?;
                // A read that does not fill the buffer has emptied the socket. Reporting WouldBlock
                // makes tokio wait for the next event, which saves a second, failing read per
                // request.
                drained = 0 < bytes && bytes < room;
                if drained { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match read {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(_) if drained => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct ClientWriter {
    socket: Arc<TcpStream>,
    state: Arc<ConnectionState>,
}

impl ClientWriter {
    pub(super) const fn new(socket: Arc<TcpStream>, state: Arc<ConnectionState>) -> Self {
        Self { socket, state }
    }

    /// Writes once the socket is writable, and notes in the state when it is full.
    fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        first: &[u8],
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.socket.poll_write_ready(cx)?.is_pending() {
                self.state.write_blocked();
                // The kernel reports the socket writable only once a third of its buffer is free,
                // which can take a slow client longer than its allowed pause. So a write is tried
                // before; its error is reported by the next one.
                if self.state.take_probe()
                    && let Ok(bytes @ 1..) = SockRef::from(&*self.socket).send(first)
                {
                    self.state.wrote(bytes);
                    return Poll::Ready(Ok(bytes));
                }
                return Poll::Pending;
            }
            match write(&self.socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    self.state.wrote(*result.as_ref().unwrap_or(&0));
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
        self.poll_write_with(cx, bytes, |socket| socket.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if bytes > JOINED_BYTES_MAX {
            let first = parts.iter().find(|part| !part.is_empty()).map_or(&b""[..], |it| it);
            return self.poll_write_with(cx, first, |socket| socket.try_write_vectored(parts));
        }
        let mut joined = [0; JOINED_BYTES_MAX];
        let mut rest = &mut joined[..];
        parts.iter().for_each(|part| rest.put_slice(part));
        let joined = &joined[..bytes];
        self.poll_write_with(cx, joined, |socket| socket.try_write(joined))
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

/// Shuts down the sending side. That the client has already disconnected is no error.
pub(super) fn end_writing(socket: &TcpStream) -> io::Result<()> {
    match SockRef::from(socket).shutdown(Shutdown::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        result => result,
    }
}
