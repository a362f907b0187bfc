//! What all workers share of one upstream: the connection limit, the queue of waiting calls, the
//! TLS configuration, and the HTTP version that the upstream turned out to speak.
//!
//! A call that finds an idle connection touches none of it but the length of the queue. The
//! connections themselves belong to the workers.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::queue::{AnyConnection, ConnectionQueue};
use super::settings::{Protocol, Scheme, Settings, TlsRoots};
use super::tls::TlsConfig;

/// What the workers' [`Upstreams`](super::Upstreams) share; made once per configuration.
pub struct Shared {
    upstreams: Box<[Arc<SharedUpstream>]>,
}

impl Shared {
    /// For the upstreams of `settings`, in their order. Reads no file and opens no connection.
    #[must_use]
    pub fn new(settings: &[Settings]) -> Arc<Self> {
        let upstreams = settings.iter().map(|settings| Arc::new(SharedUpstream::new(settings)));
        Arc::new(Self { upstreams: upstreams.collect() })
    }

    /// For changed settings: an upstream whose settings are the same keeps its connections.
    #[must_use]
    pub fn renewed(&self, settings: &[Settings]) -> Arc<Self> {
        let known = |settings: &Settings| {
            let same = |upstream: &&Arc<SharedUpstream>| upstream.serves(settings);
            self.upstreams.iter().find(same).map(Arc::clone)
        };
        let upstreams = settings
            .iter()
            .map(|it| known(it).unwrap_or_else(|| Arc::new(SharedUpstream::new(it))));
        Arc::new(Self { upstreams: upstreams.collect() })
    }

    /// Connections to upstream number `upstream`, those being opened included.
    #[must_use]
    pub fn open(&self, upstream: usize) -> usize {
        let upstream = &self.upstreams[upstream];
        upstream.connections_max - upstream.permits.available_permits()
    }

    /// How many of them are idle.
    #[must_use]
    pub fn idle(&self, upstream: usize) -> usize {
        self.upstreams[upstream].live_pools().iter().map(|pool| pool.idle_count()).sum()
    }

    /// Calls that wait for a connection because all are in use.
    #[must_use]
    pub fn waiting(&self, upstream: usize) -> usize {
        self.upstreams[upstream].queue.len()
    }

    pub(super) fn upstream(&self, upstream: usize) -> Arc<SharedUpstream> {
        Arc::clone(&self.upstreams[upstream])
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("upstreams", &self.upstreams.len()).finish()
    }
}

/// A worker's connections to one upstream, as other workers use them.
pub(super) trait WorkerPool: Send + Sync {
    fn idle_count(&self) -> usize;
    /// An idle connection or a free stream, for a call of any worker.
    fn take_any(&self) -> Option<AnyConnection>;
    /// Closes an idle connection that is reserved for one client, if there is any.
    fn close_reserved(&self) -> bool;
}

pub(super) struct SharedUpstream {
    settings: Settings,
    permits: Arc<Semaphore>,
    connections_max: usize,
    pub(super) queue: ConnectionQueue,
    /// An [`HttpVersion`] as a number.
    version: AtomicU8,
    /// Absent for an upstream without TLS.
    pub(super) tls: Option<Arc<TlsConfig>>,
    pools: Mutex<Vec<Weak<dyn WorkerPool>>>,
}

/// The HTTP version of an upstream, as its latest connection negotiated it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HttpVersion {
    /// No connection has been opened yet.
    Unknown,
    Http1,
    Http2,
}

impl SharedUpstream {
    fn new(settings: &Settings) -> Self {
        let connections_max = settings.connections_max.clamp(1, Semaphore::MAX_PERMITS);
        let tls = match settings.origin.scheme {
            Scheme::Http => None,
            Scheme::Https => Some(Arc::new(TlsConfig::new(&settings.roots, settings.protocol))),
        };
        let upstream = Self {
            settings: settings.clone(),
            permits: Arc::new(Semaphore::new(connections_max)),
            connections_max,
            queue: ConnectionQueue::default(),
            version: AtomicU8::new(0),
            tls,
            pools: Mutex::new(Vec::new()),
        };
        upstream.set_version(match (settings.protocol, settings.origin.scheme) {
            (Protocol::Http2, _) => HttpVersion::Http2,
            (Protocol::Http1, _) | (Protocol::Auto, Scheme::Http) => HttpVersion::Http1,
            (Protocol::Auto, Scheme::Https) => HttpVersion::Unknown,
        });
        upstream
    }

    /// Whether its connections can be used with these settings. The file of certificates may have
    /// changed, so it is read again.
    fn serves(&self, settings: &Settings) -> bool {
        let from_file = matches!(settings.roots, TlsRoots::File(_));
        self.settings == *settings && !from_file
    }

    pub(super) fn version(&self) -> HttpVersion {
        match self.version.load(Relaxed) {
            1 => HttpVersion::Http1,
            2 => HttpVersion::Http2,
            _ => HttpVersion::Unknown,
        }
    }

    pub(super) fn set_version(&self, version: HttpVersion) {
        let number = match version {
            HttpVersion::Unknown => 0,
            HttpVersion::Http1 => 1,
            HttpVersion::Http2 => 2,
        };
        self.version.store(number, Relaxed);
    }

    /// Lets the other workers use the connections of `pool`.
    pub(super) fn register(&self, pool: Weak<dyn WorkerPool>) {
        let mut pools = self.pools();
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(pool);
    }

    /// Permission to open a connection, if the limit allows one more.
    pub(super) fn try_permit(&self) -> Option<ConnectionPermit> {
        Some(ConnectionPermit { _permit: Arc::clone(&self.permits).try_acquire_owned().ok()? })
    }

    /// Waits for permission to open a connection, first come, first served.
    pub(super) async fn permit(&self) -> ConnectionPermit {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        ConnectionPermit { _permit: permit.expect("the semaphore is never closed") }
    }

    /// An idle connection or a free stream of any worker.
    pub(super) fn take_from_any_worker(&self) -> Option<AnyConnection> {
        self.live_pools().iter().find_map(|pool| pool.take_any())
    }

    /// Closes an idle connection that is reserved for one client, to make room for a waiting call.
    pub(super) fn make_room(&self) {
        let _ = self.live_pools().iter().any(|pool| pool.close_reserved());
    }

    fn live_pools(&self) -> Vec<Arc<dyn WorkerPool>> {
        self.pools().iter().filter_map(Weak::upgrade).collect()
    }

    fn pools(&self) -> MutexGuard<'_, Vec<Weak<dyn WorkerPool>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Permission to have one connection open; returned when it is dropped.
pub(super) struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
}
