//! The calls of all workers that wait for a connection to one upstream, in the order in which
//! they came.
//!
//! A connection that becomes free is handed to the first of them, on whichever worker it waits:
//! so a bound below the number of workers is shared without a connection being closed for it. The
//! socket stays registered with the thread that opened it, which costs a wake between threads,
//! and only where calls wait.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, oneshot};

/// Something that a request can be sent on. Of what type is known to the workers, who all send
/// alike.
pub(super) type Handed = Box<dyn Any + Send>;

/// The calls that wait.
#[derive(Default)]
pub(super) struct Queue {
    line: Mutex<Line>,
    /// The length of the line.
    waiting: AtomicUsize,
    changed: Notify,
}

#[derive(Default)]
struct Line {
    next: u64,
    calls: VecDeque<(u64, oneshot::Sender<Handed>)>,
}

impl Queue {
    /// How many calls wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.load(SeqCst)
    }

    /// A place at the end of the line.
    pub(super) fn join(&self) -> Waiting<'_> {
        let (sender, handed) = oneshot::channel();
        let mut line = self.line();
        let number = line.next;
        line.next += 1;
        line.calls.push_back((number, sender));
        self.waiting.store(line.calls.len(), SeqCst);
        Waiting { queue: self, number, handed }
    }

    /// Hands something to the call that has waited longest.
    ///
    /// # Errors
    ///
    /// No call waits: it comes back.
    pub(super) fn hand(&self, mut what: Handed) -> Result<(), Handed> {
        let mut line = self.line();
        while let Some((_, sender)) = line.calls.pop_front() {
            self.waiting.store(line.calls.len(), SeqCst);
            match sender.send(what) {
                Ok(()) => return Ok(()),
                Err(back) => what = back,
            }
        }
        Err(what)
    }

    /// There may be something for a call that waits: the first one looks.
    pub(super) fn nudge(&self) {
        if self.len() > 0 {
            self.changed.notify_one();
        }
    }

    /// Ends when there may be something.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them; leaves the line when it is dropped.
pub(super) struct Waiting<'a> {
    queue: &'a Queue,
    number: u64,
    handed: oneshot::Receiver<Handed>,
}

impl Waiting<'_> {
    /// What it is handed.
    pub(super) async fn handed(&mut self) -> Handed {
        match (&mut self.handed).await {
            Ok(handed) => handed,
            // The sender stands in the line until it is used.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut line = self.queue.line();
        if let Ok(place) = line.calls.binary_search_by_key(&self.number, |(number, _)| *number) {
            line.calls.remove(place);
        }
        self.queue.waiting.store(line.calls.len(), SeqCst);
    }
}
