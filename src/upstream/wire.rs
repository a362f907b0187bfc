//! The bytes to and from an upstream: a socket, with or without TLS, that counts what it writes.
//!
//! It refuses to know what the bytes mean.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::pulse::Pulse;
use crate::clock::Clock;

/// A dialled connection before HTTP.
pub(super) enum Io {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that tells its pulse what it does.
pub(super) struct Wire {
    io: Io,
    pulse: Arc<Pulse>,
    clock: Clock,
    /// A write failed after some of the request was out. What the upstream said before it hung
    /// up may still lie in the socket, so the reading side has the last word.
    broken: bool,
}

impl Wire {
    pub(super) fn new(io: Io, pulse: Arc<Pulse>, clock: Clock) -> Self {
        Self { io, pulse, clock, broken: false }
    }

    fn noted(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(Ok(bytes)) => {
                self.pulse.write_by(bytes, self.clock);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(ref error)) if self.pulse.moved() && hung_up(error) => {
                self.broken = true;
                Poll::Pending
            }
            Poll::Ready(Err(_)) | Poll::Pending => polled,
        }
    }
}

fn hung_up(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.pulse.flooded() {
            let flood = io::Error::new(ErrorKind::InvalidData, "interim answers without end");
            return Poll::Ready(Err(flood));
        }
        let before = buf.filled().len();
        let polled = match &mut this.io {
            Io::Clear(io) => Pin::new(io).poll_read(cx, buf),
            Io::Tls(io) => Pin::new(io).poll_read(cx, buf),
        };
        this.pulse.read(buf.filled().len() - before);
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.broken {
            return Poll::Pending;
        }
        let polled = match &mut this.io {
            Io::Clear(io) => Pin::new(io).poll_write(cx, buf),
            Io::Tls(io) => Pin::new(io).poll_write(cx, buf),
        };
        this.noted(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Most requests are one piece, and a plain write of it costs the kernel less.
        if let [only] = bufs {
            return self.poll_write(cx, only);
        }
        let this = self.get_mut();
        if this.broken {
            return Poll::Pending;
        }
        let polled = match &mut this.io {
            Io::Clear(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Io::Tls(io) => Pin::new(io).poll_write_vectored(cx, bufs),
        };
        this.noted(polled)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Clear(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
        }
    }

    /// hyper flushes its wire only when its own buffers are empty.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.broken {
            return Poll::Pending;
        }
        let polled = match &mut this.io {
            Io::Clear(_) => Poll::Ready(Ok(())),
            Io::Tls(io) => Pin::new(io).poll_flush(cx),
        };
        if let Poll::Ready(Ok(())) = polled {
            this.pulse.flushed();
        }
        polled
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Clear(io) => Pin::new(io).poll_shutdown(cx),
            Io::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
