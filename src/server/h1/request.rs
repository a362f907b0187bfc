//! Parses request heads incrementally.
//!
//! Every head that another parser could read differently is rejected; `grammar.rs` has the syntax
//! of single lines.

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};

use super::grammar::{self, RequestLine};
use crate::http1::{self, HeaderKind, HeaderLine, Length, Lines, OriginalHead};
use crate::server::head::HeadLimits;
use crate::server::host;
use crate::server::request_error::RequestError;

const EMPTY_LINE_BYTES: usize = 2;

/// Incomplete heads are checked only up to this many lines, since each check parses all of them.
const CHECKED_LINES_MAX: usize = 128;

/// What a request head says about the connection and the framing of the messages.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestHead {
    pub(super) version: Version,
    pub(super) method: Method,
    pub(super) body: Length,
    pub(super) keep_alive: bool,
    /// `Expect: 100-continue`.
    pub(super) expects_continue: bool,
    pub(super) accepts_trailers: bool,
}

/// A rejected head, as far as it matters for the response.
#[derive(Debug)]
pub(super) struct RejectedHead {
    pub(super) error: RequestError,
    pub(super) head: RequestHead,
}

impl RejectedHead {
    #[cold]
    fn new(error: RequestError, received: &[u8]) -> Self {
        let is_head = received.trim_ascii_start().starts_with(b"HEAD ");
        let head = RequestHead {
            version: Version::HTTP_11,
            method: if is_head { Method::HEAD } else { Method::GET },
            body: Length::None,
            keep_alive: false,
            expects_continue: false,
            accepts_trailers: false,
        };
        Self { error, head }
    }
}

/// Parses the successive heads of one connection.
#[derive(Debug, Default)]
pub(super) struct HeadParser {
    lines: Lines,
    original: OriginalHead,
}

impl HeadParser {
    /// Takes the next head off `received` once it is complete, and puts it into `request`, which
    /// must have no headers.
    pub(super) fn take_head(
        &mut self,
        received: &mut BytesMut,
        request: &mut Request<()>,
        limits: HeadLimits,
    ) -> Result<Option<RequestHead>, RejectedHead> {
        if received.is_empty() {
            return Ok(None);
        }
        let lines_before = self.lines.count();
        let Some(length) = self.lines.find(received) else {
            let checked = self.check_incomplete(received, lines_before, limits);
            return checked.map(|()| None).map_err(|error| RejectedHead::new(error, received));
        };
        if length > limits.head_bytes_max {
            return Err(RejectedHead::new(RequestError::HeadTooLarge, received));
        }
        let bytes = received.split_to(length).freeze();
        let mut control = ControlHeaders::default();
        let parsed = parse_lines(&bytes, &mut self.lines, request, &mut control, limits);
        self.original = self.lines.finish_head(bytes.clone());
        let head = parsed.and_then(|()| control.head(request));
        head.map(Some).map_err(|error| RejectedHead::new(error, &bytes))
    }

    /// The head taken last, as received.
    pub(super) fn take_original(&mut self) -> OriginalHead {
        std::mem::take(&mut self.original)
    }

    /// Rejects an incomplete head as soon as one of its lines is invalid or a limit is exceeded.
    fn check_incomplete(
        &mut self,
        received: &[u8],
        lines_before: usize,
        limits: HeadLimits,
    ) -> Result<(), RequestError> {
        let count = self.lines.count();
        if lines_before < count && count <= CHECKED_LINES_MAX {
            let (mut request, mut control) = Default::default();
            let bytes = Bytes::copy_from_slice(received);
            parse_lines(&bytes, &mut self.lines, &mut request, &mut control, limits)?;
        }
        let request_line_bytes = match count {
            0 => received.len(),
            1 if self.lines.place(received, 0).is_empty() => received.len() - EMPTY_LINE_BYTES,
            _ => 0,
        };
        if grammar::is_too_long(request_line_bytes, limits.target_bytes_max) {
            return Err(RequestError::TargetTooLong);
        }
        if received.len() > limits.head_bytes_max {
            return Err(RequestError::HeadTooLarge);
        }
        Ok(())
    }
}

/// Parses the lines found so far of a head into `request` and `control`.
fn parse_lines(
    bytes: &Bytes,
    lines: &mut Lines,
    request: &mut Request<()>,
    control: &mut ControlHeaders,
    limits: HeadLimits,
) -> Result<(), RequestError> {
    let leading = lines.place(bytes, 0);
    // One empty line in front is ignored: old clients send it behind a body (RFC 9112 §2.2).
    let first = usize::from(leading.is_empty());
    check_line_end(bytes, leading.end)?;
    if lines.count() == first {
        return Ok(());
    }
    let place = lines.place(bytes, first);
    check_line_end(bytes, place.end)?;
    let line = &bytes[place];
    let RequestLine { method, target, version } =
        grammar::parse_request_line(line, limits.target_bytes_max)
            .map_err(|error| grammar::line_error(line, error))?;
    *request.version_mut() = version;
    *request.method_mut() = Method::from_bytes(method).map_err(|_| RequestError::RequestLine)?;
    let target = bytes.slice_ref(target);
    *request.uri_mut() = Uri::from_maybe_shared(target).map_err(|_| RequestError::Target)?;
    for number in first + 1..lines.count() {
        let place = lines.place(bytes, number);
        check_line_end(bytes, place.end)?;
        if place.is_empty() {
            return Ok(());
        }
        if number - first > limits.headers_max {
            return Err(RequestError::HeadTooLarge);
        }
        let line = &bytes[place.clone()];
        let HeaderLine { name, value, kind } =
            lines.parse(bytes, place).map_err(|_| grammar::header_line_error(line))?;
        if kind == HeaderKind::Control {
            let untrimmed = &line[name.as_str().len() + 1..];
            control.add(&name, &value, untrimmed, version)?;
        }
        request.headers_mut().append(name, value);
    }
    Ok(())
}

/// Rejects lines that end in LF alone: other parsers may not see their end.
fn check_line_end(bytes: &[u8], end: usize) -> Result<(), RequestError> {
    if bytes[end] == b'\r' { Ok(()) } else { Err(RequestError::BareLineFeed) }
}

/// What the headers parsed so far say about host, framing and persistence.
#[derive(Default)]
struct ControlHeaders {
    has_host: bool,
    body: Option<Length>,
    /// `close` wins over `keep-alive`.
    keep_alive: Option<bool>,
    expects_continue: bool,
    accepts_trailers: bool,
}

impl ControlHeaders {
    fn add(
        &mut self,
        name: &HeaderName,
        value: &HeaderValue,
        untrimmed: &[u8],
        version: Version,
    ) -> Result<(), RequestError> {
        if *name == HOST {
            if std::mem::replace(&mut self.has_host, true) {
                return Err(RequestError::RepeatedHost);
            }
            if !host::is_valid(value.as_bytes()) {
                return Err(RequestError::InvalidHost);
            }
        } else if *name == CONTENT_LENGTH {
            let length = grammar::parse_content_length(untrimmed)?;
            match self.body.replace(Length::Exactly(length)) {
                None => {}
                Some(Length::Chunks) => return Err(RequestError::LengthAndEncoding),
                Some(_) => return Err(RequestError::RepeatedContentLength),
            }
        } else if *name == TRANSFER_ENCODING {
            if version == Version::HTTP_10 {
                return Err(RequestError::EncodingInHttp10);
            }
            match self.body.replace(Length::Chunks) {
                None if grammar::is_chunked(untrimmed) => {}
                Some(Length::Exactly(_)) => return Err(RequestError::LengthAndEncoding),
                None | Some(_) => return Err(RequestError::TransferEncoding),
            }
        } else if *name == CONNECTION {
            if http1::list_contains(value, "close") {
                self.keep_alive = Some(false);
            } else if self.keep_alive.is_none() && http1::list_contains(value, "keep-alive") {
                self.keep_alive = Some(true);
            }
        } else if *name == EXPECT {
            self.expects_continue = value.as_bytes().eq_ignore_ascii_case(b"100-continue");
        } else if *name == TE {
            self.accepts_trailers |= http1::list_contains(value, "trailers");
        }
        Ok(())
    }

    fn head(&self, request: &Request<()>) -> Result<RequestHead, RequestError> {
        let version = request.version();
        let is_http11 = version == Version::HTTP_11;
        if !self.has_host && is_http11 {
            return Err(RequestError::MissingHost);
        }
        Ok(RequestHead {
            version,
            method: request.method().clone(),
            body: self.body.unwrap_or(Length::None),
            keep_alive: self.keep_alive.unwrap_or(is_http11),
            expects_continue: self.expects_continue && is_http11,
            accepts_trailers: self.accepts_trailers && is_http11,
        })
    }
}
