//! Why a TLS handshake failed, in words that an operator can act on.
//!
//! The detail may name hosts and goes to the log; the cause names none and may be shown to clients.
//! rustls speaks TLS 1.2 and 1.3 with forward secrecy and authenticated ciphers, and nothing older;
//! where the other side has only that, the detail says so.

use rustls::{AlertDescription, CertificateError, Error};

use crate::outcome::{Delivery, Failure, FailureKind, cause};

const SUPPORTED: &str = "this gateway supports TLS 1.2 and 1.3 with ECDHE and AES-GCM or \
                         ChaCha20; RSA key exchange and CBC are not supported";

/// The failure of a handshake with `host`.
#[expect(clippy::wildcard_enum_match_arm, reason = "rustls may add errors; the rest is alike")]
pub(super) fn handshake(error: &Error, host: &str) -> Failure {
    match error {
        Error::InvalidCertificate(error) => certificate(error, host),
        Error::NoCertificatesPresented => {
            let detail = "the upstream presented no certificate";
            Failure::new(FailureKind::TlsCertificate, Delivery::NotSent, detail)
        }
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::PeerIncompatible(what) => {
            let cause = cause::NO_COMMON_TLS;
            failure(format!("{cause}; {SUPPORTED} ({what:?})"), cause)
        }
        Error::NoApplicationProtocol => {
            failure(cause::NO_COMMON_PROTOCOL.to_owned(), cause::NO_COMMON_PROTOCOL)
        }
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => {
            let cause = "the upstream did not answer with TLS; does it need `http://`?";
            failure(format!("{cause} ({error})"), cause)
        }
        _ => failure(error.to_string(), FailureKind::Tls.summary()),
    }
}

/// The failure that an alert means of which only its text is left: the h2 crate keeps nothing else
/// of errors below it.
pub(super) fn alert_from_text(text: &str) -> Option<Failure> {
    use AlertDescription as Alert;
    let late = [Alert::CertificateRequired, Alert::AccessDenied, Alert::UnknownCA];
    let has_text = |alert: &Alert| Error::AlertReceived(*alert).to_string() == text;
    late.into_iter().find(has_text).map(of_alert)
}

fn failure(detail: String, cause: &'static str) -> Failure {
    Failure::new(FailureKind::Tls, Delivery::NotSent, detail).with_cause(cause)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "rustls may add alerts; the rest is alike")]
fn of_alert(alert: AlertDescription) -> Failure {
    use AlertDescription as Alert;
    let (cause, more) = match alert {
        Alert::HandshakeFailure | Alert::InsufficientSecurity | Alert::ProtocolVersion => {
            (cause::NO_COMMON_TLS, format!("; {SUPPORTED}"))
        }
        Alert::NoApplicationProtocol => (cause::NO_COMMON_PROTOCOL, String::new()),
        Alert::UnrecognisedName => (cause::UNKNOWN_NAME, String::new()),
        Alert::CertificateRequired | Alert::AccessDenied | Alert::UnknownCA => {
            (cause::CLIENT_CERTIFICATE, ", which this gateway cannot send".to_owned())
        }
        _ => (cause::ALERT, String::new()),
    };
    failure(format!("{cause}{more} (alert {alert:?})"), cause)
}

/// The failure of a certificate that is not trusted for `host`.
#[expect(clippy::wildcard_enum_match_arm, reason = "rustls may add errors; the rest is alike")]
fn certificate(error: &CertificateError, host: &str) -> Failure {
    use CertificateError as Reason;
    let other_name = "the certificate is for another name";
    let (cause, detail) = match error {
        Reason::Expired | Reason::ExpiredContext { .. } => ("the certificate has expired", None),
        Reason::NotValidYet | Reason::NotValidYetContext { .. } => {
            ("the certificate is not valid yet; check the clocks of both machines", None)
        }
        Reason::NotValidForName => (other_name, Some(format!("it is not for `{host}`"))),
        Reason::NotValidForNameContext { presented, .. } => {
            let detail = match presented.as_slice() {
                [] => "it names no host (no subjectAltName)".to_owned(),
                names => {
                    // `vendor.example` of rustls' `DnsName("vendor.example")`.
                    let plain = |name: &String| {
                        let inside =
                            name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
                        inside.unwrap_or(name).trim_matches('"').to_owned()
                    };
                    let names: Vec<_> = names.iter().map(plain).collect();
                    format!("it is for {}, not for `{host}`", names.join(", "))
                }
            };
            (other_name, Some(detail))
        }
        Reason::UnknownIssuer => (
            "the certificate's issuer is unknown",
            Some("to trust it, name its certificate under `tls.ca`".to_owned()),
        ),
        Reason::Revoked => ("the certificate is revoked", None),
        Reason::BadSignature => (
            "the certificate is not signed by a trusted authority",
            Some("one of the same name has another key; is `tls.ca` out of date?".to_owned()),
        ),
        Reason::BadEncoding => ("the certificate cannot be read", None),
        Reason::InvalidPurpose | Reason::InvalidPurposeContext { .. } => {
            ("the certificate is not for servers", None)
        }
        Reason::UnhandledCriticalExtension => {
            ("the certificate has a critical extension that this gateway does not support", None)
        }
        Reason::UnsupportedSignatureAlgorithmContext { .. }
        | Reason::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            ("the certificate's signature algorithm is not supported", None)
        }
        other if other.to_string().contains("CaUsedAsEndEntity") => (
            "the certificate is that of an authority, not of a server",
            Some("to trust exactly this one, name it under `tls.ca`".to_owned()),
        ),
        _ => ("the certificate is not trusted", None),
    };
    let detail = match (error, detail) {
        // rustls' own text only repeats the names.
        (Reason::NotValidForNameContext { .. }, Some(detail)) => format!("{cause}: {detail}"),
        (_, Some(detail)) => format!("{cause}: {detail} ({error})"),
        (_, None) => format!("{cause} ({error})"),
    };
    Failure::new(FailureKind::TlsCertificate, Delivery::NotSent, detail).with_cause(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alert_and_error_has_a_detail_to_act_on_and_a_cause_without_host_names() {
        use AlertDescription as Alert;
        let rows = [
            (Error::AlertReceived(Alert::HandshakeFailure), "RSA key exchange and CBC are not"),
            (Error::AlertReceived(Alert::ProtocolVersion), "TLS 1.2 and 1.3"),
            (Error::AlertReceived(Alert::UnrecognisedName), "does not serve this name"),
            (Error::AlertReceived(Alert::CertificateRequired), "client certificate"),
            (Error::AlertReceived(Alert::InternalError), "alert"),
            (Error::NoApplicationProtocol, "HTTP version"),
            (Error::NoCertificatesPresented, "no certificate"),
            (Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType), "`http://`"),
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
            let found = handshake(&error, "db.internal");
            assert!(found.detail.contains(words), "{found}");
            assert!(!found.cause.contains("internal") && !found.cause.is_empty(), "{found:?}");
        }
    }
}
