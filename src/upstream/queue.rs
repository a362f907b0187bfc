//! Calls of all workers that wait for a connection to one upstream, in order of arrival.
//!
//! A connection that becomes free goes to the call that has waited longest, whichever worker it
//! belongs to. So a limit below the number of workers is shared without closing connections. The
//! socket stays registered with the thread that opened it, so the other thread's exchange pays a
//! wake-up between threads; that happens only where calls wait.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, oneshot};

/// A pooled connection whose type depends on the type of request bodies. All workers use the same,
/// so that each can downcast it.
pub(super) type AnyConnection = Box<dyn Any + Send>;

#[derive(Default)]
pub(super) struct ConnectionQueue {
    calls: Mutex<QueuedCalls>,
    /// Length of the queue, readable without the lock.
    len: AtomicUsize,
    changed: Notify,
}

#[derive(Default)]
struct QueuedCalls {
    next_number: u64,
    senders: VecDeque<(u64, oneshot::Sender<AnyConnection>)>,
}

impl ConnectionQueue {
    pub(super) fn len(&self) -> usize {
        self.len.load(SeqCst)
    }

    /// Adds a call at the end.
    pub(super) fn join(&self) -> QueuedCall<'_> {
        let (sender, connection) = oneshot::channel();
        let mut calls = self.calls();
        let number = calls.next_number;
        calls.next_number += 1;
        calls.senders.push_back((number, sender));
        self.len.store(calls.senders.len(), SeqCst);
        QueuedCall { queue: self, number, connection }
    }

    /// Gives a connection to the call that has waited longest.
    ///
    /// # Errors
    ///
    /// Returns the connection if no call waits.
    pub(super) fn offer(&self, mut connection: AnyConnection) -> Result<(), AnyConnection> {
        let mut calls = self.calls();
        while let Some((_, sender)) = calls.senders.pop_front() {
            self.len.store(calls.senders.len(), SeqCst);
            match sender.send(connection) {
                Ok(()) => return Ok(()),
                Err(returned) => connection = returned,
            }
        }
        Err(connection)
    }

    /// Wakes one waiting call, because a connection or a stream may be available.
    pub(super) fn notify(&self) {
        if self.len() > 0 {
            self.changed.notify_one();
        }
    }

    /// Completes after [`Self::notify`].
    pub(super) fn notified(&self) -> Notified<'_> {
        self.changed.notified()
    }

    fn calls(&self) -> MutexGuard<'_, QueuedCalls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A waiting call; leaves the queue when it is dropped.
pub(super) struct QueuedCall<'a> {
    queue: &'a ConnectionQueue,
    number: u64,
    connection: oneshot::Receiver<AnyConnection>,
}

impl QueuedCall<'_> {
    /// The connection that was offered to this call.
    pub(super) async fn connection(&mut self) -> AnyConnection {
        match (&mut self.connection).await {
            Ok(connection) => connection,
            // The sender stays in the queue until it is used.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for QueuedCall<'_> {
    fn drop(&mut self) {
        let mut calls = self.queue.calls();
        if let Ok(place) = calls.senders.binary_search_by_key(&self.number, |(number, _)| *number) {
            calls.senders.remove(place);
        }
        self.queue.len.store(calls.senders.len(), SeqCst);
    }
}
