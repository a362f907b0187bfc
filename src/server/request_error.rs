//! Why a request head is rejected, and what the client is told about it.

use crate::outcome::Code;

/// Why a request head is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    BareLineFeed,
    BareCarriageReturn,
    ControlCharacter,
    RequestLine,
    /// A major version other than 1.
    Version,
    Target,
    /// An absolute target of another scheme than http.
    TargetScheme,
    /// The target `*` with another method than OPTIONS.
    AsteriskTarget,
    TargetTooLong,
    HeaderLine,
    SpaceBeforeColon,
    FoldedLine,
    HeadTooLarge,
    ContentLength,
    RepeatedContentLength,
    LengthAndEncoding,
    TransferEncoding,
    /// `Transfer-Encoding` in HTTP/1.0.
    EncodingInHttp10,
    MissingHost,
    RepeatedHost,
    InvalidHost,
    InvalidAuthority,
    /// `Host` and the authority of the target differ.
    HostMismatch,
    /// CONNECT, or an Upgrade that the client insists on.
    UpgradeUnsupported,
}

impl RequestError {
    /// The code of the problem sent to the client.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::HeadTooLarge => Code::HeadersTooLarge,
            Self::TargetTooLong => Code::TargetTooLong,
            Self::UpgradeUnsupported => Code::UpgradeUnsupported,
            Self::BareLineFeed
            | Self::BareCarriageReturn
            | Self::ControlCharacter
            | Self::RequestLine
            | Self::Version
            | Self::Target
            | Self::TargetScheme
            | Self::AsteriskTarget
            | Self::HeaderLine
            | Self::SpaceBeforeColon
            | Self::FoldedLine
            | Self::ContentLength
            | Self::RepeatedContentLength
            | Self::LengthAndEncoding
            | Self::TransferEncoding
            | Self::EncodingInHttp10
            | Self::MissingHost
            | Self::RepeatedHost
            | Self::InvalidHost
            | Self::InvalidAuthority
            | Self::HostMismatch => Code::InvalidRequest,
        }
    }

    /// The detail of that problem, a full sentence.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::BareLineFeed => "A line of the request head ends with LF instead of CRLF.",
            Self::BareCarriageReturn => "The request head contains a CR that LF does not follow.",
            Self::ControlCharacter => "The request head contains a control character.",
            Self::RequestLine => "The request line is not of the form `METHOD target HTTP/1.1`.",
            Self::Version => "The HTTP version is not supported; use HTTP/1.1 or HTTP/2.",
            Self::Target => "The request target is not a valid path or absolute URL.",
            Self::TargetScheme => "The scheme of an absolute request target must be `http`.",
            Self::AsteriskTarget => "The request target `*` is only valid with OPTIONS.",
            Self::TargetTooLong => "The request target is longer than this gateway accepts.",
            Self::HeaderLine => "A header line is not of the form `name: value`.",
            Self::SpaceBeforeColon => "A header name is followed by whitespace before its colon.",
            Self::FoldedLine => {
                "A header line begins with whitespace; put each header on one line."
            }
            Self::HeadTooLarge => "The request head is larger than this gateway accepts.",
            Self::ContentLength => "Content-Length is not a plain decimal number.",
            Self::RepeatedContentLength => "Content-Length is given more than once.",
            Self::LengthAndEncoding => "Content-Length and Transfer-Encoding exclude each other.",
            Self::TransferEncoding => "Transfer-Encoding must be `chunked`, given once.",
            Self::EncodingInHttp10 => "Transfer-Encoding is not allowed in HTTP/1.0.",
            Self::MissingHost => "The Host header is missing.",
            Self::RepeatedHost => "The Host header is given more than once.",
            Self::InvalidHost => "The Host header is not a valid host and optional port.",
            Self::InvalidAuthority => "The request target's authority is not a valid host.",
            Self::HostMismatch => "The Host header differs from the request target's authority.",
            Self::UpgradeUnsupported => "This gateway supports neither CONNECT nor Upgrade.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_a_code_and_a_sentence_for_the_client() {
        assert_eq!(RequestError::HeadTooLarge.code(), Code::HeadersTooLarge);
        assert_eq!(RequestError::TargetTooLong.code(), Code::TargetTooLong);
        assert_eq!(RequestError::UpgradeUnsupported.code(), Code::UpgradeUnsupported);
        assert_eq!(RequestError::FoldedLine.code(), Code::InvalidRequest);
        assert!(RequestError::FoldedLine.detail().contains("whitespace"));
    }
}
