//! What the front door asks of whoever answers: a call in, a response out.
//!
//! Refuses to know what a call is: heads that the front door itself turns away are described
//! here, and answered in the handler's own words.

use std::error::Error;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;

use super::body::ClientBody;
use crate::gateway::{ClientConnection, OriginalHeads};
use crate::outcome::Code;

/// Answers the requests of one worker.
pub trait Handler: Send + Sync + 'static {
    /// The body of its responses.
    type Body: Sending<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static;

    /// Answers one request.
    ///
    /// The head is within the front door's bounds; `Host` is there, once and valid, whatever the
    /// version of HTTP was (except in HTTP/1.0, where it may be missing); an HTTP/1 target is
    /// the path and query alone, or `*`. What is needed of the request is taken out of it, and
    /// `heads` is how HTTP/1.1 brought it and the vendor's answer. The future is dropped when the
    /// client is seen to leave.
    fn handle(
        &self,
        request: &mut Request<ClientBody>,
        heads: &mut OriginalHeads,
        peer: &ClientConnection,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Answers a head that goes no further; `headers` where they could be read.
    fn refuse(&self, refused: Refused, headers: Option<&HeaderMap>) -> Response<Self::Body>;

    /// Called about once a second on the worker's thread.
    fn tick(&self) {}

    /// A connection came or went.
    fn connection(&self, _change: ConnectionChange) {}
}

/// A body that is told when all of it went out. Dropped before that, it broke off.
pub trait Sending: Body {
    /// All of it went out.
    fn was_sent(&mut self);
}

/// What happened to a client connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionChange {
    /// It was accepted.
    Opened,
    /// It ended.
    Closed,
}

/// Why a head goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It has no single reading.
    Malformed {
        /// What is wrong, as a sentence.
        detail: &'static str,
    },
    /// It is larger than the bound.
    HeadersTooLarge,
    /// Its target is longer than the bound.
    TargetTooLong,
    /// It asks for another protocol, or for a tunnel.
    UpgradeUnsupported,
}

impl Refused {
    /// The code of the problem that says so.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Malformed { .. } => Code::InvalidRequest,
            Self::HeadersTooLarge => Code::HeadersTooLarge,
            Self::TargetTooLong => Code::TargetTooLong,
            Self::UpgradeUnsupported => Code::UpgradeUnsupported,
        }
    }

    /// What is wrong, as a sentence.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Malformed { detail } => detail,
            Self::HeadersTooLarge => "The request's head is larger than this gateway reads.",
            Self::TargetTooLong => "The request's target is longer than this gateway reads.",
            Self::UpgradeUnsupported => "CONNECT and Upgrade are not supported here.",
        }
    }
}
