//! How far a request over HTTP/2 has got, told by its body to the exchange that waits, which is
//! another task than the one that reads the body.
//!
//! It refuses to decide anything.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{BoxError, Progress, RequestBody};
use crate::clock::Clock;
use crate::policy::time::Moment;

const BODY_OPEN: u8 = 0;
const BODY_ENDED: u8 = 1;
const BODY_FAILED: u8 = 2;

/// Shared between an exchange and the body of its request.
pub(super) struct Pulse {
    /// Nanoseconds of the latest progress; zero before the request is handed over.
    wrote: AtomicU64,
    body: AtomicU8,
    /// Nobody waits for the answer any more.
    abandoned: AtomicBool,
    /// Who waits for the answer.
    task: Mutex<Waker>,
    /// Who reads the request's body.
    reader: Mutex<Waker>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            wrote: AtomicU64::new(0),
            body: AtomicU8::new(BODY_OPEN),
            abandoned: AtomicBool::new(false),
            task: Mutex::new(Waker::noop().clone()),
            reader: Mutex::new(Waker::noop().clone()),
        }
    }

    /// Some of the request was handed over at `now`.
    pub(super) fn wrote(&self, now: Moment) {
        self.wrote.store(now.as_nanos().max(1), Relaxed);
    }

    /// Whether any of it was.
    pub(super) fn moved(&self) -> bool {
        self.wrote.load(Relaxed) != 0
    }

    /// Whether it was the request's own body that broke.
    pub(super) fn body_failed(&self) -> bool {
        self.body.load(Relaxed) == BODY_FAILED
    }

    /// The request consists of its head.
    pub(super) fn no_body(&self) {
        self.body.store(BODY_ENDED, Relaxed);
    }

    /// Passes on what is known to the attempt that waits in `task`, which is woken for more.
    pub(super) fn tell(&self, progress: &Progress, task: &Waker) {
        let mut present = lock(&self.task);
        if !present.will_wake(task) {
            present.clone_from(task);
        }
        drop(present);
        let ended = self.body.load(Relaxed) == BODY_ENDED;
        let wrote = Moment::from_nanos(self.wrote.load(Relaxed));
        if self.moved() {
            progress.wrote(wrote);
        }
        if ended && self.moved() && progress.sent().is_none() {
            progress.finished(wrote);
        }
    }

    /// Wakes nobody from now on, and keeps no task in memory for it.
    pub(super) fn rest(&self) {
        *lock(&self.task) = Waker::noop().clone();
    }

    /// The answer has ended or is of no interest any more: neither is the rest of the request.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Relaxed);
        if self.body.load(Relaxed) == BODY_OPEN {
            lock(&self.reader).wake_by_ref();
        }
    }
}

fn lock(waker: &Mutex<Waker>) -> MutexGuard<'_, Waker> {
    waker.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request's body that tells the pulse when it has ended or failed.
pub(super) struct Tracked<B> {
    body: B,
    end: End,
}

/// hyper lets go of a body as soon as it has taken everything of it.
struct End {
    pulse: Arc<Pulse>,
    clock: Clock,
}

impl<B> Tracked<B> {
    pub(super) fn new(body: B, pulse: Arc<Pulse>, clock: Clock) -> Self {
        Self { body, end: End { pulse, clock } }
    }

    pub(super) fn into_inner(self) -> B {
        self.body
    }
}

impl<B: RequestBody> Body for Tracked<B> {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.end.is_abandoned(cx) {
            return Poll::Ready(Some(Err(Broken("nobody waits for the answer".into()))));
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.end.passed();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.end.pulse.body.store(BODY_FAILED, Relaxed);
                Poll::Ready(Some(Err(Broken(error.into()))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Why a request's body broke. A type of its own, because the compiler cannot prove a future
/// `Send` that is generic over boxed errors.
#[derive(Debug)]
pub(super) struct Broken(BoxError);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl End {
    /// Whether to stop.
    fn is_abandoned(&self, cx: &Context<'_>) -> bool {
        lock(&self.pulse.reader).clone_from(cx.waker());
        self.pulse.abandoned.load(Relaxed)
    }

    fn passed(&self) {
        self.pulse.wrote(self.clock.now());
        lock(&self.pulse.task).wake_by_ref();
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let body = &self.pulse.body;
        if body.compare_exchange(BODY_OPEN, BODY_ENDED, Relaxed, Relaxed).is_ok() {
            self.passed();
        }
    }
}
