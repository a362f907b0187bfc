//! The upstream of the benchmark: a raw HTTP/1.1 keep-alive server on one thread.
//!
//! It answers `/` with a small JSON, `/error` with a vendor's 400, `/error-as-200` with the same
//! bytes and status 200, and `/bytes/N` with N bytes. Request bodies are read and discarded.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::connection_table::ConnectionTable;
use crate::error::MeasureError;
use crate::http1;

const LISTENER: Token = Token(usize::MAX);
const EVENTS_AT_ONCE: usize = 256;
const BUFFER_BYTES: usize = 64 * 1024;
/// A piece of the body of `/bytes/N`.
const FILLER: &[u8; BUFFER_BYTES] = &[b'x'; BUFFER_BYTES];

/// About 200 bytes.
pub(crate) const OK_BODY: &str = r#"{"id":"5f0c6b1e-8a43-4f0e-9b51-2d6a4c1f7e90","state":"completed","name":"quarterly report","pages":12,"owner":{"id":4711,"name":"Acme"},"links":{"self":"/jobs/5f0c6b1e"},"created":"2024-05-01T08:30:00Z"}"#;
/// About 250 bytes, in the shape of a real vendor's errors.
pub(crate) const ERROR_BODY: &str = r#"{"error":"The request is missing the required field 'source_language'. Please refer to the documentation of the individual function for the fields that it needs, then correct the request before it is sent again.","requestId":"b7c1d09e-40c2-4c56-a5a7-95b1"}"#;

/// Complete responses, shared by all connections.
struct Responses {
    ok: Vec<u8>,
    error: Vec<u8>,
    error_as_200: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// Bytes of the request body that have not arrived yet.
    body_left: u64,
    /// The response to send once the request is complete.
    pending: Option<Response>,
    /// Bytes that the socket has not accepted yet, followed by this much filler.
    unsent: Vec<u8>,
    filler_left: u64,
}

enum Response {
    Ok,
    Error,
    ErrorAs200,
    Bytes(u64),
}

/// Serves without end.
pub(crate) fn run(listen: SocketAddr) -> Result<(), MeasureError> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(listen)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(EVENTS_AT_ONCE);
    let mut connections = ConnectionTable::empty();
    let mut buffer = vec![0; BUFFER_BYTES];
    let responses = Responses::new();
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                accept(&poll, &listener, &mut connections)?;
            } else {
                serve(event, &mut connections, &mut buffer, &responses);
            }
        }
    }
}

fn accept(
    poll: &Poll,
    listener: &TcpListener,
    connections: &mut ConnectionTable<Connection>,
) -> io::Result<()> {
    while let Ok((stream, _)) = listener.accept() {
        stream.set_nodelay(true)?;
        let index = connections.insert(Connection::new(stream));
        if let Some(connection) = connections.at(index) {
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut connection.stream, Token(index), both)?;
        }
    }
    Ok(())
}

fn serve(
    event: &Event,
    connections: &mut ConnectionTable<Connection>,
    buffer: &mut [u8],
    responses: &Responses,
) {
    let index = event.token().0;
    let Some(connection) = connections.at(index) else { return };
    let mut done = Ok(());
    if event.is_writable() {
        done = connection.send();
    }
    if event.is_readable() {
        done = done.and_then(|()| connection.receive(event, buffer, responses));
    }
    if done.is_err() {
        connections.remove(index);
    }
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            input: Vec::new(),
            body_left: 0,
            pending: None,
            unsent: Vec::new(),
            filler_left: 0,
        }
    }

    /// Reads until a short read, which means that the socket is empty unless the peer has closed.
    fn receive(
        &mut self,
        event: &Event,
        buffer: &mut [u8],
        responses: &Responses,
    ) -> io::Result<()> {
        loop {
            let read = match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            self.process(&buffer[..read], responses)?;
            if read < buffer.len() && !event.is_read_closed() {
                return Ok(());
            }
        }
    }

    fn process(&mut self, bytes: &[u8], responses: &Responses) -> io::Result<()> {
        let rest = self.skip_body(bytes);
        self.input.extend_from_slice(rest);
        loop {
            self.respond_if_complete(responses)?;
            if self.body_left > 0 || !self.read_head()? {
                return Ok(());
            }
        }
    }

    fn skip_body<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let skipped =
            usize::try_from(self.body_left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.body_left -= skipped as u64;
        &bytes[skipped..]
    }

    /// Removes a request head from the input. Returns whether there was one.
    fn read_head(&mut self) -> io::Result<bool> {
        let Some(length) = http1::head_length(&self.input) else { return Ok(false) };
        let head = &self.input[..length];
        self.pending = Some(Response::to(head));
        self.body_left = http1::content_length(head).ok_or(io::ErrorKind::InvalidData)?;
        let rest = self.input.split_off(length);
        self.input = self.skip_body(&rest).to_vec();
        Ok(true)
    }

    fn respond_if_complete(&mut self, responses: &Responses) -> io::Result<()> {
        if self.body_left > 0 {
            return Ok(());
        }
        match self.pending.take() {
            None => Ok(()),
            Some(Response::Ok) => self.write(&responses.ok),
            Some(Response::Error) => self.write(&responses.error),
            Some(Response::ErrorAs200) => self.write(&responses.error_as_200),
            Some(Response::Bytes(length)) => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
                );
                self.filler_left = length;
                self.write(head.as_bytes())?;
                self.send()
            }
        }
    }

    /// Writes as much as the socket accepts and keeps the rest for [`Self::send`].
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = if self.unsent.is_empty() { accepted(self.stream.write(bytes))? } else { 0 };
        self.unsent.extend_from_slice(&bytes[written..]);
        Ok(())
    }

    fn send(&mut self) -> io::Result<()> {
        if !self.unsent.is_empty() {
            let written = accepted(self.stream.write(&self.unsent))?;
            self.unsent.drain(..written);
        }
        while self.unsent.is_empty() && self.filler_left > 0 {
            let part = usize::try_from(self.filler_left)
                .map_or(FILLER.len(), |left| left.min(FILLER.len()));
            let written = accepted(self.stream.write(&FILLER[..part]))?;
            self.filler_left -= written as u64;
            if written == 0 {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn accepted(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

impl Response {
    fn to(head: &[u8]) -> Self {
        let path = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        match path {
            b"/error" => Self::Error,
            b"/error-as-200" => Self::ErrorAs200,
            other => {
                let length = other.strip_prefix(b"/bytes/").map(std::str::from_utf8);
                let length = length.and_then(|text| text.ok()?.parse().ok());
                length.map_or(Self::Ok, Self::Bytes)
            }
        }
    }
}

impl Responses {
    fn new() -> Self {
        Self {
            ok: response("200 OK", OK_BODY),
            error: response("400 Bad Request", ERROR_BODY),
            error_as_200: response("200 OK", ERROR_BODY),
        }
    }
}

fn response(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nServer: vendor\r\nDate: Wed, 01 May 2024 08:30:00 GMT\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {length}\r\nCache-Control: no-store\r\nX-Request-Id: 8c1d2f3a\r\n\r\n{body}"
    )
    .into_bytes()
}
