//! One worker's way out: chooses a connection, sends, and hands back the head of the answer.
//!
//! It refuses to send twice: a request that comes back untouched, because the resting connection
//! it was given to had been closed, goes to another connection; nothing else does.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, Response};

use super::body::UpstreamBody;
use super::pool::{Line, Pool, Sharing};
use super::request::{Broken, UpstreamRequest};
use super::settings::Settings;
use super::shared::Shared;
use super::{Exchange, Progress, RequestBody, RequestHead};
use crate::clock::Clock;
use crate::outcome::Failure;
use crate::time::Moment;

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
        head: &RequestHead,
        body: B,
        progress: &Progress,
    ) -> impl Future<Output = Result<Response<UpstreamBody<B>>, Failure>> + Send {
        let pool = &self.pools[upstream];
        let mut asked = UpstreamRequest::new(head, body);
        async move {
            let mut now = progress.began().unwrap_or_else(|| pool.now());
            // Each turn uses up a connection at rest, so it ends with the last of them.
            while let Some(connection) = pool.rested(now, head.client) {
                match connection.send(&mut asked, pool, progress).await {
                    Ok(()) => return Ok(asked.answer),
                    Err(Broken::Unsent(_)) => now = pool.now(),
                    Err(Broken::Failed(failure)) => return Err(failure),
                }
            }
            elsewhere(pool, &mut asked, progress).await?;
            Ok(asked.answer)
        }
    }

    fn reuse(&self, upstream: usize, headers: &mut HeaderMap) {
        self.pools[upstream].reuse(headers);
    }
}

/// Sends on a stream of HTTP/2, or on a connection that has to be opened or waited for first.
///
/// Boxed, and of a type that nobody can inline: the straight path goes without.
#[cold]
fn elsewhere<'a, B: RequestBody>(
    pool: &'a Arc<Pool<B>>,
    asked: &'a mut UpstreamRequest<'_, B>,
    progress: &'a Progress,
) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
    Box::pin(async move {
        let mut last = None;
        let sharing = if asked.binds { Sharing::Alone } else { Sharing::Shared };
        for _ in 0..STALE_MAX {
            let line = pool.obtain(sharing).await?;
            let fresh = matches!(line, Line::Fresh(_));
            let sent = match line {
                Line::Used(connection) | Line::Fresh(connection) => {
                    connection.send(asked, pool, progress).await
                }
                Line::Stream(stream) => stream.send(asked, &pool.target, progress).await,
            };
            match sent {
                Ok(()) => return Ok(()),
                Err(Broken::Unsent(closed)) if !fresh => last = Some(closed),
                Err(Broken::Unsent(failure) | Broken::Failed(failure)) => return Err(failure),
            }
        }
        Err(last.expect("a turn was taken"))
    })
}

impl<B: RequestBody> fmt::Debug for Upstreams<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstreams").field("upstreams", &self.pools.len()).finish()
    }
}
