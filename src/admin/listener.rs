//! The admin listener: few connections, short heads, short lives.
//!
//! It runs on the control thread's runtime, so a flood of calls cannot starve it. Refuses
//! HTTP/2, bodies and everything that takes long.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::settings::Settings;
use super::window::{Counter, Window};
use crate::clock::Clock;
use crate::telemetry;

/// Connections at the same time: probes, a scraper and some people.
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
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let clock = self.counter.window.clock;
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            let place = place.expect("the places are never closed");
            match self.listener.accept().await {
                Ok((socket, _)) => {
                    let counter = Arc::clone(&self.counter);
                    tokio::spawn(async move {
                        connection(socket, counter, clock).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    telemetry::shortage(&error, clock.now());
                    clock.sleep_until(clock.now().plus(ACCEPT_PAUSE)).await;
                }
            }
        }
    }
}

async fn connection(socket: TcpStream, counter: Arc<Counter>, clock: Clock) {
    let service = service_fn(move |request| {
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
