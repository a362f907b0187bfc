//! Reads the certificates of `tls.ca`: whether each may sign others, and when it is valid.
//!
//! rustls accepts any certificate as a root and reads no dates. Only the outer structure of X.509
//! (RFC 5280 §4.1) is read here, and whatever does not fit it is reported as unknown.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::clock::Clock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// May sign other certificates: a root or an intermediate.
    Authority,
    /// The certificate of a server.
    Leaf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub role: Role,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
}

/// The certificates of a PEM file, at least one.
///
/// # Errors
///
/// The file cannot be read, holds no certificate, or one that is not X.509.
pub fn read(file: &Path) -> Result<Vec<Certificate>, String> {
    let mut certificates = Vec::new();
    for der in read_pem(file)? {
        let certificate = Certificate::parse(&der);
        certificates.push(certificate.ok_or("a certificate in it is not X.509")?);
    }
    Ok(certificates)
}

/// The same as [`read`], undecoded.
pub(super) fn read_pem(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    if found.is_empty() { Err("no certificate in it".to_owned()) } else { Ok(found) }
}

impl Certificate {
    #[must_use]
    pub fn has_expired(&self) -> bool {
        self.not_after < Clock::start().wall()
    }

    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        let (certificate, _) = element(der, SEQUENCE)?;
        let (body, _) = element(certificate, SEQUENCE)?;
        let (version, rest) = match element(body, VERSION) {
            Some((version, rest)) => (element(version, INTEGER)?.0.last().copied()?, rest),
            None => (0, body),
        };
        let (_serial, rest) = element(rest, INTEGER)?;
        let (_algorithm, rest) = element(rest, SEQUENCE)?;
        let (_issuer, rest) = element(rest, SEQUENCE)?;
        let (validity, rest) = element(rest, SEQUENCE)?;
        let (not_before, dates) = time(validity)?;
        let (not_after, _) = time(dates)?;
        // Before version 3 there is no field that says who may sign; such roots are still in use.
        let may_sign = version < V3 || is_authority(rest);
        let role = if may_sign { Role::Authority } else { Role::Leaf };
        Some(Self { role, not_before, not_after })
    }
}

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
/// Version 3 is encoded as 2.
const V3: u8 = 2;
/// The object identifier of `basicConstraints`, 2.5.29.19.
const BASIC_CONSTRAINTS: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x13];
const TRUE: [u8; 3] = [0x01, 0x01, 0xff];

/// The contents of the DER element at the front, which must have this tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    if *found != tag {
        return None;
    }
    let (length, rest) = match usize::from(*first) {
        short @ ..0x80 => (short, rest),
        long => {
            let (digits, rest) = rest.split_at_checked(long & 0x7f)?;
            let digits = Some(digits).filter(|digits| (1..=4).contains(&digits.len()))?;
            (digits.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
    };
    rest.split_at_checked(length)
}

/// Whether `basicConstraints` allow signing; without that extension they do not (RFC 5280
/// §4.2.1.9).
fn is_authority(extensions: &[u8]) -> bool {
    let mut windows = extensions.windows(BASIC_CONSTRAINTS.len());
    let Some(at) = windows.position(|window| window == BASIC_CONSTRAINTS) else { return false };
    let value = &extensions[at + BASIC_CONSTRAINTS.len()..];
    let value = value.strip_prefix(&TRUE).unwrap_or(value);
    let constraints = element(value, OCTET_STRING).and_then(|(value, _)| element(value, SEQUENCE));
    constraints.is_some_and(|(constraints, _)| constraints.starts_with(&TRUE))
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`, and what follows it.
fn time(bytes: &[u8]) -> Option<(SystemTime, &[u8])> {
    let (text, year_digits, rest) = match element(bytes, UTC_TIME) {
        Some((text, rest)) => (text, 2, rest),
        None => element(bytes, GENERALIZED_TIME).map(|(text, rest)| (text, 4, rest))?,
    };
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, text) = text.split_at_checked(year_digits)?;
    let year: i16 = year.parse().ok()?;
    // RFC 5280 §4.1.2.5.1: two digits from 50 on belong to the last century.
    let year = match year_digits {
        2 if year < 50 => 2_000 + year,
        2 => 1_900 + year,
        _ => year,
    };
    let part = |at: usize| text.get(at * 2..at * 2 + 2)?.parse::<i8>().ok();
    let date = jiff::civil::Date::new(year, part(0)?, part(1)?).ok()?;
    let at = date.to_datetime(jiff::civil::Time::new(part(2)?, part(3)?, part(4)?, 0).ok()?);
    let seconds = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        UNIX_EPOCH.checked_sub(distance)?
    } else {
        UNIX_EPOCH.checked_add(distance)?
    };
    Some((time, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(1999, 2, 3);
        params.not_after = rcgen::date_time_ymd(2077, 5, 6);
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn role_and_validity_are_read() {
        let rows = [
            (IsCa::NoCa, Role::Leaf),
            (IsCa::ExplicitNoCa, Role::Leaf),
            (IsCa::Ca(BasicConstraints::Unconstrained), Role::Authority),
            (IsCa::Ca(BasicConstraints::Constrained(0)), Role::Authority),
        ];
        for (is_ca, role) in rows {
            let found = Certificate::parse(&certificate(|params| params.is_ca = is_ca)).unwrap();
            let seconds = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap().as_secs();
            assert_eq!(found.role, role);
            assert_eq!(
                (seconds(found.not_before), seconds(found.not_after)),
                (918_000_000, 3_387_484_800)
            );
        }
    }

    #[test]
    fn a_truncated_or_corrupted_certificate_is_unknown_and_causes_no_panic() {
        let whole = certificate(|_| ());
        for end in 0..whole.len() {
            let _ = Certificate::parse(&whole[..end]);
        }
        for at in 0..whole.len().min(400) {
            let mut changed = whole.clone();
            changed[at] ^= 0xff;
            let _ = Certificate::parse(&changed);
        }
        assert_eq!(Certificate::parse(b""), None);
        assert_eq!(Certificate::parse(b"\x30\x84\xff\xff\xff\xff"), None);
    }
}
