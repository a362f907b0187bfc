//! A request's body that can be sent again, as long as it is small enough.
//!
//! While the first attempt streams it, up to `replay.max_body` bytes are kept. A larger body is
//! not refused and not held back: it streams through and only loses its replay. Refuses to decide
//! whether anything is sent again.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use super::merging::Merging;
use super::pieces::{Pieces, Place};
use super::rate::Upload;
use crate::headers::Guarded;
use crate::retry::replay::BodyState;

/// Where a request's body comes from.
#[derive(Default)]
pub enum IncomingBody {
    /// From nowhere: there is none.
    #[default]
    Empty,
    /// A client's connection.
    Streaming(Pin<Box<dyn Body<Data = Bytes, Error = ClientBodyError> + Send>>),
    /// Memory: tests, and calls resumed from a record.
    Buffered(Full<Bytes>),
}

impl std::fmt::Debug for IncomingBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Streaming(_) => "Streaming",
            Self::Buffered(_) => "Buffered",
        })
    }
}

/// The bytes that all replay buffers of the program may hold together.
#[derive(Debug)]
pub struct ReplayPool {
    free: AtomicUsize,
}

impl ReplayPool {
    /// A pool of so many bytes.
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

/// The body of one call; hands out one [`RequestBody`] for each attempt.
#[derive(Clone, Debug)]
pub(in crate::gateway) enum Replay {
    /// There is none.
    Empty,
    /// There is one.
    Kept(Arc<Mutex<Kept>>),
}

/// What is kept of a body.
#[derive(Debug)]
pub(in crate::gateway) struct Kept {
    source: Source,
    pieces: Pieces,
    trailers: Option<HeaderMap>,
    /// What trailers may not carry.
    guarded: Arc<Guarded>,
    bytes_max: usize,
    pool: Arc<ReplayPool>,
    /// Bytes of memory for the pieces that the pool knows of.
    pooled_bytes: usize,
    /// Bytes that the client has sent.
    received_bytes: u64,
    state: BodyState,
    /// Whether somebody asked for the next bytes and the client has not sent them yet.
    hunger: Hunger,
    /// Which attempt reads; those before it read nothing any more.
    attempt: u32,
    size: SizeHint,
}

/// What becomes of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// An attempt reads it at once.
    ForAttempt,
    /// It waits with its call, so it must hold no more memory than it counts.
    ForLater,
}

/// Whether the next bytes of a body are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hunger {
    Sated,
    Hungry,
}

#[derive(Debug)]
enum Source {
    Open(IncomingBody),
    /// Read to its end.
    Ended,
    /// The client's side broke.
    Broken,
}

/// The client's side of a body broke; nobody but the client is to blame.
#[derive(Clone, Copy, Debug)]
pub struct ClientBodyError;

impl std::fmt::Display for ClientBodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the client's request body broke off")
    }
}

impl std::error::Error for ClientBodyError {}

impl Replay {
    /// The body of a call, of which at most `bytes_max` are kept.
    #[must_use]
    pub(in crate::gateway) fn new(
        intake: IncomingBody,
        bytes_max: usize,
        (pool, guarded): (&Arc<ReplayPool>, &Arc<Guarded>),
    ) -> Self {
        if intake.is_end_stream() {
            return Self::Empty;
        }
        let size = intake.size_hint();
        Self::Kept(Arc::new(Mutex::new(Kept {
            source: Source::Open(intake),
            pieces: Pieces::default(),
            trailers: None,
            guarded: Arc::clone(guarded),
            bytes_max,
            pool: Arc::clone(pool),
            pooled_bytes: 0,
            received_bytes: 0,
            state: BodyState::Replayable,
            hunger: Hunger::Sated,
            attempt: 0,
            size,
        })))
    }

    /// Whether it can be sent, once more or for the first time.
    #[must_use]
    pub(in crate::gateway) fn state(&self) -> BodyState {
        match self {
            Self::Empty => BodyState::Replayable,
            Self::Kept(kept) => locked(kept).state,
        }
    }

    /// Whether it is certain that it can be sent again after a first attempt.
    #[must_use]
    pub(in crate::gateway) fn outlasts_an_attempt(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Kept(kept) => {
                let kept = locked(kept);
                let known = kept.size.upper().and_then(|upper| usize::try_from(upper).ok());
                kept.state == BodyState::Replayable
                    && known.is_some_and(|upper| upper <= kept.bytes_max)
            }
        }
    }

    /// The body for the next attempt.
    #[must_use]
    pub(in crate::gateway) fn next_attempt(&self) -> RequestBody {
        match self {
            Self::Empty => RequestBody(None),
            Self::Kept(kept) => {
                let mut state = locked(kept);
                state.attempt += 1;
                let reader = Reader {
                    kept: Arc::clone(kept),
                    attempt: state.attempt,
                    next: Place::default(),
                    sent_bytes: 0,
                    trailers: Trailers::Due,
                };
                RequestBody(Some(reader))
            }
        }
    }

    /// Whether the client's side of it broke.
    #[must_use]
    pub(in crate::gateway) fn client_broke(&self) -> bool {
        matches!(self, Self::Kept(kept) if matches!(locked(kept).source, Source::Broken))
    }

    /// Whether an attempt waits for bytes that the client does not send.
    pub(in crate::gateway) fn keeps_waiting(&self) -> bool {
        self.upload().is_some_and(|upload| upload.awaited)
    }

    /// How far it is; nothing where there is none.
    pub(in crate::gateway) fn upload(&self) -> Option<Upload> {
        let Self::Kept(kept) = self else { return None };
        let kept = locked(kept);
        Some(Upload { received_bytes: kept.received_bytes, awaited: kept.hunger == Hunger::Hungry })
    }

    /// Whether its length is known and all of it is kept.
    #[must_use]
    pub(in crate::gateway) fn fits_whole(&self) -> bool {
        match self {
            Self::Empty => false,
            Self::Kept(kept) => {
                let kept = locked(kept);
                let exact = kept.size.exact().and_then(|exact| usize::try_from(exact).ok());
                exact.is_some_and(|exact| exact <= kept.bytes_max)
            }
        }
    }

    /// Bytes of it that are here.
    pub(in crate::gateway) fn kept_bytes(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Kept(kept) => locked(kept).pieces.bytes(),
        }
    }

    /// Reads what is there, up to the bound; ready when there is no more to read.
    pub(in crate::gateway) fn poll_fill(&self, context: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Empty => Poll::Ready(()),
            Self::Kept(kept) => locked(kept).poll_fill(context),
        }
    }

    /// Reads it while its call waits, up to the bound; what is beyond stays unread.
    pub(in crate::gateway) async fn fill(&self) {
        std::future::poll_fn(|context| self.poll_fill(context)).await;
    }
}

impl Kept {
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.pieces.bytes() < self.bytes_max {
            if !matches!(self.source, Source::Open(_)) {
                return Poll::Ready(());
            }
            ready!(self.poll_source(Keep::ForLater, context));
        }
        Poll::Ready(())
    }

    /// Reads one frame from the client into the buffer.
    fn poll_source(&mut self, keep: Keep, context: &mut Context<'_>) -> Poll<()> {
        let Source::Open(intake) = &mut self.source else { return Poll::Ready(()) };
        self.hunger = Hunger::Hungry;
        let frame = ready!(intake.poll_frame(context));
        self.hunger = Hunger::Sated;
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.keep(data, keep),
                Err(frame) => self.keep_trailers(frame),
            },
            None => {
                self.source = Source::Ended;
                self.pieces.seal();
            }
            Some(Err(_broken)) => self.source = Source::Broken,
        }
        Poll::Ready(())
    }

    fn keep(&mut self, data: Bytes, keep: Keep) {
        self.received_bytes += data.len() as u64;
        if self.bytes_max == 0 {
            // It streams: the piece goes as soon as it is sent.
            return self.pieces.append(data);
        }
        let as_it_is = keep == Keep::ForAttempt && self.pieces.bytes() == 0;
        let cost = if as_it_is { data.len() } else { self.pieces.cost(&data) };
        if !self.pool.take(cost) {
            // The program's buffers are full: this body streams on, without replay.
            self.bytes_max = 0;
            return self.pieces.append(data);
        }
        self.pooled_bytes += cost;
        match keep {
            Keep::ForAttempt => self.pieces.push(data),
            Keep::ForLater => self.pieces.merge(data),
        }
    }

    fn keep_trailers(&mut self, frame: Frame<Bytes>) {
        self.trailers = frame.into_trailers().ok().map(|mut trailers| {
            self.guarded.filter_trailers(&mut trailers);
            trailers
        });
    }

    /// Lets go of what was sent when the body has outgrown its bounds.
    fn shed(&mut self, reader: &mut Place) {
        if self.pieces.bytes() <= self.bytes_max {
            return;
        }
        let sent = self.pieces.forget_before(reader);
        if sent == 0 {
            return;
        }
        self.state = BodyState::Gone;
        // Once bytes are gone, nothing that follows is worth keeping.
        self.bytes_max = 0;
        let pooled = sent.min(self.pooled_bytes);
        self.pooled_bytes -= pooled;
        self.pool.give_back(pooled);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.pool.give_back(self.pooled_bytes);
    }
}

/// The body of one attempt.
#[derive(Debug)]
pub struct RequestBody(Option<Reader>);

#[derive(Debug)]
struct Reader {
    kept: Arc<Mutex<Kept>>,
    attempt: u32,
    next: Place,
    sent_bytes: u64,
    trailers: Trailers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trailers {
    Due,
    Done,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = ClientBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
        let Some(reader) = &mut self.0 else { return Poll::Ready(None) };
        let shared = Arc::clone(&reader.kept);
        let mut kept = locked(&shared);
        if kept.attempt != reader.attempt {
            return Poll::Ready(Some(Err(ClientBodyError)));
        }
        loop {
            kept.shed(&mut reader.next);
            if let Some(chunk) = kept.pieces.read(&mut reader.next) {
                reader.sent_bytes += chunk.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            match &kept.source {
                Source::Open(_) => ready!(kept.poll_source(Keep::ForAttempt, context)),
                Source::Broken => return Poll::Ready(Some(Err(ClientBodyError))),
                Source::Ended => return Poll::Ready(reader.take_trailers(&kept).map(Ok)),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let Some(reader) = &self.0 else { return SizeHint::with_exact(0) };
        match locked(&reader.kept).size.exact() {
            Some(exact) => SizeHint::with_exact(exact.saturating_sub(reader.sent_bytes)),
            None => SizeHint::default(),
        }
    }
}

impl Reader {
    fn take_trailers(&mut self, kept: &Kept) -> Option<Frame<Bytes>> {
        if self.trailers == Trailers::Done {
            return None;
        }
        self.trailers = Trailers::Done;
        kept.trailers.clone().map(Frame::trailers)
    }
}

impl IncomingBody {
    /// A client's body; most requests have none, and cost nothing.
    pub fn of(
        body: impl Body<Data = Bytes, Error = ClientBodyError> + Send + Unpin + 'static,
    ) -> Self {
        if body.is_end_stream() {
            Self::Empty
        } else {
            Self::Streaming(Box::pin(Merging::new(body)))
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streaming(body) => body.is_end_stream(),
            Self::Buffered(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streaming(body) => body.size_hint(),
            Self::Buffered(body) => body.size_hint(),
        }
    }

    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Streaming(body) => body.as_mut().poll_frame(context),
            Self::Buffered(body) => {
                let frame = ready!(Pin::new(body).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map_err(|never| match never {})))
            }
        }
    }
}

fn locked(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use http_body_util::BodyExt;

    use super::*;

    fn guarded() -> Arc<Guarded> {
        let account = HeaderName::from_static("x-account");
        Arc::new(Guarded::new(HeaderName::from_static("evenkeel-key"), None, vec![account]))
    }

    fn body(text: &'static str, bytes_max: usize, pool: usize) -> Replay {
        let intake = IncomingBody::Buffered(Full::new(Bytes::from_static(text.as_bytes())));
        Replay::new(intake, bytes_max, (&Arc::new(ReplayPool::new(pool)), &guarded()))
    }

    async fn send(replay: &Replay) -> Option<Bytes> {
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
        let intake = IncomingBody::of(body.map_err(|never| match never {}));
        let replay = Replay::new(intake, 100, (&Arc::new(ReplayPool::new(100)), &guarded()));
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
        let intake = IncomingBody::Buffered(Full::new(Bytes::from_static(b"hello")));
        let replay = Replay::new(intake, 100, (&pool, &guarded()));
        let mut context = Context::from_waker(std::task::Waker::noop());
        let filled = std::pin::pin!(replay.fill()).poll(&mut context);
        assert!(filled.is_ready() && pool.free.load(Ordering::Relaxed) < 995);
        drop(replay);
        assert_eq!(pool.free.load(Ordering::Relaxed), 1000);
    }
}
