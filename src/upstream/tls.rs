//! Whose certificates are believed, and which protocols are offered.
//!
//! It refuses to believe anybody else: there is no way to turn checking off.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, UNIX_EPOCH};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::certificate::{self, Certificate, Role};
use super::settings::{Protocol, TlsRoots};
use crate::outcome::{Delivery, Failure, FailureKind};

/// How the TLS of one upstream is checked; read when it is first needed.
pub(super) struct Trust {
    roots: TlsRoots,
    protocol: Protocol,
    /// Only what could be read: what could not is tried again.
    config: OnceLock<Arc<ClientConfig>>,
}

impl Trust {
    pub(super) fn new(roots: &TlsRoots, protocol: Protocol) -> Self {
        Self { roots: roots.clone(), protocol, config: OnceLock::new() }
    }

    /// The configuration if it has been read.
    pub(super) fn ready(&self) -> Option<Arc<ClientConfig>> {
        self.config.get().cloned()
    }

    /// The configuration; blocks for reading it the first time.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, Failure> {
        if let Some(config) = self.ready() {
            return Ok(config);
        }
        let config = configure(&self.roots, self.protocol)?;
        Ok(Arc::clone(self.config.get_or_init(|| config)))
    }
}

fn configure(roots: &TlsRoots, protocol: Protocol) -> Result<Arc<ClientConfig>, Failure> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?;
    let builder = match roots {
        TlsRoots::System => builder.with_root_certificates(system_roots()?),
        TlsRoots::File(path) => {
            let believed = Believed::of_file(path, provider)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(believed))
        }
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = offered(protocol);
    Ok(Arc::new(config))
}

fn offered(protocol: Protocol) -> Vec<Vec<u8>> {
    match protocol {
        Protocol::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::Http2 => vec![b"h2".to_vec()],
    }
}

/// Those of the operating system, read once for all upstreams.
fn system_roots() -> Result<Arc<RootCertStore>, Failure> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(Arc::clone(roots));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(unusable("the operating system trusts nobody".to_owned()));
    }
    Ok(Arc::clone(ROOTS.get_or_init(|| Arc::new(roots))))
}

/// What `tls.ca` names: authorities, which may sign others, and certificates of servers, each of
/// which is believed when it is shown itself (a pin). A pin is checked for its name and its dates
/// like any other; who issued it no longer matters.
#[derive(Debug)]
struct Believed {
    authorities: Option<Arc<WebPkiServerVerifier>>,
    pins: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Believed {
    fn of_file(path: &Path, provider: Arc<CryptoProvider>) -> Result<Self, Failure> {
        let fault =
            |error: &dyn std::fmt::Display| unusable(format!("{}: {error}", path.display()));
        let pins = certificate::of_file(path).map_err(|error| fault(&error))?;
        let mut roots = RootCertStore::empty();
        for der in &pins {
            let known = Certificate::of(der).ok_or_else(|| fault(&"a certificate is not X.509"))?;
            if known.role == Role::Authority {
                roots.add(der.clone()).map_err(|error| fault(&error))?;
            }
        }
        let authorities = if roots.is_empty() {
            None
        } else {
            let provider = Arc::clone(&provider);
            let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
            Some(built.build().map_err(|error| fault(&error))?)
        };
        Ok(Self { authorities, pins, provider })
    }

    /// Whether a certificate that is pinned is for this host, today.
    fn pinned(
        end_entity: &CertificateDer<'_>,
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        rustls::client::verify_server_name(&parsed, server_name)?;
        let known = Certificate::of(end_entity).ok_or(CertificateError::BadEncoding)?;
        let now = UNIX_EPOCH + Duration::from_secs(now.as_secs());
        if known.not_after < now {
            return Err(CertificateError::Expired.into());
        }
        if now < known.not_before {
            return Err(CertificateError::NotValidYet.into());
        }
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for Believed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.pins.iter().any(|pin| pin.as_ref() == end_entity.as_ref()) {
            return Self::pinned(end_entity, server_name, now);
        }
        match &self.authorities {
            Some(authorities) => authorities.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn unusable(detail: String) -> Failure {
    Failure::new(FailureKind::Tls, Delivery::NotSent, detail)
        .with_cause("the certificates to believe cannot be read")
}
