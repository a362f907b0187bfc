//! Tracks how much of each request has been written to the socket of an HTTP/2 connection, and when
//! something was last received from it.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::{FrameEvent, FrameScanner};
use crate::clock::Clock;
use crate::time::Moment;
use crate::upstream::progress::Progress;
use crate::upstream::transport::Transport;

/// How much of one request has been written. Moments are nanoseconds; zero means not yet.
#[derive(Debug, Default)]
struct WriteState {
    /// When a frame of the request last began to be written.
    last_frame: AtomicU64,
    /// When its last byte was written.
    sent: AtomicU64,
    /// The task of the exchange, woken when the last byte has been written.
    exchange: Mutex<Option<Waker>>,
}

impl WriteState {
    fn exchange(&self) -> MutexGuard<'_, Option<Waker>> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The requests of one connection that have not been written to their end.
#[derive(Debug)]
pub(super) struct RequestTracker {
    /// By stream. Locked while a stream is opened, so that no frame of it is written before it is
    /// listed here.
    requests: Mutex<HashMap<u32, Arc<WriteState>>>,
    /// Nanoseconds of the moment at which something was last received.
    last_received: AtomicU64,
    clock: Clock,
}

impl RequestTracker {
    pub(super) fn new(clock: Clock) -> Self {
        let last_received = AtomicU64::new(clock.now().as_nanos());
        Self { requests: Mutex::default(), last_received, clock }
    }

    /// Tracks the request whose stream `open` opens; `open` returns the stream's number first.
    pub(super) fn track<T>(
        &self,
        open: impl FnOnce() -> Result<(u32, T), h2::Error>,
    ) -> Result<(TrackedRequest, T), h2::Error> {
        let mut requests = self.requests();
        let (stream, opened) = open()?;
        let state = Arc::new(WriteState::default());
        requests.insert(stream, Arc::clone(&state));
        Ok((TrackedRequest { stream, state }, opened))
    }

    pub(super) fn forget(&self, request: &TrackedRequest) {
        self.requests().remove(&request.stream);
    }

    pub(super) fn last_received(&self) -> Moment {
        Moment::from_nanos(self.last_received.load(Relaxed))
    }

    fn requests(&self) -> MutexGuard<'_, HashMap<u32, Arc<WriteState>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct TrackedRequest {
    stream: u32,
    state: Arc<WriteState>,
}

impl TrackedRequest {
    /// Whether a byte of the request has been written.
    pub(super) fn has_started(&self) -> bool {
        self.state.last_frame.load(Relaxed) != 0
    }

    /// Updates `progress`; `exchange` is woken when the last byte has been written.
    pub(super) fn report(&self, progress: &Progress, exchange: &Waker) {
        let state = &self.state;
        let (last_frame, sent) = (state.last_frame.load(Relaxed), state.sent.load(Relaxed));
        if sent == 0 {
            let mut registered = state.exchange();
            if !registered.as_ref().is_some_and(|registered| registered.will_wake(exchange)) {
                *registered = Some(exchange.clone());
            }
        }
        if last_frame != 0 {
            progress.wrote(Moment::from_nanos(last_frame));
        }
        if sent != 0 && progress.sent().is_none() {
            progress.finished(Moment::from_nanos(sent));
        }
    }
}

/// A transport that updates the tracker of its connection.
pub(super) struct TrackedTransport {
    transport: Transport,
    frames: FrameScanner,
    /// Streams whose last byte was written, until a flush shows that it has left TLS's buffers.
    unflushed: Vec<u32>,
    tracker: Arc<RequestTracker>,
}

impl TrackedTransport {
    pub(super) fn new(transport: Transport, tracker: Arc<RequestTracker>) -> Self {
        Self { transport, frames: FrameScanner::new(), unflushed: Vec::new(), tracker }
    }

    fn wrote<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]>) {
        let Self { frames, unflushed, tracker, .. } = self;
        let mut now = None;
        let mut on_event = |event| match event {
            FrameEvent::RequestEnded(stream) => unflushed.push(stream),
            FrameEvent::FrameBegun(stream) => {
                let now = *now.get_or_insert_with(|| tracker.clock.now().as_nanos().max(1));
                if let Some(state) = tracker.requests().get(&stream) {
                    state.last_frame.store(now, Relaxed);
                }
            }
        };
        for part in parts {
            frames.scan(part, &mut on_event);
        }
    }
}

impl AsyncRead for TrackedTransport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.transport).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            let now = this.tracker.clock.now().as_nanos();
            this.tracker.last_received.store(now, Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TrackedTransport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.transport).poll_write(cx, buf))?;
        this.wrote(std::iter::once(&buf[..written]));
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.transport).poll_write_vectored(cx, bufs))?;
        let mut left = written;
        this.wrote(bufs.iter().map(|buf| {
            let part = &buf[..left.min(buf.len())];
            left -= part.len();
            part
        }));
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.transport).poll_flush(cx))?;
        if this.unflushed.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let now = this.tracker.clock.now().as_nanos().max(1);
        let mut requests = this.tracker.requests();
        for state in this.unflushed.drain(..).filter_map(|stream| requests.remove(&stream)) {
            state.sent.store(now, Relaxed);
            if let Some(exchange) = state.exchange().take() {
                exchange.wake();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_shutdown(cx)
    }
}
