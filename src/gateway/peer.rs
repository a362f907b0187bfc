//! The other end of a client's connection: its address, and what connection and call tell each
//! other beside request and answer.
//!
//! Refuses to read or write: the front door owns the bytes.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;

use super::alarm::AlarmPlace;
use crate::routing::authority;
use crate::time::nanos;
use crate::upstream::{Interim, OriginalHead};

/// The client behind a connection.
#[derive(Debug)]
pub struct Peer {
    /// The number of its connection, which no other one of the program has.
    connection: u64,
    address: SocketAddr,
    /// Absent over HTTP/2, and in tests.
    socket: Option<Arc<TcpStream>>,
    /// The timer over its calls' attempts.
    pub(super) alarm: AlarmPlace,
    /// What the vendor said before its answer.
    interim: Mutex<Vec<Interim>>,
    /// Whether it waits to be taken.
    has_interim: AtomicBool,
    /// Nanoseconds for which it may take nothing of the latest answer; zero where nobody said.
    pause_max: AtomicU64,
}

/// The heads of a call as HTTP/1.1 brought them: their lines go out as they came in.
#[derive(Debug, Default)]
pub struct OriginalHeads {
    /// The client's request.
    pub request: Option<OriginalHead>,
    /// The vendor's answer; there once the call is answered.
    pub answer: Option<OriginalHead>,
}

impl Peer {
    /// The client at the other end of `socket`.
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
        Self {
            connection: next_number(),
            address,
            socket,
            alarm: AlarmPlace::empty(),
            interim: Mutex::default(),
            has_interim: AtomicBool::new(false),
            pause_max: AtomicU64::new(0),
        }
    }

    /// The number of its connection, which no other one of the program has.
    #[must_use]
    pub const fn connection(&self) -> u64 {
        self.connection
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether an authority is the address at which the client reached us.
    #[must_use]
    pub fn reached_us_at(&self, authority: &str) -> bool {
        /// Only targets of the scheme `http` get this far.
        const PORT: u16 = 80;
        let local = self.socket.as_deref().and_then(|socket| socket.local_addr().ok());
        let Some(local) = local else { return false };
        let (name, ip) = (authority::host(authority), local.ip().to_canonical());
        let plain = name.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(name);
        let ours = match plain.parse::<IpAddr>() {
            Ok(address) => address.to_canonical() == ip,
            Err(_) => ip.is_loopback() && name.eq_ignore_ascii_case("localhost"),
        };
        ours && authority::port(authority, PORT) == Some(local.port())
    }

    /// It may take nothing of the answer that comes next for so long.
    pub(super) fn allow_pause(&self, pause_max: Duration) {
        self.pause_max.store(nanos(pause_max), Relaxed);
    }

    /// For how long it may, if an upstream's settings say so.
    #[must_use]
    pub fn pause_max(&self) -> Option<Duration> {
        let nanos = self.pause_max.load(Relaxed);
        (nanos != 0).then(|| Duration::from_nanos(nanos))
    }

    /// The vendor said something before its answer. To HTTP/2 clients it cannot be passed: the
    /// library has no place for it.
    pub(super) fn tell_interim(&self, interim: Interim) {
        if self.is_http1() {
            self.interim().push(interim);
            self.has_interim.store(true, Relaxed);
        }
    }

    /// Takes what the vendor said before its answer.
    pub fn take_interim(&self) -> Vec<Interim> {
        if !self.has_interim.load(Relaxed) {
            return Vec::new();
        }
        self.has_interim.store(false, Relaxed);
        std::mem::take(&mut *self.interim())
    }

    const fn is_http1(&self) -> bool {
        self.socket.is_some()
    }

    fn interim(&self) -> MutexGuard<'_, Vec<Interim>> {
        self.interim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Relaxed)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, Peer) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, address) = listener.accept().await.unwrap();
        (client, Peer::new(address, Arc::new(socket)))
    }

    #[tokio::test]
    async fn only_the_address_that_was_reached_is_ours() {
        let (client, peer) = pair().await;
        let port = client.peer_addr().unwrap().port();
        for name in ["127.0.0.1", "localhost", "LOCALHOST.", "[::ffff:127.0.0.1]"] {
            assert!(peer.reached_us_at(&format!("{name}:{port}")), "{name}");
        }
        for name in ["127.0.0.2", "other.example", "localhost.example", "[::1]"] {
            assert!(!peer.reached_us_at(&format!("{name}:{port}")), "{name}");
        }
        assert!(!peer.reached_us_at("127.0.0.1") && !peer.reached_us_at("localhost:1"));
    }
}
