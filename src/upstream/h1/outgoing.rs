//! A request on its way out: its head, then its body, piece by piece, and what the socket has
//! taken of them.
//!
//! It refuses to run ahead: the next piece is asked for when the last one is out.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Request, Version};
use http_body::{Body, Frame};
use tokio::io::AsyncWrite;

use super::head::{self, Length};
use crate::clock::Clock;
use crate::policy::time::Moment;
use crate::upstream::wire::Io;
use crate::upstream::{BoxError, Progress, RequestBody};

/// A piece of a body up to this size is copied behind what precedes it: two buffers cost the
/// kernel more than that.
const COPIED_BYTES_MAX: usize = 4 * 1024;

/// What is kept of the buffer between exchanges; most heads fit.
const SPARE_BYTES_MAX: usize = 8 * 1024;

const CHUNK_END: &[u8] = b"\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
const CHUNK_AND_BODY_END: &[u8] = b"\r\n0\r\n\r\n";

/// Why a request cannot go on.
#[derive(Debug)]
pub(super) enum Stop {
    /// The socket.
    Socket(io::Error),
    /// The request's own body.
    Body(BoxError),
}

/// Who is told how far a request has got, and by which clock.
pub(super) struct Witness<'a> {
    pub(super) clock: Clock,
    /// While an exchange begins, its beginning: what is written then was written at that moment.
    pub(super) began: Option<Moment>,
    /// The attempt, while it waits for the head.
    pub(super) progress: Option<&'a Progress>,
}

impl Witness<'_> {
    fn wrote(&self) -> Moment {
        let now = self.began.unwrap_or_else(|| self.clock.now());
        if let Some(progress) = self.progress {
            progress.wrote(now);
        }
        now
    }

    fn sent(&self, last_write: Moment) {
        if let Some(progress) = self.progress {
            progress.finished(last_write);
        }
    }
}

/// What is out and what is not.
pub(super) struct Outgoing {
    /// Head, sizes of chunks, small pieces, trailers.
    text: Vec<u8>,
    /// How much of it is out.
    text_out: usize,
    /// A large piece behind it.
    data: Bytes,
    /// The end of the chunk behind that.
    tail: &'static [u8],
    left: Length,
    body: BodyState,
    /// A write failed after some of the request was out. What the upstream said before it hung
    /// up may still lie in the socket, so the reading side has the last word.
    broken: bool,
    moved: bool,
    last_write: Moment,
    /// Everything is out.
    sent: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BodyState {
    /// Nothing has been taken of it.
    Whole,
    Begun,
    Ended,
}

impl Outgoing {
    pub(super) fn new() -> Self {
        Self {
            text: Vec::new(),
            text_out: 0,
            data: Bytes::new(),
            tail: b"",
            left: Length::None,
            body: BodyState::Ended,
            broken: false,
            moved: false,
            last_write: Moment::START,
            sent: true,
        }
    }

    /// Begins with `request`.
    pub(super) fn begin<B: RequestBody>(
        &mut self,
        request: &Request<B>,
        host: &HeaderValue,
        version: Version,
    ) {
        let body = request.body();
        let length = match body.size_hint().exact() {
            _ if body.is_end_stream() => Length::None,
            Some(bytes) => Length::Exactly(bytes),
            None => Length::Unknown,
        };
        self.text.clear();
        self.text_out = 0;
        self.left = head::write(&mut self.text, request, host, length, version);
        self.body = if length == Length::None { BodyState::Ended } else { BodyState::Whole };
        (self.moved, self.sent) = (false, false);
    }

    /// Sends what can be sent now; ready when all of it is out.
    pub(super) fn poll<B: RequestBody>(
        &mut self,
        io: &mut Io,
        body: Option<&mut B>,
        cx: &mut Context<'_>,
        witness: &Witness<'_>,
    ) -> Poll<Result<(), Stop>> {
        let mut body = body;
        while !self.sent {
            if self.broken {
                return Poll::Pending;
            }
            let asked = self.ask(body.as_deref_mut(), cx)?;
            let written = if self.is_empty() {
                // What TLS holds back goes out even while the body has nothing more yet.
                let flushed = Pin::new(&mut *io).poll_flush(cx);
                ready!(asked);
                flushed.map_ok(|()| 0)
            } else {
                self.write(io, cx)
            };
            match ready!(written) {
                Ok(0) if self.is_empty() => {
                    self.sent = true;
                    witness.sent(self.last_write);
                }
                Ok(0) => return Poll::Ready(Err(Stop::Socket(ErrorKind::WriteZero.into()))),
                Ok(bytes) => {
                    self.advance(bytes);
                    self.moved = true;
                    self.last_write = witness.wrote();
                }
                Err(error) if self.moved && hung_up(&error) => self.broken = true,
                Err(error) => return Poll::Ready(Err(Stop::Socket(error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Asks the body for its next piece once the last one is out; ready when it has ended.
    fn ask<B: RequestBody>(
        &mut self,
        body: Option<&mut B>,
        cx: &mut Context<'_>,
    ) -> Result<Poll<()>, Stop> {
        if self.body == BodyState::Ended {
            return Ok(Poll::Ready(()));
        }
        // Only the head waits for the first piece, so that both go out as one.
        if self.body == BodyState::Begun && !self.is_empty() {
            return Ok(Poll::Pending);
        }
        let Some(body) = body else { return Err(Stop::Body("it is gone".into())) };
        match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(Some(Err(error))) => return Err(Stop::Body(error.into())),
            Poll::Ready(Some(Ok(frame))) => self.take(frame, body.is_end_stream())?,
            Poll::Ready(None) => self.end(None)?,
        }
        Ok(if self.body == BodyState::Ended { Poll::Ready(()) } else { Poll::Pending })
    }

    fn take(&mut self, frame: Frame<Bytes>, last: bool) -> Result<(), Stop> {
        if self.body == BodyState::Begun {
            self.text.clear();
            self.text_out = 0;
        }
        self.body = BodyState::Begun;
        match frame.into_data() {
            Ok(data) => self.take_data(data, last),
            Err(frame) => self.end(frame.trailers_ref()),
        }
    }

    fn take_data(&mut self, data: Bytes, last: bool) -> Result<(), Stop> {
        let bytes = data.len() as u64;
        let mut tail: &'static [u8] = b"";
        match &mut self.left {
            Length::Exactly(left) => {
                *left = left.checked_sub(bytes).ok_or_else(|| unlike("longer"))?;
                if last && *left > 0 {
                    return Err(unlike("shorter"));
                }
            }
            // An empty chunk would be the last one.
            Length::Unknown if data.is_empty() => tail = if last { LAST_CHUNK } else { b"" },
            Length::Unknown => {
                let _ = io::Write::write_fmt(&mut self.text, format_args!("{bytes:X}\r\n"));
                tail = if last { CHUNK_AND_BODY_END } else { CHUNK_END };
            }
            Length::None => return Err(unlike("longer")),
        }
        if last {
            self.body = BodyState::Ended;
        }
        if data.len() > COPIED_BYTES_MAX {
            self.data = data;
            self.tail = tail;
        } else {
            self.text.extend_from_slice(&data);
            self.text.extend_from_slice(tail);
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Stop> {
        self.body = BodyState::Ended;
        match self.left {
            Length::Unknown => self.text.extend_from_slice(LAST_CHUNK),
            Length::None | Length::Exactly(0) => {}
            Length::Exactly(_) => return Err(unlike("shorter")),
        }
        if let (Length::Unknown, Some(trailers)) = (self.left, trailers) {
            self.text.truncate(self.text.len() - CHUNK_END.len());
            for (name, value) in trailers {
                head::line(&mut self.text, name.as_str(), value.as_bytes());
            }
            self.text.extend_from_slice(CHUNK_END);
        }
        Ok(())
    }

    fn write(&self, io: &mut Io, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let text = &self.text[self.text_out..];
        let io = Pin::new(io);
        // Most requests are one piece, and a plain write of it costs the kernel less.
        if self.data.is_empty() && self.tail.is_empty() {
            return io.poll_write(cx, text);
        }
        let pieces = [text, &self.data, self.tail].map(IoSlice::new);
        io.poll_write_vectored(cx, if text.is_empty() { &pieces[1..] } else { &pieces })
    }

    fn advance(&mut self, bytes: usize) {
        let of_text = bytes.min(self.text.len() - self.text_out);
        self.text_out += of_text;
        let of_data = (bytes - of_text).min(self.data.len());
        self.data.advance(of_data);
        self.tail = &self.tail[bytes - of_text - of_data..];
    }

    fn is_empty(&self) -> bool {
        self.text_out == self.text.len() && self.data.is_empty() && self.tail.is_empty()
    }

    /// Whether all of the request is out.
    pub(super) fn is_sent(&self) -> bool {
        self.sent
    }

    /// Whether a byte of the request is out.
    pub(super) fn has_moved(&self) -> bool {
        self.moved
    }

    /// Whether the request can still be given to another connection.
    pub(super) fn is_untouched(&self) -> bool {
        !self.moved && self.body != BodyState::Begun
    }

    /// The moment of the latest write.
    pub(super) fn last_write(&self) -> Moment {
        self.last_write
    }

    /// Keeps no large buffer while nothing is under way.
    pub(super) fn rest(&mut self) {
        if self.text.capacity() > SPARE_BYTES_MAX {
            self.text = Vec::new();
        }
    }
}

fn unlike(how: &str) -> Stop {
    Stop::Body(format!("it is {how} than its Content-Length").into())
}

fn hung_up(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}
