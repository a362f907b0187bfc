//! A message on its way out: its head, then its body, piece by piece, and what the socket has
//! taken of them.
//!
//! It refuses to run ahead: the next piece is asked for when the last one is out.

use std::cell::RefCell;
use std::error::Error;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::io::AsyncWrite;

/// A piece of a body up to this size is copied behind what precedes it: two buffers cost the
/// kernel more than that.
const COPIED_BYTES_MAX: usize = 4 * 1024;

/// A buffer of up to so many bytes is used again; most heads fit.
const SPARE_BYTES_MAX: usize = 8 * 1024;

/// Buffers that a worker keeps; what is written at once needs one.
const SPARES_MAX: usize = 4;

thread_local! {
    /// The latest is used first: its bytes are still in the caches.
    static SPARES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

const CHUNK_END: &[u8] = b"\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
const CHUNK_AND_BODY_END: &[u8] = b"\r\n0\r\n\r\n";

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// There is no body.
    None,
    /// So many bytes are still to come.
    Exactly(u64),
    /// In chunks.
    Chunks,
    /// By the end of the connection.
    Close,
}

/// Why a message cannot go on.
#[derive(Debug)]
pub enum Stop {
    /// The socket.
    Socket(io::Error),
    /// The message's own body.
    Body(Box<dyn Error + Send + Sync>),
}

/// What is out and what is not.
#[derive(Debug)]
pub struct Outgoing {
    /// Head, sizes of chunks, small pieces, trailers.
    text: Vec<u8>,
    /// How much of it is out.
    text_out: usize,
    /// A large piece behind it.
    data: Bytes,
    /// The end of the chunk behind that.
    tail: &'static [u8],
    left: Length,
    /// Whether trailers are passed on.
    trailers: bool,
    body: BodyState,
    touched: Touched,
    /// What was written waits in the connection: TLS has not got rid of it.
    held: bool,
    /// Everything is out.
    sent: bool,
}

/// What keeps a message from being given to another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Touched {
    Nothing,
    /// A piece of its body was taken, and would be missing there.
    Body,
    /// A byte of it is out.
    Wire,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyState {
    /// Nothing has been taken of it.
    Whole,
    Begun,
    Ended,
}

impl Default for Outgoing {
    /// Nothing is under way.
    fn default() -> Self {
        Self {
            text: Vec::new(),
            text_out: 0,
            data: Bytes::new(),
            tail: b"",
            left: Length::None,
            trailers: true,
            body: BodyState::Ended,
            touched: Touched::Nothing,
            held: false,
            sent: true,
        }
    }
}

impl Outgoing {
    /// Begins with a message whose head is what `head` writes; it says how long the body is.
    pub fn begin(&mut self, head: impl FnOnce(&mut Vec<u8>) -> Length) {
        if self.text.capacity() == 0 {
            self.text = SPARES.with_borrow_mut(Vec::pop).unwrap_or_default();
        }
        self.text.clear();
        self.text_out = 0;
        self.left = head(&mut self.text);
        self.body = if self.left == Length::None { BodyState::Ended } else { BodyState::Whole };
        (self.touched, self.sent) = (Touched::Nothing, false);
    }

    /// Whether who reads the message wants what stands behind its body.
    pub const fn allow_trailers(&mut self, allowed: bool) {
        self.trailers = allowed;
    }

    /// Sends what can be sent now, and calls `wrote` after each write, and when what TLS held back
    /// is out; ready when all of it is.
    ///
    /// # Errors
    /// The socket took nothing more, or the body broke.
    pub fn poll<W, B>(
        &mut self,
        io: &mut W,
        body: Option<&mut B>,
        cx: &mut Context<'_>,
        mut wrote: impl FnMut(),
    ) -> Poll<Result<(), Stop>>
    where
        W: AsyncWrite + Unpin,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
    {
        let mut body = body;
        while !self.sent {
            let asked = self.ask(body.as_deref_mut(), cx)?;
            let written = if self.is_empty() {
                // What TLS holds back goes out even while the body has nothing more yet.
                let flushed = Pin::new(&mut *io).poll_flush(cx);
                let was_held = std::mem::replace(&mut self.held, flushed.is_pending());
                if was_held && !self.held {
                    wrote();
                }
                ready!(asked);
                flushed.map_ok(|()| 0)
            } else {
                self.write(io, cx)
            };
            match ready!(written) {
                Ok(0) if self.is_empty() => self.finish(),
                Ok(0) => return Poll::Ready(Err(Stop::Socket(ErrorKind::WriteZero.into()))),
                Ok(bytes) => {
                    self.advance(bytes);
                    self.touched = Touched::Wire;
                    wrote();
                }
                Err(error) => return Poll::Ready(Err(Stop::Socket(error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Asks the body for its next piece once the last one is out; ready when it has ended.
    fn ask<B>(&mut self, body: Option<&mut B>, cx: &mut Context<'_>) -> Result<Poll<()>, Stop>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
    {
        if self.body == BodyState::Ended {
            return Ok(Poll::Ready(()));
        }
        // Only the head waits for the first piece, so that both go out as one.
        if self.body == BodyState::Begun && !self.is_empty() {
            return Ok(Poll::Pending);
        }
        let Some(body) = body else { return Err(Stop::Body("it is gone".into())) };
        while self.body != BodyState::Ended {
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Some(Err(error))) => return Err(Stop::Body(error.into())),
                Poll::Ready(Some(Ok(frame))) => self.take(frame, body.is_end_stream())?,
                Poll::Ready(None) => self.end(None)?,
            }
            // Behind a piece without bytes nobody would wake us: there is nothing to write.
            if self.body == BodyState::Begun && !self.is_empty() {
                return Ok(Poll::Pending);
            }
        }
        Ok(Poll::Ready(()))
    }

    fn take(&mut self, frame: Frame<Bytes>, last: bool) -> Result<(), Stop> {
        if self.body == BodyState::Begun {
            self.text.clear();
            self.text_out = 0;
        }
        self.body = BodyState::Begun;
        if self.touched == Touched::Nothing {
            self.touched = Touched::Body;
        }
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
            Length::Chunks if data.is_empty() => tail = if last { LAST_CHUNK } else { b"" },
            Length::Chunks => {
                let _ = io::Write::write_fmt(&mut self.text, format_args!("{bytes:X}\r\n"));
                tail = if last { CHUNK_AND_BODY_END } else { CHUNK_END };
            }
            Length::Close => {}
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
            Length::Chunks => self.text.extend_from_slice(LAST_CHUNK),
            Length::None | Length::Exactly(0) | Length::Close => {}
            Length::Exactly(_) => return Err(unlike("shorter")),
        }
        let trailers = trailers.filter(|_| self.trailers);
        if let (Length::Chunks, Some(trailers)) = (self.left, trailers) {
            self.text.truncate(self.text.len() - CHUNK_END.len());
            for (name, value) in trailers {
                line(&mut self.text, name.as_str(), value.as_bytes());
            }
            self.text.extend_from_slice(CHUNK_END);
        }
        Ok(())
    }

    fn write<W: AsyncWrite + Unpin>(
        &self,
        io: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
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
        if self.data.is_empty() {
            // Even of no length it would keep the buffer it was read into.
            self.data = Bytes::new();
        }
        self.tail = &self.tail[bytes - of_text - of_data..];
    }

    fn is_empty(&self) -> bool {
        self.text_out == self.text.len() && self.data.is_empty() && self.tail.is_empty()
    }

    /// Whether all of the message is out.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.sent
    }

    /// Whether a byte of the message is out.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.touched == Touched::Wire
    }

    /// Whether the message can still be given to another connection.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.touched == Touched::Nothing
    }

    /// All of it is out: the buffer is free for another message.
    fn finish(&mut self) {
        self.sent = true;
        self.text_out = 0;
        let text = std::mem::take(&mut self.text);
        SPARES.with_borrow_mut(|spares| {
            if text.capacity() <= SPARE_BYTES_MAX && spares.len() < SPARES_MAX {
                spares.push(text);
            }
        });
    }
}

/// Writes one header line.
pub fn line(out: &mut Vec<u8>, name: impl AsRef<[u8]>, value: &[u8]) {
    out.extend_from_slice(name.as_ref());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn unlike(how: &str) -> Stop {
    Stop::Body(format!("it is {how} than its Content-Length").into())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::task::Waker;

    use super::*;

    /// A body of these frames that wakes nobody; whether it knows which one is the last.
    struct Frames(VecDeque<Frame<Bytes>>, bool);

    impl Frames {
        fn of(texts: &[&'static str], tells: bool) -> Self {
            let frame = |text: &&'static str| Frame::data(Bytes::from_static(text.as_bytes()));
            Self(texts.iter().map(frame).collect(), tells)
        }
    }

    impl Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }

        fn is_end_stream(&self) -> bool {
            self.1 && self.0.is_empty()
        }
    }

    /// A socket whose other end is gone.
    struct Closed;

    impl AsyncWrite for Closed {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn begun(length: Length) -> Outgoing {
        let mut outgoing = Outgoing::default();
        outgoing.begin(|out| {
            out.extend_from_slice(b"head|");
            length
        });
        outgoing
    }

    /// What one poll writes of a message whose body is all there.
    fn written(length: Length, mut body: Frames) -> String {
        let (mut outgoing, mut out) = (begun(length), Vec::new());
        let mut cx = Context::from_waker(Waker::noop());
        let polled = outgoing.poll(&mut out, Some(&mut body), &mut cx, || ());
        assert!(matches!(polled, Poll::Ready(Ok(()))), "{polled:?} without a wake-up to come");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_piece_without_bytes_neither_stops_nor_ends_a_message() {
        for tells in [false, true] {
            for texts in [&["ab", "", "c", ""][..], &["", "", "ab", "", "", "c"]] {
                let frames = || Frames::of(texts, tells);
                assert_eq!(written(Length::Exactly(3), frames()), "head|abc");
                assert_eq!(written(Length::Close, frames()), "head|abc");
                let chunks = written(Length::Chunks, frames());
                assert_eq!(chunks, "head|2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
            }
        }
    }

    #[test]
    fn a_message_of_whose_body_something_was_taken_is_not_given_away() {
        let mut cx = Context::from_waker(Waker::noop());
        for (texts, tells) in [(&["ab"][..], true), (&["ab"], false), (&["", "ab"], true)] {
            let mut outgoing = begun(Length::Exactly(2));
            let mut body = Frames::of(texts, tells);
            let polled = outgoing.poll(&mut Closed, Some(&mut body), &mut cx, || ());
            assert!(matches!(polled, Poll::Ready(Err(Stop::Socket(_)))));
            assert!(!outgoing.is_untouched(), "{texts:?}");
        }
        let mut outgoing = begun(Length::None);
        let polled = outgoing.poll(&mut Closed, None::<&mut Frames>, &mut cx, || ());
        assert!(matches!(polled, Poll::Ready(Err(_))) && outgoing.is_untouched());
    }

    /// A connection that takes everything and lets go of it at the second request.
    struct Slow(bool);

    impl AsyncWrite for Slow {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            let asked_before = std::mem::replace(&mut self.0, true);
            if asked_before { Poll::Ready(Ok(())) } else { Poll::Pending }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn what_was_held_back_is_out_when_it_is_let_go() {
        let (mut outgoing, mut io, mut writes) = (begun(Length::None), Slow(false), 0);
        let mut cx = Context::from_waker(Waker::noop());
        let mut poll = || outgoing.poll(&mut io, None::<&mut Frames>, &mut cx, || writes += 1);
        assert!(poll().is_pending() && poll().is_ready());
        assert_eq!(writes, 2, "its last byte is out later than it was written");
    }

    #[test]
    fn what_is_out_is_not_kept() {
        let (mut outgoing, mut out) = (begun(Length::Close), Vec::new());
        let piece = Bytes::from(vec![b'x'; 2 * COPIED_BYTES_MAX]);
        let mut body = Frames(VecDeque::from([Frame::data(piece.clone())]), true);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(outgoing.poll(&mut out, Some(&mut body), &mut cx, || ()).is_ready());
        assert!(piece.is_unique(), "an idle connection keeps the last piece");
    }
}
