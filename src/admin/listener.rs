//! The admin listener: few connections, short heads, short lives.
//!
//! It runs on the control thread's runtime, so a flood of calls cannot starve it, and connections
//! that nobody uses cannot either: beyond the bound, the one that was silent longest makes room.
//! Refuses HTTP/2, bodies and everything that takes long.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::settings::Settings;
use super::window::{Counter, Window};
use crate::clock::Clock;
use crate::telemetry;

/// Connections at the same time: probes, a scraper and some people. A further one is accepted all
/// the same, and the one that was silent longest is closed.
const CONNECTIONS_MAX: usize = 64;
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// A head is complete within this; an idle connection is closed after it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// No connection lives longer: a scraper connects again.
const CONNECTION_MAX: Duration = Duration::from_secs(10 * 60);
/// After accept failed for want of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The admin listener, bound.
#[derive(Debug)]
pub struct AdminListener {
    listener: TcpListener,
    counter: Arc<Counter>,
}

impl AdminListener {
    /// Binds the address; connections wait until [`serve`](Self::serve).
    ///
    /// # Errors
    /// Somebody else listens there, or the system refuses; the address is in the text.
    pub async fn bind(settings: &Settings, window: Window) -> io::Result<Self> {
        let named = |error: io::Error| {
            let text = format!("cannot listen on {} for administration: {error}", settings.address);
            io::Error::new(error.kind(), text)
        };
        let listener = TcpListener::bind(settings.address).await.map_err(named)?;
        let address = listener.local_addr()?;
        let counter = Counter { window, address, token: settings.token.clone() };
        Ok(Self { listener, counter: Arc::new(counter) })
    }

    /// The address, with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.counter.address
    }

    /// Answers until dropped.
    pub async fn serve(self) -> Infallible {
        let open = Arc::new(Open::default());
        let clock = self.counter.window.clock;
        let mut number = 0;
        loop {
            number += 1;
            match self.listener.accept().await {
                Ok((socket, _)) => open.admit(number, socket, &self.counter),
                Err(error) => {
                    telemetry::log_resource_shortage(&error, clock.now());
                    clock.sleep_until(clock.now().plus(ACCEPT_PAUSE)).await;
                }
            }
        }
    }
}

/// The open connections, by number.
#[derive(Default)]
struct Open(Mutex<HashMap<u64, Connection>>);

struct Connection {
    task: AbortHandle,
    /// Nanoseconds of the moment it was accepted or asked last.
    used: Arc<AtomicU64>,
}

impl Open {
    /// Serves one more connection; where there are too many, the most silent one ends.
    fn admit(self: &Arc<Self>, number: u64, socket: TcpStream, counter: &Arc<Counter>) {
        let clock = counter.window.clock;
        let used = Arc::new(AtomicU64::new(clock.now().as_nanos()));
        let mut open = self.locked();
        if open.len() >= CONNECTIONS_MAX {
            let silent = open.iter().min_by_key(|(_, connection)| connection.used.load(Relaxed));
            let silent = silent.map(|(number, _)| *number);
            if let Some(connection) = silent.and_then(|number| open.remove(&number)) {
                connection.task.abort();
            }
        }
        let (this, counter, uses) = (Arc::clone(self), Arc::clone(counter), Arc::clone(&used));
        let task = tokio::spawn(async move {
            connection(socket, counter, uses, clock).await;
            this.locked().remove(&number);
        });
        open.insert(number, Connection { task: task.abort_handle(), used });
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<u64, Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connection(socket: TcpStream, counter: Arc<Counter>, used: Arc<AtomicU64>, clock: Clock) {
    let service = service_fn(move |request| {
        used.store(clock.now().as_nanos(), Relaxed);
        let answer = counter.answer(&request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .half_close(false);
    let connection = builder.serve_connection(TokioIo::new(socket), service);
    tokio::select! {
        // A client's mistake is its own: the parser has answered it.
        _ = connection => {}
        () = clock.sleep_until(clock.now().plus(CONNECTION_MAX)) => {}
    }
}
