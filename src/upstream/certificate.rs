//! What `tls.ca` has to know of a certificate: whether it may sign others, and when it is valid.
//!
//! rustls takes any certificate for a root and reads no dates of one. Only the outer structure of
//! X.509 (RFC 5280 §4.1) is read here, and everything that does not fit is unknown, never wrong.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::clock::Clock;

/// Whether a certificate may sign others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It may: a root or an intermediate.
    Authority,
    /// It may not: the certificate of a server.
    Leaf,
}

/// What is known of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whether it may sign others.
    pub role: Role,
    /// The first moment at which it is valid.
    pub not_before: SystemTime,
    /// The last one.
    pub not_after: SystemTime,
}

/// The certificates of a PEM file.
///
/// # Errors
/// The file cannot be read, holds no certificate, or one that is none.
pub fn read(file: &Path) -> Result<Vec<Certificate>, String> {
    let mut all = Vec::new();
    for der in of_file(file)? {
        let certificate = Certificate::of(&der);
        all.push(certificate.ok_or("a certificate in it is not X.509")?);
    }
    Ok(all)
}

/// The same as bytes; at least one.
pub(super) fn of_file(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    if found.is_empty() { Err("no certificate in it".to_owned()) } else { Ok(found) }
}

impl Certificate {
    /// Whether it was valid, and is not any more.
    #[must_use]
    pub fn has_expired(&self) -> bool {
        self.not_after < Clock::start().wall()
    }

    /// What is known of these bytes.
    pub(super) fn of(der: &[u8]) -> Option<Self> {
        let (whole, _) = element(der, SEQUENCE)?;
        let (body, _) = element(whole, SEQUENCE)?;
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
        // Before version 3 nothing says who may sign; such roots are still in use.
        let signs = version < V3 || basic_constraints(rest);
        let role = if signs { Role::Authority } else { Role::Leaf };
        Some(Self { role, not_before, not_after })
    }
}

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The number of version 3.
const V3: u8 = 2;
/// `basicConstraints`, 2.5.29.19, as an object identifier.
const BASIC_CONSTRAINTS: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x13];
/// `TRUE`.
const TRUE: [u8; 3] = [0x01, 0x01, 0xff];

/// The contents of an element of this tag, and what follows it.
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

/// Whether the extensions allow signing others; without a word they do not (RFC 5280 §4.2.1.9).
fn basic_constraints(rest: &[u8]) -> bool {
    let at = rest.windows(BASIC_CONSTRAINTS.len()).position(|at| at == BASIC_CONSTRAINTS);
    let Some(at) = at else { return false };
    let value = &rest[at + BASIC_CONSTRAINTS.len()..];
    let value = value.strip_prefix(&TRUE).unwrap_or(value);
    let inside = element(value, 0x04).and_then(|(value, _)| element(value, SEQUENCE));
    inside.is_some_and(|(inside, _)| inside.starts_with(&TRUE))
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`.
fn time(bytes: &[u8]) -> Option<(SystemTime, &[u8])> {
    let (text, century, rest) = match element(bytes, UTC_TIME) {
        Some((text, rest)) => (text, true, rest),
        None => element(bytes, GENERALIZED_TIME).map(|(text, rest)| (text, false, rest))?,
    };
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, text) = text.split_at_checked(if century { 2 } else { 4 })?;
    let year: i16 = year.parse().ok()?;
    // RFC 5280 §4.1.2.5.1: two digits from 50 on are of the last century.
    let year = match century {
        true if year < 50 => 2_000 + year,
        true => 1_900 + year,
        false => year,
    };
    let part = |at: usize| text.get(at * 2..at * 2 + 2)?.parse::<i8>().ok();
    let date = jiff::civil::Date::new(year, part(0)?, part(1)?).ok()?;
    let at = date.to_datetime(jiff::civil::Time::new(part(2)?, part(3)?, part(4)?, 0).ok()?);
    let seconds = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    let before = Duration::from_secs(seconds.unsigned_abs());
    let moment = match seconds < 0 {
        true => UNIX_EPOCH.checked_sub(before)?,
        false => UNIX_EPOCH.checked_add(before)?,
    };
    Some((moment, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    fn made(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(1999, 2, 3);
        params.not_after = rcgen::date_time_ymd(2077, 5, 6);
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn who_may_sign_and_until_when_is_read() {
        let rows = [
            (IsCa::NoCa, Role::Leaf),
            (IsCa::ExplicitNoCa, Role::Leaf),
            (IsCa::Ca(BasicConstraints::Unconstrained), Role::Authority),
            (IsCa::Ca(BasicConstraints::Constrained(0)), Role::Authority),
        ];
        for (is_ca, role) in rows {
            let found = Certificate::of(&made(|params| params.is_ca = is_ca)).unwrap();
            let seconds = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap().as_secs();
            assert_eq!(found.role, role);
            assert_eq!(
                (seconds(found.not_before), seconds(found.not_after)),
                (918_000_000, 3_387_484_800)
            );
        }
    }

    #[test]
    fn what_is_cut_short_or_changed_is_unknown_and_never_a_panic() {
        let whole = made(|_| ());
        for end in 0..whole.len() {
            let _ = Certificate::of(&whole[..end]);
        }
        for at in 0..whole.len().min(400) {
            let mut changed = whole.clone();
            changed[at] ^= 0xff;
            let _ = Certificate::of(&changed);
        }
        assert_eq!(Certificate::of(b""), None);
        assert_eq!(Certificate::of(b"\x30\x84\xff\xff\xff\xff"), None);
    }
}
