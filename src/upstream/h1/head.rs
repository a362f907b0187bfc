//! Heads of HTTP/1.1 as bytes: a request's, written; an answer's, read.
//!
//! It refuses to read what another reader could read differently: an answer has one length or
//! none, and that it is in chunks is said once and in one word.

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use http_body::Body;
use hyper::ext::ReasonPhrase;

use crate::http1::{Chunks, Concerns, Length, Lie, Lines, Padding, is_listed, line, number};
use crate::upstream::RequestHead;

/// Header lines of one answer; far more than any vendor sends.
const HEADERS_MAX: usize = 100;

/// Bytes of one answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

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
        None => Length::Chunks,
    };
    // A request in chunks cannot be one of HTTP/1.0.
    let is_old = version == Version::HTTP_10 && length != Length::Chunks;
    for part in [head.method.as_str(), " ", head.target.as_str()] {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(if is_old { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" });
    line(out, HOST.as_str(), host.as_bytes());
    let mut promised = length;
    let mut said = false;
    for (name, value) in &head.headers {
        if name == HOST || name == TRANSFER_ENCODING {
            continue;
        }
        if name == CONTENT_LENGTH {
            // What HTTP/2 brought may be there twice, or belong to no body.
            let announced = if said { None } else { number(value.as_bytes()) };
            match (length, announced) {
                (Length::Chunks, Some(bytes)) => promised = Length::Exactly(bytes),
                (Length::Exactly(bytes), Some(announced)) if bytes == announced => {}
                (Length::None, Some(0)) => {}
                (Length::None | Length::Exactly(_) | Length::Chunks | Length::Close, _) => continue,
            }
            said = true;
        }
        line(out, name.as_str(), value.as_bytes());
    }
    match promised {
        Length::Exactly(bytes) if !said => {
            line(out, CONTENT_LENGTH.as_str(), bytes.to_string().as_bytes());
        }
        Length::Chunks => line(out, TRANSFER_ENCODING.as_str(), b"chunked"),
        Length::None | Length::Exactly(_) | Length::Close => {}
    }
    if is_old {
        line(out, CONNECTION.as_str(), b"keep-alive");
    }
    out.extend_from_slice(b"\r\n");
    promised
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
    Chunks(Chunks),
    /// By the end of the connection.
    Close,
}

/// What stands at the front of the received bytes.
#[derive(Debug)]
pub(super) enum Found {
    /// Part of a head.
    Part,
    /// An interim answer, taken off.
    Interim,
    /// The head, taken off.
    Head(Head),
}

/// Takes one head off `received` and into `answer`, which is blank; `method` is what it answers.
pub(super) fn read<B>(
    received: &mut BytesMut,
    lines: &mut Lines,
    method: &Method,
    answer: &mut Response<B>,
) -> Result<Found, Lie> {
    let Some(length) = lines.find(received) else {
        // Nonsense need not be awaited to its end.
        if !received.iter().zip(START).all(|(received, expected)| received == expected) {
            return Err(NO_STATUS_LINE);
        }
        return if received.len() > HEAD_BYTES_MAX { Err(TOO_LARGE) } else { Ok(Found::Part) };
    };
    if length > HEAD_BYTES_MAX {
        return Err(TOO_LARGE);
    }
    let found = parse(&received.split_to(length).freeze(), lines, method, answer);
    lines.forget();
    found
}

/// How every answer begins.
const START: &[u8] = b"HTTP/1.";

const NO_STATUS_LINE: Lie = Lie("no status line");
const TOO_LARGE: Lie = Lie("a head too large");

/// Reads one whole head. Values share its bytes.
fn parse<B>(
    head: &Bytes,
    lines: &mut Lines,
    method: &Method,
    answer: &mut Response<B>,
) -> Result<Found, Lie> {
    let (version, status, reason) = status_line(&head[lines.place(head, 0)])?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Lie("101 unasked"));
    }
    if status.is_informational() {
        return Ok(Found::Interim);
    }
    (*answer.status_mut(), *answer.version_mut()) = (status, version);
    if let Some(reason) = reason {
        // What the vendor calls the status, where that is not what everybody calls it.
        answer.extensions_mut().insert(reason);
    }
    let headers = answer.headers_mut();
    let mut said = Said::default();
    // The last line is the empty one.
    for number in 1..lines.count() - 1 {
        if number > HEADERS_MAX {
            return Err(Lie("too many header lines"));
        }
        let line = lines.read(head, number)?;
        if line.concerns == Concerns::Connection {
            said.hear(&line.name, &line.value)?;
        }
        headers.append(line.name, line.value);
    }
    let framing = said.framing(status, version, method)?;
    let persists = said.persists(status, version) && !matches!(framing, Framing::Close);
    Ok(Found::Head(Head { framing, persists }))
}

type StatusLine = (Version, StatusCode, Option<ReasonPhrase>);

/// How most answers begin, which need not be taken apart.
const PLAIN_OK: &[u8] = b"HTTP/1.1 200 OK";

fn status_line(line: &[u8]) -> Result<StatusLine, Lie> {
    if line == PLAIN_OK {
        return Ok((Version::HTTP_11, StatusCode::OK, None));
    }
    let rest = line.strip_prefix(START).ok_or(NO_STATUS_LINE)?;
    let (version, rest) = match rest {
        [b'1', b' ', rest @ ..] => (Version::HTTP_11, rest),
        [b'0', b' ', rest @ ..] => (Version::HTTP_10, rest),
        _ => return Err(NO_STATUS_LINE),
    };
    let (digits, reason) = rest.split_at_checked(3).ok_or(NO_STATUS_LINE)?;
    let status = StatusCode::from_bytes(digits).map_err(|_| Lie("a status that is none"))?;
    let reason = match reason {
        [] | [b' '] => return Ok((version, status, None)),
        [b' ', reason @ ..] => reason,
        _ => return Err(NO_STATUS_LINE),
    };
    if status.canonical_reason().is_some_and(|usual| usual.as_bytes() == reason) {
        return Ok((version, status, None));
    }
    let reason = ReasonPhrase::try_from(reason).map_err(|_| Lie("a bad reason"))?;
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
    fn hear(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), Lie> {
        if *name == CONTENT_LENGTH {
            if self.length.is_some() {
                return Err(Lie("Content-Length more than once"));
            }
            self.length = Some(number(value.as_bytes()));
        } else if *name == TRANSFER_ENCODING {
            let only = self.coding.is_none() && value.as_bytes().eq_ignore_ascii_case(b"chunked");
            self.coding = Some(if only { Coding::Chunked } else { Coding::Other });
        } else if *name == CONNECTION {
            self.close |= is_listed(value, "close");
            self.keep_alive |= is_listed(value, "keep-alive");
        }
        Ok(())
    }

    fn framing(&self, status: StatusCode, version: Version, to: &Method) -> Result<Framing, Lie> {
        let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if bodiless || *to == Method::HEAD {
            return Ok(Framing::Length(0));
        }
        match (self.coding, self.length) {
            (Some(Coding::Other), _) => Err(Lie("a Transfer-Encoding other than chunked")),
            (Some(_), Some(_)) => Err(Lie("Content-Length beside Transfer-Encoding")),
            (Some(_), None) if version == Version::HTTP_10 => Err(Lie("HTTP/1.0 in chunks")),
            (Some(Coding::Chunked), None) => Ok(Framing::Chunks(Chunks::new(Padding::Taken))),
            (None, Some(Some(length))) => Ok(Framing::Length(length)),
            (None, Some(None)) => Err(Lie("a Content-Length that is none")),
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
    use http::HeaderMap;
    use http::uri::PathAndQuery;

    use super::*;
    use crate::http1::tests::Long;

    /// The head that stands alone in `wire`, which answers `method`.
    fn found(wire: &str, method: &Method) -> Result<(Head, Response<()>), Lie> {
        let mut answer = Response::default();
        let mut received = BytesMut::from(wire);
        let Found::Head(head) = read(&mut received, &mut Lines::default(), method, &mut answer)?
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
                    match read(&mut received, &mut lines, &Method::GET, &mut answer) {
                        Ok(Found::Part) => false,
                        Ok(Found::Head(_)) => true,
                        Ok(Found::Interim) | Err(_) => panic!("{wire:?} cut by {step}"),
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
            let found = read(&mut BytesMut::from(&*wire), lines, &Method::HEAD, &mut answer);
            assert!(matches!(found, Ok(Found::Head(_))), "{wire:?}");
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
            let mut head =
                RequestHead { method: Method::POST, target, headers: HeaderMap::new(), client: 0 };
            for (name, value) in lines {
                head.headers.append(*name, HeaderValue::from_static(value));
            }
            let (host, mut out) = (HeaderValue::from_static("vendor"), Vec::new());
            let promised = write(&mut out, (&head, &Long(length)), &host, version);
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
    fn what_is_no_answer_is_refused() {
        let lies = [
            "\r\n\r\n",
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
