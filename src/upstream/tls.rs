//! Which certificates of an upstream are trusted, and which HTTP versions are offered in the
//! handshake. Verification cannot be turned off.

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

/// The TLS configuration of one upstream, loaded when it is first needed.
pub(super) struct TlsConfig {
    roots: TlsRoots,
    protocol: Protocol,
    /// Set only on success, so that loading is tried again after a failure.
    loaded: OnceLock<Arc<ClientConfig>>,
}

impl TlsConfig {
    pub(super) fn new(roots: &TlsRoots, protocol: Protocol) -> Self {
        Self { roots: roots.clone(), protocol, loaded: OnceLock::new() }
    }

    pub(super) fn loaded(&self) -> Option<Arc<ClientConfig>> {
        self.loaded.get().cloned()
    }

    /// Reads the certificates unless that has been done. Blocks for some milliseconds.
    ///
    /// # Errors
    ///
    /// The file, or the operating system's store, holds no usable certificate.
    pub(super) fn load(&self) -> Result<Arc<ClientConfig>, Failure> {
        if let Some(config) = self.loaded() {
            return Ok(config);
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable_roots(error.to_string()))?;
        let builder = match &self.roots {
            TlsRoots::System => builder.with_root_certificates(system_roots()?),
            TlsRoots::File(path) => {
                let verifier = FileVerifier::load(path, provider)?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = match self.protocol {
            Protocol::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        Ok(Arc::clone(self.loaded.get_or_init(|| Arc::new(config))))
    }
}

/// The operating system's certificates, read once for all upstreams.
fn system_roots() -> Result<Arc<RootCertStore>, Failure> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(Arc::clone(roots));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let detail = "the operating system's certificate store is empty";
        return Err(unusable_roots(detail.to_owned()));
    }
    Ok(Arc::clone(ROOTS.get_or_init(|| Arc::new(roots))))
}

/// Trusts what the file of `tls.ca` holds: authorities, which may sign others, and pins, which are
/// certificates of servers and trusted themselves. A pin is checked for its name and its dates
/// like any other certificate, but not for its issuer.
#[derive(Debug)]
struct FileVerifier {
    /// Absent if the file holds pins only.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    /// All certificates of the file: an authority may also be shown as a server's certificate.
    pins: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl FileVerifier {
    fn load(path: &Path, provider: Arc<CryptoProvider>) -> Result<Self, Failure> {
        let unusable =
            |error: &dyn std::fmt::Display| unusable_roots(format!("{}: {error}", path.display()));
        let pins = certificate::read_pem(path).map_err(|error| unusable(&error))?;
        let mut roots = RootCertStore::empty();
        for der in &pins {
            let certificate =
                Certificate::parse(der).ok_or_else(|| unusable(&"a certificate is not X.509"))?;
            if certificate.role == Role::Authority {
                roots.add(der.clone()).map_err(|error| unusable(&error))?;
            }
        }
        let authorities = if roots.is_empty() {
            None
        } else {
            let provider = Arc::clone(&provider);
            let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
            Some(builder.build().map_err(|error| unusable(&error))?)
        };
        Ok(Self { authorities, pins, provider })
    }
}

impl ServerCertVerifier for FileVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.pins.iter().any(|pin| pin.as_ref() == end_entity.as_ref()) {
            return verify_pin(end_entity, server_name, now);
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
        let supported = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, supported)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let supported = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, supported)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Checks that a pinned certificate is for this host and valid now.
fn verify_pin(
    end_entity: &CertificateDer<'_>,
    server_name: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, rustls::Error> {
    let parsed = ParsedCertificate::try_from(end_entity)?;
    rustls::client::verify_server_name(&parsed, server_name)?;
    let certificate = Certificate::parse(end_entity).ok_or(CertificateError::BadEncoding)?;
    let now = UNIX_EPOCH + Duration::from_secs(now.as_secs());
    if certificate.not_after < now {
        return Err(CertificateError::Expired.into());
    }
    if now < certificate.not_before {
        return Err(CertificateError::NotValidYet.into());
    }
    Ok(ServerCertVerified::assertion())
}

fn unusable_roots(detail: String) -> Failure {
    Failure::new(FailureKind::Tls, Delivery::NotSent, detail)
        .with_cause("the certificates to trust cannot be read")
}
