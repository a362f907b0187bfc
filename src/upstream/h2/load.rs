//! How busy an HTTP/2 connection is, and whether it may be used.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;

use super::wire::Traffic;
use crate::clock::Clock;
use crate::outcome::Failure;
use crate::time::Moment;
use crate::upstream::settings::AnswerBounds;
use crate::upstream::shared::Common;

/// Streams on one connection, however many the upstream would take: more than this many calls
/// should not hang on one TCP connection.
const STREAMS_MAX: usize = 200;

/// Silence on a connection from which on an exchange that was given up makes it suspect: as long
/// as others are answered, the connection is not what is slow.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);

/// What a connection's users and its driver tell each other.
pub(super) struct Load {
    streams: AtomicUsize,
    idle_since: AtomicU64,
    /// The upstream's SETTINGS have arrived.
    greeted: AtomicBool,
    /// It may not live any more: no stream is begun before it has answered a PING.
    suspect: AtomicBool,
    /// No stream is begun any more.
    retired: AtomicBool,
    /// A head arrived since the driver last looked.
    answered: AtomicBool,
    /// How it ended.
    end: Mutex<Option<Option<Failure>>>,
    /// Tells the one that opens it that it was greeted or is over.
    opened: Notify,
    driver: Mutex<Waker>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) clock: Clock,
    pub(super) bounds: AnswerBounds,
    common: Arc<Common>,
}

impl Load {
    pub(super) fn new((clock, bounds): (Clock, AnswerBounds), common: Arc<Common>) -> Self {
        Self {
            streams: AtomicUsize::new(0),
            idle_since: AtomicU64::new(clock.now().as_nanos()),
            greeted: AtomicBool::new(false),
            suspect: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            end: Mutex::new(None),
            opened: Notify::new(),
            driver: Mutex::new(Waker::noop().clone()),
            traffic: Arc::new(Traffic::new(clock)),
            clock,
            bounds,
            common,
        }
    }

    pub(super) fn streams(&self) -> usize {
        self.streams.load(Relaxed)
    }

    pub(super) fn idle_since(&self) -> Moment {
        Moment::from_nanos(self.idle_since.load(Relaxed))
    }

    /// Whether streams may be begun on it, as far as there is room.
    pub(super) fn is_usable(&self) -> bool {
        !self.suspect.load(Relaxed) && !self.retired.load(Relaxed)
    }

    pub(super) fn is_suspect(&self) -> bool {
        self.suspect.load(Relaxed)
    }

    pub(super) fn is_over(&self) -> bool {
        self.end().is_some()
    }

    /// Ends when the upstream's SETTINGS are there.
    ///
    /// # Errors
    ///
    /// The connection ended first; why, where there is a reason.
    pub(super) async fn greeting(&self) -> Result<(), Option<Failure>> {
        while !self.greeted.load(Relaxed) {
            if let Some(end) = &*self.end() {
                return Err(end.clone());
            }
            self.opened.notified().await;
        }
        Ok(())
    }

    pub(super) fn greet(&self) {
        if !self.greeted.swap(true, Relaxed) {
            self.opened.notify_one();
        }
    }

    /// It ended.
    pub(super) fn finish(&self, failure: Option<Failure>) {
        self.end().get_or_insert(failure);
        self.opened.notify_one();
        self.nudge();
    }

    /// The driver runs in this task.
    pub(super) fn drive(&self, driver: &Waker) {
        let mut present = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        if !present.will_wake(driver) {
            present.clone_from(driver);
        }
    }

    /// Lets the driver look.
    pub(super) fn wake(&self) {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
    }

    /// An exchange ended without an answer's head.
    pub(super) fn given_up(&self) {
        let silence = self.clock.now().since(self.traffic.heard());
        if silence >= SUSPECT_AFTER {
            self.doubt();
        }
    }

    /// The connection may be dead.
    pub(super) fn doubt(&self) {
        if !self.suspect.swap(true, Relaxed) {
            self.wake();
        }
    }

    /// It has answered a PING.
    pub(super) fn trust(&self) {
        if self.suspect.swap(false, Relaxed) {
            self.nudge();
        }
    }

    /// No stream is begun on it any more; those that are open go on.
    pub(super) fn retire(&self) {
        self.retired.store(true, Relaxed);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }

    /// An answer's head arrived.
    pub(super) fn answer(&self) {
        self.answered.store(true, Relaxed);
    }

    pub(super) fn take_answered(&self) -> bool {
        self.answered.swap(false, Relaxed)
    }

    /// There may be room for a call that waits.
    pub(super) fn nudge(&self) {
        self.common.nudge();
    }

    fn end(&self) -> std::sync::MutexGuard<'_, Option<Option<Failure>>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One stream of a connection.
pub(super) struct Place {
    pub(super) load: Arc<Load>,
}

impl Place {
    /// A place among those that the upstream grants.
    pub(super) fn take(load: &Arc<Load>, granted: usize) -> Option<Self> {
        if !load.is_usable() || load.streams() >= granted.min(STREAMS_MAX) {
            return None;
        }
        load.streams.fetch_add(1, Relaxed);
        Some(Self { load: Arc::clone(load) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.load.streams.fetch_sub(1, Relaxed) == 1 {
            self.load.idle_since.store(self.load.clock.now().as_nanos(), Relaxed);
            if self.load.is_retired() {
                self.load.wake();
            }
        }
        self.load.nudge();
    }
}
