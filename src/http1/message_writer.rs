//! Writes one message, head and body, and knows how much of it the socket has taken.
//!
//! The next body frame is polled only when the previous one was written, so a slow reader stops
//! the producer.

use std::cell::RefCell;
use std::error::Error;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame};
use tokio::io::AsyncWrite;

/// Body frames up to this size are copied behind the head or chunk size: one plain write costs
/// less than a vectored one.
const COPIED_BYTES_MAX: usize = 4 * 1024;

/// Larger buffers are not kept for reuse; most heads fit.
const SPARE_BYTES_MAX: usize = 8 * 1024;

/// Spare buffers per worker; each message being written needs one.
const SPARES_MAX: usize = 4;

thread_local! {
    /// Buffers of sent messages, reused last in first out: the latest is still in the CPU caches.
    static SPARES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

const CHUNK_END: &[u8] = b"\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
const CHUNK_AND_BODY_END: &[u8] = b"\r\n0\r\n\r\n";

/// How the end of a body is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    None,
    Exactly(u64),
    Chunks,
    /// The body ends where the connection does.
    Close,
}

/// Why sending a message failed.
#[derive(Debug)]
pub enum WriteError {
    Socket(io::Error),
    Body(Box<dyn Error + Send + Sync>),
}

/// The message being written.
#[derive(Debug)]
pub struct MessageWriter {
    /// Head, chunk sizes, small frames and trailers.
    text: Vec<u8>,
    text_written: usize,
    /// A large frame, written behind `text` without being copied.
    data: Bytes,
    /// The end of the chunk, written behind `data`.
    tail: &'static [u8],
    left: Length,
    passes_trailers: bool,
    body: BodyState,
    progress: Progress,
    /// TLS still holds back some of what was written.
    held: bool,
    sent: bool,
}

/// Whether the message could still be sent over another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Untouched,
    /// A frame of its body was taken, and would be missing there.
    BodyTaken,
    Written,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyState {
    Untouched,
    Begun,
    Ended,
}

impl Default for MessageWriter {
    /// No message is being written.
    fn default() -> Self {
        Self {
            text: Vec::new(),
            text_written: 0,
            data: Bytes::new(),
            tail: b"",
            left: Length::None,
            passes_trailers: true,
            body: BodyState::Ended,
            progress: Progress::Untouched,
            held: false,
            sent: true,
        }
    }
}

impl MessageWriter {
    /// Begins a message: `head` writes its head and returns how the body's end is marked.
    pub fn begin(&mut self, head: impl FnOnce(&mut Vec<u8>) -> Length) {
        if self.text.capacity() == 0 {
            self.text = SPARES.with_borrow_mut(Vec::pop).unwrap_or_default();
        }
        self.text.clear();
        self.text_written = 0;
        self.left = head(&mut self.text);
        self.body = if self.left == Length::None { BodyState::Ended } else { BodyState::Untouched };
        (self.progress, self.sent) = (Progress::Untouched, false);
    }

    /// Whether the receiver accepts trailers.
    pub const fn allow_trailers(&mut self, allowed: bool) {
        self.passes_trailers = allowed;
    }

    /// Writes as much as the socket takes; ready when the whole message is written. Calls `wrote`
    /// after each write, and when TLS has flushed what it held back.
    ///
    /// # Errors
    /// A write failed, or the body did.
    pub fn poll<W, B>(
        &mut self,
        io: &mut W,
        body: Option<&mut B>,
        cx: &mut Context<'_>,
        mut wrote: impl FnMut(),
    ) -> Poll<Result<(), WriteError>>
    where
        W: AsyncWrite + Unpin,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
    {
        let mut body = body;
        while !self.sent {
            let body_ended = self.poll_body(body.as_deref_mut(), cx)?;
            let written = if self.is_empty() {
                // What TLS holds back is flushed even while the body has no further frame yet.
                let flushed = Pin::new(&mut *io).poll_flush(cx);
                let was_held = std::mem::replace(&mut self.held, flushed.is_pending());
                if was_held && !self.held {
                    wrote();
                }
                ready!(body_ended);
                flushed.map_ok(|()| 0)
            } else {
                self.write(io, cx)
            };
            match ready!(written) {
                Ok(0) if self.is_empty() => {
                    self.sent = true;
                    self.text_written = 0;
                    let text = std::mem::take(&mut self.text);
                    SPARES.with_borrow_mut(|spares| {
                        if text.capacity() <= SPARE_BYTES_MAX && spares.len() < SPARES_MAX {
                            spares.push(text);
                        }
                    });
                }
                Ok(0) => return Poll::Ready(Err(WriteError::Socket(ErrorKind::WriteZero.into()))),
                Ok(bytes) => {
                    self.advance(bytes);
                    self.progress = Progress::Written;
                    wrote();
                }
                Err(error) => return Poll::Ready(Err(WriteError::Socket(error))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Polls the body for its next frame once the previous one is written; ready at its end.
    fn poll_body<B>(
        &mut self,
        body: Option<&mut B>,
        cx: &mut Context<'_>,
    ) -> Result<Poll<()>, WriteError>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
    {
        if self.body == BodyState::Ended {
            return Ok(Poll::Ready(()));
        }
        // Only the head waits for the first frame, so that both go out in one write.
        if self.body == BodyState::Begun && !self.is_empty() {
            return Ok(Poll::Pending);
        }
        let Some(body) = body else { return Err(WriteError::Body("the body is missing".into())) };
        while self.body != BodyState::Ended {
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Some(Err(error))) => return Err(WriteError::Body(error.into())),
                Poll::Ready(Some(Ok(frame))) => self.take_frame(frame, body.is_end_stream())?,
                Poll::Ready(None) => self.end(None)?,
            }
            // After an empty frame there is nothing to write, so the next frame is polled at once:
            // otherwise nothing would wake this task.
            if self.body == BodyState::Begun && !self.is_empty() {
                return Ok(Poll::Pending);
            }
        }
        Ok(Poll::Ready(()))
    }

    fn take_frame(&mut self, frame: Frame<Bytes>, last: bool) -> Result<(), WriteError> {
        if self.body == BodyState::Begun {
            self.text.clear();
            self.text_written = 0;
        }
        self.body = BodyState::Begun;
        if self.progress == Progress::Untouched {
            self.progress = Progress::BodyTaken;
        }
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => return self.end(frame.trailers_ref()),
        };
        let bytes = data.len() as u64;
        let mut tail: &'static [u8] = b"";
        match &mut self.left {
            Length::Exactly(left) => {
                *left = left.checked_sub(bytes).ok_or_else(|| length_mismatch("longer"))?;
                if last && *left > 0 {
                    return Err(length_mismatch("shorter"));
                }
            }
            // An empty chunk would end the body.
            Length::Chunks if data.is_empty() => tail = if last { LAST_CHUNK } else { b"" },
            Length::Chunks => {
                let _ = io::Write::write_fmt(&mut self.text, format_args!("{bytes:X}\r\n"));
                tail = if last { CHUNK_AND_BODY_END } else { CHUNK_END };
            }
            Length::Close => {}
            Length::None => return Err(length_mismatch("longer")),
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

    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), WriteError> {
        self.body = BodyState::Ended;
        match self.left {
            Length::Chunks => self.text.extend_from_slice(LAST_CHUNK),
            Length::None | Length::Exactly(0) | Length::Close => {}
            Length::Exactly(_) => return Err(length_mismatch("shorter")),
        }
        let trailers = trailers.filter(|_| self.passes_trailers);
        if let (Length::Chunks, Some(trailers)) = (self.left, trailers) {
            self.text.truncate(self.text.len() - CHUNK_END.len());
            for (name, value) in trailers {
                write_header(&mut self.text, name.as_str(), value.as_bytes());
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
        let text = &self.text[self.text_written..];
        let io = Pin::new(io);
        // Most messages are one piece, for which a plain write costs less than a vectored one.
        if self.data.is_empty() && self.tail.is_empty() {
            return io.poll_write(cx, text);
        }
        let pieces = [text, &self.data, self.tail].map(IoSlice::new);
        io.poll_write_vectored(cx, if text.is_empty() { &pieces[1..] } else { &pieces })
    }

    fn advance(&mut self, bytes: usize) {
        let text_bytes = bytes.min(self.text.len() - self.text_written);
        self.text_written += text_bytes;
        let data_bytes = (bytes - text_bytes).min(self.data.len());
        self.data.advance(data_bytes);
        if self.data.is_empty() {
            // Even an empty slice would keep the buffer it was read into alive.
            self.data = Bytes::new();
        }
        self.tail = &self.tail[bytes - text_bytes - data_bytes..];
    }

    fn is_empty(&self) -> bool {
        self.text_written == self.text.len() && self.data.is_empty() && self.tail.is_empty()
    }

    /// Whether the whole message is written.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.sent
    }

    /// Whether a byte of the message is written.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.progress == Progress::Written
    }

    /// Whether the message can still be sent over another connection: nothing of it is written, and
    /// no frame of its body was taken.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.progress == Progress::Untouched
    }
}

/// Writes one header line.
pub fn write_header(out: &mut Vec<u8>, name: impl AsRef<[u8]>, value: &[u8]) {
    out.extend_from_slice(name.as_ref());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn length_mismatch(how: &str) -> WriteError {
    WriteError::Body(format!("the body is {how} than its Content-Length").into())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::task::Waker;

    use super::*;

    /// A body of these frames that wakes no task; the flag says whether it announces its last
    /// frame.
    struct Frames(VecDeque<Frame<Bytes>>, bool);

    impl Frames {
        fn of(texts: &[&'static str], announces_end: bool) -> Self {
            let frame = |text: &&'static str| Frame::data(Bytes::from_static(text.as_bytes()));
            Self(texts.iter().map(frame).collect(), announces_end)
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

    /// A socket whose peer has closed it.
    struct ClosedSocket;

    impl AsyncWrite for ClosedSocket {
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

    fn begun(length: Length) -> MessageWriter {
        let mut outgoing = MessageWriter::default();
        outgoing.begin(|out| {
            out.extend_from_slice(b"head|");
            length
        });
        outgoing
    }

    /// What one poll writes of a message whose body is complete.
    fn written(length: Length, mut body: Frames) -> String {
        let (mut outgoing, mut out) = (begun(length), Vec::new());
        let mut cx = Context::from_waker(Waker::noop());
        let polled = outgoing.poll(&mut out, Some(&mut body), &mut cx, || ());
        assert!(matches!(polled, Poll::Ready(Ok(()))), "{polled:?} without a wake-up to come");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_empty_frame_neither_stalls_nor_ends_a_message() {
        for announces_end in [false, true] {
            for texts in [&["ab", "", "c", ""][..], &["", "", "ab", "", "", "c"]] {
                let frames = || Frames::of(texts, announces_end);
                assert_eq!(written(Length::Exactly(3), frames()), "head|abc");
                assert_eq!(written(Length::Close, frames()), "head|abc");
                let chunks = written(Length::Chunks, frames());
                assert_eq!(chunks, "head|2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
            }
        }
    }

    #[test]
    fn a_message_whose_body_was_polled_cannot_move_to_another_connection() {
        let mut cx = Context::from_waker(Waker::noop());
        for (texts, announces_end) in [(&["ab"][..], true), (&["ab"], false), (&["", "ab"], true)] {
            let mut outgoing = begun(Length::Exactly(2));
            let mut body = Frames::of(texts, announces_end);
            let polled = outgoing.poll(&mut ClosedSocket, Some(&mut body), &mut cx, || ());
            assert!(matches!(polled, Poll::Ready(Err(WriteError::Socket(_)))));
            assert!(!outgoing.is_untouched(), "{texts:?}");
        }
        let mut outgoing = begun(Length::None);
        let polled = outgoing.poll(&mut ClosedSocket, None::<&mut Frames>, &mut cx, || ());
        assert!(matches!(polled, Poll::Ready(Err(_))) && outgoing.is_untouched());
    }

    /// Takes every write but completes only the second flush, as TLS may.
    struct SlowFlush(bool);

    impl AsyncWrite for SlowFlush {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            let flushed_before = std::mem::replace(&mut self.0, true);
            if flushed_before { Poll::Ready(Ok(())) } else { Poll::Pending }
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn a_completed_flush_counts_as_a_write() {
        let (mut outgoing, mut io, mut writes) = (begun(Length::None), SlowFlush(false), 0);
        let mut cx = Context::from_waker(Waker::noop());
        let mut poll = || outgoing.poll(&mut io, None::<&mut Frames>, &mut cx, || writes += 1);
        assert!(poll().is_pending() && poll().is_ready());
        assert_eq!(writes, 2, "one for the write and one for the flush");
    }

    #[test]
    fn a_written_frame_is_released() {
        let (mut outgoing, mut out) = (begun(Length::Close), Vec::new());
        let piece = Bytes::from(vec![b'x'; 2 * COPIED_BYTES_MAX]);
        let mut body = Frames(VecDeque::from([Frame::data(piece.clone())]), true);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(outgoing.poll(&mut out, Some(&mut body), &mut cx, || ()).is_ready());
        assert!(piece.is_unique(), "an idle connection must not keep the last frame");
    }
}
