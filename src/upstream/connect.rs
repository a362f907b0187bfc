//! Opens a connection: DNS, TCP and TLS, together within the connect timeout.
//!
//! Addresses of both families race as RFC 8305 asks. No HTTP is sent here, so the request has
//! reached nobody when a step fails.

use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout_at;
use tokio_rustls::TlsConnector;

use super::failure;
use super::settings::{Protocol, Settings};
use super::shared::HttpVersion;
use super::tls::TlsConfig;
use super::transport::Transport;
use crate::clock::Clock;
use crate::outcome::{Delivery, Failure, FailureKind, cause};
use crate::time::Moment;

/// How long one address has before the next one is tried beside it (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);

/// Addresses of one name that are tried; more than this is a mistake or an attack.
const ADDRESSES_MAX: usize = 16;

/// Opens a connection and returns it with the HTTP version to be used on it.
pub(super) async fn connect(
    settings: &Settings,
    tls: Option<&Arc<TlsConfig>>,
    clock: Clock,
) -> Result<(Transport, HttpVersion), Failure> {
    let deadline = Deadline { clock, end: clock.now().plus(settings.connect_timeout), settings };
    let addresses = deadline.apply(FailureKind::Dns, resolve(settings)).await?;
    let connecting = connect_tcp(addresses, clock);
    let stream = deadline.apply(FailureKind::ConnectTimeout, connecting).await?;
    // With Nagle's algorithm a small write after another would wait for an acknowledgement. A
    // socket that refuses the option is slower, not wrong.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        let version = match settings.protocol {
            Protocol::Auto | Protocol::Http1 => HttpVersion::Http1,
            Protocol::Http2 => HttpVersion::Http2,
        };
        return Ok((Transport::Plain(stream), version));
    };
    deadline.apply(FailureKind::Tls, connect_tls(settings, tls, stream)).await
}

/// The end of the connect timeout.
struct Deadline<'a> {
    clock: Clock,
    end: Moment,
    settings: &'a Settings,
}

impl Deadline<'_> {
    /// The result of `step`, or a failure of `kind` when it does not finish in time.
    async fn apply<T>(
        &self,
        kind: FailureKind,
        step: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let end = self.clock.instant(self.end);
        timeout_at(end, step).await.unwrap_or_else(|_| {
            let cause = if kind == FailureKind::Dns {
                cause::LOOKUP_TIMEOUT
            } else if kind == FailureKind::Tls {
                "the TLS handshake was not finished within the connect timeout"
            } else {
                kind.summary()
            };
            let Settings { origin, connect_timeout, .. } = self.settings;
            let detail = format!("{}:{}: {cause}", origin.host, origin.port);
            let failure = not_connected(kind, detail).with_cause(cause);
            Err(failure.with_limit("timeouts.connect", *connect_timeout))
        })
    }
}

async fn resolve(settings: &Settings) -> Result<Vec<SocketAddr>, Failure> {
    let (host, port) = (&*settings.origin.host, settings.origin.port);
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found = lookup_host((host, port)).await.map_err(|error| failure::lookup(&error, host))?;
    let found = interleave_families(found.take(ADDRESSES_MAX).collect());
    if found.is_empty() { Err(not_connected(FailureKind::Dns, "no address")) } else { Ok(found) }
}

/// The address families in turn, beginning with that of the first address (RFC 8305 §4).
fn interleave_families(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let total = addresses.len();
    let (same, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    let mut mixed = Vec::with_capacity(total);
    while mixed.len() < total {
        mixed.extend(same.next());
        mixed.extend(other.next());
    }
    mixed
}

/// Races the addresses; the first connection wins and the others are abandoned.
async fn connect_tcp(addresses: Vec<SocketAddr>, clock: Clock) -> Result<TcpStream, Failure> {
    let mut rest = addresses.into_iter();
    let mut racing = JoinSet::new();
    let mut last = not_connected(FailureKind::Refused, "no address");
    loop {
        if let Some(address) = rest.next() {
            racing.spawn(async move {
                TcpStream::connect(address).await.map_err(|error| (error, address))
            });
        } else if racing.is_empty() {
            return Err(last);
        }
        let next = if rest.len() == 0 { Moment::NEVER } else { clock.now().plus(STAGGER) };
        match timeout_at(clock.instant(next), racing.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err((error, address))))) => last = failure::tcp_connect(&error, address),
            Ok(Some(Err(_)) | None) | Err(_) => {}
        }
    }
}

async fn connect_tls(
    settings: &Settings,
    tls: &Arc<TlsConfig>,
    stream: TcpStream,
) -> Result<(Transport, HttpVersion), Failure> {
    let failure = |detail: String| not_connected(FailureKind::Tls, detail);
    let config = match tls.loaded() {
        Some(config) => config,
        None => {
            let tls = Arc::clone(tls);
            let loading = spawn_blocking(move || tls.load());
            loading.await.unwrap_or_else(|error| Err(failure(error.to_string())))?
        }
    };
    let host = &settings.origin.host;
    let name =
        ServerName::try_from(host.to_string()).map_err(|error| failure(error.to_string()))?;
    let connecting = TlsConnector::from(config).connect(name, stream);
    let stream =
        connecting.await.map_err(|error: io::Error| failure::tls_handshake(&error, host))?;
    let version = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => HttpVersion::Http2,
        Some(_) | None => HttpVersion::Http1,
    };
    if settings.protocol == Protocol::Http2 && version != HttpVersion::Http2 {
        let detail = format!("{}, which `protocol: http2` requires", cause::NO_HTTP2);
        return Err(failure(detail).with_cause(cause::NO_HTTP2));
    }
    Ok((Transport::Tls(Box::new(stream)), version))
}

fn not_connected(kind: FailureKind, detail: impl Into<Cow<'static, str>>) -> Failure {
    Failure::new(kind, Delivery::NotSent, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_families_alternate_beginning_with_that_of_the_first_address() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mixed =
            interleave_families(["[::1]:1", "[::2]:1", "1.1.1.1:1", "[::3]:1"].map(parse).to_vec());
        assert_eq!(mixed, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"].map(parse));
        let four = interleave_families(["1.1.1.1:1", "[::1]:1", "1.1.1.2:1"].map(parse).to_vec());
        assert_eq!(four, ["1.1.1.1:1", "[::1]:1", "1.1.1.2:1"].map(parse));
        assert_eq!(interleave_families(Vec::new()), []);
    }

    async fn listener(address: &str) -> (tokio::net::TcpListener, SocketAddr) {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn when_one_address_refuses_the_next_is_tried_at_once() {
        let (gone, closed) = listener("[::1]:0").await;
        drop(gone);
        let (_listener, open) = listener("127.0.0.1:0").await;
        let clock = Clock::start();
        let stream = connect_tcp(vec![closed, open], clock).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        assert!(clock.now().since(Moment::START) < STAGGER);
        let failure = connect_tcp(vec![closed, closed], clock).await.unwrap_err();
        assert_eq!((failure.kind, failure.delivery), (FailureKind::Refused, Delivery::NotSent));
    }

    #[tokio::test]
    async fn when_one_address_is_silent_the_next_is_tried_after_the_stagger() {
        // A full backlog: the kernel drops further SYNs.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let silent = socket.local_addr().unwrap();
        let _listener = socket.listen(1).unwrap();
        let mut fill = JoinSet::new();
        for _ in 0..4 {
            fill.spawn(TcpStream::connect(silent));
        }
        let (_other, open) = listener("[::1]:0").await;
        let clock = Clock::start();
        clock.sleep_until(Moment::from_millis(50)).await;
        let before = clock.now();
        let stream = connect_tcp(vec![silent, open], clock).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        let took = clock.now().since(before);
        assert!(took >= STAGGER && took < STAGGER * 3, "{took:?}");
    }
}
