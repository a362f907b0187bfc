//! Heads of HTTP/1.1 as bytes: a request's, written; an answer's, read.
//!
//! It refuses to read what another reader could read differently: an answer has one length or
//! none, and that it is in chunks is said once and in one word.

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use http_body::Body;
use hyper::ext::ReasonPhrase;

use crate::http1::{
    ChunkedDecoder, HeaderKind, Length, Lines, OriginalHead, ParseError, SizePadding,
    list_contains, parse_decimal, write_header,
};
use crate::upstream::{AnswerBounds, Interim, RequestHead};

/// Writes the head of a request with this body to `host`, and says how the body's end is told.
/// `version` is what the upstream speaks.
pub(super) fn write<B: Body>(
    out: &mut Vec<u8>,
    (head, body): (&RequestHead, &B),
    host: &HeaderValue,
    version: Version,
) -> Length {
    let length = match body.size_hint().exact() {
        _ if body.is_end_stream() => Length::None,
        Some(bytes) => Length::Exactly(bytes),
        None => announced(&head.headers).map_or(Length::Chunks, Length::Exactly),
    };
    // A request in chunks cannot be one of HTTP/1.0.
    let is_old = version == Version::HTTP_10 && length != Length::Chunks;
    for part in [head.method.as_str(), " ", head.target.as_str()] {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(if is_old { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });
    let spelling = &head.spelling;
    spelling.write(out, &HOST, host);
    let (mut said, mut takes_trailers) = (false, false);
    for (name, value) in &head.headers {
        if name == HOST || name == TRANSFER_ENCODING {
            continue;
        }
        if name == CONTENT_LENGTH {
            // What HTTP/2 brought may be there twice, or belong to no body.
            let announced = if said { None } else { parse_decimal(value.as_bytes()) };
            match (length, announced) {
                (Length::Exactly(bytes), Some(announced)) if bytes == announced => {}
                (Length::None, Some(0)) => {}
                (Length::None | Length::Exactly(_) | Length::Chunks | Length::Close, _) => continue,
            }
            said = true;
        }
        // Trailers follow chunks and nothing else.
        if name == TRAILER && length != Length::Chunks {
            continue;
        }
        takes_trailers |= name == TE;
        spelling.write(out, name, value);
    }
    match length {
        Length::Exactly(bytes) if !said => {
            write_header(out, spelling.name(&CONTENT_LENGTH), bytes.to_string().as_bytes());
        }
        Length::Chunks => write_header(out, spelling.name(&TRANSFER_ENCODING), b"chunked"),
        Length::None | Length::Exactly(_) | Length::Close => {}
    }
    match (is_old, takes_trailers) {
        (false, false) => {}
        // `TE` is about this connection only, and has to say so (RFC 9110 §10.1.4).
        (false, true) => write_header(out, CONNECTION.as_str(), b"te"),
        (true, false) => write_header(out, CONNECTION.as_str(), b"keep-alive"),
        (true, true) => write_header(out, CONNECTION.as_str(), b"keep-alive, te"),
    }
    out.extend_from_slice(b"\r\n");
    length
}

/// The length that the headers state of a body that does not know its own.
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH).and_then(|value| parse_decimal(value.as_bytes()))
}

/// What an answer's head says about the connection.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) framing: Framing,
    /// Whether the connection goes on after it, as far as the head says.
    pub(super) persists: bool,
}

/// How the end of an answer's body is told.
#[derive(Debug)]
pub(super) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    Chunks(ChunkedDecoder),
    /// By the end of the connection.
    Close,
}

/// What stands at the front of the received bytes.
#[derive(Debug)]
pub(super) enum Found {
    /// Part of a head.
    Part,
    /// An interim answer, taken off.
    Interim(Interim),
    /// The head, taken off, and as it was received.
    Head(Head, OriginalHead),
}

/// Why a head cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is not HTTP/1.1.
    Malformed(ParseError),
    /// It is over one of our own bounds; the vendor did nothing wrong.
    OverBound(&'static str),
}

impl From<ParseError> for Unusable {
    fn from(lie: ParseError) -> Self {
        Self::Malformed(lie)
    }
}

/// Takes one head off `received` and into `answer`, which is blank; `method` is what it answers.
pub(super) fn read<B>(
    received: &mut BytesMut,
    lines: &mut Lines,
    (method, bounds): (&Method, AnswerBounds),
    answer: &mut Response<B>,
) -> Result<Found, Unusable> {
    if skip_empty_lines(received) {
        return Ok(Found::Part);
    }
    let Some(length) = lines.find(received) else {
        // Nonsense need not be awaited to its end.
        if !received.iter().zip(START).all(|(received, expected)| received == expected) {
            return Err(NO_STATUS_LINE.into());
        }
        let fits = received.len() <= bounds.head_bytes_max;
        return if fits { Ok(Found::Part) } else { Err(TOO_LARGE) };
    };
    if length > bounds.head_bytes_max {
        return Err(TOO_LARGE);
    }
    let head = received.split_to(length).freeze();
    let parsed = parse(&head, lines, (method, bounds.headers_max), answer);
    let original = lines.finish_head(head);
    Ok(match parsed? {
        Parsed::Interim(interim) => Found::Interim(interim),
        Parsed::Head(head) => Found::Head(head, original),
    })
}

/// Takes empty lines off the front, which some vendors send behind a body, perhaps late; whether
/// nothing else is here, the beginning of another one apart.
pub(super) fn skip_empty_lines(received: &mut BytesMut) -> bool {
    while received.starts_with(b"\r\n") {
        received.advance(2);
    }
    matches!(**received, [] | [b'\r'])
}

/// How every answer begins.
const START: &[u8] = b"HTTP/1.";

const NO_STATUS_LINE: ParseError = ParseError("no status line");
const TOO_LARGE: Unusable = Unusable::OverBound("the answer's head has more bytes than `head.max`");
const TOO_MANY: Unusable = Unusable::OverBound("the answer has more headers than `head.headers`");

/// What one whole head is.
enum Parsed {
    Interim(Interim),
    Head(Head),
}

/// Reads one whole head. Values share its bytes.
fn parse<B>(
    head: &Bytes,
    lines: &mut Lines,
    (method, headers_max): (&Method, usize),
    answer: &mut Response<B>,
) -> Result<Parsed, Unusable> {
    let (version, status, reason) = status_line(&head[lines.place(head, 0)])?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(ParseError("101 unasked").into());
    }
    if status.is_informational() {
        let mut headers = HeaderMap::new();
        let said = header_lines(head, lines, headers_max, &mut headers)?;
        // It has no body whatever it says, but what it says has to be possible.
        said.framing(StatusCode::OK, version, &Method::GET)?;
        return Ok(Parsed::Interim(Interim { status, headers }));
    }
    (*answer.status_mut(), *answer.version_mut()) = (status, version);
    if let Some(reason) = reason {
        // What the vendor calls the status, where that is not what everybody calls it.
        answer.extensions_mut().insert(reason);
    }
    let said = header_lines(head, lines, headers_max, answer.headers_mut())?;
    let framing = said.framing(status, version, method)?;
    let persists = said.persists(status, version) && !matches!(framing, Framing::Close);
    Ok(Parsed::Head(Head { framing, persists }))
}

/// Reads the header lines of one whole head into `headers`.
fn header_lines(
    head: &Bytes,
    lines: &mut Lines,
    headers_max: usize,
    headers: &mut HeaderMap,
) -> Result<Said, Unusable> {
    let mut said = Said::default();
    // The first line is the status, the last one is empty.
    for number in 1..lines.count() - 1 {
        if number > headers_max {
            return Err(TOO_MANY);
        }
        let line = lines.parse(head, lines.place(head, number))?;
        if line.kind == HeaderKind::Control {
            said.hear(&line.name, &line.value)?;
        }
        headers.append(line.name, line.value);
    }
    Ok(said)
}

type StatusLine = (Version, StatusCode, Option<ReasonPhrase>);

/// How most answers begin, which need not be taken apart.
const PLAIN_OK: &[u8] = b"HTTP/1.1 200 OK";

fn status_line(line: &[u8]) -> Result<StatusLine, ParseError> {
    if line == PLAIN_OK {
        return Ok((Version::HTTP_11, StatusCode::OK, None));
    }
    let rest = line.strip_prefix(START).ok_or(NO_STATUS_LINE)?;
    let (version, rest) = match rest {
        [b'0', b' ', rest @ ..] => (Version::HTTP_10, rest),
        // A later minor version is read as the one we know (RFC 9110 §2.5).
        [b'1'..=b'9', b' ', rest @ ..] => (Version::HTTP_11, rest),
        _ => return Err(NO_STATUS_LINE),
    };
    let (digits, reason) = rest.split_at_checked(3).ok_or(NO_STATUS_LINE)?;
    let status = StatusCode::from_bytes(digits).map_err(|_| ParseError("a status that is none"))?;
    let reason = match reason {
        [] | [b' '] => return Ok((version, status, None)),
        [b' ', reason @ ..] => reason,
        _ => return Err(NO_STATUS_LINE),
    };
    if status.canonical_reason().is_some_and(|usual| usual.as_bytes() == reason) {
        return Ok((version, status, None));
    }
    let reason = ReasonPhrase::try_from(reason).map_err(|_| ParseError("a bad reason"))?;
    Ok((version, status, Some(reason)))
}

/// What the headers say about the message itself.
#[derive(Default)]
struct Said {
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

impl Said {
    fn hear(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), ParseError> {
        if *name == CONTENT_LENGTH {
            if self.length.is_some() {
                return Err(ParseError("Content-Length more than once"));
            }
            self.length = Some(parse_decimal(value.as_bytes()));
        } else if *name == TRANSFER_ENCODING {
            let only = self.coding.is_none() && value.as_bytes().eq_ignore_ascii_case(b"chunked");
            self.coding = Some(if only { Coding::Chunked } else { Coding::Other });
        } else if *name == CONNECTION {
            self.close |= list_contains(value, "close");
            self.keep_alive |= list_contains(value, "keep-alive");
        }
        Ok(())
    }

    fn framing(
        &self,
        status: StatusCode,
        version: Version,
        to: &Method,
    ) -> Result<Framing, ParseError> {
        let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if bodiless || *to == Method::HEAD {
            return Ok(Framing::Length(0));
        }
        match (self.coding, self.length) {
            (Some(Coding::Other), _) => Err(ParseError("a Transfer-Encoding other than chunked")),
            (Some(_), Some(_)) => Err(ParseError("Content-Length beside Transfer-Encoding")),
            (Some(_), None) if version == Version::HTTP_10 => Err(ParseError("HTTP/1.0 in chunks")),
            (Some(Coding::Chunked), None) => {
                Ok(Framing::Chunks(ChunkedDecoder::new(SizePadding::Accepted)))
            }
            (None, Some(Some(length))) => Ok(Framing::Length(length)),
            (None, Some(None)) => Err(ParseError("a Content-Length that is none")),
            (None, None) => Ok(Framing::Close),
        }
    }

    fn persists(&self, status: StatusCode, version: Version) -> bool {
        // A 204 that announces a body is about to send one, whatever the standard says.
        let hides = status == StatusCode::NO_CONTENT
            && (self.coding.is_some() || self.length.is_some_and(|length| length != Some(0)));
        !hides && !self.close && (self.keep_alive || version == Version::HTTP_11)
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

    const BOUNDS: AnswerBounds = AnswerBounds { head_bytes_max: 64 * 1024, headers_max: 256 };

    /// The head that stands alone in `wire`, which answers `method`.
    fn found(wire: &str, method: &Method) -> Result<(Head, Response<()>), Unusable> {
        let mut answer = Response::default();
        let mut received = BytesMut::from(wire);
        let asked = (method, BOUNDS);
        let Found::Head(head, _) = read(&mut received, &mut Lines::default(), asked, &mut answer)?
        else {
            panic!("no head in {wire:?}");
        };
        assert!(received.is_empty(), "{received:?} is left of {wire:?}");
        Ok((head, answer))
    }

    #[test]
    fn a_head_is_found_however_it_is_cut() {
        for end in ["\r\n\r\n", "\n\n", "\r\n\n", "\n\r\n"] {
            let wire = format!("HTTP/1.1 200 OK\r\nA: b{end}rest");
            for step in 1..wire.len() {
                let (mut received, mut lines) = (BytesMut::new(), Lines::default());
                let mut answer = Response::new(());
                *answer.status_mut() = StatusCode::IM_A_TEAPOT;
                let found = wire.as_bytes().chunks(step).any(|part| {
                    received.extend_from_slice(part);
                    let asked = (&Method::GET, BOUNDS);
                    match read(&mut received, &mut lines, asked, &mut answer) {
                        Ok(Found::Part) => false,
                        Ok(Found::Head(..)) => true,
                        Ok(Found::Interim(_)) | Err(_) => panic!("{wire:?} cut by {step}"),
                    }
                });
                assert!(found && answer.status() == StatusCode::OK, "{wire:?} {step}");
                let headers = answer.headers();
                assert_eq!((headers.len(), &headers["a"]), (1, &HeaderValue::from_static("b")));
                assert!(b"rest".starts_with(&received), "{received:?}");
            }
        }
    }

    #[test]
    fn the_end_of_a_body_is_told_in_one_way() {
        let framed = |lines: &str, status: u16, method: &Method| {
            let wire = format!("HTTP/1.1 {status} OK\r\n{lines}\r\n");
            found(&wire, method).map(|(head, _)| (format!("{:?}", head.framing), head.persists))
        };
        let told = |framing: &str, persists| Ok((framing.to_owned(), persists));
        let get = Method::GET;
        assert_eq!(framed("content-length: 7\r\n", 200, &get), told("Length(7)", true));
        assert_eq!(framed("", 200, &get), told("Close", false));
        assert_eq!(framed("content-length: 7\r\n", 304, &get), told("Length(0)", true));
        assert_eq!(framed("content-length: 7\r\n", 204, &get), told("Length(0)", false));
        assert_eq!(framed("transfer-encoding: chunked\r\n", 204, &get), told("Length(0)", false));
        assert_eq!(
            framed("transfer-encoding: gzip\r\n", 200, &Method::HEAD),
            told("Length(0)", true)
        );
        assert!(
            framed("Transfer-Encoding: CHUNKED\r\n", 200, &get).unwrap().0.starts_with("Chunks")
        );
        assert_eq!(
            framed("content-length: 0\r\nconnection: x, Close\r\n", 200, &get),
            told("Length(0)", false)
        );
        for lie in ["18446744073709551616", "+1", "", "1 2", "0x1"] {
            assert!(framed(&format!("content-length: {lie}\r\n"), 200, &get).is_err(), "{lie}");
        }
    }

    #[test]
    fn names_are_those_of_this_head_whatever_the_last_one_said() {
        let heads = ["a: 1\r\nb: 2", "A:1\r\nc: 2\r\na:", "ab: 1", "a:  1 \t\r\nB: 2\r\nb: 3", ""];
        let read = |head: &str, lines: &mut Lines| {
            let wire =
                format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").replace("\r\n\r\n\r\n", "\r\n\r\n");
            let mut answer = Response::new(());
            let asked = (&Method::HEAD, BOUNDS);
            let found = read(&mut BytesMut::from(&*wire), lines, asked, &mut answer);
            assert!(matches!(found, Ok(Found::Head(..))), "{wire:?}");
            std::mem::take(answer.headers_mut())
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
    fn a_reason_of_the_vendors_own_is_kept() {
        let reason = |said: &str| {
            let (_, answer) = found(&format!("HTTP/1.1 {said}\r\n\r\n"), &Method::HEAD).unwrap();
            let reason = answer.extensions().get::<ReasonPhrase>();
            reason.map(|reason| String::from_utf8(reason.as_bytes().to_vec()).unwrap())
        };
        assert_eq!(reason("404 Not Found"), None);
        assert_eq!(reason("404 No Such Job"), Some("No Such Job".into()));
    }

    #[test]
    fn a_request_says_its_length_once() {
        let said = |lines: &[(&'static str, &'static str)], length, version| {
            let target = PathAndQuery::from_static("/a?b");
            let mut head = request(target);
            for (name, value) in lines {
                head.headers.append(*name, HeaderValue::from_static(value));
            }
            let (host, mut out) = (HeaderValue::from_static("vendor"), Vec::new());
            let promised = write(&mut out, (&head, &SizedBody(length)), &host, version);
            let text = String::from_utf8(out).unwrap();
            let rest = text.strip_prefix("POST /a?b HTTP/1.").expect("the line");
            let rest = rest.replacen("\r\nhost: vendor\r\n", " ", 1);
            (rest.replace("\r\n", "|"), promised)
        };
        let (old, new) = (Version::HTTP_10, Version::HTTP_11);
        let length = [("content-length", "7")];
        let twice = [("content-length", "7"), ("content-length", "5")];
        let cases = [
            (
                said(&[("host", "x"), ("a", "1"), ("a", "2")], Some(0), new),
                "1 a: 1|a: 2||",
                Length::None,
            ),
            (said(&[], Some(7), new), "1 content-length: 7||", Length::Exactly(7)),
            (said(&length, Some(7), new), "1 content-length: 7||", Length::Exactly(7)),
            (said(&length, None, new), "1 content-length: 7||", Length::Exactly(7)),
            (said(&twice, Some(7), new), "1 content-length: 7||", Length::Exactly(7)),
            (said(&twice, None, new), "1 content-length: 7||", Length::Exactly(7)),
            (said(&length, Some(5), new), "1 content-length: 5||", Length::Exactly(5)),
            (said(&length, Some(0), new), "1 |", Length::None),
            (
                said(&[("transfer-encoding", "x")], None, old),
                "1 transfer-encoding: chunked||",
                Length::Chunks,
            ),
            (said(&[], Some(0), old), "0 connection: keep-alive||", Length::None),
        ];
        for ((written, promised), expected, length) in cases {
            assert_eq!((&*written, promised), (expected, length));
        }
    }

    #[test]
    fn what_is_about_the_connection_is_said_in_connection() {
        let said = |lines: &[(&'static str, &'static str)], length, version| {
            let target = PathAndQuery::from_static("/");
            let mut head = request(target);
            head.headers.extend(lines.iter().map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            }));
            let mut out = Vec::new();
            write(
                &mut out,
                (&head, &SizedBody(length)),
                &HeaderValue::from_static("vendor"),
                version,
            );
            String::from_utf8(out).unwrap().replace("\r\n", "|")
        };
        let (old, new) = (Version::HTTP_10, Version::HTTP_11);
        let te = [("te", "trailers")];
        assert!(said(&te, Some(0), new).ends_with("|te: trailers|connection: te||"));
        assert!(said(&te, Some(0), old).ends_with("|te: trailers|connection: keep-alive, te||"));
        let announced = [("trailer", "x-sum"), ("content-length", "7")];
        assert!(said(&announced[..1], None, new).contains("|trailer: x-sum|"));
        for length in [Some(0), Some(7)] {
            assert!(!said(&announced[..1], length, new).contains("trailer"), "{length:?}");
        }
        assert!(!said(&announced, None, new).contains("trailer"), "a length is stated");
    }

    #[test]
    fn an_interim_answer_is_read_like_any_other() {
        let read = |wire: &str| {
            let (mut received, mut answer) = (BytesMut::from(wire), Response::new(()));
            let found =
                read(&mut received, &mut Lines::default(), (&Method::GET, BOUNDS), &mut answer);
            assert!(answer.headers().is_empty(), "they are not the answer's");
            found
        };
        let wire = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nlink: </b>\r\n\r\n";
        let Ok(Found::Interim(Interim { status, headers })) = read(wire) else { panic!("{wire}") };
        assert_eq!((status.as_u16(), headers.get_all("link").iter().count()), (103, 2));
        let lies = [
            "HTTP/1.1 103 x\r\nno colon\r\n\r\n",
            "HTTP/1.1 103 x\r\na : b\r\n\r\n",
            "HTTP/1.1 102 x\r\na: b\rc\r\n\r\n",
            "HTTP/1.1 100 x\r\na: \0\r\n\r\n",
            "HTTP/1.1 103 x\r\n folded: 1\r\n\r\n",
            "HTTP/1.1 103 x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 103 x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 103 x\r\ntransfer-encoding: gzip\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
        ];
        for lie in lies {
            assert!(matches!(read(lie), Err(Unusable::Malformed(_))), "{lie:?}");
        }
    }

    #[test]
    fn an_empty_line_before_an_answer_says_nothing() {
        for before in ["\r\n", "\r\n\r\n"] {
            let wire = format!("{before}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            for step in 1..wire.len() {
                let (mut received, mut lines) = (BytesMut::new(), Lines::default());
                let mut answer = Response::new(());
                let found = wire.as_bytes().chunks(step).any(|part| {
                    received.extend_from_slice(part);
                    let asked = (&Method::GET, BOUNDS);
                    let found = read(&mut received, &mut lines, asked, &mut answer);
                    matches!(found.unwrap(), Found::Head(..))
                });
                assert!(found && b"ok".starts_with(&received), "{step}: {received:?}");
            }
        }
    }

    #[test]
    fn what_is_too_large_for_us_is_no_fault_of_the_vendors() {
        let answer = |headers: usize, bytes: usize| {
            let lines = "a: b\r\n".repeat(headers - 1);
            format!("HTTP/1.1 200 OK\r\n{lines}x: {}\r\n\r\n", "y".repeat(bytes))
        };
        assert!(found(&answer(256, 1), &Method::HEAD).is_ok());
        assert!(found(&answer(1, 64_000), &Method::HEAD).is_ok());
        let part = answer(1, 66_000);
        for wire in [&answer(257, 1), &answer(1, 66_000), &part[..65_900]] {
            let over = found(wire, &Method::HEAD).map(drop);
            assert!(matches!(over, Err(Unusable::OverBound(_))), "{over:?}");
        }
    }

    #[test]
    fn a_later_minor_version_is_read_as_the_one_we_know() {
        let (head, answer) =
            found("HTTP/1.2 200 OK\r\ncontent-length: 0\r\n\r\n", &Method::GET).expect("an answer");
        assert!(head.persists && answer.version() == Version::HTTP_11);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let lies = [
            "SSH-2.0-OpenSSH_9.2\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.1 99 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\na : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: \0\r\n\r\n",
        ];
        for lie in lies {
            assert!(found(lie, &Method::GET).is_err(), "{lie:?}");
        }
    }
}
