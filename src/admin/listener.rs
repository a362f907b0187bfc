//! Accepts connections for the admin API, HTTP/1.1 only.
//!
//! It runs on the control thread's runtime, so that a flood of calls cannot starve it. Unused
//! connections cannot block it either: beyond the bound, the one that was idle longest is closed.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::handler::{AdminState, Handler};
use super::settings::Settings;
use crate::clock::Clock;
use crate::telemetry;

/// Open connections: probes, a scraper and some people.
const CONNECTIONS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// For the head of a request; idle connections are closed after the same time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Lifetime of a connection; scrapers reconnect.
const CONNECTION_MAX: Duration = Duration::from_secs(10 * 60);
/// After `accept` failed for want of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct AdminListener {
    listener: TcpListener,
    handler: Arc<Handler>,
}

impl AdminListener {
    /// Binds the address; connections wait until [`serve`](Self::serve). A reload exchanges
    /// `state`.
    ///
    /// # Errors
    /// The address is in use or not permitted; the message names it.
    pub async fn bind(settings: &Settings, state: Arc<ArcSwap<AdminState>>) -> io::Result<Self> {
        let named = |error: io::Error| {
            let text = format!("cannot listen on {} for administration: {error}", settings.address);
            io::Error::new(error.kind(), text)
        };
        let listener = TcpListener::bind(settings.address).await.map_err(named)?;
        let address = listener.local_addr()?;
        let handler = Handler { state, address };
        Ok(Self { listener, handler: Arc::new(handler) })
    }

    /// The bound address, with the actual port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.handler.address
    }

    /// Serves until the future is dropped.
    pub async fn serve(self) -> Infallible {
        let open = Arc::new(OpenConnections::default());
        let clock = self.handler.clock();
        let mut id = 0;
        loop {
            id += 1;
            match self.listener.accept().await {
                Ok((socket, _)) => open.serve(id, socket, &self.handler),
                Err(error) => {
                    telemetry::log_resource_shortage(&error, clock.now());
                    clock.sleep_until(clock.now().plus(ACCEPT_PAUSE)).await;
                }
            }
        }
    }
}

/// By a number of their own.
#[derive(Default)]
struct OpenConnections(Mutex<HashMap<u64, Connection>>);

struct Connection {
    task: AbortHandle,
    /// Nanoseconds of the moment of its last request, or of its accept.
    last_used: Arc<AtomicU64>,
}

impl OpenConnections {
    /// Serves one more connection and, if there are too many, closes the longest idle one.
    fn serve(self: &Arc<Self>, id: u64, socket: TcpStream, handler: &Arc<Handler>) {
        let clock = handler.clock();
        let last_used = Arc::new(AtomicU64::new(clock.now().as_nanos()));
        let mut open = self.locked();
        if open.len() >= CONNECTIONS_MAX {
            let idle = open.iter().min_by_key(|(_, connection)| connection.last_used.load(Relaxed));
            let idle = idle.map(|(id, _)| *id);
            if let Some(connection) = idle.and_then(|id| open.remove(&id)) {
                connection.task.abort();
            }
        }
        let (this, handler, used) = (Arc::clone(self), Arc::clone(handler), Arc::clone(&last_used));
        let task = tokio::spawn(async move {
            serve_connection(socket, handler, used, clock).await;
            this.locked().remove(&id);
        });
        open.insert(id, Connection { task: task.abort_handle(), last_used });
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<u64, Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve_connection(
    socket: TcpStream,
    handler: Arc<Handler>,
    last_used: Arc<AtomicU64>,
    clock: Clock,
) {
    let service = service_fn(move |request| {
        last_used.store(clock.now().as_nanos(), Relaxed);
        let response = handler.handle(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .half_close(false);
    let connection = builder.serve_connection(TokioIo::new(socket), service);
    tokio::select! {
        // Errors are the client's; the parser has answered them.
        _ = connection => {}
        () = clock.sleep_until(clock.now().plus(CONNECTION_MAX)) => {}
    }
}
