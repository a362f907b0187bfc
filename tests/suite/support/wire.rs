//! A client that writes given bytes and reads HTTP/1.1 responses without a library.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::time::PATIENCE;

/// A response, with its headers in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// Statuses of interim answers before it.
    pub(crate) interim: Vec<u16>,
    pub(crate) end: End,
}

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Completely.
    Whole,
    /// With the connection, as its framing allows.
    Close,
    /// Too early: a visible abort.
    Broken,
}

impl Answer {
    /// All values of a header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        values(&self.headers, name)
    }

    /// The only value of a header.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} came {} times: {all:?}", all.len());
        all.first().copied()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// All values of a header, in order; names are compared without case.
pub(crate) fn values<'a>(headers: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let named = headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_str()).collect()
}

/// A request as bytes, with a `Host`, and a `Content-Length` when it has a body.
pub(crate) fn request(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: gateway.test\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !body.is_empty() || method == "POST" {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// One connection of a client.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self { stream, reader }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Writes as much as the peer accepts; whether that was everything.
    pub(crate) fn send_what_goes(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Half-closes the connection.
    pub(crate) fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The next answer, to a request of any method but HEAD.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        self.answer_if_any("GET").expect("an answer before the connection ended")
    }

    /// The next answer to a request of this method; `None` when the connection ends before.
    #[track_caller]
    pub(crate) fn answer_if_any(&mut self, method: &str) -> Option<Answer> {
        let mut interim = Vec::new();
        loop {
            let mut answer = head(&mut self.reader)?;
            if (100..200).contains(&answer.status) && answer.status != 101 {
                interim.push(answer.status);
                continue;
            }
            answer.interim = interim;
            if method != "HEAD" && !matches!(answer.status, 101 | 204 | 304) {
                body(&mut self.reader, &mut answer);
            }
            return Some(answer);
        }
    }

    /// The head of the next answer, interim ones included, without its body.
    pub(crate) fn head(&mut self) -> Option<Answer> {
        head(&mut self.reader)
    }

    /// Exactly the next `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Whether the peer closed the connection without another byte.
    #[track_caller]
    pub(crate) fn is_ended(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            Ok(count) => count == 0,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => rest.is_empty(),
            Err(error) => panic!("the connection stays open: {error}"),
        }
    }
}

/// One request on a connection of its own.
#[track_caller]
pub(crate) fn call(address: SocketAddr, request: &[u8]) -> Answer {
    let method = request.split(|byte| *byte == b' ').next().unwrap_or_default();
    let mut connection = Connection::open(address);
    connection.send(request);
    let method = String::from_utf8_lossy(method).into_owned();
    connection.answer_if_any(&method).expect("an answer before the connection ended")
}

/// A line without its end; `None` at the end of the connection.
fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    match reader.read_until(b'\n', &mut bytes) {
        Ok(_) => {}
        Err(error) if is_timeout(&error) => panic!("nothing came for {PATIENCE:?}"),
        Err(_) => return None,
    }
    let text = bytes.strip_suffix(b"\r\n")?;
    Some(text.iter().map(|byte| char::from(*byte)).collect())
}

fn is_timeout(error: &std::io::Error) -> bool {
    let kind = error.kind();
    kind == ErrorKind::WouldBlock || kind == ErrorKind::TimedOut
}

fn head(reader: &mut impl BufRead) -> Option<Answer> {
    let status_line = line(reader)?;
    let status = status_line.split(' ').nth(1)?.parse().ok()?;
    let headers = fields(reader)?;
    let (interim, trailers, body) = (Vec::new(), Vec::new(), Vec::new());
    Some(Answer { status, headers, body, trailers, interim, end: End::Whole })
}

/// Header or trailer lines up to the empty one.
fn fields(reader: &mut impl BufRead) -> Option<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = line(reader)?;
        if line.is_empty() {
            return Some(fields);
        }
        let (name, value) = line.split_once(':')?;
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn body(reader: &mut impl BufRead, answer: &mut Answer) {
    let chunked = answer.all("transfer-encoding").contains(&"chunked");
    let length = answer.header("content-length").map(|length| length.parse().unwrap());
    answer.end = match (chunked, length) {
        (true, _) => chunks(reader, answer).map_or(End::Broken, |()| End::Whole),
        (false, Some(length)) => exactly(reader, &mut answer.body, length),
        (false, None) => match reader.read_to_end(&mut answer.body) {
            Ok(_) => End::Close,
            Err(error) if is_timeout(&error) => panic!("the body never ends"),
            Err(_) => End::Broken,
        },
    };
}

fn exactly(reader: &mut impl BufRead, body: &mut Vec<u8>, length: u64) -> End {
    match reader.take(length).read_to_end(body) {
        Ok(count) if u64::try_from(count).unwrap() == length => End::Whole,
        Err(error) if is_timeout(&error) => panic!("the body never ends"),
        Ok(_) | Err(_) => End::Broken,
    }
}

fn chunks(reader: &mut impl BufRead, answer: &mut Answer) -> Option<()> {
    loop {
        let size = line(reader)?;
        let size = u64::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            answer.trailers = fields(reader)?;
            return Some(());
        }
        let whole = exactly(reader, &mut answer.body, size) == End::Whole;
        (whole && line(reader)?.is_empty()).then_some(())?;
    }
}
