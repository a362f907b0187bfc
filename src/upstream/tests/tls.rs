//! TLS: which certificates are trusted, and which HTTP version is negotiated.

use std::io::Write;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::outcome::{Delivery, FailureKind};

/// A certificate authority, and the file that holds its certificate.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: NamedTempFile,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(issuer.pem().as_bytes()).unwrap();
        Self { issuer, file }
    }

    /// The configuration of a server with a certificate for `name`.
    fn serve(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> ServerConfig {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        config(certificate.der().clone(), &key)
    }

    fn roots(&self) -> TlsRoots {
        TlsRoots::File(self.file.path().to_owned())
    }
}

fn config(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

/// Responds over the negotiated HTTP version with its name. A request for `/cut` gets half a
/// response, and the connection ends without a `close_notify`.
async fn serve(mut config: ServerConfig, offers: &[&str]) -> u16 {
    config.alpn_protocols = offers.iter().map(|offer| offer.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    return speak_h2(stream).await;
                }
                let mut read = vec![0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut read).await {
                    if read[..count].starts_with(b"GET /cut") {
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf").await;
                        return;
                    }
                    let _ =
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nh1").await;
                }
            });
        }
    });
    port
}

async fn speak_h2(stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>) {
    let mut connection = ::h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let mut response = respond.send_response(Response::new(()), false).unwrap();
        response.send_data(Bytes::from_static(b"h2"), true).unwrap();
    }
}

fn https(port: u16, roots: TlsRoots) -> Settings {
    let mut settings = settings(port);
    settings.origin.scheme = Scheme::Https;
    settings.origin.host = "localhost".into();
    settings.connect_timeout = Duration::from_secs(3);
    settings.roots = roots;
    settings
}

#[tokio::test]
async fn the_negotiated_http_version_is_used() {
    use Protocol::{Auto, Http1, Http2};
    let authority = Authority::new();
    let cases: [(Protocol, &[&str], &str); 6] = [
        (Auto, &["h2", "http/1.1"], "h2"),
        (Auto, &["http/1.1"], "h1"),
        (Auto, &[], "h1"),
        (Http1, &["h2", "http/1.1"], "h1"),
        (Http2, &["h2", "http/1.1"], "h2"),
        (Http1, &[], "h1"),
    ];
    for (protocol, offers, spoken) in cases {
        let port = serve(authority.serve("localhost", |_| ()), offers).await;
        let worker = Worker::new(Settings { protocol, ..https(port, authority.roots()) });
        for _ in 0..3 {
            assert_eq!(worker.text("/").await, spoken, "{protocol:?} {offers:?}");
        }
        assert_eq!(worker.shared.open(0), 1);
    }
}

#[tokio::test]
async fn concurrent_first_calls_negotiate_http2_once() {
    let authority = Authority::new();
    for (offers, connections) in [(&["h2"], 1), (&["http/1.1"], 4)] {
        let port = serve(authority.serve("localhost", |_| ()), offers).await;
        let worker = Worker::new(https(port, authority.roots()));
        let calls =
            tokio::join!(worker.text("/"), worker.text("/"), worker.text("/"), worker.text("/"));
        assert_eq!(calls.0, calls.3);
        assert!(worker.shared.open(0) <= connections);
    }
}

#[tokio::test]
async fn an_upstream_without_http2_fails_if_http2_is_required() {
    let authority = Authority::new();
    for offers in [&["http/1.1"][..], &[]] {
        let port = serve(authority.serve("localhost", |_| ()), offers).await;
        let settings = Settings { protocol: Protocol::Http2, ..https(port, authority.roots()) };
        let failure = Worker::new(settings).get("/").await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.delivery),
            (FailureKind::Tls, Delivery::NotSent),
            "{failure}"
        );
    }
}

/// Asserts that a certificate is refused.
async fn assert_untrusted(server: ServerConfig, roots: TlsRoots) {
    let port = serve(server, &[]).await;
    let worker = Worker::new(https(port, roots));
    let failure = worker.get("/").await.unwrap_err();
    let seen = (failure.kind, failure.delivery);
    assert_eq!(seen, (FailureKind::TlsCertificate, Delivery::NotSent), "{failure}");
    assert_eq!(worker.shared.open(0), 0);
}

#[tokio::test]
async fn untrusted_certificates_are_certificate_failures() {
    let (known, unknown) = (Authority::new(), Authority::new());
    assert_untrusted(unknown.serve("localhost", |_| ()), known.roots()).await;
    assert_untrusted(known.serve("localhost", |_| ()), TlsRoots::System).await;
    assert_untrusted(known.serve("elsewhere.example", |_| ()), known.roots()).await;
    let expired = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    };
    assert_untrusted(known.serve("localhost", expired), known.roots()).await;
    let early = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2090, 1, 1);
        params.not_after = rcgen::date_time_ymd(2091, 1, 1);
    };
    assert_untrusted(known.serve("localhost", early), known.roots()).await;
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = own.self_signed(&key).unwrap();
    assert_untrusted(config(own.der().clone(), &key), known.roots()).await;
}

/// A file with this certificate, as roots.
fn file_of(pem: &str) -> (NamedTempFile, TlsRoots) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    let roots = TlsRoots::File(file.path().to_owned());
    (file, roots)
}

/// A server with a self-signed certificate, and that certificate.
fn self_signed(name: &str, change: impl FnOnce(&mut CertificateParams)) -> (ServerConfig, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    change(&mut params);
    let own = params.self_signed(&key).unwrap();
    (config(own.der().clone(), &key), own.pem())
}

#[tokio::test]
async fn a_self_signed_certificate_in_the_file_is_trusted_as_a_pin() {
    let kinds = [IsCa::NoCa, IsCa::ExplicitNoCa, IsCa::Ca(BasicConstraints::Unconstrained)];
    for is_ca in kinds {
        let (server, pem) = self_signed("localhost", |params| params.is_ca = is_ca);
        let (_file, roots) = file_of(&pem);
        let port = serve(server, &[]).await;
        let worker = Worker::new(https(port, roots.clone()));
        assert_eq!(worker.get("/").await.map(|_| ()), Ok(()), "{is_ca:?}");
        // Another self-signed certificate for the same name is not trusted.
        assert_untrusted(self_signed("localhost", |_| ()).0, roots).await;
    }
}

#[tokio::test]
async fn a_pin_is_checked_for_name_and_dates_and_signs_nothing() {
    let authority = Authority::new();
    let (server, pem) = self_signed("elsewhere.example", |_| ());
    let (_file, roots) = file_of(&pem);
    assert_untrusted(server, roots).await;
    let (server, pem) = self_signed("localhost", |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let (_file, roots) = file_of(&pem);
    assert_untrusted(server, roots).await;

    // The certificate of one server, issued by an authority that is not in the file.
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::ExplicitNoCa;
    let leaf = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &authority.issuer);
    let leaf = leaf.unwrap();
    let (_file, roots) = file_of(&leaf.pem());
    let port = serve(config(leaf.der().clone(), leaf.key()), &[]).await;
    assert_eq!(Worker::new(https(port, roots.clone())).text("/").await, "h1");
    assert_untrusted(authority.serve("localhost", |_| ()), roots.clone()).await;
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let below = params.signed_by(&key, &leaf).unwrap();
    assert_untrusted(config(below.der().clone(), &key), roots).await;
}

/// The failure of a call to a server with this configuration.
async fn failure_of(server: ServerConfig, offers: &[&str], roots: TlsRoots) -> Failure {
    let port = serve(server, offers).await;
    Worker::new(https(port, roots)).get("/").await.unwrap_err()
}

#[tokio::test]
async fn a_certificate_failure_states_its_reason() {
    let (known, unknown) = (Authority::new(), Authority::new());
    let assert_failure = |failure: Failure, cause: &str, detail: &str| {
        assert_eq!(failure.cause, cause);
        assert!(failure.detail.contains(detail), "{failure}");
    };
    let failure = failure_of(unknown.serve("localhost", |_| ()), &[], known.roots()).await;
    assert_failure(failure, "the certificate is not signed by a trusted authority", "tls.ca");
    let (server, _) = self_signed("localhost", |params| {
        params.distinguished_name.push(rcgen::DnType::CommonName, "unknown");
    });
    let failure = failure_of(server, &[], known.roots()).await;
    assert_failure(failure, "the certificate's issuer is unknown", "tls.ca");
    let server = known.serve("elsewhere.example", |_| ());
    let failure = failure_of(server, &[], known.roots()).await;
    assert_failure(failure, "the certificate is for another name", "elsewhere.example");
    let expired = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    };
    let failure = failure_of(known.serve("localhost", expired), &[], known.roots()).await;
    assert_failure(failure, "the certificate has expired", "expired");
    let early = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2090, 1, 1);
        params.not_after = rcgen::date_time_ymd(2091, 1, 1);
    };
    let failure = failure_of(known.serve("localhost", early), &[], known.roots()).await;
    assert_failure(
        failure,
        "the certificate is not valid yet; check the clocks of both machines",
        "valid",
    );
    let failure = failure_of(known.serve("localhost", |_| ()), &["foo"], known.roots()).await;
    assert_failure(failure, "the upstream shares no HTTP version with this gateway", "alert");
}

/// Sends these bytes on every connection, whatever it receives.
async fn serve_bytes(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = vec![0; 4096];
            let _ = stream.read(&mut read).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    port
}

#[tokio::test]
async fn a_handshake_failure_states_its_reason() {
    let rows: [(&[u8], &str); 6] = [
        (b"\x15\x03\x03\x00\x02\x02\x28", "RSA key exchange and CBC are not"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "shares no TLS version"),
        (b"\x15\x03\x03\x00\x02\x02\x70", "does not serve this name"),
        (b"\x15\x03\x03\x00\x02\x02\x50", "with an alert"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "did not answer with TLS"),
        (b"", "closed the connection during the handshake"),
    ];
    let authority = Authority::new();
    for (bytes, words) in rows {
        let port = serve_bytes(bytes).await;
        let worker = Worker::new(https(port, authority.roots()));
        let failure = worker.get("/").await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.delivery),
            (FailureKind::Tls, Delivery::NotSent),
            "{failure}"
        );
        assert!(failure.detail.contains(words), "{words}: {failure}");
    }
}

#[tokio::test]
async fn a_request_for_a_client_certificate_is_reported() {
    let authority = Authority::new();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.issuer.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::clone(&provider),
    );
    let verifier = verifier.build().unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        for offers in [&["http/1.1"][..], &["h2"]] {
            let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(versions)
                .unwrap()
                .with_client_cert_verifier(Arc::clone(&verifier));
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            let server = server.with_single_cert(vec![certificate.der().clone()], key).unwrap();
            let failure = failure_of(server, offers, authority.roots()).await;
            assert_eq!(failure.kind, FailureKind::Tls, "{offers:?}: {failure}");
            assert_eq!(failure.cause, "the upstream asks for a client certificate", "{failure}");
        }
    }
}

#[tokio::test]
async fn the_names_of_a_certificate_are_reported_as_plain_host_names() {
    let authority = Authority::new();
    let server = authority.serve("elsewhere.example", |params| {
        let more = rcgen::SanType::IpAddress([10, 0, 0, 1].into());
        params.subject_alt_names.push(more);
    });
    let failure = failure_of(server, &[], authority.roots()).await;
    let words = "the certificate is for another name: it is for elsewhere.example, ";
    assert!(failure.detail.starts_with(words), "{failure}");
    assert!(failure.detail.ends_with("not for `localhost`"), "{failure}");
}

#[tokio::test]
async fn a_connect_timeout_names_the_address_and_the_setting() {
    let silent = vendor::Vendor::start(|peer: vendor::Peer, _| peer.hang()).await;
    let authority = Authority::new();
    let mut settings = https(silent.port, authority.roots());
    settings.connect_timeout = Duration::from_millis(300);
    let worker = Worker::new(settings);
    worker.load_certificates().unwrap();
    let failure = worker.get("/").await.unwrap_err();
    let place = format!("localhost:{}: the TLS handshake", silent.port);
    assert!(failure.detail.starts_with(&place), "{failure}");
    assert!(failure.detail.ends_with("(timeouts.connect: 300ms)"), "{failure}");
    assert!(!failure.cause.contains("localhost"), "{failure:?}");
}

#[tokio::test]
async fn a_certificate_for_an_ip_address_is_checked() {
    let authority = Authority::new();
    let port = serve(authority.serve("127.0.0.1", |_| ()), &[]).await;
    let mut settings = https(port, authority.roots());
    settings.origin.host = "127.0.0.1".into();
    assert_eq!(Worker::new(settings).text("/").await, "h1");
    assert_untrusted(authority.serve("127.0.0.1", |_| ()), authority.roots()).await;
}

#[tokio::test]
async fn an_upstream_without_tls_is_a_tls_failure() {
    let vendor = vendor::Vendor::start(vendor::Peer::serve).await;
    let failure = Worker::new(https(vendor.port, TlsRoots::System)).get("/").await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.delivery),
        (FailureKind::Tls, Delivery::NotSent),
        "{failure}"
    );
    let silent = vendor::Vendor::start(|peer: vendor::Peer, _| peer.hang()).await;
    let mut settings = https(silent.port, TlsRoots::System);
    settings.connect_timeout = Duration::from_millis(300);
    let worker = Worker::new(settings);
    worker.load_certificates().unwrap();
    let failure = worker.get("/").await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.delivery),
        (FailureKind::Tls, Delivery::NotSent),
        "{failure}"
    );
}

#[tokio::test]
async fn a_body_that_ends_without_close_notify_is_truncated() {
    let authority = Authority::new();
    let port = serve(authority.serve("localhost", |_| ()), &[]).await;
    let worker = Worker::new(https(port, authority.roots()));
    assert_eq!(worker.text("/").await, "h1");
    let failure = read(worker.get("/cut").await.unwrap()).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.delivery),
        (FailureKind::Truncated, Delivery::Uncertain),
        "{failure}"
    );
}

#[tokio::test]
async fn a_file_without_certificates_is_a_tls_failure() {
    let empty = NamedTempFile::new().unwrap();
    for path in [empty.path().to_owned(), "/nowhere/ca.pem".into()] {
        let worker = Worker::new(https(1, TlsRoots::File(path)));
        let failure = worker.load_certificates().unwrap_err();
        assert_eq!(
            (failure.kind, failure.delivery),
            (FailureKind::Tls, Delivery::NotSent),
            "{failure}"
        );
    }
}
