//! Whether an HTTP/2 client still reads its answer.
//!
//! Over HTTP/1.1 the socket tells. Over HTTP/2 one stream can stand still while others move, and
//! the library asks a body for nothing until its client grants more. So the task of each stream
//! watches over it: it ends, and resets the stream, when a client has granted nothing for as long
//! as it may pause.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;

use crate::clock::Clock;
use crate::time::{Moment, nanos};

tokio::task_local! {
    /// The reader of the stream whose task this is.
    static READER: Arc<Reader>;
}

/// Runs the tasks of a connection's streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams {
    pub(super) clock: Clock,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let reader = Arc::new(Reader::new(self.clock));
        tokio::spawn(READER.scope(Arc::clone(&reader), watched(stream, reader)));
    }
}

async fn watched(stream: impl Future<Output = ()>, reader: Arc<Reader>) {
    let mut stream = pin!(stream);
    let mut timer: Option<(Moment, Pin<Box<tokio::time::Sleep>>)> = None;
    std::future::poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(due) = reader.due() else {
            timer = None;
            return Poll::Pending;
        };
        if timer.as_ref().is_none_or(|(at, _)| *at != due) {
            timer = Some((due, Box::pin(reader.clock.sleep_until(due))));
        }
        timer.as_mut().map_or(Poll::Pending, |(_, timer)| timer.as_mut().poll(cx))
    })
    .await;
}

/// How far the client of one stream has read.
#[derive(Debug)]
pub(super) struct Reader {
    clock: Clock,
    /// Nanoseconds of the moment at which it was given a piece and asked for no more since; zero
    /// where it is not waited for.
    paused_since: AtomicU64,
    /// Nanoseconds that it may pause.
    pause_max: AtomicU64,
}

impl Reader {
    fn new(clock: Clock) -> Self {
        Self { clock, paused_since: AtomicU64::new(0), pause_max: AtomicU64::new(u64::MAX) }
    }

    /// That of the stream whose task calls.
    pub(super) fn of_this_task() -> Option<Arc<Self>> {
        READER.try_with(Arc::clone).ok()
    }

    /// It may pause for so long.
    pub(super) fn allow_pause(&self, pause_max: Duration) {
        self.pause_max.store(nanos(pause_max), Relaxed);
    }

    /// It has taken what it was given.
    pub(super) fn asks(&self) {
        self.paused_since.store(0, Relaxed);
    }

    /// It was given a piece, and another one follows.
    pub(super) fn was_given(&self) {
        self.paused_since.store(self.clock.now().as_nanos().max(1), Relaxed);
    }

    /// When its pause is over.
    fn due(&self) -> Option<Moment> {
        let since = self.paused_since.load(Relaxed);
        let pause_max = self.pause_max.load(Relaxed);
        (since != 0).then(|| Moment::from_nanos(since.saturating_add(pause_max)))
    }
}
