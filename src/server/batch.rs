//! Batches the writes of a worker: in each tick of its event loop all tasks read before any writes.
//!
//! A peer that sleeps in `epoll_wait` is then woken once for all writes of the tick instead of once
//! for each, and these wake-ups cost more CPU time than everything else about a call.

use std::future::{Future, poll_fn};
use std::task::Poll;

/// Task polls after which the runtime asks the sockets and timers again even if tasks are waiting.
/// A call takes four polls, so larger batches would delay sockets and timers by milliseconds.
pub(super) const POLLS_PER_TICK: u32 = 512;

/// Yields once before writing, so that every task woken in this tick reads first and the writes go
/// out together. A task that is alone in its tick continues at once.
pub(super) fn yield_once() -> impl Future<Output = ()> {
    let mut yielded = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        // A task that wakes itself goes to the end of the run queue.
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn all_tasks_read_before_any_of_them_writes() {
        let events: &Mutex<Vec<String>> = Box::leak(Box::default());
        let tasks = ["a", "b", "c"].map(|name| {
            tokio::spawn(async move {
                events.lock().unwrap().push(format!("{name} reads"));
                yield_once().await;
                events.lock().unwrap().push(format!("{name} writes"));
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
        let expected = ["a reads", "b reads", "c reads", "a writes", "b writes", "c writes"];
        assert_eq!(*events.lock().unwrap(), expected);
    }
}
