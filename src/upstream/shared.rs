//! What all workers share of one upstream: the count of connections, the trust in TLS, and the
//! HTTP version it turned out to speak.
//!
//! None of it is touched by a call that finds an idle connection. It refuses to hold connections:
//! those belong to workers.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::queue::{Handed, Queue};
use super::settings::{Protocol, Scheme, Settings};
use super::tls::Trust;
use crate::outcome::Failure;

/// What the workers' [`Upstreams`](super::Upstreams) have in common; made once per configuration.
pub struct Shared {
    upstreams: Box<[Arc<Common>]>,
}

impl Shared {
    /// For the upstreams of `settings`, in their order. Reads no file and opens nothing.
    #[must_use]
    pub fn new(settings: &[Settings]) -> Arc<Self> {
        let upstreams = settings.iter().map(|settings| Arc::new(Common::new(settings))).collect();
        Arc::new(Self { upstreams })
    }

    /// Connections to upstream number `upstream`, those being dialled included.
    #[must_use]
    pub fn open(&self, upstream: usize) -> usize {
        let common = &self.upstreams[upstream];
        common.connections_max - common.permits.available_permits()
    }

    /// How many of them are unused at present.
    #[must_use]
    pub fn idle(&self, upstream: usize) -> usize {
        self.upstreams[upstream].workers().iter().map(|worker| worker.idle()).sum()
    }

    /// How many calls wait for a connection because all are in use.
    #[must_use]
    pub fn waiting(&self, upstream: usize) -> usize {
        self.upstreams[upstream].queue.len()
    }

    /// Reads the certificates that upstream number `upstream` is checked against, which otherwise
    /// happens when it is first dialled. It may block for some milliseconds.
    ///
    /// # Errors
    ///
    /// The file, or the operating system's store, holds none that can be used.
    pub fn load_trust(&self, upstream: usize) -> Result<(), Failure> {
        match &self.upstreams[upstream].trust {
            Some(trust) => trust.config().map(|_| ()),
            None => Ok(()),
        }
    }

    pub(super) fn common(&self, upstream: usize) -> Arc<Common> {
        Arc::clone(&self.upstreams[upstream])
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("upstreams", &self.upstreams.len()).finish()
    }
}

/// A worker's connections to one upstream, as the others see them.
pub(super) trait Holder: Send + Sync {
    /// How many are unused.
    fn idle(&self) -> usize;
    /// Something that a call of any worker can be sent on.
    fn give(&self) -> Option<Handed>;
    /// Closes an unused connection that is reserved for one client; whether there was one.
    fn close_reserved(&self) -> bool;
}

/// What all workers share of one upstream.
pub(super) struct Common {
    permits: Arc<Semaphore>,
    connections_max: usize,
    pub(super) queue: Queue,
    /// The version that was last negotiated.
    version: AtomicU8,
    pub(super) trust: Option<Arc<Trust>>,
    holders: Mutex<Vec<Weak<dyn Holder>>>,
}

/// The HTTP version of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Not known before the first connection.
    Unknown,
    Http1,
    Http2,
}

impl Common {
    fn new(settings: &Settings) -> Self {
        let connections_max = settings.connections_max.clamp(1, Semaphore::MAX_PERMITS);
        let trust = match settings.origin.scheme {
            Scheme::Http => None,
            Scheme::Https => Some(Arc::new(Trust::new(&settings.roots, settings.protocol))),
        };
        let common = Self {
            permits: Arc::new(Semaphore::new(connections_max)),
            connections_max,
            queue: Queue::default(),
            version: AtomicU8::new(0),
            trust,
            holders: Mutex::new(Vec::new()),
        };
        common.learn(expected(settings));
        common
    }

    /// Its version as far as is known.
    pub(super) fn version(&self) -> Version {
        match self.version.load(Relaxed) {
            1 => Version::Http1,
            2 => Version::Http2,
            _ => Version::Unknown,
        }
    }

    /// A connection has shown its version.
    pub(super) fn learn(&self, version: Version) {
        let number = match version {
            Version::Unknown => 0,
            Version::Http1 => 1,
            Version::Http2 => 2,
        };
        self.version.store(number, Relaxed);
    }

    /// Makes the connections of a worker known to the others.
    pub(super) fn join(&self, holder: Weak<dyn Holder>) {
        let mut holders = self.holders();
        holders.retain(|holder| holder.strong_count() > 0);
        holders.push(holder);
    }

    /// Leave to open a connection, if there is one left.
    pub(super) fn permit(&self) -> Option<Permit> {
        Some(Permit { _permit: Arc::clone(&self.permits).try_acquire_owned().ok()? })
    }

    /// Leave to open a connection, in the order of asking.
    pub(super) async fn next_permit(&self) -> Permit {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        Permit { _permit: permit.expect("the semaphore is never closed") }
    }

    /// Something unused of any worker.
    pub(super) fn borrow(&self) -> Option<Handed> {
        self.workers().iter().find_map(|worker| worker.give())
    }

    /// Closes a connection that waits for its client, to make room for a call that waits.
    pub(super) fn make_room(&self) {
        let _ = self.workers().iter().any(|worker| worker.close_reserved());
    }

    /// There may be room for a call that waits.
    pub(super) fn nudge(&self) {
        self.queue.nudge();
    }

    fn workers(&self) -> Vec<Arc<dyn Holder>> {
        self.holders().iter().filter_map(Weak::upgrade).collect()
    }

    fn holders(&self) -> MutexGuard<'_, Vec<Weak<dyn Holder>>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn expected(settings: &Settings) -> Version {
    match (settings.protocol, settings.origin.scheme) {
        (Protocol::Http2, _) => Version::Http2,
        (Protocol::Http1, _) | (Protocol::Auto, Scheme::Http) => Version::Http1,
        (Protocol::Auto, Scheme::Https) => Version::Unknown,
    }
}

/// Leave to have one connection open; ends when it is dropped.
pub(super) struct Permit {
    _permit: OwnedSemaphorePermit,
}
