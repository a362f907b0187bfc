//! One worker's way out: chooses a connection, sends, and hands back the head of the answer.
//!
//! It refuses to send twice: a request that comes back untouched, because the resting connection
//! it was given to had been closed, goes to another connection; nothing else does.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response};

use super::body::UpstreamBody;
use super::h1;
use super::h2;
use super::pool::{Line, Pool};
use super::settings::Settings;
use super::shared::Shared;
use super::{Exchange, Progress, RequestBody};
use crate::clock::Clock;
use crate::policy::outcome::Failure;
use crate::policy::time::Moment;

/// Connections that may turn out to be closed, one after the other, for one exchange that opens
/// or waits for them; an upstream that closes more than these refuses us.
const STALE_MAX: usize = 8;

/// The upstreams as one worker reaches them. Made on the worker's runtime and used only there:
/// its connections live on it.
pub struct Upstreams<B: RequestBody> {
    pools: Box<[Arc<Pool<B>>]>,
}

impl<B: RequestBody> Upstreams<B> {
    /// For the upstreams of `settings`, in their order; `shared` was made from the same.
    #[expect(clippy::needless_pass_by_value, reason = "a worker keeps its own handle of it")]
    #[must_use]
    pub fn new(settings: &[Settings], shared: Arc<Shared>, clock: Clock) -> Self {
        let pool = |(number, settings)| Pool::new(settings, shared.common(number), clock);
        Self { pools: settings.iter().enumerate().map(pool).collect() }
    }

    /// Closes connections that have been unused too long at `now` or were closed by the other
    /// side. To be called about once a second; costs nothing where nothing rests.
    pub fn sweep(&self, now: Moment) {
        for pool in &self.pools {
            pool.sweep(now);
        }
    }
}

impl<B: RequestBody> Exchange<B> for Upstreams<B> {
    type Body = UpstreamBody<B>;

    fn exchange(
        &self,
        upstream: usize,
        request: Request<B>,
        progress: &Progress,
    ) -> impl Future<Output = Result<Response<UpstreamBody<B>>, Failure>> + Send {
        let pool = &self.pools[upstream];
        // It stays in this place while it is sent: every future around it would copy it.
        let mut request = Some(request);
        async move {
            let mut now = progress.began().unwrap_or_else(|| pool.now());
            // Each turn uses up a connection at rest, so it ends with the last of them.
            while let Some(connection) = pool.rested(now) {
                match connection.send(&mut request, &pool.host, progress).await {
                    h1::Sent::Answered(answer) => return Ok(finish(pool, answer)),
                    h1::Sent::Unsent(_) => now = pool.now(),
                    h1::Sent::Failed(failure) => return Err(failure),
                }
            }
            elsewhere(pool, &mut request, progress).await
        }
    }
}

/// Sends on a stream of HTTP/2, or on a connection that has to be opened or waited for first.
///
/// Boxed, and of a type that nobody can inline: the straight path goes without.
#[cold]
fn elsewhere<'a, B: RequestBody>(
    pool: &'a Arc<Pool<B>>,
    request: &'a mut Option<Request<B>>,
    progress: &'a Progress,
) -> Pin<Box<dyn Future<Output = Outcome<B>> + Send + 'a>> {
    Box::pin(async move {
        let mut last = None;
        for _ in 0..STALE_MAX {
            let line = pool.obtain().await?;
            match send(pool, line, request, progress).await {
                Turn::Over(outcome) => return outcome,
                Turn::Again(closed) => last = Some(closed),
            }
        }
        Err(last.expect("a turn was taken"))
    })
}

type Outcome<B> = Result<Response<UpstreamBody<B>>, Failure>;

/// What one line made of a request.
enum Turn<B: RequestBody> {
    Over(Outcome<B>),
    /// It was closed before a byte was written.
    Again(Failure),
}

async fn send<B: RequestBody>(
    pool: &Arc<Pool<B>>,
    line: Line<B>,
    request: &mut Option<Request<B>>,
    progress: &Progress,
) -> Turn<B> {
    let (connection, fresh) = match line {
        Line::Used(connection) => (connection, None),
        Line::Fresh(connection) => (connection, Some(())),
        Line::Stream(stream) => return send_h2(pool, stream, request, progress).await,
    };
    match connection.send(request, &pool.host, progress).await {
        h1::Sent::Answered(answer) => Turn::Over(Ok(finish(pool, answer))),
        h1::Sent::Unsent(closed) if fresh.is_some() => Turn::Over(Err(closed)),
        h1::Sent::Unsent(closed) => Turn::Again(closed),
        h1::Sent::Failed(failure) => Turn::Over(Err(failure)),
    }
}

async fn send_h2<B: RequestBody>(
    pool: &Pool<B>,
    stream: h2::Stream<B>,
    request: &mut Option<Request<B>>,
    progress: &Progress,
) -> Turn<B> {
    match stream.send(request, &pool.target, progress).await {
        h2::Sent::Answered(answer, ticket) => {
            Turn::Over(Ok(answer.map(|body| UpstreamBody::streaming(body, ticket))))
        }
        h2::Sent::Unsent(closed) => Turn::Again(closed),
        h2::Sent::Failed(failure) => Turn::Over(Err(failure)),
    }
}

fn finish<B: RequestBody>(
    pool: &Arc<Pool<B>>,
    answer: Response<h1::Rest<B>>,
) -> Response<UpstreamBody<B>> {
    answer.map(|rest| match rest {
        h1::Rest::Over(bytes) => UpstreamBody::received(bytes),
        h1::Rest::Free(bytes, connection) => {
            pool.keep(connection);
            UpstreamBody::received(bytes)
        }
        h1::Rest::Flows(connection) => UpstreamBody::flowing(connection, Arc::clone(pool)),
    })
}

impl<B: RequestBody> fmt::Debug for Upstreams<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstreams").field("upstreams", &self.pools.len()).finish()
    }
}
