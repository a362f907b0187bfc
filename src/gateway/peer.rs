//! The other end of a client's connection: its address, and whether it is still there.
//!
//! Refuses to read or write: the front door owns the bytes.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::Interest;
use tokio::net::TcpStream;

use super::alarm::AlarmPlace;
use crate::policy::authority;

/// The client behind a connection.
#[derive(Debug)]
pub struct Peer {
    /// The number of its connection, which no other one of the program has.
    connection: u64,
    address: SocketAddr,
    /// Watched only where nobody else would notice the end: HTTP/1, one call at a time.
    socket: Option<Arc<TcpStream>>,
    /// The timer over its calls' attempts.
    pub(super) alarm: AlarmPlace,
}

impl Peer {
    /// The client at the other end of `socket`.
    #[must_use]
    pub fn new(address: SocketAddr, socket: Arc<TcpStream>) -> Self {
        Self {
            connection: next_number(),
            address,
            socket: Some(socket),
            alarm: AlarmPlace::empty(),
        }
    }

    /// A client whose leaving drops the call's future, or nobody's: HTTP/2 streams, and tests.
    #[must_use]
    pub fn detached(address: SocketAddr) -> Self {
        Self { connection: next_number(), address, socket: None, alarm: AlarmPlace::empty() }
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

    /// Ends when the client closed or reset the connection, even while bytes of it are unread;
    /// only a close that still queues behind bytes at the client's own end cannot be seen.
    ///
    /// The watch is a second registration of the socket and exists only while somebody waits, so
    /// a call that need not wait pays nothing. Where it cannot be had, this never ends.
    pub async fn gone(&self) {
        match self.socket.as_deref().and_then(twin) {
            Some(twin) => closed(&twin).await,
            None => std::future::pending().await,
        }
    }
}

fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The same connection under another number, so that its readiness is reported twice.
fn twin(socket: &TcpStream) -> Option<TcpStream> {
    let twin = socket.as_fd().try_clone_to_owned().ok()?;
    TcpStream::from_std(twin.into()).ok()
}

/// Readiness is edge-triggered: unread bytes are reported once, the end of the stream again.
async fn closed(twin: &TcpStream) {
    while let Ok(event) = twin.ready(Interest::READABLE).await {
        if event.is_read_closed() {
            return;
        }
        // Nothing is read here: to say that it would block only asks for the next event.
        let _ =
            twin.try_io(Interest::READABLE, || Err::<(), _>(std::io::ErrorKind::WouldBlock.into()));
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    async fn pair() -> (TcpStream, Peer) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, address) = listener.accept().await.unwrap();
        (client, Peer::new(address, Arc::new(socket)))
    }

    const SOON: Duration = Duration::from_millis(100);
    const LATE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_close_is_seen_behind_unread_bytes() {
        let (mut client, peer) = pair().await;
        client.write_all(b"unread").await.unwrap();
        assert!(timeout(SOON, peer.gone()).await.is_err(), "still there");
        client.write_all(b"and more").await.unwrap();
        assert!(timeout(SOON, peer.gone()).await.is_err(), "still there");
        drop(client);
        timeout(LATE, peer.gone()).await.expect("seen");
    }

    #[tokio::test]
    async fn a_close_is_seen_while_waiting() {
        let (client, peer) = pair().await;
        let waiting = tokio::spawn(async move { peer.gone().await });
        tokio::task::yield_now().await;
        drop(client);
        timeout(LATE, waiting).await.expect("seen").unwrap();
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

    #[tokio::test]
    async fn nobody_is_never_gone() {
        let peer = Peer::detached(([127, 0, 0, 1], 1).into());
        assert!(timeout(SOON, peer.gone()).await.is_err());
    }
}
