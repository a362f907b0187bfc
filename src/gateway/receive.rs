//! Reads a small request body before anything is taken for its call.
//!
//! A client that sends slowly would otherwise hold a slot and a connection to the upstream while
//! it does. A body whose stated length fits the replay buffer costs nothing more there than in
//! the socket, so it is read whole first; bodies in chunks, of unknown length, larger ones and
//! those of gRPC, where either side may speak first, stream as they come.

use std::future::poll_fn;
use std::task::Poll;

use http::HeaderValue;
use http::header::CONTENT_TYPE;

use crate::upstream::Exchange;

use super::admit::Stop;
use super::body::RequestBody;
use super::call::Call;
use super::{BoxFuture, Gateway};
impl<E: Exchange<RequestBody>> Gateway<E> {
    /// Reads the body of `call` if it is small. Its patience begins when the body is there.
    pub(super) async fn receive(&self, call: &mut Call<'_>) -> Result<(), Stop> {
        if !call.body.fits_whole() || is_grpc(call) {
            return Ok(());
        }
        // Most bodies came with their head.
        let at_once = poll_fn(|cx| Poll::Ready(call.body.poll_fill(cx).is_ready())).await;
        if !at_once {
            self.read(call).await?;
        }
        if call.body.client_broke() { Err(Stop::ClientLeft) } else { Ok(()) }
    }

    #[cold]
    fn read<'a>(&'a self, call: &'a mut Call<'_>) -> BoxFuture<'a, Result<(), Stop>> {
        Box::pin(async move {
            let began = self.clock.now();
            let read = self.read_steadily(call).await;
            call.wait_for_body(self.clock.now().since(began));
            read
        })
    }

    async fn read_steadily(&self, call: &Call<'_>) -> Result<(), Stop> {
        let window = call.policy.idle_timeout;
        let least = call.policy.request_rate.saturating_mul(window.as_secs().max(1));
        loop {
            let before = call.body.kept_bytes();
            tokio::select! {
                biased;
                () = call.body.fill() => return Ok(()),
                () = self.drain.cut() => return Err(Stop::Draining),
                () = self.clock.sleep_until(self.clock.now().plus(window)) => {
                    if ((call.body.kept_bytes() - before) as u64) < least {
                        return Err(Stop::ClientStalled);
                    }
                }
            }
        }
    }
}

fn is_grpc(call: &Call<'_>) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let kind = call.request.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.and_then(|kind| kind.get(..GRPC.len())).is_some_and(|it| it.eq_ignore_ascii_case(GRPC))
}
