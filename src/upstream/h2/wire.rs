//! The socket under an HTTP/2 connection, which notes what really left and when something came.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::{Event, Frames};
use crate::clock::Clock;
use crate::time::Moment;
use crate::upstream::Progress;
use crate::upstream::wire::Io;

/// How far the request of one stream has got on the wire.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Nanoseconds of the moment a frame of it last began to leave; zero before the first.
    moved: AtomicU64,
    /// Nanoseconds of the moment its last byte left; zero before that.
    ended: AtomicU64,
    /// The exchange, which passes on that the last byte left as soon as it has.
    exchange: Mutex<Option<Waker>>,
}

impl Sent {
    /// Whether its stream is open: a byte of it left.
    pub(super) fn is_open(&self) -> bool {
        self.moved.load(Relaxed) != 0
    }

    /// Passes on what is known; `exchange` is woken for the end.
    pub(super) fn tell(&self, progress: &Progress, exchange: &Waker) {
        let (moved, ended) = (self.moved.load(Relaxed), self.ended.load(Relaxed));
        if ended == 0 {
            let mut present = self.exchange();
            if !present.as_ref().is_some_and(|present| present.will_wake(exchange)) {
                *present = Some(exchange.clone());
            }
        }
        if moved != 0 {
            progress.wrote(Moment::from_nanos(moved));
        }
        if ended != 0 && progress.sent().is_none() {
            progress.finished(Moment::from_nanos(ended));
        }
    }

    fn end(&self, now: u64) {
        self.ended.store(now, Relaxed);
        if let Some(exchange) = self.exchange().take() {
            exchange.wake();
        }
    }

    fn exchange(&self) -> MutexGuard<'_, Option<Waker>> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of one connection's wire.
#[derive(Debug)]
pub(super) struct Traffic {
    /// The requests that have not left entirely, by stream. The lock is held while a stream is
    /// begun, so that no frame of it leaves before it is listed.
    streams: Mutex<HashMap<u32, Arc<Sent>>>,
    /// Nanoseconds of the moment something was last received.
    heard: AtomicU64,
    clock: Clock,
}

impl Traffic {
    pub(super) fn new(clock: Clock) -> Self {
        let heard = AtomicU64::new(clock.now().as_nanos());
        Self { streams: Mutex::default(), heard, clock }
    }

    /// Begins a stream, which `begin` does and tells the number of.
    pub(super) fn begin<T>(
        &self,
        begin: impl FnOnce() -> Result<(u32, T), h2::Error>,
    ) -> Result<(Listed, T), h2::Error> {
        let mut streams = self.streams();
        let (stream, begun) = begin()?;
        let sent = Arc::new(Sent::default());
        streams.insert(stream, Arc::clone(&sent));
        Ok((Listed { stream, sent }, begun))
    }

    /// Forgets a stream.
    pub(super) fn forget(&self, listed: &Listed) {
        self.streams().remove(&listed.stream);
    }

    /// When something was last received.
    pub(super) fn heard(&self) -> Moment {
        Moment::from_nanos(self.heard.load(Relaxed))
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<u32, Arc<Sent>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream whose request is followed.
#[derive(Debug)]
pub(super) struct Listed {
    stream: u32,
    pub(super) sent: Arc<Sent>,
}

/// A socket whose traffic is noted.
pub(super) struct Watched {
    io: Io,
    frames: Frames,
    /// Streams whose last byte was taken, until it is certain that it went out.
    unflushed: Vec<u32>,
    traffic: Arc<Traffic>,
}

impl Watched {
    pub(super) fn new(io: Io, traffic: Arc<Traffic>) -> Self {
        Self { io, frames: Frames::new(), unflushed: Vec::new(), traffic }
    }

    /// The socket took these bytes.
    fn took<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]>) {
        let Self { frames, unflushed, traffic, .. } = self;
        let mut moved = None;
        let mut tell = |event| match event {
            Event::Ended(stream) => unflushed.push(stream),
            Event::Moved(stream) => {
                let now = *moved.get_or_insert_with(|| traffic.clock.now().as_nanos().max(1));
                if let Some(sent) = traffic.streams().get(&stream) {
                    sent.moved.store(now, Relaxed);
                }
            }
        };
        for part in parts {
            frames.pass(part, &mut tell);
        }
    }

    /// Everything that was taken went out.
    fn flushed(&mut self) {
        if self.unflushed.is_empty() {
            return;
        }
        let now = self.traffic.clock.now().as_nanos().max(1);
        let mut streams = self.traffic.streams();
        for stream in self.unflushed.drain(..) {
            if let Some(sent) = streams.remove(&stream) {
                sent.end(now);
            }
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            this.traffic.heard.store(this.traffic.clock.now().as_nanos(), Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let taken = ready!(Pin::new(&mut this.io).poll_write(cx, buf))?;
        this.took(std::iter::once(&buf[..taken]));
        Poll::Ready(Ok(taken))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let taken = ready!(Pin::new(&mut this.io).poll_write_vectored(cx, bufs))?;
        let mut left = taken;
        this.took(bufs.iter().map(|buf| {
            let part = &buf[..left.min(buf.len())];
            left -= part.len();
            part
        }));
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.io).poll_flush(cx))?;
        this.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
