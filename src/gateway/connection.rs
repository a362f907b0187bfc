//! The client's end of a connection: its address, and what the server and the gateway tell each
//! other about it beside requests and responses.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;

use super::timer::TimerSlot;
use crate::routing::authority;
use crate::time::nanos;
use crate::upstream::{Interim, OriginalHead};

/// A client's connection, or its stream in HTTP/2.
#[derive(Debug)]
pub struct ClientConnection {
    /// Unique in the process.
    id: u64,
    address: SocketAddr,
    /// Absent over HTTP/2, and in tests.
    socket: Option<Arc<TcpStream>>,
    /// The timer of its calls' attempts.
    pub(super) timer: TimerSlot,
    /// 1xx responses of the vendor that wait to be sent.
    interim: Mutex<Vec<Interim>>,
    /// Whether there are any; spares every response the lock.
    has_interim: AtomicBool,
    /// Nanoseconds of [`stall_timeout`](Self::stall_timeout); zero before the first call.
    stall_timeout: AtomicU64,
}

/// The heads of a call as HTTP/1.1 brought them; their lines go out as they came in.
#[derive(Debug, Default)]
pub struct OriginalHeads {
    pub request: Option<OriginalHead>,
    /// The vendor's response head, present once the call is answered.
    pub answer: Option<OriginalHead>,
}

impl ClientConnection {
    #[must_use]
    pub fn new(address: SocketAddr, socket: Arc<TcpStream>) -> Self {
        Self::with(address, Some(socket))
    }

    /// A client without a socket of its own: an HTTP/2 stream, or a test.
    #[must_use]
    pub fn detached(address: SocketAddr) -> Self {
        Self::with(address, None)
    }

    fn with(address: SocketAddr, socket: Option<Arc<TcpStream>>) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT_ID.fetch_add(1, Relaxed),
            address,
            socket,
            timer: TimerSlot::empty(),
            interim: Mutex::default(),
            has_interim: AtomicBool::new(false),
            stall_timeout: AtomicU64::new(0),
        }
    }

    /// Unique in the process.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether an authority of the scheme `http` names the socket at which the client reached us.
    #[must_use]
    pub fn is_local_authority(&self, authority: &str) -> bool {
        const HTTP_PORT: u16 = 80;
        let local = self.socket.as_deref().and_then(|socket| socket.local_addr().ok());
        let Some(local) = local else { return false };
        let (host, ip) = (authority::host(authority), local.ip().to_canonical());
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
        let same_host = match bare.parse::<IpAddr>() {
            Ok(address) => address.to_canonical() == ip,
            Err(_) => ip.is_loopback() && host.eq_ignore_ascii_case("localhost"),
        };
        same_host && authority::port(authority, HTTP_PORT) == Some(local.port())
    }

    /// Limits how long the client may leave the next response unread.
    pub(super) fn set_stall_timeout(&self, timeout: Duration) {
        self.stall_timeout.store(nanos(timeout), Relaxed);
    }

    /// How long the client may leave its response unread, as the upstream's settings say; `None`
    /// before the first call.
    #[must_use]
    pub fn stall_timeout(&self) -> Option<Duration> {
        let nanos = self.stall_timeout.load(Relaxed);
        (nanos != 0).then(|| Duration::from_nanos(nanos))
    }

    /// Hands a 1xx response of the vendor to the client's connection. HTTP/2 clients do not get
    /// it, because hyper's server cannot send one.
    pub(super) fn push_interim(&self, interim: Interim) {
        if self.socket.is_some() {
            self.locked_interim().push(interim);
            self.has_interim.store(true, Relaxed);
        }
    }

    /// Takes the 1xx responses that wait to be sent.
    pub fn take_interim(&self) -> Vec<Interim> {
        if !self.has_interim.load(Relaxed) {
            return Vec::new();
        }
        self.has_interim.store(false, Relaxed);
        std::mem::take(&mut *self.locked_interim())
    }

    fn locked_interim(&self) -> MutexGuard<'_, Vec<Interim>> {
        self.interim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A client socket and its accepted connection.
    async fn pair() -> (TcpStream, ClientConnection) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, address) = listener.accept().await.unwrap();
        (client, ClientConnection::new(address, Arc::new(socket)))
    }

    #[tokio::test]
    async fn an_authority_is_local_only_if_it_names_the_socket_that_was_reached() {
        let (client, connection) = pair().await;
        let port = client.peer_addr().unwrap().port();
        for name in ["127.0.0.1", "localhost", "LOCALHOST.", "[::ffff:127.0.0.1]"] {
            assert!(connection.is_local_authority(&format!("{name}:{port}")), "{name}");
        }
        for name in ["127.0.0.2", "other.example", "localhost.example", "[::1]"] {
            assert!(!connection.is_local_authority(&format!("{name}:{port}")), "{name}");
        }
        assert!(
            !connection.is_local_authority("127.0.0.1")
                && !connection.is_local_authority("localhost:1")
        );
    }
}
