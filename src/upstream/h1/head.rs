//! Heads of HTTP/1.1 as bytes: writes those of requests, reads those of responses.
//!
//! Nothing is accepted that another reader could read differently: a response has at most one
//! `Content-Length`, and `Transfer-Encoding` is `chunked` and stated once.

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use http_body::Body;
use hyper::ext::ReasonPhrase;

use crate::http1::{
    ChunkedDecoder, HeaderKind, Length, Lines, OriginalHead, ParseError, SizePadding,
    list_contains, parse_decimal, write_header,
};
use crate::upstream::progress::Interim;
use crate::upstream::request::RequestHead;
use crate::upstream::settings::ResponseLimits;

/// Writes the head of a request to `host` and returns how the end of its body is marked.
/// `version` is that of the upstream.
pub(super) fn write<B: Body>(
    out: &mut Vec<u8>,
    head: &RequestHead,
    body: &B,
    host: &HeaderValue,
    version: Version,
) -> Length {
    let length = match body.size_hint().exact() {
        _ if body.is_end_stream() => Length::None,
        Some(bytes) => Length::Exactly(bytes),
        None => {
            let stated = head.headers.get(CONTENT_LENGTH);
            let stated = stated.and_then(|value| parse_decimal(value.as_bytes()));
            stated.map_or(Length::Chunks, Length::Exactly)
        }
    };
    // HTTP/1.0 has no chunks.
    let is_http10 = version == Version::HTTP_10 && length != Length::Chunks;
    for part in [head.method.as_str(), " ", head.target.as_str()] {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(if is_http10 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });
    let spelling = &head.spelling;
    spelling.write(out, &HOST, host);
    let (mut has_length, mut has_te) = (false, false);
    for (name, value) in &head.headers {
        if name == HOST || name == TRANSFER_ENCODING {
            continue;
        }
        if name == CONTENT_LENGTH {
            // A request that came over HTTP/2 may have it twice, or without a body.
            let stated = if has_length { None } else { parse_decimal(value.as_bytes()) };
            match (length, stated) {
                (Length::Exactly(bytes), Some(stated)) if bytes == stated => {}
                (Length::None, Some(0)) => {}
                (Length::None | Length::Exactly(_) | Length::Chunks | Length::Close, _) => continue,
            }
            has_length = true;
        }
        // Trailers can follow chunks only.
        if name == TRAILER && length != Length::Chunks {
            continue;
        }
        has_te |= name == TE;
        spelling.write(out, name, value);
    }
    match length {
        Length::Exactly(bytes) if !has_length => {
            write_header(out, spelling.name(&CONTENT_LENGTH), bytes.to_string().as_bytes());
        }
        Length::Chunks => write_header(out, spelling.name(&TRANSFER_ENCODING), b"chunked"),
        Length::None | Length::Exactly(_) | Length::Close => {}
    }
    match (is_http10, has_te) {
        (false, false) => {}
        // `TE` is hop-by-hop and has to be listed (RFC 9110 §10.1.4).
        (false, true) => write_header(out, CONNECTION.as_str(), b"te"),
        (true, false) => write_header(out, CONNECTION.as_str(), b"keep-alive"),
        (true, true) => write_header(out, CONNECTION.as_str(), b"keep-alive, te"),
    }
    out.extend_from_slice(b"\r\n");
    length
}

/// What a response's head means for the connection.
#[derive(Debug)]
pub(super) struct HeadInfo {
    pub(super) framing: Framing,
    /// Whether another exchange may follow, as far as the head says.
    pub(super) persists: bool,
}

/// How the end of a response's body is marked.
#[derive(Debug)]
pub(super) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    Chunks(ChunkedDecoder),
    /// By the end of the connection.
    Close,
}

#[derive(Debug)]
pub(super) enum ReadHead {
    Incomplete,
    Interim(Interim),
    /// The head of the final response, also as it was received.
    Complete(HeadInfo, OriginalHead),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    Malformed(ParseError),
    /// Over a limit of ours; the upstream made no mistake.
    TooLarge(&'static str),
}

impl From<ParseError> for HeadError {
    fn from(error: ParseError) -> Self {
        Self::Malformed(error)
    }
}

const NO_STATUS_LINE: ParseError = ParseError("no status line");
const TOO_MANY_BYTES: HeadError =
    HeadError::TooLarge("the response's head has more bytes than `head.max`");
const TOO_MANY_HEADERS: HeadError =
    HeadError::TooLarge("the response has more headers than `head.headers`");

/// Takes one head off `received`. If it is that of the final response, it goes into `response`,
/// which is blank. `method` is that of the request.
pub(super) fn read<B>(
    received: &mut BytesMut,
    lines: &mut Lines,
    method: &Method,
    limits: ResponseLimits,
    response: &mut Response<B>,
) -> Result<ReadHead, HeadError> {
    if skip_empty_lines(received) {
        return Ok(ReadHead::Incomplete);
    }
    let Some(length) = lines.find(received) else {
        // What does not begin like a response is refused at once, as its end may never come.
        if !received.iter().zip(PREFIX).all(|(received, expected)| received == expected) {
            return Err(NO_STATUS_LINE.into());
        }
        let fits = received.len() <= limits.head_bytes_max;
        return if fits { Ok(ReadHead::Incomplete) } else { Err(TOO_MANY_BYTES) };
    };
    if length > limits.head_bytes_max {
        return Err(TOO_MANY_BYTES);
    }
    let head = received.split_to(length).freeze();
    parse(head, lines, method, limits.headers_max, response)
}

/// Takes empty lines off the front, which some vendors send behind a body, perhaps late. Returns
/// whether nothing else is there, apart from the first byte of another empty line.
pub(super) fn skip_empty_lines(received: &mut BytesMut) -> bool {
    while received.starts_with(b"\r\n") {
        received.advance(2);
    }
    matches!(**received, [] | [b'\r'])
}

/// Parses a complete head. Header values share its bytes.
fn parse<B>(
    head: Bytes,
    lines: &mut Lines,
    method: &Method,
    headers_max: usize,
    response: &mut Response<B>,
) -> Result<ReadHead, HeadError> {
    let (version, status, reason) = status_line(&head[lines.place(&head, 0)])?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(ParseError("a 101 response without an upgrade request").into());
    }
    if status.is_informational() {
        let mut headers = HeaderMap::new();
        let framing = header_lines(&head, lines, headers_max, &mut headers)?;
        // It has no body whatever its headers say, but they have to be valid.
        framing.of_body(StatusCode::OK, version, &Method::GET)?;
        lines.finish_head(head);
        return Ok(ReadHead::Interim(Interim { status, headers }));
    }
    (*response.status_mut(), *response.version_mut()) = (status, version);
    if let Some(reason) = reason {
        response.extensions_mut().insert(reason);
    }
    let headers = header_lines(&head, lines, headers_max, response.headers_mut())?;
    let framing = headers.of_body(status, version, method)?;
    let persists = headers.persists(status, version) && !matches!(framing, Framing::Close);
    Ok(ReadHead::Complete(HeadInfo { framing, persists }, lines.finish_head(head)))
}

/// Parses the header lines of a complete head into `headers`.
fn header_lines(
    head: &Bytes,
    lines: &mut Lines,
    headers_max: usize,
    headers: &mut HeaderMap,
) -> Result<FramingHeaders, HeadError> {
    let mut framing = FramingHeaders::default();
    // The first line is the status line, the last one is empty.
    for number in 1..lines.count() - 1 {
        if number > headers_max {
            return Err(TOO_MANY_HEADERS);
        }
        let line = lines.parse(head, lines.place(head, number))?;
        if line.kind == HeaderKind::Control {
            framing.add(&line.name, &line.value)?;
        }
        headers.append(line.name, line.value);
    }
    Ok(framing)
}

const PREFIX: &[u8] = b"HTTP/1.";

/// The most frequent status line, recognised by one comparison.
const PLAIN_OK: &[u8] = b"HTTP/1.1 200 OK";

/// Parses a status line. A reason phrase is returned only if it is not the usual one.
fn status_line(line: &[u8]) -> Result<(Version, StatusCode, Option<ReasonPhrase>), ParseError> {
    if line == PLAIN_OK {
        return Ok((Version::HTTP_11, StatusCode::OK, None));
    }
    let rest = line.strip_prefix(PREFIX).ok_or(NO_STATUS_LINE)?;
    let (version, rest) = match rest {
        [b'0', b' ', rest @ ..] => (Version::HTTP_10, rest),
        // A later minor version is read as HTTP/1.1 (RFC 9110 §2.5).
        [b'1'..=b'9', b' ', rest @ ..] => (Version::HTTP_11, rest),
        _ => return Err(NO_STATUS_LINE),
    };
    let (digits, reason) = rest.split_at_checked(3).ok_or(NO_STATUS_LINE)?;
    let status = StatusCode::from_bytes(digits).map_err(|_| ParseError("an invalid status"))?;
    let reason = match reason {
        [] | [b' '] => return Ok((version, status, None)),
        [b' ', reason @ ..] => reason,
        _ => return Err(NO_STATUS_LINE),
    };
    if status.canonical_reason().is_some_and(|usual| usual.as_bytes() == reason) {
        return Ok((version, status, None));
    }
    let reason =
        ReasonPhrase::try_from(reason).map_err(|_| ParseError("an invalid reason phrase"))?;
    Ok((version, status, Some(reason)))
}

/// The headers that decide where the body ends and whether the connection goes on.
#[derive(Default)]
struct FramingHeaders {
    /// `Content-Length`; the inner `None` is a value that is not a number.
    length: Option<Option<u64>>,
    coding: Option<Coding>,
    close: bool,
    keep_alive: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Chunked,
    /// Another one, or several.
    Other,
}

impl FramingHeaders {
    fn add(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), ParseError> {
        if *name == CONTENT_LENGTH {
            if self.length.is_some() {
                return Err(ParseError("more than one Content-Length"));
            }
            self.length = Some(parse_decimal(value.as_bytes()));
        } else if *name == TRANSFER_ENCODING {
            let is_only = self.coding.is_none();
            let is_chunked = value.as_bytes().eq_ignore_ascii_case(b"chunked");
            self.coding = Some(if is_only && is_chunked { Coding::Chunked } else { Coding::Other });
        } else if *name == CONNECTION {
            self.close |= list_contains(value, "close");
            self.keep_alive |= list_contains(value, "keep-alive");
        }
        Ok(())
    }

    /// The framing of a response's body (RFC 9112 §6.3).
    fn of_body(
        &self,
        status: StatusCode,
        version: Version,
        method: &Method,
    ) -> Result<Framing, ParseError> {
        let is_bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if is_bodiless || *method == Method::HEAD {
            return Ok(Framing::Length(0));
        }
        match (self.coding, self.length) {
            (Some(Coding::Other), _) => Err(ParseError("a Transfer-Encoding other than chunked")),
            (Some(_), Some(_)) => Err(ParseError("Content-Length beside Transfer-Encoding")),
            (Some(_), None) if version == Version::HTTP_10 => {
                Err(ParseError("Transfer-Encoding in an HTTP/1.0 response"))
            }
            (Some(Coding::Chunked), None) => {
                Ok(Framing::Chunks(ChunkedDecoder::new(SizePadding::Accepted)))
            }
            (None, Some(Some(length))) => Ok(Framing::Length(length)),
            (None, Some(None)) => Err(ParseError("an invalid Content-Length")),
            (None, None) => Ok(Framing::Close),
        }
    }

    fn persists(&self, status: StatusCode, version: Version) -> bool {
        // A 204 must not have a body, but one that announces a body is likely to send it.
        let may_have_hidden_body = status == StatusCode::NO_CONTENT
            && (self.coding.is_some() || self.length.is_some_and(|length| length != Some(0)));
        let is_persistent = self.keep_alive || version == Version::HTTP_11;
        is_persistent && !self.close && !may_have_hidden_body
    }
}

#[cfg(test)]
mod tests {
    use http::uri::PathAndQuery;

    use super::*;
    use crate::http1::HeaderCase;
    use crate::http1::tests::SizedBody;

    fn request(target: PathAndQuery) -> RequestHead {
        let (method, headers) = (Method::POST, HeaderMap::new());
        RequestHead { method, target, headers, client: 0, spelling: HeaderCase::default() }
    }

    const LIMITS: ResponseLimits = ResponseLimits { head_bytes_max: 64 * 1024, headers_max: 256 };

    /// Reads `wire`, which is one whole head and nothing else.
    fn read_whole(wire: &str, method: &Method) -> Result<(HeadInfo, Response<()>), HeadError> {
        let (mut received, mut response) = (BytesMut::from(wire), Response::default());
        let read = read(&mut received, &mut Lines::default(), method, LIMITS, &mut response)?;
        let ReadHead::Complete(info, _) = read else { panic!("no head in {wire:?}") };
        assert!(received.is_empty(), "{received:?} is left of {wire:?}");
        Ok((info, response))
    }

    #[test]
    fn a_head_is_read_however_it_is_split_into_reads() {
        for end in ["\r\n\r\n", "\n\n", "\r\n\n", "\n\r\n"] {
            let wire = format!("HTTP/1.1 200 OK\r\nA: b{end}rest");
            for step in 1..wire.len() {
                let (mut received, mut lines) = (BytesMut::new(), Lines::default());
                let mut response = Response::new(());
                *response.status_mut() = StatusCode::IM_A_TEAPOT;
                let is_read = wire.as_bytes().chunks(step).any(|part| {
                    received.extend_from_slice(part);
                    let get = &Method::GET;
                    match read(&mut received, &mut lines, get, LIMITS, &mut response) {
                        Ok(ReadHead::Incomplete) => false,
                        Ok(ReadHead::Complete(..)) => true,
                        Ok(ReadHead::Interim(_)) | Err(_) => panic!("{wire:?} cut by {step}"),
                    }
                });
                assert!(is_read && response.status() == StatusCode::OK, "{wire:?} {step}");
                let headers = response.headers();
                assert_eq!((headers.len(), &headers["a"]), (1, &HeaderValue::from_static("b")));
                assert!(b"rest".starts_with(&received), "{received:?}");
            }
        }
    }

    #[test]
    fn the_framing_of_a_response_follows_from_headers_status_and_method() {
        let framed = |lines: &str, status: u16, method: &Method| {
            let wire = format!("HTTP/1.1 {status} OK\r\n{lines}\r\n");
            read_whole(&wire, method)
                .map(|(info, _)| (format!("{:?}", info.framing), info.persists))
        };
        let expected = |framing: &str, persists| Ok((framing.to_owned(), persists));
        let get = Method::GET;
        assert_eq!(framed("content-length: 7\r\n", 200, &get), expected("Length(7)", true));
        assert_eq!(framed("", 200, &get), expected("Close", false));
        assert_eq!(framed("content-length: 7\r\n", 304, &get), expected("Length(0)", true));
        assert_eq!(framed("content-length: 7\r\n", 204, &get), expected("Length(0)", false));
        assert_eq!(
            framed("transfer-encoding: chunked\r\n", 204, &get),
            expected("Length(0)", false)
        );
        assert_eq!(
            framed("transfer-encoding: gzip\r\n", 200, &Method::HEAD),
            expected("Length(0)", true)
        );
        assert!(
            framed("Transfer-Encoding: CHUNKED\r\n", 200, &get).unwrap().0.starts_with("Chunks")
        );
        assert_eq!(
            framed("content-length: 0\r\nconnection: x, Close\r\n", 200, &get),
            expected("Length(0)", false)
        );
    }

    #[test]
    fn reading_a_head_does_not_depend_on_the_heads_before_it() {
        let heads = ["a: 1\r\nb: 2", "A:1\r\nc: 2\r\na:", "ab: 1", "a:  1 \t\r\nB: 2\r\nb: 3", ""];
        let read = |head: &str, lines: &mut Lines| {
            let wire =
                format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").replace("\r\n\r\n\r\n", "\r\n\r\n");
            let (mut received, mut response) = (BytesMut::from(&*wire), Response::new(()));
            let read = read(&mut received, lines, &Method::HEAD, LIMITS, &mut response);
            assert!(matches!(read, Ok(ReadHead::Complete(..))), "{wire:?}");
            std::mem::take(response.headers_mut())
        };
        let mut lines = Lines::default();
        for head in heads.iter().chain(heads.iter().rev()) {
            assert_eq!(read(head, &mut lines), read(head, &mut Lines::default()), "{head:?}");
        }
        let headers = read("a:  1 \t\r\nB: 2\r\nb: 3", &mut lines);
        assert_eq!(headers["a"], "1");
        assert_eq!(headers.get_all("b").iter().collect::<Vec<_>>(), ["2", "3"]);
    }

    #[test]
    fn a_reason_phrase_is_kept_if_it_is_not_the_usual_one() {
        let reason = |status: &str| {
            let (_, response) =
                read_whole(&format!("HTTP/1.1 {status}\r\n\r\n"), &Method::HEAD).unwrap();
            let reason = response.extensions().get::<ReasonPhrase>();
            reason.map(|reason| String::from_utf8(reason.as_bytes().to_vec()).unwrap())
        };
        assert_eq!(reason("404 Not Found"), None);
        assert_eq!(reason("404 No Such Job"), Some("No Such Job".into()));
    }

    #[test]
    fn a_request_states_its_length_exactly_once() {
        let written = |lines: &[(&'static str, &'static str)], length, version| {
            let target = PathAndQuery::from_static("/a?b");
            let mut head = request(target);
            for (name, value) in lines {
                head.headers.append(*name, HeaderValue::from_static(value));
            }
            let (host, mut out) = (HeaderValue::from_static("vendor"), Vec::new());
            let framing = write(&mut out, &head, &SizedBody(length), &host, version);
            let text = String::from_utf8(out).unwrap();
            let rest = text.strip_prefix("POST /a?b HTTP/1.").expect("the line");
            let rest = rest.replacen("\r\nhost: vendor\r\n", " ", 1);
            (rest.replace("\r\n", "|"), framing)
        };
        let (old, new) = (Version::HTTP_10, Version::HTTP_11);
        let length = [("content-length", "7")];
        let twice = [("content-length", "7"), ("content-length", "5")];
        let cases = [
            (
                written(&[("host", "x"), ("a", "1"), ("a", "2")], Some(0), new),
                "1 a: 1|a: 2||",
                Length::None,
            ),
            (written(&[], Some(7), new), "1 content-length: 7||", Length::Exactly(7)),
            (written(&length, Some(7), new), "1 content-length: 7||", Length::Exactly(7)),
            (written(&length, None, new), "1 content-length: 7||", Length::Exactly(7)),
            (written(&twice, Some(7), new), "1 content-length: 7||", Length::Exactly(7)),
            (written(&twice, None, new), "1 content-length: 7||", Length::Exactly(7)),
            (written(&length, Some(5), new), "1 content-length: 5||", Length::Exactly(5)),
            (written(&length, Some(0), new), "1 |", Length::None),
            (
                written(&[("transfer-encoding", "x")], None, old),
                "1 transfer-encoding: chunked||",
                Length::Chunks,
            ),
            (written(&[], Some(0), old), "0 connection: keep-alive||", Length::None),
        ];
        for ((text, framing), expected, length) in cases {
            assert_eq!((&*text, framing), (expected, length));
        }
    }

    #[test]
    fn hop_by_hop_headers_are_listed_in_connection() {
        let written = |lines: &[(&'static str, &'static str)], length, version| {
            let target = PathAndQuery::from_static("/");
            let mut head = request(target);
            head.headers.extend(lines.iter().map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            }));
            let mut out = Vec::new();
            let host = HeaderValue::from_static("vendor");
            write(&mut out, &head, &SizedBody(length), &host, version);
            String::from_utf8(out).unwrap().replace("\r\n", "|")
        };
        let (old, new) = (Version::HTTP_10, Version::HTTP_11);
        let te = [("te", "trailers")];
        assert!(written(&te, Some(0), new).ends_with("|te: trailers|connection: te||"));
        assert!(written(&te, Some(0), old).ends_with("|te: trailers|connection: keep-alive, te||"));
        let announced = [("trailer", "x-sum"), ("content-length", "7")];
        assert!(written(&announced[..1], None, new).contains("|trailer: x-sum|"));
        for length in [Some(0), Some(7)] {
            assert!(!written(&announced[..1], length, new).contains("trailer"), "{length:?}");
        }
        assert!(!written(&announced, None, new).contains("trailer"), "a length is stated");
    }

    #[test]
    fn the_headers_of_an_interim_response_are_its_own() {
        let wire = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nlink: </b>\r\n\r\n";
        let (mut received, mut response) = (BytesMut::from(wire), Response::new(()));
        let mut lines = Lines::default();
        let read = read(&mut received, &mut lines, &Method::GET, LIMITS, &mut response);
        let Ok(ReadHead::Interim(Interim { status, headers })) = read else { panic!("{wire}") };
        assert_eq!((status.as_u16(), headers.get_all("link").iter().count()), (103, 2));
        assert!(response.headers().is_empty());
    }

    #[test]
    fn empty_lines_before_a_response_are_skipped() {
        for before in ["\r\n", "\r\n\r\n"] {
            let wire = format!("{before}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            for step in 1..wire.len() {
                let (mut received, mut lines) = (BytesMut::new(), Lines::default());
                let mut response = Response::new(());
                let is_read = wire.as_bytes().chunks(step).any(|part| {
                    received.extend_from_slice(part);
                    let get = &Method::GET;
                    let read = read(&mut received, &mut lines, get, LIMITS, &mut response);
                    matches!(read.unwrap(), ReadHead::Complete(..))
                });
                assert!(is_read && b"ok".starts_with(&received), "{step}: {received:?}");
            }
        }
    }

    #[test]
    fn a_later_minor_version_is_read_as_http_1_1() {
        let (info, response) =
            read_whole("HTTP/1.2 200 OK\r\ncontent-length: 0\r\n\r\n", &Method::GET)
                .expect("a response");
        assert!(info.persists && response.version() == Version::HTTP_11);
    }
}
