//! Why a TLS handshake failed, in words with which an operator can do something.
//!
//! The detail may name hosts, which is for the log; the cause names none. rustls speaks TLS 1.2 and
//! 1.3 with forward secrecy and authenticated ciphers, and nothing older: where the other side has
//! only that, the words say so.

use rustls::{AlertDescription, CertificateError, Error};

use crate::outcome::{Delivery, Failure, FailureKind, cause};

/// The failure of a handshake with `host`.
#[expect(clippy::wildcard_enum_match_arm, reason = "others may add kinds; the rest is alike")]
pub(super) fn failure(error: &Error, host: &str) -> Failure {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error, host),
        Error::NoCertificatesPresented => {
            let none = "the upstream showed no certificate";
            Failure::new(FailureKind::TlsCertificate, Delivery::NotSent, none)
        }
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::PeerIncompatible(what) => {
            tls(format!("{}; {SPOKEN} ({what:?})", cause::NO_COMMON_TLS), cause::NO_COMMON_TLS)
        }
        Error::NoApplicationProtocol => {
            tls(cause::NO_COMMON_PROTOCOL.to_owned(), cause::NO_COMMON_PROTOCOL)
        }
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => {
            let clear = "what the upstream says is not TLS; does it speak in clear, as `http://`?";
            tls(format!("{clear} ({error})"), clear)
        }
        _ => tls(error.to_string(), FailureKind::Tls.summary()),
    }
}

/// The failure that an alert means of which only its text is left: the h2 crate keeps no more of
/// what breaks below it.
pub(super) fn of_alert_text(text: &str) -> Option<Failure> {
    use AlertDescription as Alert;
    let known = [Alert::CertificateRequired, Alert::AccessDenied, Alert::UnknownCA];
    let told = |alert: &AlertDescription| Error::AlertReceived(*alert).to_string() == text;
    known.into_iter().find(told).map(of_alert)
}

/// What this gateway has to offer.
const SPOKEN: &str = "TLS 1.2 and 1.3 are spoken here, with ECDHE and AES-GCM or ChaCha20; \
                      RSA key exchange and CBC are not";

fn tls(detail: String, cause: &'static str) -> Failure {
    Failure::new(FailureKind::Tls, Delivery::NotSent, detail).with_cause(cause)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "others may add kinds; the rest is alike")]
fn of_alert(alert: AlertDescription) -> Failure {
    use AlertDescription as Alert;
    match alert {
        Alert::HandshakeFailure | Alert::InsufficientSecurity | Alert::ProtocolVersion => {
            let detail = format!("{}; {SPOKEN} (alert {alert:?})", cause::NO_COMMON_TLS);
            tls(detail, cause::NO_COMMON_TLS)
        }
        Alert::NoApplicationProtocol => tls(
            format!("{} (alert {alert:?})", cause::NO_COMMON_PROTOCOL),
            cause::NO_COMMON_PROTOCOL,
        ),
        Alert::UnrecognisedName => {
            tls(format!("{} (alert {alert:?})", cause::UNKNOWN_NAME), cause::UNKNOWN_NAME)
        }
        Alert::CertificateRequired | Alert::AccessDenied | Alert::UnknownCA => {
            let words = cause::CLIENT_CERTIFICATE;
            tls(format!("{words}, which this gateway cannot send (alert {alert:?})"), words)
        }
        _ => tls(format!("{} ({alert:?})", cause::ALERT), cause::ALERT),
    }
}

/// Why a certificate is not trusted: for everybody, and with names for the log.
#[expect(clippy::wildcard_enum_match_arm, reason = "others may add kinds; the rest is alike")]
fn of_certificate(error: &CertificateError, host: &str) -> Failure {
    use CertificateError as Fault;
    let (cause, more) = match error {
        Fault::Expired | Fault::ExpiredContext { .. } => ("the certificate has expired", None),
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => {
            ("the certificate is not valid yet; are the clocks right?", None)
        }
        Fault::NotValidForName => {
            ("the certificate is for another name", Some(format!("it is not for `{host}`")))
        }
        Fault::NotValidForNameContext { presented, .. } => {
            let names = match presented.as_slice() {
                [] => "it names no host at all (no subjectAltName)".to_owned(),
                names => {
                    let names: Vec<_> = names.iter().map(|name| plain_name(name)).collect();
                    format!("it is for {}, not for `{host}`", names.join(", "))
                }
            };
            let cause = "the certificate is for another name";
            return distrusted(cause, format!("{cause}: {names}"));
        }
        Fault::UnknownIssuer => (
            "the certificate's issuer is unknown",
            Some("`tls.ca` can name the one to believe".to_owned()),
        ),
        Fault::Revoked => ("the certificate is revoked", None),
        Fault::BadSignature => (
            "the certificate is not signed by an authority that is believed",
            Some("one of the same name has another key; is `tls.ca` out of date?".to_owned()),
        ),
        Fault::BadEncoding => ("the certificate cannot be read", None),
        Fault::InvalidPurpose | Fault::InvalidPurposeContext { .. } => {
            ("the certificate is not for servers", None)
        }
        Fault::UnhandledCriticalExtension => {
            ("the certificate has a critical extension that is not known here", None)
        }
        Fault::UnsupportedSignatureAlgorithmContext { .. }
        | Fault::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            ("the certificate is signed in a way that is not accepted here", None)
        }
        other if other.to_string().contains("CaUsedAsEndEntity") => (
            "the certificate is that of an authority, not of a server",
            Some("name it under `tls.ca` to believe exactly this one".to_owned()),
        ),
        _ => ("the certificate is not trusted", None),
    };
    let detail = match more {
        Some(more) => format!("{cause}: {more} ({error})"),
        None => format!("{cause} ({error})"),
    };
    distrusted(cause, detail)
}

fn distrusted(cause: &'static str, detail: String) -> Failure {
    Failure::new(FailureKind::TlsCertificate, Delivery::NotSent, detail).with_cause(cause)
}

/// `vendor.example` of rustls' `DnsName("vendor.example")`.
fn plain_name(presented: &str) -> &str {
    let inside = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(presented).trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alert_and_fault_has_words_and_names_no_host_to_everybody() {
        use AlertDescription as Alert;
        let rows = [
            (Error::AlertReceived(Alert::HandshakeFailure), "RSA key exchange and CBC are not"),
            (Error::AlertReceived(Alert::ProtocolVersion), "TLS 1.2 and 1.3"),
            (Error::AlertReceived(Alert::UnrecognisedName), "does not serve this name"),
            (Error::AlertReceived(Alert::CertificateRequired), "client certificate"),
            (Error::AlertReceived(Alert::InternalError), "alert"),
            (Error::NoApplicationProtocol, "HTTP version"),
            (Error::NoCertificatesPresented, "no certificate"),
            (Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType), "in clear"),
            (
                Error::PeerIncompatible(rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13),
                "shares no TLS version",
            ),
            (Error::InvalidCertificate(CertificateError::Expired), "has expired"),
            (Error::InvalidCertificate(CertificateError::NotValidYet), "not valid yet"),
            (Error::InvalidCertificate(CertificateError::UnknownIssuer), "`tls.ca`"),
            (Error::InvalidCertificate(CertificateError::NotValidForName), "not for `db.internal`"),
            (Error::InvalidCertificate(CertificateError::Revoked), "revoked"),
            (Error::InvalidCertificate(CertificateError::InvalidPurpose), "not for servers"),
        ];
        for (error, words) in rows {
            let found = failure(&error, "db.internal");
            assert!(found.detail.contains(words), "{found}");
            assert!(!found.cause.contains("internal") && !found.cause.is_empty(), "{found:?}");
        }
    }
}
