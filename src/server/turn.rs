//! The turns of a worker's event loop: first everybody reads, then everybody writes.
//!
//! Who writes waits here until all others that the turn woke have run, so that what one turn has
//! to say goes out back to back, before the sockets are asked again. A peer that sleeps is then
//! woken once for all of it, and each wake-up costs us more than everything else about a call.
//! Alone in its turn, a task runs again at once.

use std::future::{Future, poll_fn};
use std::task::Poll;

/// So many polls of tasks end a turn, whoever still waits: a call takes four, and more calls than
/// these few hundred in one turn would make sockets and timers wait for milliseconds.
pub(super) const POLLS_MAX: u32 = 512;

/// Ends when all others that this turn has woken so far have run.
pub(super) fn behind_the_others() -> impl Future<Output = ()> {
    let mut waited = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        // Who wakes himself while he runs stands at the end of the queue.
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn everybody_reads_before_anybody_writes() {
        let said: &Mutex<Vec<String>> = Box::leak(Box::default());
        let tasks = ["a", "b", "c"].map(|name| {
            tokio::spawn(async move {
                said.lock().unwrap().push(format!("{name} reads"));
                behind_the_others().await;
                said.lock().unwrap().push(format!("{name} writes"));
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
        let expected = ["a reads", "b reads", "c reads", "a writes", "b writes", "c writes"];
        assert_eq!(*said.lock().unwrap(), expected);
    }
}
