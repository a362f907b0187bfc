//! The head of a request, out of its bytes.
//!
//! Refuses every head that others could read differently: what is refused and why is `offence`'s,
//! what a line may look like is `rules`'.

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};

use super::offence::Offence;
use super::rules::{self, RequestLine, header_offence, is_chunked, is_endless};
use crate::http1::{self, HeaderKind, HeaderLine, Length, Lines, OriginalHead};
use crate::server::head::Bounds;
use crate::server::host;

/// An empty line.
const LEADING_BYTES: usize = 2;

/// So many lines are judged before the last one is here: each look is at all of them.
const EARLY_LINES_MAX: usize = 128;

/// What a head says about the exchange.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) version: Version,
    pub(super) method: Method,
    /// How the end of the body is told.
    pub(super) body: Length,
    /// Whether the client wants another exchange after this one.
    pub(super) persists: bool,
    /// Whether it wants to be told to go on before it sends the body.
    pub(super) asks_first: bool,
    pub(super) takes_trailers: bool,
}

/// Why a head goes no further, and how the exchange goes then.
#[derive(Debug)]
pub(super) struct Offending {
    pub(super) offence: Offence,
    pub(super) head: Head,
}

impl Offending {
    /// `bytes` are those that are here of the head.
    #[cold]
    fn new(offence: Offence, bytes: &[u8]) -> Self {
        let bodiless = bytes.trim_ascii_start().starts_with(b"HEAD ");
        let head = Head {
            version: Version::HTTP_11,
            method: if bodiless { Method::HEAD } else { Method::GET },
            body: Length::None,
            persists: false,
            asks_first: false,
            takes_trailers: false,
        };
        Self { offence, head }
    }
}

/// Takes the heads of one connection out of what is received.
#[derive(Debug, Default)]
pub(super) struct Heads {
    lines: Lines,
    /// The latest one, until it is taken.
    original: OriginalHead,
}

impl Heads {
    /// Takes a head off `received`, once it is whole, and puts it into `request`, which has none.
    pub(super) fn take(
        &mut self,
        received: &mut BytesMut,
        request: &mut Request<()>,
        bounds: Bounds,
    ) -> Result<Option<Head>, Offending> {
        if received.is_empty() {
            return Ok(None);
        }
        let seen = self.lines.count();
        let Some(length) = self.lines.find(received) else {
            let checked = self.check_part(received, seen, bounds);
            return checked.map(|()| None).map_err(|offence| Offending::new(offence, received));
        };
        if length > bounds.head_bytes_max {
            return Err(Offending::new(Offence::Head, received));
        }
        let bytes = received.split_to(length).freeze();
        let mut said = Said::default();
        let read = read_lines(&bytes, &mut self.lines, (request, &mut said, bounds));
        self.original = self.lines.finish_head(bytes.clone());
        let head = read.and_then(|()| said.head(request));
        head.map(Some).map_err(|offence| Offending::new(offence, &bytes))
    }

    /// The latest head as it was received.
    pub(super) fn take_original(&mut self) -> OriginalHead {
        std::mem::take(&mut self.original)
    }

    /// What is wrong already with the part of a head that is here, of which so many lines were
    /// `seen`: who goes wrong in the first line need not be listened to until the last.
    fn check_part(&mut self, part: &[u8], seen: usize, bounds: Bounds) -> Result<(), Offence> {
        let count = self.lines.count();
        if seen < count && count <= EARLY_LINES_MAX {
            let (mut request, mut said) = Default::default();
            let part = Bytes::copy_from_slice(part);
            read_lines(&part, &mut self.lines, (&mut request, &mut said, bounds))?;
        }
        let request_line_bytes = match count {
            0 => part.len(),
            1 if self.lines.place(part, 0).is_empty() => part.len() - LEADING_BYTES,
            _ => 0,
        };
        if is_endless(request_line_bytes, bounds.target_bytes_max) {
            return Err(Offence::TargetLength);
        }
        if part.len() > bounds.head_bytes_max { Err(Offence::Head) } else { Ok(()) }
    }
}

fn read_lines(
    bytes: &Bytes,
    lines: &mut Lines,
    (request, said, bounds): (&mut Request<()>, &mut Said, Bounds),
) -> Result<(), Offence> {
    let leading = lines.place(bytes, 0);
    // An empty line may stand before a head: old clients send it behind a body.
    let first = usize::from(leading.is_empty());
    ends_rightly(bytes, leading.end)?;
    if lines.count() == first {
        return Ok(());
    }
    let line = lines.place(bytes, first);
    ends_rightly(bytes, line.end)?;
    let text = &bytes[line];
    let RequestLine { method, target, version } =
        rules::request_line(text, bounds.target_bytes_max)
            .map_err(|fault| rules::offence(text, fault))?;
    *request.version_mut() = version;
    *request.method_mut() = Method::from_bytes(method).map_err(|_| Offence::RequestLine)?;
    let target = bytes.slice_ref(target);
    *request.uri_mut() = Uri::from_maybe_shared(target).map_err(|_| Offence::Target)?;
    for number in first + 1..lines.count() {
        let place = lines.place(bytes, number);
        ends_rightly(bytes, place.end)?;
        if place.is_empty() {
            return Ok(());
        }
        if number - first > bounds.headers_max {
            return Err(Offence::Head);
        }
        let text = &bytes[place.clone()];
        let line = lines.parse(bytes, place).map_err(|_| header_offence(text))?;
        let HeaderLine { name, value, kind } = line;
        if kind == HeaderKind::Control {
            said.hear(&name, &value, (&text[name.as_str().len() + 1..], version))?;
        }
        request.headers_mut().append(name, value);
    }
    Ok(())
}

/// A line whose end another reader may not see has two readings.
fn ends_rightly(bytes: &[u8], end: usize) -> Result<(), Offence> {
    if bytes[end] == b'\r' { Ok(()) } else { Err(Offence::BareLineFeed) }
}

/// What the headers say about the message itself.
#[derive(Default)]
struct Said {
    host: bool,
    body: Option<Length>,
    /// Whether another message may follow; to close has the last word.
    persists: Option<bool>,
    asks_first: bool,
    takes_trailers: bool,
}

impl Said {
    /// `raw` is the value with the blanks around it.
    fn hear(
        &mut self,
        name: &HeaderName,
        value: &HeaderValue,
        (raw, version): (&[u8], Version),
    ) -> Result<(), Offence> {
        if *name == HOST {
            return self.hear_host(value);
        } else if *name == CONTENT_LENGTH {
            return self.hear_length(raw);
        } else if *name == TRANSFER_ENCODING {
            return self.hear_encoding(raw, version);
        } else if *name == CONNECTION {
            if http1::list_contains(value, "close") {
                self.persists = Some(false);
            } else if self.persists.is_none() && http1::list_contains(value, "keep-alive") {
                self.persists = Some(true);
            }
        } else if *name == EXPECT {
            self.asks_first = value.as_bytes().eq_ignore_ascii_case(b"100-continue");
        } else if *name == TE {
            self.takes_trailers |= http1::list_contains(value, "trailers");
        }
        Ok(())
    }

    fn hear_host(&mut self, value: &HeaderValue) -> Result<(), Offence> {
        if std::mem::replace(&mut self.host, true) {
            return Err(Offence::HostTwice);
        }
        if host::is_valid(value.as_bytes()) { Ok(()) } else { Err(Offence::Host) }
    }

    fn hear_length(&mut self, raw: &[u8]) -> Result<(), Offence> {
        let length = rules::length(raw)?;
        match self.body.replace(Length::Exactly(length)) {
            Some(Length::Chunks) => Err(Offence::LengthAndEncoding),
            Some(_) => Err(Offence::LengthTwice),
            None => Ok(()),
        }
    }

    fn hear_encoding(&mut self, raw: &[u8], version: Version) -> Result<(), Offence> {
        if version == Version::HTTP_10 {
            return Err(Offence::EncodingTooOld);
        }
        match self.body.replace(Length::Chunks) {
            Some(Length::Exactly(_)) => Err(Offence::LengthAndEncoding),
            None if is_chunked(raw) => Ok(()),
            Some(_) | None => Err(Offence::Encoding),
        }
    }

    fn head(&self, request: &Request<()>) -> Result<Head, Offence> {
        let version = request.version();
        let is_new = version == Version::HTTP_11;
        if !self.host && is_new {
            return Err(Offence::HostMissing);
        }
        Ok(Head {
            version,
            method: request.method().clone(),
            body: self.body.unwrap_or(Length::None),
            persists: self.persists.unwrap_or(is_new),
            asks_first: self.asks_first && is_new,
            takes_trailers: self.takes_trailers && is_new,
        })
    }
}
