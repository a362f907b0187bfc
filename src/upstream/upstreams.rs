//! One worker's way out: chooses a connection, sends, and hands back the head of the answer.
//!
//! It refuses to send twice: a request that hyper hands back untouched, because the resting
//! connection it was given to had been closed, goes to another connection; nothing else does.

use std::fmt;
use std::sync::Arc;

use http::{Request, Response};

use super::body::UpstreamBody;
use super::h1::{self, Afterwards, Sent};
use super::pool::{Line, Pool};
use super::settings::Settings;
use super::shared::Shared;
use super::{Exchange, Progress, RequestBody};
use crate::clock::Clock;
use crate::policy::outcome::Failure;
use crate::policy::time::Moment;

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

    async fn exchange(
        &self,
        upstream: usize,
        request: Request<B>,
        progress: &Progress,
    ) -> Result<Response<UpstreamBody<B>>, Failure> {
        let pool = &self.pools[upstream];
        let mut request = request;
        h1::prepare(&mut request, &pool.host);
        // Each turn uses up a connection at rest, so it ends with the last of them.
        while let Some(connection) = pool.rested() {
            match connection.send(request, progress).await {
                Sent::Unsent(back, _closed) => request = back,
                Sent::Answered(answer, afterwards) => return Ok(finish(pool, answer, afterwards)),
                Sent::Failed(failure) => return Err(failure),
            }
        }
        Box::pin(elsewhere(pool, request, progress)).await
    }
}

/// Sends on a connection that has to be opened or waited for first.
async fn elsewhere<B: RequestBody>(
    pool: &Arc<Pool<B>>,
    mut request: Request<B>,
    progress: &Progress,
) -> Result<Response<UpstreamBody<B>>, Failure> {
    loop {
        let (connection, fresh) = match pool.obtain().await? {
            Line::Used(connection) => (connection, None),
            Line::Fresh(connection) => (connection, Some(())),
        };
        match connection.send(request, progress).await {
            Sent::Unsent(back, closed) => match fresh {
                None => request = back,
                Some(()) => return Err(closed),
            },
            Sent::Answered(answer, afterwards) => return Ok(finish(pool, answer, afterwards)),
            Sent::Failed(failure) => return Err(failure),
        }
    }
}

fn finish<B: RequestBody>(
    pool: &Arc<Pool<B>>,
    answer: Response<hyper::body::Incoming>,
    afterwards: Afterwards<B>,
) -> Response<UpstreamBody<B>> {
    match afterwards {
        Afterwards::Over => answer.map(UpstreamBody::received),
        Afterwards::Free(connection) => {
            pool.keep(connection);
            answer.map(UpstreamBody::received)
        }
        Afterwards::Flows(connection) => {
            answer.map(|body| UpstreamBody::flowing(body, connection, Arc::clone(pool)))
        }
    }
}

impl<B: RequestBody> fmt::Debug for Upstreams<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstreams").field("upstreams", &self.pools.len()).finish()
    }
}
