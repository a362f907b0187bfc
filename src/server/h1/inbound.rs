//! What one client sends: heads, the bodies behind them, and the end.
//!
//! Shared between the connection, which reads heads, and the body of the call under way. Refuses
//! to read ahead of a call by more than a buffer.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncReadExt, AsyncWrite};

use super::request::Head;
use crate::gateway::ClientBroke;
use crate::http1::{self, Chunks, Length, Names, Piece};
use crate::server::stream::{ClientStream, ClientWriter};

/// Room for one read: most heads fit at once, an idle connection holds little, and an upload gets
/// more as it comes.
const READ_BYTES_MIN: usize = 2 * 1024;
const READ_BYTES_MAX: usize = 64 * 1024;

/// With less room than this left, a read in search of a head is not worth its while.
const READ_ROOM_MIN: usize = 512;

/// What is said to a client that asks before it sends a body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The reading side of a connection.
pub(super) struct Inbound {
    stream: ClientStream,
    writer: ClientWriter,
    /// What was read and not used yet.
    received: BytesMut,
    /// Bytes of it that hold no end of a head.
    searched: usize,
    /// Room for the next read.
    room: usize,
    names: Names,
    body: Coming,
    /// What of `100 Continue` has to be said before the body is read.
    interim: &'static [u8],
}

/// What is still to come of a request's body.
enum Coming {
    Sized(u64),
    Chunks(Chunks),
    /// It broke: nothing behind it can be read.
    Broken,
}

/// Whether a client still waits for its answer.
pub(super) enum Watched {
    Waits,
    Left,
}

impl Inbound {
    pub(super) fn new(stream: ClientStream) -> Self {
        Self {
            writer: stream.writer(),
            stream,
            received: BytesMut::new(),
            searched: 0,
            room: READ_BYTES_MIN,
            names: Names::default(),
            body: Coming::Sized(0),
            interim: b"",
        }
    }

    pub(super) fn names(&mut self) -> &mut Names {
        &mut self.names
    }

    /// Takes a whole head.
    pub(super) fn take_head(&mut self) -> Option<Bytes> {
        // The gate lets one empty line pass before a head.
        if self.received.starts_with(b"\r\n") {
            self.received.advance(2);
        }
        let Some(length) = http1::end(&self.received, self.searched) else {
            self.searched = self.received.len();
            return None;
        };
        self.searched = 0;
        Some(self.received.split_to(length).freeze())
    }

    /// Whether nothing of another request is here.
    pub(super) fn is_between_messages(&self) -> bool {
        self.received.is_empty() && self.stream.is_between_messages()
    }

    /// A request with this head has begun; whether it has a body.
    pub(super) fn expect_body(&mut self, head: &Head) -> bool {
        self.body = match head.body {
            Length::Exactly(bytes) => Coming::Sized(bytes),
            Length::Chunks => Coming::Chunks(Chunks::default()),
            Length::None | Length::Close => Coming::Sized(0),
        };
        let more = !self.is_body_over();
        self.interim = if more && head.asks_first { CONTINUE } else { b"" };
        more
    }

    /// The answer begins: nobody is asked to go on any more. What is half said is said to its
    /// end, which the socket has had room for ever since.
    pub(super) fn forget_expectation(&mut self) {
        self.interim = b"";
    }

    fn is_body_over(&self) -> bool {
        match &self.body {
            Coming::Sized(left) => *left == 0,
            Coming::Chunks(chunks) => chunks.is_over(),
            Coming::Broken => false,
        }
    }

    /// Whether the client can have sent its body by the time it has its answer: one that waits
    /// to be asked has not.
    pub(super) fn may_finish_body(&self) -> bool {
        self.is_body_over() || !matches!(self.body, Coming::Broken)
    }

    /// Forgets what is here of a body that nobody read; whether that was the rest of it.
    pub(super) fn finish_body(&mut self) -> bool {
        while let Ok(Piece::Data(_) | Piece::Trailers(_)) = self.take() {}
        self.is_body_over()
    }

    /// Reads on behalf of nobody, to see the client leave: as far as there is room, and only
    /// where no body is to be read.
    pub(super) fn watch(&mut self, cx: &mut Context<'_>) -> Watched {
        while self.is_body_over() && self.received.len() < READ_BYTES_MIN {
            match self.poll_read_into(cx, 1) {
                Poll::Ready(Ok(bytes)) if bytes > 0 => {}
                Poll::Ready(_) => return Watched::Left,
                Poll::Pending => break,
            }
        }
        Watched::Waits
    }

    /// Reads in search of a head.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.poll_read_into(cx, READ_ROOM_MIN)
    }

    fn poll_read_into(&mut self, cx: &mut Context<'_>, room_min: usize) -> Poll<io::Result<usize>> {
        if self.received.capacity() - self.received.len() < room_min {
            self.received.reserve(self.room);
        }
        let room = self.received.capacity() - self.received.len();
        let read = ready!(pin!(self.stream.read_buf(&mut self.received)).poll(cx));
        if matches!(read, Ok(bytes) if bytes == room) {
            self.room = (self.room * 2).min(READ_BYTES_MAX);
        }
        Poll::Ready(read)
    }

    fn take(&mut self) -> Result<Piece, http1::Lie> {
        match &mut self.body {
            Coming::Sized(0) => Ok(Piece::End),
            Coming::Sized(_) if self.received.is_empty() => Ok(Piece::More),
            Coming::Sized(left) => Ok(Piece::Data(http1::data(left, &mut self.received))),
            Coming::Chunks(chunks) => chunks.take(&mut self.received),
            Coming::Broken => Err(http1::Lie("it is broken")),
        }
    }

    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBroke>>> {
        while !self.interim.is_empty() {
            match ready!(Pin::new(&mut self.writer).poll_write(cx, self.interim)) {
                Ok(bytes) if bytes > 0 => self.interim = &self.interim[bytes..],
                Ok(_) | Err(_) => return self.broke(),
            }
        }
        loop {
            match self.take() {
                Ok(Piece::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Piece::Trailers(map)) => return Poll::Ready(Some(Ok(Frame::trailers(map)))),
                Ok(Piece::End) => return Poll::Ready(None),
                Ok(Piece::More) => {}
                Err(_) => return self.broke(),
            }
            match ready!(self.poll_read(cx)) {
                Ok(bytes) if bytes > 0 => {}
                Ok(_) | Err(_) => return self.broke(),
            }
        }
    }

    fn broke(&mut self) -> Poll<Option<Result<Frame<Bytes>, ClientBroke>>> {
        self.body = Coming::Broken;
        Poll::Ready(Some(Err(ClientBroke)))
    }
}

/// The body of a request as it comes in.
pub(in crate::server) struct RequestFlow {
    inbound: Arc<Mutex<Inbound>>,
    /// How long the head says it is, less what was read.
    left: Option<u64>,
}

impl RequestFlow {
    pub(super) fn new(inbound: Arc<Mutex<Inbound>>, length: Length) -> Self {
        let left = if let Length::Exactly(bytes) = length { Some(bytes) } else { None };
        Self { inbound, left }
    }
}

impl Body for RequestFlow {
    type Data = Bytes;
    type Error = ClientBroke;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBroke>>> {
        let frame = ready!(super::lock(&self.inbound).poll_body(cx));
        if let (Some(left), Some(Ok(frame))) = (&mut self.left, &frame) {
            *left -= frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0) || super::lock(&self.inbound).is_body_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
