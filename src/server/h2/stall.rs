//! Ends HTTP/2 streams whose client does not read its response.
//!
//! Over HTTP/1.1 a full socket shows that a client does not read. Over HTTP/2 a single stream can
//! stall: hyper then does not poll its body until the client grants more flow-control window. So
//! each stream's task is wrapped; the wrapper ends it, which resets the stream, when the client has
//! granted nothing for the pause allowed to it.

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
    /// The progress of the stream that the current task serves.
    static PROGRESS: Arc<ReadProgress>;
}

/// Spawns the tasks of a connection's streams.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct StreamExecutor {
    pub(in crate::server) clock: Clock,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        let progress = Arc::new(ReadProgress {
            clock: self.clock,
            waiting_since: AtomicU64::new(0),
            pause_max: AtomicU64::new(u64::MAX),
        });
        let watched = Arc::clone(&progress);
        let task = async move {
            let mut stream = pin!(stream);
            let mut timer: Option<(Moment, Pin<Box<tokio::time::Sleep>>)> = None;
            std::future::poll_fn(|cx| {
                if stream.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                let Some(deadline) = watched.deadline() else {
                    timer = None;
                    return Poll::Pending;
                };
                if timer.as_ref().is_none_or(|(at, _)| *at != deadline) {
                    timer = Some((deadline, Box::pin(watched.clock.sleep_until(deadline))));
                }
                timer.as_mut().map_or(Poll::Pending, |(_, timer)| timer.as_mut().poll(cx))
            })
            .await;
        };
        tokio::spawn(PROGRESS.scope(progress, task));
    }
}

/// Whether the client of one stream reads its response.
#[derive(Debug)]
pub(super) struct ReadProgress {
    clock: Clock,
    /// Nanoseconds of the moment at which a frame was handed to hyper that the client has not made
    /// room behind yet; zero while no frame is.
    waiting_since: AtomicU64,
    /// Nanoseconds for which the client may read nothing.
    pause_max: AtomicU64,
}

impl ReadProgress {
    /// The progress of the stream that the calling task serves.
    pub(super) fn of_this_task() -> Option<Arc<Self>> {
        PROGRESS.try_with(Arc::clone).ok()
    }

    pub(super) fn allow_pause(&self, pause_max: Duration) {
        self.pause_max.store(nanos(pause_max), Relaxed);
    }

    /// The client has made room for another frame.
    pub(super) fn client_reads(&self) {
        self.waiting_since.store(0, Relaxed);
    }

    /// A frame was handed to hyper, and another one follows.
    pub(super) fn frame_sent(&self) {
        self.waiting_since.store(self.clock.now().as_nanos().max(1), Relaxed);
    }

    /// When the allowed pause is over.
    fn deadline(&self) -> Option<Moment> {
        let since = self.waiting_since.load(Relaxed);
        let pause_max = self.pause_max.load(Relaxed);
        (since != 0).then(|| Moment::from_nanos(since.saturating_add(pause_max)))
    }
}
