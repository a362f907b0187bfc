//! Errors of h2, TLS and the operating system, translated into [`Failure`]s.
//!
//! Types and kinds of errors decide, along the whole chain of sources, and never their wording
//! (with one exception, see `tls`). Whatever is not known to be harmless counts as "the upstream
//! may have received the request".

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use crate::outcome::{Delivery, Failure, FailureKind, cause};

mod tls;

/// What the errors on an open connection come down to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ErrorClass {
    /// The other side reset the connection or the stream.
    Reset,
    /// The connection was closed in an orderly way, in the middle of a message.
    Eof,
    /// TLS failed after its handshake.
    Tls,
    /// The bytes are not HTTP.
    Malformed,
    /// The upstream states that it did not process the stream.
    NotProcessed,
}

impl ErrorClass {
    fn kind(self, eof: FailureKind) -> FailureKind {
        match self {
            Self::Eof => eof,
            Self::Reset | Self::NotProcessed => FailureKind::Reset,
            Self::Tls => FailureKind::Tls,
            Self::Malformed => FailureKind::Protocol,
        }
    }
}

/// An HTTP/1.1 exchange failed before the head of its response was complete; `read_bytes` of it
/// had arrived.
pub(super) fn http1_head(error: &io::Error, delivery: Delivery, read_bytes: usize) -> Failure {
    if let Some(alert) = late_tls_alert(error, delivery) {
        return alert;
    }
    let eof = if read_bytes > 0 { FailureKind::Truncated } else { FailureKind::Reset };
    Failure::new(classify_io(error).kind(eof), delivery, chain(error))
}

/// The body of an HTTP/1.1 response broke off.
pub(super) fn http1_body(error: &io::Error) -> Failure {
    let kind = classify_io(error).kind(FailureKind::Truncated);
    Failure::new(kind, Delivery::Uncertain, chain(error))
}

/// An HTTP/2 exchange failed before its response head, or the connection before its first stream.
pub(super) fn http2_head(error: &h2::Error, delivery: Delivery) -> Failure {
    if let Some(alert) = error.get_io().and_then(|error| late_tls_alert(error, delivery)) {
        return alert;
    }
    let class = classify_h2(error);
    if class == ErrorClass::NotProcessed && delivery != Delivery::NotSent {
        return Failure::new(FailureKind::RefusedStream, Delivery::Refused, chain(error));
    }
    Failure::new(class.kind(FailureKind::Reset), delivery, chain(error))
}

/// The body of an HTTP/2 response broke off.
pub(super) fn http2_body(error: &h2::Error) -> Failure {
    let kind = classify_h2(error).kind(FailureKind::Truncated);
    Failure::new(kind, Delivery::Uncertain, chain(error))
}

/// TLS failed on an open connection. A TLS 1.3 client regards the handshake as complete before the
/// upstream has checked its side, so that the upstream's refusal of a missing client certificate
/// arrives in place of a response.
fn late_tls_alert(error: &io::Error, delivery: Delivery) -> Option<Failure> {
    let failure = match inner::<rustls::Error>(error) {
        Some(error) => tls::handshake(error, ""),
        None => tls::alert_from_text(&error.to_string())?,
    };
    Some(Failure { delivery, ..failure })
}

/// The upstream closed the connection in an orderly way after `read_bytes` of its response.
pub(super) fn closed(delivery: Delivery, read_bytes: usize) -> Failure {
    if read_bytes > 0 {
        let detail = "the connection was closed in the middle of the response";
        return Failure::new(FailureKind::Truncated, delivery, detail);
    }
    Failure::new(FailureKind::Reset, delivery, "the connection was closed before a response")
}

/// The response is not HTTP as we read it.
pub(super) fn malformed(what: &'static str) -> Failure {
    Failure::new(FailureKind::Protocol, Delivery::Uncertain, what)
}

/// The response's head is over a limit of ours; the upstream made no mistake.
pub(super) fn head_too_large(what: &'static str) -> Failure {
    Failure::new(FailureKind::HeadTooLarge, Delivery::Uncertain, what)
}

/// The request's own body broke off, which is the client's doing. The gateway knows that from the
/// body it passed in; here it is a reset whose detail says so.
pub(super) fn request_body(error: &(dyn Error + 'static), delivery: Delivery) -> Failure {
    Failure::new(FailureKind::Reset, delivery, format!("the request's body: {}", chain(error)))
}

pub(super) fn lookup(error: &io::Error, host: &str) -> Failure {
    // The resolver reports missing sockets as an unknown name, so whether one can be opened is
    // tried here.
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None);
    let is_local = is_local(error) || socket.is_err_and(|error| is_local(&error));
    let kind = if is_local { FailureKind::LocalResources } else { FailureKind::Dns };
    Failure::new(kind, Delivery::NotSent, format!("`{host}` does not resolve: {}", chain(error)))
}

/// No address accepted a connection; `address` was tried last.
#[expect(clippy::wildcard_enum_match_arm, reason = "std may add kinds; the rest is alike")]
pub(super) fn tcp_connect(error: &io::Error, address: SocketAddr) -> Failure {
    let detail = format!("{address}: {}", chain(error));
    let failure = |kind| Failure::new(kind, Delivery::NotSent, detail);
    if is_local(error) {
        return failure(FailureKind::LocalResources);
    }
    match error.kind() {
        ErrorKind::TimedOut => failure(FailureKind::ConnectTimeout),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            failure(FailureKind::Refused).with_cause(cause::NO_ROUTE)
        }
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => {
            failure(FailureKind::Refused).with_cause("the connection was reset while it was opened")
        }
        ErrorKind::PermissionDenied => failure(FailureKind::Refused)
            .with_cause("this machine does not permit a connection to the upstream"),
        _ => failure(FailureKind::Refused),
    }
}

/// Whether this program or its system ran out of something, which says nothing about the upstream.
fn is_local(error: &io::Error) -> bool {
    /// Open files of the system, open files of this program, memory for sockets.
    const EXHAUSTED: [Errno; 4] = [Errno::NFILE, Errno::MFILE, Errno::NOBUFS, Errno::NOMEM];
    let is_exhausted = Errno::from_io_error(error).is_some_and(|errno| EXHAUSTED.contains(&errno));
    let has_no_port = matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse);
    is_exhausted || has_no_port
}

/// The TLS handshake with `host` failed.
#[expect(clippy::wildcard_enum_match_arm, reason = "std may add kinds; the rest is alike")]
pub(super) fn tls_handshake(error: &io::Error, host: &str) -> Failure {
    if let Some(error) = inner::<rustls::Error>(error) {
        return tls::handshake(error, host);
    }
    let cause = match error.kind() {
        ErrorKind::UnexpectedEof => "the upstream closed the connection during the handshake",
        ErrorKind::ConnectionReset => "the upstream reset the connection during the handshake",
        _ => FailureKind::Tls.summary(),
    };
    let detail = format!("{cause}: {}", chain(error));
    Failure::new(FailureKind::Tls, Delivery::NotSent, detail).with_cause(cause)
}

fn classify_h2(error: &h2::Error) -> ErrorClass {
    if let Some(error) = error.get_io() {
        return classify_io(error);
    }
    let is_refused = error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM);
    match (error.is_remote(), is_refused) {
        (true, true) => ErrorClass::NotProcessed,
        (true, false) => ErrorClass::Reset,
        (false, _) => ErrorClass::Malformed,
    }
}

fn classify_io(error: &io::Error) -> ErrorClass {
    if let Some(error) = inner::<h2::Error>(error) {
        return classify_h2(error);
    }
    if inner::<rustls::Error>(error).is_some() {
        return ErrorClass::Tls;
    }
    let kind = error.kind();
    if kind == ErrorKind::UnexpectedEof {
        ErrorClass::Eof
    } else if matches!(kind, ErrorKind::InvalidData | ErrorKind::InvalidInput) {
        ErrorClass::Malformed
    } else {
        ErrorClass::Reset
    }
}

/// The error that an I/O error wraps; its `source` would skip it.
fn inner<E: Error + 'static>(error: &io::Error) -> Option<&E> {
    error.get_ref()?.downcast_ref()
}

/// An error and its sources in one line, without repeating a text that already ends the line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = error.source();
    }
    text
}

/// The allowance was leased for a time that ended before the first byte could be written.
pub(super) fn too_late() -> Failure {
    let detail = "the lease of the allowance ended before the request could be written";
    Failure::new(FailureKind::ConnectionLimit, Delivery::NotSent, detail)
}
