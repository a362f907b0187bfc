//! A request body that can be sent again if it is small enough.
//!
//! While the first attempt streams the body, up to `replay.max_body` bytes are kept. A larger body
//! streams through like any other and only loses its replay.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::incoming::{ClientBodyError, IncomingBody};
use super::pieces::{Cursor, Pieces};
use crate::headers::ProtectedHeaders;
use crate::retry::replay::BodyState;

/// The memory that all replay buffers of the process may take together.
#[derive(Debug)]
pub struct ReplayPool {
    free: AtomicUsize,
}

impl ReplayPool {
    #[must_use]
    pub const fn new(bytes_max: usize) -> Self {
        Self { free: AtomicUsize::new(bytes_max) }
    }

    fn take(&self, bytes: usize) -> bool {
        let take = |free: usize| free.checked_sub(bytes);
        self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.free.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The request body of one call; gives out one [`RequestBody`] for each attempt.
#[derive(Clone, Debug)]
pub(in crate::gateway) enum ReplayBody {
    Empty,
    Buffered(Arc<Mutex<ReplayBuffer>>),
}

/// How far a request body has been received.
#[derive(Clone, Copy, Debug)]
pub(in crate::gateway) struct UploadProgress {
    pub(in crate::gateway) received_bytes: u64,
    /// Whether the next bytes were asked for and the client has not sent them.
    pub(in crate::gateway) awaits_client: bool,
}

#[derive(Debug)]
pub(in crate::gateway) struct ReplayBuffer {
    source: Source,
    pieces: Pieces,
    trailers: Option<HeaderMap>,
    /// Headers that trailers must not carry.
    protected: Arc<ProtectedHeaders>,
    bytes_max: usize,
    pool: Arc<ReplayPool>,
    /// Memory taken from the pool.
    pooled_bytes: usize,
    received_bytes: u64,
    state: BodyState,
    /// Whether the next bytes were asked for and the client has not sent them.
    awaits_client: bool,
    /// The attempt that reads; earlier ones get an error.
    attempt: u32,
    size: SizeHint,
}

/// What a piece is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadFor {
    /// An attempt sends it at once.
    Attempt,
    /// It stays while its call waits, so it must not keep a larger buffer alive than is charged.
    Buffer,
}

#[derive(Debug)]
enum Source {
    Open(IncomingBody),
    EndedCall,
    Broken,
}

impl ReplayBody {
    /// At most `bytes_max` of `incoming` are kept.
    pub(in crate::gateway) fn new(
        incoming: IncomingBody,
        bytes_max: usize,
        pool: &Arc<ReplayPool>,
        protected: &Arc<ProtectedHeaders>,
    ) -> Self {
        if incoming.is_end_stream() {
            return Self::Empty;
        }
        let size = incoming.size_hint();
        Self::Buffered(Arc::new(Mutex::new(ReplayBuffer {
            source: Source::Open(incoming),
            pieces: Pieces::default(),
            trailers: None,
            protected: Arc::clone(protected),
            bytes_max,
            pool: Arc::clone(pool),
            pooled_bytes: 0,
            received_bytes: 0,
            state: BodyState::Replayable,
            awaits_client: false,
            attempt: 0,
            size,
        })))
    }

    /// Whether it can be sent, again or for the first time.
    pub(in crate::gateway) fn state(&self) -> BodyState {
        match self {
            Self::Empty => BodyState::Replayable,
            Self::Buffered(buffer) => locked(buffer).state,
        }
    }

    /// Whether it is certain that it can be sent again after the first attempt.
    pub(in crate::gateway) fn is_surely_replayable(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Buffered(buffer) => {
                let buffer = locked(buffer);
                let known = buffer.size.upper().and_then(|upper| usize::try_from(upper).ok());
                buffer.state == BodyState::Replayable
                    && known.is_some_and(|upper| upper <= buffer.bytes_max)
            }
        }
    }

    /// The body for the next attempt.
    pub(in crate::gateway) fn next_attempt(&self) -> RequestBody {
        match self {
            Self::Empty => RequestBody(None),
            Self::Buffered(buffer) => {
                let mut state = locked(buffer);
                state.attempt += 1;
                let reader = Reader {
                    buffer: Arc::clone(buffer),
                    attempt: state.attempt,
                    cursor: Cursor::default(),
                    sent_bytes: 0,
                    trailers_sent: false,
                };
                RequestBody(Some(reader))
            }
        }
    }

    /// Whether the client's connection broke within it.
    pub(in crate::gateway) fn client_broke(&self) -> bool {
        matches!(self, Self::Buffered(buffer) if matches!(locked(buffer).source, Source::Broken))
    }

    /// Whether the next bytes were asked for and the client has not sent them.
    pub(in crate::gateway) fn awaits_client(&self) -> bool {
        self.upload().is_some_and(|upload| upload.awaits_client)
    }

    /// `None` if the body is empty.
    pub(in crate::gateway) fn upload(&self) -> Option<UploadProgress> {
        let Self::Buffered(buffer) = self else { return None };
        let ReplayBuffer { received_bytes, awaits_client, .. } = *locked(buffer);
        Some(UploadProgress { received_bytes, awaits_client })
    }

    /// Whether it is not empty, and its declared length fits the buffer.
    pub(in crate::gateway) fn fits_buffer(&self) -> bool {
        match self {
            Self::Empty => false,
            Self::Buffered(buffer) => {
                let buffer = locked(buffer);
                let exact = buffer.size.exact().and_then(|exact| usize::try_from(exact).ok());
                exact.is_some_and(|exact| exact <= buffer.bytes_max)
            }
        }
    }

    /// All of it, where nothing of it is missing or gone.
    pub(in crate::gateway) fn whole(&self) -> Option<Bytes> {
        match self {
            Self::Empty => Some(Bytes::new()),
            Self::Buffered(buffer) => locked(buffer).whole(),
        }
    }

    /// The length of all of it, where that is known.
    pub(in crate::gateway) fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Buffered(buffer) => {
                let buffer = locked(buffer);
                let read = matches!(buffer.source, Source::EndedCall);
                buffer.size.exact().or(read.then_some(buffer.received_bytes))
            }
        }
    }

    /// Whether its declared length exceeds the buffer.
    pub(in crate::gateway) fn exceeds_buffer(&self) -> bool {
        match self {
            Self::Empty => false,
            Self::Buffered(buffer) => {
                let buffer = locked(buffer);
                buffer.size.lower() > buffer.bytes_max as u64
            }
        }
    }

    pub(in crate::gateway) fn kept_bytes(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Buffered(buffer) => locked(buffer).pieces.bytes(),
        }
    }

    /// The bytes that are kept for another attempt.
    pub(in crate::gateway) fn kept(&self) -> Bytes {
        match self {
            Self::Empty => Bytes::new(),
            Self::Buffered(buffer) => locked(buffer).pieces.joined(),
        }
    }

    /// Reads into the buffer what the client has sent. Ready at the end or when the buffer is
    /// full.
    pub(in crate::gateway) fn poll_fill(&self, context: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Empty => Poll::Ready(()),
            Self::Buffered(buffer) => locked(buffer).poll_fill(context),
        }
    }

    /// Reads into the buffer until the end or until it is full.
    pub(in crate::gateway) async fn fill(&self) {
        std::future::poll_fn(|context| self.poll_fill(context)).await;
    }
}

impl ReplayBuffer {
    fn whole(&self) -> Option<Bytes> {
        let whole = matches!(self.source, Source::EndedCall) && self.state == BodyState::Replayable;
        whole.then(|| self.pieces.joined())
    }

    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.pieces.bytes() < self.bytes_max {
            if !matches!(self.source, Source::Open(_)) {
                return Poll::Ready(());
            }
            ready!(self.poll_source(ReadFor::Buffer, context));
        }
        Poll::Ready(())
    }

    /// Reads one frame from the client into the buffer.
    fn poll_source(&mut self, read_for: ReadFor, context: &mut Context<'_>) -> Poll<()> {
        let Source::Open(incoming) = &mut self.source else { return Poll::Ready(()) };
        self.awaits_client = true;
        let frame = ready!(incoming.poll_frame(context));
        self.awaits_client = false;
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.add(data, read_for),
                Err(frame) => {
                    self.trailers = frame.into_trailers().ok();
                    if let Some(trailers) = &mut self.trailers {
                        self.protected.filter_trailers(trailers);
                    }
                }
            },
            None => {
                self.source = Source::EndedCall;
                self.pieces.seal();
            }
            Some(Err(_broken)) => self.source = Source::Broken,
        }
        Poll::Ready(())
    }

    fn add(&mut self, data: Bytes, read_for: ReadFor) {
        self.received_bytes += data.len() as u64;
        if self.bytes_max == 0 {
            // The body streams: its pieces are dropped as soon as they are sent.
            return self.pieces.append(data);
        }
        let uncopied = read_for == ReadFor::Attempt && self.pieces.bytes() == 0;
        let cost = if uncopied { data.len() } else { self.pieces.cost(&data) };
        if !self.pool.take(cost) {
            // All replay memory is taken, so this body streams on and loses its replay.
            self.bytes_max = 0;
            return self.pieces.append(data);
        }
        self.pooled_bytes += cost;
        match read_for {
            ReadFor::Attempt => self.pieces.push(data),
            ReadFor::Buffer => self.pieces.copy(data),
        }
    }

    /// Drops what was sent if the body has outgrown its bound.
    fn drop_sent(&mut self, reader: &mut Cursor) {
        if self.pieces.bytes() <= self.bytes_max {
            return;
        }
        let sent = self.pieces.drop_before(reader);
        if sent == 0 {
            return;
        }
        self.state = BodyState::Gone;
        // Once bytes are gone, there is no use in keeping what follows.
        self.bytes_max = 0;
        let pooled = sent.min(self.pooled_bytes);
        self.pooled_bytes -= pooled;
        self.pool.give_back(pooled);
    }
}

impl Drop for ReplayBuffer {
    fn drop(&mut self) {
        self.pool.give_back(self.pooled_bytes);
    }
}

/// The request body of one attempt.
#[derive(Debug)]
pub struct RequestBody(Option<Reader>);

#[derive(Debug)]
struct Reader {
    buffer: Arc<Mutex<ReplayBuffer>>,
    attempt: u32,
    cursor: Cursor,
    sent_bytes: u64,
    trailers_sent: bool,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = ClientBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
        let Some(reader) = &mut self.0 else { return Poll::Ready(None) };
        let shared = Arc::clone(&reader.buffer);
        let mut buffer = locked(&shared);
        if buffer.attempt != reader.attempt {
            return Poll::Ready(Some(Err(ClientBodyError)));
        }
        loop {
            buffer.drop_sent(&mut reader.cursor);
            if let Some(chunk) = buffer.pieces.read(&mut reader.cursor) {
                reader.sent_bytes += chunk.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            match &buffer.source {
                Source::Open(_) => ready!(buffer.poll_source(ReadFor::Attempt, context)),
                Source::Broken => return Poll::Ready(Some(Err(ClientBodyError))),
                Source::EndedCall => {
                    let due = !std::mem::replace(&mut reader.trailers_sent, true);
                    let trailers = buffer.trailers.as_ref().filter(|_| due);
                    return Poll::Ready(trailers.cloned().map(|it| Ok(Frame::trailers(it))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let Some(reader) = &self.0 else { return SizeHint::with_exact(0) };
        match locked(&reader.buffer).size.exact() {
            Some(exact) => SizeHint::with_exact(exact.saturating_sub(reader.sent_bytes)),
            None => SizeHint::default(),
        }
    }
}

fn locked(buffer: &Mutex<ReplayBuffer>) -> MutexGuard<'_, ReplayBuffer> {
    buffer.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use http_body_util::{BodyExt, Full};

    use super::*;

    fn protected() -> Arc<ProtectedHeaders> {
        let account = HeaderName::from_static("x-account");
        Arc::new(ProtectedHeaders::new(
            HeaderName::from_static("evenkeel-key"),
            None,
            vec![account],
        ))
    }

    fn body(text: &'static str, bytes_max: usize, pool: usize) -> ReplayBody {
        let incoming = IncomingBody::Buffered(Full::new(Bytes::from_static(text.as_bytes())));
        ReplayBody::new(incoming, bytes_max, &Arc::new(ReplayPool::new(pool)), &protected())
    }

    async fn send(replay: &ReplayBody) -> Option<Bytes> {
        replay.next_attempt().collect().await.ok().map(|collected| collected.to_bytes())
    }

    #[tokio::test]
    async fn a_small_body_is_sent_again_byte_for_byte() {
        let replay = body("hello", 5, 100);
        for _ in 0..3 {
            assert_eq!(replay.state(), BodyState::Replayable);
            assert_eq!(send(&replay).await.unwrap(), "hello");
        }
    }

    #[tokio::test]
    async fn a_large_body_streams_once() {
        for (bytes_max, pool) in [(4, 100), (100, 4)] {
            let replay = body("hello", bytes_max, pool);
            assert_eq!(send(&replay).await.unwrap(), "hello");
            assert_eq!(replay.state(), BodyState::Gone);
        }
    }

    #[tokio::test]
    async fn waiting_reads_without_losing_anything() {
        let replay = body("hello", 100, 1000);
        replay.fill().await;
        assert_eq!(replay.upload().unwrap().received_bytes, 5);
        assert_eq!(send(&replay).await.unwrap(), "hello");
        assert_eq!(replay.state(), BodyState::Replayable);
    }

    #[tokio::test]
    async fn a_body_read_while_waiting_beyond_the_bound_can_still_be_sent_once() {
        let replay = body("hello", 4, 1000);
        replay.fill().await;
        assert_eq!(replay.state(), BodyState::Replayable);
        assert_eq!(send(&replay).await.unwrap(), "hello");
        assert_eq!(replay.state(), BodyState::Gone);
    }

    #[tokio::test]
    async fn trailers_carry_nothing_that_decisions_rest_on() {
        let names = ["x-account", "x_account", "x-http-method-override", "authorization", "x-sum"];
        let row = |name| (HeaderName::from_static(name), HeaderValue::from_static("7"));
        let trailers: HeaderMap = names.map(row).into_iter().collect();
        let body = Full::new(Bytes::from_static(b"hello"));
        let body = body.with_trailers(std::future::ready(Some(Ok(trailers))));
        let incoming = IncomingBody::of(body.map_err(|never| match never {}));
        let replay = ReplayBody::new(incoming, 100, &Arc::new(ReplayPool::new(100)), &protected());
        let sent = replay.next_attempt().collect().await.unwrap();
        let names: Vec<_> = sent.trailers().unwrap().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-sum"]);
    }

    #[tokio::test]
    async fn a_stale_attempt_reads_nothing() {
        let replay = body("hello", 100, 100);
        let mut stale = replay.next_attempt();
        let _current = replay.next_attempt();
        assert!(stale.frame().await.unwrap().is_err());
    }

    #[test]
    fn the_pool_gets_everything_back() {
        let pool = Arc::new(ReplayPool::new(1000));
        let incoming = IncomingBody::Buffered(Full::new(Bytes::from_static(b"hello")));
        let replay = ReplayBody::new(incoming, 100, &pool, &protected());
        let mut context = Context::from_waker(std::task::Waker::noop());
        let filled = std::pin::pin!(replay.fill()).poll(&mut context);
        assert!(filled.is_ready() && pool.free.load(Ordering::Relaxed) < 995);
        drop(replay);
        assert_eq!(pool.free.load(Ordering::Relaxed), 1000);
    }
}
