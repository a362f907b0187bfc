//! Reads a small request body before anything is taken for its call.
//!
//! Otherwise a client that sends slowly would hold a slot and a connection to the upstream. A body
//! whose declared length fits the replay buffer costs no more there than in the socket, so it is
//! read first. Chunked bodies, larger ones, and those of gRPC, where either side may speak first,
//! stream as they come.

use std::future::poll_fn;
use std::task::Poll;

use crate::upstream::Exchange;

use super::body::RequestBody;
use super::call::Call;
use super::result::Interruption;
use super::state::{BoxFuture, Gateway};

impl<E: Exchange<RequestBody>> Gateway<E> {
    /// Reads the body of `call` if it is small.
    pub(super) async fn buffer_request(&self, call: &mut Call<'_>) -> Result<(), Interruption> {
        let wanted = call.body.fits_buffer() || self.needs_body(call);
        if !wanted || call.has_media_type("application/grpc") {
            return Ok(());
        }
        // Most bodies arrive with their head.
        let at_once = poll_fn(|cx| Poll::Ready(call.body.poll_fill(cx).is_ready())).await;
        if !at_once {
            self.wait_for_body(call).await?;
        }
        if call.body.client_broke() { Err(Interruption::ClientBodyBroken) } else { Ok(()) }
    }

    /// Waits for the rest of the body, as long as each window brings its least bytes. The call's
    /// patience begins when its body is complete.
    #[cold]
    fn wait_for_body<'a>(
        &'a self,
        call: &'a mut Call<'_>,
    ) -> BoxFuture<'a, Result<(), Interruption>> {
        Box::pin(async move {
            let began = self.clock.now();
            let window = call.policy.idle_timeout;
            let window_bytes_min = call.policy.request_rate.saturating_mul(window.as_secs().max(1));
            let read = loop {
                let before = call.body.kept_bytes();
                tokio::select! {
                    biased;
                    () = call.body.fill() => break Ok(()),
                    () = self.drain.cutoff() => break Err(Interruption::Draining),
                    () = self.clock.sleep_until(self.clock.now().plus(window)) => {
                        if ((call.body.kept_bytes() - before) as u64) < window_bytes_min {
                            break Err(Interruption::ClientBodyStalled);
                        }
                    }
                }
            };
            let took = self.clock.now().since(began);
            call.history.buffering = took;
            call.deadline = call.deadline.plus(took);
            call.slot_request.deadline = call.deadline;
            read
        })
    }
}
