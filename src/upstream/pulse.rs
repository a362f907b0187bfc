//! What the wire of one connection tells those who drive it: bytes written, the moment of the
//! latest write, the end of the request, and who is to be woken.
//!
//! An HTTP/1 connection is driven by the call that uses it, so nearly every wake-up that hyper
//! sends itself while that call is running would only make the runtime poll the call once more
//! for nothing. A pulse is therefore also the waker of its connection: told to be quiet, it
//! swallows them. Whoever quietens it polls the connection before waiting again, so no event
//! of the socket is lost. It refuses to decide anything.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{BoxError, Progress, RequestBody};
use crate::clock::Clock;
use crate::policy::time::Moment;

/// Bytes of one answer's head and everything interim before it. hyper bounds one head; this
/// bounds a flood of `1xx` answers, each of which is small.
const HEAD_BYTES_MAX: u64 = 256 * 1024;

/// Not counting: no head is awaited.
const UNCOUNTED: u64 = u64::MAX;

const BODY_OPEN: u8 = 0;
const BODY_ENDED: u8 = 1;
const BODY_FAILED: u8 = 2;

/// Shared between a connection, its wire and the body of the request that it carries.
pub(super) struct Pulse {
    /// Bytes written since the connection opened.
    written: AtomicU64,
    /// The same at the start of the present exchange.
    base: AtomicU64,
    /// Nanoseconds of the start of the present exchange; zero once its first poll is over.
    began: AtomicU64,
    /// Nanoseconds of the latest write.
    wrote: AtomicU64,
    /// Nanoseconds of the moment the request was written to its end; zero before that.
    sent: AtomicU64,
    /// Bytes read while a head is awaited.
    head: AtomicU64,
    body: AtomicU8,
    /// Nobody waits for the answer any more.
    abandoned: AtomicBool,
    quiet: AtomicBool,
    /// Who waits for the answer.
    task: Mutex<Waker>,
    /// Who reads the request's body, where that is another task.
    reader: Mutex<Waker>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            written: AtomicU64::new(0),
            base: AtomicU64::new(0),
            began: AtomicU64::new(0),
            wrote: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            head: AtomicU64::new(UNCOUNTED),
            body: AtomicU8::new(BODY_OPEN),
            abandoned: AtomicBool::new(false),
            quiet: AtomicBool::new(false),
            task: Mutex::new(Waker::noop().clone()),
            reader: Mutex::new(Waker::noop().clone()),
        }
    }

    /// A new exchange begins at `now`, and is about to be written.
    pub(super) fn begin(&self, now: Moment) {
        self.began.store(now.as_nanos(), Relaxed);
        self.base.store(self.written.load(Relaxed), Relaxed);
        self.sent.store(0, Relaxed);
        self.head.store(0, Relaxed);
        self.body.store(BODY_OPEN, Relaxed);
    }

    /// Its head has arrived.
    pub(super) fn answered(&self) {
        self.head.store(UNCOUNTED, Relaxed);
    }

    /// Whether a byte was written since the exchange began.
    pub(super) fn moved(&self) -> bool {
        self.written.load(Relaxed) != self.base.load(Relaxed)
    }

    /// Whether a head is awaited and something of it has come.
    pub(super) fn heard(&self) -> bool {
        !matches!(self.head.load(Relaxed), 0 | UNCOUNTED)
    }

    /// Whether it was the request's own body that broke.
    pub(super) fn body_failed(&self) -> bool {
        self.body.load(Relaxed) == BODY_FAILED
    }

    /// The moment of the latest write.
    pub(super) fn last_write(&self) -> Moment {
        Moment::from_nanos(self.wrote.load(Relaxed))
    }

    /// Passes on what is known to the attempt that waits.
    pub(super) fn tell(&self, progress: &Progress) {
        self.began.store(0, Relaxed);
        if !self.moved() {
            return;
        }
        progress.wrote(Moment::from_nanos(self.wrote.load(Relaxed)));
        let sent = self.sent.load(Relaxed);
        if sent != 0 {
            progress.finished(Moment::from_nanos(sent));
        }
    }

    /// The wire took `bytes`. What is written as an exchange begins was written when it began;
    /// the clock is asked for later writes.
    pub(super) fn write_by(&self, bytes: usize, clock: Clock) {
        let now = match self.began.load(Relaxed) {
            0 => clock.now(),
            began => Moment::from_nanos(began),
        };
        self.write(bytes, now);
    }

    /// `bytes` were taken at `now`.
    pub(super) fn write(&self, bytes: usize, now: Moment) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.written.store(self.written.load(Relaxed).saturating_add(bytes), Relaxed);
        self.wrote.store(now.as_nanos(), Relaxed);
    }

    /// The wire holds nothing back; when the request's body has ended too, the request is sent.
    pub(super) fn flushed(&self) {
        if self.body.load(Relaxed) == BODY_ENDED && self.sent.load(Relaxed) == 0 && self.moved() {
            self.sent.store(self.wrote.load(Relaxed).max(1), Relaxed);
        }
    }

    /// The request consists of its head.
    pub(super) fn no_body(&self) {
        self.body.store(BODY_ENDED, Relaxed);
    }

    /// The answer has ended or is of no interest any more: neither is the rest of the request.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Relaxed);
        if self.body.load(Relaxed) == BODY_OPEN {
            lock(&self.reader).wake_by_ref();
        }
    }

    /// The wire gave `bytes`.
    pub(super) fn read(&self, bytes: usize) {
        let count = self.head.load(Relaxed);
        if count != UNCOUNTED {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            self.head.store(count.saturating_add(bytes).min(UNCOUNTED - 1), Relaxed);
        }
    }

    /// Whether more was read in search of a head than any answer needs.
    pub(super) fn flooded(&self) -> bool {
        let count = self.head.load(Relaxed);
        count != UNCOUNTED && count > HEAD_BYTES_MAX
    }

    /// Wake-ups go to `task` from now on.
    pub(super) fn attend(&self, task: &Waker) {
        let mut present = lock(&self.task);
        if !present.will_wake(task) {
            present.clone_from(task);
        }
        self.quiet.store(false, Relaxed);
    }

    /// Wake-ups go nowhere from now on, and no task is kept in memory for them.
    pub(super) fn rest(&self) {
        self.quiet.store(true, Relaxed);
        *lock(&self.task) = Waker::noop().clone();
    }

    /// Wakes nobody until it attends again.
    pub(super) fn quiet(&self) {
        self.quiet.store(true, Relaxed);
    }

    /// Does `work` without waking anybody; the caller drives the connection before it waits.
    pub(super) fn quietly<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = self.quiet.swap(true, Relaxed);
        let done = work();
        self.quiet.store(before, Relaxed);
        done
    }
}

fn lock(waker: &Mutex<Waker>) -> MutexGuard<'_, Waker> {
    waker.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wake for Pulse {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.quiet.load(Relaxed) {
            lock(&self.task).wake_by_ref();
        }
    }
}

/// A request's body that tells the pulse when it has ended or failed.
pub(super) struct Tracked<B> {
    body: B,
    end: End,
}

/// hyper lets go of a body as soon as it has taken everything of it.
struct End {
    pulse: Arc<Pulse>,
    /// Where the body is read by another task than that of the exchange: how to tell the time
    /// of its progress, and that the exchange is to be woken for it.
    watch: Option<Clock>,
}

impl<B> Tracked<B> {
    /// Read by the task of its exchange.
    pub(super) fn new(body: B, pulse: Arc<Pulse>) -> Self {
        Self { body, end: End { pulse, watch: None } }
    }

    /// Read by another task.
    pub(super) fn watched(body: B, pulse: Arc<Pulse>, clock: Clock) -> Self {
        Self { body, end: End { pulse, watch: Some(clock) } }
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
                self.end.passed(&frame);
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
    /// Whether to stop. Where one task does both, the body goes with its connection.
    fn is_abandoned(&self, cx: &Context<'_>) -> bool {
        if self.watch.is_none() {
            return false;
        }
        lock(&self.pulse.reader).clone_from(cx.waker());
        self.pulse.abandoned.load(Relaxed)
    }

    fn passed(&self, frame: &Frame<Bytes>) {
        if let Some(clock) = self.watch {
            self.pulse.write(frame.data_ref().map_or(0, Bytes::len), clock.now());
            lock(&self.pulse.task).wake_by_ref();
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let pulse = &self.pulse;
        let _ = pulse.body.compare_exchange(BODY_OPEN, BODY_ENDED, Relaxed, Relaxed);
        if let Some(clock) = self.watch {
            pulse.write(0, clock.now());
            lock(&pulse.task).wake_by_ref();
        }
    }
}
