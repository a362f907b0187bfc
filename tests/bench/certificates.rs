//! A certificate authority and one server certificate, generated for each run.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::error::MeasureError;

/// The paths of the files.
pub(crate) struct Certificates {
    /// The certificate of the authority, which proxies have to trust.
    pub(crate) authority: PathBuf,
    /// The upstream's certificate, for `localhost` and 127.0.0.1.
    pub(crate) leaf: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificates {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self {
            authority: folder.join("authority.pem"),
            leaf: folder.join("leaf.pem"),
            key: folder.join("leaf.key"),
        }
    }

    pub(crate) fn generate(folder: &Path) -> Result<Self, MeasureError> {
        let files = Self::in_folder(folder);
        let mut params = named("bench authority", Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate()?;
        fs::write(&files.authority, params.self_signed(&authority_key)?.pem())?;
        let issuer = Issuer::new(params, authority_key);
        let leaf_key = KeyPair::generate()?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let leaf = named("bench vendor", names)?.signed_by(&leaf_key, &issuer)?;
        fs::write(&files.leaf, leaf.pem())?;
        fs::write(&files.key, leaf_key.serialize_pem())?;
        Ok(files)
    }
}

/// Authority and leaf need different names, or OpenSSL takes the leaf for self-signed.
fn named(name: &str, addresses: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(addresses)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}
