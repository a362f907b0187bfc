//! From a name to an open connection: DNS, TCP, TLS, together within the connect timeout.
//!
//! Addresses of both families race as RFC 8305 asks. It refuses to say anything in HTTP, so
//! whatever fails here reached nobody.

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
use super::shared::Version;
use super::tls::Trust;
use super::wire::Io;
use crate::clock::Clock;
use crate::outcome::{Delivery, Failure, FailureKind, cause};
use crate::time::Moment;

/// How long one address has before the next one is tried beside it (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);

/// Addresses of one name that are tried; more than this is a mistake or an attack.
const ADDRESSES_MAX: usize = 16;

/// Opens a connection; says which HTTP is spoken on it.
pub(super) async fn dial(
    settings: &Settings,
    trust: Option<&Arc<Trust>>,
    clock: Clock,
) -> Result<(Io, Version), Failure> {
    let limit = Limit { clock, end: clock.now().plus(settings.connect_timeout), settings };
    let addresses = limit.keep(FailureKind::Dns, addresses(settings)).await?;
    let stream = limit.keep(FailureKind::ConnectTimeout, connect(addresses, clock)).await?;
    // Without it, a small write after another waits for an acknowledgement. A socket that
    // refuses is slower, not wrong.
    let _ = stream.set_nodelay(true);
    match trust {
        None => Ok((Io::Clear(stream), in_clear(settings.protocol))),
        Some(trust) => limit.keep(FailureKind::Tls, secure(settings, trust, stream)).await,
    }
}

/// The end of the connect timeout.
struct Limit<'a> {
    clock: Clock,
    end: Moment,
    settings: &'a Settings,
}

impl Limit<'_> {
    /// `step`, or a failure of `kind` when it takes too long.
    async fn keep<T>(
        &self,
        kind: FailureKind,
        step: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let end = self.clock.instant(self.end);
        timeout_at(end, step).await.unwrap_or_else(|_| Err(self.late(kind)))
    }

    /// A step of the connecting that took too long.
    fn late(&self, kind: FailureKind) -> Failure {
        let told = [
            (FailureKind::Dns, cause::LOOKUP_TIMEOUT),
            (FailureKind::Tls, "the TLS handshake was not finished within the connect timeout"),
        ];
        let told = told.into_iter().find(|(known, _)| *known == kind);
        let cause = told.map_or(kind.summary(), |(_, cause)| cause);
        let Settings { origin, connect_timeout, .. } = self.settings;
        let detail = format!("{}:{}: {cause}", origin.host, origin.port);
        failed(kind, detail).with_cause(cause).with_limit("timeouts.connect", *connect_timeout)
    }
}

fn in_clear(protocol: Protocol) -> Version {
    match protocol {
        Protocol::Auto | Protocol::Http1 => Version::Http1,
        Protocol::Http2 => Version::Http2,
    }
}

async fn addresses(settings: &Settings) -> Result<Vec<SocketAddr>, Failure> {
    let (host, port) = (&*settings.origin.host, settings.origin.port);
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found = lookup_host((host, port)).await;
    let found = found.map_err(|error| failure::of_lookup(&error, host))?;
    let found = alternate(found.take(ADDRESSES_MAX).collect());
    if found.is_empty() { Err(failed(FailureKind::Dns, "no address")) } else { Ok(found) }
}

/// The families in turn, beginning with that of the first address.
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
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

/// The first address to answer wins; the others are abandoned.
async fn connect(addresses: Vec<SocketAddr>, clock: Clock) -> Result<TcpStream, Failure> {
    let mut rest = addresses.into_iter();
    let mut racing = JoinSet::new();
    let mut last = failed(FailureKind::Refused, "no address");
    loop {
        if let Some(address) = rest.next() {
            racing.spawn(async move {
                TcpStream::connect(address).await.map_err(|error| (error, address))
            });
        } else if racing.is_empty() {
            return Err(last);
        }
        let pause = if rest.len() == 0 { Moment::NEVER } else { clock.now().plus(STAGGER) };
        match timeout_at(clock.instant(pause), racing.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err((error, address))))) => last = failure::of_connect(&error, address),
            Ok(Some(Err(_)) | None) | Err(_) => {}
        }
    }
}

async fn secure(
    settings: &Settings,
    trust: &Arc<Trust>,
    stream: TcpStream,
) -> Result<(Io, Version), Failure> {
    let config = match trust.ready() {
        Some(config) => config,
        None => load(Arc::clone(trust)).await?,
    };
    let name = ServerName::try_from(settings.origin.host.to_string())
        .map_err(|error| failed(FailureKind::Tls, error.to_string()))?;
    let connecting = TlsConnector::from(config).connect(name, stream);
    let host = &settings.origin.host;
    let stream = connecting.await.map_err(|error: io::Error| failure::of_tls(&error, host))?;
    let version = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Version::Http2,
        Some(_) | None => Version::Http1,
    };
    if settings.protocol == Protocol::Http2 && version != Version::Http2 {
        let detail = format!("{}, which `protocol: http2` asks for", cause::NO_HTTP2);
        return Err(failed(FailureKind::Tls, detail).with_cause(cause::NO_HTTP2));
    }
    Ok((Io::Tls(Box::new(stream)), version))
}

/// Reads certificates where that may block.
async fn load(trust: Arc<Trust>) -> Result<Arc<rustls::ClientConfig>, Failure> {
    let loaded = spawn_blocking(move || trust.config()).await;
    loaded.unwrap_or_else(|error| Err(failed(FailureKind::Tls, error.to_string())))
}

fn failed(kind: FailureKind, detail: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(kind, Delivery::NotSent, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_alternate_beginning_with_the_first() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mixed = alternate(["[::1]:1", "[::2]:1", "1.1.1.1:1", "[::3]:1"].map(parse).to_vec());
        assert_eq!(mixed, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"].map(parse));
        let four = alternate(["1.1.1.1:1", "[::1]:1", "1.1.1.2:1"].map(parse).to_vec());
        assert_eq!(four, ["1.1.1.1:1", "[::1]:1", "1.1.1.2:1"].map(parse));
        assert_eq!(alternate(Vec::new()), []);
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
        let stream = connect(vec![closed, open], clock).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        assert!(clock.now().since(Moment::START) < STAGGER);
        let failure = connect(vec![closed, closed], clock).await.unwrap_err();
        assert_eq!((failure.kind, failure.delivery), (FailureKind::Refused, Delivery::NotSent));
    }

    #[tokio::test]
    async fn a_silent_address_holds_up_the_next_for_the_stagger_only() {
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
        let stream = connect(vec![silent, open], clock).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        let took = clock.now().since(before);
        assert!(took >= STAGGER && took < STAGGER * 3, "{took:?}");
    }
}
