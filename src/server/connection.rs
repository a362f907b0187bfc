//! One client connection from accept to close: protocol detection, HTTP/1.1 or HTTP/2, lingering
//! close.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;

use super::call::{ConnectionContext, Worker};
use super::drive::{Connection, ConnectionEnd, DRAIN_IDLE_TIMEOUT, drive};
use super::handler::{ConnectionChange, Handler};
use super::socket::{ClientReader, ClientWriter, Protocol, end_writing};
use super::state::{ConnectionState, Phase};
use super::{h1, h2};
use crate::clock::Clock;
use crate::gateway::{ClientConnection, DrainStage};

/// How long a client's remaining bytes are read after our last byte: closing a socket with unread
/// bytes sends a reset, which can overtake the response.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Serves one connection to its end.
pub(super) async fn serve<H: Handler>(
    worker: Arc<Worker<H>>,
    socket: TcpStream,
    address: SocketAddr,
) {
    let _open = OpenGuard::new(&worker);
    let socket = Arc::new(socket);
    let accepted = worker.clock.now();
    let draining = async {
        worker.drain.begun().await;
        let until = worker.clock.now().plus(DRAIN_IDLE_TIMEOUT).min(worker.drain.deadline());
        worker.clock.sleep_until(until).await;
    };
    let opened = tokio::select! {
        biased;
        opened = ClientReader::open(Arc::clone(&socket)) => opened,
        () = worker.clock.sleep_until(accepted.plus(worker.settings.head_timeout)) => return,
        () = draining => return,
    };
    let Ok(Some((reader, protocol))) = opened else { return };
    let state = Arc::new(ConnectionState::default());
    let writer = ClientWriter::new(Arc::clone(&socket), Arc::clone(&state));
    let peer = match protocol {
        Protocol::Http1 => ClientConnection::new(address, Arc::clone(&socket)),
        Protocol::Http2 => ClientConnection::detached(address),
    };
    let context = Arc::new(ConnectionContext { worker, peer, state });
    match protocol {
        Protocol::Http1 => {
            let end = {
                let serving = pin!(h1::serve(reader, writer, Arc::clone(&context)));
                let connection = pin!(Http1 { serving, state: &context.state });
                drive(&context, accepted, connection).await
            };
            match end {
                // Boxed, because few connections come here and the future would enlarge all.
                ConnectionEnd::Closed if context.state.has_unread_request() => {
                    Box::pin(linger(&socket, context.worker.clock)).await;
                }
                ConnectionEnd::Closed | ConnectionEnd::TimedOut => {}
            }
        }
        Protocol::Http2 => {
            Box::pin(async {
                let connection = pin!(h2::connection(reader, writer, &context));
                drive(&context, accepted, connection).await
            })
            .await;
        }
    }
}

/// Reports to the handler that a connection is open, and that it is closed however it ends.
struct OpenGuard<H: Handler>(Arc<Worker<H>>);

impl<H: Handler> OpenGuard<H> {
    fn new(worker: &Arc<Worker<H>>) -> Self {
        worker.handler.connection(ConnectionChange::Opened);
        Self(Arc::clone(worker))
    }
}

impl<H: Handler> Drop for OpenGuard<H> {
    fn drop(&mut self) {
        self.0.handler.connection(ConnectionChange::Closed);
    }
}

/// Reads and discards what the client still sends, so that our last bytes arrive.
async fn linger(socket: &TcpStream, clock: Clock) {
    if end_writing(socket).is_err() {
        return;
    }
    let discard = async {
        let mut discarded = 0;
        let mut bytes = [0; 4096];
        while discarded < LINGER_BYTES_MAX && socket.readable().await.is_ok() {
            match socket.try_read(&mut bytes) {
                Ok(0) => return,
                Ok(read) => discarded += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    tokio::select! {
        () = discard => {}
        () = clock.sleep_until(clock.now().plus(LINGER_TIMEOUT)) => {}
    }
}

struct Http1<'a, F> {
    serving: Pin<&'a mut F>,
    state: &'a ConnectionState,
}

impl<F: Future> Future for Http1<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.serving.as_mut().poll(cx)
    }
}

impl<F: Future> Connection for Http1<'_, F> {
    /// The next response carries `Connection: close`. A new connection may be about to send its
    /// first request, so it is closed only behind the response to that.
    fn notify_stop(self: Pin<&mut Self>, stage: DrainStage, phase: Phase) -> bool {
        let due = stage == DrainStage::Draining && phase != Phase::New;
        if due {
            self.state.close_after_call();
        }
        due
    }

    fn ask_to_close(self: Pin<&mut Self>) -> bool {
        false
    }
}
