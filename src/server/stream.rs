//! A client's socket as HTTP reads and writes it, with the framing gate in between.
//!
//! Bytes are read straight into the reader's buffer and inspected there; only what the gate
//! has not cleared (the beginning of a line) is taken back and kept until the rest arrives.
//! Refuses to hand over a byte that was not cleared.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::gate::{Bounds, Gate};
use super::wire::{Fault, Part, Wire};

/// What a client sends first to speak HTTP/2 without having asked.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes read at once while the beginning of a line is kept.
const HELD_STEP_BYTES: usize = 2 * 1024;

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
    /// HTTP/2 frames pass without it: their length is never in doubt.
    gate: Option<Gate>,
    /// Bytes read and not handed over.
    held: Vec<u8>,
    /// So many of them may be.
    cleared: usize,
}

impl ClientStream {
    /// Reads until the client's protocol is known; `None` when it closed before that.
    pub(super) async fn open(
        socket: Arc<TcpStream>,
        wire: Arc<Wire>,
        bounds: Bounds,
    ) -> io::Result<Option<(Self, Protocol)>> {
        let Some((held, protocol)) = first_bytes(&socket).await? else { return Ok(None) };
        let (gate, cleared) = match protocol {
            Protocol::Http1 => (Some(Gate::new(bounds)), 0),
            Protocol::Http2 => (None, held.len()),
        };
        let mut stream = Self { writer: ClientWriter { socket, wire }, gate, held, cleared };
        stream.inspect_held();
        Ok(Some((stream, protocol)))
    }

    /// Bytes that wait for the rest of their line, and what may be handed over of them.
    fn inspect_held(&mut self) {
        if self.cleared == 0 {
            self.cleared = inspect(&mut self.gate, &self.writer.wire, &self.held);
        }
    }

    fn hand_over(&mut self, buffer: &mut ReadBuf<'_>) {
        let fits = self.cleared.min(buffer.remaining());
        buffer.put_slice(&self.held[..fits]);
        self.held.drain(..fits);
        self.cleared -= fits;
        if self.held.is_empty() {
            self.held = Vec::new();
        }
    }

    /// Reads behind the beginning of a line.
    fn poll_read_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.held.reserve(HELD_STEP_BYTES);
        let read = ready!(poll_read_into(&self.writer.socket, cx, &mut self.held))?;
        self.inspect_held();
        Poll::Ready(Ok(read))
    }

    /// Reads straight into the reader's buffer; what is not cleared is taken back.
    fn poll_read_straight(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        let read = ready!(poll_read_into(&self.writer.socket, cx, buffer))?;
        let fresh = &buffer.filled()[before..];
        let cleared = inspect(&mut self.gate, &self.writer.wire, fresh);
        if cleared < read {
            self.held.extend_from_slice(&fresh[cleared..]);
            buffer.set_filled(before + cleared);
        }
        Poll::Ready(Ok(read))
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

/// How many of these bytes may pass; what is wrong behind them is noted.
fn inspect(gate: &mut Option<Gate>, wire: &Wire, bytes: &[u8]) -> usize {
    let Some(gate) = gate else { return bytes.len() };
    let cleared = gate.inspect(bytes);
    wire.read(gate, bytes.len() - cleared.bytes);
    if let Some(offence) = cleared.offence {
        wire.offend(Fault { offence, part: gate.part() });
    }
    cleared.bytes
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
        let this = &mut *self;
        let before = buffer.filled().len();
        while buffer.filled().len() == before && buffer.remaining() > 0 {
            if this.cleared > 0 {
                this.hand_over(buffer);
                continue;
            }
            match this.writer.wire.fault() {
                Some(Fault { offence, part: Part::Body }) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, offence)));
                }
                // The watch answers it; the reader must neither see these bytes nor an end.
                Some(Fault { part: Part::Head | Part::HeadOfHead, .. }) => return Poll::Pending,
                None => {}
            }
            let read = if this.held.is_empty() {
                ready!(this.poll_read_straight(cx, buffer))?
            } else {
                ready!(this.poll_read_held(cx))?
            };
            if read == 0 {
                this.writer.wire.read_ended();
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl ClientStream {
    /// The writing half, for whoever answers while somebody else reads.
    pub(super) fn writer(&self) -> ClientWriter {
        self.writer.clone()
    }

    /// Whether nothing of a message that is not complete has been read.
    pub(super) fn is_between_messages(&self) -> bool {
        self.held.is_empty() && self.gate.as_ref().is_none_or(Gate::between_messages)
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
                    self.wire.wrote();
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
        self.wire.flushed();
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

/// Tells the client that nothing more comes; one that has left already need not be told.
pub(super) fn end_writing(socket: &TcpStream) -> io::Result<()> {
    match SockRef::from(socket).shutdown(Shutdown::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        result => result,
    }
}
