//! One worker's exchanges: chooses a connection, sends, and returns the head of the response.
//!
//! The usual path takes an idle HTTP/1.1 connection and neither waits nor allocates. Everything
//! else is in `send_without_idle_connection`.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, Response};

use super::body::UpstreamBody;
use super::exchange::Exchange;
use super::pool::{Pool, PooledConnection, Sharing};
use super::progress::Progress;
use super::request::{RequestBody, RequestHead, SendError, UpstreamRequest};
use super::settings::Settings;
use super::shared::Shared;
use crate::clock::Clock;
use crate::outcome::Failure;
use crate::time::Moment;

/// Used connections that may turn out to be closed, one after the other, before an exchange fails.
/// An upstream that closes more than these refuses us.
const STALE_CONNECTIONS_MAX: usize = 8;

/// The upstreams of one worker, made and used on its runtime, on which its connections live.
pub struct Upstreams<B: RequestBody> {
    pools: Box<[Arc<Pool<B>>]>,
}

impl<B: RequestBody> Upstreams<B> {
    /// For the upstreams of `settings`, in their order; `shared` must be made of the same settings.
    #[expect(clippy::needless_pass_by_value, reason = "a worker keeps its own handle of it")]
    #[must_use]
    pub fn new(settings: &[Settings], shared: Arc<Shared>, clock: Clock) -> Self {
        let pool = |(number, settings)| Pool::new(settings, shared.upstream(number), clock);
        Self { pools: settings.iter().enumerate().map(pool).collect() }
    }

    /// For changed settings, of which `shared` is made: an upstream whose settings are the same
    /// keeps its connections; those of the others close when the calls on them are over.
    #[must_use]
    pub fn renewed(&self, settings: &[Settings], shared: &Shared, clock: Clock) -> Self {
        let pool = |(number, settings): (usize, &Settings)| {
            let shared = shared.upstream(number);
            let known = self.pools.iter().find(|pool| pool.shares(&shared)).map(Arc::clone);
            known.unwrap_or_else(|| Pool::new(settings, shared, clock))
        };
        Self { pools: settings.iter().enumerate().map(pool).collect() }
    }

    /// Closes connections that have been idle too long at `now` or that the upstream closed. To be
    /// called about once a second; without idle connections it costs nothing.
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
        let mut request = UpstreamRequest::new(head, body);
        async move {
            let mut now = progress.started().unwrap_or_else(|| pool.now());
            // Each turn uses up an idle connection, so the loop ends with the last of them.
            while let Some(mut connection) = pool.idle_connection(now, head.client) {
                match connection.send(&mut request, &pool.destination, progress).await {
                    Ok(()) => {
                        let body = UpstreamBody::of_http1(connection, &mut request.body, pool);
                        return Ok(request.response.map(|()| body));
                    }
                    Err(SendError::NotSent(_)) => now = pool.now(),
                    Err(SendError::Failed(failure)) => return Err(failure),
                }
            }
            let body = send_without_idle_connection(pool, &mut request, progress).await?;
            Ok(request.response.map(|()| body))
        }
    }

    fn recycle_headers(&self, upstream: usize, headers: &mut HeaderMap) {
        self.pools[upstream].destination.recycle(headers);
    }
}

/// Sends on an HTTP/2 stream, or on a connection that has to be opened or waited for first.
///
/// Boxed behind a trait object, so that the future of the usual path stays small.
#[cold]
fn send_without_idle_connection<'a, B: RequestBody>(
    pool: &'a Arc<Pool<B>>,
    request: &'a mut UpstreamRequest<'_, B>,
    progress: &'a Progress,
) -> Pin<Box<dyn Future<Output = Result<UpstreamBody<B>, Failure>> + Send + 'a>> {
    Box::pin(async move {
        let mut last = None;
        let sharing = match request.authenticates_connection {
            true => Sharing::Exclusive,
            false => Sharing::Shared,
        };
        for _ in 0..STALE_CONNECTIONS_MAX {
            let pooled = pool.acquire(sharing).await?;
            let is_fresh = matches!(pooled, PooledConnection::Fresh(_));
            let sent = match pooled {
                PooledConnection::Used(mut connection)
                | PooledConnection::Fresh(mut connection) => connection
                    .send(request, &pool.destination, progress)
                    .await
                    .map(|()| UpstreamBody::of_http1(connection, &mut request.body, pool)),
                PooledConnection::Stream(stream) => stream
                    .send(request, &pool.destination, progress)
                    .await
                    .map(UpstreamBody::of_http2),
            };
            match sent {
                Ok(body) => return Ok(body),
                Err(SendError::NotSent(failure)) if !is_fresh => last = Some(failure),
                Err(SendError::NotSent(failure) | SendError::Failed(failure)) => {
                    return Err(failure);
                }
            }
        }
        Err(last.expect("the loop runs at least once"))
    })
}

impl<B: RequestBody> fmt::Debug for Upstreams<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstreams").field("upstreams", &self.pools.len()).finish()
    }
}
