//! Whose certificates are believed, and which protocols are offered.
//!
//! It refuses to believe anybody else: there is no way to turn checking off.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::settings::{Protocol, TlsRoots};
use crate::policy::outcome::{Failure, FailureKind, Reach};

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
    let roots = match roots {
        TlsRoots::System => system_roots()?,
        TlsRoots::File(path) => file_roots(path)?,
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
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

fn file_roots(path: &Path) -> Result<Arc<RootCertStore>, Failure> {
    let fault = |error: &dyn std::fmt::Display| unusable(format!("{}: {error}", path.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(PathBuf::from(path)).map_err(|e| fault(&e))? {
        roots.add(certificate.map_err(|e| fault(&e))?).map_err(|e| fault(&e))?;
    }
    if roots.is_empty() {
        return Err(fault(&"no certificate in it"));
    }
    Ok(Arc::new(roots))
}

fn unusable(detail: String) -> Failure {
    Failure::new(FailureKind::Tls, Reach::Nothing, detail)
}
