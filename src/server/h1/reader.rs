//! The reading side of an HTTP/1.1 connection: request heads, their bodies, and the client's
//! disconnect.
//!
//! Shared between the connection, which reads heads, and the body of the present request. At most
//! one buffer is read ahead of a call.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderName, Request, header};
use http_body::{Body, Frame, SizeHint};
use tokio::io::AsyncWrite;

use super::request::{HeadParser, RejectedHead, RequestHead};
use crate::gateway::ClientBodyError;
use crate::http1::{
    ChunkedDecoder, Length, OriginalHead, ParseError, Piece, ReadBuffer, SizePadding, take_data,
};
use crate::server::head::HeadLimits;
use crate::server::socket::{ClientReader, ClientWriter};

/// Size of the first read of a message: most heads fit, and an idle connection needs little memory.
const READ_BYTES: usize = 2 * 1024;

/// With less room than this the buffer is enlarged before a read.
const READ_ROOM_MIN: usize = 512;

/// Up to this much of an unread body is read and discarded to keep the connection; for more, a new
/// connection is cheaper.
const DISCARDED_BYTES_MAX: usize = 256 * 1024;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

pub(super) struct RequestReader {
    reader: ClientReader,
    writer: ClientWriter,
    buffer: ReadBuffer,
    parser: HeadParser,
    /// Counts requests: a body knows by it whether its request is the present one.
    requests: u64,
    body: BodyFraming,
    /// What is left to send of `100 Continue` before the body is read.
    unsent_continue: &'static [u8],
    reached_eof: bool,
    /// Ends when the client disconnects; used while unread bytes hide the end of the stream.
    disconnected: Option<Disconnected>,
}

type Disconnected = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is still to be read of the present request's body.
enum BodyFraming {
    Sized(u64),
    Chunked(ChunkedDecoder),
    /// Neither the rest of the body nor anything behind it can be read.
    Broken,
}

/// Locks the reader, which is only ever used by one task at a time.
pub(super) fn lock(reader: &Mutex<RequestReader>) -> MutexGuard<'_, RequestReader> {
    reader.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RequestReader {
    pub(super) fn new(reader: ClientReader, writer: ClientWriter) -> Self {
        Self {
            reader,
            writer,
            buffer: ReadBuffer::new(READ_BYTES),
            parser: HeadParser::default(),
            requests: 0,
            body: BodyFraming::Sized(0),
            unsent_continue: b"",
            reached_eof: false,
            disconnected: None,
        }
    }

    /// Takes the next head into `request` once it is complete.
    pub(super) fn take_head(
        &mut self,
        request: &mut Request<()>,
        limits: HeadLimits,
    ) -> Result<Option<RequestHead>, RejectedHead> {
        let taken = self.parser.take_head(&mut self.buffer.bytes, request, limits);
        if taken.is_err() {
            // Where the next request begins is unknown.
            self.body = BodyFraming::Broken;
            self.unsent_continue = b"";
        }
        taken
    }

    /// The head taken last, as received.
    pub(super) fn take_original_head(&mut self) -> OriginalHead {
        self.parser.take_original()
    }

    /// Whether `100 Continue` is not sent completely.
    pub(super) fn owes_continue(&self) -> bool {
        !self.unsent_continue.is_empty()
    }

    /// Whether no byte of another request has been received.
    pub(super) fn is_between_requests(&self) -> bool {
        self.buffer.bytes.is_empty() && self.reader.is_empty()
    }

    /// Whether the client may still be sending a request that is not read to its end.
    pub(super) fn is_unread(&self) -> bool {
        !self.reached_eof && !self.is_body_complete()
    }

    /// Begins the request with this head. Returns its body, if it has one, which reads from
    /// `shared`, that is, from this reader.
    pub(super) fn begin_body(
        &mut self,
        head: &RequestHead,
        shared: &Arc<Mutex<Self>>,
    ) -> Option<Http1Body> {
        self.requests += 1;
        self.disconnected = None;
        let (framing, length) = match head.body {
            Length::Exactly(bytes) => (BodyFraming::Sized(bytes), Some(bytes)),
            Length::Chunks => {
                (BodyFraming::Chunked(ChunkedDecoder::new(SizePadding::Rejected)), None)
            }
            Length::None | Length::Close => (BodyFraming::Sized(0), None),
        };
        self.body = framing;
        let has_body = !self.is_body_complete();
        self.unsent_continue = if has_body && head.expects_continue { CONTINUE } else { b"" };
        let (reader, request) = (Arc::clone(shared), self.requests);
        has_body.then(|| Http1Body { reader, request, left: length })
    }

    /// Stops asking for the body because the response begins. Returns the rest of a partly sent
    /// `100 Continue`, which has to be sent in front of the response.
    pub(super) fn cancel_continue(&mut self) -> &'static [u8] {
        let unsent = std::mem::take(&mut self.unsent_continue);
        if unsent == CONTINUE { b"" } else { unsent }
    }

    fn is_body_complete(&self) -> bool {
        match &self.body {
            BodyFraming::Sized(left) => *left == 0,
            BodyFraming::Chunked(decoder) => decoder.is_over(),
            BodyFraming::Broken => false,
        }
    }

    /// Whether the client may send the rest of its body behind a response that begins now: a client
    /// still waiting for `100 Continue` does not.
    pub(super) fn may_complete_body(&self) -> bool {
        let continues =
            !matches!(self.body, BodyFraming::Broken) && self.unsent_continue != CONTINUE;
        continues || self.is_body_complete()
    }

    /// Discards what has arrived of an unread body; whether that was the rest of it.
    pub(super) fn discard_body(&mut self, cx: &mut Context<'_>) -> bool {
        let mut discarded = 0;
        loop {
            match self.take_piece() {
                Ok(Piece::Data(_) | Piece::Trailers(_)) => continue,
                Ok(Piece::End) => return true,
                Ok(Piece::More) if discarded < DISCARDED_BYTES_MAX => {}
                Ok(Piece::More) | Err(_) => return false,
            }
            match self.poll_read(cx, READ_ROOM_MIN) {
                Poll::Ready(Ok(bytes)) if bytes > 0 => discarded += bytes,
                Poll::Ready(_) | Poll::Pending => return false,
            }
        }
    }

    /// Ready when the client has disconnected. Detected by reading ahead where the body is complete
    /// and the buffer has room, and otherwise by the socket's readiness.
    pub(super) fn poll_disconnected(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.is_body_complete() && self.buffer.bytes.len() < READ_BYTES {
            match ready!(self.poll_read(cx, 1)) {
                Ok(bytes) if bytes > 0 => {}
                Ok(_) | Err(_) => return Poll::Ready(()),
            }
        }
        let reader = &self.reader;
        let disconnected = self.disconnected.get_or_insert_with(|| Box::pin(reader.disconnected()));
        ready!(disconnected.as_mut().poll(cx));
        self.disconnected = Some(Box::pin(std::future::ready(())));
        Poll::Ready(())
    }

    /// Reads more of a head. The buffer of a large body is freed before the first byte of a head.
    pub(super) fn poll_read_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.buffer.shrink();
        self.poll_read(cx, READ_ROOM_MIN)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, room_min: usize) -> Poll<io::Result<usize>> {
        ready!(self.reader.poll_readable(cx));
        let read = ready!(self.buffer.poll_read(&mut self.reader, cx, room_min));
        self.reached_eof |= matches!(read, Ok(0));
        Poll::Ready(read)
    }

    fn take_piece(&mut self) -> Result<Piece, ParseError> {
        let bytes = &mut self.buffer.bytes;
        match &mut self.body {
            BodyFraming::Sized(0) => Ok(Piece::End),
            BodyFraming::Sized(_) if bytes.is_empty() => Ok(Piece::More),
            BodyFraming::Sized(left) => Ok(Piece::Data(take_data(left, bytes))),
            BodyFraming::Chunked(decoder) => {
                let is_forbidden = |name: &HeaderName| {
                    name.as_str().starts_with("x-forwarded-") || FORBIDDEN_TRAILERS.contains(name)
                };
                let piece = decoder.take(bytes)?;
                if matches!(&piece, Piece::Trailers(map) if map.keys().any(is_forbidden)) {
                    return Err(ParseError("a trailer that is only allowed as a header"));
                }
                Ok(piece)
            }
            BodyFraming::Broken => Err(ParseError("the body is broken")),
        }
    }

    fn break_body(&mut self) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
        self.body = BodyFraming::Broken;
        Poll::Ready(Some(Err(ClientBodyError)))
    }
}

/// Fields for framing, routing or credentials are not allowed in trailers (RFC 9110 §6.5.1).
const FORBIDDEN_TRAILERS: [HeaderName; 20] = [
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::EXPECT,
    header::FORWARDED,
    header::HOST,
    HeaderName::from_static("keep-alive"),
    header::MAX_FORWARDS,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The body of one request.
pub(in crate::server) struct Http1Body {
    reader: Arc<Mutex<RequestReader>>,
    /// The number of its request.
    request: u64,
    /// What is left of the length given by the head.
    left: Option<u64>,
}

impl Body for Http1Body {
    type Data = Bytes;
    type Error = ClientBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
        let Self { reader, request, left } = &mut *self;
        let reader = &mut *lock(reader);
        if reader.requests != *request {
            return Poll::Ready(Some(Err(ClientBodyError)));
        }
        while !reader.unsent_continue.is_empty() {
            match ready!(Pin::new(&mut reader.writer).poll_write(cx, reader.unsent_continue)) {
                Ok(bytes @ 1..) => reader.unsent_continue = &reader.unsent_continue[bytes..],
                Ok(0) | Err(_) => return reader.break_body(),
            }
        }
        loop {
            match reader.take_piece() {
                Ok(Piece::Data(data)) => {
                    *left = left.map(|left| left - data.len() as u64);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(Piece::Trailers(map)) => return Poll::Ready(Some(Ok(Frame::trailers(map)))),
                Ok(Piece::End) => return Poll::Ready(None),
                Ok(Piece::More) => {}
                Err(_) => return reader.break_body(),
            }
            match ready!(reader.poll_read(cx, READ_ROOM_MIN)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return reader.break_body(),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0) || lock(&self.reader).is_body_complete()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn connected() -> (TcpStream, Arc<Mutex<RequestReader>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        client.write_all(b"POST / HTTP/1.1\r\n").await.unwrap();
        let socket = Arc::new(socket);
        let writer = ClientWriter::new(Arc::clone(&socket), Arc::default());
        let (reader, _) = ClientReader::open(socket).await.unwrap().expect("the client is open");
        (client, Arc::new(Mutex::new(RequestReader::new(reader, writer))))
    }

    /// The body of the next request, which must have this length.
    async fn next_body(reader: &Arc<Mutex<RequestReader>>, bytes: u64) -> Http1Body {
        let limits =
            HeadLimits { head_bytes_max: 64 * 1024, headers_max: 200, target_bytes_max: 99 };
        let head = poll_fn(|cx| {
            let mut reader = lock(reader);
            loop {
                if let Some(head) = reader.take_head(&mut Request::new(()), limits).unwrap() {
                    return Poll::Ready(head);
                }
                ready!(reader.poll_read_head(cx)).unwrap();
            }
        });
        let head = head.await;
        assert_eq!(head.body, Length::Exactly(bytes));
        let body = lock(reader).begin_body(&head, reader);
        body.expect("the request has a body")
    }

    async fn read(body: &mut Http1Body) -> u64 {
        let mut read = 0;
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            read += frame.unwrap().data_ref().map_or(0, |data| data.len() as u64);
        }
        read
    }

    #[tokio::test]
    async fn an_idle_connection_frees_the_buffer_of_an_upload() {
        let (mut client, reader) = connected().await;
        client.write_all(b"Host: h\r\nContent-Length: 900000\r\n\r\n").await.unwrap();
        let mut body = next_body(&reader, 900_000).await;
        let sending = tokio::spawn(async move {
            client.write_all(&vec![b'x'; 900_000]).await.unwrap();
            client
        });
        assert_eq!(read(&mut body).await, 900_000);
        let _client = sending.await.unwrap();
        let mut reader = lock(&reader);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(reader.poll_read_head(&mut cx).is_pending());
        assert!(reader.buffer.bytes.capacity() <= READ_BYTES);
    }

    #[tokio::test]
    async fn an_idle_connection_frees_the_buffer_of_a_head_received_in_many_reads() {
        let (mut client, reader) = connected().await;
        let sending = tokio::spawn(async move {
            for _ in 0..150 {
                client.write_all(&[b"X: ", &[b'x'; 195][..], b"\r\n"].concat()).await.unwrap();
                // Lets the line be read before the next one arrives.
                tokio::task::yield_now().await;
            }
            client.write_all(b"Host: h\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
            client
        });
        let mut body = next_body(&reader, 2).await;
        assert_eq!(read(&mut body).await, 2);
        let _client = sending.await.unwrap();
        let mut reader = lock(&reader);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(reader.poll_read_head(&mut cx).is_pending());
        assert!(
            !reader.buffer.bytes.try_reclaim(2 * READ_BYTES),
            "the buffer is larger than needed"
        );
    }

    #[tokio::test]
    async fn the_body_of_an_ended_call_reads_nothing_of_the_next_request() {
        let (mut client, reader) = connected().await;
        let post = "Host: h\r\nContent-Length: 2\r\n\r\nhi";
        client.write_all(format!("{post}POST / HTTP/1.1\r\n{post}").as_bytes()).await.unwrap();
        let mut old = next_body(&reader, 2).await;
        let over = poll_fn(|cx| Poll::Ready(lock(&reader).discard_body(cx)));
        assert!(over.await);
        let mut new = next_body(&reader, 2).await;
        assert!(poll_fn(|cx| Pin::new(&mut old).poll_frame(cx)).await.unwrap().is_err());
        assert_eq!(read(&mut new).await, 2);
    }
}
