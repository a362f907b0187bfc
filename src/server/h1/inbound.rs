//! What one client sends: heads, the bodies behind them, and the end.
//!
//! Shared between the connection, which reads heads, and the body of the call under way. Refuses
//! to read ahead of a call by more than a buffer.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderName, Request, header};
use http_body::{Body, Frame, SizeHint};
use tokio::io::AsyncWrite;

use super::request::{Head, Heads, Offending};
use crate::gateway::ClientBodyError;
use crate::http1::{
    self, ChunkedDecoder, Length, OriginalHead, ParseError, Piece, ReadBuffer, SizePadding,
};
use crate::server::head::Bounds;
use crate::server::stream::{ClientStream, ClientWriter};

/// Room for one read: most heads fit at once, an idle connection holds little, and an upload gets
/// more as it comes.
const READ_BYTES: usize = 2 * 1024;

/// With less room than this left, a read in search of a head is not worth its while.
const READ_ROOM_MIN: usize = 512;

/// So much of a body that nobody reads is read and forgotten, so that the connection can be kept;
/// for more, another connection costs less.
const FORGOTTEN_BYTES_MAX: usize = 256 * 1024;

/// What is said to a client that asks before it sends a body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The reading side of a connection.
pub(super) struct Inbound {
    stream: ClientStream,
    writer: ClientWriter,
    /// What was read and not used yet.
    received: ReadBuffer,
    heads: Heads,
    /// Grows with every request: a body knows by it whether its request is the present one.
    requests: u64,
    body: Coming,
    /// What of `100 Continue` has to be said before the body is read.
    interim: &'static [u8],
    /// The client sends nothing more.
    ended: bool,
    /// Ends when the client leaves; there while that is behind bytes that are not to be read.
    leaving: Option<Leaving>,
}

type Leaving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is still to come of a request's body.
enum Coming {
    Sized(u64),
    Chunks(ChunkedDecoder),
    /// Nothing of it, or of what is behind it, can be read.
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
            received: ReadBuffer::new(READ_BYTES),
            heads: Heads::default(),
            requests: 0,
            body: Coming::Sized(0),
            interim: b"",
            ended: false,
            leaving: None,
        }
    }

    /// Takes the next head into `request`, once it is whole.
    pub(super) fn take_head(
        &mut self,
        request: &mut Request<()>,
        bounds: Bounds,
    ) -> Result<Option<Head>, Offending> {
        self.heads.take(&mut self.received.bytes, request, bounds)
    }

    /// The latest head as it was received.
    pub(super) fn take_original_head(&mut self) -> OriginalHead {
        self.heads.take_original()
    }

    /// Whether the client waits to be told to go on, or was told so in part.
    pub(super) fn owes_continue(&self) -> bool {
        !self.interim.is_empty()
    }

    /// Whether nothing of another request is here.
    pub(super) fn is_between_messages(&self) -> bool {
        self.received.bytes.is_empty() && self.stream.is_empty()
    }

    /// Whether the client may still be sending something that nobody will read.
    pub(super) fn is_cut_off(&self) -> bool {
        !self.ended && !self.is_body_over()
    }

    /// A head was refused: what stands behind it has no beginning.
    pub(super) fn refuse(&mut self) {
        self.body = Coming::Broken;
        self.interim = b"";
    }

    /// A request with this head has begun; its body, if it has one, read from here, which `shared`
    /// is.
    pub(super) fn expect_body(
        &mut self,
        head: &Head,
        shared: &Arc<Mutex<Self>>,
    ) -> Option<RequestFlow> {
        self.requests += 1;
        self.leaving = None;
        self.body = match head.body {
            Length::Exactly(bytes) => Coming::Sized(bytes),
            Length::Chunks => Coming::Chunks(ChunkedDecoder::new(SizePadding::Rejected)),
            Length::None | Length::Close => Coming::Sized(0),
        };
        let more = !self.is_body_over();
        self.interim = if more && head.asks_first { CONTINUE } else { b"" };
        let left = if let Length::Exactly(bytes) = head.body { Some(bytes) } else { None };
        more.then(|| RequestFlow { inbound: Arc::clone(shared), request: self.requests, left })
    }

    /// The answer begins: nobody is asked to go on any more. What is half said has to be said to
    /// its end, in front of the answer.
    pub(super) fn forget_expectation(&mut self) -> &'static [u8] {
        let unsaid = std::mem::take(&mut self.interim);
        if unsaid == CONTINUE { b"" } else { unsaid }
    }

    fn is_body_over(&self) -> bool {
        match &self.body {
            Coming::Sized(left) => *left == 0,
            Coming::Chunks(chunks) => chunks.is_over(),
            Coming::Broken => false,
        }
    }

    /// Whether the client can send its body to the end behind an answer that begins now: one that
    /// waits to be asked does not.
    pub(super) fn may_finish_body(&self) -> bool {
        let goes_on = !matches!(self.body, Coming::Broken) && self.interim != CONTINUE;
        goes_on || self.is_body_over()
    }

    /// Forgets what is here of a body that nobody reads any more; whether that was the rest of it.
    pub(super) fn finish_body(&mut self, cx: &mut Context<'_>) -> bool {
        let mut forgotten = 0;
        loop {
            match self.take() {
                Ok(Piece::Data(_) | Piece::Trailers(_)) => continue,
                Ok(Piece::End) => return true,
                Ok(Piece::More) if forgotten < FORGOTTEN_BYTES_MAX => {}
                Ok(Piece::More) | Err(_) => return false,
            }
            match self.poll_read_into(cx, READ_ROOM_MIN) {
                Poll::Ready(Ok(bytes)) if bytes > 0 => forgotten += bytes,
                Poll::Ready(_) | Poll::Pending => return false,
            }
        }
    }

    /// Sees the client leave: by reading, where no body is to be read and as far as there is room,
    /// and otherwise by what the system reports behind unread bytes.
    pub(super) fn watch(&mut self, cx: &mut Context<'_>) -> Watched {
        while self.is_body_over() && self.received.bytes.len() < READ_BYTES {
            match self.poll_read_into(cx, 1) {
                Poll::Ready(Ok(bytes)) if bytes > 0 => {}
                Poll::Ready(_) => return Watched::Left,
                Poll::Pending => return Watched::Waits,
            }
        }
        let stream = &self.stream;
        let leaving = self.leaving.get_or_insert_with(|| Box::pin(stream.left()));
        if leaving.as_mut().poll(cx).is_pending() {
            return Watched::Waits;
        }
        self.leaving = Some(Box::pin(std::future::ready(())));
        Watched::Left
    }

    /// Reads in search of a head. Before its first byte there is no more room than for a head,
    /// whatever the last body had.
    pub(super) fn poll_read_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.received.shrink();
        self.poll_read_into(cx, READ_ROOM_MIN)
    }

    fn poll_read_into(&mut self, cx: &mut Context<'_>, room_min: usize) -> Poll<io::Result<usize>> {
        ready!(self.stream.poll_readable(cx));
        let read = ready!(self.received.poll_read(&mut self.stream, cx, room_min));
        self.ended |= matches!(read, Ok(0));
        Poll::Ready(read)
    }

    fn take(&mut self) -> Result<Piece, ParseError> {
        match &mut self.body {
            Coming::Sized(0) => Ok(Piece::End),
            Coming::Sized(_) if self.received.bytes.is_empty() => Ok(Piece::More),
            Coming::Sized(left) => {
                Ok(Piece::Data(http1::take_data(left, &mut self.received.bytes)))
            }
            Coming::Chunks(chunks) => {
                let piece = chunks.take(&mut self.received.bytes)?;
                if matches!(&piece, Piece::Trailers(map) if map.keys().any(is_header_only)) {
                    return Err(ParseError("a trailer that belongs into a head"));
                }
                Ok(piece)
            }
            Coming::Broken => Err(ParseError("it is broken")),
        }
    }

    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
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
            match ready!(self.poll_read_into(cx, READ_ROOM_MIN)) {
                Ok(bytes) if bytes > 0 => {}
                Ok(_) | Err(_) => return self.broke(),
            }
        }
    }

    fn broke(&mut self) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
        self.body = Coming::Broken;
        Poll::Ready(Some(Err(ClientBodyError)))
    }
}

/// Headers that steer framing, routing or credentials: in a trailer they only deceive.
fn is_header_only(name: &HeaderName) -> bool {
    const NAMES: [HeaderName; 20] = [
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
    name.as_str().starts_with("x-forwarded-") || NAMES.contains(name)
}

/// The body of a request as it comes in.
pub(in crate::server) struct RequestFlow {
    inbound: Arc<Mutex<Inbound>>,
    /// The number of its request.
    request: u64,
    /// How long the head says it is, less what was read.
    left: Option<u64>,
}

impl Body for RequestFlow {
    type Data = Bytes;
    type Error = ClientBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
        let mut inbound = super::lock(&self.inbound);
        if inbound.requests != self.request {
            return Poll::Ready(Some(Err(ClientBodyError)));
        }
        let frame = ready!(inbound.poll_body(cx));
        drop(inbound);
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn connected() -> (TcpStream, Arc<Mutex<Inbound>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        client.write_all(b"POST / HTTP/1.1\r\n").await.unwrap();
        let opened = ClientStream::open(Arc::new(socket), Arc::default()).await.unwrap();
        (client, Arc::new(Mutex::new(Inbound::new(opened.expect("it is open").0))))
    }

    /// The body of the next request, which is of so many bytes.
    async fn next_body(inbound: &Arc<Mutex<Inbound>>, bytes: u64) -> RequestFlow {
        let bounds = Bounds { head_bytes_max: 64 * 1024, headers_max: 200, target_bytes_max: 99 };
        let head = poll_fn(|cx| {
            let mut inbound = super::super::lock(inbound);
            loop {
                if let Some(head) = inbound.take_head(&mut Request::new(()), bounds).unwrap() {
                    return Poll::Ready(head);
                }
                ready!(inbound.poll_read_head(cx)).unwrap();
            }
        });
        let head = head.await;
        assert_eq!(head.body, Length::Exactly(bytes));
        let flow = super::super::lock(inbound).expect_body(&head, inbound);
        flow.expect("there is a body")
    }

    async fn read(flow: &mut RequestFlow) -> u64 {
        let mut read = 0;
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut *flow).poll_frame(cx)).await {
            read += frame.unwrap().data_ref().map_or(0, |data| data.len() as u64);
        }
        read
    }

    #[tokio::test]
    async fn an_idle_connection_keeps_nothing_of_an_upload() {
        let (mut client, inbound) = connected().await;
        client.write_all(b"Host: h\r\nContent-Length: 900000\r\n\r\n").await.unwrap();
        let mut flow = next_body(&inbound, 900_000).await;
        let sending = tokio::spawn(async move {
            client.write_all(&vec![b'x'; 900_000]).await.unwrap();
            client
        });
        assert_eq!(read(&mut flow).await, 900_000);
        let _client = sending.await.unwrap();
        let mut inbound = super::super::lock(&inbound);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(inbound.poll_read_head(&mut cx).is_pending());
        assert!(inbound.received.bytes.capacity() <= READ_BYTES);
    }

    #[tokio::test]
    async fn an_idle_connection_keeps_nothing_of_a_head_that_came_in_drops() {
        let (mut client, inbound) = connected().await;
        let sending = tokio::spawn(async move {
            for _ in 0..150 {
                client.write_all(&[b"X: ", &[b'x'; 195][..], b"\r\n"].concat()).await.unwrap();
                // So that it is read before the next one comes.
                tokio::task::yield_now().await;
            }
            client.write_all(b"Host: h\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
            client
        });
        let mut flow = next_body(&inbound, 2).await;
        assert_eq!(read(&mut flow).await, 2);
        let _client = sending.await.unwrap();
        let mut inbound = super::super::lock(&inbound);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(inbound.poll_read_head(&mut cx).is_pending());
        assert!(!inbound.received.bytes.try_reclaim(2 * READ_BYTES), "there is more room");
    }

    #[tokio::test]
    async fn the_body_of_a_call_that_is_over_reads_nothing_of_the_next() {
        let (mut client, inbound) = connected().await;
        let post = "Host: h\r\nContent-Length: 2\r\n\r\nhi";
        client.write_all(format!("{post}POST / HTTP/1.1\r\n{post}").as_bytes()).await.unwrap();
        let mut old = next_body(&inbound, 2).await;
        let over = poll_fn(|cx| Poll::Ready(super::super::lock(&inbound).finish_body(cx)));
        assert!(over.await);
        let mut new = next_body(&inbound, 2).await;
        assert!(poll_fn(|cx| Pin::new(&mut old).poll_frame(cx)).await.unwrap().is_err());
        assert_eq!(read(&mut new).await, 2);
    }
}
