//! What is refused of a head, and how it is told to the client.

use crate::server::handler::Refused;

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offence {
    /// A line that ends with LF alone.
    BareLineFeed,
    /// A CR that ends no line.
    BareCarriageReturn,
    /// NUL or another control character.
    Control,
    /// Not `METHOD SP target SP HTTP/1.x`.
    RequestLine,
    /// Another major version than 1.
    Version,
    /// A target with no single reading.
    Target,
    /// A header line without a name and a colon.
    HeaderLine,
    /// Whitespace between name and colon.
    SpaceBeforeColon,
    /// A line that continues the one before.
    Fold,
    /// `Content-Length` that is not a plain number.
    Length,
    /// `Content-Length` more than once.
    LengthTwice,
    /// `Content-Length` and `Transfer-Encoding`.
    LengthAndEncoding,
    /// `Transfer-Encoding` that is not `chunked`, once.
    Encoding,
    /// `Transfer-Encoding` in HTTP/1.0.
    EncodingTooOld,
    /// No `Host` in HTTP/1.1.
    HostMissing,
    /// `Host` more than once.
    HostTwice,
    /// A `Host` that names no host.
    Host,
    /// More head than the bound.
    Head,
    /// A longer target than the bound.
    TargetLength,
    /// CONNECT.
    Connect,
}

impl Offence {
    /// What the client is told.
    pub(super) const fn refused(self) -> Refused {
        let detail = match self {
            Self::Head => return Refused::HeadersTooLarge,
            Self::TargetLength => return Refused::TargetTooLong,
            Self::Connect => return Refused::UpgradeUnsupported,
            Self::BareLineFeed => "A line of the request ends with LF alone instead of CRLF.",
            Self::BareCarriageReturn => "A CR in the request ends no line.",
            Self::Control => "The request's head contains a control character.",
            Self::RequestLine => "The request line is not `METHOD target HTTP/1.1`.",
            Self::Version => "The HTTP version is neither 1 nor 2.",
            Self::Target => "The request target is neither a path nor an absolute URL.",
            Self::HeaderLine => "A header line is not `name: value`.",
            Self::SpaceBeforeColon => "A header has whitespace before its colon.",
            Self::Fold => "A header line begins with whitespace.",
            Self::Length => "Content-Length is not a plain decimal number.",
            Self::LengthTwice => "Content-Length stands more than once.",
            Self::LengthAndEncoding => "Content-Length and Transfer-Encoding exclude each other.",
            Self::Encoding => "Transfer-Encoding can only be `chunked`, once.",
            Self::EncodingTooOld => "HTTP/1.0 has no Transfer-Encoding.",
            Self::HostMissing => "The Host header is missing.",
            Self::HostTwice => "The Host header stands more than once.",
            Self::Host => "The Host header names no host.",
        };
        Refused::Malformed { detail }
    }
}
