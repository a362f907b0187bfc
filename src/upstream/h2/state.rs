//! What the exchanges of an HTTP/2 connection and its driver share: how many streams are open, and
//! whether the connection may be used.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;

use super::tracking::{RequestTracker, TrackedRequest};
use crate::clock::Clock;
use crate::outcome::Failure;
use crate::time::Moment;
use crate::upstream::shared::SharedUpstream;

/// Streams on one connection, even if the upstream allows more: more calls than this should not
/// depend on one TCP connection.
const STREAMS_MAX: usize = 200;

/// An abandoned exchange makes the connection suspect if nothing has been received for this long.
/// While other exchanges get responses, it is not the connection that is slow.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);

pub(super) struct ConnectionState {
    open_streams: AtomicUsize,
    /// Nanoseconds of the moment at which the last stream ended.
    idle_since: AtomicU64,
    settings_received: AtomicBool,
    /// The connection may be dead: no stream is opened before it has answered a PING.
    suspect: AtomicBool,
    /// No stream is opened any more; those that are open go on.
    draining: AtomicBool,
    /// A response's head has been received since the driver last looked.
    head_received: AtomicBool,
    /// Set when the connection has ended, to the reason if there is one.
    end: Mutex<Option<Option<Failure>>>,
    /// Notified when the SETTINGS have been received, and when the connection has ended.
    opened: Notify,
    driver: Mutex<Waker>,
    pub(super) tracker: Arc<RequestTracker>,
    pub(super) clock: Clock,
    shared: Arc<SharedUpstream>,
}

impl ConnectionState {
    pub(super) fn new(clock: Clock, shared: Arc<SharedUpstream>) -> Self {
        Self {
            open_streams: AtomicUsize::new(0),
            idle_since: AtomicU64::new(clock.now().as_nanos()),
            settings_received: AtomicBool::new(false),
            suspect: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            head_received: AtomicBool::new(false),
            end: Mutex::new(None),
            opened: Notify::new(),
            driver: Mutex::new(Waker::noop().clone()),
            tracker: Arc::new(RequestTracker::new(clock)),
            clock,
            shared,
        }
    }

    pub(super) fn open_streams(&self) -> usize {
        self.open_streams.load(Relaxed)
    }

    pub(super) fn idle_since(&self) -> Moment {
        Moment::from_nanos(self.idle_since.load(Relaxed))
    }

    /// Whether streams may be opened, as far as there is room.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_suspect() && !self.is_draining()
    }

    /// Completes when the upstream's SETTINGS have arrived.
    ///
    /// # Errors
    ///
    /// The connection ended first, for this reason if there is one.
    pub(super) async fn settings_received(&self) -> Result<(), Option<Failure>> {
        while !self.settings_received.load(Relaxed) {
            if let Some(end) = &*self.end() {
                return Err(end.clone());
            }
            self.opened.notified().await;
        }
        Ok(())
    }

    pub(super) fn set_settings_received(&self) {
        if !self.settings_received.swap(true, Relaxed) {
            self.opened.notify_one();
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.end().is_some()
    }

    pub(super) fn set_ended(&self, failure: Option<Failure>) {
        self.end().get_or_insert(failure);
        self.opened.notify_one();
        self.notify_waiting();
    }

    pub(super) fn set_driver(&self, waker: &Waker) {
        let mut driver = self.driver();
        if !driver.will_wake(waker) {
            driver.clone_from(waker);
        }
    }

    pub(super) fn wake_driver(&self) {
        self.driver().wake_by_ref();
    }

    pub(super) fn is_suspect(&self) -> bool {
        self.suspect.load(Relaxed)
    }

    pub(super) fn suspect(&self) {
        if !self.suspect.swap(true, Relaxed) {
            self.wake_driver();
        }
    }

    pub(super) fn clear_suspicion(&self) {
        if self.suspect.swap(false, Relaxed) {
            self.notify_waiting();
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    pub(super) fn start_draining(&self) {
        self.draining.store(true, Relaxed);
    }

    pub(super) fn head_received(&self) {
        self.head_received.store(true, Relaxed);
    }

    pub(super) fn take_head_received(&self) -> bool {
        self.head_received.swap(false, Relaxed)
    }

    /// Wakes a call that waits for a stream, because one may be available.
    pub(super) fn notify_waiting(&self) {
        self.shared.queue.notify();
    }

    fn end(&self) -> MutexGuard<'_, Option<Option<Failure>>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn driver(&self) -> MutexGuard<'_, Waker> {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the streams that a connection may have open at the same time.
pub(super) struct StreamPermit {
    pub(super) state: Arc<ConnectionState>,
}

impl StreamPermit {
    /// `granted` is the upstream's limit of streams.
    pub(super) fn acquire(state: &Arc<ConnectionState>, granted: usize) -> Option<Self> {
        if !state.is_usable() || state.open_streams() >= granted.min(STREAMS_MAX) {
            return None;
        }
        state.open_streams.fetch_add(1, Relaxed);
        Some(Self { state: Arc::clone(state) })
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        if self.state.open_streams.fetch_sub(1, Relaxed) == 1 {
            self.state.idle_since.store(self.state.clock.now().as_nanos(), Relaxed);
            if self.state.is_draining() {
                self.state.wake_driver();
            }
        }
        self.state.notify_waiting();
    }
}

/// An open stream, from the request until the response's body has ended or was dropped.
pub(super) struct OpenStream {
    pub(super) tracked: TrackedRequest,
    permit: StreamPermit,
    /// Whether the exchange has not got a response yet, nor failed.
    is_unanswered: bool,
}

impl OpenStream {
    pub(super) const fn new(tracked: TrackedRequest, permit: StreamPermit) -> Self {
        Self { tracked, permit, is_unanswered: true }
    }

    /// The exchange has its response's head, or has failed: from now on dropping the stream does
    /// not make the connection suspect.
    pub(super) fn set_ended(&mut self) {
        self.is_unanswered = false;
    }

    pub(super) fn state(&self) -> &ConnectionState {
        &self.permit.state
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let state = self.state();
        state.tracker.forget(&self.tracked);
        if self.is_unanswered {
            let silence = state.clock.now().since(state.tracker.last_received());
            if silence >= SUSPECT_AFTER {
                state.suspect();
            }
        }
    }
}
