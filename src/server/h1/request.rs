//! The head of a request, out of its bytes.
//!
//! The gate has let it pass, so it has one reading; what is refused here is what the gate does
//! not look at.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Uri, Version};

use crate::http1::{self, Concerns, Length, Line, Lines, Names};
use crate::server::handler::Refused;

/// What a head says about the exchange.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) version: Version,
    /// How the end of the body is told.
    pub(super) body: Length,
    /// Whether the client wants another exchange after this one.
    pub(super) persists: bool,
    /// Whether it wants to be told to go on before it sends the body.
    pub(super) asks_first: bool,
    pub(super) takes_trailers: bool,
}

/// Reads a whole head, its headers into `headers`, which is empty.
pub(super) fn read(
    bytes: &Bytes,
    names: &mut Names,
    headers: HeaderMap,
) -> (Result<Request<()>, Refused>, Head) {
    let mut head = Head {
        version: Version::HTTP_11,
        body: Length::None,
        persists: true,
        asks_first: false,
        takes_trailers: false,
    };
    let mut request = Request::new(());
    *request.headers_mut() = headers;
    let Some(()) = read_into(bytes, names, &mut request, &mut head) else {
        head.persists = false;
        let detail = "The request's head cannot be read.";
        return (Err(Refused::Malformed { detail }), head);
    };
    (Ok(request), head)
}

fn read_into(
    bytes: &Bytes,
    names: &mut Names,
    request: &mut Request<()>,
    head: &mut Head,
) -> Option<()> {
    let mut lines = Lines::of(bytes);
    let line = lines.next()?;
    let text = &bytes[line.clone()];
    let method = memchr::memchr(b' ', text)?;
    let target = memchr::memrchr(b' ', text)?;
    head.version = match &text[target + 1..] {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        _ => return None,
    };
    *request.version_mut() = head.version;
    *request.method_mut() = Method::from_bytes(&text[..method]).ok()?;
    let target = bytes.slice(line.start + method + 1..line.start + target);
    *request.uri_mut() = Uri::from_maybe_shared(target).ok()?;
    let (mut close, mut keep_alive) = (false, false);
    for (number, line) in lines.enumerate() {
        let Line { name, value, concerns } = http1::read_line(bytes, line, number, names).ok()?;
        if concerns == Concerns::Message {
            request.headers_mut().append(name, value);
            continue;
        }
        if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
            // The gate lets no second one pass; should it ever, nothing is to be guessed here.
            if head.body != Length::None {
                return None;
            }
            head.body = if name == CONTENT_LENGTH {
                Length::Exactly(http1::number(value.as_bytes())?)
            } else if value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                Length::Chunks
            } else {
                return None;
            };
        } else if name == CONNECTION {
            close |= http1::is_listed(&value, "close");
            keep_alive |= http1::is_listed(&value, "keep-alive");
        } else if name == EXPECT {
            head.asks_first = value.as_bytes().eq_ignore_ascii_case(b"100-continue");
        } else if name == TE {
            head.takes_trailers |= http1::is_listed(&value, "trailers");
        }
        request.headers_mut().append(name, value);
    }
    let is_new = head.version == Version::HTTP_11;
    head.persists = !close && (is_new || keep_alive);
    head.asks_first &= is_new;
    head.takes_trailers &= is_new;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> (Result<Request<()>, Refused>, Head) {
        let text = Bytes::from(format!("{text}\r\n\r\n"));
        read(&text, &mut Names::default(), HeaderMap::new())
    }

    #[test]
    fn a_head_becomes_a_request() {
        let (request, said) = head("PUT /a/../b?c=%20 HTTP/1.1\r\nHost: h\r\nX-A:  1 \r\nx-a:2");
        let request = request.unwrap();
        assert_eq!(
            (request.method(), request.uri().to_string()),
            (&Method::PUT, "/a/../b?c=%20".into())
        );
        assert_eq!(request.headers().get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        let expected = Head {
            version: Version::HTTP_11,
            body: Length::None,
            persists: true,
            asks_first: false,
            takes_trailers: false,
        };
        assert_eq!(said, expected);
        for target in ["*", "http://h/x"] {
            let (request, _) = head(&format!("OPTIONS {target} HTTP/1.1"));
            assert_eq!(request.unwrap().uri().to_string(), target);
        }
    }

    #[test]
    fn it_says_how_the_exchange_goes() {
        let persists = |version: &str, connection: &str| {
            head(&format!("GET / {version}\r\nconnection: {connection}")).1.persists
        };
        assert!(persists("HTTP/1.1", "x"));
        assert!(!persists("HTTP/1.1", "x, Close"));
        assert!(!persists("HTTP/1.0", "x"));
        assert!(persists("HTTP/1.0", "Keep-Alive"));
        let (_, said) =
            head("POST / HTTP/1.1\r\ncontent-length: 5\r\nexpect: 100-Continue\r\nte: trailers");
        assert_eq!(
            (said.body, said.asks_first, said.takes_trailers),
            (Length::Exactly(5), true, true)
        );
        let (_, said) = head("POST / HTTP/1.0\r\ncontent-length: 5\r\nexpect: 100-continue");
        assert!(!said.asks_first);
        assert_eq!(head("POST / HTTP/1.1\r\ntransfer-encoding: chunked").1.body, Length::Chunks);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let lengths = ["1\r\ncontent-length: 1", "x", "0\r\ntransfer-encoding: chunked"];
        let lengths = lengths.map(|length| format!("GET / HTTP/1.1\r\ncontent-length: {length}"));
        let encodings = ["gzip", "chunked, chunked", "chunked\r\ncontent-length: 1"];
        let encodings = encodings.map(|e| format!("GET / HTTP/1.1\r\ntransfer-encoding: {e}"));
        let lines = ["GET", "GET /", "GET /\u{7f} HTTP/1.1", "G@T / HTTP/1.1", "GET / HTTP/2.0"];
        let lines = lines.map(str::to_owned).into_iter().chain(lengths).chain(encodings);
        for line in lines {
            let (request, said) = head(&line);
            assert!(matches!(request, Err(Refused::Malformed { .. })), "{line:?}");
            assert!(!said.persists);
        }
    }
}
