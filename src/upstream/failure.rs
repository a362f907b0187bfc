//! Other people's errors into ours: the only file that names those of h2 and TLS.
//!
//! It looks at types and kinds down the whole chain of sources, never at wording, and refuses
//! to guess in our favour: what it does not know may have reached the upstream.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use super::handshake;
use crate::outcome::{Delivery, Failure, FailureKind, cause};

/// What a chain of errors comes down to.
enum Cause {
    /// The other side hung up: a reset, or an end where HTTP expected more.
    HungUp,
    /// The connection ended in an orderly way, in the middle of something.
    Ended,
    /// TLS broke after its handshake.
    Tls,
    /// Bytes that are not HTTP.
    Nonsense,
    /// The upstream says it did not process the stream.
    Refused,
}

/// No head came over HTTP/2.
pub(super) fn of_head(error: &h2::Error, delivery: Delivery) -> Failure {
    if let Some(broken) = error.get_io().and_then(|error| of_late_alert(error, delivery)) {
        return broken;
    }
    let kind = match of_h2(error) {
        Cause::HungUp | Cause::Ended => FailureKind::Reset,
        Cause::Tls => FailureKind::Tls,
        Cause::Nonsense => FailureKind::Protocol,
        Cause::Refused if delivery == Delivery::NotSent => FailureKind::Reset,
        Cause::Refused => return refused(error),
    };
    Failure::new(kind, delivery, chain(error))
}

/// The request's own body broke, which is the doing of our client and not of the upstream: a
/// `Reset` whose detail says so; the gateway knows from the body that it gave.
pub(super) fn of_request_body(error: &(dyn Error + 'static), delivery: Delivery) -> Failure {
    Failure::new(FailureKind::Reset, delivery, format!("the request's body: {}", chain(error)))
}

/// No head came over HTTP/1.1; `heard` says whether something of it did.
pub(super) fn of_head_io(error: &io::Error, delivery: Delivery, heard: bool) -> Failure {
    if let Some(broken) = of_late_alert(error, delivery) {
        return broken;
    }
    let kind = match of_io(error) {
        Cause::Ended if heard => FailureKind::Truncated,
        Cause::HungUp | Cause::Ended | Cause::Refused => FailureKind::Reset,
        Cause::Tls => FailureKind::Tls,
        Cause::Nonsense => FailureKind::Protocol,
    };
    Failure::new(kind, delivery, chain(error))
}

/// TLS broke on a connection that was open already. In TLS 1.3 a client takes the handshake for
/// complete before the upstream has judged it, so that its refusal of a missing client certificate
/// arrives in place of an answer.
fn of_late_alert(error: &io::Error, delivery: Delivery) -> Option<Failure> {
    let broken = match inner::<rustls::Error>(error) {
        Some(found) => handshake::failure(found, ""),
        None => handshake::of_alert_text(&error.to_string())?,
    };
    Some(Failure { delivery, ..broken })
}

/// The body of an HTTP/1.1 answer broke off.
pub(super) fn of_body_io(error: &io::Error) -> Failure {
    Failure::new(of_broken_body(&of_io(error)), Delivery::Uncertain, chain(error))
}

/// The upstream closed the connection in an orderly way, before its answer or, where something of
/// that was `heard`, in the middle of it.
pub(super) fn of_end(delivery: Delivery, heard: bool) -> Failure {
    if heard {
        return Failure::new(
            FailureKind::Truncated,
            delivery,
            "closed in the middle of the answer",
        );
    }
    Failure::new(FailureKind::Reset, delivery, "closed before the answer")
}

/// What the upstream said is not HTTP as we read it.
pub(super) fn of_lie(what: &'static str) -> Failure {
    Failure::new(FailureKind::Protocol, Delivery::Uncertain, what)
}

/// The answer's head is over a bound of ours: the vendor answered, and did nothing wrong.
pub(super) fn of_own_bound(what: &'static str) -> Failure {
    Failure::new(FailureKind::HeadTooLarge, Delivery::Uncertain, what)
}

/// The body of an HTTP/2 answer broke off.
pub(super) fn of_body(error: &h2::Error) -> Failure {
    Failure::new(of_broken_body(&of_h2(error)), Delivery::Uncertain, chain(error))
}

fn of_broken_body(cause: &Cause) -> FailureKind {
    match cause {
        Cause::Ended => FailureKind::Truncated,
        Cause::HungUp | Cause::Refused => FailureKind::Reset,
        Cause::Tls => FailureKind::Tls,
        Cause::Nonsense => FailureKind::Protocol,
    }
}

/// No HTTP/2 connection could be begun on a socket that is open.
pub(super) fn of_handshake(error: &h2::Error) -> Failure {
    of_head(error, Delivery::NotSent)
}

/// The name did not resolve.
pub(super) fn of_lookup(error: &io::Error, host: &str) -> Failure {
    // The resolver hides what it lacked itself, so it is tried: it needs a socket.
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None);
    let local = is_local(error) || socket.is_err_and(|error| is_local(&error));
    let kind = if local { FailureKind::LocalResources } else { FailureKind::Dns };
    Failure::new(kind, Delivery::NotSent, format!("`{host}` does not resolve: {}", chain(error)))
}

/// No address could be connected to; this was the last that was tried.
#[expect(clippy::wildcard_enum_match_arm, reason = "others may add kinds; the rest is alike")]
pub(super) fn of_connect(error: &io::Error, address: SocketAddr) -> Failure {
    let detail = format!("{address}: {}", chain(error));
    let failed = |kind| Failure::new(kind, Delivery::NotSent, detail);
    if is_local(error) {
        return failed(FailureKind::LocalResources);
    }
    match error.kind() {
        ErrorKind::TimedOut => failed(FailureKind::ConnectTimeout),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            failed(FailureKind::Refused).with_cause(cause::NO_ROUTE)
        }
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => {
            failed(FailureKind::Refused).with_cause("the connection was reset while it was opened")
        }
        ErrorKind::PermissionDenied => failed(FailureKind::Refused)
            .with_cause("this machine does not permit a connection to the upstream"),
        _ => failed(FailureKind::Refused),
    }
}

/// Whether this program or its system lacks something, which says nothing about the other side.
fn is_local(error: &io::Error) -> bool {
    /// No more open files, in the system or in this program; no memory for sockets.
    const LACKS: [Errno; 4] = [Errno::NFILE, Errno::MFILE, Errno::NOBUFS, Errno::NOMEM];
    let lacks = Errno::from_io_error(error).is_some_and(|number| LACKS.contains(&number));
    // No port is left for a connection to there.
    lacks || matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse)
}

/// The TLS handshake with `host` failed.
#[expect(clippy::wildcard_enum_match_arm, reason = "others may add kinds; the rest is alike")]
pub(super) fn of_tls(error: &io::Error, host: &str) -> Failure {
    match inner::<rustls::Error>(error) {
        Some(found) => handshake::failure(found, host),
        None => {
            let ended = match error.kind() {
                ErrorKind::UnexpectedEof => {
                    "the upstream closed the connection during the handshake"
                }
                ErrorKind::ConnectionReset => {
                    "the upstream reset the connection during the handshake"
                }
                _ => FailureKind::Tls.summary(),
            };
            let detail = format!("{ended}: {}", chain(error));
            Failure::new(FailureKind::Tls, Delivery::NotSent, detail).with_cause(ended)
        }
    }
}

fn refused(error: &h2::Error) -> Failure {
    Failure::new(FailureKind::RefusedStream, Delivery::Refused, chain(error))
}

fn of_h2(error: &h2::Error) -> Cause {
    if let Some(error) = error.get_io() {
        return of_io(error);
    }
    let not_processed = error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM);
    if error.is_remote() {
        if not_processed { Cause::Refused } else { Cause::HungUp }
    } else {
        Cause::Nonsense
    }
}

fn of_io(error: &io::Error) -> Cause {
    if let Some(error) = inner::<h2::Error>(error) {
        return of_h2(error);
    }
    if inner::<rustls::Error>(error).is_some() {
        return Cause::Tls;
    }
    let kind = error.kind();
    if kind == ErrorKind::UnexpectedEof {
        Cause::Ended
    } else if matches!(kind, ErrorKind::InvalidData | ErrorKind::InvalidInput) {
        Cause::Nonsense
    } else {
        Cause::HungUp
    }
}

/// What an I/O error wraps; its `source` would skip it.
fn inner<E: Error + 'static>(error: &io::Error) -> Option<&E> {
    error.get_ref()?.downcast_ref()
}

/// An error and its sources in one line, each sentence once.
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
